//! The whole program from outside: the real binary, real sockets, the real sandbox; nothing is
//! faked and nothing inside is looked at, but the database at the very end.
//!
//! Each test starts a world of its own ([`world::World`]): `tongbao dev` on free ports over a
//! fresh folder. Where time matters the sandbox's clock is moved.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod attempts;
mod backup;
mod bills;
mod channels;
mod charges;
mod commands;
mod compat;
mod configuration;
mod dev;
mod importing;
mod merchant;
mod mutual_tls;
mod notices;
mod payments;
mod polling;
mod protocols;
mod provider;
mod recovery;
mod refund_races;
mod refund_troubles;
mod refunds;
mod scopes;
mod shop;
mod surprises;
mod webhooks;
mod world;
