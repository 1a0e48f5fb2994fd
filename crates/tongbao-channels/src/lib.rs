//! Adapters: the core's words on one side, a provider's bytes on the other, without I/O.
//!
//! A call to a provider is a value ([`Exchange`]): the request, and how to read the answer. Each
//! adapter file holds both halves together. Retries, timeouts and sockets are the engine's; what
//! an answer means for a charge is the core's.

mod account;
mod alipay_open;
mod wechat;
mod wechat_v2;
mod wechat_v3;

pub use account::{
    AccountError, AccountSetup, AlipayKeys, Keys, WechatV2Keys, WechatV3Keys, adapter,
};

use std::fmt;
use tongbao_core::{Action, Fact, Payer};
use tongbao_types::{
    AccountName, Amount, Channel, ChargeId, Code, HttpRequest, HttpResponse, OutTradeNo, Provider,
    Timestamp,
};

/// The channels that this version has adapters for.
pub const SERVED: &[Channel] = &[Channel::WechatNative, Channel::AlipayPage, Channel::AlipayQr];

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
    fn query(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange;
    /// Closes an order that nobody paid.
    fn close(&self, number: &OutTradeNo, stamp: &Stamp) -> Exchange;

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

/// A call to a provider as a value.
pub struct Exchange {
    /// What to send.
    pub request: HttpRequest,
    read: Box<ReadAnswer>,
}

type ReadAnswer = dyn Fn(&HttpResponse, Timestamp) -> Reply + Send + Sync;

impl Exchange {
    /// Joins a request and the reading of its answer.
    pub fn new(
        request: HttpRequest,
        read: impl Fn(&HttpResponse, Timestamp) -> Reply + Send + Sync + 'static,
    ) -> Exchange {
        Exchange { request, read: Box::new(read) }
    }

    /// Reads the answer. `wall` is real time, for its age.
    pub fn finish(&self, response: &HttpResponse, wall: Timestamp) -> Reply {
        (self.read)(response, wall)
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({} {})", self.request.method.as_str(), self.request.path())
    }
}

/// What an answer amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Something is known of the order.
    Done(Fact),
    /// The provider says no to the request. To an order that is final; to a question it tells
    /// nothing about the order.
    Refused(Refusal),
    /// The provider says no because the order is paid or closed already; a query will tell more.
    AskNow(Refusal),
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
