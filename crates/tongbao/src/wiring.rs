//! From a configuration to an engine: the database is opened, accounts become adapters, the ports
//! get their real implementations. Nothing runs yet; that is `running.rs`.

use crate::config::{AccountConfig, AppConfig, CompatConfig, Config, default_name};
use crate::host::OsDice;
use crate::master_keys::{self, Missing};
use crate::wire::HttpWire;
use anyhow::Context;
use std::collections::HashSet;
use std::sync::Arc;
use tongbao_channels::{
    AccountSetup, AlipayKeys, AlipayLegacyKeys, Keys, WechatV2Keys, WechatV3Keys, adapter,
};
use tongbao_compat::{CompatSettings, ModeAccounts, ProfileSetup, WepayEnv, WepayMerchant};
use tongbao_engine::{Account, App, Clock, Engine, Ports, Setup};
use tongbao_sandbox::Credentials;
use tongbao_types::{AccountName, AppName, Mode, Provider, Secret, Span};
use tongbao_web::Gate;

/// Whether other processes may use the database at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// This process serves; another one that serves from the same file is refused.
    Alone,
    /// A short command, perhaps beside a process that serves.
    Beside,
}

/// How long a provider may take to answer one call.
const CALL_TIMEOUT: Span = Span::from_seconds(10);

/// Opens the database and joins everything. `public_url` is how the gateway is reached.
pub(crate) async fn engine(
    config: &Config,
    public_url: &str,
    clock: Arc<dyn Clock>,
    ownership: Ownership,
) -> anyhow::Result<Engine> {
    let accounts = accounts(config, public_url)?;
    if ownership == Ownership::Alone {
        master_keys::demand(config)?;
    }
    let options = tongbao_store::Options {
        batch_max: config.database.batch_max,
        exclusive: ownership == Ownership::Alone,
        ..tongbao_store::Options::default()
    };
    let store = tongbao_store::open(config.database.url.expose(), options).await;
    let store = store.context("the database cannot be opened")?;
    let missing = match ownership {
        Ownership::Alone => Missing::Make,
        Ownership::Beside => Missing::Leave,
    };
    let master_keys = master_keys::find(config, &store, missing, &OsDice).await?;
    if ownership == Ownership::Alone {
        master_keys::prepare(&store, &master_keys, clock.as_ref(), &OsDice).await?;
    }
    let ports = Ports {
        store: Arc::new(store),
        wire: Arc::new(HttpWire::new(config.egress.clone())),
        clock,
        dice: Arc::new(OsDice),
    };
    let setup = Setup {
        apps: config.apps.iter().map(|one| app(one, config)).collect(),
        accounts,
        polling: config.polling,
        public_url: public_url.to_owned(),
        egress: config.egress.clone(),
        call_timeout: CALL_TIMEOUT,
        lease: config.database.lease,
        callbacks: tongbao_compat::forwards(compat(config)),
        master_keys,
    };
    Engine::new(ports, setup).map_err(anyhow::Error::msg)
}

fn app(app: &AppConfig, config: &Config) -> App {
    let keeps_replies = config.compat.iter().any(|compat| compat.app == app.name);
    App { name: app.name.clone(), policy: app.policy, keeps_replies }
}

/// The profiles with the accounts that they go through.
pub(crate) fn compat(config: &Config) -> CompatSettings {
    let profiles = config.compat.iter().map(|compat| Arc::new(profile(compat, config))).collect();
    let trusted_proxies = config.server.trusted_proxies.clone();
    CompatSettings { trusted_proxies, gate: Gate::default(), profiles }
}

fn profile(compat: &CompatConfig, config: &Config) -> ProfileSetup {
    let app = config.apps.iter().find(|app| app.name == compat.app);
    let accounts = app.map_or(&[][..], |app| &app.accounts);
    ProfileSetup {
        profile: compat.profile,
        app: compat.app.clone(),
        livemode: compat.livemode,
        allow_from: compat.allow_from.clone(),
        test: mode_accounts(accounts, Mode::Test, compat),
        live: mode_accounts(accounts, Mode::Live, compat),
        alipay_account: compat.alipay_account.clone(),
        merchants: merchants(accounts, compat),
        cb_notify_url: compat.cb_notify_url.clone(),
        payment_function_url: compat.payment_function_url.clone(),
    }
}

/// The older services speak WeChat's API v2 and Alipay's OpenAPI 2.0, so those come first.
fn mode_accounts(accounts: &[AccountConfig], mode: Mode, compat: &CompatConfig) -> ModeAccounts {
    let own = || accounts.iter().filter(|account| account.mode == mode);
    let first = |is: fn(&Keys) -> bool| {
        own().find(|account| is(&account.keys)).map(|account| account.name.clone())
    };
    let chosen = own().find(|account| Some(&account.name) == compat.account.as_ref());
    let chosen = chosen.map(|account| account.name.clone());
    ModeAccounts {
        wechat: chosen.or_else(|| first(|keys| matches!(keys, Keys::WechatV2(_)))),
        alipay: first(|keys| matches!(keys, Keys::AlipayOpen(_))),
        alipay_legacy: first(|keys| matches!(keys, Keys::AlipayLegacy(_))),
    }
}

