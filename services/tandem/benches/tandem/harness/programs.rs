//! The product's configuration for a bench.

use std::path::Path;

use super::fleet::Layout;

pub(crate) const SECRET: &str = "bench-secret-0123456789abcdef0000";
pub(crate) const API_TOKEN: &str = "bench-program-token-0001";

/// How large the installation is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) businesses: u32,
    /// Of each business.
    pub(crate) numbers: u32,
    /// Messages per second of each number.
    pub(crate) rate: u32,
    /// The numbers are on phones, too.
    pub(crate) coexistence: bool,
    /// Of each business.
    pub(crate) agents: u32,
    /// Of each agent.
    pub(crate) capacity: u32,
    pub(crate) bot: bool,
}

/// Of an installation in one process.
pub(crate) const PARTITIONS: u16 = 8;

impl Default for Shape {
    fn default() -> Self {
        Self {
            businesses: 1,
            numbers: 1,
            rate: 1_000,
            coexistence: false,
            agents: 20,
            capacity: 10_000,
            bot: false,
        }
    }
}

pub(crate) fn phone_number_id(business: u32, number: u32) -> String {
    format!("2000{business:03}{number:05}202")
}

pub(crate) fn waba_id(business: u32) -> String {
    format!("1000{business:05}101")
}

pub(crate) fn secret(business: u32) -> String {
    format!("{SECRET}{business}")
}

pub(crate) fn api_token(business: u32) -> String {
    format!("{API_TOKEN}-{business}")
}

pub(crate) fn agent_token(business: u32, agent: u32) -> String {
    format!("bench-agent-token-{business}-{agent:05}")
}

pub(crate) fn agent_id(agent: u32) -> String {
    format!("agent{agent}")
}

/// Where an installation in one process keeps what it has.
pub(crate) fn embedded(dir: &Path) -> String {
    format!("data_dir = \"{}/data\"\npartitions = {PARTITIONS}\n", dir.display())
}

/// Where a fleet keeps it: each process has a data directory of its own by its environment.
pub(crate) fn clustered(dir: &Path, layout: Layout, urls: &[String], database: &str) -> String {
    let Layout { servers, partitions, .. } = layout;
    format!(
        "key_dir = \"{}/keys\"\npartitions = {partitions}\nbus.nats.servers = {urls:?}\n\
         bus.nats.replicas = {servers}\nbus.nats.allow_data_loss = true\n\
         archive.postgres.url = {database:?}\n",
        dir.display()
    )
}

/// The whole configuration; `place` says where the installation keeps what it has.
pub(crate) fn config(place: &str, shape: Shape, graph_url: &str) -> String {
    let mut text = format!(
        "{place}gateway.listen = \"127.0.0.1:0\"\ndesk.listen = \"127.0.0.1:0\"\n\
         admin.listen = \"127.0.0.1:0\"\ngraph.base_url = \"{graph_url}\"\nlog.filter = \"warn\"\n"
    );
    for business in 0..shape.businesses {
        text += &format!(
            "[[business]]\nid = \"bench{business}\"\napp_secrets = [\"{}\"]\n\
             verify_token = \"bench-verify-{business}\"\napi_token = \"{}\"\n",
            secret(business),
            api_token(business)
        );
        for number in 0..shape.numbers {
            text += &format!(
                "[[business.number]]\nphone_number_id = \"{}\"\n\
                 display_phone_number = \"1212555{number:04}\"\nwaba_id = \"{}\"\n\
                 access_token = \"graph-token\"\nmode = \"{}\"\nrate_per_second = {}\n",
                phone_number_id(business, number),
                waba_id(business),
                if shape.coexistence { "coexistence" } else { "api" },
                shape.rate
            );
        }
        text += &format!(
            "[business.workspace]\nid = \"desk{business}\"\n[[business.workspace.queue]]\nid = \"desk\"\n\
             keywords = [\"order\"]\noffer_timeout_ms = 30000\n"
        );
        for agent in 0..shape.agents {
            text += &format!(
                "[[business.workspace.agent]]\nid = \"{}\"\ntoken = \"{}\"\ncapacity_units = {}\n",
                agent_id(agent),
                agent_token(business, agent),
                shape.capacity
            );
        }
        text += &format!("[business.bot]\nenabled = {}\n", shape.bot);
    }
    text
}
