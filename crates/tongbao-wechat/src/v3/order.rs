//! Order (微信支付 API v3, Native/JSAPI/APP/H5 下单), of ordinary merchants and service providers.

use super::amount::{AMOUNT, AmountBody, SETTLE, SettleBody};
use super::envelope::{Opened, Received, Refusal, Replier, Stamp, post, read_json};
use super::party::{Mode, Party};
use crate::account::V3Credentials;
use crate::china::rfc3339_time;
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, Rule, may, must};
use crate::trade::{Prepaid, TradeType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Timestamp};

/// An order. Texts are limited in bytes of UTF-8.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Order {
    /// The way of paying; it is in the path, not in the body.
    pub trade_type: TradeType,
    /// What the payer reads, 1 to 127 bytes.
    pub description: String,
    /// The merchant's number, 6 to 32 bytes.
    pub out_trade_no: String,
    /// The last moment to pay.
    pub time_expire: Option<Timestamp>,
    /// Comes back in query and notification, at most 128 bytes.
    pub attach: Option<String>,
    /// Where the notification goes: http(s), at most 255 bytes, no query.
    pub notify_url: String,
    /// For coupons.
    pub goods_tag: Option<String>,
    /// Whether to offer an invoice.
    pub support_fapiao: Option<bool>,
    /// no_balance, no_credit, no_debit, balance_only.
    pub limit_pay: Option<Vec<String>>,
    /// The amount, at least 1 fen.
    pub total: Fen,
    /// `CNY`.
    pub currency: Option<String>,
    /// The payer under `appid`, or under `sp_appid` of a service provider. JSAPI needs it, or
    /// `sub_openid`.
    pub openid: Option<String>,
    /// The payer under `sub_appid`; service providers only.
    pub sub_openid: Option<String>,
    /// The goods, as WeChat writes them.
    pub detail: Option<Value>,
    /// Where the payer is; H5 needs it.
    pub scene_info: Option<SceneInfo>,
    /// Whether the money will be shared.
    pub profit_sharing: Option<bool>,
}

/// Where the payer is (场景信息).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SceneInfo {
    /// The payer's address.
    pub payer_client_ip: String,
    /// The shop's device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The shop, as WeChat writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_info: Option<Map<String, Value>>,
    /// The page or app, as WeChat writes it: `{"type": "Wap"}`. H5 needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h5_info: Option<Map<String, Value>>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(flatten)]
    party: Party,
    description: String,
    out_trade_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_expire: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attach: Option<String>,
    notify_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goods_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    support_fapiao: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit_pay: Option<Vec<String>>,
    amount: AmountBody,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payer: Option<PayerBody>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scene_info: Option<SceneInfo>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle_info: Option<SettleBody>,
}

#[derive(Default, Serialize, Deserialize)]
struct PayerBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    openid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sp_openid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sub_openid: Option<String>,
}

const GOODS: &[Rule] = &[
    must("merchant_goods_id", "商户侧商品编码", Kind::Text(1, 32)),
    may("wechatpay_goods_id", "微信支付商品编码", Kind::Text(1, 32)),
    may("goods_name", "商品名称", Kind::Text(1, 256)),
    must("quantity", "商品数量", Kind::Integer(1)),
    must("unit_price", "商品单价", Kind::Integer(0)),
];
const DETAIL: &[Rule] = &[
    may("cost_price", "订单原价", Kind::Integer(0)),
    may("invoice_id", "商品小票ID", Kind::Text(1, 32)),
    may("goods_detail", "单品列表", Kind::Objects(GOODS)),
];
const STORE: &[Rule] = &[
    must("id", "门店编号", Kind::Text(1, 32)),
    may("name", "门店名称", Kind::Text(1, 256)),
    may("area_code", "地区编码", Kind::Text(1, 32)),
    may("address", "详细地址", Kind::Text(1, 512)),
];
const H5: &[Rule] = &[
    must("type", "场景类型", Kind::Text(1, 32)),
    may("app_name", "应用名称", Kind::Text(1, 64)),
    may("app_url", "网站URL", Kind::Text(1, 128)),
    may("bundle_id", "iOS平台BundleID", Kind::Text(1, 128)),
    may("package_name", "Android平台PackageName", Kind::Text(1, 128)),
];
const SCENE: &[Rule] = &[
    must("payer_client_ip", "用户终端IP", Kind::Text(1, 45)),
    may("device_id", "商户端设备号", Kind::Text(1, 32)),
    may("store_info", "商户门店信息", Kind::Object(STORE)),
    may("h5_info", "H5场景信息", Kind::Object(H5)),
];
const LIMITS: Kind = Kind::Word(&["no_balance", "no_credit", "no_debit", "balance_only"]);
const RULES: &[Rule] = &[
    must("description", "商品描述", Kind::Text(1, 127)),
    must("out_trade_no", "商户订单号", Kind::OutTradeNo),
    may("time_expire", "交易结束时间", Kind::Time),
    may("attach", "附加数据", Kind::Text(0, 128)),
    must("notify_url", "通知地址", Kind::NotifyUrl(255)),
    may("goods_tag", "订单优惠标记", Kind::Text(0, 32)),
    may("support_fapiao", "电子发票入口开放标识", Kind::Flag),
    may("limit_pay", "指定支付方式", Kind::List(&LIMITS)),
    must("amount", "订单金额", Kind::Object(AMOUNT)),
    may("detail", "优惠功能", Kind::Object(DETAIL)),
    may("scene_info", "场景信息", Kind::Object(SCENE)),
    may("settle_info", "结算信息", Kind::Object(SETTLE)),
];
const PAYER: Rule =
    may("payer", "支付者", Kind::Object(&[must("openid", "用户标识", Kind::Text(1, 128))]));
