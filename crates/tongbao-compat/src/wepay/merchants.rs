//! Which merchant serves a request: the first one that fits the `env`, `appId` and `mchId` in it.

use super::{ErrCode, No, wrong};
use crate::Service;
use crate::fields::Fields;
use std::str::FromStr;
use tongbao_types::{AccountName, Channel, Mode};

/// Where the payer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WepayEnv {
    /// A page inside WeChat.
    H5,
    /// A mini program.
    Wxapp,
    /// An app.
    App,
}

/// A merchant of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WepayMerchant {
    /// What it serves; without one, whatever a request asks for.
    pub env: Option<WepayEnv>,
    /// Whether its money is real.
    pub mode: Mode,
    /// Its appid.
    pub app_id: String,
    /// Its merchant number.
    pub mch_id: String,
    /// The channel account with its keys.
    pub account: AccountName,
    /// Where its payments are told.
    pub cb_notify_url: Option<String>,
}

/// A merchant, and where the payer pays.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) account: AccountName,
    pub(super) env: WepayEnv,
}

impl WepayEnv {
    /// Every one.
    pub const ALL: &'static [WepayEnv] = &[WepayEnv::H5, WepayEnv::Wxapp, WepayEnv::App];

    /// The word in requests and in `config.json`.
    pub const fn as_str(self) -> &'static str {
        match self {
            WepayEnv::H5 => "H5",
            WepayEnv::Wxapp => "WXAPP",
            WepayEnv::App => "APP",
        }
    }

    /// Whether WeChat must be told who will pay.
    pub(super) const fn needs_openid(self) -> bool {
        !matches!(self, WepayEnv::App)
    }

    /// How its orders are placed.
    pub(super) const fn channel(self) -> Channel {
        match self {
            WepayEnv::H5 => Channel::WechatJsapi,
            WepayEnv::Wxapp => Channel::WechatMini,
            WepayEnv::App => Channel::WechatApp,
        }
    }
}

impl FromStr for WepayEnv {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<WepayEnv, &'static str> {
        let known = WepayEnv::ALL.iter().find(|env| env.as_str().eq_ignore_ascii_case(word));
        known.copied().ok_or("env is H5, WXAPP or APP")
    }
}

impl Service {
    /// The merchant of a request.
    pub(super) fn merchant(&self, mode: Mode, fields: &Fields) -> Result<Serving, No> {
        choose(&self.setup.merchants, mode, fields)
    }
}

fn choose(merchants: &[WepayMerchant], mode: Mode, fields: &Fields) -> Result<Serving, No> {
    let env = fields.get("env").map(str::parse::<WepayEnv>).transpose();
    let env = env.map_err(|rule| wrong(format!("{rule}.")))?;
    let (app_id, mch_id) = (fields.get("appId"), fields.get("mchId"));
    let fits = |merchant: &&WepayMerchant| {
        merchant.mode == mode
            && (env.is_none() || merchant.env.is_none() || merchant.env == env)
            && app_id.is_none_or(|id| merchant.app_id == id)
            && mch_id.is_none_or(|id| merchant.mch_id == id)
    };
    let found = merchants.iter().find(fits).ok_or_else(|| nobody(env, app_id, mch_id, mode))?;
    let env = env.or(found.env).unwrap_or(WepayEnv::H5);
    Ok(Serving { account: found.account.clone(), env })
}

fn nobody(env: Option<WepayEnv>, app_id: Option<&str>, mch_id: Option<&str>, mode: Mode) -> No {
    let wanted = [("env", env.map(WepayEnv::as_str)), ("appId", app_id), ("mchId", mch_id)];
    let wanted = wanted.iter().filter_map(|(name, value)| Some(format!("{name} {}", (*value)?)));
    let wanted = match wanted.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => String::new(),
        some => format!(" with {some}"),
    };
    let text = format!(
        "No {mode} merchant{wanted} is configured: see config.json, or the accounts of the \
         profile's app in tongbao.toml."
    );
    No::new(ErrCode::Merchant, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merchant(account: &str, env: Option<WepayEnv>, mode: Mode) -> WepayMerchant {
        WepayMerchant {
            env,
            mode,
            app_id: format!("wx{account}"),
            mch_id: "1500000001".to_owned(),
            account: AccountName::new(account).unwrap(),
            cb_notify_url: None,
        }
    }

    fn check(form: &str, wanted: Result<(&str, WepayEnv), ErrCode>) {
        let merchants = [
            merchant("mini", Some(WepayEnv::Wxapp), Mode::Live),
            merchant("app", Some(WepayEnv::App), Mode::Live),
            merchant("app2", Some(WepayEnv::App), Mode::Live),
            merchant("any", None, Mode::Test),
        ];
        let mode = if form.contains("test") { Mode::Test } else { Mode::Live };
        let found = choose(&merchants, mode, &Fields::of_form(form).unwrap());
        let found = found.map(|serving| (serving.account.to_string(), serving.env));
        let wanted = wanted.map(|(account, env)| (account.to_owned(), env));
        assert_eq!(found.map_err(|no| no.errcode), wanted, "{form}");
    }

    #[test]
    fn the_first_that_fits_serves() {
        check("", Ok(("mini", WepayEnv::Wxapp)));
        check("env=APP", Ok(("app", WepayEnv::App)));
        check("env=app&appId=wxapp2", Ok(("app2", WepayEnv::App)));
        check("mchId=1500000001&env=WXAPP", Ok(("mini", WepayEnv::Wxapp)));
        check("env=H5", Err(ErrCode::Merchant));
        check("mchId=1500000002", Err(ErrCode::Merchant));
        check("env=WEB", Err(ErrCode::Request));
        check("test=1", Ok(("any", WepayEnv::H5)));
        check("test=1&env=APP", Ok(("any", WepayEnv::App)));
    }
}
