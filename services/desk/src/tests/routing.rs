//! Who moves conversations, over real gRPC: rights, fields, the commands they become, and what is listed.

use api::v1::{
    self, AssignRequest, ListAgentsRequest, ListWaitingRequest, RequeueConversationRequest,
    SetConversationVipRequest, SnoozeConversationRequest, TransferConversationRequest,
    command_result, desk_event::Event, desk_request::Request, transfer::To,
};
use chassis::clock::Clock;
use domain::{
    ItemId,
    conversation::{CommandAnswer, CommandKind, ConversationInput, Refusal, TransferTo},
    workspace::{
        AgentView, DeskCommand, Presence, ReservedFor, SnapshotMore, WaitReason, WaitingView,
        WorkspaceAnswer, WorkspaceChange, WorkspaceInput, WrapUpView,
    },
};
use tonic::Code;

use super::{entities::*, world::*};

fn transfer(to: To, note: &str) -> v1::Transfer {
    v1::Transfer { conversation_id: id(3), to: Some(to), note: note.to_owned() }
}

fn ahead_ms(ms: i64) -> i64 {
    i64::try_from(Clock::system().wall_ms()).unwrap() + ms
}

/// The command that the conversation met last.
fn last_kind(world: &World) -> CommandKind {
    match world.entities.met().pop() {
        Some(Met::Act(_, ConversationInput::Command(command))) => command.kind,
        other => panic!("{other:?}"),
    }
}

fn opened(content: &domain::Sealed) -> String {
    let plain = sealer().open(b"shop", content.key_id, &content.bytes).unwrap();
    domain::persist::decode::<domain::content::Content>(&plain).unwrap().text.unwrap()
}

async fn world() -> World {
    let world = World::new().await;
    world.decide("shop", 3, &[inbound("shop", 1, 10, "hi")]).await;
    world
}

#[tokio::test]
async fn an_agent_transfers_requeues_and_snoozes_what_it_has() {
    let world = world().await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    let to_bo = transfer(To::AgentId("bo".to_owned()), " speaks Spanish ");
    let to_queue = transfer(To::QueueId("billing".to_owned()), "");
    let requeue = v1::Requeue { conversation_id: id(3), queue_id: String::new() };
    let until_ms = ahead_ms(60_000);
    let snooze = v1::Snooze { conversation_id: id(3), until_ms };
    let resolve =
        v1::Resolve { conversation_id: id(3), code: "refund-2".to_owned(), wrap_up: true };
    let requests = [
        Request::Transfer(to_bo),
        Request::Transfer(to_queue),
        Request::Requeue(requeue),
        Request::Snooze(snooze),
        Request::Resolve(resolve),
    ];
    let mut kinds = Vec::new();
    for (number, request) in (1..).zip(requests) {
        session.ask_with(command(number), request).await;
        assert_eq!(session.answer().await.1, command_result::Result::Done(v1::Done {}));
        kinds.push(last_kind(&world));
    }
    let CommandKind::Transfer { to, note: Some(note), overrule: false } = &kinds[0] else {
        panic!("{kinds:?}")
    };
    assert_eq!(*to, TransferTo::Agent("bo".into()));
    assert_eq!(opened(note), "speaks Spanish");
    let to = TransferTo::Queue("billing".into());
    assert_eq!(kinds[1], CommandKind::Transfer { to, note: None, overrule: false });
    assert_eq!(kinds[2], CommandKind::Requeue { queue: None, overrule: false });
    let until_ms = u64::try_from(until_ms).unwrap();
    assert_eq!(kinds[3], CommandKind::Snooze { until_ms, overrule: false });
    assert_eq!(kinds[4], CommandKind::Close { code: "refund-2".to_owned(), wrap_up: true });
    // What the conversation refuses says why.
    world.entities.answer([CommandAnswer::Refused(Refusal::NotAssigned)]);
    let snooze = v1::Snooze { conversation_id: id(3), until_ms: ahead_ms(60_000) };
    session.ask_with(command(9), Request::Snooze(snooze)).await;
    let (reason, text) = session.refusal().await;
    assert_eq!(reason, v1::RefusalReason::NotAssigned);
    assert!(text.contains("have it assigned first"), "{text}");
}

