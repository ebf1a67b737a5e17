//! Processes of a cluster, with a balancer before the gateways and one before the desks.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use tandem::stage::{Addresses, Control, Process, Stage};
use testkit::{nats::RoleKeys, wait_for};

use super::balancer::Balancer;
use crate::{
    command::{BOUND, run_with, said, text},
    play::{assert_no_errors, get, http, programs, times},
};

/// Of every installation here.
pub(crate) const PARTITIONS: f64 = 16.0;
/// Longest a process may take to stop in good order.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// What a process is a build of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Build {
    /// This one.
    #[default]
    New,
    /// The program that `TANDEM_OLD_PROGRAM` names, or this one as a rehearsal; told to know the first format level only.
    Old,
}

struct Member {
    role: &'static str,
    build: Build,
    process: Process,
}

/// The processes of one installation.
pub(crate) struct Fleet {
    pub(crate) stage: Stage,
    /// What each role signs in with at the servers, if they ask.
    keys: Option<RoleKeys>,
    members: BTreeMap<&'static str, Member>,
    gateways: Balancer,
    desks: Balancer,
}

impl Fleet {
    /// The simulator, and an installation on `servers` with nobody running yet; `more` is further TOML.
    pub(crate) async fn open(
        dir: &Path,
        scenario: &str,
        servers: &[String],
        keys: Option<RoleKeys>,
        more: &str,
    ) -> Self {
        let key_dir = dir.join("keys");
        std::fs::create_dir_all(&key_dir).unwrap();
        let product_toml = format!(
            "key_dir = {:?}\npartitions = 16\n{}\n{more}\n[bus.nats]\nservers = {servers:?}\nreplicas = {}\nallow_data_loss = true\n",
            key_dir.display().to_string(),
            lease(),
            if servers.len() >= 3 { 3 } else { 1 },
        );
        let stage = Stage::open_with(programs(), dir, scenario, &[], &product_toml).await.unwrap();
        let (gateways, desks) = (Balancer::start().await, Balancer::start().await);
        let fleet = Self { stage, keys, members: BTreeMap::new(), gateways, desks };
        fleet.operator(&["init"]).await;
        fleet
    }

    /// `tandem cluster …`, which must succeed; what it said.
    pub(crate) async fn operator(&self, arguments: &[&str]) -> String {
        done(arguments, self.ask_operator(arguments).await)
    }

    /// As [`Fleet::operator`], where it may fail: then, too, what it said.
    pub(crate) async fn ask_operator(&self, arguments: &[&str]) -> Result<String, String> {
        self.command("operator", &self.stage.role_dir("operator"), arguments).await
    }

    /// `tandem cluster …` by the key and in the directory of the archive, which must succeed; what it said.
    pub(crate) async fn archive(&self, arguments: &[&str]) -> String {
        let dir = self.stage.role_dir("archive-1");
        done(arguments, self.command("archive", &dir, arguments).await)
    }

    async fn command(&self, role: &str, dir: &Path, arguments: &[&str]) -> Result<String, String> {
        let config = self.stage.config_file();
        let arguments = [&["cluster"], arguments, &["--config", text(&config)]].concat();
        let signs_in = self.signs_in(role);
        let mut environment = borrowed(&signs_in);
        environment.push(("TANDEM_DATA_DIR", text(dir)));
        let done = run_with(&arguments, &environment, BOUND).await;
        if done.status.success() { Ok(said(&done)) } else { Err(said(&done)) }
    }

    pub(crate) fn control(&self) -> &Control {
        &self.stage.simulator.control
    }

    /// Environment in which a role signs in; the archive also as the one that trims.
    fn signs_in(&self, role: &str) -> Vec<(&'static str, String)> {
        let Some(keys) = &self.keys else { return Vec::new() };
        let file = |role| keys.seed_file(role).display().to_string();
        let mut environment = vec![("TANDEM_BUS__NATS__NKEY_SEED_FILE", file(role))];
        if role == "archive" {
            environment.push(("TANDEM_BUS__NATS__TRIMMER_NKEY_SEED_FILE", file("trimmer")));
        }
        environment
    }

    /// Starts a process and lets the balancers know.
    pub(crate) async fn start(&mut self, role: &'static str, node: &'static str) {
        self.start_build(Build::New, role, node).await.unwrap();
    }

    /// As [`Fleet::start`], of any build; it may fail.
    pub(crate) async fn start_build(
        &mut self,
        build: Build,
        role: &'static str,
        node: &'static str,
    ) -> anyhow::Result<()> {
        let signs_in = self.signs_in(role);
        let mut environment = borrowed(&signs_in);
        let mut program = self.stage.programs().tandem.clone();
        if build == Build::Old {
            program = old_program().unwrap_or(program);
            environment.push(("TANDEM_FORMAT_KNOWN", "1"));
        }
        let process = self.stage.start_role(&program, role, node, &environment).await?;
        self.members.insert(node, Member { role, build, process });
        self.balance();
        Ok(())
    }

    /// Starts all these (role and node), then the customers.
    pub(crate) async fn begin(&mut self, members: &[(&'static str, &'static str)]) {
        for (role, node) in members {
            self.start(role, node).await;
        }
        self.control().start(&self.addresses()).await.unwrap();
    }

