//! Staging, records, and the outcomes of appends.

use bus::{RECORD_BYTES_MAX, RecordBody};

use super::driver::{Driver, Store, command, entity, key, keys, message, settings};
use crate::shard::{Action, AppendAnswer, Notice, StopReason, Why};

/// A driver with one record in flight, and its action.
fn in_flight(text: &str) -> (Driver, u64, u64) {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.input(vec![command(1, 1, text)]);
    let appends = driver.take_held("append");
    let [Action::Append { number, expected_last, .. }] = appends.as_slice() else {
        panic!("one append in flight: {appends:?}");
    };
    let (number, expected_last) = (*number, *expected_last);
    driver.held.extend(appends);
    (driver, number, expected_last)
}

fn answer(driver: &mut Driver, number: u64, answer: AppendAnswer) {
    let sent_boot_ms = driver.now.boot_ms;
    driver.tell(Notice::Appended { number, answer, sent_boot_ms });
}

fn last(driver: &mut Driver, answer: Option<(u64, bytes::Bytes)>) {
    let sent_boot_ms = driver.now.boot_ms;
    driver.tell(Notice::Last { why: Why::Conflict, answer: Ok(answer), sent_boot_ms });
}

#[test]
fn steps_are_staged_in_inbox_order_whatever_completes_first() {
    for broken in [false, true] {
        let mut settings = settings();
        settings.breaks.ordered_staging = broken;
        let mut driver = Driver::new(settings);
        driver.hold.insert("dispatch");
        driver.input(vec![command(1, 1, "put a=1"), command(2, 2, "put a=2")]);
        let mut dispatched = driver.take_held("dispatch");
        let second = dispatched.pop().unwrap();
        driver.perform_held(second);
        assert_eq!(keys(&driver.store), if broken { vec![2] } else { vec![] });
        let first = dispatched.pop().unwrap();
        driver.perform_held(first);
        assert_eq!(keys(&driver.store), if broken { vec![2, 1] } else { vec![1, 2] });
    }
}

#[test]
fn one_append_is_in_flight_and_the_rest_forms_the_next_record() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    for n in 1..=5 {
        driver.input(vec![command(n, n % 2, "put a=1")]);
    }
    assert_eq!(driver.held.len(), 1);
    let append = driver.take_held("append").pop().unwrap();
    driver.perform_held(append);
    assert_eq!((keys(&driver.store), driver.held.len()), (vec![1], 1));
    driver.let_go();
    assert_eq!(keys(&driver.store), [1, 2, 3, 4, 5]);
    let records = driver.store.records();
    assert_eq!(records.len(), 3, "epoch, one step, four steps");
    for (number, pair) in (1..).zip(records.windows(2)) {
        let (before, after) = (&pair[0], &pair[1]);
        assert_eq!(after.1.head.previous_seq, before.0);
        assert_eq!((after.1.head.number, after.1.head.epoch), (number, 1));
    }
}

#[test]
fn records_are_cut_at_step_boundaries() {
    let mut driver = Driver::new(settings());
    driver.hold.insert("append");
    driver.input(vec![command(1, 1, "put a=0")]);
    for n in 2..=14 {
        driver.input(vec![command(n, 1, "large 120000")]);
    }
    driver.let_go();
    assert_eq!(keys(&driver.store), (1..=14).collect::<Vec<_>>());
    assert!(driver.store.log.iter().all(|(_, bytes)| bytes.len() <= RECORD_BYTES_MAX));
    assert_eq!(driver.store.log.len(), 2 + 4, "four large steps fit one record");
}

#[test]
fn the_place_of_a_record_is_that_of_its_last_step() {
    let mut driver = Driver::new(settings());
    let mut many: Vec<_> = (1..=9).map(|n| command(n, 1, "large 120000")).collect();
    many.push(command(10, 1, "put a=1"));
    driver.input(many);
    let places = driver.store.records().into_iter().filter_map(|(_, record)| match record.body {
        RecordBody::Steps(steps) => Some((steps.place.index, steps.steps.len())),
        _ => None,
    });
    let mut next = 0;
    for (index, steps) in places.collect::<Vec<_>>() {
        next += steps;
        assert_eq!(usize::try_from(index).unwrap() + 1, next);
    }
    assert_eq!(next, 10);
    // A crash in the middle of an entry goes on with its next input.
    let mut store: Store = driver.store;
    store.log.truncate(3);
    let decided = keys(&store).len();
    assert!(decided < 10);
    let driver = Driver::over(store, settings(), 2);
    assert_eq!(keys(&driver.store), (1..=10).collect::<Vec<_>>());
}

#[test]
fn an_unknown_append_is_sent_again_with_the_same_bytes() {
    let (mut driver, number, expected) = in_flight("put a=1;reply ok");
    let Some(Action::Append { record: first, delay_ms, .. }) = driver.held.pop_front() else {
        panic!();
    };
    assert_eq!(delay_ms, 0);
    driver.input(vec![command(2, 1, "put a=2")]);
    for _ in 0..3 {
        answer(&mut driver, number, AppendAnswer::Unknown);
        let again = driver.take_held("append").pop().unwrap();
        let Action::Append { number: n, expected_last, record, delay_ms, .. } = again else {
            panic!();
        };
        assert_eq!((n, expected_last), (number, expected));
        assert_eq!(record, first);
        assert!(delay_ms > 0);
    }
    assert_eq!(driver.left, [""; 0]);
    // It had worked the first time: the last record is our own.
    let seq = driver.store.append(expected, first).unwrap();
    answer(&mut driver, number, AppendAnswer::Conflict);
    assert_eq!(driver.left, [format!("reply r1 Ok(\"ok\") at {seq}.0")]);
    driver.let_go();
    assert_eq!(keys(&driver.store), [1, 2]);
}

