//! `tongbao import wepay`: wepay's `config.json` as a `tongbao.toml`. Keys and certificates go into
//! files of their own, mode 0600, so that the printed text can be shown to anybody.

use crate::cli::ImportWepayArgs;
use crate::config::wepay::{FileMerchant, read};
use crate::output::Screen;
use anyhow::{Context, bail};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use tongbao_types::AppName;

/// Writes the files and prints the configuration.
pub(crate) fn run(args: ImportWepayArgs) -> anyhow::Result<()> {
    let app = AppName::new(args.app)?;
    let merchants = read(&args.config)?;
    let out = args.out.to_str().context("--out must be a name in UTF-8")?;
    let secrets: Vec<Secret> = merchants.iter().flat_map(secrets).collect();
    make_folder(&args.out)?;
    for secret in &secrets {
        keep(&args.out.join(&secret.file), secret.bytes)?;
    }
    Screen::stdout().line(configuration(&app, &merchants, out).trim_end());
    for merchant in merchants.iter().filter(|merchant| merchant.keys.p12.is_none()) {
        eprintln!("tongbao: {} has no pfx, so it cannot refund", merchant.name);
    }
    eprintln!(
        "tongbao: keys and certificates are in {out}, readable by you alone; the configuration \
         names them relative to its own folder"
    );
    Ok(())
}

/// A file with something that nobody else may read, and the key that names it.
struct Secret<'a> {
    key: &'static str,
    file: String,
    bytes: &'a [u8],
}

fn secrets(merchant: &FileMerchant) -> Vec<Secret<'_>> {
    let file = |end: &str| format!("{}{end}", merchant.name);
    let keys = &merchant.keys;
    let api_key = keys.api_key.expose().as_bytes();
    let mut all = vec![Secret { key: "api_key_file", file: file("_api_key.txt"), bytes: api_key }];
    let Some(p12) = &keys.p12 else { return all };
    all.push(Secret { key: "p12_file", file: file(".p12"), bytes: p12.file.expose() });
    if *p12.passphrase.expose() != keys.mch_id {
        let bytes = p12.passphrase.expose().as_bytes();
        all.push(Secret { key: "p12_passphrase_file", file: file("_p12_passphrase.txt"), bytes });
    }
    all
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.recursive(true).create(path);
    made.with_context(|| format!("the folder {} cannot be made", path.display()))
}

/// Writes a new file; one that is there already must say the same.
fn keep(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let wrong = || format!("{} cannot be written", path.display());
    match options.open(path) {
        Ok(mut file) => file.write_all(bytes).and_then(|()| file.sync_all()).with_context(wrong),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            if std::fs::read(path).with_context(wrong)? == bytes {
                return Ok(());
            }
            bail!(
                "{} is there already with other contents; choose another folder with --out",
                path.display()
            )
        }
        Err(error) => Err(error).with_context(wrong),
    }
}

const HEAD: &str = "\
# Made of wepay's config.json. Before you start it:
# - set public_url, how WeChat Pay and payers reach this gateway;
# - set allow_from, the networks whose callers need no key (wepay let everybody in);
# - if payments are told to an address inside your network (cb_notify_url), allow that network.

[server]
listen = \"0.0.0.0:9009\"
#public_url = \"https://pay.example.com\"

[database]
url = \"sqlite://tongbao.db\"

[webhooks]
#allow = [\"10.0.0.0/8\"]
";

fn configuration(app: &AppName, merchants: &[FileMerchant], out: &str) -> String {
    let mut text = format!("{HEAD}\n[[apps]]\nname = {}\n", quoted(app.as_str()));
    for merchant in merchants {
        account(&mut text, merchant, out);
    }
    let _ = writeln!(text, "\n[[compat]]\nprofile = \"wepay\"\napp = {}", quoted(app.as_str()));
    text.push_str("#allow_from = [\"10.0.0.0/8\"]\n");
    for merchant in merchants {
        text.push_str("\n[[compat.merchants]]\n");
        line(&mut text, "env", merchant.env.as_str());
        line(&mut text, "account", merchant.name.as_str());
        maybe(&mut text, "cb_notify_url", merchant.cb_notify_url.as_deref());
    }
    text
}

fn account(text: &mut String, merchant: &FileMerchant, out: &str) {
    let keys = &merchant.keys;
    text.push_str("\n[[apps.accounts]]\n");
    line(text, "name", merchant.name.as_str());
    line(text, "provider", "wechat");
    line(text, "api", "v2");
    line(text, "app_id", &keys.app_id);
    line(text, "mch_id", &keys.mch_id);
    maybe(text, "sub_app_id", keys.sub_app_id.as_deref());
    maybe(text, "sub_mch_id", keys.sub_mch_id.as_deref());
    for secret in secrets(merchant) {
        let path = Path::new(out).join(secret.file);
        line(text, secret.key, &path.to_string_lossy());
    }
    maybe(text, "notify_url", merchant.notify_url.as_deref());
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {}", quoted(value));
}

fn maybe(text: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        line(text, key, value);
    }
}

/// As TOML writes a text.
fn quoted(value: &str) -> String {
    toml::Value::from(value).to_string()
}
