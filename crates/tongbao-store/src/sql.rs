//! The narrow way in which units of work see a transaction, whichever engine holds it: SeaORM's own
//! transaction on the servers, the one writing connection on SQLite.

use crate::error::from_sqlx;
use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Statement,
    StatementBuilder, Value,
};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe};
use std::sync::Arc;

/// An open transaction.
#[async_trait]
pub(crate) trait Transaction: Send {
    /// Whose dialect.
    fn backend(&self) -> DbBackend;
    /// Runs a statement; says how many rows it touched.
    async fn run(&mut self, statement: Statement) -> Result<u64, DbErr>;
    /// Runs a question.
    async fn ask(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr>;
}

/// Renders for the transaction's dialect and runs.
pub(crate) async fn run<T: Transaction + ?Sized>(
    transaction: &mut T,
    statement: &impl StatementBuilder,
) -> Result<u64, DbErr> {
    let statement = transaction.backend().build(statement);
    transaction.run(statement).await
}

/// Renders for the transaction's dialect and asks.
pub(crate) async fn ask<T: Transaction + ?Sized>(
    transaction: &mut T,
    statement: &impl StatementBuilder,
) -> Result<Vec<QueryResult>, DbErr> {
    let statement = transaction.backend().build(statement);
    transaction.ask(statement).await
}

#[async_trait]
impl Transaction for DatabaseTransaction {
    fn backend(&self) -> DbBackend {
        self.get_database_backend()
    }

    async fn run(&mut self, statement: Statement) -> Result<u64, DbErr> {
        Ok(self.execute_raw(statement).await?.rows_affected())
    }

    async fn ask(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.query_all_raw(statement).await
    }
}

#[async_trait]
impl Transaction for SqliteConnection {
    fn backend(&self) -> DbBackend {
        DbBackend::Sqlite
    }

    async fn run(&mut self, statement: Statement) -> Result<u64, DbErr> {
        let arguments = arguments(statement.values.map_or(Vec::new(), |values| values.0))?;
        let query = sqlx::query_with(AssertSqlSafe(statement.sql), arguments);
        Ok(query.execute(self).await.map_err(from_sqlx)?.rows_affected())
    }

    async fn ask(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let arguments = arguments(statement.values.map_or(Vec::new(), |values| values.0))?;
        let query = sqlx::query_with(AssertSqlSafe(statement.sql), arguments);
        let rows = query.fetch_all(self).await.map_err(from_sqlx)?;
        Ok(rows.into_iter().map(QueryResult::from).collect())
    }
}

fn arguments(values: Vec<Value>) -> Result<SqliteArguments, DbErr> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        add(&mut arguments, &value)?;
    }
    Ok(arguments)
}

/// Binds one value; the kinds are those that the tables are made of.
pub(crate) fn add(arguments: &mut SqliteArguments, value: &Value) -> Result<(), DbErr> {
    let added = match value {
        Value::BigInt(number) => arguments.add(*number),
        Value::Uuid(id) => arguments.add(*id),
        Value::String(Some(text)) => arguments.add(Arc::<str>::from(text.as_str())),
        Value::String(None) => arguments.add(None::<String>),
        Value::BigUnsigned(Some(number)) => arguments.add(i64::try_from(*number).ok()),
        other => return Err(DbErr::Type(format!("no column keeps {other:?}"))),
    };
    added.map_err(|error| DbErr::Type(error.to_string()))
}
