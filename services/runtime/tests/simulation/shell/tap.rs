//! The bus as a node sees it, watched: whatever the node asks for is judged before it leaves.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use bus::{
    AppendError, Bus, BusError, Checkpoint, EntityId, Inbox, Leases, Log, LogAppendError,
    NodeLease, PartPut, PartitionId, ReadLimit, SavedPart, ScanMark, ScanPage, SignalStream,
    Signals, States,
};
use bytes::Bytes;

use crate::check::Judge;

/// One life of a node, from its start to its end.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) node: String,
    dead: AtomicBool,
}

impl Life {
    pub(crate) fn new(node: &str) -> Arc<Self> {
        Arc::new(Self { node: node.to_owned(), dead: AtomicBool::new(false) })
    }

    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }
}

/// The watched bus of one life.
#[derive(Clone)]
pub(crate) struct Tap {
    bus: Bus,
    judge: Judge,
    life: Arc<Life>,
}

impl Tap {
    pub(crate) fn on(bus: Bus, judge: Judge, life: Arc<Life>) -> Bus {
        let partitions = bus.partitions;
        let tap = Arc::new(Self { bus, judge, life });
        Bus {
            inbox: tap.clone(),
            log: tap.clone(),
            states: tap.clone(),
            leases: tap.clone(),
            signals: tap,
            partitions,
        }
    }

    fn lives(&self, what: &str) {
        if self.life.is_over() {
            self.judge.with(|checker| checker.on_dead(&self.life.node, what));
        }
    }
}

#[async_trait]
impl Inbox for Tap {
    async fn append(&self, partition: PartitionId, entry: Bytes) -> Result<u64, AppendError> {
        self.lives("appends to an inbox");
        self.judge.with(|checker| checker.on_send(partition, &entry));
        let result = self.bus.inbox.append(partition, entry).await;
        if result.is_err() {
            self.judge.count("channel appends not answered");
        }
        result
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.bus.inbox.read(partition, after, limit).await
    }

    async fn last(&self, partition: PartitionId) -> Result<u64, BusError> {
        self.bus.inbox.last(partition).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        self.bus.inbox.trim(partition, through).await
    }
}

#[async_trait]
impl Log for Tap {
    async fn append(
        &self,
        partition: PartitionId,
        expected_last: u64,
        record: Bytes,
    ) -> Result<u64, LogAppendError> {
        self.lives("appends to a log");
        let result = self.bus.log.append(partition, expected_last, record).await;
        match &result {
            Err(LogAppendError::Conflict) => self.judge.count("log conflicts"),
            Err(LogAppendError::Unknown(_)) => self.judge.count("log appends not answered"),
            _ => {}
        }
        result
    }

    async fn last(&self, partition: PartitionId) -> Result<Option<(u64, Bytes)>, BusError> {
        self.bus.log.last(partition).await
    }

    async fn read(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.bus.log.read(partition, after, limit).await
    }

    async fn tail(
        &self,
        partition: PartitionId,
        after: u64,
        limit: ReadLimit,
    ) -> Result<Vec<(u64, Bytes)>, BusError> {
        self.bus.log.tail(partition, after, limit).await
    }

    async fn trim(&self, partition: PartitionId, through: u64) -> Result<u64, BusError> {
        self.bus.log.trim(partition, through).await
    }
}

#[async_trait]
impl States for Tap {
    async fn load(
        &self,
        partition: PartitionId,
        entity: EntityId,
    ) -> Result<Vec<SavedPart>, BusError> {
        self.judge.count("loads");
        self.bus.states.load(partition, entity).await
    }

    async fn put(&self, partition: PartitionId, puts: Vec<PartPut>) -> Result<(), BusError> {
        self.lives("saves");
        self.judge.with(|checker| checker.on_save(&puts));
        let result = self.bus.states.put(partition, puts).await;
        if result.is_err() {
            self.judge.count("saves not answered");
        }
        result
    }

    async fn scan(
        &self,
        partition: PartitionId,
        from: Option<ScanMark>,
    ) -> Result<ScanPage, BusError> {
        self.bus.states.scan(partition, from).await
    }

    async fn checkpoint(&self, partition: PartitionId) -> Result<Option<Checkpoint>, BusError> {
        self.bus.states.checkpoint(partition).await
    }

    async fn put_checkpoint(
        &self,
        partition: PartitionId,
        checkpoint: Checkpoint,
    ) -> Result<(), BusError> {
        self.lives("writes a checkpoint");
        self.bus.states.put_checkpoint(partition, checkpoint).await
    }
}

#[async_trait]
impl Leases for Tap {
    async fn renew(&self, node: &str, info: Bytes) -> Result<u64, BusError> {
        self.lives("renews its lease");
        self.bus.leases.renew(node, info).await
    }

    async fn list(&self) -> Result<BTreeMap<String, NodeLease>, BusError> {
        self.bus.leases.list().await
    }

    async fn release(&self, node: &str) -> Result<(), BusError> {
        self.bus.leases.release(node).await
    }
}

#[async_trait]
impl Signals for Tap {
    async fn publish(&self, topic: &str, body: Bytes) -> Result<(), BusError> {
        self.lives("publishes");
        self.judge.with(|checker| checker.on_publish(topic, &body));
        self.bus.signals.publish(topic, body).await
    }

    async fn subscribe(&self, topic: &str) -> Result<Box<dyn SignalStream>, BusError> {
        self.bus.signals.subscribe(topic).await
    }
}
