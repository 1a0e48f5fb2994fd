//! SQLite's own connections: the writer's and the loader's live on threads of their own and call
//! the library directly. A trip to a driver's thread and back costs more than most statements.
//!
//! Everything else that reads goes through the pool that all engines share.

use crate::error::Fault;
use crate::sql::Transaction;
use crate::tables::{Cell, Row, damaged};
use async_trait::async_trait;
use rusqlite::types::{FromSql, ToSql, ToSqlOutput, Value as Owned, ValueRef};
use rusqlite::{CachedStatement, Connection, OpenFlags};
use sea_orm::{DbBackend, Statement, Value};
use std::path::Path;
use std::time::Duration;
use tongbao_engine::StoreError;

/// How long to wait for a lock that a command of the same binary holds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Pages of 8 KiB were measured to save work. Their size is settled when the file is made.
pub(crate) const PAGE_SIZE: u32 = 8192;

/// What a connection that writes is told, beside what the file remembers. Folding the log in is
/// for [`crate::sqlite_log`].
pub(crate) const TO_WRITE: [(&str, &str); 3] =
    [("synchronous", "full"), ("cache_size", "-16000"), ("wal_autocheckpoint", "0")];

/// There are some thirty statements; the builders make a few more.
const STATEMENTS_KEPT: usize = 128;

/// Opens a file that is there already, to write.
pub(crate) fn to_write(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    for (name, value) in TO_WRITE {
        connection.pragma_update(None, name, value)?;
    }
    Ok(connection)
}

/// Opens a file that is there already, to read.
pub(crate) fn to_read(path: &Path) -> rusqlite::Result<Connection> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

fn connect(path: &Path, how: OpenFlags) -> rusqlite::Result<Connection> {
    // One thread at a time has it, so the library need not lock.
    let connection = Connection::open_with_flags(path, how | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

/// Runs words without values: the bounds of a transaction.
pub(crate) fn say(connection: &Connection, words: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(words)?.execute(()).map(drop)
}

/// Runs a statement with these values; says how many rows it touched.
pub(crate) fn run(statement: &mut CachedStatement<'_>, values: &[Value]) -> rusqlite::Result<u64> {
    bind(statement, values)?;
    Ok(statement.raw_execute()? as u64)
}

/// Gives a statement its values.
pub(crate) fn bind(statement: &mut CachedStatement<'_>, values: &[Value]) -> rusqlite::Result<()> {
    for (at, value) in (1_usize..).zip(values) {
        statement.raw_bind_parameter(at, Bound(value))?;
    }
    Ok(())
}

/// A value on its way in, not copied; the kinds are those that the tables are made of.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::BigInt(Some(number)) => ValueRef::Integer(*number),
            Value::Uuid(Some(id)) => ValueRef::Blob(id.as_bytes()),
            Value::String(Some(text)) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Value::BigInt(None) | Value::Uuid(None) | Value::String(None) => ValueRef::Null,
            Value::BigUnsigned(Some(number)) => match i64::try_from(*number) {
                Ok(number) => ValueRef::Integer(number),
                Err(error) => return Err(rusqlite::Error::ToSqlConversionFailure(error.into())),
            },
            other => {
                let words = format!("no column keeps {other:?}");
                return Err(rusqlite::Error::ToSqlConversionFailure(words.into()));
            }
        }))
    }
}

/// The builders' way in. The library answers at once, so these futures never wait.
#[async_trait]
impl Transaction for Connection {
    type Row = Found;

    fn backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn run(&mut self, statement: Statement) -> Result<u64, Fault> {
        let values = statement.values.map_or(Vec::new(), |values| values.0);
        Ok(run(&mut self.prepare_cached(&statement.sql)?, &values)?)
    }

    async fn ask(&mut self, statement: Statement) -> Result<Vec<Found>, Fault> {
        let values = statement.values.map_or(Vec::new(), |values| values.0);
        let mut statement = self.prepare_cached(&statement.sql)?;
        bind(&mut statement, &values)?;
        let width = statement.column_count();
        let mut rows = statement.raw_query();
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..width).map(|at| row.get::<_, Owned>(at));
            found.push(Found(cells.collect::<Result<_, _>>()?));
        }
        Ok(found)
    }
}

/// A row that was asked for through [`Transaction`].
pub(crate) struct Found(Vec<Owned>);

impl Row for Found {
    fn cell<T: Cell>(&self, at: usize) -> Result<T, StoreError> {
        let cell = self.0.get(at).map(ValueRef::from).unwrap_or(ValueRef::Null);
        FromSql::column_result(cell).map_err(|error| damaged(&error))
    }
}

impl Row for rusqlite::Row<'_> {
    fn cell<T: Cell>(&self, at: usize) -> Result<T, StoreError> {
        self.get(at).map_err(|error| damaged(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;

    #[tokio::test]
    async fn the_connection_that_writes_syncs_each_commit() {
        let (store, folder) = explain::empty().await;
        let connection = to_write(&folder.join("t.db")).unwrap();
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(pragma("synchronous"), Ok(2), "2 is FULL");
        assert_eq!(pragma("foreign_keys"), Ok(1));
        assert_eq!(pragma("page_size"), Ok(8192));
        let mode = connection.pragma_query_value(None, "journal_mode", |r| r.get::<_, String>(0));
        assert_eq!(mode.as_deref(), Ok("wal"));
        drop(connection);
        explain::end((store, folder)).await;
    }

    #[tokio::test]
    async fn the_connection_that_reads_cannot_write() {
        let (store, folder) = explain::empty().await;
        let connection = to_read(&folder.join("t.db")).unwrap();
        assert!(say(&connection, "delete from jobs").is_err());
        drop(connection);
        explain::end((store, folder)).await;
    }
}
