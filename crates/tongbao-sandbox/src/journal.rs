//! The memory of trades and notifications on disk: JSON lines, appended, read again at the start.
//!
//! Each line holds the whole of one thing as it is now, so the last line about a thing counts. A
//! line is written with one call before the answer that depends on it, which survives `kill -9`;
//! it is not forced to the disk, so a power cut may lose the last moments of a pretend world.

use crate::notice::Notice;
use crate::order::Key;
use crate::rules::Rules;
use crate::trade::Trade;
use crate::words;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tongbao_types::{Provider, Timestamp};

/// A code that a payer can scan, and what it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) text: String,
    pub(crate) key: Key,
    #[serde(with = "words::micros")]
    pub(crate) issued_at: Timestamp,
    /// A newer code took its place.
    pub(crate) void: bool,
}

/// A code on a payer's phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthCode {
    pub(crate) text: String,
    #[serde(with = "words::provider")]
    pub(crate) provider: Provider,
    #[serde(with = "words::micros")]
    pub(crate) issued_at: Timestamp,
    /// The order that it paid or tried to pay.
    pub(crate) used_by: Option<Key>,
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    Trade(Box<Trade>),
    Code(Code),
    AuthCode(AuthCode),
    Notice(Notice),
    Rules(Rules),
    /// How far the sandbox is ahead of the machine, in microseconds.
    ClockOffset(i64),
    /// Whether the merchant's last v3 request named the WeChat Pay public key.
    NamedPublicKey(bool),
}

/// The journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Reading or writing failed.
    #[error("the sandbox's journal {path} cannot be read or written")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line that is not the last one makes no sense; only the last can be torn by a crash.
    #[error("line {line} of the sandbox's journal {path} is damaged; move the file away to go on")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the reader said.
        source: serde_json::Error,
    },
}

/// Where new lines go. Without a folder they go nowhere.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Option<File>,
}

impl Journal {
    /// A journal that remembers nothing.
    pub(crate) fn none() -> Journal {
        Journal { file: None }
    }

    /// Reads what an earlier run left; a torn last line is dropped.
    pub(crate) fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(JournalError::Io { path: path.to_owned(), source }),
        };
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines = text[..whole].split(|byte| *byte == b'\n').enumerate();
        let filled = lines.filter(|(_, line)| !line.is_empty());
        filled
            .map(|(idx, line)| {
                serde_json::from_slice(line).map_err(|source| JournalError::Damaged {
                    path: path.to_owned(),
                    line: idx + 1,
                    source,
                })
            })
            .collect()
    }

    /// Starts the file anew with just these records, replacing the old one in a single step.
    pub(crate) fn start(path: &Path, records: &[Record]) -> Result<Journal, JournalError> {
        let failed = |source| JournalError::Io { path: path.to_owned(), source };
        let fresh = path.with_extension("new");
        let mut text = Vec::new();
        records.iter().for_each(|record| text.extend(line(record)));
        let mut file = File::create(&fresh).map_err(failed)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)?;
        let file = OpenOptions::new().append(true).open(path).map_err(failed)?;
        Ok(Journal { file: Some(file) })
    }

    /// Appends one record with one write.
    pub(crate) fn append(&mut self, record: &Record) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(&line(record)) {
            tracing::error!(%error, "the sandbox cannot write its journal; a restart forgets");
        }
    }
}

fn line(record: &Record) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).expect("records have string keys and no floats");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("tongbao-journal-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_torn_last_line_is_dropped_and_a_damaged_one_is_an_error() {
        let path = file("torn");
        let mut journal = Journal::start(&path, &[Record::ClockOffset(5)]).unwrap();
        journal.append(&Record::NamedPublicKey(true));
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"trade\":{\"ord").unwrap();
        let found = Journal::read(&path).unwrap();
        assert_eq!(found, [Record::ClockOffset(5), Record::NamedPublicKey(true)]);

        file.write_all(b"\n{\"clock_offset\":7}\n").unwrap();
        let error = Journal::read(&path).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { line: 3, .. }), "{error}");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn no_file_is_an_empty_past() {
        assert_eq!(Journal::read(&file("none")).unwrap(), []);
    }
}
