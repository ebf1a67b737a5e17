//! Rich messages, marks and typing, from the client's call to what the conversation is asked.

use api::v1::{
    Interactive, MarkReadRequest, Media, ReplyButton, ReplyButtons, SendMessage, SendReaction,
    SendRequest, Template, TemplateCategory, interactive::Action, send_message::Content as Says,
};
use domain::{
    Sealed,
    content::{Action as Does, Content, ContentKind, Outgoing},
    conversation::{CommandKind, ConversationInput},
    persist,
};
use tonic::Code;

use super::{entities::*, world::*};

fn message(says: Says) -> SendMessage {
    SendMessage { conversation_id: id(3), content: Some(says), ..SendMessage::default() }
}

fn opened(sealed: &Sealed) -> Content {
    let plain = sealer().open(b"shop", sealed.key_id, &sealed.bytes).unwrap();
    persist::decode(&plain).unwrap()
}

/// What the conversation was asked last.
fn asked(world: &World) -> CommandKind {
    match world.entities.met().pop() {
        Some(Met::Act(_, ConversationInput::Command(command))) => command.kind,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_rich_kind_reaches_the_conversation_as_it_was_written() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let button = ReplyButton { id: "yes".to_owned(), title: "Yes".to_owned() };
    let interactive = Interactive {
        body: "Shall we?".to_owned(),
        action: Some(Action::Buttons(ReplyButtons { buttons: vec![button] })),
        ..Interactive::default()
    };
    let template = Template {
        name: "summer_sale".to_owned(),
        language: "en_US".to_owned(),
        category: TemplateCategory::Marketing.into(),
        ..Template::default()
    };
    let media = Media {
        kind: "image".to_owned(),
        link: "https://shop.example/cat.png".to_owned(),
        caption: "a cat".to_owned(),
        ..Media::default()
    };
    let reaction = SendReaction { message_id: id(1), emoji: "👍".to_owned() };
    let table = [
        (Says::Interactive(interactive), ContentKind::Interactive, false),
        (Says::Template(template), ContentKind::Template, true),
        (Says::Media(media), ContentKind::Image, false),
        (Says::Reaction(reaction), ContentKind::Reaction, false),
    ];
    for (number, (says, kind, is_marketing)) in (1..).zip(table) {
        let request = SendRequest { command_id: command(number), message: Some(message(says)) };
        let sent = bounded(world.conversations().send(as_("shop", request))).await.unwrap();
        assert!(!sent.into_inner().opaque_id.is_empty());
        let CommandKind::Send { kind: asked, content, marketing, .. } = asked(&world) else {
            panic!("no send")
        };
        assert_eq!((&asked, marketing), (&kind, is_marketing));
        let content = opened(&content);
        match (kind, &content.outgoing) {
            (ContentKind::Interactive, Some(Outgoing::Interactive(it))) => {
                assert_eq!(content.text.as_deref(), Some("Shall we?"));
                assert!(matches!(&it.action, Does::Buttons(all) if all[0].id == "yes"));
            }
            (ContentKind::Template, Some(Outgoing::Template(it))) => {
                assert_eq!(it.name, "summer_sale");
            }
            (ContentKind::Image, None) => {
                let link = content.media.unwrap().link;
                assert_eq!(link.as_deref(), Some("https://shop.example/cat.png"));
                assert_eq!(content.text.as_deref(), Some("a cat"));
            }
            (ContentKind::Reaction, Some(Outgoing::Reaction { emoji })) => {
                assert_eq!(emoji.as_deref(), Some("👍"));
                assert_eq!(content.target_wamid.as_deref(), Some("wamid.001"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_mark_names_a_message_of_the_customer_and_may_show_typing() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let mark = async |number, message_id: String, show_typing| {
        let request = MarkReadRequest {
            command_id: command(number),
            conversation_id: id(3),
            message_id,
            show_typing,
        };
        let marked = bounded(world.conversations().mark_read(as_("shop", request))).await;
        marked.map(|_| ()).map_err(|status| status.code())
    };
    for (number, typing) in [(1, false), (2, true)] {
        mark(number, id(1), typing).await.unwrap();
        let CommandKind::MarkRead { message, typing: shown } = asked(&world) else { panic!() };
        assert_eq!(opened(&message).target_wamid.as_deref(), Some("wamid.001"));
        assert_eq!(shown, typing);
    }
    let met = world.entities.met().len();
    for (number, message_id) in [(3, String::new()), (4, id(99)), (5, "nonsense".to_owned())] {
        assert_eq!(mark(number, message_id, true).await, Err(Code::InvalidArgument));
    }
    assert_eq!(world.entities.met().len(), met, "nothing was asked");
}
