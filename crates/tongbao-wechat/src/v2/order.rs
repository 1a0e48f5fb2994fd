//! Unified order (微信支付 API v2, 统一下单).

use super::envelope::{Opened, Refusal, Replier, field, need, read_reply, request};
use crate::account::V2Credentials;
use crate::china::{compact_time, read_compact_time};
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, Rule, may, must};
use crate::trade::{Prepaid, TradeType};
use crate::xml::Fields;
use std::net::IpAddr;
use tongbao_types::{Fen, HttpRequest, HttpResponse, Timestamp};

/// Where orders are sent.
pub const ORDER_PATH: &str = "/pay/unifiedorder";

/// An order. Texts are limited in bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnifiedOrder {
    /// What the payer reads, 1 to 128 bytes.
    pub body: String,
    /// The merchant's number, 6 to 32 bytes.
    pub out_trade_no: String,
    /// The amount, at least 1 fen.
    pub total_fee: Fen,
    /// The payer's address (for MWEB), else this machine's.
    pub spbill_create_ip: String,
    /// Where the notification goes: http(s), at most 256 bytes, no query.
    pub notify_url: String,
    /// The way of paying.
    pub trade_type: TradeType,
    /// The payer; JSAPI needs it (or `sub_openid`).
    pub openid: Option<String>,
    /// The payer under the sub-merchant's app id.
    pub sub_openid: Option<String>,
    /// The merchant's number of the goods, for NATIVE.
    pub product_id: Option<String>,
    /// Comes back in query and notification, at most 127 bytes.
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
    /// JSON; MWEB needs it.
    pub scene_info: Option<String>,
    /// The terminal; `WEB` for pages.
    pub device_info: Option<String>,
    /// `CNY`.
    pub fee_type: Option<String>,
    /// `Y` or `N`: an electronic invoice.
    pub receipt: Option<String>,
    /// `Y` or `N`.
    pub profit_sharing: Option<String>,
}

const RULES: &[Rule] = &[
    must("body", "商品描述", Kind::Text(1, 128)),
    must("out_trade_no", "商户订单号", Kind::OutTradeNo),
    must("total_fee", "标价金额", Kind::Integer(1)),
    must("spbill_create_ip", "终端IP", Kind::Text(1, 64)),
    must("notify_url", "通知地址", Kind::NotifyUrl(256)),
    must("trade_type", "交易类型", Kind::Word(&["NATIVE", "JSAPI", "APP", "MWEB"])),
    may("openid", "用户标识", Kind::Text(1, 128)),
    may("sub_openid", "用户子标识", Kind::Text(1, 128)),
    may("product_id", "商品ID", Kind::Text(1, 32)),
    may("attach", "附加数据", Kind::Text(0, 127)),
    may("detail", "商品详情", Kind::Text(0, 6000)),
    may("time_start", "交易起始时间", Kind::CompactTime),
    may("time_expire", "交易结束时间", Kind::CompactTime),
    may("goods_tag", "订单优惠标记", Kind::Text(0, 32)),
    may("limit_pay", "指定支付方式", Kind::Word(&["no_credit"])),
    may("scene_info", "场景信息", Kind::Text(0, 256)),
    may("device_info", "设备号", Kind::Text(0, 32)),
    may("fee_type", "标价币种", Kind::Word(&["CNY"])),
    may("receipt", "电子发票入口开放标识", Kind::Word(&["Y", "N"])),
    may("profit_sharing", "是否需要分账", Kind::Word(&["Y", "N"])),
    may("version", "接口版本号", Kind::Text(0, 32)),
];

