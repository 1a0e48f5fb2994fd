//! Alipay's v3 protocol: the same operations as JSON under paths of their own. Pages and app
//! payments have no v3 form and are those of 2.0; so are notifications and the download of
//! Alipay's certificates.

use crate::account::{AccountError, AlipayKeys, Site};
use crate::alipay;
use crate::alipay_app::AlipayApp;
use crate::alipay_bill;
use crate::{Acknowledgement, Adapter, Exchange, Notice, NoticeRefusal, Order, OrderError};
use crate::{BillHindrance, BillPlan, BillWanted, OrderRef, Placing, RefundOrder, Stamp};
use std::sync::Arc;
use tongbao_alipay::v3::CallContext;
use tongbao_core::RefundFact;
use tongbao_crypt::Certificate;
use tongbao_types::{
    AccountName, Channel, HttpRequest, HttpResponse, OutRefundNo, OutTradeNo, Provider, Timestamp,
};

pub(crate) struct AlipayV3 {
    app: AlipayApp,
}

impl AlipayV3 {
    pub(crate) fn new(site: Site, keys: &AlipayKeys) -> Result<AlipayV3, AccountError> {
        Ok(AlipayV3 { app: AlipayApp::new(site, keys)? })
    }

    /// The context of a call that places an order, of which Alipay then sends news.
    fn placing(&self, stamp: &Stamp) -> CallContext {
        CallContext {
            notify_url: Some(self.app.site.notify_url("alipay")),
            ..CallContext::at(stamp.wall, &*stamp.nonce)
        }
    }

    fn precreate(&self, order: &Order<'_>, stamp: &Stamp) -> Exchange {
        let precreate = alipay::precreate(order);
        let request = precreate.encode_v3(&self.app.credentials(), &self.placing(stamp));
        let decode = move |own: &_, response: &_, now| precreate.decode_v3(own, response, now);
        self.app.exchange(request, decode, alipay::precreated)
    }

    fn create(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Exchange, OrderError> {
        let credentials = self.app.credentials();
        let create = alipay::create(order, credentials.app_id())?;
        let request = create.encode_v3(&credentials, &self.placing(stamp));
        let decode = move |own: &_, response: &_, now| create.decode_v3(own, response, now);
        Ok(self.app.exchange(request, decode, alipay::created))
    }

    fn pay(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Exchange, OrderError> {
        let pay = alipay::pay(order)?;
        let request = pay.encode_v3(&self.app.credentials(), &self.placing(stamp));
        let decode = move |own: &_, response: &_, now| pay.decode_v3(own, response, now);
        Ok(self.app.exchange(request, decode, alipay::paid_by_code))
    }

    fn cancel(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        let cancel = alipay::cancel(order);
        let request =
            cancel.encode_v3(&self.app.credentials(), &CallContext::at(stamp.wall, &*stamp.nonce));
        let decode = move |own: &_, response: &_, now| cancel.decode_v3(own, response, now);
        self.app.exchange(request, decode, alipay::cancel_answer)
    }
}

impl Adapter for AlipayV3 {
    fn name(&self) -> &AccountName {
        &self.app.site.name
    }

    fn provider(&self) -> Provider {
        Provider::Alipay
    }

    fn endpoint(&self) -> &str {
        self.app.endpoint()
    }

    fn root(&self) -> Option<&Arc<Certificate>> {
        self.app.site.root.as_ref()
    }

    fn channels(&self) -> &'static [Channel] {
        alipay::CHANNELS
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_alipay(text)
    }

    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError> {
        match order.channel {
            Channel::AlipayQr => Ok(Placing::Call(self.precreate(order, stamp))),
            Channel::AlipayJsapi => self.create(order, stamp).map(Placing::Call),
            Channel::AlipayBarcode => self.pay(order, stamp).map(Placing::Call),
            _ => Ok(Placing::Ready(self.app.carried(order, stamp))),
        }
    }

    fn query(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        let query = alipay::query(order);
        let request =
            query.encode_v3(&self.app.credentials(), &CallContext::at(stamp.wall, &*stamp.nonce));
        let decode = move |own: &_, response: &_, now| query.decode_v3(own, response, now);
        self.app.exchange(request, decode, alipay::query_answer)
    }

    fn close(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        if order.channel.is_scanned_by_merchant() {
            return self.cancel(order, stamp);
        }
        let close = alipay::close(order);
        let request =
            close.encode_v3(&self.app.credentials(), &CallContext::at(stamp.wall, &*stamp.nonce));
        let decode = move |own: &_, response: &_, now| close.decode_v3(own, response, now);
        self.app.exchange(request, decode, alipay::close_answer)
    }

    fn takes_refund_number(&self, text: &str) -> bool {
        OutRefundNo::fits_alipay(text)
    }

    fn refund_hindrance(&self) -> Option<&str> {
        None
    }

    fn refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        let refund = alipay::refund(refund);
        let request =
            refund.encode_v3(&self.app.credentials(), &CallContext::at(stamp.wall, &*stamp.nonce));
        let decode = move |own: &_, response: &_, now| refund.decode_v3(own, response, now);
        self.app.exchange(request, decode, alipay::refund_answer)
    }

    fn query_refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact> {
        let query = alipay::refund_query(refund);
        let request =
            query.encode_v3(&self.app.credentials(), &CallContext::at(stamp.wall, &*stamp.nonce));
        let decode = move |own: &_, response: &_, now| query.decode_v3(own, response, now);
        self.app.exchange(request, decode, alipay::refund_query_answer)
    }

    fn bill(&self, wanted: BillWanted, stamp: &Stamp) -> Result<BillPlan, BillHindrance> {
        let question = alipay_bill::question(wanted);
        let request = question
            .encode_v3(&self.app.credentials(), &CallContext::at(stamp.wall, &*stamp.nonce));
        let decode = move |own: &_, response: &_, now| question.decode_v3(own, response, now);
        Ok(BillPlan::Ask(self.app.exchange(request, decode, alipay_bill::linked)))
    }

    fn keys_request(&self, stamp: &Stamp) -> Option<HttpRequest> {
        self.app.keys_request(stamp)
    }

    fn learn_keys(&self, response: &HttpResponse, wall: Timestamp) -> Result<(), String> {
        self.app.learn_keys(response, wall)
    }

    fn read_notice(
        &self,
        request: &HttpRequest,
        _wall: Timestamp,
    ) -> Result<Notice, NoticeRefusal> {
        self.app.read_notice(request)
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        alipay::acknowledge(outcome)
    }

    fn returned(&self, request: &HttpRequest) -> Option<OutTradeNo> {
        self.app.returned(request)
    }
}
