//! What can be asked for on the command line, one file (or folder) per command. `caller` and
//! `webhook` are a merchant's side, for those commands that play one.

mod caller;
pub(crate) mod db;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod import;
pub(crate) mod keys;
pub(crate) mod openapi;
pub(crate) mod sandbox;
pub(crate) mod serve;
mod webhook;
