//! API v2 (XML): a request is opened and judged here and handed to its operation.
//!
//! Answers in the states of an order are those captured from production, where they differ from
//! the documentation: closing what is closed or unknown succeeds (WeChat Pay API v2, 关闭订单).
//! Below `/sandboxnew` the same operations are signed with a key of their own (仿真测试系统), and
//! orders pay themselves after a second.

mod bills;
mod orders;
mod refunds;
mod scanned;
pub(crate) mod sign_key;

use super::{Message, party};
use crate::connection::Connection;
use crate::numbers;
use crate::order::Key;
use crate::pretend::Pretend;
use crate::task::{Ask, Task};
use crate::traffic::Verdict;
use tongbao_crypt::digest;
use tongbao_types::{HttpRequest, HttpResponse, Provider, Secret};
use tongbao_wechat::v2::{
    CLOSE_PATH, DownloadBill, DownloadFundFlow, FUND_FLOW_PATH, MICROPAY_PATH, Notice, ORDER_PATH,
    Opened, QUERY_PATH, REFUND_PATH, REFUND_QUERY_PATH, REVERSE_PATH, RefundNotice, Refusal,
    Replier, TRADE_BILL_PATH, communication_failure, encode_notice, encode_refund_notice,
    from_sandbox_path, needs_certificate, open,
};
use tongbao_wechat::{Merchant, Refund, SignType, Trade};

/// What v2 has. Refunds with goods have an address of their own and are alike otherwise.
const PATHS: [&str; 9] = [
    ORDER_PATH,
    QUERY_PATH,
    CLOSE_PATH,
    REFUND_PATH,
    REFUND_QUERY_PATH,
    MICROPAY_PATH,
    REVERSE_PATH,
    TRADE_BILL_PATH,
    FUND_FLOW_PATH,
];
const ALIASES: [(&str, &str); 2] =
    [("/secapi/pay/refundv2", REFUND_PATH), ("/pay/refundqueryv2", REFUND_QUERY_PATH)];

/// A request to v2, its form and signature judged.
pub(crate) struct Asked {
    /// The operation's own path.
    path: &'static str,
    /// Below `/sandboxnew`.
    rehearsal: bool,
    /// Where the sandbox is, as the merchant knows it.
    base: String,
    /// No client certificate came where one must.
    uncertified: bool,
    opened: Result<Opened, Refusal>,
    verdict: Verdict,
    refusal: Option<Refusal>,
}

/// A request that may be carried out.
struct Call<'a> {
    pretend: &'a Pretend,
    asked: &'a Asked,
    opened: &'a Opened,
    replier: &'a Replier<'a>,
}

impl Asked {
    /// None for a path that v2 does not have.
    pub(crate) fn read(
        pretend: &Pretend,
        request: &HttpRequest,
        connection: &Connection,
    ) -> Option<Asked> {
        let inner = from_sandbox_path(request.path());
        let rehearsal = inner.is_some();
        let wanted = inner.unwrap_or(request.path());
        let alias = ALIASES.iter().find(|(alias, _)| *alias == wanted).map(|(_, path)| *path);
        let path = alias.or_else(|| PATHS.into_iter().find(|path| *path == wanted))?;
        let guarded = connection.tls && !rehearsal && needs_certificate(path);
        let opened = open(request);
        let (verdict, mut refusal) = match &opened {
            Ok(opened) => judge(pretend, opened, rehearsal),
            Err(refusal) => {
                let why = format!("{refusal:?}");
                (Verdict::Missing { why }, Some(refusal.clone()))
            }
        };
        if let Some(shown) = connection.certificate.as_ref().filter(|_| guarded)
            && shown.serial != pretend.credentials.wechat.merchant_serial
        {
            let message = "证书与商户号不匹配".to_owned();
            refusal = refusal.or(Some(Refusal::Communication(message)));
        }
        Some(Asked {
            path,
            rehearsal,
            base: connection.base(request),
            uncertified: guarded && connection.certificate.is_none(),
            opened,
            verdict,
            refusal,
        })
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    /// What it is about.
    pub(crate) fn task(&self, pretend: &Pretend) -> Option<Task> {
        let fields = &self.opened.as_ref().ok()?.fields;
        let number = |name: &str| fields.text(name);
        let fen = |name: &str| number(name).and_then(|text| text.parse().ok());
        let key = number("out_trade_no").map(|number| Key::new(Provider::Wechat, number));
        let ask = match self.path {
            ORDER_PATH => Ask::Order,
            MICROPAY_PATH => Ask::Scan,
            QUERY_PATH => Ask::Query,
            CLOSE_PATH => Ask::Close,
            REFUND_PATH => Ask::Refund,
            _ => return None,
        };
        if let (Ask::Order | Ask::Scan, Some(key)) = (ask, &key) {
            let (number, amount) = (key.out_trade_no.clone(), fen("total_fee")?);
            return Some(Task { ask, key: key.clone(), number, amount });
        }
        let task = match (number("transaction_id"), &key) {
            (Some(id), _) => Task::about_paid(pretend, ask, Provider::Wechat, id),
            (None, Some(key)) => Task::about(pretend, ask, key),
            (None, None) => None,
        }?;
        if ask != Ask::Refund {
            return Some(task);
        }
        let number = number("out_refund_no")?.to_owned();
        Some(Task { number, amount: fen("refund_fee")?, ..task })
    }

    pub(crate) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        if self.uncertified {
            return no_certificate();
        }
        self.reply(pretend, |call| {
            if let Some(refusal) = &self.refusal {
                return Err(refusal.clone());
            }
            match self.path {
                ORDER_PATH => call.order(),
                QUERY_PATH => call.query(),
                CLOSE_PATH => call.close(),
                REFUND_PATH => call.refund(),
                REFUND_QUERY_PATH => call.refund_query(),
                MICROPAY_PATH => call.micropay(),
                REVERSE_PATH => call.reverse(),
                TRADE_BILL_PATH => call.trade_bill(),
                _ => call.fund_flow(),
            }
        })
    }

