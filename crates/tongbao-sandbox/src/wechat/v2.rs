//! API v2 (XML): unified order, order query, close order, payment notification.
//!
//! Answers in the states of an order are those captured from production, where they differ from
//! the documentation: closing what is closed or unknown succeeds (WeChat Pay API v2, 关闭订单).

use super::{Message, is_too_early_to_close, place, product, told};
use crate::numbers;
use crate::pretend::Pretend;
use crate::trade::{Api, Closing, Key, Order};
use crate::traffic::Verdict;
use crate::world::OrderRefusal;
use tongbao_crypt::digest;
use tongbao_types::{HttpRequest, HttpResponse, Provider, Secret};
use tongbao_wechat::v2::{
    CLOSE_PATH, CloseOrder, Notice, ORDER_PATH, Opened, OrderQuery, QUERY_PATH, Refusal, Replier,
    UnifiedOrder, communication_failure, encode_notice, open,
};
use tongbao_wechat::{Fields, Merchant, SignType, Trade, TradeKey};

/// A request to v2, its form and signature judged.
pub(crate) struct Asked {
    path: String,
    opened: Result<Opened, Refusal>,
    verdict: Verdict,
    refusal: Option<Refusal>,
}

impl Asked {
    /// None for a path that v2 does not have.
    pub(crate) fn read(pretend: &Pretend, request: &HttpRequest) -> Option<Asked> {
        let path = request.path().to_owned();
        if ![ORDER_PATH, QUERY_PATH, CLOSE_PATH].contains(&path.as_str()) {
            return None;
        }
        let opened = open(request);
        let (verdict, refusal) = match &opened {
            Ok(opened) => judge(pretend, opened),
            Err(refusal) => {
                let why = format!("{refusal:?}");
                (Verdict::Missing { why }, Some(refusal.clone()))
            }
        };
        Some(Asked { path, opened, verdict, refusal })
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    pub(crate) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        self.reply(pretend, |opened, replier| {
            if let Some(refusal) = &self.refusal {
                return Err(refusal.clone());
            }
            match self.path.as_str() {
                ORDER_PATH => order(pretend, opened, replier),
                QUERY_PATH => query(pretend, opened, replier),
                _ => close(pretend, opened, replier),
            }
        })
    }

    pub(crate) fn refuse(&self, pretend: &Pretend, code: &str) -> HttpResponse {
        self.reply(pretend, |_, _| Err(Refusal::business(code, description(code))))
    }

