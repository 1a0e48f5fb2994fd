//! `refunds`: one row for each refund. The charge's version guards it, and the charge counts its
//! refunds, so that a charge without any is read without a look into this table.

use super::json::Json;
use super::{Cells, Row, damaged, id, number, text, text_maybe, time, time_maybe};
use sea_orm::Value;
use tongbao_core::{Failure, Refund, RefundCause, RefundState};
use tongbao_engine::StoreError;
use tongbao_types::{AccountName, OutRefundNo, RefundNo};

pub(crate) const TABLE: &str = "refunds";

pub(crate) const COLUMNS: [&str; 17] = [
    "id",
    "app",
    "mode",
    "charge",
    "attempt",
    "account",
    "refund_no",
    "out_refund_no",
    "amount",
    "reason",
    "cause",
    "metadata",
    "created_at",
    "status",
    "ended_at",
    "failure",
    "provider_no",
];

/// The columns that an update writes; the tail of [`COLUMNS`].
pub(crate) const CHANGING: [&str; 4] = ["status", "ended_at", "failure", "provider_no"];

pub(crate) fn row(refund: &Refund) -> Vec<Value> {
    let mut row = Vec::with_capacity(COLUMNS.len());
    row.extend([
        id(refund.id.uuid()),
        text(refund.scope.app.as_str()),
        text(refund.scope.mode.as_str()),
        id(refund.charge.uuid()),
        id(refund.attempt.uuid()),
        text(refund.account.as_str()),
        text(refund.refund_no.as_str()),
        text(refund.out_refund_no.as_str()),
        number(refund.amount.fen().0),
        text_maybe(refund.reason.clone()),
        text(refund.cause.as_str()),
        text(refund.metadata.write()),
        time(refund.created_at),
    ]);
    row.extend(changing(refund));
    row
}

/// The values of [`CHANGING`].
pub(crate) fn changing(refund: &Refund) -> [Value; CHANGING.len()] {
    let ended_at = match &refund.state {
        RefundState::Pending { .. } => None,
        RefundState::Succeeded { at }
        | RefundState::Failed { at, .. }
        | RefundState::Closed { at } => Some(*at),
    };
    [
        text(refund.state.status()),
        time_maybe(ended_at),
        text_maybe(refund.failure().map(Json::write)),
        text_maybe(refund.provider_no.clone()),
    ]
}

/// Reads a refund whose columns begin at `at`.
pub(crate) fn read<R: Row>(row: &R, at: usize) -> Result<Refund, StoreError> {
    let mut cells = Cells::of(row, at);
    Ok(Refund {
        id: cells.id()?,
        scope: cells.scope()?,
        charge: cells.id()?,
        attempt: cells.id()?,
        account: cells.name(AccountName::new)?,
        refund_no: cells.name(RefundNo::new)?,
        out_refund_no: cells.name(OutRefundNo::new)?,
        amount: cells.amount()?,
        reason: cells.next()?,
        cause: read_cause(&cells.next::<String>()?)?,
        metadata: Json::read(&cells.next::<String>()?)?,
        created_at: cells.time()?,
        state: read_state(&mut cells)?,
        provider_no: cells.next()?,
    })
}

fn read_cause(word: &str) -> Result<RefundCause, StoreError> {
    let unknown = || damaged(&format!("unknown cause of a refund: {word:?}"));
    RefundCause::read(word).ok_or_else(unknown)
}

fn read_state<R: Row>(cells: &mut Cells<'_, R>) -> Result<RefundState, StoreError> {
    let missing = || damaged(&"a refund lacks what belongs to its status");
    let status: String = cells.next()?;
    let at = cells.time_maybe()?;
    let failure = Failure::read_maybe(cells.next()?)?;
    Ok(match status.as_str() {
        "pending" => RefundState::Pending { trouble: failure },
        "succeeded" => RefundState::Succeeded { at: at.ok_or_else(missing)? },
        "failed" => RefundState::Failed {
            at: at.ok_or_else(missing)?,
            failure: failure.ok_or_else(missing)?,
        },
        "closed" => RefundState::Closed { at: at.ok_or_else(missing)? },
        _ => return Err(damaged(&format!("unknown status of a refund: {status:?}"))),
    })
}
