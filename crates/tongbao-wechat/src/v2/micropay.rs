//! Code payment (微信支付 API v2, 付款码支付): the cashier scans the payer's code.
//!
//! There is no notification. USERPAYING, SYSTEMERROR and BANKERROR leave the outcome open
//! ([`CodePaymentRefusal`](crate::CodePaymentRefusal)): query, and reverse if it stays open.

use super::envelope::{Opened, Refusal, Replier, read_reply, request, same};
use super::query::{read_trade, set_paid};
use crate::account::V2Credentials;
use crate::auth_code::is_auth_code;
use crate::china::{compact_time, read_compact_time};
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, Rule, may, must};
use crate::trade::{Paid, Trade, TradeState};
use crate::xml::Fields;
use std::net::IpAddr;
use tongbao_types::{Fen, HttpRequest, HttpResponse, Secret, Timestamp};

/// Where code payments are sent.
pub const MICROPAY_PATH: &str = "/pay/micropay";

/// Take the money now. Texts are limited in bytes of UTF-8.
#[derive(Debug, Clone)]
pub struct Micropay {
    /// What was scanned. It pays once, within a minute, and is nobody else's to read.
    pub auth_code: Secret<String>,
    /// What the payer reads, 1 to 128 bytes.
    pub body: String,
    /// The merchant's number, 6 to 32 bytes.
    pub out_trade_no: String,
    /// The amount, at least 1 fen.
    pub total_fee: Fen,
    /// The address of the cashier's machine.
    pub spbill_create_ip: String,
    /// Comes back in query and reply, at most 127 bytes.
    pub attach: Option<String>,
    /// JSON of the goods.
    pub detail: Option<String>,
    /// When the order was made.
    pub time_start: Option<Timestamp>,
    /// The last moment to pay.
    pub time_expire: Option<Timestamp>,
    /// For coupons.
    pub goods_tag: Option<String>,
    /// `no_credit`.
    pub limit_pay: Option<String>,
    /// JSON of the shop.
    pub scene_info: Option<String>,
    /// The terminal.
    pub device_info: Option<String>,
    /// `CNY`.
    pub fee_type: Option<String>,
    /// `Y` or `N`: an electronic invoice.
    pub receipt: Option<String>,
    /// `Y` or `N`.
    pub profit_sharing: Option<String>,
}

const RULES: &[Rule] = &[
    must("auth_code", "付款码", Kind::Text(1, 128)),
    must("body", "商品描述", Kind::Text(1, 128)),
    must("out_trade_no", "商户订单号", Kind::OutTradeNo),
    must("total_fee", "订单金额", Kind::Integer(1)),
    must("spbill_create_ip", "终端IP", Kind::Text(1, 64)),
    may("attach", "附加数据", Kind::Text(0, 127)),
    may("detail", "商品详情", Kind::Text(0, 6000)),
    may("time_start", "订单生成时间", Kind::CompactTime),
    may("time_expire", "订单失效时间", Kind::CompactTime),
    may("goods_tag", "订单优惠标记", Kind::Text(0, 32)),
    may("limit_pay", "指定支付方式", Kind::Word(&["no_credit"])),
    may("scene_info", "场景信息", Kind::Text(0, 256)),
    may("device_info", "设备号", Kind::Text(0, 32)),
    may("fee_type", "货币类型", Kind::Word(&["CNY"])),
    may("receipt", "电子发票入口开放标识", Kind::Word(&["Y", "N"])),
    may("profit_sharing", "是否需要分账", Kind::Word(&["Y", "N"])),
    may("version", "接口版本号", Kind::Text(0, 32)),
];

