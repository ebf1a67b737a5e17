//! Bounded waits on a condition: the only way a test waits for something it cannot await.

use std::{thread, time::Duration};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The condition was not met within the bound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} did not happen within {bound:?}")]
pub struct TimedOut {
    what: String,
    bound: Duration,
}

fn looks_within(bound: Duration) -> u128 {
    (bound.as_millis() / LOOK_EVERY.as_millis()).max(1)
}

/// Waits until `predicate` holds; also in virtual time.
///
/// # Errors
/// [`TimedOut`] after about `bound`, naming `what`.
pub async fn wait_until(
    bound: Duration,
    what: &str,
    mut predicate: impl FnMut() -> bool,
) -> Result<(), TimedOut> {
    for _ in 0..looks_within(bound) {
        if predicate() {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if predicate() { Ok(()) } else { Err(TimedOut { what: what.to_owned(), bound }) }
}

/// As [`wait_until`], for code outside a runtime.
///
/// # Errors
/// [`TimedOut`] after about `bound`, naming `what`.
pub fn wait_until_blocking(
    bound: Duration,
    what: &str,
    mut predicate: impl FnMut() -> bool,
) -> Result<(), TimedOut> {
    for _ in 0..looks_within(bound) {
        if predicate() {
            return Ok(());
        }
        // Nobody unparks this thread; a spurious wake only looks earlier.
        thread::park_timeout(LOOK_EVERY);
    }
    if predicate() { Ok(()) } else { Err(TimedOut { what: what.to_owned(), bound }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_its_condition_holds() {
        let mut looks = 0;
        let five = || {
            looks += 1;
            looks == 5
        };
        assert_eq!(wait_until(Duration::from_secs(1), "five looks", five).await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_says_what_did_not_happen() {
        let never = wait_until(Duration::from_secs(1), "rain", || false).await;
        assert_eq!(never.unwrap_err().to_string(), "rain did not happen within 1s");
    }

    #[test]
    fn a_blocking_wait_is_bounded_too() {
        let bound = Duration::from_millis(20);
        assert_eq!(wait_until_blocking(bound, "sun", || true), Ok(()));
        assert!(wait_until_blocking(bound, "rain", || false).is_err());
    }
}
