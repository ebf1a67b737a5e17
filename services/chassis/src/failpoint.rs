//! Named points at which the process kills or stops itself, for the process tests. Armed only by the environment:
//! `TANDEM_FAILPOINT=<name>` or `<name>:<n>` dies at the first or n-th time the point is reached;
//! `TANDEM_FAILPOINT_STOP` has the same form and stops the process there (SIGSTOP) until somebody sends SIGCONT.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};

/// Variables that arm one point, and the signal each raises.
pub(crate) const VARIABLES: [&str; 2] = ["TANDEM_FAILPOINT", "TANDEM_FAILPOINT_STOP"];

#[derive(Debug, PartialEq)]
struct Point {
    name: String,
    nth: u64,
}

struct Armed {
    point: Point,
    left: AtomicU64,
    signal: Signal,
}

fn armed() -> &'static [Armed] {
    static ARMED: OnceLock<Vec<Armed>> = OnceLock::new();
    ARMED.get_or_init(|| {
        let arm = |(variable, signal)| {
            let point = parse(&std::env::var(variable).ok()?)?;
            Some(Armed { left: AtomicU64::new(point.nth), point, signal })
        };
        VARIABLES.into_iter().zip([Signal::KILL, Signal::STOP]).filter_map(arm).collect()
    })
}

/// `name` or `name:n`; none when n is no number.
fn parse(text: &str) -> Option<Point> {
    let (name, nth) = match text.rsplit_once(':') {
        Some((name, n)) => (name, n.parse().ok()?),
        None => (text, 1),
    };
    Some(Point { name: name.to_owned(), nth })
}

/// Dies or stops here if this point is armed and its count is reached. Costs one load when none is armed.
pub fn hit(name: &str) {
    for armed in armed() {
        if armed.point.name == name && armed.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            // Nothing is flushed and no destructor runs, as when the machine's operator does it.
            let _ = kill_process(getpid(), armed.signal);
            stay_here();
        }
    }
}

/// The signal is the whole process's, and another thread may take it first: this one goes no further meanwhile.
#[expect(clippy::disallowed_methods, reason = "the process ends or stops within this pause")]
fn stay_here() {
    std::thread::sleep(Duration::from_millis(100));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_may_carry_a_count() {
        let point = |name: &str, nth| Some(Point { name: name.to_owned(), nth });
        assert_eq!(parse("commit|call"), point("commit|call", 1));
        assert_eq!(parse("commit|call:40"), point("commit|call", 40));
        assert_eq!(parse("commit|call:soon"), None);
    }

    #[test]
    fn nothing_happens_when_nothing_is_armed() {
        hit("commit|call");
    }
}
