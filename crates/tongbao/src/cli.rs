//! The command line: what can be typed, and what its help says. What a command does is in
//! `commands/`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Self-hosted payments for WeChat Pay and Alipay.
///
/// New here? `tongbao demo` shows the whole way of a payment in this terminal, without any account
/// or network. `tongbao dev` starts a gateway and pretended providers to build against.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start gateway, provider sandbox and a test app on this machine, without any set-up
    Dev(DevArgs),
    /// Show the main job end to end in this terminal: order, QR code, payment, notice, webhook
    Demo(DemoArgs),
    /// Run the gateway by a configuration file: production
    Serve(ServeArgs),
    /// Run only the provider sandbox, for people who use other SDKs
    Sandbox(SandboxArgs),
    /// Make, list and revoke the API keys of an app
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Bring tables up to date, copy the database, check that its rows fit, seal its secrets
    #[command(subcommand)]
    Db(DbCommand),
    /// Bring over what an older service had
    #[command(subcommand)]
    Import(ImportCommand),
    /// Print the OpenAPI document of /v1
    Openapi,
}

/// `tongbao dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Where the gateway listens [default: 127.0.0.1:9009]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Where the provider sandbox listens [default: 127.0.0.1:9010]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) sandbox_listen: Option<String>,
    /// Where the demo shop listens, or `off` [default: 127.0.0.1:9011]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) shop_listen: Option<String>,
    /// Folder of keys, trades and the database; what is in it survives restarts
    #[arg(long, value_name = "DIR", default_value = ".tongbao")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// `tongbao demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Do not draw QR codes
    #[arg(long)]
    pub(crate) no_qr: bool,
    /// Play one payment through the routes of each of the five older services instead
    #[arg(long)]
    pub(crate) profiles: bool,
}

/// `tongbao serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao sandbox`.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9010")]
    pub(crate) listen: String,
    /// Folder that keeps the keys across starts; without it they are made afresh
    #[arg(long, value_name = "DIR")]
    pub(crate) credentials: Option<PathBuf>,
    /// Folder that keeps trades and notifications across starts
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Speak HTTPS, and ask for the merchant's certificate where WeChat Pay does
    #[arg(long)]
    pub(crate) tls: bool,
}

/// `tongbao keys`.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key; it is shown this once
    Create(CreateKeyArgs),
    /// List the keys of an app, without the keys themselves
    List(ListKeysArgs),
    /// Make a key useless, within five seconds also at a running gateway
    Revoke(RevokeKeyArgs),
}

/// `tongbao keys create`.
#[derive(Debug, Args)]
pub(crate) struct CreateKeyArgs {
    /// The app, as the configuration names it
    #[arg(long)]
    pub(crate) app: String,
    /// Test keys reach sandbox accounts only, live keys the provider only
    #[arg(long, value_enum)]
    pub(crate) mode: KeyMode,
    /// Your own words, shown in the list
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao keys list`.
#[derive(Debug, Args)]
pub(crate) struct ListKeysArgs {
    /// The app, as the configuration names it
    #[arg(long)]
    pub(crate) app: String,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao keys revoke`.
#[derive(Debug, Args)]
pub(crate) struct RevokeKeyArgs {
    /// The key's id, key_…, as the list shows it
    pub(crate) key: String,
    /// The app, as the configuration names it
    #[arg(long)]
    pub(crate) app: String,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao db`.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Bring the tables up to date, as `serve` does at its start
    Migrate(DbArgs),
    /// Copy an SQLite database into a new file, also while a gateway runs over it
    Backup(BackupArgs),
    /// Look for rows that do not fit each other; exit code 1 if there are any
    Check(DbArgs),
    /// Seal the secrets in the database anew, once the master key has changed
    ///
    /// Everything is sealed under security.master_key then; gateways may serve meanwhile. To change
    /// that key: put the new one beside the present one into security.old_master_keys and restart
    /// every gateway; exchange the two and restart again; run this; take the old key away.
    Reseal(ResealArgs),
}

/// `tongbao db migrate` and `tongbao db check`.
#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao db reseal`.
#[derive(Debug, Args)]
pub(crate) struct ResealArgs {
    /// Disable the endpoints whose secret is sealed under this key, because the key is lost; they
    /// can be enabled again once their secrets are rotated
    #[arg(long, value_name = "KEY_ID")]
    pub(crate) give_up: Option<String>,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao db backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The new file; nothing may be there yet
    pub(crate) target: PathBuf,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao import`.
#[derive(Debug, Subcommand)]
pub(crate) enum ImportCommand {
    /// Make charges of the orders that an older service placed, from a CSV file
    ///
    /// The first line names the columns, in any order: order_no, amount_fen or amount_yuan,
    /// subject, channel, created_at and status (open or paid); and if you want out_trade_no,
    /// account, profile, expires_at, provider_trade_no, paid_at and metadata.NAME for notes of
    /// your own. The whole file is checked first; with a single problem nothing is written. What
    /// the file says about payments is not believed: the provider is asked about each order. The
    /// same file may be imported again.
    Orders(ImportOrdersArgs),
    /// Print a tongbao.toml made of wepay's config.json
    ///
    /// The keys and certificates of the merchants go into files of their own, which you alone can
    /// read; the printed configuration names them. Files that are there with other contents are
    /// left alone. Nothing is asked of WeChat Pay.
    Wepay(ImportWepayArgs),
}

/// `tongbao import orders`.
#[derive(Debug, Args)]
pub(crate) struct ImportOrdersArgs {
    /// The orders, in UTF-8 or GB18030
    #[arg(value_name = "FILE.csv")]
    pub(crate) file: PathBuf,
    /// Only check the file; write nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Whose charges they become; may be left out if there is one app
    #[arg(long)]
    pub(crate) app: Option<String>,
    /// Whether they are orders at the provider or at its sandbox
    #[arg(long, value_enum, default_value = "live")]
    pub(crate) mode: KeyMode,
    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

/// `tongbao import wepay`.
#[derive(Debug, Args)]
pub(crate) struct ImportWepayArgs {
    /// wepay's configuration, with its .p12 files in the same folder
    #[arg(value_name = "CONFIG.json")]
    pub(crate) config: PathBuf,
    /// Folder for the keys and certificates
    #[arg(long, value_name = "DIR", default_value = "secrets")]
    pub(crate) out: PathBuf,
    /// The app that gets the merchants' accounts
    #[arg(long, default_value = "shop")]
    pub(crate) app: String,
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(crate) struct Configuration {
    /// The configuration file [default: tongbao.toml]
    #[arg(long, value_name = "FILE", env = "TONGBAO_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// Keys over those of the file.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Override one configuration key, such as polling.delay=1s; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Whether money is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyMode {
    /// sk_test_…
    Test,
    /// sk_live_…
    Live,
}

impl From<KeyMode> for tongbao_types::Mode {
    fn from(mode: KeyMode) -> tongbao_types::Mode {
        match mode {
            KeyMode::Test => tongbao_types::Mode::Test,
            KeyMode::Live => tongbao_types::Mode::Live,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_told_apart_with_exit_code_two() {
        for wrong in [&["tongbao", "dve"][..], &["tongbao", "keys", "create"], &["tongbao"]] {
            let error = Cli::try_parse_from(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
        }
    }
}
