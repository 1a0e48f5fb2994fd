//! wepay's own `config.json`: one merchant or a list of them, with their .p12 files beside it. Each
//! becomes an account at WeChat Pay, API v2.
//!
//! The older service's document shows the file as JavaScript; who wrote it so is told what to
//! write. Names that are not known are passed over, as the older service did.

use super::ConfigError;
use super::account::{AccountConfig, check_notify_url};
use super::checked::{AppConfig, base_url};
use super::raw::{RawCompat, RawMerchant};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tongbao_channels::{AccountSetup, Keys, MerchantP12, WechatV2Keys, adapter};
use tongbao_compat::WepayEnv;
use tongbao_types::{AccountName, Mode, Profile, Secret};

/// A merchant as the file has it.
#[derive(Debug, Clone)]
pub(crate) struct FileMerchant {
    pub(crate) env: WepayEnv,
    /// `wepay_<mchId>_<env>`; two of one kind have the appid at the end.
    pub(crate) name: AccountName,
    pub(crate) keys: WechatV2Keys,
    pub(crate) notify_url: Option<String>,
    pub(crate) cb_notify_url: Option<String>,
}

/// The names that are read. `_payUrl` is known and not used.
const NAMES: [&str; 11] = [
    "env",
    "type",
    "appId",
    "mchId",
    "notifyUrl",
    "partnerKey",
    "pfx",
    "passphrase",
    "cbNotifyUrl",
    "sub_app_id",
    "sub_mch_id",
];

/// A list of merchants is short, and so is its file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Adds the merchants of each `config` to its app, and lists them in its table.
pub(super) fn add_accounts(
    tables: &mut [RawCompat],
    apps: &mut [AppConfig],
) -> Result<(), ConfigError> {
    for table in tables {
        let Some(config) = table.config.take() else {
            refuse_without_config(table)?;
            continue;
        };
        refuse_beside_config(table)?;
        let app = apps.iter_mut().find(|app| Some(app.name.as_str()) == table.app.as_deref());
        // An app that is missing is told where the table is checked.
        let Some(app) = app else { continue };
        let mode = if table.livemode.unwrap_or(true) { Mode::Live } else { Mode::Test };
        let endpoint = table.endpoint.take();
        let endpoint = endpoint.map(|text| base_url("the compat profile wepay: endpoint", &text));
        let endpoint = endpoint.transpose()?;
        if mode == Mode::Test && endpoint.is_none() {
            return Err(wrong(
                "config with livemode = false needs an endpoint: test keys only ever reach a \
                 sandbox, never WeChat Pay's own address",
            ));
        }
        let endpoint_ca = table.endpoint_ca.take();
        for merchant in read(&config)? {
            table.merchants.push(RawMerchant {
                env: Some(merchant.env.as_str().to_owned()),
                account: Some(merchant.name.to_string()),
                cb_notify_url: merchant.cb_notify_url,
            });
            app.accounts.push(AccountConfig {
                name: merchant.name,
                mode,
                endpoint: endpoint.clone(),
                endpoint_ca: endpoint_ca.clone(),
                notify_url: merchant.notify_url,
                keys: Keys::WechatV2(merchant.keys),
            });
        }
    }
    Ok(())
}

fn wrong(what: &str) -> ConfigError {
    ConfigError::new(format!("the compat profile wepay: {what}"))
}

fn refuse_without_config(table: &RawCompat) -> Result<(), ConfigError> {
    if table.endpoint.is_none() && table.endpoint_ca.is_none() {
        return Ok(());
    }
    let profile = table.profile.as_deref().unwrap_or_default();
    Err(ConfigError::new(format!(
        "the compat profile {profile}: endpoint and endpoint_ca are for the merchants of config; \
         elsewhere they belong to the account"
    )))
}

fn refuse_beside_config(table: &RawCompat) -> Result<(), ConfigError> {
    let profile = table.profile.as_deref().unwrap_or_default();
    if profile != Profile::Wepay.as_str() {
        let text = format!("the compat profile {profile}: config belongs to wepay");
        return Err(ConfigError::new(text));
    }
    if !table.merchants.is_empty() {
        return Err(wrong("config and merchants are both given; keep one of them"));
    }
    if table.account.is_some() {
        return Err(wrong("config and account are both given; keep one of them"));
    }
    Ok(())
}

