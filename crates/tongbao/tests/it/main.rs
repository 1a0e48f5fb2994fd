//! The whole program from outside: the real binary, real sockets, the real sandbox; nothing is
//! faked and nothing inside is looked at, but the database at the very end.
//!
//! Each test starts a world of its own ([`world::World`]): `tongbao dev` on free ports over a
//! fresh folder. Where time matters the sandbox's clock is moved.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod attempts;
mod backup;
mod bills;
mod broken;
mod canaries;
mod channels;
mod charges;
mod commands;
mod compat;
mod configuration;
mod databases;
mod dev;
mod egress;
mod egress_forms;
mod importing;
mod limits;
mod matrix;
mod merchant;
mod mutual_tls;
mod notices;
mod overload;
mod payments;
mod polling;
mod protocols;
mod provider;
mod refund_races;
mod refund_troubles;
mod refunds;
mod scopes;
mod sealing;
mod shop;
mod slow_callers;
mod surprises;
mod webhooks;
mod world;
