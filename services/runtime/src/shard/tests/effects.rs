//! Channels out, calls, call results.

use bus::{Cause, INBOX_ENTRY_BYTES_MAX, InboxEntry, PartitionId};
use bytes::Bytes;

use super::driver::{Driver, command, entity, key, keys, settings};
use crate::{
    CallReturn,
    host::CallResult,
    shard::{Action, Notice, Retention, Why},
};

fn numbers(entry: &Bytes) -> Vec<u64> {
    let number = |cause| match cause {
        Cause::Channel { source, number, position, .. } => {
            assert_eq!((source, position.is_some()), (PartitionId(0), true));
            number
        }
        other => panic!("{other:?}"),
    };
    let inputs = InboxEntry::decode(entry).unwrap().inputs;
    inputs.into_iter().map(|input| number(input.header.cause)).collect()
}

fn held_send(driver: &mut Driver) -> (PartitionId, Bytes, u64) {
    let sends = driver.take_held("send");
    let [Action::Send { target, entry, delay_ms }] = sends.as_slice() else { panic!("{sends:?}") };
    (*target, entry.clone(), *delay_ms)
}

#[test]
fn a_channel_sends_one_prefix_at_a_time_and_the_same_one_until_it_is_stored() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("send");
    driver.input(vec![command(1, 1, "send 3 10")]);
    let (target, first, delay_ms) = held_send(&mut driver);
    assert_eq!((target, numbers(&first), delay_ms), (PartitionId(3), vec![1], 0));
    driver.input(vec![command(2, 2, "send 3 10"), command(3, 1, "send 3 10")]);
    assert!(driver.held.is_empty(), "one append in flight");
    for _ in 0..3 {
        driver.tell(Notice::Sent { target, stored: false });
        let (_, again, delay_ms) = held_send(&mut driver);
        assert_eq!(again, first);
        assert!(delay_ms > 0);
    }
    driver.tell(Notice::Sent { target, stored: true });
    let (_, next, _) = held_send(&mut driver);
    assert_eq!(numbers(&next), [2, 3]);
    // Channels do not wait for each other.
    driver.input(vec![command(4, 1, "send 1 10;send 2 10")]);
    assert_eq!(driver.take_held("send").len(), 2);
}

#[test]
fn a_prefix_fits_an_inbox_entry() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("send");
    driver.input((1..=6).map(|n| command(n, n, "send 3 100000")).collect());
    let mut sent = Vec::new();
    while sent.len() < 6 {
        let (target, entry, _) = held_send(&mut driver);
        assert!(entry.len() <= INBOX_ENTRY_BYTES_MAX);
        sent.extend(numbers(&entry));
        driver.tell(Notice::Sent { target, stored: true });
    }
    assert_eq!(sent, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_new_owner_sends_what_is_not_known_to_have_arrived() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "send 3 10;put a=1")]);
    driver.hold.insert("send");
    driver.input(vec![command(2, 1, "send 3 10"), command(3, 1, "send 3 10;put a=2")]);
    driver.tell(Notice::Tick);
    // A checkpoint after them remembers that 1 arrived and 2 and 3 may not have.
    driver.shard.settings.checkpoint_interval_ms = 1;
    driver.pass(10);
    assert!(driver.store.checkpoint.is_some());
    driver.input(vec![command(4, 1, "send 3 10")]);
    let mut driver = Driver::over(driver.store, settings(), 2);
    let sent: Vec<_> = driver.sent.iter().flat_map(|(_, entry)| numbers(entry)).collect();
    assert_eq!(sent, [2, 3, 4]);
    driver.input(vec![command(5, 1, "send 3 10")]);
    assert_eq!(numbers(&driver.sent.last().unwrap().1), [5]);
}

