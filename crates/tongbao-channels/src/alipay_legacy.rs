//! Alipay's old gateway (mapi, 即时到账): an order that the payer's browser carries there, signed
//! with MD5 over a shared key.
//!
//! The gateway tells where a trade stands, and no more: nothing here closes or refunds one. An
//! unpaid order ends by Alipay's own clock, and the address of one that nobody opened never ends;
//! `it_b_pay` would end it, but orders with it fail at contracts without that feature.

use crate::account::{AccountError, AlipayLegacyKeys, Site};
use crate::alipay;
use crate::words;
use crate::{Acknowledgement, Adapter, Doubt, Exchange, Notice, NoticeRefusal, Order, OrderError};
use crate::{OrderRef, Placing, RefundOrder, Refusal, Reply, Stamp};
use std::sync::Arc;
use tongbao_alipay::legacy::single_trade_query::{SingleTradeQuery, Trade, TradeAnswer};
use tongbao_alipay::legacy::{
    self, Credentials, CredentialsError, DirectPay, Notification, NotifyVerify, Verdict,
};
use tongbao_alipay::{ReplyError, TradeStatus};
use tongbao_core::{Action, Fact, RefundFact, Seen};
use tongbao_crypt::Certificate;
use tongbao_types::{
    AccountName, Bug, Channel, HttpRequest, HttpResponse, OutRefundNo, OutTradeNo, Provider,
    Timestamp, is_planted,
};

pub(crate) struct AlipayLegacy {
    site: Site,
    credentials: Arc<Credentials>,
}

const ENDPOINT: &str = "https://mapi.alipay.com";
/// What the payer reads, in bytes of GBK.
const SUBJECT_MAX: usize = 256;
/// From the buyer's balance with Alipay, which is also what no `paymethod` means; older services
/// wrote it down.
const PAYMETHOD: &str = "directPay";
/// `extra_common_param`, in characters.
const ATTACH_MAX: usize = 100;

impl AlipayLegacy {
    pub(crate) fn new(site: Site, keys: &AlipayLegacyKeys) -> Result<AlipayLegacy, AccountError> {
        let email = keys.seller_email.as_deref();
        let read = Credentials::new(&keys.partner, keys.md5_key.expose(), email);
        let credentials = read.map_err(|error| AccountError::new(field(error), error.to_string()));
        Ok(AlipayLegacy { site, credentials: Arc::new(credentials?) })
    }

    fn ask<T: 'static>(
        &self,
        order: OrderRef<'_>,
        read: impl Fn(Result<TradeAnswer, ReplyError>) -> Reply<T> + Send + Sync + 'static,
    ) -> Exchange<T> {
        let query = SingleTradeQuery { trade: alipay::trade(order) };
        let credentials = Arc::clone(&self.credentials);
        Exchange::new(query.encode(&credentials), move |response, _| {
            read(query.decode(&credentials, response))
        })
    }
}

fn field(error: CredentialsError) -> &'static str {
    match error {
        CredentialsError::Partner => "partner",
        CredentialsError::Key => "md5_key",
        CredentialsError::SellerEmail => "seller_email",
    }
}

