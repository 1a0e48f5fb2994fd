//! `tongbao serve`: the gateway by its configuration file, with the sandbox beside it if the file
//! has a `[sandbox]` table.

use crate::cli::{Configuration, ServeArgs};
use crate::config::{Config, ConfigError, Sources};
use crate::listening::stop_signal;
use crate::logging;
use crate::running::{Choosers, Time, start};
use std::path::PathBuf;
use tongbao_engine::Engine;

const CHOOSERS: Choosers = Choosers {
    gateway: "server.listen in the configuration",
    sandbox: "sandbox.listen in the configuration",
};

/// Runs until it is told to stop.
pub(crate) async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = load(&args.configuration)?;
    logging::start(&config.log)?;
    let stop = stop_signal()?;
    warn(&config);
    let callbacks: Vec<String> = config.callbacks().map(str::to_owned).collect();
    let running = start(config, Time::Machine, CHOOSERS, &stop).await?;
    tracing::info!(address = running.gateway, "the gateway listens");
    if let Some(sandbox) = &running.sandbox {
        tracing::info!(address = sandbox, "the provider sandbox listens, for test keys");
    }
    warn_of_callbacks(&running.engine, &callbacks).await;
    running.ended().await;
    tracing::info!("stopped");
    Ok(())
}

/// Names may lead elsewhere tomorrow, so this is no reason not to start; each try looks again.
async fn warn_of_callbacks(engine: &Engine, callbacks: &[String]) {
    for url in callbacks {
        if let Err(error) = engine.check_address(url).await {
            tracing::warn!(url, why = error.message, "payments are not told to this address");
        }
    }
}

/// The configuration of commands that work on a real installation.
pub(crate) fn load(from: &Configuration) -> Result<Config, ConfigError> {
    let set = &from.settings.set;
    if let Some(path) = &from.config {
        return Sources::of_file(path, set)?.load();
    }
    let usual = PathBuf::from("tongbao.toml");
    let without = Sources::of_base(toml::Table::new(), set);
    if without.has_settings() && !usual.exists() {
        return without.load();
    }
    Sources::of_file(&usual, set)?.load()
}

fn warn(config: &Config) {
    if config.apps.is_empty() {
        tracing::warn!("no [[apps]] are configured: there is nobody to make keys and charges for");
    }
    let bare = config.apps.iter().filter(|app| app.accounts.is_empty());
    for app in bare.filter(|_| config.sandbox.is_none()) {
        tracing::warn!(app = %app.name, "the app has no accounts: its charges cannot be paid");
    }
    if let Some(sandbox) = config.sandbox.as_ref().filter(|sandbox| !sandbox.is_local()) {
        tracing::warn!(
            listen = sandbox.listen,
            "the sandbox listens beyond this machine: whoever reaches it has its keys, pays test \
             charges and lets it call any address"
        );
    }
    for file in &config.open_files {
        let file = file.display();
        tracing::warn!(
            "{file} holds a secret, and every user of this machine may read it: chmod o-r {file}"
        );
    }
    if config.server.public_url.is_none() && !config.apps.is_empty() {
        tracing::warn!(
            "server.public_url is not set: providers cannot notify this gateway from outside"
        );
    }
}
