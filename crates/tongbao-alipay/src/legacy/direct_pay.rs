//! `create_direct_pay_by_user`: an order that the buyer's browser carries to the old gateway, as an
//! address or as a form. Alipay, 即时到账交易接口.
//!
//! There is no reply to read. `notify_url` and `return_url` may have no query of their own here.

use super::account::Credentials;
use super::error::Refusal;
use super::sign::{self, SIGN_TYPE};
use crate::open::order::{minutes, timeout};
use crate::open::page::PageForm;
use crate::open::{Expiry, page};
use crate::{Charset, Params};
use tongbao_types::{Amount, Fen, OutTradeNo, Span};

/// The service's name.
pub const SERVICE: &str = "create_direct_pay_by_user";

/// `it_b_pay`: when an order that nobody pays closes. The contract must have the feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// So long after the trade was created; whole minutes, from one minute to 15 days.
    After(Span),
    /// At the coming midnight in Beijing.
    Midnight,
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectPay {
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// The amount.
    pub total_fee: Amount,
    /// What the buyer reads, at most 256 bytes, of which a Chinese letter takes two.
    pub subject: String,
    /// A longer description, at most 1000 characters.
    pub body: Option<String>,
    /// Where the notification goes.
    pub notify_url: Option<String>,
    /// Where the browser goes after paying.
    pub return_url: Option<String>,
    /// The goods' page.
    pub show_url: Option<String>,
    /// `directPay` (if nothing is said) or `bankPay`.
    pub paymethod: Option<String>,
    /// The bank of `bankPay`.
    pub defaultbank: Option<String>,
    /// Comes back in the notification, at most 100 characters.
    pub extra_common_param: Option<String>,
    /// When it closes.
    pub it_b_pay: Option<Timeout>,
}

impl DirectPay {
    /// The address at `gateway` (such as `https://mapi.alipay.com/gateway.do`), for a redirect.
    pub fn url(&self, credentials: &Credentials, gateway: &str) -> String {
        page::address(&self.params(credentials), gateway)
    }

    /// The form at `gateway`; only the character set stands in its address, and must.
    pub fn form(&self, credentials: &Credentials, gateway: &str) -> PageForm {
        let params = self.params(credentials);
        let names = self.members(credentials).into_iter().map(|(name, _)| name);
        let names = names.filter(|name| *name != "_input_charset").chain(["sign", "sign_type"]);
        let field = |name| Some((name, params.text(name)?.into_owned()));
        let action = format!("{gateway}?_input_charset={}", Charset::Utf8.name());
        PageForm { action, fields: names.filter_map(field).collect() }
    }

    /// The bytes that are signed.
    pub fn string(&self, credentials: &Credentials) -> Vec<u8> {
        sign::string(&self.params(credentials))
    }

    /// The gateway's side, once the signature is checked. Who the seller is stays in `params`.
    pub fn read(params: &Params) -> Result<DirectPay, Refusal> {
        let text = |name: &str| params.filled(name).map(|text| text.into_owned());
        if text("payment_type").as_deref() != Some("1") {
            return Err(Refusal::ILLEGAL_PAYMENT_TYPE);
        }
        let sellers = ["seller_id", "seller_account_name", "seller_email"];
        if !sellers.iter().any(|name| text(name).is_some()) {
            return Err(Refusal::SELLER_NOT_EXIST);
        }
        let number = text("out_trade_no").filter(|number| number.len() <= 64);
        let number = number.and_then(|number| OutTradeNo::new(number).ok());
        let subject = text("subject").filter(|text| Charset::Gbk.encode(text).len() <= 256);
        Ok(DirectPay {
            out_trade_no: number.ok_or(Refusal::ILLEGAL_ARGUMENT)?,
            total_fee: total_fee(params)?,
            subject: subject.ok_or(Refusal::ILLEGAL_ARGUMENT)?,
            body: text("body"),
            notify_url: text("notify_url"),
            return_url: text("return_url"),
            show_url: text("show_url"),
            paymethod: text("paymethod"),
            defaultbank: text("defaultbank"),
            extra_common_param: text("extra_common_param"),
            it_b_pay: text("it_b_pay").map(|text| Timeout::read(&text)).transpose()?,
        })
    }