#[test]
fn another_incarnation_after_a_conflict_fences() {
    for broken in [false, true] {
        let (mut driver, number, _) = in_flight("put a=1;call x;reply ok");
        driver.shard.settings.breaks.incarnation = broken;
        driver.store.take_over(9);
        answer(&mut driver, number, AppendAnswer::Conflict);
        assert_eq!(driver.stopped.is_some(), !broken);
        assert_eq!(driver.left.len(), if broken { 2 } else { 0 });
        if !broken {
            assert_eq!(driver.stopped, Some(StopReason::Fenced));
            answer(&mut driver, number, AppendAnswer::Stored(99));
            assert_eq!(driver.left, [""; 0], "a stopped machine does nothing");
        }
    }
}

#[test]
fn a_leader_behind_is_asked_again_and_alarmed_on() {
    let (mut driver, number, expected) = in_flight("put a=1;reply ok");
    driver.hold.insert("last");
    answer(&mut driver, number, AppendAnswer::Conflict);
    driver.input(vec![command(2, 1, "put a=2")]);
    for _ in 0..5 {
        assert_eq!(driver.take_held("last").len(), 1);
        last(&mut driver, None);
    }
    assert_eq!(driver.alarms, ["log_went_back", "log_went_back"]);
    // Our own previous record is last after all: the append was not applied, so it is sent again.
    let found = driver.store.last();
    assert_eq!(found.as_ref().unwrap().0, expected);
    driver.take_held("append");
    last(&mut driver, found);
    let again = driver.take_held("append");
    assert!(matches!(again.as_slice(), [Action::Append { number: n, .. }] if *n == number));
    assert_eq!((driver.left.len(), driver.stopped.clone()), (0, None));
}

#[test]
fn a_read_that_fails_is_repeated_without_an_alarm() {
    let (mut driver, number, _) = in_flight("put a=1");
    driver.hold.insert("last");
    answer(&mut driver, number, AppendAnswer::Conflict);
    for _ in 0..9 {
        assert_eq!(driver.take_held("last").len(), 1);
        let sent_boot_ms = driver.now.boot_ms;
        let answer = Err("out of reach".to_owned());
        driver.tell(Notice::Last { why: Why::Conflict, answer, sent_boot_ms });
    }
    assert_eq!(driver.alarms, [""; 0]);
}

#[test]
fn nothing_leaves_before_its_record_is_durable() {
    let all = "put a=1;call x;cancel 77;signal s;send 3 5;reply ok";
    for broken in [false, true] {
        let mut settings = settings();
        settings.breaks.gate = broken;
        let mut driver = Driver::new(settings);
        driver.hold.insert("append");
        driver.input(vec![command(1, 1, all)]);
        let early: Vec<_> = driver.left.iter().map(|l| l.split(' ').next().unwrap()).collect();
        let expected = ["call", "cancel", "signal", "reply"];
        assert_eq!(early, if broken { expected.to_vec() } else { vec![] });
        assert_eq!(driver.sent.len(), 0);
        driver.let_go();
        assert_eq!((driver.left.len(), driver.sent.len()), (4, 1));
    }
}

#[test]
fn a_newer_version_stops_the_partition() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "newer")]);
    assert!(matches!(driver.stopped, Some(StopReason::UnknownVersion(_))), "{:?}", driver.stopped);
    let mut driver = Driver::new(settings());
    let mut entry = bus::InboxEntry::new(vec![command(1, 1, "put a=1")]);
    entry.version += 1;
    driver.store.inbox.push((4, entry.encode().unwrap()));
    driver.run();
    assert!(matches!(driver.stopped, Some(StopReason::UnknownVersion(_))), "{:?}", driver.stopped);
}

#[test]
fn time_of_steps_never_goes_back() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.now.wall_ms -= 3_600_000;
    driver.pass(1_000);
    driver.input(vec![command(2, 2, "put a=1")]);
    driver.pass(10_000);
    driver.input(vec![message(1, 1, "put a=1")]);
    let now: Vec<_> = driver.store.steps().iter().map(|(_, step)| step.now_ms).collect();
    assert_eq!(now, [now[0], now[0], now[0] + 5_000]);
    // The next owner's wall clock is behind too.
    let mut driver = Driver::over(driver.store, settings(), 2);
    driver.input(vec![command(4, 1, "put a=1")]);
    let (_, step) = driver.store.steps().pop().unwrap();
    assert_eq!((step.entity, step.header.key), (entity(1), key(4)));
    assert!(step.now_ms >= now[2]);
}

/// Who appends learns how far its inbox is decided, and not before that is durable.
#[test]
fn how_far_the_inbox_is_decided_is_told_when_it_is_durable() {
    let (mut driver, number, _) = in_flight("put a=1");
    assert_eq!(driver.reached, 0);
    driver.let_go();
    let reached = driver.reached;
    assert!(reached > 0);
    answer(&mut driver, number, AppendAnswer::Stored(99));
    assert_eq!(driver.reached, reached, "the second answer of an append changes nothing");
}
