//! The five traits as one node reaches the simulated store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chassis::task::{self, TaskKind};
use tokio::{sync::oneshot, time::sleep};

use super::{
    Silence, World,
    link::{Fate, Plan, Wire},
    store::{Feed, Partition, Store},
};
use crate::{
    AppendError, BusError, Checkpoint, EntityId, Inbox, Leases, Log, LogAppendError, NodeLease,
    PartPut, PartitionId, ReadLimit, SavedPart, ScanMark, ScanPage, Signal, SignalStream, Signals,
    States,
    limits::{check_checkpoint, check_entry, check_partition, check_puts, check_record},
};

/// The caller gave up: nothing is known of its request.
struct GaveUp;

impl GaveUp {
    const WHY: &'static str = "no answer in time";

    fn unavailable(self) -> BusError {
        BusError::Unavailable(Self::WHY.to_owned())
    }
}

fn refused() -> BusError {
    BusError::Unavailable("refused".to_owned())
}

/// Which stream a request is for.
#[derive(Clone, Copy)]
enum Stream {
    Log,
    Inbox,
    States,
    Leases,
}

impl Stream {
    fn is_silent(self, silence: Silence) -> bool {
        match self {
            Self::Log => silence.log,
            Self::Inbox => silence.inbox,
            Self::States => silence.states,
            Self::Leases => silence.leases,
        }
    }
}

pub(super) struct SimNode {
    world: Arc<World>,
    wire: Wire,
}

impl SimNode {
    pub(super) fn new(world: Arc<World>, wire: Wire) -> Self {
        Self { world, wire }
    }

    /// Waits until the node may send, and draws what will happen to its request.
    async fn plan(&self, stream: Stream) -> Plan {
        // Even a request without any fault lets the other tasks run.
        tokio::task::yield_now().await;
        self.wire.while_paused().await;
        let (faults, silence) = {
            let store = self.world.store();
            (store.faults.clone(), store.silence)
        };
        let mut plan = self.wire.plan(&faults);
        if stream.is_silent(silence) {
            plan.fate = Fate::Lost;
        }
        plan
    }

    /// Sends a request that changes the store. Once sent it lands whatever becomes of the caller.
    async fn send<T: Send + 'static>(
        &self,
        plan: Plan,
        apply: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, GaveUp> {
        let (answer, answered) = oneshot::channel();
        let is_late = plan.fate == Fate::Late;
        let land = move |store: &mut Store| {
            store.harm.late_landings += u64::from(is_late);
            // The caller may be gone; the request lands all the same.
            drop(answer.send(apply(store)));
        };
        if plan.fate == Fate::Lost {
            drop(land);
        } else if plan.there.is_zero() {
            land(&mut self.world.store());
        } else {
            let world = Arc::clone(&self.world);
            let landing = async move {
                sleep(plan.there).await;
                land(&mut world.store());
            };
            task::spawn(TaskKind::Maintenance, "simulated-request", landing).detach();
        }
        if plan.fate != Fate::Answered {
            sleep(plan.give_up).await;
            self.wire.while_paused().await;
            return Err(GaveUp);
        }
        let answer = answered.await.map_err(|_| GaveUp)?;
        self.travel_back(plan).await?;
        Ok(answer)
    }

    async fn travel_back(&self, plan: Plan) -> Result<(), GaveUp> {
        if !plan.back.is_zero() {
            sleep(plan.back).await;
        }
        self.wire.while_paused().await;
        if !self.wire.hears() {
            sleep(plan.give_up).await;
            return Err(GaveUp);
        }
        Ok(())
    }

