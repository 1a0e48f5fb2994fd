//! Opening a database by its URL, the lock of SQLite's file, and errors that say what to do. How
//! servers are connected to is in `connect_servers.rs`.

use crate::error::{Fault, is_full, is_full_code};
use crate::sqlite::{self, PAGE_SIZE, PATIENCE, TO_WRITE};
use crate::sqlite_loader::Loader;
use crate::sqlite_log::Log;
use crate::sqlite_room::Room;
use crate::sqlite_writer::Writer;
use crate::store::{Doors, SqlStore};
use crate::{connect_servers, migrations, queue};
use sea_orm::SqlxSqliteConnector;
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How to open a store.
#[derive(Debug, Clone)]
pub struct Options {
    /// SQLite: so many commits share one transaction at most; 1 means one sync of the disk each.
    pub batch_max: usize,
    /// SQLite: make the file, and the folder it lies in, if it is missing.
    pub create: bool,
    /// SQLite: no other process may write. One that serves must own the file alone; a command that
    /// only looks or changes a key need not.
    pub exclusive: bool,
    /// PostgreSQL and MySQL: so many connections at most.
    pub connections: u32,
    /// PostgreSQL and MySQL: how long to wait for a connection.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            batch_max: 256,
            create: true,
            exclusive: true,
            connections: 16,
            // Less than the five seconds for which a provider waits for its notice's answer.
            patience: Duration::from_secs(4),
        }
    }
}

/// Why a database cannot be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no engine that is known.
    #[error(
        "database.url must begin with sqlite://, postgres:// or mysql://, such as \
         sqlite://./tongbao.db"
    )]
    Url,
    /// The URL cannot be read. The password in it is not shown.
    #[error("database.url cannot be read: {0}")]
    UrlForm(String),
    /// There is no such file and none may be made.
    #[error("there is no database at {0}; start the server once, which makes it")]
    Missing(PathBuf),
    /// The file or its folder cannot be written.
    #[error(
        "{path} cannot be written: {cause}; give this user the right to write the file and its \
         folder"
    )]
    NotWritable {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// Another process serves from this file.
    #[error(
        "{0} is in use by another tongbao; stop that one, or give this one its own database.url"
    )]
    InUse(PathBuf),
    /// The file is something else.
    #[error("{path} is not a database that can be opened: {cause}")]
    NotADatabase {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        cause: String,
    },
    /// Nobody answers there.
    #[error("no database answers at {place}: {cause}; is it running, and is database.url right?")]
    Unreachable {
        /// Host and port or socket.
        place: String,
        /// What the system says.
        cause: String,
    },
    /// The server knows neither this user with this password nor this database.
    #[error(
        "the database at {place} refuses: {cause}; check user, password and database in \
         database.url"
    )]
    Refused {
        /// Host and port or socket.
        place: String,
        /// What the server says.
        cause: String,
    },
    /// There is no room where the database keeps its files.
    #[error("there is no room left for the database: {0}; make room on its disk and start again")]
    Full(String),
    /// A table cannot be made.
    #[error("the tables cannot be made: {0}; may this user create tables?")]
    Migration(String),
    /// The database has seen a newer version of this program.
    #[error("the database was made by a newer tongbao (it knows {0}); use that one")]
    Newer(String),
}

impl OpenError {
    /// A step that brings the tables up to date failed.
    pub(crate) fn migration(cause: &Fault) -> OpenError {
        let words = cause.to_string();
        if is_full(cause) { OpenError::Full(words) } else { OpenError::Migration(words) }
    }
}

/// Opens the database and brings its tables up to date. The URL is `sqlite://path`,
/// `postgres://…` or `mysql://…` (MariaDB too).
///
/// Opened exclusively, all leases of jobs are given back, since whoever held them is gone.
pub async fn open(url: &str, options: Options) -> Result<SqlStore, OpenError> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "sqlite" => open_sqlite(url, &options).await,
        "postgres" | "postgresql" => connect_servers::postgres(url, &options).await,
        "mysql" | "mariadb" => connect_servers::mysql(url, &options).await,
        _ => Err(OpenError::Url),
    }
}

