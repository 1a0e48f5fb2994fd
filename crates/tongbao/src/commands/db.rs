//! `tongbao db`: brings the tables up to date, copies the database, looks whether its rows fit each
//! other, seals its secrets anew.

use super::serve::load;
use crate::cli::{BackupArgs, Configuration, DbCommand, ResealArgs};
use crate::config::Config;
use crate::host::OsDice;
use crate::master_keys::{self, Missing};
use crate::output::Screen;
use anyhow::{Context, bail};
use tongbao_engine::{Resealed, SealError, closed_secrets, give_up, reseal, seal_clear};
use tongbao_store::{Options, SqlStore};

/// Does it.
pub(crate) async fn run(command: DbCommand) -> anyhow::Result<()> {
    match command {
        DbCommand::Migrate(args) => migrate(&args.configuration).await,
        DbCommand::Backup(args) => backup(args).await,
        DbCommand::Check(args) => check(&args.configuration).await,
        DbCommand::Reseal(args) => reseal_all(args).await,
    }
}

async fn migrate(configuration: &Configuration) -> anyhow::Result<()> {
    let config = load(configuration)?;
    let store = open(&config, true).await?;
    let sealed = seal(&config, &store).await;
    store.close().await;
    let sealed = sealed?;
    let screen = Screen::stdout();
    screen.line("The tables are up to date.");
    if sealed > 0 {
        screen.line(format!("{sealed} secrets that stood in clear are sealed now."));
    }
    Ok(())
}

/// A key is never made here: the user that serves must be able to read it.
async fn seal(config: &Config, store: &SqlStore) -> anyhow::Result<usize> {
    let keys = master_keys::find(config, store, Missing::Leave, &OsDice).await?;
    match keys.first_id() {
        None => Ok(0),
        Some(_) => Ok(seal_clear(store, &keys, &OsDice).await?),
    }
}

async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let config = load(&args.configuration)?;
    tongbao_store::backup(config.database.url.expose(), &args.target).await?;
    let screen = Screen::stdout();
    screen.line(format!("The copy is {}.", args.target.display()));
    screen.line(
        "The master key is not in it; without that key webhooks cannot be signed from it, so keep \
         a copy of the key elsewhere.",
    );
    screen.line(
        "To go back to it, stop tongbao, put it in the place of the database, remove the files \
         beside it that end in -wal and -shm, and start tongbao: it asks the providers about every \
         order and refund that was open.",
    );
    Ok(())
}

async fn check(configuration: &Configuration) -> anyhow::Result<()> {
    let config = load(configuration)?;
    let store = open(&config, false).await?;
    let found = store.check().await;
    let closed = closed(&config, &store).await;
    store.close().await;
    let (found, closed) = (found?, closed?);
    let screen = Screen::stdout();
    if found.is_empty() && closed.is_empty() {
        screen.line("Everything fits.");
        return Ok(());
    }
    for breach in &found {
        let examples: Vec<String> = breach.examples.iter().map(ToString::to_string).collect();
        screen.line(format!("{} {}: {}", breach.count, breach.what, examples.join(" ")));
    }
    closed.iter().for_each(|error| screen.line(error.to_string()));
    let count: usize = found.iter().map(|breach| breach.count).sum();
    if count == 0 {
        bail!("{} secrets cannot be opened", closed.len());
    }
    bail!(
        "{count} rows do not fit. If a gateway is running, ask once more: what was written between \
         two questions shows up too. If it stays, keep a copy of the database before anything else"
    )
}

async fn closed(config: &Config, store: &SqlStore) -> anyhow::Result<Vec<SealError>> {
    let keys = master_keys::find(config, store, Missing::Leave, &OsDice).await?;
    Ok(closed_secrets(store, &keys, None).await?)
}

async fn reseal_all(args: ResealArgs) -> anyhow::Result<()> {
    let config = load(&args.configuration)?;
    let store = open(&config, false).await?;
    let done = reseal_in(&config, &store, args.give_up.as_deref()).await;
    store.close().await;
    done
}

async fn reseal_in(config: &Config, store: &SqlStore, lost: Option<&str>) -> anyhow::Result<()> {
    let keys = master_keys::find(config, store, Missing::Leave, &OsDice).await?;
    let screen = Screen::stdout();
    if let Some(lost) = lost {
        let count = give_up(store, &keys, lost).await?;
        screen.line(format!(
            "{count} endpoints lost a secret that was sealed under {lost}. Those that cannot sign \
             any more are disabled; rotate their secrets and enable them."
        ));
        return Ok(());
    }
    let Some(first) = keys.first_id() else {
        bail!("there is no master key: set security.master_key_file, or start the gateway once");
    };
    let Resealed { anew, already, closed } = reseal(store, &keys, &OsDice).await?;
    screen.line(format!(
        "{anew} secrets are sealed anew under the master key {first}; {already} were already."
    ));
    if closed.is_empty() {
        return Ok(());
    }
    closed.iter().for_each(|error| screen.line(error.to_string()));
    bail!("{} secrets cannot be opened and stay as they are", closed.len())
}

async fn open(config: &Config, create: bool) -> anyhow::Result<SqlStore> {
    let options = Options { exclusive: false, create, ..Options::default() };
    let store = tongbao_store::open(config.database.url.expose(), options).await;
    store.context("the database cannot be opened")
}
