//! Golden files of every input, event and answer of a number, and of what programs send, as version 1 wrote them.

use domain::{
    CommandId, EntityId, EntityKind, Hash16, MessageId, RequestId, Sealed,
    content::ContentKind,
    conversation::{
        CommandAnswer, CommandKind, ConversationCommand, ConversationInput, OutboundSend, Refusal,
        SendOutcome, Via,
    },
    effect::CallKey,
    number::{
        CallAnswer, Lane, NumberAnswer, NumberConfig, NumberEvent, NumberInput, NumberMode, Parked,
        PauseCause, PauseReason, Refused, Reply, Retry, RetryCause, SendRequest, SendWait, Wait,
        WaitScope,
    },
    persist,
};

use crate::golden;

const AT_MS: u64 = 1_795_176_000_000;
const REQUEST: RequestId = RequestId { conversation: Hash16([1; 16]), n: 3 };
const MESSAGE: MessageId = MessageId(Hash16([2; 16]));

fn sealed() -> Sealed {
    Sealed { key_id: 1, bytes: vec![1, 2, 3] }
}

fn entity(kind: EntityKind) -> EntityId {
    EntityId { kind, hash: Hash16([1; 16]) }
}

fn via() -> Via {
    Via { number: entity(EntityKind::Number), workspace: entity(EntityKind::Workspace) }
}

fn config() -> NumberConfig {
    NumberConfig {
        business: "shop".into(),
        mode: NumberMode::Channel,
        rate_per_s: 20,
        reconcile_ms: 30_000,
        call_over_ms: 12_000,
        start_by_ms: 0,
    }
}

fn request() -> SendRequest {
    SendRequest {
        request: REQUEST,
        conversation: entity(EntityKind::Conversation),
        customer: Hash16([1; 16]),
        lane: Lane::Campaign,
        free_form: false,
        window_until_ms: AT_MS,
        not_after_ms: AT_MS + 600_000,
        recipient: sealed(),
        content: sealed(),
        kind: ContentKind::Template,
        marketing: true,
        marketing_stopped: true,
    }
}

fn parked() -> Parked {
    Parked {
        what: "history".to_owned(),
        hash: Hash16([4; 16]),
        chunk: 0,
        chunks: 2,
        content: sealed(),
    }
}

fn pause() -> PauseCause {
    PauseCause { reason: PauseReason::Token, code: 190, times: 2 }
}

fn refused() -> Refused {
    Refused { code: 131_049, told: "later".to_owned() }
}

#[test]
fn inputs_of_numbers() {
    let inputs = vec![
        NumberInput::Configure(config()),
        NumberInput::Request(Box::new(request())),
        NumberInput::Cancel { request: REQUEST, not_after_ms: AT_MS },
        NumberInput::StatusSeen {
            request: REQUEST,
            message: MESSAGE,
            wamid: sealed(),
            failed: Some(131_026),
            at_ms: AT_MS,
        },
        NumberInput::Departed { calls: vec![CallKey { request: REQUEST, attempt: 1 }] },
        NumberInput::Mark { request: REQUEST, message: sealed(), typing: true },
        NumberInput::MarketingWished { requests: vec![REQUEST], stopped: true },
        NumberInput::Room { wanted: 100 },
        NumberInput::Look { requests: vec![REQUEST] },
        NumberInput::EchoSeen {
            conversation: entity(EntityKind::Conversation),
            message: MESSAGE,
            text_hash: 7,
            at_ms: AT_MS,
        },
        NumberInput::Fetch { after: 9 },
        NumberInput::Parked(parked()),
        NumberInput::GiveUp,
    ];
    golden("number_all_inputs", &inputs);
}

/// Written from format level 3 on.
#[test]
fn the_question_before_a_repeat_and_its_answer() {
    let call = CallKey { request: REQUEST, attempt: 1 };
    let number = entity(EntityKind::Number);
    golden("question_before_repeat", &vec![ConversationInput::HeardOf { call, number }]);
    golden("answer_before_repeat", &vec![NumberInput::Heard { call, anything: true }]);
}

/// Fields that earlier builds do not know and pass over.
#[test]
fn what_was_stopped_at_the_door() {
    let why = "the phone has spoken since the conversation decided".to_owned();
    golden("stopped_at_the_door", &vec![CallAnswer::NotStarted { why, overtaken: true }]);
    let asked =
        NumberEvent::Reconciling { request: REQUEST, until_ms: AT_MS + 30_000, asked_ms: AT_MS };
    golden("asked_whether_it_may_leave", &vec![asked]);
}

