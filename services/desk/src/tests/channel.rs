//! A platform brings messages in and fetches replies.

use api::v1::{
    self, ChannelCustomer, ConfirmRequest, Confirmation, DeliverRequest, GetConversationRequest,
    ListConversationsRequest, OutgoingRequest, OutgoingResponse,
    channel_customer::Identity as Named, deliver_request::Content as Written,
};
use domain::{
    Hash16, RequestId, Sealed,
    content::{Content, ContentKind, Identity},
    conversation::{ConversationEvent, ConversationInput, StatusKind},
    number::{Lane, Reply},
    persist,
};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;

use super::{entities::Met, world::*};

fn message(id: &str, visitor: &str, text: &str) -> DeliverRequest {
    let identity = Some(Named::VisitorId(visitor.to_owned()));
    DeliverRequest {
        message_id: id.to_owned(),
        customer: Some(ChannelCustomer { identity, name: "Ana".to_owned() }),
        content: Some(Written::Text(text.to_owned())),
        ..DeliverRequest::default()
    }
}

async fn deliver(
    world: &World,
    who: &str,
    request: DeliverRequest,
) -> Result<v1::DeliverResponse, Status> {
    Ok(bounded(world.platform().deliver(as_(who, request))).await?.into_inner())
}

fn account() -> Hash16 {
    web_channel("shop").via.number.hash
}

fn reply(n: u8, sequence: u64) -> Reply {
    let who = Identity { visitor: Some(format!("v{n}")), ..Identity::default() };
    let sealed = sealer().seal(b"shop", &persist::encode(&who).unwrap());
    let content = Content { text: Some(format!("answer {n}")), ..Content::default() };
    Reply {
        request: RequestId { conversation: hash(n), n: 1 },
        sequence,
        lane: Lane::Agent,
        recipient: Sealed { key_id: sealed.key_id, bytes: sealed.bytes },
        content: seal("shop", &content),
        kind: ContentKind::Text,
        not_after_ms: 9,
        again: false,
    }
}

async fn outgoing(world: &World, after_sequence: u64) -> Streaming<OutgoingResponse> {
    let request = as_("web", OutgoingRequest { after_sequence });
    bounded(world.platform().outgoing(request)).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<OutgoingResponse>) -> Result<OutgoingResponse, Status> {
    bounded(stream.message()).await.map(|reply| reply.expect("the stream ended"))
}

#[tokio::test]
async fn what_is_delivered_is_an_input_like_a_webhooks_and_a_repeat_has_its_key() {
    let world = World::new().await;
    let first = deliver(&world, "web", message("m1", "v1", "hello")).await.unwrap();
    let again = deliver(&world, "web", message("m1", "v1", "hello")).await.unwrap();
    assert_eq!(first, again);
    let other = deliver(&world, "web", message("m2", "v2", "hi")).await.unwrap();
    assert_ne!(first.conversation_id, other.conversation_id);
    // Equal ids on another business's channel of equal name are another conversation and another message.
    let bank = deliver(&world, "bankweb", message("m1", "v1", "hello")).await.unwrap();
    assert_ne!(
        (&first.conversation_id, &first.message_id),
        (&bank.conversation_id, &bank.message_id)
    );
    let met = world
        .entities
        .until(|met| matches!(met, Met::Act(to, _) if to.hash.to_string() == first.conversation_id))
        .await;
    let Met::Act(_, ConversationInput::Inbound(inbound)) = met else { panic!("{met:?}") };
    assert_eq!(inbound.via, web_channel("shop").via);
    assert_eq!((inbound.kind, inbound.paired), (ContentKind::Text, None));
    assert!(inbound.at_ms > 0);
    let plain = sealer().open(b"shop", inbound.content.key_id, &inbound.content.bytes).unwrap();
    let content: Content = persist::decode(&plain).unwrap();
    assert_eq!(content.text.as_deref(), Some("hello"));
    // The repeat is decided once because it has the key of the first.
    let keys = world.entities.keys();
    assert_eq!(keys.iter().filter(|key| **key == keys[0]).count(), 2, "{keys:?}");
}

#[tokio::test]
async fn a_stream_of_messages_is_answered_in_order_and_ends_at_the_first_that_is_wrong() {
    let world = World::new().await;
    let wrong = DeliverRequest { content: None, ..message("m3", "v1", "") };
    let requests = vec![message("m1", "v1", "a"), message("m2", "v2", "b"), wrong];
    let stream = as_("web", tokio_stream::iter(requests));
    let mut answers = bounded(world.platform().deliver_many(stream)).await.unwrap().into_inner();
    for _ in 0..2 {
        assert!(bounded(answers.message()).await.unwrap().is_some());
    }
    let status = bounded(answers.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = status.get_error_details();
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "content");
}

