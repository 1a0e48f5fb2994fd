//! Code payment (微信支付 API v3, 付款码支付): the payer shows a code, the shop reads it.
//!
//! The documentation of 2024-12 has it, the questions and answers of 2026-04 know it in API v2
//! alone: an account may be told NO_AUTH, and then API v2 is the way. WeChat sends no notification
//! of it. While the payer types the password, the reply is `{"trade_state":"USERPAYING"}` and
//! nothing else; such trades and unknown outcomes are queried, and reversed in the end.

use super::amount::{AMOUNT, AmountBody, SETTLE, SettleBody};
use super::envelope::{Opened, Received, Refusal, Replier, Stamp, post, read_json};
use super::party::{Mode, Party, same};
use super::query::TradeBody;
use crate::account::{Merchant, V3Credentials};
use crate::auth_code::is_auth_code;
use crate::error::{Answer, ReplyError};
use crate::rules::{Kind, Rule, may, must};
use crate::trade::{Trade, TradeState};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Secret};

const SEGMENT: &str = "codepay";

/// Money from a payer's code. Texts are limited in bytes of UTF-8.
#[derive(Debug, Clone)]
pub struct CodePayment {
    /// What was read, 18 digits ([`crate::is_auth_code`]). It pays once, within a minute, and
    /// is nobody else's to read.
    pub auth_code: Secret<String>,
    /// What the payer reads, 1 to 127 bytes.
    pub description: String,
    /// The merchant's number, 6 to 32 bytes. Another code needs another number.
    pub out_trade_no: String,
    /// The amount, at least 1 fen.
    pub total: Fen,
    /// `CNY`.
    pub currency: Option<String>,
    /// Comes back in reply and query, at most 128 bytes.
    pub attach: Option<String>,
    /// For coupons.
    pub goods_tag: Option<String>,
    /// Whether to offer an invoice.
    pub support_fapiao: Option<bool>,
    /// Where the code was read.
    pub scene_info: CodeScene,
    /// The goods, as WeChat writes them.
    pub detail: Option<Value>,
    /// Whether the money will be shared.
    pub profit_sharing: Option<bool>,
}

/// Where a code was read (场景信息). Not the [`SceneInfo`](super::SceneInfo) of orders.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CodeScene {
    /// The device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// The device's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_ip: Option<String>,
    /// The shop.
    pub store_info: CodeStore,
}

/// The shop (商户门店信息); one of its numbers must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CodeStore {
    /// WeChat's number of the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The merchant's number of the shop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    #[serde(flatten)]
    party: Party,
    description: String,
    out_trade_no: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attach: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    goods_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    support_fapiao: Option<bool>,
    payer: PayerBody,
    amount: AmountBody,
    scene_info: CodeScene,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    settle_info: Option<SettleBody>,
}

#[derive(Serialize, Deserialize)]
struct PayerBody {
    auth_code: String,
}

const GOODS: &[Rule] = &[
    must("merchant_goods_id", "商户侧商品编码", Kind::Text(1, 32)),
    // Spelt so here, and wechatpay_goods_id in orders.
    may("wxpay_goods_id", "微信支付商品编码", Kind::Text(1, 32)),
    may("goods_name", "商品名称", Kind::Text(1, 256)),
    must("quantity", "商品数量", Kind::Integer(1)),
    must("unit_price", "商品单价", Kind::Integer(0)),
];
const DETAIL: &[Rule] = &[
    may("cost_price", "订单原价", Kind::Integer(0)),
    may("invoice_id", "商品小票ID", Kind::Text(1, 32)),
    may("goods_detail", "单品列表", Kind::Objects(GOODS)),
];
const STORE: &[Rule] =
    &[may("id", "门店编号", Kind::Text(1, 32)), may("out_id", "商户侧门店编号", Kind::Text(1, 32))];
