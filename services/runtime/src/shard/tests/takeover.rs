//! Replay: the chain, and what must not be started from.

use bus::{Position, Record, RecordBody, RecordHead, Steps};

use super::driver::{Driver, command, entity, keys, settings};
use crate::shard::StopReason;

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
    record.version += 1;
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
