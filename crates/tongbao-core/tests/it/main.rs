//! The rules from outside, one binary: `world.rs` is a charge in memory that is written as a store
//! would write it and checked after each write; every other file shows one part of its life.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod choice;
mod histories;
mod observe;
mod refunds;
mod surprises;
mod world;
