//! The narrow way in which units of work see a transaction, whichever engine holds it: SeaORM's own
//! transaction on the servers, the one writing connection on SQLite.

use crate::error::Fault;
use crate::tables::Row;
use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, QueryResult, Statement, StatementBuilder,
};

/// An open transaction.
#[async_trait]
pub(crate) trait Transaction: Send {
    /// What it answers with.
    type Row: Row + Send;
    /// Whose dialect.
    fn backend(&self) -> DbBackend;
    /// Runs a statement; says how many rows it touched.
    async fn run(&mut self, statement: Statement) -> Result<u64, Fault>;
    /// Runs a question.
    async fn ask(&mut self, statement: Statement) -> Result<Vec<Self::Row>, Fault>;
}

/// Renders for the transaction's dialect and runs.
pub(crate) async fn run<T: Transaction + ?Sized>(
    transaction: &mut T,
    statement: &impl StatementBuilder,
) -> Result<u64, Fault> {
    let statement = transaction.backend().build(statement);
    transaction.run(statement).await
}

/// Renders for the transaction's dialect and asks.
pub(crate) async fn ask<T: Transaction + ?Sized>(
    transaction: &mut T,
    statement: &impl StatementBuilder,
) -> Result<Vec<T::Row>, Fault> {
    let statement = transaction.backend().build(statement);
    transaction.ask(statement).await
}

#[async_trait]
impl Transaction for DatabaseTransaction {
    type Row = QueryResult;

    fn backend(&self) -> DbBackend {
        self.get_database_backend()
    }

    async fn run(&mut self, statement: Statement) -> Result<u64, Fault> {
        Ok(self.execute_raw(statement).await?.rows_affected())
    }

    async fn ask(&mut self, statement: Statement) -> Result<Vec<QueryResult>, Fault> {
        Ok(self.query_all_raw(statement).await?)
    }
}
