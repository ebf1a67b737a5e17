//! Golden files of routing's events and inputs, as version 1 wrote them.

use domain::{
    AgentId, CommandId, DeskId, DeskLease, EntityId, EntityKind, Hash16, ItemId, QueueId, Sealed,
    SessionId,
    conversation::{
        CommandKind, ConversationCommand, ConversationEvent, ConversationInput, RoutingAct,
        TransferTo, WorkspaceNews,
    },
    persist,
    workspace::{
        AgentSince, DeskCommand, OfferEnd, ReservedFor, RoutingHints, WaitingCursor,
        WorkspaceEvent, WorkspaceInput,
    },
};
use serde::Serialize;

use crate::golden;

const ITEM: ItemId = ItemId { conversation: Hash16([1; 16]), n: 2 };

fn sealed() -> Sealed {
    Sealed { key_id: 1, bytes: vec![1, 2, 3] }
}

fn conversation() -> EntityId {
    EntityId { kind: EntityKind::Conversation, hash: Hash16([1; 16]) }
}

fn hints() -> RoutingHints {
    let since = |agent: &str| Some(AgentSince { agent: agent.into(), at_ms: 1_795_176_000_000 });
    RoutingHints {
        vip: true,
        returning: true,
        last_agent: since("ana"),
        target: Some(AgentId::from("ben")),
        giver: since("cai"),
        brief: None,
    }
}

#[test]
fn routing_of_conversations() {
    let act = |act, note| ConversationEvent::RoutingActed {
        act,
        by: Some(AgentId::from("sue")),
        from: Some(AgentId::from("ana")),
        note,
        at_ms: 1_795_176_000_000,
    };
    let agent = AgentId::from("ben");
    let queue = Some(QueueId::from("sales"));
    golden(
        "conversation_routing_events",
        &vec![
            act(RoutingAct::Transfer { queue: queue.clone(), agent: Some(agent.clone()) }, Some(3)),
            act(RoutingAct::Assign { agent: agent.clone() }, Some(4)),
            act(RoutingAct::Requeue { queue: queue.clone() }, None),
            act(RoutingAct::Snooze { until_ms: 1_795_176_600_000 }, None),
            act(RoutingAct::Vip { vip: true }, None),
            act(RoutingAct::WrapUp { code: "refund".to_owned() }, None),
            ConversationEvent::SnoozeEnded { at_ms: 1_795_176_600_000 },
            ConversationEvent::AgentGone { gone: true, at_ms: 1_795_176_700_000 },
        ],
    );
    let id = CommandId { client: Hash16([8; 16]), n: 5 };
    let command = |kind| {
        let agent = Some(AgentId::from("ana"));
        ConversationInput::Command(ConversationCommand { id, agent, kind })
    };
    golden(
        "conversation_routing_inputs",
        &vec![
            command(CommandKind::Transfer {
                to: TransferTo::Agent(agent.clone()),
                note: Some(sealed()),
                overrule: false,
            }),
            command(CommandKind::Transfer {
                to: TransferTo::Queue(QueueId::from("sales")),
                note: None,
                overrule: true,
            }),
            command(CommandKind::Requeue { queue, overrule: true }),
            command(CommandKind::Force { agent: agent.clone(), reason: sealed() }),
            command(CommandKind::Snooze { until_ms: 1_795_176_600_000, overrule: false }),
            command(CommandKind::SetVip { vip: true }),
            command(CommandKind::Close { code: "refund".to_owned(), wrap_up: true }),
            ConversationInput::Workspace {
                item: ITEM,
                version: 3,
                news: WorkspaceNews::Stranded { agent },
            },
        ],
    );
}

