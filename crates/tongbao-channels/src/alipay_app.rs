//! An account with an app at Alipay, in OpenAPI 2.0 or in v3, signed with RSA2, by public keys or
//! by certificates. The protocols differ in how a call stands on the wire ([`Protocol`]). What a
//! browser or an app carries, the download of Alipay's certificates, notifications and returns have
//! no v3 form and are those of 2.0.

use crate::account::{AccountError, AlipayKeys, Site};
use crate::alipay_protocol::{Operation, Protocol};
use crate::{Acknowledgement, Adapter, Exchange, Notice, NoticeRefusal, Order, OrderError};
use crate::{BillHindrance, BillPlan, BillWanted, OrderRef, Placing, RefundOrder, Reply, Stamp};
use crate::{alipay, alipay_bill, words};
use arc_swap::{ArcSwap, Guard};
use std::sync::{Arc, Mutex, PoisonError};
use tongbao_alipay::open::cert_download::CertDownload;
use tongbao_alipay::open::refund_query::RefundQuery;
use tongbao_alipay::open::{self, CallContext};
use tongbao_alipay::{Answer, Credentials, ReplyError};
use tongbao_core::{Action, Fact, RefundFact};
use tongbao_crypt::Certificate;
use tongbao_types::{
    AccountName, Channel, HttpRequest, HttpResponse, OutRefundNo, OutTradeNo, Provider, Timestamp,
};

pub(crate) struct AlipayApp {
    site: Site,
    protocol: Protocol,
    trusted: Arc<Trusted>,
}

/// The credentials, and the serial of a certificate that Alipay signed with and that is not known
/// yet.
struct Trusted {
    credentials: ArcSwap<Credentials>,
    wanted: Mutex<Option<String>>,
}

/// Tells what the answer to an operation amounts to.
type Read<O, T> = fn(Result<Answer<<O as Operation>::Reply>, ReplyError>) -> Reply<T>;

const ENDPOINT: &str = "https://openapi.alipay.com";

impl AlipayApp {
    pub(crate) fn new(
        site: Site,
        keys: &AlipayKeys,
        protocol: Protocol,
    ) -> Result<AlipayApp, AccountError> {
        let credentials = ArcSwap::from_pointee(alipay::read_credentials(keys)?);
        let trusted = Arc::new(Trusted { credentials, wanted: Mutex::new(None) });
        Ok(AlipayApp { site, protocol, trusted })
    }

    fn credentials(&self) -> Guard<Arc<Credentials>> {
        self.trusted.credentials.load()
    }

    /// A call that asks for no news.
    fn call<O: Operation, T: 'static>(
        &self,
        operation: O,
        stamp: &Stamp,
        read: Read<O, T>,
    ) -> Exchange<T> {
        let request = operation.request(self.protocol, &self.credentials(), stamp, None);
        self.exchange(request, operation, read)
    }

    /// A call that places an order, of which Alipay then sends news.
    fn placing<O: Operation>(&self, operation: O, stamp: &Stamp, read: Read<O, Fact>) -> Placing {
        let notify_url = Some(self.site.notify_url("alipay"));
        let request = operation.request(self.protocol, &self.credentials(), stamp, notify_url);
        Placing::Call(self.exchange(request, operation, read))
    }

    /// An exchange whose answer is read with the keys that are known by then.
    fn exchange<O: Operation, T: 'static>(
        &self,
        request: HttpRequest,
        operation: O,
        read: Read<O, T>,
    ) -> Exchange<T> {
        let (trusted, protocol) = (Arc::clone(&self.trusted), self.protocol);
        Exchange::new(request, move |response, now| {
            let credentials = trusted.credentials.load();
            let answer = operation.answer(protocol, &credentials, response, now);
            if let Err(ReplyError::CertificateUnknown { sn }) = &answer {
                trusted.want(sn);
            }
            read(answer)
        })
    }

    /// What the payer's browser or app carries to Alipay by itself; v3 has no form of it.
    fn carried(&self, order: &Order<'_>, stamp: &Stamp) -> Action {
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
}

