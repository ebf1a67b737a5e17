//! A live entity with its mailbox, as the shell's entity actor has one, but run when the scheduler says.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bus::{EntityId, Event, FormatLevel, PartName, SavedPart};
use runtime::{
    host::{DecideInput, EntityError, Host, LiveEntity},
    shard::{Decided, Life, Notice, Outcome, Ticket},
};

use crate::toy::decide::ToyHost;

pub(super) enum Message {
    Open { parts: Vec<SavedPart>, events: Vec<Event> },
    Decide { ticket: Ticket, input: Box<DecideInput> },
    Snapshot { parts: Vec<PartName>, format: FormatLevel },
}

pub(super) struct Living {
    pub(super) entity: EntityId,
    life: Life,
    live: Option<Box<dyn LiveEntity>>,
    through: Ticket,
    mailbox: VecDeque<Message>,
}

fn caught<T>(code: impl FnOnce() -> Result<T, EntityError>) -> Result<T, EntityError> {
    let text = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    };
    catch_unwind(AssertUnwindSafe(code))
        .unwrap_or_else(|panic| Err(EntityError::Broken(text(panic))))
}

impl Living {
    pub(super) fn new(entity: EntityId, life: Life) -> Self {
        Self { entity, life, live: None, through: 0, mailbox: VecDeque::new() }
    }

    pub(super) fn post(&mut self, message: Message) {
        self.mailbox.push_back(message);
    }

    /// What it decides on next, if that is next.
    pub(super) fn next_decision(&self) -> Option<&DecideInput> {
        match self.mailbox.front()? {
            Message::Decide { input, .. } if self.live.is_some() => Some(input),
            _ => None,
        }
    }

    /// Handles the oldest message.
    pub(super) fn run(&mut self, host: &ToyHost) -> Option<Notice> {
        match self.mailbox.pop_front()? {
            Message::Open { parts, events } => self.open(host, &parts, &events),
            Message::Decide { ticket, input } => self.decide(ticket, &input),
            Message::Snapshot { parts, format } => self.snapshot(parts, format),
        }
    }

    fn open(&mut self, host: &ToyHost, parts: &[SavedPart], events: &[Event]) -> Option<Notice> {
        let (entity, life) = (self.entity, self.life);
        let opened = caught(|| {
            let mut live = host.load(entity, parts)?;
            events.iter().try_for_each(|event| live.apply(event))?;
            Ok(live)
        });
        match opened {
            Ok(live) => {
                self.live = Some(live);
                None
            }
            Err(error) => Some(Notice::OpenFailed { entity, life, error }),
        }
    }

    fn decide(&mut self, ticket: Ticket, input: &DecideInput) -> Option<Notice> {
        let live = self.live.as_mut()?;
        let decided = caught(|| {
            let decision = live.decide(input)?;
            decision.events.iter().try_for_each(|event| live.apply(event))?;
            Ok(Decided { wake_ms: live.wake_ms(), decision })
        });
        let outcome = match decided {
            Ok(decided) => {
                self.through = ticket;
                Outcome::Decided(Box::new(decided))
            }
            Err(error) => {
                self.live = None;
                Outcome::Poison(error.to_string())
            }
        };
        Some(Notice::Decided { life: self.life, ticket, outcome })
    }

    fn snapshot(&self, parts: Vec<PartName>, format: FormatLevel) -> Option<Notice> {
        let live = self.live.as_ref()?;
        let encode = |name: PartName| Ok((name.clone(), live.part(&name, format)?));
        let parts: Result<Vec<_>, EntityError> = parts.into_iter().map(encode).collect();
        let parts = parts.map_err(|error| error.to_string());
        let Self { entity, life, through, .. } = *self;
        Some(Notice::Snapshot { entity, life, through, parts })
    }
}
