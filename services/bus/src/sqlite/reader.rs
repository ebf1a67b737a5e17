//! Reader threads: each has its own read-only connection and serves one question after another.

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::op::Failure;
use crate::BusError;

/// Questions that may wait for one reader; more make their askers wait.
const QUESTIONS_MAX: usize = 256;

enum Question {
    Ask(Box<dyn FnOnce(&Connection) + Send>),
    Stop,
}

/// Asks one reader thread.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    questions: mpsc::Sender<Question>,
}

/// The thread's end.
pub(super) struct ReaderThread {
    connection: Connection,
    questions: mpsc::Receiver<Question>,
}

impl Reader {
    pub(super) fn new(connection: Connection) -> (Self, ReaderThread) {
        let (sender, questions) = mpsc::channel(QUESTIONS_MAX);
        (Self { questions: sender }, ReaderThread { connection, questions })
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, BusError> {
        let (answer, answered) = oneshot::channel();
        let question = Question::Ask(Box::new(move |connection| {
            if !answer.is_closed() {
                drop(answer.send(question(connection)));
            }
        }));
        self.questions.send(question).await.map_err(|_| BusError::Closed)?;
        let found = answered.await.map_err(|_| BusError::Closed)?;
        found.map_err(|error| Failure::from(&error).bus_error())
    }

    /// Lets the thread end after what was asked before.
    pub(super) fn stop(&self) {
        send_blocking(&self.questions, Question::Stop);
    }
}

/// Sends from a thread that may belong to a runtime. The other end empties its bounded queue without
/// waiting for anyone, so there is soon room; when it is gone there is nothing to say.
pub(super) fn send_blocking<T>(queue: &mpsc::Sender<T>, mut value: T) {
    while let Err(mpsc::error::TrySendError::Full(back)) = queue.try_send(value) {
        value = back;
        std::thread::yield_now();
    }
}

impl ReaderThread {
    /// Runs until it is stopped or the last [`Reader`] is dropped.
    pub(super) fn run(mut self) {
        while let Some(question) = self.questions.blocking_recv() {
            match question {
                Question::Ask(question) => question(&self.connection),
                Question::Stop => self.questions.close(),
            }
        }
    }
}
