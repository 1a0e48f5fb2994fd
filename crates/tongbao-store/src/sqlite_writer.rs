//! SQLite's one writer: a thread that owns the one writing connection, takes what is waiting,
//! writes it in one transaction and answers only after the commit. So one sync of the disk serves
//! everybody who waits, and nobody waits for a lock.
//!
//! Commits that do not touch each other's rows are written together ([`crate::sqlite_batch`]); the
//! others follow one by one, each in a savepoint, so that one that fails spoils nothing.

use crate::error::{Broken, Fault};
use crate::plan::Plan;
use crate::sqlite::say;
use crate::sqlite_batch::{self, Texts, Unsettled};
use crate::sqlite_log::Log;
use crate::work::{Done, Work, perform};
use futures_util::FutureExt;
use rusqlite::Connection;
use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
pub(crate) struct Writer {
    queue: mpsc::Sender<Message>,
    is_stuck: Arc<AtomicBool>,
}

enum Message {
    Work(Work, oneshot::Sender<Answer>),
    /// Commit something that changes nothing.
    Touch(oneshot::Sender<Result<(), CommitError>>),
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
    /// Of the last transaction all or some came to nothing.
    is_stuck: Arc<AtomicBool>,
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
        let is_stuck = Arc::new(AtomicBool::new(false));
        let (texts, stuck) = (Texts::default(), Arc::clone(&is_stuck));
        let task = Task { connection, queue, batch_max, texts, log, lock, is_stuck: stuck };
        on_thread_of_its_own("sqlite-writer", || task.run());
        Writer { queue: sender, is_stuck }
    }

    /// Waits until the work is durable, or knows why not.
    pub(crate) async fn run(&self, work: Work) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        self.queue.send(Message::Work(work, answer)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?.0
    }

    /// If the last transaction came to nothing, tries one that changes nothing: nobody else may
    /// bring work before it is known that the trouble is over.
    pub(crate) async fn recovered(&self) -> Result<(), CommitError> {
        if !self.is_stuck.load(Ordering::Acquire) {
            return Ok(());
        }
        let (answer, outcome) = oneshot::channel();
        self.queue.send(Message::Touch(answer)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// Ends the thread after what is waiting, and gives the database free.
    pub(crate) async fn stop(&self) {
        let (answer, stopped) = oneshot::channel();
        if self.queue.send(Message::Stop(answer)).await.is_ok() {
            // The thread ends by answering or by falling; either way it is over.
            let _ = stopped.await;
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.queue.is_closed()
    }
}

fn gone() -> CommitError {
    CommitError::Store(StoreError("the writer has stopped".to_owned()))
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
                    Message::Touch(answer) => {
                        let _ = answer.send(self.touch());
                    }
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
        let transacted = self.transact(&units);
        let is_stuck = transacted.as_ref().map_or(true, |all| all.iter().any(is_trouble));
        self.is_stuck.store(is_stuck, Ordering::Release);
        match transacted {
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
                    let _ = unit.answer.send((Err(CommitError::from(&error)), unit.work));
                }
            }
        }
    }

    /// The number is nobody's; that it is written is what matters.
    fn touch(&self) -> Result<(), CommitError> {
        let words = ["begin immediate", "pragma user_version = 0", "commit"];
        let written = words.iter().try_for_each(|words| say(&self.connection, words));
        self.is_stuck.store(written.is_err(), Ordering::Release);
        written.map_err(|error| {
            let _ = say(&self.connection, "rollback");
            CommitError::from(&Fault::from(error))
        })
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
                    if self.is_undone() {
                        return Err(error.into());
                    }
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

    /// Some errors, a full disk above all, make the library undo the whole transaction by itself.
    fn is_undone(&self) -> bool {
        self.connection.is_autocommit()
    }

    fn write_alone(&mut self, work: &Work) -> Result<Outcome, Fault> {
        say(&self.connection, "savepoint unit")?;
        let performed = perform(work, &mut self.connection).now_or_never();
        match performed.expect("this connection answers at once, so there is nothing to wait for") {
            Ok(done) => {
                say(&self.connection, "release unit")?;
                Ok(Ok(done))
            }
            Err(Broken::Database(error)) if self.is_undone() => Err(error),
            Err(broken) => {
                say(&self.connection, "rollback to unit")?;
                say(&self.connection, "release unit")?;
                Ok(Err(CommitError::from(broken)))
            }
        }
    }
}

/// Whether the database failed, and not what was asked of it.
fn is_trouble(outcome: &Outcome) -> bool {
    matches!(outcome, Err(CommitError::Full(_) | CommitError::Store(_)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{self, Maker};
    use crate::{explain, sqlite};
    use std::path::PathBuf;

    /// A writer whose connection was told something, and the folder of its database.
    async fn told(words: &str) -> (Writer, PathBuf) {
        let (store, folder) = explain::empty().await;
        store.close().await;
        let path = folder.join("t.db");
        let connection = sqlite::to_write(&path).unwrap();
        connection.execute_batch(words).unwrap();
        let log = Log::start(sqlite::to_write(&path).unwrap());
        (Writer::start(connection, log, None, 256), folder)
    }

    fn charge(body_length: usize) -> Work {
        let mut charge = data::charge(&mut Maker::new(), &data::scope("a"), "N");
        charge.body = Some("x".repeat(body_length));
        Work::Commit(Box::new(Plan::of(data::commit(data::insert(charge, Vec::new())))))
    }

    #[tokio::test]
    async fn a_lack_of_room_is_told_as_such_and_ends() {
        let (writer, folder) = told("pragma max_page_count = 1").await;
        let refused = writer.run(charge(1 << 20)).await.map(drop);
        assert!(matches!(refused, Err(CommitError::Full(_))), "{refused:?}");
        assert!(writer.is_stuck.load(Ordering::SeqCst));
        writer.recovered().await.unwrap();
        assert!(!writer.is_stuck.load(Ordering::SeqCst));
        writer.run(charge(1)).await.unwrap();
        writer.stop().await;
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn after_trouble_it_is_tried_whether_anything_is_taken() {
        let (writer, folder) = told("pragma query_only = 1").await;
        writer.recovered().await.expect("nothing was tried yet");
        let refused = writer.run(charge(1)).await.map(drop);
        assert!(matches!(refused, Err(CommitError::Store(_))), "{refused:?}");
        let still = writer.recovered().await;
        assert!(matches!(still, Err(CommitError::Store(_))), "{still:?}");
        writer.stop().await;
        assert!(writer.recovered().await.is_err(), "there is nobody to write");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
