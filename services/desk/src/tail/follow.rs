//! Following one partition for one reader.

use std::{sync::Arc, time::Duration};

use api::{
    convert::{self, Place},
    v1::{Rebased, TailResponse, tail_response::Event},
};
use archive::{
    History, HistoryError,
    chain::{Cursor, Follower, Verdict},
    segments::SegmentError,
    step_events,
};
use bus::{BusError, PartitionId, Record, RecordBody, Step};
use bytes::Bytes;
use domain::BusinessId;
use tokio::sync::mpsc;
use tonic::Status;

use super::map;
use crate::server::Shared;

/// Pause before a read that failed is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// One partition of one tail.
pub(super) struct Follow {
    pub(super) shared: Arc<Shared>,
    pub(super) business: BusinessId,
    pub(super) partition: PartitionId,
    pub(super) events: mpsc::Sender<Result<TailResponse, Status>>,
    pub(super) stop_at_end: bool,
}

/// Why following ended early.
enum Stop {
    /// The reader is gone.
    Left,
    /// The reader is told.
    Status(Status),
}

impl From<BusError> for Stop {
    fn from(_: BusError) -> Self {
        Self::Status(Status::unavailable("the log cannot be read now; resume later"))
    }
}

impl From<HistoryError> for Stop {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Bus(error) => error.into(),
            HistoryError::Segment(SegmentError::Fetching) => Self::Status(Status::unavailable(
                "older segments are being fetched from their bucket; resume later",
            )),
            HistoryError::Segment(error) => {
                tracing::error!(%error, "a tail cannot read a segment");
                Self::Status(Status::data_loss(
                    "a segment of the archive cannot be read: the operator must look; read the conversations instead",
                ))
            }
        }
    }
}

impl Follow {
    pub(super) async fn run(&self, from: Option<Place>) {
        let stopped = tokio::select! {
            stopped = self.follow(from) => stopped,
            () = self.events.closed() => return,
            () = self.shared.shutdown.begun() => {
                Err(Stop::Status(Status::unavailable("the server is stopping; resume")))
            }
        };
        if let Err(Stop::Status(status)) = stopped {
            // A reader that is gone needs no status.
            let _ = self.events.send(Err(status)).await;
        }
    }

