//! Who exists: businesses, numbers, customers' chats and agents, generated from a scenario and its seed. Never changes.

use std::collections::BTreeMap;

use rand::Rng;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sha2::{Digest, Sha256};

use crate::scenario::{BusinessPlan, Mode, NumberPlan, QueuePlan, Scenario, Traffic};
use crate::table::{Table, key};

key!(
    /// A business (tenant).
    BusinessId
);
key!(
    /// A phone number of a business.
    NumberId
);
key!(
    /// One customer's chat with one number: what the product calls a conversation.
    ChatId
);
key!(
    /// An agent.
    AgentId
);

/// A tenant with what its webhooks are signed with.
#[derive(Clone, Debug)]
pub(crate) struct Business {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) waba_id: String,
    pub(crate) app_secret: String,
    /// Bearer token of its Graph calls.
    pub(crate) token: String,
    /// Token of its programs at the product's API.
    pub(crate) api_token: String,
    pub(crate) queues: Vec<QueuePlan>,
}

/// A phone number.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    pub(crate) business: BusinessId,
    pub(crate) phone_number_id: String,
    /// Digits.
    pub(crate) display: String,
    pub(crate) mode: Mode,
    pub(crate) rate_per_s: u32,
    pub(crate) weight: f64,
    pub(crate) chats: Vec<ChatId>,
}

/// One customer on one number.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) number: NumberId,
    /// Digits, synthetic.
    pub(crate) phone: String,
    /// Business-scoped user id.
    pub(crate) bsuid: String,
    pub(crate) name: String,
    /// The business never learns the phone number.
    pub(crate) hidden: bool,
}

/// An agent of a business.
#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) business: BusinessId,
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) skills: Vec<String>,
    pub(crate) capacity: u32,
}

/// Everyone.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) businesses: Table<BusinessId, Business>,
    pub(crate) numbers: Table<NumberId, Number>,
    pub(crate) customers: Table<ChatId, Customer>,
    pub(crate) agents: Table<AgentId, Agent>,
    by_phone_number_id: BTreeMap<String, NumberId>,
    by_identity: BTreeMap<(NumberId, String), ChatId>,
}

const NAMES: [&str; 8] = [
    "Ana Test",
    "José Ñandú",
    "Zoë / Ltd.",
    "Łukasz Próba",
    "Mina 😀",
    "Ivan Тест",
    "Li 测试",
    "Omar \"O\" Quote",
];

impl World {
    pub(crate) fn build(scenario: &Scenario) -> Self {
        let mut world = Self {
            businesses: Table::new(),
            numbers: Table::new(),
            customers: Table::new(),
            agents: Table::new(),
            by_phone_number_id: BTreeMap::new(),
            by_identity: BTreeMap::new(),
        };
        let mut rng = StdRng::seed_from_u64(scenario.seed);
        for plan in &scenario.businesses {
            world.add_business(scenario.seed, plan);
        }
        let plans = scenario.businesses.iter().flat_map(|business| &business.numbers);
        let numbers: Vec<NumberId> = world.numbers.iter().map(|(id, _)| id).collect();
        for (number, plan) in numbers.into_iter().zip(plans) {
            world.add_customers(&mut rng, &scenario.traffic, number, plan);
        }
        world
    }

    fn add_business(&mut self, seed: u64, plan: &BusinessPlan) {
        let row = self.businesses.len();
        let business = self.businesses.push(Business {
            id: plan.id.clone(),
            name: plan.name.clone(),
            waba_id: (100_000_000_000_101 + row).to_string(),
            app_secret: secret(seed, "app", &plan.id),
            token: format!("EAA{}", secret(seed, "graph", &plan.id)),
            api_token: secret(seed, "api", &plan.id),
            queues: plan.queues.clone(),
        });
        for number in &plan.numbers {
            let row = self.numbers.len();
            let phone_number_id = (200_000_000_000_202 + row).to_string();
            let id = self.numbers.push(Number {
                business,
                phone_number_id: phone_number_id.clone(),
                display: (15_550_000_100 + row).to_string(),
                mode: number.mode,
                rate_per_s: number.rate_per_s,
                weight: number.weight,
                chats: Vec::new(),
            });
            self.by_phone_number_id.insert(phone_number_id, id);
        }
        let agents = plan.agents.iter().flat_map(|group| (0..group.count).map(move |_| group));
        for (n, group) in agents.enumerate() {
            let id = format!("{}-agent-{:03}", plan.id, n + 1);
            self.agents.push(Agent {
                business,
                token: secret(seed, "agent", &id),
                id,
                skills: group.skills.clone(),
                capacity: group.capacity,
            });
        }
    }

