//! Reading conversations.

use api::v1::{
    Conversation, Delivery, Direction, GetConversationRequest, ListConversationsRequest,
    ListMessagesRequest, Message, Position,
};
use domain::{
    EntityId, EntityKind, RequestId,
    content::{Content, ContentKind, Identity},
    conversation::{
        Author, ConversationEvent, RoutingAct, SendOutcome, SendRecord, StatusKind, Via,
    },
    number::Lane,
    persist,
};
use tonic::Code;

use super::world::*;
use crate::wire;

fn identity(business: &str, phone: &str) -> ConversationEvent {
    let number = EntityId { kind: EntityKind::Number, hash: hash(200) };
    let workspace = EntityId { kind: EntityKind::Workspace, hash: hash(201) };
    let who = Identity { phone: Some(phone.to_owned()), ..Identity::default() };
    let sealed = sealer().seal(business.as_bytes(), &persist::encode(&who).unwrap());
    let who = domain::Sealed { key_id: sealed.key_id, bytes: sealed.bytes };
    ConversationEvent::IdentitySeen { via: Via { number, workspace }, who, at_ms: 1 }
}

fn asked(request: RequestId, at_ms: u64) -> ConversationEvent {
    let content = Content { text: Some("answer".to_owned()), ..Content::default() };
    ConversationEvent::SendRequested(SendRecord {
        request,
        author: Author::Agent("ana".into()),
        lane: Lane::Agent,
        kind: ContentKind::Text,
        at_ms,
        content: seal("shop", &content),
        not_after_ms: at_ms + 1,
        episode: Some(1),
    })
}

async fn get(world: &World, who: &str, n: u8) -> Result<Conversation, Code> {
    let request =
        GetConversationRequest { conversation_id: id(n), at_least: None, read_mask: None };
    let answer = world.conversations().get(as_(who, request)).await;
    answer.map(|answer| answer.into_inner().conversation.unwrap()).map_err(|status| status.code())
}

async fn messages(world: &World, n: u8, page_size: u32) -> Vec<Message> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            ListMessagesRequest { conversation_id: id(n), page_size, page_token, at_least: None };
        let page = world.conversations().list_messages(as_("shop", request)).await.unwrap();
        let page = page.into_inner();
        assert!(page.messages.len() <= page_size as usize);
        all.extend(page.messages);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

#[tokio::test]
async fn a_conversation_and_its_thread_are_read() {
    let world = World::new().await;
    let request = RequestId { conversation: hash(3), n: 1 };
    let wamid = Content { wamid: Some("wamid.sent".to_owned()), ..Content::default() };
    let accepted = SendOutcome::Accepted {
        message: domain::MessageId(hash(50)),
        wamid: seal("shop", &wamid),
        at_ms: 30,
        repeated: false,
    };
    world
        .decide(
            "shop",
            3,
            &[
                identity("shop", "5511999"),
                ConversationEvent::EpisodeOpened { n: 1, at_ms: 10 },
                inbound("shop", 1, 10, "hi"),
                inbound("shop", 2, 10, "there"),
                asked(request, 20),
                ConversationEvent::SendResolved { request, outcome: accepted, at_ms: 30 },
                ConversationEvent::StatusMerged {
                    message: domain::MessageId(hash(50)),
                    request: Some(request),
                    status: StatusKind::Read,
                    at_ms: 40,
                    error: None,
                    content: seal("shop", &wamid),
                },
                asked(RequestId { n: 2, ..request }, 50),
                ConversationEvent::SendResolved {
                    request: RequestId { n: 2, ..request },
                    outcome: SendOutcome::Unknown,
                    at_ms: 60,
                },
            ],
        )
        .await;
    let conversation = get(&world, "ana", 3).await.unwrap();
    assert_eq!(conversation.phone_number_id, "1055");
    assert_eq!(conversation.contact.unwrap().phone, "5511999");
    assert_eq!(conversation.episode.unwrap().number, 1);
    for page_size in [1, 2, 3, 100] {
        let thread = messages(&world, 3, page_size).await;
        let texts: Vec<_> = thread.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(texts, ["hi", "there", "answer", "answer"], "pages of {page_size}");
        let [inbound, _, answer, unknown] = &thread[..] else { panic!("{thread:?}") };
        assert_eq!(
            (inbound.direction(), inbound.delivery()),
            (Direction::Inbound, Delivery::Unspecified)
        );
        assert_eq!((answer.delivery(), answer.wamid.as_str()), (Delivery::Read, "wamid.sent"));
        assert_eq!((answer.opaque_id.clone(), answer.timestamp_ms), (request.to_opaque(), 30));
        assert_eq!(answer.delivery_times.unwrap().read_ms, 40);
        assert_eq!((unknown.delivery(), unknown.wamid.as_str()), (Delivery::Unknown, ""));
    }
}

