//! What it costs that the streams lie in an account of their own: the raw work of one router on one server, by
//! `deploy/nats/users.conf` and where nobody signs in.

use std::time::Duration;

use bus::{
    Bus,
    jetstream::{self, Auth, Options},
};
use testkit::{
    nats::{NatsServer, RoleKeys, Setup},
    process,
};

use crate::harness::{
    raw::{self, Raw, Sizes, Work},
    report::{Report, Target},
    scaled,
};

/// Of the inbox and the log of W1.
const SIZES: Sizes = Sizes { input: 629, step: 712 };
const PARTITIONS: u16 = 16;
/// Inputs of an entry, and appends at once.
const RUNS: [(u32, u32); 2] = [(1, 256), (16, 64)];
/// Each way so often, in turns: the best counts.
const TURNS: usize = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// Everything in one account, in which nobody signs in.
    Open,
    /// Streams and roles apart, an nkey for each role.
    Accounts,
}

impl Ground {
    fn name(self) -> &'static str {
        match self {
            Self::Open => "one account, no users",
            Self::Accounts => "users.conf",
        }
    }

    /// One run on a new server, and the server's CPU per message, µs.
    async fn run(self, work: Work) -> (Raw, f64) {
        let seeds = testkit::temp_dir().unwrap();
        let keys = RoleKeys::create(seeds.path()).unwrap();
        let mut setup = Setup::alone("2m");
        if self == Self::Accounts {
            setup.configuration.as_mut().unwrap().push_str("include \"users.conf\"\n");
            setup = keys.known_to(setup);
        }
        let server = NatsServer::start_with(setup).await.unwrap();
        let options = |role: &str| self.options(&server, &keys, role);
        jetstream::init(options("operator")).await.unwrap();
        let bus: Bus = jetstream::connect(options("router")).await.unwrap();
        let before = cpu(&server);
        let raw = raw::run(&bus, work).await;
        let used_us = (cpu(&server) - before).as_secs_f64() * 1e6;
        (raw, used_us / f64::from(work.messages))
    }

    fn options(self, server: &NatsServer, keys: &RoleKeys, role: &str) -> Options {
        let open = Options {
            servers: vec![server.url()],
            partitions: PARTITIONS,
            replicas: 1,
            allow_data_loss: true,
            ..Options::default()
        };
        match self {
            Self::Open => open,
            Self::Accounts => Options {
                auth: Auth::NKey { seed_file: keys.seed_file(role) },
                inbox_prefix: format!("_INBOX_{}", role.to_uppercase()),
                ..open
            },
        }
    }
}

fn cpu(server: &NatsServer) -> Duration {
    server.id().and_then(process::cpu).unwrap()
}

pub(crate) async fn run(report: &Report) {
    for (entry, at_once) in RUNS {
        let work = Work { messages: scaled(200_000), sizes: SIZES, entry, at_once };
        let mut found = [Vec::new(), Vec::new()];
        for _ in 0..TURNS {
            found[0].push(Ground::Open.run(work).await);
            found[1].push(Ground::Accounts.run(work).await);
        }
        let best = found.map(|runs| {
            runs.into_iter().max_by(|(a, _), (b, _)| a.per_s.total_cmp(&b.per_s)).unwrap()
        });
        for (ground, (raw, server_us)) in [Ground::Open, Ground::Accounts].into_iter().zip(best) {
            let figure = format!("{entry} an entry, {}", ground.name());
            let what = format!("CPU {:.1} µs here and {server_us:.1} µs of the server", raw.cpu_us);
            report.row("accounts", figure, (raw.per_s, "/s"), Target::None, what);
        }
        let ratio = best[1].0.per_s / best[0].0.per_s;
        let figure = format!("{entry} an entry, with accounts of without");
        report.row("accounts", figure, (ratio, ""), Target::None, String::new());
    }
}
