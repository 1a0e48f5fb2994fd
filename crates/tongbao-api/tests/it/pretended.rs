//! A provider, a clock, dice and a network that do as a test says.
//!
//! The provider believes every notice of the form `<out_trade_no> <fen>`; what to do with an order
//! is said by its subject: «refuse» is refused, «silence» gets no answer. So it is with
//! a refund, by its reason.

use async_trait::async_trait;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use tongbao_channels::{
    Acknowledgement, Adapter, Doubt, Exchange, Notice, NoticeRefusal, Order, OrderError, OrderRef,
    Placing, RefundOrder, Refusal, Reply, Stamp,
};
use tongbao_core::{Action, Fact, RefundFact, Seen};
use tongbao_engine::{Clock, Dice, Outgoing, Wire, WireError};
use tongbao_types::{
    AccountName, Channel, Code, Fen, HttpRequest, HttpResponse, Method, OutRefundNo, OutTradeNo,
    Provider, Span, Timestamp, TradeNo,
};

/// What the payer scans.
pub(crate) const CODE_URL: &str = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz";
/// Where Alipay's payer goes.
pub(crate) const PAGE_URL: &str = "https://openapi.alipay.example/gateway.do?method=pay";

/// An account at a pretended provider.
pub(crate) struct Account {
    name: AccountName,
    provider: Provider,
}

impl Account {
    pub(crate) fn new(name: &str, provider: Provider) -> Account {
        Account { name: AccountName::new(name).unwrap(), provider }
    }
}

fn call<T: Clone + Send + Sync + 'static>(target: &str, reply: Reply<T>) -> Exchange<T> {
    let request = HttpRequest {
        method: Method::Post,
        target: target.to_owned(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
    };
    Exchange::new(request, move |_, _| reply.clone())
}

fn given_back() -> RefundFact {
    let provider_no = Some("50300100002026112100000000001".to_owned());
    RefundFact::Succeeded { provider_no, amount: None, at: None }
}

impl Adapter for Account {
    fn name(&self) -> &AccountName {
        &self.name
    }

    fn provider(&self) -> Provider {
        self.provider
    }

    fn endpoint(&self) -> &'static str {
        "http://provider.example"
    }

    fn channels(&self) -> &'static [Channel] {
        match self.provider {
            Provider::Wechat => &[Channel::WechatNative],
            Provider::Alipay => &[Channel::AlipayPage],
        }
    }

    fn takes_number(&self, text: &str) -> bool {
        OutTradeNo::fits_wechat(text)
    }

    fn place(&self, order: &Order<'_>, _: &Stamp) -> Result<Placing, OrderError> {
        let refusal =
            Refusal { code: "NOAUTH".to_owned(), message: "商户无此接口权限".to_owned() };
        Ok(match order.subject {
            "refuse" => Placing::Call(call("/refuse", Reply::Refused(refusal))),
            "silence" => Placing::Call(call(
                "/silence",
                Reply::Unknown(Doubt { reason: "silence".to_owned(), keys_may_help: false }),
            )),
            _ if self.provider == Provider::Wechat => {
                Placing::Ready(Action::QrCode { code_url: CODE_URL.to_owned() })
            }
            _ => Placing::Ready(Action::Redirect { url: PAGE_URL.to_owned() }),
        })
    }

    fn query(&self, _: OrderRef<'_>, _: &Stamp) -> Exchange {
        call("/query", Reply::Done(Fact::Awaiting(None)))
    }

    fn close(&self, _: OrderRef<'_>, _: &Stamp) -> Exchange {
        call("/close", Reply::Done(Fact::Closed))
    }

    fn takes_refund_number(&self, text: &str) -> bool {
        OutRefundNo::fits_wechat(text)
    }

    fn refund_hindrance(&self) -> Option<&str> {
        None
    }

    fn refund(&self, refund: &RefundOrder<'_>, _: &Stamp) -> Exchange<RefundFact> {
        let (code, message) = ("NOTENOUGH".to_owned(), "余额不足".to_owned());
        match refund.reason {
            Some("refuse") => call("/refuse", Reply::Refused(Refusal { code, message })),
            Some("silence") => call(
                "/silence",
                Reply::Unknown(Doubt { reason: "silence".to_owned(), keys_may_help: false }),
            ),
            _ => call("/refund", Reply::Done(given_back())),
        }
    }

    fn query_refund(&self, _: &RefundOrder<'_>, _: &Stamp) -> Exchange<RefundFact> {
        call("/refund", Reply::Done(RefundFact::Absent))
    }

    fn read_notice(&self, request: &HttpRequest, _: Timestamp) -> Result<Notice, NoticeRefusal> {
        let text = String::from_utf8_lossy(&request.body).into_owned();
        let parts = text.split_once(' ').and_then(|(number, fen)| {
            Some((OutTradeNo::new(number).ok()?, fen.parse::<i64>().ok()?))
        });
        let Some((number, fen)) = parts else {
            let reason = "not of the form that this provider uses".to_owned();
            let code = Code::NoticeMalformed;
            return Err(NoticeRefusal { code, reason, claims: None, keys_may_help: false });
        };
        let seen = Seen {
            amount: Fen(fen),
            currency: "CNY".to_owned(),
            trade_no: TradeNo::new("4200002026112100000000000001").unwrap(),
            paid_at: None,
            payer: None,
            returned: false,
        };
        Ok(Notice::Order { number, fact: Fact::Paid(seen) })
    }

    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse {
        match outcome {
            Acknowledgement::Accepted => HttpResponse::new(200, "text/plain", "success"),
            _ => HttpResponse::new(401, "text/plain", "failure"),
        }
    }

    fn returned(&self, request: &HttpRequest) -> Option<OutTradeNo> {
        OutTradeNo::new(request.query().strip_prefix("out_trade_no=")?).ok()
    }
}

/// Answers every call with nothing, which the pretended account reads as it likes.
pub(crate) struct Answering;

#[async_trait]
impl Wire for Answering {
    async fn send(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError> {
        match outgoing.request.target.as_str() {
            "/silence" => Err(WireError::Broken("nobody there".to_owned())),
            _ => Ok(HttpResponse::new(200, "text/plain", "")),
        }
    }
}

/// A clock that stands until it is moved.
pub(crate) struct Standing(AtomicI64);

impl Standing {
    pub(crate) fn new() -> Standing {
        Standing(AtomicI64::new(1_795_242_600_000_000))
    }

    pub(crate) fn advance(&self, span: Span) {
        self.0.fetch_add(span.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for Standing {
    /// Each question moves it by a millisecond, so that lists have an order.
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1000, Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Dice that show other bytes at each throw, and the same in each run.
#[derive(Default)]
pub(crate) struct Counting(AtomicU64);

impl Dice for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let count = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            let mixed = count.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            chunk.copy_from_slice(&mixed[..chunk.len()]);
        }
    }
}