const SCENE: &[Rule] = &[
    may("device_id", "商户端设备号", Kind::Text(1, 32)),
    may("device_ip", "商户端设备IP", Kind::Text(1, 45)),
    must("store_info", "商户门店信息", Kind::Object(STORE)),
];
const RULES: &[Rule] = &[
    must("description", "商品描述", Kind::Text(1, 127)),
    must("out_trade_no", "商户订单号", Kind::OutTradeNo),
    may("attach", "附加数据", Kind::Text(0, 128)),
    may("goods_tag", "订单优惠标记", Kind::Text(0, 32)),
    may("support_fapiao", "电子发票入口开放标识", Kind::Flag),
    must("payer", "支付者", Kind::Object(&[must("auth_code", "授权码", Kind::Text(1, 32))])),
    must("amount", "订单金额", Kind::Object(AMOUNT)),
    must("scene_info", "场景信息", Kind::Object(SCENE)),
    may("detail", "优惠功能", Kind::Object(DETAIL)),
    may("settle_info", "结算信息", Kind::Object(SETTLE)),
];

impl CodePayment {
    /// A payment with what it needs, but for the description and the shop.
    pub fn new(auth_code: Secret<String>, out_trade_no: &str, total: Fen) -> CodePayment {
        CodePayment {
            auth_code,
            description: String::new(),
            out_trade_no: out_trade_no.to_owned(),
            total,
            currency: None,
            attach: None,
            goods_tag: None,
            support_fapiao: None,
            scene_info: CodeScene::default(),
            detail: None,
            profit_sharing: None,
        }
    }

    /// The merchant's request.
    pub fn encode(&self, credentials: &V3Credentials, stamp: Stamp<'_>) -> HttpRequest {
        let merchant = credentials.merchant();
        let body = Body {
            party: Party::of(merchant),
            description: self.description.clone(),
            out_trade_no: self.out_trade_no.clone(),
            attach: self.attach.clone(),
            goods_tag: self.goods_tag.clone(),
            support_fapiao: self.support_fapiao,
            payer: PayerBody { auth_code: self.auth_code.expose().clone() },
            amount: AmountBody::of(self.total, &self.currency),
            scene_info: self.scene_info.clone(),
            detail: self.detail.clone(),
            settle_info: SettleBody::of(self.profit_sharing),
        };
        post(Mode::of(merchant).path(SEGMENT), &body, credentials, stamp)
    }

    /// The provider reads a request, already found to be signed well; `opened.merchant` says whose.
    pub fn decode(opened: &Opened) -> Result<CodePayment, Refusal> {
        let found = Mode::strip(opened.request.path()).filter(|(_, rest)| *rest == SEGMENT);
        let not_found = || Refusal::new(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在");
        let (mode, _) = found.ok_or_else(not_found)?;
        let body: Body = opened.body(&[mode.rules(), RULES].concat())?;
        opened.check_party(&body.party)?;
        let store = &body.scene_info.store_info;
        if store.id.is_none() && store.out_id.is_none() {
            return Err(Refusal::missing("/body/scene_info/store_info/id"));
        }
        if !is_auth_code(&body.payer.auth_code) {
            let message = "请扫描微信支付授权码(以10/11/12/13/14/15为前缀的18位数字)";
            return Err(Refusal::new(400, "AUTH_CODE_INVALID", message));
        }
        Ok(CodePayment {
            auth_code: Secret::new(body.payer.auth_code),
            description: body.description,
            out_trade_no: body.out_trade_no,
            total: Fen(body.amount.total),
            currency: body.amount.currency,
            attach: body.attach,
            goods_tag: body.goods_tag,
            support_fapiao: body.support_fapiao,
            scene_info: body.scene_info,
            detail: body.detail,
            profit_sharing: body.settle_info.and_then(|settle| settle.profit_sharing),
        })
    }

    /// The provider's reply: the trade, or the bare state while the payer types the password.
    pub fn encode_reply(trade: &Trade, merchant: &Merchant, replier: &Replier<'_>) -> HttpResponse {
        if trade.state == TradeState::UserPaying {
            return replier.json(&json!({"trade_state": trade.state.as_str()}));
        }
        replier.json(&TradeBody::of(trade, merchant))
    }

    /// The merchant reads the reply, and checks that it is about this trade. A bare state is taken
    /// only if it says that nothing is paid yet.
    pub fn decode_reply(
        &self,
        credentials: &V3Credentials,
        received: &Received<'_>,
    ) -> Result<Answer<Trade>, ReplyError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Bare {
            trade_state: String,
        }
        received.verified()?.then(|body| {
            if let Ok(Bare { trade_state }) = read_json(body)
                && trade_state == TradeState::UserPaying.as_str()
            {
                return Ok(self.waiting());
            }
            let body: TradeBody = read_json(body)?;
            body.check_identity(credentials.merchant())?;
            same("out_trade_no", &self.out_trade_no, Some(&body.out_trade_no))?;
            Ok(body.trade()?)
        })
    }

