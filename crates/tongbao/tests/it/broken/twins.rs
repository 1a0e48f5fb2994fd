//! Two instances over one database server, for the runs that break one of the three.

use super::books::{self, Balance};
use super::field::{Field, Plan};
use super::ledger::Ledger;
use super::load::{Load, Manner};
use crate::databases::Database;
use crate::merchant::Merchant;
use crate::world::http_client;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Everybody at work.
pub(crate) struct Twins {
    pub(crate) field: Field,
    pub(crate) merchant: Merchant,
    pub(crate) ledger: Arc<Ledger>,
    load: Load,
}

impl Twins {
    /// Starts both, and four clients of this manner.
    pub(crate) async fn start(url: &str, set: &[&str], manner: Manner) -> Twins {
        let mut plan = Plan { instances: 2, ..Plan::over(url) };
        plan.set.extend(set.iter().map(|set| (*set).to_owned()));
        let field = Field::open(plan).await;
        let merchant = field.merchant(&["*"]).await;
        let ledger = Arc::new(Ledger::default());
        let load = Load::start(&field.client, &ledger, super::kills::seed(), &[manner; 4]);
        Twins { field, merchant, ledger, load }
    }

    /// Waits until so much more was acknowledged, so that whatever breaks next breaks something.
    pub(crate) async fn until_at_work(&self, more: usize) {
        let wanted = self.ledger.acknowledged().len() + more;
        let began = Instant::now();
        while self.ledger.acknowledged().len() < wanted {
            assert!(began.elapsed() < Duration::from_secs(60), "there is hardly any load");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends the load, and the instances when the books hold; what the ledger and the books say, for
    /// a record.
    pub(crate) async fn end(self, database: Database) -> Vec<(&'static str, String)> {
        self.load.end().await;
        let balance = books::check(&self.field.client, &self.merchant, &self.ledger).await;
        end(self.field).await;
        database.end().await;
        counts(&self.ledger, &balance)
    }
}

/// Ends each instance by a word. Errors may have been logged: something was broken.
pub(crate) async fn end(mut field: Field) {
    for instance in &mut field.instances {
        instance.signal("-TERM");
        let status = instance.ended().await;
        assert!(status.success(), "it did not end cleanly: {status}");
    }
}

fn counts(ledger: &Ledger, balance: &Balance) -> Vec<(&'static str, String)> {
    let mut counts = vec![
        ("requests that failed", ledger.counted("failed requests").to_string()),
        ("requests repeated with their key", ledger.counted("repeated requests").to_string()),
    ];
    counts.extend(balance.counts());
    counts
}

/// Waits until `/readyz` of each instance has this status; how long that took.
pub(crate) async fn until_all_say(field: &Field, status: u16, patience: Duration) -> Duration {
    let (began, http) = (Instant::now(), http_client());
    for instance in &field.instances {
        while instance.readiness(&http).await.is_none_or(|answer| answer.status != status) {
            let waited = began.elapsed();
            assert!(waited < patience, "{} does not say {status}: {waited:?}", instance.address);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    began.elapsed()
}

/// A moment of random length, so that it falls anywhere.
pub(crate) async fn a_moment(millis: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rand::random_range(millis))).await;
}