const PARTNER_PAYER: Rule = may(
    "payer",
    "支付者",
    Kind::Object(&[
        may("sp_openid", "用户服务标识", Kind::Text(1, 128)),
        may("sub_openid", "用户子标识", Kind::Text(1, 128)),
    ]),
);

impl Order {
    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let merchant = credentials.merchant();
        let mode = Mode::of(merchant);
        let body = Body {
            party: Party::of(merchant),
            description: self.description.clone(),
            out_trade_no: self.out_trade_no.clone(),
            time_expire: self.time_expire.map(rfc3339_time),
            attach: self.attach.clone(),
            notify_url: self.notify_url.clone(),
            goods_tag: self.goods_tag.clone(),
            support_fapiao: self.support_fapiao,
            limit_pay: self.limit_pay.clone(),
            amount: AmountBody::of(self.total, &self.currency),
            payer: self.payer(mode),
            detail: self.detail.clone(),
            scene_info: self.scene_info.clone(),
            settle_info: SettleBody::of(self.profit_sharing),
        };
        post(mode.path(segment(self.trade_type)), &body, credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well, and the app id in it (a
    /// service provider's own; `opened.merchant` has the sub-merchant's).
    pub fn decode(opened: &Opened) -> Result<(Order, String), Refusal> {
        let not_found = || Refusal::new(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在");
        let (mode, rest) = Mode::strip(opened.request.path()).ok_or_else(not_found)?;
        let trade_type = read_segment(rest).ok_or_else(not_found)?;
        let payer_rule = if mode == Mode::Partner { PARTNER_PAYER } else { PAYER };
        let body: Body = opened.body(&[mode.rules(), RULES, &[payer_rule]].concat())?;
        opened.check_party(&body.party)?;
        let payer = body.payer.unwrap_or_default();
        let time = body.time_expire.as_deref().map(str::parse).transpose();
        let order = Order {
            trade_type,
            description: body.description,
            out_trade_no: body.out_trade_no,
            time_expire: time.expect("the rules have checked the time"),
            attach: body.attach,
            notify_url: body.notify_url,
            goods_tag: body.goods_tag,
            support_fapiao: body.support_fapiao,
            limit_pay: body.limit_pay,
            total: Fen(body.amount.total),
            currency: body.amount.currency,
            openid: payer.openid.or(payer.sp_openid),
            sub_openid: payer.sub_openid,
            detail: body.detail,
            scene_info: body.scene_info,
            profit_sharing: body.settle_info.and_then(|settle| settle.profit_sharing),
        };
        order.check_by_type(mode)?;
        if order.sub_openid.is_some() && body.party.sub_appid.is_none() {
            return Err(Refusal::missing("/body/sub_appid"));
        }
        Ok((order, body.party.app_id().to_owned()))
    }

    /// The provider's reply.
    pub fn encode_reply(prepaid: &Prepaid, replier: &Replier<'_>) -> HttpResponse {
        let (name, text) = match prepaid {
            Prepaid::CodeUrl { code_url, .. } => ("code_url", code_url),
            Prepaid::PrepayId(prepay_id) => ("prepay_id", prepay_id),
            Prepaid::H5Url { h5_url, .. } => ("h5_url", h5_url),
        };
        replier.json(&Map::from_iter([(name.to_owned(), Value::from(text.as_str()))]))
    }

    /// The merchant reads the reply.
    pub fn decode_reply(&self, received: &Received<'_>) -> Result<Answer<Prepaid>, ReplyError> {
        #[derive(Deserialize)]
        struct Native {
            code_url: String,
        }
        #[derive(Deserialize)]
        struct Client {
            prepay_id: String,
        }
        #[derive(Deserialize)]
        struct H5 {
            h5_url: String,
        }
        received.verified()?.then(|body| {
            Ok(match self.trade_type {
                TradeType::Native => {
                    let code_url = read_json::<Native>(body)?.code_url;
                    Prepaid::CodeUrl { code_url, prepay_id: None }
                }
                TradeType::Jsapi | TradeType::App => {
                    Prepaid::PrepayId(read_json::<Client>(body)?.prepay_id)
                }
                TradeType::Mweb => {
                    Prepaid::H5Url { h5_url: read_json::<H5>(body)?.h5_url, prepay_id: None }
                }
            })
        })
    }

    fn payer(&self, mode: Mode) -> Option<PayerBody> {
        let (openid, sub_openid) = (self.openid.clone(), self.sub_openid.clone());
        match mode {
            Mode::Direct => {
                openid.map(|openid| PayerBody { openid: Some(openid), ..PayerBody::default() })
            }
            Mode::Partner => (openid.is_some() || sub_openid.is_some()).then_some(PayerBody {
                openid: None,
                sp_openid: openid,
                sub_openid,
            }),
        }
    }

    fn check_by_type(&self, mode: Mode) -> Result<(), Refusal> {
        let missing = |place| Err(Refusal::missing(place));
        let nobody = self.openid.is_none() && self.sub_openid.is_none();
        let h5_info = self.scene_info.as_ref().and_then(|scene| scene.h5_info.as_ref());
        match (self.trade_type, mode) {
            (TradeType::Jsapi, Mode::Direct) if nobody => missing("/body/payer/openid"),
            (TradeType::Jsapi, Mode::Partner) if nobody => missing("/body/payer/sp_openid"),
            (TradeType::Mweb, _) if h5_info.is_none() => missing("/body/scene_info/h5_info"),
            _ => Ok(()),
        }
    }
}

const fn segment(trade_type: TradeType) -> &'static str {
    match trade_type {
        TradeType::Native => "native",
        TradeType::Jsapi => "jsapi",
        TradeType::App => "app",
        TradeType::Mweb => "h5",
    }
}

fn read_segment(text: &str) -> Option<TradeType> {
    let all = [TradeType::Native, TradeType::Jsapi, TradeType::App, TradeType::Mweb];
    all.into_iter().find(|trade_type| segment(*trade_type) == text)
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
    use super::*;
    use serde_json::json;

    fn order(trade_type: TradeType) -> Order {
        let h5_info = json!({"type": "Wap"}).as_object().cloned();
        let payer_client_ip = "127.0.0.1".to_owned();
        Order {
            trade_type,
            description: "测试".to_owned(),
            out_trade_no: "20180821665587".to_owned(),
            notify_url: "https://pay.example.com/notify".to_owned(),
            total: Fen(1),
            time_expire: "2026-11-21T14:30:00+08:00".parse().ok(),
            openid: (trade_type == TradeType::Jsapi).then(|| "oUpF8uMuAJO".to_owned()),
            scene_info: (trade_type == TradeType::Mweb).then(|| SceneInfo {
                payer_client_ip,
                h5_info,
                ..SceneInfo::default()
            }),
            ..Order::default()
        }
    }

    fn whole() -> Order {
        let store = json!({"id": "0001", "name": "店"}).as_object().cloned();
        Order {
            attach: Some("a".to_owned()),
            goods_tag: Some("WXG".to_owned()),
            support_fapiao: Some(true),
            limit_pay: Some(vec!["no_credit".to_owned()]),
            currency: Some("CNY".to_owned()),
            detail: Some(json!({"cost_price": 1, "goods_detail": [
                {"merchant_goods_id": "1", "quantity": 1, "unit_price": 1}
            ]})),
            scene_info: Some(SceneInfo {
                payer_client_ip: "::1".to_owned(),
                store_info: store,
                ..SceneInfo::default()
            }),
            profit_sharing: Some(false),
            ..order(TradeType::Native)
        }
    }

    #[test]
    fn a_small_order_is_written_exactly_so() {
        let request = order(TradeType::Native).encode(&PAIR.credentials, stamp());
        assert_eq!(request.target, "/v3/pay/transactions/native");
        let wanted = r#"{"appid":"wxd930ea5d5a258f4f","mchid":"1900000109","description":"测试","out_trade_no":"20180821665587","time_expire":"2026-11-21T14:30:00+08:00","notify_url":"https://pay.example.com/notify","amount":{"total":1}}"#;
        assert_eq!(request.body, wanted);
    }

    #[test]
    fn orders_of_every_type_go_there_and_back() {
        let id = || Prepaid::PrepayId("wx1".to_owned());
        let code_url = "weixin://wxpay/bizpayurl?pr=abc".to_owned();
        let h5_url = "https://wx.tenpay.com/x".to_owned();
        let check = |order: &Order, prepaid: Prepaid| {
            let opened = opened(order.encode(&PAIR.credentials, stamp()));
            let (read, app_id) = Order::decode(&opened).unwrap();
            assert_eq!((&read, app_id.as_str()), (order, "wxd930ea5d5a258f4f"));
            let response = Order::encode_reply(&prepaid, &replier());
            assert_eq!(order.decode_reply(&received(&response)), Ok(Answer::Done(prepaid)));
        };
        let native = Prepaid::CodeUrl { code_url, prepay_id: None };
        check(&order(TradeType::Native), native.clone());
        check(&whole(), native);
        check(&order(TradeType::Jsapi), id());
        check(&order(TradeType::App), id());
        check(&order(TradeType::Mweb), Prepaid::H5Url { h5_url, prepay_id: None });
    }

    #[test]
    fn a_reply_of_another_kind_leaves_the_outcome_unknown() {
        let response = Order::encode_reply(&Prepaid::PrepayId("wx1".to_owned()), &replier());
        let error = order(TradeType::Native).decode_reply(&received(&response)).unwrap_err();
        assert!(matches!(error, ReplyError::Malformed(_)));
    }

    #[test]
    fn the_provider_refuses_what_breaks_its_rules() {
        let check = |trade_type: TradeType, change: fn(&mut Value), words: &str| {
            let sent = order(trade_type).encode(&PAIR.credentials, stamp());
            let mut body: Value = serde_json::from_slice(&sent.body).unwrap();
            change(&mut body);
            let sent = post(sent.target, &body, &PAIR.credentials, stamp());
            let refusal = Order::decode(&opened(sent)).unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_str()), (400, "PARAM_ERROR"));
            assert!(refusal.message.contains(words), "{} has not {words}", refusal.message);
        };
        let native = TradeType::Native;
        check(native, |b| b["amount"]["total"] = json!(0), "“/body/amount/total”");
        check(native, |b| b["amount"]["total"] = json!(0.01), "64 位有符号整数");
        check(native, |b| b["surprise"] = json!(1), "额外参数");
        check(native, |b| b["attach"] = Value::Null, "“/body/attach”");
        check(native, |b| b["description"] = json!("字".repeat(43)), "字节数 129，大于最大值 127");
        check(native, |b| b["out_trade_no"] = json!("12345"), "字节数 5，小于最小值 6");
        check(native, |b| b["out_trade_no"] = json!("a@b.c/d"), "正则表达式");
        check(native, |b| b["notify_url"] = json!("https://a.example/?a"), "通知地址");
        check(native, |b| b["time_expire"] = json!("20261121"), "交易结束时间");
        check(native, |b| b["mchid"] = json!("1900000110"), "不匹配");
        check(native, |b| *b = json!([]), "JSON 对象");
        check(TradeType::Jsapi, |b| b["payer"] = json!({}), "“/body/payer/openid”");
        let without = |b: &mut Value| {
            b.as_object_mut().unwrap().remove("payer");
        };
        check(TradeType::Jsapi, without, "openid");
        let bare = |b: &mut Value| b["scene_info"] = json!({"payer_client_ip": "::1"});
        check(TradeType::Mweb, bare, "h5_info");
    }

