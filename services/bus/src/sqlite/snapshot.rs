//! A copy of the database as of one moment, made while it is written.

use std::{fs, path::Path};

use super::{op::Failure, schema};
use crate::BusError;

/// Copies the database of `dir` to the file `to`. One read transaction sees one commit of the writer, and every
/// partition is in it: no message of a channel is there without what caused it.
pub(super) fn snapshot(dir: &Path, to: &Path) -> Result<(), BusError> {
    let failed =
        |why: String| BusError::Unavailable(format!("cannot write {}: {why}", to.display()));
    let target = to.to_str().ok_or_else(|| failed("its name is not UTF-8".to_owned()))?;
    if to.exists() {
        return Err(failed("it exists already".to_owned()));
    }
    let reader = schema::open_reader(dir).map_err(|error| failed(error.to_string()))?;
    let copied = reader
        .execute("VACUUM INTO ?1", [target])
        .map_err(|error| Failure::from(&error).bus_error())
        .and_then(|_| {
            let synced = fs::File::open(to).and_then(|file| file.sync_all());
            synced.map_err(|error| failed(error.to_string()))
        });
    if copied.is_err() {
        // Half a copy is none; when it cannot even be removed, the error above says where it is.
        let _ = fs::remove_file(to);
    }
    copied
}
