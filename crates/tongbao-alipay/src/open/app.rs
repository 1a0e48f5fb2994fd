//! `alipay.trade.app.pay`: an order that the merchant's app hands to the Alipay app, and what the
//! app gets back. Alipay, app支付接口2.0 and 同步通知参数说明.
//!
//! The server only signs. What the app gets back is for display: it can be forged by whoever holds
//! the phone, and even a signed one says no more than that Alipay once answered so. Ask.

use super::envelope::{self, CallContext};
use super::members::{Reader, Writer};
use super::order::{Order, wrong};
use super::sign::{self, SIGN_TYPE};
use crate::account::Credentials;
use crate::beijing;
use crate::error::{Answer, Refusal, ReplyError};
use tongbao_crypt::RsaPrivateKey;
use tongbao_types::{Fen, OutTradeNo, Timestamp, TradeNo};

/// The method's name.
pub const METHOD: &str = "alipay.trade.app.pay";
/// The `product_code` of this operation; the gateway does not ask for it.
pub const PRODUCT_CODE: &str = "QUICK_MSECURITY_PAY";

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppPay {
    /// The order, its `product_code` the one above.
    pub order: Order,
}

/// `resultStatus`: how the Alipay app ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultStatus {
    /// 9000: paid, says the app.
    Paid,
    /// 8000: in progress; the outcome is unknown.
    Pending,
    /// 4000: failed.
    Failed,
    /// 5000: the same request was sent twice.
    Repeated,
    /// 6001: the buyer gave up.
    Cancelled,
    /// 6002: no network.
    Network,
    /// 6004: the outcome is unknown.
    Unknown,
}

/// What `result` says: the gateway's answer to the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppResult {
    /// The app.
    pub app_id: String,
    /// Our number.
    pub out_trade_no: OutTradeNo,
    /// Alipay's number.
    pub trade_no: TradeNo,
    /// The order's amount, in fen.
    pub total_amount: Fen,
    /// The merchant's PID.
    pub seller_id: Option<String>,
    /// When it was answered.
    pub timestamp: Option<Timestamp>,
}

impl ResultStatus {
    const ALL: [(&'static str, ResultStatus); 7] = [
        ("9000", ResultStatus::Paid),
        ("8000", ResultStatus::Pending),
        ("4000", ResultStatus::Failed),
        ("5000", ResultStatus::Repeated),
        ("6001", ResultStatus::Cancelled),
        ("6002", ResultStatus::Network),
        ("6004", ResultStatus::Unknown),
    ];

    /// From the four digits; a number that is not known says that the outcome is not either.
    pub fn from_digits(digits: &str) -> ResultStatus {
        let known = ResultStatus::ALL.into_iter().find(|(word, _)| *word == digits);
        known.map_or(ResultStatus::Unknown, |(_, status)| status)
    }

    /// The four digits.
    pub fn as_str(self) -> &'static str {
        let known = ResultStatus::ALL.into_iter().find(|(_, status)| *status == self);
        known.map_or("6004", |(word, _)| word)
    }
}

impl AppPay {
    /// `orderString`: what the app hands to Alipay's SDK as it stands.
    pub fn order_string(&self, credentials: &Credentials, call: &CallContext) -> String {
        let biz_content = self.order.write().to_biz_content();
        envelope::sealed(credentials, call, METHOD, &biz_content).to_form()
    }

    /// Reads `result` of an app that says it is this order's: signature, code, app, number.
    pub fn decode(
        &self,
        credentials: &Credentials,
        result: &str,
    ) -> Result<Answer<AppResult>, ReplyError> {
        let answer = envelope::reply_with(credentials, METHOD, result, &["10000"])?;
        answer.then(|members| {
            let reply = AppResult::read(&members)?;
            let is_own = reply.out_trade_no == self.order.out_trade_no
                && reply.app_id == credentials.app_id();
            if is_own { Ok(reply) } else { Err(ReplyError::OtherOrder) }
        })
    }

    /// The gateway's side: from the decrypted `biz_content` (the request is read with
    /// [`GatewayRequest::from_order_string`](super::GatewayRequest::from_order_string)).
    pub fn read(biz_content: &str) -> Result<AppPay, Refusal> {
        let biz = Reader::read(biz_content).ok_or(Refusal::ILLEGAL_JSON)?;
        let order = Order::read(&biz)?;
        if !["", PRODUCT_CODE].contains(&order.product_code.as_str()) {
            return Err(wrong("product_code"));
        }
        Ok(AppPay { order })
    }
}

impl AppResult {
    /// The gateway's side: `result` as the SDK gives it to the app, in UTF-8.
    pub fn encode(&self, key: &RsaPrivateKey) -> String {
        let object = Writer::new()
            .text("app_id", &self.app_id)
            .text("charset", "utf-8")
            .text("out_trade_no", self.out_trade_no.as_str())
            .maybe("seller_id", self.seller_id.as_deref())
            .maybe("timestamp", self.timestamp.map(beijing::print).as_deref())
            .fen("total_amount", Some(self.total_amount))
            .text("trade_no", self.trade_no.as_str())
            .to_reply();
        let (root, sign) = (envelope::root(METHOD), sign::sign(key, object.as_bytes()));
        format!("{{\"{root}\":{object},\"sign\":\"{sign}\",\"sign_type\":\"{SIGN_TYPE}\"}}")
    }

