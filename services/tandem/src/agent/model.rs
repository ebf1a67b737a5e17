//! What the agent knows, and in which words changes are told. Pure: news in, lines out; commands in, requests out.

use std::collections::BTreeMap;

use api::v1::{
    AcceptOffer, AddNote, AuthorKind, Contact, Delivery, DeskEvent, Floor, Message, Offer,
    OfferEnd, Presence, RejectOffer, Resolve, SendMessage, SetPresence, Snapshot, command_result,
    desk_event::Event, desk_request::Request as Ask, floor::Holder, send_message,
};

use super::{
    command::{Command, HELP},
    history::History,
    link::News,
};

/// Messages of a thread shown with an offer.
const OFFER_LINES: usize = 6;

const RESOLVED: &str = "resolved";

/// The agent's desk.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    agent: String,
    talks: Vec<Talk>,
    /// Index of the conversation that words are for.
    open: Option<usize>,
    signed_in: bool,
    /// Commands asked and not answered.
    pub(super) unanswered: usize,
    /// Commands refused so far.
    pub(super) refused: usize,
    /// The link will not come back.
    pub(super) over: bool,
}

/// A conversation, numbered by its place for as long as the desk runs.
#[derive(Clone, Debug, Default)]
struct Talk {
    id: String,
    offer: Option<Offer>,
    assigned: bool,
    name: String,
    floor: String,
    thread: BTreeMap<(i64, String), Message>,
}

impl Talk {
    fn put(&mut self, message: Message) -> bool {
        let known = self.thread.values().any(|one| one.message_id == message.message_id);
        // A send gets its place and id once Meta took it.
        self.thread.retain(|_, one| one.message_id != message.message_id);
        self.thread.insert((message.timestamp_ms, message.message_id.clone()), message);
        !known
    }
}

impl Model {
    pub(super) fn new(agent: &str) -> Self {
        Self { agent: agent.to_owned(), ..Self::default() }
    }

    /// Takes news; answers the lines that tell them.
    pub(super) fn take(&mut self, news: News) -> Vec<String> {
        match news {
            News::Lost(why) => {
                let first = std::mem::replace(&mut self.signed_in, false);
                let text = format!("connection lost ({why}); commands are kept and sent again");
                if first { vec![text] } else { Vec::new() }
            }
            News::Over(why) => {
                self.over = true;
                vec![format!("the desk is closed: {why}")]
            }
            News::History(history) => self.history(*history),
            News::Event(event) => self.event(*event),
        }
    }

    fn event(&mut self, event: DeskEvent) -> Vec<String> {
        match event.event {
            Some(Event::Snapshot(snapshot)) => self.snapshot(snapshot),
            Some(Event::Offered(offer)) => {
                let n = self.number(&offer.conversation_id);
                if let Some(talk) = self.talks.get_mut(n) {
                    talk.offer = Some(offer);
                }
                // Told with its history, which comes next.
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
                let n = self.number(&joined.conversation_id);
                let message = joined.message.unwrap_or_default();
                let line = message_line(&message);
                let new = self.talks.get_mut(n).is_some_and(|talk| talk.put(message));
                if new { vec![format!("[{}] {line}", n + 1)] } else { Vec::new() }
            }
            Some(Event::DeliveryChanged(changed)) => {
                let n = self.number(&changed.conversation_id);
                let delivery = changed.delivery();
                let why = match (delivery, changed.error_text.as_str()) {
                    (Delivery::Failed, "") => format!(" (code {})", changed.error_code),
                    (Delivery::Failed, text) => format!(": {text}"),
                    _ => String::new(),
                };
                let messages =
                    self.talks.get_mut(n).into_iter().flat_map(|talk| talk.thread.values_mut());
                for message in messages.filter(|one| one.message_id == changed.message_id) {
                    message.delivery = changed.delivery;
                }
                vec![format!("[{}] {}{why}", n + 1, delivery_word(delivery))]
            }
            Some(Event::FloorChanged(changed)) => {
                let n = self.number(&changed.conversation_id);
                let floor = floor_word(changed.floor.as_ref(), &self.agent);
                let told = format!("[{}] floor: {floor}", n + 1);
                match self.talks.get_mut(n) {
                    Some(talk) => talk.floor = floor,
                    None => return Vec::new(),
                }
                vec![told]
            }
            Some(Event::CommandResult(result)) => self.result(result.result),
            _ => Vec::new(),
        }
    }