async fn open_sqlite(url: &str, options: &Options) -> Result<SqlStore, OpenError> {
    let path = sqlite_path(url)?;
    prepare_file(&path, options)?;
    let lock = if options.exclusive { Some(lock(&path)?) } else { None };
    let failed = |cause: sqlx::Error| sqlite_failed(&path, cause);
    let mut writing = sqlite_options(&path)
        .create_if_missing(options.create)
        .journal_mode(SqliteJournalMode::Wal)
        .page_size(PAGE_SIZE);
    for (name, value) in TO_WRITE {
        writing = writing.pragma(name, value);
    }
    let one = SqlitePoolOptions::new().max_connections(1).connect_with(writing);
    let making = SqlxSqliteConnector::from_sqlx_sqlite_pool(one.await.map_err(failed)?);
    migrations::run(&making).await?;
    // Nothing was left to do but to close it.
    let _ = making.close().await;
    let refused = |cause: rusqlite::Error| own_failed(&path, &cause);
    let mut writer = sqlite::to_write(&path).map_err(refused)?;
    if options.exclusive {
        let released = queue::release_all(&mut writer).await;
        released.map_err(|error| OpenError::migration(&error))?;
    }
    let loader = sqlite::to_read(&path).map_err(refused)?;
    let reading = sqlite_options(&path).read_only(true);
    let pool = SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(3)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let pool = pool.connect_with(reading).await.map_err(failed)?;
    let log = Log::start(sqlite::to_write(&path).map_err(refused)?);
    let writer = Writer::start(writer, log, lock, options.batch_max);
    Ok(SqlStore {
        reads: SqlxSqliteConnector::from_sqlx_sqlite_pool(pool),
        doors: Doors::Sqlite(writer, Loader::start(loader), Room::beside(&path)),
        is_shared: !options.exclusive,
    })
}

pub(crate) fn sqlite_path(url: &str) -> Result<PathBuf, OpenError> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    match path {
        None | Some("") => Err(OpenError::Url),
        Some(path) if path.contains('?') || path.contains(":memory:") => {
            let cause = "after sqlite:// comes the path of a file and nothing else".to_owned();
            Err(OpenError::UrlForm(cause))
        }
        Some(path) => Ok(PathBuf::from(path)),
    }
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .statement_cache_capacity(256)
        .disable_statement_logging()
}

fn prepare_file(path: &Path, options: &Options) -> Result<(), OpenError> {
    if !options.create {
        return if path.exists() { Ok(()) } else { Err(OpenError::Missing(path.to_owned())) };
    }
    let not_writable = |path: &Path, cause: std::io::Error| OpenError::NotWritable {
        path: path.to_owned(),
        cause: cause.to_string(),
    };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|cause| not_writable(folder, cause))?;
    }
    let open = OpenOptions::new().create(true).append(true).open(path);
    open.map(drop).map_err(|cause| not_writable(path, cause))
}

/// One process owns the file while it holds the lock of `<file>.lock`; the system gives it back
/// when the process ends, however it ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let not_writable = |cause: std::io::Error| OpenError::NotWritable {
        path: name.clone(),
        cause: cause.to_string(),
    };
    let file = OpenOptions::new().create(true).append(true).open(&name).map_err(not_writable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(not_writable(cause)),
    }
}

fn sqlite_failed(path: &Path, cause: sqlx::Error) -> OpenError {
    let code = cause.as_database_error().and_then(|cause| cause.code());
    not_opened(path, code.and_then(|code| code.parse().ok()), cause.to_string())
}

fn own_failed(path: &Path, cause: &rusqlite::Error) -> OpenError {
    let code = cause.sqlite_error().map(|cause| cause.extended_code);
    not_opened(path, code, cause.to_string())
}

fn not_opened(path: &Path, code: Option<i32>, cause: String) -> OpenError {
    let path = path.to_owned();
    match code {
        // SQLITE_READONLY, SQLITE_CANTOPEN, SQLITE_PERM and their refinements.
        Some(8 | 14 | 3 | 1032 | 776 | 1544) => OpenError::NotWritable { path, cause },
        Some(code) if is_full_code(code) => OpenError::Full(cause),
        _ => OpenError::NotADatabase { path, cause },
    }
}
