//! A commit as rows: made by the caller, outside of any transaction, so that the one writer has
//! little left to do; and looked at again when a transaction must be run a second time.

use crate::tables::{
    attempts, charge_numbers, charges, deliveries, endpoints, event_bodies, events, id,
    idempotency_keys, jobs, number,
};
use crate::tables::{provider_replies, refunds, text, text_maybe, time};
use sea_orm::Value;
use std::hash::{BuildHasher, Hash, RandomState};
use tongbao_core::{ChargeWrite, Endpoint, JobChange, NewJob, RefusedNotice, Scope};
use tongbao_engine::{Commit, IdempotencyStep};
use tongbao_types::{EndpointId, Timestamp};

/// A row's values, in the order of its table's columns, or as said.
pub(crate) type Row = Vec<Value>;

/// What a commit writes.
#[derive(Default)]
pub(crate) struct Plan {
    /// A row of `idempotency_keys`.
    pub(crate) key_begun: Option<Row>,
    /// App, mode, key; status, body.
    pub(crate) key_done: Option<Row>,
    /// App, mode, key.
    pub(crate) key_forgotten: Option<Row>,
    /// A row of `charges`.
    pub(crate) charge_new: Option<Row>,
    /// Id, version as loaded; then what changes.
    pub(crate) charge_changed: Option<Row>,
    /// A row of `charge_numbers`, whose own number the database gives.
    pub(crate) charge_numbered: Option<Row>,
    /// Rows of `attempts`.
    pub(crate) attempts_new: Vec<Row>,
    /// Charge, id; then what changes.
    pub(crate) attempts_changed: Vec<Row>,
    /// Rows of `refunds`.
    pub(crate) refunds_new: Vec<Row>,
    /// Id; then what changes.
    pub(crate) refunds_changed: Vec<Row>,
    /// Rows of `events`.
    pub(crate) events: Vec<Row>,
    /// Rows of `deliveries`.
    pub(crate) deliveries: Vec<Row>,
    /// Id; then what changes.
    pub(crate) delivery_tried: Option<Row>,
    /// Id, epoch.
    pub(crate) jobs_finished: Vec<Row>,
    /// Id, epoch; run_at, last_error.
    pub(crate) jobs_again: Vec<Row>,
    /// Key.
    pub(crate) jobs_dropped: Vec<Row>,
    /// Rows of `jobs`.
    pub(crate) jobs_put: Vec<Row>,
    /// Rows of `jobs`, and no later than when those that are there already fall due.
    pub(crate) jobs_hastened: Vec<(Row, i64)>,
    /// A row of `refused_notices`.
    pub(crate) refused: Option<RefusedNotice>,
    /// A row of `provider_replies`.
    pub(crate) provider_reply: Option<Row>,
    /// A row of `endpoints`.
    pub(crate) endpoint_new: Option<Row>,
    /// Id, version as loaded; then what changes.
    pub(crate) endpoint_changed: Option<Row>,
    /// Id.
    pub(crate) endpoint_gone: Option<EndpointId>,
    /// Hashes of what no other commit of the same group may touch.
    pub(crate) touches: Vec<u64>,
}

impl Plan {
    /// Lays a commit out.
    pub(crate) fn of(commit: Commit) -> Plan {
        let mut plan = Plan {
            deliveries: commit.deliveries.iter().map(deliveries::row).collect(),
            refused: commit.refused,
            provider_reply: commit.provider_reply.as_ref().map(provider_replies::row),
            endpoint_gone: commit.endpoint_gone,
            ..Plan::default()
        };
        if let Some(step) = commit.idempotency {
            plan.step(step);
        }
        let mut jobs = Vec::new();
        if let Some(changes) = commit.changes {
            plan.charge(&changes, commit.event_bodies);
            jobs = changes.jobs;
        }
        if let Some(delivery) = &commit.delivery_tried {
            plan.touch("delivery", delivery.id);
            let mut row = vec![id(delivery.id.uuid())];
            row.extend(deliveries::changing(delivery));
            plan.delivery_tried = Some(row);
        }
        if let Some(endpoint) = &commit.endpoint {
            plan.endpoint(endpoint);
        }
        plan.jobs(jobs.into_iter().chain(commit.jobs));
        plan
    }

    /// Whether the commit may be written in one go with its neighbours: it touches no row twice and
    /// holds nothing but what every payment needs.
    pub(crate) fn is_plain(&self) -> bool {
        let rare = self.key_forgotten.is_some()
            || self.charge_numbered.is_some()
            || !self.jobs_hastened.is_empty()
            || self.refused.is_some()
            || self.provider_reply.is_some()
            || self.endpoint_new.is_some()
            || self.endpoint_changed.is_some()
            || self.endpoint_gone.is_some();
        let twice =
            || (1..self.touches.len()).any(|n| self.touches[n..].contains(&self.touches[n - 1]));
        !rare && !twice()
    }

    fn step(&mut self, step: IdempotencyStep) {
        let place = |scope: &Scope, key: &str| {
            vec![text(scope.app.as_str()), text(scope.mode.as_str()), text(key)]
        };
        match step {
            IdempotencyStep::Begin(row) => {
                self.touch("idempotency", (&row.scope, &row.key));
                self.key_begun = Some(idempotency_keys::row(&row));
            }
            IdempotencyStep::Done { scope, key, status, body } => {
                self.touch("idempotency", (&scope, &key));
                let mut row = place(&scope, &key);
                row.extend([number(i64::from(status)), text(body)]);
                self.key_done = Some(row);
            }
            IdempotencyStep::Forget { scope, key } => {
                self.touch("idempotency", (&scope, &key));
                self.key_forgotten = Some(place(&scope, &key));
            }
        }
    }

