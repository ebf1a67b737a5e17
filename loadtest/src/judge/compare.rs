//! The verdict: the product's threads against what was in the customers' chats.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{ChatId, World};

use super::finding::{Findings, Verdict};
use super::ledger::{Asker, CommandFate, Ledger, Message, MessageId, Origin, Progress};
use super::{SendState, Side, Thread, ThreadMessage};

/// Which thread shows which message, and how often.
struct Shown<'a> {
    world: &'a World,
    ledger: &'a Ledger,
    findings: Findings,
    /// For each message: the thread messages that show it.
    by_message: BTreeMap<MessageId, Vec<&'a ThreadMessage>>,
    /// Sends that the product lists without a wamid: by text (agents' are unique) and by opaque id.
    listed: BTreeMap<&'a str, SendState>,
    listed_opaque: BTreeSet<&'a str>,
}

/// Compares and gives the findings of the comparison, apart from those made while the run went on.
pub(crate) fn compare(world: &World, ledger: &Ledger, threads: &[Thread]) -> Findings {
    let mut shown = Shown {
        world,
        ledger,
        findings: Findings::default(),
        by_message: BTreeMap::new(),
        listed: BTreeMap::new(),
        listed_opaque: BTreeSet::new(),
    };
    let mut seen = BTreeMap::new();
    for thread in threads {
        shown.take_thread(thread, &mut seen);
    }
    for (id, message) in ledger.messages.iter() {
        shown.check_message(id, message);
    }
    shown.check_replies();
    shown.findings
}

/// How many acknowledged customer messages the threads show: what the product decided, by the judge's own count.
pub(crate) fn decided(ledger: &Ledger, threads: &[Thread]) -> usize {
    let shown: BTreeSet<&str> = threads
        .iter()
        .flat_map(|thread| &thread.messages)
        .filter_map(|m| m.wamid.as_deref())
        .collect();
    let customers =
        ledger.messages.iter().filter(|(_, message)| message.origin == Origin::Customer);
    customers.filter(|(_, message)| shown.contains(message.wamid.as_str())).count()
}

impl<'a> Shown<'a> {
    fn add(&mut self, verdict: Verdict, kind: &'static str, example: impl FnOnce() -> String) {
        self.findings.add(verdict, kind, example);
    }

    fn take_thread(&mut self, thread: &'a Thread, seen: &mut BTreeMap<ChatId, &'a str>) {
        let chat = thread.chat(self.world);
        if let Some(chat) = chat.filter(|_| !thread.messages.is_empty())
            && let Some(other) = seen.insert(chat, &thread.conversation)
            && other != thread.conversation
        {
            let example = || format!("{chat:?} in {other} and {}", thread.conversation);
            self.add(Verdict::Violation, "one customer's chat in two threads", example);
        }
        let mut known: Vec<&Message> = Vec::new();
        for message in &thread.messages {
            self.take_message(thread, chat, message, &mut known);
        }
        if let Some((before, after)) = self.ledger.first_disorder(&known) {
            let place = |message: &Message| format!("({}, {})", message.ts_s, message.wamid);
            let example =
                || format!("{}: {} before {}", thread.conversation, place(before), place(after));
            self.add(Verdict::Violation, "a thread is not in Meta's order", example);
        }
    }

    fn take_message(
        &mut self,
        thread: &'a Thread,
        chat: Option<ChatId>,
        message: &'a ThreadMessage,
        known: &mut Vec<&'a Message>,
    ) {
        let Some(wamid) = message.wamid.as_deref() else {
            self.listed.insert(&message.text, message.state);
            self.listed_opaque.insert(&message.opaque);
            return;
        };
        let Some(id) = self.ledger.by_wamid.get(wamid).copied() else {
            if self.ledger.undelivered.contains_key(wamid) {
                self.take_undelivered(thread, message);
                return;
            }
            let example = || format!("{}: {wamid}", thread.conversation);
            self.add(Verdict::Violation, "a thread shows a message that never was", example);
            return;
        };
        let truth = &self.ledger.messages[id];
        known.push(truth);
        self.by_message.entry(id).or_default().push(message);
        let example = || format!("{}: {wamid} of {:?}", thread.conversation, truth.chat);
        if self.world.business_of(truth.chat) != thread.reader {
            self.add(Verdict::Violation, "a message of one business is shown to another", example);
        } else if chat.is_some_and(|chat| chat != truth.chat) {
            self.add(Verdict::Violation, "a message is in another customer's thread", example);
        }
        let side = match truth.origin {
            Origin::Customer => Side::Customer,
            Origin::Phone => Side::Phone,
            Origin::Api { .. } => Side::Ours,
        };
        if side != message.side {
            self.add(Verdict::Violation, "a message stands on the wrong side", example);
        }
        if truth.plain && truth.text != message.text {
            self.add(Verdict::Violation, "a message has another text", example);
        }
        if side != Side::Ours && truth.ts_s != message.ts_s {
            self.add(Verdict::Violation, "a message has another time than Meta gave it", example);
        }
    }

