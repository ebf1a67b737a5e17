//! How an installation stands after a move: on the bus, so that every process of a cluster sees the same. It is a saved part
//! of an entity of the runtime's own, in partition 0; each later standing has a higher position.

use bus::{
    Bus, BusError, EntityId, FORMAT_VERSION, PartName, PartPut, PartitionId, Position, SavedPart,
    decode, encode,
};
use serde::{Deserialize, Serialize};

use super::write::ask;

/// Holds what is said of the installation as a whole.
pub(crate) const INSTALLATION: EntityId = EntityId { kind: 0xFE, hash: [0; 16] };
pub(crate) const INSTALLATION_PARTITION: PartitionId = PartitionId(0);
const NAME: &str = "standing";

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// Nothing is in the way. So stands whatever was never moved.
    #[default]
    Free,
    /// It is being moved here, or that was cut off: it must not be used.
    Arriving,
    /// It was moved here, and nothing leaves until an operator lets it go.
    Held,
}

impl Standing {
    /// Rises with every standing of one move.
    fn step(self) -> u32 {
        match self {
            Self::Arriving => 0,
            Self::Held => 1,
            Self::Free => 2,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    version: u16,
    standing: Standing,
}

/// How the installation on this bus stands.
///
/// # Errors
/// When that cannot be read.
pub async fn standing(bus: &Bus) -> Result<Standing, BusError> {
    Ok(stored(bus).await?.map_or(Standing::Free, |(_, standing)| standing))
}

/// Lets go what is held; nothing where nothing is.
///
/// # Errors
/// When it cannot be read or written.
pub async fn release(bus: &Bus) -> Result<(), BusError> {
    match stored(bus).await? {
        Some((position, Standing::Held)) => write(bus, Standing::Free, position.generation).await,
        _ => Ok(()),
    }
}

/// Says it, of a move that began this generation.
pub(super) async fn write(bus: &Bus, standing: Standing, generation: u32) -> Result<(), BusError> {
    let bytes = encode(&Saved { version: FORMAT_VERSION, standing })
        .map_err(|error| BusError::Corrupt(error.to_string()))?;
    let position = Position { generation, seq: 0, index: standing.step() };
    let part = SavedPart { name: PartName::from(NAME), position, bytes: Some(bytes) };
    let puts = vec![PartPut { entity: INSTALLATION, part }];
    ask(|| bus.states.put(INSTALLATION_PARTITION, puts.clone())).await
}

async fn stored(bus: &Bus) -> Result<Option<(Position, Standing)>, BusError> {
    let parts = ask(|| bus.states.load(INSTALLATION_PARTITION, INSTALLATION)).await?;
    let Some(part) = parts.into_iter().find(|part| part.name.0 == NAME) else { return Ok(None) };
    let Some(bytes) = part.bytes else { return Ok(None) };
    let corrupt =
        |why: String| BusError::Corrupt(format!("the standing of the installation: {why}"));
    let saved: Saved = decode(&bytes).map_err(|error| corrupt(error.to_string()))?;
    if saved.version == 0 || saved.version > FORMAT_VERSION {
        return Err(corrupt(format!("version {} is not known to this build", saved.version)));
    }
    Ok(Some((part.position, saved.standing)))
}
