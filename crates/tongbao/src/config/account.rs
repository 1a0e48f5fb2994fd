//! One `[[apps.accounts]]` table: which keys it must have, may have and must not have, by its
//! provider and api. What the keys contain is checked by the channels.

use super::checked::base_url;
use super::nearest::nearest;
use super::raw::RawAccount;
use super::schema::{Kind, ROOT};
use super::{ConfigError, schema};
use data_encoding::BASE64;
use std::collections::BTreeMap;
use tongbao_channels::{
    AlipayKeys, AlipayLegacyKeys, Keys, MerchantP12, WechatV2Keys, WechatV3Keys,
};
use tongbao_types::{AccountName, AppName, Mode, Provider, Secret};

/// A channel account as configured.
#[derive(Debug, Clone)]
pub(crate) struct AccountConfig {
    /// Part of its notification address.
    pub(crate) name: AccountName,
    /// Which keys may use it.
    pub(crate) mode: Mode,
    /// Another address than the provider's own, without a trailing slash.
    pub(crate) endpoint: Option<String>,
    /// Who signs that address's TLS certificate, PEM.
    pub(crate) endpoint_ca: Option<String>,
    /// Another notification address than the usual one.
    pub(crate) notify_url: Option<String>,
    /// Its credentials.
    pub(crate) keys: Keys,
}

/// The name of an account that is not given one.
pub(crate) fn default_name(app: &AppName, provider: Provider, api: &str) -> AccountName {
    AccountName::new(format!("{app}_{provider}_{api}"))
        .expect("the name of an app, a provider and an api are short lower-case words")
}

/// Sorts a table of an app.
pub(super) fn check(app: &AppName, raw: RawAccount) -> Result<AccountConfig, ConfigError> {
    let mut fields = Fields { place: format!("app {app}, an account"), keys: raw.keys };
    let (provider, api) = protocol(&mut fields)?;
    let name = name(app, provider, api, &mut fields)?;
    fields.place = format!("app {app}, account {name}");
    let mode = match fields.keys.remove("livemode") {
        Some(toml::Value::Boolean(false)) => Mode::Test,
        _ => Mode::Live,
    };
    let endpoint = fields.optional("endpoint");
    let endpoint = endpoint.map(|text| base_url(&format!("{}: endpoint", fields.place), &text));
    let endpoint = endpoint.transpose()?;
    let endpoint_ca = fields.optional("endpoint_ca");
    let notify_url = fields.optional("notify_url");
    if let Some(url) = &notify_url {
        check_notify_url(url).map_err(|rule| fields.wrong(format!("notify_url {rule}")))?;
    }
    if mode == Mode::Test && endpoint.is_none() {
        return Err(fields.wrong(
            "livemode = false needs an endpoint: test keys only ever reach a sandbox, never the \
             provider's own address",
        ));
    }
    let keys = match (provider, api) {
        (Provider::Wechat, "v2") => Keys::WechatV2(wechat_v2(&mut fields)?),
        (Provider::Wechat, _) => Keys::WechatV3(wechat_v3(&mut fields)?),
        (Provider::Alipay, "legacy") => Keys::AlipayLegacy(alipay_legacy(&mut fields)?),
        (Provider::Alipay, "v3") => Keys::AlipayV3(alipay(&mut fields)?),
        (Provider::Alipay, _) => Keys::AlipayOpen(alipay(&mut fields)?),
    };
    fields.finish(&format!("{provider} {api}"))?;
    Ok(AccountConfig { name, mode, endpoint, endpoint_ca, notify_url, keys })
}

/// What providers take as a notification address; the error is the rule's end.
pub(super) fn check_notify_url(text: &str) -> Result<(), String> {
    let url = url::Url::parse(text).ok();
    let fits = url.is_some_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    if fits && text.len() <= NOTIFY_URL_BYTES_MAX {
        return Ok(());
    }
    Err(format!(
        "= \"{text}\" must be an address such as https://pay.example.com/notify, of at most \
         {NOTIFY_URL_BYTES_MAX} bytes and without a query"
    ))
}

/// What WeChat Pay and Alipay take.
const NOTIFY_URL_BYTES_MAX: usize = 256;

/// The keys of an account that are not read yet, and whose they are.
struct Fields {
    place: String,
    keys: BTreeMap<String, toml::Value>,
}

impl Fields {
    fn wrong(&self, why: impl std::fmt::Display) -> ConfigError {
        ConfigError::new(format!("{}: {why}", self.place))
    }

    fn optional(&mut self, key: &str) -> Option<String> {
        match self.keys.remove(key) {
            Some(toml::Value::String(text)) => Some(text),
            _ => None,
        }
    }

