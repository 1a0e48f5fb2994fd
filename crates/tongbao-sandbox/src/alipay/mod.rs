//! Alipay's side of OpenAPI 2.0: the gateway at `/gateway.do`, one address for all methods.
//!
//! Here a request is judged in the gateway's own order and handed to its operation. The one app of
//! the sandbox works in both modes: with certificates if the request names them, else with keys.

mod notice;
mod operations;
pub(crate) mod page;

pub(crate) use notice::message;

use crate::numbers;
use crate::pretend::Pretend;
use crate::trade::{Api, Key, Order, PayWithin, Product};
use crate::traffic::Verdict;
use crate::world::OrderRefusal;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tongbao_alipay::open::gateway::{AppAtGateway, GatewayRequest, Sealing};
use tongbao_alipay::open::order::Expiry;
use tongbao_alipay::open::page as page_pay;
use tongbao_alipay::{ContentKey, Refusal};
use tongbao_types::{HttpRequest, HttpResponse, Method, Provider, Timestamp};

/// A request to the gateway, its parameters and signature judged.
pub(crate) struct Asked {
    request: GatewayRequest,
    accept_language: String,
    /// Why it is not carried out.
    refusal: Option<Refusal>,
    /// Whether the app is known, so that replies are signed.
    known: bool,
    verdict: Verdict,
}

impl Asked {
    pub(crate) fn read(pretend: &Pretend, request: &HttpRequest) -> Asked {
        let accept_language = request.header("accept-language").unwrap_or("").to_owned();
        match GatewayRequest::read(request) {
            Ok(request) => {
                let known = request.app_id().as_deref() == Ok(&pretend.credentials.alipay.app_id);
                let refusal = judge(pretend, &request, known).err();
                let verdict = verdict(pretend, &request);
                Asked { request, accept_language, refusal, known, verdict }
            }
            Err(error) => Asked {
                request: nothing(),
                accept_language,
                refusal: Some(Refusal::INVALID_PARAMETER.saying(error.to_string())),
                known: false,
                verdict: Verdict::Missing { why: error.to_string() },
            },
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict.clone()
    }

    pub(crate) fn method_name(&self) -> Option<String> {
        self.request.method()
    }

    /// Answers, with effect.
    pub(crate) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        if let Some(refusal) = &self.refusal {
            return self.say_no(pretend, refusal);
        }
        let method = self.request.method().unwrap_or_default();
        if method == page_pay::METHOD {
            return page::answer(pretend, &self.request, &self.accept_language);
        }
        traced(operations::perform(pretend, &self.request, &method))
    }

    /// Says no with a code that a fault asks for.
    pub(crate) fn refuse(&self, pretend: &Pretend, code: &str) -> HttpResponse {
        self.say_no(pretend, &refusal_named(code))
    }

    fn say_no(&self, pretend: &Pretend, refusal: &Refusal) -> HttpResponse {
        if self.request.method().as_deref() == Some(page_pay::METHOD) {
            return page_pay::error_page(refusal);
        }
        let sealing = match self.known {
            true => sealing(pretend, &self.request, None),
            false => Sealing::Unsigned,
        };
        traced(self.request.refuse(refusal, &[], sealing))
    }
}

/// A request without any parameter, for answering one that cannot be read.
fn nothing() -> GatewayRequest {
    let empty = HttpRequest {
        method: Method::Get,
        target: "/gateway.do".to_owned(),
        headers: Vec::new(),
        body: Vec::new().into(),
    };
    GatewayRequest::read(&empty).expect("a request without parameters has none that are wrong")
}

/// The gateway's checks in its order; those of the signature need a known app.
fn judge(pretend: &Pretend, request: &GatewayRequest, known: bool) -> Result<(), Refusal> {
    request.app_id()?;
    if !known {
        return Err(Refusal::INVALID_APP_ID);
    }
    let keys = &pretend.keys;
    let serials = (keys.app_cert_sn.as_str(), keys.alipay_root_sn.as_str());
    request.check(AppAtGateway {
        key: &keys.app_public,
        certificates: request.has_cert_sn().then_some(serials),
        content_key: None,
    })
}

/// What the traffic log says, whatever else was wrong with the request.
fn verdict(pretend: &Pretend, request: &GatewayRequest) -> Verdict {
    if request.params.filled("sign").is_none() {
        return Verdict::Missing { why: "there is no parameter sign".to_owned() };
    }
    let bytes = request.string();
    let string = request.params.charset().decode(&bytes).unwrap_or_default().into_owned();
    if request.is_signed_by(&pretend.keys.app_public) {
        return Verdict::Good { string };
    }
    let why = "sign is not over this string by the app's private key".to_owned();
    Verdict::Bad { string, why }
}