#[tokio::test]
async fn a_reply_comes_again_on_the_next_stream_until_it_is_confirmed() {
    let world = World::new().await;
    let mut stream = outgoing(&world, 0).await;
    world.entities.reply(account(), reply(1, 10), true).await;
    let first = next(&mut stream).await.unwrap();
    assert_eq!((first.text.as_str(), first.sequence, first.again), ("answer 1", 10, false));
    assert_eq!(first.author(), v1::AuthorKind::Agent);
    let customer = first.customer.unwrap().identity;
    assert_eq!(customer, Some(Named::VisitorId("v1".to_owned())));
    // The platform forgot it: it begins from the beginning. The older stream ends.
    let mut stream_again = outgoing(&world, 0).await;
    assert_eq!(next(&mut stream).await.unwrap_err().code(), Code::Aborted);
    assert!(next(&mut stream_again).await.unwrap().again);
    // It goes on after what it had; the signal of the second is lost, a look finds it on the next stream.
    world.entities.reply(account(), reply(2, 20), false).await;
    let mut stream = outgoing(&world, 10).await;
    assert_eq!(next(&mut stream).await.unwrap().sequence, 20);
    world.entities.forget_reply(RequestId { conversation: hash(1), n: 1 });
    let mut stream = outgoing(&world, 0).await;
    assert_eq!(next(&mut stream).await.unwrap().sequence, 20);
}

/// The reply's conversation, in the read model.
fn known(n: u8) -> Vec<ConversationEvent> {
    let via = web_channel("shop").via;
    let who = reply(n, 1).recipient;
    vec![ConversationEvent::IdentitySeen { via, who, at_ms: 1 }, inbound("shop", n, 10, "hi")]
}

async fn confirm(world: &World, who: &str, request: RequestId, what: Confirmation) -> Code {
    let request = ConfirmRequest {
        opaque_id: request.to_opaque(),
        confirmation: what.into(),
        platform_message_id: "p-1".to_owned(),
        error_code: 7,
        ..ConfirmRequest::default()
    };
    match bounded(world.platform().confirm(as_(who, request))).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

#[tokio::test]
async fn a_confirmation_is_a_status_of_the_reply_and_only_of_the_channels_own() {
    let world = World::new().await;
    world.decide("shop", 3, &known(3)).await;
    world.decide("shop", 4, &[inbound("shop", 4, 10, "by WhatsApp")]).await;
    let request = |n| RequestId { conversation: hash(n), n: 1 };
    assert_eq!(confirm(&world, "web", request(3), Confirmation::Failed).await, Code::Ok);
    let met = world.entities.until(|met| matches!(met, Met::Act(..))).await;
    let Met::Act(to, ConversationInput::Status(status)) = met else { panic!("{met:?}") };
    assert_eq!((to.hash, status.request), (hash(3), Some(request(3))));
    assert_eq!((status.status, status.error), (StatusKind::Failed, Some(7)));
    for (who, n) in [("web", 4), ("web", 9), ("bankweb", 3)] {
        let code = confirm(&world, who, request(n), Confirmation::Sent).await;
        assert_eq!(code, Code::NotFound, "{who} {n}");
    }
    let code = confirm(&world, "web", request(3), Confirmation::Unspecified).await;
    assert_eq!(code, Code::InvalidArgument);
}

#[tokio::test]
async fn a_channels_token_opens_nothing_else_and_others_do_not_open_the_channel() {
    let world = World::new().await;
    for who in ["shop", "ana"] {
        let refused = deliver(&world, who, message("m1", "v1", "x")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{who}");
    }
    let refused = deliver(&world, "nobody", message("m1", "v1", "x")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "UNAUTHENTICATED");
    let request = ListConversationsRequest::default();
    let refused = world.conversations().list(as_("web", request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(
        world.stream("web", world.channel()).await.err().unwrap().code(),
        Code::PermissionDenied
    );
}

#[tokio::test]
async fn conversations_name_their_channel_and_are_listed_by_it() {
    let world = World::new().await;
    world.decide("shop", 3, &known(3)).await;
    world.decide("shop", 4, &[inbound("shop", 4, 10, "by WhatsApp")]).await;
    let request = GetConversationRequest { conversation_id: id(3), ..Default::default() };
    let answer = world.conversations().get(as_("shop", request)).await.unwrap().into_inner();
    let conversation = answer.conversation.unwrap();
    assert_eq!(
        (conversation.channel_id.as_str(), conversation.phone_number_id.as_str()),
        ("web", "")
    );
    assert_eq!(conversation.contact.unwrap().visitor_id, "v3");
    let list = |channel_id: &str, phone_number_id: &str| {
        let (channel_id, phone_number_id) = (channel_id.to_owned(), phone_number_id.to_owned());
        ListConversationsRequest { channel_id, phone_number_id, ..Default::default() }
    };
    let page = world.conversations().list(as_("shop", list("web", ""))).await.unwrap().into_inner();
    assert_eq!(page.conversations.len(), 1);
    for wrong in [list("app", ""), list("web", "1055")] {
        let status = world.conversations().list(as_("shop", wrong)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}
