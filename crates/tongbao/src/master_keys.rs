//! Where the master keys come from: the configuration, or a file beside an SQLite database, which
//! is made at the first start.

use crate::config::{Config, SecurityConfig, master_key};
use anyhow::{Context, bail};
use data_encoding::BASE64;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use tongbao_engine::{Clock, Dice, MasterKeys, SealError, Store, closed_secrets, seal_clear};
use tongbao_types::Secret;

/// What to do if there is no key anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A gateway needs one: make it beside an SQLite database.
    Make,
    /// A short command goes on without.
    Leave,
}

/// Refuses a gateway over a database server without a key, before anything is opened.
pub(crate) fn demand(config: &Config) -> anyhow::Result<()> {
    let url = config.database.url.expose();
    let is_server = ["postgres", "mysql", "mariadb"].iter().any(|word| url.starts_with(word));
    if is_server && config.security.master_key.is_none() && config.security.key_file.is_none() {
        bail!(
            "security.master_key is not set: it seals the webhook secrets in the database, and \
             every instance over a database server needs the same one. Make it with \
             `(umask 077; openssl rand -base64 32 > master.key)`, write master_key_file = \
             \"master.key\" below [security], and keep a copy apart from the backups of the \
             database"
        );
    }
    Ok(())
}

/// Finds the keys, or makes one.
pub(crate) async fn find(
    config: &Config,
    store: &dyn Store,
    missing: Missing,
    dice: &dyn Dice,
) -> anyhow::Result<MasterKeys> {
    let SecurityConfig { master_key, old_master_keys, .. } = &config.security;
    let mut keys: Vec<Secret<[u8; 32]>> = Vec::new();
    match (master_key, key_file(config)) {
        (Some(key), _) => keys.push(key.clone()),
        (None, Some(path)) => match read(&path)? {
            Some(key) => keys.push(key),
            None if missing == Missing::Make => {
                refuse_to_replace(store, &path).await?;
                keys.push(make(&path, dice)?);
            }
            None => {}
        },
        (None, None) => {}
    }
    let has_first = !keys.is_empty();
    if !has_first && !old_master_keys.is_empty() {
        bail!("security.old_master_keys is set and there is no security.master_key: set that too");
    }
    keys.extend(old_master_keys.iter().cloned());
    Ok(MasterKeys::new(&keys))
}

/// Makes sure before anything is served that the secrets in the database are sealed, and that
/// those which sign webhooks open.
pub(crate) async fn prepare(
    store: &dyn Store,
    keys: &MasterKeys,
    clock: &dyn Clock,
    dice: &dyn Dice,
) -> anyhow::Result<()> {
    let closed = closed_secrets(store, keys, Some(clock.wall())).await?;
    if let Some(first) = closed.first() {
        bail!("{}", refusal(first, closed.len()));
    }
    let count = seal_clear(store, keys, dice).await?;
    if count > 0 {
        tracing::info!(count, "secrets that stood in clear in the database are sealed now");
    }
    Ok(())
}

fn refusal(first: &SealError, count: usize) -> String {
    let more = match count {
        1 => String::new(),
        count => format!(" ({count} secrets in all)"),
    };
    let lost = match first {
        SealError::OtherKey { id, .. } => format!(
            ". If that key is lost for ever, `tongbao db reseal --give-up {id}` disables the \
             endpoints whose secrets it sealed, until they are rotated"
        ),
        _ => String::new(),
    };
    format!("webhooks could not be signed: {first}{more}{lost}")
}

/// Where a key is kept that the configuration does not give.
pub(crate) fn key_file(config: &Config) -> Option<PathBuf> {
    if let Some(path) = &config.security.key_file {
        return Some(path.clone());
    }
    let url = config.database.url.expose();
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"))?;
    Some(PathBuf::from(format!("{path}.key")))
}

fn read(path: &Path) -> anyhow::Result<Option<Secret<[u8; 32]>>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            let wrong = format!("the master key {} cannot be read", path.display());
            return Err(error).context(wrong);
        }
    };
    let key = master_key(&text).with_context(|| {
        format!(
            "the master key {} is damaged: it must be 32 bytes in base64; put a copy of it back",
            path.display()
        )
    });
    key.map(Some)
}

/// A new key would only hide that the right one is missing.
async fn refuse_to_replace(store: &dyn Store, path: &Path) -> anyhow::Result<()> {
    let closed = closed_secrets(store, &MasterKeys::default(), None).await?;
    if let Some(first) = closed.iter().find(|error| error.is_missing_key()) {
        bail!(
            "the master key {} is missing, and {}; put the file back, it is kept beside the \
             database and not in its backups",
            path.display(),
            refusal(first, closed.len())
        );
    }
    Ok(())
}

fn make(path: &Path, dice: &dyn Dice) -> anyhow::Result<Secret<[u8; 32]>> {
    let mut bytes = [0; 32];
    dice.fill(&mut bytes);
    let key = Secret::new(bytes);
    let text = Secret::new(BASE64.encode(key.expose()) + "\n");
    let written = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(text.expose().as_bytes())?;
        file.sync_all()
    };
    written().with_context(|| format!("the master key {} cannot be written", path.display()))?;
    tracing::info!(
        file = %path.display(),
        "a master key is made, which seals the webhook secrets in the database; keep a copy apart \
         from the backups of the database, which are of no use for signing without it"
    );
    Ok(key)
}
