//! Many refunds of one payment at once: never more goes back than was paid, on each database.

use crate::databases::{Database, MYSQL, POSTGRES};
use crate::payments::each_account;
use crate::world::World;
use futures_util::future::join_all;
use serde_json::json;

const CLIENTS: usize = 64;
const SETTINGS: [&str; 2] = ["polling.delay=10m", "polling.backoff=fixed"];

/// 64 refunds of 60 % of a payment at once, at each account: one of them is accepted.
async fn race(set: &[&str]) {
    let world = World::with(set).await;
    for at in each_account() {
        let charge = world.paid(at, 1200).await;
        let refunds = (0..CLIENTS).map(|_| world.refund(&charge, json!({"amount": 720})));
        let answers = join_all(refunds).await;
        let (accepted, refused): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == 201);
        let mut codes: Vec<String> = refused.into_iter().map(|a| a.problem(400)).collect();
        codes.retain(|code| code == "refund_too_large");
        assert_eq!((accepted.len(), codes.len()), (1, CLIENTS - 1));
        world.advance("6s").await;
        let done = world.until_refund(&accepted[0].body, "succeeded").await;
        let sent = world.sent_back(&charge).await;
        assert_eq!(sent.len(), 1, "{sent:?}");
        assert_eq!(sent[0]["out_refund_no"], done["out_refund_no"]);
        assert_eq!(world.charge(&charge).await["amount_refunded"], 720);
        assert_eq!(world.refunds(&charge).await.len(), 1, "what is refused leaves nothing");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_refunds_wins_on_sqlite() {
    race(&SETTINGS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_refunds_wins_on_postgres() {
    on_server(POSTGRES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_refunds_wins_on_mysql() {
    on_server(MYSQL).await;
}

/// Over a database of the test's own on a server.
async fn on_server(variable: &str) {
    let Some(database) = Database::on_server(variable).await else { return };
    race(&[SETTINGS[0], SETTINGS[1], &format!("database.url={}", database.url)]).await;
    database.end().await;
}
