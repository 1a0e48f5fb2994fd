//! `tongbao import`: what an older service had, brought over.

mod orders;
mod wepay;

use crate::cli::ImportCommand;

/// Does it.
pub(crate) async fn run(command: ImportCommand) -> anyhow::Result<()> {
    match command {
        ImportCommand::Orders(args) => orders::run(args).await,
        ImportCommand::Wepay(args) => wepay::run(args),
    }
}
