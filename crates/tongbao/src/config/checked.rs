//! The configuration once every value is parsed, has its default and fits the others.
//!
//! Account credentials are only sorted here; their keys are read by the channels.

use super::ConfigError;
use super::account::{self, AccountConfig};
use super::compat::{self, CompatConfig};
use super::raw::{Raw, RawApp, RawPolling, RawSandbox, RawWebhooks};
use super::wepay;
use ipnet::IpNet;
use std::collections::HashSet;
use std::path::PathBuf;
use tongbao_core::{Backoff, Policy, Polling, Unexpected};
use tongbao_engine::Egress;
use tongbao_types::{AppName, Mode, Secret, Span};

/// Everything that a gateway is made from.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) database: DatabaseConfig,
    pub(crate) apps: Vec<AppConfig>,
    pub(crate) polling: Polling,
    pub(crate) egress: Egress,
    pub(crate) sandbox: Option<SandboxConfig>,
    pub(crate) compat: Vec<CompatConfig>,
    pub(crate) log: LogConfig,
}

/// Where the gateway is.
#[derive(Debug)]
pub(crate) struct ServerConfig {
    /// `host:port`.
    pub(crate) listen: String,
    /// From outside, without a trailing slash; the listening address if none is given.
    pub(crate) public_url: Option<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// Where everything is kept.
#[derive(Debug)]
pub(crate) struct DatabaseConfig {
    /// May contain a password.
    pub(crate) url: Secret<String>,
    /// How many writes share one commit at most.
    pub(crate) batch_max: usize,
}

/// A tenant.
#[derive(Debug)]
pub(crate) struct AppConfig {
    pub(crate) name: AppName,
    /// What it wants done with money that it did not expect.
    pub(crate) policy: Policy,
    /// In order of preference.
    pub(crate) accounts: Vec<AccountConfig>,
}

/// The provider sandbox beside the gateway.
#[derive(Debug, Clone)]
pub(crate) struct SandboxConfig {
    /// `host:port`.
    pub(crate) listen: String,
    /// Folder of its keys and trades.
    pub(crate) data: PathBuf,
}

/// What is logged.
#[derive(Debug, Clone)]
pub(crate) struct LogConfig {
    pub(crate) filter: String,
    pub(crate) file: Option<PathBuf>,
}

/// Decides what was written.
pub(crate) fn check(raw: Raw) -> Result<Config, ConfigError> {
    let sandbox = raw.sandbox.map(sandbox).transpose()?;
    let mut apps: Vec<AppConfig> =
        raw.apps.into_iter().enumerate().map(app).collect::<Result<_, _>>()?;
    let mut compat = raw.compat;
    wepay::add_accounts(&mut compat, &mut apps)?;
    refuse_twins(&apps)?;
    refuse_live_sandbox(&apps, sandbox.as_ref())?;
    let compat = compat::check(compat, &apps)?;
    let listen = raw.server.listen.unwrap_or_else(|| "127.0.0.1:9009".to_owned());
    let public_url = raw.server.public_url.map(|text| base_url("server.public_url", &text));
    let batch_max = raw.database.batch_max.unwrap_or(256);
    Ok(Config {
        server: ServerConfig {
            listen: address("server.listen", listen)?,
            public_url: public_url.transpose()?,
            trusted_proxies: networks("server.trusted_proxies", raw.server.trusted_proxies)?,
        },
        database: DatabaseConfig {
            url: Secret::new(raw.database.url.unwrap_or_else(|| "sqlite://tongbao.db".to_owned())),
            batch_max: within("database.batch_max", batch_max, 1..=10_000)?,
        },
        apps,
        polling: polling(&raw.polling)?,
        egress: egress(raw.webhooks)?,
        sandbox,
        compat,
        log: LogConfig {
            filter: raw.log.filter.unwrap_or_else(|| "info".to_owned()),
            file: raw.log.file.map(PathBuf::from),
        },
    })
}

/// Checks an address of the outside and takes the slash at its end off.
pub(super) fn base_url(key: &str, text: &str) -> Result<String, ConfigError> {
    let wrong = |why: &str| ConfigError::new(format!("{key} = \"{text}\" {why}"));
    let url = url::Url::parse(text).map_err(|_| wrong("must be a URL, such as https://host"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("must begin with https:// or http:// and name a host"));
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
        return Err(wrong("must be scheme, host, port and path alone"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn sandbox(raw: RawSandbox) -> Result<SandboxConfig, ConfigError> {
    let listen = raw.listen.unwrap_or_else(|| "127.0.0.1:9010".to_owned());
    let data = raw.data.unwrap_or_else(|| "sandbox".to_owned()).into();
    Ok(SandboxConfig { listen: address("sandbox.listen", listen)?, data })
}

fn app((idx, raw): (usize, RawApp)) -> Result<AppConfig, ConfigError> {
    let Some(name) = raw.name else {
        return Err(ConfigError::new(format!("apps.{idx} has no name; add name = \"shop\"")));
    };
    let wrong = |error| ConfigError::new(format!("apps.{idx}.name = \"{name}\": {error}"));
    let app = AppName::new(name.clone()).map_err(wrong)?;
    let accounts = raw.accounts.into_iter().map(|raw| account::check(&app, raw));
    let accounts = accounts.collect::<Result<_, _>>()?;
    let usual = Policy::default();
    let policy = Policy {
        late: unexpected(&app, "late_payments", raw.late_payments, usual.late)?,
        wrong_amount: unexpected(&app, "wrong_amounts", raw.wrong_amounts, usual.wrong_amount)?,
    };
    Ok(AppConfig { name: app, policy, accounts })
}

fn unexpected(
    app: &AppName,
    key: &str,
    word: Option<String>,
    usual: Unexpected,
) -> Result<Unexpected, ConfigError> {
    match word.as_deref() {
        None => Ok(usual),
        Some("keep") => Ok(Unexpected::Keep),
        Some("refund") => Ok(Unexpected::Refund),
        Some(word) => Err(ConfigError::new(format!(
            "app {app}: {key} = \"{word}\" must be \"keep\" or \"refund\""
        ))),
    }
}

fn refuse_twins(apps: &[AppConfig]) -> Result<(), ConfigError> {
    let mut apps_seen = HashSet::new();
    let mut accounts_seen = HashSet::new();
    for app in apps {
        if !apps_seen.insert(&app.name) {
            let message = format!("two apps are named {}; rename one of them", app.name);
            return Err(ConfigError::new(message));
        }
        for account in &app.accounts {
            if !accounts_seen.insert(&account.name) {
                return Err(ConfigError::new(format!(
                    "app {}: two accounts are named {}; give one of them a name of its own, such \
                     as name = \"{}_2\"",
                    app.name, account.name, account.name
                )));
            }
        }
    }
    Ok(())
}

/// Live keys must never reach the sandbox that runs here.
fn refuse_live_sandbox(
    apps: &[AppConfig],
    sandbox: Option<&SandboxConfig>,
) -> Result<(), ConfigError> {
    let Some(sandbox) = sandbox else { return Ok(()) };
    let base = format!("http://{}", sandbox.listen);
    for app in apps {
        let live = app.accounts.iter().filter(|account| account.mode == Mode::Live);
        for account in live {
            if account.endpoint.as_deref() == Some(&base) {
                return Err(ConfigError::new(format!(
                    "app {}, account {}: endpoint is the sandbox of this gateway; live keys must \
                     never reach it, so set livemode = false",
                    app.name, account.name
                )));
            }
        }
    }
    Ok(())
}

fn address(key: &str, text: String) -> Result<String, ConfigError> {
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    match port {
        Some(_) if !text.starts_with(':') => Ok(text),
        _ => Err(ConfigError::new(format!(
            "{key} = \"{text}\" must be an address and a port, such as 127.0.0.1:9009"
        ))),
    }
}

fn within(
    key: &str,
    count: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<usize, ConfigError> {
    let fits = range.contains(&count).then(|| usize::try_from(count).ok()).flatten();
    fits.ok_or_else(|| {
        let (low, high) = range.into_inner();
        ConfigError::new(format!("{key} = {count} must be from {low} to {high}"))
    })
}

fn polling(raw: &RawPolling) -> Result<Polling, ConfigError> {
    let backoff = match raw.backoff.as_deref() {
        None | Some("exponential") => Backoff::Exponential,
        Some("linear") => Backoff::Linear,
        Some("fixed") => Backoff::Fixed,
        Some(word) => {
            return Err(ConfigError::new(format!(
                "polling.backoff = \"{word}\" must be exponential, linear or fixed"
            )));
        }
    };
    let attempts = within("polling.attempts", raw.attempts.unwrap_or(6), 1..=1000)?;
    Ok(Polling {
        delay: span("polling.delay", raw.delay.as_deref(), Span::from_seconds(5))?,
        attempts: u32::try_from(attempts).expect("at most 1000"),
        backoff,
        ttl: span("polling.ttl", raw.ttl.as_deref(), Span::from_seconds(60))?,
    })
}

fn span(key: &str, text: Option<&str>, default: Span) -> Result<Span, ConfigError> {
    let Some(text) = text else { return Ok(default) };
    let span: Span =
        text.parse().map_err(|error| ConfigError::new(format!("{key} = \"{text}\": {error}")))?;
    if span == Span::ZERO {
        return Err(ConfigError::new(format!("{key} must be longer than nothing")));
    }
    Ok(span)
}

fn egress(raw: RawWebhooks) -> Result<Egress, ConfigError> {
    Ok(Egress {
        allow_loopback: raw.allow_loopback.unwrap_or(false),
        allow: networks("webhooks.allow", raw.allow)?,
    })
}

pub(super) fn networks(key: &str, texts: Vec<String>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: String| {
        let wrong = || format!("{key} has \"{text}\"; write networks as 10.1.0.0/16");
        text.parse().map_err(|_| ConfigError::new(wrong()))
    };
    texts.into_iter().map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{EXAMPLE, SourceFile, Sources};
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let file = SourceFile { path: "tongbao.toml".into(), text: text.to_owned() };
        Sources { file: Some(file), ..Sources::default() }.load()
    }

    fn check(text: &str, wanted: &str) {
        assert_eq!(load(text).unwrap_err().to_string(), wanted);
    }

    #[test]
    fn nothing_at_all_is_a_configuration() {
        let config = load("").unwrap();
        assert_eq!(config.server.listen, "127.0.0.1:9009");
        assert_eq!(config.database.url.expose(), "sqlite://tongbao.db");
        assert_eq!(config.polling.delay, Span::from_seconds(5));
        assert!(config.apps.is_empty() && config.sandbox.is_none());
        assert!(!config.egress.allow_loopback);
    }

    #[test]
    fn the_example_is_a_configuration() {
        let key = "BEGIN";
        let text = EXAMPLE
            .replace("_file = \"apiclient_key.pem\"", &format!(" = \"{key}\""))
            .replace("_file = \"api_v3_key.txt\"", " = \"0123456789abcdef0123456789abcdef\"");
        let config = load(&text).unwrap();
        let account = &config.apps[0].accounts[0];
        assert_eq!(account.name.as_str(), "shop_wechat_v3");
        assert_eq!(account.mode, Mode::Live);
        assert!(!format!("{config:?}").contains("0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn wrong_values_are_named_with_what_to_write() {
        check(
            "[server]\nlisten = \"9009\"",
            "server.listen = \"9009\" must be an address and a port, such as 127.0.0.1:9009",
        );
        check(
            "[server]\npublic_url = \"pay.example.com\"",
            "server.public_url = \"pay.example.com\" must be a URL, such as https://host",
        );
        check(
            "[polling]\ndelay = \"5\"",
            "polling.delay = \"5\": a length of time is a whole number and ms, s, m, h or d, such \
             as 90s",
        );
        check("[polling]\nttl = \"0s\"", "polling.ttl must be longer than nothing");
        check("[polling]\nattempts = 0", "polling.attempts = 0 must be from 1 to 1000");
        check(
            "[polling]\nbackoff = \"cubic\"",
            "polling.backoff = \"cubic\" must be exponential, linear or fixed",
        );
        check(
            "[webhooks]\nallow = [\"10.0.0.0\"]",
            "webhooks.allow has \"10.0.0.0\"; write networks as 10.1.0.0/16",
        );
        check("[[apps]]", "apps.0 has no name; add name = \"shop\"");
        check(
            "[[apps]]\nname = \"a\"\n[[apps]]\nname = \"a\"",
            "two apps are named a; rename one of them",
        );
    }

    #[test]
    fn a_profile_belongs_to_an_app_and_is_there_once() {
        let app = "[[apps]]\nname = \"shop\"\n";
        let with = |table: &str| format!("{app}[[compat]]\n{table}");
        check(
            &with("profile = \"wepya\"\napp = \"shop\""),
            "there is no compat profile \"wepya\"; the nearest known one is \"wepay\"",
        );
        check(
            &with("profile = \"wepay\""),
            "the compat profile wepay: it needs app = \"…\", whose charges it makes",
        );
        check(
            &with("profile = \"wepay\"\napp = \"ship\""),
            "the compat profile wepay: there is no app named ship",
        );
        check(
            &with("profile = \"capi\"\napp = \"shop\"\naccount = \"x\""),
            "the compat profile capi: the app shop has no account named x",
        );
        check(
            &with("profile = \"wxpay\"\napp = \"shop\"\nalipay_account = \"x\""),
            "the compat profile wxpay: the app shop has no account named x",
        );
        let wechat = "[[apps]]\nname = \"a\"\n[[apps.accounts]]\nprovider = \"wechat\"\n\
                      api = \"v2\"\napp_id = \"wx\"\nmch_id = \"1\"\napi_key = \"k\"\n[[compat]]\n\
                      app = \"a\"\nalipay_account = \"a_wechat_v2\"\n";
        check(
            &format!("{wechat}profile = \"wxpay\""),
            "the compat profile wxpay: alipay_account belongs to capi",
        );
        check(
            &format!("{wechat}profile = \"capi\""),
            "the compat profile capi: alipay_account = \"a_wechat_v2\" is no Alipay account",
        );
        check(
            &with("profile = \"capi\"\napp = \"shop\"\ncb_notify_url = \"https://a/b\""),
            "the compat profile capi: cb_notify_url belongs to wepay",
        );
        check(
            &with("profile = \"capi\"\napp = \"shop\"\npayment_function_url = \"a\""),
            "the compat profile capi: payment_function_url = \"a\" must be a URL, such as \
             https://host/path",
        );
        let wxpay = "[[compat]]\nprofile = \"wxpay\"\napp = \"shop\"\n";
        check(&format!("{app}{wxpay}{wxpay}"), "the compat profile wxpay is there twice");
        let loaded = load(&format!("{app}{wxpay}allow_from = [\"10.0.0.0/8\"]")).unwrap();
        assert!(loaded.compat[0].livemode && loaded.compat[0].allow_from.len() == 1);
    }

    #[test]
    fn accounts_of_one_kind_need_names() {
        let account = "[[apps.accounts]]\nprovider = \"wechat\"\napi = \"v2\"\napp_id = \"wx\"\n\
                       mch_id = \"1\"\napi_key = \"k\"\n";
        check(
            &format!("[[apps]]\nname = \"a\"\n{account}{account}"),
            "app a: two accounts are named a_wechat_v2; give one of them a name of its own, such \
             as name = \"a_wechat_v2_2\"",
        );
    }

    #[test]
    fn live_accounts_never_reach_the_sandbox_beside_them() {
        let text = "[sandbox]\nlisten = \"127.0.0.1:9010\"\n[[apps]]\nname = \"a\"\n\
                    [[apps.accounts]]\nprovider = \"wechat\"\napi = \"v2\"\napp_id = \"wx\"\n\
                    mch_id = \"1\"\napi_key = \"k\"\nendpoint = \"http://127.0.0.1:9010/\"\n";
        let error = load(text).unwrap_err().to_string();
        assert!(error.contains("live keys must never reach it"), "{error}");
        assert!(load(&format!("{text}livemode = false\n")).is_ok());
    }
}