/// Reads the file and the .p12 files that it names.
pub(crate) fn read(path: &Path) -> Result<Vec<FileMerchant>, ConfigError> {
    let cannot = |error: &dyn std::fmt::Display| {
        ConfigError::new(format!("wepay's {} cannot be read: {error}", path.display()))
    };
    let length = std::fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if length > FILE_BYTES_MAX {
        return Err(cannot(&"it is longer than 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| cannot(&error))?;
    let objects = objects(&text)
        .map_err(|why| ConfigError::new(format!("wepay's {}: {why}", path.display())))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut all: Vec<FileMerchant> = Vec::new();
    for (idx, object) in objects.iter().enumerate() {
        let place = format!("wepay's {}, merchant {}", path.display(), idx + 1);
        let entry = Entry { place, object };
        let merchant = entry.merchant(folder, &all)?;
        all.push(merchant);
    }
    Ok(all)
}

/// The objects in the file, or what is wrong with its text.
fn objects(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| explain(text, &error))?;
    let list = match value {
        Value::Array(list) => list,
        one => vec![one],
    };
    let object = |value: Value| match value {
        Value::Object(object) => Ok(object),
        _ => Err("it must hold one object, or a list of objects".to_owned()),
    };
    let objects: Vec<_> = list.into_iter().map(object).collect::<Result<_, _>>()?;
    if objects.is_empty() { Err("it lists no merchant".to_owned()) } else { Ok(objects) }
}

/// What to write instead of JavaScript. The line itself is not shown, since it may hold a key.
fn explain(text: &str, error: &serde_json::Error) -> String {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default().trim_start();
    let mut advice = Vec::new();
    if text.contains("readFileSync") {
        advice.push(PFX_ADVICE);
    }
    if text.contains('\'') {
        advice.push("texts stand in double quotes (\"), not in single ones (')");
    }
    if text.lines().any(|line| has_bare_name(line.trim_start())) {
        advice.push("names stand in double quotes, such as \"env\": \"H5\"");
    }
    if text.contains("//") && line.starts_with("//") || text.contains("/*") {
        advice.push("there are no comments");
    }
    let begin = format!("line {}, column {}: this is not JSON", error.line(), error.column());
    if advice.is_empty() {
        format!("{begin} ({error})")
    } else {
        format!("{begin}; {}", advice.join("; "))
    }
}

const PFX_ADVICE: &str = "pfx is the name of the file alone, such as \
                          \"pfx\": \"apiclient_cert_1900000001.p12\", not fs.readFileSync(…)";

/// Whether a line begins like `env: …`, as JavaScript has it.
fn has_bare_name(line: &str) -> bool {
    let line = line.trim_start_matches(['[', '{', ' ']);
    let Some((name, _)) = line.split_once(':') else { return false };
    NAMES.contains(&name.trim()) || name.trim() == "_payUrl"
}

/// A merchant that is being read.
struct Entry<'a> {
    place: String,
    object: &'a Map<String, Value>,
}

impl Entry<'_> {
    fn merchant(
        &self,
        folder: &Path,
        before: &[FileMerchant],
    ) -> Result<FileMerchant, ConfigError> {
        self.refuse_other_cases()?;
        let env = self.need("env", "H5, WXAPP or APP")?;
        let env: WepayEnv = env.parse().map_err(|rule| self.wrong(format!("{rule}, not {env}")))?;
        let (sub_app_id, sub_mch_id) = self.sub_merchant()?;
        let mch_id = self.need("mchId", "WeChat's merchant number")?;
        let passphrase = self.text("passphrase")?.unwrap_or_else(|| mch_id.clone());
        let p12 = self.pfx(folder)?.map(|path| self.p12(&path, passphrase)).transpose()?;
        let keys = WechatV2Keys {
            app_id: self.need("appId", "the appid, wx…")?,
            mch_id,
            api_key: Secret::new(self.need("partnerKey", "the API key, 32 characters")?),
            sign_type: "MD5".to_owned(),
            sub_app_id,
            sub_mch_id,
            p12,
        };
        let notify_url = self.text("notifyUrl")?;
        if let Some(url) = &notify_url {
            check_notify_url(url).map_err(|rule| self.wrong(format!("notifyUrl {rule}")))?;
        }
        let name = self.name(env, &keys, before)?;
        self.check_keys(&name, &keys)?;
        let cb_notify_url = self.text("cbNotifyUrl")?;
        Ok(FileMerchant { env, name, keys, notify_url, cb_notify_url })
    }

    fn wrong(&self, what: impl std::fmt::Display) -> ConfigError {
        ConfigError::new(format!("{}: {what}", self.place))
    }

    /// A text; a number is taken as its digits, as JavaScript would. An empty one is none.
    fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        match self.object.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(self.wrong(format!("{name} must be a text in double quotes"))),
        }
    }

    fn need(&self, name: &str, about: &str) -> Result<String, ConfigError> {
        self.text(name)?.ok_or_else(|| self.wrong(format!("{name} is missing ({about})")))
    }

    /// `cbNotifyURL` would be passed over in silence.
    fn refuse_other_cases(&self) -> Result<(), ConfigError> {
        for word in self.object.keys() {
            let meant = NAMES.iter().find(|name| name.eq_ignore_ascii_case(word));
            if let Some(meant) = meant.filter(|name| *name != word) {
                return Err(self.wrong(format!("write {meant}, not {word}")));
            }
        }
        Ok(())
    }

    fn sub_merchant(&self) -> Result<(Option<String>, Option<String>), ConfigError> {
        let sub = (self.text("sub_app_id")?, self.text("sub_mch_id")?);
        match self.text("type")?.as_deref() {
            Some("服务商") => Ok(sub),
            None | Some("普通商户") if sub == (None, None) => Ok(sub),
            None | Some("普通商户") => Err(self.wrong(
                "sub_mch_id and sub_app_id belong to a service provider: \"type\": \"服务商\"",
            )),
            Some(other) => Err(self.wrong(format!("type is 普通商户 or 服务商, not {other}"))),
        }
    }

    fn pfx(&self, folder: &Path) -> Result<Option<PathBuf>, ConfigError> {
        match self.text("pfx")? {
            Some(text) if text.contains("readFileSync") => Err(self.wrong(PFX_ADVICE)),
            name => Ok(name.map(|name| folder.join(name))),
        }
    }

    fn p12(&self, path: &Path, passphrase: String) -> Result<MerchantP12, ConfigError> {
        let file = std::fs::read(path).map_err(|error| {
            self.wrong(format!("pfx names {}, which cannot be read: {error}", path.display()))
        })?;
        Ok(MerchantP12 { file: Secret::new(file), passphrase: Secret::new(passphrase) })
    }

    fn name(
        &self,
        env: WepayEnv,
        keys: &WechatV2Keys,
        before: &[FileMerchant],
    ) -> Result<AccountName, ConfigError> {
        let WechatV2Keys { app_id, mch_id, .. } = keys;
        let short = format!("wepay_{mch_id}_{}", env.as_str()).to_lowercase();
        let long = format!("{short}_{app_id}").to_lowercase();
        let is_taken = |name: &str| before.iter().any(|one| one.name.as_str() == name);
        let text = if is_taken(&short) { long } else { short };
        let same = |one: &&FileMerchant| {
            one.env == env && one.keys.mch_id == *mch_id && one.keys.app_id == *app_id
        };
        if before.iter().any(|one| same(&one)) || is_taken(&text) {
            let env = env.as_str();
            return Err(self.wrong(format!("{mch_id} with {app_id} and {env} is there twice")));
        }
        AccountName::new(text).map_err(|_| {
            self.wrong(
                "mchId is digits and appId letters and digits, as the merchant platform has them",
            )
        })
    }

    /// What would be found when the account is made, in the words of this file.
    fn check_keys(&self, name: &AccountName, keys: &WechatV2Keys) -> Result<(), ConfigError> {
        let setup = AccountSetup {
            name: name.clone(),
            keys: Keys::WechatV2(keys.clone()),
            endpoint: None,
            endpoint_ca: None,
            public_url: String::new(),
            notify_url: None,
        };
        let Err(error) = adapter(setup) else { return Ok(()) };
        let field = match error.field {
            "app_id" => "appId",
            "mch_id" => "mchId",
            "api_key" => "partnerKey",
            "p12" => "pfx and passphrase",
            other => other,
        };
        Err(self.wrong(format!("{field}: {}", error.message)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &[&str]) {
        let error = objects(text).unwrap_err();
        for part in wanted {
            assert!(error.contains(part), "{part:?} is not in: {error}");
        }
    }

    /// The older document shows JavaScript; each habit of it is answered with what to write.
    #[test]
    fn javascript_is_told_what_to_write() {
        let pfx = "\"pfx\": \"apiclient_cert_1900000001.p12\", not fs.readFileSync(…)";
        check(
            "{\n  env: 'H5',\n  pfx: fs.readFileSync(__dirname + '/x.p12')\n}",
            &[
                "line 2, column 3",
                pfx,
                "double quotes (\"), not in single ones",
                "names stand in double quotes",
            ],
        );
        check("[{\"env\": 'H5'}]", &["line 1", "not in single ones"]);
        check("{\"env\": \"H5\",}", &["line 1", "trailing comma"]);
        check("// mine\n{}", &["there are no comments"]);
        check("[]", &["it lists no merchant"]);
        check("[1]", &["a list of objects"]);
        assert!(objects("\u{feff}[{}]").is_ok());
    }

    fn entry(json: &str) -> Result<FileMerchant, String> {
        let object = serde_json::from_str(json).unwrap();
        let entry = Entry { place: "merchant 1".to_owned(), object: &object };
        entry.merchant(Path::new("/nowhere"), &[]).map_err(|error| error.to_string())
    }

    const KEY: &str = "0123456789abcdef0123456789abcdef";

    fn with(more: &str) -> String {
        format!(
            r#"{{"env": "H5", "appId": "wx0123456789abcdef", "mchId": 1900000001,
                "partnerKey": "{KEY}", "_payUrl": "http://m.example/eshop", "x": true{more}}}"#
        )
    }

    #[test]
    fn a_merchant_becomes_an_account_named_after_it() {
        let merchant =
            entry(&with(r#", "type": "普通商户", "cbNotifyUrl": "http://a/b""#)).unwrap();
        assert_eq!(merchant.name.as_str(), "wepay_1900000001_h5");
        assert_eq!(merchant.keys.mch_id, "1900000001");
        assert_eq!(merchant.cb_notify_url.as_deref(), Some("http://a/b"));
        assert!(merchant.keys.p12.is_none() && merchant.notify_url.is_none());
        let provider = with(r#", "type": "服务商", "sub_mch_id": "1900000109""#);
        assert_eq!(entry(&provider).unwrap().keys.sub_mch_id.as_deref(), Some("1900000109"));
    }

    #[test]
    fn wrong_values_are_named_as_the_file_names_them() {
        let refused = |json: &str, wanted: &str| {
            let error = entry(json).unwrap_err();
            assert!(error.starts_with(&format!("merchant 1: {wanted}")), "{error}");
            assert!(!error.contains(KEY), "{error}");
        };
        refused(&with(r#", "cbNotifyURL": "http://a/b""#), "write cbNotifyUrl, not cbNotifyURL");
        refused(&with(r#", "type": "个人""#), "type is 普通商户 or 服务商, not 个人");
        refused(&with(r#", "sub_mch_id": "1""#), "sub_mch_id and sub_app_id belong to a service");
        refused(&with(r#", "notifyUrl": "http://a/b?c=d""#), "notifyUrl = \"http://a/b?c=d\" must");
        refused(&with(r#", "pfx": "fs.readFileSync(__dirname + '/a.p12')""#), "pfx is the name of");
        refused(&with(r#", "pfx": "a.p12""#), "pfx names /nowhere/a.p12, which cannot be read");
        refused(&with("").replace("H5", "WEB"), "env is H5, WXAPP or APP, not WEB");
        refused(&with("").replace("wx0", "xx0"), "appId: an app id begins with wx");
        refused(&with("").replace(KEY, "short"), "partnerKey: it has 5 bytes");
        refused(&with("").replace("\"mchId\"", "\"m\""), "mchId is missing (WeChat's merchant");
    }

    #[test]
    fn merchants_of_one_number_and_kind_are_told_apart_by_their_appid() {
        let read = |json: &str, before: &[FileMerchant]| {
            let object = serde_json::from_str(json).unwrap();
            let entry = Entry { place: "merchant 2".to_owned(), object: &object };
            entry.merchant(Path::new(""), before).map_err(|error| error.to_string())
        };
        let first = read(&with(""), &[]).unwrap();
        let other = read(&with("").replace("wx0", "wxA"), std::slice::from_ref(&first)).unwrap();
        assert_eq!(other.name.as_str(), "wepay_1900000001_h5_wxa123456789abcdef");
        let app = read(&with("").replace("H5", "app"), std::slice::from_ref(&first)).unwrap();
        assert_eq!(app.name.as_str(), "wepay_1900000001_app");
        assert!(read(&with(""), &[first]).unwrap_err().contains("is there twice"));
    }
}
