//! PostgreSQL and MySQL: each unit of work in a transaction of its own. The databases may undo one
//! for reasons of their own (a deadlock, a serialisation failure); then it runs again, a few times,
//! after a short wait of random length. So it does when the connection breaks. If it broke when
//! the commit was under way, what was sent may have been written: that is looked at first.

use crate::error::{Broken, Fault, is_cut_off, is_taken, may_run_again, words};
use crate::landed::landed;
use crate::server::Server;
use crate::work::{Done, Work, perform};
use sea_orm::{DatabaseConnection, TransactionTrait};
use std::time::{Duration, Instant};
use tongbao_engine::{CommitError, StoreError};

/// After so many runs the caller is told.
const RUNS_MAX: u32 = 12;

/// Waits until the work is durable, or knows why not. An error of the database leaves open whether
/// it was written if the connection broke in the commit and none was to be had afterwards.
pub(crate) async fn run(
    database: &DatabaseConnection,
    server: &Server,
    work: &Work,
) -> Result<Done, CommitError> {
    let until = Instant::now() + server.patience;
    let mut doubt = Doubt::None;
    let mut runs = 1;
    loop {
        let stop = match once(database, work, doubt).await {
            Ok(done) => return Ok(done),
            Err(stop) => stop,
        };
        let next = stop.then(doubt, work);
        let Some(next) = next.filter(|_| runs < RUNS_MAX && Instant::now() < until) else {
            return Err(stop.told(doubt));
        };
        doubt = next;
        tracing::debug!(%stop, runs, "a transaction runs again");
        let most = 2_u64 << runs.min(7);
        let wait = rand::random_range(0..=most);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        runs += 1;
    }
}

/// What is not known of earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// Nothing: none was written.
    None,
    /// One may have been written.
    Lost,
    /// One may have been written, and the last run was refused, perhaps for that reason.
    Refused,
}

/// How a run ended that brought nothing.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Refused(CommitError),
    #[error(transparent)]
    Undone(Fault),
    #[error("the connection broke in the commit: {0}")]
    Lost(Fault),
}

impl Stop {
    /// What is to be doubted in the next run, if there shall be one. Claims have none: what a lost
    /// one took is taken over by the next.
    fn then(&self, doubt: Doubt, work: &Work) -> Option<Doubt> {
        match self {
            Stop::Undone(error) if may_run_again(error) || is_cut_off(error) => Some(doubt),
            Stop::Lost(_) => (!matches!(work, Work::Claim(_))).then_some(Doubt::Lost),
            // The lost one may have ended just before this run: one more look.
            Stop::Refused(_) => (doubt == Doubt::Lost).then_some(Doubt::Refused),
            Stop::Undone(error) => {
                (doubt == Doubt::Lost && is_taken(error)).then_some(Doubt::Refused)
            }
        }
    }

    fn told(self, doubt: Doubt) -> CommitError {
        match self {
            Stop::Refused(refusal) => refusal,
            Stop::Undone(error) if doubt == Doubt::None => (&error).into(),
            Stop::Undone(error) => {
                StoreError(format!("{}; it may have been written", words(&error))).into()
            }
            lost @ Stop::Lost(_) => StoreError(lost.to_string()).into(),
        }
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Stop {
        match broken {
            Broken::Refused(refusal) => Stop::Refused(refusal),
            Broken::Database(error) => Stop::Undone(error),
        }
    }
}

async fn once(database: &DatabaseConnection, work: &Work, doubt: Doubt) -> Result<Done, Stop> {
    let begun = database.begin().await;
    let mut transaction = begun.map_err(|error| Stop::Undone(Fault::Pool(error)))?;
    if doubt != Doubt::None {
        match landed(work, &mut transaction).await {
            Ok(false) => {}
            Ok(true) => return Ok(Done::default()),
            Err(error) => return Err(Stop::Undone(error)),
        }
    }
    match perform(work, &mut transaction).await {
        Ok(done) => match transaction.commit().await.map_err(Fault::Pool) {
            Ok(()) => Ok(done),
            Err(error) if may_run_again(&error) => Err(Stop::Undone(error)),
            Err(error) => Err(Stop::Lost(error)),
        },
        Err(broken) => {
            // The connection undoes it when it is given back, whether this arrives or not.
            let _ = transaction.rollback().await;
            Err(broken.into())
        }
    }
}
