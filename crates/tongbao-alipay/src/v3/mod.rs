//! The v3 protocol, of which only the signatures are here so far.

pub mod sign;
