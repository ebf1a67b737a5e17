//! The operator's service.

use api::v1::{
    ConfirmSendsRequest, GetDeadLetterRequest, GetVersionRequest, ListDeadLettersRequest,
    PingRequest, ReplayDeadLetterRequest, StatusRequest, admin_client::AdminClient,
};
use bus::{Cause, DeadLetter, Header, InboxEntry, Input, ReadLimit};
use domain::{
    EntityId, EntityKind, Sealed,
    content::{Content, ContentKind},
    conversation::{ConversationInput, Inbound, Via},
    persist,
};
use tonic::Code;

use super::world::*;

fn poisonous(cause: Cause) -> Input {
    let entity = |kind, n| EntityId { kind, hash: hash(n) };
    let content = Content { text: Some("my secret address".to_owned()), ..Content::default() };
    let plain = persist::encode(&content).unwrap();
    let sealed = sealer().seal(b"shop", &plain);
    let sealed = Sealed { key_id: sealed.key_id, bytes: sealed.bytes };
    let body = persist::encode(&ConversationInput::Inbound(Inbound {
        via: Via {
            number: entity(EntityKind::Number, 200),
            workspace: entity(EntityKind::Workspace, 201),
        },
        message: domain::MessageId(hash(9)),
        at_ms: 10,
        kind: ContentKind::Text,
        paired: None,
        who: sealed.clone(),
        content: sealed,
        target: None,
        referral: false,
    }));
    Input {
        header: Header {
            key: bus::Key([9; 16]),
            business: bus::BusinessId("shop".to_owned()),
            cause,
            trace: None,
            received_ms: 10,
        },
        target: bus::EntityId { kind: EntityKind::Conversation.code(), hash: hash(1).0 },
        body: body.unwrap().into(),
        reply_to: Some("reply.gone".to_owned()),
    }
}

/// A world with one dead letter of each cause given, and their ids.
async fn with_letters(causes: &[Cause]) -> (World, Vec<String>) {
    let world = World::new().await;
    let steps = causes.iter().map(|cause| {
        let mut step = step("shop", 1, &[]);
        let error = "the failpoint inbound".to_owned();
        step.dead_letter = Some(DeadLetter { error, input: poisonous(*cause) });
        step
    });
    let steps: Vec<_> = steps.collect();
    let position = world.append(partition_of(1), steps).await;
    world.reach(partition_of(1), position).await;
    let mut admin = AdminClient::new(world.channel());
    let listed = admin.list_dead_letters(as_("operator", ListDeadLettersRequest::default()));
    let letters = bounded(listed).await.unwrap().into_inner().dead_letters;
    assert_eq!(letters.len(), causes.len());
    let ids = letters.into_iter().map(|letter| letter.dead_letter_id).collect();
    (world, ids)
}

#[tokio::test]
async fn only_the_operators_token_is_let_in() {
    let world = World::new().await;
    let mut admin = AdminClient::new(world.channel());
    for who in ["ana", "shop", "nobody"] {
        let refused = bounded(admin.ping(as_(who, PingRequest {}))).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{who}");
    }
    let refused = bounded(admin.status(StatusRequest {})).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let pong = bounded(admin.ping(as_("operator", PingRequest {}))).await.unwrap().into_inner();
    assert_eq!(pong.node, "node-1");
    let version = bounded(admin.get_version(as_("operator", GetVersionRequest {}))).await.unwrap();
    let version = version.into_inner();
    assert_eq!(version.version, pong.version);
    assert_eq!((version.format_level, version.format_known), (1, 2));
    let refused = bounded(admin.get_version(as_("shop", GetVersionRequest {}))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let status = bounded(admin.status(as_("operator", StatusRequest {}))).await.unwrap();
    assert!(status.into_inner().segments);
    let confirm = as_("operator", ConfirmSendsRequest::default());
    let refused = bounded(admin.confirm_sends(confirm)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    // The operator is nobody in a business.
    let request = api::v1::ListConversationsRequest::default();
    let refused = bounded(world.conversations().list(as_("operator", request))).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_dead_letter_shows_personal_content_only_when_it_is_asked_for() {
    let (world, ids) = with_letters(&[Cause::Webhook]).await;
    let mut admin = AdminClient::new(world.channel());
    let mut show = async |personal_content| {
        let request = GetDeadLetterRequest { dead_letter_id: ids[0].clone(), personal_content };
        bounded(admin.get_dead_letter(as_("operator", request))).await.unwrap().into_inner()
    };
    let closed = show(false).await;
    let letter = closed.dead_letter.unwrap();
    assert_eq!((letter.entity_kind.as_str(), letter.cause.as_str()), ("conversation", "webhook"));
    assert!(letter.error.contains("failpoint"));
    assert!(!closed.input_json.contains("secret"), "{}", closed.input_json);
    assert!(closed.input_json.contains("sealed_bytes"), "{}", closed.input_json);
    assert!(show(true).await.input_json.contains("my secret address"));
    for (id, code) in [("x", Code::InvalidArgument), ("0.1.999.0", Code::NotFound)] {
        let request =
            GetDeadLetterRequest { dead_letter_id: id.to_owned(), personal_content: false };
        let refused = bounded(admin.get_dead_letter(as_("operator", request))).await.unwrap_err();
        assert_eq!(refused.code(), code, "{id}");
    }
}

#[tokio::test]
async fn a_replayed_letter_is_appended_as_it_was_and_marked() {
    let (world, ids) = with_letters(&[Cause::Webhook, Cause::Timer]).await;
    let mut admin = AdminClient::new(world.channel());
    let partition = poisonous(Cause::Webhook).target.partition(2);
    let before = world.bus.inbox.last(partition).await.unwrap();
    let mut replay = async |id: &str, again| {
        let request = ReplayDeadLetterRequest { dead_letter_id: id.to_owned(), again };
        bounded(admin.replay_dead_letter(as_("operator", request))).await.map(drop)
    };
    replay(&ids[0], false).await.unwrap();
    let limit = ReadLimit::default();
    let appended = bounded(world.bus.inbox.read(partition, before, limit)).await.unwrap();
    let input = InboxEntry::decode(&appended[0].1).unwrap().inputs.remove(0);
    let Cause::Replay { letter } = input.header.cause else { panic!("{input:?}") };
    let body: ConversationInput = persist::decode(&input.body).unwrap();
    let ConversationInput::Inbound(inbound) = body else { panic!("{body:?}") };
    assert_eq!(inbound.message, domain::MessageId(hash(9)));
    assert_eq!((input.header.key, input.reply_to), (bus::Key([9; 16]), None));
    // Decided, it marks the letter.
    let mut decided = step("shop", 1, &[]);
    decided.header.cause = Cause::Replay { letter };
    let position = world.append(partition_of(1), vec![decided]).await;
    world.reach(partition_of(1), position).await;
    let refused = replay(&ids[0], false).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    replay(&ids[0], true).await.unwrap();
    let refused = replay(&ids[1], false).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
}