    fn required(&mut self, key: &str) -> Result<String, ConfigError> {
        let value = self.optional(key).filter(|text| !text.is_empty());
        value.ok_or_else(|| self.wrong(format!("{key} is missing ({})", about(key))))
    }

    fn secret(&mut self, key: &str) -> Result<Secret<String>, ConfigError> {
        self.required(key).map(Secret::new)
    }

    /// Whatever is left belongs to another kind of account.
    fn finish(self, kind: &str) -> Result<(), ConfigError> {
        let Some(key) = self.keys.keys().next() else { return Ok(()) };
        Err(self.wrong(format!("a {kind} account has no {key} ({}); remove it", about(key))))
    }
}

fn about(key: &str) -> String {
    let inner = |name: &str, keys: &'static [schema::Key]| {
        let found = keys.iter().find(|key| key.name == name)?;
        match found.kind {
            Kind::Tables(keys) => Some(keys),
            _ => None,
        }
    };
    let accounts = inner("apps", ROOT).and_then(|keys| inner("accounts", keys)).unwrap_or(&[]);
    let found = accounts.iter().find(|known| known.name == key);
    found.map_or(String::new(), |known| known.about.trim_end_matches('.').to_owned())
}

fn protocol(fields: &mut Fields) -> Result<(Provider, &'static str), ConfigError> {
    let provider = fields.required("provider")?;
    let api = fields.required("api")?;
    let known = [
        ("wechat", "v2"),
        ("wechat", "v3"),
        ("alipay", "open"),
        ("alipay", "v3"),
        ("alipay", "legacy"),
    ];
    match (provider.as_str(), api.as_str()) {
        ("wechat", "v2") => Ok((Provider::Wechat, "v2")),
        ("wechat", "v3") => Ok((Provider::Wechat, "v3")),
        ("alipay", "open") => Ok((Provider::Alipay, "open")),
        ("alipay", "v3") => Ok((Provider::Alipay, "v3")),
        ("alipay", "legacy") => Ok((Provider::Alipay, "legacy")),
        (provider, api) => {
            let near = nearest(provider, known.map(|(name, _)| name)).unwrap_or_default();
            let fitting: Vec<&str> =
                known.iter().filter(|(name, _)| *name == near).map(|(_, api)| *api).collect();
            Err(fields.wrong(format!(
                "provider = \"{provider}\" with api = \"{api}\" is not known; the nearest is \
                 provider = \"{near}\" with api = \"{}\"",
                fitting.join("\" or \"")
            )))
        }
    }
}

fn name(
    app: &AppName,
    provider: Provider,
    api: &str,
    fields: &mut Fields,
) -> Result<AccountName, ConfigError> {
    match fields.optional("name") {
        None => Ok(default_name(app, provider, api)),
        Some(text) => AccountName::new(text.clone())
            .map_err(|error| fields.wrong(format!("name = \"{text}\": {error}"))),
    }
}

fn wechat_v2(fields: &mut Fields) -> Result<WechatV2Keys, ConfigError> {
    let mch_id = fields.required("mch_id")?;
    Ok(WechatV2Keys {
        app_id: fields.required("app_id")?,
        p12: merchant_p12(&mch_id, fields)?,
        mch_id,
        api_key: fields.secret("api_key")?,
        sign_type: fields.optional("sign_type").unwrap_or_else(|| "MD5".to_owned()),
        sub_app_id: fields.optional("sub_app_id"),
        sub_mch_id: fields.optional("sub_mch_id"),
    })
}

fn merchant_p12(mch_id: &str, fields: &mut Fields) -> Result<Option<MerchantP12>, ConfigError> {
    let passphrase = fields.optional("p12_passphrase");
    let Some(text) = fields.optional("p12") else {
        return match passphrase {
            Some(_) => Err(fields.wrong("p12_passphrase is given without p12 or p12_file")),
            None => Ok(None),
        };
    };
    let file = BASE64
        .decode(text.as_bytes())
        .map_err(|_| fields.wrong("p12 is not base64; name the file itself in p12_file instead"))?;
    let passphrase = passphrase.unwrap_or_else(|| mch_id.to_owned());
    Ok(Some(MerchantP12 { file: Secret::new(file), passphrase: Secret::new(passphrase) }))
}

