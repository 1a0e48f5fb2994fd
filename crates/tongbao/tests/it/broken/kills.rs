//! `kill -9` at random moments under load: what was acknowledged is there after the restart, and
//! what was begun goes on.
//!
//! The seed is printed; `TONGBAO_SEED` repeats the choices, though not the moments.

use super::books;
use super::field::{Field, Plan, slowest_ms};
use super::ledger::Ledger;
use super::load::{Load, Manner};
use crate::databases::{Database, POSTGRES};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Half of the clients repeat what was not answered, half go on.
const MANNERS: [Manner; 4] = [Manner::Repeats, Manner::GoesOn, Manner::Repeats, Manner::GoesOn];

/// A start after a kill takes at most this long, when the long form is run with a release build.
const READY_MAX: Duration = Duration::from_secs(2);

pub(crate) fn seed() -> u64 {
    let given = std::env::var("TONGBAO_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("repeat with TONGBAO_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_sqlite() {
    let database = Database::sqlite();
    kills("kills_on_sqlite", &database, tongbao_evidence::times(20, 200)).await;
    database.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_on_postgres() {
    let Some(database) = Database::on_server(POSTGRES).await else { return };
    kills("kills_on_postgres", &database, tongbao_evidence::times(10, 200)).await;
    database.end().await;
}

/// On a slow machine the lives may have been too short for much to be acknowledged.
async fn some_load(ledger: &Ledger) {
    let began = Instant::now();
    while ledger.acknowledged().len() < 40 && began.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn kills(run: &str, database: &Database, rounds: u64) {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut field = Field::open(Plan::over(&database.url)).await;
    let merchant = field.merchant(&["*"]).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&field.client, &ledger, seed, &MANNERS);
    let mut starts = Vec::new();
    for round in 0..rounds {
        let life = Duration::from_millis(random.random_range(20..1_000));
        tokio::time::sleep(life).await;
        field.instances[0].kill();
        let ready = field.instances[0].start().await;
        eprintln!("round {round}: killed after {life:?}, ready again in {ready:?}");
        starts.push(ready);
    }
    some_load(&ledger).await;
    load.end().await;
    let balance = books::check(&field.client, &merchant, &ledger).await;
    assert_eq!(ledger.counted(books::NOT_KEPT), 0, "a kill keeps the reply or gives none");
    field.finish().await;
    let slowest = starts.iter().max().copied().unwrap_or_default();
    let is_measured = std::env::var_os(tongbao_evidence::LONG).is_some();
    assert!(!is_measured || slowest < READY_MAX, "the slowest start took {slowest:?}");
    let mut counts = vec![
        ("rounds", rounds.to_string()),
        ("slowest until ready again, ms", slowest_ms(&starts)),
        ("requests that broke off", ledger.counted("failed requests").to_string()),
        ("requests repeated with their key", ledger.counted("repeated requests").to_string()),
    ];
    counts.extend(balance.counts());
    let broken =
        "The process was killed (`kill -9`) at random moments under load and started again.";
    tongbao_evidence::record(run, broken, &counts);
}