    /// A send that Meta took and then failed: it must not look delivered.
    fn take_undelivered(&mut self, thread: &Thread, message: &'a ThreadMessage) {
        self.listed.insert(&message.text, message.state);
        if message.state != SendState::Failed {
            let example =
                || format!("{}: {:?} {:?}", thread.conversation, message.wamid, message.state);
            self.add(Verdict::Lost, "a failed status", example);
        }
    }

    fn check_message(&mut self, id: MessageId, message: &'a Message) {
        let shown = self.by_message.get(&id).cloned().unwrap_or_default();
        let example = || format!("{:?} {} at {}", message.chat, message.wamid, message.ts_s);
        if shown.len() > 1 {
            self.add(
                Verdict::Duplicated,
                "a message stands in the threads more than once",
                example,
            );
        }
        match &message.origin {
            Origin::Customer | Origin::Phone if shown.is_empty() => {
                if message.acked_us.is_some() {
                    let phone = message.origin == Origin::Phone;
                    let kind =
                        if phone { "an acknowledged echo" } else { "an acknowledged message" };
                    self.add(Verdict::Lost, kind, example);
                }
            }
            Origin::Customer | Origin::Phone => {}
            Origin::Api { opaque, .. } => {
                self.check_send(message, opaque.as_deref(), shown.first().copied())
            }
        }
    }

    fn check_send(
        &mut self,
        message: &Message,
        opaque: Option<&str>,
        shown: Option<&ThreadMessage>,
    ) {
        let example =
            || format!("{:?} {} status {:?}", message.chat, message.wamid, message.progress);
        let Some(shown) = shown else {
            // Of a message we ourselves made it send twice, one id in the thread is enough. And a wamid of which the product saw
            // neither answer nor status is listed as unknown, if at all, without it.
            let unseen = message.answer_withheld && message.first_status_acked_us.is_none();
            let listed = opaque.is_some_and(|opaque| self.listed_opaque.contains(opaque));
            let forgiven = message.excused || (unseen && listed);
            if !forgiven {
                self.add(
                    Verdict::Lost,
                    "a message in the customer's chat is not in our thread",
                    example,
                );
            }
            return;
        };
        if opaque.is_some_and(|opaque| opaque != shown.opaque) {
            self.add(Verdict::Violation, "a send is shown under another opaque id", example);
        }
        if let Some(progress) = message.progress.filter(|progress| !reaches(shown.state, *progress))
        {
            let example =
                || format!("{:?} {} {:?} < {progress:?}", message.chat, message.wamid, shown.state);
            self.add(Verdict::Lost, "an acknowledged status", example);
        }
        if message.excused && !shown.repeated {
            self.add(Verdict::Violation, "a repeated send is not flagged", example);
        }
    }

    /// Everything the product said yes to is in its customer's chat, or listed as failed or unknown.
    fn check_replies(&mut self) {
        let ledger = self.ledger;
        for (key, reply) in &ledger.replies {
            let example = || format!("command {} of {:?} in {:?}", key.1, key.0, reply.chat);
            if reply.fate == CommandFate::Refused && !reply.delivered.is_empty() {
                self.findings.add(
                    Verdict::Violation,
                    "what was refused reached the customer",
                    example,
                );
            }
            if reply.fate != CommandFate::Done || !reply.delivered.is_empty() {
                continue;
            }
            let listed = self.listed.get(reply.text.as_str());
            if !matches!(listed, Some(SendState::Failed | SendState::Unknown)) {
                let kind = match key.0 {
                    Asker::Agent(_) => "an agent's acknowledged reply",
                    Asker::Program(_) => "a program's acknowledged message",
                };
                self.findings.add(Verdict::Lost, kind, example);
            }
        }
    }
}

/// Whether a shown state is at least what was acknowledged. After `failed` the product may show either fact.
fn reaches(state: SendState, progress: Progress) -> bool {
    match state {
        SendState::Pending | SendState::Unknown => false,
        SendState::Failed => progress == Progress::Failed,
        reached => progress == Progress::Failed || reached >= progress.as_state(),
    }
}
