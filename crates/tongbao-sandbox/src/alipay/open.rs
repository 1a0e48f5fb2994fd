//! OpenAPI 2.0: a request is judged in the gateway's own order and handed to its operation.

use super::refusal::{Refused, refusal_named};
use super::{Caller, content_key, oauth, operations, page, signer};
use crate::numbers;
use crate::order::Api;
use crate::pretend::Pretend;
use crate::traffic::Verdict;
use tongbao_alipay::open::gateway::{AppAtGateway, GatewayRequest, Sealing};
use tongbao_alipay::open::page::error_page;
use tongbao_alipay::{ContentKey, Refusal};
use tongbao_types::{HttpRequest, HttpResponse, Method};

/// A request to the gateway, its parameters and signature judged.
pub(crate) struct Asked {
    pub(super) request: GatewayRequest,
    accept_language: String,
    base: String,
    /// Why it is not carried out.
    pub(super) refusal: Option<Refusal>,
    /// Whether the app is known, so that replies are signed.
    known: bool,
    pub(super) verdict: Verdict,
}

impl Asked {
    pub(super) fn read(pretend: &Pretend, request: &HttpRequest, base: String) -> Asked {
        let accept_language = request.header("accept-language").unwrap_or("").to_owned();
        match GatewayRequest::read(request) {
            Ok(request) => {
                let known = request.app_id().as_deref() == Ok(&pretend.credentials.alipay.app_id);
                let refusal = judge(pretend, &request, known).err();
                let verdict = verdict(pretend, &request);
                Asked { request, accept_language, base, refusal, known, verdict }
            }
            Err(error) => Asked {
                request: nothing(),
                accept_language,
                base,
                refusal: Some(Refusal::INVALID_PARAMETER.saying(error.to_string())),
                known: false,
                verdict: Verdict::Missing { why: error.to_string() },
            },
        }
    }

    /// The business members, decrypted.
    pub(super) fn biz(&self, pretend: &Pretend) -> Result<String, Refusal> {
        self.request.biz_content(content_key(pretend).as_ref())
    }

    /// Who calls.
    pub(super) fn caller<'a>(&'a self, pretend: &'a Pretend) -> Caller<'a> {
        let param = |name| self.request.params.filled(name).map(|text| text.into_owned());
        let charset = self.request.params.charset().name().to_owned();
        let by_certificate = self.request.has_cert_sn();
        Caller {
            pretend,
            api: Api::AlipayOpen { charset, by_certificate },
            notify_url: param("notify_url"),
            return_url: param("return_url"),
            base: &self.base,
        }
    }

    pub(super) fn perform(&self, pretend: &Pretend) -> HttpResponse {
        if let Some(refusal) = &self.refusal {
            return self.say_no(pretend, &refusal.clone().into());
        }
        let method = self.request.method().unwrap_or_default();
        if page::is_one(&method) {
            return page::answer(pretend, self, &self.accept_language);
        }
        if method == oauth::METHOD {
            return traced(oauth::token(pretend, &self.request));
        }
        let biz = match self.biz(pretend) {
            Ok(biz) => biz,
            // What could not be decrypted is answered in the open.
            Err(refusal) => return self.say_no(pretend, &refusal.into()),
        };
        let key = content_key(pretend).filter(|_| self.request.is_encrypted());
        let sealing = sealing(pretend, &self.request, key.as_ref());
        traced(match operations::perform(&self.caller(pretend), &method, &biz) {
            Ok(reply) => reply.encode(&self.request, sealing),
            Err(refused) => refuse(&self.request, &refused, sealing),
        })
    }

    pub(super) fn refuse(&self, pretend: &Pretend, code: &str) -> HttpResponse {
        let method = self.request.method().unwrap_or_default();
        self.say_no(pretend, &Refused::by(&method, refusal_named(code, &method)))
    }

    fn say_no(&self, pretend: &Pretend, refused: &Refused) -> HttpResponse {
        if self.request.method().is_some_and(|method| page::is_one(&method)) {
            return error_page(&refused.refusal);
        }
        let sealing = match self.known {
            true => sealing(pretend, &self.request, None),
            false => Sealing::Unsigned,
        };
        traced(refuse(&self.request, refused, sealing))
    }
}

fn refuse(request: &GatewayRequest, refused: &Refused, sealing: Sealing<'_>) -> HttpResponse {
    let members: Vec<_> =
        refused.members.iter().map(|(name, value)| (*name, value.as_str())).collect();
    request.refuse(&refused.refusal, &members, sealing)
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
    let (key, cert_sn) = signer(pretend, request.has_cert_sn());
    Sealing::Signed { key, cert_sn, content_key }
}

/// Java and Node SDKs read the trace number from this header.
fn traced(mut response: HttpResponse) -> HttpResponse {
    response.headers.push(("trace_id".to_owned(), numbers::hex(32)));
    response
}
