//! API v3 (JSON): order, query, close, platform certificates, payment notification.
//!
//! Every 2xx answer is signed, 204 included, with the key that the request asked for in
//! `Wechatpay-Serial` as far as the merchant's stage of the move permits (微信支付公钥, 签名与验签).
//! Refusals are not signed; no SDK verifies them.

use super::{Message, is_too_early_to_close, place, product, told};
use crate::notice::Notice;
use crate::numbers;
use crate::pretend::Pretend;
use crate::rules::{CloseUnknown, NoticeKey, WechatKeys};
use crate::trade::{Api, Closing, Key, Order as Placed};
use crate::traffic::Verdict;
use crate::world::OrderRefusal;
use tongbao_crypt::{RsaPrivateKey, digest};
use tongbao_types::{HttpRequest, HttpResponse, Method, Provider, Secret};
use tongbao_wechat::v3::{
    self, CERTIFICATES_PATH, CertificatesQuery, CloseOrder, Opened, Order, OrderQuery, Refusal,
    Replier, SealedCertificate, encode_notice, open,
};
use tongbao_wechat::{Merchant, Trade, TradeKey};

/// A request to v3, its form and signature judged.
pub(crate) struct Asked {
    opened: Result<Opened, Refusal>,
    refusal: Option<Refusal>,
    verdict: Verdict,
}

/// Which of the platform's two keys signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signer {
    Certificate,
    PublicKey,
}

impl Asked {
    pub(crate) fn read(pretend: &Pretend, request: &HttpRequest) -> Asked {
        let opened = open(request.clone());
        let (verdict, refusal) = match &opened {
            Ok(opened) => judge(pretend, opened),
            Err(refusal) => {
                (Verdict::Missing { why: refusal.message.clone() }, Some(refusal.clone()))
            }
        };
        Asked { opened, refusal, verdict }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    /// Answers, with effect.
    pub(crate) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        let (Ok(opened), None) = (&self.opened, &self.refusal) else {
            let refusal = self.refusal.clone();
            let unsaid = || Refusal::new(401, "SIGN_ERROR", "签名错误，请检查后再试");
            return refusal.unwrap_or_else(unsaid).encode(&request_id());
        };
        note_named_key(pretend, opened);
        let (nonce, id) = (numbers::nonce(), request_id());
        let replier = replier(pretend, answer_signer(pretend, opened), (&nonce, &id));
        route(pretend, opened, &replier).unwrap_or_else(|refusal| refusal.encode(&id))
    }

    /// Says no with a code that a fault asks for.
    pub(crate) fn refuse(&self, _pretend: &Pretend, code: &str) -> HttpResponse {
        Refusal::new(status_of(code), code, description(code)).encode(&request_id())
    }
}

/// The notification of a payment. Its time stamp and nonces are fresh for each try, its id is not.
pub(super) fn message(
    pretend: &Pretend,
    notice: &Notice,
    merchant: &Merchant,
    trade: &Trade,
) -> Message {
    let api_v3_key = api_v3_key(pretend);
    let notice = v3::Notice {
        id: &notice.id,
        created_at: notice.created_at,
        merchant,
        trade,
        api_v3_key: &api_v3_key,
        nonce: rand::random(),
    };
    let (nonce, id) = (numbers::nonce(), request_id());
    let replier = replier(pretend, notice_signer(pretend), (&nonce, &id));
    let request = encode_notice(&notice, "/", &replier);
    Message { headers: request.headers, body: request.body.to_vec() }
}

/// Whose it is, and whether the signature holds; the serial number is compared in any case.
fn judge(pretend: &Pretend, opened: &Opened) -> (Verdict, Option<Refusal>) {
    let ours = &pretend.credentials.wechat;
    let key = &pretend.keys.merchant_public;
    let now = pretend.clock.real_now();
    let checked = opened.verify(key, &ours.merchant_serial, now);
    if opened.authorization.mchid != ours.mch_id {
        let string = match checked {
            Ok(verdict) | Err((verdict, _)) => verdict.string_to_sign,
        };
        let why = format!("there is no merchant {} here", opened.authorization.mchid);
        let refusal = Refusal::new(401, "SIGN_ERROR", "商户号不存在，请检查mchid");
        return (Verdict::Bad { string, why }, Some(refusal));
    }
    match checked {
        Ok(verdict) => (Verdict::Good { string: verdict.string_to_sign }, None),
        Err((verdict, refusal)) => {
            let why = refusal.message.clone();
            (Verdict::Bad { string: verdict.string_to_sign, why }, Some(refusal))
        }
    }
}

