use super::*;

const LEASE_MS: u64 = 100;
const PARTITIONS: u16 = 64;

/// Nodes that see each other's leases at once, all settled unless said otherwise.
#[derive(Default)]
struct World {
    nodes: BTreeMap<String, NodeInfo>,
    unsettled: BTreeSet<String>,
    avoided: BTreeMap<String, u64>,
    free_since_ms: BTreeMap<PartitionId, u64>,
    now_ms: u64,
    format: FormatLevel,
}

impl World {
    fn of(names: &[&str]) -> Self {
        let nodes = names.iter().map(|name| ((*name).to_owned(), NodeInfo::new())).collect();
        Self { nodes, ..Self::default() }
    }

    fn info(&mut self, node: &str) -> &mut NodeInfo {
        self.nodes.get_mut(node).unwrap()
    }

    fn plan(&self, me: &str) -> Plan {
        let others = self.nodes.iter().filter(|(node, _)| *node != me);
        let member = |(node, info): (&String, &NodeInfo)| {
            let settled = !self.unsettled.contains(node);
            (node.clone(), Member { info: info.clone(), settled })
        };
        let others = others.map(member).collect();
        let view = View {
            me,
            mine: &self.nodes[me],
            others: &others,
            partitions: PARTITIONS,
            now_ms: self.now_ms,
            free_since_ms: &self.free_since_ms,
            avoided_until_ms: &self.avoided,
            lease_ms: LEASE_MS,
            moves_max: 1,
            moves: true,
            format: self.format,
            alone: false,
        };
        view.plan()
    }

    /// Every node takes what it may.
    fn take_all(&mut self) {
        let names: Vec<String> = self.nodes.keys().cloned().collect();
        let plans: Vec<_> = names.iter().map(|node| (node.clone(), self.plan(node))).collect();
        for (node, plan) in plans {
            for partition in plan.take {
                self.give(&node, partition);
            }
        }
    }

    fn give(&mut self, node: &str, partition: PartitionId) {
        let info = self.info(node);
        info.owned.insert(partition);
        info.served.insert(partition, crate::node::info::Served::default());
    }

    fn owners(&self, partition: PartitionId) -> Vec<&str> {
        let owns = |info: &NodeInfo| info.owned.contains(&partition);
        self.nodes.iter().filter(|(_, info)| owns(info)).map(|(node, _)| node.as_str()).collect()
    }

    fn say_wants(&mut self) {
        let names: Vec<String> = self.nodes.keys().cloned().collect();
        for node in names {
            self.info(&node).wants = self.plan(&node).wants;
        }
    }
}

#[test]
fn each_partition_has_one_taker_and_shares_are_fair() {
    let mut world = World::of(&["a", "b", "c"]);
    world.take_all();
    for partition in (0..PARTITIONS).map(PartitionId) {
        assert_eq!(world.owners(partition).len(), 1, "{partition}");
    }
    for (node, info) in &world.nodes {
        assert!((12..=30).contains(&info.owned.len()), "{node}: {}", info.owned.len());
    }
}

#[test]
fn a_death_moves_only_what_the_dead_had() {
    let mut world = World::of(&["a", "b", "c"]);
    world.take_all();
    let before = world.nodes.clone();
    let dead = world.nodes.remove("c").unwrap();
    let taken: Vec<_> = ["a", "b"].map(|node| world.plan(node).take).into_iter().collect();
    let all: BTreeSet<_> = taken.iter().flatten().copied().collect();
    assert_eq!(all, dead.owned);
    assert_eq!(taken.iter().map(BTreeSet::len).sum::<usize>(), dead.owned.len());
    assert!(taken.iter().all(|taken| !taken.is_empty()));
    for node in ["a", "b"] {
        assert_eq!(world.plan(node).hand_over, BTreeMap::new());
        assert_eq!(world.nodes[node], before[node]);
    }
}

#[test]
fn a_join_moves_one_at_a_time_only_to_who_wants_it_and_has_settled() {
    let mut world = World::of(&["a"]);
    world.take_all();
    world.nodes.insert("b".to_owned(), NodeInfo::new());
    world.unsettled.insert("b".to_owned());
    assert_eq!(world.plan("b").take, BTreeSet::new(), "what a live owner holds");
    world.say_wants();
    assert!(world.nodes["b"].wants.len() > 20);
    assert_eq!(world.plan("a").hand_over, BTreeMap::new(), "not settled");
    world.unsettled.clear();
    let moved = world.plan("a").hand_over;
    assert_eq!(moved.len(), 1);
    let (partition, to) = moved.into_iter().next().unwrap();
    assert_eq!(to, "b");
    // Under way: nothing else moves, nobody but the taker takes it, and the taker only once it is let go.
    world.info("a").handing.insert(partition, to);
    assert_eq!(world.plan("a").hand_over, BTreeMap::new());
    assert!(!world.plan("b").take.contains(&partition));
    world.info("a").owned.remove(&partition);
    world.info("a").served.remove(&partition);
    assert_eq!(world.plan("b").take, BTreeSet::from([partition]));
    assert_eq!(world.plan("a").take, BTreeSet::new());
    // Served there: the next one.
    world.give("b", partition);
    world.info("a").handing.clear();
    assert_eq!(world.plan("a").hand_over.len(), 1);
    // The taker does not want it any more, as it sees another world.
    world.info("b").wants.clear();
    assert_eq!(world.plan("a").hand_over, BTreeMap::new());
    world.say_wants();
    world.avoided.insert("b".to_owned(), 50);
    assert_eq!(world.plan("a").hand_over, BTreeMap::new(), "it did not take the last one");
    world.now_ms = 50;
    assert_eq!(world.plan("a").hand_over.len(), 1);
}

