//! An installation of many processes on servers of NATS and Postgres, all of this machine.

use std::{path::Path, time::Duration};

use bus::{
    Bus,
    jetstream::{self, Options},
};
use testkit::{nats::NatsCluster, postgres::PostgresServer};

use super::{
    measure::{Cpu, sum},
    programs::{self, Shape},
    world::World,
};

/// How an installation is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// NATS servers; of three, each has a copy of everything.
    pub(crate) servers: usize,
    /// Their fsync policy: `always`, or their default, `2m`.
    pub(crate) sync: &'static str,
    pub(crate) routers: u32,
    pub(crate) partitions: u16,
}

impl Layout {
    /// As rows of the report name it.
    pub(crate) fn name(self) -> String {
        let servers = if self.servers == 1 { "1 server" } else { "3 servers" };
        format!("{servers}, {}", self.sync)
    }

    /// Servers of this kind, with nothing on them.
    pub(crate) async fn servers(self) -> NatsCluster {
        NatsCluster::start_direct(self.servers, self.sync).await.unwrap()
    }

    fn options(self, servers: &NatsCluster) -> Options {
        Options {
            servers: servers.urls(),
            partitions: self.partitions,
            replicas: self.servers,
            allow_data_loss: true,
            ..Options::default()
        }
    }

    /// A new installation's bus in this process.
    pub(crate) async fn create(self, servers: &NatsCluster) -> Bus {
        jetstream::init(self.options(servers)).await.unwrap();
        self.connect(servers).await
    }

    /// The bus of an installation that is there.
    pub(crate) async fn connect(self, servers: &NatsCluster) -> Bus {
        jetstream::connect(self.options(servers)).await.unwrap()
    }
}

/// What a fleet stands on.
pub(crate) struct Ground {
    pub(crate) layout: Layout,
    pub(crate) servers: NatsCluster,
    database: PostgresServer,
}

impl Ground {
    async fn start(layout: Layout) -> Self {
        // The launcher of the tests leaves fsync out; who measures does not.
        let database = PostgresServer::start_with(&["fsync = on"]).await.unwrap();
        Self { layout, servers: layout.servers().await, database }
    }

    pub(super) fn add_cpu(&self, cpu: &mut Cpu) {
        cpu.add("nats-server", self.servers.cpu().as_secs_f64());
        cpu.add("postgres", self.database.cpu().as_secs_f64());
    }

    /// Their bus in this process.
    pub(crate) async fn bus(&self) -> Bus {
        self.layout.connect(&self.servers).await
    }
}

impl World {
    /// A fleet: a gateway, a desk, the archive, and routers that have shared the partitions.
    pub(crate) async fn open_fleet(layout: Layout, shape: Shape) -> Self {
        let (dir, ground) = (testkit::temp_dir().unwrap(), Ground::start(layout).await);
        let (urls, database) = (ground.servers.urls(), ground.database.url("postgres"));
        let place = programs::clustered(dir.path(), layout, &urls, &database);
        let mut world = Self::prepare(dir, &place, shape).await;
        world.ground = Some(ground);
        std::fs::create_dir_all(world.dir.path().join("keys")).unwrap();
        init(&world.config_file()).await;
        world.start("archive", "archive-1").await;
        for n in 1..=layout.routers {
            world.start("router", &format!("router-{n}")).await;
        }
        world.start("gateway", "gateway-1").await;
        world.start("desk", "desk-1").await;
        world.graph.statuses_to(world.gateway());
        world.until_shared(layout).await;
        world
    }

    /// Partitions of each router.
    pub(crate) async fn served(&self) -> Vec<f64> {
        let mut served = Vec::new();
        for router in self.members.iter().filter(|member| member.role == "router") {
            served.push(sum(&self.metrics_of(router).await, "tandem_runtime_partitions"));
        }
        served
    }

    /// Waits until each router has some partitions, and no more of them move. One that joins is given nothing for ten
    /// seconds, then one at a time.
    async fn until_shared(&self, layout: Layout) {
        const LOOKS: u32 = 120;
        let (mut last, mut same) = (Vec::new(), 0);
        for _ in 0..LOOKS {
            let now = self.served().await;
            let whole = (now.iter().sum::<f64>() - f64::from(layout.partitions)).abs() < 0.5;
            let settled = whole && now.iter().all(|n| *n > 0.5) && now == last;
            same = if settled { same + 1 } else { 0 };
            if same == if layout.routers == 1 { 1 } else { 5 } {
                println!("partitions of each router: {now:?}");
                return;
            }
            last = now;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("the routers did not share the partitions: {last:?}");
    }
}

/// Makes the streams and the key.
async fn init(config: &Path) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tandem"));
    testkit::process::without_settings(command.as_std_mut());
    command.args(["cluster", "init", "--config"]).arg(config);
    let done = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "tandem cluster init: {said}");
}
