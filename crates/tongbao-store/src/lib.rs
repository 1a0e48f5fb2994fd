//! The store port over SQLite, PostgreSQL and MySQL, and in memory.
//!
//! [`MemoryStore`] is the specification: plain maps that say what a store means. [`open`] gives a
//! [`SqlStore`], which means the same over a database; one suite of tests runs over all of them.
//!
//! A commit becomes a plan of rows (`plan.rs`), and `commit.rs` is the one door that writes it. On
//! SQLite one thread does so for everybody who waits (`sqlite_writer.rs`, `sqlite_batch.rs`); on
//! a server each commit has its transaction (`servers.rs`). Rules about money are not here.

mod address;
mod backup;
mod bills;
mod check;
mod commit;
mod connect;
mod connect_servers;
#[cfg(test)]
#[path = "../tests/it/data.rs"]
#[expect(dead_code, reason = "made for the tests of the whole")]
mod data;
mod error;
#[cfg(test)]
mod explain;
mod landed;
mod memory;
mod memory_bills;
mod migrations;
mod plan;
mod queue;
mod reads;
mod secrets;
mod server;
mod servers;
mod sql;
mod sqlite;
mod sqlite_batch;
mod sqlite_loader;
mod sqlite_log;
mod sqlite_room;
mod sqlite_writer;
mod store;
mod tables;
mod views;
mod work;

pub use backup::{BackupError, backup};
pub use check::Breach;
pub use connect::{OpenError, Options, open};
pub use memory::{KeptJob, MemoryStore};
pub use store::SqlStore;
