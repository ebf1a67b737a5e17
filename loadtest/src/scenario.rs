//! Scenario files: who is in the world, how much they talk, how badly the network behaves, how strict the judge is.

use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::faults::Faults;
use crate::judge::JudgeRules;

/// Each has a connection of its own.
const WEBHOOKS_AT_ONCE_MAX: usize = 10_000;

/// A scenario as read from a TOML file. Everything follows from it and its seed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) seed: u64,
    #[serde(default)]
    pub(crate) traffic: Traffic,
    #[serde(default)]
    pub(crate) desk: DeskBehaviour,
    #[serde(default)]
    pub(crate) product: ProductSettings,
    #[serde(default)]
    pub(crate) faults: Faults,
    #[serde(default)]
    pub(crate) judge: JudgeRules,
    #[serde(rename = "business")]
    pub(crate) businesses: Vec<BusinessPlan>,
}

/// What customers and phones do.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Traffic {
    /// Messages per second that customers begin by themselves (answers to the menu come on top).
    pub(crate) inbound_per_s: f64,
    /// Time a customer takes to answer the menu.
    pub(crate) menu_think_ms: u64,
    /// A customer who saw no question for so long writes the keyword anyway.
    pub(crate) menu_patience_ms: u64,
    pub(crate) image_share: f64,
    pub(crate) location_share: f64,
    pub(crate) reaction_share: f64,
    /// Share of the customer messages on coexistence numbers that the phone answers.
    pub(crate) phone_echo_share: f64,
    pub(crate) phone_think_ms: u64,
    /// Messages per second that owners of phones write unasked, to customers who wrote before.
    pub(crate) phone_per_s: f64,
    /// Messages per second that each business' program sends in bulk to customers who wrote before.
    pub(crate) bulk_per_s: f64,
    /// Customers whose phone number the business never learns (BSUID only).
    pub(crate) hidden_share: f64,
    /// Customers who have a second conversation, with a number of another business.
    pub(crate) shared_share: f64,
    /// Webhooks under way at once, at most. What Meta's bound is, if there is one, is not known.
    pub(crate) webhooks_at_once: usize,
    /// While so many webhooks wait for the product's 200, nobody begins to write; 0 is no bound. Without one, a product on a
    /// machine that is slower than this traffic falls behind for ever, and hears of everything long after it happened.
    pub(crate) unacked_max: usize,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            inbound_per_s: 20.0,
            menu_think_ms: 300,
            menu_patience_ms: 15_000,
            image_share: 0.03,
            location_share: 0.01,
            reaction_share: 0.02,
            phone_echo_share: 0.1,
            phone_think_ms: 800,
            phone_per_s: 0.0,
            bulk_per_s: 0.0,
            hidden_share: 0.1,
            shared_share: 0.05,
            webhooks_at_once: 48,
            unacked_max: 0,
        }
    }
}

/// What the agents do.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DeskBehaviour {
    pub(crate) accept_think_ms: u64,
    pub(crate) reply_think_ms: u64,
    pub(crate) reject_share: f64,
    pub(crate) ignore_share: f64,
    /// Replies after which an agent resolves the conversation.
    pub(crate) resolve_after: u32,
    /// Nobody of the simulator sits at the desks: people do.
    pub(crate) absent: bool,
    /// First wait before a broken stream is opened again; it doubles up to `reconnect_max_ms`.
    pub(crate) reconnect_ms: u64,
    pub(crate) reconnect_max_ms: u64,
}

impl Default for DeskBehaviour {
    fn default() -> Self {
        Self {
            accept_think_ms: 150,
            reply_think_ms: 250,
            reject_share: 0.03,
            ignore_share: 0.01,
            resolve_after: 4,
            absent: false,
            reconnect_ms: 100,
            reconnect_max_ms: 1_000,
        }
    }
}

/// Settings the product must be configured with so that both sides mean the same thing.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ProductSettings {
    pub(crate) verify_token: String,
    pub(crate) phone_answer_timeout_ms: u64,
    pub(crate) phone_floor_timeout_ms: u64,
    pub(crate) offer_timeout_ms: u64,
}

