//! PostgreSQL and MySQL: each unit of work in a transaction of its own. The databases may undo one
//! for reasons of their own (a deadlock, a serialisation failure); then it runs again, a few times,
//! after a short wait of random length.

use crate::error::{Broken, Fault, may_run_again};
use crate::work::{Done, Work, perform};
use sea_orm::{DatabaseConnection, TransactionTrait};
use std::time::Duration;
use tongbao_engine::CommitError;

/// After so many runs the caller is told.
const RUNS_MAX: u32 = 12;

/// Waits until the work is durable, or knows why not.
pub(crate) async fn run(database: &DatabaseConnection, work: &Work) -> Result<Done, CommitError> {
    let mut runs = 1;
    loop {
        match once(database, work).await {
            Ok(done) => return Ok(done),
            Err(Broken::Database(error)) if may_run_again(&error) && runs < RUNS_MAX => {
                tracing::debug!(%error, runs, "the database undid a transaction; it runs again");
                let most = 2_u64 << runs.min(7);
                let wait = rand::random_range(0..=most);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                runs += 1;
            }
            Err(broken) => return Err(broken.into()),
        }
    }
}

async fn once(database: &DatabaseConnection, work: &Work) -> Result<Done, Broken> {
    let mut transaction = database.begin().await.map_err(Fault::Pool)?;
    match perform(work, &mut transaction).await {
        Ok(done) => {
            // If the answer is lost it may have been written; the caller looks and decides again.
            transaction.commit().await.map_err(|error| Broken::Database(error.into()))?;
            Ok(done)
        }
        Err(broken) => {
            // The connection undoes it when it is given back, whether this arrives or not.
            let _ = transaction.rollback().await;
            Err(broken)
        }
    }
}