    fn reply(
        &self,
        pretend: &Pretend,
        act: impl FnOnce(&Opened, &Replier<'_>) -> Result<HttpResponse, Refusal>,
    ) -> HttpResponse {
        let opened = match &self.opened {
            Ok(opened) => opened,
            Err(Refusal::Communication(message)) => return communication_failure(message),
            Err(Refusal::Business { message, .. }) => return communication_failure(message),
        };
        let (key, nonce) = (key(pretend), numbers::letters(16));
        let replier = opened.replier(&key, &nonce);
        act(opened, &replier).unwrap_or_else(|refusal| replier.refuse(&refusal))
    }
}

/// The notification of a payment, signed as the order was.
pub(super) fn message(
    pretend: &Pretend,
    merchant: &Merchant,
    trade: &Trade,
    hmac: bool,
) -> Message {
    let sign_type = if hmac { SignType::HmacSha256 } else { SignType::Md5 };
    let nonce = numbers::nonce();
    let notice = Notice { merchant, trade, sign_type, nonce: &nonce };
    let request = encode_notice(&notice, "/", &key(pretend));
    Message { headers: request.headers, body: request.body.to_vec() }
}

fn key(pretend: &Pretend) -> Secret<String> {
    Secret::new(pretend.credentials.wechat.api_key.clone())
}

/// Whose it is, and whether the signature holds. Order as in production: the key is found by the
/// merchant number, the signature checked with it, then the app id.
fn judge(pretend: &Pretend, opened: &Opened) -> (Verdict, Option<Refusal>) {
    let ours = &pretend.credentials.wechat;
    let checked = opened.verify(&key(pretend));
    let string = format!("{}&key=********", checked.string_to_sign);
    if opened.merchant.mch_id != ours.mch_id {
        let why = format!("there is no merchant {} here", opened.merchant.mch_id);
        let refusal = Refusal::Communication("商户号mch_id或sub_mch_id不存在".to_owned());
        return (Verdict::Bad { string, why }, Some(refusal));
    }
    if !checked.holds {
        let why = format!("sign is {}, it should be {}", checked.found, checked.wanted);
        let refusal = Refusal::Communication("签名错误".to_owned());
        return (Verdict::Bad { string, why }, Some(refusal));
    }
    let other_app = opened.merchant.app_id != ours.app_id;
    let refusal =
        other_app.then(|| Refusal::business("APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配"));
    (Verdict::Good { string }, refusal)
}

fn order(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    let asked = UnifiedOrder::decode(opened)?;
    let order = Order {
        key: Key::new(Provider::Wechat, asked.out_trade_no.as_str()),
        api: Api::WechatV2 { hmac: opened.sign_type == SignType::HmacSha256 },
        product: product(asked.trade_type),
        app_id: opened.merchant.app_id.clone(),
        amount: asked.total_fee.0,
        subject: asked.body.clone(),
        body: asked.detail.clone(),
        attach: asked.attach.clone(),
        content: content(&opened.fields),
        notify_url: Some(asked.notify_url.clone()),
        return_url: None,
        pay_until: asked.time_expire,
        pay_within: None,
    };
    let prepaid = place(pretend, order).map_err(|refusal| match refusal {
        OrderRefusal::Paid => Refusal::business("ORDERPAID", "该订单已支付"),
        OrderRefusal::Closed => Refusal::business("ORDERCLOSED", "该订单已关闭"),
        OrderRefusal::Differs => Refusal::business("INVALID_REQUEST", "201 商户订单号重复"),
    })?;
    Ok(asked.encode_reply(&prepaid, replier))
}

fn query(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    let asked = OrderQuery::decode(opened)?;
    let found = pretend.change(|world, now| match &asked.key {
        TradeKey::OutTradeNo(number) => {
            world.find(&Key::new(Provider::Wechat, number.as_str()), now).map(told)
        }
        TradeKey::TransactionId(id) => world.find_by_trade_no(Provider::Wechat, id, now).map(told),
    });
    let trade = found.ok_or_else(|| Refusal::business("ORDERNOTEXIST", "order not exist"))?;
    Ok(OrderQuery::encode_reply(&trade, replier))
}

fn close(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    let asked = CloseOrder::decode(opened)?;
    let key = Key::new(Provider::Wechat, asked.out_trade_no);
    if is_too_early_to_close(pretend, &key) {
        return Err(Refusal::business("TRADE_STATE_ERROR", "订单创建后5分钟内不能关单"));
    }
    if pretend.change(|world, now| world.close(&key, now)) == Some(Closing::Paid) {
        return Err(Refusal::business("ORDERPAID", "order paid"));
    }
    Ok(CloseOrder::encode_reply(opened, replier))
}

/// Everything that must be alike when an order is repeated: all but nonce and signature.
fn content(fields: &Fields) -> String {
    let kept =
        |(name, text): &(&str, &str)| !["nonce_str", "sign"].contains(name) && !text.is_empty();
    let mut pairs: Vec<(&str, &str)> = fields.iter().filter(kept).collect();
    pairs.sort_unstable();
    digest::sha256_hex(format!("{pairs:?}").as_bytes())
}

/// What WeChat says along with a code that a fault asks for.
fn description(code: &str) -> &'static str {
    match code {
        "SYSTEMERROR" => "系统错误",
        "ORDERPAID" => "该订单已支付",
        "ORDERCLOSED" => "该订单已关闭",
        "ORDERNOTEXIST" => "order not exist",
        "NOTENOUGH" => "余额不足",
        "NOAUTH" => "商户无此接口权限",
        "FREQUENCY_LIMITED" => "频率限制",
        _ => "业务错误",
    }
}
