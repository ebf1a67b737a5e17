//! A running product on a directory of its own: everything in one process on embedded storage, or a fleet of processes on
//! servers of NATS and Postgres.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use chassis::clock::Clock;
use hdrhistogram::Histogram;
use tandem::stage::Process;
use tempfile::TempDir;

use super::{
    fleet::Ground,
    graph::Graph,
    measure::{self, Cpu, cpu_s, own_cpu_s, sum},
    poster,
    programs::{self, Shape},
    webhook::{self, From},
};

/// Longest a process may take until it is ready, and until it has ended.
const READY_WITHIN: Duration = Duration::from_secs(120);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);
/// Looks, 200 ms apart, at which nothing may have moved.
const STILL_LOOKS: u32 = 5;

/// A process of the product.
pub(crate) struct Member {
    /// `up`, or one role of a fleet.
    pub(crate) role: &'static str,
    process: Process,
}

pub(crate) struct World {
    pub(crate) members: Vec<Member>,
    /// What a fleet stands on; `None` on embedded storage.
    pub(crate) ground: Option<Ground>,
    pub(crate) dir: TempDir,
    pub(crate) shape: Shape,
    pub(crate) clock: Clock,
    pub(crate) graph: Graph,
    http: reqwest::Client,
}

impl World {
    /// Everything in one process, on embedded storage.
    pub(crate) async fn open(shape: Shape) -> Self {
        Self::open_in(testkit::temp_dir().unwrap(), shape).await
    }

    /// On a directory that may hold something already.
    pub(crate) async fn open_in(dir: TempDir, shape: Shape) -> Self {
        let place = programs::embedded(dir.path());
        let mut world = Self::prepare(dir, &place, shape).await;
        world.start("up", "product").await;
        world.graph.statuses_to(world.gateway());
        world
    }

    /// A directory with a configuration, and nobody running yet.
    pub(super) async fn prepare(dir: TempDir, place: &str, shape: Shape) -> Self {
        let graph = Graph::start().await;
        let config = programs::config(place, shape, &graph.url);
        std::fs::write(dir.path().join("tandem.toml"), config).unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let clock = Clock::system();
        Self { members: Vec::new(), ground: None, dir, shape, clock, graph, http }
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.dir.path().join("tandem.toml")
    }

    /// Starts a process under a name, which is also its log's and, in a fleet, its data directory's.
    pub(crate) async fn start(&mut self, role: &'static str, node: &str) {
        let own = self.dir.path().join(node).display().to_string();
        let fleet = [("TANDEM_NODE", node), ("TANDEM_DATA_DIR", own.as_str())];
        let environment = if self.ground.is_some() { &fleet[..] } else { &[] };
        if self.ground.is_some() {
            std::fs::create_dir_all(&own).unwrap();
        }
        let program = Path::new(env!("CARGO_BIN_EXE_tandem"));
        let (config, log) = (self.config_file(), self.dir.path().join(format!("{node}.log")));
        let process = Process::start(program, role, &config, &log, environment, READY_WITHIN);
        self.members.push(Member { role, process: process.await.unwrap() });
    }

    /// Where webhooks go.
    pub(crate) fn gateway(&self) -> SocketAddr {
        self.members.iter().find_map(|member| member.process.gateway).unwrap()
    }

    /// Where agents and programs connect.
    pub(crate) fn desk(&self) -> SocketAddr {
        self.members.iter().find_map(|member| member.process.desk).unwrap()
    }

    /// What everybody has used so far.
    pub(crate) fn cpu(&self) -> Cpu {
        let mut cpu = Cpu::default();
        for member in &self.members {
            cpu.add(member.role, cpu_s(member.process.id().unwrap()));
        }
        if let Some(ground) = &self.ground {
            ground.add_cpu(&mut cpu);
        }
        cpu.add(Cpu::GENERATOR, own_cpu_s());
        cpu
    }

    /// Metrics of all processes, one after the other.
    pub(crate) async fn metrics(&self) -> String {
        let mut all = String::new();
        for member in &self.members {
            all += &self.metrics_of(member).await;
        }
        all
    }

    pub(super) async fn metrics_of(&self, member: &Member) -> String {
        let url = format!("http://{}/metrics", member.process.admin);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// Waits until the read model has applied `steps` decisions in all.
    pub(crate) async fn until_projected(&self, steps: f64) {
        let begun_us = self.clock.boot_us();
        while self.projected().await < steps {
            let waited_s = measure::seconds(&self.clock, begun_us);
            assert!(waited_s < 300.0, "the read model did not catch up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Decisions that the read model has applied.
    pub(crate) async fn projected(&self) -> f64 {
        // Asking a process that knows nothing of it would cost it as much.
        let archives = |member: &&Member| matches!(member.role, "up" | "archive");
        let archive = self.members.iter().find(archives).unwrap();
        sum(&self.metrics_of(archive).await, "tandem_archive_steps_total")
    }

    /// Waits until nothing moves any more: no input undecided, no record unread, for a while.
    pub(crate) async fn until_still(&self) {
        let mut last = -1.0;
        let mut same = 0;
        while same < STILL_LOOKS {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let now = self.projected().await;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
    }

    /// Waits until the read model has not moved for 300 ms and answers when it last did, microseconds of the boot clock.
    pub(crate) async fn until_quiet(&self) -> u64 {
        let (mut last, mut moved_us) = (self.projected().await, self.clock.boot_us());
        while self.clock.boot_us() - moved_us < 300_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = self.projected().await;
            if now != last {
                (last, moved_us) = (now, self.clock.boot_us());
            }
        }
        moved_us
    }

    /// Where a customer writes to: customers are spread over businesses and numbers.
    pub(crate) fn from(&self, customer: u32) -> From {
        let business = customer % self.shape.businesses;
        From { business, number: customer / self.shape.businesses % self.shape.numbers, customer }
    }

    pub(crate) fn now_s(&self) -> u64 {
        self.clock.wall_ms() / 1_000
    }

    /// `messages` texts, the customers one after the other, round and round; `tag` keeps their ids apart.
    pub(crate) fn texts(&self, tag: &str, messages: u32, customers: u32) -> Arc<Vec<Vec<u8>>> {
        let at_s = self.now_s();
        let texts = (0..messages).map(|n| {
            let said = format!("message {n}: is my parcel there, please?");
            webhook::text(self.from(n % customers), &format!("{tag}{n}"), at_s, &said)
        });
        Arc::new(texts.collect())
    }

    /// Posts requests as fast as they are answered. Microseconds per answer.
    pub(crate) async fn post(
        &self,
        requests: Arc<Vec<Vec<u8>>>,
        connections: usize,
    ) -> Histogram<u64> {
        poster::flat_out(self.gateway(), requests, connections).await
    }

    /// Ends all processes in good order: those that let work in first, the archive last. What they stand on stays.
    pub(crate) async fn stop_members(&mut self) {
        let order = ["gateway", "desk", "router", "archive", "up"];
        self.members.sort_by_key(|member| order.iter().position(|role| *role == member.role));
        for mut member in self.members.drain(..) {
            let ended = member.process.stop(STOPPED_WITHIN).await.unwrap();
            assert!(ended.success(), "{} ended with {ended}", member.role);
        }
    }

    pub(crate) async fn stop(mut self) -> TempDir {
        self.stop_members().await;
        self.dir
    }
}