    #[test]
    fn a_service_providers_order_names_both_merchants() {
        let with = |openid: Option<&str>, sub: Option<&str>| {
            let (openid, sub_openid) = (openid.map(str::to_owned), sub.map(str::to_owned));
            Order { openid, sub_openid, ..order(TradeType::Jsapi) }
        };
        let sent = with(None, Some("oSub")).encode(&PARTNER, stamp());
        assert_eq!(sent.target, "/v3/pay/partner/transactions/jsapi");
        let wanted = r#"{"sp_appid":"wxd930ea5d5a258f4f","sp_mchid":"1900000109","sub_appid":"wxd678efh567hg6787","sub_mchid":"1900000209","description":"测试","out_trade_no":"20180821665587","time_expire":"2026-11-21T14:30:00+08:00","notify_url":"https://pay.example.com/notify","amount":{"total":1},"payer":{"sub_openid":"oSub"}}"#;
        assert_eq!(sent.body, wanted);
        for order in [with(None, Some("oSub")), with(Some("oSp"), None), with(Some("a"), Some("b"))]
        {
            let opened = opened(order.encode(&PARTNER, stamp()));
            assert_eq!(opened.merchant, *PARTNER.merchant());
            let app_id = PARTNER.merchant().app_id.clone();
            assert_eq!(Order::decode(&opened), Ok((order, app_id)));
        }
        for trade_type in [TradeType::Native, TradeType::App, TradeType::Mweb] {
            let order = order(trade_type);
            let opened = opened(order.encode(&PARTNER, stamp()));
            assert_eq!(Order::decode(&opened).unwrap().0, order);
        }
    }

