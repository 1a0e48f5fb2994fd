//! Many commits in few statements, on SQLite. The SQL is written by hand, here and in
//! [`crate::sqlite_loader`] alone, because measuring asked for it. Whatever the commits of a group
//! write into one table goes into it by one statement with many rows, and the statements of a group
//! go to the connection's thread in two trips, since a trip costs more than a statement: first
//! those whose rows are counted, then the others. There are few sizes, so that all stay prepared,
//! and rows that are left over are empty and touch nothing.
//!
//! It is optimistic: where the number of rows touched is not what it must be, or anything fails,
//! [`write`] says no more than that, the whole group is undone, and [`crate::commit`] writes its
//! members one by one to find out whose fault it was.

use crate::error::from_sqlx;
use crate::plan::{Plan, Row};
use crate::sql::add;
use crate::tables::{attempts, charges, deliveries, events, idempotency_keys, jobs};
use sea_orm::{DbErr, Value};
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments, AssertSqlSafe};
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// How many rows the statements of a trip have; 128 times the 26 columns of `charges` stay far
/// below SQLite's limit of 32,766 values.
const SIZES: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
const SIZE_MAX: usize = SIZES[SIZES.len() - 1];

/// The texts made so far, by their statements and the number of rows in each.
#[derive(Default)]
pub(crate) struct Texts(HashMap<(Vec<Shape>, usize), Arc<str>>);

/// What stands between a group and its being written.
pub(crate) enum Unsettled {
    /// A statement touched more or fewer rows than it must.
    Guarded,
    /// A statement failed.
    Failed(DbErr),
}

/// Writes all plans inside a transaction that the caller began. No two of them may touch one row.
pub(crate) async fn write(
    plans: &[&Plan],
    texts: &mut Texts,
    connection: &mut SqliteConnection,
) -> Result<(), Unsettled> {
    let (guarded, others): (Vec<Shape>, Vec<Shape>) =
        Shape::ALL.into_iter().partition(|shape| shape.is_guarded());
    let n_rows: usize = guarded.iter().map(|shape| count(*shape, plans)).sum();
    let touched = write_shapes(&guarded, plans, texts, connection).await;
    if touched.map_err(Unsettled::Failed)? != n_rows as u64 {
        return Err(Unsettled::Guarded);
    }
    let touched = write_shapes(&others, plans, texts, connection).await;
    touched.map(drop).map_err(Unsettled::Failed)
}

fn count(shape: Shape, plans: &[&Plan]) -> usize {
    plans.iter().map(|plan| shape.rows(plan).len()).sum()
}

/// Writes all rows of some kinds, and counts those that were touched: at most one for each, so a
/// sum that fits means that each fits.
async fn write_shapes(
    shapes: &[Shape],
    plans: &[&Plan],
    texts: &mut Texts,
    connection: &mut SqliteConnection,
) -> Result<u64, DbErr> {
    let rows_of = |shape: &Shape| {
        let rows: Vec<&Row> = plans.iter().flat_map(|plan| shape.rows(plan)).collect();
        (*shape, rows)
    };
    let rows: Vec<(Shape, Vec<&Row>)> = shapes.iter().map(rows_of).collect();
    let longest = rows.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
    let mut touched = 0;
    for from in (0..longest).step_by(SIZE_MAX) {
        let part = rows.iter().filter(|(_, rows)| rows.len() > from);
        let part = part.map(|(shape, rows)| (*shape, &rows[from..rows.len().min(from + SIZE_MAX)]));
        touched += trip(&part.collect::<Vec<_>>(), texts, connection).await?;
    }
    Ok(touched)
}