#[test]
fn routing_events_of_workspaces() {
    let agent = AgentId::from("ana");
    let (at_ms, until_ms) = (1_795_176_000_000, 1_795_176_060_000);
    golden(
        "workspace_routing_events",
        &vec![
            WorkspaceEvent::ItemQueued {
                item: ITEM,
                version: 3,
                conversation: conversation(),
                queue: QueueId::from("sales"),
                since_ms: at_ms,
                priority: 1,
                hints: hints(),
            },
            WorkspaceEvent::ItemReserved {
                item: ITEM,
                agent: agent.clone(),
                why: ReservedFor::LastAgent,
                until_ms,
                at_ms,
            },
            WorkspaceEvent::ReservationEnded { item: ITEM, at_ms },
            WorkspaceEvent::AgentMissed {
                agent: agent.clone(),
                item: ITEM,
                end: OfferEnd::Rejected,
                at_ms,
                reason: "busy".to_owned(),
            },
            WorkspaceEvent::AgentUnloaded {
                agent: agent.clone(),
                item: ITEM,
                weight: 20,
                at_ms,
                had: true,
            },
            WorkspaceEvent::WrapUpBegan {
                agent: agent.clone(),
                item: ITEM,
                conversation: conversation(),
                weight: 20,
                until_ms,
                at_ms,
            },
            WorkspaceEvent::WrapUpEnded { agent: agent.clone(), item: ITEM, at_ms },
            WorkspaceEvent::Stranded { agent, until_ms, at_ms },
        ],
    );
}

#[test]
fn routing_inputs_of_workspaces() {
    let agent = AgentId::from("ana");
    let at_ms = 1_795_176_000_000;
    golden(
        "workspace_routing_inputs",
        &vec![
            WorkspaceInput::Wanted {
                item: ITEM,
                version: 3,
                conversation: conversation(),
                queue: QueueId::from("sales"),
                since_ms: at_ms,
                priority: 0,
                hints: hints(),
            },
            WorkspaceInput::Finished {
                item: ITEM,
                version: 4,
                conversation: conversation(),
                agent: agent.clone(),
                wrap_up: true,
            },
            WorkspaceInput::ListWaiting {
                queue: None,
                after: Some(WaitingCursor {
                    queue: QueueId::from("sales"),
                    since_ms: at_ms,
                    item: ITEM,
                }),
                limit: 50,
            },
            WorkspaceInput::ListAgents { after: Some(agent.clone()), limit: 50 },
            WorkspaceInput::Desk {
                agent,
                session: SessionId(Hash16([6; 16])),
                command: DeskCommand::EndWrapUp {
                    id: CommandId { client: Hash16([8; 16]), n: 6 },
                    conversation: conversation(),
                },
            },
        ],
    );
}

#[test]
fn news_of_desks() {
    golden(
        "workspace_desk_inputs",
        &vec![WorkspaceInput::Desk {
            agent: AgentId::from("ana"),
            session: SessionId::default(),
            command: DeskCommand::DeskGone { desk: DeskId(7) },
        }],
    );
    golden("desk_lease", &DeskLease { desk: DeskId(u64::MAX) });
}

/// What a build without these fields wrote is read as if they said nothing.
#[test]
fn logs_from_before_the_hints_are_read() {
    #[derive(Serialize)]
    enum Old {
        ItemQueued {
            item: ItemId,
            version: u32,
            conversation: EntityId,
            queue: QueueId,
            since_ms: u64,
            priority: i32,
        },
        AgentUnloaded {
            agent: AgentId,
            item: ItemId,
            weight: u32,
            at_ms: u64,
        },
    }
    let queue = QueueId::from("sales");
    let old = Old::ItemQueued {
        item: ITEM,
        version: 3,
        conversation: conversation(),
        queue: queue.clone(),
        since_ms: 7,
        priority: 0,
    };
    let new = WorkspaceEvent::ItemQueued {
        item: ITEM,
        version: 3,
        conversation: conversation(),
        queue,
        since_ms: 7,
        priority: 0,
        hints: RoutingHints::default(),
    };
    assert_eq!(persist::decode(&persist::encode(&old).unwrap()), Ok(new));
    let agent = AgentId::from("ana");
    let old = Old::AgentUnloaded { agent: agent.clone(), item: ITEM, weight: 20, at_ms: 7 };
    let new = WorkspaceEvent::AgentUnloaded { agent, item: ITEM, weight: 20, at_ms: 7, had: false };
    assert_eq!(persist::decode(&persist::encode(&old).unwrap()), Ok(new));
}