#[tokio::test]
async fn wrong_fields_and_missing_rights_reach_nobody() {
    let world = world().await;
    let mut session = world.session("ana").await;
    session.snapshot().await;
    let assign = |agent: &str| {
        let (agent_id, reason) = (agent.to_owned(), String::new());
        Request::Assign(v1::AssignTo { conversation_id: id(3), agent_id, reason })
    };
    let snooze = |until_ms| Request::Snooze(v1::Snooze { conversation_id: id(3), until_ms });
    let nowhere = v1::Transfer { conversation_id: id(3), to: None, note: String::new() };
    let requeue = v1::Requeue { conversation_id: id(3), queue_id: "nowhere".to_owned() };
    let code =
        v1::Resolve { conversation_id: id(3), code: "call Ms. Smith".to_owned(), wrap_up: false };
    use v1::RefusalReason::{Invalid, NotAllowed, UnknownConversation};
    let table = [
        (Request::Transfer(nowhere), Invalid, "transfer.to"),
        (
            Request::Transfer(transfer(To::QueueId("x".to_owned()), "")),
            Invalid,
            "transfer.queue_id",
        ),
        (
            Request::Transfer(transfer(To::AgentId("eve".to_owned()), "")),
            Invalid,
            "transfer.agent_id",
        ),
        (
            Request::Transfer(transfer(To::AgentId("bo".to_owned()), &"x".repeat(4_097))),
            Invalid,
            "transfer.note",
        ),
        (Request::Requeue(requeue), Invalid, "requeue.queue_id"),
        (snooze(1), Invalid, "snooze.until_ms"),
        (snooze(ahead_ms(31 * 86_400_000)), Invalid, "snooze.until_ms"),
        (snooze(-1), Invalid, "snooze.until_ms"),
        (Request::Resolve(code), Invalid, "resolve.code"),
        (assign("bo"), NotAllowed, "supervisor"),
        (
            Request::SetVip(v1::SetVip { conversation_id: id(3), vip: true }),
            NotAllowed,
            "supervisor",
        ),
        (
            Request::EndWrapUp(v1::EndWrapUp { conversation_id: "x".to_owned() }),
            UnknownConversation,
            "check its id",
        ),
    ];
    for (number, (request, reason, advice)) in (1..).zip(table) {
        session.ask_with(command(number), request).await;
        let (refused, text) = session.refusal().await;
        assert_eq!(refused, reason, "{text}");
        assert!(text.contains(advice), "{text} without {advice}");
    }
    let acts = world.entities.met().into_iter().filter(|met| matches!(met, Met::Act(..)));
    assert_eq!(acts.count(), 0, "an invalid command reached an entity");
}

