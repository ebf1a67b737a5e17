//! What the product must be configured with to live in a scenario's world.

use serde_json::{Value, json};

use crate::scenario::Scenario;
use crate::world::{BusinessId, World};

/// The JSON that `loadtest export` prints.
pub(crate) fn export(scenario: &Scenario, graph_url: &str) -> Value {
    let world = World::build(scenario);
    let businesses: Vec<Value> =
        world.businesses.iter().map(|(id, _)| business(&world, id)).collect();
    let product = &scenario.product;
    json!({
        "scenario": scenario.name,
        "graph_url": graph_url,
        "graph_version": "v26.0",
        "verify_token": product.verify_token,
        "phone_answer_timeout_ms": product.phone_answer_timeout_ms,
        "phone_floor_timeout_ms": product.phone_floor_timeout_ms,
        "offer_timeout_ms": product.offer_timeout_ms,
        "businesses": businesses,
    })
}

fn business(world: &World, id: BusinessId) -> Value {
    let business = &world.businesses[id];
    let numbers =
        world.numbers.iter().filter(|(_, number)| number.business == id).map(|(_, number)| {
            json!({
                "phone_number_id": number.phone_number_id,
                "display_phone_number": number.display,
                "mode": number.mode,
                "rate_per_s": number.rate_per_s,
            })
        });
    let agents = world.agents.iter().filter(|(_, agent)| agent.business == id).map(|(_, agent)| {
        json!({"id": agent.id, "token": agent.token, "skills": agent.skills, "capacity": agent.capacity})
    });
    json!({
        "id": business.id,
        "name": business.name,
        "waba_id": business.waba_id,
        "app_secret": business.app_secret,
        "graph_token": business.token,
        "api_token": business.api_token,
        "queues": business.queues,
        "numbers": numbers.collect::<Vec<_>>(),
        "agents": agents.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_business_gets_its_own_and_nothing_of_others() {
        let json = export(&crate::fixture::scenario(), "http://127.0.0.1:1");
        let businesses = json["businesses"].as_array().unwrap();
        assert_eq!(businesses.len(), 2);
        assert_eq!(businesses[0]["numbers"].as_array().unwrap().len(), 2);
        assert_eq!(businesses[0]["numbers"][0]["mode"], "coexistence");
        assert_eq!(businesses[1]["agents"].as_array().unwrap().len(), 1);
        assert_ne!(businesses[0]["app_secret"], businesses[1]["app_secret"]);
        assert_eq!(businesses[1]["queues"][0]["keyword"], "help");
    }
}
