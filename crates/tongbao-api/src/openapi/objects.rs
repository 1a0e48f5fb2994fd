//! The public objects, for the document alone: the engine makes the real ones. A test compares
//! the fields here with those of real replies, both ways.
#![expect(dead_code, reason = "these types describe JSON; nobody makes values of them")]

use std::collections::BTreeMap;
use tongbao_core::EventKind;
use tongbao_types::{Channel as ChannelWord, Code};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// What you want to be paid, once.
#[derive(ToSchema)]
pub(crate) struct Charge {
    #[schema(example = "ch_06bae2r3pdt3jc5s0vbh9p2a1k")]
    id: String,
    /// `charge`.
    #[schema(example = "charge")]
    object: String,
    /// Whether money is real.
    livemode: bool,
    /// Whose it is.
    #[schema(example = "shop")]
    app: String,
    /// Your own number, unique per app and mode.
    #[schema(example = "20261121-0001")]
    order_no: String,
    /// In fen: 1200 is CNY 12.00.
    #[schema(example = 1200)]
    amount: i64,
    /// What was paid, in fen; 0 until it is. Another amount than `amount` only where the app keeps
    /// such payments.
    #[schema(example = 0)]
    amount_paid: i64,
    /// What of it went back to the payer, in fen.
    #[schema(example = 0)]
    amount_refunded: i64,
    /// `CNY`.
    #[schema(example = "CNY")]
    currency: String,
    /// What the payer reads.
    #[schema(example = "Coffee beans, 250 g")]
    subject: String,
    /// A longer description.
    body: Option<String>,
    /// Comes back in the provider's messages.
    attach: Option<String>,
    /// The channel of the paid attempt, else of the newest.
    channel: Option<ChannelName>,
    /// The account of that attempt.
    #[schema(example = "dev-wechat-v3")]
    account: Option<String>,
    status: ChargeStatus,
    /// Whether it was paid.
    paid: bool,
    /// When, by the provider's clock.
    #[schema(format = DateTime)]
    paid_at: Option<String>,
    /// The provider's own number of the payment.
    #[schema(example = "4200002026112100000000000001")]
    provider_trade_no: Option<String>,
    payer: Option<Payer>,
    action: Option<Action>,
    /// A page of this gateway where the payer can pay.
    #[schema(example = "https://pay.example.com/pay/ch_06bae2r3pdt3jc5s0vbh9p2a1k")]
    cashier_url: String,
    /// Lets a browser watch this one charge. The charge inside an event is without it.
    #[schema(nullable = false)]
    client_secret: Option<String>,
    /// Where the payer's browser goes after paying.
    return_url: Option<String>,
    /// The orders placed for it, oldest first.
    attempts: Vec<Attempt>,
    /// Nobody can pay after this moment.
    #[schema(format = DateTime)]
    expires_at: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was closed without a payment.
    #[schema(format = DateTime)]
    closed_at: Option<String>,
    close_reason: Option<CloseReason>,
    failure: Option<Failure>,
    /// Notifications about it that were not believed, and why.
    refused_notices: Vec<RefusedNotice>,
    /// Your own notes.
    metadata: BTreeMap<String, String>,
    /// The compat profile through whose routes it was made, such as `wepay`.
    profile: Option<String>,
}

/// `closed`: nobody paid. `failed`: the provider refused for good.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum ChargeStatus {
    Pending,
    Succeeded,
    Closed,
    Failed,
}

/// Why it was closed: by you, because its time was over, or by the provider.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum CloseReason {
    Requested,
    Expired,
    Provider,
}

/// Who paid, by the provider's ids.
#[derive(ToSchema)]
pub(crate) struct Payer {
    #[schema(nullable = false)]
    openid: Option<String>,
    #[schema(nullable = false)]
    buyer_id: Option<String>,
}

/// What the payer's side must be shown or given.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Action {
    /// Draw `code_url` as a QR code.
    QrCode {
        #[schema(example = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz")]
        code_url: String,
    },
    /// Send the browser there.
    Redirect { url: String },
    /// Give the browser this page; it submits itself.
    Form { html: String },
    /// Hand these to the provider's JSAPI.
    Jsapi { params: BTreeMap<String, String> },
    /// Hand these to the provider's SDK.
    App { params: BTreeMap<String, String> },
}

