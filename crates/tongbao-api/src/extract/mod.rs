//! What handlers take out of requests. Each extractor refuses with a problem, never with plain
//! text, and nothing that came is ignored.

mod caller;
mod json;
mod params;
mod path;

pub(crate) use caller::{Audience, Caller};
pub(crate) use json::{Change, Object, Post};
pub(crate) use params::{NoParams, Params};
pub(crate) use path::{Account, Id};
