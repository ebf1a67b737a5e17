//! Messages of programs: taken on by key, one by one or on a stream, and what became of them.

use api::v1::{
    Delivery, GetOutboundRequest, OutboundLane, OutboundMessage, OutboundState, OutboundWaitReason,
    SubmitRequest, SubmitResult, SubmitStreamRequest, Template, TemplateCategory,
    outbound_message::{Content as Says, To},
    submit_result,
};
use domain::{
    CommandId, MessageId, RequestId,
    content::{Content, ContentKind},
    conversation::{
        Author, CommandAnswer, CommandKind, ConversationEvent, ConversationInput, OutboundSend,
        Refusal, SendOutcome, SendRecord, StatusKind, Via,
    },
    naming,
    number::{Lane, PauseCause, PauseReason, SendWait},
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::{entities::*, world::*};

fn text(key: &str, phone: &str) -> OutboundMessage {
    OutboundMessage {
        key: key.to_owned(),
        to: Some(To::Phone(phone.to_owned())),
        content: Some(Says::Text("your order is ready".to_owned())),
        ..OutboundMessage::default()
    }
}

fn offer(key: &str) -> OutboundMessage {
    let template = Template {
        name: "summer_sale".to_owned(),
        language: "en_US".to_owned(),
        category: TemplateCategory::Marketing.into(),
        ..Template::default()
    };
    let content = Some(Says::Template(template));
    OutboundMessage { content, ..text(key, "+12125550100") }
}

async fn submit(
    world: &World,
    who: &str,
    messages: Vec<OutboundMessage>,
) -> Result<Vec<SubmitResult>, Status> {
    let request = SubmitRequest { phone_number_id: "1055".to_owned(), messages };
    let answer = bounded(world.outbound().submit(as_(who, request))).await?;
    Ok(answer.into_inner().results)
}

fn reason(result: &SubmitResult) -> &str {
    match result.result.as_ref().unwrap() {
        submit_result::Result::Accepted(_) => "accepted",
        submit_result::Result::Refused(refused) => {
            assert!(!refused.text.is_empty());
            &refused.reason
        }
    }
}

/// What conversations were asked to send, in the order they were met.
fn asked(world: &World) -> Vec<OutboundSend> {
    let met = world.entities.met().into_iter().filter_map(|met| match met {
        Met::Act(_, ConversationInput::Command(command)) => match command.kind {
            CommandKind::Outbound(send) => Some(*send),
            _ => None,
        },
        _ => None,
    });
    met.collect()
}

#[tokio::test]
async fn each_message_is_taken_on_or_refused_by_itself() {
    let world = World::new().await;
    let none = submit(&world, "shop", Vec::new()).await.unwrap_err();
    assert_eq!(none.code(), Code::InvalidArgument);
    let agent = submit(&world, "ana", vec![text("k", "+12125550100")]).await.unwrap_err();
    assert_eq!(agent.code(), Code::PermissionDenied);

    let stopped = CommandAnswer::Refused(Refusal::MarketingStopped { since_ms: 5 });
    world.entities.answer([stopped]);
    let refused = submit(&world, "shop", vec![offer("sale-1")]).await.unwrap();
    assert_eq!(reason(&refused[0]), "MARKETING_STOPPED");
    let campaign =
        OutboundMessage { lane: OutboundLane::Campaign.into(), ..text("order-2", "+12125550101") };
    let messages = vec![text("order-1", "not a phone"), campaign];
    let results = submit(&world, "shop", messages).await.unwrap();
    let told: Vec<_> = results.iter().map(|it| (it.key.as_str(), reason(it))).collect();
    assert_eq!(told, [("order-1", "INVALID"), ("order-2", "accepted")]);
    let asked = asked(&world);
    assert_eq!((asked[0].kind.clone(), asked[0].marketing), (ContentKind::Template, true));
    assert_eq!((asked[1].lane, asked[1].marketing), (Lane::Campaign, false));
}

#[tokio::test]
async fn a_full_number_takes_nothing_on_and_says_when_there_is_room() {
    let world = World::new().await;
    world.entities.answer_room([(490, 500, 2_500)]);
    let messages = (0..20).map(|n| text(&format!("k{n}"), "+12125550100")).collect();
    let full = submit(&world, "shop", messages).await.unwrap_err();
    assert_eq!(full.code(), Code::ResourceExhausted);
    let details = full.get_error_details();
    let wait = details.retry_info().unwrap().retry_delay.unwrap();
    assert_eq!(wait.as_millis(), 2_500);
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["limit"].as_str()), ("NO_ROOM", "500"));
    assert_eq!(asked(&world).len(), 0);
}

