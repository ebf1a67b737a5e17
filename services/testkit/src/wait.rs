//! Bounded waits on a condition: the only way a test waits for something it cannot await.

use std::{thread, time::Duration};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How often somebody is asked: an answer costs more than a look.
const ASK_EVERY: Duration = Duration::from_millis(50);

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

/// Asks until there is an answer; also in virtual time.
///
/// # Errors
/// [`TimedOut`] after `bound`, naming `what`.
pub async fn wait_for<T>(
    bound: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> Result<T, TimedOut> {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    let answered = tokio::time::timeout(bound, asked).await;
    answered.map_err(|_| TimedOut { what: what.to_owned(), bound })
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

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_asked_for_until_it_comes_or_the_time_is_over() {
        let mut asked = 0;
        let third = async || {
            asked += 1;
            (asked == 3).then_some("yes")
        };
        assert_eq!(wait_for(Duration::from_secs(1), "yes", third).await, Ok("yes"));
        // Also where the one who is asked says nothing at all.
        let mute = async || std::future::pending::<Option<()>>().await;
        let never = wait_for(Duration::from_secs(1), "rain", mute).await;
        assert_eq!(never.unwrap_err().to_string(), "rain did not happen within 1s");
    }

    #[test]
    fn a_blocking_wait_is_bounded_too() {
        let bound = Duration::from_millis(20);
        assert_eq!(wait_until_blocking(bound, "sun", || true), Ok(()));
        assert!(wait_until_blocking(bound, "rain", || false).is_err());
    }
}
