//! The world outside: what calls reach. A stopped node's calls stand still with it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use rand::Rng;
use runtime::host::{CallId, CallRequest, CallResult, Door, Executor};
use tokio::{sync::watch, time::sleep};

use super::tap::Life;
use crate::{
    check::{Judge, Started},
    mix,
    toy::CallBody,
};

/// The executor of one life of a node.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) seed: u64,
    pub(crate) judge: Judge,
    pub(crate) life: Arc<Life>,
    pub(crate) paused: watch::Receiver<bool>,
}

/// A call under way; however it ends, it is over when this is dropped.
struct Running {
    started: Started,
    judge: Judge,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.judge.with(|checker| checker.on_call_over(self.started.0));
    }
}

impl Outside {
    /// Lets time pass for a process that may be stopped meanwhile.
    async fn pass(&self, ms: u64) {
        if ms > 0 {
            sleep(Duration::from_millis(ms)).await;
        }
        // The sender outlives every node.
        drop(self.paused.clone().wait_for(|paused| !paused).await);
    }
}

/// What happens to a call depends on the run and the call only.
fn draw(seed: u64, call: CallId) -> rand_chacha::ChaCha8Rng {
    mix::rng(seed, (u128::from_le_bytes(call.0) % 0xFFFF_FFFF_FFFF) as u64)
}

#[async_trait]
impl Executor for Outside {
    async fn call(&self, request: CallRequest, door: Door) -> CallResult {
        let body: CallBody = bus::decode(&request.body).unwrap();
        let mut rng = draw(self.seed, request.call);
        let before_ms = if rng.random_ratio(1, 3) { rng.random_range(0..3_000) } else { 0 };
        self.pass(before_ms).await;
        if let Err(late) = door.check() {
            self.judge.count("calls too late");
            return CallResult::NotStarted(late.to_string());
        }
        if rng.random_ratio(1, 10) {
            return CallResult::NotStarted("refused".to_owned());
        }
        if self.life.is_over() {
            self.judge.with(|checker| checker.on_dead(&self.life.node, "calls"));
        }
        let judge = self.judge.clone();
        let started =
            judge.with(|checker| checker.on_call_started(&self.life.node, request.call, &body));
        let running = Running { started, judge };
        match rng.random_range(0..10) {
            0 => std::future::pending().await,
            1 => self.pass(rng.random_range(3_000..9_900)).await,
            2 => panic!("toy: the executor panics"),
            3 => {
                self.pass(100).await;
                return CallResult::Unknown("the line went dead".to_owned());
            }
            _ => self.pass(rng.random_range(0..300)).await,
        }
        drop(running);
        CallResult::Done(Bytes::from_static(b"done"))
    }
}
