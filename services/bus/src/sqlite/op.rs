//! Requests to the writer thread, and how each of them is answered.

use bytes::Bytes;
use rusqlite::ErrorCode;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::rows::Table;
use crate::{AppendError, BusError, Checkpoint, LogAppendError, PartPut, PartitionId};

/// One request, with its share of the queue's bytes.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) op: Op,
    pub(super) _share: Option<OwnedSemaphorePermit>,
}

#[derive(Debug)]
pub(super) enum Op {
    Inbox {
        partition: PartitionId,
        body: Bytes,
        answer: oneshot::Sender<Result<u64, AppendError>>,
    },
    Log {
        partition: PartitionId,
        expected_last: u64,
        body: Bytes,
        answer: oneshot::Sender<Result<u64, LogAppendError>>,
    },
    Put {
        partition: PartitionId,
        puts: Vec<PartPut>,
        answer: oneshot::Sender<Result<(), BusError>>,
    },
    Checkpoint {
        partition: PartitionId,
        checkpoint: Checkpoint,
        answer: oneshot::Sender<Result<(), BusError>>,
    },
    /// Removes a slice of the entries up to and with `through`.
    Trim {
        table: Table,
        partition: PartitionId,
        through: u64,
        answer: oneshot::Sender<Result<u64, BusError>>,
    },
    /// Changes the limit of pages.
    MaxPages {
        pages: Option<u32>,
        answer: oneshot::Sender<Result<(), BusError>>,
    },
    /// Everything sent before is the last; then the writer ends.
    Close,
}

/// What the transaction made of one request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Stored(u64),
    Conflict,
    Short { free_bytes: u64 },
    Done,
    Removed(u64),
}

/// Why a whole transaction failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    why: String,
    full: bool,
    corrupt: bool,
}

impl From<&rusqlite::Error> for Failure {
    fn from(error: &rusqlite::Error) -> Self {
        let code = error.sqlite_error_code();
        Self {
            why: error.to_string(),
            full: code == Some(ErrorCode::DiskFull),
            corrupt: matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)),
        }
    }
}

impl Failure {
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    pub(super) fn bus_error(self) -> BusError {
        if self.corrupt { BusError::Corrupt(self.why) } else { BusError::Unavailable(self.why) }
    }

    /// SQLite reports a full disk only for what it then rolls back, so the entry is not stored.
    fn append_error(self) -> AppendError {
        if self.full { AppendError::Full(self.why) } else { AppendError::Unknown(self.why) }
    }
}

impl Op {
    /// Answers after the commit. A caller that is gone is nobody to tell.
    pub(super) fn answer(self, outcome: Outcome) {
        match self {
            Self::Inbox { answer, .. } => {
                let result = match outcome {
                    Outcome::Stored(seq) => Ok(seq),
                    Outcome::Short { free_bytes } => {
                        Err(AppendError::Full(format!("{free_bytes} bytes of disk are left")))
                    }
                    other => Err(AppendError::Unknown(format!("{other:?}"))),
                };
                drop(answer.send(result));
            }
            Self::Log { answer, .. } => {
                let result = match outcome {
                    Outcome::Stored(seq) => Ok(seq),
                    Outcome::Conflict => Err(LogAppendError::Conflict),
                    other => Err(LogAppendError::Unknown(format!("{other:?}"))),
                };
                drop(answer.send(result));
            }
            Self::Put { answer, .. }
            | Self::Checkpoint { answer, .. }
            | Self::MaxPages { answer, .. } => drop(answer.send(Ok(()))),
            Self::Trim { answer, .. } => {
                let removed = if let Outcome::Removed(count) = outcome { count } else { 0 };
                drop(answer.send(Ok(removed)));
            }
            Self::Close => {}
        }
    }

    /// Answers after the transaction failed.
    pub(super) fn fail(self, failure: &Failure) {
        let failure = failure.clone();
        match self {
            Self::Inbox { answer, .. } => drop(answer.send(Err(failure.append_error()))),
            Self::Log { answer, .. } => {
                drop(answer.send(Err(LogAppendError::Unknown(failure.why))));
            }
            Self::Put { answer, .. }
            | Self::Checkpoint { answer, .. }
            | Self::MaxPages { answer, .. } => drop(answer.send(Err(failure.bus_error()))),
            Self::Trim { answer, .. } => drop(answer.send(Err(failure.bus_error()))),
            Self::Close => {}
        }
    }
}
