//! SQLite's one writer: a task that owns the one writing connection, takes what is waiting, writes
//! it in one transaction and answers only after the commit. So one sync of the disk serves
//! everybody who waits, and nobody waits for a lock.
//!
//! Commits that do not touch each other's rows are written together ([`crate::sqlite_batch`]); the
//! others follow one by one, each in a savepoint, so that one that fails spoils nothing.

use crate::error::from_sqlx;
use crate::plan::Plan;
use crate::sqlite_batch::{self, Texts, Unsettled};
use crate::work::{Done, Work, perform};
use sea_orm::DbErr;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::collections::HashSet;
use std::fs::File;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tongbao_engine::{CommitError, StoreError};

/// So many units may wait before whoever brings more must wait too.
const QUEUE_MAX: usize = 1024;

/// While several callers bring work at the same time, the next group gathers for so long before
/// it is written: each group costs trips and a sync, whatever its size. A caller alone never
/// waits.
const GATHERING: Duration = Duration::from_micros(300);

/// A group of so many need not gather.
const ENOUGH: usize = 24;

/// The door to the writing task.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Message>);

enum Message {
    Work(Work, oneshot::Sender<Outcome>),
    Stop(oneshot::Sender<()>),
}

type Outcome = Result<Done, CommitError>;

struct Unit {
    work: Work,
    answer: oneshot::Sender<Outcome>,
}

struct Task {
    connection: SqliteConnection,
    queue: mpsc::Receiver<Message>,
    batch_max: usize,
    texts: Texts,
    /// Held as long as this process may write.
    lock: Option<File>,
}

impl Writer {
    /// Starts the task, on a thread of its own.
    pub(crate) fn start(
        connection: SqliteConnection,
        lock: Option<File>,
        batch_max: usize,
    ) -> Writer {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let batch_max = batch_max.max(1);
        let task = Task { connection, queue, batch_max, texts: Texts::default(), lock };
        on_thread_of_its_own("sqlite-writer", task.run());
        Writer(sender)
    }

    /// Waits until the work is durable, or knows why not.
    pub(crate) async fn run(&self, work: Work) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let gone = || CommitError::Store(StoreError("the writer has stopped".to_owned()));
        self.0.send(Message::Work(work, answer)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// Ends the task after what is waiting, and gives the database free.
    pub(crate) async fn stop(&self) {
        let (answer, stopped) = oneshot::channel();
        if self.0.send(Message::Stop(answer)).await.is_ok() {
            // The task ends by answering or by falling; either way it is over.
            let _ = stopped.await;
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.is_closed()
    }
}

impl Task {
    async fn run(mut self) {
        let mut stopping = None;
        let mut is_busy = false;
        while stopping.is_none() {
            let Some(first) = self.queue.recv().await else { break };
            if is_busy && self.batch_max > 1 && self.queue.len() < ENOUGH {
                // Blocking is right here: this thread has nothing else to do.
                std::thread::sleep(GATHERING);
            }
            let mut units = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Work(work, answer) => units.push(Unit { work, answer }),
                    Message::Stop(answer) => stopping = Some(answer),
                }
                let more = stopping.is_none() && units.len() < self.batch_max;
                next = if more { self.queue.try_recv().ok() } else { None };
            }
            is_busy = units.len() > 1;
            if !units.is_empty() {
                self.write(units).await;
            }
        }
        self.queue.close();
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
        drop(self.lock);
        if let Some(answer) = stopping {
            let _ = answer.send(());
        }
    }

    /// Writes the units and answers each, whether its caller still listens or not.
    async fn write(&mut self, units: Vec<Unit>) {
        match self.transact(&units).await {
            Ok(outcomes) => {
                for (unit, outcome) in units.into_iter().zip(outcomes) {
                    let _ = unit.answer.send(outcome);
                }
            }
            Err(error) => {
                // What stands open must not swallow the next group; there may be nothing open.
                let _ = self.say("rollback").await;
                tracing::error!(%error, units = units.len(), "the database did not take a commit");
                for unit in units {
                    let error = StoreError(error.to_string());
                    let _ = unit.answer.send(Err(CommitError::Store(error)));
                }
            }
        }
    }

    /// One transaction. An error here means that nothing of it was written.
    async fn transact(&mut self, units: &[Unit]) -> Result<Vec<Outcome>, DbErr> {
        let (together, mut alone) = part(units);
        let mut outcomes: Vec<Option<Outcome>> = units.iter().map(|_| None).collect();
        self.say("begin immediate").await?;
        let plans: Vec<&Plan> = together.iter().filter_map(|at| units[*at].plan()).collect();
        match sqlite_batch::write(&plans, &mut self.texts, &mut self.connection).await {
            Ok(()) => together.iter().for_each(|at| outcomes[*at] = Some(Ok(Done::default()))),
            Err(unsettled) => {
                if let Unsettled::Failed(error) = unsettled {
                    tracing::debug!(%error, "a group is written one by one");
                }
                self.say("rollback").await?;
                self.say("begin immediate").await?;
                alone = (0..units.len()).collect();
            }
        }
        for at in alone {
            outcomes[at] = Some(self.write_alone(&units[at].work).await?);
        }
        self.say("commit").await?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    async fn write_alone(&mut self, work: &Work) -> Result<Outcome, DbErr> {
        self.say("savepoint unit").await?;
        match perform(work, &mut self.connection).await {
            Ok(done) => {
                self.say("release unit").await?;
                Ok(Ok(done))
            }
            Err(broken) => {
                self.say("rollback to unit").await?;
                self.say("release unit").await?;
                Ok(Err(CommitError::from(broken)))
            }
        }
    }

    async fn say(&mut self, words: &'static str) -> Result<(), DbErr> {
        let said = sqlx::query(words).execute(&mut self.connection).await;
        said.map(drop).map_err(from_sqlx)
    }
}

/// Runs a task beside the others. A group of commits is half a dozen trips to the connection's
/// thread; a task among those that answer requests would wait for a turn after each of them, and
/// everybody who waits for the group would wait for that.
pub(crate) fn on_thread_of_its_own(name: &str, task: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime without drivers needs nothing from the system");
    let thread = std::thread::Builder::new().name(name.to_owned());
    let started = thread.spawn(move || runtime.block_on(task));
    started.expect("the system has a thread at the start of the process");
}

impl Unit {
    fn plan(&self) -> Option<&Plan> {
        match &self.work {
            Work::Commit(plan) => Some(plan),
            _ => None,
        }
    }
}

/// Which units are written together, and which alone: those that touch what an earlier one touches,
/// and those that are rare.
fn part(units: &[Unit]) -> (Vec<usize>, Vec<usize>) {
    let mut touched: HashSet<u64> = HashSet::new();
    (0..units.len()).partition(|at| {
        let plain = units[*at].plan().filter(|plan| plan.is_plain());
        let free = plain.filter(|plan| plan.touches.iter().all(|hash| !touched.contains(hash)));
        free.inspect(|plan| touched.extend(&plan.touches)).is_some()
    })
}
