//! Nothing is broken: the same load and the same books show what is the harness's own.

use super::books;
use super::field::{Field, Plan};
use super::kills::seed;
use super::ledger::Ledger;
use super::load::{Load, Manner};
use crate::databases::{Database, POSTGRES};
use std::sync::Arc;
use std::time::Duration;

/// Two instances, of which one gets no new connections for a while.
#[tokio::test(flavor = "multi_thread")]
async fn two_instances_that_nobody_breaks_fail_no_request() {
    let Some(database) = Database::on_server(POSTGRES).await else { return };
    let field = Field::open(Plan { instances: 2, ..Plan::over(&database.url) }).await;
    let merchant = field.merchant(&["*"]).await;
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&field.client, &ledger, seed(), &[Manner::GoesOn; 4]);
    let balancer = field.balancer.as_ref().unwrap();
    for is_out in [false, true, false] {
        balancer.take_out(1, is_out);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    load.end().await;
    assert_eq!(ledger.failures(), [""; 0]);
    books::check(&field.client, &merchant, &ledger).await;
    assert_eq!(ledger.counted(books::NOT_KEPT), 0);
    field.finish().await;
    database.end().await;
}
