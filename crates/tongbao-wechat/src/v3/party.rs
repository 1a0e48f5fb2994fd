//! Who sends a message: an ordinary merchant (直连商户), or a service provider (服务商) for one of its
//! sub-merchants (微信支付 API v3, 合作伙伴模式).
//!
//! An account with a sub-merchant's number is a service provider's. It has paths of its own, and in
//! its messages the numbers of both stand where an ordinary merchant writes `appid` and `mchid`.

use super::envelope::{Opened, Refusal};
use super::target::Parameters;
use crate::account::Merchant;
use crate::error::Mismatch;
use crate::rules::{Kind, Rule, may, must};
use serde::{Deserialize, Serialize};
use tongbao_types::HttpRequest;

const DIRECT_PATH: &str = "/v3/pay/transactions/";
const PARTNER_PATH: &str = "/v3/pay/partner/transactions/";

const DIRECT: &[Rule] =
    &[must("appid", "公众号ID", Kind::Text(1, 32)), must("mchid", "直连商户号", Kind::Text(1, 32))];
const PARTNER: &[Rule] = &[
    must("sp_appid", "服务商应用ID", Kind::Text(1, 32)),
    must("sp_mchid", "服务商户号", Kind::Text(1, 32)),
    may("sub_appid", "子商户应用ID", Kind::Text(1, 32)),
    must("sub_mchid", "子商户号", Kind::Text(1, 32)),
];
const DIRECT_NUMBERS: &[Rule] = &[must("mchid", "直连商户号", Kind::Text(1, 32))];
const PARTNER_NUMBERS: &[Rule] = &[
    must("sp_mchid", "服务商户号", Kind::Text(1, 32)),
    must("sub_mchid", "子商户号", Kind::Text(1, 32)),
];

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// An ordinary merchant.
    Direct,
    /// A service provider.
    Partner,
}

impl Mode {
    pub(super) const fn of(merchant: &Merchant) -> Mode {
        if merchant.sub_mch_id.is_some() { Mode::Partner } else { Mode::Direct }
    }

    /// The path of a call about trades; `rest` begins without a slash.
    pub(super) fn path(self, rest: &str) -> String {
        let base = match self {
            Mode::Direct => DIRECT_PATH,
            Mode::Partner => PARTNER_PATH,
        };
        format!("{base}{rest}")
    }

    /// The mode that a path belongs to, and what comes after its beginning.
    pub(super) fn strip(path: &str) -> Option<(Mode, &str)> {
        let direct = || path.strip_prefix(DIRECT_PATH).map(|rest| (Mode::Direct, rest));
        let partner = || path.strip_prefix(PARTNER_PATH).map(|rest| (Mode::Partner, rest));
        direct().or_else(partner)
    }

    /// The rules of a body that names app ids and merchant numbers, before those of its own fields.
    pub(super) const fn rules(self) -> &'static [Rule] {
        match self {
            Mode::Direct => DIRECT,
            Mode::Partner => PARTNER,
        }
    }

    /// The rules of a body or query that names the merchant numbers alone.
    pub(super) const fn number_rules(self) -> &'static [Rule] {
        match self {
            Mode::Direct => DIRECT_NUMBERS,
            Mode::Partner => PARTNER_NUMBERS,
        }
    }
}

/// The numbers in a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Party {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) appid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mchid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sp_appid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sp_mchid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sub_appid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sub_mchid: Option<String>,
}

impl Party {
    /// With app ids.
    pub(super) fn of(merchant: &Merchant) -> Party {
        let app_id = Some(merchant.app_id.clone());
        let numbers = Party::numbers_of(merchant);
        match Mode::of(merchant) {
            Mode::Direct => Party { appid: app_id, ..numbers },
            Mode::Partner => {
                Party { sp_appid: app_id, sub_appid: merchant.sub_app_id.clone(), ..numbers }
            }
        }
    }

    /// The merchant numbers alone.
    pub(super) fn numbers_of(merchant: &Merchant) -> Party {
        let mch_id = Some(merchant.mch_id.clone());
        match Mode::of(merchant) {
            Mode::Direct => Party { mchid: mch_id, ..Party::default() },
            Mode::Partner => Party {
                sp_mchid: mch_id,
                sub_mchid: merchant.sub_mch_id.clone(),
                ..Party::default()
            },
        }
    }

    /// The app id of the one who signs; empty if the message does not name it.
    pub(super) fn app_id(&self) -> &str {
        self.appid.as_deref().or(self.sp_appid.as_deref()).unwrap_or("")
    }

