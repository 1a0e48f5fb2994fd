//! `[[compat]]`: which older services' routes are on, for which app, and who may call them.

use super::ConfigError;
use super::account::AccountConfig;
use super::checked::{AppConfig, networks};
use super::nearest::nearest;
use super::raw::{RawCompat, RawMerchant};
use ipnet::IpNet;
use tongbao_channels::Keys;
use tongbao_compat::WepayEnv;
use tongbao_types::{AccountName, AppName, Profile};

/// One profile.
#[derive(Debug, Clone)]
pub(crate) struct CompatConfig {
    pub(crate) profile: Profile,
    pub(crate) app: AppName,
    /// Callers without a key make live charges.
    pub(crate) livemode: bool,
    pub(crate) allow_from: Vec<IpNet>,
    /// The account at WeChat Pay, if one is chosen.
    pub(crate) account: Option<AccountName>,
    /// The account at Alipay, if one is chosen.
    pub(crate) alipay_account: Option<AccountName>,
    pub(crate) cb_notify_url: Option<String>,
    pub(crate) payment_function_url: Option<String>,
    /// wepay's merchants.
    pub(crate) merchants: Vec<MerchantConfig>,
}

impl CompatConfig {
    /// The addresses where it tells of payments, each with its profile and its key.
    pub(crate) fn callbacks(&self) -> impl Iterator<Item = (Profile, &'static str, &str)> {
        let merchants = self.merchants.iter().filter_map(|one| one.cb_notify_url.as_deref());
        let notified = self.cb_notify_url.as_deref().into_iter().chain(merchants);
        let notified = notified.map(|url| ("cb_notify_url", url));
        let called = self.payment_function_url.as_deref().map(|url| ("payment_function_url", url));
        notified.chain(called).map(|(key, url)| (self.profile, key, url))
    }
}

/// A merchant of wepay.
#[derive(Debug, Clone)]
pub(crate) struct MerchantConfig {
    pub(crate) env: WepayEnv,
    pub(crate) account: AccountName,
    pub(crate) cb_notify_url: Option<String>,
}

/// Decides what was written.
pub(crate) fn check(
    tables: Vec<RawCompat>,
    apps: &[AppConfig],
) -> Result<Vec<CompatConfig>, ConfigError> {
    let mut all: Vec<CompatConfig> = Vec::new();
    for raw in tables {
        let one = profile(raw, apps)?;
        if all.iter().any(|known| known.profile == one.profile) {
            let message = format!("the compat profile {} is there twice", one.profile);
            return Err(ConfigError::new(message));
        }
        all.push(one);
    }
    Ok(all)
}

fn profile(raw: RawCompat, apps: &[AppConfig]) -> Result<CompatConfig, ConfigError> {
    let profile = known_profile(raw.profile)?;
    let wrong = |what: String| ConfigError::new(format!("the compat profile {profile}: {what}"));
    let app =
        raw.app.ok_or_else(|| wrong("it needs app = \"…\", whose charges it makes".into()))?;
    let Some(app) = apps.iter().find(|known| known.name.as_str() == app) else {
        return Err(wrong(format!("there is no app named {app}")));
    };
    let named = |name: String| {
        let known = app.accounts.iter().find(|account| account.name.as_str() == name);
        known.ok_or_else(|| wrong(format!("the app {} has no account named {name}", app.name)))
    };
    let account = raw.account.map(named).transpose()?.map(|account| account.name.clone());
    let alipay_account = raw.alipay_account.map(named).transpose()?;
    if alipay_account.is_some() && profile != Profile::Capi {
        return Err(wrong(format!("alipay_account belongs to {}", Profile::Capi)));
    }
    if let Some(other) = alipay_account.filter(|account| !is_alipay(account)) {
        return Err(wrong(format!("alipay_account = \"{}\" is no Alipay account", other.name)));
    }
    let only_for = |key: &str, owner: Profile, value: Option<String>| match value {
        Some(_) if profile != owner => Err(wrong(format!("{key} belongs to {owner}"))),
        value => value.map(|text| callback_url(profile, key, text)).transpose(),
    };
    let raw_cb = raw.cb_notify_url.clone();
    Ok(CompatConfig {
        profile,
        app: app.name.clone(),
        livemode: raw.livemode.unwrap_or(true),
        allow_from: networks("compat.allow_from", raw.allow_from)?,
        account,
        alipay_account: alipay_account.map(|account| account.name.clone()),
        cb_notify_url: only_for("cb_notify_url", Profile::Wepay, raw.cb_notify_url)?,
        payment_function_url: only_for(
            "payment_function_url",
            Profile::Capi,
            raw.payment_function_url,
        )?,
        merchants: merchants(profile, raw.merchants, app, raw_cb.is_some())?,
    })
}

