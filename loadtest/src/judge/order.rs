//! Thread order is (Meta timestamp, wamid).

use super::ledger::{Ledger, Message, Origin};

impl Ledger {
    /// Whether `messages` stand in an allowed order. Customers' and phones' messages carry Meta's timestamp in their webhook and
    /// must be in order exactly; our own sends may stand `order_tolerance_s` away from theirs.
    pub(super) fn first_disorder<'a>(
        &self,
        messages: &[&'a Message],
    ) -> Option<(&'a Message, &'a Message)> {
        let mut latest_exact: Option<&Message> = None;
        let mut latest: Option<&Message> = None;
        for message in messages {
            let exact = !matches!(message.origin, Origin::Api { .. });
            if exact {
                if let Some(before) = latest_exact.filter(|before| place(before) > place(message)) {
                    return Some((before, message));
                }
                latest_exact = Some(message);
            }
            let tolerance_s = self.rules.order_tolerance_s;
            if let Some(before) = latest.filter(|before| before.ts_s > message.ts_s + tolerance_s) {
                return Some((before, message));
            }
            if latest.is_none_or(|before| before.ts_s <= message.ts_s) {
                latest = Some(message);
            }
        }
        None
    }
}

fn place(message: &Message) -> (i64, &str) {
    (message.ts_s, &message.wamid)
}
