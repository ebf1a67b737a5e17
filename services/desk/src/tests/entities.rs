//! A stand-in for the runtime and its entities: takes inputs from the inboxes in order, answers them by script,
//! remembers the answers of commands by their id, and keeps what it saw.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use bus::{Bus, Cause, InboxEntry, Input, Key, PartitionId, Position, ReadLimit, Reply};
use chassis::task::{self, AbortOnDrop, TaskKind};
use domain::{
    AgentId, CommandId, EntityId, EntityKind, Hash16, ItemId, OfferId, QueueId, RequestId, Sealed,
    SessionId,
    conversation::{Brief, CommandAnswer, CommandKind, ConversationInput, ConversationSignal},
    flow::{Field, Why},
    number::{NumberAnswer, NumberInput, Reply as ChannelReply, SendWait},
    persist,
    workspace::{
        DeskCommand, OfferView, Presence, SnapshotMore, WorkspaceAnswer, WorkspaceChange,
        WorkspaceInput, WorkspaceSignal,
    },
};
use tokio::sync::Notify;

/// One input as it was met.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Met {
    Desk(AgentId, SessionId, DeskCommand),
    Act(EntityId, ConversationInput),
    Asked(WorkspaceInput),
}

#[derive(Default)]
struct Script {
    met: Vec<(Key, Met)>,
    /// Answers of conversations, in the order they are asked for the first time.
    acts: VecDeque<CommandAnswer>,
    /// Answers of workspaces to commands with an id.
    desks: VecDeque<WorkspaceAnswer>,
    /// Answers of workspaces to questions.
    boards: VecDeque<WorkspaceAnswer>,
    /// Answers of numbers about room; the last one stays.
    rooms: VecDeque<NumberAnswer>,
    /// What every message waits for.
    wait: Option<SendWait>,
    /// Further facts of every snapshot.
    more: SnapshotMore,
    remembered: BTreeMap<(Hash16, CommandId), CommandAnswer>,
    remembered_desk: BTreeMap<CommandId, WorkspaceAnswer>,
    sessions: BTreeMap<AgentId, SessionId>,
    numbers: BTreeMap<SessionId, u64>,
    assigned: BTreeMap<AgentId, Vec<Hash16>>,
    replies: Vec<(Hash16, ChannelReply)>,
    replies_to_lose: usize,
    silent: bool,
}

/// The stand-in.
#[derive(Clone)]
pub(super) struct Entities {
    bus: Bus,
    script: Arc<Mutex<Script>>,
    changed: Arc<Notify>,
    _tasks: Arc<Vec<AbortOnDrop<()>>>,
}