#[test]
fn events_of_numbers() {
    let request_id = REQUEST;
    let events = vec![
        NumberEvent::Configured(config()),
        NumberEvent::Queued { request: Box::new(request()), order: 9 },
        NumberEvent::Intended {
            request: request_id,
            attempt: 2,
            at_ms: AT_MS,
            over_ms: AT_MS + 12_000,
            pair_clear_ms: AT_MS + 6_000,
        },
        NumberEvent::Departed { request: request_id },
        NumberEvent::Fetched { request: request_id, at_ms: AT_MS },
        NumberEvent::Reconciling { request: request_id, until_ms: AT_MS, asked_ms: 0 },
        NumberEvent::RetryAt {
            request: request_id,
            at_ms: AT_MS,
            after_unknown: false,
            cause: RetryCause::Lane,
            refused: Some(refused()),
        },
        NumberEvent::CallMayRun { request: request_id, over_ms: AT_MS },
        NumberEvent::CancelNoted { request: request_id },
        NumberEvent::MarketingWished { request: request_id, stopped: true },
        NumberEvent::Ended {
            request: request_id,
            outcome: SendOutcome::Failed { code: 131_050, told: "stopped".to_owned() },
            at_ms: AT_MS,
        },
        NumberEvent::Forgotten { request: request_id },
        NumberEvent::Paused { until_ms: AT_MS, cause: Some(pause()) },
        NumberEvent::Paused { until_ms: u64::MAX, cause: None },
        NumberEvent::Resumed,
        NumberEvent::LanePaused { lane: Lane::Campaign, until_ms: AT_MS, code: 131_048 },
        NumberEvent::Slowed { permille: 500, at_ms: AT_MS },
        NumberEvent::CancelKept { request: request_id, not_after_ms: AT_MS },
        NumberEvent::EchoNoted {
            text_hash: 7,
            conversation: entity(EntityKind::Conversation),
            message: MESSAGE,
            at_ms: AT_MS,
        },
        NumberEvent::Parked(parked()),
    ];
    golden("number_all_events", &events);
}

#[test]
fn answers_of_numbers_and_of_executors() {
    let reply = Reply {
        request: REQUEST,
        sequence: 9,
        lane: Lane::Agent,
        recipient: sealed(),
        content: sealed(),
        kind: ContentKind::Text,
        not_after_ms: AT_MS,
        again: true,
    };
    let waits = [
        SendWait::Turn,
        SendWait::Number { until_ms: AT_MS, cause: Some(pause()) },
        SendWait::Lane { until_ms: AT_MS },
        SendWait::Customer { until_ms: AT_MS },
        SendWait::Retry { at_ms: AT_MS, refused: Some(refused()) },
        SendWait::Calling,
        SendWait::Status { until_ms: AT_MS },
        SendWait::Confirmation,
    ];
    let answers = vec![
        NumberAnswer::Replies { replies: vec![reply], more: true },
        NumberAnswer::NoChannel,
        NumberAnswer::Room { waiting: 500, limit: 500, retry_after_ms: 1_000 },
        NumberAnswer::Waits { waits: waits.map(|wait| (REQUEST, wait)).to_vec() },
    ];
    golden("number_answers", &answers);
    let wait = Wait { scope: WaitScope::Message, first_ms: 5_000, attempts_max: Some(3) };
    let lane = Wait { scope: WaitScope::Lane(Lane::Campaign), first_ms: 1, attempts_max: None };
    let refused = |retry| CallAnswer::Refused { code: 131_000, retry, told: "not now".to_owned() };
    let answers = vec![
        CallAnswer::Accepted { message: MESSAGE, wamid: sealed() },
        refused(Retry::Never),
        refused(Retry::NumberBackoff),
        refused(Retry::PairBackoff),
        refused(Retry::ServiceBackoff),
        refused(Retry::OnceIfWindowOpen),
        refused(Retry::StopNumber),
        refused(Retry::Wait(wait)),
        refused(Retry::Wait(lane)),
        refused(Retry::Stop(PauseReason::Payment)),
        CallAnswer::NotStarted { why: "too late".to_owned(), overtaken: false },
        CallAnswer::Unknown { why: "no answer".to_owned() },
    ];
    golden("call_answers", &answers);
}

#[test]
fn what_programs_send_and_are_answered() {
    let id = CommandId { client: Hash16([8; 16]), n: 1 };
    let outbound = OutboundSend {
        via: via(),
        who: sealed(),
        lane: Lane::Utility,
        kind: ContentKind::Template,
        content: sealed(),
        not_after_ms: AT_MS,
        marketing: true,
    };
    let command = |kind| ConversationInput::Command(ConversationCommand { id, agent: None, kind });
    let inputs = vec![
        command(CommandKind::Outbound(Box::new(outbound))),
        command(CommandKind::Send {
            kind: ContentKind::Template,
            content: sealed(),
            take_floor: false,
            marketing: true,
        }),
        command(CommandKind::MarkRead { message: sealed(), typing: true }),
    ];
    golden("conversation_outbound_inputs", &inputs);
    let refusals = [
        Refusal::PhoneHasFloor { since_ms: AT_MS },
        Refusal::HeldByAnother { agent: "ana".into() },
        Refusal::BotHasFloor { turn: 2 },
        Refusal::Busy { pending: 32 },
        Refusal::WindowClosed { closed_ms: AT_MS },
        Refusal::UnknownConversation,
        Refusal::NothingOpen,
        Refusal::TooOld,
        Refusal::Unknown("no such queue".to_owned()),
        Refusal::NotAssigned,
        Refusal::MarketingStopped { since_ms: AT_MS },
    ];
    let mut answers = vec![
        CommandAnswer::Sent { request: REQUEST },
        CommandAnswer::Done,
        CommandAnswer::Moved { to: entity(EntityKind::Conversation) },
    ];
    answers.extend(refusals.map(CommandAnswer::Refused));
    golden("command_answers", &answers);
}

/// What a build without these fields wrote is read as if they said nothing; a campaign is marketing all the same.
#[test]
fn requests_from_before_the_marketing_stop_are_read() {
    let new = SendRequest { marketing: false, marketing_stopped: false, ..request() };
    let bytes = persist::encode(&new).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("marketing"), "what says nothing is not written");
    assert_eq!(persist::decode::<SendRequest>(&bytes), Ok(new.clone()));
    assert!(new.is_marketing());
}