    fn result(&mut self, result: Option<command_result::Result>) -> Vec<String> {
        self.unanswered = self.unanswered.saturating_sub(1);
        match result {
            Some(command_result::Result::Refused(refused)) => {
                self.refused += 1;
                let why = refused.reason().as_str_name().trim_start_matches("REFUSAL_REASON_");
                vec![format!("refused: {} ({})", refused.text, why.to_lowercase())]
            }
            _ => vec!["ok".to_owned()],
        }
    }

    fn snapshot(&mut self, snapshot: Snapshot) -> Vec<String> {
        let first = !std::mem::replace(&mut self.signed_in, true);
        let line = format!(
            "signed in as {}, {} of {} units in use",
            self.agent, snapshot.capacity_used, snapshot.capacity
        );
        for talk in &mut self.talks {
            (talk.offer, talk.assigned) = (None, false);
        }
        for offer in snapshot.offers {
            let n = self.number(&offer.conversation_id);
            if let Some(talk) = self.talks.get_mut(n) {
                talk.offer = Some(offer);
            }
        }
        for assigned in snapshot.assigned {
            let n = self.number(&assigned.conversation_id);
            self.assign(n);
        }
        if first { vec![line] } else { Vec::new() }
    }

    fn history(&mut self, history: History) -> Vec<String> {
        let History { conversation, messages, notes } = history;
        let n = self.number(&conversation.conversation_id);
        let floor = floor_word(conversation.floor.as_ref(), &self.agent);
        let Some(talk) = self.talks.get_mut(n) else { return Vec::new() };
        talk.name = contact_name(conversation.contact.as_ref());
        talk.floor = floor;
        for message in messages {
            talk.put(message);
        }
        let Some(offer) = talk.offer.as_ref().filter(|_| !talk.assigned) else { return Vec::new() };
        let waits_s = (conversation.last_message_ms - offer.waiting_since_ms).max(0) / 1000;
        let reason =
            if offer.reason.is_empty() { "no reason given" } else { offer.reason.as_str() };
        let mut lines = vec![format!(
            "offer [{}]: {} in {}, waited {waits_s} s, {reason}; `accept {}` or `reject {}`",
            n + 1,
            talk.name,
            offer.queue_id,
            n + 1,
            n + 1
        )];
        let skipped = talk.thread.len().saturating_sub(OFFER_LINES);
        lines.extend(
            talk.thread.values().skip(skipped).map(|one| format!("    {}", message_line(one))),
        );
        lines.extend(notes.iter().map(|(who, what)| format!("    note of {who} | {what}")));
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
        let n = self.number(id);
        let Some(talk) = self.talks.get_mut(n) else { return Vec::new() };
        let had = std::mem::replace(&mut talk.assigned, false) || how == RESOLVED;
        if self.open == Some(n) {
            self.open = self.talks.iter().position(|talk| talk.assigned);
        }
        if had { vec![format!("[{}] {how}", n + 1)] } else { Vec::new() }
    }

    fn assign(&mut self, n: usize) {
        if let Some(talk) = self.talks.get_mut(n) {
            (talk.assigned, talk.offer) = (true, None);
            self.open.get_or_insert(n);
        }
    }

    /// Index of a conversation, new ones at the end.
    fn number(&mut self, id: &str) -> usize {
        match self.talks.iter().position(|talk| talk.id == id) {
            Some(n) => n,
            None => {
                self.talks.push(Talk {
                    id: id.to_owned(),
                    floor: "nobody".to_owned(),
                    ..Talk::default()
                });
                self.talks.len() - 1
            }
        }
    }

    /// Carries a command out: a request for the desk, or lines at once.
    ///
    /// # Errors
    /// What is missing and what to type.
    pub(super) fn command(&mut self, command: Command) -> Result<Done, String> {
        let ask = match command {
            Command::Available => presence(Presence::Available),
            Command::Away => presence(Presence::Away),
            Command::Accept(n) => Ask::AcceptOffer(AcceptOffer { offer_id: self.offer(n)? }),
            Command::Reject(n, reason) => {
                Ask::RejectOffer(RejectOffer { offer_id: self.offer(n)?, reason })
            }
            Command::Say { text, take_floor } => Ask::Send(SendMessage {
                conversation_id: self.current()?,
                content: Some(send_message::Content::Text(text)),
                take_floor,
                ..Default::default()
            }),
            Command::Note(text) => Ask::Note(AddNote { conversation_id: self.current()?, text }),
            Command::Resolve => {
                Ask::Resolve(Resolve { conversation_id: self.current()?, ..Resolve::default() })
            }
            Command::Open(n) => {
                self.talk(n)?;
                self.open = Some(n - 1);
                return self.show(Some(n)).map(Done::Lines);
            }
            Command::List => return Ok(Done::Lines(self.list())),
            Command::Show(n) => return self.show(n).map(Done::Lines),
            Command::Help => return Ok(Done::Lines(HELP.lines().map(str::to_owned).collect())),
            Command::Wait(_) | Command::Quit => return Ok(Done::Lines(Vec::new())),
        };
        self.unanswered += 1;
        Ok(Done::Ask(Box::new(ask)))
    }