    fn params(&self, credentials: &Credentials) -> Params {
        let mut params = Params::new(Charset::Utf8);
        for (name, value) in self.members(credentials) {
            params.set(name, &value);
        }
        let signature = sign::sign(credentials.key(), &sign::string(&params));
        params.set("sign", &signature);
        params.set("sign_type", SIGN_TYPE);
        params
    }

    fn members(&self, credentials: &Credentials) -> Vec<(&'static str, String)> {
        let seller = match credentials.seller_email() {
            Some(email) => ("seller_email", email.to_owned()),
            None => ("seller_id", credentials.partner().to_owned()),
        };
        let maybe = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            ("service", SERVICE.to_owned()),
            ("partner", credentials.partner().to_owned()),
            ("_input_charset", Charset::Utf8.name().to_owned()),
            ("payment_type", "1".to_owned()),
            seller,
            ("out_trade_no", self.out_trade_no.as_str().to_owned()),
            ("total_fee", self.total_fee.fen().to_yuan()),
            ("subject", self.subject.clone()),
            ("body", maybe(&self.body)),
            ("notify_url", maybe(&self.notify_url)),
            ("return_url", maybe(&self.return_url)),
            ("show_url", maybe(&self.show_url)),
            ("paymethod", maybe(&self.paymethod)),
            ("defaultbank", maybe(&self.defaultbank)),
            ("extra_common_param", maybe(&self.extra_common_param)),
            ("it_b_pay", self.it_b_pay.map(Timeout::text).unwrap_or_default()),
        ]
    }
}

impl Timeout {
    fn text(self) -> String {
        match self {
            Timeout::After(span) => minutes(span),
            Timeout::Midnight => "1c".to_owned(),
        }
    }

    fn read(text: &str) -> Result<Timeout, Refusal> {
        match timeout(text) {
            Some(Expiry::After(span)) => Ok(Timeout::After(span)),
            Some(Expiry::Midnight) => Ok(Timeout::Midnight),
            Some(Expiry::At(_)) | None => Err(Refusal::ILLEGAL_ARGUMENT),
        }
    }
}

/// `total_fee`, or `price` times `quantity`.
fn total_fee(params: &Params) -> Result<Amount, Refusal> {
    let fen = match (params.filled("total_fee"), params.filled("price")) {
        (Some(text), _) => yuan(&text)?,
        (None, Some(price)) => {
            let quantity = params.filled("quantity").and_then(|text| text.parse::<u32>().ok());
            let quantity = quantity.ok_or(Refusal::ILLEGAL_FEE_PARAM)?;
            let product = yuan(&price)?.0.checked_mul(i64::from(quantity));
            Fen(product.ok_or(Refusal::TOTAL_FEE_OUT_OF_RANGE)?)
        }
        (None, None) => return Err(Refusal::ILLEGAL_FEE_PARAM),
    };
    if fen <= Fen::ZERO {
        return Err(Refusal::TOTAL_FEE_LESSEQUAL_ZERO);
    }
    Amount::new(fen).map_err(|_| Refusal::TOTAL_FEE_OUT_OF_RANGE)
}