    #[test]
    fn the_provider_refuses_what_breaks_a_service_providers_rules() {
        let check = |change: fn(&mut Value), words: &str| {
            let sent = order(TradeType::Jsapi).encode(&PARTNER, stamp());
            let mut body: Value = serde_json::from_slice(&sent.body).unwrap();
            change(&mut body);
            let sent = post(sent.target, &body, &PARTNER, stamp());
            let refusal = Order::decode(&opened(sent)).unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_str()), (400, "PARAM_ERROR"));
            assert!(refusal.message.contains(words), "{} has not {words}", refusal.message);
        };
        fn drop(body: &mut Value, name: &str) {
            body.as_object_mut().unwrap().remove(name);
        }
        check(|b| drop(b, "sp_appid"), "“/body/sp_appid”");
        check(|b| drop(b, "sp_mchid"), "“/body/sp_mchid”");
        check(|b| drop(b, "sub_mchid"), "“/body/sub_mchid”");
        check(|b| drop(b, "payer"), "“/body/payer/sp_openid”");
        check(|b| b["payer"] = json!({}), "“/body/payer/sp_openid”");
        check(|b| b["payer"] = json!({"openid": "o"}), "额外参数");
        check(|b| b["sp_mchid"] = json!("1900000110"), "不匹配");
        check(|b| b["mchid"] = json!("1900000109"), "额外参数");
        let without_app = |b: &mut Value| {
            b["payer"] = json!({"sub_openid": "o"});
            drop(b, "sub_appid");
        };
        check(without_app, "“/body/sub_appid”");
    }

    #[test]
    fn a_refusal_names_the_field() {
        let bad = Order { total: Fen(0), ..order(TradeType::Native) };
        let refusal = Order::decode(&opened(bad.encode(&PAIR.credentials, stamp()))).unwrap_err();
        let body: Value = serde_json::from_slice(&refusal.encode("id").body).unwrap();
        assert_eq!(body["detail"]["field"], "/amount/total");
        assert_eq!(body["detail"]["location"], "body");
    }

    #[test]
    fn a_name_that_comes_twice_and_broken_json_are_refused() {
        let mut sent = order(TradeType::Native).encode(&PAIR.credentials, stamp());
        let text = String::from_utf8(sent.body.to_vec()).unwrap();
        for body in [text.replacen('{', r#"{"mchid":"1","#, 1), text[1..].to_owned()] {
            sent.body = body.into();
            let refusal = Order::decode(&super::super::open(sent.clone()).unwrap()).unwrap_err();
            assert_eq!(refusal.code, "PARAM_ERROR");
        }
        sent.target = "/v3/pay/transactions/telepathy".to_owned();
        let refusal = Order::decode(&super::super::open(sent).unwrap()).unwrap_err();
        assert_eq!(refusal.status, 404);
    }
}
