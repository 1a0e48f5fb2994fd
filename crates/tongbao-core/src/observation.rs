//! What became known about an order at a provider, by whichever way it came.
//!
//! A reply, a notification, a poll, the sync button and a bill line all become an [`Observation`];
//! `rules::observe` is the one place that draws conclusions from it.

use tongbao_types::{AccountName, Code, Fen, OutTradeNo, Timestamp, TradeNo};

/// By which way something became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The provider's answer to the order.
    Reply,
    /// The provider's notification.
    Notice,
    /// A look by the polling queue.
    Poll,
    /// Somebody asked for a look: `/sync`, a return address, a close that came too late.
    Sync,
    /// The provider's answer to a close.
    Close,
}

/// One thing that a provider said about one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The account that asked or was notified.
    pub account: AccountName,
    /// Which order.
    pub out_trade_no: OutTradeNo,
    /// By which way.
    pub source: Source,
    /// What was said.
    pub fact: Fact,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// The order stands and waits for the payer; with what to show, if this told it.
    Awaiting(Option<Action>),
    /// The payer has paid.
    Paid(Seen),
    /// The order is closed at the provider and nobody paid.
    Closed,
    /// The provider knows no such order (yet). Alipay says so until the payer has come.
    Absent,
    /// The provider refuses the order for good.
    Refused {
        /// The provider's own code.
        code: String,
        /// The provider's own words.
        message: String,
    },
}

/// A payment as the provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The order's amount by the provider's account.
    pub amount: Fen,
    /// `CNY`, or what the provider said instead.
    pub currency: String,
    /// The provider's number of the trade.
    pub trade_no: TradeNo,
    /// When the payer paid, by the provider's clock; unknown in some messages.
    pub paid_at: Option<Timestamp>,
    /// Who paid, as far as it was told.
    pub payer: Option<Payer>,
    /// The provider says that all of it has gone back to the payer since.
    pub returned: bool,
}

/// What a provider said about a refund.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundFact {
    /// The provider has the refund and works on it.
    Processing {
        /// The provider's number of it.
        provider_no: Option<String>,
    },
    /// The money is back at the payer's.
    Succeeded {
        /// The provider's number of it.
        provider_no: Option<String>,
        /// How much, if that was said.
        amount: Option<Fen>,
        /// When, by the provider's clock if it said so.
        at: Option<Timestamp>,
    },
    /// The payer's account could not take it; somebody must settle it at the provider by hand.
    Abnormal {
        /// The provider's number of it.
        provider_no: Option<String>,
    },
    /// The provider closed the refund; the money stays with the merchant.
    Closed,
    /// The provider knows no such refund (yet). The same one may be sent again.
    Absent,
    /// The provider refuses the refund for good.
    Refused {
        /// The provider's own code.
        code: String,
        /// The provider's own words.
        message: String,
    },
    /// The provider refuses the refund as things are, such as with too little money in the
    /// merchant's account. The same one may be sent again later.
    NotNow {
        /// The provider's own code.
        code: String,
        /// The provider's own words.
        message: String,
    },
}

/// Who pays, by the provider's ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Payer {
    /// WeChat's id of a user towards one app id.
    pub openid: Option<String>,
    /// Alipay's user id (2088…), or its newer open_id.
    pub buyer_id: Option<String>,
    /// A payment code that the payer shows; only in requests, never kept.
    pub auth_code: Option<String>,
}

/// What the payer's side must be shown or given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Draw this text as a QR code.
    QrCode {
        /// The text.
        code_url: String,
    },
    /// Send the browser there.
    Redirect {
        /// The address.
        url: String,
    },
    /// Give the browser this page; it submits itself.
    Form {
        /// The page.
        html: String,
    },
    /// Hand these signed parameters to WeChat's or Alipay's JSAPI.
    Jsapi {
        /// Names and values.
        params: Vec<(String, String)>,
    },
    /// Hand these signed parameters to the provider's SDK in an app.
    App {
        /// Names and values.
        params: Vec<(String, String)>,
    },
}

/// Why an observation is not believed although its signature is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Which fact does not fit.
    pub code: Code,
    /// What was expected and what came, for the merchant.
    pub reason: String,
}
