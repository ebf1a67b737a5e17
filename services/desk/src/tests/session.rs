//! Agents' streams.

use std::time::Duration;

use api::v1::{
    self, AcceptOffer, Delivery, Heartbeat, OfferDelivered, RefusalReason, RejectOffer,
    SendMessage, SetPresence, SignIn, command_result, desk_event::Event, desk_request::Request,
    send_message,
};
use domain::{
    AgentId, RequestId,
    conversation::{
        CommandKind, ConversationInput, ConversationSignal, Floor, SendOutcome, StatusKind,
    },
    workspace::{DeskCommand, OfferEnd, WorkspaceAnswer, WorkspaceChange},
};
use tonic::Code;

use super::{entities::*, world::*};
use crate::Options;

fn ana() -> AgentId {
    "ana".into()
}

fn text(conversation: u8, text: &str) -> Request {
    Request::Send(SendMessage {
        conversation_id: id(conversation),
        content: Some(send_message::Content::Text(text.to_owned())),
        ..SendMessage::default()
    })
}

#[tokio::test]
async fn an_agent_is_offered_a_conversation_accepts_answers_and_resolves_it() {
    let world = World::new().await;
    let mut session = world.session("ana").await;
    assert_eq!(session.snapshot().await.capacity, 100);
    world.entities.offer(&ana(), hash(3)).await;
    let Event::Offered(offer) = session.event().await else { panic!("not an offer") };
    assert_eq!(
        (offer.conversation_id.as_str(), offer.queue_id.as_str()),
        (id(3).as_str(), "sales")
    );
    let fields: Vec<_> =
        offer.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
    assert_eq!(fields, [("order", "AB-123456")], "what the bot collected is readable");
    assert_eq!((offer.handoff_why.as_str(), offer.handoff_reason.as_str()), ("rule", "order"));

    session.ask(Request::OfferDelivered(OfferDelivered { offer_id: offer.offer_id.clone() })).await;
    world.entities.until(|met| matches!(met, Met::Desk(_, _, DeskCommand::Delivered { .. }))).await;
    session
        .ask_with(command(1), Request::AcceptOffer(AcceptOffer { offer_id: offer.offer_id }))
        .await;
    let (answered, result) = session.answer().await;
    assert_eq!((Some(answered), result), (command(1), command_result::Result::Done(v1::Done {})));
    world.entities.assign(&ana(), hash(3)).await;
    assert!(matches!(session.event().await, Event::Assigned(_)));

    session.ask_with(command(2), text(3, "how can I help?")).await;
    let (_, result) = session.answer().await;
    let request = RequestId { conversation: hash(3), n: 1 };
    let taken = v1::SendTaken { opaque_id: request.to_opaque() };
    assert_eq!(result, command_result::Result::SendTaken(taken));
    let met = world.entities.until(|met| matches!(met, Met::Act(..))).await;
    let Met::Act(target, ConversationInput::Command(met)) = met else { panic!("{met:?}") };
    assert_eq!((target, &met.agent), (conversation(hash(3)), &Some(ana())));
    let CommandKind::Send { content, .. } = met.kind else { panic!("{met:?}") };
    assert!(sealer().open(b"bank", content.key_id, &content.bytes).is_err());
    let opened = sealer().open(b"shop", content.key_id, &content.bytes).unwrap();
    let opened: domain::content::Content = domain::persist::decode(&opened).unwrap();
    assert_eq!(opened.text.as_deref(), Some("how can I help?"));

    session
        .ask_with(
            command(3),
            Request::Resolve(v1::Resolve { conversation_id: id(3), ..Default::default() }),
        )
        .await;
    assert_eq!(session.answer().await.1, command_result::Result::Done(v1::Done {}));
    drop(session);
    world.entities.until_signed_out("ana").await;
}

