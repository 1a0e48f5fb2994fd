//! Runs that break the shipped program: it is killed, stopped, starved of disk and database, under
//! load, and afterwards the books must hold.
//!
//! A [`field::Field`] is one provider sandbox that lives through everything and one or more
//! `tongbao serve` over one database. [`load`] plays the merchants and the payers and keeps what
//! was acknowledged in a [`ledger::Ledger`]; [`books`] reads everything back at the end and says
//! what is not true. Each run has a short form, which is part of every test run, and a long one.

mod balancer;
mod books;
mod books_tests;
mod client;
mod database;
mod disk_full;
mod field;
mod instance;
mod instances;
mod kills;
mod ledger;
mod load;
mod quiet;
mod small_disk;
mod snapshot;
mod twins;
