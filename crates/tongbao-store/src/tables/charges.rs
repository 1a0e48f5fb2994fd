//! `charges`: one row for each charge. Its terms never change once it is there; an update writes
//! where it stands ([`CHANGING`]).

use super::json::Json;
use super::{
    Cells, Row, damaged, id, id_maybe, number, number_maybe, text, text_maybe, time, time_maybe,
};
use sea_orm::Value;
use tongbao_core::{Charge, ChargeState, CloseReason, Failure, Payer, Payment};
use tongbao_engine::StoreError;
use tongbao_types::{AttemptId, ChargeId, Fen, OrderNo, Secret, TradeNo};
use uuid::Uuid;

pub(crate) const TABLE: &str = "charges";

pub(crate) const COLUMNS: [&str; 30] = [
    "id",
    "app",
    "mode",
    "order_no",
    "amount",
    "subject",
    "body",
    "attach",
    "return_url",
    "client_ip",
    "metadata",
    "profile",
    "client_secret",
    "created_at",
    "amount_refunded",
    "expires_at",
    "open_choice",
    "status",
    "reason",
    "ended_at",
    "failure",
    "attempt",
    "amount_paid",
    "trade_no",
    "paid_at",
    "payer",
    "remark",
    "refunds",
    "events",
    "version",
];

/// The columns that an update writes; the tail of [`COLUMNS`].
pub(crate) const CHANGING: [&str; 16] = [
    "amount_refunded",
    "expires_at",
    "open_choice",
    "status",
    "reason",
    "ended_at",
    "failure",
    "attempt",
    "amount_paid",
    "trade_no",
    "paid_at",
    "payer",
    "remark",
    "refunds",
    "events",
    "version",
];

pub(crate) fn row(charge: &Charge) -> Vec<Value> {
    let mut row = Vec::with_capacity(COLUMNS.len());
    row.extend([
        id(charge.id.uuid()),
        text(charge.scope.app.as_str()),
        text(charge.scope.mode.as_str()),
        text(charge.order_no.as_str()),
        number(charge.amount.fen().0),
        text(charge.subject.clone()),
        text_maybe(charge.body.clone()),
        text_maybe(charge.attach.clone()),
        text_maybe(charge.return_url.clone()),
        text_maybe(charge.client_ip.clone()),
        text(charge.metadata.write()),
        text_maybe(charge.profile.map(|profile| profile.as_str().to_owned())),
        text(charge.client_secret.expose().as_str()),
        time(charge.created_at),
    ]);
    row.extend(changing(charge));
    row
}

/// The values of [`CHANGING`].
pub(crate) fn changing(charge: &Charge) -> [Value; CHANGING.len()] {
    let state = &charge.state;
    let payment = match state {
        ChargeState::Succeeded(payment) => Some(payment),
        _ => None,
    };
    let (reason, ended_at, failure) = match state {
        ChargeState::Pending { closing } => (*closing, None, None),
        ChargeState::Succeeded(_) => (None, None, None),
        ChargeState::Closed { at, reason } => (Some(*reason), Some(*at), None),
        ChargeState::Failed { at, failure } => (None, Some(*at), Some(failure)),
    };
    [
        number(charge.amount_refunded.0),
        time(charge.expires_at),
        number(i64::from(charge.open_choice)),
        text(state.status()),
        text_maybe(reason.map(|reason| reason.as_str().to_owned())),
        time_maybe(ended_at),
        text_maybe(failure.map(Json::write)),
        id_maybe(payment.map(|p| p.attempt.uuid())),
        number_maybe(payment.map(|p| p.amount.0)),
        text_maybe(payment.map(|p| p.trade_no.as_str().to_owned())),
        time_maybe(payment.map(|p| p.paid_at)),
        text_maybe(payment.and_then(|p| p.payer.as_ref()).map(Json::write)),
        text_maybe(payment.and_then(|p| p.remark.as_ref()).map(Json::write)),
        number(charge.refunds),
        number(charge.events),
        number(charge.version),
    ]
}

/// Reads a charge whose columns begin at `at`.
pub(crate) fn read<R: Row>(row: &R, at: usize) -> Result<Charge, StoreError> {
    let mut cells = Cells::of(row, at);
    let id = cells.id()?;
    let scope = cells.scope()?;
    let order_no = cells.name(OrderNo::new)?;
    let amount = cells.amount()?;
    Ok(Charge {
        id,
        scope,
        order_no,
        amount,
        subject: cells.next()?,
        body: cells.next()?,
        attach: cells.next()?,
        return_url: cells.next()?,
        client_ip: cells.next()?,
        metadata: Json::read(&cells.next::<String>()?)?,
        profile: cells.word_maybe()?,
        client_secret: Secret::new(cells.next()?),
        created_at: cells.time()?,
        amount_refunded: Fen(cells.next()?),
        expires_at: cells.time()?,
        open_choice: cells.next::<i64>()? != 0,
        state: read_state(&mut cells, amount.fen())?,
        refunds: cells.next()?,
        events: cells.next()?,
        version: cells.next()?,
    })
}

/// The id alone, from the first column at `at`.
pub(crate) fn read_id<R: Row>(row: &R, at: usize) -> Result<ChargeId, StoreError> {
    Cells::of(row, at).id()
}

/// A payment without an amount was of the charge's `amount`: it was written before others were
/// kept.
fn read_state<R: Row>(cells: &mut Cells<'_, R>, amount: Fen) -> Result<ChargeState, StoreError> {
    let missing = || damaged(&"a charge lacks what belongs to its status");
    let status: String = cells.next()?;
    let reason: Option<String> = cells.next()?;
    let reason = reason.as_deref().and_then(CloseReason::read);
    let at = cells.time_maybe()?;
    let failure = Failure::read_maybe(cells.next()?)?;
    let attempt: Option<Uuid> = cells.next()?;
    let paid: Option<i64> = cells.next()?;
    let trade_no: Option<String> = cells.next()?;
    let paid_at = cells.time_maybe()?;
    let payer = Payer::read_maybe(cells.next()?)?;
    let remark = Failure::read_maybe(cells.next()?)?;
    Ok(match status.as_str() {
        "pending" => ChargeState::Pending { closing: reason },
        "succeeded" => ChargeState::Succeeded(Payment {
            attempt: attempt.map(AttemptId::from_uuid).ok_or_else(missing)?,
            amount: paid.map_or(amount, Fen),
            trade_no: TradeNo::new(trade_no.ok_or_else(missing)?).map_err(|e| damaged(&e))?,
            paid_at: paid_at.ok_or_else(missing)?,
            payer,
            remark,
        }),
        "closed" => {
            ChargeState::Closed { at: at.ok_or_else(missing)?, reason: reason.ok_or_else(missing)? }
        }
        "failed" => ChargeState::Failed {
            at: at.ok_or_else(missing)?,
            failure: failure.ok_or_else(missing)?,
        },
        _ => return Err(damaged(&format!("unknown status of a charge: {status:?}"))),
    })
}
