//! Named points at which the process kills or stops itself, for the process tests. Armed only by the environment:
//! `TANDEM_FAILPOINT=<name>` or `<name>:<n>` dies at the first or n-th time the point is reached;
//! `TANDEM_FAILPOINT_STOP` has the same form and stops the process there (SIGSTOP) until somebody sends SIGCONT;
//! `TANDEM_FAILPOINT_POISON` makes the first or n-th input that reaches the point panic there, every time.

use std::{
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::process::{Signal, getpid, kill_process};

/// Variables that arm one point.
pub(crate) const VARIABLES: [&str; 3] =
    ["TANDEM_FAILPOINT", "TANDEM_FAILPOINT_STOP", "TANDEM_FAILPOINT_POISON"];

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

struct Poison {
    point: Point,
    /// Inputs to come before the poisonous one; then its key.
    state: Mutex<(u64, Option<[u8; 16]>)>,
}

fn poison_armed() -> Option<&'static Poison> {
    static ARMED: OnceLock<Option<Poison>> = OnceLock::new();
    let arm = || {
        let point = parse(&std::env::var("TANDEM_FAILPOINT_POISON").ok()?)?;
        let state = Mutex::new((point.nth, None));
        Some(Poison { point, state })
    };
    ARMED.get_or_init(arm).as_ref()
}

impl Poison {
    /// Whether the input of this key is the poisonous one.
    fn is_in(&self, name: &str, key: [u8; 16]) -> bool {
        if self.point.name != name {
            return false;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0 > 0 {
            state.0 -= 1;
            if state.0 == 0 {
                state.1 = Some(key);
            }
        }
        state.1 == Some(key)
    }
}

/// Panics here if the input of this key is the one that is armed as poison.
pub fn poison(name: &str, key: [u8; 16]) {
    let poisonous = poison_armed().is_some_and(|armed| armed.is_in(name, key));
    #[expect(clippy::panic, reason = "what a fault in a decision does")]
    if poisonous {
        panic!("the failpoint {name}");
    }
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
    fn one_input_is_poisonous_and_stays_so() {
        let point = Point { name: "inbound".to_owned(), nth: 2 };
        let poison = Poison { point, state: Mutex::new((2, None)) };
        assert!(!poison.is_in("inbound", [1; 16]) && !poison.is_in("other", [2; 16]));
        assert!(poison.is_in("inbound", [3; 16]) && poison.is_in("inbound", [3; 16]));
        assert!(!poison.is_in("inbound", [1; 16]) && !poison.is_in("inbound", [4; 16]));
    }

    #[test]
    fn nothing_happens_when_nothing_is_armed() {
        hit("commit|call");
        poison("inbound", [0; 16]);
    }
}
