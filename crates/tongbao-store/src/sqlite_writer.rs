//! SQLite's one writer: a thread that owns the one writing connection, takes what is waiting,
//! writes it in one transaction and answers only after the commit. So one sync of the disk serves
//! everybody who waits, and nobody waits for a lock.
//!
//! Commits that do not touch each other's rows are written together ([`crate::sqlite_batch`]); the
//! others follow one by one, each in a savepoint, so that one that fails spoils nothing.

use crate::error::Fault;
use crate::plan::Plan;
use crate::sqlite::say;
use crate::sqlite_batch::{self, Texts, Unsettled};
use crate::sqlite_log::Log;
use crate::work::{Done, Work, perform};
use futures_util::FutureExt;
use rusqlite::Connection;
use std::collections::HashSet;
use std::fs::File;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tongbao_engine::{CommitError, StoreError};

/// So many units may wait before whoever brings more must wait too.
const QUEUE_MAX: usize = 1024;

/// While several callers bring work at the same time, the next group gathers for so long before
/// it is written, and again as long as more come: each group costs a sync and the ends of all
/// tables, whatever its size. A caller alone never waits.
const GATHERING: Duration = Duration::from_micros(300);

/// So often at most.
const GATHERINGS_MAX: usize = 4;

/// A group of so many need not gather.
const ENOUGH: usize = 24;

/// The door to the writing thread.
#[derive(Clone)]
pub(crate) struct Writer(mpsc::Sender<Message>);

enum Message {
    Work(Work, oneshot::Sender<Answer>),
    Stop(oneshot::Sender<()>),
}

type Outcome = Result<Done, CommitError>;

/// The work goes back to whoever brought it: freeing its many small pieces is nothing that
/// everybody else should wait for.
type Answer = (Outcome, Work);

struct Unit {
    work: Work,
    answer: oneshot::Sender<Answer>,
}

struct Task {
    connection: Connection,
    queue: mpsc::Receiver<Message>,
    batch_max: usize,
    texts: Texts,
    log: Log,
    /// Held as long as this process may write.
    lock: Option<File>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        connection: Connection,
        log: Log,
        lock: Option<File>,
        batch_max: usize,
    ) -> Writer {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        let batch_max = batch_max.max(1);
        let task = Task { connection, queue, batch_max, texts: Texts::default(), log, lock };
        on_thread_of_its_own("sqlite-writer", || task.run());
        Writer(sender)
    }

    /// Waits until the work is durable, or knows why not.
    pub(crate) async fn run(&self, work: Work) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let gone = || CommitError::Store(StoreError("the writer has stopped".to_owned()));
        self.0.send(Message::Work(work, answer)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?.0
    }

    /// Ends the thread after what is waiting, and gives the database free.
    pub(crate) async fn stop(&self) {
        let (answer, stopped) = oneshot::channel();
        if self.0.send(Message::Stop(answer)).await.is_ok() {
            // The thread ends by answering or by falling; either way it is over.
            let _ = stopped.await;
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.is_closed()
    }
}

impl Task {
    fn run(mut self) {
        let mut stopping = None;
        let mut is_busy = false;
        Log::watch(&self.connection);
        while stopping.is_none() {
            let Some(first) = self.queue.blocking_recv() else { break };
            if is_busy && self.batch_max > 1 {
                self.gather();
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
                self.write(units);
                self.log.after_commit(&self.connection);
            }
        }
        self.queue.close();
        self.log.stop();
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the database did not close cleanly");
        }
        drop(self.lock);
        if let Some(answer) = stopping {
            let _ = answer.send(());
        }
    }

    /// Waits for company, as long as some comes.
    fn gather(&self) {
        let mut waiting = self.queue.len();
        for _ in 0..GATHERINGS_MAX {
            if waiting >= ENOUGH {
                return;
            }
            std::thread::sleep(GATHERING);
            let before = std::mem::replace(&mut waiting, self.queue.len());
            if waiting == before {
                return;
            }
        }
    }

    /// Writes the units and answers each, whether its caller still listens or not.
    fn write(&mut self, units: Vec<Unit>) {
        match self.transact(&units) {
            Ok(outcomes) => {
                for (unit, outcome) in units.into_iter().zip(outcomes) {
                    let _ = unit.answer.send((outcome, unit.work));
                }
            }
            Err(error) => {
                // What stands open must not swallow the next group; there may be nothing open.
                let _ = say(&self.connection, "rollback");
                tracing::error!(%error, units = units.len(), "the database did not take a commit");
                for unit in units {
                    let outcome = Err(CommitError::Store(StoreError(error.to_string())));
                    let _ = unit.answer.send((outcome, unit.work));
                }
            }
        }
    }

    /// One transaction. An error here means that nothing of it was written.
    fn transact(&mut self, units: &[Unit]) -> Result<Vec<Outcome>, Fault> {
        let (together, mut alone) = part(units);
        let mut outcomes: Vec<Option<Outcome>> = units.iter().map(|_| None).collect();
        say(&self.connection, "begin immediate")?;
        let plans: Vec<&Plan> = together.iter().filter_map(|at| units[*at].plan()).collect();
        match sqlite_batch::write(&plans, &self.texts, &self.connection) {
            Ok(()) => together.iter().for_each(|at| outcomes[*at] = Some(Ok(Done::default()))),
            Err(unsettled) => {
                if let Unsettled::Failed(error) = unsettled {
                    tracing::debug!(%error, "a group is written one by one");
                }
                say(&self.connection, "rollback")?;
                say(&self.connection, "begin immediate")?;
                alone = (0..units.len()).collect();
            }
        }
        for at in alone {
            outcomes[at] = Some(self.write_alone(&units[at].work)?);
        }
        say(&self.connection, "commit")?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    fn write_alone(&mut self, work: &Work) -> Result<Outcome, Fault> {
        say(&self.connection, "savepoint unit")?;
        let performed = perform(work, &mut self.connection).now_or_never();
        match performed.expect("this connection answers at once, so there is nothing to wait for") {
            Ok(done) => {
                say(&self.connection, "release unit")?;
                Ok(Ok(done))
            }
            Err(broken) => {
                say(&self.connection, "rollback to unit")?;
                say(&self.connection, "release unit")?;
                Ok(Err(CommitError::from(broken)))
            }
        }
    }
}

/// Runs a thread beside those that answer requests: what blocks it, keeps nobody but those who
/// wait for it.
pub(crate) fn on_thread_of_its_own(name: &str, work: impl FnOnce() + Send + 'static) {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
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
