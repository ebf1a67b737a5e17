//! Flow files: read at the start, watched, and read again when they change. A file that cannot be used leaves the
//! flow in force and is complained of once.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use domain::{
    QueueId,
    flow::{FILE_BYTES_MAX, Flow},
};

/// How often files are looked at.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why flow files cannot be used: one line per problem, `file:line:column: what to do`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flows are not usable:\n{0}")]
pub struct FlowsError(pub String);

/// Reads and checks one flow file. `queues`: those of the business, where they are known.
///
/// # Errors
/// [`FlowsError`] with every problem found.
pub fn read(path: &Path, queues: Option<&BTreeSet<QueueId>>) -> Result<Flow, FlowsError> {
    let shown = path.display();
    let length = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if length > FILE_BYTES_MAX as u64 {
        return Err(FlowsError(format!(
            "{shown}:1:1: has more than {FILE_BYTES_MAX} bytes; split it"
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    Flow::read(&text, queues).map_err(|problems| FlowsError(problems.told(&shown.to_string())))
}

fn unreadable(path: &Path, error: &io::Error) -> FlowsError {
    FlowsError(format!("{}: cannot be read: {error}", path.display()))
}

/// When a file was last written and how long it is; none while it is not there.
type Stamp = Option<(Option<SystemTime>, u64)>;

/// A flow file of one business.
#[derive(Debug)]
pub(crate) struct FlowFile {
    path: PathBuf,
    queues: BTreeSet<QueueId>,
    seen: Mutex<Stamp>,
}

impl FlowFile {
    /// Reads the file for the first time.
    pub(crate) fn open(
        path: &Path,
        queues: BTreeSet<QueueId>,
    ) -> Result<(Self, Arc<Flow>), FlowsError> {
        let seen = Mutex::new(stamp(path));
        let flow = Arc::new(read(path, Some(&queues))?);
        Ok((Self { path: path.to_owned(), queues, seen }, flow))
    }

    pub(crate) fn is(&self, path: &Path, queues: &BTreeSet<QueueId>) -> bool {
        self.path == path && self.queues == *queues
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's flow if the file changed since it was last looked at.
    pub(crate) fn read_if_changed(&self) -> Option<Result<Arc<Flow>, FlowsError>> {
        let now = stamp(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return None;
        }
        *seen = now;
        Some(read(&self.path, Some(&self.queues)).map(Arc::new))
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok(), metadata.len()))
}