fn yuan(text: &str) -> Result<Fen, Refusal> {
    let positive = text.strip_prefix('-').unwrap_or(text);
    let fen = Fen::from_yuan(positive).map_err(|_| Refusal::INVALID_PARAMETER)?;
    Ok(if positive.len() < text.len() { Fen(-fen.0) } else { fen })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::LegacyRequest;
    use crate::open::testing::browser;
    use tongbao_types::Method;

    const GATEWAY: &str = "http://127.0.0.1:9010/gateway.do";
    const KEY: &str = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6";

    fn merchant(email: Option<&str>) -> Credentials {
        Credentials::new("2088000000000001", KEY, email).unwrap()
    }

    /// The order of the published request.
    fn published() -> DirectPay {
        DirectPay {
            out_trade_no: OutTradeNo::new("150658495585026").unwrap(),
            total_fee: Amount::new(Fen(100)).unwrap(),
            subject: "Test For Charge".into(),
            body: None,
            notify_url: Some("https://api.example.com/charge/alipay_notify".into()),
            return_url: Some("https://api.example.com/charge/alipay_return".into()),
            show_url: None,
            paymethod: Some("directPay".into()),
            defaultbank: None,
            extra_common_param: None,
            it_b_pay: None,
        }
    }

    #[test]
    fn the_published_request_is_made_byte_for_byte() {
        let merchant = merchant(Some("seller@example.com"));
        let string = String::from_utf8(published().string(&merchant)).unwrap();
        assert_eq!(string, include_str!("../../vectors/mapi.request.string"));
        let url = published().url(&merchant, GATEWAY);
        assert!(url.contains("&sign=035ace2217bfed803649f3f36f9ad05e&sign_type=MD5&"), "{url}");
        assert!(!url.contains("body="), "an empty body is not sent: {url}");
    }

    #[test]
    fn the_browser_brings_address_or_form_to_the_gateway() {
        let call = DirectPay {
            subject: "茶 & <杯>".into(),
            body: Some("a\"b".into()),
            extra_common_param: Some("x=1".into()),
            it_b_pay: Some(Timeout::After(Span::from_seconds(5400))),
            ..published()
        };
        for merchant in [merchant(None), merchant(Some("seller@example.com"))] {
            let form = call.form(&merchant, GATEWAY);
            assert_eq!(form.action, "http://127.0.0.1:9010/gateway.do?_input_charset=utf-8");
            let mut body = Params::new(Charset::Utf8);
            for (name, value) in &form.fields {
                body.set(name, value);
            }
            for request in [
                browser(Method::Get, &call.url(&merchant, GATEWAY), ""),
                browser(Method::Post, &form.action, &body.to_form()),
            ] {
                let received = LegacyRequest::read(&request).unwrap();
                assert_eq!(received.check(merchant.key()), Ok(()));
                assert_eq!(received.service().as_deref(), Some(SERVICE));
                assert_eq!(DirectPay::read(&received.params), Ok(call.clone()));
            }
        }
    }

    #[test]
    fn without_an_account_the_partner_is_the_seller() {
        let string = String::from_utf8(published().string(&merchant(None))).unwrap();
        assert!(string.contains("&seller_id=2088000000000001&"));
        assert!(!string.contains("seller_email"));
    }

    fn refused(changes: &[(&str, &str)]) -> Option<&'static str> {
        let mut params = published().params(&merchant(None));
        for (name, value) in changes {
            params.remove(name);
            params.set(name, value);
        }
        DirectPay::read(&params).err().map(|refusal| refusal.code)
    }

    #[test]
    fn what_is_wrong_is_refused_in_the_gateways_words() {
        assert_eq!(refused(&[]), None);
        assert_eq!(refused(&[("payment_type", "2")]), Some("ILLEGAL_PAYMENT_TYPE"));
        assert_eq!(refused(&[("seller_id", "")]), Some("SELLER_NOT_EXIST"));
        assert_eq!(refused(&[("out_trade_no", "")]), Some("ILLEGAL_ARGUMENT"));
        assert_eq!(refused(&[("subject", &"茶".repeat(129))]), Some("ILLEGAL_ARGUMENT"));
        assert_eq!(refused(&[("subject", &"茶".repeat(128))]), None);
        assert_eq!(refused(&[("it_b_pay", "1.5h")]), Some("ILLEGAL_ARGUMENT"));
        assert_eq!(refused(&[("it_b_pay", "1c")]), None);
    }

    #[test]
    fn amounts_are_exact() {
        let fee = |text: &str| refused(&[("total_fee", text)]);
        assert_eq!(fee("0.01"), None);
        assert_eq!(fee("100000000.00"), None);
        assert_eq!(fee("0"), Some("TOTAL_FEE_LESSEQUAL_ZERO"));
        assert_eq!(fee("-0.01"), Some("TOTAL_FEE_LESSEQUAL_ZERO"));
        assert_eq!(fee("100000000.01"), Some("TOTAL_FEE_OUT_OF_RANGE"));
        assert_eq!(fee("0.010"), Some("INVALID_PARAMETER"));
        assert_eq!(fee("None"), Some("INVALID_PARAMETER"));
        assert_eq!(fee(""), Some("ILLEGAL_FEE_PARAM"));
        let by = |price: &str, quantity: &str| {
            refused(&[("total_fee", ""), ("price", price), ("quantity", quantity)])
        };
        assert_eq!(by("0.50", "2"), None);
        assert_eq!(by("0.50", "0"), Some("TOTAL_FEE_LESSEQUAL_ZERO"));
        assert_eq!(by("0.50", "1.5"), Some("ILLEGAL_FEE_PARAM"));
        assert_eq!(by("999999999999999", "4294967295"), Some("TOTAL_FEE_OUT_OF_RANGE"));
    }
}
