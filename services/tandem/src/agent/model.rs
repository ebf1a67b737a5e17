//! What the agent knows, and in which words changes are told. Pure: news in, lines out; commands in, requests out.

mod ask;
mod talk;

use api::v1::{
    Delivery, DeliveryChanged, DeskEvent, Message, Offer, OfferEnd, Presence, Snapshot,
    command_result, desk_event::Event, desk_request::Request as Ask, send_message,
};

pub(super) use self::{ask::Done, talk::Talk};
use super::{history::History, link::News, words};

/// Messages of a thread shown with an offer.
const OFFER_LINES: usize = 6;

/// The customer service window, from each message of the customer.
const WINDOW_MS: i64 = 24 * 3_600_000;

const RESOLVED: &str = "resolved";

/// The agent's desk.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) agent: String,
    pub(super) talks: Vec<Talk>,
    /// Index of the conversation that words are for.
    pub(super) open: Option<usize>,
    /// Index of the conversation on the screen, where there is one.
    looked_at: Option<usize>,
    pub(super) signed_in: bool,
    /// Why there is no connection, once one was there or was tried.
    pub(super) lost: Option<String>,
    pub(super) presence: Presence,
    /// Capacity units in use, and in all.
    pub(super) units: (u32, u32),
    /// Too many offers were missed: none is made until the agent does something.
    pub(super) missed_too_many: bool,
    /// Commands asked and not answered.
    pub(super) unanswered: usize,
    /// Commands refused so far.
    pub(super) refused: usize,
    /// Why the link will not come back.
    pub(super) over: Option<String>,
}

impl Model {
    pub(super) fn new(agent: &str) -> Self {
        Self { agent: agent.to_owned(), ..Self::default() }
    }

    /// Takes news; answers the lines that tell them.
    pub(super) fn take(&mut self, news: News) -> Vec<String> {
        match news {
            News::Lost(why) => {
                let told = match (std::mem::take(&mut self.signed_in), &self.lost) {
                    (true, _) => {
                        vec![format!("connection lost ({why}); commands are kept and sent again")]
                    }
                    (false, None) => vec![format!("{why}; tried again until it works")],
                    (false, Some(_)) => Vec::new(),
                };
                self.lost = Some(why);
                told
            }
            News::Over(why) => {
                let text = format!("the desk is closed: {why}");
                self.over = Some(why);
                vec![text]
            }
            News::History(history) => self.history(*history),
            News::Answered(ask, answer) => vec![self.answered(&ask, answer)],
            News::Event(event) => self.event(*event),
        }
    }

