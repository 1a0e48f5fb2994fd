//! The store's tests, one binary: the same suite over the model, SQLite, PostgreSQL and MariaDB; a
//! walk of random operations that compares each with the model; and what only SQLite does.
//!
//! The servers are named by `TONGBAO_TEST_POSTGRES_URL` and `TONGBAO_TEST_MYSQL_URL`; a test whose
//! server is not named says so and passes.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test falls and tells")]

mod bills;
mod check;
mod conformance;
mod cut;
mod data;
mod endpoints;
mod engines;
mod open;
mod profiles;
mod queue;
mod random;
mod refunds;
mod sqlite;
mod table;
mod upgrade;
mod views;
