//! The browser's way back from page.pay. Alipay, 同步返回参数.
//!
//! It proves at most that Alipay once signed these members: it has no status and can be replayed.
//! So it yields our number, to ask about, and nothing else.

use super::sign::{self, Empty, SIGN_TYPE};
use crate::account::Credentials;
use crate::open::NoticeError;
use crate::verified::{Verified, seal};
use crate::{Charset, Params, beijing};
use tongbao_crypt::RsaPrivateKey;
use tongbao_types::{Fen, OutTradeNo, Timestamp, TradeNo};

/// The members of a return, for the gateway's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The app.
    pub app_id: String,
    /// The merchant's PID.
    pub seller_id: String,
    /// The operation, such as `alipay.trade.page.pay`.
    pub method: String,
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: TradeNo,
    /// The order's amount, in fen.
    pub total_amount: Fen,
    /// When the browser was sent back.
    pub timestamp: Timestamp,
}

/// Checks a return by its raw query: syntax, signature, app, merchant. The address that was given
/// as `return_url` must have no query of its own, since that is not Alipay's and not signed.
pub fn verify(credentials: &Credentials, query: &str) -> Result<Verified<OutTradeNo>, NoticeError> {
    let params = super::notify::checked(credentials, query.as_bytes())?;
    let text = params.filled("out_trade_no").unwrap_or_default();
    let no = OutTradeNo::new(text).map_err(|_| NoticeError::Malformed("out_trade_no"))?;
    Ok(seal(no))
}

impl Return {
    /// The gateway's side: the address to send the browser to.
    pub fn encode(&self, return_url: &str, charset: Charset, key: &RsaPrivateKey) -> String {
        let mut params = Params::new(charset);
        for (name, value) in [
            ("charset", charset.name()),
            ("out_trade_no", self.out_trade_no.as_str()),
            ("method", &format!("{}.return", self.method)),
            ("total_amount", &self.total_amount.to_yuan()),
            ("trade_no", self.trade_no.as_str()),
            ("auth_app_id", &self.app_id),
            ("version", "1.0"),
            ("app_id", &self.app_id),
            ("sign_type", SIGN_TYPE),
            ("seller_id", &self.seller_id),
            ("timestamp", &beijing::print(self.timestamp)),
        ] {
            params.set(name, value);
        }
        let signature = sign::sign(key, &sign::message_string(&params, Empty::Kept));
        params.set("sign", &signature);
        let joint = if return_url.contains('?') { '&' } else { '?' };
        format!("{return_url}{joint}{}", params.to_form())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::Both;

    fn sent(both: &Both) -> String {
        sent_for("2021000000000001", both)
    }

    fn sent_for(app_id: &str, both: &Both) -> String {
        let back = Return {
            app_id: app_id.into(),
            seller_id: "2088000000000001".into(),
            method: "alipay.trade.page.pay".into(),
            out_trade_no: OutTradeNo::new("TB20261121000001").unwrap(),
            trade_no: TradeNo::new("2026112122001400000500000001").unwrap(),
            total_amount: Fen(8888),
            timestamp: "2026-11-21T06:30:20Z".parse().unwrap(),
        };
        back.encode("https://pay.example.com/return", Charset::Utf8, &both.alipay_key)
    }

    #[test]
    fn a_return_yields_our_number() {
        for both in Both::all() {
            let address = sent(&both);
            let (_, query) = address.split_once('?').unwrap();
            assert_eq!(verify(&both.merchant, query).unwrap().as_str(), "TB20261121000001");
        }
    }

    #[test]
    fn a_changed_or_foreign_return_yields_nothing() {
        let both = Both::plain();
        let address = sent(&both);
        let (_, query) = address.split_once('?').unwrap();
        let check = |query: &str, wanted: NoticeError| {
            assert_eq!(verify(&both.merchant, query).unwrap_err(), wanted, "{query}");
        };
        let changed = query.replace("TB20261121000001", "TB20261121000002");
        check(&changed, NoticeError::SignatureMismatch);
        check("out_trade_no=TB20261121000001", NoticeError::SignatureMissing);
        let by_another = sent(&Both::with_other_key());
        check(by_another.split_once('?').unwrap().1, NoticeError::SignatureMismatch);
        let for_another = sent_for("2021000000000002", &both);
        let wanted = NoticeError::AccountMismatch { field: "app_id" };
        check(for_another.split_once('?').unwrap().1, wanted);
    }

    #[test]
    fn an_address_with_a_query_of_its_own_is_continued() {
        let both = Both::plain();
        let no = OutTradeNo::new("T1").unwrap();
        let back = Return {
            app_id: "1".into(),
            seller_id: String::new(),
            method: "m".into(),
            out_trade_no: no,
            trade_no: TradeNo::new("1").unwrap(),
            total_amount: Fen(1),
            timestamp: Timestamp::from_seconds(0),
        };
        let address = back.encode("https://x/?a=1", Charset::Utf8, &both.alipay_key);
        assert!(address.starts_with("https://x/?a=1&app_id=1&"));
        assert!(!address.contains("seller_id"));
    }
}
