//! Alipay's side: OpenAPI 2.0 and the old gateway, which share the address `/gateway.do`, and v3
//! under `/v3/alipay/`. The same account answers all three, over the same trades.
//!
//! What an operation does is in `operations` and the files beside it, whatever the protocol; how a
//! request is judged and a reply is sealed, in `open` and `v3`. The one app of the sandbox works in
//! both modes: with certificates if the request names them, else with keys.

mod bills;
mod legacy;
mod notice;
mod oauth;
mod open;
mod operations;
mod orders;
pub(crate) mod page;
mod refunds;
mod refusal;
mod reply;
mod v3;

pub(crate) use notice::message;

use crate::order::{Api, Key};
use crate::pretend::Pretend;
use crate::task::{Ask, Task};
use crate::trade::Trade;
use crate::traffic::Verdict;
use axum::Router;
use serde_json::Value;
use std::sync::Arc;
use tongbao_alipay::ContentKey;
use tongbao_alipay::open::TradeRef;
use tongbao_alipay::open::{app, create, page as page_pay, pay, precreate, wap};
use tongbao_alipay::open::{close, query, refund};
use tongbao_crypt::{RsaPrivateKey, digest};
use tongbao_types::{Fen, HttpRequest, HttpResponse, OutTradeNo, Provider, TradeNo};

/// What a browser opens besides the gateway: the login and the files of bills.
pub(crate) fn router() -> Router<Arc<Pretend>> {
    bills::router().merge(oauth::router())
}

/// A request to Alipay, by the protocol that it speaks.
pub(crate) enum Asked {
    Open(open::Asked),
    Legacy(legacy::Asked),
    V3(v3::Asked),
}

impl Asked {
    /// Whether a path is Alipay's.
    pub(crate) fn is_at(path: &str) -> bool {
        path == "/gateway.do" || path.starts_with("/v3/alipay/")
    }

    /// `base` is scheme and host of the sandbox as the client knows them.
    pub(crate) fn read(pretend: &Pretend, request: &HttpRequest, base: String) -> Asked {
        if request.path() != "/gateway.do" {
            return Asked::V3(v3::Asked::read(pretend, request, base));
        }
        match legacy::Asked::read(pretend, request) {
            Some(asked) => Asked::Legacy(asked),
            None => Asked::Open(open::Asked::read(pretend, request, base)),
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Asked::Open(asked) => asked.verdict.clone(),
            Asked::Legacy(asked) => asked.verdict.clone(),
            Asked::V3(asked) => asked.verdict.clone(),
        }
    }

    /// The method, or the old gateway's service.
    pub(crate) fn method_name(&self) -> Option<String> {
        match self {
            Asked::Open(asked) => asked.request.method(),
            Asked::Legacy(asked) => asked.request.service(),
            Asked::V3(asked) => asked.method(),
        }
    }

    /// What it is about, by the members that all methods have in common.
    pub(crate) fn task(&self, pretend: &Pretend) -> Option<Task> {
        match self {
            Asked::Open(asked) => {
                task(pretend, &asked.request.method()?, &asked.biz(pretend).ok()?)
            }
            Asked::Legacy(asked) => asked.task(pretend),
            Asked::V3(asked) => task(pretend, &asked.method()?, &asked.content(pretend).ok()?),
        }
    }

    /// Answers, with effect.
    pub(crate) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        match self {
            Asked::Open(asked) => asked.perform(pretend),
            Asked::Legacy(asked) => asked.perform(pretend),
            Asked::V3(asked) => asked.perform(pretend),
        }
    }

    /// Says no with a code that a fault asks for.
    pub(crate) fn refuse(&self, pretend: &Pretend, code: &str) -> HttpResponse {
        match self {
            Asked::Open(asked) => asked.refuse(pretend, code),
            Asked::Legacy(asked) => asked.refuse(code),
            Asked::V3(asked) => asked.refuse(pretend, code),
        }
    }
}

/// Who calls an operation, and what its request says besides the business members.
struct Caller<'a> {
    pretend: &'a Pretend,
    /// Notifications leave through the same door.
    api: Api,
    notify_url: Option<String>,
    return_url: Option<String>,
    /// Scheme and host of the sandbox.
    base: &'a str,
}

