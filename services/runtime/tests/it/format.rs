//! Builds that know other format levels share an installation: an old one beside a new one, the raise, and the ways back.

mod meter;

use std::time::Duration;

use bus::{Bus, FormatLevel, PartitionId, Record, RecordBody, Reply};
use runtime::{
    Node, Placement, format_level, move_partition, raise_format_level, store_format_level, survey,
};

use crate::{
    toy::account,
    world::{Installation, PARTITIONS, ask, pass_ms, until},
};
use meter::MeterHost;

const SECOND: FormatLevel = FormatLevel(2);
const PARTITION: PartitionId = PartitionId(0);
/// Moves of the partition between the two builds.
const ROUNDS: u64 = 12;

/// An installation with one meter per partition, and how much each was told.
struct Shared {
    installation: Installation,
    told: u64,
    /// The new build writes its newest version, whatever the level.
    naive: bool,
}

impl Shared {
    fn new(seed: u64, naive: bool) -> Self {
        let mut installation = Installation::new(seed);
        installation.settings.placement = Placement::Rendezvous;
        installation.settings.settle_ms = 1_000;
        Self { installation, told: 0, naive }
    }

    fn bus(&self) -> Bus {
        self.installation.sim.node("operator")
    }

    /// A process of a build that knows levels up to `known`.
    async fn build(&self, name: &str, known: FormatLevel) -> Node {
        let mut settings = self.installation.settings.clone();
        settings.shard.format_known = known;
        settings.shard.breaks.format_level = self.naive;
        let host = MeterHost::knowing(known);
        let bus = self.installation.sim.node(name);
        self.installation.start(bus, name, host, settings).await
    }

    /// Every meter counts on and says what it has counted altogether, where its partition is served.
    async fn count_on(&mut self, node: &[&Node]) -> Result<(), String> {
        self.told += 1;
        for partition in 0..PARTITIONS {
            let (meter, n) = (account(partition, 1, PARTITIONS), u64::from(partition));
            let input = meter::add(1_000 * self.told + n, meter, 3);
            let bus = self.bus();
            let answered = ask(&bus, input);
            let reply = tokio::select! {
                biased;
                reply = answered => reply,
                () = cannot_serve(node) => return Err("a node cannot serve a partition".to_owned()),
            };
            let Reply { result: Ok(total), .. } = reply else { return Err(format!("{reply:?}")) };
            assert_eq!(total, (3 * self.told).to_string(), "partition {partition}");
        }
        Ok(())
    }

    /// The partition goes to and fro between nodes of two builds, which count on meanwhile.
    async fn back_and_forth(&mut self, old: &Node, new: &Node) -> Result<(), String> {
        for round in 0..ROUNDS {
            let to = if round % 2 == 0 { new } else { old };
            move_partition(&self.bus(), PARTITION, to.name()).await.unwrap();
            let both = [old, new];
            tokio::select! {
                biased;
                () = serves(to, PARTITION) => {}
                () = cannot_serve(&both) => return Err(format!("round {round}: unreadable")),
            }
            self.count_on(&both).await?;
        }
        Ok(())
    }

    /// Versions of records, and of the events in them.
    fn written(&self) -> (Vec<u16>, Vec<u16>) {
        let (mut records, mut events) = (Vec::new(), Vec::new());
        for partition in (0..PARTITIONS).map(PartitionId) {
            for (_, bytes) in self.installation.sim.records(partition) {
                let record = Record::decode(&bytes).unwrap();
                records.push(record.version);
                if let RecordBody::Steps(steps) = record.body {
                    let of_steps = steps.steps.iter().flat_map(|step| &step.events);
                    events.extend(of_steps.map(|event| meter::version(&event.body)));
                }
            }
        }
        (records, events)
    }
}

fn serving(node: &Node) -> usize {
    node.readiness().borrow().serving
}

async fn serves(node: &Node, partition: PartitionId) {
    until("a partition to be served", || {
        let owners = node.owners();
        let owner = owners.borrow().get(&partition).cloned();
        owner.filter(|owner| owner.serving && owner.node == node.name()).map(drop)
    })
    .await;
}

async fn serves_some(node: &Node) {
    until("some to be served", || (serving(node) > 0).then_some(())).await;
}

async fn serves_all(node: &Node) {
    until("all to be served", || (serving(node) == usize::from(PARTITIONS)).then_some(())).await;
}

/// Ends when one of these nodes found a partition that it cannot serve.
async fn cannot_serve(nodes: &[&Node]) {
    loop {
        if nodes.iter().any(|node| node.readiness().borrow().cannot_serve > 0) {
            return;
        }
        pass_ms(50).await;
    }
}

/// An old and a new build take turns, and each of them dies once in the midst of it; what they wrote altogether.
async fn side_by_side(naive: bool) -> Result<(Vec<u16>, Vec<u16>), String> {
    let mut shared = Shared::new(70, naive);
    let old = shared.build("old", FormatLevel::FIRST).await;
    let new = shared.build("new", SECOND).await;
    shared.back_and_forth(&old, &new).await?;
    // What is replayed is what the other build decided and did not save.
    new.kill();
    serves_all(&old).await;
    shared.count_on(&[&old]).await?;
    let new = shared.build("new", SECOND).await;
    shared.back_and_forth(&old, &new).await?;
    old.kill();
    serves_all(&new).await;
    shared.count_on(&[&new]).await?;
    new.stop(Duration::from_secs(30)).await.unwrap();
    Ok(shared.written())
}