impl UnifiedOrder {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V2Credentials, nonce: &str) -> HttpRequest {
        let mut fields = Fields::new();
        fields.set("body", &self.body);
        fields.set("out_trade_no", &self.out_trade_no);
        fields.set("total_fee", self.total_fee.0.to_string());
        fields.set("spbill_create_ip", &self.spbill_create_ip);
        fields.set("notify_url", &self.notify_url);
        fields.set("trade_type", self.trade_type.as_str());
        fields.set_some("version", self.detail.as_ref().map(|_| "1.0"));
        fields.set_some("time_start", self.time_start.map(compact_time));
        fields.set_some("time_expire", self.time_expire.map(compact_time));
        for (name, text) in self.texts() {
            fields.set_some(name, text.as_deref());
        }
        request(ORDER_PATH, fields, credentials, nonce)
    }

    /// The provider reads a request, already found to be signed well.
    pub fn decode(opened: &Opened) -> Result<UnifiedOrder, Refusal> {
        opened.check(RULES)?;
        let text = |name: &str| opened.text(name).unwrap_or_default();
        let time = |name: &str| opened.fields.text(name).and_then(read_compact_time);
        let mut order = UnifiedOrder {
            body: text("body"),
            out_trade_no: text("out_trade_no"),
            total_fee: opened.fen("total_fee"),
            spbill_create_ip: text("spbill_create_ip"),
            notify_url: text("notify_url"),
            trade_type: TradeType::read(&text("trade_type")).unwrap_or_default(),
            time_start: time("time_start"),
            time_expire: time("time_expire"),
            ..UnifiedOrder::default()
        };
        for (name, slot) in order.texts_mut() {
            *slot = opened.text(name);
        }
        order.check_by_type()?;
        check_sub_merchant(opened)?;
        Ok(order)
    }

    /// The provider's reply.
    pub fn encode_reply(&self, prepaid: &Prepaid, replier: &Replier<'_>) -> HttpResponse {
        let mut own = Fields::new();
        let (prepay_id, url) = match prepaid {
            Prepaid::CodeUrl { code_url, prepay_id } => {
                (prepay_id.as_deref(), Some(("code_url", code_url)))
            }
            Prepaid::H5Url { h5_url, prepay_id } => {
                (prepay_id.as_deref(), Some(("mweb_url", h5_url)))
            }
            Prepaid::PrepayId(prepay_id) => (Some(prepay_id.as_str()), None),
        };
        own.set_some("prepay_id", prepay_id);
        own.set("trade_type", self.trade_type.as_str());
        if let Some((name, url)) = url {
            own.set(name, url);
        }
        replier.done(own)
    }

    /// The merchant reads the reply.
    pub fn decode_reply(
        &self,
        credentials: &V2Credentials,
        response: &HttpResponse,
    ) -> Result<Answer<Prepaid>, ReplyError> {
        read_reply(credentials, response)?.then(|fields| {
            if fields.text("trade_type").is_some_and(|word| word != self.trade_type.as_str()) {
                return Err(field("trade_type", "is not the order's").into());
            }
            let prepay_id = need(&fields, "prepay_id")?.to_owned();
            Ok(match self.trade_type {
                TradeType::Native => Prepaid::CodeUrl {
                    code_url: need(&fields, "code_url")?.to_owned(),
                    prepay_id: Some(prepay_id),
                },
                TradeType::Mweb => Prepaid::H5Url {
                    h5_url: need(&fields, "mweb_url")?.to_owned(),
                    prepay_id: Some(prepay_id),
                },
                TradeType::Jsapi | TradeType::App => Prepaid::PrepayId(prepay_id),
            })
        })
    }

    fn check_by_type(&self) -> Result<(), Refusal> {
        let no = |message: &str| Err(Refusal::Communication(message.to_owned()));
        if self.spbill_create_ip.parse::<IpAddr>().is_err() {
            return no("invalid spbill_create_ip");
        }
        match self.trade_type {
            TradeType::Jsapi if self.openid.is_none() && self.sub_openid.is_none() => {
                no("JSAPI支付必须传openid")
            }
            TradeType::Mweb if self.scene_info.is_none() => no("缺少参数scene_info"),
            _ => Ok(()),
        }
    }

    fn texts(&self) -> [(&'static str, &Option<String>); 12] {
        [
            ("openid", &self.openid),
            ("sub_openid", &self.sub_openid),
            ("product_id", &self.product_id),
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

    fn texts_mut(&mut self) -> [(&'static str, &mut Option<String>); 12] {
        [
            ("openid", &mut self.openid),
            ("sub_openid", &mut self.sub_openid),
            ("product_id", &mut self.product_id),
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

/// Service providers must name the sub-merchant, and the app that `sub_openid` belongs to.
fn check_sub_merchant(opened: &Opened) -> Result<(), Refusal> {
    let there = |name: &str| opened.fields.text(name).is_some();
    let needs = [("sub_openid", "sub_appid"), ("sub_appid", "sub_mch_id")];
    match needs.into_iter().find(|(given, needed)| there(given) && !there(needed)) {
        Some((_, needed)) => Err(Refusal::Communication(format!("缺少参数{needed}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{credentials, opened};
    use super::*;
    use crate::account::{Merchant, SignType};

    fn order(trade_type: TradeType) -> UnifiedOrder {
        UnifiedOrder {
            body: "测试 <&]]>".to_owned(),
            out_trade_no: "20180821665587".to_owned(),
            total_fee: Fen(1),
            spbill_create_ip: "127.0.0.1".to_owned(),
            notify_url: "https://pay.example.com/notify".to_owned(),
            trade_type,
            openid: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned()),
            scene_info: Some(r#"{"h5_info":{"type":"Wap"}}"#.to_owned()),
            time_expire: "2026-11-21T14:30:00+08:00".parse().ok(),
            ..UnifiedOrder::default()
        }
    }

    fn round(order: &UnifiedOrder, prepaid: &Prepaid, sign_type: SignType) {
        let credentials = credentials(sign_type);
        let request = order.encode(&credentials, "n1");
        assert_eq!((request.method.as_str(), request.path()), ("POST", ORDER_PATH));
        let opened = opened(&request, &credentials);
        assert_eq!(UnifiedOrder::decode(&opened).as_ref(), Ok(order));
        let response = order.encode_reply(prepaid, &opened.replier(credentials.key(), "n2"));
        let answer = order.decode_reply(&credentials, &response);
        assert_eq!(answer, Ok(Answer::Done(prepaid.clone())));
    }

    fn native() -> Prepaid {
        let code_url = "weixin://wxpay/bizpayurl?pr=abc".to_owned();
        Prepaid::CodeUrl { code_url, prepay_id: Some("wx1".to_owned()) }
    }

    #[test]
    fn orders_of_every_type_go_there_and_back() {
        let h5_url = "https://wx.tenpay.com/x?prepay_id=wx1&package=1".to_owned();
        let mweb = Prepaid::H5Url { h5_url, prepay_id: Some("wx1".to_owned()) };
        for sign_type in [SignType::Md5, SignType::HmacSha256] {
            round(&order(TradeType::Native), &native(), sign_type);
            round(&order(TradeType::Mweb), &mweb, sign_type);
            round(&order(TradeType::Jsapi), &Prepaid::PrepayId("wx1".to_owned()), sign_type);
            round(&order(TradeType::App), &Prepaid::PrepayId("wx1".to_owned()), sign_type);
        }
    }

    fn provider(sub_app_id: Option<&str>, sub_mch_id: Option<&str>) -> V2Credentials {
        let direct = credentials(SignType::HmacSha256);
        let merchant = Merchant {
            sub_app_id: sub_app_id.map(str::to_owned),
            sub_mch_id: sub_mch_id.map(str::to_owned),
            ..direct.merchant().clone()
        };
        V2Credentials::new(merchant, direct.key().clone(), SignType::HmacSha256).unwrap()
    }

    #[test]
    fn service_providers_order_for_a_payer_of_either_app() {
        let both = provider(Some("wx8888888888888888"), Some("1900000109"));
        let theirs = UnifiedOrder {
            openid: None,
            sub_openid: Some("oLTPCuN5a-nBD4rAL_fa".to_owned()),
            ..order(TradeType::Jsapi)
        };
        let ours = provider(None, Some("1900000109"));
        for (credentials, order) in [(both, theirs), (ours, order(TradeType::Jsapi))] {
            let opened = opened(&order.encode(&credentials, "n1"), &credentials);
            assert_eq!(UnifiedOrder::decode(&opened).as_ref(), Ok(&order));
            let prepaid = Prepaid::PrepayId("wx1".to_owned());
            let replier = opened.replier(credentials.key(), "n2");
            let response = order.encode_reply(&prepaid, &replier);
            let echoed = Fields::parse(&response.body).unwrap();
            let merchant = credentials.merchant();
            assert_eq!(echoed.text("sub_mch_id"), merchant.sub_mch_id.as_deref());
            assert_eq!(echoed.text("sub_appid"), merchant.sub_app_id.as_deref());
            let answer = order.decode_reply(&credentials, &response);
            assert_eq!(answer, Ok(Answer::Done(prepaid)));
        }
    }

    #[test]
    fn what_a_service_provider_leaves_out_is_told() {
        let check = |credentials: &V2Credentials, wanted: &str| {
            let order = UnifiedOrder {
                sub_openid: Some("oLTPCuN5a-nBD4rAL_fa".to_owned()),
                ..order(TradeType::Jsapi)
            };
            let opened = opened(&order.encode(credentials, "n1"), credentials);
            let refusal = UnifiedOrder::decode(&opened);
            assert_eq!(refusal, Err(Refusal::Communication(wanted.to_owned())));
        };
        check(&provider(None, Some("1900000109")), "缺少参数sub_appid");
        check(&provider(Some("wx8888888888888888"), None), "缺少参数sub_mch_id");
    }

    #[test]
    fn the_reply_has_the_order_of_production() {
        let credentials = credentials(SignType::Md5);
        let request = order(TradeType::Native).encode(&credentials, "n1");
        let opened = opened(&request, &credentials);
        let replier = opened.replier(credentials.key(), "n2");
        let response = order(TradeType::Native).encode_reply(&native(), &replier);
        let fields = Fields::parse(&response.body).unwrap();
        let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
        let wanted = "return_code return_msg result_code mch_id appid nonce_str sign prepay_id \
                      trade_type code_url";
        assert_eq!(names.join(" "), wanted);
    }

    #[test]
    fn a_reply_without_a_code_is_no_order() {
        let credentials = credentials(SignType::Md5);
        let native = order(TradeType::Native);
        let opened = opened(&native.encode(&credentials, "n1"), &credentials);
        let replier = opened.replier(credentials.key(), "n2");
        let bare = native.encode_reply(&Prepaid::PrepayId("wx1".to_owned()), &replier);
        let error = native.decode_reply(&credentials, &bare).unwrap_err();
        assert_eq!(error, field("code_url", "is missing").into());
        let other = order(TradeType::App).encode_reply(&self::native(), &replier);
        assert!(matches!(native.decode_reply(&credentials, &other), Err(ReplyError::Field(_))));
    }

    #[test]
    fn the_provider_refuses_what_breaks_its_rules() {
        let check = |change: fn(&mut UnifiedOrder), words: &str| {
            let mut order = order(TradeType::Jsapi);
            change(&mut order);
            let credentials = credentials(SignType::Md5);
            let opened = opened(&order.encode(&credentials, "n1"), &credentials);
            match UnifiedOrder::decode(&opened) {
                Err(Refusal::Communication(message)) => {
                    assert!(message.contains(words), "{message} has not {words}");
                }
                other => panic!("{other:?} is not the refusal {words}"),
            }
        };
        check(|o| o.total_fee = Fen(0), "“/body/xml/total_fee”");
        check(|o| o.total_fee = Fen(-1), "值低于最小值 1");
        check(|o| o.out_trade_no = "123".to_owned(), "字节数 3，小于最小值 6");
        check(|o| o.out_trade_no = "1".repeat(33), "字节数 33，大于最大值 32");
        check(|o| o.out_trade_no = "a@b c/d".to_owned(), "商户订单号");
        check(|o| o.body = "字".repeat(43), "字节数 129，大于最大值 128");
        check(|o| o.body = String::new(), "必填");
        check(|o| o.notify_url.push_str("?a=1"), "“/body/xml/notify_url”");
        check(|o| o.spbill_create_ip = "localhost".to_owned(), "invalid spbill_create_ip");
        check(|o| o.openid = None, "JSAPI支付必须传openid");
        check(|o| o.fee_type = Some("USD".to_owned()), "标价币种");
        check(
            |o| {
                o.trade_type = TradeType::Mweb;
                o.scene_info = None;
            },
            "缺少参数scene_info",
        );
    }
}
