//! An account with an app at Alipay: what OpenAPI 2.0 and v3 have in common besides words. Both
//! share the app's keys, the orders that a browser or an app carries, the download of Alipay's
//! certificates, notifications and returns.

use crate::account::{AccountError, AlipayKeys, Site};
use crate::alipay;
use crate::{Exchange, Notice, NoticeRefusal, Order, Reply, Stamp};
use arc_swap::{ArcSwap, Guard};
use std::sync::{Arc, Mutex, PoisonError};
use tongbao_alipay::open::cert_download::CertDownload;
use tongbao_alipay::open::{self, CallContext};
use tongbao_alipay::{Answer, Credentials, ReplyError};
use tongbao_core::Action;
use tongbao_types::{Channel, HttpRequest, HttpResponse, OutTradeNo, Timestamp};

pub(crate) struct AlipayApp {
    pub(crate) site: Site,
    trusted: Arc<Trusted>,
}

/// The credentials, and the serial of a certificate that Alipay signed with and that is not known
/// yet.
struct Trusted {
    credentials: ArcSwap<Credentials>,
    wanted: Mutex<Option<String>>,
}

const ENDPOINT: &str = "https://openapi.alipay.com";

impl AlipayApp {
    pub(crate) fn new(site: Site, keys: &AlipayKeys) -> Result<AlipayApp, AccountError> {
        let credentials = ArcSwap::from_pointee(alipay::read_credentials(keys)?);
        let trusted = Arc::new(Trusted { credentials, wanted: Mutex::new(None) });
        Ok(AlipayApp { site, trusted })
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.site.endpoint.as_deref().unwrap_or(ENDPOINT)
    }

    pub(crate) fn credentials(&self) -> Guard<Arc<Credentials>> {
        self.trusted.credentials.load()
    }

    /// An exchange whose answer is read with the keys that are known by then.
    pub(crate) fn exchange<T: 'static, A>(
        &self,
        request: HttpRequest,
        decode: impl Fn(&Credentials, &HttpResponse, Timestamp) -> Result<Answer<A>, ReplyError>
        + Send
        + Sync
        + 'static,
        read: impl Fn(Result<Answer<A>, ReplyError>) -> Reply<T> + Send + Sync + 'static,
    ) -> Exchange<T> {
        let trusted = Arc::clone(&self.trusted);
        Exchange::new(request, move |response, now| {
            let answer = decode(&trusted.credentials.load(), response, now);
            if let Err(ReplyError::CertificateUnknown { sn }) = &answer {
                trusted.want(sn);
            }
            read(answer)
        })
    }

    /// What the payer's browser or app carries to Alipay by itself; v3 has no form of it.
    pub(crate) fn carried(&self, order: &Order<'_>, stamp: &Stamp) -> Action {
        let credentials = self.credentials();
        let gateway = format!("{}{}", self.endpoint(), open::envelope::PATH);
        let call = CallContext {
            notify_url: Some(self.site.notify_url("alipay")),
            return_url: Some(self.site.return_url()),
            ..CallContext::at(stamp.wall)
        };
        match order.channel {
            Channel::AlipayApp => {
                let order = alipay::order(order, open::app::PRODUCT_CODE);
                let text = open::app::AppPay { order }.order_string(&credentials, &call);
                Action::App { params: vec![("orderString".to_owned(), text)] }
            }
            Channel::AlipayWap => {
                let order = alipay::order(order, open::wap::PRODUCT_CODE);
                let pay = open::wap::WapPay { order, quit_url: call.return_url.clone() };
                Action::Redirect { url: pay.url(&credentials, &call, &gateway) }
            }
            _ => {
                let order = alipay::order(order, open::page::PRODUCT_CODE);
                let pay = open::page::PagePay::new(order);
                Action::Redirect { url: pay.url(&credentials, &call, &gateway) }
            }
        }
    }

    /// Asks for the certificate that the last answer was signed with, if it was an unknown one.
    pub(crate) fn keys_request(&self, stamp: &Stamp) -> Option<HttpRequest> {
        let download = self.trusted.wanted()?;
        Some(download.encode(&self.credentials(), &CallContext::at(stamp.wall)))
    }

    pub(crate) fn learn_keys(
        &self,
        response: &HttpResponse,
        wall: Timestamp,
    ) -> Result<(), String> {
        let Some(download) = self.trusted.wanted() else { return Ok(()) };
        let credentials = self.trusted.credentials.load_full();
        let answer = download.decode(&credentials, response, wall);
        let certificate = match answer.map_err(|error| error.to_string())? {
            Answer::Done(certificate) => certificate,
            Answer::Refused(error) => return Err(error.to_string()),
        };
        let known = Credentials::clone(&credentials).with_alipay_certificate(&certificate);
        let known = known.map_err(|error| error.to_string())?;
        self.trusted.credentials.store(Arc::new(known));
        Ok(())
    }

    pub(crate) fn read_notice(&self, request: &HttpRequest) -> Result<Notice, NoticeRefusal> {
        let verified = open::notify::verify(&self.credentials(), request)
            .map_err(|error| alipay::notice_refusal(&error, request))?;
        Ok(alipay::notice(verified.into_inner()))
    }

    pub(crate) fn returned(&self, request: &HttpRequest) -> Option<OutTradeNo> {
        let verified = open::return_url::verify(&self.credentials(), request.query()).ok()?;
        Some(verified.into_inner())
    }
}

impl Trusted {
    fn want(&self, serial: &str) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted = Some(serial.to_owned());
    }

    fn wanted(&self) -> Option<CertDownload> {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let alipay_cert_sn = wanted.clone()?;
        Some(CertDownload { alipay_cert_sn })
    }
}
