//! Which inputs go, in which order, and what they are called there.

use std::collections::BTreeMap;

use bus::{Cause, Input, PartitionId, Position};

use super::toy::{Command, add, command, entity};
use crate::{
    shard::{Remainder, StopReason},
    transfer::{TransferError, deal, read::Cut},
};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);

/// Message `number` of partition 0, for account `n`.
fn message(number: u64, n: u64) -> Input {
    let position = Some(Position { generation: 1, seq: number, index: 0 });
    let cause = Cause::Channel { source: P0, generation: 1, number, position };
    command(1_000 + number, entity(n), &Command::Add(number), cause)
}

/// Partition 1 took two messages of partition 0; it has read neither what is in its inbox nor what has not arrived.
fn cuts(inbox: Vec<Input>, on_the_way: &[u64]) -> BTreeMap<PartitionId, Cut> {
    let sent = on_the_way.iter().map(|number| (*number, message(*number, 1))).collect();
    let sender = Remainder { messages: [(P1, sent)].into(), ..Remainder::default() };
    let receiver = Remainder { taken: [(P0, 2)].into(), ..Remainder::default() };
    let cut = |remainder, undecided| Cut { generation: 1, last_seq: 9, remainder, undecided };
    [(P0, cut(sender, Vec::new())), (P1, cut(receiver, inbox))].into()
}

fn keys(inputs: &[Input]) -> Vec<u64> {
    let low = |input: &Input| u128::from_be_bytes(input.header.key.0);
    inputs.iter().map(|input| u64::try_from(low(input)).unwrap()).collect()
}

#[test]
fn a_message_counts_once_wherever_it_stands() {
    let inbox = vec![add(7, 1, 1), message(2, 1), message(3, 1), message(3, 1), add(8, 1, 1)];
    let mut cuts = cuts(inbox, &[1, 2, 3, 4, 5]);
    let inputs = deal::undecided(&mut cuts).unwrap();
    assert_eq!(keys(&inputs), [7, 1_003, 8, 1_004, 1_005]);
}

#[test]
fn a_message_without_its_predecessor_is_refused() {
    for (inbox, on_the_way) in [(vec![message(4, 1)], vec![]), (vec![], vec![4])] {
        let refused = deal::undecided(&mut cuts(inbox, &on_the_way)).map(drop);
        let Err(TransferError::Source { partition, source }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(partition, P1);
        assert!(matches!(source, StopReason::ChannelGap { expected: 3, number: 4, .. }));
    }
}

#[test]
fn inputs_go_where_their_entity_will_be_and_messages_are_numbered_anew() {
    let letter = Position { generation: 1, seq: 3, index: 0 };
    let replay = command(9, entity(6), &Command::Tell, Cause::Replay { letter });
    let inputs = vec![message(3, 1), add(7, 4, 1), message(4, 6), message(5, 2), replay];
    let shares = deal::inputs(inputs, (2, 5), 8);
    let places: Vec<(u16, Vec<u64>, u64)> =
        shares.iter().map(|(p, share)| (p.0, keys(&share.inputs), share.messages)).collect();
    assert_eq!(places, [(1, vec![1_003, 1_004, 9], 2), (2, vec![1_005], 1), (4, vec![7], 0)]);
    let causes: Vec<Cause> = shares[&P1].inputs.iter().map(|input| input.header.cause).collect();
    let numbered = |number| Cause::Channel { source: P1, generation: 8, number, position: None };
    assert_eq!(causes, [numbered(1), numbered(2), Cause::Command]);
}
