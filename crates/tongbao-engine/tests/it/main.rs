//! The engine's tests, one binary: a small world without sockets, in which a scripted provider,
//! the payer and the merchant's endpoints misbehave on purpose and time is moved by hand.
//!
//! `world.rs` is the world, `provider/` the provider (by the provider's halves of the protocol
//! crates), `fakes.rs` the other ports; every other file shows one thing that the engine promises.

#![expect(clippy::unwrap_used, reason = "a test falls and tells")]

mod adopting;
mod bills;
mod by_number;
mod choice;
mod closing;
mod crashes;
mod fakes;
mod idempotency;
mod keys;
mod notices;
mod pages;
mod payment;
mod placing;
mod polling;
mod provider;
mod races;
mod refunds;
mod runner;
mod scanned;
mod scopes;
mod sealing;
mod surprises;
mod webhooks;
mod world;