/// One order placed at a provider.
#[derive(ToSchema)]
pub(crate) struct Attempt {
    #[schema(example = "at_06bae2r3pdt3jc5s0vbh9p2a1s")]
    id: String,
    channel: ChannelName,
    #[schema(example = "dev-wechat-v3")]
    account: String,
    status: AttemptStatus,
    /// Its number at the provider.
    #[schema(example = "20261121-0001")]
    out_trade_no: String,
    /// The provider's own number of the payment.
    provider_trade_no: Option<String>,
    action: Option<Action>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    closed_at: Option<String>,
    failure: Option<Failure>,
}

/// `placing`: the order is on its way, or its outcome is not known. `closing`: it will be closed
/// at the provider and may still be paid.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum AttemptStatus {
    Placing,
    Pending,
    Closing,
    Succeeded,
    Closed,
    Failed,
}

/// Money of one payment on its way back to the payer.
#[derive(ToSchema)]
pub(crate) struct Refund {
    #[schema(example = "re_06bae2r3pdt3jc5s0vbh9p2a1o")]
    id: String,
    /// `refund`.
    #[schema(example = "refund")]
    object: String,
    /// Whether money is real.
    livemode: bool,
    /// Whose it is.
    #[schema(example = "shop")]
    app: String,
    /// The charge's id.
    #[schema(example = "ch_06bae2r3pdt3jc5s0vbh9p2a1k")]
    charge: String,
    /// The id of the attempt whose payment goes back.
    #[schema(example = "at_06bae2r3pdt3jc5s0vbh9p2a1s")]
    attempt: String,
    /// Your own number, unique per app and mode.
    #[schema(example = "R20261121-0001")]
    refund_no: String,
    /// Its number at the provider.
    #[schema(example = "R20261121-0001")]
    out_refund_no: String,
    /// In fen.
    #[schema(example = 500)]
    amount: i64,
    /// `CNY`.
    #[schema(example = "CNY")]
    currency: String,
    status: RefundStatus,
    /// What the payer reads.
    reason: Option<String>,
    cause: RefundCause,
    /// The provider's own number of it.
    provider_refund_no: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// When the money was back, by the provider's clock.
    #[schema(format = DateTime)]
    succeeded_at: Option<String>,
    /// Why it failed, or why it takes longer.
    failure: Option<Failure>,
    /// Your own notes.
    metadata: BTreeMap<String, String>,
}

/// `pending`: on its way, or its outcome is not known. `failed`: the provider refused it.
/// `closed`: the provider closed it. Only `succeeded` has moved money.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
    Closed,
}

/// Why it was made: by you, or by itself.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RefundCause {
    Requested,
    PaidTwice,
    PaidLate,
    PaidWrongAmount,
}

/// A way of paying, and whether this app can use it.
#[derive(ToSchema)]
pub(crate) struct Channel {
    /// `channel`.
    #[schema(example = "channel")]
    object: String,
    channel: ChannelName,
    /// Whose it is.
    #[schema(example = "wechat")]
    provider: String,
    available: bool,
    /// The app's accounts that serve it; the first is the default.
    #[schema(example = json!(["dev-wechat-v3"]))]
    accounts: Vec<String>,
    /// Why it is not available.
    reason: Option<String>,
}

/// Whether money has moved although the request failed. `unknown`: read the object to find out.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum MoneyMoved {
    No,
    Yes,
    Unknown,
}

/// `same_request`: send the very same, with the same Idempotency-Key. `after`: the same, but not
/// before Retry-After. `never`: something must be another first.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Retry {
    SameRequest,
    Never,
    After,
}

/// What went wrong.
#[derive(ToSchema)]
pub(crate) struct Failure {
    /// For programs to branch on; stable.
    code: ErrorCode,
    message: String,
    /// The provider's own code.
    #[schema(example = "NOAUTH")]
    provider_code: Option<String>,
}

/// Notifications of one kind that were not believed. They changed nothing.
#[derive(ToSchema)]
pub(crate) struct RefusedNotice {
    code: ErrorCode,
    /// The last one's reason.
    reason: String,
    /// How many there were.
    count: i64,
    #[schema(format = DateTime)]
    last_at: String,
}

/// What happened to a charge.
#[derive(ToSchema)]
pub(crate) struct Event {
    #[schema(example = "evt_06bae2r3pdt3jc5s0vbh9p2a20")]
    id: String,
    /// `event`.
    #[schema(example = "event")]
    object: String,
    /// What happened.
    r#type: EventType,
    livemode: bool,
    #[schema(example = "shop")]
    app: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// 1, 2, 3 … for each charge.
    sequence: i64,
    data: EventData,
}

/// The object as it was then.
#[derive(ToSchema)]
pub(crate) struct EventData {
    object: EventObject,
}

