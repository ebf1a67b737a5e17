//! A running product on a directory of its own.

use std::{path::Path, sync::Arc, time::Duration};

use chassis::clock::Clock;
use tandem::stage::Product;
use tempfile::TempDir;

use super::{
    graph::Graph,
    measure::{self, cpu_s, own_cpu_s, sum},
    poster,
    programs::{self, Shape},
    webhook::{self, From},
};

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) product: Product,
    pub(crate) shape: Shape,
    pub(crate) clock: Clock,
    pub(crate) graph: Graph,
    http: reqwest::Client,
}

/// What the product and the generator had used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) product_s: f64,
    pub(crate) generator_s: f64,
}

impl World {
    pub(crate) async fn open(shape: Shape) -> Self {
        Self::open_in(testkit::temp_dir().unwrap(), shape).await
    }

    /// On a directory that may hold something already.
    pub(crate) async fn open_in(dir: TempDir, shape: Shape) -> Self {
        let graph = Graph::start().await;
        std::fs::write(
            dir.path().join("tandem.toml"),
            programs::config(dir.path(), shape, &graph.url),
        )
        .unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_tandem"));
        let bound = Duration::from_secs(120);
        let product = Product::start(program, dir.path(), &[], bound).await.unwrap();
        graph.statuses_to(product.addresses.gateway);
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { dir, product, shape, clock: Clock::system(), graph, http }
    }

    pub(crate) fn cpu(&self) -> Cpu {
        let product_s = cpu_s(self.product.id().unwrap());
        Cpu { product_s, generator_s: own_cpu_s() }
    }

    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.product.addresses.admin);
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
        sum(&self.metrics().await, "tandem_archive_steps_total")
    }

    /// Waits until nothing moves any more: no input undecided, no record unread, for a while.
    pub(crate) async fn until_still(&self) {
        let mut last = -1.0;
        let mut same = 0;
        while same < 3 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let text = self.metrics().await;
            let now = sum(&text, "tandem_archive_steps_total");
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

    /// Posts requests as fast as they are answered.
    pub(crate) async fn post(&self, requests: Arc<Vec<Vec<u8>>>, connections: usize) {
        poster::flat_out(self.product.addresses.gateway, requests, connections).await;
    }

    pub(crate) async fn stop(mut self) -> TempDir {
        let ended = self.product.stop(Duration::from_secs(60)).await.unwrap();
        assert!(ended.success(), "the product ended with {ended}");
        self.dir
    }
}
