//! Replay: the chain, and what must not be started from.

use bus::{Position, Record, RecordBody, RecordHead, Steps};

use super::driver::{Driver, START_MS, command, entity, keys, settings};
use crate::{
    host::Occasion,
    shard::{Action, StopReason},
};

fn stop_of(result: Result<Driver, StopReason>) -> StopReason {
    result.map(|_| ()).unwrap_err()
}

#[test]
fn records_out_of_the_chain_are_ignored_and_alarmed_on() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=1")]);
    let mut driver = Driver::over(driver.store, settings(), 2);
    driver.input(vec![command(2, 1, "put a=2")]);
    // A former owner's record that a broken fence let in, before the present owner's last one.
    let mut store = driver.store;
    let (last_seq, last) = store.log.pop().unwrap();
    let stray = RecordHead { number: 7, ..Record::decode(&store.log[1].1).unwrap().head };
    let steps = Steps { place: bus::Place { seq: 900, index: 0 }, ..Steps::default() };
    let stray = Record::new(stray, RecordBody::Steps(steps)).encode().unwrap();
    store.log.push((last_seq - 1, stray));
    store.log.push((last_seq, last));
    let driver = Driver::over(store, settings(), 3);
    assert_eq!(driver.alarms, ["record_out_of_chain"]);
    assert!(driver.shard.status().place.seq < 900);
}

#[test]
fn a_checkpoint_later_than_the_log_refuses_to_start() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=1")]);
    driver.shard.settings.checkpoint_interval_ms = 1;
    driver.pass(10);
    let mut store = driver.store;
    store.log.truncate(1);
    store.log[0].0 = 1;
    let stop = stop_of(Driver::try_over(store, settings(), 2, &[]));
    assert!(matches!(stop, StopReason::Corrupt(_)), "{stop}");
}

#[test]
fn an_unknown_version_in_the_log_stops_the_partition() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=1")]);
    let mut store = driver.store;
    let mut record = Record::decode(&store.log[1].1).unwrap();
    record.version = u16::MAX;
    store.log[1].1 = bus::encode(&record).unwrap();
    // Its head still reads as the last record's; what it says does not.
    let last = store.log[0].clone();
    store.log.push((store.log[1].0 + 1, last.1));
    let stop = stop_of(Driver::try_over(store, settings(), 2, &[]));
    assert!(matches!(stop, StopReason::UnknownVersion(_)), "{stop}");
}

#[test]
fn a_higher_generation_is_a_new_base() {
    let mut driver = Driver::new(settings());
    driver.input(vec![command(1, 1, "put a=1")]);
    let mut store = driver.store;
    let head = RecordHead {
        generation: 2,
        epoch: 1,
        incarnation: bus::Incarnation([9; 16]),
        number: 0,
        previous_seq: 0,
    };
    let body = RecordBody::Epoch { node: "import".to_owned(), now_ms: 0 };
    let seq = store.log.last().unwrap().0;
    store.append(seq, Record::new(head, body).encode().unwrap()).unwrap();
    let position = Position { generation: 2, seq: seq + 5, index: 0 };
    assert!(position > store.steps()[0].0);
    let records = store.records();
    let mut link = None;
    for (seq, record) in &records {
        assert!(crate::shard::continues(link.as_ref(), &record.head, &record.body));
        link = Some(crate::shard::Link { seq: *seq, head: record.head });
    }
}

#[test]
fn many_owners_in_a_row_lose_and_repeat_nothing() {
    let mut store = Driver::new(settings()).store;
    let mut id = 0;
    for owner in 2..12 {
        let mut settings = settings();
        settings.checkpoint_interval_ms = u64::from(owner % 3) * 400_000 + 1;
        let mut driver = Driver::over(store, settings, owner);
        for _ in 0..4 {
            id += 1;
            driver.input(vec![command(id, id % 3, &format!("put a={id}"))]);
            driver.pass(10);
        }
        driver.hold.insert("append");
        id += 1;
        driver.input(vec![command(id, id % 3, &format!("put a={id}"))]);
        store = driver.store;
    }
    let mut settings = settings();
    settings.checkpoint_interval_ms = 1;
    let mut driver = Driver::over(store, settings, 100);
    driver.pass(10);
    assert_eq!(keys(&driver.store), (1..=id).collect::<Vec<_>>());
    for n in 0..3 {
        let expected: String =
            (1..=id).filter(|id| id % 3 == n).map(|id| format!("{id} ")).collect();
        assert_eq!(driver.store.part(entity(n), "a").unwrap().1, expected);
    }
}

/// The successor of a killed owner: calls that never started are let go at `start_by`, though nothing else touches their entity.
#[test]
fn who_may_wait_for_an_earlier_owners_call_is_woken_when_none_starts_any_more() {
    let limits = settings();
    let over_ms = limits.start_by_ms + limits.hard_limit_ms;
    let mut driver = Driver::new(limits.clone());
    let wakes = [(1, START_MS + over_ms), (2, START_MS + over_ms + limits.start_by_ms + 1)];
    let wake = |(n, at): (u64, u64)| command(n, n, &format!("wake {at}"));
    driver.input(wakes.into_iter().map(wake).collect());
    let store = driver.store;
    let mut heir = Driver::over_holding(store.clone(), 2, &["dispatch"]);
    let tick_ms = |driver: &Driver| driver.shard.next_tick_ms(driver.now);
    heir.pass(limits.start_by_ms - 1);
    assert_eq!(heir.take_held("dispatch").len(), 0, "they may still start");
    assert_eq!(tick_ms(&heir), 1);
    heir.pass(1);
    let woken = heir.take_held("dispatch");
    assert_eq!(woken.len(), 1, "not who waits for something later");
    let Action::Dispatch { input, .. } = &woken[0] else { panic!() };
    assert_eq!(input.entity, entity(1));
    assert!(matches!(input.occasion, Occasion::Wake));
    // Woken once more when its own time has come, by a driver that decides nothing before.
    let mut heir = Driver::over(store, limits, 2);
    heir.pass(over_ms - 1);
    assert_eq!(heir.store.steps().len(), 2);
    assert_eq!(heir.alarms, [""; 0]);
    // An early wake is tried again after 50 ms.
    heir.pass(50);
    assert_eq!(heir.store.steps().len(), 3);
    // Nobody came before: nobody is woken early.
    let mut first = Driver::new(settings());
    first.input(vec![command(1, 1, &format!("wake {}", START_MS + 10_000))]);
    first.hold.insert("dispatch");
    first.pass(9_999);
    assert_eq!(first.take_held("dispatch").len(), 0);
}