/// How replies to a request of the known app are signed; encrypted if a key is given.
fn sealing<'a>(
    pretend: &'a Pretend,
    request: &GatewayRequest,
    content_key: Option<&'a ContentKey>,
) -> Sealing<'a> {
    let cert_sn = request.has_cert_sn().then_some(pretend.keys.alipay_cert_sn.as_str());
    Sealing::Signed { key: &pretend.keys.alipay, cert_sn, content_key }
}

/// Java and Node SDKs read the trace number from this header.
fn traced(mut response: HttpResponse) -> HttpResponse {
    response.headers.push(("trace_id".to_owned(), numbers::hex(32)));
    response
}

/// An order of the protocol as the world keeps it.
fn order(
    pretend: &Pretend,
    request: &GatewayRequest,
    asked: &tongbao_alipay::open::order::Order,
    product: Product,
) -> Result<Order, Refusal> {
    let seller = &pretend.credentials.alipay.seller_id;
    if asked.seller_id.as_ref().is_some_and(|wanted| wanted != seller) {
        return Err(Refusal::INVALID_RECEIVE_ACCOUNT);
    }
    let (pay_until, pay_within) = limits(asked.expiry, pretend.now())?;
    let param = |name| request.params.filled(name).map(|text| text.into_owned());
    let amount = asked.total_amount.fen().0;
    Ok(Order {
        key: Key::new(Provider::Alipay, asked.out_trade_no.as_str()),
        api: Api::AlipayOpen { charset: request.params.charset().name().to_owned() },
        product,
        app_id: pretend.credentials.alipay.app_id.clone(),
        amount,
        subject: asked.subject.clone(),
        body: asked.body.clone(),
        attach: asked.passback_params.clone(),
        content: format!("{amount} {:?} {:?}", asked.subject, asked.body),
        notify_url: param("notify_url"),
        return_url: param("return_url"),
        pay_until,
        pay_within,
    })
}

type Limits = (Option<Timestamp>, Option<PayWithin>);

fn limits(expiry: Option<Expiry>, now: Timestamp) -> Result<Limits, Refusal> {
    match expiry {
        None => Ok((None, None)),
        Some(Expiry::At(moment)) if moment <= now => Err(Refusal::NOW_TIME_AFTER_EXPIRE_TIME),
        Some(Expiry::At(moment)) => Ok((Some(moment), None)),
        Some(Expiry::After(span)) => Ok((None, Some(PayWithin::Minutes(span.as_seconds() / 60)))),
        Some(Expiry::Midnight) => Ok((None, Some(PayWithin::Midnight))),
    }
}

impl From<OrderRefusal> for Refusal {
    fn from(refusal: OrderRefusal) -> Refusal {
        match refusal {
            OrderRefusal::Paid => Refusal::TRADE_HAS_SUCCESS,
            OrderRefusal::Closed => Refusal::TRADE_HAS_CLOSE,
            OrderRefusal::Differs => Refusal::CONTEXT_INCONSISTENT,
        }
    }
}

/// A refusal by its name: one of the known ones, or the name as it is, with the gateway's code for
/// its prefix.
fn refusal_named(name: &str) -> Refusal {
    if let Some(known) = Refusal::ALL.iter().find(|known| known.sub_code == name) {
        return known.clone();
    }
    let code = match name {
        _ if name.starts_with("isv.missing-") => "40001",
        _ if name.starts_with("isv.") => "40002",
        _ if name.starts_with("isp.") || name.starts_with("aop.") => "20000",
        _ => "40004",
    };
    Refusal { code, sub_code: kept(name), sub_msg: "业务处理失败".into() }
}

/// The protocol's refusals have names that live for ever; each name that a fault invents is kept
/// once.
fn kept(name: &str) -> &'static str {
    static NAMES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let names = names.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return known;
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_faults_code_is_said_as_the_gateway_would() {
        assert_eq!(refusal_named("ACQ.SYSTEM_ERROR"), Refusal::SYSTEM_ERROR);
        let invented = refusal_named("ACQ.INVENTED");
        assert_eq!((invented.code, invented.sub_code), ("40004", "ACQ.INVENTED"));
        assert_eq!(refusal_named("isv.missing-thing").code, "40001");
        assert_eq!(refusal_named("aop.unknow-error").code, "20000");
        assert!(std::ptr::eq(kept("ACQ.ONE"), kept("ACQ.ONE")));
    }
}