impl Adapter for AlipayApp {
    fn name(&self) -> &AccountName {
        &self.site.name
    }

    fn provider(&self) -> Provider {
        Provider::Alipay
    }

    fn endpoint(&self) -> &str {
        self.site.endpoint.as_deref().unwrap_or(ENDPOINT)
    }

    fn root(&self) -> Option<&Arc<Certificate>> {
        self.site.root.as_ref()
    }

    fn channels(&self) -> &'static [Channel] {
        alipay::CHANNELS
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_alipay(text)
    }

    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError> {
        Ok(match order.channel {
            Channel::AlipayQr => self.placing(alipay::precreate(order), stamp, alipay::precreated),
            Channel::AlipayJsapi => {
                let create = alipay::create(order, self.credentials().app_id())?;
                self.placing(create, stamp, alipay::created)
            }
            Channel::AlipayBarcode => {
                self.placing(alipay::pay(order)?, stamp, alipay::paid_by_code)
            }
            _ => Placing::Ready(self.carried(order, stamp)),
        })
    }

    fn query(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        self.call(alipay::query(order), stamp, alipay::query_answer)
    }

    fn close(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        if order.channel.is_scanned_by_merchant() {
            return self.call(alipay::cancel(order), stamp, alipay::cancel_answer);
        }
        self.call(alipay::close(order), stamp, alipay::close_answer)
    }

    fn takes_refund_number(&self, text: &str) -> bool {
        OutRefundNo::fits_alipay(text)
    }

    fn refund_hindrance(&self) -> Option<&str> {
        None
    }

    fn refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        self.call(alipay::refund(refund), stamp, alipay::refund_answer)
    }

    fn query_refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        self.call(alipay::refund_query(refund), stamp, alipay::refund_query_answer)
    }

    /// Alipay answers about one refund, by its number. The older service asked with a number that
    /// no refund had, so that it heard whether the trade exists and nothing more.
    fn refunds_of(&self, order: OrderRef<'_>, stamp: &Stamp) -> Option<Exchange<()>> {
        let (trade, out_request_no) = (alipay::trade(order), stamp.nonce.clone());
        let query = RefundQuery { trade, out_request_no, with_detail: false };
        let is_old = self.protocol == Protocol::Open;
        is_old.then(|| self.call(query, stamp, alipay::shown_only))
    }

    fn bill(&self, wanted: BillWanted, stamp: &Stamp) -> Result<BillPlan, BillHindrance> {
        let question = alipay_bill::question(wanted);
        Ok(BillPlan::Ask(self.call(question, stamp, alipay_bill::linked)))
    }

    /// Asks for the certificate that the last answer was signed with, if it was an unknown one.
    fn keys_request(&self, stamp: &Stamp) -> Option<HttpRequest> {
        let download = self.trusted.wanted()?;
        Some(download.encode(&self.credentials(), &CallContext::at(stamp.wall)))
    }

    fn learn_keys(&self, response: &HttpResponse, wall: Timestamp) -> Result<(), String> {
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

    fn read_notice(
        &self,
        request: &HttpRequest,
        _wall: Timestamp,
    ) -> Result<Notice, NoticeRefusal> {
        let verified = open::notify::verify(&self.credentials(), request)
            .map_err(|error| alipay::notice_refusal(&error, request))?;
        Ok(alipay::notice(verified.into_inner()))
    }

    fn words(&self, answer: &HttpResponse) -> Option<String> {
        match self.protocol {
            Protocol::Open => words::of_gateway(&answer.body),
            Protocol::V3 => words::of_json(&answer.body),
        }
    }

    fn notice_words(&self, notice: &HttpRequest) -> Option<String> {
        words::of_form(&notice.body)
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        alipay::acknowledge(outcome)
    }

    fn returned(&self, request: &HttpRequest) -> Option<OutTradeNo> {
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
