//! Many commits in one go, on SQLite. The SQL is written by hand, here and in
//! [`crate::sqlite_loader`] alone, because measuring asked for it: there is one statement for each
//! kind of row, prepared once, and no builder runs while everybody waits for the writer.
//!
//! It is optimistic: where the number of rows touched is not what it must be, or anything fails,
//! [`write`] says no more than that, the whole group is undone, and [`crate::commit`] writes its
//! members one by one to find out whose fault it was.

use crate::plan::{Plan, Row};
use crate::sqlite;
use crate::tables::{attempts, charges, deliveries, events, idempotency_keys, jobs, refunds};
use rusqlite::Connection;

/// The texts of all kinds, in the order of [`Shape::ALL`].
pub(crate) struct Texts([String; Shape::ALL.len()]);

/// What stands between a group and its being written.
#[derive(Debug)]
pub(crate) enum Unsettled {
    /// A statement touched more or fewer rows than it must.
    Guarded,
    /// A statement failed.
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Unsettled {
    fn from(error: rusqlite::Error) -> Unsettled {
        Unsettled::Failed(error)
    }
}

impl Default for Texts {
    fn default() -> Texts {
        Texts(Shape::ALL.map(Shape::text))
    }
}

/// Writes all plans inside a transaction that the caller began. No two of them may touch one row.
pub(crate) fn write(
    plans: &[&Plan],
    texts: &Texts,
    connection: &Connection,
) -> Result<(), Unsettled> {
    for (shape, text) in Shape::ALL.into_iter().zip(&texts.0) {
        let mut rows = plans.iter().flat_map(|plan| shape.rows(plan)).peekable();
        if rows.peek().is_none() {
            continue;
        }
        let mut statement = connection.prepare_cached(text)?;
        for row in rows {
            let touched = sqlite::run(&mut statement, row)?;
            if shape.is_guarded() && touched != 1 {
                return Err(Unsettled::Guarded);
            }
        }
    }
    Ok(())
}

/// The kinds of statements, in the order in which [`crate::commit`] runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    KeyBegun,
    KeyDone,
    ChargeNew,
    ChargeChanged,
    AttemptsNew,
    AttemptsChanged,
    RefundsNew,
    RefundsChanged,
    Events,
    Deliveries,
    DeliveryTried,
    JobsFinished,
    JobsAgain,
    JobsDropped,
    JobsPut,
}

impl Shape {
    const ALL: [Shape; 15] = [
        Shape::KeyBegun,
        Shape::KeyDone,
        Shape::ChargeNew,
        Shape::ChargeChanged,
        Shape::AttemptsNew,
        Shape::AttemptsChanged,
        Shape::RefundsNew,
        Shape::RefundsChanged,
        Shape::Events,
        Shape::Deliveries,
        Shape::DeliveryTried,
        Shape::JobsFinished,
        Shape::JobsAgain,
        Shape::JobsDropped,
        Shape::JobsPut,
    ];

    fn rows(self, plan: &Plan) -> &[Row] {
        match self {
            Shape::KeyBegun => plan.key_begun.as_slice(),
            Shape::KeyDone => plan.key_done.as_slice(),
            Shape::ChargeNew => plan.charge_new.as_slice(),
            Shape::ChargeChanged => plan.charge_changed.as_slice(),
            Shape::AttemptsNew => &plan.attempts_new,
            Shape::AttemptsChanged => &plan.attempts_changed,
            Shape::RefundsNew => &plan.refunds_new,
            Shape::RefundsChanged => &plan.refunds_changed,
            Shape::Events => &plan.events,
            Shape::Deliveries => &plan.deliveries,
            Shape::DeliveryTried => plan.delivery_tried.as_slice(),
            Shape::JobsFinished => &plan.jobs_finished,
            Shape::JobsAgain => &plan.jobs_again,
            Shape::JobsDropped => &plan.jobs_dropped,
            Shape::JobsPut => &plan.jobs_put,
        }
    }

    /// Whether each row must touch exactly one. A key that was pruned, a promise that is gone and
    /// one that is there already are no faults.
    fn is_guarded(self) -> bool {
        !matches!(self, Shape::KeyDone | Shape::JobsDropped | Shape::JobsPut)
    }

    fn text(self) -> String {
        match self {
            Shape::KeyBegun => insert(idempotency_keys::TABLE, &idempotency_keys::COLUMNS),
            Shape::KeyDone => {
                let key = ["app", "mode", "key"];
                update(idempotency_keys::TABLE, &key, &["status", "body"])
            }
            Shape::ChargeNew => insert(charges::TABLE, &charges::COLUMNS),
            Shape::ChargeChanged => update(charges::TABLE, &["id", "version"], &charges::CHANGING),
            Shape::AttemptsNew => insert(attempts::TABLE, &attempts::COLUMNS),
            Shape::AttemptsChanged => {
                update(attempts::TABLE, &["charge", "id"], &attempts::CHANGING)
            }
            Shape::RefundsNew => insert(refunds::TABLE, &refunds::COLUMNS),
            Shape::RefundsChanged => update(refunds::TABLE, &["id"], &refunds::CHANGING),
            Shape::Events => insert(events::TABLE, &events::COLUMNS),
            Shape::Deliveries => insert(deliveries::TABLE, &deliveries::COLUMNS),
            Shape::DeliveryTried => update(deliveries::TABLE, &["id"], &deliveries::CHANGING),
            Shape::JobsFinished => "delete from jobs where id = ? and epoch = ?".to_owned(),
            Shape::JobsAgain => "update jobs set run_at = ?3, last_error = ?4, lease_until = 0, \
                                 epoch = epoch + 1 where id = ?1 and epoch = ?2"
                .to_owned(),
            Shape::JobsDropped => "delete from jobs where \"key\" = ?".to_owned(),
            Shape::JobsPut => {
                insert(jobs::TABLE, &jobs::COLUMNS) + " on conflict (\"key\") do nothing"
            }
        }
    }
}

