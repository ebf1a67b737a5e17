//! Cases of signals and leases.

use tokio::time::timeout;

use super::{QUIET, Verdict, bytes, ensure, must};
use crate::{Bus, Signal, SignalStream};

/// More than any adapter keeps for a reader that does not read.
const FLOOD: u64 = 5_000;

async fn next(stream: &mut Box<dyn SignalStream>) -> Result<Signal, String> {
    match stream.next().await {
        Some(Ok(signal)) => Ok(signal),
        Some(Err(lost)) => Err(format!("{lost} signals lost by a reader that keeps up")),
        None => Err("the subscription ended".to_owned()),
    }
}

/// A signal reaches every subscriber of its topic and nobody else.
pub async fn signals_reach_their_topic(bus: Bus) -> Verdict {
    must(bus.signals.publish("desk.nobody", bytes("lost")).await)?;
    let mut one = must(bus.signals.subscribe("desk.one").await)?;
    let mut same = must(bus.signals.subscribe("desk.one").await)?;
    let mut two = must(bus.signals.subscribe("desk.two").await)?;
    for n in 0..50 {
        let body = bytes(&format!("{n}"));
        must(bus.signals.publish("desk.one", body.clone()).await)?;
        let expected = Signal { topic: "desk.one".to_owned(), body };
        for stream in [&mut one, &mut same] {
            let found = next(stream).await?;
            ensure!(found == expected, "signal {n} is {found:?}");
        }
    }
    let other = timeout(QUIET, two.next()).await;
    ensure!(other.is_err(), "a subscriber of another topic got {other:?}");
    drop(one);
    must(bus.signals.publish("desk.one", bytes("after")).await)?;
    ensure!(next(&mut same).await?.body == bytes("after"), "the other subscriber ended too");
    Ok(())
}

/// `a.>` is every topic below `a.`, but not `a` and not `ab.c`.
pub async fn signals_reach_a_prefix(bus: Bus) -> Verdict {
    let mut below = must(bus.signals.subscribe("desk.>").await)?;
    for topic in ["desk", "desks.one", "reply.desk.one", "desk.one", "desk.one.two", "desk-1.x"] {
        must(bus.signals.publish(topic, bytes(topic)).await)?;
    }
    for expected in ["desk.one", "desk.one.two"] {
        let found = next(&mut below).await?;
        ensure!(found.topic == expected, "{} came instead of {expected}", found.topic);
    }
    let more = timeout(QUIET, below.next()).await;
    ensure!(more.is_err(), "more came: {more:?}");
    for not_a_topic in ["", "a..b", "a b", "a.*", "a\r\nb"] {
        let refused = bus.signals.publish(not_a_topic, bytes("x")).await;
        ensure!(refused.is_err(), "{not_a_topic:?} was taken as a topic");
        ensure!(bus.signals.subscribe(not_a_topic).await.is_err(), "{not_a_topic:?} subscribed");
    }
    Ok(())
}

/// A reader that does not keep up learns exactly how many signals it lost, and goes on with the newest.
pub async fn signals_count_what_a_slow_reader_lost(bus: Bus) -> Verdict {
    let mut slow = must(bus.signals.subscribe("flood").await)?;
    let mut quick = must(bus.signals.subscribe("flood").await)?;
    for n in 0..FLOOD {
        must(bus.signals.publish("flood", bytes(&n.to_string())).await)?;
        // The quick reader shows that the signals really arrived.
        let found = next(&mut quick).await?;
        ensure!(found.body == bytes(&n.to_string()), "the quick reader got {found:?} as {n}");
    }
    must(bus.signals.publish("flood", bytes("end")).await)?;
    let (mut read, mut lost) = (0, 0);
    loop {
        match slow.next().await {
            Some(Ok(signal)) if signal.body == bytes("end") => break,
            Some(Ok(_)) => read += 1,
            Some(Err(number)) => lost += number,
            None => return Err("the subscription ended".to_owned()),
        }
    }
    ensure!(lost > 0, "nothing was lost: the flood is too small for this adapter");
    ensure!(read + lost == FLOOD, "{read} read and {lost} lost of {FLOOD}");
    Ok(())
}

/// Renewals rise, everyone sees them, a released lease is gone, and a node may come again.
pub async fn leases_rise_and_end(bus: Bus) -> Verdict {
    ensure!(must(bus.leases.list().await)?.is_empty(), "there are leases at birth");
    let mut before = 0;
    for n in 0..5 {
        let info = bytes(&format!("info {n}"));
        let renewal = must(bus.leases.renew("node-a.1", info.clone()).await)?;
        ensure!(renewal > before, "renewal {renewal} after {before}");
        let leases = must(bus.leases.list().await)?;
        let lease = leases.get("node-a.1");
        ensure!(
            lease.is_some_and(|lease| lease.renewal == renewal && lease.info == info),
            "renewal {renewal} is not what the list says: {lease:?}"
        );
        before = renewal;
    }
    must(bus.leases.renew("node b", bytes("b")).await)?;
    let names: Vec<_> = must(bus.leases.list().await)?.into_keys().collect();
    ensure!(names == ["node b", "node-a.1"], "the nodes are {names:?}");
    must(bus.leases.release("node-a.1").await)?;
    must(bus.leases.release("node-a.1").await)?;
    let names: Vec<_> = must(bus.leases.list().await)?.into_keys().collect();
    ensure!(names == ["node b"], "after the release the nodes are {names:?}");
    let again = must(bus.leases.renew("node-a.1", bytes("again")).await)?;
    ensure!(again > before, "renewal {again} after a release at {before}");
    Ok(())
}
