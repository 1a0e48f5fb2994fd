//! Adapters: the core's words on one side, a provider's bytes on the other, without I/O.
//!
//! A call to a provider is a value ([`Exchange`]): the request, and how to read the answer. Each
//! adapter file holds both halves together. Retries, timeouts and sockets are the engine's; what
//! an answer means for a charge is the core's.

mod account;
mod alipay;
mod alipay_app;
mod alipay_bill;
mod alipay_legacy;
mod alipay_protocol;
mod bill;
mod bill_lines;
pub mod catalogue;
mod wechat;
mod wechat_bill;
mod wechat_v2;
mod wechat_v3;
mod words;

pub use account::{
    AccountError, AccountSetup, AlipayKeys, AlipayLegacyKeys, Keys, MerchantP12, WechatV2Keys,
    WechatV3Keys, adapter,
};

pub use bill::{
    BILL_HEAD_BYTES, BillDate, BillFetch, BillHead, BillHindrance, BillKind, BillPacking, BillPlan,
    BillStep, BillWanted,
};
pub use bill_lines::{
    BillFault, BillForm, BillLine, BillLineKind, Checked, EachLine, check_bill, read_bill,
};

use std::fmt;
use std::sync::Arc;
use tongbao_core::{Action, Fact, Payer, RefundFact};
use tongbao_crypt::{Certificate, ClientIdentity};
use tongbao_types::{
    AccountName, Amount, Channel, ChargeId, Code, Fen, HttpRequest, HttpResponse, OutRefundNo,
    OutTradeNo, Provider, Secret, Span, Timestamp,
};

/// One channel account: knows its credentials, parsed once, and its provider's protocol.
pub trait Adapter: Send + Sync + 'static {
    /// The account's name; part of its notification address.
    fn name(&self) -> &AccountName;
    /// Whose protocol it speaks.
    fn provider(&self) -> Provider;
    /// Scheme and host of the provider, without a trailing slash.
    fn endpoint(&self) -> &str;
    /// What it can do, in the order of the documentation.
    fn channels(&self) -> &'static [Channel];
    /// Whether the provider takes this text as an out_trade_no.
    fn takes_number(&self, text: &str) -> bool;

    /// Places an order. The same order placed again has the same parameters, as the providers want.
    fn place(&self, order: &Order<'_>, stamp: &Stamp) -> Result<Placing, OrderError>;
    /// Asks how an order stands.
    fn query(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange;
    /// Closes an order that nobody paid. One whose code the merchant scanned is taken back, with
    /// what may have been paid.
    fn close(&self, order: OrderRef<'_>, stamp: &Stamp) -> Exchange;
    /// How old an order must be before the provider closes it, if that is why it refused to.
    fn close_wait(&self, _refusal: &Refusal) -> Option<Span> {
        None
    }

    /// Who must have signed the endpoint's TLS certificate, in place of the machine's authorities.
    fn root(&self) -> Option<&Arc<Certificate>> {
        None
    }
    /// What the account shows in TLS, where the provider wants to see it.
    fn identity(&self) -> Option<&Arc<ClientIdentity>> {
        None
    }

    /// Whether the provider takes this text as an out_refund_no.
    fn takes_refund_number(&self, text: &str) -> bool;
    /// Why this account cannot refund, and what to do about it; `None` if it can.
    fn refund_hindrance(&self) -> Option<&str>;
    /// Sends a refund. The same refund sent again moves no money a second time. Only for an
    /// account without a hindrance.
    fn refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact>;
    /// Asks how a refund stands.
    fn query_refund(&self, refund: &RefundOrder<'_>, stamp: &Stamp) -> Exchange<RefundFact>;

    /// Asks for the refunds of an order as the older services did: for showing the answer's words,
    /// never for deciding. Nothing, where the protocol is younger than those services.
    fn refunds_of(&self, _order: OrderRef<'_>, _stamp: &Stamp) -> Option<Exchange<()>> {
        None
    }

    /// How a bill is fetched; or why this account has no such bills.
    fn bill(&self, _wanted: BillWanted, _stamp: &Stamp) -> Result<BillPlan, BillHindrance> {
        let message = format!("The protocol of the account {} has no bills.", self.name());
        Err(BillHindrance(message))
    }

    /// Asks for the key of the provider's own test system, where the protocol has one.
    fn sandbox_key(&self, _stamp: &Stamp) -> Option<Exchange<Secret<String>>> {
        None
    }

    /// Whether no answer can be verified before keys are fetched from the provider.
    fn needs_keys(&self) -> bool {
        false
    }
    /// Fetches the provider's keys, where the protocol has a way; the answer goes to
    /// [`Adapter::learn_keys`].
    fn keys_request(&self, _stamp: &Stamp) -> Option<HttpRequest> {
        None
    }
    /// Takes the provider's keys in, after verifying them; an error says why not.
    fn learn_keys(&self, _response: &HttpResponse, _wall: Timestamp) -> Result<(), String> {
        Ok(())
    }

    /// Verifies and reads a notification. `wall` is real time, for its age.
    fn read_notice(&self, request: &HttpRequest, wall: Timestamp) -> Result<Notice, NoticeRefusal>;
    /// What to ask the provider before a notification that was read is believed: whether it sent
    /// it. Nothing, where the signature proves enough.
    fn notice_check(&self, _request: &HttpRequest) -> Option<Exchange<bool>> {
        None
    }
    /// An answer's fields as a JSON object, in the provider's own words; for showing, never for
    /// deciding. Nothing, where they cannot be read so.
    fn words(&self, _answer: &HttpResponse) -> Option<String> {
        None
    }
    /// The same of a notification.
    fn notice_words(&self, _notice: &HttpRequest) -> Option<String> {
        None
    }
    /// The bytes that answer a notification.
    fn acknowledge(&self, outcome: Acknowledgement<'_>) -> HttpResponse;
    /// The order that a browser coming back from the provider names; proof of nothing.
    fn returned(&self, _request: &HttpRequest) -> Option<OutTradeNo> {
        None
    }
}

/// What an order consists of.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// Of which charge.
    pub charge: ChargeId,
    /// Through which channel.
    pub channel: Channel,
    /// Its number at the provider.
    pub out_trade_no: &'a OutTradeNo,
    /// What is to be paid.
    pub amount: Amount,
    /// What the payer reads.
    pub subject: &'a str,
    /// A longer description.
    pub body: Option<&'a str>,
    /// Handed back by the provider as it is.
    pub attach: Option<&'a str>,
    /// The payer's address.
    pub client_ip: Option<&'a str>,
    /// Who will pay, where the channel needs to know.
    pub payer: Option<&'a Payer>,
    /// Nobody can pay after this moment.
    pub expires_at: Timestamp,
}

/// An order that was placed, or may have been.
#[derive(Debug, Clone, Copy)]
pub struct OrderRef<'a> {
    /// Through which channel.
    pub channel: Channel,
    /// Its number at the provider.
    pub out_trade_no: &'a OutTradeNo,
}

/// What a refund consists of.
#[derive(Debug, Clone, Copy)]
pub struct RefundOrder<'a> {
    /// The order that was paid.
    pub order: OrderRef<'a>,
    /// How much was paid.
    pub paid: Fen,
    /// The refund's number at the provider.
    pub out_refund_no: &'a OutRefundNo,
    /// How much goes back.
    pub amount: Amount,
    /// For the payer to read.
    pub reason: Option<&'a str>,
}

/// What makes one message unlike the next: real time and a nonce.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// Real time.
    pub wall: Timestamp,
    /// 32 random hex digits.
    pub nonce: String,
}