    /// Asks for something that changes nothing.
    async fn ask<T>(&self, stream: Stream, at: impl FnOnce(&Store) -> T) -> Result<T, BusError> {
        let plan = self.plan(stream).await;
        if plan.refused {
            return Err(refused());
        }
        if plan.fate != Fate::Answered {
            sleep(plan.give_up).await;
            self.wire.while_paused().await;
            return Err(GaveUp.unavailable());
        }
        if !plan.there.is_zero() {
            sleep(plan.there).await;
        }
        let answer = at(&self.world.store());
        self.travel_back(plan).await.map_err(GaveUp::unavailable)?;
        Ok(answer)
    }

    /// A lease may change though nobody hears that it did.
    async fn change_lease<T: Send + 'static>(
        &self,
        apply: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BusError> {
        let mut plan = self.plan(Stream::Leases).await;
        if plan.refused {
            return Err(refused());
        }
        if plan.fate == Fate::Late {
            // A node's renewals travel in order: a later one never overtakes it, nor does its successor's.
            (plan.fate, plan.there) = (Fate::Unanswered, Duration::ZERO);
        }
        self.send(plan, move |_| apply()).await.map_err(GaveUp::unavailable)
    }

    async fn ask_partition<T: Default>(
        &self,
        stream: Stream,
        partition: PartitionId,
        at: impl FnOnce(&Partition) -> T,
    ) -> Result<T, BusError> {
        check_partition(partition, self.world.partitions)?;
        self.ask(stream, |store| store.partition(partition).map(at).unwrap_or_default()).await
    }

    /// Waits for entries of a feed; a long poll goes on over a cut.
    async fn poll(
        &self,
        stream: Stream,
        partition: PartitionId,
        feed: fn(&Partition) -> &Feed,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        check_partition(partition, self.world.partitions)?;
        loop {
            self.wire.until_up().await;
            let found = self
                .ask_partition(stream, partition, |held| feed(held).after(after, limit))
                .await?;
            if !found.is_empty() {
                return Ok(found);
            }
            let watch = self.world.store().partition(partition).map(|held| feed(held).watch());
            let Some(mut last) = watch else { return Err(BusError::Closed) };
            // The store outlives its nodes, so the wait ends only when there is something.
            drop(last.wait_for(|last| *last > after).await);
        }
    }
}

#[async_trait]
impl Inbox for SimNode {
    async fn append(&self, partition: PartitionId, entry: Bytes) -> Result<u64, AppendError> {
        check_entry(partition, self.world.partitions, &entry)?;
        let plan = self.plan(Stream::Inbox).await;
        if plan.full {
            return Err(AppendError::Full("simulated".to_owned()));
        }
        self.send(plan, move |store| store.append_inbox(partition, entry))
            .await
            .map_err(|_| AppendError::Unknown(GaveUp::WHY.to_owned()))
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.poll(Stream::Inbox, partition, |held| &held.inbox, after, limit).await
    }

    async fn last(&self, partition: PartitionId) -> Result<u64, BusError> {
        self.ask_partition(Stream::Inbox, partition, |held| held.inbox.last_seq()).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        check_partition(partition, self.world.partitions)?;
        let plan = self.plan(Stream::Inbox).await;
        let trim = move |store: &mut Store| store.trim_inbox(partition, through);
        self.send(plan, trim).await.map_err(GaveUp::unavailable)
    }
}

#[async_trait]
impl Log for SimNode {
    async fn append(
        &self,
        partition: PartitionId,
        expected_last: u64,
        record: Bytes,
    ) -> Result<u64, LogAppendError> {
        check_record(partition, self.world.partitions, &record)?;
        let plan = self.plan(Stream::Log).await;
        self.send(plan, move |store| store.append_log(partition, expected_last, record))
            .await
            .map_err(|_| LogAppendError::Unknown(GaveUp::WHY.to_owned()))?
            .ok_or(LogAppendError::Conflict)
    }