/// wepay's merchants: those that are configured, and in a mode without any the account that serves
/// the profile there.
fn merchants(accounts: &[AccountConfig], compat: &CompatConfig) -> Vec<WepayMerchant> {
    let find = |name: &AccountName| accounts.iter().find(|account| account.name == *name);
    let listed = compat.merchants.iter().filter_map(|merchant| {
        let account = find(&merchant.account)?;
        wepay_merchant(account, Some(merchant.env), merchant.cb_notify_url.clone())
    });
    let mut all: Vec<WepayMerchant> = listed.collect();
    for mode in [Mode::Live, Mode::Test] {
        if all.iter().all(|merchant| merchant.mode != mode) {
            let usual = mode_accounts(accounts, mode, compat).wechat;
            let usual = usual.and_then(|name| wepay_merchant(find(&name)?, None, None));
            all.extend(usual);
        }
    }
    all
}

fn wepay_merchant(
    account: &AccountConfig,
    env: Option<WepayEnv>,
    cb_notify_url: Option<String>,
) -> Option<WepayMerchant> {
    let (app_id, mch_id) = account.keys.wechat_ids()?;
    Some(WepayMerchant {
        env,
        mode: account.mode,
        app_id: app_id.to_owned(),
        mch_id: mch_id.to_owned(),
        account: account.name.clone(),
        cb_notify_url,
    })
}

/// Gives every app test accounts at the sandbox, after those that it has.
pub(crate) fn add_sandbox_accounts(config: &mut Config, credentials: &Credentials, base: &str) {
    let taken = config.apps.iter().flat_map(|app| &app.accounts);
    let mut taken: HashSet<AccountName> = taken.map(|account| account.name.clone()).collect();
    for app in &mut config.apps {
        for (provider, api, keys) in sandbox_keys(credentials) {
            let name = free_name(&app.name, provider, api, &taken);
            taken.insert(name.clone());
            let endpoint = Some(base.to_owned());
            let mode = Mode::Test;
            let (endpoint_ca, notify_url) = (None, None);
            let account = AccountConfig { name, mode, endpoint, endpoint_ca, notify_url, keys };
            app.accounts.push(account);
        }
    }
}

fn free_name(
    app: &AppName,
    provider: Provider,
    api: &str,
    taken: &HashSet<AccountName>,
) -> AccountName {
    let name = default_name(app, provider, api);
    if !taken.contains(&name) {
        return name;
    }
    let name = format!("{name}_sandbox");
    AccountName::new(name).expect("a name of an app, a provider, an api and a word is short")
}

fn sandbox_keys(credentials: &Credentials) -> [(Provider, &'static str, Keys); 4] {
    let Credentials { wechat, alipay } = credentials;
    let v3 = WechatV3Keys {
        app_id: wechat.app_id.clone(),
        mch_id: wechat.mch_id.clone(),
        api_v3_key: Secret::new(wechat.api_v3_key.clone()),
        merchant_serial: wechat.merchant_serial.clone(),
        merchant_private_key: Secret::new(wechat.merchant_private_key.clone()),
        platform_certificates: vec![wechat.platform_certificate.clone()],
        public_key_id: Some(wechat.platform_public_key_id.clone()),
        public_key: Some(wechat.platform_public_key.clone()),
        sub_app_id: None,
        sub_mch_id: None,
    };
    let v2 = WechatV2Keys {
        app_id: wechat.app_id.clone(),
        mch_id: wechat.mch_id.clone(),
        api_key: Secret::new(wechat.api_key.clone()),
        sign_type: "MD5".to_owned(),
        sub_app_id: None,
        sub_mch_id: None,
        p12: None,
    };
    let open = AlipayKeys {
        app_id: alipay.app_id.clone(),
        seller_id: Some(alipay.seller_id.clone()),
        app_private_key: Secret::new(alipay.app_private_key.clone()),
        alipay_public_key: Some(alipay.alipay_public_key.clone()),
        app_cert: None,
        alipay_cert: None,
        alipay_root_cert: None,
        aes_key: None,
    };
    let legacy = AlipayLegacyKeys {
        partner: alipay.legacy_partner.clone(),
        md5_key: Secret::new(alipay.legacy_md5_key.clone()),
        seller_email: Some(alipay.seller_email.clone()),
    };
    [
        (Provider::Wechat, "v3", Keys::WechatV3(v3)),
        (Provider::Wechat, "v2", Keys::WechatV2(v2)),
        (Provider::Alipay, "open", Keys::AlipayOpen(open)),
        (Provider::Alipay, "legacy", Keys::AlipayLegacy(legacy)),
    ]
}

fn accounts(config: &Config, public_url: &str) -> anyhow::Result<Vec<Account>> {
    let mut all = Vec::new();
    for app in &config.apps {
        for account in &app.accounts {
            let setup = AccountSetup {
                name: account.name.clone(),
                keys: account.keys.clone(),
                endpoint: account.endpoint.clone(),
                endpoint_ca: account.endpoint_ca.clone(),
                public_url: public_url.to_owned(),
                notify_url: account.notify_url.clone(),
            };
            let adapter = adapter(setup)
                .with_context(|| format!("app {}, account {}", app.name, account.name))?;
            all.push(Account { app: app.name.clone(), mode: account.mode, adapter });
        }
    }
    Ok(all)
}