fn task(pretend: &Pretend, method: &str, biz: &str) -> Option<Task> {
    let ask = match method {
        precreate::METHOD | create::METHOD => Ask::Order,
        page_pay::METHOD | wap::METHOD | app::METHOD => Ask::Order,
        pay::METHOD => Ask::Scan,
        query::METHOD => Ask::Query,
        close::METHOD => Ask::Close,
        refund::METHOD => Ask::Refund,
        _ => return None,
    };
    let biz: Value = serde_json::from_str(biz).ok()?;
    let text = |name: &str| match &biz[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let fen = |name: &str| Some(Fen::from_yuan(&text(name)?).ok()?.0);
    let key = text("out_trade_no").map(|number| Key::new(Provider::Alipay, number));
    if let (Ask::Order | Ask::Scan, Some(key)) = (ask, &key) {
        let (number, amount) = (key.out_trade_no.clone(), fen("total_amount")?);
        return Some(Task { ask, key: key.clone(), number, amount });
    }
    let task = match (&key, text("trade_no")) {
        (_, Some(trade_no)) => Task::about_paid(pretend, ask, Provider::Alipay, &trade_no),
        (Some(key), None) => Task::about(pretend, ask, key),
        (None, None) => None,
    }?;
    if ask != Ask::Refund {
        return Some(task);
    }
    let number = text("out_request_no").unwrap_or_default();
    let number = format!("{} {number}", task.number);
    Some(Task { number, amount: fen("refund_amount")?, ..task })
}

/// A trade as it stands, by either number.
fn find(pretend: &Pretend, wanted: &TradeRef) -> Option<Trade> {
    pretend.change(|world, now| match wanted {
        TradeRef::Out(number) => {
            world.find(&Key::new(Provider::Alipay, number.as_str()), now).cloned()
        }
        TradeRef::Trade(number) => {
            world.find_by_trade_no(Provider::Alipay, number.as_str(), now).cloned()
        }
    })
}

/// The app's key of content encryption.
fn content_key(pretend: &Pretend) -> Option<ContentKey> {
    ContentKey::read(&pretend.credentials.alipay.aes_key).ok()
}

/// Alipay's key for messages to an app in this mode, and in certificate mode the serial of its
/// certificate: the next one once Alipay has changed it.
fn signer(pretend: &Pretend, by_certificate: bool) -> (&RsaPrivateKey, Option<&str>) {
    let keys = &pretend.keys;
    if !by_certificate {
        return (&keys.alipay, None);
    }
    let changed = pretend.world().rules().alipay_next_certificate;
    match keys.next_alipay.as_ref().filter(|_| changed) {
        Some(next) => (&next.key, Some(&next.sn)),
        None => (&keys.alipay, Some(&keys.alipay_cert_sn)),
    }
}

/// A mark that only this sandbox can make on a text, so that what it gave out need not be kept.
fn mark(pretend: &Pretend, text: &str) -> String {
    digest::md5_hex(pretend.keys.alipay.sign_sha256(text.as_bytes()).as_bytes())
}

/// The account of the pretend buyer as others may see it.
const BUYER_LOGON_ID: &str = "buy***@sandbox.example";

/// A payer as messages name it: by the user id (2088…), or by the id for one app.
fn named(payer: Option<&str>) -> (Option<String>, Option<String>) {
    let digits = |id: &str| id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_digit());
    match payer {
        Some(id) if id.starts_with("2088") && digits(id) => (Some(id.to_owned()), None),
        other => (None, other.map(str::to_owned)),
    }
}

fn out_no(trade: &Trade) -> Option<OutTradeNo> {
    OutTradeNo::new(trade.order.key.out_trade_no.as_str()).ok()
}

fn trade_no(trade: &Trade) -> Option<TradeNo> {
    TradeNo::new(trade.trade_no.clone()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payer_is_named_by_the_kind_of_its_id() {
        let id = |text: &str| Some(text.to_owned());
        assert_eq!(named(Some("2088000000000001")), (id("2088000000000001"), None));
        assert_eq!(named(Some("2088 an open id")), (None, id("2088 an open id")));
        assert_eq!(named(None), (None, None));
    }
}
