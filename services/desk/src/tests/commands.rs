//! Commands: carried out once, answered in spite of lost answers, refused in words.

use std::time::Duration;

use api::v1::{
    self, AssignRequest, ResolveRequest, SendMessage, SendRequest, command_result,
    desk_request::Request, send_message,
};
use domain::{
    RequestId,
    conversation::{CommandAnswer, ConversationInput, Refusal},
};
use tonic::{Code, Status};

use super::{entities::*, world::*};
use crate::Options;

fn send(number: u64, conversation: u8) -> SendRequest {
    let message = SendMessage {
        conversation_id: id(conversation),
        content: Some(send_message::Content::Text("hello".to_owned())),
        ..SendMessage::default()
    };
    SendRequest { command_id: command(number), message: Some(message) }
}

async fn sent(world: &World, who: &str, request: SendRequest) -> Result<v1::SendResponse, Status> {
    Ok(bounded(world.conversations().send(as_(who, request))).await?.into_inner())
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    let options = Options { repeat_after: Duration::from_millis(50), ..Options::default() };
    let world = World::with(options).await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    world.entities.lose_replies(2);
    let request = RequestId { conversation: hash(3), n: 7 };
    world.entities.answer([CommandAnswer::Sent { request }]);
    let answer = sent(&world, "shop", send(1, 3)).await.unwrap();
    assert_eq!(answer.opaque_id, request.to_opaque());
    let keys = world.entities.keys();
    assert!(keys.len() >= 3 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");

    // The client's own repeat gets the same answer; another number is another command.
    let again = sent(&world, "shop", send(1, 3)).await.unwrap();
    assert_eq!(again.opaque_id, answer.opaque_id);
    let other = sent(&world, "shop", send(2, 3)).await.unwrap();
    assert_ne!(other.opaque_id, answer.opaque_id);
    // The same client name of another actor is another client.
    let before = world.entities.keys().len();
    sent(&world, "ana", send(1, 3)).await.unwrap();
    assert!(!keys.contains(&world.entities.keys()[before]));
}

#[tokio::test]
async fn refusals_are_statuses_with_reason_and_advice() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let table = [
        (
            Refusal::PhoneHasFloor { since_ms: 5 },
            Code::FailedPrecondition,
            "PHONE_HAS_FLOOR",
            "take_floor",
        ),
        (
            Refusal::WindowClosed { closed_ms: 0 },
            Code::FailedPrecondition,
            "WINDOW_CLOSED",
            "template",
        ),
        (
            Refusal::MarketingStopped { since_ms: 5 },
            Code::FailedPrecondition,
            "MARKETING_STOPPED",
            "not marketing",
        ),
        (Refusal::UnknownConversation, Code::NotFound, "UNKNOWN_CONVERSATION", "check its id"),
        (Refusal::Busy { pending: 9 }, Code::ResourceExhausted, "BUSY", "repeat later"),
        (Refusal::TooOld, Code::FailedPrecondition, "COMMAND_TOO_OLD", "rising numbers"),
    ];
    for (number, (refusal, code, reason, advice)) in (1..).zip(table) {
        world.entities.answer([CommandAnswer::Refused(refusal)]);
        let status = sent(&world, "shop", send(number, 3)).await.unwrap_err();
        assert_eq!(status.code(), code, "{status:?}");
        assert!(status.message().contains(advice), "{status:?}");
        assert_eq!(status.metadata().get("refusal-reason").unwrap(), reason);
    }
}

