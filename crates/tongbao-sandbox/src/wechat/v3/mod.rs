//! API v3 (JSON): a request is opened and judged here and handed to its operation; answers and
//! notifications are signed here.
//!
//! Every 2xx answer is signed, 204 included, with the key that the request asked for in
//! `Wechatpay-Serial` as far as the merchant's stage of the move permits (微信支付公钥, 签名与验签).
//! Refusals are not signed; no SDK verifies them.

mod bills;
mod orders;
mod refunds;
mod scanned;

use super::{Message, party};
use crate::connection::Connection;
use crate::notice::Notice;
use crate::numbers;
use crate::order::Key;
use crate::pretend::Pretend;
use crate::rules::{NoticeKey, WechatKeys};
use crate::task::{Ask, Task};
use crate::traffic::Verdict;
use serde_json::Value;
use tongbao_crypt::RsaPrivateKey;
use tongbao_types::{HttpRequest, HttpResponse, Method, Provider, Secret};
use tongbao_wechat::v3::{
    self, CERTIFICATES_PATH, CertificatesQuery, Opened, Refusal, Replier, SealedCertificate,
    encode_notice, encode_refund_notice, open,
};
use tongbao_wechat::{Merchant, Refund, Trade};

/// The last part of the path of a payment by the payer's code.
const CODEPAY: &str = "codepay";

/// A request to v3, its form and signature judged.
pub(crate) struct Asked {
    opened: Result<Opened, Refusal>,
    refusal: Option<Refusal>,
    verdict: Verdict,
    /// Where the sandbox is, as the merchant knows it.
    base: String,
}

/// A request that may be carried out.
struct Call<'a> {
    pretend: &'a Pretend,
    opened: &'a Opened,
    replier: &'a Replier<'a>,
    base: &'a str,
    request_id: &'a str,
}

/// Which of the platform's two keys signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signer {
    Certificate,
    PublicKey,
}

impl Asked {
    pub(crate) fn read(pretend: &Pretend, request: &HttpRequest, connection: &Connection) -> Asked {
        let opened = open(request.clone());
        let (verdict, refusal) = match &opened {
            Ok(opened) => judge(pretend, opened),
            Err(refusal) => {
                (Verdict::Missing { why: refusal.message.clone() }, Some(refusal.clone()))
            }
        };
        Asked { opened, refusal, verdict, base: connection.base(request) }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    /// What it is about.
    pub(crate) fn task(&self, pretend: &Pretend) -> Option<Task> {
        let request = &self.opened.as_ref().ok()?.request;
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let order = |number: &str| Key::new(Provider::Wechat, number);
        let parts: Vec<&str> = request.path().split('/').skip(2).collect();
        let parts: Vec<&str> = parts.into_iter().filter(|part| *part != "partner").collect();
        match (request.method, parts.as_slice()) {
            (Method::Post, ["pay", "transactions", product]) => {
                let ask = if *product == CODEPAY { Ask::Scan } else { Ask::Order };
                let key = order(body["out_trade_no"].as_str()?);
                let number = key.out_trade_no.clone();
                Some(Task { ask, key, number, amount: body["amount"]["total"].as_i64()? })
            }
            (Method::Get, ["pay", "transactions", "out-trade-no", number]) => {
                Task::about(pretend, Ask::Query, &order(number))
            }
            (Method::Get, ["pay", "transactions", "id", id]) => {
                Task::about_paid(pretend, Ask::Query, Provider::Wechat, id)
            }
            (Method::Post, ["pay", "transactions", "out-trade-no", number, "close"]) => {
                Task::about(pretend, Ask::Close, &order(number))
            }
            (Method::Post, ["refund", "domestic", "refunds"]) => {
                let (id, number) = (body["transaction_id"].as_str(), body["out_trade_no"].as_str());
                let task = match (id, number) {
                    (Some(id), _) => Task::about_paid(pretend, Ask::Refund, Provider::Wechat, id),
                    (None, number) => Task::about(pretend, Ask::Refund, &order(number?)),
                }?;
                let number = body["out_refund_no"].as_str()?.to_owned();
                Some(Task { number, amount: body["amount"]["refund"].as_i64()?, ..task })
            }
            _ => None,
        }
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
        let replier = &replier(pretend, answer_signer(pretend, opened), (&nonce, &id));
        let call = Call { pretend, opened, replier, base: &self.base, request_id: &id };
        call.route().unwrap_or_else(|refusal| refusal.encode(&id))
    }

    /// Says no with a code that a fault or an amount asks for.
    pub(crate) fn refuse(&self, _pretend: &Pretend, code: &str) -> HttpResponse {
        Refusal::new(status_of(code), code, description(code)).encode(&request_id())
    }
}

impl Call<'_> {
    fn route(&self) -> Result<HttpResponse, Refusal> {
        let path = self.opened.request.path();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').skip(1).collect();
        match (self.opened.request.method, parts.as_slice()) {
            (Method::Get, _) if path == CERTIFICATES_PATH => self.certificates(),
            (method, ["pay", "partner", "transactions", rest @ ..])
            | (method, ["pay", "transactions", rest @ ..]) => match (method, rest) {
                (Method::Post, [CODEPAY]) => self.code_payment(),
                (Method::Post, [_]) => self.order(),
                (Method::Get, ["out-trade-no" | "id", _]) => self.query(),
                (Method::Post, ["out-trade-no", _, "close"]) => self.close(),
                (Method::Post, ["out-trade-no", _, "reverse"]) => self.reverse(),
                _ => Err(unknown_path()),
            },
            (method, ["refund", "domestic", "refunds", rest @ ..]) => match (method, rest) {
                (Method::Post, []) => self.refund(),
                (Method::Get, [_]) => self.refund_query(),
                (Method::Post, [id, "apply-abnormal-refund"]) => self.retry_abnormal(id),
                _ => Err(unknown_path()),
            },
            (Method::Get, ["bill", "tradebill"]) => self.trade_bill(),
            (Method::Get, ["bill", "fundflowbill"]) => self.fund_flow(),
            (Method::Get, ["billdownload", "file"]) => self.bill_file(),
            _ => Err(unknown_path()),
        }
    }