fn wechat_v3(fields: &mut Fields) -> Result<WechatV3Keys, ConfigError> {
    let certificates = fields.optional("platform_certificates");
    Ok(WechatV3Keys {
        app_id: fields.required("app_id")?,
        mch_id: fields.required("mch_id")?,
        api_v3_key: fields.secret("api_v3_key")?,
        merchant_serial: fields.required("merchant_serial")?,
        merchant_private_key: fields.secret("merchant_private_key")?,
        platform_certificates: certificates.as_deref().map(split_pem).unwrap_or_default(),
        public_key_id: fields.optional("public_key_id"),
        public_key: fields.optional("public_key"),
        sub_app_id: fields.optional("sub_app_id"),
        sub_mch_id: fields.optional("sub_mch_id"),
    })
}

fn alipay(fields: &mut Fields) -> Result<AlipayKeys, ConfigError> {
    Ok(AlipayKeys {
        app_id: fields.required("app_id")?,
        seller_id: fields.optional("seller_id"),
        app_private_key: fields.secret("app_private_key")?,
        alipay_public_key: fields.optional("alipay_public_key"),
        app_cert: fields.optional("app_cert"),
        alipay_cert: fields.optional("alipay_cert"),
        alipay_root_cert: fields.optional("alipay_root_cert"),
        aes_key: fields.optional("aes_key").map(Secret::new),
    })
}

fn alipay_legacy(fields: &mut Fields) -> Result<AlipayLegacyKeys, ConfigError> {
    Ok(AlipayLegacyKeys {
        partner: fields.required("partner")?,
        md5_key: fields.secret("md5_key")?,
        seller_email: fields.optional("seller_email"),
    })
}

/// Each PEM block by itself. Text without any stays one piece, for the channels to complain about.
fn split_pem(text: &str) -> Vec<String> {
    const BEGIN: &str = "-----BEGIN ";
    let starts: Vec<usize> = text.match_indices(BEGIN).map(|(at, _)| at).collect();
    if starts.is_empty() {
        return vec![text.to_owned()];
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(from, to)| text[*from..to].trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<AccountConfig, ConfigError> {
        check(&AppName::new("shop").unwrap(), toml::from_str(text).unwrap())
    }

    fn refused(text: &str, wanted: &str) {
        assert_eq!(table(text).unwrap_err().to_string(), wanted);
    }

    const V2: &str = "provider = \"wechat\"\napi = \"v2\"\napp_id = \"wx\"\nmch_id = \"1\"\n";

    #[test]
    fn a_mistake_is_named_with_app_account_field_and_fix() {
        refused(
            V2,
            "app shop, account shop_wechat_v2: api_key is missing (WeChat v2: the API key, 32 \
             characters)",
        );
        refused(
            &format!("{V2}api_key = \"k\"\napi_v3_key = \"x\""),
            "app shop, account shop_wechat_v2: a wechat v2 account has no api_v3_key (WeChat v3: \
             the APIv3 key, 32 bytes); remove it",
        );
        refused(
            "provider = \"weixin\"\napi = \"v3\"",
            "app shop, an account: provider = \"weixin\" with api = \"v3\" is not known; the \
             nearest is provider = \"wechat\" with api = \"v2\" or \"v3\"",
        );
        refused(
            &format!("{V2}api_key = \"k\"\nlivemode = false"),
            "app shop, account shop_wechat_v2: livemode = false needs an endpoint: test keys only \
             ever reach a sandbox, never the provider's own address",
        );
        refused(
            &format!("{V2}api_key = \"k\"\nname = \"Shop 1\""),
            "app shop, an account: name = \"Shop 1\": an account's name is 1 to 80 lower-case \
             letters, digits, - or _",
        );
    }

    #[test]
    fn a_notification_address_is_one_that_providers_take() {
        let with = |url: &str| format!("{V2}api_key = \"k\"\nnotify_url = \"{url}\"");
        let account = table(&with("http://m.example.com/apis/v1/wepay/pay_notify")).unwrap();
        assert!(account.notify_url.is_some());
        for bad in ["m.example.com/notify", "https://a/b?c=d", "ftp://a/b", ""] {
            refused(
                &with(bad),
                &format!(
                    "app shop, account shop_wechat_v2: notify_url = \"{bad}\" must be an address \
                     such as https://pay.example.com/notify, of at most 256 bytes and without a \
                     query"
                ),
            );
        }
    }

    #[test]
    fn certificates_that_follow_one_another_are_told_apart() {
        let one = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----";
        assert_eq!(split_pem(&format!("{one}\n\n{one}\n")), [one, one]);
        assert_eq!(split_pem("nonsense"), ["nonsense"]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let account = table(&format!("{V2}api_key = \"supersecret\"")).unwrap();
        assert!(!format!("{account:?}").contains("supersecret"));
    }
}