/// Sends all messages at once and reads every answer.
async fn stream(
    world: &World,
    who: &str,
    messages: Vec<SubmitStreamRequest>,
) -> Result<Vec<SubmitResult>, Status> {
    let request = as_(who, tokio_stream::iter(messages));
    let mut answers = bounded(world.outbound().submit_stream(request)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = bounded(answers.message()).await? {
        all.push(answer.result.unwrap());
    }
    Ok(all)
}

fn streamed(n: usize) -> SubmitStreamRequest {
    // Only the first names the number.
    let phone_number_id = if n == 0 { "1055".to_owned() } else { String::new() };
    let message = Some(text(&format!("bulk-{n}"), &format!("+1212555{n:04}")));
    SubmitStreamRequest { phone_number_id, message }
}

#[tokio::test]
async fn a_stream_answers_each_message_and_loses_none_that_was_taken_on() {
    let world = World::new().await;
    // Room for 64, then for ten more, then none.
    world.entities.answer_room([(0, 500, 0), (490, 500, 30_000), (500, 500, 30_000)]);
    let answers = stream(&world, "shop", (0..200).map(streamed).collect()).await.unwrap();
    let keys: Vec<_> = answers.iter().map(|answer| answer.key.clone()).collect();
    assert_eq!(keys, (0..200).map(|n| format!("bulk-{n}")).collect::<Vec<_>>(), "in order");
    let (taken, left): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| reason(answer) == "accepted");
    assert_eq!((taken.len(), left.len()), (74, 126));
    assert_eq!(asked(&world).len(), taken.len(), "what was refused was given to nobody");
    for answer in left {
        assert_eq!(reason(answer), "RESOURCE_EXHAUSTED");
        let Some(submit_result::Result::Refused(refused)) = &answer.result else { panic!() };
        assert!(refused.retry_after.as_ref().unwrap().seconds <= 1, "it is asked again soon");
    }
}

#[tokio::test]
async fn a_stream_refuses_what_is_wrong_by_itself_and_goes_on() {
    let world = World::new().await;
    let nowhere = SubmitStreamRequest { phone_number_id: String::new(), ..streamed(1) };
    let foreign = SubmitStreamRequest { phone_number_id: "77".to_owned(), ..streamed(2) };
    let empty = SubmitStreamRequest { phone_number_id: "1055".to_owned(), message: None };
    let messages = vec![nowhere, foreign, empty, streamed(3)];
    let answers = stream(&world, "shop", messages).await.unwrap();
    let told: Vec<_> = answers.iter().map(reason).collect();
    assert_eq!(told, ["INVALID", "INVALID", "INVALID", "accepted"]);
    let agent = stream(&world, "ana", vec![streamed(0)]).await.unwrap_err();
    assert_eq!(agent.code(), Code::PermissionDenied);
}

