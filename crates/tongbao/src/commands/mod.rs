//! What can be asked for on the command line, one file (or folder) per command.

pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod keys;
pub(crate) mod openapi;
pub(crate) mod sandbox;
pub(crate) mod serve;
