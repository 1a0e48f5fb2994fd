//! `bills`: one row for each bill that is kept. `bill_parts`: its bytes, and those of bills that
//! are still coming.

use super::{Cells, damaged, id, number, text, time};
use sea_orm::{QueryResult, Value};
use tongbao_engine::{BillDate, BillKey, KeptBill, StoreError};
use tongbao_types::AccountName;

pub(crate) const TABLE: &str = "bills";

pub(crate) const COLUMNS: [&str; 9] =
    ["id", "account", "kind", "day", "packing", "bytes", "parts", "lines", "fetched_at"];

pub(crate) const PARTS: &str = "bill_parts";

pub(crate) const PART_COLUMNS: [&str; 3] = ["bill", "part", "body"];

pub(crate) fn row(bill: &KeptBill) -> Vec<Value> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    vec![
        id(bill.id.uuid()),
        text(bill.key.account.as_str()),
        text(bill.key.kind.as_str()),
        text(bill.key.date.to_string()),
        text(bill.packing.as_str()),
        number(count(bill.bytes)),
        number(i64::from(bill.parts)),
        Value::BigInt(bill.lines.map(count)),
        time(bill.fetched_at),
    ]
}

pub(crate) fn read(row: &QueryResult) -> Result<KeptBill, StoreError> {
    let mut cells = Cells::of(row, 0);
    let id = cells.id()?;
    let account = cells.name(AccountName::new)?;
    let kind = cells.word()?;
    let day: String = cells.next()?;
    let date = BillDate::read_dashed(&day).ok_or_else(|| damaged(&"a day that is none"))?;
    Ok(KeptBill {
        id,
        key: BillKey { account, kind, date },
        packing: cells.word()?,
        bytes: count(cells.next()?)?,
        parts: u32::try_from(cells.next::<i64>()?).map_err(|error| damaged(&error))?,
        lines: cells.next::<Option<i64>>()?.map(count).transpose()?,
        fetched_at: cells.time()?,
    })
}

fn count(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|error| damaged(&error))
}
