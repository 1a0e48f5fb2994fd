//! tongbao: self-hosted payments for WeChat Pay and Alipay, one program.
//!
//! This is the outermost floor: it reads the command line and the configuration, joins the crates
//! (`wiring.rs`), lends them network, clock and randomness (`wire.rs`, `host.rs`), and runs what
//! was asked for (`commands/`). It decides nothing about money.

mod cli;
mod commands;
mod config;
mod host;
mod listening;
mod log_file;
mod logging;
mod master_keys;
mod output;
mod qr_terminal;
mod running;
mod wire;
mod wiring;

use clap::Parser;
use cli::{Cli, Command};
use config::ConfigError;
use std::io::Write;
use std::process::ExitCode;

const _: () = assert!(
    !tongbao_types::BUGS_ARE_COMPILED,
    "this build has the simulation's planted bugs in it; build without the feature `planted`"
);

fn main() -> ExitCode {
    // Wrong usage ends here, with exit code 2 and help.
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Stderr may be a file on a disk that is full.
            let _lost = writeln!(std::io::stderr(), "tongbao: {}", sentence(&error));
            let is_usage = error.downcast_ref::<ConfigError>().is_some_and(|error| error.is_usage);
            ExitCode::from(if is_usage { 2 } else { 1 })
        }
    }
}

/// A payment is some hundred small allocations, half of them freed by another thread; with the
/// system's allocator that was a fifth of the processor time beside signing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn run(command: Command) -> anyhow::Result<()> {
    if let Command::Openapi = command {
        return commands::openapi::run();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Name resolution and files; more threads would only take memory.
        .max_blocking_threads(16)
        .build()?;
    runtime.block_on(async {
        match command {
            Command::Dev(args) => commands::dev::run(args).await,
            Command::Demo(args) => commands::demo::run(args).await,
            Command::Serve(args) => commands::serve::run(args).await,
            Command::Sandbox(args) => commands::sandbox::run(args).await,
            Command::Keys(command) => commands::keys::run(command).await,
            Command::Db(command) => commands::db::run(command).await,
            Command::Import(command) => commands::import::run(command).await,
            Command::Openapi => commands::openapi::run(),
        }
    })
}

/// The whole chain of causes as one sentence; a cause that its effect already names is left out.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |mut words, cause| {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
        words
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_is_told_once_with_its_causes() {
        let inner: anyhow::Result<()> = Err(anyhow::anyhow!("no such file"));
        let error = inner.context("the key cannot be read: no such file").context("app shop");
        let error = error.unwrap_err();
        assert_eq!(sentence(&error), "app shop: the key cannot be read: no such file");
    }
}
