//! The events and inputs that other builds meet, as version 1 wrote them.

use domain::{
    AgentId, EntityId, EntityKind, Hash16, ItemId, MessageId, OfferId, QueueId, RequestId, Sealed,
    SessionId,
    content::ContentKind,
    conversation::{
        Author, BillingWindow, BotFault, BotPlace, Brief, Change, ChangeKind, ConversationEvent,
        ConversationInput, Direction, Floor, FloorCause, HeardMessage, Inbound, MessageRecord,
        Preference, Pricing, ResolvedBy, SendOutcome, SendRecord, Status, StatusKind, Via,
    },
    flow::{Field, State, Why},
    number::{Lane, NumberEvent, NumberInput, SendRequest},
    workspace::{DeskCommand, OfferEnd, WorkspaceEvent, WorkspaceInput},
};

use crate::golden;

fn sealed() -> Sealed {
    Sealed { key_id: 1, bytes: vec![1, 2, 3] }
}

fn conversation() -> EntityId {
    EntityId { kind: EntityKind::Conversation, hash: Hash16([1; 16]) }
}

fn via() -> Via {
    Via {
        number: EntityId { kind: EntityKind::Number, hash: Hash16([2; 16]) },
        workspace: EntityId { kind: EntityKind::Workspace, hash: Hash16([3; 16]) },
    }
}

const MESSAGE: MessageId = MessageId(Hash16([4; 16]));
const REQUEST: RequestId = RequestId { conversation: Hash16([1; 16]), n: 7 };
const ITEM: ItemId = ItemId { conversation: Hash16([1; 16]), n: 2 };

#[test]
fn events_of_conversations() {
    golden(
        "conversation_events",
        &vec![
            ConversationEvent::IdentitySeen { via: via(), who: sealed(), at_ms: 1_795_176_000_000 },
            ConversationEvent::MessageRecorded(MessageRecord {
                message: MESSAGE,
                direction: Direction::In,
                author: Author::Customer,
                kind: ContentKind::Unsupported { code: 131_060 },
                at_ms: 1_795_176_000_000,
                content: sealed(),
                target: None,
                episode: Some(1),
            }),
            ConversationEvent::StatusMerged {
                message: MESSAGE,
                request: Some(REQUEST),
                status: StatusKind::Read,
                at_ms: 1_795_176_001_000,
                error: None,
                content: sealed(),
            },
            ConversationEvent::SendRequested(SendRecord {
                request: REQUEST,
                author: Author::Agent(AgentId::from("ana")),
                lane: Lane::Agent,
                kind: ContentKind::Text,
                at_ms: 1_795_176_002_000,
                content: sealed(),
                not_after_ms: 1_795_176_602_000,
                episode: Some(1),
            }),
            ConversationEvent::SendResolved {
                request: REQUEST,
                outcome: SendOutcome::Accepted {
                    message: MESSAGE,
                    wamid: sealed(),
                    at_ms: 1_795_176_003_000,
                    repeated: true,
                },
                at_ms: 1_795_176_003_001,
            },
            ConversationEvent::FloorChanged {
                floor: Floor::Desk { agent: AgentId::from("ana") },
                cause: FloorCause::Assigned,
                at_ms: 1_795_176_004_000,
            },
            ConversationEvent::ItemWanted {
                item: ITEM,
                version: 3,
                queue: QueueId::from("sales"),
                since_ms: 1_795_176_000_000,
            },
            ConversationEvent::EpisodeOpened { n: 1, at_ms: 1_795_176_000_000 },
            ConversationEvent::WindowMoved { until_ms: 1_795_262_400_000 },
        ],
    );
}

/// What this build added; the file beside the first one, which stays as it was.
#[test]
fn events_of_conversations_of_the_payload_kinds() {
    let pricing = Pricing {
        model: Some("pmp".to_owned()),
        kind: Some("regular".to_owned()),
        category: Some("service".to_owned()),
        billable: Some(true),
        subtype: None,
    };
    golden(
        "conversation_events_payloads",
        &vec![
            ConversationEvent::BillingRecorded {
                message: MESSAGE,
                request: Some(REQUEST),
                pricing,
                at_ms: 1_795_176_000_000,
            },
            ConversationEvent::BillingWindowMoved {
                category: "utility".to_owned(),
                until_ms: 1_795_262_400_000,
            },
            ConversationEvent::ReferralSeen { message: MESSAGE, at_ms: 1_795_176_000_000 },
            ConversationEvent::FreeEntryMoved { until_ms: 1_795_435_200_000 },
            ConversationEvent::MarketingWished { allowed: false, at_ms: 1_795_176_000_000 },
            ConversationEvent::Retired { at_ms: 1_795_176_000_000, to: conversation() },
            ConversationEvent::Unretired { at_ms: 1_795_176_000_000 },
            ConversationEvent::IdentityChanged {
                via: via(),
                who: sealed(),
                at_ms: 1_795_176_000_000,
            },
        ],
    );
}