    /// The number of the one who signs; empty if the message does not name it.
    pub(super) fn mch_id(&self) -> &str {
        self.mchid.as_deref().or(self.sp_mchid.as_deref()).unwrap_or("")
    }

    /// App ids and merchant numbers must be the account's; `sub_appid` is echoed only where the
    /// order had it.
    pub(super) fn check(&self, merchant: &Merchant) -> Result<(), Mismatch> {
        let app = match Mode::of(merchant) {
            Mode::Direct => ("appid", &self.appid),
            Mode::Partner => ("sp_appid", &self.sp_appid),
        };
        same(app.0, &merchant.app_id, app.1.as_deref())?;
        self.check_numbers(merchant)?;
        match text(&self.sub_appid) {
            "" => Ok(()),
            found => same("sub_appid", text(&merchant.sub_app_id), Some(found)),
        }
    }

    /// The merchant numbers must be the account's.
    pub(super) fn check_numbers(&self, merchant: &Merchant) -> Result<(), Mismatch> {
        match Mode::of(merchant) {
            Mode::Direct => {
                same("mchid", &merchant.mch_id, self.mchid.as_deref())?;
                same("sub_mchid", "", self.sub_mchid.as_deref())
            }
            Mode::Partner => {
                same("sp_mchid", &merchant.mch_id, self.sp_mchid.as_deref())?;
                same("sub_mchid", text(&merchant.sub_mch_id), self.sub_mchid.as_deref())
            }
        }
    }
}

/// Whose a request is: `mchid` of its signature, and what else body or query name.
pub(super) fn named_merchant(request: &HttpRequest, mchid: &str) -> Merchant {
    let mut party: Party = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Some(parameters) = Parameters::read(request.query()) {
        let text = |name| parameters.text(name).map(str::to_owned);
        party.sub_mchid = party.sub_mchid.or_else(|| text("sub_mchid"));
    }
    Merchant {
        app_id: party.app_id().to_owned(),
        mch_id: mchid.to_owned(),
        sub_app_id: party.sub_appid,
        sub_mch_id: party.sub_mchid,
    }
}

impl Opened {
    /// The merchant number in the message must be the one that signed.
    pub(super) fn check_party(&self, party: &Party) -> Result<(), Refusal> {
        if party.mch_id() == self.authorization.mchid {
            return Ok(());
        }
        let message = "http header中的mchid与post payload中的mchid不匹配";
        Err(Refusal::new(400, "PARAM_ERROR", message))
    }

    /// The merchant numbers in a query; one of them must be the one that signed.
    pub(super) fn check_query(&self, mode: Mode) -> Result<(), Refusal> {
        let parameters = Parameters::checked(self.request.query(), mode.number_rules())?;
        let text = |name| parameters.text(name).map(str::to_owned);
        let (mchid, sp_mchid) = match mode {
            Mode::Direct => (text("mchid"), None),
            Mode::Partner => (None, text("sp_mchid")),
        };
        self.check_party(&Party { mchid, sp_mchid, ..Party::default() })
    }
}

/// What is asked for and what a message says must be the same; absent is as good as empty.
pub(super) fn same(field: &'static str, wanted: &str, found: Option<&str>) -> Result<(), Mismatch> {
    let found = found.unwrap_or("");
    if wanted == found {
        return Ok(());
    }
    Err(Mismatch { field, wanted: wanted.to_owned(), found: found.to_owned() })
}

