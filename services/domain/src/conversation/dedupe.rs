//! Dedupe memory: which messages were decided before (design.md 4.4).
//!
//! Statuses are not in it: merging one twice changes nothing ([`super::StatusFacts`]), so they can neither crowd
//! out messages nor move the horizon.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::Millis;

/// Newest keys kept, by Meta time (design.md 4.4).
const KEYS_MAX: usize = 4_096;
/// Keys are kept this long in any case where [`KEYS_MAX`] allows, seconds: a day longer than Meta repeats.
const KEPT_S: u64 = 8 * 24 * 3_600;
/// So many are kept however old they are: most conversations never forget anything, at 2 KiB.
const KEYS_KEPT_ANYWAY: usize = 192;

/// Newest keys with their Meta time in whole seconds (Meta's resolution).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Dedupe {
    /// (Meta time in seconds, key), ascending.
    #[serde(serialize_with = "write_keys", deserialize_with = "read_keys")]
    keys: Vec<(u64, u64)>,
    /// Newest time ever forgotten, seconds.
    horizon_s: Option<u64>,
}

impl Dedupe {
    /// Whether `key` is remembered. By key alone: where Meta gives no time, repeats carry different ones.
    pub(super) fn contains(&self, key: u64) -> bool {
        self.keys.iter().any(|(_, known)| *known == key)
    }

    /// Whether something of this time may have been forgotten, so that nobody can tell whether it is a repeat.
    pub(super) fn is_below_horizon(&self, at_ms: Millis) -> bool {
        self.horizon_s.is_some_and(|horizon_s| at_ms / 1_000 <= horizon_s)
    }

    /// Remembers `key`, and forgets what does not fit.
    pub(super) fn insert(&mut self, key: u64, at_ms: Millis) {
        if self.contains(key) {
            return;
        }
        let entry = (at_ms / 1_000, key);
        let place = self.keys.partition_point(|known| *known < entry);
        self.keys.insert(place, entry);
        self.forget();
    }

    /// Takes over what a joined address remembers.
    pub(super) fn absorb(&mut self, lower: &Self) {
        for (at_s, key) in &lower.keys {
            if !self.contains(*key) {
                self.keys.push((*at_s, *key));
            }
        }
        self.keys.sort_unstable();
        self.horizon_s = self.horizon_s.max(lower.horizon_s);
        self.forget();
    }

    fn forget(&mut self) {
        let newest_s = self.keys.last().map_or(0, |(at_s, _)| *at_s);
        let too_many = self.keys.len().saturating_sub(KEYS_MAX);
        let old = self.keys.partition_point(|(at_s, _)| at_s.saturating_add(KEPT_S) < newest_s);
        let old = old.min(self.keys.len().saturating_sub(KEYS_KEPT_ANYWAY));
        if let Some((at_s, _)) = self.keys.drain(..too_many.max(old)).next_back() {
            self.horizon_s = self.horizon_s.max(Some(at_s));
        }
    }
}

/// Per key: seconds since the key before as LEB128, then the key. 10 bytes each instead of 16, which is what
/// lets 4,096 of them fit into one part.
fn write_keys<S: Serializer>(keys: &[(u64, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(keys.len().saturating_mul(10));
    let mut before_s = 0;
    for (at_s, key) in keys {
        let mut rest = at_s.saturating_sub(before_s);
        while rest >= 0x80 {
            bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        bytes.push(rest.to_le_bytes()[0]);
        bytes.extend_from_slice(&key.to_be_bytes());
        before_s = *at_s;
    }
    serializer.serialize_bytes(&bytes)
}

fn read_keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(u64, u64)>, D::Error> {
    let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
    let mut keys = Vec::with_capacity(bytes.len() / 9);
    let mut rest: &[u8] = &bytes;
    let mut at_s: u64 = 0;
    while !rest.is_empty() {
        let step_s = read_leb128(&mut rest).ok_or_else(|| D::Error::custom("cut off time"))?;
        let (key, after) =
            rest.split_first_chunk::<8>().ok_or_else(|| D::Error::custom("cut off key"))?;
        rest = after;
        at_s = at_s.saturating_add(step_s);
        keys.push((at_s, u64::from_be_bytes(*key)));
    }
    Ok(keys)
}

fn read_leb128(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = bytes.split_first()?;
        *bytes = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::persist;

    const S: Millis = 1_000;
    const DAY: Millis = 24 * 3_600 * S;

    #[test]
    fn nothing_is_below_the_horizon_until_something_was_forgotten() {
        let mut dedupe = Dedupe::default();
        dedupe.insert(1, 1_000 * DAY);
        assert!(!dedupe.is_below_horizon(0));
        assert!(dedupe.contains(1) && !dedupe.contains(2));
    }

    #[test]
    fn what_is_forgotten_moves_the_horizon() {
        let mut dedupe = Dedupe::default();
        for key in 0..=4_096 {
            dedupe.insert(key, key * S);
        }
        assert!(!dedupe.contains(0) && dedupe.contains(1));
        assert!(dedupe.is_below_horizon(999) && !dedupe.is_below_horizon(S));
    }

    #[test]
    fn a_late_key_does_not_push_out_newer_ones() {
        let mut dedupe = Dedupe::default();
        for key in 1..=4_096 {
            dedupe.insert(key, (key + 10) * S);
        }
        dedupe.insert(9_999, 5 * S);
        assert!(!dedupe.contains(9_999) && dedupe.contains(1));
        assert!(dedupe.is_below_horizon(5 * S) && !dedupe.is_below_horizon(6 * S));
    }

    #[test]
    fn eight_days_are_kept_and_a_quiet_conversation_forgets_nothing() {
        let mut quiet = Dedupe::default();
        let mut busy = Dedupe::default();
        for key in 0..300 {
            busy.insert(key, key * S);
        }
        for dedupe in [&mut quiet, &mut busy] {
            dedupe.insert(1_000, 301 * S);
            dedupe.insert(1_001, 301 * S + 8 * DAY);
        }
        assert!(quiet.contains(1_000) && quiet.horizon_s.is_none());
        assert!(busy.contains(1_000) && !busy.contains(0));
    }

    proptest! {
        #[test]
        fn it_survives_being_stored(
            times in prop::collection::vec((0..20 * DAY, any::<u64>()), 0..400),
        ) {
            let mut dedupe = Dedupe::default();
            for (at_ms, key) in times {
                dedupe.insert(key, at_ms);
            }
            let bytes = persist::encode(&dedupe).unwrap();
            prop_assert_eq!(persist::decode::<Dedupe>(&bytes).unwrap(), dedupe);
        }

        /// Either remembered, or below the horizon: never forgotten unseen.
        #[test]
        fn nothing_is_forgotten_without_the_horizon_knowing(
            times in prop::collection::vec(0..30 * DAY, 200..500),
        ) {
            let mut dedupe = Dedupe::default();
            for (key, at_ms) in times.iter().enumerate() {
                dedupe.insert(key as u64, *at_ms);
            }
            for (key, at_ms) in times.iter().enumerate() {
                prop_assert!(dedupe.contains(key as u64) || dedupe.is_below_horizon(*at_ms));
            }
        }
    }
}