#[tokio::test]
async fn each_business_sees_its_own() {
    let world = World::new().await;
    for n in 10..15u8 {
        let at_ms = u64::from(n);
        world.decide("shop", n, &[identity("shop", "55"), inbound("shop", n, at_ms, "hi")]).await;
    }
    world.decide("bank", 20, &[identity("bank", "44"), inbound("bank", 20, 99, "secret")]).await;
    assert_eq!(get(&world, "shop", 20).await, Err(Code::NotFound));
    assert_eq!(get(&world, "eve", 10).await, Err(Code::NotFound));
    assert_eq!(get(&world, "shop", 99).await, Err(Code::NotFound));
    assert!(get(&world, "bank", 20).await.is_ok());
    let request = ListMessagesRequest { conversation_id: id(20), ..ListMessagesRequest::default() };
    let foreign = world.conversations().list_messages(as_("shop", request)).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);

    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListConversationsRequest {
            page_size: 2,
            page_token,
            ..ListConversationsRequest::default()
        };
        let page = world.conversations().list(as_("shop", request)).await.unwrap().into_inner();
        seen.extend(page.conversations.into_iter().map(|one| one.conversation_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [14, 13, 12, 11, 10].map(id));
}

#[tokio::test]
async fn bad_requests_are_named() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let list = async |change: fn(&mut ListConversationsRequest)| {
        let mut request = ListConversationsRequest::default();
        change(&mut request);
        world.conversations().list(as_("shop", request)).await.map(|page| page.into_inner())
    };
    let bad = list(|request| request.page_token = "m.1.61.".to_owned()).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    assert!(bad.message().starts_with("page_token"), "{bad:?}");
    let bad = list(|request| request.phone_number_id = "77".to_owned()).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    let mask = |path: &str| Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
    let request = ListConversationsRequest { read_mask: mask("wip"), ..Default::default() };
    let bad = world.conversations().list(as_("shop", request)).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument);
    assert!(bad.message().starts_with("read_mask: `wip`"), "{bad:?}");
    let of_bo = list(|request| request.assigned_agent_id = "bo".to_owned()).await.unwrap();
    assert_eq!(of_bo.conversations, []);
    let mut anonymous = world.conversations();
    let request =
        GetConversationRequest { conversation_id: id(3), at_least: None, read_mask: None };
    assert_eq!(anonymous.get(request).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_query_waits_for_the_position_it_names_or_says_stale() {
    let world = World::new().await;
    let partition = partition_of(3);
    let newborn = step("shop", 3, &[inbound("shop", 1, 10, "hi")]);
    let reached = world.append(partition, vec![newborn]).await;
    let read = async |at_least: Position| {
        let request = GetConversationRequest {
            conversation_id: id(3),
            at_least: Some(at_least),
            read_mask: None,
        };
        world.conversations().get(as_("shop", request)).await.unwrap().into_inner()
    };
    let wanted = wire::position(partition, reached);
    assert!(!read(wanted).await.stale);
    assert!(read(Position { sequence: wanted.sequence + 1, ..wanted }).await.stale);
    let own = read(wanted).await.conversation.unwrap().position.unwrap();
    assert!(!read(own).await.stale);
}

#[tokio::test]
async fn vips_and_snoozed_conversations_are_shown_and_listed_by() {
    let world = World::new().await;
    let act = |act| ConversationEvent::RoutingActed {
        act,
        by: Some("ana".into()),
        from: None,
        note: None,
        at_ms: 5,
    };
    let (vip, snoozed) =
        (act(RoutingAct::Vip { vip: true }), act(RoutingAct::Snooze { until_ms: 900 }));
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi"), vip]).await;
    world.decide("shop", 4, &[inbound("shop", 2, 20, "hi"), snoozed]).await;
    let list = async |vip, snoozed| {
        let request = ListConversationsRequest { vip, snoozed, ..Default::default() };
        let page = world.conversations().list(as_("shop", request)).await.unwrap().into_inner();
        page.conversations.into_iter().map(|it| it.conversation_id).collect::<Vec<_>>()
    };
    assert_eq!(list(Some(true), None).await, [id(3)]);
    assert_eq!(list(None, Some(true)).await, [id(4)]);
    assert_eq!(list(None, None).await, [id(4), id(3)]);
    assert!(get(&world, "ana", 3).await.unwrap().vip);
    assert_eq!(get(&world, "ana", 4).await.unwrap().snoozed_until_ms, 900);
}

#[tokio::test]
async fn a_mask_leaves_out_what_was_not_asked_for() {
    let world = World::new().await;
    let opened = ConversationEvent::EpisodeOpened { n: 1, at_ms: 10 };
    world.decide("shop", 3, &[identity("shop", "55"), opened, inbound("shop", 1, 10, "hi")]).await;
    let read = async |paths: &[&str]| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let request = GetConversationRequest {
            conversation_id: id(3),
            read_mask: Some(prost_types::FieldMask { paths }),
            ..Default::default()
        };
        world.conversations().get(as_("shop", request)).await.unwrap().into_inner()
    };
    let all = read(&["*"]).await;
    assert_eq!((all.episodes.len(), read(&[]).await), (1, all.clone()));
    let some = read(&["contact", "last_message_ms"]).await;
    let wanted = Conversation {
        contact: all.conversation.as_ref().unwrap().contact.clone(),
        last_message_ms: 10,
        ..Conversation::default()
    };
    assert_eq!((some.conversation, some.episodes.len()), (Some(wanted), 0));
    assert_eq!(read(&["episodes"]).await.episodes, all.episodes);
}
