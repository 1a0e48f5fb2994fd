//! What a database's error means: which uniqueness broke, whether trying again may help, and the
//! text for the log. The three engines say the same things in three ways; this is where they meet.

use sea_orm::{DbErr, RuntimeErr};
use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::mysql::MySqlDatabaseError;
use tongbao_engine::{CommitError, StoreError};

/// A failed read or write, for the log.
pub(crate) fn store(error: DbErr) -> StoreError {
    StoreError(error.to_string())
}

/// The same one layer below.
pub(crate) fn from_sqlx(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

/// Why a unit of work came to nothing.
pub(crate) enum Broken {
    /// What it asked for cannot be.
    Refused(CommitError),
    /// The database failed.
    Database(DbErr),
}

impl From<Broken> for CommitError {
    fn from(broken: Broken) -> CommitError {
        match broken {
            Broken::Refused(refusal) => refusal,
            Broken::Database(error) => CommitError::Store(store(error)),
        }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Broken {
        Broken::Refused(CommitError::Store(error))
    }
}

/// A failed statement: the uniqueness that it broke, or the database's own trouble.
impl From<DbErr> for Broken {
    fn from(error: DbErr) -> Broken {
        let broken = database_error(&error)
            .filter(|cause| cause.kind() == ErrorKind::UniqueViolation)
            .map(|cause| format!("{} {}", cause.constraint().unwrap_or(""), cause.message()));
        let Some(broken) = broken else { return Broken::Database(error) };
        // SQLite names the columns, PostgreSQL and MySQL the index.
        let names = |marks: &[&str]| marks.iter().any(|mark| broken.contains(mark));
        if names(&["charges_order_no", "charges.order_no"]) {
            Broken::Refused(CommitError::OrderNoTaken)
        } else if names(&["attempts_out_trade_no", "attempts.out_trade_no"]) {
            Broken::Refused(CommitError::OutTradeNoTaken)
        } else if names(&["events_sequence", "events.sequence"]) {
            Broken::Refused(CommitError::Stale)
        } else {
            Broken::Database(error)
        }
    }
}

/// Whether something with this key is there already.
pub(crate) fn is_taken(error: &DbErr) -> bool {
    database_error(error).is_some_and(|cause| cause.kind() == ErrorKind::UniqueViolation)
}

/// Whether the transaction was undone by the database for reasons of its own and may run again:
/// serialisation failures and deadlocks of PostgreSQL (40001, 40P01) and MySQL (1213, 1205), and
/// what TiDB says instead (8002, 9007).
pub(crate) fn may_run_again(error: &DbErr) -> bool {
    let Some(cause) = database_error(error) else { return false };
    if let Some(cause) = cause.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(cause.number(), 1205 | 1213 | 8002 | 9007);
    }
    cause.code().is_some_and(|code| code == "40001" || code == "40P01")
}

/// Whether a step of a migration was done before: MySQL 1050 and 1061, PostgreSQL 42P07, and 23505
/// when two processes make the same table at once.
pub(crate) fn exists_already(error: &DbErr) -> bool {
    let Some(cause) = database_error(error) else { return false };
    if let Some(cause) = cause.try_downcast_ref::<MySqlDatabaseError>() {
        return matches!(cause.number(), 1050 | 1061);
    }
    cause.code().is_some_and(|code| code == "42P07" || code == "23505")
}

fn database_error(error: &DbErr) -> Option<&dyn DatabaseError> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => cause.as_database_error(),
        _ => None,
    }
}