/// How an order is placed.
pub enum Placing {
    /// By a call to the provider.
    Call(Exchange),
    /// By the payer's browser, which carries this; the provider hears of it only then.
    Ready(Action),
}

/// A call to a provider as a value; its answer tells a `T`.
pub struct Exchange<T = Fact> {
    /// What to send.
    pub request: HttpRequest,
    read: Box<ReadAnswer<T>>,
}

type ReadAnswer<T> = dyn Fn(&HttpResponse, Timestamp) -> Reply<T> + Send + Sync;

impl<T> Exchange<T> {
    /// Joins a request and the reading of its answer.
    pub fn new(
        request: HttpRequest,
        read: impl Fn(&HttpResponse, Timestamp) -> Reply<T> + Send + Sync + 'static,
    ) -> Exchange<T> {
        Exchange { request, read: Box::new(read) }
    }

    /// Reads the answer. `wall` is real time, for its age.
    pub fn finish(&self, response: &HttpResponse, wall: Timestamp) -> Reply<T> {
        (self.read)(response, wall)
    }
}

impl<T> fmt::Debug for Exchange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({} {})", self.request.method.as_str(), self.request.path())
    }
}

/// What an answer amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply<T = Fact> {
    /// Something is known of the order or the refund.
    Done(T),
    /// The provider says no to the request. To an order that is final; to a question it tells
    /// nothing about the order.
    Refused(Refusal),
    /// The provider says no because of how the order or the refund stands already; a query will
    /// tell more. A refund that the query does not find is refused for good.
    AskNow(Refusal),
    /// The provider says yes, in words that leave it open; a query will tell.
    Confirm,
    /// Nothing is known: the answer is missing, cannot be believed, or says itself so.
    Unknown(Doubt),
}

/// The provider's no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The provider's own code.
    pub code: String,
    /// The provider's own words.
    pub message: String,
}

/// Why nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// For the log and for the one who asked.
    pub reason: String,
    /// The answer is signed with a key that is not known; fetching keys may help.
    pub keys_may_help: bool,
}

/// A notification that is verified and is this account's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It tells this about an order.
    Order {
        /// Which order.
        number: OutTradeNo,
        /// What it tells.
        fact: Fact,
    },
    /// It tells about a refund.
    Refund {
        /// Of which order.
        number: OutTradeNo,
        /// Which refund.
        out_refund_no: OutRefundNo,
        /// What it tells; nothing, if such a notice proves nothing and the provider must be asked.
        fact: Option<RefundFact>,
    },
    /// It tells of something that is not followed here, such as a trade waiting for its buyer.
    Other,
}

/// A notification that is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeRefusal {
    /// What is wrong.
    pub code: Code,
    /// For the merchant: what was expected and what came.
    pub reason: String,
    /// The order that it claims to be about, if that can be read; proof of nothing.
    pub claims: Option<OutTradeNo>,
    /// It names a key that is not known; fetching keys may help.
    pub keys_may_help: bool,
}

/// How a notification is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledgement<'a> {
    /// Its effect is committed, or it has none.
    Accepted,
    /// It is not believed.
    Refused(Code, &'a str),
    /// It could not be stored; the provider shall repeat it.
    Unavailable,
}

/// An order that cannot be placed as asked; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderError {
    /// Which field of the request.
    pub param: &'static str,
    /// What is wrong with it.
    pub message: String,
}
