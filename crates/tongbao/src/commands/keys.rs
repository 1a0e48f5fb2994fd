//! `tongbao keys`: makes, lists and revokes API keys in the configured database, also while a
//! gateway runs over it.

use super::serve::load;
use crate::cli::{Configuration, CreateKeyArgs, KeysCommand, ListKeysArgs, RevokeKeyArgs};
use crate::host::SystemClock;
use crate::output::{Screen, Style, table};
use crate::wiring::{self, Ownership};
use anyhow::Context;
use serde_json::{Value, json};
use std::sync::Arc;
use tongbao_engine::{ApiKey, Engine};
use tongbao_types::{ApiKeyId, AppName};

/// Does it.
pub(crate) async fn run(command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::Create(args) => create(args).await,
        KeysCommand::List(args) => list(args).await,
        KeysCommand::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: CreateKeyArgs) -> anyhow::Result<()> {
    let app = AppName::new(args.app)?;
    let engine = engine(&args.configuration).await?;
    let made = engine.create_key(&app, args.mode.into(), args.description).await?;
    let screen = Screen::stdout();
    if args.json {
        let mut object = view(&made.kept);
        object["key"] = json!(made.text.expose());
        screen.line(object.to_string());
        return Ok(());
    }
    show(screen, &[made.kept]);
    screen.line("");
    screen.line(screen.paint(Style::Bold, made.text.expose()));
    screen.line("This is the only time that the key is shown; only a hash of it is kept.");
    Ok(())
}

async fn list(args: ListKeysArgs) -> anyhow::Result<()> {
    let app = AppName::new(args.app)?;
    let engine = engine(&args.configuration).await?;
    let keys = engine.keys(&app).await?;
    let screen = Screen::stdout();
    if args.json {
        let data: Vec<Value> = keys.iter().map(view).collect();
        screen.line(json!({"object": "list", "data": data, "has_more": false}).to_string());
    } else {
        show(screen, &keys);
    }
    Ok(())
}

async fn revoke(args: RevokeKeyArgs) -> anyhow::Result<()> {
    let app = AppName::new(args.app)?;
    let id: ApiKeyId =
        args.key.parse().with_context(|| format!("{} is not the id of a key", args.key))?;
    let engine = engine(&args.configuration).await?;
    engine.revoke_key(&app, id).await?;
    Screen::stdout().line(format!("{id} is revoked; a running gateway forgets it in 5 seconds."));
    Ok(())
}

async fn engine(from: &Configuration) -> anyhow::Result<Engine> {
    let mut config = load(from)?;
    // Keys need no accounts, and whoever makes keys may not be able to read their files.
    config.apps.iter_mut().for_each(|app| app.accounts.clear());
    wiring::engine(&config, "", Arc::new(SystemClock), Ownership::Beside).await
}

fn view(key: &ApiKey) -> Value {
    json!({
        "id": key.id.to_string(),
        "object": "api_key",
        "app": key.scope.app.as_str(),
        "livemode": key.scope.mode.is_live(),
        "tail": key.tail,
        "description": key.description,
        "created_at": key.created_at.to_string(),
        "revoked_at": key.revoked_at.map(|at| at.to_string()),
    })
}

fn show(screen: Screen, keys: &[ApiKey]) {
    let heading = ["ID", "MODE", "KEY", "CREATED", "REVOKED", "DESCRIPTION"].map(str::to_owned);
    let row = |key: &ApiKey| {
        vec![
            key.id.to_string(),
            key.scope.mode.to_string(),
            format!("…{}", key.tail),
            key.created_at.to_string(),
            key.revoked_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            key.description.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<Vec<String>> =
        [heading.to_vec()].into_iter().chain(keys.iter().map(row)).collect();
    table(&rows).iter().for_each(|line| screen.line(line));
}