    async fn follow(&self, from: Option<Place>) -> Result<(), Stop> {
        let commands = &self.shared.commands;
        let segments = self.shared.segments.clone();
        let mut history = History::new(&commands.bus, segments, self.partition);
        let end = match commands.bus.log.last(self.partition).await? {
            Some((seq, bytes)) => (self.decode(seq, &bytes)?.head.generation, seq),
            None => (0, 0),
        };
        let from = from.filter(|place| place.seq > 0);
        let mut follower = self.begin(from, &mut history).await?;
        loop {
            if self.stop_at_end && follower.position() >= end {
                return Ok(());
            }
            match history.tail(&follower).await {
                Ok(records) => self.take_all(&mut follower, &records).await?,
                Err(HistoryError::Bus(BusError::Unavailable(_))) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn take_all(
        &self,
        follower: &mut Follower,
        records: &[(u64, Bytes)],
    ) -> Result<(), Stop> {
        for (n, (seq, bytes)) in records.iter().enumerate() {
            let record = self.decode(*seq, bytes)?;
            if n > 0 && follower.misses(*seq, &record.head) {
                // Trimmed in between: the next look finds them in a segment, or the gap.
                return Ok(());
            }
            self.take(follower, *seq, &record).await?;
        }
        Ok(())
    }

    /// Finds the record that the reader had last, and sends what is left of it.
    async fn begin(&self, from: Option<Place>, history: &mut History) -> Result<Follower, Stop> {
        let Some(from) = from else { return Ok(Follower::default()) };
        let Some((seq, bytes)) = history.find(from.generation, from.seq).await? else {
            return self.lost_place(from).await;
        };
        let record = self.decode(seq, &bytes)?;
        let follower = Follower::after(Some(Cursor::of(seq, &record.head)));
        self.send_after(seq, &record, Some(from)).await?;
        Ok(follower)
    }

    /// The reader's record is not there: the log begins anew in a later generation, or it was trimmed.
    async fn lost_place(&self, from: Place) -> Result<Follower, Stop> {
        let last = self.shared.commands.bus.log.last(self.partition).await?;
        let generation = match &last {
            Some((seq, bytes)) => self.decode(*seq, bytes)?.head.generation,
            None => 0,
        };
        let next = last.map(|(seq, _)| seq).filter(|last| *last > from.seq);
        if generation > from.generation {
            let rebased = Place { generation, seq: 0, step: 0, event: Some(0) };
            self.send(rebased, Event::Rebased(Rebased {})).await?;
            return Ok(Follower::default());
        }
        Err(Stop::Status(match next {
            Some(next) => out_of_range(self.partition, from.seq, next),
            None => Status::invalid_argument(format!(
                "from_position: partition {} has no record {} yet; use the positions of events",
                self.partition, from.seq
            )),
        }))
    }

    async fn take(&self, follower: &mut Follower, seq: u64, record: &Record) -> Result<(), Stop> {
        match follower.admit(seq, &record.head) {
            Verdict::Ignore => return Ok(()),
            Verdict::Gap { after, before } => {
                return Err(Stop::Status(out_of_range(self.partition, after, before)));
            }
            Verdict::Rebase => {
                let place =
                    Place { generation: record.head.generation, seq, step: 0, event: Some(0) };
                self.send(place, Event::Rebased(Rebased {})).await?;
            }
            Verdict::Follow => {}
        }
        self.send_after(seq, record, None).await
    }

    /// Sends the business's events of a record that come after `from`.
    async fn send_after(&self, seq: u64, record: &Record, from: Option<Place>) -> Result<(), Stop> {
        let RecordBody::Steps(steps) = &record.body else { return Ok(()) };
        for (index, step) in (0u32..).zip(&steps.steps) {
            if step.header.business.0 != self.business.0 {
                continue;
            }
            let first = Place { generation: record.head.generation, seq, step: index, event: None };
            for (event, mapped) in self.map(seq, step)? {
                let place = Place { event: Some(event), ..first };
                if from.is_none_or(|from| is_after(place, from)) {
                    self.send(place, mapped).await?;
                }
            }
        }
        Ok(())
    }

    fn map(&self, seq: u64, step: &Step) -> Result<Vec<(u32, Event)>, Stop> {
        let unreadable = |error| self.unreadable(seq, &error);
        let events = step_events(step).map_err(unreadable)?;
        let mut shown = map::step(&self.shared.commands.archive, &self.business, step, &events);
        if let Some(context) = self.shared.context.businesses.get(&self.business) {
            shown.extend(map::number_step(context, step).map_err(unreadable)?);
        }
        Ok(shown)
    }

    async fn send(&self, place: Place, event: Event) -> Result<(), Stop> {
        let position = Some(convert::position(self.partition.0, place));
        let response = TailResponse { position, event: Some(event) };
        self.events.send(Ok(response)).await.map_err(|_| Stop::Left)
    }

    fn decode(&self, seq: u64, bytes: &Bytes) -> Result<Record, Stop> {
        Record::decode(bytes).map_err(|error| self.unreadable(seq, &error))
    }

    fn unreadable(&self, seq: u64, error: &dyn std::error::Error) -> Stop {
        tracing::error!(partition = %self.partition, seq, error = %error, "a tail met a record it cannot read");
        Stop::Status(Status::internal(format!(
            "record {seq} of partition {} cannot be read by this server: upgrade it",
            self.partition
        )))
    }
}

/// Within one record: a whole step comes after all of its events.
fn is_after(place: Place, from: Place) -> bool {
    let key = |place: Place| (place.step, place.event.unwrap_or(u32::MAX));
    key(place) > key(from)
}

fn out_of_range(partition: PartitionId, after: u64, before: u64) -> Status {
    Status::out_of_range(format!(
        "partition {partition} keeps nothing between {after} and {before}: read the conversations anew, then \
         resume from the beginning"
    ))
}
