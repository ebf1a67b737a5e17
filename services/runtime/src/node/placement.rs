//! Renews the node's lease, sees who lives, and does what the plan says (design.md 4.3).

mod renewal;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bus::{FormatLevel, Incarnation, NameIs, Namesake, PartitionId};
use chassis::task::TaskKind;
use metrics::histogram;
use ractor::ActorRef;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    format::{self, Format},
    info::NodeInfo,
    neighbours::{Member, Neighbours},
    owners::Owners,
    plan::{self, Plan, View},
    root::{RootMsg, Stands},
    word::{self, Word},
};
use crate::{
    Placement,
    metrics::HAND_OVER_SECONDS,
    shell::context::{Context, sleep_ms},
};

/// Most events waiting for the follower. Whoever may not wait drops its event when there are so many: each makes the follower
/// look at everything anyway.
pub(super) const EVENTS_MAX: usize = 256;

/// What makes the follower look at once.
pub(crate) enum Event {
    /// A shard of this node serves its partition, or is over.
    Changed,
    /// Another node said something.
    Heard(Word),
    /// A partition to be handed over was let go.
    LetGo(PartitionId),
    /// The installation's format level was read, or could not be.
    Format(Option<FormatLevel>),
    /// Hand everything over, take nothing any more, and answer when that is done.
    Drain(oneshot::Sender<()>),
}

/// A partition on its way to another node.
struct Move {
    to: String,
    begun_ms: u64,
    /// When it was let go here.
    gone_ms: Option<u64>,
}

pub(super) struct Follower {
    context: Arc<Context>,
    root: ActorRef<RootMsg>,
    events: mpsc::Receiver<Event>,
    /// For the tasks of this follower.
    tell: mpsc::Sender<Event>,
    owners: watch::Sender<Owners>,
    neighbours: Neighbours,
    others: BTreeMap<String, Member>,
    moves: BTreeMap<PartitionId, Move>,
    free_since_ms: BTreeMap<PartitionId, u64>,
    avoided_until_ms: BTreeMap<String, u64>,
    pins: BTreeMap<PartitionId, u64>,
    wants: BTreeSet<PartitionId>,
    /// Handed to this node by another one, which waits to hear that it is served.
    received: BTreeSet<PartitionId>,
    draining: Vec<oneshot::Sender<()>>,
    is_draining: bool,
    clock_is_off: bool,
    format: Format,
    /// When the leases were read last.
    touched_ms: Option<u64>,
    in_touch: bool,
    again: bool,
    life: Incarnation,
    namesake: Namesake,
    name_is: NameIs,
}

impl Follower {
    pub(super) fn new(
        context: Arc<Context>,
        root: ActorRef<RootMsg>,
        (tell, events): (mpsc::Sender<Event>, mpsc::Receiver<Event>),
        owners: watch::Sender<Owners>,
    ) -> Self {
        let unsound = context.settings.shard.breaks.sound_leases;
        let (lease_ms, settle_ms) = (context.settings.lease_ms, context.settings.settle_ms);
        let format = Format::new(context.settings.shard.format_known);
        let life = context.random.incarnation();
        let namesake = Namesake::watch(context.clock.boot_ms(), lease_ms);
        Self {
            context,
            root,
            events,
            tell,
            owners,
            neighbours: Neighbours::new(lease_ms, settle_ms, unsound),
            others: BTreeMap::new(),
            moves: BTreeMap::new(),
            free_since_ms: BTreeMap::new(),
            avoided_until_ms: BTreeMap::new(),
            pins: BTreeMap::new(),
            wants: BTreeSet::new(),
            received: BTreeSet::new(),
            draining: Vec::new(),
            is_draining: false,
            clock_is_off: false,
            format,
            touched_ms: None,
            in_touch: false,
            again: false,
            life,
            namesake,
            name_is: NameIs::Ours,
        }
    }

    pub(super) async fn run(mut self) {
        let listening = word::listen(Arc::clone(&self.context), self.tell.clone());
        self.context.spawn(TaskKind::Follower, "placement-signals", listening);
        while self.round().await {
            if std::mem::take(&mut self.again) {
                continue;
            }
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => self.on_event(event),
                () = sleep_ms(self.context.settings.renew_ms) => {}
            }
            while let Ok(event) = self.events.try_recv() {
                self.on_event(event);
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Changed => {}
            Event::Heard(word) => self.on_word(word),
            Event::LetGo(partition) => {
                if let Some(moved) = self.moves.get_mut(&partition) {
                    moved.gone_ms = Some(self.context.clock.boot_ms());
                    let to = moved.to.clone();
                    let from = Some(self.context.name.clone());
                    word::say(&self.context, Word::Handed { partition, to, from });
                }
            }
            Event::Format(found) => self.on_format(found),
            Event::Drain(answer) => {
                self.is_draining = true;
                self.draining.push(answer);
                // The others must know us to drain before they see our partitions free.
                self.again = true;
            }
        }
    }

