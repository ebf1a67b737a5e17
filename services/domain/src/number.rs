//! A number: one phone number, or the account of another channel. Order and pace of sending, retries, reconciliation.
//!
//! Owns: which request leaves next, whether an attempt may be repeated, and what came of each request. Every request is
//! told one outcome; per customer one call is in flight; an agent's reply never waits behind a campaign; a template whose
//! outcome is unknown is never sent again. Must never know: who speaks in a conversation, what a message says, how
//! the provider is called.
//!
//! | file | what |
//! |---|---|
//! | `input`, `event` | the contract |
//! | `state` | what is kept of requests and of the number |
//! | `index` | derived in memory, never saved: who may leave next, what is due |
//! | `draft` | a number with the events of one decision on top; the only place that changes state |
//! | `decide`, `on_*` | one handler per input |
//! | `lanes` | what leaves next |
//! | `on_fetch` | channel accounts: what a platform fetches |
//! | `look` | what a request without an outcome waits for |
//! | `pace` | how fast the number goes, and whose turn it is among its lanes |
//! | `pair` | the debt with one customer |
//! | `retry` | what a refused or unknown attempt is followed by |
//! | `settle` | what is due: run after every input and on wake |
//! | `limiter`, `door` | the exact rate and the order, for the executor's door |

mod apply;
mod decide;
pub mod door;
mod draft;
pub(crate) mod event;
mod index;
mod input;
mod lanes;
pub mod limiter;
mod look;
mod on_echo;
mod on_fetch;
mod on_request;
mod on_result;
mod on_status;
mod pace;
mod pair;
pub mod recent_echoes;
mod reconcile;
mod retry;
mod settle;
mod state;
#[cfg(test)]
mod tests;

pub use decide::Occasion;
pub use event::{NumberEvent, PauseCause, Refused, RetryCause};
pub use input::{
    CallAnswer, Lane, NumberAnswer, NumberConfig, NumberInput, NumberMode, Parked, PauseReason,
    Reply, Retry, SendRequest, Wait, WaitScope,
};
pub use look::SendWait;
pub use reconcile::ASKS_FROM_LEVEL;
pub use state::{Number, Part};