#[tokio::test]
async fn news_of_the_conversations_an_agent_has_are_opened_and_passed_on() {
    let world = World::new().await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    world.entities.assign(&ana(), hash(3)).await;
    assert!(matches!(session.event().await, Event::Assigned(_)));
    let request = RequestId { conversation: hash(3), n: 4 };
    let failed = SendOutcome::Failed { code: 131_026, told: "not reachable".to_owned() };
    for signal in [
        ConversationSignal::Message(inbound_record("shop", 1, 10, "hello")),
        ConversationSignal::Resolved { request, outcome: failed },
        ConversationSignal::Status {
            message: domain::MessageId(hash(1)),
            status: StatusKind::Read,
            at_ms: 9,
        },
        ConversationSignal::Floor(Floor::Phone),
        ConversationSignal::EpisodeResolved { at_ms: 11 },
    ] {
        world.entities.news(hash(3), &signal).await;
    }
    // Nobody at this desk has that one.
    world.entities.news(hash(4), &ConversationSignal::Floor(Floor::Nobody)).await;

    let Event::Message(joined) = session.event().await else { panic!("not a message") };
    let message = joined.message.unwrap();
    assert_eq!((joined.conversation_id, message.text), (id(3), "hello".to_owned()));
    assert_eq!((message.wamid.as_str(), message.timestamp_ms), ("wamid.001", 10));
    let Event::DeliveryChanged(changed) = session.event().await else { panic!("not a delivery") };
    assert_eq!((changed.delivery(), changed.error_code), (Delivery::Failed, 131_026));
    assert_eq!(changed.opaque_id, request.to_opaque());
    let Event::DeliveryChanged(changed) = session.event().await else { panic!("not a delivery") };
    assert_eq!(changed.delivery(), Delivery::Read);
    assert!(matches!(session.event().await, Event::FloorChanged(_)));
    assert!(matches!(session.event().await, Event::EpisodeResolved(_)));

    let gone =
        WorkspaceChange::Unassigned { item: item(hash(3)), conversation: conversation(hash(3)) };
    world.entities.signal(&ana(), gone).await;
    assert!(matches!(session.event().await, Event::Unassigned(_)));
    world.entities.news(hash(3), &ConversationSignal::Floor(Floor::Nobody)).await;
    world.entities.offer(&ana(), hash(5)).await;
    assert!(matches!(session.event().await, Event::Offered(_)));
}