    fn on_word(&mut self, word: Word) {
        let me = &self.context.name;
        match word {
            Word::Handed { partition, to, from } if to == *me => {
                if self.in_touch
                    && self.may_take()
                    && self.context.settings.placement != Placement::Manual
                    && !self.is_anothers(partition, from.as_deref())
                {
                    self.received.insert(partition);
                    self.tell_root(RootMsg::Free(vec![partition]));
                }
            }
            Word::Served { partition, node } if node != *me => self.arrived(partition),
            Word::Move { partition, to } => {
                if to == *me {
                    self.pins.insert(partition, self.context.clock.wall_ms());
                } else {
                    self.pins.remove(&partition);
                }
                // Everybody's leases must say so before it can be acted on.
                self.again = true;
            }
            Word::Drain { node, drains } if node == *me => {
                // One that is asked to stop drains, whatever an operator takes back.
                self.is_draining = drains || !self.draining.is_empty();
                self.again = true;
            }
            Word::Raise { level } => self.raise(level),
            Word::Handed { .. } | Word::Served { .. } | Word::Drain { .. } | Word::Look => {}
        }
    }

    /// Whether somebody else than `from` owns it, as far as we know: the signal that hands it to us was long on its way.
    fn is_anothers(&self, partition: PartitionId, from: Option<&str>) -> bool {
        // A build that does not say it is taken at its word.
        let Some(from) = from else { return false };
        let owns = |member: &Member| member.info.owned.contains(&partition);
        self.others.iter().any(|(node, member)| node != from && owns(member))
    }

    /// Whether this node may take partitions at all.
    fn may_take(&self) -> bool {
        !self.is_draining
            && !self.clock_is_off
            && self.name_is == NameIs::Ours
            && self.format.may_take()
    }

    fn on_format(&mut self, found: Option<FormatLevel>) {
        self.format.was_read(found);
        if let Some(level) = found {
            // Each time: a shard that was still taking its partition did not hear it.
            self.tell_root(RootMsg::Format(level));
        }
    }

    /// An operator wants it. Of several nodes each stores it, or none does.
    fn raise(&mut self, level: FormatLevel) {
        if !self.in_touch {
            return;
        }
        let others = self.neighbours.formats(self.context.clock.boot_ms());
        match self.format.refuses(level, &others) {
            Some(why) => tracing::warn!(%level, why, "the format level is not raised"),
            None if level > self.format.level() => {
                format::read(&self.context, Some(level), self.tell.clone());
            }
            None => {}
        }
    }

    /// A partition that we handed over is served elsewhere.
    fn arrived(&mut self, partition: PartitionId) {
        if let Some(moved) = self.moves.remove(&partition) {
            let took_ms = self.context.clock.boot_ms().saturating_sub(moved.begun_ms);
            histogram!(HAND_OVER_SECONDS).record(Duration::from_millis(took_ms));
            tracing::info!(%partition, to = moved.to, took_ms, "partition handed over");
        }
    }

    fn tell_root(&self, message: RootMsg) {
        // Without its root the node is gone.
        drop(self.root.cast(message));
    }

    /// One renewal and what follows from it; false when the root is gone.
    async fn round(&mut self) -> bool {
        let (now_ms, every_ms) = (self.context.clock.boot_ms(), self.context.settings.lease_ms);
        if self.format.begins_to_read(now_ms, every_ms) {
            format::read(&self.context, None, self.tell.clone());
        }
        let Some(mut mine) = self.say().await else { return false };
        self.tell_served(&mine);
        if !self.look(&mine).await {
            return true;
        }
        if self.name_is == NameIs::Taken {
            return self.leave_the_name();
        }
        self.doubt(&mine);
        self.follow_moves();
        self.follow_free(&mine);
        if self.context.settings.placement == Placement::Manual {
            self.answer_drains(true);
            return true;
        }
        let mut plan = self.plan(&mine);
        if !plan.take.is_empty() && self.may_take() {
            // Claimed before taken: where two see different nodes, one of them sees the other's claim.
            mine.claims.clone_from(&plan.take);
            if !self.look(&mine).await {
                return true;
            }
            let claimed = std::mem::take(&mut plan.take);
            plan = self.plan(&mine);
            plan.take.retain(|partition| claimed.contains(partition));
        }
        self.carry_out(&mine, plan);
        true
    }

    /// What to say in the lease; `None` when the root is gone.
    async fn say(&self) -> Option<NodeInfo> {
        let (answer, answered) = oneshot::channel();
        self.root.cast(RootMsg::Stands(answer)).ok()?;
        let Stands { owned, served, cannot_serve, waits } = answered.await.ok()?;
        let handing = self.moves.iter().map(|(partition, moved)| (*partition, moved.to.clone()));
        let manual = self.context.settings.placement == Placement::Manual;
        Some(NodeInfo {
            owned,
            served,
            cannot_serve,
            waits,
            wants: self.wants.clone(),
            handing: handing.collect(),
            pins: self.pins.clone(),
            // Left behind, it goes as one does that is to be stopped.
            draining: self.is_draining || self.format.is_behind(),
            takes_none: manual || self.clock_is_off || self.name_is != NameIs::Ours,
            format_known: self.format.known(),
            life: Some(self.life),
            ..NodeInfo::new()
        })
    }

