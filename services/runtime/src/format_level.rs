//! The installation's format level on the bus: what its writers write (docs/decisions/0016-format-level.md).
//!
//! A saved part of the entity of the runtime's own that says how the installation stands. The level is the part's position
//! too: a bus that stores nothing of a lower position lets nobody lower it.

use bus::{
    Bus, BusError, FORMAT_VERSION, FormatLevel, PartName, PartPut, PartitionId, Position,
    SavedPart, check_version, decode, encode,
};
use serde::{Deserialize, Serialize};

use crate::transfer::{INSTALLATION, INSTALLATION_PARTITION, ask};

const NAME: &str = "format";

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u16,
    level: FormatLevel,
}

/// The installation's level, [`FormatLevel::FIRST`] where it was never said. Asks again for a while where the bus does not answer.
///
/// # Errors
/// When it cannot be read.
pub async fn format_level(bus: &Bus) -> Result<FormatLevel, BusError> {
    Ok(ask(|| stored(bus)).await?.unwrap_or_default())
}

/// What is stored; one attempt.
pub(crate) async fn stored(bus: &Bus) -> Result<Option<FormatLevel>, BusError> {
    let parts = bus.states.load(INSTALLATION_PARTITION, INSTALLATION).await?;
    let Some(part) = parts.into_iter().find(|part| part.name.0 == NAME) else { return Ok(None) };
    let Some(bytes) = part.bytes else { return Ok(None) };
    let corrupt =
        |error: bus::CodecError| BusError::Corrupt(format!("the installation's format: {error}"));
    let saved: Saved = decode(&bytes).map_err(corrupt)?;
    check_version(saved.version, FORMAT_VERSION).map_err(corrupt)?;
    Ok(Some(saved.level))
}

/// Stores the level, where none or a lower one is. Whoever does it has made sure that every process knows it; on a bus of
/// several processes only routers may write. Asks again as [`format_level`] does.
///
/// # Errors
/// When it cannot be written.
pub async fn store_format_level(bus: &Bus, level: FormatLevel) -> Result<(), BusError> {
    ask(|| store(bus, level)).await
}

/// As [`store_format_level`]; one attempt.
pub(crate) async fn store(bus: &Bus, level: FormatLevel) -> Result<(), BusError> {
    let bytes = encode(&Saved { version: FORMAT_VERSION, level })
        .map_err(|error| BusError::Corrupt(error.to_string()))?;
    let position = Position { generation: 0, seq: level.0.into(), index: 0 };
    let part = SavedPart { name: PartName::from(NAME), position, bytes: Some(bytes) };
    bus.states.put(INSTALLATION_PARTITION, vec![PartPut { entity: INSTALLATION, part }]).await
}

/// The installation's level, for a process that is about to take partitions. A new installation, none of which was ever taken,
/// begins at the newest level that its first process knows.
///
/// # Errors
/// When it cannot be read or written.
pub async fn begin_format_level(bus: &Bus, known: FormatLevel) -> Result<FormatLevel, BusError> {
    if let Some(level) = ask(|| stored(bus)).await? {
        return Ok(level);
    }
    for partition in (0..bus.partitions).map(PartitionId) {
        if ask(|| bus.log.last(partition)).await?.is_some() {
            return Ok(FormatLevel::FIRST);
        }
    }
    store_format_level(bus, known).await?;
    // Another process may have begun it at another level.
    format_level(bus).await
}

#[cfg(test)]
mod tests {
    use bus::{Incarnation, Record, RecordBody, RecordHead, sim::SimBus};

    use super::*;

    const SECOND: FormatLevel = FormatLevel(2);

    #[tokio::test(start_paused = true)]
    async fn a_new_installation_begins_at_what_its_first_process_knows_and_never_falls() {
        let bus = SimBus::new(1, 2).node("a");
        assert_eq!(format_level(&bus).await.unwrap(), FormatLevel::FIRST);
        assert_eq!(begin_format_level(&bus, SECOND).await.unwrap(), SECOND);
        assert_eq!(begin_format_level(&bus, FormatLevel(3)).await.unwrap(), SECOND);
        store_format_level(&bus, FormatLevel::FIRST).await.unwrap();
        assert_eq!(format_level(&bus).await.unwrap(), SECOND);
        store_format_level(&bus, FormatLevel(3)).await.unwrap();
        assert_eq!(begin_format_level(&bus, SECOND).await.unwrap(), FormatLevel(3));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_used_before_there_were_levels_is_at_the_first() {
        let bus = SimBus::new(1, 2).node("a");
        let head = RecordHead {
            generation: 1,
            epoch: 1,
            incarnation: Incarnation([1; 16]),
            number: 0,
            previous_seq: 0,
        };
        let record = Record::new(head, RecordBody::Released).encode().unwrap();
        bus.log.append(PartitionId(1), 0, record).await.unwrap();
        assert_eq!(begin_format_level(&bus, SECOND).await.unwrap(), FormatLevel::FIRST);
        assert_eq!(stored(&bus).await.unwrap(), None);
    }
}