impl Adapter for AlipayLegacy {
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
        &[Channel::AlipayLegacyPage]
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_alipay(text)
    }

    fn place(&self, order: &Order<'_>, _stamp: &Stamp) -> Result<Placing, OrderError> {
        if order.attach.is_some_and(|text| text.chars().count() > ATTACH_MAX) {
            return Err(OrderError {
                param: "attach",
                message: format!(
                    "alipay.legacy_page takes at most {ATTACH_MAX} characters of attach."
                ),
            });
        }
        let pay = DirectPay {
            out_trade_no: order.out_trade_no.clone(),
            total_fee: order.amount,
            subject: subject(order.subject),
            body: order.body.map(|body| body.chars().take(1000).collect()),
            notify_url: Some(self.site.notify_url("alipay")),
            return_url: Some(self.site.return_url()),
            show_url: None,
            paymethod: Some(PAYMETHOD.to_owned()),
            defaultbank: None,
            extra_common_param: order.attach.map(str::to_owned),
            it_b_pay: None,
        };
        let gateway = format!("{}{}", self.endpoint(), legacy::PATH);
        Ok(Placing::Ready(Action::Redirect { url: pay.url(&self.credentials, &gateway) }))
    }

    fn query(&self, order: OrderRef<'_>, _stamp: &Stamp) -> Exchange {
        self.ask(order, queried)
    }

    /// Looks whether the order has ended by itself, which is all that can be done about it.
    fn close(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange {
        self.query(order, stamp)
    }

    fn takes_refund_number(&self, text: &str) -> bool {
        OutRefundNo::fits_alipay(text)
    }

    fn refund_hindrance(&self) -> Option<&str> {
        Some(HINDRANCE)
    }

    /// Moves nothing, since the account has a hindrance.
    fn refund(&self, refund: &RefundOrder<'_>, _stamp: &Stamp) -> Exchange<RefundFact> {
        self.ask(refund.order, |_| hindered())
    }

    fn query_refund(&self, refund: &RefundOrder<'_>, _stamp: &Stamp) -> Exchange<RefundFact> {
        self.ask(refund.order, |_| hindered())
    }

    fn read_notice(
        &self,
        request: &HttpRequest,
        _wall: Timestamp,
    ) -> Result<Notice, NoticeRefusal> {
        let verified = legacy::notify::verify(&self.credentials, request)
            .map_err(|error| alipay::notice_refusal(&error, request))?;
        Ok(notice(verified.into_inner()))
    }

    /// MD5 proves only that who signed knows the key; Alipay itself says whether it was Alipay.
    fn notice_check(&self, request: &HttpRequest) -> Option<Exchange<bool>> {
        if is_planted(Bug::VerifySkippedAtLegacy) {
            return None;
        }
        let verified = legacy::notify::verify(&self.credentials, request).ok()?;
        let check = NotifyVerify { notify_id: verified.into_inner().notify_id };
        let read = |response: &HttpResponse, _| match NotifyVerify::decode(response) {
            Ok(verdict) => Reply::Done(verdict == Verdict::True),
            Err(error) => alipay::doubted(&error),
        };
        Some(Exchange::new(check.encode(&self.credentials), read))
    }

    fn notice_words(&self, notice: &HttpRequest) -> Option<String> {
        words::of_form(&notice.body)
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        alipay::acknowledge(outcome)
    }

    fn returned(&self, request: &HttpRequest) -> Option<OutTradeNo> {
        let verified = legacy::notify::verify_return(&self.credentials, request.query()).ok()?;
        Some(verified.into_inner())
    }
}

const HINDRANCE: &str = "Alipay's old gateway has no refund that a server can send by itself: \
                         refund it on Alipay's merchant site, and move to an account of OpenAPI \
                         (alipay.page), which can refund.";

fn hindered() -> Reply<RefundFact> {
    Reply::Unknown(Doubt { reason: HINDRANCE.to_owned(), keys_may_help: false })
}

fn queried(answer: Result<TradeAnswer, ReplyError>) -> Reply {
    let word = match answer {
        Ok(TradeAnswer::Found(trade)) => {
            let status = trade.trade_status.clone();
            return alipay::stands(&status, seen(trade));
        }
        Ok(TradeAnswer::Refused(word)) => word,
        Err(error) => return alipay::doubted(&error),
    };
    let known = legacy::Refusal::ALL.iter().find(|refusal| refusal.code == word);
    let message = known.map_or("", |refusal| refusal.words).to_owned();
    match word.as_str() {
        "TRADE_NOT_EXIST" => Reply::Done(Fact::Absent),
        "SYSTEM_ERROR" => Reply::Unknown(Doubt {
            reason: format!("Alipay says {word} {message}"),
            keys_may_help: false,
        }),
        _ => Reply::Refused(Refusal { code: word, message }),
    }
}

fn seen(trade: Trade) -> Seen {
    Seen {
        amount: trade.total_fee,
        currency: "CNY".to_owned(),
        trade_no: trade.trade_no,
        paid_at: trade.gmt_payment,
        payer: alipay::payer(trade.buyer_id),
        returned: false,
    }
}

/// What a verified notification tells. It names no refund, so that one of a refund in part says no
/// more than that the trade is paid.
fn notice(notification: Notification) -> Notice {
    let number = notification.out_trade_no.clone();
    let was_paid = notification.gmt_payment.is_some()
        || notification.gmt_refund.is_some()
        || notification.refund_status.is_some();
    let fact = match &notification.trade_status {
        status if status.is_paid() => Fact::Paid(paid(notification)),
        TradeStatus::TradeClosed if was_paid => {
            Fact::Paid(Seen { returned: true, ..paid(notification) })
        }
        TradeStatus::TradeClosed => Fact::Closed,
        _ => return Notice::Other,
    };
    Notice::Order { number, fact }
}

fn paid(notification: Notification) -> Seen {
    Seen {
        amount: notification.total_fee,
        currency: "CNY".to_owned(),
        trade_no: notification.trade_no,
        paid_at: notification.gmt_payment,
        payer: alipay::payer(notification.buyer_id),
        returned: false,
    }
}

/// Letters beyond ASCII take two bytes of GBK.
fn subject(text: &str) -> String {
    let mut bytes = 0;
    let fits = |c: &char| {
        bytes += if c.is_ascii() { 1 } else { 2 };
        bytes <= SUBJECT_MAX
    };
    text.chars().take_while(fits).collect()
}
