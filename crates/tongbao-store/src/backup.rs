//! A copy of an SQLite database while others write it. Servers have tools of their own for that,
//! which also know of their users and roles.

use crate::connect::{OpenError, sqlite_path};
use crate::sqlite;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database is a server's.
    #[error(
        "only SQLite databases are copied by tongbao; make the backup of a server with its own \
         tool, such as {0}"
    )]
    Server(&'static str),
    /// The address is wrong.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no such database.
    #[error("there is no database {0}")]
    Missing(PathBuf),
    /// Something is at the target already.
    #[error("{0} exists already; a backup never replaces anything")]
    Exists(PathBuf),
    /// The database could not be read, or the copy not be written.
    #[error("the copy could not be made: {0}")]
    Copy(#[from] rusqlite::Error),
    /// The copy could not be put in its place.
    #[error("{0} could not be written: {1}")]
    File(PathBuf, std::io::Error),
}

/// Copies the database at `url` as it stands at one moment into the new file `target`. It is there
/// whole or not at all. Whoever writes meanwhile goes on writing.
pub async fn backup(url: &str, target: &Path) -> Result<(), BackupError> {
    match url.split(':').next().unwrap_or_default() {
        "postgres" | "postgresql" => return Err(BackupError::Server("pg_dump")),
        "mysql" | "mariadb" => {
            return Err(BackupError::Server("mariadb-dump --single-transaction"));
        }
        _ => {}
    }
    let source = sqlite_path(url)?;
    if !source.exists() {
        return Err(BackupError::Missing(source));
    }
    if target.exists() {
        return Err(BackupError::Exists(target.to_owned()));
    }
    let target = target.to_owned();
    let copied = tokio::task::spawn_blocking(move || copy(&source, &target)).await;
    copied.expect("copying does not panic")
}

fn copy(source: &Path, target: &Path) -> Result<(), BackupError> {
    let failed = |error| BackupError::File(target.to_owned(), error);
    let mut draft = target.as_os_str().to_owned();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let connection = sqlite::to_read(source)?;
    connection.execute("vacuum into ?1", [draft.to_string_lossy()])?;
    // The library leaves it to us that the copy outlives the machine.
    File::open(&draft).and_then(|file| file.sync_all()).map_err(failed)?;
    std::fs::rename(&draft, target).map_err(failed)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)
}