impl Default for ProductSettings {
    fn default() -> Self {
        Self {
            verify_token: "verify-me".to_owned(),
            phone_answer_timeout_ms: 600_000,
            phone_floor_timeout_ms: 1_800_000,
            offer_timeout_ms: 5_000,
        }
    }
}

/// One tenant.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BusinessPlan {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(rename = "queue")]
    pub(crate) queues: Vec<QueuePlan>,
    #[serde(rename = "number")]
    pub(crate) numbers: Vec<NumberPlan>,
    #[serde(rename = "agents")]
    pub(crate) agents: Vec<AgentPlan>,
}

/// A queue, and the word by which a customer chooses it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueuePlan {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) keyword: String,
    #[serde(default)]
    pub(crate) skills: Vec<String>,
}

/// How a number is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Mode {
    Api,
    Coexistence,
}

/// One phone number.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NumberPlan {
    pub(crate) mode: Mode,
    /// Messages per second: 20 (coexistence), 80 or 1,000 at Meta.
    pub(crate) rate_per_s: u32,
    pub(crate) customers: u32,
    /// Weight of this number in the traffic.
    pub(crate) weight: f64,
}

/// A group of like agents.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentPlan {
    pub(crate) count: u32,
    pub(crate) skills: Vec<String>,
    pub(crate) capacity: u32,
}

/// Why a scenario cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ScenarioError {
    #[error("cannot read scenario {path}")]
    Read { path: String, source: std::io::Error },
    #[error("scenario is not valid TOML of the expected shape: {0}")]
    Shape(#[from] toml::de::Error),
    #[error("scenario is not usable: {0}")]
    Sense(&'static str),
}

impl Scenario {
    pub(crate) fn load(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::Read { path: path.display().to_string(), source })?;
        Self::parse(&text)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text)?;
        scenario.check()?;
        Ok(scenario)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let numbers = || self.businesses.iter().flat_map(|business| &business.numbers);
        let rules: [(bool, &'static str); 6] = [
            (self.businesses.is_empty(), "no business"),
            (self.businesses.iter().any(|b| b.queues.is_empty()), "a business without a queue"),
            (self.businesses.iter().any(|b| b.numbers.is_empty()), "a business without a number"),
            (
                numbers().any(|n| n.rate_per_s == 0 || n.customers == 0),
                "a number without rate or customers",
            ),
            (numbers().all(|n| n.weight <= 0.0), "no number has a weight"),
            (
                !(1..=WEBHOOKS_AT_ONCE_MAX).contains(&self.traffic.webhooks_at_once),
                "traffic.webhooks_at_once is not between 1 and 10000",
            ),
        ];
        rules
            .iter()
            .find(|(broken, _)| *broken)
            .map_or(Ok(()), |(_, why)| Err(ScenarioError::Sense(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    #[test]
    fn the_scenarios_that_are_shipped_can_be_used() {
        for (text, numbers, businesses) in [
            (include_str!("../scenarios/demo.toml"), 3, 2),
            (include_str!("../scenarios/kill.toml"), 3, 2),
            (include_str!("../scenarios/cluster.toml"), 10, 3),
        ] {
            let scenario = Scenario::parse(text).unwrap();
            let world = World::build(&scenario);
            let shape = (world.numbers.len(), world.businesses.len());
            assert_eq!(shape, (numbers, businesses), "{}", scenario.name);
            assert!(world.customers.len() >= 200 && world.agents.len() >= 50);
            assert!(world.numbers.iter().any(|(_, number)| number.mode == Mode::Coexistence));
        }
    }

    #[test]
    fn a_scenario_without_sense_is_refused_with_a_reason() {
        let text = include_str!("../scenarios/demo.toml");
        for (from, to) in [
            ("customers = 80", "customers = 0"),
            ("seed = 20261122", "seed = 1\nspeed = 2"),
            ("[traffic]", "[traffic]\nwebhooks_at_once = 0"),
            ("weight", "wait"),
        ] {
            let error = Scenario::parse(&text.replace(from, to)).unwrap_err();
            assert!(!error.to_string().is_empty(), "{from}");
        }
    }
}
