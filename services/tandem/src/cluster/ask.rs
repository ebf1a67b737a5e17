//! Asking routers, who alone write states and leases, by signals.

use std::{future::Future, time::Duration};

use tokio::time::{sleep, timeout};

/// Longest that routers which live take to do what needs no more than a write.
pub(crate) const HEARD_WITHIN: Duration = Duration::from_secs(15);
/// Pause between two times.
const ASK_PAUSE: Duration = Duration::from_millis(250);

/// Asks until something has come of it, and answers what; `None` when nothing came of it in time.
///
/// A signal may be lost. So each time `ask` looks first at what is stored, which says whether it was heard, and only then
/// sends it (again).
pub(crate) async fn until_heard<T, F>(
    within: Duration,
    mut ask: impl FnMut() -> F,
) -> anyhow::Result<Option<T>>
where
    F: Future<Output = anyhow::Result<Option<T>>>,
{
    let asked = async {
        loop {
            if let Some(heard) = ask().await? {
                return Ok(heard);
            }
            sleep(ASK_PAUSE).await;
        }
    };
    timeout(within, asked).await.ok().transpose()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use anyhow::bail;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_asked_until_something_comes_of_it_or_the_time_is_over() {
        let asked = Cell::new(0);
        let third = || async {
            asked.set(asked.get() + 1);
            Ok((asked.get() == 3).then_some("heard"))
        };
        assert_eq!(until_heard(HEARD_WITHIN, third).await.unwrap(), Some("heard"));
        assert_eq!(asked.get(), 3);
        let never = || async { anyhow::Ok(None::<()>) };
        assert_eq!(until_heard(HEARD_WITHIN, never).await.unwrap(), None);
        let refused = || async { bail!("no router lives") };
        let error = until_heard::<(), _>(HEARD_WITHIN, refused).await.unwrap_err();
        assert_eq!(error.to_string(), "no router lives");
    }
}
