//! The router as callers meet it: a real engine over the store in memory, with pretended providers,
//! clock and randomness. Nothing here opens a socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod attempts;
mod bad_input;
mod charges;
mod contract;
mod gateway;
mod idempotency;
mod notices;
mod pages;
mod pretended;
mod refunds;
mod watching;
mod webhooks;
