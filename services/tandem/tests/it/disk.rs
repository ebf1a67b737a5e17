//! A full disk: the data directory on a small tmpfs, filled up under traffic.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tandem::stage::{Programs, Stage};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use super::{
    kill::{SCENARIO, SETTLE},
    ordeal::Ordeal,
    play::{Play, assert_clean, assert_no_errors, count, programs, scenario, seeded, set, until},
};

const SIZE: &str = "size=192m";
/// What is kept free for decisions about what was accepted.
const RESERVE: &str = "[limits]\nmin_free_disk_bytes = 8388608\n";

/// A tmpfs in a mount namespace of its own: it needs no rights, and goes with the process that holds it.
struct SmallDisk {
    holder: Child,
    dir: PathBuf,
}

impl SmallDisk {
    /// `None` where the system allows no namespaces.
    async fn mount(dir: &Path) -> Option<Self> {
        std::fs::create_dir_all(dir).unwrap();
        let script =
            format!("mount -t tmpfs -o {SIZE} none \"$1\" && echo mounted && exec sleep 3600");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]).arg(dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut holder = command.spawn().ok()?;
        let mut said = String::new();
        BufReader::new(holder.stdout.take()?).read_line(&mut said).await.ok()?;
        (said.trim() == "mounted").then(|| Self { holder, dir: dir.to_owned() })
    }

    fn enter(&self) -> String {
        let id = self.holder.id().unwrap();
        format!("nsenter --preserve-credentials --user --mount --target {id} --")
    }

    /// A program that runs where the small disk is.
    fn program_there(&self, program: &Path, at: &Path) -> PathBuf {
        let script = format!("#!/bin/sh\nexec {} {} \"$@\"\n", self.enter(), program.display());
        std::fs::write(at, script).unwrap();
        std::fs::set_permissions(at, PermissionsExt::from_mode(0o700)).unwrap();
        at.to_owned()
    }

    async fn shell(&self, script: &str) -> String {
        let command = format!("cd {} && {script}", self.dir.display());
        let whole = format!("{} sh -c '{command}'", self.enter());
        let output = Command::new("sh").args(["-c", &whole]).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Fills every byte.
    async fn fill(&self) {
        self.shell("dd if=/dev/zero of=ballast bs=64k 2>/dev/null || true").await;
        println!("disk: full: {}", self.shell("df -k . | tail -n 1").await.trim());
    }

    async fn empty(&self) {
        self.shell("rm ballast").await;
        println!("disk: space again: {}", self.shell("df -k . | tail -n 1").await.trim());
    }
}

async fn fails_so_often(ordeal: &Ordeal, posts: u64) {
    let before = count(&ordeal.control().report().await.unwrap(), "posts_failed");
    let enough = |report: &serde_json::Value| count(report, "posts_failed") >= before + posts;
    until(ordeal.control(), "refused webhooks", Duration::from_secs(60), enough).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_answered_503_and_loses_nothing() {
    let mut play = Play::begin("disk").await;
    let Some(disk) = SmallDisk::mount(&play.dir().join("data")).await else {
        println!("disk: no mount namespaces here; a full store is tested in crate bus (max_pages)");
        return;
    };
    let Programs { tandem, loadtest } = programs();
    let there = disk.program_there(&tandem, &play.dir().join("tandem"));
    let programs = Programs::at(there, loadtest).unwrap();
    let quieter = scenario(SCENARIO, |table| set(table, "traffic", "inbound_per_s", 40.0));
    let stage = Stage::open_with(programs, play.dir(), &quieter, &[], RESERVE).await.unwrap();
    let mut ordeal = Ordeal::begin("disk", stage, Vec::new()).await;
    let mut rng = seeded("disk");
    ordeal.traffic(500).await;

    disk.fill().await;
    fails_so_often(&ordeal, 100).await;
    let refused = ordeal.metric("tandem_gateway_posts_total", "result=\"full\"").await;
    println!("disk: {refused} webhooks were answered 503");
    assert!(refused >= 1.0);
    assert!(!ordeal.product.has_ended(), "the product ended on a full disk");
    disk.empty().await;
    let acked = |report: &serde_json::Value| count(report, "acked");
    let before = acked(&ordeal.control().report().await.unwrap());
    let recovered = |report: &serde_json::Value| acked(report) > before + 50;
    until(ordeal.control(), "recovery", Duration::from_secs(30), recovered).await;

    // And killed while it is full; it starts again before anybody makes room.
    disk.fill().await;
    fails_so_often(&ordeal, 20).await;
    let flight = ordeal.strike(&mut rng).await;
    println!("disk: killed on the full disk, in flight {flight}");
    ordeal.restart(&[]).await;
    disk.empty().await;
    ordeal.traffic(300).await;
    let report = play.rest(ordeal.control(), SETTLE).await;
    assert_clean("disk", &report);
    assert_no_errors(&ordeal.log(), &["database or disk is full"]);
    let status = ordeal.product.stop(Duration::from_secs(30)).await.unwrap();
    assert!(status.success(), "{status}");
}
