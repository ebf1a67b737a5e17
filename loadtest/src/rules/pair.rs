//! Pair rate: one message per 6 s to one customer, with a debt of up to 45 borrowed from the future (whatsapp.md 4.4).

/// The debt of one number with one customer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PairDebt {
    /// Debt in microseconds of draining.
    debt_us: u64,
    as_of_us: u64,
}

/// One message is paid off in so long.
pub(crate) const DRAIN_US: u64 = 6_000_000;
const BURST: u64 = 45;

impl PairDebt {
    /// Takes one message on, unless the debt would pass 45.
    pub(crate) fn take(&mut self, now_us: u64) -> bool {
        let left = self.debt_us.saturating_sub(now_us.saturating_sub(self.as_of_us));
        let after = left + DRAIN_US;
        if after > BURST * DRAIN_US {
            return false;
        }
        (self.debt_us, self.as_of_us) = (after, now_us);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_45_then_one_every_six_seconds() {
        let mut pair = PairDebt::default();
        assert!((0..45).all(|_| pair.take(0)));
        assert!(!pair.take(0));
        assert!(!pair.take(DRAIN_US - 1));
        assert!(pair.take(DRAIN_US));
        assert!(!pair.take(DRAIN_US));
        assert!(pair.take(2 * DRAIN_US));
    }

    #[test]
    fn twenty_at_once_cost_two_minutes() {
        let mut pair = PairDebt::default();
        assert!((0..20).all(|_| pair.take(0)));
        assert!((0..45).all(|_| pair.take(20 * DRAIN_US)));
    }
}
