//! A live entity as an actor under its shard. A panic in its code is caught here and reported in order
//! with its other answers; the machine decides what it means.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bus::{EntityId, Event, FormatLevel, PartName, SavedPart};
use bytes::Bytes;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::shard_actor::ShardMsg;
use crate::{
    host::{DecideInput, EntityError, Host, LiveEntity},
    shard::{Decided, Life, Notice, Outcome, Ticket},
};

pub(crate) struct EntityActor;

pub(crate) struct EntityArguments {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) shard: ActorRef<ShardMsg>,
    pub(crate) entity: EntityId,
    pub(crate) life: Life,
}

pub(crate) struct EntityState {
    arguments: EntityArguments,
    /// `None` before it is opened and after it failed: then it answers nothing more.
    live: Option<Box<dyn LiveEntity>>,
    through: Ticket,
}

pub(crate) enum EntityMsg {
    Open { parts: Vec<SavedPart>, events: Vec<Event> },
    Decide { ticket: Ticket, input: Box<DecideInput> },
    Snapshot { parts: Vec<PartName>, format: FormatLevel },
}

impl EntityState {
    fn open(&mut self, parts: &[SavedPart], events: &[Event]) -> Option<Notice> {
        let EntityArguments { host, entity, life, .. } = &self.arguments;
        let (entity, life) = (*entity, *life);
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
                let what = error.to_string();
                match error {
                    EntityError::UnknownVersion { .. } => Outcome::UnknownVersion(what),
                    EntityError::Unreadable(_) | EntityError::Broken(_) => Outcome::Poison(what),
                }
            }
        };
        Some(Notice::Decided { life: self.arguments.life, ticket, outcome })
    }

    fn snapshot(&self, parts: Vec<PartName>, format: FormatLevel) -> Option<Notice> {
        let live = self.live.as_ref()?;
        let encode = |name: PartName| Ok((name.clone(), live.part(&name, format)?));
        let encoded = || parts.into_iter().map(encode).collect::<Result<Vec<_>, EntityError>>();
        let parts: Result<Vec<(PartName, Option<Bytes>)>, EntityError> = caught(encoded);
        let EntityArguments { entity, life, .. } = self.arguments;
        let parts = parts.map_err(|error| error.to_string());
        Some(Notice::Snapshot { entity, life, through: self.through, parts })
    }
}

/// Runs the entity's code; a panic becomes an error, and the entity is not used again.
fn caught<T>(code: impl FnOnce() -> Result<T, EntityError>) -> Result<T, EntityError> {
    catch_unwind(AssertUnwindSafe(code))
        .unwrap_or_else(|panic| Err(EntityError::Broken(panic_text(panic.as_ref()))))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", text.unwrap_or("no text"))
}

impl Actor for EntityActor {
    type Msg = EntityMsg;
    type State = EntityState;
    type Arguments = EntityArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<EntityMsg>,
        arguments: EntityArguments,
    ) -> Result<EntityState, ActorProcessingErr> {
        Ok(EntityState { arguments, live: None, through: 0 })
    }

    async fn handle(
        &self,
        _myself: ActorRef<EntityMsg>,
        message: EntityMsg,
        state: &mut EntityState,
    ) -> Result<(), ActorProcessingErr> {
        let notice = match message {
            EntityMsg::Open { parts, events } => state.open(&parts, &events),
            EntityMsg::Decide { ticket, input } => state.decide(ticket, &input),
            EntityMsg::Snapshot { parts, format } => state.snapshot(parts, format),
        };
        if let Some(notice) = notice {
            // A shard that is gone needs no answer.
            drop(state.arguments.shard.cast(ShardMsg::Notice(notice)));
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        _myself: ActorRef<EntityMsg>,
        _event: SupervisionEvent,
        _state: &mut EntityState,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}