    async fn last(&self, partition: PartitionId) -> Result<Option<(u64, Bytes)>, BusError> {
        let faults = self.world.store().faults.clone();
        let deposed = self.wire.deposed(&faults, partition);
        let at = |held: &Partition| {
            let last = held.log.last().cloned();
            (deposed.map_or_else(|| last.clone(), |deposed| held.log.last_known(deposed)), last)
        };
        let (answer, last) = self.ask_partition(Stream::Log, partition, at).await?;
        self.world.store().harm.stale_last_reads += u64::from(answer != last);
        Ok(answer)
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.ask_partition(Stream::Log, partition, |held| held.log.after(after, limit)).await
    }

    async fn tail(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.poll(Stream::Log, partition, |held| &held.log, after, limit).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        check_partition(partition, self.world.partitions)?;
        let plan = self.plan(Stream::Log).await;
        let trim = move |store: &mut Store| store.trim_log(partition, through);
        self.send(plan, trim).await.map_err(GaveUp::unavailable)
    }
}

#[async_trait]
impl States for SimNode {
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError> {
        self.ask_partition(Stream::States, partition, |held| held.parts_of(entity)).await
    }

    async fn put(&self, partition: PartitionId, mut puts: Vec<PartPut>) -> Result<(), BusError> {
        check_partition(partition, self.world.partitions)?;
        check_puts(&puts)?;
        let plan = self.plan(Stream::States).await;
        if plan.fate != Fate::Answered {
            // An error means that any part of it may be stored.
            puts.truncate(self.wire.up_to(puts.len()));
        }
        self.send(plan, move |store| store.put(partition, &puts)).await.map_err(GaveUp::unavailable)
    }

    async fn scan(
        &self,
        partition: PartitionId,
        _from: Option<ScanMark>,
    ) -> Result<ScanPage, BusError> {
        let parts = self.ask_partition(Stream::States, partition, Partition::all_parts).await?;
        Ok(ScanPage { parts, next: None })
    }

    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError> {
        self.ask_partition(Stream::States, partition, |held| held.checkpoint.clone()).await
    }

    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError> {
        check_partition(partition, self.world.partitions)?;
        check_checkpoint(&checkpoint)?;
        let plan = self.plan(Stream::States).await;
        self.send(plan, move |store| store.put_checkpoint(partition, checkpoint))
            .await
            .map_err(GaveUp::unavailable)
    }
}

#[async_trait]
impl Leases for SimNode {
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError> {
        let (world, node) = (Arc::clone(&self.world), node.to_owned());
        self.change_lease(move || {
            world.date(&node);
            world.leases.renew_now(&node, info)
        })
        .await
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        self.ask(Stream::Leases, |_| ()).await?;
        let mut leases = self.world.leases.list().await?;
        for (node, lease) in &mut leases {
            lease.renewed_wall_ms = self.world.dated(node);
        }
        Ok(leases)
    }

    async fn release(&self, node: &str) -> Result<(), BusError> {
        let (world, node) = (Arc::clone(&self.world), node.to_owned());
        self.change_lease(move || world.leases.release_now(&node)).await
    }
}

#[async_trait]
impl Signals for SimNode {
    async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        tokio::task::yield_now().await;
        self.wire.while_paused().await;
        let signal_lost = self.world.store().faults.signal_lost;
        if !self.wire.sends() || self.wire.chance(signal_lost) {
            return Ok(());
        }
        self.world.signals.publish(topic, body).await
    }

    async fn subscribe(&self, topic: &str) -> Result<Box<dyn SignalStream>, BusError> {
        let signals = self.world.signals.subscribe(topic).await?;
        Ok(Box::new(SimSignalStream { signals, wire: self.wire.clone() }))
    }
}

/// Drops what arrives while the link brings nothing.
struct SimSignalStream {
    signals: Box<dyn SignalStream>,
    wire: Wire,
}

#[async_trait]
impl SignalStream for SimSignalStream {
    async fn next(&mut self) -> Option<Result<Signal, u64>> {
        loop {
            let signal = self.signals.next().await;
            self.wire.while_paused().await;
            if self.wire.hears() {
                return signal;
            }
        }
    }
}
