//! Tests of the conversation: tables of decisions, and properties over random histories.

mod addresses;
mod behind;
mod billing;
mod bot;
mod changes;
mod commands;
mod complaints;
mod convergence;
mod external;
mod floor;
mod items;
mod marketing;
mod overtaken;
mod properties;
mod reconcile;
mod routing;
mod sends;
mod thread;
mod triage;
mod world;
