//! Saves, checkpoints, passivation, release.

use bus::{Position, RecordBody};

use super::driver::{Driver, command, entity, keys, settings};
use crate::{
    ShardSettings,
    shard::{Action, Notice, StopReason},
};

/// Checkpoints whenever time passes.
fn eager() -> ShardSettings {
    ShardSettings { checkpoint_interval_ms: 1, ..settings() }
}

#[test]
fn a_checkpoint_follows_the_saves_of_all_it_covers() {
    let mut driver = Driver::new(eager());
    driver.hold.extend(["save", "checkpoint"]);
    driver.input(vec![command(1, 1, "put a=1;put b=1"), command(2, 2, "put a=2")]);
    driver.pass(10);
    let covered = driver.shard.status().position;
    driver.input(vec![command(3, 1, "put a=3")]);
    assert!(driver.take_held("checkpoint").is_empty());
    while let Some(save) = driver.take_held("save").pop() {
        assert!(driver.take_held("checkpoint").is_empty(), "before its saves are stored");
        driver.perform_held(save);
    }
    assert_eq!(driver.store.part(entity(1), "a").unwrap().1, "1 ");
    let checkpoints = driver.take_held("checkpoint");
    let [Action::PutCheckpoint { checkpoint, .. }] = checkpoints.as_slice() else { panic!() };
    assert_eq!(checkpoint.position, covered);
}

#[test]
fn a_save_passes_the_gate_with_the_position_of_the_last_step_in_it() {
    let mut driver = Driver::new(eager());
    driver.input(vec![command(1, 1, "put a=1;put b=1")]);
    driver.hold.extend(["append", "save"]);
    driver.input(vec![command(2, 1, "put a=2")]);
    // The entity holds a step that is not durable when it is asked for its parts.
    driver.pass(10);
    assert!(driver.take_held("save").is_empty());
    let append = driver.take_held("append").pop().unwrap();
    driver.perform_held(append);
    let saves = driver.take_held("save");
    let [Action::Save { puts, .. }] = saves.as_slice() else { panic!("{saves:?}") };
    let steps = driver.store.steps();
    let found = puts.iter().map(|put| (put.part.name.0.as_str(), put.part.position));
    assert_eq!(found.collect::<Vec<_>>(), [("a", steps[1].0), ("b", steps[0].0)]);
    let text = puts[0].part.bytes.clone().unwrap();
    assert_eq!(text, "1 2 ");
}

#[test]
fn saves_and_checkpoints_are_repeated_until_they_are_stored() {
    let mut driver = Driver::new(eager());
    driver.hold.extend(["save", "checkpoint"]);
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.pass(10);
    for what in ["save", "checkpoint"] {
        for _ in 0..2 {
            assert_eq!(driver.take_held(what).len(), 1);
            driver.tell(match what {
                "save" => Notice::Saved { stored: false },
                _ => Notice::Checkpointed { stored: false },
            });
        }
        let last = driver.take_held(what).pop().unwrap();
        driver.perform_held(last);
    }
    assert_eq!(driver.shard.status().checkpoints, 1);
    driver.pass(10);
    assert!(driver.held.is_empty(), "nothing new since");
}

#[test]
fn a_load_is_the_saved_parts_and_the_events_they_do_not_hold() {
    for broken in [false, true] {
        let mut driver = Driver::new(eager());
        driver.hold.insert("checkpoint");
        driver.input(vec![command(1, 1, "put a=1;put b=1")]);
        driver.pass(10);
        // Saved ahead of a checkpoint that was never stored; then more steps.
        driver.input(vec![command(2, 1, "put b=2;put c=2")]);
        let mut eager = eager();
        eager.breaks.per_part_apply = broken;
        let mut driver = Driver::over(driver.store, eager, 2);
        driver.input(vec![command(3, 1, "put a=3")]);
        driver.pass(10);
        let text = |name| driver.store.part(entity(1), name).unwrap().1;
        assert_eq!(text("c"), "2 ");
        assert_eq!(text("a"), if broken { "1 1 3 " } else { "1 3 " });
        assert_eq!(text("b"), if broken { "1 1 2 " } else { "1 2 " });
    }
}

