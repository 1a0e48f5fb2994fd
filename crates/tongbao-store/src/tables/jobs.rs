//! `jobs`: one row for each promise. `lease_until` is 0 while nobody holds it, and microseconds by
//! the database's clock while somebody does; `lease_owner` tells which claim took it.

use super::{Cells, Row, damaged, id, id_maybe, number, text, text_maybe, time};
use sea_orm::Value;
use tongbao_core::{Job, JobKind, NewJob};
use tongbao_engine::StoreError;
use tongbao_types::{AttemptId, ChargeId, DeliveryId, RefundId};
use uuid::Uuid;

pub(crate) const TABLE: &str = "jobs";

pub(crate) const COLUMNS: [&str; 11] = [
    "id",
    "key",
    "kind",
    "subject",
    "charge",
    "run_at",
    "runs",
    "epoch",
    "lease_until",
    "lease_owner",
    "last_error",
];

/// What [`read`] needs.
pub(crate) const READ: [&str; 7] = ["id", "kind", "subject", "charge", "run_at", "runs", "epoch"];

pub(crate) fn row(job: &NewJob) -> Vec<Value> {
    let (subject, charge) = match job.kind {
        JobKind::PollAttempt(attempt, charge) | JobKind::CloseAttempt(attempt, charge) => {
            (attempt.uuid(), Some(charge.uuid()))
        }
        JobKind::ExpireCharge(charge) => (charge.uuid(), None),
        JobKind::PerformRefund(refund, charge) => (refund.uuid(), Some(charge.uuid())),
        JobKind::Deliver(delivery) => (delivery.uuid(), None),
    };
    vec![
        id(job.id.uuid()),
        text(job.kind.key()),
        text(job.kind.name()),
        id(subject),
        id_maybe(charge),
        time(job.run_at),
        number(0),
        number(0),
        number(0),
        id_maybe(None),
        text_maybe(None),
    ]
}

/// Reads a job from the columns of [`READ`].
pub(crate) fn read<R: Row>(row: &R) -> Result<Job, StoreError> {
    let mut cells = Cells::of(row, 0);
    Ok(Job {
        id: cells.id()?,
        kind: read_kind(&mut cells)?,
        run_at: cells.time()?,
        runs: u32::try_from(cells.next::<i64>()?).map_err(|error| damaged(&error))?,
        epoch: cells.next()?,
    })
}

fn read_kind<R: Row>(cells: &mut Cells<'_, R>) -> Result<JobKind, StoreError> {
    let kind: String = cells.next()?;
    let subject: Uuid = cells.next()?;
    let charge: Option<Uuid> = cells.next()?;
    let attempt = AttemptId::from_uuid(subject);
    Ok(match (kind.as_str(), charge.map(ChargeId::from_uuid)) {
        ("poll_attempt", Some(charge)) => JobKind::PollAttempt(attempt, charge),
        ("close_attempt", Some(charge)) => JobKind::CloseAttempt(attempt, charge),
        ("perform_refund", Some(charge)) => {
            JobKind::PerformRefund(RefundId::from_uuid(subject), charge)
        }
        ("expire_charge", None) => JobKind::ExpireCharge(ChargeId::from_uuid(subject)),
        ("deliver", None) => JobKind::Deliver(DeliveryId::from_uuid(subject)),
        _ => return Err(damaged(&format!("unknown kind of job: {kind:?}"))),
    })
}
