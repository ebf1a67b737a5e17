//! Judging a send the moment Meta accepts it: who speaks, whether it was said before, whether it may speak now.

use crate::world::{BusinessId, ChatId};

use super::finding::Verdict;
use super::floor::TakenAgo;
use super::ledger::{Asker, CommandKey, Ledger, MessageId, Origin, SendFacts, Speech};

impl Ledger {
    /// Who speaks: what agents and programs say is unique and known before it is sent; everything else is the bot.
    pub(crate) fn speech_of(&self, text: &str) -> Speech {
        self.by_text.get(text).map_or(Speech::Bot, |key| Speech::Asked(*key))
    }

    /// Meta accepted a send and it is in the customer's chat.
    pub(crate) fn send_accepted(&mut self, business: BusinessId, facts: SendFacts) -> MessageId {
        let SendFacts { arrival, opaque, answer_withheld, status_held } = facts;
        let (chat, ts_s, now_us) = (arrival.chat, arrival.ts_s, arrival.at_us);
        let speech = self.speech_of(&arrival.text);
        let known = |opaque: &String| self.by_opaque.contains_key(&(business, opaque.clone()));
        let repeated = opaque.as_ref().is_some_and(known);
        if speech == Speech::Bot && self.is_late(chat, repeated, now_us) {
            let TakenAgo { taken_ms, calm_ms, owed } = self.floors[chat].taken_ago(now_us);
            let example = || {
                format!(
                    "{chat:?} opaque {opaque:?}: taken {taken_ms} ms ago, calm for {calm_ms} ms, owed {owed}"
                )
            };
            self.findings.add(
                Verdict::Violation,
                "the bot spoke after desk or phone took the floor",
                example,
            );
        }
        let id = self.record(arrival, Origin::Api { opaque: opaque.clone(), speech });
        if speech == Speech::Bot && !repeated {
            self.floors[chat].bot_spoke();
        }
        let message = &mut self.messages[id];
        (message.answer_withheld, message.status_held) = (answer_withheld, status_held);
        let repeated = match opaque {
            Some(opaque) => self.judge_opaque(business, opaque, id, now_us),
            None => {
                let example = || format!("chat {chat:?}");
                self.findings.add(Verdict::Violation, "a send without an opaque id", example);
                false
            }
        };
        if let Speech::Asked(key) = speech {
            if matches!(key.0, Asker::Agent(_)) {
                self.floors[chat].desk_spoke(ts_s);
            }
            self.judge_reply(key, chat, id, repeated);
        }
        id
    }

    /// Whether the floor was taken from the bot in this chat long enough ago that it must be silent.
    pub(crate) fn bot_is_late(&self, chat: ChatId, now_us: u64) -> bool {
        self.is_late(chat, false, now_us)
    }

    fn is_late(&self, chat: ChatId, repeated: bool, now_us: u64) -> bool {
        self.floors[chat].bot_is_late(now_us, repeated, self.patience, self.timers)
    }

    /// One opaque id is one message to one customer. Gives whether it was seen before.
    fn judge_opaque(
        &mut self,
        business: BusinessId,
        opaque: String,
        id: MessageId,
        now_us: u64,
    ) -> bool {
        let earlier = self.by_opaque.entry((business, opaque.clone())).or_default();
        earlier.push(id);
        let (first, count) = match earlier.as_slice() {
            [first, _, ..] => (*first, earlier.len()),
            _ => return false,
        };
        let before = &self.messages[first];
        let status_unseen = before.first_status_acked_us.is_none_or(|acked| acked > now_us);
        let excused = count == 2
            && before.answer_withheld
            && before.status_held
            && status_unseen
            && before.chat == self.messages[id].chat;
        let ago_ms = |us: u64| now_us.saturating_sub(us) / 1_000;
        let (first_ms, status_ms) =
            (ago_ms(before.at_us), before.first_status_acked_us.map(ago_ms));
        let example = || {
            let status = match status_ms {
                Some(ms) => format!("its status acknowledged {ms} ms ago"),
                None => "no status acknowledged".to_owned(),
            };
            format!("opaque {opaque}, attempt {count}: the first {first_ms} ms ago, {status}")
        };
        if excused {
            self.findings.add(Verdict::RepeatedUnknown, "second attempt of a send we hid", example);
            self.messages[first].excused = true;
            self.messages[id].excused = true;
        } else {
            self.findings.add(Verdict::Duplicated, "one opaque id delivered again", example);
        }
        true
    }

    fn judge_reply(&mut self, key: CommandKey, chat: ChatId, id: MessageId, repeated: bool) {
        let Some(reply) = self.replies.get_mut(&key) else { return };
        reply.delivered.push(id);
        let (wrong, again) = (reply.chat != chat, reply.delivered.len() > 1);
        let example = || format!("command {} of {:?} in {chat:?}", key.1, key.0);
        if wrong {
            self.findings.add(
                Verdict::Violation,
                "what was asked for one customer reached another",
                example,
            );
        } else if again && !repeated {
            self.findings.add(
                Verdict::Duplicated,
                "what was asked for once was delivered again under another id",
                example,
            );
        }
    }
}
