//! The configuration: where it comes from ([`Sources`]), and what it is once everything is known
//! and fits together ([`Config`]).
//!
//! `schema.rs` lists the keys, `env.rs` reads variables and options, `raw.rs` joins the sources,
//! `checked.rs`, `account.rs` and `security.rs` decide what the values
//! mean; `wepay.rs` reads the file of an older
//! service.

mod account;
mod checked;
mod compat;
mod env;
mod modes;
mod nearest;
mod raw;
mod schema;
mod security;
pub(crate) mod wepay;

pub(crate) use account::{AccountConfig, default_name};
pub(crate) use checked::{AppConfig, Config, LimitsConfig, LogConfig};
pub(crate) use compat::CompatConfig;
pub(crate) use nearest::nearest;
pub(crate) use security::{SecurityConfig, master_key};

use std::fmt;
use std::path::{Path, PathBuf};

/// Why the configuration cannot be used, in one sentence for the person who writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError {
    message: String,
    /// Whether the command line or the environment is to blame, rather than the file.
    pub(crate) is_usage: bool,
}

/// Everything that settings may come from; later ones go over earlier ones.
#[derive(Default)]
pub(crate) struct Sources {
    /// What the command itself presumes.
    pub(crate) base: toml::Table,
    /// The configuration file.
    pub(crate) file: Option<SourceFile>,
    /// Variables, by name and value.
    pub(crate) environment: Vec<(String, String)>,
    /// The values of `--set`.
    pub(crate) set: Vec<String>,
}

/// A file that was read.
pub(crate) struct SourceFile {
    /// Where it stands; other files are named relative to its folder.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) text: String,
}

/// What a first configuration may look like.
pub(crate) const EXAMPLE: &str = r#"[server]
listen = "0.0.0.0:9009"
public_url = "https://pay.example.com"

[database]
url = "sqlite://tongbao.db"

[[apps]]
name = "shop"

[[apps.accounts]]
provider = "wechat"
api = "v3"
app_id = "wx0123456789abcdef"
mch_id = "1900000001"
merchant_serial = "0000000000000000000000000000000000000000"
merchant_private_key_file = "apiclient_key.pem"
api_v3_key_file = "api_v3_key.txt"
"#;

impl ConfigError {
    /// The file, or what it leads to, is wrong.
    pub(crate) fn new(message: impl Into<String>) -> ConfigError {
        ConfigError { message: message.into(), is_usage: false }
    }

    /// A variable or an option is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> ConfigError {
        ConfigError { message: message.into(), is_usage: true }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigError {}

impl Sources {
    /// The file at `path`, the process's environment and the options.
    pub(crate) fn of_file(path: &Path, set: &[String]) -> Result<Sources, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| cannot_read(path, &error))?;
        let file = Some(SourceFile { path: path.to_owned(), text });
        Ok(Sources { file, ..Sources::of_base(toml::Table::new(), set) })
    }

    /// What a command presumes, the process's environment and the options.
    pub(crate) fn of_base(base: toml::Table, set: &[String]) -> Sources {
        // A variable that is no text cannot be one of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| name.starts_with(env::PREFIX))
            .collect();
        Sources { base, file: None, environment, set: set.to_vec() }
    }

    /// Whether anything outside a file sets a key.
    pub(crate) fn has_settings(&self) -> bool {
        let counts = |name: &str| name.starts_with(env::PREFIX) && name.contains("__");
        !self.set.is_empty() || self.environment.iter().any(|(name, _)| counts(name))
    }

    /// Reads and checks everything.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        checked::check(raw::read(self)?)
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> ConfigError {
    let path = path.display();
    if error.kind() != std::io::ErrorKind::NotFound {
        return ConfigError::new(format!("the configuration {path} cannot be read: {error}"));
    }
    let indented: String = EXAMPLE.lines().map(|line| format!("    {line}\n")).collect();
    ConfigError::new(format!(
        "there is no configuration file {path}; name one with --config, or write it like this:\n\n\
         {indented}\nTo try tongbao without any set-up, run `tongbao dev`."
    ))
}