/// Events of a message that was taken on under `key`.
fn taken(key: &str, request: RequestId, at_ms: u64) -> Vec<ConversationEvent> {
    let sealer = sealer();
    let keyed = |purpose: &str, parts: &[&[u8]]| sealer.hash16(purpose, parts);
    let client = naming::command_client(&keyed, &"shop".into(), "outbound", key);
    let content = Content { text: Some("offer".to_owned()), ..Content::default() };
    let entity = |kind, n| domain::EntityId { kind, hash: hash(n) };
    let via = Via {
        number: entity(domain::EntityKind::Number, 200),
        workspace: entity(domain::EntityKind::Workspace, 201),
    };
    vec![
        ConversationEvent::IdentitySeen { via, who: seal("shop", &Content::default()), at_ms },
        ConversationEvent::SendRequested(SendRecord {
            request,
            author: Author::Api,
            lane: Lane::Campaign,
            kind: ContentKind::Template,
            at_ms,
            content: seal("shop", &content),
            not_after_ms: at_ms + 1,
            episode: None,
        }),
        ConversationEvent::CommandAnswered {
            id: CommandId { client, n: 1 },
            answer: CommandAnswer::Sent { request },
        },
    ]
}

async fn state(world: &World, who: &str, key: &str) -> Result<OutboundState, Code> {
    let request = GetOutboundRequest { key: key.to_owned(), at_least: None };
    let answer = bounded(world.outbound().get(as_(who, request))).await;
    let mut messages = answer.map_err(|status| status.code())?.into_inner().messages;
    assert_eq!(messages.len(), 1);
    Ok(messages.remove(0))
}

#[tokio::test]
async fn a_key_tells_what_became_of_its_message() {
    let world = World::new().await;
    let request = RequestId { conversation: hash(3), n: 1 };
    for (who, key, code) in [
        ("shop", "order-9", Code::NotFound),
        ("shop", "", Code::InvalidArgument),
        ("ana", "order-1", Code::PermissionDenied),
    ] {
        assert_eq!(state(&world, who, key).await, Err(code));
    }
    world.decide("shop", 3, &taken("order-1", request, 10)).await;
    let cause = PauseCause { reason: PauseReason::Token, code: 190, times: 1 };
    let paused = SendWait::Number { until_ms: 9_000, cause: Some(cause) };
    world.entities.every_message_waits_for(paused);
    let waiting = state(&world, "shop", "order-1").await.unwrap();
    assert_eq!((waiting.delivery(), waiting.opaque_id), (Delivery::Pending, request.to_opaque()));
    let why = waiting.waits_for.unwrap();
    assert_eq!((why.reason(), why.error_code), (OutboundWaitReason::ChannelPaused, 190));
    assert_eq!(state(&world, "bank", "order-1").await, Err(Code::NotFound));

    let wamid = seal("shop", &Content { wamid: Some("wamid.1".into()), ..Content::default() });
    let message = MessageId(hash(50));
    let outcome =
        SendOutcome::Accepted { message, wamid: wamid.clone(), at_ms: 20, repeated: false };
    world
        .decide("shop", 3, &[ConversationEvent::SendResolved { request, outcome, at_ms: 20 }])
        .await;
    let accepted = state(&world, "shop", "order-1").await.unwrap();
    assert_eq!((accepted.delivery(), accepted.waits_for), (Delivery::Accepted, None));
    for (status, delivery) in [
        (StatusKind::Sent, Delivery::Sent),
        (StatusKind::Delivered, Delivery::Delivered),
        (StatusKind::Read, Delivery::Read),
    ] {
        let merged = ConversationEvent::StatusMerged {
            message,
            request: Some(request),
            status,
            at_ms: 30,
            error: None,
            content: wamid.clone(),
        };
        world.decide("shop", 3, &[merged]).await;
        assert_eq!(state(&world, "shop", "order-1").await.unwrap().delivery(), delivery);
    }

    let request = RequestId { conversation: hash(4), n: 1 };
    world.decide("shop", 4, &taken("sale-1", request, 10)).await;
    let outcome = SendOutcome::Failed { code: 131_050, told: "stopped".to_owned() };
    world
        .decide("shop", 4, &[ConversationEvent::SendResolved { request, outcome, at_ms: 20 }])
        .await;
    let failed = state(&world, "shop", "sale-1").await.unwrap();
    assert_eq!((failed.delivery(), failed.error_code), (Delivery::Failed, 131_050));
    assert_eq!((failed.error_text.as_str(), failed.conversation_id), ("stopped", id(4)));
}