#[tokio::test]
async fn supervisors_and_programs_overrule_and_say_why() {
    let world = world().await;
    let assign = async |who: &str, number: u64, reason: &str| {
        let request = AssignRequest {
            command_id: command(number),
            conversation_id: id(3),
            agent_id: "bo".to_owned(),
            reason: reason.to_owned(),
        };
        world.conversations().assign(as_(who, request)).await.map_err(|status| status.code())
    };
    assert_eq!(assign("sue", 1, " ").await.unwrap_err(), Code::InvalidArgument);
    assert_eq!(assign("sue", 1, &"x".repeat(513)).await.unwrap_err(), Code::InvalidArgument);
    assert_eq!(assign("ana", 1, "because").await.unwrap_err(), Code::PermissionDenied);
    assert!(assign("sue", 1, "knows the case").await.unwrap().into_inner().position.is_some());
    let CommandKind::Force { agent, reason } = last_kind(&world) else { panic!() };
    assert_eq!((agent.0.as_str(), opened(&reason).as_str()), ("bo", "knows the case"));

    let vip = |number| SetConversationVipRequest {
        command_id: command(number),
        set_vip: Some(v1::SetVip { conversation_id: id(3), vip: true }),
    };
    let mut client = world.conversations();
    let denied = client.set_conversation_vip(as_("ana", vip(2))).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    client.set_conversation_vip(as_("sue", vip(2))).await.unwrap();
    assert_eq!(last_kind(&world), CommandKind::SetVip { vip: true });
    let request = TransferConversationRequest {
        command_id: command(3),
        transfer: Some(transfer(To::QueueId("sales".to_owned()), "")),
    };
    client.transfer_conversation(as_("shop", request)).await.unwrap();
    let to = TransferTo::Queue("sales".into());
    assert_eq!(last_kind(&world), CommandKind::Transfer { to, note: None, overrule: true });
    let queue_id = "billing".to_owned();
    let request = RequeueConversationRequest {
        command_id: command(4),
        requeue: Some(v1::Requeue { conversation_id: id(3), queue_id }),
    };
    client.requeue_conversation(as_("sue", request)).await.unwrap();
    let queue = Some("billing".into());
    assert_eq!(last_kind(&world), CommandKind::Requeue { queue, overrule: true });
    world.entities.answer([CommandAnswer::Refused(Refusal::NothingOpen)]);
    let snooze = v1::Snooze { conversation_id: id(3), until_ms: ahead_ms(60_000) };
    let request =
        SnoozeConversationRequest { command_id: command(5), snooze: Some(snooze.clone()) };
    let status = client.snooze_conversation(as_("shop", request)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(status.metadata().get("refusal-reason").unwrap(), "NOTHING_OPEN");
    let foreign = SnoozeConversationRequest { command_id: command(6), snooze: Some(snooze) };
    let status = client.snooze_conversation(as_("bank", foreign)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let empty = SnoozeConversationRequest { command_id: command(6), snooze: None };
    let status = client.snooze_conversation(as_("shop", empty)).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn wrap_up_begins_and_ends_on_the_stream_and_snapshots_say_all() {
    let world = World::new().await;
    let wrap_up =
        WrapUpView { conversation: conversation(hash(3)), until_ms: 9, holds_capacity: true };
    world.entities.snapshot_says(SnapshotMore {
        missed: true,
        wrap_ups: vec![wrap_up.clone()],
        taken: vec![ItemId { conversation: hash(4), n: 1 }],
    });
    let mut session = world.session("ana").await;
    let snapshot = session.snapshot().await;
    assert!(snapshot.missed_too_many);
    let expected = v1::WrapUp { conversation_id: id(3), until_ms: 9, holds_capacity: true };
    assert_eq!(snapshot.wrap_ups, [expected]);
    assert_eq!(snapshot.taken_conversation_ids, [id(4)]);
    let ana = "ana".into();
    world.entities.signal(&ana, WorkspaceChange::WrapUpBegan(wrap_up)).await;
    assert!(matches!(session.event().await, Event::WrapUpBegan(began) if began.until_ms == 9));
    let end = v1::EndWrapUp { conversation_id: id(3) };
    session.ask_with(command(1), Request::EndWrapUp(end)).await;
    assert_eq!(session.answer().await.1, command_result::Result::Done(v1::Done {}));
    let met =
        world.entities.until(|met| matches!(met, Met::Desk(_, _, DeskCommand::EndWrapUp { .. })));
    let Met::Desk(_, _, DeskCommand::EndWrapUp { conversation: of, .. }) = met.await else {
        panic!()
    };
    assert_eq!(of, conversation(hash(3)));
    let ended = WorkspaceChange::WrapUpEnded { conversation: conversation(hash(3)) };
    world.entities.signal(&ana, ended).await;
    assert!(matches!(session.event().await, Event::WrapUpEnded(_)));
    world.entities.signal(&ana, WorkspaceChange::Missed).await;
    assert!(matches!(session.event().await, Event::MissedTooMany(_)));
    let none = WorkspaceAnswer::Unknown("no wrap-up of this conversation is open".to_owned());
    world.entities.answer_desk([none]);
    let end = v1::EndWrapUp { conversation_id: id(3) };
    session.ask_with(command(2), Request::EndWrapUp(end)).await;
    assert_eq!(session.refusal().await.0, v1::RefusalReason::Unknown);
}

fn waiting(n: u8, reason: WaitReason) -> WaitingView {
    WaitingView {
        item: ItemId { conversation: hash(n), n: 1 },
        conversation: conversation(hash(n)),
        queue: "sales".into(),
        since_ms: n.into(),
        vip: n == 4,
        offers: 2,
        reason,
    }
}

#[tokio::test]
async fn who_waits_is_listed_with_reasons_page_by_page() {
    let world = World::new().await;
    let reserved =
        WaitReason::Reserved { agent: "bo".into(), why: ReservedFor::LastAgent, until_ms: 7 };
    let first = vec![waiting(3, WaitReason::NobodySkilled), waiting(4, reserved)];
    let rest = vec![waiting(5, WaitReason::Matching)];
    world.entities.answer_board([
        WorkspaceAnswer::Waiting { items: first, more: true },
        WorkspaceAnswer::Waiting { items: rest, more: false },
    ]);
    let mut client = world.conversations();
    let request = |page_token: &str| ListWaitingRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        queue_id: "sales".to_owned(),
    };
    let page = client.list_waiting(as_("ana", request(""))).await.unwrap().into_inner();
    assert_eq!(page.items[0].reason(), v1::WaitReason::NobodySkilled);
    let kept = &page.items[1];
    assert_eq!(kept.reason(), v1::WaitReason::KeptForLastAgent);
    assert_eq!((kept.agent_id.as_str(), kept.until_ms, kept.vip), ("bo", 7, true));
    let token = page.next_page_token;
    let page = client.list_waiting(as_("ana", request(&token))).await.unwrap().into_inner();
    assert_eq!((page.items.len(), page.next_page_token.as_str()), (1, ""));
    let asked = world.entities.met().into_iter().filter_map(|met| match met {
        Met::Asked(WorkspaceInput::ListWaiting { after, limit, .. }) => Some((after, limit)),
        _ => None,
    });
    let asked: Vec<_> = asked.collect();
    assert_eq!(asked[0], (None, 2));
    assert_eq!(asked[1].0.as_ref().unwrap().item.conversation, hash(4));
    for (queue_id, page_token) in [("nowhere", ""), ("sales", "c.1.00")] {
        let (queue_id, page_token) = (queue_id.to_owned(), page_token.to_owned());
        let request = ListWaitingRequest { page_size: 0, page_token, queue_id };
        let status = client.list_waiting(as_("shop", request)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn supervisors_see_agents_and_what_is_stranded() {
    let world = World::new().await;
    let stranded = AgentView {
        agent: "bo".into(),
        signed_in: false,
        presence: Presence::Available,
        missed: false,
        used: 20,
        capacity: 100,
        offers: 0,
        assigned: vec![conversation(hash(3))],
        wrap_ups: 0,
        left_ms: None,
        stranded_until_ms: Some(99),
    };
    let agents = vec![stranded];
    world.entities.answer_board([WorkspaceAnswer::Agents { agents, more: true }]);
    let mut client = world.conversations();
    let denied = client.list_agents(as_("ana", ListAgentsRequest::default())).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
    let page = client.list_agents(as_("sue", ListAgentsRequest::default())).await.unwrap();
    let page = page.into_inner();
    let bo = &page.agents[0];
    assert_eq!((bo.agent_id.as_str(), bo.stranded_until_ms), ("bo", 99));
    assert_eq!(bo.conversation_ids, [id(3)]);
    assert!(!page.next_page_token.is_empty());
}
