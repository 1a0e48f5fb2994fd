//! A database that an older tongbao made and filled is opened by this one. `landed/` holds the
//! tables as a release made them; a change of the tables adds to it at the next release.

use crate::data::*;
use crate::engines::{Engine, Fresh, say};
use tongbao_core::{AttemptState, ChargeState, JobKind, Loaded};
use tongbao_engine::{ChargeFilter, Commit, EventFilter, Page, Store};
use tongbao_store::{Options, open};
use tongbao_types::{AttemptId, ChargeId, EndpointId, Fen, Span, Timestamp};

#[tokio::test]
async fn sqlite_is_brought_up_to_date() {
    upgrade(Engine::Sqlite).await;
}

#[tokio::test]
async fn postgres_is_brought_up_to_date() {
    upgrade(Engine::Postgres).await;
}

#[tokio::test]
async fn mysql_is_brought_up_to_date() {
    upgrade(Engine::Mysql).await;
}

fn landed(engine: Engine) -> String {
    let rows = include_str!("landed/rows.sql");
    match engine {
        Engine::Postgres => {
            include_str!("landed/postgres.sql").to_owned() + &rows.replace("X'", "'")
        }
        Engine::Mysql => include_str!("landed/mysql.sql").to_owned() + rows,
        _ => include_str!("landed/sqlite.sql").to_owned() + rows,
    }
}

fn uuid(end: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(0x019a_a6b2_3000_7000_8000_0000_0000_0000 + end)
}

async fn upgrade(engine: Engine) {
    let Some(fresh) = Fresh::after(engine, &landed(engine)).await else { return };
    check_old_rows(&*fresh.store).await;
    write_new_rows(&*fresh.store).await;

    // A process that fell between a step and the note of it does the step once more.
    say(engine, &fresh.url, "delete from migrations where name > '0022'").await;
    fresh.sql.as_ref().unwrap().close().await;
    for _ in 0..2 {
        let again = open(&fresh.url, Options::default()).await.unwrap();
        let loaded = again.charge(ChargeId::from_uuid(uuid(1))).await.unwrap().unwrap();
        assert_eq!((loaded.charge.refunds, loaded.refunds.len()), (1, 1));
        again.close().await;
        for view in ["deal", "payorder"] {
            assert!(crate::table::read(engine, &fresh.url, view, &["id"]).await.is_empty());
        }
    }
    fresh.end().await;
}

fn page<Id>() -> Page<Id> {
    Page { limit: 9, starting_after: None, ending_before: None }
}

async fn load(store: &dyn Store, end: u128) -> Loaded {
    store.charge(ChargeId::from_uuid(uuid(end))).await.unwrap().unwrap()
}

async fn check_old_rows(store: &dyn Store) {
    let scope = scope("a");
    let listed = store.charges(&scope, &ChargeFilter::default(), page()).await.unwrap();
    assert_eq!(listed.len(), 2);
    for loaded in [&load(store, 1).await, &listed[1]] {
        let charge = &loaded.charge;
        assert_eq!((charge.order_no.as_str(), charge.version, charge.events), ("old-1", 3, 2));
        assert_eq!((charge.open_choice, charge.refunds), (false, 0));
        let ChargeState::Succeeded(payment) = &charge.state else { panic!("{charge:?}") };
        assert_eq!(payment.amount, Fen(1990));
        let attempt = &loaded.attempts[0];
        assert!(
            matches!(&attempt.state, AttemptState::Succeeded { amount: Fen(1990), .. }),
            "{attempt:?}"
        );
        assert!(attempt.payer.is_none() && attempt.action.is_some());
        assert_eq!(loaded.left(attempt), Fen(1990));
    }
    let found = store.charge_by_out_trade_no(&account("acc"), &number("old-2")).await.unwrap();
    let pending = found.unwrap();
    assert_eq!(format!("{pending:?}"), format!("{:?}", listed[0]));
    assert!(pending.charge.state.is_pending() && pending.attempts[0].state.is_open());
    let events = store.events(&scope, &EventFilter::default(), page()).await.unwrap();
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|stored| stored.event.refund.is_none()));
    let key = store.idempotency(&scope, "key").await.unwrap().unwrap();
    assert!(key.refund.is_none() && key.charge.is_some() && key.reply.is_some());
    let endpoint = store.endpoints(&scope).await.unwrap().remove(0);
    assert_eq!((endpoint.id, endpoint.version), (EndpointId::from_uuid(uuid(8)), 1));
    assert_eq!((endpoint.url.as_str(), endpoint.enabled), ("https://shop.example/hook", true));
    let due = Timestamp::from_micros(1_795_242_605_000_000);
    let jobs = store.claim(due, Span::from_seconds(60), 9).await.unwrap();
    let wanted = JobKind::PollAttempt(AttemptId::from_uuid(uuid(6)), ChargeId::from_uuid(uuid(5)));
    assert_eq!(jobs.iter().map(|job| job.kind).collect::<Vec<_>>(), [wanted]);
}

/// What the new columns and tables are for can be written for the old rows too.
async fn write_new_rows(store: &dyn Store) {
    let maker = &mut Maker::new();
    let before = load(store, 1).await;
    let mut changes = update(&before);
    let new = refund(maker, (&before.charge, &before.attempts[0]), "R1", 990);
    add_refund(&mut changes, new.clone());
    changes.charge.open_choice = true;
    store.commit(commit(changes.clone())).await.unwrap();
    let after = load(store, 1).await;
    assert_eq!(format!("{after:?}"), format!("{:?}", changes.after()));
    assert_eq!(after.left(&after.attempts[0]), Fen(1000));
    assert_eq!(store.refund(new.id).await.unwrap(), Some(new));
    let mut endpoint = store.endpoints(&scope("a")).await.unwrap().remove(0);
    (endpoint.enabled, endpoint.version) = (false, 2);
    let change = Commit { endpoint: Some(endpoint), ..Commit::default() };
    store.commit(change).await.unwrap();
    let endpoint = store.endpoints(&scope("a")).await.unwrap().remove(0);
    assert_eq!((endpoint.enabled, endpoint.version), (false, 2));
}
