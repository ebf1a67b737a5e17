//! Randomness of the runtime: incarnations and jitter. Seeded in the simulation, the system's otherwise.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bus::Incarnation;

/// A source of randomness; clones share it.
#[derive(Clone, Debug)]
pub struct Random(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Seeded(Arc<AtomicU64>),
}

impl Random {
    /// The operating system's.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The same seed gives the same numbers in the same order.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(AtomicU64::new(seed))))
    }

    /// The number of one take-over attempt.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        let (low, high) = (u128::from(self.next()), u128::from(self.next()));
        Incarnation((high << 64 | low).to_le_bytes())
    }

    /// Between half and one and a half of `ms`.
    #[must_use]
    pub fn jitter_ms(&self, ms: u64) -> u64 {
        ms / 2 + self.next().checked_rem(ms.saturating_add(1)).unwrap_or(0)
    }

    fn next(&self) -> u64 {
        match &self.0 {
            // Without the system's generator a repeated incarnation could pass for our own: the address
            // of a fresh allocation is no substitute, so the process must not go on.
            Source::System => getrandom::u64().unwrap_or_else(|_| std::process::abort()),
            Source::Seeded(state) => {
                // SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to jitter a simulation.
                let add = 0x9e37_79b9_7f4a_7c15_u64;
                let mut z = state.fetch_add(add, Ordering::Relaxed).wrapping_add(add);
                z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                z ^ (z >> 31)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself_and_the_system_does_not() {
        let draw = |r: &Random| (r.incarnation(), r.incarnation(), r.jitter_ms(1_000));
        assert_eq!(draw(&Random::seeded(7)), draw(&Random::seeded(7)));
        assert_ne!(draw(&Random::seeded(7)).0, draw(&Random::seeded(8)).0);
        assert_ne!(Random::system().incarnation(), Random::system().incarnation());
    }

    #[test]
    fn jitter_stays_within_half_of_the_wait() {
        let random = Random::seeded(1);
        for _ in 0..1_000 {
            let ms = random.jitter_ms(10_000);
            assert!((5_000..=15_000).contains(&ms), "{ms}");
        }
        assert_eq!(random.jitter_ms(0), 0);
    }
}
