//! The product as it is run: real processes on loopback, the simulated Meta beside them, and its judge. One test plays at a
//! time; docs/testing.md says which line of the plan each one shows and how to repeat it.
//!
//! | Variable | Meaning | Default |
//! |---|---|---|
//! | `TANDEM_KILLS` | random kills in `kill` | 6 |
//! | `TANDEM_CUTS` | power cuts in `power` | 5 |
//! | `TANDEM_CLUSTER_KILLS` | fail-overs of killed routers in `cluster`, each timed | 2 |
//! | `TANDEM_CLUSTER_STRIKES` | kills, pauses and restarts in `cluster::three`; more than 20: pauses of up to 20 s | 20 |
//! | `TANDEM_CLUSTER_INBOUND_PER_S` | messages per second that customers begin there | 200 |
//! | `TANDEM_CLUSTER_UNACKED_MAX` | while so many webhooks wait there, nobody begins to write; 0: customers never wait | the scenario's |
//! | `TANDEM_OLD_PROGRAM` | program of an earlier commit that is upgraded from in `cluster::upgrade` | this one, as a rehearsal |
//! | `TANDEM_DEMO_SECONDS` | length of `endurance`; memory is judged from 300 | 15 |
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
mod clients;
mod cluster;
mod command;
mod conversations;
mod demo;
mod desk_screen;
mod disk;
mod endurance;
mod kill;
mod moving;
mod operator;
mod ordeal;
mod own_bot;
mod pause;
mod payloads;
mod payloads_all;
mod payloads_tail;
mod play;
mod power;
mod sabotage;
mod shop;
mod terminal;
mod tls;
mod view;