fn insert(table: &str, columns: &[&str]) -> String {
    let places = vec!["?"; columns.len()].join(", ");
    format!("insert into {table} (\"{}\") values ({places})", columns.join("\", \""))
}

/// The values of a row are those that find it, then those that it gets.
fn update(table: &str, key: &[&str], changing: &[&str]) -> String {
    let equal = |(at, column): (usize, &&str)| format!("\"{column}\" = ?{at}");
    let finds: Vec<String> = (1..).zip(key).map(equal).collect();
    let sets: Vec<String> = (key.len() + 1..).zip(changing).map(equal).collect();
    format!("update {table} set {} where {}", sets.join(", "), finds.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::{Plan, Shape, Texts, Unsettled, write};
    use crate::data::*;
    use crate::{explain, sqlite};
    use tongbao_core::{DeliveryState, EventKind, JobChange, JobKind};
    use tongbao_engine::{Commit, IdempotencyStep};

    #[tokio::test]
    async fn every_statement_goes_to_its_rows_by_key() {
        let empty = explain::empty().await;
        for shape in Shape::ALL {
            let steps = explain::steps(&empty.0, &shape.text()).await;
            let scan = steps.iter().find(|step| step.starts_with("SCAN"));
            assert_eq!(scan, None, "{shape:?}: {steps:?}");
        }
        explain::end(empty).await;
    }

    fn first(maker: &mut Maker, n: usize) -> Commit {
        let charge = charge(maker, &scope("a"), &format!("N{n}"));
        let attempt = attempt(maker, charge.id, "acc", &format!("N{n}"));
        let expire = put(maker, JobKind::ExpireCharge(charge.id), maker.now()).1;
        let poll = put(maker, JobKind::PollAttempt(attempt.id, charge.id), maker.now()).1;
        let refund = refund(maker, (&charge, &attempt), &format!("R{n}"), 1);
        let mut changes = insert(charge, vec![attempt]);
        add_refund(&mut changes, refund);
        tell(&mut changes, EventKind::ChargeCreated, maker);
        let to = endpoint(maker, &scope("a"));
        let key = idempotency(&scope("a"), &format!("K{n}"), maker.now());
        Commit {
            deliveries: vec![delivery(maker, &changes.events[0], &to)],
            jobs: vec![expire, poll],
            idempotency: Some(IdempotencyStep::Begin(key)),
            ..commit(changes)
        }
    }

    fn second(maker: &mut Maker, n: usize, first: &Commit) -> Commit {
        let (before, job) = (first.changes.as_ref().unwrap(), &first.jobs[1]);
        let JobChange::Put(job) = job else { panic!("it was put") };
        let mut changes = update(&before.after());
        changes.attempts_changed.push(changes.attempts[0].id);
        changes.refunds[0].state = refund_states()[n % 5].clone();
        changes.refunds_changed.push(changes.refunds[0].id);
        tell(&mut changes, EventKind::ChargeClosed, maker);
        let tried = tried(&first.deliveries[0], DeliveryState::Failed { at: maker.now() });
        let (id, epoch, run_at) = (job.id, 0, maker.now());
        let settle = match n % 2 {
            0 => JobChange::Finish { id, epoch },
            _ => JobChange::Again { id, epoch, run_at, error: None },
        };
        let (scope, key, body) = (scope("a"), format!("K{n}"), "{}".to_owned());
        Commit {
            jobs: vec![settle, JobChange::Drop(JobKind::ExpireCharge(changes.charge.id))],
            delivery_tried: Some(tried),
            idempotency: Some(IdempotencyStep::Done { scope, key, status: 201, body }),
            ..commit(changes)
        }
    }

    #[tokio::test]
    async fn groups_are_written_and_old_rows_are_not() {
        let (store, folder) = explain::empty().await;
        let connection = sqlite::to_write(&folder.join("t.db")).unwrap();
        let (mut maker, texts) = (Maker::new(), Texts::default());
        let mut n = 0;
        for size in [1, 2, 13, 131] {
            let commits: Vec<Commit> = (n..n + size).map(|n| first(&mut maker, n)).collect();
            let later = (n..n + size).zip(&commits).map(|(n, c)| second(&mut maker, n, c));
            let later: Vec<Plan> = later.map(Plan::of).collect();
            let now: Vec<Plan> = commits.into_iter().map(Plan::of).collect();
            n += size;
            for plans in [&now, &later] {
                let plans: Vec<&Plan> = plans.iter().inspect(|p| assert!(p.is_plain())).collect();
                assert!(write(&plans, &texts, &connection).is_ok(), "{size}");
            }
            // Without its events nothing but the number of rows tells that a plan is old.
            let mut old = later;
            old.iter_mut().for_each(|plan| plan.events.clear());
            let again: Vec<&Plan> = old.iter().collect();
            let again = write(&again, &texts, &connection);
            assert!(matches!(again, Err(Unsettled::Guarded)), "{size}");
            let twice: Vec<&Plan> = now.iter().collect();
            let twice = write(&twice, &texts, &connection);
            assert!(matches!(twice, Err(Unsettled::Failed(_))), "{size}");
        }
        drop(connection);
        explain::end((store, folder)).await;
    }
}