/// Statements of one size, in one trip.
async fn trip(
    parts: &[(Shape, &[&Row])],
    texts: &mut Texts,
    connection: &mut SqliteConnection,
) -> Result<u64, DbErr> {
    let longest = parts.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
    let size = SIZES.iter().copied().find(|size| *size >= longest);
    let size = size.expect("no part is longer than the largest size");
    let mut arguments = SqliteArguments::default();
    for (_, rows) in parts {
        let width = rows[0].len();
        arguments.reserve(size * width, 0);
        for value in rows.iter().flat_map(|row| row.iter()) {
            add(&mut arguments, value)?;
        }
        for _ in rows.len() * width..size * width {
            add(&mut arguments, &Value::BigInt(None))?;
        }
    }
    let shapes: Vec<Shape> = parts.iter().map(|(shape, _)| *shape).collect();
    let text = texts.0.entry((shapes, size)).or_insert_with_key(|(shapes, size)| {
        let texts: Vec<String> = shapes.iter().map(|shape| shape.text(*size)).collect();
        texts.join(";\n").into()
    });
    let query = sqlx::query_with(AssertSqlSafe(Arc::clone(text)), arguments);
    Ok(query.execute(&mut *connection).await.map_err(from_sqlx)?.rows_affected())
}

/// The kinds of statements, in the order in which [`crate::commit`] runs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Shape {
    KeyBegun,
    KeyDone,
    ChargeNew,
    ChargeChanged,
    AttemptsNew,
    AttemptsChanged,
    Events,
    Deliveries,
    DeliveryTried,
    JobsFinished,
    JobsAgain,
    JobsDropped,
    JobsPut,
}

impl Shape {
    const ALL: [Shape; 13] = [
        Shape::KeyBegun,
        Shape::KeyDone,
        Shape::ChargeNew,
        Shape::ChargeChanged,
        Shape::AttemptsNew,
        Shape::AttemptsChanged,
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

    fn text(self, n: usize) -> String {
        match self {
            Shape::KeyBegun => insert(idempotency_keys::TABLE, &idempotency_keys::COLUMNS, n),
            Shape::KeyDone => {
                let key = ["app", "mode", "key"];
                update(idempotency_keys::TABLE, &key, &["status", "body"], n)
            }
            Shape::ChargeNew => insert(charges::TABLE, &charges::COLUMNS, n),
            Shape::ChargeChanged => {
                update(charges::TABLE, &["id", "version"], &charges::CHANGING, n)
            }
            Shape::AttemptsNew => insert(attempts::TABLE, &attempts::COLUMNS, n),
            Shape::AttemptsChanged => {
                update(attempts::TABLE, &["charge", "id"], &attempts::CHANGING, n)
            }
            Shape::Events => insert(events::TABLE, &events::COLUMNS, n),
            Shape::Deliveries => insert(deliveries::TABLE, &deliveries::COLUMNS, n),
            Shape::DeliveryTried => update(deliveries::TABLE, &["id"], &deliveries::CHANGING, n),
            Shape::JobsFinished => {
                format!("delete from jobs where (id, epoch) in (values {})", tuples(2, n))
            }
            Shape::JobsAgain => format!(
                "update jobs set run_at = v.column3, last_error = v.column4, lease_until = 0, \
                 epoch = jobs.epoch + 1 from (values {}) as v \
                 where jobs.id = v.column1 and jobs.epoch = v.column2",
                tuples(4, n)
            ),
            Shape::JobsDropped => {
                format!("delete from jobs where \"key\" in (values {})", tuples(1, n))
            }
            Shape::JobsPut => {
                insert(jobs::TABLE, &jobs::COLUMNS, n) + " on conflict (\"key\") do nothing"
            }
        }
    }
}

/// An empty row has no first value, which every row of every table has.
fn insert(table: &str, columns: &[&str], n: usize) -> String {
    let names = columns.join("\", \"");
    let values = tuples(columns.len(), n);
    format!(
        "insert into {table} (\"{names}\") select * from (values {values}) as v \
         where v.column1 is not null"
    )
}

/// The values of a row are those that find it, then those that it gets.
fn update(table: &str, key: &[&str], changing: &[&str], n: usize) -> String {
    let values = tuples(key.len() + changing.len(), n);
    let sets = (key.len() + 1..).zip(changing).fold(String::new(), |mut text, (at, column)| {
        let comma = if text.is_empty() { "" } else { ", " };
        write!(text, "{comma}\"{column}\" = v.column{at}").expect("a string takes any text");
        text
    });
    let finds = (1..).zip(key).fold(String::new(), |mut text, (at, column)| {
        let and = if text.is_empty() { "" } else { " and " };
        write!(text, "{and}{table}.\"{column}\" = v.column{at}").expect("a string takes any text");
        text
    });
    format!("update {table} set {sets} from (values {values}) as v where {finds}")
}

fn tuples(columns: usize, n: usize) -> String {
    let tuple = format!("({})", vec!["?"; columns].join(","));
    vec![tuple; n].join(",")
}

#[cfg(test)]
mod tests {
    use super::{Plan, Shape, Texts, Unsettled, write};
    use crate::data::*;
    use crate::explain;
    use sqlx::{Connection, SqliteConnection};
    use tongbao_core::{DeliveryState, EventKind, JobChange, JobKind};
    use tongbao_engine::{Commit, IdempotencyStep};