    fn add_customers(
        &mut self,
        rng: &mut StdRng,
        traffic: &Traffic,
        number: NumberId,
        plan: &NumberPlan,
    ) {
        let business = self.numbers[number].business;
        let mut strangers: Vec<String> = self
            .customers
            .iter()
            .filter(|(_, other)| self.numbers[other.number].business != business)
            .map(|(_, other)| other.phone.clone())
            .collect();
        strangers.dedup();
        for row in 0..plan.customers {
            let fresh = (15_551_000_000 + self.customers.len()).to_string();
            let phone = if rng.random_bool(share(traffic.shared_share)) {
                strangers.pop().unwrap_or(fresh)
            } else {
                fresh
            };
            let name = NAMES.iter().cycle().nth(row as usize).copied().unwrap_or_default();
            let customer = Customer {
                number,
                bsuid: bsuid(&self.businesses[business].id, &phone),
                phone,
                name: format!("{name} {row}"),
                hidden: rng.random_bool(share(traffic.hidden_share)),
            };
            self.add_customer(customer);
        }
    }

    fn add_customer(&mut self, customer: Customer) {
        let (number, phone, bsuid) =
            (customer.number, customer.phone.clone(), customer.bsuid.clone());
        let chat = self.customers.push(customer);
        self.numbers[number].chats.push(chat);
        self.by_identity.insert((number, phone), chat);
        self.by_identity.insert((number, bsuid), chat);
    }

    pub(crate) fn number_by_meta_id(&self, phone_number_id: &str) -> Option<NumberId> {
        self.by_phone_number_id.get(phone_number_id).copied()
    }

    /// The chat of a number with the customer of this phone (digits) or BSUID.
    pub(crate) fn chat(&self, number: NumberId, identity: &str) -> Option<ChatId> {
        self.by_identity.get(&(number, identity.to_owned())).copied()
    }

    pub(crate) fn business_by_token(&self, token: &str) -> Option<BusinessId> {
        self.businesses.iter().find(|(_, business)| business.token == token).map(|(id, _)| id)
    }

    pub(crate) fn business_of(&self, chat: ChatId) -> BusinessId {
        self.numbers[self.customers[chat].number].business
    }
}

/// A probability whatever a scenario says.
pub(crate) fn share(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

fn secret(seed: u64, kind: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{seed}/{kind}/{name}"));
    hex::encode(digest.get(..16).unwrap_or_default())
}

fn bsuid(business: &str, phone: &str) -> String {
    let digest = Sha256::digest(format!("bsuid/{business}/{phone}"));
    let number = digest.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("US.{number:020}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Key;

    #[test]
    fn the_same_seed_builds_the_same_world_and_identities_lead_to_chats() {
        let scenario = crate::fixture::scenario();
        let (one, two) = (World::build(&scenario), World::build(&scenario));
        for ((chat, a), (_, b)) in one.customers.iter().zip(two.customers.iter()) {
            assert_eq!((&a.phone, &a.bsuid, a.hidden), (&b.phone, &b.bsuid, b.hidden));
            assert_eq!(one.chat(a.number, &a.phone), Some(chat));
            assert_eq!(one.chat(a.number, &a.bsuid), Some(chat));
        }
        assert_ne!(
            one.businesses[BusinessId::from_row(0)].token,
            one.businesses[BusinessId::from_row(1)].token
        );
    }

    #[test]
    fn one_person_may_write_to_two_businesses_under_two_user_ids() {
        let mut scenario = crate::fixture::scenario();
        scenario.traffic.shared_share = 1.0;
        let world = World::build(&scenario);
        let shared = world.customers.iter().filter(|(_, one)| {
            world.customers.iter().any(|(_, two)| one.phone == two.phone && one.bsuid != two.bsuid)
        });
        assert!(shared.count() >= 2);
    }
}
