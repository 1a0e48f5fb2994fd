//! The old gateway (mapi), of which only the MD5 signature is here so far.

pub mod sign;
