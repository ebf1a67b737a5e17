//! W1: one text per POST, 10,000 customers, against the product as a process of its own; beside it, in the same run, the raw cost of
//! the same work: the embedded bus in this process doing append + read + log append of the same bytes.
//!
//! What the figures include: *acked* is POST to 200 (signature, parsing, sealing, durable append); *decided* is everything
//! decided, in the log and in the read model. The generator runs on the same machine and its CPU is listed apart. No figure is
//! asserted: docs/benchmarks.md records them with the machine and the commit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark fails by panicking and prints what it measured"
)]

use std::{path::Path, sync::Arc, time::Duration};

use bus::{Bus, PartitionId, ReadLimit, sqlite::Options};
use bytes::Bytes;
use chassis::{
    clock::Clock,
    task::{self, TaskKind},
};
use hmac::{Hmac, Mac};
use tandem::stage::Product;

const SECRET: &str = "bench-secret-0123456789abcdef0000";
const CUSTOMERS: u32 = 10_000;
const PARTITIONS: u16 = 8;
/// Requests under way at once.
const CONNECTIONS: u32 = 128;

fn main() {
    chassis::listener::install_crypto_provider();
    let messages: u32 =
        std::env::var("W1_MESSAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = testkit::temp_dir().unwrap();
    let clock = Clock::system();
    let w1 = runtime.block_on(w1(dir.path(), messages, &clock));
    let raw = runtime.block_on(raw(&dir.path().join("raw"), messages, w1.entry_bytes, &clock));
    println!("W1: {messages} messages of {CUSTOMERS} customers, {CONNECTIONS} requests at once");
    println!("  acked           {:>9.0} /s", w1.acked_per_s);
    println!("  decided         {:>9.0} /s", w1.decided_per_s);
    println!("  product CPU     {:>9.0} messages per CPU-second", w1.per_cpu_s);
    println!("  generator CPU   {:>9.1} s", w1.generator_cpu_s);
    println!("  raw             {raw:>9.0} /s ({} bytes an entry and record)", w1.entry_bytes);
    println!("  decided / raw   {:>9.2}", w1.decided_per_s / raw);
}

struct W1 {
    acked_per_s: f64,
    decided_per_s: f64,
    per_cpu_s: f64,
    generator_cpu_s: f64,
    entry_bytes: usize,
}

async fn w1(dir: &Path, messages: u32, clock: &Clock) -> W1 {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("tandem.toml"), config(dir)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_tandem"));
    let mut product = Product::start(program, dir, &[], Duration::from_secs(60)).await.unwrap();
    let pid = product.id().unwrap();
    let http = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(CONNECTIONS as usize)
        .build()
        .unwrap();
    let (own_before, product_before) = (cpu_s(std::process::id()), cpu_s(pid));
    let begun_us = clock.boot_us();
    let url: Arc<str> = format!("http://{}/webhook", product.addresses.gateway).into();
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|worker| {
            let (http, url) = (http.clone(), Arc::clone(&url));
            task::spawn(TaskKind::Call, "generator", async move {
                let mut n = worker;
                while n < messages {
                    let body = webhook(n);
                    let signature = sign(body.as_bytes());
                    let post = http.post(&*url).header("X-Hub-Signature-256", signature).body(body);
                    assert!(post.send().await.unwrap().status().is_success());
                    n += CONNECTIONS;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let acked_s = seconds(clock, begun_us);
    let metrics_url = format!("http://{}/metrics", product.addresses.admin);
    let read_model_done = async || {
        let text = http.get(&metrics_url).send().await.unwrap().text().await.unwrap();
        let (steps, staged) =
            (sum(&text, "tandem_runtime_steps_total"), sum(&text, "tandem_runtime_in_flight"));
        steps >= f64::from(messages)
            && staged == 0.0
            && sum(&text, "tandem_archive_records_total")
                >= sum(&text, "tandem_runtime_records_total")
    };
    while !read_model_done().await {
        assert!(seconds(clock, begun_us) < 600.0, "the read model did not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let decided_s = seconds(clock, begun_us);
    let product_cpu_s = cpu_s(pid) - product_before;
    let generator_cpu_s = cpu_s(std::process::id()) - own_before;
    product.stop(Duration::from_secs(60)).await.unwrap();
    let n = f64::from(messages);
    W1 {
        acked_per_s: n / acked_s,
        decided_per_s: n / decided_s,
        per_cpu_s: n / product_cpu_s,
        generator_cpu_s,
        // A text's sealed input and its step are about so large; see the sizes in tandem_runtime_record_bytes.
        entry_bytes: 900,
    }
}

/// append + read + log append of the same bytes, at the group size that 512 writers make.
async fn raw(dir: &Path, messages: u32, bytes: usize, clock: &Clock) -> f64 {
    let bus =
        bus::sqlite::open(dir, Options { partitions: PARTITIONS, ..Options::default() }).unwrap();
    let value = Bytes::from(vec![7; bytes]);
    let begun_us = clock.boot_us();
    let per_partition = messages / u32::from(PARTITIONS);
    let owners: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let (bus, value) = (bus.clone(), value.clone());
            task::spawn(
                TaskKind::Call,
                "owner",
                own(bus, PartitionId(partition), value, per_partition),
            )
        })
        .collect();
    let writers: Vec<_> = (0..512_u32)
        .map(|writer| {
            let (bus, value) = (bus.clone(), value.clone());
            task::spawn(TaskKind::Call, "writer", async move {
                let partition = PartitionId(u16::try_from(writer % u32::from(PARTITIONS)).unwrap());
                let writers = 512 / u32::from(PARTITIONS);
                let mut n = writer / u32::from(PARTITIONS);
                while n < per_partition {
                    bus.inbox.append(partition, value.clone()).await.unwrap();
                    n += writers;
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(owners) {
        task.await.unwrap();
    }
    f64::from(per_partition * u32::from(PARTITIONS)) / seconds(clock, begun_us)
}

/// Reads the inbox and appends one record per read, of all the bytes read.
async fn own(bus: Bus, partition: PartitionId, value: Bytes, messages: u32) {
    let (mut after, mut last, mut seen) = (0, 0, 0);
    while seen < messages {
        let entries = bus.inbox.read(partition, after, ReadLimit::default()).await.unwrap();
        after = entries.last().unwrap().0;
        seen += u32::try_from(entries.len()).unwrap();
        let record = Bytes::from(value.repeat(entries.len()));
        last = bus.log.append(partition, last, record).await.unwrap();
    }
}

fn seconds(clock: &Clock, since_us: u64) -> f64 {
    Duration::from_micros(clock.boot_us() - since_us).as_secs_f64()
}

/// User and system time of a process (proc(5), fields 14 and 15, at 100 ticks a second).
fn cpu_s(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit_once(") ").unwrap().1;
    let ticks: u32 =
        after_name.split(' ').skip(11).take(2).map(|n| n.parse::<u32>().unwrap()).sum();
    f64::from(ticks) / 100.0
}

/// Sum of a metric over its labels.
fn sum(text: &str, name: &str) -> f64 {
    text.lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

fn webhook(n: u32) -> String {
    let customer = 15_550_000_000_u64 + u64::from(n % CUSTOMERS);
    serde_json::json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "100000000000101", "changes": [{"field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "12125550100", "phone_number_id": "200000000000202"},
            "contacts": [{"profile": {"name": "Ana Bench"}, "wa_id": customer.to_string()}],
            "messages": [{"from": customer.to_string(), "id": format!("wamid.BENCH{n}"),
                "timestamp": "1795176000", "type": "text",
                "text": {"body": format!("message {n}: is my order ready, please?")}}]
        }}]}]
    })
    .to_string()
}

fn sign(body: &[u8]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

fn config(dir: &Path) -> String {
    format!(
        r#"
data_dir = "{}/data"
partitions = {PARTITIONS}
gateway.listen = "127.0.0.1:0"
desk.listen = "127.0.0.1:0"
admin.listen = "127.0.0.1:0"
graph.base_url = "http://127.0.0.1:9"
log.filter = "warn"

[[business]]
id = "bench"
app_secrets = ["{SECRET}"]
verify_token = "bench-verify"
[[business.number]]
phone_number_id = "200000000000202"
display_phone_number = "12125550100"
waba_id = "100000000000101"
access_token = "graph-token"
mode = "api"
[business.workspace]
id = "bench-desk"
[[business.workspace.queue]]
id = "desk"
"#,
        dir.display()
    )
}