    fn charge(&mut self, changes: &tongbao_core::Changes, bodies: Vec<String>) {
        let charge = &changes.charge;
        self.touch("charge", charge.id);
        match changes.write {
            ChargeWrite::Insert => {
                self.touch("order_no", (&charge.scope, &charge.order_no));
                self.charge_new = Some(charges::row(charge));
                self.charge_numbered = charge_numbers::row(charge);
            }
            ChargeWrite::Update { from } => {
                let mut row = vec![id(charge.id.uuid()), number(from)];
                row.extend(charges::changing(charge));
                self.charge_changed = Some(row);
            }
        }
        for attempt in &changes.attempts {
            if changes.attempts_new.contains(&attempt.id) {
                self.touch("out_trade_no", (&attempt.account, &attempt.out_trade_no));
                self.attempts_new.push(attempts::row(attempt));
            } else if changes.attempts_changed.contains(&attempt.id) {
                let mut row = vec![id(attempt.charge.uuid()), id(attempt.id.uuid())];
                row.extend(attempts::changing(attempt));
                self.attempts_changed.push(row);
            }
        }
        self.refunds(changes);
        let bodies = event_bodies::shorten(&changes.events, bodies);
        let bodies = bodies.into_iter().chain(std::iter::repeat_with(String::new));
        self.events = changes.events.iter().zip(bodies).map(|(e, b)| events::row(e, b)).collect();
    }

    fn refunds(&mut self, changes: &tongbao_core::Changes) {
        for refund in &changes.refunds {
            if changes.refunds_new.contains(&refund.id) {
                self.touch("refund_no", (&refund.scope, &refund.refund_no));
                self.touch("out_refund_no", (&refund.account, &refund.out_refund_no));
                self.refunds_new.push(refunds::row(refund));
            } else if changes.refunds_changed.contains(&refund.id) {
                let mut row = vec![id(refund.id.uuid())];
                row.extend(refunds::changing(refund));
                self.refunds_changed.push(row);
            }
        }
    }

    fn endpoint(&mut self, endpoint: &Endpoint) {
        match endpoint.replaces() {
            None => self.endpoint_new = Some(endpoints::row(endpoint)),
            Some(from) => {
                let mut row = vec![id(endpoint.id.uuid()), number(from)];
                row.extend(endpoints::changing(endpoint));
                self.endpoint_changed = Some(row);
            }
        }
    }

    /// Leases are settled first; then the promises, of which only the last word about each key
    /// counts: what is dropped goes, and the first promise after that stays, hastened or not.
    fn jobs(&mut self, changes: impl Iterator<Item = JobChange>) {
        let mut dropped: Vec<String> = Vec::new();
        let mut put: Vec<Promise> = Vec::new();
        for change in changes {
            match change {
                JobChange::Put(job) => {
                    Promise::of(&mut put, job);
                }
                JobChange::Hasten(job) => Promise::of(&mut put, job).hasten(job.run_at),
                JobChange::Drop(kind) => {
                    let key = kind.key();
                    put.retain(|known| known.key != key);
                    if !dropped.contains(&key) {
                        dropped.push(key);
                    }
                }
                JobChange::Finish { id: job, epoch } => {
                    self.touch("job", job);
                    self.jobs_finished.push(vec![id(job.uuid()), number(epoch)]);
                }
                JobChange::Again { id: job, epoch, run_at, error } => {
                    self.touch("job", job);
                    let row = vec![id(job.uuid()), number(epoch), time(run_at), text_maybe(error)];
                    self.jobs_again.push(row);
                }
            }
        }
        for key in put.iter().map(|promise| &promise.key).filter(|key| !dropped.contains(key)) {
            self.touches.push(hash("key", key));
        }
        dropped.iter().for_each(|key| self.touches.push(hash("key", key)));
        self.jobs_dropped = dropped.into_iter().map(|key| vec![text(key)]).collect();
        for promise in put {
            let row = jobs::row(&promise.job);
            match promise.latest {
                None => self.jobs_put.push(row),
                Some(latest) => self.jobs_hastened.push((row, latest.as_micros())),
            }
        }
    }

    fn touch(&mut self, what: &str, which: impl Hash) {
        self.touches.push(hash(what, which));
    }
}

/// What a commit promises under one key.
struct Promise {
    key: String,
    /// What is written if there is no such promise.
    job: NewJob,
    /// When one that is there already must fall due at the latest.
    latest: Option<Timestamp>,
}

impl Promise {
    /// The promise under the job's key; the job itself becomes it if there was none.
    fn of(all: &mut Vec<Promise>, job: NewJob) -> &mut Promise {
        let key = job.kind.key();
        let at = all.iter().position(|known| known.key == key).unwrap_or_else(|| {
            all.push(Promise { key, job, latest: None });
            all.len() - 1
        });
        &mut all[at]
    }

    fn hasten(&mut self, run_at: Timestamp) {
        self.job.run_at = self.job.run_at.min(run_at);
        self.latest = Some(self.latest.map_or(run_at, |latest| latest.min(run_at)));
    }
}

/// Two things with one hash only cost a group its ease, never its truth.
fn hash(what: &str, which: impl Hash) -> u64 {
    static STATE: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
    STATE.hash_one((what, which))
}
