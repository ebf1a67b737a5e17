//! Cases of saved states.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Verdict, blob, bytes, ensure, entity, must};
use crate::{
    Bus, Checkpoint, EntityId, PartName, PartPut, PartitionId, Position, SavedPart, VALUE_BYTES_MAX,
};

const P0: PartitionId = PartitionId(0);
const P1: PartitionId = PartitionId(1);

fn at(generation: u32, seq: u64, index: u32) -> Position {
    Position { generation, seq, index }
}

fn part(name: &str, position: Position, bytes: Option<Bytes>) -> SavedPart {
    SavedPart { name: PartName::from(name), position, bytes }
}

fn put(entity: EntityId, part: SavedPart) -> PartPut {
    PartPut { entity, part }
}

async fn save(bus: &Bus, part: SavedPart) -> Verdict {
    must(bus.states.put(P0, vec![put(entity(1), part)]).await)
}

async fn loaded(bus: &Bus) -> Result<Vec<SavedPart>, String> {
    must(bus.states.load(P0, entity(1)).await)
}

/// Of two saves of a part the one with the higher position stays, whichever comes first; generation
/// compares before sequence, sequence before index.
pub async fn states_keep_the_newest(bus: Bus) -> Verdict {
    ensure!(loaded(&bus).await?.is_empty(), "an unknown entity has parts");
    let rising = [at(0, 5, 3), at(0, 5, 4), at(0, 6, 0), at(0, 300, 0), at(1, 1, 0), at(1, 1, 1)];
    for (n, position) in rising.into_iter().enumerate() {
        let newest = part("main", position, Some(bytes(&format!("save {n}"))));
        save(&bus, newest.clone()).await?;
        ensure!(loaded(&bus).await? == [newest.clone()], "{position:?} did not replace");
        for older in rising.into_iter().take(n + 1) {
            save(&bus, part("main", older, Some(bytes("old")))).await?;
            let now = loaded(&bus).await?;
            ensure!(now == [newest.clone()], "{older:?} replaced {position:?}");
        }
    }
    Ok(())
}

/// A dropped part stays dropped against older saves, is not an empty part, and can come again.
pub async fn states_keep_a_tombstone(bus: Bus) -> Verdict {
    let empty = part("main", at(0, 1, 0), Some(Bytes::new()));
    save(&bus, empty.clone()).await?;
    ensure!(loaded(&bus).await? == [empty], "an empty part is not what came back");
    let dropped = part("main", at(0, 3, 0), None);
    save(&bus, dropped.clone()).await?;
    save(&bus, part("main", at(0, 2, 0), Some(bytes("late")))).await?;
    ensure!(loaded(&bus).await? == [dropped], "an older save brought a dropped part back");
    let again = part("main", at(0, 4, 0), Some(bytes("again")));
    save(&bus, again.clone()).await?;
    ensure!(loaded(&bus).await? == [again], "a newer save did not replace the tombstone");
    Ok(())
}

/// A load brings every part of one entity, by name, and none of another.
pub async fn states_load_one_entity(bus: Bus) -> Verdict {
    let names = ["a", "agent.7", "b c", "z>*", "ärger", ""];
    let parts: Vec<_> =
        names.iter().map(|name| part(name, at(0, 1, 0), Some(bytes(name)))).collect();
    let of = |number, parts: &[SavedPart]| -> Vec<PartPut> {
        parts.iter().map(|part| put(entity(number), part.clone())).collect()
    };
    must(bus.states.put(P0, of(1, &parts)).await)?;
    let others = [part("a", at(0, 1, 0), Some(bytes("other"))), part("q", at(0, 1, 0), None)];
    must(bus.states.put(P0, of(2, &others)).await)?;
    let mut expected = parts;
    expected.sort_by(|one, two| one.name.cmp(&two.name));
    ensure!(loaded(&bus).await? == expected, "the parts of entity 1 differ");
    let two = must(bus.states.load(P0, entity(2)).await)?;
    ensure!(two == others, "the parts of entity 2 are {two:?}");
    Ok(())
}

/// One call may hold parts that are newer and parts that are older: each is decided by itself.
pub async fn states_decide_part_by_part(bus: Bus) -> Verdict {
    save(&bus, part("kept", at(0, 9, 0), Some(bytes("newer")))).await?;
    save(&bus, part("replaced", at(0, 1, 0), Some(bytes("older")))).await?;
    let puts = ["kept", "new", "replaced"]
        .map(|name| put(entity(1), part(name, at(0, 5, 0), Some(bytes("five")))));
    must(bus.states.put(P0, puts.to_vec()).await)?;
    let expected = [
        part("kept", at(0, 9, 0), Some(bytes("newer"))),
        part("new", at(0, 5, 0), Some(bytes("five"))),
        part("replaced", at(0, 5, 0), Some(bytes("five"))),
    ];
    let found = loaded(&bus).await?;
    ensure!(found == expected, "found {found:?}");
    must(bus.states.put(P0, Vec::new()).await)?;
    Ok(())
}

