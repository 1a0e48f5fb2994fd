//! The check of a whole database: what the store itself writes fits, and what an edit by hand or a
//! half restore leaves behind is found.

use crate::data::*;
use crate::engines::{Engine, Fresh, on_each_engine, say};
use tongbao_core::{AttemptState, EventKind, JobKind};
use tongbao_engine::{Commit, Store};

on_each_engine! {
    what_the_store_writes_fits_and_what_was_lost_is_found
}

async fn what_the_store_writes_fits_and_what_was_lost_is_found(fresh: &Fresh) {
    let Some(sql) = &fresh.sql else { return };
    let (maker, a) = (&mut Maker::new(), scope("a"));
    let charge = charge(maker, &a, "one");
    let mut one = attempt(maker, charge.id, "acc", "one");
    one.state = AttemptState::Awaiting;
    let (attempt_id, charge_id) = (one.id, charge.id);
    let mut changes = insert(charge, vec![one]);
    tell(&mut changes, EventKind::ChargeCreated, maker);
    tell(&mut changes, EventKind::ChargeAttempted, maker);
    let endpoint = endpoint(maker, &a);
    let delivery = delivery(maker, &changes.events[0], &endpoint);
    let now = maker.now();
    let jobs = vec![
        put(maker, JobKind::PollAttempt(attempt_id, charge_id), now).1,
        put(maker, JobKind::Deliver(delivery.id), now).1,
    ];
    let deliveries = vec![delivery];
    let whole = Commit { jobs, deliveries, endpoint: Some(endpoint), ..commit(changes) };
    sql.commit(whole).await.unwrap();
    assert_eq!(sql.check().await.unwrap(), Vec::new());

    say(engine_of(fresh), &fresh.url, "delete from jobs").await;
    let found = sql.check().await.unwrap();
    let what: Vec<_> = found.iter().map(|breach| (breach.what, breach.count)).collect();
    assert_eq!(
        what,
        [
            ("orders that wait for their payer, and nothing will ask about them", 1),
            ("deliveries that are pending, and nothing will make them", 1),
        ]
    );
    assert_eq!(found[0].examples, [attempt_id.uuid()]);

    say(engine_of(fresh), &fresh.url, "delete from events where sequence = 1").await;
    let found = sql.check().await.unwrap();
    assert_eq!(found[0].what, "charges whose events are not numbered 1, 2, 3 … up to their count");
    assert_eq!(found[0].examples, [charge_id.uuid()]);
}

fn engine_of(fresh: &Fresh) -> Engine {
    match fresh.url.split(':').next() {
        Some("sqlite") => Engine::Sqlite,
        Some("mysql") => Engine::Mysql,
        _ => Engine::Postgres,
    }
}

#[tokio::test]
async fn a_damaged_file_is_told() {
    let fresh = Fresh::sqlite(tongbao_store::Options::default()).await;
    let (sql, maker) = (fresh.sql.as_ref().unwrap(), &mut Maker::new());
    for n in 0..200 {
        let changes = insert(charge(maker, &scope("a"), &format!("N{n}")), Vec::new());
        sql.commit(commit(changes)).await.unwrap();
    }
    sql.close().await;
    let path = fresh.url.strip_prefix("sqlite://").unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    let (from, to) = (bytes.len() / 2, bytes.len() / 2 + 9000);
    bytes[from..to].fill(0x5a);
    std::fs::write(path, bytes).unwrap();
    let options = tongbao_store::Options { exclusive: false, ..Default::default() };
    let again = tongbao_store::open(&fresh.url, options).await.unwrap();
    // The file may be so damaged that questions fail; then that is told.
    match again.check().await {
        Ok(found) => assert!(found[0].what.contains("damaged"), "{found:?}"),
        Err(error) => assert!(error.to_string().contains("malformed"), "{error}"),
    }
    again.close().await;
    fresh.end().await;
}
