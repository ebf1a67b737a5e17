//! The shim does what a power cut does. Method: a small C program writes a directory in a known way under the shim;
//! afterwards the shadow is compared with what a disk owes a program that did or did not call fsync.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use testkit::powercut::{LIES_AFTER, PowerCut};

/// Every case has a file of its own in the directory of the first argument.
const WRITER: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static const char *dir;
static char *at(const char *name) {
    static char buffers[4][4096];
    static int turn;
    char *path = buffers[turn++ % 4];
    snprintf(path, 4096, "%s/%s", dir, name);
    return path;
}
static int file(const char *name, int flags) {
    int fd = open(at(name), flags, 0600);
    if (fd < 0) exit(2);
    return fd;
}
static void put(int fd, const char *text) {
    if (write(fd, text, strlen(text)) < 0) exit(3);
}
int main(int argc, char **argv) {
    dir = argv[1];
    int fd = file("synced", O_RDWR | O_CREAT);
    put(fd, "kept");
    if (fsync(fd)) return 4;
    put(fd, " and lost");
    fd = file("never_synced", O_RDWR | O_CREAT);
    put(fd, "lost");
    fd = file("data_synced", O_RDWR | O_CREAT);
    put(fd, "0123456789");
    if (fdatasync(fd)) return 4;
    if (pwrite(fd, "xx", 2, 4) != 2) return 3;
    fd = file("cut_short", O_RDWR | O_CREAT);
    put(fd, "long text");
    if (fsync(fd) || ftruncate(fd, 4) || fsync(fd)) return 4;
    fd = file("emptied", O_RDWR | O_CREAT);
    put(fd, "old");
    if (fsync(fd)) return 4;
    close(fd);
    fd = file("emptied", O_RDWR | O_TRUNC);
    put(fd, "new");
    fd = file("renamed.tmp", O_RDWR | O_CREAT);
    put(fd, "whole");
    if (fsync(fd) || rename(at("renamed.tmp"), at("renamed"))) return 4;
    fd = file("linked.tmp", O_RDWR | O_CREAT);
    put(fd, "whole");
    if (fsync(fd) || link(at("linked.tmp"), at("linked")) || unlink(at("linked.tmp"))) return 4;
    fd = file("removed", O_RDWR | O_CREAT);
    put(fd, "gone");
    if (fsync(fd) || unlink(at("removed"))) return 4;
    fd = file("state-shm", O_RDWR | O_CREAT);
    put(fd, "rebuilt at every start");
    if (fsync(fd)) return 4;
    _exit(0);
}
"#;

struct Run {
    dir: tempfile::TempDir,
}

impl Run {
    fn new(environment: &[(&str, &str)]) -> Self {
        let run = Self { dir: testkit::temp_dir().unwrap() };
        fs::create_dir(run.root()).unwrap();
        fs::create_dir(run.shadow()).unwrap();
        let source = run.dir.path().join("writer.c");
        let program = run.dir.path().join("writer");
        fs::write(&source, WRITER).unwrap();
        let compiled = Command::new("cc").arg("-o").arg(&program).arg(&source).status().unwrap();
        assert!(compiled.success());
        let shim = PowerCut::build(run.dir.path()).unwrap();
        let mut writer = Command::new(&program);
        writer.arg(run.root()).envs(shim.environment(&run.root(), &run.shadow()));
        let status = writer.envs(environment.iter().copied()).status().unwrap();
        assert!(status.success(), "{status}");
        run
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("root")
    }

    fn shadow(&self) -> std::path::PathBuf {
        self.dir.path().join("shadow")
    }
}

fn text(dir: &Path, name: &str) -> Option<String> {
    fs::read_to_string(dir.join(name)).ok()
}

#[test]
fn what_was_fsynced_is_kept_and_nothing_else() {
    let run = Run::new(&[]);
    let kept = |name| text(&run.shadow(), name);
    assert_eq!(text(&run.root(), "synced").as_deref(), Some("kept and lost"));
    assert_eq!(kept("synced").as_deref(), Some("kept"));
    assert_eq!(kept("never_synced"), None);
    assert_eq!(kept("data_synced").as_deref(), Some("0123456789"), "overwritten, not synced");
    assert_eq!(kept("cut_short").as_deref(), Some("long"));
    assert_eq!(kept("emptied").as_deref(), Some("old"), "truncated and rewritten, not synced");
    assert_eq!((kept("renamed").as_deref(), kept("renamed.tmp")), (Some("whole"), None));
    assert_eq!((kept("linked").as_deref(), kept("linked.tmp")), (Some("whole"), None));
    assert_eq!(kept("removed"), None);
    assert_eq!(kept("state-shm"), None);
}

#[test]
fn after_a_cut_the_directory_is_its_shadow() {
    let run = Run::new(&[]);
    PowerCut::cut(&run.root(), &run.shadow()).unwrap();
    for dir in [run.root(), run.shadow()] {
        assert_eq!(text(&dir, "synced").as_deref(), Some("kept"));
        assert_eq!(text(&dir, "never_synced"), None);
    }
}

#[test]
fn a_lying_disk_keeps_what_it_kept_before_it_lied() {
    let run = Run::new(&[(LIES_AFTER, "1")]);
    assert_eq!(text(&run.shadow(), "synced").as_deref(), Some("kept"));
    assert_eq!(text(&run.shadow(), "data_synced"), None);
}
