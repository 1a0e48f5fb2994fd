//! Kept bills: what is read, and the units of work that write. A bill's parts come first, each in
//! a transaction of its own; the row that keeps it comes last, and only if all parts are there.

use crate::commit;
use crate::error::{self, Broken, Fault};
use crate::sql::{Transaction, ask, run};
use crate::store::{SqlStore, unrefused};
use crate::tables::bills::{self, COLUMNS, PART_COLUMNS, PARTS, TABLE};
use crate::tables::{Row, id, number};
use crate::work::Work;
use async_trait::async_trait;
use bytes::Bytes;
use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, Value};
use tongbao_engine::{BillKey, BillShelf, CommitError, KeptBill, StoreError};
use tongbao_types::BillId;

/// A unit of work on bills.
pub(crate) enum BillWork {
    /// Put a part away.
    Part(BillId, u32, Bytes),
    /// Keep a bill.
    Keep(Box<KeptBill>),
    /// Throw the parts of a bill away that is not kept.
    Drop(BillId),
    /// The same for all that were begun before this id was made.
    Sweep(BillId),
}

/// Does the work inside a transaction that the caller began and will end. A bill that cannot be
/// kept is refused as stale.
pub(crate) async fn perform<T: Transaction + ?Sized>(
    work: &BillWork,
    transaction: &mut T,
) -> Result<(), Broken> {
    match work {
        BillWork::Part(bill, part, body) => {
            let body = Value::Bytes(Some(body.to_vec()));
            let row = vec![id(bill.uuid()), number(i64::from(*part)), body];
            run(transaction, &commit::insert(PARTS, &PART_COLUMNS, [row])).await?;
        }
        BillWork::Keep(bill) => keep(bill, transaction).await?,
        BillWork::Drop(bill) => {
            let mut delete = Query::delete().from_table(PARTS).to_owned();
            let these = Expr::col("bill").eq(id(bill.uuid()));
            run(transaction, delete.and_where(these).and_where(is_loose())).await?;
        }
        BillWork::Sweep(before) => {
            let mut delete = Query::delete().from_table(PARTS).to_owned();
            let these = Expr::col("bill").lt(id(before.uuid()));
            run(transaction, delete.and_where(these).and_where(is_loose())).await?;
        }
    }
    Ok(())
}

async fn keep<T: Transaction + ?Sized>(bill: &KeptBill, transaction: &mut T) -> Result<(), Broken> {
    let count = Query::select()
        .expr(Expr::col("part").count())
        .from(PARTS)
        .and_where(Expr::col("bill").eq(id(bill.id.uuid())))
        .to_owned();
    let rows = ask(transaction, &count).await?;
    let found: i64 = match rows.first() {
        Some(row) => row.cell(0)?,
        None => 0,
    };
    if found != i64::from(bill.parts) {
        return Err(Broken::Refused(CommitError::Stale));
    }
    let taken = |cause: Fault| match error::is_taken(&cause) {
        true => Broken::Refused(CommitError::Stale),
        false => Broken::Database(cause),
    };
    let insert = commit::insert(TABLE, &COLUMNS, [bills::row(bill)]);
    run(transaction, &insert).await.map(drop).map_err(taken)
}

/// Parts whose bill is not kept.
fn is_loose() -> Expr {
    let kept = Query::select().column("id").from(TABLE).to_owned();
    Expr::col("bill").not_in_subquery(kept)
}

fn of_key(key: &BillKey) -> SelectStatement {
    Query::select()
        .columns(COLUMNS)
        .from(TABLE)
        .and_where(Expr::col("account").eq(key.account.as_str()))
        .and_where(Expr::col("kind").eq(key.kind.as_str()))
        .and_where(Expr::col("day").eq(key.date.to_string()))
        .to_owned()
}

impl SqlStore {
    async fn work_on_bills(&self, work: BillWork) -> Result<(), CommitError> {
        self.write(Work::Bill(work)).await.map(drop)
    }
}

#[async_trait]
impl BillShelf for SqlStore {
    async fn kept_bill(&self, key: &BillKey) -> Result<Option<KeptBill>, StoreError> {
        let rows = self.reads.query_all(&of_key(key)).await.map_err(error::store)?;
        rows.first().map(bills::read).transpose()
    }

    async fn bill_part(&self, bill: BillId, part: u32) -> Result<Option<Bytes>, StoreError> {
        let select = Query::select()
            .column("body")
            .from(PARTS)
            .and_where(Expr::col("bill").eq(id(bill.uuid())))
            .and_where(Expr::col("part").eq(number(i64::from(part))))
            .to_owned();
        let rows = self.reads.query_all(&select).await.map_err(error::store)?;
        let body = |row: &sea_orm::QueryResult| row.try_get_by_index::<Vec<u8>>(0);
        let body = rows.first().map(body).transpose().map_err(error::store)?;
        Ok(body.map(Bytes::from))
    }

    async fn add_bill_part(&self, bill: BillId, part: u32, bytes: Bytes) -> Result<(), StoreError> {
        self.work_on_bills(BillWork::Part(bill, part, bytes)).await.map_err(unrefused)
    }

    async fn keep_bill(&self, bill: &KeptBill) -> Result<bool, StoreError> {
        match self.work_on_bills(BillWork::Keep(Box::new(bill.clone()))).await {
            Ok(()) => Ok(true),
            Err(CommitError::Stale) => Ok(false),
            Err(error) => Err(unrefused(error)),
        }
    }

    async fn drop_bill_parts(&self, bill: BillId) -> Result<(), StoreError> {
        self.work_on_bills(BillWork::Drop(bill)).await.map_err(unrefused)
    }

    async fn sweep_bill_parts(&self, before: BillId) -> Result<(), StoreError> {
        self.work_on_bills(BillWork::Sweep(before)).await.map_err(unrefused)
    }
}