    fn event(&mut self, event: DeskEvent) -> Vec<String> {
        match event.event {
            Some(Event::Snapshot(snapshot)) => self.snapshot(snapshot),
            Some(Event::Offered(offer)) => {
                let (_, talk) = self.talk_of(&offer.conversation_id);
                // Told with its history, which comes next.
                talk.offer = Some(offer);
                Vec::new()
            }
            Some(Event::OfferEnded(ended)) => self.offer_ended(&ended.offer_id, ended.end()),
            Some(Event::Assigned(assigned)) => {
                let n = self.number(&assigned.conversation_id);
                self.assign(n);
                vec![format!("[{}] yours; `say TEXT` answers", n + 1)]
            }
            Some(Event::Unassigned(gone)) => self.gone(&gone.conversation_id, "no longer yours"),
            Some(Event::EpisodeResolved(gone)) => self.gone(&gone.conversation_id, RESOLVED),
            Some(Event::Message(joined)) => {
                self.joined(&joined.conversation_id, joined.message.unwrap_or_default())
            }
            Some(Event::DeliveryChanged(changed)) => vec![self.delivered(&changed)],
            Some(Event::FloorChanged(changed)) => {
                let floor = words::floor_word(changed.floor.as_ref(), &self.agent);
                let (n, talk) = self.talk_of(&changed.conversation_id);
                let told = format!("[{n}] floor: {floor}");
                talk.floor = floor;
                vec![told]
            }
            Some(Event::WrapUpBegan(wrap_up)) => {
                let (n, talk) = self.talk_of(&wrap_up.conversation_id);
                talk.wrap_up = Some(wrap_up);
                vec![format!("[{n}] wrap-up; `done {n}` ends it")]
            }
            Some(Event::WrapUpEnded(ended)) => {
                let (n, talk) = self.talk_of(&ended.conversation_id);
                talk.wrap_up = None;
                vec![format!("[{n}] wrap-up ended")]
            }
            Some(Event::MissedTooMany(_)) => {
                self.missed_too_many = true;
                vec!["too many offers missed: none is made until you type `available`".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, ask: &Ask, answer: Option<command_result::Result>) -> String {
        self.unanswered = self.unanswered.saturating_sub(1);
        let Some(command_result::Result::Refused(refused)) = answer else { return "ok".to_owned() };
        self.refused += 1;
        if let Ask::Send(send) = ask
            && let Some(send_message::Content::Text(text)) = &send.content
        {
            // Not to be typed again.
            let (_, talk) = self.talk_of(&send.conversation_id);
            talk.draft.clone_from(text);
        }
        let why = refused.reason().as_str_name().trim_start_matches("REFUSAL_REASON_");
        format!("refused: {} ({})", refused.text, why.to_lowercase())
    }

    fn joined(&mut self, id: &str, message: Message) -> Vec<String> {
        let line = words::message_line(&message);
        let by_customer = words::who(&message) == "customer";
        let at_ms = message.timestamp_ms;
        let looked_at = self.looked_at.map(|index| index + 1);
        let (n, talk) = self.talk_of(id);
        if !talk.put(message) {
            return Vec::new();
        }
        if by_customer {
            talk.unread += usize::from(looked_at != Some(n));
            talk.window_until_ms = talk.window_until_ms.max(at_ms + WINDOW_MS);
        }
        vec![format!("[{n}] {line}")]
    }

    fn delivered(&mut self, changed: &DeliveryChanged) -> String {
        let delivery = changed.delivery();
        let why = match (delivery, changed.error_text.as_str()) {
            (Delivery::Failed, "") => format!(" (code {})", changed.error_code),
            (Delivery::Failed, text) => format!(": {}", words::one_line(text)),
            _ => String::new(),
        };
        let (n, talk) = self.talk_of(&changed.conversation_id);
        talk.delivered(changed);
        format!("[{n}] {}{why}", words::delivery_word(delivery))
    }

    fn snapshot(&mut self, snapshot: Snapshot) -> Vec<String> {
        let first = !std::mem::replace(&mut self.signed_in, true);
        (self.presence, self.lost) = (snapshot.presence(), None);
        self.units = (snapshot.capacity_used, snapshot.capacity);
        self.missed_too_many = snapshot.missed_too_many;
        for talk in &mut self.talks {
            (talk.offer, talk.assigned, talk.wrap_up) = (None, false, None);
        }
        for offer in snapshot.offers {
            let (_, talk) = self.talk_of(&offer.conversation_id);
            talk.offer = Some(offer);
        }
        for assigned in snapshot.assigned {
            let n = self.number(&assigned.conversation_id);
            self.assign(n);
        }
        for wrap_up in snapshot.wrap_ups {
            let (_, talk) = self.talk_of(&wrap_up.conversation_id);
            talk.wrap_up = Some(wrap_up);
        }
        self.close_what_is_gone();
        let mut lines = Vec::new();
        if first {
            let (agent, (used, all)) = (&self.agent, self.units);
            lines.push(format!("signed in as {agent}, {used} of {all} units in use"));
        }
        for taken in snapshot.taken_conversation_ids {
            let (n, _) = self.talk_of(&taken);
            lines.push(format!("[{n}] taken from you while the connection was lost"));
        }
        lines
    }

    fn history(&mut self, history: History) -> Vec<String> {
        let History { conversation, messages, notes } = history;
        let floor = words::floor_word(conversation.floor.as_ref(), &self.agent);
        let (n, talk) = self.talk_of(&conversation.conversation_id);
        talk.name = words::contact_name(conversation.contact.as_ref());
        talk.floor = floor;
        talk.window_until_ms = conversation.window_until_ms;
        talk.notes = notes;
        for message in messages {
            talk.put(message);
        }
        let Some(offer) =
            talk.offer.as_ref().filter(|offer| !talk.assigned && talk.told_offer != offer.offer_id)
        else {
            return Vec::new();
        };
        let lines = offer_lines(n, talk, offer, conversation.last_message_ms);
        talk.told_offer = offer.offer_id.clone();
        lines
    }

    fn offer_ended(&mut self, offer_id: &str, end: OfferEnd) -> Vec<String> {
        let mut lines = Vec::new();
        for (n, talk) in self.talks.iter_mut().enumerate() {
            if talk.offer.as_ref().is_some_and(|offer| offer.offer_id == offer_id) {
                talk.offer = None;
                let end = end.as_str_name().trim_start_matches("OFFER_END_").to_lowercase();
                lines.push(format!("[{}] offer {end}", n + 1));
            }
        }
        lines
    }

    fn gone(&mut self, id: &str, how: &str) -> Vec<String> {
        let (n, talk) = self.talk_of(id);
        let had = std::mem::replace(&mut talk.assigned, false) || how == RESOLVED;
        self.close_what_is_gone();
        if had { vec![format!("[{n}] {how}")] } else { Vec::new() }
    }

    /// Words are for a conversation that the agent has.
    fn close_what_is_gone(&mut self) {
        let has = |n: usize| self.talks.get(n).is_some_and(|talk| talk.assigned);
        if !self.open.is_some_and(has) {
            self.open = self.talks.iter().position(|talk| talk.assigned);
        }
    }

    fn assign(&mut self, n: usize) {
        if let Some(talk) = self.talks.get_mut(n) {
            (talk.assigned, talk.offer, talk.wrap_up) = (true, None, None);
            self.open.get_or_insert(n);
        }
    }

    /// The agent looks at a conversation: nothing in it is unread, and words are for it if it is the agent's.
    pub(super) fn look_at(&mut self, n: usize) {
        self.looked_at = Some(n);
        if let Some(talk) = self.talks.get_mut(n) {
            talk.unread = 0;
            if talk.assigned {
                self.open = Some(n);
            }
        }
    }

    /// Index of a conversation, new ones at the end.
    fn number(&mut self, id: &str) -> usize {
        self.talks.iter().position(|talk| talk.id == id).unwrap_or_else(|| {
            let (id, name, floor) = (id.to_owned(), "somebody".to_owned(), "nobody".to_owned());
            self.talks.push(Talk { id, name, floor, ..Talk::default() });
            self.talks.len() - 1
        })
    }

    /// A conversation and its number.
    #[expect(clippy::indexing_slicing, reason = "`number` answers where it is")]
    fn talk_of(&mut self, id: &str) -> (usize, &mut Talk) {
        let index = self.number(id);
        (index + 1, &mut self.talks[index])
    }
}

fn offer_lines(n: usize, talk: &Talk, offer: &Offer, last_message_ms: i64) -> Vec<String> {
    let waits_s = (last_message_ms - offer.waiting_since_ms).max(0) / 1000;
    let reason = if offer.reason.is_empty() { "no reason given" } else { offer.reason.as_str() };
    let mut lines = vec![format!(
        "offer [{n}]: {} in {}, waited {waits_s} s, {reason}; `accept {n}` or `reject {n}`",
        talk.name, offer.queue_id,
    )];
    let collected = offer.fields.iter();
    lines.extend(collected.map(|field| {
        format!("    {} = {}", words::one_line(&field.name), words::one_line(&field.value))
    }));
    let skipped = talk.thread.len().saturating_sub(OFFER_LINES);
    let last = talk.thread.iter().skip(skipped);
    lines.extend(last.map(|one| format!("    {}", words::message_line(one))));
    lines.extend(talk.notes.iter().map(words::note_line));
    lines
}
