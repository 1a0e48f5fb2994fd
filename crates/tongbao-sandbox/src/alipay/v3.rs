//! The v3 protocol under `/v3/alipay/`: paths and JSON bodies for the same operations.

use super::refusal::refusal_named;
use super::{Caller, content_key, operations, signer};
use crate::numbers;
use crate::order::Api;
use crate::pretend::Pretend;
use crate::traffic::Verdict;
use serde_json::Value;
use tongbao_alipay::open::{
    AppAtGateway, bill_download_url, cancel, close, create, pay, precreate, query, refund,
    refund_query,
};
use tongbao_alipay::v3::gateway::refuse;
use tongbao_alipay::v3::{GatewayRequest, Sealing};
use tongbao_alipay::{ContentKey, Refusal};
use tongbao_types::{HttpRequest, HttpResponse, Method};

/// The operations by their names in 2.0, and how each is called.
const OPERATIONS: [(&str, Method); 9] = [
    (precreate::METHOD, Method::Post),
    (create::METHOD, Method::Post),
    (pay::METHOD, Method::Post),
    (query::METHOD, Method::Post),
    (close::METHOD, Method::Post),
    (cancel::METHOD, Method::Post),
    (refund::METHOD, Method::Post),
    (refund_query::METHOD, Method::Post),
    (bill_download_url::METHOD, Method::Get),
];

/// A v3 request, its signature judged.
pub(crate) struct Asked {
    request: HttpRequest,
    base: String,
    /// Why it is not carried out; the gateway's own refusals are not signed.
    refusal: Option<Refusal>,
    pub(super) verdict: Verdict,
}

impl Asked {
    pub(super) fn read(pretend: &Pretend, request: &HttpRequest, base: String) -> Asked {
        let opened = GatewayRequest::read(request);
        let verdict = match &opened {
            Ok(opened) => verdict(pretend, opened),
            Err(refusal) => Verdict::Missing { why: refusal.sub_msg.clone().into_owned() },
        };
        let refusal = opened.and_then(|opened| judge(pretend, &opened)).err();
        Asked { request: request.clone(), base, refusal, verdict }
    }

    /// The operation by its name in 2.0.
    pub(super) fn method(&self) -> Option<String> {
        GatewayRequest::read(&self.request).ok()?.method()
    }

    /// The business members, decrypted.
    pub(super) fn content(&self, pretend: &Pretend) -> Result<String, Refusal> {
        GatewayRequest::read(&self.request)?.content(content_key(pretend).as_ref())
    }

    pub(super) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        let trace_id = numbers::hex(32);
        if let Some(refusal) = &self.refusal {
            return refuse(refusal, None, &trace_id);
        }
        self.act(pretend, &trace_id).unwrap_or_else(|refusal| {
            let encrypted = self.content_key(pretend);
            let sealing = self.sealing(pretend, encrypted.as_ref(), &trace_id);
            refuse(&refusal, Some(sealing), &trace_id)
        })
    }

    pub(super) fn refuse(&self, pretend: &Pretend, code: &str) -> HttpResponse {
        let trace_id = numbers::hex(32);
        let refusal = refusal_named(code, &self.method().unwrap_or_default());
        let sealing = self.sealing(pretend, None, &trace_id);
        refuse(&refusal, Some(sealing), &trace_id)
    }

    fn act(&self, pretend: &Pretend, trace_id: &str) -> Result<HttpResponse, Refusal> {
        let method = self.method().unwrap_or_default();
        if !OPERATIONS.contains(&(method.as_str(), self.request.method)) {
            let mut response = refuse(&Refusal::INVALID_METHOD, None, trace_id);
            response.status = 404;
            return Ok(response);
        }
        let content = self.content(pretend)?;
        let members: Value = serde_json::from_str(&content).unwrap_or_default();
        let caller = Caller {
            pretend,
            api: Api::AlipayOpen {
                charset: "utf-8".to_owned(),
                by_certificate: self.has_cert_sn(),
            },
            notify_url: members["notify_url"].as_str().map(str::to_owned),
            return_url: None,
            base: &self.base,
        };
        let reply = operations::perform(&caller, &method, &content);
        let reply = reply.map_err(|refused| refused.refusal)?;
        let encrypted = self.content_key(pretend);
        let sealing = self.sealing(pretend, encrypted.as_ref(), trace_id);
        reply.encode_v3(sealing).ok_or(Refusal::INVALID_METHOD)
    }

    fn has_cert_sn(&self) -> bool {
        GatewayRequest::read(&self.request).is_ok_and(|opened| opened.has_cert_sn())
    }

    /// The key that the reply is encrypted with, if the request was.
    fn content_key(&self, pretend: &Pretend) -> Option<ContentKey> {
        let opened = GatewayRequest::read(&self.request).ok()?;
        content_key(pretend).filter(|_| opened.is_encrypted())
    }

    fn sealing<'a>(
        &self,
        pretend: &'a Pretend,
        content_key: Option<&'a ContentKey>,
        nonce: &'a str,
    ) -> Sealing<'a> {
        let (key, cert_sn) = signer(pretend, self.has_cert_sn());
        let timestamp = pretend.clock.real_now();
        Sealing { key, cert_sn, content_key, timestamp, nonce }
    }
}

fn judge(pretend: &Pretend, opened: &GatewayRequest<'_>) -> Result<(), Refusal> {
    if opened.app_id()? != pretend.credentials.alipay.app_id {
        return Err(Refusal::INVALID_APP_ID);
    }
    let keys = &pretend.keys;
    let serials = (keys.app_cert_sn.as_str(), keys.alipay_root_sn.as_str());
    let app = AppAtGateway {
        key: &keys.app_public,
        certificates: opened.has_cert_sn().then_some(serials),
        content_key: None,
    };
    opened.check(app, pretend.clock.real_now())
}

fn verdict(pretend: &Pretend, opened: &GatewayRequest<'_>) -> Verdict {
    let string = String::from_utf8_lossy(&opened.string()).into_owned();
    if opened.is_signed_by(&pretend.keys.app_public) {
        return Verdict::Good { string };
    }
    let why = "sign is not over this string by the app's private key".to_owned();
    Verdict::Bad { string, why }
}
