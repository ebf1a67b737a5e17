//! The customer service window: free-form messages only within 24 h of the customer's last message (whatsapp.md 5.3).

/// Whether a free-form message may go at `now_us`.
pub(crate) fn open(last_inbound_us: Option<u64>, now_us: u64, window_us: u64) -> bool {
    last_inbound_us.is_some_and(|last| now_us.saturating_sub(last) < window_us)
}

#[cfg(test)]
mod tests {
    use super::open;

    #[test]
    fn opens_with_a_message_and_closes_after_its_length() {
        let cases = [
            (None, 5, false),
            (Some(0), 0, true),
            (Some(0), 99, true),
            (Some(0), 100, false),
            (Some(50), 149, true),
            (Some(50), 150, false),
        ];
        for (last, now, expected) in cases {
            assert_eq!(open(last, now, 100), expected, "{last:?} at {now}");
        }
    }
}
