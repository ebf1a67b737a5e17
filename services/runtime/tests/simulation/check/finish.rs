//! Whether everything is done, and what must hold then.

use bus::{EntityId, PartitionId};

use super::{Checker, Rule};

impl Checker {
    /// What is not done yet; empty when everything is.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let mut left = Vec::new();
        for (partition, held) in &self.held {
            let last = held.inbox.last_key_value().map(|(place, _)| *place);
            if last.is_some_and(|last| last > held.place) {
                left.push(format!("inbox {partition}: decided {:?} of {last:?}", held.place));
            }
            for (target, sent) in &held.sent {
                let taken = self.held(*target).taken.get(partition).copied().unwrap_or(0);
                if taken < sent.len() as u64 {
                    left.push(format!(
                        "channel {partition} to {target}: {taken} of {}",
                        sent.len()
                    ));
                }
            }
        }
        for (entity, account) in &self.accounts {
            let (calls, alarms) = (&account.calls.open, &account.alarms.set);
            if !calls.is_empty() || !alarms.is_empty() {
                let wake_ms = account.wake_ms();
                left.push(format!("{entity}: {calls:?} {alarms:?} {wake_ms:?}"));
            }
        }
        left
    }

    /// What must hold once everything is done and every partition was released in good order.
    pub(crate) fn finish(&mut self) {
        for key in self.acked.clone() {
            if !self.decided.contains_key(&key) && !self.dead.contains_key(&key) {
                self.broken(Rule::Once, || format!("{key:?} was acknowledged and not decided"));
            }
        }
        let cents: i64 = self.accounts.values().map(|account| account.balance.cents).sum();
        let [minted, dead] = [self.minted, self.dead_money].map(|sum| i64::try_from(sum).unwrap());
        let expected = minted - dead;
        if cents != expected {
            self.broken(Rule::Money, || format!("{cents} in accounts, {expected} put in"));
        }
        for ((entity, name), versions) in &self.versions {
            let stored = self.stored.get(&(*entity, name.clone())).copied();
            let touched = versions.last().map(|(position, _)| *position);
            if stored != touched {
                let text = format!("{entity} {name:?} touched {touched:?}, stored {stored:?}");
                self.report.broken(self.now_ms, Rule::SavedPart, || text);
            }
        }
    }

    /// Every account there is, for a last look.
    pub(crate) fn entities(&self) -> Vec<EntityId> {
        self.accounts.keys().copied().collect()
    }

    /// The partition's last record is its release.
    pub(crate) fn is_released(&self, partition: PartitionId) -> bool {
        self.held(partition).released
    }
}