fn route(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    let path = opened.request.path();
    let under = path.strip_prefix("/v3/pay/transactions/").map(|rest| {
        let parts: Vec<&str> = rest.split('/').collect();
        parts
    });
    match (opened.request.method, under.as_deref()) {
        (Method::Get, None) if path == CERTIFICATES_PATH => certificates(pretend, opened, replier),
        (Method::Post, Some([_])) => order(pretend, opened, replier),
        (Method::Get, Some(["out-trade-no" | "id", _])) => query(pretend, opened, replier),
        (Method::Post, Some(["out-trade-no", _, "close"])) => close(pretend, opened, replier),
        _ => Err(Refusal::new(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在")),
    }
}

fn order(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    let (asked, app_id) = Order::decode(opened)?;
    if app_id != pretend.credentials.wechat.app_id {
        let message = "appid和mchid不匹配，请检查后再试";
        return Err(Refusal::new(400, "APPID_MCHID_NOT_MATCH", message));
    }
    let content = digest::sha256_hex(format!("{asked:?}").as_bytes());
    let order = Placed {
        key: Key::new(Provider::Wechat, asked.out_trade_no),
        api: Api::WechatV3,
        product: product(asked.trade_type),
        app_id,
        amount: asked.total.0,
        subject: asked.description,
        body: None,
        attach: asked.attach,
        content,
        notify_url: Some(asked.notify_url),
        return_url: None,
        pay_until: asked.time_expire,
        pay_within: None,
    };
    let prepaid = place(pretend, order).map_err(|refusal| match refusal {
        OrderRefusal::Paid => Refusal::new(400, "ORDERPAID", "该订单已支付"),
        OrderRefusal::Closed => Refusal::new(400, "ORDER_CLOSED", "该订单已关闭"),
        OrderRefusal::Differs => {
            Refusal::new(400, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致")
        }
    })?;
    Ok(Order::encode_reply(&prepaid, replier))
}

fn query(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    let asked = OrderQuery::decode(opened)?;
    let found = pretend.change(|world, now| {
        let trade = match &asked.key {
            TradeKey::OutTradeNo(number) => {
                world.find(&Key::new(Provider::Wechat, number.as_str()), now)
            }
            TradeKey::TransactionId(id) => world.find_by_trade_no(Provider::Wechat, id, now),
        };
        trade.map(|trade| (told(trade), trade.order.app_id.clone()))
    });
    let (trade, app_id) = found.ok_or_else(not_exist)?;
    let merchant = Merchant::direct(app_id, &pretend.credentials.wechat.mch_id);
    Ok(OrderQuery::encode_reply(&trade, &merchant, replier))
}

fn close(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    let key = Key::new(Provider::Wechat, CloseOrder::decode(opened)?.out_trade_no);
    if is_too_early_to_close(pretend, &key) {
        return Err(Refusal::new(400, "TRADE_STATE_ERROR", "订单创建后5分钟内不能关单"));
    }
    let unknown = pretend.world().rules().wechat_v3_close_unknown;
    match pretend.change(|world, now| world.close(&key, now)) {
        Some(Closing::Paid) => Err(Refusal::new(400, "ORDERPAID", "该订单已支付")),
        None if unknown == CloseUnknown::NotExist => Err(not_exist()),
        _ => Ok(CloseOrder::encode_reply(replier)),
    }
}

fn certificates(
    pretend: &Pretend,
    opened: &Opened,
    replier: &Replier<'_>,
) -> Result<HttpResponse, Refusal> {
    CertificatesQuery::decode(opened)?;
    if pretend.world().rules().wechat_keys == WechatKeys::PublicKey {
        return Err(CertificatesQuery::none());
    }
    let certificate = &pretend.keys.platform;
    let sealed = SealedCertificate::seal(certificate, &api_v3_key(pretend), rand::random());
    Ok(CertificatesQuery::encode_reply(vec![sealed], replier))
}

fn not_exist() -> Refusal {
    Refusal::new(404, "ORDER_NOT_EXIST", "订单不存在")
}

fn names_public_key(pretend: &Pretend, opened: &Opened) -> bool {
    let id = &pretend.credentials.wechat.platform_public_key_id;
    opened.answer_key.as_ref().is_some_and(|named| named.eq_ignore_ascii_case(id))
}

fn note_named_key(pretend: &Pretend, opened: &Opened) {
    let named = names_public_key(pretend, opened);
    pretend.world().set_named_public_key(named);
}

fn answer_signer(pretend: &Pretend, opened: &Opened) -> Signer {
    match pretend.world().rules().wechat_keys {
        WechatKeys::PublicKey => Signer::PublicKey,
        WechatKeys::Both if names_public_key(pretend, opened) => Signer::PublicKey,
        WechatKeys::Both | WechatKeys::Certificate => Signer::Certificate,
    }
}

fn notice_signer(pretend: &Pretend) -> Signer {
    let world = pretend.world();
    let rules = world.rules();
    match (rules.wechat_keys, rules.wechat_notice_key) {
        (WechatKeys::PublicKey, _) | (WechatKeys::Both, NoticeKey::PublicKey) => Signer::PublicKey,
        (WechatKeys::Both, NoticeKey::Follow) if world.named_public_key() => Signer::PublicKey,
        _ => Signer::Certificate,
    }
}

/// Time stamps that sign are real, whatever the sandbox's clock says.
fn replier<'a>(
    pretend: &'a Pretend,
    signer: Signer,
    (nonce, request_id): (&'a str, &'a str),
) -> Replier<'a> {
    let wechat = &pretend.credentials.wechat;
    let (key, serial): (&RsaPrivateKey, &str) = match signer {
        Signer::Certificate => (&pretend.keys.platform_certificate, &wechat.platform_serial),
        Signer::PublicKey => (&pretend.keys.platform_public, &wechat.platform_public_key_id),
    };
    Replier { key, serial, now: pretend.clock.real_now(), nonce, request_id }
}

/// `Request-ID`; the number after the last dash is WeChat's internal error number.
fn request_id() -> String {
    format!("08{}-0", numbers::hex(40).to_ascii_uppercase())
}

fn api_v3_key(pretend: &Pretend) -> Secret<[u8; 32]> {
    let text = pretend.credentials.wechat.api_v3_key.as_bytes();
    Secret::new(text.try_into().expect("an APIv3 key has 32 characters"))
}

/// The HTTP status that a code comes with (WeChat Pay API v3, 错误码).
fn status_of(code: &str) -> u16 {
    let bare: String = code.chars().filter(|c| *c != '_').collect();
    match bare.as_str() {
        "SIGNERROR" => 401,
        "NOAUTH" | "NOTENOUGH" | "OUTTRADENOUSED" | "RULELIMIT" | "TRADEERROR" | "ACCOUNTERROR" => {
            403
        }
        "ORDERNOTEXIST" | "RESOURCENOTEXISTS" => 404,
        "FREQUENCYLIMITED" | "RATELIMITEXCEEDED" | "RATELIMITED" => 429,
        "SYSTEMERROR" | "BANKERROR" | "INVALIDTRANSACTIONID" | "OPENIDMISMATCH" => 500,
        "SERVICEUNAVAILABLE" => 503,
        _ => 400,
    }
}

fn description(code: &str) -> &'static str {
    match status_of(code) {
        401 => "签名错误，请检查后再试",
        404 => "订单不存在",
        429 => "请求频率超限",
        500 | 503 => "系统异常，请稍后重试",
        _ => "业务错误",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_spellings_come_with_their_status() {
        let cases = [
            ("SYSTEM_ERROR", 500),
            ("SYSTEMERROR", 500),
            ("ORDER_NOT_EXIST", 404),
            ("NOT_ENOUGH", 403),
            ("RATELIMIT_EXCEEDED", 429),
            ("PARAM_ERROR", 400),
        ];
        for (code, status) in cases {
            assert_eq!(status_of(code), status, "{code}");
        }
    }
}
