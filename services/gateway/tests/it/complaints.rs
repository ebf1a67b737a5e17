//! Complaints of users of other products about lost webhooks, with their circumstances, and beside each the edge that
//! caused it.

use std::{collections::BTreeSet, time::Duration};

use bus::{Bus, InboxEntry, Input, PartitionId, sim::Faults};
use domain::conversation::ConversationInput;

use crate::fixture::{Fixture, SECRET, limits, text_webhook};

const SHOP: &str = "200000000000202";

/// Answers first and stores afterwards, as a queue does that lives in memory.
async fn naive_edge(bus: &Bus, inputs: Vec<Input>) -> u16 {
    let entry = InboxEntry::new(inputs).encode().unwrap();
    let stored =
        tokio::time::timeout(Duration::from_millis(50), bus.inbox.append(PartitionId(0), entry));
    // Whatever comes of it: the answer was 200.
    drop(stored.await);
    200
}

fn faults(n: u32) -> Faults {
    match n % 3 {
        0 => Faults { full: 1.0, ..Faults::default() },
        1 => Faults { lost: 1.0, give_up_ms: 60_000, ..Faults::default() },
        _ => Faults::default(),
    }
}

/// "2 to 3 of 20 messages never appear, others hours late": the store hiccups while they come in. Meta sends again
/// whatever was not answered 200, for days.
#[tokio::test]
async fn complaint_27_of_twenty_messages_none_is_missing() {
    let fixture = Fixture::with(limits(), Duration::from_millis(100)).await;
    let mut waiting: Vec<(u32, u32)> = (0..20).map(|n| (n, n)).collect();
    let mut refused = 0;
    while let Some((n, turn)) = waiting.pop() {
        fixture.sim.set_faults(faults(turn));
        let body = text_webhook(SHOP, &format!("wamid.{n}"), "hi");
        match fixture.post(SECRET, body).await.status().as_u16() {
            200 => {}
            503 => {
                refused += 1;
                waiting.insert(0, (n, turn + 1));
            }
            other => panic!("{other}"),
        }
    }
    assert!(refused > 10, "the store failed {refused} times only");
    let inputs = fixture.conversation_inputs();
    let seen: BTreeSet<_> = inputs
        .iter()
        .map(|input| match input {
            ConversationInput::Inbound(inbound) => inbound.message,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(seen.len(), 20);

    let naive = Fixture::new().await;
    let one = fixture.inputs().remove(0);
    let mut answered = 0;
    for n in 0..20 {
        naive.sim.set_faults(faults(n));
        answered += u32::from(naive_edge(&naive.bus, vec![one.clone()]).await == 200);
    }
    assert_eq!(answered, 20);
    assert!(naive.inputs().len() < 20, "the complaint: {}", naive.inputs().len());
}

/// "Webhooks return 200 but nothing shows; the workers are idle": nothing of what was answered 200 may be missing from
/// the inbox at the moment of the answer, whoever works on it and whenever.
#[tokio::test]
async fn complaint_28_what_is_answered_200_is_stored_by_then() {
    let fixture = Fixture::with(limits(), Duration::from_millis(100)).await;
    let mut answered = 0;
    for n in 0..12 {
        fixture.sim.set_faults(faults(n));
        let body = text_webhook(SHOP, &format!("wamid.{n}"), "hi");
        let before = fixture.inputs().len();
        if fixture.post(SECRET, body).await.status() == 200 {
            answered += 1;
            assert_eq!(fixture.inputs().len(), before + 1, "200 before it was stored");
        }
    }
    assert_eq!(answered, 4);

    fixture.sim.set_faults(faults(0));
    let before = fixture.inputs();
    let one = before[0].clone();
    assert_eq!(naive_edge(&fixture.bus, vec![one]).await, 200);
    assert_eq!(fixture.inputs().len(), before.len(), "the complaint: 200, and nothing is there");
}
