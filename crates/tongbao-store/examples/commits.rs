//! Measures SQLite's writer: so many tasks at once make charges, then load and pay them, each with
//! an attempt, events and promises. It prints commits per second and the processor time of each:
//! `cargo run --release -p tongbao-store --example commits -- [charges] [tasks] [batch_max]`.
//!
//! It measures the store alone; what a whole request costs is the benchmark's business.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

#[path = "../tests/it/data.rs"]
#[expect(dead_code, reason = "made for the tests")]
mod data;

use data::*;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_core::{AttemptState, ChargeState, EventKind, JobChange, JobKind, Payment};
use tongbao_engine::{Commit, Store};
use tongbao_store::{Options, SqlStore, open};
use tongbao_types::{AttemptId, ChargeId, Span};

fn main() {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<usize>().unwrap());
    let charges = words.next().unwrap_or(20_000);
    let tasks = words.next().unwrap_or(64);
    let batch_max = words.next().unwrap_or(256);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(charges, tasks, batch_max));
}

async fn measure(charges: usize, tasks: usize, batch_max: usize) {
    let folder = std::env::temp_dir().join(format!("tongbao-commits-{}", std::process::id()));
    let url = format!("sqlite://{}/tongbao.db", folder.display());
    let options = Options { batch_max, ..Options::default() };
    let store = Arc::new(open(&url, options).await.unwrap());
    let each = charges / tasks;
    for (name, what) in [("make", What::Make), ("load", What::Load), ("load and pay", What::Pay)] {
        let (began, cpu) = (Instant::now(), processor_time());
        let work = (0..tasks).map(|task| tokio::spawn(one(Arc::clone(&store), what, task, each)));
        for done in work.collect::<Vec<_>>() {
            done.await.unwrap();
        }
        let (took, cpu) = (began.elapsed(), processor_time() - cpu);
        let n = u128::try_from(each * tasks).unwrap();
        let per_second = n * 1_000_000 / took.as_micros();
        let micros = cpu.as_micros() / n;
        println!("{name}: {per_second}/s, {micros} µs of processor time each");
    }
    store.close().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[derive(Clone, Copy)]
enum What {
    Make,
    Load,
    Pay,
}

async fn one(store: Arc<SqlStore>, what: What, task: usize, n: usize) {
    let mut maker = Maker::new();
    for at in 0..n {
        let order_no = format!("N{task}x{at}");
        match what {
            What::Make => store.commit(make(&mut maker, &order_no)).await.unwrap(),
            What::Load => drop(load(&store, &order_no).await),
            What::Pay => {
                let loaded = load(&store, &order_no).await;
                store.commit(pay(&mut maker, &loaded)).await.unwrap();
            }
        }
    }
}

async fn load(store: &SqlStore, order_no: &str) -> tongbao_core::Loaded {
    let found = store.charge_by_out_trade_no(&account("acc"), &number(order_no)).await;
    found.unwrap().unwrap()
}

fn make(maker: &mut Maker, order_no: &str) -> Commit {
    let charge = charge(maker, &scope("shop"), order_no);
    let attempt = attempt(maker, charge.id, "acc", order_no);
    let kind = JobKind::PollAttempt(attempt.id, charge.id);
    let mut changes = insert(charge, vec![attempt]);
    tell(&mut changes, EventKind::ChargeCreated, maker);
    let due = maker.now() + Span::from_seconds(60);
    changes.jobs.push(put(maker, kind, due).1);
    with_bodies(changes)
}

fn pay(maker: &mut Maker, loaded: &tongbao_core::Loaded) -> Commit {
    let mut changes = update(loaded);
    let (charge, attempt): (ChargeId, AttemptId) = (changes.charge.id, changes.attempts[0].id);
    let payment = Payment { remark: None, ..payment(attempt) };
    let (amount, paid_at) = (payment.amount, payment.paid_at);
    changes.attempts[0].state =
        AttemptState::Succeeded { amount, trade_no: payment.trade_no.clone(), paid_at };
    changes.attempts_changed.push(attempt);
    changes.charge.state = ChargeState::Succeeded(payment);
    changes.jobs.extend([
        JobChange::Drop(JobKind::PollAttempt(attempt, charge)),
        JobChange::Drop(JobKind::CloseAttempt(attempt, charge)),
        JobChange::Drop(JobKind::ExpireCharge(charge)),
    ]);
    tell(&mut changes, EventKind::ChargeSucceeded, maker);
    with_bodies(changes)
}

/// Bodies as long as those of merchants' events.
fn with_bodies(changes: tongbao_core::Changes) -> Commit {
    let mut commit = commit(changes);
    commit.event_bodies.iter_mut().for_each(|body| body.push_str(&"x".repeat(700)));
    commit
}

/// User and system time of this process so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
