//! What a database's error means: which uniqueness broke, whether trying again may help, and the
//! text for the log. The three engines say the same things in three ways; this is where they meet.

use rusqlite::ffi;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::mysql::MySqlDatabaseError;
use tongbao_engine::{CommitError, StoreError};

/// A failed read or write, for the log.
pub(crate) fn store(error: DbErr) -> StoreError {
    StoreError(in_words(&error))
}

/// A failed statement for the log.
pub(crate) fn words(error: &Fault) -> String {
    match error {
        Fault::Pool(error) => in_words(error),
        Fault::Sqlite(error) => error.to_string(),
    }
}

/// A pool only says that it timed out.
fn in_words(error: &DbErr) -> String {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => {
            "no connection could be had in time: it does not answer, or all connections are busy"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// A failed statement, in the words of whoever ran it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Through the pool.
    #[error(transparent)]
    Pool(#[from] DbErr),
    /// By SQLite's writer.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Why a unit of work came to nothing.
pub(crate) enum Broken {
    /// What it asked for cannot be.
    Refused(CommitError),
    /// The database failed.
    Database(Fault),
}

impl From<Broken> for CommitError {
    fn from(broken: Broken) -> CommitError {
        match broken {
            Broken::Refused(refusal) => refusal,
            Broken::Database(error) => (&error).into(),
        }
    }
}

impl From<&Fault> for CommitError {
    fn from(error: &Fault) -> CommitError {
        let words = StoreError(words(error));
        if is_full(error) { CommitError::Full(words) } else { CommitError::Store(words) }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Broken {
        Broken::Refused(CommitError::Store(error))
    }
}

/// A failed statement: the uniqueness that it broke, or the database's own trouble.
impl From<Fault> for Broken {
    fn from(error: Fault) -> Broken {
        let Some(broken) = uniqueness(&error) else { return Broken::Database(error) };
        // SQLite names the columns, PostgreSQL and MySQL the index; MySQL quotes the value before
        // it, and a merchant may choose a number that reads like an index.
        let broken = broken.rsplit(" for key ").next().unwrap_or_default();
        let names = |marks: &[&str]| marks.iter().any(|mark| broken.contains(mark));
        if names(&["charges_order_no", "charges.order_no"]) {
            Broken::Refused(CommitError::OrderNoTaken)
        } else if names(&["attempts_out_trade_no", "attempts.out_trade_no"]) {
            Broken::Refused(CommitError::OutTradeNoTaken)
        } else if names(&["refunds_refund_no", "refunds.refund_no"]) {
            Broken::Refused(CommitError::RefundNoTaken)
        } else if names(&["refunds_out_refund_no", "refunds.out_refund_no"]) {
            Broken::Refused(CommitError::OutRefundNoTaken)
        } else if names(&["events_sequence", "events.sequence"]) {
            Broken::Refused(CommitError::Stale)
        } else {
            Broken::Database(error)
        }
    }
}

/// What is said of a uniqueness that a statement would have broken.
fn uniqueness(error: &Fault) -> Option<String> {
    match error {
        Fault::Pool(error) => {
            let cause = database_error(error)?;
            let is_it = cause.kind() == ErrorKind::UniqueViolation;
            is_it.then(|| format!("{} {}", cause.constraint().unwrap_or(""), cause.message()))
        }
        Fault::Sqlite(rusqlite::Error::SqliteFailure(cause, words)) => {
            let codes = [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_CONSTRAINT_PRIMARYKEY];
            codes.contains(&cause.extended_code).then(|| words.clone().unwrap_or_default())
        }
        Fault::Sqlite(_) => None,
    }
}

/// Whether something with this key is there already.
pub(crate) fn is_taken(error: &Fault) -> bool {
    uniqueness(error).is_some()
}

/// Whether there was no room for it: PostgreSQL 53100, MySQL 1021 (disk full) and 1114 (table
/// full), and what SQLite says.
pub(crate) fn is_full(error: &Fault) -> bool {
    let cause = match error {
        Fault::Sqlite(rusqlite::Error::SqliteFailure(cause, _)) => {
            return is_full_code(cause.extended_code);
        }
        Fault::Sqlite(_) => return false,
        Fault::Pool(error) => database_error(error),
    };
    let Some(cause) = cause else { return false };
    if let Some(cause) = cause.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(cause.number(), 1021 | 1114);
    }
    let code = cause.code().unwrap_or_default();
    code == "53100" || code.parse().is_ok_and(is_full_code)
}

/// SQLite's own word, and that the file of its index of the log cannot grow: that file is as long
/// as the index, so a lack of room is all that it can mean.
pub(crate) fn is_full_code(extended: i32) -> bool {
    matches!(extended, ffi::SQLITE_FULL | ffi::SQLITE_IOERR_SHMSIZE)
}

/// Whether the transaction was undone by the database for reasons of its own and may run again:
/// serialisation failures and deadlocks of PostgreSQL (40001, 40P01) and MySQL (1213, 1205), and
/// what TiDB says instead (8002, 9007).
pub(crate) fn may_run_again(error: &Fault) -> bool {
    let Fault::Pool(error) = error else { return false };
    let Some(cause) = database_error(error) else { return false };
    if let Some(cause) = cause.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(cause.number(), 1205 | 1213 | 8002 | 9007);
    }
    cause.code().is_some_and(|code| code == "40001" || code == "40P01")
}

/// Whether the connection broke under a statement, or the server ended it: PostgreSQL 57P01 to
/// 57P03 (it stops, crashed or is starting), 25P03 (the transaction was idle for too long), MySQL
/// 1053 and 1927 (it stops, or the connection was killed). Nothing was committed before a commit.
pub(crate) fn is_cut_off(error: &Fault) -> bool {
    let Fault::Pool(error) = error else { return false };
    if matches!(sqlx_error(error), Some(sqlx::Error::Io(_) | sqlx::Error::Protocol(_))) {
        return true;
    }
    let Some(cause) = database_error(error) else { return false };
    if let Some(cause) = cause.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(cause.number(), 1053 | 1927);
    }
    let ends = |code| matches!(code, "57P01" | "57P02" | "57P03" | "25P03");
    cause.code().as_deref().is_some_and(ends)
}

/// Whether a step of a migration was done before. Tables and indexes: MySQL 1050 and 1061,
/// PostgreSQL 42P07, and 23505 when two processes make the same table at once. Columns: MySQL 1060,
/// PostgreSQL 42701; SQLite has only words for it.
pub(crate) fn exists_already(error: &DbErr) -> bool {
    let Some(cause) = database_error(error) else { return false };
    if let Some(cause) = cause.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(cause.number(), 1050 | 1060 | 1061);
    }
    let is_known = |code| matches!(code, "42P07" | "42701" | "23505");
    cause.code().as_deref().is_some_and(is_known)
        || cause.message().starts_with("duplicate column name")
}

fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    sqlx_error(error)?.as_database_error()
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => Some(cause),
        _ => None,
    }
}