    fn read(members: &Reader) -> Result<AppResult, ReplyError> {
        let total_amount = members.fen("total_amount")?;
        Ok(AppResult {
            app_id: members.required("app_id")?,
            out_trade_no: members.out_trade_no()?,
            trade_no: members.trade_no()?.ok_or(ReplyError::Malformed("trade_no"))?,
            total_amount: total_amount.ok_or(ReplyError::Malformed("total_amount"))?,
            seller_id: members.text("seller_id"),
            timestamp: members.time("timestamp")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::GatewayRequest;
    use crate::open::testing::{APP_ID, Both, SELLER_ID, order};

    fn call() -> AppPay {
        AppPay { order: order(PRODUCT_CODE) }
    }

    fn answer() -> AppResult {
        AppResult {
            app_id: APP_ID.into(),
            out_trade_no: call().order.out_trade_no,
            trade_no: TradeNo::new("2026112122001400000500000001").unwrap(),
            total_amount: Fen(8888),
            seller_id: Some(SELLER_ID.into()),
            timestamp: Some("2026-11-21T06:30:11Z".parse().unwrap()),
        }
    }

    #[test]
    fn the_wallet_brings_the_order_string_to_the_gateway() {
        for both in Both::all() {
            let string = call().order_string(&both.merchant, &both.context());
            let received = GatewayRequest::from_order_string(&string).unwrap();
            assert_eq!(received.app_id().as_deref(), Ok(APP_ID));
            assert_eq!(received.method().as_deref(), Some(METHOD));
            let key = both.merchant.app_key().public();
            assert_eq!(received.check(both.app(&key)), Ok(()));
            assert_eq!(AppPay::read(&both.biz_content(&received)), Ok(call()));
            let changed = string.replace("88.88", "00.01");
            let received = GatewayRequest::from_order_string(&changed).unwrap();
            let refused = received.check(both.app(&key)).is_err();
            assert_eq!(refused, both.content_key.is_none(), "only plain text has the amount");
        }
    }

    #[test]
    fn the_order_string_is_values_escaped_once() {
        let both = Both::plain();
        let string = call().order_string(&both.merchant, &both.context());
        assert!(string.starts_with("app_id=2021000000000001&biz_content=%7B%22out_trade_no"));
        assert!(string.contains("&notify_url=https%3A%2F%2Fpay.example.com%2Fnotify%2F"));
        assert!(string.contains("&sign_type=RSA2&timestamp=2026-11-21+14%3A30%3A00&version=1.0"));
    }

    #[test]
    fn the_result_is_read_if_it_is_signed_and_about_this_order() {
        for both in [Both::plain(), Both::with_certificates()] {
            let result = answer().encode(&both.alipay_key);
            let read = call().decode(&both.merchant, &result);
            assert_eq!(read, Ok(Answer::Done(answer())));
            let changed = result.replace("88.88", "00.01");
            let read = call().decode(&both.merchant, &changed);
            assert_eq!(read, Err(ReplyError::SignatureMismatch));
            let foreign = AppResult { app_id: "2021000000000002".into(), ..answer() };
            let read = call().decode(&both.merchant, &foreign.encode(&both.alipay_key));
            assert_eq!(read, Err(ReplyError::OtherOrder));
            let out_trade_no = OutTradeNo::new("OTHER").unwrap();
            let other = AppResult { out_trade_no, ..answer() };
            let read = call().decode(&both.merchant, &other.encode(&both.alipay_key));
            assert_eq!(read, Err(ReplyError::OtherOrder));
        }
        let unsigned = r#"{"alipay_trade_app_pay_response":{"code":"10000","msg":"Success"}}"#;
        let read = call().decode(&Both::plain().merchant, unsigned);
        assert_eq!(read, Err(ReplyError::SignatureMissing));
    }

    #[test]
    fn the_result_is_written_as_the_sdk_gives_it() {
        let both = Both::plain();
        let object = concat!(
            r#"{"code":"10000","msg":"Success","app_id":"2021000000000001","charset":"utf-8","#,
            r#""out_trade_no":"TB20261121000001","seller_id":"2088000000000001","#,
            r#""timestamp":"2026-11-21 14:30:11","total_amount":"88.88","#,
            r#""trade_no":"2026112122001400000500000001"}"#,
        );
        let sign = both.alipay_key.sign_sha256(object.as_bytes());
        let root = "alipay_trade_app_pay_response";
        let wanted = format!(r#"{{"{root}":{object},"sign":"{sign}","sign_type":"RSA2"}}"#);
        assert_eq!(answer().encode(&both.alipay_key), wanted);
    }

    #[test]
    fn a_status_that_is_not_known_is_unknown() {
        for (digits, status) in ResultStatus::ALL {
            assert_eq!(ResultStatus::from_digits(digits), status);
            assert_eq!(status.as_str(), digits);
        }
        assert_eq!(ResultStatus::from_digits("9001"), ResultStatus::Unknown);
    }

    #[test]
    fn another_product_is_refused() {
        let read = |code: &str| AppPay::read(&order(code).write().to_biz_content());
        assert!(read("").is_ok());
        assert_eq!(read("QUICK_WAP_WAY"), Err(wrong("product_code")));
    }
}