    /// Who handed us something hears when it is served.
    fn tell_served(&mut self, mine: &NodeInfo) {
        for partition in mine.served.keys().copied().filter(|p| self.received.contains(p)) {
            let node = self.context.name.clone();
            word::say(&self.context, Word::Served { partition, node });
        }
        self.received.retain(|partition| !mine.served.contains_key(partition));
    }

    /// Where another node serves by a later epoch, our shard asks the log at once: an idle one would notice only later.
    fn doubt(&self, mine: &NodeInfo) {
        for (partition, own) in &mine.served {
            let serves_later = |member: &Member| {
                member.info.served.get(partition).is_some_and(|other| other.epoch > own.epoch)
            };
            if self.others.values().any(serves_later) {
                self.tell_root(RootMsg::Verify(*partition));
            }
        }
    }

    fn follow_moves(&mut self) {
        let (now_ms, lease_ms) = (self.context.clock.boot_ms(), self.context.settings.lease_ms);
        let mut arrived = Vec::new();
        let mut failed = Vec::new();
        for (partition, moved) in &self.moves {
            if self.others.values().any(|member| member.info.served.contains_key(partition)) {
                arrived.push(*partition);
            } else if moved.gone_ms.is_some_and(|at| now_ms.saturating_sub(at) >= lease_ms) {
                let owned = self.others.values().any(|m| m.info.owned.contains(partition));
                if !owned {
                    failed.push(*partition);
                }
            }
        }
        for partition in arrived {
            self.arrived(partition);
        }
        for partition in failed {
            if let Some(moved) = self.moves.remove(&partition) {
                tracing::warn!(%partition, to = moved.to, "partition handed over and not taken");
                let until_ms = now_ms.saturating_add(self.context.settings.avoid_ms);
                self.avoided_until_ms.insert(moved.to, until_ms);
            }
        }
        self.avoided_until_ms.retain(|_, until_ms| *until_ms > now_ms);
    }

    fn follow_free(&mut self, mine: &NodeInfo) {
        let now_ms = self.context.clock.boot_ms();
        let free = plan::free(self.context.bus.partitions, mine, &self.others);
        self.free_since_ms.retain(|partition, _| free.contains(partition));
        for partition in free {
            self.free_since_ms.entry(partition).or_insert(now_ms);
        }
    }

    fn plan(&self, mine: &NodeInfo) -> Plan {
        let settings = &self.context.settings;
        let view = View {
            me: &self.context.name,
            mine,
            others: &self.others,
            partitions: self.context.bus.partitions,
            now_ms: self.context.clock.boot_ms(),
            free_since_ms: &self.free_since_ms,
            avoided_until_ms: &self.avoided_until_ms,
            lease_ms: settings.lease_ms,
            moves_max: settings.moves_max,
            moves: settings.placement == Placement::Rendezvous,
            format: self.format.level(),
            alone: settings.shard.breaks.agreed_moves,
        };
        view.plan()
    }

    fn carry_out(&mut self, mine: &NodeInfo, plan: Plan) {
        if self.may_take() {
            let handed = |p: &&PartitionId| {
                self.others.values().any(|member| member.info.handing.contains_key(*p))
            };
            self.received.extend(plan.take.iter().filter(handed));
            self.tell_root(RootMsg::Free(plan.take.into_iter().collect()));
        }
        if plan.wants != self.wants {
            self.wants = plan.wants;
            // Whoever owns them should know now, not at the next renewal.
            self.again = true;
        }
        let is_moved = !plan.hand_over.is_empty() || !self.moves.is_empty();
        for (partition, to) in plan.hand_over {
            self.begin_move(partition, to);
        }
        let nothing_left = mine.owned.is_empty();
        // Served here, and there is nobody who may have it.
        let nobody_else = !mine.served.is_empty();
        self.answer_drains(!is_moved && (nothing_left || nobody_else));
    }

    fn answer_drains(&mut self, done: bool) {
        // A drain asked for after what we have just said is for the next round.
        if done && self.is_draining {
            for answer in self.draining.drain(..) {
                // Who asked may have stopped waiting.
                let _ = answer.send(());
            }
        }
    }

    fn begin_move(&mut self, partition: PartitionId, to: String) {
        tracing::info!(%partition, to, "partition is handed over");
        let begun_ms = self.context.clock.boot_ms();
        self.moves.insert(partition, Move { to, begun_ms, gone_ms: None });
        let (answer, answered) = oneshot::channel();
        self.tell_root(RootMsg::Release { partition, answer });
        let tell = self.tell.clone();
        self.context.spawn(TaskKind::Maintenance, "hand-over", async move {
            if answered.await.is_ok() {
                // Without its follower the node is gone.
                drop(tell.send(Event::LetGo(partition)).await);
            }
        });
    }
}
