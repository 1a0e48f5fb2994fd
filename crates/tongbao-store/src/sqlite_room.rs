//! Whether the disk of an SQLite database has room: asked by writing a file beside it and removing
//! it again. What the file system says about its free space leaves out quotas and what is reserved,
//! and the writer's own small commits may still fit where the next payment does not.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tongbao_engine::{CommitError, StoreError};

/// What a busy group of commits may take, with room to spare.
const WANTED_BYTES: u32 = 1024 * 1024;

/// Anybody may ask whether we are ready, so the disk is not asked more often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Asks for one database.
#[derive(Clone)]
pub(crate) struct Room {
    file: PathBuf,
    last: Arc<Mutex<Option<Look>>>,
}

/// When it was looked, and what was found.
struct Look {
    at: Instant,
    found: Result<(), Lack>,
}

/// Why there is none.
#[derive(Debug, Clone)]
struct Lack {
    is_full: bool,
    words: String,
}

impl Room {
    /// Beside the database at this path.
    pub(crate) fn beside(database: &Path) -> Room {
        let mut file = database.as_os_str().to_owned();
        file.push(".room");
        Room { file: file.into(), last: Arc::default() }
    }

    /// Looks, unless it was looked at a moment ago.
    pub(crate) async fn look(&self) -> Result<(), CommitError> {
        let mut last = self.last.lock().await;
        let fresh = last.as_ref().filter(|look| look.at.elapsed() < LOOK_EVERY);
        let found = match fresh {
            Some(look) => look.found.clone(),
            None => {
                let file = self.file.clone();
                let asked = Handle::current().spawn_blocking(move || ask(&file)).await;
                let broken = |_| Lack { is_full: false, words: "the look broke off".to_owned() };
                let found = asked.map_err(broken).and_then(|found| found);
                *last = Some(Look { at: Instant::now(), found: found.clone() });
                found
            }
        };
        found.map_err(|Lack { is_full, words }| match is_full {
            true => CommitError::Full(StoreError(words)),
            false => CommitError::Store(StoreError(words)),
        })
    }
}

fn ask(path: &Path) -> Result<(), Lack> {
    // A file system that compresses must not make it small.
    let bytes: Vec<u8> = (0..WANTED_BYTES / 4)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_le_bytes())
        .collect();
    let written = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|mut file| file.write_all(&bytes));
    let removed = std::fs::remove_file(path);
    written.and(removed).map_err(|cause| {
        let full = [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge];
        let words = format!("{} cannot be written: {cause}", path.display());
        Lack { is_full: full.contains(&cause.kind()), words }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_look_leaves_nothing_and_says_what_is_wrong() {
        let folder = std::env::temp_dir().join(format!("tongbao-room-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let room = Room::beside(&folder.join("t.db"));
        room.look().await.unwrap();
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        std::fs::remove_dir(&folder).unwrap();
        room.look().await.expect("a moment later it is not asked again");
        let error = Room::beside(&folder.join("t.db")).look().await.unwrap_err();
        assert!(matches!(error, CommitError::Store(_)), "{error}");
        assert!(error.to_string().contains("t.db.room cannot be written"), "{error}");
    }

    /// Linux has a device that is always full.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_as_such() {
        let folder = std::env::temp_dir().join(format!("tongbao-full-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let link = folder.join("t.db.room");
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let lack = ask(&link).unwrap_err();
        assert!(lack.is_full, "{lack:?}");
        std::fs::remove_dir(&folder).unwrap();
    }
}
