//! Folding SQLite's log (the WAL) back into the database, mostly beside the writer.
//!
//! The library would do it inside the commit that makes the log too long, and everybody who waits
//! for the writer would wait for it. Here a thread with a connection of its own folds in what is
//! there; what came meanwhile is little, and the writer folds it in itself between two groups,
//! after which the log begins anew.

use crate::sqlite_writer::on_thread_of_its_own;
use rusqlite::Connection;
use std::cell::Cell;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// A log of so many pages is folded in: 24 MB.
const LONG: u32 = 3000;

/// With so many pages the writer waits until a fold that began has ended: 96 MB. The disk is too
/// slow for both.
const TOO_LONG: u32 = 12_000;

thread_local! {
    /// The log's length after the last commit of this thread's connection, in pages.
    static LENGTH: Cell<u32> = const { Cell::new(0) };
}

/// The writer's side.
pub(crate) struct Log {
    begin: SyncSender<()>,
    ended: Receiver<()>,
    is_folding: bool,
    /// How many of its pages are folded in already.
    folded: u32,
}

impl Log {
    /// Starts the thread over a connection of its own.
    pub(crate) fn start(connection: Connection) -> Log {
        let (begin, asked) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        on_thread_of_its_own("sqlite-log", move || {
            while asked.recv().is_ok() {
                fold(&connection);
                if end.send(()).is_err() {
                    break;
                }
            }
            // Whoever waits for the end waits for the file to be let go.
            drop(connection);
            drop(end);
        });
        Log { begin, ended, is_folding: false, folded: 0 }
    }

    /// From here on the connection tells how long the log is; it is the writer's.
    pub(crate) fn watch(connection: &Connection) {
        connection.wal_hook(Some(|_, pages| {
            LENGTH.set(u32::try_from(pages).unwrap_or(0));
            Ok(())
        }));
    }

    /// Ends the thread, and lets the file go.
    pub(crate) fn stop(self) {
        drop(self.begin);
        while self.ended.recv().is_ok() {}
    }

    /// To be called between two groups.
    pub(crate) fn after_commit(&mut self, connection: &Connection) {
        let length = LENGTH.get();
        if length < self.folded {
            // It has begun anew.
            self.folded = 0;
        }
        if self.is_folding {
            let has_ended = match length {
                TOO_LONG.. => self.ended.recv().is_ok(),
                _ => self.ended.try_recv().is_ok(),
            };
            if has_ended {
                self.is_folding = false;
                self.folded = fold(connection).unwrap_or(0);
            }
        } else if length - self.folded >= LONG {
            self.is_folding = self.begin.try_send(()).is_ok();
            if !self.is_folding {
                self.folded = fold(connection).unwrap_or(0);
            }
        }
    }
}

/// Folds in what no reader needs and nobody is folding in. Returns how many pages are now.
fn fold(connection: &Connection) -> Option<u32> {
    let folded = connection.query_row("pragma wal_checkpoint(passive)", (), |row| row.get(2));
    folded
        .inspect_err(|error| tracing::warn!(%error, "the database's log cannot be folded in"))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{explain, sqlite};

    /// Eight thousand pages, some thirty to a commit.
    #[tokio::test]
    async fn the_log_begins_anew_while_there_is_no_end_of_writing() {
        let (store, folder) = explain::empty().await;
        let path = folder.join("t.db");
        let connection = sqlite::to_write(&path).unwrap();
        connection.execute_batch("create table t (page blob)").unwrap();
        let mut log = Log::start(sqlite::to_write(&path).unwrap());
        Log::watch(&connection);
        let mut beginnings = 0;
        for _ in 0..800 {
            let before = LENGTH.get();
            connection.execute_batch("begin immediate").unwrap();
            for _ in 0..30 {
                connection.execute("insert into t values (randomblob(7000))", ()).unwrap();
            }
            connection.execute_batch("commit").unwrap();
            beginnings += u32::from(LENGTH.get() < before);
            log.after_commit(&connection);
            assert!(LENGTH.get() <= TOO_LONG + 100, "{} pages", LENGTH.get());
        }
        assert!(beginnings >= 1, "it never began anew");
        let count: i64 = connection.query_row("select count(*) from t", (), |r| r.get(0)).unwrap();
        assert_eq!(count, 24_000);
        log.stop();
        drop(connection);
        explain::end((store, folder)).await;
    }
}
