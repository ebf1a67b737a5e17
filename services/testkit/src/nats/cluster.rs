//! A cluster of real servers, configured by `cluster.conf` and `routes.conf` of `deploy/nats`, with a link between any two of them and
//! between each and its clients; without links where something is measured.

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use async_nats::jetstream::{self, stream};

use super::{ANY_PORT, NatsError, NatsServer, Setup, url_at};
use crate::{Link, TimedOut, free_port, process, wait_for};

/// Most servers: `routes.conf` names three.
const SERVERS_MAX: usize = 3;
/// Longest an election of all leaders may take after a start.
const FORMED_WITHIN: Duration = Duration::from_secs(60);
/// Longest one question may take while there may be no leader.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Where nobody listens. Servers tell each other this address, so that they meet on the links alone.
const NOWHERE: &str = "127.0.0.1:1";

/// Servers that are killed, and links that end, when this is dropped.
#[derive(Debug)]
pub struct NatsCluster {
    servers: Vec<NatsServer>,
    /// By server; none where clients reach the servers directly.
    clients: Vec<Link>,
    /// By server that connects and server that is connected to; none where they meet directly.
    routes: BTreeMap<(usize, usize), Link>,
}

impl NatsCluster {
    /// Starts a cluster that writes to the disk when the system likes, and waits until it takes replicated streams.
    ///
    /// # Errors
    /// When a server does not become ready, or they do not form a cluster.
    pub async fn start(servers: usize) -> Result<Self, NatsError> {
        Self::start_with(servers, "2m").await
    }

    /// As [`NatsCluster::start`], with a fsync policy (`sync_interval` of the servers).
    ///
    /// # Errors
    /// As [`NatsCluster::start`].
    pub async fn start_with(servers: usize, sync_interval: &str) -> Result<Self, NatsError> {
        let servers = servers.min(SERVERS_MAX);
        let mut cluster =
            Self { servers: Vec::new(), clients: Vec::new(), routes: BTreeMap::new() };
        for from in 0..servers {
            cluster.clients.push(Link::open().await?);
            for to in 0..servers {
                cluster.routes.insert((from, to), Link::open().await?);
            }
        }
        for number in 0..servers {
            let setup = cluster.setup(number, sync_interval);
            cluster.servers.push(NatsServer::start_with(setup).await?);
            cluster.lead(number);
        }
        cluster.wait_until_formed().await?;
        Ok(cluster)
    }

    /// Starts servers for a measurement: they meet, and are reached, without links, each of which would take time and CPU of
    /// the process that measures. One alone belongs to no cluster.
    ///
    /// # Errors
    /// As [`NatsCluster::start`].
    pub async fn start_direct(servers: usize, sync_interval: &str) -> Result<Self, NatsError> {
        let servers = servers.clamp(1, SERVERS_MAX);
        let cluster = match servers {
            1 => {
                let alone = NatsServer::start_with(Setup::alone(sync_interval)).await?;
                Self { servers: vec![alone], clients: Vec::new(), routes: BTreeMap::new() }
            }
            _ => Self::meeting(servers, sync_interval, &trial()).await?,
        };
        cluster.wait_until_formed().await?;
        Ok(cluster)
    }

    /// Starts three servers by `production.conf`, which write to the disk before they acknowledge; `setup` has the keys and
    /// certificates. Whoever may sign in has to wait until they have formed a cluster.
    ///
    /// # Errors
    /// When a server does not become ready.
    pub async fn start_production(setup: &Setup) -> Result<Self, NatsError> {
        let files = Setup::deployed(&["production.conf"]);
        let setup = Setup { configuration: files.configuration, ..setup.clone() };
        Self::meeting(SERVERS_MAX, "always", &setup).await
    }

    /// Servers that meet without links.
    async fn meeting(
        servers: usize,
        sync_interval: &str,
        setup: &Setup,
    ) -> Result<Self, NatsError> {
        let mut ports = [0; SERVERS_MAX];
        for port in &mut ports {
            *port = free_port()?;
        }
        let mut cluster =
            Self { servers: Vec::new(), clients: Vec::new(), routes: BTreeMap::new() };
        for (number, port) in ports.into_iter().enumerate().take(servers) {
            // A route that nobody listens on is tried again and again, so each leads somewhere.
            let route = |to| ports.get(to % servers).copied().unwrap_or_default();
            let setup = member(setup.clone(), number, sync_interval, &port.to_string(), route);
            cluster.servers.push(NatsServer::start_with(setup).await?);
        }
        Ok(cluster)
    }

