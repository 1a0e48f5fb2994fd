//! The ideal's books: one thread owns one rusqlite connection (WAL, synchronous=FULL), takes what
//! is waiting, at most 256 units, writes each as one charge row and one event row, commits once and
//! then answers everybody. There are no savepoints, versions, jobs or checks of any kind: this is
//! the least that a durable answer costs.

use std::path::Path;

use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags, params};
use tokio::sync::{mpsc, oneshot};

use crate::messages::Order;

/// As many units as one commit may carry; tongbao's writer has the same limit.
const BATCH_MAX: usize = 256;

/// What one unit writes.
pub(crate) enum Entry {
    /// A new charge and its first event.
    Opened {
        /// The merchant's number.
        order_no: String,
        /// In fen.
        amount: i64,
        /// The event's body.
        event: String,
    },
    /// The provider took the order.
    Placed {
        /// The merchant's number.
        order_no: String,
        /// What the payer scans.
        code_url: String,
        /// The event's body.
        event: String,
    },
    /// The provider says that the order is paid.
    Paid {
        /// The merchant's number.
        order_no: String,
        /// The provider's number.
        trade_no: String,
        /// The event's body.
        event: String,
    },
}

struct Unit {
    entry: Entry,
    done: oneshot::Sender<bool>,
}

/// The door to the writing thread.
#[derive(Clone)]
pub(crate) struct Ledger(mpsc::UnboundedSender<Unit>);

impl Ledger {
    /// Opens the database and starts the thread.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        let (sender, mut receiver) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            while let Some(first) = receiver.blocking_recv() {
                batch.push(first);
                while batch.len() < BATCH_MAX {
                    let Ok(next) = receiver.try_recv() else { break };
                    batch.push(next);
                }
                commit(&mut connection, &mut batch);
            }
        });
        Ok(Self(sender))
    }

    /// Writes `entry`; true once it is on disk, false if no such charge was waiting.
    pub(crate) async fn write(&self, entry: Entry) -> bool {
        let (done, answer) = oneshot::channel();
        self.0.send(Unit { entry, done }).is_ok() && answer.await.unwrap_or(false)
    }
}

fn commit(connection: &mut Connection, batch: &mut Vec<Unit>) {
    let answers = write_all(connection, batch);
    for (index, unit) in batch.drain(..).enumerate() {
        let good = answers.as_ref().is_ok_and(|answers| answers[index]);
        // A caller who went away needs no answer.
        let _ = unit.done.send(good);
    }
}

fn write_all(connection: &mut Connection, batch: &[Unit]) -> Result<Vec<bool>> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let mut answers = Vec::with_capacity(batch.len());
    for unit in batch {
        answers.push(write(&transaction, &unit.entry)?);
    }
    transaction.commit()?;
    Ok(answers)
}

fn write(connection: &Connection, entry: &Entry) -> Result<bool> {
    let (kind, order_no, event, changed) = match entry {
        Entry::Opened { order_no, amount, event } => {
            let sql = "insert into charges (order_no, amount, status) values (?, ?, 'pending')";
            let changed = connection.prepare_cached(sql)?.execute(params![order_no, amount])?;
            ("charge.created", order_no, event, changed)
        }
        Entry::Placed { order_no, code_url, event } => {
            let sql = "update charges set code_url = ? where order_no = ?";
            let changed = connection.prepare_cached(sql)?.execute(params![code_url, order_no])?;
            ("charge.attempted", order_no, event, changed)
        }
        Entry::Paid { order_no, trade_no, event } => {
            let sql = "update charges set status = 'succeeded', trade_no = ? \
                       where order_no = ? and status = 'pending'";
            let changed = connection.prepare_cached(sql)?.execute(params![trade_no, order_no])?;
            ("charge.succeeded", order_no, event, changed)
        }
    };
    if changed == 1 {
        let sql = "insert into events (order_no, type, body) values (?, ?, ?)";
        connection.prepare_cached(sql)?.execute(params![order_no, kind, event])?;
    }
    Ok(changed == 1)
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.execute_batch(
        "create table if not exists charges (
           order_no text primary key, amount integer not null, status text not null,
           code_url text, trade_no text) without rowid;
         create table if not exists events (
           id integer primary key, order_no text not null, type text not null,
           body text not null);",
    )?;
    Ok(connection)
}

/// Puts pending charges into a database that no server has open.
pub(crate) fn prefill(path: &Path, orders: &[Order]) -> Result<()> {
    let mut connection = connect(path)?;
    let transaction = connection.transaction()?;
    for order in orders {
        let event = String::new();
        let entry =
            Entry::Opened { order_no: order.out_trade_no.clone(), amount: order.amount, event };
        write(&transaction, &entry)?;
    }
    Ok(transaction.commit()?)
}

/// The one number that `query` gives, read from a database that a server may have open.
pub(crate) fn count(path: &Path, query: &str) -> Result<i64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(path, flags)
        .with_context(|| format!("opening {}", path.display()))?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.query_row(query, [], |row| row.get(0)).with_context(|| query.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_paid_once_and_leaves_two_events() {
        let name = format!("tongbao-ledger-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("ideal.db");
        let order = Order { out_trade_no: "a1".into(), amount: 5 };
        prefill(&path, std::slice::from_ref(&order)).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        let paid =
            || Entry::Paid { order_no: "a1".into(), trade_no: "t1".into(), event: "{}".into() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        assert!(runtime.block_on(ledger.write(paid())));
        assert!(!runtime.block_on(ledger.write(paid())));
        assert_eq!(count(&path, "select count(*) from events").unwrap(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
