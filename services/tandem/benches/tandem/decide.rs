//! What deciding one input costs each kind of entity: inputs that a running product stored, decided again in this process by the
//! entities the product hosts.

use std::{collections::BTreeMap, sync::Arc};

use bus::EntityId;
use chassis::{config::Config, seal::Sealer};
use router::RouterHost;
use runtime::host::{DecideInput, Host as _, LiveEntity, Occasion};

use crate::harness::{
    desk::{self, Agents, Habits},
    poster,
    programs::Shape,
    report::{Report, Target},
    stored,
    world::World,
};

const KINDS: [(u8, &str); 3] = [(1, "Conversation"), (2, "Workspace"), (3, "Number")];

pub(crate) async fn run(report: &Report) {
    const CUSTOMERS: u32 = 400;
    let world = World::open(Shape { agents: 4, ..Shape::default() }).await;
    world.post(world.texts("FIRST", CUSTOMERS, CUSTOMERS), 16).await;
    world.until_still().await;
    desk::assign_all(&world, CUSTOMERS).await;
    let agents = Agents::sign_in(&world, Habits { replies: true, ..Habits::default() }).await;
    let due_us = world.clock.boot_us();
    let texts = world.texts("DEC", 2_000, CUSTOMERS);
    poster::paced(world.gateway(), texts, 400, due_us).await;
    world.until_still().await;
    drop(agents);
    let dir = world.stop().await;
    let config = Config::load(Some(&dir.path().join("tandem.toml"))).unwrap();
    let data = dir.path().join("data");
    let sealer = Arc::new(Sealer::open_dir(&data).unwrap());
    let host = RouterHost::new(&config, sealer).unwrap();
    let inputs = stored::inputs(&stored::open(&data)).await;
    for (kind, name) in KINDS {
        let (each_ns, count) = decide_all(&host, &inputs, kind);
        let what = format!(
            "mean of {count} stored inputs: decoding, opening what is sealed, deciding, encoding and applying the events"
        );
        report.row("decide", name, (each_ns, "ns"), Target::None, what);
    }
}

/// Mean nanoseconds of deciding and applying the inputs of one kind.
#[expect(clippy::disallowed_methods, reason = "a microsecond is too coarse for one decision")]
fn decide_all(host: &RouterHost, inputs: &[bus::Input], kind: u8) -> (f64, u32) {
    let mut entities: BTreeMap<EntityId, Box<dyn LiveEntity>> = BTreeMap::new();
    let (mut spent, mut count) = (std::time::Duration::ZERO, 0);
    for input in inputs.iter().filter(|input| input.target.kind == kind) {
        let id = input.target;
        let entity = entities.entry(id).or_insert_with(|| host.load(id, &[]).unwrap());
        let told = DecideInput {
            header: input.header.clone(),
            entity: id,
            occasion: Occasion::Input(input.body.clone()),
            now_ms: input.header.received_ms,
            foreign_calls_over_ms: 0,
            format: bus::FormatLevel::KNOWN,
        };
        let begun = std::time::Instant::now();
        let decision = entity.decide(&told).unwrap();
        for event in &decision.events {
            entity.apply(event).unwrap();
        }
        spent += begun.elapsed();
        count += 1;
    }
    (spent.as_secs_f64() * 1e9 / f64::from(count.max(1)), count)
}