    #[tokio::test]
    async fn every_statement_goes_to_its_rows_by_key() {
        let empty = explain::empty().await;
        for shape in Shape::ALL {
            let steps = explain::steps(&empty.0, &shape.text(4)).await;
            let scans = |step: &&String| step.starts_with("SCAN");
            let is_list = |step: &&String| step.contains("VALUES CLAUSE") || step.ends_with(" v");
            let rows = steps.iter().filter(scans).find(|step| !is_list(step));
            assert_eq!(rows, None, "{shape:?}: {steps:?}");
        }
        explain::end(empty).await;
    }

    fn first(maker: &mut Maker, n: usize) -> Commit {
        let charge = charge(maker, &scope("a"), &format!("N{n}"));
        let attempt = attempt(maker, charge.id, "acc", &format!("N{n}"));
        let expire = put(maker, JobKind::ExpireCharge(charge.id), maker.now()).1;
        let poll = put(maker, JobKind::PollAttempt(attempt.id, charge.id), maker.now()).1;
        let mut changes = insert(charge, vec![attempt]);
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
    async fn groups_of_any_size_are_written_and_old_rows_are_not() {
        let (store, folder) = explain::empty().await;
        let url = format!("sqlite://{}/t.db", folder.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        let (mut maker, mut texts) = (Maker::new(), Texts::default());
        let mut n = 0;
        for size in [1, 2, 3, 5, 13, 131] {
            let commits: Vec<Commit> = (n..n + size).map(|n| first(&mut maker, n)).collect();
            let later = (n..n + size).zip(&commits).map(|(n, c)| second(&mut maker, n, c));
            let later: Vec<Plan> = later.map(Plan::of).collect();
            let now: Vec<Plan> = commits.into_iter().map(Plan::of).collect();
            n += size;
            for plans in [&now, &later] {
                let plans: Vec<&Plan> = plans.iter().inspect(|p| assert!(p.is_plain())).collect();
                assert!(write(&plans, &mut texts, &mut connection).await.is_ok(), "{size}");
            }
            // Without its events nothing but the number of rows tells that a plan is old.
            let mut old = later;
            old.iter_mut().for_each(|plan| plan.events.clear());
            let again: Vec<&Plan> = old.iter().collect();
            let again = write(&again, &mut texts, &mut connection).await;
            assert!(matches!(again, Err(Unsettled::Guarded)), "{size}");
            let twice: Vec<&Plan> = now.iter().collect();
            let twice = write(&twice, &mut texts, &mut connection).await;
            assert!(matches!(twice, Err(Unsettled::Failed(_))), "{size}");
        }
        connection.close().await.unwrap();
        explain::end((store, folder)).await;
    }
}