#[test]
fn inputs_of_the_payload_kinds() {
    let change = |kind| {
        ConversationInput::Changed(Change {
            via: via(),
            kind,
            other: conversation(),
            changed_at: (1_795_176_000_000, MESSAGE),
            who: sealed(),
        })
    };
    let regular = Pricing { kind: Some("regular".to_owned()), ..Pricing::default() };
    golden(
        "conversation_inputs_payloads",
        &vec![
            ConversationInput::Status(Status {
                via: via(),
                message: MESSAGE,
                request: None,
                status: StatusKind::Sent,
                at_ms: 1_795_176_000_000,
                error: None,
                content: sealed(),
                who: Some(sealed()),
                pricing: Some(Box::new(regular)),
                window: Some(BillingWindow {
                    category: "referral_conversion".to_owned(),
                    until_ms: 1_795_435_200_000,
                }),
            }),
            ConversationInput::Preference(Preference {
                via: via(),
                allowed: true,
                at_ms: 1_795_176_000_000,
                paired: Some(conversation()),
                who: sealed(),
            }),
            change(ChangeKind::Number),
            change(ChangeKind::UserId),
            change(ChangeKind::Arrival),
            change(ChangeKind::Return),
        ],
    );
}

#[test]
fn events_of_bots() {
    golden(
        "bot_events",
        &vec![
            ConversationEvent::BotMoved {
                place: BotPlace {
                    flow: "bank".to_owned(),
                    version: "1".to_owned(),
                    node: Some("main".to_owned()),
                    state: sealed(),
                },
            },
            ConversationEvent::HandedOver {
                brief: Brief {
                    why: Why::Requested,
                    reason: "lost_card".to_owned(),
                    fields: Some(sealed()),
                    priority: 100,
                },
                at_ms: 1_795_176_000_000,
            },
            ConversationEvent::EpisodeResolved {
                n: 1,
                by: ResolvedBy::Bot,
                at_ms: 1_795_176_001_000,
            },
        ],
    );
    golden(
        "bot_state",
        &State {
            flow: "bank".to_owned(),
            version: "1".to_owned(),
            node: Some("main".to_owned()),
            language: Some("es".to_owned()),
            misses: 1,
            shown: 3,
            tapped: Some("main/cards#2".to_owned()),
            fields: vec![Field { name: "amount".to_owned(), value: "1000".to_owned() }],
        },
    );
}

#[test]
fn events_of_external_bots() {
    let heard = |shortened| HeardMessage {
        message: MESSAGE,
        kind: ContentKind::Text,
        content: sealed(),
        at_ms: 1_795_176_000_000,
        shortened,
    };
    let faults = [
        BotFault::Deadline,
        BotFault::Unreachable,
        BotFault::Refused,
        BotFault::Unusable,
        BotFault::Busy,
        BotFault::NotConfigured,
        BotFault::Lost,
    ];
    let mut events = vec![
        ConversationEvent::BotHeard { message: heard(false) },
        ConversationEvent::BotHeard { message: heard(true) },
        ConversationEvent::BotAsked { turn: 4, attempt: 1, due_ms: 1_795_176_008_000 },
        ConversationEvent::BotAnswered { turn: 4 },
    ];
    events.extend(faults.map(|why| ConversationEvent::BotFailed { turn: 5, why }));
    golden("external_bot_events", &events);
}

#[test]
fn events_of_workspaces_and_numbers() {
    let offer = OfferId { item: ITEM, n: 1 };
    let agent = AgentId::from("ana");
    golden(
        "workspace_events",
        &vec![
            WorkspaceEvent::ItemOffered {
                offer,
                agent: agent.clone(),
                at_ms: 1_795_176_000_000,
                deadline_ms: 1_795_176_030_000,
                weight: 20,
            },
            WorkspaceEvent::OfferEnded {
                offer,
                agent: agent.clone(),
                end: OfferEnd::Missed,
                at_ms: 1_795_176_030_000,
            },
            WorkspaceEvent::AgentLoaded { agent, item: ITEM, weight: 20 },
        ],
    );
    let request = SendRequest {
        request: REQUEST,
        conversation: conversation(),
        customer: Hash16([5; 16]),
        lane: Lane::Bot,
        free_form: true,
        window_until_ms: 1_795_262_400_000,
        not_after_ms: 1_795_176_600_000,
        recipient: sealed(),
        content: sealed(),
        kind: ContentKind::Text,
        marketing: false,
        marketing_stopped: false,
    };
    golden(
        "number_events",
        &vec![
            NumberEvent::Queued { request: Box::new(request), order: 9 },
            NumberEvent::Intended {
                request: REQUEST,
                attempt: 1,
                at_ms: 1_795_176_000_000,
                over_ms: 1_795_176_012_000,
                pair_clear_ms: 0,
            },
            NumberEvent::Ended {
                request: REQUEST,
                outcome: SendOutcome::Unknown,
                at_ms: 1_795_176_050_000,
            },
        ],
    );
}

#[test]
fn inputs() {
    golden(
        "conversation_inputs",
        &vec![ConversationInput::Inbound(Inbound {
            via: via(),
            message: MESSAGE,
            at_ms: 1_795_176_000_000,
            kind: ContentKind::Text,
            paired: Some(conversation()),
            who: sealed(),
            content: sealed(),
            target: None,
            referral: false,
        })],
    );
    golden(
        "workspace_inputs",
        &vec![WorkspaceInput::Desk {
            agent: AgentId::from("ana"),
            session: SessionId(Hash16([6; 16])),
            command: DeskCommand::SignIn { opened_ms: 1_795_176_000_000 },
        }],
    );
    golden("number_inputs", &vec![NumberInput::GiveUp]);
}