    fn waiting(&self) -> Trade {
        let state = TradeState::UserPaying;
        Trade {
            out_trade_no: self.out_trade_no.clone(),
            state_desc: state.description().to_owned(),
            attach: String::new(),
            paid: None,
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::envelope::tests::{PAIR, PARTNER, opened, received, replier, stamp};
    use super::super::query::tests::trade;
    use super::*;

    fn with_code(auth_code: &str) -> CodePayment {
        let out_id = Some("A1111".to_owned());
        let auth_code = Secret::new(auth_code.to_owned());
        CodePayment {
            description: "测试".to_owned(),
            scene_info: CodeScene {
                store_info: CodeStore { out_id, ..CodeStore::default() },
                ..CodeScene::default()
            },
            ..CodePayment::new(auth_code, "20180821|665587*", Fen(101))
        }
    }

    fn small() -> CodePayment {
        with_code("130061098828009406")
    }

    fn whole() -> CodePayment {
        let text = |text: &str| Some(text.to_owned());
        CodePayment {
            currency: text("CNY"),
            attach: text("a"),
            goods_tag: text("WXG"),
            support_fapiao: Some(true),
            scene_info: CodeScene {
                device_id: text("013467007045764"),
                device_ip: text("128.0.0.1"),
                store_info: CodeStore { id: text("0001"), out_id: None },
            },
            detail: Some(json!({"cost_price": 1, "goods_detail": [
                {"merchant_goods_id": "1", "wxpay_goods_id": "2", "quantity": 1, "unit_price": 1}
            ]})),
            profit_sharing: Some(true),
            ..small()
        }
    }

    #[test]
    fn a_code_payment_is_written_exactly_so_in_both_modes() {
        let rest = r#""description":"测试","out_trade_no":"20180821|665587*","payer":{"auth_code":"130061098828009406"},"amount":{"total":101},"scene_info":{"store_info":{"out_id":"A1111"}}}"#;
        let sent = small().encode(&PAIR.credentials, stamp());
        assert_eq!(sent.target, "/v3/pay/transactions/codepay");
        let party = r#"{"appid":"wxd930ea5d5a258f4f","mchid":"1900000109","#;
        assert_eq!(sent.body, format!("{party}{rest}"));
        let sent = small().encode(&PARTNER, stamp());
        assert_eq!(sent.target, "/v3/pay/partner/transactions/codepay");
        let party = r#"{"sp_appid":"wxd930ea5d5a258f4f","sp_mchid":"1900000109","sub_appid":"wxd678efh567hg6787","sub_mchid":"1900000209","#;
        assert_eq!(sent.body, format!("{party}{rest}"));
    }

    #[test]
    fn code_payments_go_there_and_back() {
        for credentials in [&PAIR.credentials, &*PARTNER] {
            let merchant = credentials.merchant();
            for payment in [small(), whole()] {
                let opened = opened(payment.encode(credentials, stamp()));
                let read = CodePayment::decode(&opened).unwrap();
                assert_eq!(read.auth_code.expose(), payment.auth_code.expose());
                assert_eq!(format!("{read:?}"), format!("{payment:?}"));
                assert!(!format!("{read:?}").contains("130061098828009406"), "it is secret");
                assert_eq!(opened.merchant, *merchant);
                for word in ["SUCCESS", "USERPAYING", "PAYERROR", "NOTPAY"] {
                    let trade = trade(TradeState::read(word));
                    let response = CodePayment::encode_reply(&trade, merchant, &replier());
                    let answer = payment.decode_reply(credentials, &received(&response));
                    assert_eq!(answer, Ok(Answer::Done(trade)));
                }
            }
        }
        let paying = trade(TradeState::UserPaying);
        let merchant = PAIR.credentials.merchant();
        let response = CodePayment::encode_reply(&paying, merchant, &replier());
        assert_eq!(response.body, r#"{"trade_state":"USERPAYING"}"#);
    }

    #[test]
    fn a_reply_about_another_trade_or_account_is_not_believed() {
        let read = |payment: &CodePayment, response: &HttpResponse| {
            payment.decode_reply(&PAIR.credentials, &received(response)).unwrap_err()
        };
        let paid = trade(TradeState::Success);
        let other = CodePayment { out_trade_no: "20180821665588".to_owned(), ..small() };
        let merchant = PAIR.credentials.merchant();
        let error = read(&other, &CodePayment::encode_reply(&paid, merchant, &replier()));
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "out_trade_no"));
        let merchant = Merchant::direct("wxd930ea5d5a258f4f", "1");
        let error = read(&small(), &CodePayment::encode_reply(&paid, &merchant, &replier()));
        assert!(matches!(error, ReplyError::Mismatch(m) if m.field == "mchid"));
        // Money is not believed in without saying whose and for what.
        for state in ["SUCCESS", "REFUND"] {
            let bare = replier().json(&json!({"trade_state": state}));
            assert!(matches!(read(&small(), &bare), ReplyError::Malformed(_)), "{state}");
        }
    }

    #[test]
    fn a_payer_who_types_is_no_refusal_in_the_other_form_either() {
        let refused = Refusal::new(400, "USERPAYING", "需要用户输入支付密码").encode("id");
        let answer = small().decode_reply(&PAIR.credentials, &received(&refused));
        assert!(matches!(answer, Ok(Answer::Refused(error)) if error.is_unknown()));
    }

    #[test]
    fn the_provider_refuses_what_breaks_its_rules() {
        let check = |change: fn(&mut Value), code: &str, words: &str| {
            let sent = whole().encode(&PAIR.credentials, stamp());
            let mut body: Value = serde_json::from_slice(&sent.body).unwrap();
            change(&mut body);
            let sent = post(sent.target, &body, &PAIR.credentials, stamp());
            let refusal = CodePayment::decode(&opened(sent)).unwrap_err();
            assert_eq!((refusal.status, refusal.code.as_str()), (400, code));
            assert!(refusal.message.contains(words), "{} has not {words}", refusal.message);
        };
        fn drop(body: &mut Value, name: &str) {
            body.as_object_mut().unwrap().remove(name);
        }
        let wrong = "PARAM_ERROR";
        check(|b| drop(b, "scene_info"), wrong, "“/body/scene_info”映射到字段“场景信息”必填性");
        check(|b| drop(&mut b["scene_info"], "store_info"), wrong, "“/body/scene_info/store_info”");
        check(|b| b["scene_info"]["store_info"] = json!({}), wrong, "store_info/id");
        check(|b| b["scene_info"]["payer_client_ip"] = json!("::1"), wrong, "额外参数");
        check(|b| drop(b, "payer"), wrong, "“/body/payer”");
        check(|b| b["notify_url"] = json!("https://a.example"), wrong, "额外参数");
        check(|b| b["amount"]["total"] = json!(0), wrong, "值低于最小值 1");
        check(|b| b["mchid"] = json!("1900000110"), wrong, "不匹配");
        check(|b| b["sub_mchid"] = json!("1900000209"), wrong, "额外参数");
        for code in
            ["160061098828009406", "13006109882800940", "1300610988280094060", "13006109882800940x"]
        {
            let opened = opened(with_code(code).encode(&PAIR.credentials, stamp()));
            assert_eq!(CodePayment::decode(&opened).unwrap_err().code, "AUTH_CODE_INVALID");
        }
        let mut sent = small().encode(&PAIR.credentials, stamp());
        sent.target = "/v3/pay/transactions/native".to_owned();
        let opened = super::super::open(sent).unwrap();
        assert_eq!(CodePayment::decode(&opened).unwrap_err().status, 404);
    }
}