/// Parts read before a save, and used after the checkpoint that followed it: found by the simulation.
#[test]
fn a_load_that_a_checkpoint_overtakes_loses_nothing() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=1;put b=1")]);
    driver.shard.settings.checkpoint_interval_ms = 1;
    driver.hold.insert("save");
    driver.pass(10);
    let save = driver.take_held("save").pop().unwrap();
    // The entity fails while its save is on its way; its parts are read before the save is stored.
    driver.hold.insert("load");
    driver.input(vec![command(2, 1, "panic-once")]);
    let loads = driver.take_held("load");
    let [Action::Load { entity: id, life }] = loads.as_slice() else { panic!("{loads:?}") };
    let (id, life) = (*id, *life);
    driver.perform_held(save);
    assert!(driver.store.checkpoint.is_some());
    driver.tell(Notice::Loaded { entity: id, life, parts: Vec::new() });
    driver.hold.clear();
    driver.input(vec![command(3, 1, "put b=3")]);
    driver.pass(10);
    assert_eq!(driver.store.part(entity(1), "a").unwrap().1, "1 after-panic ");
    assert_eq!(driver.store.part(entity(1), "b").unwrap().1, "1 3 ");
}

#[test]
fn a_new_owner_replays_from_the_checkpoint() {
    let mut driver = Driver::new(eager());
    driver.input(vec![command(1, 1, "put a=1"), command(2, 2, "put a=1;panic")]);
    driver.pass(10);
    driver.input(vec![command(3, 1, "put a=3")]);
    let before = driver.shard.status();
    let mut driver = Driver::over(driver.store, eager(), 2);
    let after = driver.shard.status();
    assert_eq!((after.place, after.dead_letters), (before.place, before.dead_letters));
    assert_eq!(after.known, 1, "what the checkpoint covers is not replayed");
    driver.pass(10);
    assert_eq!(driver.store.part(entity(1), "a").unwrap().1, "1 3 ");
    assert_eq!(driver.loads, [entity(1)], "saved though no input came for it");
}

#[test]
fn an_idle_entity_leaves_after_it_is_saved_and_comes_back_whole() {
    let mut idle = settings();
    idle.live_max = 1;
    idle.idle_ms = 5_000;
    let mut driver = Driver::new(idle);
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.pass(4_000);
    driver.input(vec![command(2, 2, "put a=2")]);
    assert_eq!(driver.shard.status().live, 2);
    driver.hold.insert("save");
    driver.pass(2_000);
    assert_eq!(driver.shard.status().live, 2, "its save is not confirmed");
    driver.let_go();
    assert_eq!(driver.shard.status().live, 1, "the one idle for longest");
    driver.pass(10_000);
    assert_eq!(driver.shard.status().live, 1, "within the limit all stay");
    driver.input(vec![command(3, 1, "put a=3")]);
    driver.shard.settings.checkpoint_interval_ms = 1;
    driver.pass(10);
    assert_eq!(driver.store.part(entity(1), "a").unwrap().1, "1 3 ");
}

#[test]
fn an_entity_used_while_it_is_saved_stays() {
    let mut idle = settings();
    idle.live_max = 0;
    idle.idle_ms = 5_000;
    let mut driver = Driver::new(idle);
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.hold.insert("save");
    driver.pass(6_000);
    driver.input(vec![command(2, 1, "put a=2")]);
    driver.let_go();
    assert_eq!(driver.shard.status().live, 1);
}

#[test]
fn a_part_that_cannot_be_saved_blocks_the_checkpoint_and_alarms() {
    let mut driver = Driver::new(eager());
    driver.hold.insert("snapshot");
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.pass(10);
    let snapshots = driver.take_held("snapshot");
    let [Action::Snapshot { life, .. }] = snapshots.as_slice() else { panic!("{snapshots:?}") };
    let (life, parts) = (*life, Err("no form".to_owned()));
    driver.tell(Notice::Snapshot { entity: entity(1), life, through: 1, parts });
    assert_eq!(driver.alarms, ["part_unsavable", "checkpoint_blocked"]);
    assert_eq!(driver.store.checkpoint, None);
    driver.hold.clear();
    driver.pass(10);
    assert!(driver.store.checkpoint.is_some(), "tried again at the next time");
}

#[test]
fn release_commits_saves_checkpoints_and_ends_with_a_record() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.input(vec![command(1, 1, "put a=1"), command(2, 2, "put a=2")]);
    driver.tell(Notice::Release);
    driver.input(vec![command(3, 1, "put a=3")]);
    driver.let_go();
    assert_eq!(driver.stopped, Some(StopReason::Released));
    assert_eq!(keys(&driver.store), [1, 2], "it read no more");
    let records = driver.store.records();
    assert_eq!(records.last().unwrap().1.body, RecordBody::Released);
    let (before_last, _) = &records[records.len() - 2];
    let checkpoint = driver.store.checkpoint.clone().unwrap();
    assert_eq!(checkpoint.position, Position { generation: 1, seq: *before_last, index: 0 });
    // The next owner replays nothing, and decides what was left.
    let driver = Driver::over(driver.store, settings(), 2);
    assert_eq!(keys(&driver.store), [1, 2, 3]);
}
