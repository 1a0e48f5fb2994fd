//! `attempts`: one row for each order placed at a provider. The charge's version guards it.

use super::json::Json;
use super::{Cells, Row, damaged, id, number_maybe, text, text_maybe, time, time_maybe};
use sea_orm::Value;
use tongbao_core::{Action, Attempt, AttemptState, Failure, Payer};
use tongbao_engine::StoreError;
use tongbao_types::{AccountName, ChargeId, Fen, OutTradeNo, TradeNo};

pub(crate) const TABLE: &str = "attempts";

pub(crate) const COLUMNS: [&str; 14] = [
    "charge",
    "id",
    "channel",
    "account",
    "out_trade_no",
    "created_at",
    "payer",
    "status",
    "amount_paid",
    "trade_no",
    "paid_at",
    "ended_at",
    "failure",
    "action",
];

/// The columns that an update writes; the tail of [`COLUMNS`].
pub(crate) const CHANGING: [&str; 7] =
    ["status", "amount_paid", "trade_no", "paid_at", "ended_at", "failure", "action"];

pub(crate) fn row(attempt: &Attempt) -> Vec<Value> {
    let mut row = Vec::with_capacity(COLUMNS.len());
    row.extend([
        id(attempt.charge.uuid()),
        id(attempt.id.uuid()),
        text(attempt.channel.as_str()),
        text(attempt.account.as_str()),
        text(attempt.out_trade_no.as_str()),
        time(attempt.created_at),
        text_maybe(attempt.payer.as_ref().map(Json::write)),
    ]);
    row.extend(changing(attempt));
    row
}

/// The values of [`CHANGING`].
pub(crate) fn changing(attempt: &Attempt) -> [Value; CHANGING.len()] {
    let (paid, ended_at, failure) = match &attempt.state {
        AttemptState::Succeeded { amount, trade_no, paid_at } => {
            (Some((*amount, trade_no, *paid_at)), None, None)
        }
        AttemptState::Closed { at } => (None, Some(*at), None),
        AttemptState::Failed { at, failure } => (None, Some(*at), Some(failure)),
        AttemptState::Placing | AttemptState::Awaiting | AttemptState::Closing => {
            (None, None, None)
        }
    };
    [
        text(attempt.state.status()),
        number_maybe(paid.map(|(amount, _, _)| amount.0)),
        text_maybe(paid.map(|(_, trade_no, _)| trade_no.as_str().to_owned())),
        time_maybe(paid.map(|(_, _, paid_at)| paid_at)),
        time_maybe(ended_at),
        text_maybe(failure.map(Json::write)),
        text_maybe(attempt.action.as_ref().map(Json::write)),
    ]
}

/// Reads an attempt whose columns begin at `at`; nothing if an outer join found none. A payment
/// without an amount was of the charge's, which `amount` knows: it was written before others were
/// kept.
pub(crate) fn read<R: Row>(
    row: &R,
    at: usize,
    amount: impl FnOnce(ChargeId) -> Fen,
) -> Result<Option<Attempt>, StoreError> {
    let mut cells = Cells::of(row, at);
    if cells.is_null()? {
        return Ok(None);
    }
    let charge = cells.id()?;
    Ok(Some(Attempt {
        charge,
        id: cells.id()?,
        channel: cells.word()?,
        account: cells.name(AccountName::new)?,
        out_trade_no: cells.name(OutTradeNo::new)?,
        created_at: cells.time()?,
        payer: Payer::read_maybe(cells.next()?)?,
        state: read_state(&mut cells, || amount(charge))?,
        action: Action::read_maybe(cells.next()?)?,
    }))
}

fn read_state<R: Row>(
    cells: &mut Cells<'_, R>,
    amount: impl FnOnce() -> Fen,
) -> Result<AttemptState, StoreError> {
    let missing = || damaged(&"an attempt lacks what belongs to its status");
    let status: String = cells.next()?;
    let paid: Option<i64> = cells.next()?;
    let trade_no: Option<String> = cells.next()?;
    let paid_at = cells.time_maybe()?;
    let at = cells.time_maybe()?;
    let failure = Failure::read_maybe(cells.next()?)?;
    Ok(match status.as_str() {
        "placing" => AttemptState::Placing,
        "pending" => AttemptState::Awaiting,
        "closing" => AttemptState::Closing,
        "succeeded" => AttemptState::Succeeded {
            amount: paid.map_or_else(amount, Fen),
            trade_no: TradeNo::new(trade_no.ok_or_else(missing)?).map_err(|e| damaged(&e))?,
            paid_at: paid_at.ok_or_else(missing)?,
        },
        "closed" => AttemptState::Closed { at: at.ok_or_else(missing)? },
        "failed" => AttemptState::Failed {
            at: at.ok_or_else(missing)?,
            failure: failure.ok_or_else(missing)?,
        },
        _ => return Err(damaged(&format!("unknown status of an attempt: {status:?}"))),
    })
}
