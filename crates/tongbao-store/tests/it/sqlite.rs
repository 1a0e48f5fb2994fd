//! What only SQLite's one writer does: groups, neighbours, durability, and the use of indexes.

use crate::data::*;
use crate::engines::{Engine, Fresh};
use futures_util::FutureExt;
use futures_util::future::join_all;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, Executor, Row};
use std::sync::Arc;
use tongbao_core::{JobKind, Loaded};
use tongbao_engine::{Commit, CommitError, Store};
use tongbao_store::{Options, open};
use tongbao_types::{Code, Span, Timestamp};

/// Opens the file beside the store, to look only.
async fn look(fresh: &Fresh) -> SqliteConnection {
    let path = fresh.url.strip_prefix("sqlite://").unwrap();
    let options = SqliteConnectOptions::new().filename(path).read_only(true);
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Opens the file beside the store, to lay traps.
async fn beside(fresh: &Fresh) -> SqliteConnection {
    let path = fresh.url.strip_prefix("sqlite://").unwrap();
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

async fn alter(fresh: &Fresh, sql: &'static str) {
    let mut connection = beside(fresh).await;
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

async fn cell<T>(connection: &mut SqliteConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::query(sql).fetch_one(connection).await.unwrap().get(0)
}

/// How often the log of the database was synced is how many commits it holds: SQLite gives each
/// commit's last frame the size of the database, others 0.
fn commits_in_log(fresh: &Fresh) -> usize {
    let path = fresh.url.strip_prefix("sqlite://").unwrap();
    let log = std::fs::read(format!("{path}-wal")).unwrap();
    if log.is_empty() {
        return 0;
    }
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let salt = &log[16..24];
    let frames = log[32..].chunks_exact(24 + page).filter(|frame| frame[8..16] == *salt);
    frames.filter(|frame| frame[4..8] != [0; 4]).count()
}

fn inserts(n: usize, name: &str, maker: &mut Maker) -> Vec<Commit> {
    let one = |at| {
        let charge = charge(maker, &scope("a"), &format!("{name}{at}"));
        let attempt = attempt(maker, charge.id, "acc", &format!("{name}{at}"));
        commit(insert(charge, vec![attempt]))
    };
    (0..n).map(one).collect()
}

async fn all_at_once(store: &Arc<dyn Store>, commits: Vec<Commit>) -> Vec<Result<(), CommitError>> {
    join_all(commits.into_iter().map(|commit| store.commit(commit))).await
}

/// Somebody else holds the database until all of them wait, so they are a group or two, however
/// busy the machine is.
async fn as_a_group(fresh: &Fresh, commits: Vec<Commit>) -> Vec<Result<(), CommitError>> {
    let mut holder = beside(fresh).await;
    holder.execute("begin immediate").await.unwrap();
    let mut all = std::pin::pin!(all_at_once(&fresh.store, commits));
    assert!((&mut all).now_or_never().is_none(), "written beside somebody who writes");
    holder.execute("rollback").await.unwrap();
    holder.close().await.unwrap();
    all.await
}

#[tokio::test]
async fn commits_that_wait_together_share_a_transaction() {
    let fresh = Fresh::on(Engine::Sqlite).await.unwrap();
    let before = commits_in_log(&fresh);
    let results = all_at_once(&fresh.store, inserts(300, "N", &mut Maker::new())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let transactions = commits_in_log(&fresh) - before;
    assert!((1..=6).contains(&transactions), "{transactions} transactions");
    fresh.end().await;
}

#[tokio::test]
async fn a_group_of_one_means_a_transaction_for_each() {
    let fresh = Fresh::sqlite(Options { batch_max: 1, ..Options::default() }).await;
    let before = commits_in_log(&fresh);
    let results = all_at_once(&fresh.store, inserts(20, "N", &mut Maker::new())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(commits_in_log(&fresh) - before, 20);
    fresh.end().await;
}

#[tokio::test]
async fn a_bad_commit_does_not_spoil_its_neighbours() {
    let fresh = Fresh::on(Engine::Sqlite).await.unwrap();
    let maker = &mut Maker::new();
    let first = charge(maker, &scope("a"), "first");
    let mut old = insert(first, Vec::new()).after();
    fresh.store.commit(commit(insert(old.charge.clone(), Vec::new()))).await.unwrap();
    old.charge.version = 9;
    let before = commits_in_log(&fresh);
    let mut commits = inserts(40, "N", maker);
    commits[7] = commit(update(&old));
    commits[8] = commit(insert(charge(maker, &scope("a"), "first"), Vec::new()));
    let lost = tongbao_core::JobChange::Finish { id: maker.id(), epoch: 3 };
    commits[20].jobs.push(lost);
    let mut taken = attempt(maker, maker_id(&commits[21]), "acc", "N3");
    let changes = commits[21].changes.as_mut().unwrap();
    taken.charge = changes.charge.id;
    changes.attempts_new.push(taken.id);
    changes.attempts.push(taken);
    let about = maker_id(&commits[0]);
    commits[30].refused = Some(refused(about, Code::AmountMismatch, "no", 1));
    let results = as_a_group(&fresh, commits).await;
    for (at, result) in results.iter().enumerate() {
        let wanted = match at {
            7 => matches!(result, Err(CommitError::Stale)),
            8 => matches!(result, Err(CommitError::OrderNoTaken)),
            20 => matches!(result, Err(CommitError::LeaseLost)),
            21 => matches!(result, Err(CommitError::OutTradeNoTaken)),
            _ => result.is_ok(),
        };
        assert!(wanted, "{at}: {result:?}");
    }
    let transactions = commits_in_log(&fresh) - before;
    assert!(transactions <= 3, "{transactions} transactions");
    let mut look = look(&fresh).await;
    assert_eq!(cell::<i64>(&mut look, "select count(*) from charges").await, 37);
    assert_eq!(cell::<i64>(&mut look, "select count(*) from attempts").await, 36);
    fresh.end().await;
}

fn maker_id(commit: &Commit) -> tongbao_types::ChargeId {
    commit.changes.as_ref().unwrap().charge.id
}

#[tokio::test]
async fn a_group_and_single_commits_leave_the_same_rows() {
    let mut rows = Vec::new();
    for batch_max in [1, 256] {
        let fresh = Fresh::sqlite(Options { batch_max, ..Options::default() }).await;
        let maker = &mut Maker::seeded([5; 10]);
        let mut commits = inserts(37, "N", maker);
        for commit in &mut commits {
            let changes = commit.changes.as_mut().unwrap();
            tell(changes, tongbao_core::EventKind::ChargeCreated, maker);
            let id = changes.charge.id;
            commit.jobs.push(put(maker, JobKind::ExpireCharge(id), maker.now()).1);
        }
        let loaded = commits.iter().map(|c| c.changes.as_ref().unwrap().after());
        let loaded: Vec<Loaded> = loaded.collect();
        all_at_once(&fresh.store, commits).await.into_iter().for_each(Result::unwrap);
        let jobs = fresh.store.claim(maker.now(), Span::from_seconds(60), 99).await.unwrap();
        let later = loaded.iter().zip(&jobs).enumerate().map(|(at, (loaded, job))| {
            let mut changes = update(loaded);
            let states = charge_states(loaded.attempts[0].id);
            changes.charge.state = states[at % states.len()].clone();
            changes.attempts[0].state = attempt_states()[at % 6].clone();
            changes.attempts_changed.push(changes.attempts[0].id);
            let (id, epoch) = (job.id, job.epoch);
            changes.jobs.push(match at % 2 {
                0 => tongbao_core::JobChange::Finish { id, epoch },
                _ => tongbao_core::JobChange::Again { id, epoch, run_at: maker.now(), error: None },
            });
            commit(changes)
        });
        let later: Vec<Commit> = later.collect();
        all_at_once(&fresh.store, later).await.into_iter().for_each(Result::unwrap);
        let mut all = String::new();
        for before in &loaded {
            let found = fresh.store.charge(before.charge.id).await.unwrap();
            all.push_str(&format!("{found:#?}"));
        }
        let left = fresh.store.claim(maker.now(), Span::from_seconds(60), 99).await.unwrap();
        rows.push((all, left));
        fresh.end().await;
    }
    assert_eq!(rows[0], rows[1]);
    assert_eq!(rows[0].1.len(), 18);
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_opening_again() {
    let fresh = Fresh::on(Engine::Sqlite).await.unwrap();
    let maker = &mut Maker::new();
    let commits = inserts(50, "N", maker);
    let ids: Vec<_> = commits.iter().map(maker_id).collect();
    all_at_once(&fresh.store, commits).await.into_iter().for_each(Result::unwrap);
    let (job, change) = put(maker, JobKind::ExpireCharge(ids[0]), Timestamp::from_seconds(1));
    fresh.store.commit(jobs(vec![change])).await.unwrap();
    let now = Timestamp::from_seconds(1);
    let held = fresh.store.claim(now, Span::from_seconds(3600), 1).await.unwrap();

    // A copy taken without closing is what a process that was killed leaves behind.
    let path = fresh.url.strip_prefix("sqlite://").unwrap();
    let copy = format!("{path}.copy");
    for end in ["", "-wal"] {
        std::fs::copy(format!("{path}{end}"), format!("{copy}{end}")).unwrap();
    }
    let again = open(&format!("sqlite://{copy}"), Options::default()).await.unwrap();
    for id in ids {
        assert_eq!(again.charge(id).await.unwrap().unwrap().attempts.len(), 1);
    }
    // Whoever held the job is gone, and would not be believed if it were not.
    assert_eq!(again.next_due().await.unwrap(), Some(now));
    let finish = tongbao_core::JobChange::Finish { id: job, epoch: held[0].epoch };
    let result = again.commit(jobs(vec![finish])).await;
    assert!(matches!(result, Err(CommitError::LeaseLost)), "{result:?}");
    assert_eq!(again.claim(now, Span::ZERO, 9).await.unwrap().len(), 1);
    again.close().await;
    fresh.end().await;
}

#[tokio::test]
async fn what_the_database_does_not_commit_is_not_acknowledged() {
    let fresh = Fresh::on(Engine::Sqlite).await.unwrap();
    let maker = &mut Maker::new();
    // Every statement succeeds; the commit alone fails, as on a full disk.
    alter(
        &fresh,
        "create table trap (row blob references jobs (id) deferrable initially deferred);
         create trigger sprung after insert on charges begin insert into trap values (x'00'); end",
    )
    .await;
    let results = all_at_once(&fresh.store, inserts(30, "N", maker)).await;
    for result in results {
        assert!(matches!(result, Err(CommitError::Store(_))), "{result:?}");
    }
    assert_eq!(cell::<i64>(&mut look(&fresh).await, "select count(*) from charges").await, 0);
    alter(&fresh, "drop trigger sprung").await;
    let results = all_at_once(&fresh.store, inserts(30, "N", maker)).await;
    results.into_iter().for_each(Result::unwrap);
    assert_eq!(cell::<i64>(&mut look(&fresh).await, "select count(*) from charges").await, 30);
    fresh.end().await;
}

#[tokio::test]
async fn jobs_that_wait_are_not_due() {
    let fresh = Fresh::on(Engine::Sqlite).await.unwrap();
    let maker = &mut Maker::new();
    let later = |maker: &mut Maker| {
        let kind = JobKind::ExpireCharge(maker.id());
        put(maker, kind, Timestamp::from_seconds(5000)).1
    };
    for _ in 0..40 {
        let many = (0..500).map(|_| later(maker)).collect();
        fresh.store.commit(jobs(many)).await.unwrap();
    }
    assert!(fresh.store.claim(Timestamp::from_seconds(9), Span::ZERO, 9).await.unwrap().is_empty());
    let first = Timestamp::from_seconds(5000);
    assert_eq!(fresh.store.next_due().await.unwrap(), Some(first));
    fresh.end().await;
}