fn text(option: &Option<String>) -> &str {
    option.as_deref().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, opened, stamp};
    use super::super::envelope::{get, post};
    use super::*;
    use serde_json::json;

    fn direct() -> Merchant {
        Merchant::direct("wx1", "19")
    }

    fn partner() -> Merchant {
        let (sub_app_id, sub_mch_id) = (Some("wx2".to_owned()), Some("20".to_owned()));
        Merchant { sub_app_id, sub_mch_id, ..direct() }
    }

    #[test]
    fn each_mode_has_its_paths() {
        for merchant in [direct(), partner()] {
            let mode = Mode::of(&merchant);
            assert_eq!(Mode::strip(&mode.path("native")), Some((mode, "native")));
        }
        assert_eq!(Mode::strip("/v3/pay/transactions/native"), Some((Mode::Direct, "native")));
        let partners = "/v3/pay/partner/transactions/id/42";
        assert_eq!(Mode::strip(partners), Some((Mode::Partner, "id/42")));
        assert_eq!(Mode::strip("/v3/certificates"), None);
    }

    #[test]
    fn each_mode_writes_its_numbers() {
        let check = |merchant: &Merchant, wanted: &str| {
            assert_eq!(serde_json::to_string(&Party::of(merchant)).unwrap(), wanted);
        };
        check(&direct(), r#"{"appid":"wx1","mchid":"19"}"#);
        check(
            &partner(),
            r#"{"sp_appid":"wx1","sp_mchid":"19","sub_appid":"wx2","sub_mchid":"20"}"#,
        );
        let numbers = Party::numbers_of(&partner());
        let wanted = r#"{"sp_mchid":"19","sub_mchid":"20"}"#;
        assert_eq!(serde_json::to_string(&numbers).unwrap(), wanted);
    }

    #[test]
    fn another_account_is_told_by_the_field() {
        let check = |ours: &Merchant, theirs: &Merchant, wanted: Option<&str>| {
            let found = Party::of(theirs).check(ours).err().map(|mismatch| mismatch.field);
            assert_eq!(found, wanted, "{ours:?} and {theirs:?}");
        };
        let sub = |app: Option<&str>, mch: &str| {
            let (sub_app_id, sub_mch_id) = (app.map(str::to_owned), Some(mch.to_owned()));
            Merchant { sub_app_id, sub_mch_id, ..direct() }
        };
        check(&direct(), &direct(), None);
        check(&direct(), &Merchant::direct("wx3", "19"), Some("appid"));
        check(&direct(), &Merchant::direct("wx1", "18"), Some("mchid"));
        check(&direct(), &partner(), Some("appid"));
        check(&partner(), &partner(), None);
        check(&partner(), &direct(), Some("sp_appid"));
        check(&partner(), &sub(None, "20"), None);
        check(&partner(), &sub(Some("wx3"), "20"), Some("sub_appid"));
        check(&partner(), &sub(Some("wx2"), "21"), Some("sub_mchid"));
        check(&sub(None, "20"), &partner(), Some("sub_appid"));
        let empty = Party { sub_appid: Some(String::new()), ..Party::of(&partner()) };
        assert_eq!(empty.check(&partner()), Ok(()), "empty is as good as absent");
        let both = Party { sub_mchid: Some("20".to_owned()), ..Party::of(&direct()) };
        assert_eq!(both.check(&direct()).unwrap_err().field, "sub_mchid");
    }

    #[test]
    fn another_merchants_number_in_the_message_is_refused() {
        let check = |mode: Mode, target: &str, wanted: Option<&str>| {
            let opened = opened(get(target.to_owned(), &PAIR.credentials, stamp()));
            let found = opened.check_query(mode).err().map(|refusal| refusal.message);
            assert_eq!(found.is_some(), wanted.is_some(), "{target}: {found:?}");
            assert!(found.unwrap_or_default().contains(wanted.unwrap_or("")), "{target}");
        };
        check(Mode::Direct, "/v3/x?mchid=1900000109", None);
        check(Mode::Direct, "/v3/x?mchid=1900000110", Some("不匹配"));
        check(Mode::Direct, "/v3/x", Some("“/query/mchid”"));
        check(Mode::Partner, "/v3/x?sub_mchid=2&sp_mchid=1900000109", None);
        check(Mode::Partner, "/v3/x?sub_mchid=2&sp_mchid=1900000110", Some("不匹配"));
        check(Mode::Partner, "/v3/x?sp_mchid=1900000109", Some("“/query/sub_mchid”"));
        check(Mode::Partner, "/v3/x?mchid=1900000109&sub_mchid=2", Some("“/query/sp_mchid”"));
        let opened = opened(get("/v3/x".to_owned(), &PAIR.credentials, stamp()));
        let refusal = opened.check_query(Mode::Direct).unwrap_err();
        assert_eq!(refusal.detail.unwrap()["location"], "query");
    }

    #[test]
    fn who_asks_is_read_from_body_or_query() {
        let body = json!({"sp_appid": "wx1", "sub_appid": "wx2", "sub_mchid": "2", "x": [1]});
        let of_body = opened(post("/v3/x".to_owned(), &body, &PAIR.credentials, stamp())).merchant;
        let target = "/v3/x?sp_mchid=7&sub_mchid=2".to_owned();
        let of_query = opened(get(target, &PAIR.credentials, stamp())).merchant;
        let sub_mch_id = Some("2".to_owned());
        let wanted = Merchant { sub_mch_id, ..Merchant::direct("", "1900000109") };
        assert_eq!(of_query, wanted);
        let sub_app_id = Some("wx2".to_owned());
        assert_eq!(of_body, Merchant { app_id: "wx1".to_owned(), sub_app_id, ..wanted });
    }
}
