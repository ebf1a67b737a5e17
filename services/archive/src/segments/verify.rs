//! `tandem segments verify`: whether every segment is there, whole, and as it was written.

use std::{
    fs::{self, File},
    io::{BufReader, Read},
    path::Path,
};

use bus::{PartitionId, Record};

use super::{
    ENDING, Footer, HEAD_FILE, Hash, SegmentError, files,
    format::{FormatError, Header, Kind, VERSION, read_frame, read_trailer},
    partition_dirs,
};
use crate::chain::{Cursor, Follower, Verdict};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Partitions with segments.
    pub partitions: usize,
    /// Segments looked at.
    pub segments: usize,
    /// Records in them.
    pub records: u64,
    /// Everything that is wrong, each naming a file.
    pub problems: Vec<String>,
    /// Newest segment of each partition and its hash: kept elsewhere, it shows later that nothing was exchanged.
    pub heads: Vec<(PartitionId, String, Hash)>,
}

/// Reads every segment below `dir`.
///
/// # Errors
/// When a directory cannot be read; what is wrong with a segment is in the report.
pub fn verify(dir: &Path) -> Result<Report, SegmentError> {
    let mut report = Report::default();
    for (partition, partition_dir) in partition_dirs(dir)? {
        report.partitions += 1;
        verify_partition(partition, &partition_dir, &mut report)?;
    }
    Ok(report)
}

fn verify_partition(
    partition: PartitionId,
    dir: &Path,
    report: &mut Report,
) -> Result<(), SegmentError> {
    let mut follower = Some(Follower::default());
    let mut previous: Option<(String, Hash)> = None;
    let head = read_head(dir);
    let mut head_seen = false;
    for path in files(dir)? {
        if path.extension().and_then(|ending| ending.to_str()) != Some(ENDING) {
            continue;
        }
        let name = path.strip_prefix(dir.parent().unwrap_or(dir)).unwrap_or(&path);
        let name = name.display().to_string();
        report.segments += 1;
        let file = File::open(&path).map_err(FormatError::from);
        let read = match file.and_then(|file| read_all(BufReader::new(file), &mut follower)) {
            Ok(read) => read,
            Err(error) => {
                report.problems.push(format!("{name}: {error}"));
                // What follows can be judged by itself only.
                (previous, follower) = (None, None);
                continue;
            }
        };
        report.records += read.footer.count;
        let mut wrong = read.wrong;
        if read.footer.partition != partition {
            wrong.push(format!("it belongs to partition {}", read.footer.partition));
        }
        if let (Some((before, hash)), Some(named)) = (&previous, read.header.previous)
            && *hash != named
        {
            wrong.push(format!("it does not follow {before}: one between them is missing"));
        }
        head_seen |= head.as_ref().is_some_and(|(file, hash)| {
            path.file_name().is_some_and(|name| name == file.as_str())
                && *hash == read.footer.hash.to_string()
        });
        report.problems.extend(wrong.into_iter().map(|why| format!("{name}: {why}")));
        previous = Some((name, read.footer.hash));
    }
    if let Some((file, _)) = head.filter(|_| !head_seen) {
        report.problems.push(format!(
            "{:05}/{file}: it is the newest segment by {HEAD_FILE}, but is missing or another one",
            partition.0
        ));
    }
    report.heads.extend(previous.map(|(name, hash)| (partition, name, hash)));
    Ok(())
}

fn read_head(dir: &Path) -> Option<(String, String)> {
    let text = fs::read_to_string(dir.join(HEAD_FILE)).ok()?;
    let (file, hash) = text.trim().split_once(' ')?;
    Some((file.to_owned(), hash.to_owned()))
}

struct Whole {
    header: Header,
    footer: Footer,
    wrong: Vec<String>,
}

/// Whether these are the bytes of one whole segment of a known format: its footer, or what is wrong.
pub(super) fn check(bytes: &[u8]) -> Result<Footer, String> {
    let read = read_all(bytes, &mut None).map_err(|error| error.to_string())?;
    if read.footer.version > VERSION {
        return Err(FormatError::Unreadable("format version").to_string());
    }
    match read.wrong.into_iter().next() {
        Some(why) => Err(why),
        None => Ok(read.footer),
    }
}

/// Reads a whole segment and follows its records.
fn read_all(mut file: impl Read, follower: &mut Option<Follower>) -> Result<Whole, FormatError> {
    let mut hasher = blake3::Hasher::new();
    let (mut at, mut wrong) = (0, Vec::new());
    let (mut header, mut count, mut first, mut last) = (None, 0, None, 0);
    loop {
        let frame = read_frame(&mut file, at)?;
        at += u64::try_from(frame.raw.len()).unwrap_or(0);
        match frame.kind {
            Kind::Header => header = Some(frame.value::<Header>("header")?),
            Kind::Record => {
                let (seq, record) = frame.record().ok_or(FormatError::NoFrame(at))?;
                let head =
                    Record::decode_head(&record).map_err(|_| FormatError::Unreadable("record"))?;
                let verdict = follower.as_mut().map(|follower| follower.admit(seq, &head));
                if let Some(Verdict::Gap { after, before }) = verdict {
                    wrong.push(format!("records between {after} and {before} are missing"));
                }
                if let None | Some(Verdict::Gap { .. }) = verdict {
                    *follower = Some(Follower::after(Some(Cursor::of(seq, &head))));
                }
                count += 1;
                first.get_or_insert(seq);
                last = seq;
            }
            Kind::Footer => {
                let footer: Footer = frame.value("footer")?;
                let header = header.ok_or(FormatError::Unreadable("header"))?;
                let mut trailer = Vec::new();
                file.read_to_end(&mut trailer)?;
                let length = trailer.try_into().ok().and_then(read_trailer);
                if length != u64::try_from(frame.raw.len()).ok() {
                    return Err(FormatError::Truncated(at));
                }
                if footer.hash.0 != *hasher.finalize().as_bytes() {
                    wrong.push("its content is not what its footer names: it was changed".into());
                }
                let told = (footer.count, footer.first_seq, footer.last_seq);
                if told != (count, first.unwrap_or_default(), last)
                    || footer.previous != header.previous
                {
                    wrong.push("its footer does not describe its content".to_owned());
                }
                return Ok(Whole { header, footer, wrong });
            }
        }
        hasher.update(&frame.raw);
    }
}