#[tokio::test]
async fn who_may_open_a_session() {
    let world = World::new().await;
    let unknown = world.stream("mallory", world.channel()).await.err().unwrap();
    assert_eq!(unknown.code(), Code::Unauthenticated);
    let program = world.stream("shop", world.channel()).await.err().unwrap();
    assert_eq!(program.code(), Code::PermissionDenied);
    let mut impolite = world.stream("ana", world.channel()).await.unwrap();
    impolite.ask(Request::Heartbeat(Heartbeat {})).await;
    assert_eq!(impolite.end().await.unwrap().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn the_presence_to_begin_with_is_declared() {
    let world = World::new().await;
    let mut session = world.stream("ana", world.channel()).await.unwrap();
    let presence = v1::Presence::Available.into();
    session.ask(Request::SignIn(SignIn { presence })).await;
    session.snapshot().await;
    world
        .entities
        .until(|met| matches!(met, Met::Desk(_, _, DeskCommand::SetPresence { .. })))
        .await;
    // The agent's own numbers are not touched by it.
    let away = v1::Presence::Away.into();
    session.ask_with(command(1), Request::SetPresence(SetPresence { presence: away })).await;
    assert_eq!(session.answer().await.1, command_result::Result::Done(v1::Done {}));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let world = World::new().await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    world.entities.assign(&ana(), hash(3)).await;
    session.event().await;
    let bad_client = Some(v1::CommandId { client: "x".repeat(65), number: 1 });
    let reject = |reason: &str| {
        let offer_id = format!("{}.1.1", id(3));
        Request::RejectOffer(RejectOffer { offer_id, reason: reason.to_owned() })
    };
    let reply = Request::Send(SendMessage {
        conversation_id: id(3),
        content: Some(send_message::Content::Text("hi".to_owned())),
        reply_to_message_id: id(77),
        ..SendMessage::default()
    });
    let table = [
        (command(1), text(3, "  "), RefusalReason::Invalid, "message.text"),
        (command(1), text(3, &"x".repeat(4097)), RefusalReason::Invalid, "at most 4096"),
        (None, text(3, "hi"), RefusalReason::Invalid, "command_id"),
        (bad_client, text(3, "hi"), RefusalReason::Invalid, "command_id.client"),
        (command(0), text(3, "hi"), RefusalReason::Invalid, "count from 1"),
        (command(1), text(99, "hi"), RefusalReason::UnknownConversation, "check its id"),
        (command(1), reply, RefusalReason::Invalid, "reply_to_message_id"),
        (command(1), reject("call me on +55 11"), RefusalReason::Invalid, "reject_offer.reason"),
        (
            command(1),
            Request::AcceptOffer(AcceptOffer { offer_id: "1".to_owned() }),
            RefusalReason::Invalid,
            "offer_id",
        ),
        (
            command(1),
            Request::SetPresence(SetPresence { presence: 0 }),
            RefusalReason::Invalid,
            "presence",
        ),
    ];
    for (id, request, reason, advice) in table {
        session.ask_with(id, request).await;
        let (refused, text) = session.refusal().await;
        assert_eq!(refused, reason, "{text}");
        assert!(text.contains(advice), "{text} without {advice}");
    }
    world.entities.answer_desk([WorkspaceAnswer::OfferEnded(OfferEnd::Missed)]);
    session.ask_with(command(1), reject("busy")).await;
    assert_eq!(session.refusal().await.0, RefusalReason::OfferEnded);
    let acts = world.entities.met().into_iter().filter(|met| matches!(met, Met::Act(..)));
    assert_eq!(acts.count(), 0, "an invalid command reached an entity");
}

#[tokio::test]
async fn a_missed_change_is_noticed_and_a_snapshot_follows() {
    let world = World::new().await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    world.entities.lose_a_signal(&ana());
    world.entities.offer(&ana(), hash(3)).await;
    // The offer that came after the gap is in the snapshot, not before it.
    session.snapshot().await;
    assert_eq!(session.number, 4);
    let resyncs = world.entities.met().into_iter();
    let resyncs = resyncs.filter(|met| matches!(met, Met::Desk(_, _, DeskCommand::Resync)));
    assert_eq!(resyncs.count(), 1);
    world.entities.offer(&ana(), hash(4)).await;
    assert!(matches!(session.event().await, Event::Offered(_)));
    session.ask(Request::Resync(v1::Resync {})).await;
    session.snapshot().await;
}

#[tokio::test]
async fn a_newer_connection_replaces_the_older_one() {
    let world = World::new().await;
    let mut older = world.session("ana").await;
    older.snapshot().await;
    let mut newer = world.session("ana").await;
    newer.snapshot().await;
    assert!(matches!(older.event().await, Event::Replaced(_)));
    assert!(older.end().await.is_none());
    world.entities.offer(&ana(), hash(3)).await;
    assert!(matches!(newer.event().await, Event::Offered(_)));
}

#[tokio::test]
async fn a_silent_client_is_signed_out_and_heartbeats_repeat_the_number() {
    let options = Options {
        heartbeat: Duration::from_millis(20),
        silence_max: Duration::from_millis(400),
        ..Options::default()
    };
    let world = World::with(options).await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    let beat = bounded(session.events.message()).await.unwrap().unwrap().event.unwrap();
    assert_eq!(beat, Event::Heartbeat(v1::ServerHeartbeat { last_number: 1 }));
    assert_eq!(session.end().await.unwrap().code(), Code::DeadlineExceeded);
    world.entities.until_signed_out("ana").await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let options = Options { queue_max: 8, ..Options::default() };
    let world = World::with(options).await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    world.entities.assign(&ana(), hash(3)).await;
    session.event().await;
    let long = "x".repeat(60_000);
    let signal = ConversationSignal::Message(inbound_record("shop", 1, 10, &long));
    let flood = async {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        loop {
            world.entities.news(hash(3), &signal).await;
            tick.tick().await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = world.entities.until_signed_out("ana") => {}
    }
    assert_eq!(session.end().await.unwrap().code(), Code::ResourceExhausted);
}

#[tokio::test]
async fn a_revoked_token_ends_its_session() {
    let options = Options {
        heartbeat: Duration::from_millis(20),
        token_poll: Duration::from_millis(20),
        ..Options::default()
    };
    let world = World::with(options).await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    std::fs::write(world.dir.path().join("shop/ana.token"), "another-token-0123456789").unwrap();
    assert_eq!(session.end().await.unwrap().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_stop_ends_the_streams_and_signs_the_agents_out() {
    let world = World::new().await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    let drained = world.shutdown.drain(Duration::from_secs(10));
    let (drained, ended) = tokio::join!(drained, session.end());
    assert_eq!(ended.unwrap().code(), Code::Unavailable);
    drained.unwrap();
    world.entities.until_signed_out("ana").await;
}