    pub(crate) fn refuse(&self, pretend: &Pretend, code: &str) -> HttpResponse {
        self.reply(pretend, |_| Err(Refusal::business(code, description(code))))
    }

    fn reply(
        &self,
        pretend: &Pretend,
        act: impl FnOnce(&Call<'_>) -> Result<HttpResponse, Refusal>,
    ) -> HttpResponse {
        let opened = match &self.opened {
            Ok(opened) => opened,
            Err(Refusal::Communication(message)) => return communication_failure(message),
            Err(Refusal::Business { message, .. }) => return communication_failure(message),
        };
        let (key, nonce) = (key(pretend, self.rehearsal), numbers::letters(16));
        let replier = &opened.replier(&key, &nonce);
        let call = Call { pretend, asked: self, opened, replier };
        let response = act(&call).unwrap_or_else(|refusal| match self.path {
            TRADE_BILL_PATH => DownloadBill::encode_refusal(&refusal),
            FUND_FLOW_PATH => DownloadFundFlow::encode_refusal(&refusal),
            _ => replier.refuse(&refusal),
        });
        match self.path {
            CLOSE_PATH => orders::as_captured(opened, &key, response),
            _ => response,
        }
    }
}

/// The notification of a payment, signed as the order was.
pub(super) fn message(
    pretend: &Pretend,
    merchant: &Merchant,
    trade: &Trade,
    (hmac, rehearsal): (bool, bool),
) -> Message {
    let sign_type = if hmac { SignType::HmacSha256 } else { SignType::Md5 };
    let nonce = numbers::nonce();
    let notice = Notice { merchant, trade, sign_type, nonce: &nonce };
    let request = encode_notice(&notice, "/", &key(pretend, rehearsal));
    Message { headers: request.headers, body: request.body.to_vec() }
}

/// The notification of a refund, which is encrypted and not signed.
pub(super) fn refund_message(
    pretend: &Pretend,
    merchant: &Merchant,
    refund: &Refund,
    rehearsal: bool,
) -> Message {
    let nonce = numbers::nonce();
    let notice = RefundNotice { merchant, refund, nonce: &nonce };
    let request = encode_refund_notice(&notice, "/", &key(pretend, rehearsal));
    Message { headers: request.headers, body: request.body.to_vec() }
}

/// The merchant's key, or the one for rehearsals, which follows from it.
fn key(pretend: &Pretend, rehearsal: bool) -> Secret<String> {
    let key = &pretend.credentials.wechat.api_key;
    Secret::new(match rehearsal {
        true => digest::md5_hex(format!("sandbox {key}").as_bytes()),
        false => key.clone(),
    })
}

/// Whose it is, and whether the signature holds. Order as in production: the key is found by the
/// merchant number, the signature checked with it, then the app id.
fn judge(pretend: &Pretend, opened: &Opened, rehearsal: bool) -> (Verdict, Option<Refusal>) {
    let ours = &pretend.credentials.wechat;
    let checked = opened.verify(&key(pretend, rehearsal));
    let string = format!("{}&key=********", checked.string_to_sign);
    let unknown = || Refusal::Communication("商户号mch_id或sub_mch_id不存在".to_owned());
    if opened.merchant.mch_id != ours.mch_id {
        let why = format!("there is no merchant {} here", opened.merchant.mch_id);
        return (Verdict::Bad { string, why }, Some(unknown()));
    }
    if !checked.holds {
        let why = format!("sign is {}, it should be {}", checked.found, checked.wanted);
        let refusal = Refusal::Communication("签名错误".to_owned());
        return (Verdict::Bad { string, why }, Some(refusal));
    }
    let other_app = opened.merchant.app_id != ours.app_id;
    let refusal = match party(pretend, &opened.merchant) {
        Err(()) => Some(unknown()),
        Ok(_) if other_app => {
            Some(Refusal::business("APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配"))
        }
        Ok(_) => None,
    };
    (Verdict::Good { string }, refusal)
}

/// What the front servers say of themselves to a client without a certificate.
fn no_certificate() -> HttpResponse {
    let title = "400 No required SSL certificate was sent";
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>400 Bad Request\
         </h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n</body>\r\n\
         </html>\r\n"
    );
    HttpResponse::new(400, "text/html", page)
}