/// Rounds of hand-overs end, with everything where it belongs.
#[test]
fn moves_come_to_rest() {
    let mut world = World::of(&["a", "b", "c"]);
    for partition in (0..PARTITIONS).map(PartitionId) {
        world.give("a", partition);
    }
    let mut moves = 0;
    loop {
        world.say_wants();
        let Some((partition, to)) = world.plan("a").hand_over.pop_first() else { break };
        world.info("a").owned.remove(&partition);
        world.info("a").served.remove(&partition);
        world.give(&to, partition);
        moves += 1;
        assert!(moves <= usize::from(PARTITIONS));
    }
    let mut fresh = World::of(&["a", "b", "c"]);
    fresh.take_all();
    for partition in (0..PARTITIONS).map(PartitionId) {
        assert_eq!(world.owners(partition), fresh.owners(partition));
    }
    for node in ["b", "c"] {
        assert_eq!(world.plan(node).hand_over, BTreeMap::new());
    }
}

#[test]
fn who_cannot_serve_waits_or_drains_is_passed_over() {
    let harm: [fn(&mut NodeInfo); 4] = [
        |info| info.cannot_serve = (0..PARTITIONS).map(PartitionId).collect(),
        |info| info.waits = (0..PARTITIONS).map(PartitionId).collect(),
        |info| info.draining = true,
        |info| info.takes_none = true,
    ];
    for harm in harm {
        let mut world = World::of(&["a", "b"]);
        harm(world.info("b"));
        assert_eq!(world.plan("b").take, BTreeSet::new());
        assert_eq!(world.plan("a").take.len(), usize::from(PARTITIONS));
        world.take_all();
        assert_eq!(world.plan("b").wants, BTreeSet::new());
        world.say_wants();
        assert_eq!(world.plan("a").hand_over, BTreeMap::new());
    }
}

#[test]
fn the_next_in_rank_takes_what_the_best_leaves_lying_but_not_what_it_claims() {
    let mut world = World::of(&["a", "b"]);
    let best = world.plan("a").take;
    let left = PartitionId((0..PARTITIONS).find(|n| !best.contains(&PartitionId(*n))).unwrap());
    world.free_since_ms.insert(left, 0);
    world.now_ms = LEASE_MS - 1;
    assert!(!world.plan("a").take.contains(&left));
    world.now_ms = LEASE_MS;
    assert!(world.plan("a").take.contains(&left));
    world.info("b").claims.insert(left);
    assert!(!world.plan("a").take.contains(&left));
}

#[test]
fn a_drain_hands_over_to_whoever_may_have_it_and_stays_when_nobody_may() {
    let mut world = World::of(&["a", "b"]);
    world.take_all();
    world.unsettled.insert("b".to_owned());
    world.info("a").draining = true;
    assert_eq!(world.plan("a").hand_over.len(), 1);
    world.info("b").draining = true;
    assert_eq!(world.plan("a").hand_over, BTreeMap::new());
}

#[test]
fn an_operators_move_wins_over_the_score_and_the_latest_one_counts() {
    let mut world = World::of(&["a", "b", "c"]);
    world.take_all();
    let mine = *world.nodes["a"].owned.first().unwrap();
    world.info("b").pins.insert(mine, 5);
    assert_eq!(world.plan("a").hand_over, BTreeMap::from([(mine, "b".to_owned())]));
    world.info("c").pins.insert(mine, 6);
    assert_eq!(world.plan("a").hand_over, BTreeMap::from([(mine, "c".to_owned())]));
    // The pin ends with its node: free again, it goes by score.
    world.nodes.remove("b");
    world.nodes.remove("c");
    assert_eq!(world.plan("a").hand_over, BTreeMap::new());
}

#[test]
fn who_does_not_know_the_format_level_is_given_nothing() {
    let mut world = World::of(&["a", "b", "old"]);
    for node in ["a", "b"] {
        world.info(node).format_known = FormatLevel(2);
    }
    let taken = |world: &World| ["a", "b", "old"].map(|node| world.plan(node).take.len());
    assert!(taken(&world).into_iter().all(|count| count > 0));
    world.format = FormatLevel(2);
    let [a, b, old] = taken(&world);
    assert_eq!((a + b, old), (usize::from(PARTITIONS), 0));
    // What it has it may keep until it is handed over: nobody else takes it.
    world.format = FormatLevel::FIRST;
    world.take_all();
    world.format = FormatLevel(2);
    assert_eq!(taken(&world), [0; 3]);
    world.info("old").draining = true;
    assert!(!world.plan("old").hand_over.is_empty());
}