    /// Fewer servers than the file names: once more to itself, which a server notices.
    fn setup(&self, number: usize, sync_interval: &str) -> Setup {
        let route = |to| {
            let link =
                self.routes.get(&(number, to)).or_else(|| self.routes.get(&(number, number)));
            link.map(Link::port).unwrap_or_default()
        };
        let mut setup = member(trial(), number, sync_interval, "-1", route);
        // Clients know the servers by the links that they were given, and find no way around one that is cut.
        let advertise = ["--no_advertise", "--cluster_advertise", NOWHERE];
        setup.arguments = advertise.map(ToOwned::to_owned).to_vec();
        setup
    }

    fn lead(&self, number: usize) {
        let Some(server) = self.servers.get(number) else { return };
        if let Some(link) = self.clients.get(number) {
            link.lead_to(server.port);
        }
        for ((_, to), link) in &self.routes {
            if *to == number {
                link.lead_to(server.route_port());
            }
        }
    }

    /// Where clients connect: every server, through its link where it has one.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        if self.clients.is_empty() {
            return self.servers.iter().map(NatsServer::url).collect();
        }
        self.clients.iter().map(|link| url_at(link.port())).collect()
    }

    /// A link of its own to every server, for one client: cut, they part it alone from the servers. They lead through those
    /// of all clients, so that a server that starts again is found.
    ///
    /// # Errors
    /// When the system has no port.
    pub async fn links(&self) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        for link in &self.clients {
            links.push(Link::to(link.port()).await?);
        }
        Ok(links)
    }

    /// Where each server tells what it does.
    #[must_use]
    pub fn monitors(&self) -> Vec<String> {
        self.servers.iter().map(NatsServer::monitor).collect()
    }

    /// Where each server is met by the others.
    #[must_use]
    pub fn route_ports(&self) -> Vec<u16> {
        self.servers.iter().map(NatsServer::route_port).collect()
    }

    /// Number of servers, running or not.
    #[must_use]
    pub fn size(&self) -> usize {
        self.servers.len()
    }

    /// CPU time that the running servers have used together.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        self.servers.iter().filter_map(NatsServer::id).filter_map(process::cpu).sum()
    }

    /// Memory of each running server that is in the machine's own.
    #[must_use]
    pub fn resident_bytes(&self) -> Vec<u64> {
        let ids = self.servers.iter().filter_map(NatsServer::id);
        ids.filter_map(process::resident_bytes).collect()
    }

    /// The directories of the servers' streams.
    #[must_use]
    pub fn stores(&self) -> Vec<PathBuf> {
        self.servers.iter().map(NatsServer::store).collect()
    }

    /// Kills a server (SIGKILL). Its store stays.
    ///
    /// # Errors
    /// When there is no such server, or the system refuses.
    pub fn kill(&mut self, number: usize) -> io::Result<()> {
        self.servers.get_mut(number).ok_or(io::ErrorKind::NotFound)?.kill()
    }

    /// Starts a server again on its store. The others find it by their links.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn restart(&mut self, number: usize) -> Result<(), NatsError> {
        let server =
            self.servers.get_mut(number).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        server.kill()?;
        if !self.clients.is_empty() {
            // The links keep their ports, so it may take any other: nobody else can have taken those.
            server.port = 0;
        }
        server.launch().await?;
        self.lead(number);
        Ok(())
    }

    /// Stops a server in place, as [`NatsServer::pause`].
    ///
    /// # Errors
    /// When there is no such server, or the system refuses.
    pub fn pause(&self, number: usize) -> io::Result<()> {
        self.servers.get(number).ok_or(io::ErrorKind::NotFound)?.pause()
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// When there is no such server, or the system refuses.
    pub fn resume(&self, number: usize) -> io::Result<()> {
        self.servers.get(number).ok_or(io::ErrorKind::NotFound)?.resume()
    }

    /// Cuts the link between two servers, both ways.
    pub fn cut(&self, one: usize, other: usize) {
        self.between(one, other).for_each(Link::cut);
    }

    /// Heals the link between two servers.
    pub fn heal(&self, one: usize, other: usize) {
        self.between(one, other).for_each(Link::heal);
    }

    fn between(&self, one: usize, other: usize) -> impl Iterator<Item = &Link> {
        [(one, other), (other, one)].into_iter().filter_map(|pair| self.routes.get(&pair))
    }

    /// Cuts a server off from the others; clients still reach it.
    pub fn isolate(&self, number: usize) {
        (0..self.size()).filter(|other| *other != number).for_each(|other| self.cut(number, other));
    }

    /// Undoes [`NatsCluster::isolate`].
    pub fn rejoin(&self, number: usize) {
        (0..self.size())
            .filter(|other| *other != number)
            .for_each(|other| self.heal(number, other));
    }

    /// Cuts the link between a server and its clients.
    pub fn cut_clients(&self, number: usize) {
        self.clients.get(number).into_iter().for_each(Link::cut);
    }

    /// Heals the link between a server and its clients.
    pub fn heal_clients(&self, number: usize) {
        self.clients.get(number).into_iter().for_each(Link::heal);
    }

    /// Which server leads a stream, as soon as one does.
    ///
    /// # Errors
    /// When there is none in time.
    pub async fn leader_of(&self, stream: &str) -> Result<usize, TimedOut> {
        let what = format!("a leader of {stream}");
        wait_for(FORMED_WITHIN, &what, async || {
            let client = async_nats::ConnectOptions::new().connect(self.urls()).await.ok()?;
            let context = jetstream::ContextBuilder::new().timeout(ANSWER_WITHIN).build(client);
            let stream = context.get_stream(stream).await.ok()?;
            let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
            (0..self.size()).find(|number| name(*number) == leader)
        })
        .await
    }

    /// Kills the server that leads a stream, and waits until another one leads it. Answers which one is down.
    ///
    /// # Errors
    /// When it has no leader before or after, or the system refuses.
    pub async fn kill_leader(&mut self, stream: &str) -> Result<usize, NatsError> {
        let killed = self.leader_of(stream).await.map_err(NatsError::NoCluster)?;
        self.kill(killed)?;
        let what = format!("another leader of {stream}");
        // The others name the dead one until they have elected.
        let elected = async || self.leader_of(stream).await.ok().filter(|led_by| *led_by != killed);
        wait_for(FORMED_WITHIN, &what, elected).await.map_err(NatsError::NoCluster)?;
        Ok(killed)
    }

    /// A stream that has as many copies as there are servers can be made: everybody knows everybody.
    async fn wait_until_formed(&self) -> Result<(), NatsError> {
        let copies = self.size();
        let formed = wait_for(FORMED_WITHIN, "a cluster that takes streams", async || {
            let client = async_nats::ConnectOptions::new().connect(self.urls()).await.ok()?;
            let context = jetstream::ContextBuilder::new().timeout(ANSWER_WITHIN).build(client);
            let config = stream::Config {
                name: "TESTKIT".to_owned(),
                subjects: vec!["testkit".to_owned()],
                num_replicas: copies,
                ..stream::Config::default()
            };
            context.get_or_create_stream(config).await.ok()?;
            context.delete_stream("TESTKIT").await.ok().map(drop)
        });
        formed.await.map_err(NatsError::NoCluster)
    }
}

/// Servers that anybody may join and use.
fn trial() -> Setup {
    Setup::deployed(&["cluster.conf", "routes.conf"])
}

/// What one of several servers is started with; `route` is the port where it meets the server of a number.
fn member(
    setup: Setup,
    number: usize,
    sync_interval: &str,
    cluster_port: &str,
    route: impl Fn(usize) -> u16,
) -> Setup {
    let mut setup = setup
        .with("NATS_NAME", &name(number))
        .with("NATS_HOST", "127.0.0.1")
        .with("NATS_PORT", "-1")
        .with("NATS_MONITOR", ANY_PORT)
        .with("NATS_CLUSTER_PORT", cluster_port)
        // Without quotes 2m is the number 2,000,000 to the servers.
        .with("NATS_SYNC", &format!("\"{sync_interval}\""));
    for to in 0..SERVERS_MAX {
        let url = format!("\"nats://127.0.0.1:{}\"", route(to));
        setup = setup.with(&format!("NATS_ROUTE_{}", to + 1), &url);
    }
    setup
}

/// The name of a server within its cluster.
fn name(number: usize) -> String {
    format!("nats-{number}")
}