fn is_alipay(account: &AccountConfig) -> bool {
    matches!(account.keys, Keys::AlipayOpen(_) | Keys::AlipayV3(_) | Keys::AlipayLegacy(_))
}

fn merchants(
    profile: Profile,
    raw: Vec<RawMerchant>,
    app: &AppConfig,
    has_common_callback: bool,
) -> Result<Vec<MerchantConfig>, ConfigError> {
    let wrong = |what: String| ConfigError::new(format!("the compat profile {profile}: {what}"));
    if profile != Profile::Wepay && !raw.is_empty() {
        return Err(wrong("merchants belong to wepay".to_owned()));
    }
    let one = |raw: RawMerchant| {
        let (Some(env), Some(account)) = (raw.env, raw.account) else {
            return Err(wrong("a merchant needs env and account".to_owned()));
        };
        let env = env.parse().map_err(|rule| wrong(format!("a merchant's {rule}, not {env}")))?;
        let known = app.accounts.iter().find(|known| known.name.as_str() == account);
        let is_wechat = |known: &&AccountConfig| known.keys.wechat_ids().is_some();
        let known = known.filter(is_wechat).ok_or_else(|| {
            wrong(format!("the app {} has no account at wechat named {account}", app.name))
        })?;
        let cb_notify_url =
            raw.cb_notify_url.map(|url| callback_url(profile, "cb_notify_url", url));
        let (account, cb_notify_url) = (known.name.clone(), cb_notify_url.transpose()?);
        Ok(MerchantConfig { env, account, cb_notify_url })
    };
    let all: Vec<MerchantConfig> = raw.into_iter().map(one).collect::<Result<_, _>>()?;
    let silent = all.iter().find(|merchant| merchant.cb_notify_url.is_none());
    match silent.filter(|_| !has_common_callback) {
        Some(silent) if all.iter().any(|merchant| merchant.cb_notify_url.is_some()) => {
            Err(wrong(format!(
                "some merchants have an address where payments are told, and {} has none; give it \
                 one (cbNotifyUrl in config.json), or set cb_notify_url for all",
                silent.account
            )))
        }
        _ => Ok(all),
    }
}

fn known_profile(word: Option<String>) -> Result<Profile, ConfigError> {
    let Some(word) = word else {
        return Err(ConfigError::new("a [[compat]] table needs a profile, such as \"wepay\""));
    };
    word.parse().map_err(|_| {
        let all = Profile::ALL.iter().map(|profile| profile.as_str());
        let near = nearest(&word, all).unwrap_or_default();
        ConfigError::new(format!(
            "there is no compat profile \"{word}\"; the nearest known one is \"{near}\""
        ))
    })
}

fn callback_url(profile: Profile, key: &str, text: String) -> Result<String, ConfigError> {
    let is_address = url::Url::parse(&text)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    if is_address {
        return Ok(text);
    }
    Err(ConfigError::new(format!(
        "the compat profile {profile}: {key} = \"{text}\" must be a URL, such as https://host/path"
    )))
}

#[cfg(test)]
mod tests {
    use super::super::{SourceFile, Sources};

    fn check(compat: &str, wanted: &str) {
        let text = format!(
            "[[apps]]\nname = \"shop\"\n[[apps.accounts]]\nprovider = \"wechat\"\napi = \"v2\"\n\
             app_id = \"wx\"\nmch_id = \"1\"\napi_key = \"k\"\n[[apps.accounts]]\n\
             provider = \"alipay\"\napi = \"legacy\"\npartner = \"2088\"\nmd5_key = \"k\"\n\
             [[compat]]\napp = \"shop\"\n{compat}"
        );
        let file = SourceFile { path: "tongbao.toml".into(), text };
        let loaded = Sources { file: Some(file), ..Sources::default() }.load();
        let found = loaded.err().map(|error| error.to_string());
        assert_eq!(found.as_deref().unwrap_or("fine"), wanted, "{compat}");
    }

