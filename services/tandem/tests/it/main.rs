//! The product as it is run: real processes on loopback, the simulated Meta beside them, and its judge. One test plays at a
//! time; docs/testing.md says which line of the plan each one shows and how to repeat it.
//!
//! | Variable | Meaning | Default |
//! |---|---|---|
//! | `TANDEM_KILLS` | random kills in `kill` | 6 |
//! | `TANDEM_CUTS` | power cuts in `power` | 5 |
//! | `TANDEM_TEST_SEED` | when and where to strike | the time; it is printed |

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking and says what it did"
)]

mod by_hand;
mod cli;
mod conversations;
mod demo;
mod disk;
mod kill;
mod ordeal;
mod pause;
mod payloads;
mod play;
mod power;
mod sabotage;
mod shop;
mod view;