#[tokio::test(start_paused = true)]
async fn an_old_build_reads_all_that_a_new_one_writes_beside_it() {
    let (records, events) = side_by_side(false).await.unwrap();
    assert!(events.len() > 2 * usize::try_from(ROUNDS).unwrap());
    assert!(records.iter().chain(&events).all(|version| *version == 1));
}

/// The test above is worth something: a build that does not mind the level fails it.
#[tokio::test(start_paused = true)]
async fn a_build_that_writes_its_newest_version_at_once_is_found() {
    let why = side_by_side(true).await.unwrap_err();
    assert!(why.contains("unreadable") || why.contains("cannot serve"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn the_level_is_raised_once_the_old_are_gone_and_before_that_one_can_go_back() {
    let mut shared = Shared::new(71, false);
    let (bus, within) = (shared.bus(), Duration::from_secs(30));
    let old = shared.build("old", FormatLevel::FIRST).await;
    serves_all(&old).await;
    shared.count_on(&[&old]).await.unwrap();
    let new = shared.build("new", SECOND).await;
    serves_some(&new).await;
    // An operator who does not look.
    for _ in 0..20 {
        raise_format_level(&bus, SECOND).await.unwrap();
        pass_ms(500).await;
    }
    assert_eq!(format_level(&bus).await.unwrap(), FormatLevel::FIRST, "an old node lives");
    // Forth, back, and forth again.
    old.stop(within).await.unwrap();
    serves_all(&new).await;
    shared.count_on(&[&new]).await.unwrap();
    let old = shared.build("old", FormatLevel::FIRST).await;
    new.stop(within).await.unwrap();
    serves_all(&old).await;
    shared.count_on(&[&old]).await.unwrap();
    let new = shared.build("new", SECOND).await;
    old.stop(within).await.unwrap();
    serves_all(&new).await;
    shared.count_on(&[&new]).await.unwrap();
    assert!(shared.written().1.iter().all(|version| *version == 1));

    // The lease of the old one is given up; the new one must have seen that.
    let raised = async {
        while format_level(&bus).await.unwrap() < SECOND {
            raise_format_level(&bus, SECOND).await.unwrap();
            pass_ms(100).await;
        }
    };
    tokio::time::timeout(within, raised).await.unwrap();
    pass_ms(shared.installation.settings.lease_ms).await;
    shared.count_on(&[&new]).await.unwrap();
    let (records, events) = shared.written();
    let late = usize::from(PARTITIONS);
    assert_eq!(events.iter().filter(|version| **version == 2).count(), late, "{events:?}");
    assert!(records.contains(&2));

    // An old node that comes back takes nothing, and says why; the others let it have nothing.
    let old = shared.build("old", FormatLevel::FIRST).await;
    pass_ms(60_000).await;
    assert_eq!((serving(&old), old.readiness().borrow().owned), (0, 0));
    assert!(!old.readiness().borrow().is_ready());
    let seen = survey(&bus, Duration::from_secs(3)).await.unwrap();
    let said = &seen.nodes["old"];
    assert!(said.lives && said.draining && said.format_known == FormatLevel::FIRST, "{said:?}");
    shared.count_on(&[&new]).await.unwrap();
    // Alone, too, it leaves alone what it cannot read.
    new.stop(within).await.unwrap();
    pass_ms(60_000).await;
    assert_eq!(old.readiness().borrow().owned, 0);
    let new = shared.build("new", SECOND).await;
    serves_all(&new).await;
    shared.count_on(&[&new]).await.unwrap();
}

/// A desk of an older build would stop at the first record of the new level. The simulated bus says of a process that is no node
/// that it knows what this build knows.
#[tokio::test(start_paused = true)]
async fn the_level_is_not_raised_while_another_kind_of_process_does_not_know_it() {
    let shared = Shared::new(73, false);
    let (bus, next) = (shared.bus(), FormatLevel(FormatLevel::KNOWN.0 + 1));
    let node = shared.build("new", next).await;
    serves_all(&node).await;
    for _ in 0..20 {
        bus.leases.renew("desk:old", bus::encode(&7_u64).unwrap()).await.unwrap();
        pass_ms(shared.installation.settings.renew_ms).await;
        raise_format_level(&bus, next).await.unwrap();
    }
    let seen = survey(&bus, Duration::from_secs(3)).await.unwrap();
    assert_eq!(seen.others["desk:old"].format_known, FormatLevel::KNOWN);
    assert_eq!(format_level(&bus).await.unwrap(), FormatLevel::FIRST, "an old desk lives");
    bus.leases.release("desk:old").await.unwrap();
    let raised = async {
        while format_level(&bus).await.unwrap() < next {
            raise_format_level(&bus, next).await.unwrap();
            pass_ms(100).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), raised).await.unwrap();
}

/// A node of the old build had joined and was not seen yet when the level was raised.
#[tokio::test(start_paused = true)]
async fn an_old_node_that_is_left_behind_hands_everything_over() {
    let mut shared = Shared::new(72, false);
    let old = shared.build("old", FormatLevel::FIRST).await;
    serves_all(&old).await;
    let new = shared.build("new", SECOND).await;
    serves_some(&new).await;
    store_format_level(&shared.bus(), SECOND).await.unwrap();
    serves_all(&new).await;
    shared.count_on(&[&old, &new]).await.unwrap();
    assert_eq!(old.readiness().borrow().owned, 0);
    assert_eq!(old.readiness().borrow().cannot_serve, 0, "nothing was unreadable to it");
}
