//! Named points at which the process kills itself, for the kill test. Armed only by the environment:
//! `TANDEM_FAILPOINT=<name>` or `<name>:<n>` dies at the first or n-th time the point is reached.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

use rustix::process::{Signal, getpid, kill_process};

/// Variable that arms one point.
const VARIABLE: &str = "TANDEM_FAILPOINT";

struct Armed {
    name: String,
    left: AtomicU64,
}

fn armed() -> Option<&'static Armed> {
    static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
    ARMED
        .get_or_init(|| {
            let text = std::env::var(VARIABLE).ok()?;
            let (name, n) = match text.rsplit_once(':') {
                Some((name, n)) => (name.to_owned(), n.parse().ok()?),
                None => (text, 1),
            };
            Some(Armed { name, left: AtomicU64::new(n) })
        })
        .as_ref()
}

/// Dies here by SIGKILL if this point is armed and its count is reached. Costs one load when none is armed.
pub fn hit(name: &str) {
    let Some(armed) = armed() else { return };
    if armed.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
        // Nothing is flushed and no destructor runs, as when the machine's operator does it.
        let _ = kill_process(getpid(), Signal::KILL);
    }
}