/// The second owner knows of no message that it arrived. The first owner's checkpoint knew it of two, came late, and let the log
/// be trimmed; the second owner's checkpoint took its place afterwards.
#[test]
fn a_log_trimmed_by_who_knew_more_has_arrived_is_replayed_from_a_checkpoint_that_knew_less() {
    let checkpointed = |mut driver: Driver| {
        driver.shard.settings.checkpoint_interval_ms = 1;
        driver.pass(10);
        driver.store
    };
    for trimmed_all in [false, true] {
        let mut first = Driver::new(settings());
        first.input(vec![command(1, 1, "send 3 10")]);
        first.input(vec![command(2, 1, "send 3 10")]);
        if trimmed_all {
            // The record of the checkpoint itself stays.
            first.input(vec![command(3, 1, "put a=1")]);
        } else {
            first.hold.insert("send");
            first.input(vec![command(3, 1, "send 3 10")]);
        }
        let before = first.store.clone();
        let late = checkpointed(first).checkpoint.unwrap();
        let mut store = checkpointed(Driver::over_holding(before, 2, &["send"]));
        let through = Retention::of(&late).unwrap().log_through;
        let knew_less = Retention::of(store.checkpoint.as_ref().unwrap()).unwrap();
        assert!(knew_less.log_through < through, "nothing is missed");
        store.log.retain(|(seq, _)| *seq > through);
        let mut third = Driver::over(store, settings(), 3);
        third.input(vec![command(4, 1, "send 3 10")]);
        let sent: Vec<_> = third.sent.iter().flat_map(|(_, entry)| numbers(entry)).collect();
        assert_eq!(sent, if trimmed_all { vec![3] } else { vec![3, 4] });
        assert!(third.alarms.is_empty(), "{:?}", third.alarms);
        assert_eq!(third.shard.status().unconfirmed, 0);
    }
}

#[test]
fn calls_start_by_two_seconds_after_the_append_was_sent() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.input(vec![command(1, 1, "call x")]);
    let sent_boot_ms = driver.now.boot_ms;
    driver.now.boot_ms += 1_999;
    let Some(Action::Append { number, expected_last, record, .. }) = driver.held.pop_front() else {
        panic!();
    };
    let seq = driver.store.append(expected_last, record).unwrap();
    let answer = crate::shard::AppendAnswer::Stored(seq);
    driver.tell(Notice::Appended { number, answer, sent_boot_ms });
    assert_eq!(driver.left, [format!("call x by {}", sent_boot_ms + 2_000)]);
}

/// Stores the record that is on its way, sent at `sent_boot_ms`.
fn store_held(driver: &mut Driver, sent_boot_ms: u64) {
    let appends = driver.take_held("append");
    let [Action::Append { number, expected_last, record, .. }] = appends.as_slice() else {
        panic!("one append is on its way: {appends:?}");
    };
    let seq = driver.store.append(*expected_last, record.clone()).unwrap();
    let answer = crate::shard::AppendAnswer::Stored(seq);
    driver.tell(Notice::Appended { number: *number, answer, sent_boot_ms });
}

#[test]
fn a_late_commit_is_followed_by_another_record_never_by_a_later_start_by() {
    let mut driver = Driver::new(settings());
    driver.hold.extend(["append", "last"]);
    driver.input(vec![command(1, 1, "call x"), command(2, 1, "cancel 1;signal s")]);
    let sent_boot_ms = driver.now.boot_ms;
    driver.now.boot_ms += 2_000;
    for _ in 0..2 {
        store_held(&mut driver, sent_boot_ms);
    }
    assert_eq!(driver.left, ["signal s"], "calls and cancels wait, in order");
    let place = driver.shard.status().place;
    // A record that is late itself is followed by the next.
    let sent_boot_ms = driver.now.boot_ms;
    driver.now.boot_ms += 2_500;
    store_held(&mut driver, sent_boot_ms);
    assert_eq!(driver.left.len(), 1);
    let sent_boot_ms = driver.now.boot_ms;
    driver.now.boot_ms += 100;
    store_held(&mut driver, sent_boot_ms);
    let call = format!("call x by {}", sent_boot_ms + 2_000);
    assert_eq!(driver.left, ["signal s", call.as_str(), "cancel 1"]);
    // There is nothing in them, and nothing more to show.
    assert_eq!((driver.store.steps().len(), driver.shard.status().place), (2, place));
    assert!(driver.held.is_empty(), "{:?}", driver.held);
    let next = Driver::over(driver.store, settings(), 2);
    assert_eq!((next.alarms.len(), next.shard.status().place), (0, place));
}

