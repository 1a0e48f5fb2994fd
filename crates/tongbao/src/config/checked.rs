//! The configuration once every value is parsed, has its default and fits the others.
//!
//! Account credentials are only sorted here; their keys are read by the channels.

use super::ConfigError;
use super::account::{self, AccountConfig};
use super::compat::{self, CompatConfig};
use super::raw::{Raw, RawApp, RawLimits, RawPolling, RawSandbox, RawWebhooks};
use super::security::{self, SecurityConfig};
use super::wepay;
use ipnet::IpNet;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use tongbao_core::{Backoff, Policy, Polling, Unexpected};
use tongbao_engine::Egress;
use tongbao_types::{AppName, Mode, Secret, Span};
use tongbao_web::Limits;

/// Everything that a gateway is made from.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) server: ServerConfig,
    pub(crate) database: DatabaseConfig,
    pub(crate) security: SecurityConfig,
    pub(crate) apps: Vec<AppConfig>,
    pub(crate) limits: LimitsConfig,
    pub(crate) polling: Polling,
    pub(crate) egress: Egress,
    pub(crate) sandbox: Option<SandboxConfig>,
    pub(crate) compat: Vec<CompatConfig>,
    pub(crate) log: LogConfig,
    /// Files that hold secrets and that every user of the machine may read.
    pub(crate) open_files: Vec<PathBuf>,
}

impl Config {
    /// The addresses where profiles tell of payments.
    pub(crate) fn callbacks(&self) -> impl Iterator<Item = &str> {
        self.compat.iter().flat_map(CompatConfig::callbacks).map(|(.., url)| url)
    }
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
    /// How long requests are served after the word to stop.
    pub(crate) drain: Span,
}

/// Where everything is kept.
#[derive(Debug)]
pub(crate) struct DatabaseConfig {
    /// May contain a password.
    pub(crate) url: Secret<String>,
    /// How many writes share one commit at most.
    pub(crate) batch_max: usize,
    /// How long a job is held, if somebody says so.
    pub(crate) lease: Option<Span>,
}

/// How many may come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitsConfig {
    /// At once, if the system allows so many.
    pub(crate) connections: usize,
    /// The rest of it; how many may watch follows from the connections.
    pub(crate) gate: Limits,
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

