//! The knobs: how Meta and the network misbehave. Shares are probabilities from 0 to 1, drawn from the seeded generator.

use serde::{Deserialize, Serialize};

/// All knobs; may be changed while a run goes on.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// Graph answers: time to answer, with a jitter of half of it.
    pub(crate) answer_ms: u64,
    pub(crate) slow_answer: f64,
    pub(crate) slow_answer_ms: u64,
    /// Accepted, but the connection is closed instead of an answer.
    pub(crate) withhold_close: f64,
    /// Accepted, but the connection hangs and then closes.
    pub(crate) withhold_hang: f64,
    pub(crate) hang_ms: u64,
    /// Of the withheld ones: the statuses are held back too.
    pub(crate) withhold_status: f64,
    pub(crate) withhold_status_ms: u64,
    pub(crate) error_130429: f64,
    pub(crate) error_131000: f64,
    pub(crate) error_131056: f64,
    /// The known glitch: "re-engagement" inside an open window.
    pub(crate) error_131047: f64,
    pub(crate) error_190: f64,
    pub(crate) http_5xx: f64,
    /// Outside the window: refuse in a `failed` status instead of in the answer.
    pub(crate) window_async: bool,
    /// Statuses.
    pub(crate) sent_ms: u64,
    pub(crate) delivered_ms: u64,
    pub(crate) read_ms: u64,
    pub(crate) read_share: f64,
    /// The `sent` status leaves before the answer to the send call.
    pub(crate) status_first: f64,
    pub(crate) status_repeat: f64,
    pub(crate) status_reorder: f64,
    pub(crate) status_delay: f64,
    pub(crate) status_delay_ms: u64,
    pub(crate) drop_delivered: f64,
    /// Webhooks.
    /// First wait before a refused POST is sent again; it doubles up to `retry_ms_max` (Meta's days, time-scaled).
    pub(crate) retry_ms: u64,
    pub(crate) retry_ms_max: u64,
    pub(crate) webhook_repeat: f64,
    pub(crate) webhook_repeat_ms: u64,
    pub(crate) webhook_delay: f64,
    pub(crate) webhook_delay_ms: u64,
    /// Share of the moments at which waiting updates are gathered into one POST.
    pub(crate) batch: f64,
    pub(crate) batch_max: usize,
    pub(crate) batch_wait_ms: u64,
    /// Hide the customer's number in this webhook although it is known elsewhere.
    pub(crate) hide_phone: f64,
    pub(crate) profile_missing: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            answer_ms: 30,
            slow_answer: 0.0,
            slow_answer_ms: 3_000,
            withhold_close: 0.0,
            withhold_hang: 0.0,
            hang_ms: 15_000,
            withhold_status: 0.0,
            withhold_status_ms: 45_000,
            error_130429: 0.0,
            error_131000: 0.0,
            error_131056: 0.0,
            error_131047: 0.0,
            error_190: 0.0,
            http_5xx: 0.0,
            window_async: false,
            sent_ms: 200,
            delivered_ms: 800,
            read_ms: 2_000,
            read_share: 0.7,
            status_first: 0.0,
            status_repeat: 0.0,
            status_reorder: 0.0,
            status_delay: 0.0,
            status_delay_ms: 3_000,
            drop_delivered: 0.0,
            retry_ms: 200,
            retry_ms_max: 3_000,
            webhook_repeat: 0.0,
            webhook_repeat_ms: 1_500,
            webhook_delay: 0.0,
            webhook_delay_ms: 1_000,
            batch: 0.0,
            batch_max: 8,
            batch_wait_ms: 20,
            hide_phone: 0.0,
            profile_missing: 0.0,
        }
    }
}

impl Faults {
    /// Changes the knobs named in `patch` (a JSON object) and keeps the others.
    pub(crate) fn patched(&self, patch: &serde_json::Value) -> Result<Self, serde_json::Error> {
        let mut whole = serde_json::to_value(self)?;
        if let (Some(whole), Some(patch)) = (whole.as_object_mut(), patch.as_object()) {
            whole.extend(patch.clone());
        }
        serde_json::from_value(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_refuses_unknown_knobs() {
        let before = Faults::default();
        let after = before.patched(&serde_json::json!({"http_5xx": 0.5, "batch_max": 3})).unwrap();
        assert_eq!((after.http_5xx, after.batch_max), (0.5, 3));
        assert_eq!(after.sent_ms, before.sent_ms);
        assert!(before.patched(&serde_json::json!({"no_such_knob": 1})).is_err());
    }
}