/// What WeChat says along with a code that a fault or an amount asks for.
fn description(code: &str) -> &'static str {
    match code {
        "SYSTEMERROR" => "系统错误",
        "ORDERPAID" => "该订单已支付",
        "ORDERCLOSED" => "该订单已关闭",
        "ORDERNOTEXIST" => "order not exist",
        "NOTENOUGH" => "余额不足",
        "NOAUTH" => "商户无此接口权限",
        "FREQUENCY_LIMITED" => "频率限制",
        "AUTHCODEEXPIRE" => "101 付款码已过期，请刷新后重试",
        "USERPAYING" => "需要用户输入支付密码",
        _ => "业务错误",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::tls::ClientCertificate;
    use tongbao_wechat::v2::{RefundOrder, ReverseOrder};
    use tongbao_wechat::{TradeKey, V2Credentials};

    fn answer(pretend: &Pretend, path: Option<&str>, serial: Option<&str>) -> String {
        let wechat = &pretend.credentials.wechat;
        let merchant = Merchant::direct(&wechat.app_id, &wechat.mch_id);
        let key = Secret::new(wechat.api_key.clone());
        let to = V2Credentials::new(merchant, key, SignType::Md5).unwrap();
        let mut request = ReverseOrder::by_out_trade_no("T20261121001").encode(&to, "nonce");
        request.target = path.map_or(request.target, str::to_owned);
        let certificate = serial.map(|serial| ClientCertificate { serial: serial.to_owned() });
        let connection = Connection { tls: true, certificate };
        let asked = Asked::read(pretend, &request, &connection).unwrap();
        String::from_utf8(asked.perform(pretend).body.to_vec()).unwrap()
    }

    #[test]
    fn over_tls_the_certificate_must_be_the_merchants_own() {
        let pretend = Pretend::open(Options::default()).unwrap();
        let serial = pretend.credentials.wechat.merchant_serial.clone();
        assert!(answer(&pretend, None, None).contains("No required SSL certificate was sent"));
        assert!(answer(&pretend, None, Some("01")).contains("证书与商户号不匹配"));
        assert!(answer(&pretend, None, Some(&serial)).contains("<recall>"));
        // A rehearsal needs none, only its own key.
        let rehearsed = answer(&pretend, Some("/sandboxnew/pay/reverse"), None);
        assert!(rehearsed.contains("签名错误"), "{rehearsed}");
    }

    #[test]
    fn refunds_with_goods_have_addresses_of_their_own() {
        let pretend = Pretend::open(Options::default()).unwrap();
        let wechat = &pretend.credentials.wechat;
        let merchant = Merchant::direct(&wechat.app_id, &wechat.mch_id);
        let key = Secret::new(wechat.api_key.clone());
        let to = V2Credentials::new(merchant, key, SignType::Md5).unwrap();
        let refund = RefundOrder {
            key: TradeKey::OutTradeNo("T20261121001".to_owned()),
            out_refund_no: "R1".to_owned(),
            total_fee: tongbao_types::Fen(1),
            refund_fee: tongbao_types::Fen(1),
            refund_desc: None,
            notify_url: None,
            refund_account: None,
            refund_fee_type: None,
        };
        let mut request = refund.encode(&to, "nonce");
        request.target = "/secapi/pay/refundv2".to_owned();
        let asked = Asked::read(&pretend, &request, &Connection::default()).unwrap();
        let body = asked.perform(&pretend).body;
        assert!(String::from_utf8_lossy(&body).contains("ORDERNOTEXIST"));
    }
}