    const WEPAY: &str = "profile = \"wepay\"\n";

    #[test]
    fn merchants_have_a_kind_and_an_account_at_wechat() {
        let merchant = |keys: &str| format!("{WEPAY}[[compat.merchants]]\n{keys}");
        let good = "env = \"H5\"\naccount = \"shop_wechat_v2\"\n";
        check(&merchant(good), "fine");
        check(
            &merchant("env = \"H5\""),
            "the compat profile wepay: a merchant needs env and account",
        );
        check(
            &merchant(&good.replace("H5", "PC")),
            "the compat profile wepay: a merchant's env is H5, WXAPP or APP, not PC",
        );
        check(
            &merchant(&good.replace("wechat_v2", "alipay_legacy")),
            "the compat profile wepay: the app shop has no account at wechat named \
             shop_alipay_legacy",
        );
        check(
            &merchant(good).replace("wepay", "capi"),
            "the compat profile capi: merchants belong to wepay",
        );
    }

    /// Nothing would ever be told there; what leads where by its name is looked up later.
    #[test]
    fn a_callback_inside_is_refused_unless_its_network_is_allowed() {
        let merchant = "[[compat.merchants]]\nenv = \"H5\"\naccount = \"shop_wechat_v2\"\n";
        let why = "10.1.0.5 lies in a private, link-local or reserved network, which webhooks may \
                   not reach; the operator can allow it with [webhooks] allow";
        let allowed = "[webhooks]\nallow = [\"10.1.0.0/16\"]\n";
        for (profile, table, key) in [
            ("wepay", "", "cb_notify_url"),
            ("wepay", merchant, "cb_notify_url"),
            ("capi", "", "payment_function_url"),
        ] {
            let with = |url: &str| format!("profile = \"{profile}\"\n{table}{key} = \"{url}\"\n");
            let inside = with("http://10.1.0.5/x");
            let error =
                format!("the compat profile {profile}: {key} = \"http://10.1.0.5/x\": {why}");
            check(&inside, &error);
            check(&format!("{inside}{allowed}"), "fine");
            check(&with("http://sharks-api/pay_notify"), "fine");
        }
    }

    /// One merchant's payments would be told to nobody, in silence.
    #[test]
    fn all_merchants_are_told_or_none() {
        let merchant = "[[compat.merchants]]\nenv = \"H5\"\naccount = \"shop_wechat_v2\"\n";
        let told = format!("{merchant}cb_notify_url = \"http://a/b\"\n");
        check(&format!("{WEPAY}{told}{told}"), "fine");
        check(&format!("{WEPAY}{merchant}{merchant}"), "fine");
        check(&format!("{WEPAY}cb_notify_url = \"http://a/c\"\n{told}{merchant}"), "fine");
        check(
            &format!("{WEPAY}{told}{merchant}"),
            "the compat profile wepay: some merchants have an address where payments are told, and \
             shop_wechat_v2 has none; give it one (cbNotifyUrl in config.json), or set \
             cb_notify_url for all",
        );
    }

    #[test]
    fn an_older_file_excludes_what_it_decides_itself() {
        let config = "config = \"config.json\"\n";
        check(
            &format!("profile = \"capi\"\n{config}"),
            "the compat profile capi: config belongs to wepay",
        );
        check(
            &format!("{WEPAY}{config}account = \"shop_wechat_v2\""),
            "the compat profile wepay: config and account are both given; keep one of them",
        );
        check(
            &format!("{WEPAY}{config}[[compat.merchants]]\nenv = \"H5\""),
            "the compat profile wepay: config and merchants are both given; keep one of them",
        );
        check(
            &format!("{WEPAY}{config}livemode = false"),
            "the compat profile wepay: config with livemode = false needs an endpoint: test keys \
             only ever reach a sandbox, never WeChat Pay's own address",
        );
        check(
            &format!("{WEPAY}endpoint = \"http://a\""),
            "the compat profile wepay: endpoint and endpoint_ca are for the merchants of config; \
             elsewhere they belong to the account",
        );
    }
}
