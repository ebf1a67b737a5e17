//! Counters and latencies of a run, as the simulator saw them.

use hdrhistogram::Histogram;

/// Counts since the start.
#[derive(Clone, Debug)]
pub(crate) struct Stats {
    pub(crate) inbound: u64,
    /// Times that a customer did not begin to write, because the product had too many webhooks before it.
    pub(crate) held_back: u64,
    /// Customer messages whose webhook was answered with 200.
    pub(crate) acked: u64,
    pub(crate) bot_answered: u64,
    pub(crate) offers: u64,
    pub(crate) accepted: u64,
    pub(crate) desk_replies: u64,
    pub(crate) phone_echoes: u64,
    /// Sends that Meta accepted.
    pub(crate) sends: u64,
    /// Calls of the send endpoint, whatever became of them.
    pub(crate) graph_calls: u64,
    pub(crate) answers_withheld: u64,
    pub(crate) errors_injected: u64,
    pub(crate) posts: u64,
    pub(crate) posts_failed: u64,
    /// How long the product took to answer 200.
    pub(crate) webhook_us: Latency,
    /// From a webhook's first attempt to its acknowledgement, over all retries.
    pub(crate) ack_us: Latency,
    /// From the webhook with the customer's choice to the offer on an agent's screen.
    pub(crate) offer_us: Latency,
}

/// A distribution of microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Option<Histogram<u64>>);

impl Latency {
    fn new() -> Self {
        // From a microsecond to an hour with three significant digits: within what the histogram supports.
        Self(Histogram::new_with_bounds(1, 3_600_000_000, 3).ok())
    }

    pub(crate) fn record(&mut self, span_us: u64) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(span_us);
        }
    }

    /// Milliseconds at a quantile; none when nothing was recorded.
    pub(crate) fn ms(&self, quantile: f64) -> Option<f64> {
        let histogram = self.0.as_ref().filter(|histogram| !histogram.is_empty())?;
        let micros = u32::try_from(histogram.value_at_quantile(quantile)).unwrap_or(u32::MAX);
        Some(f64::from(micros) / 1_000.0)
    }
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            inbound: 0,
            held_back: 0,
            acked: 0,
            bot_answered: 0,
            offers: 0,
            accepted: 0,
            desk_replies: 0,
            phone_echoes: 0,
            sends: 0,
            graph_calls: 0,
            answers_withheld: 0,
            errors_injected: 0,
            posts: 0,
            posts_failed: 0,
            webhook_us: Latency::new(),
            ack_us: Latency::new(),
            offer_us: Latency::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_in_milliseconds_and_absent_without_data() {
        let mut latency = Latency::new();
        assert_eq!(latency.ms(0.5), None);
        (1..=100).for_each(|ms| latency.record(ms * 1_000));
        let median = latency.ms(0.5).unwrap();
        assert!((49.9..50.1).contains(&median), "{median}");
    }
}