/// A charge; or a refund, in events about refunds.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum EventObject {
    Charge(Box<Charge>),
    Refund(Box<Refund>),
}

/// Where you want to be told.
#[derive(ToSchema)]
pub(crate) struct WebhookEndpoint {
    #[schema(example = "we_06bae2r3pdt3jc5s0vbh9p2a24")]
    id: String,
    /// `webhook_endpoint`.
    #[schema(example = "webhook_endpoint")]
    object: String,
    livemode: bool,
    #[schema(example = "shop")]
    app: String,
    #[schema(example = "https://shop.example/webhooks/tongbao")]
    url: String,
    #[schema(example = json!(["charge.*"]))]
    events: Vec<String>,
    enabled: bool,
    description: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// A webhook endpoint with its secret, shown this once.
#[derive(ToSchema)]
pub(crate) struct NewWebhookEndpoint {
    #[schema(example = "we_06bae2r3pdt3jc5s0vbh9p2a24")]
    id: String,
    /// `webhook_endpoint`.
    #[schema(example = "webhook_endpoint")]
    object: String,
    livemode: bool,
    #[schema(example = "shop")]
    app: String,
    #[schema(example = "https://shop.example/webhooks/tongbao")]
    url: String,
    #[schema(example = json!(["charge.*"]))]
    events: Vec<String>,
    enabled: bool,
    description: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// `whsec_…`: checks the signatures of webhooks (Standard Webhooks).
    secret: String,
}

/// One event on its way to one endpoint, or as a compat profile's callback.
#[derive(ToSchema)]
pub(crate) struct Delivery {
    #[schema(example = "dl_06bae2r3pdt3jc5s0vbh9p2a28")]
    id: String,
    /// `delivery`.
    #[schema(example = "delivery")]
    object: String,
    livemode: bool,
    #[schema(example = "shop")]
    app: String,
    /// The event's id.
    event: String,
    event_type: EventType,
    /// The endpoint's id; none, if this is a callback.
    endpoint: Option<String>,
    /// A compat profile's own way of telling: `wepay.notify`, `capi.notify` or `capi.function`.
    callback: Option<String>,
    status: DeliveryStatus,
    /// How many tries there were.
    n_tries: u32,
    #[schema(format = DateTime)]
    next_try_at: Option<String>,
    #[schema(format = DateTime)]
    succeeded_at: Option<String>,
    #[schema(format = DateTime)]
    failed_at: Option<String>,
    /// The last tries, the newest last.
    tries: Vec<Try>,
    #[schema(format = DateTime)]
    created_at: String,
}

/// `failed`: given up after three days, or the endpoint was deleted.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum DeliveryStatus {
    Pending,
    Succeeded,
    Failed,
}

/// One try of a delivery.
#[derive(ToSchema)]
pub(crate) struct Try {
    #[schema(format = DateTime)]
    at: String,
    /// What the endpoint answered.
    status: Option<u16>,
    /// Why there was no answer, or the beginning of what came instead of 2xx.
    error: Option<String>,
    duration_ms: i64,
}

/// What remains of something deleted.
#[derive(ToSchema)]
pub(crate) struct Deleted {
    id: String,
    #[schema(example = "webhook_endpoint")]
    object: String,
    deleted: bool,
}

/// That all is well.
#[derive(ToSchema)]
pub(crate) struct Health {
    #[schema(example = "ok")]
    status: String,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident of $all:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = $all.iter().map(|word| word.as_str());
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .enum_values(Some(words))
                    .build()
                    .into()
            }
        }

        impl ToSchema for $name {}
    )*};
}

words! {
    /// A way of paying.
    ChannelName of ChannelWord::ALL;
    /// What happened to a charge.
    EventType of EventKind::ALL;
    /// What went wrong, for programs to branch on.
    ErrorCode of Code::ALL;
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident of $item:ident,)*) => {$(
        $(#[$doc])*
        #[derive(ToSchema)]
        pub(crate) struct $name {
            /// `list`.
            #[schema(example = "list")]
            object: String,
            /// Newest first.
            data: Vec<$item>,
            /// Whether more follow in the direction that was asked for.
            has_more: bool,
        }
    )*};
}

lists! {
    /// A page of charges.
    ChargeList of Charge,
    /// Every channel there is.
    ChannelList of Channel,
    /// A page of refunds.
    RefundList of Refund,
    /// A page of events.
    EventList of Event,
    /// A page of webhook endpoints.
    WebhookEndpointList of WebhookEndpoint,
    /// A page of deliveries.
    DeliveryList of Delivery,
}