impl SandboxConfig {
    /// Whether this machine alone reaches it.
    pub(crate) fn is_local(&self) -> bool {
        let address = self.listen.parse::<SocketAddr>().map(|address| address.ip().is_loopback());
        address.unwrap_or_else(|_| self.listen.starts_with("localhost:"))
    }
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
    let egress = egress(raw.webhooks)?;
    refuse_callbacks_inside(&compat, &egress)?;
    let lease = raw.database.lease.map(|text| span("database.lease", Some(&text), Span::ZERO));
    Ok(Config {
        server: ServerConfig {
            listen: address("server.listen", listen)?,
            public_url: public_url.transpose()?,
            trusted_proxies: networks("server.trusted_proxies", raw.server.trusted_proxies)?,
            drain: drain(raw.server.drain.as_deref())?,
        },
        database: DatabaseConfig {
            url: Secret::new(raw.database.url.unwrap_or_else(|| "sqlite://tongbao.db".to_owned())),
            batch_max: within("database.batch_max", batch_max, 1..=10_000)?,
            lease: lease.transpose()?,
        },
        security: security::check(raw.security)?,
        apps,
        limits: limits(&raw.limits)?,
        polling: polling(&raw.polling)?,
        egress,
        sandbox,
        compat,
        log: LogConfig {
            filter: raw.log.filter.unwrap_or_else(|| "info".to_owned()),
            file: raw.log.file.map(PathBuf::from),
        },
        open_files: raw.open_files,
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
    for app in apps {
        let live = app.accounts.iter().filter(|account| account.mode == Mode::Live);
        for account in live {
            if account.endpoint.as_deref().is_some_and(|base| leads_to(base, &sandbox.listen)) {
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

/// Whether an address leads to a listener of this machine, by whichever of its names.
fn leads_to(base: &str, listen: &str) -> bool {
    let parsed = |text: &str| url::Url::parse(text).ok();
    let (Some(base), Some(listen)) = (parsed(base), parsed(&format!("http://{listen}"))) else {
        return false;
    };
    let is_here = match base.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(url::Host::Ipv6(address)) => match address.to_canonical() {
            IpAddr::V4(v4) => v4.is_loopback() || v4.is_unspecified(),
            IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified(),
        },
        Some(url::Host::Domain(name)) => name.trim_end_matches('.') == "localhost",
        None => false,
    };
    let same_port = base.port_or_known_default() == listen.port_or_known_default();
    same_port && (is_here || base.host() == listen.host())
}

/// A payment could never be told there, so it is said now and not after three days of tries.
fn refuse_callbacks_inside(compat: &[CompatConfig], egress: &Egress) -> Result<(), ConfigError> {
    for (profile, key, text) in compat.iter().flat_map(CompatConfig::callbacks) {
        let checked = url::Url::parse(text).map_or(Ok(()), |url| egress.check_url(&url));
        checked.map_err(|why| {
            ConfigError::new(format!("the compat profile {profile}: {key} = \"{text}\": {why}"))
        })?;
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

fn limits(raw: &RawLimits) -> Result<LimitsConfig, ConfigError> {
    let usual = Limits::default();
    let count = |name: &str, value: Option<i64>, usual: usize| {
        let Some(value) = value else { return Ok(usual) };
        within(&format!("limits.{name}"), value, 1..=1_000_000)
    };
    let rate = |name: &str, value: Option<i64>, usual: u32| {
        let usual = usize::try_from(usual).expect("a u32 fits");
        count(name, value, usual).map(|count| u32::try_from(count).expect("at most a million"))
    };
    Ok(LimitsConfig {
        connections: count("connections", raw.connections, 4096)?,
        gate: Limits {
            orders_under_way: count(
                "orders_under_way",
                raw.orders_under_way,
                usual.orders_under_way,
            )?,
            requests_per_key: rate(
                "requests_per_key",
                raw.requests_per_key,
                usual.requests_per_key,
            )?,
            requests_per_address: rate(
                "requests_per_address",
                raw.requests_per_address,
                usual.requests_per_address,
            )?,
            wrong_keys_per_address: rate(
                "wrong_keys_per_address",
                raw.wrong_keys_per_address,
                usual.wrong_keys_per_address,
            )?,
            ..usual
        },
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

/// Nothing at all is usual here. An orchestrator that waits less long kills the process meanwhile.
fn drain(text: Option<&str>) -> Result<Span, ConfigError> {
    match text {
        None | Some("0" | "0s") => Ok(Span::ZERO),
        text => span("server.drain", text, Span::ZERO),
    }
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
        check(
            "[limits]\norders_under_way = 0",
            "limits.orders_under_way = 0 must be from 1 to 1000000",
        );
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
        let with = |listen: &str, endpoint: &str| {
            let text = text.replacen("127.0.0.1:9010\"", &format!("{listen}\""), 1);
            load(&text.replace("http://127.0.0.1:9010/", endpoint))
        };
        for (listen, endpoint) in [
            ("127.0.0.1:9010", "http://localhost:9010"),
            ("127.0.0.1:9010", "http://LOCALHOST.:9010/"),
            ("127.0.0.1:9010", "http://127.1:9010"),
            ("0.0.0.0:9010", "http://[::ffff:127.0.0.1]:9010"),
            ("[::]:9010", "http://[::1]:9010"),
            ("10.0.0.5:9010", "http://10.0.0.5:9010"),
            ("sandbox.internal:80", "http://sandbox.internal"),
        ] {
            let error = with(listen, endpoint).unwrap_err().to_string();
            assert!(error.contains("live keys must never reach it"), "{error}");
        }
        let is_local = |listen: &str| {
            let config = load(&format!("[sandbox]\nlisten = \"{listen}\"\n")).unwrap();
            config.sandbox.unwrap().is_local()
        };
        assert!(is_local("127.0.0.1:9010") && is_local("[::1]:9010") && is_local("localhost:1"));
        assert!(!is_local("0.0.0.0:9010") && !is_local("10.0.0.5:9010") && !is_local("box:1"));
        for endpoint in ["http://localhost:9011", "http://10.0.0.5:9010", "https://api.example"] {
            assert!(with("127.0.0.1:9010", endpoint).is_ok(), "{endpoint}");
        }
    }
}
