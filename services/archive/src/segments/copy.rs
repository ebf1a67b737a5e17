//! Copying complete segments into a backup.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use super::{
    Segment, SegmentError, partition_dir,
    write::{sync_dir, write_head},
};

/// Copies these segments, all complete, to the directory `to`, durably; answers how many bytes that were. The newest
/// of each partition is named there.
///
/// # Errors
/// When the file system refuses.
pub fn copy(segments: &[Segment], to: &Path) -> Result<u64, SegmentError> {
    let mut bytes = 0;
    let mut newest = BTreeMap::new();
    for segment in segments {
        let dir = partition_dir(to, segment.footer.partition);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(SegmentError::io("create", &dir))?;
        let Some(name) = segment.path.file_name() else { continue };
        let target = dir.join(name);
        bytes += fs::copy(&segment.path, &target).map_err(SegmentError::io("write", &target))?;
        let synced = File::open(&target).and_then(|file| file.sync_all());
        synced.map_err(SegmentError::io("make durable", &target))?;
        newest.insert(dir, (target, segment.footer.hash));
    }
    for (dir, (target, hash)) in newest {
        sync_dir(&dir)?;
        write_head(&dir, &target, hash)?;
    }
    Ok(bytes)
}