impl Entities {
    pub(super) fn start(bus: &Bus) -> Self {
        let mut entities = Self {
            bus: bus.clone(),
            script: Arc::default(),
            changed: Arc::default(),
            _tasks: Arc::default(),
        };
        let tasks = (0..bus.partitions).map(PartitionId).map(|partition| {
            let reader = entities.clone();
            task::spawn_abort_on_drop(TaskKind::Core, "test_entities", reader.read(partition))
        });
        entities._tasks = Arc::new(tasks.collect());
        entities
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// The next answers of conversations.
    pub(super) fn answer(&self, answers: impl IntoIterator<Item = CommandAnswer>) {
        self.script().acts.extend(answers);
    }

    /// The next answers of workspaces.
    pub(super) fn answer_desk(&self, answers: impl IntoIterator<Item = WorkspaceAnswer>) {
        self.script().desks.extend(answers);
    }

    /// The next answers of workspaces to questions.
    pub(super) fn answer_board(&self, answers: impl IntoIterator<Item = WorkspaceAnswer>) {
        self.script().boards.extend(answers);
    }

    /// The next answers of numbers about room: how many wait, how many may, and when there is room. The last one stays.
    pub(super) fn answer_room(&self, rooms: impl IntoIterator<Item = (u32, u32, u64)>) {
        let rooms = rooms.into_iter().map(|(waiting, limit, retry_after_ms)| NumberAnswer::Room {
            waiting,
            limit,
            retry_after_ms,
        });
        self.script().rooms.extend(rooms);
    }

    /// What every message waits for.
    pub(super) fn every_message_waits_for(&self, wait: SendWait) {
        self.script().wait = Some(wait);
    }

    /// What every snapshot says beside.
    pub(super) fn snapshot_says(&self, more: SnapshotMore) {
        self.script().more = more;
    }

    /// The next replies get lost.
    pub(super) fn lose_replies(&self, count: usize) {
        self.script().replies_to_lose = count;
    }

    /// Nothing is answered from now on.
    pub(super) fn fall_silent(&self) {
        self.script().silent = true;
    }

    pub(super) fn met(&self) -> Vec<Met> {
        self.script().met.iter().map(|(_, met)| met.clone()).collect()
    }

    pub(super) fn keys(&self) -> Vec<Key> {
        self.script().met.iter().map(|(key, _)| *key).collect()
    }

    /// Waits until an input of this kind was met.
    pub(super) async fn until(&self, wanted: impl Fn(&Met) -> bool) -> Met {
        super::world::bounded(async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = self.met().into_iter().find(|met| wanted(met)) {
                    return found;
                }
                changed.await;
            }
        })
        .await
    }

    pub(super) async fn until_signed_out(&self, agent: &str) {
        self.until(|met| matches!(met, Met::Desk(who, _, DeskCommand::SignOut) if who.0 == agent))
            .await;
    }

    async fn read(self, partition: PartitionId) {
        let mut after = 0;
        while let Ok(entries) = self.bus.inbox.read(partition, after, ReadLimit::default()).await {
            for (seq, bytes) in entries {
                after = seq;
                for input in InboxEntry::decode(&bytes).unwrap().inputs {
                    self.decide(partition, seq, input).await;
                }
            }
        }
    }

    async fn decide(&self, partition: PartitionId, seq: u64, input: Input) {
        // What an operator replays is no command; the test decides it by hand.
        if let Cause::Replay { .. } = input.header.cause {
            return;
        }
        let body = match EntityKind::from_code(input.target.kind).unwrap() {
            EntityKind::Workspace => self.workspace(&input).await,
            EntityKind::Conversation => self.conversation(&input),
            EntityKind::Number => self.number(&input),
        };
        self.changed.notify_waiters();
        let topic = input.reply_to.filter(|_| {
            let mut script = self.script();
            let lost = script.replies_to_lose > 0;
            script.replies_to_lose = script.replies_to_lose.saturating_sub(1);
            !lost && !script.silent
        });
        if let Some(topic) = topic {
            let position = Some(Position { generation: 1, seq, index: 0 });
            assert!(input.target.partition(self.bus.partitions) == partition);
            let reply = Reply::new(input.header.key, Ok(body.into()), position).encode().unwrap();
            self.bus.signals.publish(&topic, reply).await.unwrap();
        }
    }

    fn conversation(&self, input: &Input) -> Vec<u8> {
        let told: ConversationInput = persist::decode(&input.body).unwrap();
        let hash = Hash16(input.target.hash);
        let id = EntityId { kind: EntityKind::Conversation, hash };
        let mut script = self.script();
        let ConversationInput::Command(command) = &told else {
            script.met.push((input.header.key, Met::Act(id, told)));
            assert_eq!(input.reply_to, None, "nobody is answered");
            return Vec::new();
        };
        let scripted = script.acts.front().cloned();
        let answer = match script.remembered.get(&(hash, command.id)) {
            Some(answer) => answer.clone(),
            None => {
                let answer = scripted.unwrap_or(match command.kind {
                    CommandKind::Send { .. } | CommandKind::Outbound(_) => {
                        CommandAnswer::Sent { request: RequestId { conversation: hash, n: 1 } }
                    }
                    _ => CommandAnswer::Done,
                });
                script.acts.pop_front();
                script.remembered.insert((hash, command.id), answer.clone());
                answer
            }
        };
        script.met.push((input.header.key, Met::Act(id, told)));
        persist::encode(&answer).unwrap()
    }

    /// Room and waits by script. A channel account: everything after the asked sequence, marked when it was fetched before.
    fn number(&self, input: &Input) -> Vec<u8> {
        let told: NumberInput = persist::decode(&input.body).unwrap();
        let mut script = self.script();
        let after = match told {
            NumberInput::Fetch { after } => after,
            NumberInput::Room { .. } => {
                let room = match script.rooms.len() {
                    0 => NumberAnswer::Room { waiting: 0, limit: 500, retry_after_ms: 0 },
                    1 => script.rooms[0].clone(),
                    _ => script.rooms.pop_front().unwrap(),
                };
                return persist::encode(&room).unwrap();
            }
            NumberInput::Look { requests } => {
                let wait = script.wait.clone().unwrap_or(SendWait::Turn);
                let waits = requests.into_iter().map(|id| (id, wait.clone())).collect();
                return persist::encode(&NumberAnswer::Waits { waits }).unwrap();
            }
            other => panic!("{other:?}"),
        };
        let account = Hash16(input.target.hash);
        let waiting = script.replies.iter_mut().filter(|(of, _)| *of == account);
        let mut replies = Vec::new();
        for (_, reply) in waiting.filter(|(_, reply)| reply.sequence > after) {
            replies.push(reply.clone());
            reply.again = true;
        }
        persist::encode(&NumberAnswer::Replies { replies, more: false }).unwrap()
    }

    /// A reply waits for the platform; tells its stream unless it is to be lost.
    pub(super) async fn reply(&self, account: Hash16, reply: ChannelReply, told: bool) {
        self.script().replies.push((account, reply));
        if told {
            let topic = format!("replies.{account}");
            self.bus.signals.publish(&topic, bytes::Bytes::new()).await.unwrap();
        }
    }

    /// A reply is confirmed.
    pub(super) fn forget_reply(&self, request: RequestId) {
        self.script().replies.retain(|(_, reply)| reply.request != request);
    }

    async fn workspace(&self, input: &Input) -> Vec<u8> {
        let told: WorkspaceInput = persist::decode(&input.body).unwrap();
        let (agent, session, command) = match told {
            WorkspaceInput::Desk { agent, session, command } => (agent, session, command),
            WorkspaceInput::ListWaiting { .. } | WorkspaceInput::ListAgents { .. } => {
                let mut script = self.script();
                script.met.push((input.header.key, Met::Asked(told)));
                let answer = script.boards.pop_front().expect("an answer to a question");
                return persist::encode(&answer).unwrap();
            }
            other => panic!("{other:?}"),
        };
        let met = Met::Desk(agent.clone(), session, command.clone());
        self.script().met.push((input.header.key, met));
        let answer = match command {
            DeskCommand::SignIn { .. } => {
                let older = self.script().sessions.insert(agent.clone(), session);
                if older.is_some_and(|older| older != session) {
                    self.signal_to(older.unwrap(), WorkspaceChange::Replaced).await;
                }
                self.snapshot(&agent).await;
                WorkspaceAnswer::Done
            }
            DeskCommand::Resync => {
                self.snapshot(&agent).await;
                WorkspaceAnswer::Done
            }
            DeskCommand::SignOut
            | DeskCommand::Delivered { .. }
            | DeskCommand::DeskRestarted { .. }
            | DeskCommand::DeskGone { .. } => WorkspaceAnswer::Done,
            DeskCommand::SetPresence { id, .. }
            | DeskCommand::EndWrapUp { id, .. }
            | DeskCommand::Accept { id, .. }
            | DeskCommand::Reject { id, .. } => {
                let mut script = self.script();
                let scripted = script.desks.front().cloned();
                match script.remembered_desk.get(&id) {
                    Some(answer) => answer.clone(),
                    None => {
                        script.desks.pop_front();
                        let answer = scripted.unwrap_or(WorkspaceAnswer::Done);
                        script.remembered_desk.insert(id, answer.clone());
                        answer
                    }
                }
            }
        };
        persist::encode(&answer).unwrap()
    }

    async fn snapshot(&self, agent: &AgentId) {
        let assigned = self.script().assigned.get(agent).cloned().unwrap_or_default();
        let assigned = assigned.into_iter().map(|hash| (item(hash), conversation(hash))).collect();
        let change = WorkspaceChange::Snapshot {
            presence: Presence::Available,
            offers: Vec::new(),
            assigned,
            used: 0,
            capacity: 100,
            more: self.script().more.clone(),
        };
        self.signal(agent, change).await;
    }

    /// Tells an agent's session of a change, with the next number.
    pub(super) async fn signal(&self, agent: &AgentId, change: WorkspaceChange) {
        let session = self.script().sessions[agent];
        self.signal_to(session, change).await;
    }

    async fn signal_to(&self, session: SessionId, change: WorkspaceChange) {
        let n = {
            let mut script = self.script();
            let n = script.numbers.entry(session).or_default();
            *n += 1;
            *n
        };
        let body = persist::encode(&WorkspaceSignal { n, change }).unwrap();
        self.bus.signals.publish(&format!("session.{}", session.0), body.into()).await.unwrap();
    }

    /// A change that never reaches the desk.
    pub(super) fn lose_a_signal(&self, agent: &AgentId) {
        let mut script = self.script();
        let session = script.sessions[agent];
        *script.numbers.get_mut(&session).unwrap() += 1;
    }

    pub(super) async fn offer(&self, agent: &AgentId, hash: Hash16) {
        let view = OfferView {
            offer: OfferId { item: item(hash), n: 1 },
            conversation: conversation(hash),
            queue: QueueId::from("sales"),
            since_ms: 5,
            deadline_ms: 99,
            reason: "skill sales 3".to_owned(),
            brief: Some(Box::new(brief())),
        };
        self.signal(agent, WorkspaceChange::Offered(view)).await;
    }

    pub(super) async fn assign(&self, agent: &AgentId, hash: Hash16) {
        self.script().assigned.entry(agent.clone()).or_default().push(hash);
        let change =
            WorkspaceChange::Assigned { item: item(hash), conversation: conversation(hash) };
        self.signal(agent, change).await;
    }

    /// Tells whoever watches a conversation.
    pub(super) async fn news(&self, hash: Hash16, signal: &ConversationSignal) {
        let body = persist::encode(signal).unwrap();
        self.bus.signals.publish(&format!("conversation.{hash}"), body.into()).await.unwrap();
    }
}

/// What a bot of the shop tells whoever takes over.
fn brief() -> Brief {
    let fields = vec![Field { name: "order".to_owned(), value: "AB-123456".to_owned() }];
    let sealed = super::world::sealer().seal(b"shop", &persist::encode(&fields).unwrap());
    Brief {
        why: Why::Rule,
        reason: "order".to_owned(),
        fields: Some(Sealed { key_id: sealed.key_id, bytes: sealed.bytes }),
        priority: 0,
    }
}

pub(super) fn item(hash: Hash16) -> ItemId {
    ItemId { conversation: hash, n: 1 }
}

pub(super) fn conversation(hash: Hash16) -> EntityId {
    EntityId { kind: EntityKind::Conversation, hash }
}
