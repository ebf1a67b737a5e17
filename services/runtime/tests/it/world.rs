//! One simulated installation and what tests ask of it.

use std::{sync::Arc, time::Duration};

use bus::{
    Bus, EntityId, InboxEntry, Input, PartitionId, Record, RecordBody, Reply, Step, sim::SimBus,
};
use chassis::clock::Clock;
use runtime::{Node, NodeOptions, Placement, Random, Settings, host::Host};

use crate::toy::{Account, ToyHost, World};

pub(crate) const PARTITIONS: u16 = 4;
const START_MS: u64 = 1_800_000_000_000;

pub(crate) struct Installation {
    pub(crate) sim: SimBus,
    pub(crate) clock: Clock,
    pub(crate) world: Arc<World>,
    pub(crate) settings: Settings,
    random: Random,
}

impl Installation {
    pub(crate) fn new(seed: u64) -> Self {
        let mut settings = Settings { placement: Placement::Manual, ..Settings::default() };
        settings.shard.checkpoint_interval_ms = 60_000;
        Self {
            sim: SimBus::new(seed, PARTITIONS),
            clock: Clock::virtual_from(START_MS),
            world: Arc::default(),
            settings,
            random: Random::seeded(seed),
        }
    }

    pub(crate) async fn node(&self, name: &str) -> (Node, Arc<ToyHost>) {
        self.node_on(self.sim.node(name), name).await
    }

    pub(crate) async fn node_on(&self, bus: Bus, name: &str) -> (Node, Arc<ToyHost>) {
        let host = Arc::new(ToyHost::default());
        (self.start(bus, name, host.clone(), self.settings.clone()).await, host)
    }

    /// A node with entities and settings of its own.
    pub(crate) async fn start(
        &self,
        bus: Bus,
        name: &str,
        host: Arc<dyn Host>,
        settings: Settings,
    ) -> Node {
        let options = NodeOptions {
            bus,
            host,
            executor: self.world.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            name: name.to_owned(),
            settings,
        };
        Node::start(options).await.unwrap()
    }

    pub(crate) async fn append(&self, inputs: Vec<Input>) {
        append(&self.sim.node("edge"), inputs).await;
    }

    /// Every step in the log of a partition, in order.
    pub(crate) fn steps(&self, partition: u16) -> Vec<Step> {
        let records = self.sim.records(PartitionId(partition));
        let steps = |(_, bytes): (u64, bytes::Bytes)| match Record::decode(&bytes).unwrap().body {
            RecordBody::Steps(steps) => steps.steps,
            _ => Vec::new(),
        };
        records.into_iter().flat_map(steps).collect()
    }

    /// Waits until the log of a partition holds this many steps.
    pub(crate) async fn until_steps(&self, partition: u16, count: usize) -> Vec<Step> {
        until("steps", || {
            let steps = self.steps(partition);
            (steps.len() >= count).then_some(steps)
        })
        .await
    }

    /// The saved state of an account.
    pub(crate) fn saved(&self, entity: EntityId) -> Option<Account> {
        let parts = self.sim.saved_parts(entity.partition(PARTITIONS));
        let mut own = parts.into_iter().filter(|(id, _)| *id == entity);
        own.find_map(|(_, part)| part.bytes).map(|bytes| bus::decode(&bytes).unwrap())
    }
}

pub(crate) async fn append(bus: &Bus, inputs: Vec<Input>) {
    let partition = inputs[0].target.partition(bus.partitions);
    let entry = InboxEntry::new(inputs).encode().unwrap();
    bus.inbox.append(partition, entry).await.unwrap();
}

/// Waits, with a bound, until there is an answer.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..30_000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

/// Lets virtual time pass.
pub(crate) async fn pass_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Sends one input that asks for a reply, and waits for it.
pub(crate) async fn ask(bus: &Bus, input: Input) -> Reply {
    let mut replies = bus.signals.subscribe("reply.test").await.unwrap();
    let wanted = input.header.key;
    append(bus, vec![Input { reply_to: Some("reply.test".to_owned()), ..input }]).await;
    loop {
        let next = tokio::time::timeout(Duration::from_secs(300), replies.next()).await;
        let Some(Ok(signal)) = next.expect("a reply in time") else { continue };
        let reply = Reply::decode(&signal.body).unwrap();
        if reply.key == wanted {
            return reply;
        }
    }
}
