//! `charges`: one row for each charge. Its terms never change once it is there; an update writes
//! where it stands ([`CHANGING`]).

use super::json::Json;
use super::{Cells, damaged, id, id_maybe, number, text, text_maybe, time, time_maybe};
use sea_orm::{QueryResult, Value};
use tongbao_core::{Charge, ChargeState, CloseReason, Failure, Payer, Payment};
use tongbao_engine::StoreError;
use tongbao_types::{Amount, AttemptId, ChargeId, Fen, OrderNo, Secret, TradeNo};
use uuid::Uuid;

pub(crate) const TABLE: &str = "charges";

pub(crate) const COLUMNS: [&str; 26] = [
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
    "client_secret",
    "created_at",
    "amount_refunded",
    "expires_at",
    "status",
    "reason",
    "ended_at",
    "failure",
    "attempt",
    "trade_no",
    "paid_at",
    "payer",
    "remark",
    "events",
    "version",
];

/// The columns that an update writes; the tail of [`COLUMNS`].
pub(crate) const CHANGING: [&str; 13] = [
    "amount_refunded",
    "expires_at",
    "status",
    "reason",
    "ended_at",
    "failure",
    "attempt",
    "trade_no",
    "paid_at",
    "payer",
    "remark",
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
        text(state.status()),
        text_maybe(reason.map(|reason| reason.as_str().to_owned())),
        time_maybe(ended_at),
        text_maybe(failure.map(Json::write)),
        id_maybe(payment.map(|p| p.attempt.uuid())),
        text_maybe(payment.map(|p| p.trade_no.as_str().to_owned())),
        time_maybe(payment.map(|p| p.paid_at)),
        text_maybe(payment.and_then(|p| p.payer.as_ref()).map(Json::write)),
        text_maybe(payment.and_then(|p| p.remark.as_ref()).map(Json::write)),
        number(charge.events),
        number(charge.version),
    ]
}

/// Reads a charge whose columns begin at `at`.
pub(crate) fn read(row: &QueryResult, at: usize) -> Result<Charge, StoreError> {
    let mut cells = Cells::of(row, at);
    let amount = |fen| Amount::new(Fen(fen)).map_err(|error| damaged(&error));
    Ok(Charge {
        id: cells.id()?,
        scope: cells.scope()?,
        order_no: cells.name(OrderNo::new)?,
        amount: amount(cells.next()?)?,
        subject: cells.next()?,
        body: cells.next()?,
        attach: cells.next()?,
        return_url: cells.next()?,
        client_ip: cells.next()?,
        metadata: Json::read(&cells.next::<String>()?)?,
        client_secret: Secret::new(cells.next()?),
        created_at: cells.time()?,
        amount_refunded: Fen(cells.next()?),
        expires_at: cells.time()?,
        state: read_state(&mut cells)?,
        events: cells.next()?,
        version: cells.next()?,
    })
}

/// The id alone, from the first column at `at`.
pub(crate) fn read_id(row: &QueryResult, at: usize) -> Result<ChargeId, StoreError> {
    Cells::of(row, at).id()
}

fn read_state(cells: &mut Cells<'_>) -> Result<ChargeState, StoreError> {
    let missing = || damaged(&"a charge lacks what belongs to its status");
    let status: String = cells.next()?;
    let reason: Option<String> = cells.next()?;
    let reason = reason.as_deref().and_then(CloseReason::read);
    let at = cells.time_maybe()?;
    let failure = Failure::read_maybe(cells.next()?)?;
    let attempt: Option<Uuid> = cells.next()?;
    let trade_no: Option<String> = cells.next()?;
    let paid_at = cells.time_maybe()?;
    let payer = Payer::read_maybe(cells.next()?)?;
    let remark = Failure::read_maybe(cells.next()?)?;
    Ok(match status.as_str() {
        "pending" => ChargeState::Pending { closing: reason },
        "succeeded" => ChargeState::Succeeded(Payment {
            attempt: attempt.map(AttemptId::from_uuid).ok_or_else(missing)?,
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