/// A leader that was deposed and does not know it shows a former owner to be last.
#[test]
fn a_last_record_of_our_own_is_no_proof() {
    for broken in [false, true] {
        let mut settings = settings();
        settings.breaks.leader_reads = broken;
        let mut driver = Driver::new(settings);
        driver.hold.extend(["append", "last"]);
        driver.input(vec![command(1, 1, "call x")]);
        let own = driver.take_held("append").pop().unwrap();
        let Action::Append { number, expected_last, record, .. } = own else { panic!() };
        let answer = crate::shard::AppendAnswer::Unknown;
        driver.tell(Notice::Appended { number, answer, sent_boot_ms: driver.now.boot_ms });
        driver.take_held("append");
        driver.store.append(expected_last, record).unwrap();
        let own = driver.store.last();
        driver.store.take_over(9);
        driver.now.boot_ms += 5_000;
        let (answer, sent_boot_ms) = (crate::shard::AppendAnswer::Conflict, driver.now.boot_ms);
        driver.tell(Notice::Appended { number, answer, sent_boot_ms });
        assert_eq!(driver.take_held("last").len(), 1);
        driver.tell(Notice::Last { why: Why::Conflict, answer: Ok(own.clone()), sent_boot_ms });
        assert_eq!(driver.left.len(), usize::from(broken), "it worked, and that was then");
        driver.tell(Notice::Verify);
        driver.take_held("last");
        driver.tell(Notice::Last { why: Why::Confirm, answer: Ok(own), sent_boot_ms });
        assert_eq!(driver.left.len(), usize::from(broken));
        driver.let_go();
        assert_eq!(driver.stopped.is_some(), !broken, "the record that would show it is refused");
        assert_eq!(driver.left.len(), usize::from(broken));
    }
}

#[test]
fn a_late_owner_that_was_fenced_starts_nothing() {
    for broken in [false, true] {
        let mut settings = settings();
        settings.breaks.start_by = broken;
        let mut driver = Driver::new(settings);
        driver.hold.insert("append");
        driver.input(vec![command(1, 1, "call x")]);
        let Some(Action::Append { number, expected_last, record, .. }) = driver.held.pop_front()
        else {
            panic!();
        };
        let sent_boot_ms = driver.now.boot_ms;
        let seq = driver.store.append(expected_last, record).unwrap();
        driver.store.take_over(9);
        driver.now.boot_ms += 20_000;
        let answer = crate::shard::AppendAnswer::Stored(seq);
        driver.tell(Notice::Appended { number, answer, sent_boot_ms });
        driver.let_go();
        assert_eq!(driver.stopped.is_some(), !broken);
        assert_eq!(driver.left.len(), usize::from(broken));
    }
}

#[test]
fn an_idle_owner_asks_and_learns_that_it_was_fenced() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("last");
    driver.pass(9_000);
    assert!(driver.held.is_empty());
    driver.pass(1_000);
    driver.pass(1_000);
    assert_eq!(driver.held.len(), 1, "asked once");
    driver.let_go();
    driver.pass(9_000);
    assert_eq!((driver.stopped.clone(), driver.alarms.len()), (None, 0));
    driver.store.take_over(9);
    driver.pass(2_000);
    assert_eq!(driver.stopped, Some(crate::shard::StopReason::Fenced));
}

fn result(n: u64) -> CallReturn {
    let business = bus::BusinessId::default();
    let result = CallResult::Done(Bytes::new());
    CallReturn { entity: entity(1), business, call: key(n), result }
}

#[test]
fn a_result_is_settled_when_its_step_is_durable() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.tell(Notice::CallResult(result(7)));
    assert_eq!(driver.left, [""; 0]);
    driver.let_go();
    assert_eq!(driver.left, ["settled 7"]);
    let (_, step) = driver.store.steps().pop().unwrap();
    assert_eq!((step.place, step.header.cause), (None, Cause::CallResult));
}

#[test]
fn a_releasing_owner_refuses_results() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.tell(Notice::Release);
    driver.tell(Notice::CallResult(result(7)));
    assert_eq!(driver.left, ["door closed", "refused 7"]);
}

#[test]
fn an_earlier_owners_calls_count_as_running_for_a_while() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "foreign;now;reply x;foreign")]);
    assert_eq!(driver.left, ["reply r1 Ok(\"0\") at 10.0"]);
    let mut driver = Driver::over(driver.store, settings(), 2);
    let left_at = |driver: &Driver| driver.left.last().unwrap().clone();
    driver.input(vec![command(2, 1, "reply x;foreign")]);
    let over = driver.now.wall_ms + 12_000;
    assert!(left_at(&driver).contains(&over.to_string()), "{}", left_at(&driver));
    // The wall clock jumps: it is the boot clock that counts.
    driver.now.wall_ms += 3_600_000;
    driver.pass(5_000);
    driver.input(vec![command(3, 1, "reply x;foreign")]);
    let over = driver.now.wall_ms + 7_000;
    assert!(left_at(&driver).contains(&over.to_string()), "{}", left_at(&driver));
    driver.pass(7_000);
    driver.input(vec![command(4, 1, "reply x;foreign")]);
    assert!(left_at(&driver).contains("Ok(\"0\")"), "{}", left_at(&driver));
    assert_eq!(keys(&driver.store), [1, 2, 3, 4]);
}
