//! Commands to requests for the desk, or to lines at once.

use api::v1::{
    AcceptOffer, AddNote, EndWrapUp, Presence, RejectOffer, Requeue, Resolve, SendMessage,
    SetPresence, Snooze, Transfer, desk_request::Request as Ask, send_message, transfer,
};

use super::{Model, Talk};
use crate::agent::{
    command::{Command, HELP, Target},
    words,
};

/// What a command comes to.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::agent) enum Done {
    Ask(Box<Ask>),
    Lines(Vec<String>),
}

impl Model {
    /// Carries a command out: a request for the desk, or lines at once.
    ///
    /// # Errors
    /// What is missing and what to type.
    pub(in crate::agent) fn command(
        &mut self,
        command: &Command,
        now_ms: i64,
    ) -> Result<Done, String> {
        if let Some(ask) = self.ask(command, now_ms)? {
            self.unanswered += 1;
            return Ok(Done::Ask(Box::new(ask)));
        }
        let lines = match command {
            Command::List => self.list(now_ms),
            Command::Show(n) => self.show(*n)?,
            Command::Open(n) => {
                self.talk(*n)?;
                self.look_at(n - 1);
                self.open = Some(n - 1);
                self.show(Some(*n))?
            }
            Command::Help => HELP.lines().map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        Ok(Done::Lines(lines))
    }

    /// The request of a command, if it is one for the desk.
    fn ask(&self, command: &Command, now_ms: i64) -> Result<Option<Ask>, String> {
        Ok(Some(match command.clone() {
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
            Command::Transfer { to, note } => {
                let to = Some(match to {
                    Target::Queue(queue) => transfer::To::QueueId(queue),
                    Target::Agent(agent) => transfer::To::AgentId(agent),
                });
                Ask::Transfer(Transfer { conversation_id: self.current()?, to, note })
            }
            Command::Requeue(queue_id) => {
                Ask::Requeue(Requeue { conversation_id: self.current()?, queue_id })
            }
            Command::Snooze { for_ms } => Ask::Snooze(Snooze {
                conversation_id: self.current()?,
                until_ms: now_ms.saturating_add(for_ms),
            }),
            Command::Resolve { code, wrap_up } => {
                Ask::Resolve(Resolve { conversation_id: self.current()?, code, wrap_up })
            }
            Command::Done(n) => {
                Ask::EndWrapUp(EndWrapUp { conversation_id: self.in_wrap_up(n)?.id.clone() })
            }
            Command::List
            | Command::Show(_)
            | Command::Open(_)
            | Command::Wait(_)
            | Command::Help
            | Command::Quit => return Ok(None),
        }))
    }

    fn list(&self, now_ms: i64) -> Vec<String> {
        let lines = self.talks.iter().enumerate().filter_map(|(n, talk)| {
            let what = match (&talk.offer, talk.assigned, &talk.wrap_up) {
                (Some(offer), false, _) => format!("offered, {}", offer.queue_id),
                (_, true, _) => format!("yours, floor: {}", talk.floor),
                (None, false, Some(wrap_up)) => {
                    format!("wrap-up, {} left", words::span(wrap_up.until_ms - now_ms))
                }
                (None, false, None) => return None,
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
        lines.extend(talk.thread.iter().map(|one| format!("    {}", words::message_line(one))));
        lines.extend(talk.notes.iter().map(words::note_line));
        Ok(lines)
    }

    /// A conversation by its number.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::agent) fn talk(&self, n: usize) -> Result<&Talk, String> {
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

    fn in_wrap_up(&self, n: Option<usize>) -> Result<&Talk, String> {
        let talk = match n {
            Some(n) => Some(self.talk(n)?),
            None => self.talks.iter().find(|talk| talk.wrap_up.is_some()),
        };
        talk.filter(|talk| talk.wrap_up.is_some())
            .ok_or_else(|| "there is no work after a conversation to end".to_owned())
    }
}

fn presence(presence: Presence) -> Ask {
    Ask::SetPresence(SetPresence { presence: presence.into() })
}