#[tokio::test]
async fn a_command_follows_a_conversation_that_became_part_of_another() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let moved = CommandAnswer::Moved { to: conversation(hash(9)) };
    let request = RequestId { conversation: hash(9), n: 1 };
    world.entities.answer([moved, CommandAnswer::Sent { request }]);
    let answer = sent(&world, "shop", send(1, 3)).await.unwrap();
    assert_eq!(answer.opaque_id, request.to_opaque());
    let ids: Vec<_> = world
        .entities
        .met()
        .into_iter()
        .map(|met| match met {
            Met::Act(target, ConversationInput::Command(command)) => (target.hash, command.id),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((ids[0].0, ids[1].0), (hash(3), hash(9)));
    assert_eq!(ids[0].1, ids[1].1);
}

#[tokio::test]
async fn without_an_answer_the_client_is_told_to_repeat() {
    let options = Options {
        answer_max: Duration::from_millis(300),
        repeat_after: Duration::from_millis(100),
        ..Options::default()
    };
    let world = World::with(options).await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    world.entities.fall_silent();
    let status = sent(&world, "shop", send(1, 3)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(status.message().contains("same command id"), "{status:?}");
    let send = send(1, 3).message.unwrap();
    session.ask_with(command(1), Request::Send(send)).await;
    let (reason, text) = session.refusal().await;
    assert_eq!(reason, v1::RefusalReason::Unavailable);
    assert!(text.contains("same command id"), "{text}");
}

#[tokio::test]
async fn nothing_of_another_business_is_reached() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    world.decide("bank", 4, &[inbound("bank", 2, 10, "secret")]).await;
    for (who, foreign) in [("shop", 4), ("ana", 4), ("bank", 3), ("eve", 3), ("shop", 77)] {
        let status = sent(&world, who, send(1, foreign)).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{who}");
        let resolve = ResolveRequest {
            command_id: command(2),
            conversation_id: id(foreign),
            code: String::new(),
        };
        let status = world.conversations().resolve(as_(who, resolve)).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound, "{who}");
    }
    let mut session = world.session("eve").await;
    session.snapshot().await;
    let note = v1::AddNote { conversation_id: id(3), text: "mine now".to_owned() };
    session.ask_with(command(1), Request::Note(note)).await;
    assert_eq!(session.refusal().await.0, v1::RefusalReason::UnknownConversation);
    let acts = world.entities.met().into_iter().filter(|met| matches!(met, Met::Act(..)));
    assert_eq!(acts.count(), 0);
}

#[tokio::test]
async fn a_conversation_of_this_moment_is_found_though_the_read_model_is_behind() {
    let world = World::new().await;
    let newborn = step("shop", 3, &[inbound("shop", 1, 10, "hi")]);
    // Not waited for.
    world.append(partition_of(3), vec![newborn]).await;
    sent(&world, "shop", send(1, 3)).await.unwrap();
}

#[tokio::test]
async fn who_may_assign_to_whom() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let assign = async |who: &str, number: u64, agent: &str| {
        let request = AssignRequest {
            command_id: command(number),
            conversation_id: id(3),
            agent_id: agent.to_owned(),
            reason: String::new(),
        };
        world.conversations().assign(as_(who, request)).await.map_err(|status| status.code())
    };
    assert!(assign("shop", 1, "ana").await.is_ok());
    assert!(assign("ana", 1, "ana").await.is_ok());
    assert_eq!(assign("ana", 2, "bo").await.unwrap_err(), Code::PermissionDenied);
    assert_eq!(assign("shop", 2, "eve").await.unwrap_err(), Code::InvalidArgument);
    let resolve =
        ResolveRequest { command_id: command(3), conversation_id: id(3), code: String::new() };
    let resolved = world.conversations().resolve(as_("shop", resolve)).await.unwrap().into_inner();
    assert!(resolved.position.is_some());
}

#[tokio::test]
async fn commands_of_one_client_reach_a_conversation_in_order() {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    for number in 1..=40 {
        session.ask_with(command(number), Request::Send(send(number, 3).message.unwrap())).await;
    }
    for _ in 1..=40 {
        let (_, result) = session.answer().await;
        assert!(matches!(result, command_result::Result::SendTaken(_)), "{result:?}");
    }
    let numbers: Vec<u64> = world
        .entities
        .met()
        .into_iter()
        .filter_map(|met| match met {
            Met::Act(_, ConversationInput::Command(command)) => Some(command.id.n),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
}