    fn certificates(&self) -> Result<HttpResponse, Refusal> {
        CertificatesQuery::decode(self.opened)?;
        if self.pretend.world().rules().wechat_keys == WechatKeys::PublicKey {
            return Err(CertificatesQuery::none());
        }
        let (certificate, key) = (&self.pretend.keys.platform, api_v3_key(self.pretend));
        let sealed = SealedCertificate::seal(certificate, &key, crate::dice::bytes());
        Ok(CertificatesQuery::encode_reply(vec![sealed], self.replier))
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
        nonce: crate::dice::bytes(),
    };
    let (nonce, id) = (numbers::nonce(), request_id());
    let replier = replier(pretend, notice_signer(pretend), (&nonce, &id));
    let request = encode_notice(&notice, "/", &replier);
    Message { headers: request.headers, body: request.body.to_vec() }
}

/// The notification of a refund; none while it is under way.
pub(super) fn refund_message(
    pretend: &Pretend,
    notice: &Notice,
    merchant: &Merchant,
    refund: &Refund,
) -> Option<Message> {
    let api_v3_key = api_v3_key(pretend);
    let notice = v3::RefundNotice {
        id: &notice.id,
        created_at: notice.created_at,
        merchant,
        refund,
        api_v3_key: &api_v3_key,
        nonce: crate::dice::bytes(),
    };
    let (nonce, id) = (numbers::nonce(), request_id());
    let replier = replier(pretend, notice_signer(pretend), (&nonce, &id));
    let request = encode_refund_notice(&notice, "/", &replier)?;
    Some(Message { headers: request.headers, body: request.body.to_vec() })
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
        Ok(verdict) => {
            let stranger = || Refusal::new(403, "NO_AUTH", "sub_mchid与sp_mchid未建立绑定关系");
            let refusal = party(pretend, &opened.merchant).err().map(|()| stranger());
            (Verdict::Good { string: verdict.string_to_sign }, refusal)
        }
        Err((verdict, refusal)) => {
            let why = refusal.message.clone();
            (Verdict::Bad { string: verdict.string_to_sign, why }, Some(refusal))
        }
    }
}

fn unknown_path() -> Refusal {
    Refusal::new(404, "RESOURCE_NOT_EXISTS", "请求的资源不存在")
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