impl Micropay {
    /// A payment with what it needs.
    pub fn new(auth_code: Secret<String>, out_trade_no: &str, total_fee: Fen) -> Micropay {
        Micropay {
            auth_code,
            body: String::new(),
            out_trade_no: out_trade_no.to_owned(),
            total_fee,
            spbill_create_ip: String::new(),
            attach: None,
            detail: None,
            time_start: None,
            time_expire: None,
            goods_tag: None,
            limit_pay: None,
            scene_info: None,
            device_info: None,
            fee_type: None,
            receipt: None,
            profit_sharing: None,
        }
    }

    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        fields.set("auth_code", self.auth_code.expose());
        fields.set("body", &self.body);
        fields.set("out_trade_no", &self.out_trade_no);
        fields.set("total_fee", self.total_fee.0.to_string());
        fields.set("spbill_create_ip", &self.spbill_create_ip);
        fields.set_some("version", self.detail.as_ref().map(|_| "1.0"));
        fields.set_some("time_start", self.time_start.map(compact_time));
        fields.set_some("time_expire", self.time_expire.map(compact_time));
        for (name, text) in self.texts() {
            fields.set_some(name, text.as_deref());
        }
        request(MICROPAY_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<Micropay, Refusal> {
        opened.check(RULES)?;
        let text = |name: &str| opened.text(name).unwrap_or_default();
        let time = |name: &str| opened.fields.text(name).and_then(read_compact_time);
        let code = Secret::new(text("auth_code"));
        let mut order = Micropay {
            body: text("body"),
            spbill_create_ip: text("spbill_create_ip"),
            time_start: time("time_start"),
            time_expire: time("time_expire"),
            ..Micropay::new(code, &text("out_trade_no"), opened.fen("total_fee"))
        };
        for (name, slot) in order.texts_mut() {
            *slot = opened.text(name);
        }
        if order.spbill_create_ip.parse::<IpAddr>().is_err() {
            return Err(Refusal::Communication("invalid spbill_create_ip".to_owned()));
        }
        if !is_auth_code(order.auth_code.expose()) {
            return Err(Refusal::business("AUTH_CODE_INVALID", "101 付款码无效，请重新扫码"));
        }
        Ok(order)
    }

    /// The provider's reply to what is paid; all else is refused, the open outcomes too.
    pub fn encode_reply(trade: &Trade, paid: &Paid, replier: &Replier<'_>) -> HttpResponse {
        let mut own = Fields::new();
        set_paid(&mut own, trade, paid);
        own.set("trade_type", "MICROPAY");
        replier.done(own)
    }

    /// The merchant reads the reply: a paid trade of this number, or a refusal, which may leave the
    /// outcome open.
    pub fn decode_reply(
        &self,
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<Trade>, ReplyError> {
        read_reply(credentials, response)?.then(|fields| {
            same(&fields, "out_trade_no", &self.out_trade_no)?;
            Ok(read_trade(&fields, TradeState::Success)?)
        })
    }

    fn texts(&self) -> [(&'static str, &Option<String>); 9] {
        [
            ("attach", &self.attach),
            ("detail", &self.detail),
            ("goods_tag", &self.goods_tag),
            ("limit_pay", &self.limit_pay),
            ("scene_info", &self.scene_info),
            ("device_info", &self.device_info),
            ("fee_type", &self.fee_type),
            ("receipt", &self.receipt),
            ("profit_sharing", &self.profit_sharing),
        ]
    }

    fn texts_mut(&mut self) -> [(&'static str, &mut Option<String>); 9] {
        [
            ("attach", &mut self.attach),
            ("detail", &mut self.detail),
            ("goods_tag", &mut self.goods_tag),
            ("limit_pay", &mut self.limit_pay),
            ("scene_info", &mut self.scene_info),
            ("device_info", &mut self.device_info),
            ("fee_type", &mut self.fee_type),
            ("receipt", &mut self.receipt),
            ("profit_sharing", &mut self.profit_sharing),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::super::query::tests::trade;
    use super::*;
    use crate::account::SignType;
    use crate::refusal::CodePaymentRefusal;

    const CODE: &str = "134650093011212345";

    fn payment() -> Micropay {
        let code = Secret::new(CODE.to_owned());
        Micropay {
            body: "面包 <&]]>".to_owned(),
            spbill_create_ip: "14.17.22.52".to_owned(),
            attach: Some("二号店".to_owned()),
            device_info: Some("POS1".to_owned()),
            limit_pay: Some("no_credit".to_owned()),
            time_expire: "2026-11-21T14:30:00+08:00".parse().ok(),
            ..Micropay::new(code, "20180821665587", Fen(101))
        }
    }

    #[test]
    fn a_payment_goes_there_and_back() {
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            let credentials = credentials(sign_type);
            let request = payment().encode(&credentials, "n1");
            assert_eq!(request.path(), MICROPAY_PATH);
            let opened = opened(&request, &credentials);
            let read = Micropay::decode(&opened).unwrap();
            assert_eq!(read.auth_code.expose(), CODE);
            assert_eq!(format!("{read:?}"), format!("{:?}", payment()));
            let mut paid = trade(TradeState::Success);
            let details = paid.paid.as_mut().unwrap();
            details.trade_type = Some("MICROPAY".to_owned());
            let details = details.clone();
            let replier = opened.replier(credentials.key(), "n2");
            let response = Micropay::encode_reply(&paid, &details, &replier);
            let answer = payment().decode_reply(&credentials, &response);
            assert_eq!(answer, Ok(Answer::Done(paid)));
        }
    }

    #[test]
    fn the_code_is_not_printed() {
        assert!(!format!("{:?}", payment()).contains(CODE));
    }

    #[test]
    fn open_outcomes_are_no_failures() {
        let credentials = credentials(SignType::Md5);
        let opened = opened(&payment().encode(&credentials, "n1"), &credentials);
        let replier = opened.replier(credentials.key(), "n2");
        let check = |code: &str, message: &str, wanted| {
            let response = replier.refuse(&Refusal::business(code, message));
            let Ok(Answer::Refused(error)) = payment().decode_reply(&credentials, &response) else {
                panic!("{code} is no refusal");
            };
            assert_eq!(error.as_code_payment(), wanted, "{code}");
        };
        check("USERPAYING", "需要用户输入支付密码", CodePaymentRefusal::Unknown);
        check("SYSTEMERROR", "系统超时", CodePaymentRefusal::Unknown);
        check("BANKERROR", "银行系统异常", CodePaymentRefusal::Unknown);
        check("ORDERPAID", "", CodePaymentRefusal::NumberUsed);
        let text = "101 付款码已过期，请刷新再试";
        check("AUTHCODEEXPIRE", text, CodePaymentRefusal::Failed);
        check("NOTENOUGH", "", CodePaymentRefusal::Failed);
        check("NOTSUPORTCARD", "", CodePaymentRefusal::Failed);
    }

    #[test]
    fn a_reply_about_another_trade_or_without_its_amount_is_not_believed() {
        let credentials = credentials(SignType::Md5);
        let opened = opened(&payment().encode(&credentials, "n1"), &credentials);
        let replier = opened.replier(credentials.key(), "n2");
        let mut other = trade(TradeState::Success);
        other.out_trade_no = "20180821665588".to_owned();
        let response = Micropay::encode_reply(&other, other.paid.as_ref().unwrap(), &replier);
        let error = payment().decode_reply(&credentials, &response).unwrap_err();
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "out_trade_no"));
        let mut bare = Fields::new();
        bare.set("out_trade_no", "20180821665587");
        let error = payment().decode_reply(&credentials, &replier.done(bare)).unwrap_err();
        assert!(matches!(error, ReplyError::Field(_)), "{error:?}");
    }

    #[test]
    fn the_provider_refuses_what_breaks_its_rules() {
        let decode = |change: fn(&mut Micropay)| {
            let mut payment = payment();
            change(&mut payment);
            let credentials = credentials(SignType::Md5);
            Micropay::decode(&opened(&payment.encode(&credentials, "n1"), &credentials))
                .unwrap_err()
        };
        let check = |change: fn(&mut Micropay), words: &str| {
            let refusal = decode(change);
            let has = matches!(&refusal, Refusal::Communication(m) if m.contains(words));
            assert!(has, "{refusal:?} has not {words}");
        };
        check(|p| p.auth_code = Secret::new(String::new()), "“/body/xml/auth_code”");
        check(|p| p.total_fee = Fen(0), "值低于最小值 1");
        check(|p| p.body = String::new(), "必填");
        check(|p| p.out_trade_no = "1".to_owned(), "小于最小值 6");
        check(|p| p.spbill_create_ip = "localhost".to_owned(), "invalid spbill_create_ip");
        check(|p| p.receipt = Some("maybe".to_owned()), "电子发票");
        let alien = decode(|p| p.auth_code = Secret::new("284650093011212345".to_owned()));
        assert!(matches!(alien, Refusal::Business { code, .. } if code == "AUTH_CODE_INVALID"));
    }
}