/// The largest value is stored and comes back; a larger one is refused and leaves no trace.
pub async fn states_take_big_parts(bus: Bus) -> Verdict {
    let too_large = put(entity(1), part("big", at(0, 1, 0), Some(blob(VALUE_BYTES_MAX + 1, 1))));
    ensure!(bus.states.put(P0, vec![too_large]).await.is_err(), "a part over the limit was taken");
    ensure!(loaded(&bus).await?.is_empty(), "a refused part is stored");
    let big = part("big", at(0, 1, 0), Some(blob(VALUE_BYTES_MAX, 2)));
    save(&bus, big.clone()).await?;
    ensure!(loaded(&bus).await? == [big], "the largest part did not come back");
    Ok(())
}

/// When a call with many parts is acknowledged all of them are stored.
pub async fn states_take_many_parts(bus: Bus) -> Verdict {
    let parts: Vec<_> = (0..300_u32)
        .map(|n| part(&format!("part {n:03}"), at(0, 1, n), Some(blob(500, 3))))
        .collect();
    let puts = parts.iter().map(|part| put(entity(1), part.clone())).collect();
    must(bus.states.put(P0, puts).await)?;
    ensure!(loaded(&bus).await? == parts, "not every part came back");
    Ok(())
}

/// A checkpoint is replaced only by one of a higher position.
pub async fn states_keep_the_newest_checkpoint(bus: Bus) -> Verdict {
    ensure!(must(bus.states.checkpoint(P0).await)?.is_none(), "there is a checkpoint at birth");
    for (position, stays) in [
        (at(0, 5, 1), true),
        (at(0, 5, 1), false),
        (at(0, 5, 0), false),
        (at(0, 6, 0), true),
        (at(1, 1, 0), true),
        (at(0, 900, 0), false),
    ] {
        let before = must(bus.states.checkpoint(P0).await)?;
        let new = Checkpoint { position, bytes: bytes(&format!("{position:?} {stays}")) };
        must(bus.states.put_checkpoint(P0, new.clone()).await)?;
        let expected = if stays { Some(new) } else { before };
        let found = must(bus.states.checkpoint(P0).await)?;
        ensure!(found == expected, "after {position:?}: {found:?}");
    }
    let big = Checkpoint { position: at(2, 0, 0), bytes: blob(VALUE_BYTES_MAX, 9) };
    must(bus.states.put_checkpoint(P0, big.clone()).await)?;
    let found = must(bus.states.checkpoint(P0).await)?;
    ensure!(found == Some(big), "the largest checkpoint did not come back");
    Ok(())
}

/// Parts and checkpoints of two partitions know nothing of each other.
pub async fn states_keep_partitions_apart(bus: Bus) -> Verdict {
    let zero = part("main", at(0, 9, 0), Some(bytes("zero")));
    let one = part("main", at(0, 1, 0), Some(bytes("one")));
    must(bus.states.put(P0, vec![put(entity(1), zero.clone())]).await)?;
    must(bus.states.put(P1, vec![put(entity(1), one.clone())]).await)?;
    ensure!(loaded(&bus).await? == [zero], "partition 0 differs");
    let found = must(bus.states.load(P1, entity(1)).await)?;
    ensure!(found == [one], "partition 1 holds {found:?}");
    let checkpoint = Checkpoint { position: at(0, 1, 0), bytes: bytes("zero") };
    must(bus.states.put_checkpoint(P0, checkpoint).await)?;
    ensure!(must(bus.states.checkpoint(P1).await)?.is_none(), "partition 1 has a checkpoint");
    Ok(())
}

/// A scan brings every part of every entity of the partition, as it was saved last, and nothing else.
pub async fn states_are_scanned(bus: Bus) -> Verdict {
    let mut expected = BTreeMap::new();
    for number in 0..40_u8 {
        let parts =
            (0..20_u32).map(|n| part(&format!("part {n:02}"), at(0, 1, n), Some(blob(9, 4))));
        let mut puts: Vec<_> = parts.map(|part| put(entity(number), part)).collect();
        puts.push(put(entity(number), part("dropped", at(0, 2, 0), None)));
        must(bus.states.put(P0, puts.clone()).await)?;
        let again = part("part 07", at(0, 3, 0), Some(bytes("again")));
        must(bus.states.put(P0, vec![put(entity(number), again.clone())]).await)?;
        puts.push(put(entity(number), again));
        expected
            .extend(puts.into_iter().map(|put| ((put.entity, put.part.name.clone()), put.part)));
    }
    must(bus.states.put(P1, vec![put(entity(99), part("other", at(0, 1, 0), None))]).await)?;
    let checkpoint = Checkpoint { position: at(0, 3, 0), bytes: bytes("checkpoint") };
    must(bus.states.put_checkpoint(P0, checkpoint).await)?;
    let mut found: BTreeMap<(EntityId, PartName), SavedPart> = BTreeMap::new();
    let mut from = None;
    loop {
        let page = must(bus.states.scan(P0, from).await)?;
        for PartPut { entity, part } in page.parts {
            let known = found.get(&(entity, part.name.clone()));
            if known.is_none_or(|known| known.position < part.position) {
                found.insert((entity, part.name.clone()), part);
            }
        }
        let Some(next) = page.next else { break };
        from = Some(next);
    }
    ensure!(found == expected, "{} parts were found, {} saved", found.len(), expected.len());
    Ok(())
}
