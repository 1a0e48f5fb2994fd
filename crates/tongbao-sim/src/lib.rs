//! Whole lives of a gateway on one thread, by seed: the real core, engine, channels and sandbox
//! over a virtual clock, the model store and a network in memory, both of which fail by plan.
//!
//! [`Plan::of`] makes a life of a seed, [`live`] lives it, the checkers say what must not have
//! been, and [`shrink`] leaves out what a failure does not need. The same plan gives the same
//! trace, line by line. Never shipped.

mod bills;
mod check;
mod clock;
mod coverage;
mod deeds;
mod dice;
mod fault;
mod hooks;
mod kind;
mod ledger;
mod life;
mod notices;
mod older;
mod plan;
mod points;
mod process;
mod providers;
mod replies;
mod shrink;
mod soak;
mod store;
mod trace;
mod wire;

pub use coverage::{Coverage, wanted};
pub use fault::{Fault, Point, What};
pub use kind::Kind;
pub use ledger::Violation;
pub use life::{Outcome, live};
pub use plan::{Deed, Down, DownAs, Plan, Shop, Step};
pub use points::{FLOWS, Pointed, point_at};
pub use providers::Merchant;
pub use shrink::shrink;
pub use soak::{Soaked, soak, tell};