    fn list(&self) -> Vec<String> {
        let lines = self.talks.iter().enumerate().filter_map(|(n, talk)| {
            let what = match (&talk.offer, talk.assigned) {
                (Some(offer), false) => format!("offered, {}", offer.queue_id),
                (_, true) => format!("yours, floor: {}", talk.floor),
                (None, false) => return None,
            };
            let open = if self.open == Some(n) { "*" } else { " " };
            Some(format!("{open}[{}] {}: {what}", n + 1, talk.name))
        });
        let lines: Vec<String> = lines.collect();
        if lines.is_empty() { vec!["nothing offered, nothing yours".to_owned()] } else { lines }
    }

    fn show(&self, n: Option<usize>) -> Result<Vec<String>, String> {
        let index = n.map(|n| n.saturating_sub(1)).or(self.open);
        let index = index.ok_or("show which? `list` shows the numbers")?;
        let talk = self.talk(index + 1)?;
        let mut lines = vec![format!("[{}] {}, floor: {}", index + 1, talk.name, talk.floor)];
        lines.extend(talk.thread.values().map(|one| format!("    {}", message_line(one))));
        Ok(lines)
    }

    fn talk(&self, n: usize) -> Result<&Talk, String> {
        let talk = n.checked_sub(1).and_then(|index| self.talks.get(index));
        talk.ok_or_else(|| format!("there is no [{n}]; `list` shows the numbers"))
    }

    fn current(&self) -> Result<String, String> {
        let talk = self.open.and_then(|n| self.talks.get(n));
        talk.map(|talk| talk.id.clone()).ok_or_else(|| "no conversation is yours yet".to_owned())
    }

    fn offer(&self, n: Option<usize>) -> Result<String, String> {
        let mut offered = self.talks.iter().filter_map(|talk| talk.offer.as_ref());
        let offer = match n {
            Some(n) => self.talk(n)?.offer.as_ref(),
            None => offered.next(),
        };
        offer.map(|offer| offer.offer_id.clone()).ok_or_else(|| "no such offer is open".to_owned())
    }
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Done {
    Ask(Box<Ask>),
    Lines(Vec<String>),
}

fn presence(presence: Presence) -> Ask {
    Ask::SetPresence(SetPresence { presence: presence.into() })
}

fn message_line(message: &Message) -> String {
    let author = message.author.clone().unwrap_or_default();
    let who = match author.kind() {
        AuthorKind::Customer => "customer",
        AuthorKind::Bot => "bot",
        AuthorKind::Agent => author.agent_id.as_str(),
        AuthorKind::Api => "program",
        AuthorKind::Phone | AuthorKind::PhoneAutomatic => "phone",
        AuthorKind::Unspecified => "?",
    };
    let text = message.text.replace('\n', " / ");
    let text = if text.is_empty() { format!("({})", message.kind) } else { text };
    format!("{who} | {text}")
}

fn delivery_word(delivery: Delivery) -> String {
    delivery.as_str_name().trim_start_matches("DELIVERY_").to_lowercase()
}

fn floor_word(floor: Option<&Floor>, agent: &str) -> String {
    match floor.and_then(|floor| floor.holder.as_ref()) {
        Some(Holder::Bot(_)) => "bot".to_owned(),
        Some(Holder::Phone(_)) => "phone".to_owned(),
        Some(Holder::Desk(desk)) if desk.agent_id == agent => "you".to_owned(),
        Some(Holder::Desk(desk)) => desk.agent_id.clone(),
        _ => "nobody".to_owned(),
    }
}

fn contact_name(contact: Option<&Contact>) -> String {
    let Some(contact) = contact else { return "somebody".to_owned() };
    match (contact.name.as_str(), contact.phone.as_str()) {
        ("", "") => contact.user_id.clone(),
        (name, "") => name.to_owned(),
        ("", phone) => format!("+{phone}"),
        (name, phone) => format!("{name} (+{phone})"),
    }
}
