//! A meter whose events and state have a second version with another meaning: it counts in hundredths, where the first one
//! counts in whole units. A build of the first version that read the second as its own would count a hundredfold.

use std::sync::Arc;

use bus::{BusinessId, Cause, EntityId, Event, FormatLevel, Header, Input, PartName, SavedPart};
use bytes::Bytes;
use runtime::host::{DecideInput, Decision, EntityError, Host, LiveEntity, Occasion};
use serde::{Deserialize, Serialize};

use crate::toy::key;

const PART: &str = "meter";
/// The second version came with this level.
const IN_HUNDREDTHS: FormatLevel = FormatLevel(2);

/// An event (what is added) or the saved state (the total).
#[derive(Serialize, Deserialize)]
struct Amount {
    v: u16,
    amount: u64,
}

impl Amount {
    fn of_hundredths(hundredths: u64, format: FormatLevel) -> Bytes {
        let amount = match format >= IN_HUNDREDTHS {
            true => Self { v: 2, amount: hundredths },
            false => Self { v: 1, amount: hundredths / 100 },
        };
        bus::encode(&amount).unwrap()
    }

    fn hundredths(bytes: &[u8], known: FormatLevel) -> Result<u64, EntityError> {
        let Self { v, amount } =
            bus::decode(bytes).map_err(|e| EntityError::Unreadable(e.to_string()))?;
        match v {
            v if v > known.0 => Err(EntityError::UnknownVersion { found: v, known: known.0 }),
            1 => Ok(100 * amount),
            _ => Ok(amount),
        }
    }
}

/// Version of an event.
pub(super) fn version(event: &[u8]) -> u16 {
    bus::decode::<Amount>(event).unwrap().v
}

/// An input that adds whole units; the answer is the total in whole units.
pub(super) fn add(n: u64, target: EntityId, units: u64) -> Input {
    let header = Header {
        key: key(n),
        business: BusinessId("toy".to_owned()),
        cause: Cause::Command,
        trace: None,
        received_ms: 0,
    };
    Input { header, target, body: bus::encode(&units).unwrap(), reply_to: None }
}

struct Meter {
    known: FormatLevel,
    hundredths: u64,
}

impl LiveEntity for Meter {
    fn decide(&self, input: &DecideInput) -> Result<Decision, EntityError> {
        let Occasion::Input(body) = &input.occasion else { return Ok(Decision::default()) };
        let units: u64 = bus::decode(body).unwrap();
        let body = Amount::of_hundredths(100 * units, input.format);
        let total = self.hundredths / 100 + units;
        Ok(Decision {
            events: vec![Event { part: PART.into(), body }],
            reply: Some(Bytes::from(total.to_string())),
            ..Decision::default()
        })
    }

    fn apply(&mut self, event: &Event) -> Result<(), EntityError> {
        self.hundredths += Amount::hundredths(&event.body, self.known)?;
        Ok(())
    }

    fn part(&self, _: &PartName, format: FormatLevel) -> Result<Option<Bytes>, EntityError> {
        Ok(Some(Amount::of_hundredths(self.hundredths, format)))
    }

    fn wake_ms(&self) -> Option<u64> {
        None
    }

    fn weight(&self) -> usize {
        64
    }
}

/// Makes meters, as a build does that knows levels up to `known`.
pub(super) struct MeterHost {
    known: FormatLevel,
}

impl MeterHost {
    pub(super) fn knowing(known: FormatLevel) -> Arc<Self> {
        Arc::new(Self { known })
    }
}

impl Host for MeterHost {
    fn load(&self, _: EntityId, parts: &[SavedPart]) -> Result<Box<dyn LiveEntity>, EntityError> {
        let saved = parts.iter().find_map(|part| part.bytes.as_ref());
        let hundredths = saved.map(|bytes| Amount::hundredths(bytes, self.known)).transpose()?;
        Ok(Box::new(Meter { known: self.known, hundredths: hundredths.unwrap_or_default() }))
    }
}