    /// Partitions that these routers serve.
    pub(crate) async fn served(&self, routers: &[&'static str]) -> f64 {
        let mut served = 0.0;
        for router in routers {
            served += self.metric(router, "tandem_runtime_partitions").await;
        }
        served
    }

    /// Waits until each of these routers serves some of the partitions, and all are served.
    pub(crate) async fn until_shared(&self, routers: &[&'static str], bound: Duration) {
        let shared = async || {
            for router in routers {
                if self.served(&[router]).await < 0.5 {
                    return None;
                }
            }
            ((self.served(routers).await - PARTITIONS).abs() < 0.5).then_some(())
        };
        wait_for(bound, "every router to serve", shared).await.unwrap();
    }

    /// Where the simulator finds the installation.
    pub(crate) fn addresses(&self) -> Addresses {
        let admin = self.members.values().next().map(|member| member.process.admin).unwrap();
        Addresses { gateway: self.gateways.address, desk: self.desks.address, admin }
    }

    pub(crate) fn nodes(&self, role: &str) -> Vec<&'static str> {
        let of_role = |(_, member): &(&&'static str, &Member)| member.role == role;
        self.members.iter().filter(of_role).map(|(node, _)| *node).collect()
    }

    pub(crate) fn process(&mut self, node: &str) -> &mut Process {
        &mut self.members.get_mut(node).unwrap().process
    }

    /// kill -9, and a start on what is there.
    pub(crate) async fn kill_and_restart(&mut self, node: &'static str) {
        self.process(node).kill().await.unwrap();
        self.start_again(node).await;
    }

    /// Starts one that has ended.
    pub(crate) async fn start_again(&mut self, node: &'static str) {
        let Member { role, build, .. } = self.members[node];
        self.start_build(build, role, node).await.unwrap();
    }

    /// SIGTERM, and a start as another build.
    pub(crate) async fn replace(&mut self, node: &'static str, build: Build) {
        self.stop(node).await;
        let role = self.members[node].role;
        self.start_build(build, role, node).await.unwrap();
    }

    async fn stop(&mut self, node: &str) {
        let status = self.process(node).stop(STOPPED_WITHIN).await.unwrap();
        assert!(status.success(), "{node} ended with {status}");
    }

    /// SIGTERM, and a start: as a rolling upgrade does it.
    pub(crate) async fn restart(&mut self, node: &'static str) {
        self.stop(node).await;
        self.start_again(node).await;
    }

    /// The metrics of one process.
    pub(crate) async fn metrics(&self, node: &str) -> String {
        let admin = self.members[node].process.admin;
        get(&format!("http://{admin}/metrics")).await
    }

    /// What `/readyz` of one process answers.
    pub(crate) async fn readiness(&self, node: &str) -> (u16, String) {
        let admin = self.members[node].process.admin;
        let answer = http().get(format!("http://{admin}/readyz")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// A counter or gauge of one process, all its lines added up.
    pub(crate) async fn metric(&self, node: &str, name: &str) -> f64 {
        let text = self.metrics(node).await;
        sum(text.lines().filter(|line| line.starts_with(name)))
    }

    /// Webhooks that the gateways, since they started, have answered with something else than 200. A connection that breaks is
    /// none: Meta has to live with those.
    pub(crate) async fn refused(&self) -> f64 {
        let mut refused = 0.0;
        for gateway in self.nodes("gateway") {
            let text = self.metrics(gateway).await;
            let answered =
                text.lines().filter(|line| line.starts_with("tandem_gateway_posts_total{"));
            refused += sum(answered.filter(|line| !line.contains("result=\"accepted\"")));
        }
        refused
    }

    /// Ends everybody in good order and looks at what they logged.
    pub(crate) async fn end(&mut self, expected: &[&str]) {
        for role in ["gateway", "desk", "router", "archive"] {
            for node in self.nodes(role) {
                self.stop(node).await;
            }
        }
        for node in self.members.keys() {
            assert_no_errors(&self.stage.role_log(node), expected);
        }
    }

    fn balance(&self) {
        let of = |address: fn(&Process) -> Option<std::net::SocketAddr>| {
            self.members.values().filter_map(|member| address(&member.process)).collect()
        };
        self.gateways.set(of(|process| process.gateway));
        self.desks.set(of(|process| process.desk));
    }
}

/// A program of an earlier commit (scripts/upgrade-rehearsal.sh), where there is one.
fn old_program() -> Option<PathBuf> {
    std::env::var_os("TANDEM_OLD_PROGRAM").map(PathBuf::from)
}

/// The lease period that a measurement asks for; the product's own where none is.
fn lease() -> String {
    match times("TANDEM_CLUSTER_LEASE_MS", 0) {
        0 => String::new(),
        lease_ms => format!("bus.lease_ms = {lease_ms}\nbus.renew_ms = {}", lease_ms / 6),
    }
}

/// The values of these lines of metrics.
fn sum<'a>(lines: impl Iterator<Item = &'a str>) -> f64 {
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// What a command said that must have succeeded.
fn done(arguments: &[&str], said: Result<String, String>) -> String {
    said.unwrap_or_else(|said| panic!("{arguments:?}: {said}"))
}

fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}
