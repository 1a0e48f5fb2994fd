//! `tongbao db`: brings the tables up to date, copies the database, looks whether its rows fit each
//! other.

use super::serve::load;
use crate::cli::{BackupArgs, Configuration, DbCommand};
use crate::output::Screen;
use anyhow::Context;
use tongbao_store::{Options, SqlStore};

/// Does it.
pub(crate) async fn run(command: DbCommand) -> anyhow::Result<()> {
    match command {
        DbCommand::Migrate(args) => migrate(&args.configuration).await,
        DbCommand::Backup(args) => backup(args).await,
        DbCommand::Check(args) => check(&args.configuration).await,
    }
}

async fn migrate(configuration: &Configuration) -> anyhow::Result<()> {
    let store = open(configuration, true).await?;
    store.close().await;
    Screen::stdout().line("The tables are up to date.");
    Ok(())
}

async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let config = load(&args.configuration)?;
    tongbao_store::backup(config.database.url.expose(), &args.target).await?;
    let screen = Screen::stdout();
    screen.line(format!("The copy is {}.", args.target.display()));
    screen.line(
        "To go back to it, stop tongbao, put it in the place of the database, remove the files \
         beside it that end in -wal and -shm, and start tongbao: it asks the providers about every \
         order and refund that was open.",
    );
    Ok(())
}

async fn check(configuration: &Configuration) -> anyhow::Result<()> {
    let store = open(configuration, false).await?;
    let found = store.check().await;
    store.close().await;
    let found = found?;
    let screen = Screen::stdout();
    if found.is_empty() {
        screen.line("Everything fits.");
        return Ok(());
    }
    for breach in &found {
        let examples: Vec<String> = breach.examples.iter().map(ToString::to_string).collect();
        screen.line(format!("{} {}: {}", breach.count, breach.what, examples.join(" ")));
    }
    let count: usize = found.iter().map(|breach| breach.count).sum();
    anyhow::bail!(
        "{count} rows do not fit. If a gateway is running, ask once more: what was written between \
         two questions shows up too. If it stays, keep a copy of the database before anything else"
    )
}

async fn open(configuration: &Configuration, create: bool) -> anyhow::Result<SqlStore> {
    let config = load(configuration)?;
    let options = Options { exclusive: false, create, ..Options::default() };
    let store = tongbao_store::open(config.database.url.expose(), options).await;
    store.context("the database cannot be opened")
}
