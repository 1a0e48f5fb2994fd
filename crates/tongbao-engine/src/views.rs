//! The public objects as JSON, in one place for `/v1`, webhooks, watching and the command line.

use crate::{LoadedDelivery, ProviderError, StoredEvent};
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use tongbao_core::{
    Action, Attempt, AttemptState, Charge, ChargeState, Delivery, DeliveryState, Endpoint, Event,
    Failure, Loaded, Payer, Refund, RefundState, RefusedNotice, Target, Try,
};
use tongbao_types::{Channel, ChargeId, Fen, Mode, Profile, Secret, Timestamp};

/// A list of objects.
#[derive(Debug, Clone, Serialize)]
pub struct ListView<T> {
    /// `list`.
    pub object: &'static str,
    /// The objects, newest first.
    pub data: Vec<T>,
    /// Whether more follow in the direction that was asked for.
    pub has_more: bool,
}

/// A charge.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct ChargeView {
    pub id: String,
    pub object: &'static str,
    pub livemode: bool,
    pub app: String,
    pub order_no: String,
    pub amount: i64,
    pub amount_paid: i64,
    pub amount_refunded: i64,
    pub currency: &'static str,
    pub subject: String,
    pub body: Option<String>,
    pub attach: Option<String>,
    pub channel: Option<&'static str>,
    pub account: Option<String>,
    pub status: &'static str,
    pub paid: bool,
    pub paid_at: Option<String>,
    pub provider_trade_no: Option<String>,
    pub payer: Option<PayerView>,
    pub action: Option<ActionView>,
    pub cashier_url: String,
    /// Left out of events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    pub return_url: Option<String>,
    pub attempts: Vec<AttemptView>,
    pub expires_at: String,
    pub created_at: String,
    pub closed_at: Option<String>,
    pub close_reason: Option<&'static str>,
    pub failure: Option<FailureView>,
    pub refused_notices: Vec<RefusedNoticeView>,
    pub metadata: BTreeMap<String, String>,
    pub profile: Option<&'static str>,
    /// For watching: the version that this was rendered from.
    #[serde(skip)]
    pub version: i64,
}

/// A refund.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct RefundView {
    pub id: String,
    pub object: &'static str,
    pub livemode: bool,
    pub app: String,
    pub charge: String,
    pub attempt: String,
    pub refund_no: String,
    pub out_refund_no: String,
    pub amount: i64,
    pub currency: &'static str,
    pub status: &'static str,
    pub reason: Option<String>,
    pub cause: &'static str,
    pub provider_refund_no: Option<String>,
    pub created_at: String,
    pub succeeded_at: Option<String>,
    pub failure: Option<FailureView>,
    pub metadata: BTreeMap<String, String>,
}

/// A channel, and whether an app can use it.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct ChannelView {
    pub object: &'static str,
    pub channel: &'static str,
    pub provider: &'static str,
    pub available: bool,
    /// The first is the default.
    pub accounts: Vec<String>,
    pub reason: Option<String>,
}

/// An attempt.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct AttemptView {
    pub id: String,
    pub channel: &'static str,
    pub account: String,
    pub status: &'static str,
    pub out_trade_no: String,
    pub provider_trade_no: Option<String>,
    pub action: Option<ActionView>,
    pub created_at: String,
    pub closed_at: Option<String>,
    pub failure: Option<FailureView>,
}

/// Who paid.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct PayerView {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub openid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buyer_id: Option<String>,
}

/// What the payer's side must be shown or given.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub enum ActionView {
    QrCode { code_url: String },
    Redirect { url: String },
    Form { html: String },
    Jsapi { params: BTreeMap<String, String> },
    App { params: BTreeMap<String, String> },
}

/// What went wrong.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct FailureView {
    pub code: &'static str,
    pub message: String,
    pub provider_code: Option<String>,
}

/// A notification that was not believed.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct RefusedNoticeView {
    pub code: &'static str,
    pub reason: String,
    pub count: i64,
    pub last_at: String,
}

/// An event, as it was rendered when it was committed.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct EventView(pub Box<RawValue>);

/// A webhook endpoint.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct EndpointView {
    pub id: String,
    pub object: &'static str,
    pub livemode: bool,
    pub app: String,
    pub url: String,
    pub events: Vec<String>,
    pub enabled: bool,
    pub description: Option<String>,
    pub created_at: String,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    pub secret: Option<Secret<String>>,
}

/// A delivery.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct DeliveryView {
    pub id: String,
    pub object: &'static str,
    pub livemode: bool,
    pub app: String,
    pub event: String,
    pub event_type: &'static str,
    pub endpoint: Option<String>,
    pub callback: Option<&'static str>,
    pub status: &'static str,
    pub n_tries: u32,
    pub next_try_at: Option<String>,
    pub succeeded_at: Option<String>,
    pub failed_at: Option<String>,
    pub tries: Vec<TryView>,
    pub created_at: String,
}

/// One try of a delivery.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct TryView {
    pub at: String,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub duration_ms: i64,
}

/// What remains of something deleted.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of the public object")]
pub struct DeletedView {
    pub id: String,
    pub object: &'static str,
    pub deleted: bool,
}

/// What a payer may see of a charge.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are named as in the charge")]
pub struct CashierView {
    pub charge: ChargeId,
    pub app: String,
    pub livemode: bool,
    pub order_no: String,
    pub subject: String,
    pub amount: Fen,
    pub status: &'static str,
    pub channel: Option<Channel>,
    pub action: Option<Action>,
    /// What the payer may choose instead, or at all.
    pub choices: Vec<Channel>,
    pub expires_at: Timestamp,
    pub now: Timestamp,
    pub return_url: Option<String>,
}

pub(crate) fn charge(loaded: &Loaded, public_url: &str) -> ChargeView {
    charge_through(loaded, shown_attempt(&loaded.charge, &loaded.attempts), public_url)
}

/// The charge as one attempt has it.
pub(crate) fn charge_through(
    loaded: &Loaded,
    shown: Option<&Attempt>,
    public_url: &str,
) -> ChargeView {
    let Loaded { charge, attempts, refused, .. } = loaded;
    let payment = match &charge.state {
        ChargeState::Succeeded(payment) => Some(payment),
        _ => None,
    };
    let (closed_at, close_reason) = match charge.state {
        ChargeState::Closed { at, reason } => (Some(at.to_string()), Some(reason.as_str())),
        _ => (None, None),
    };
    let failure = match &charge.state {
        ChargeState::Failed { failure, .. } => Some(failure),
        _ => payment.and_then(|payment| payment.remark.as_ref()),
    };
    let is_pending = charge.state.is_pending();
    ChargeView {
        id: charge.id.to_string(),
        object: "charge",
        livemode: charge.scope.mode.is_live(),
        app: charge.scope.app.to_string(),
        order_no: charge.order_no.to_string(),
        amount: charge.amount.fen().0,
        amount_paid: payment.map_or(0, |payment| payment.amount.0),
        amount_refunded: charge.amount_refunded.0,
        currency: "CNY",
        subject: charge.subject.clone(),
        body: charge.body.clone(),
        attach: charge.attach.clone(),
        channel: shown.map(|attempt| attempt.channel.as_str()),
        account: shown.map(|attempt| attempt.account.to_string()),
        status: charge.state.status(),
        paid: payment.is_some(),
        paid_at: payment.map(|payment| payment.paid_at.to_string()),
        provider_trade_no: payment.map(|payment| payment.trade_no.to_string()),
        payer: payment.and_then(|payment| payment.payer.as_ref()).map(payer),
        action: shown.filter(|_| is_pending).and_then(|a| a.action.as_ref()).map(action),
        cashier_url: format!("{public_url}/pay/{}", charge.id),
        client_secret: Some(charge.client_secret.expose().clone()),
        return_url: charge.return_url.clone(),
        attempts: attempts.iter().map(attempt).collect(),
        expires_at: charge.expires_at.to_string(),
        created_at: charge.created_at.to_string(),
        closed_at,
        close_reason,
        failure: failure.map(failure_view),
        refused_notices: refused.iter().map(refused_notice).collect(),
        metadata: charge.metadata.iter().cloned().collect(),
        profile: charge.profile.map(Profile::as_str),
        version: charge.version,
    }
}

/// The attempt that speaks for the charge: the paid one, else the newest.
pub(crate) fn shown_attempt<'a>(charge: &Charge, attempts: &'a [Attempt]) -> Option<&'a Attempt> {
    match &charge.state {
        ChargeState::Succeeded(payment) => attempts.iter().find(|a| a.id == payment.attempt),
        _ => attempts.last(),
    }
}

fn attempt(attempt: &Attempt) -> AttemptView {
    let (provider_trade_no, closed_at) = match &attempt.state {
        AttemptState::Succeeded { trade_no, .. } => (Some(trade_no.to_string()), None),
        AttemptState::Closed { at } => (None, Some(at.to_string())),
        _ => (None, None),
    };
    AttemptView {
        id: attempt.id.to_string(),
        channel: attempt.channel.as_str(),
        account: attempt.account.to_string(),
        status: attempt.state.status(),
        out_trade_no: attempt.out_trade_no.to_string(),
        provider_trade_no,
        // An order that has ended has nothing to show, and some of it is long.
        action: attempt.action.as_ref().filter(|_| attempt.state.is_open()).map(action),
        created_at: attempt.created_at.to_string(),
        closed_at,
        failure: attempt.failure().map(failure_view),
    }
}

pub(crate) fn refund(refund: &Refund) -> RefundView {
    let succeeded_at = match refund.state {
        RefundState::Succeeded { at } => Some(at.to_string()),
        _ => None,
    };
    RefundView {
        id: refund.id.to_string(),
        object: "refund",
        livemode: refund.scope.mode.is_live(),
        app: refund.scope.app.to_string(),
        charge: refund.charge.to_string(),
        attempt: refund.attempt.to_string(),
        refund_no: refund.refund_no.to_string(),
        out_refund_no: refund.out_refund_no.to_string(),
        amount: refund.amount.fen().0,
        currency: "CNY",
        status: refund.state.status(),
        reason: refund.reason.clone(),
        cause: refund.cause.as_str(),
        provider_refund_no: refund.provider_no.clone(),
        created_at: refund.created_at.to_string(),
        succeeded_at,
        failure: refund.failure().map(failure_view),
        metadata: refund.metadata.iter().cloned().collect(),
    }
}

fn payer(payer: &Payer) -> PayerView {
    PayerView { openid: payer.openid.clone(), buyer_id: payer.buyer_id.clone() }
}

fn action(action: &Action) -> ActionView {
    let map = |params: &[(String, String)]| params.iter().cloned().collect();
    match action {
        Action::QrCode { code_url } => ActionView::QrCode { code_url: code_url.clone() },
        Action::Redirect { url } => ActionView::Redirect { url: url.clone() },
        Action::Form { html } => ActionView::Form { html: html.clone() },
        Action::Jsapi { params } => ActionView::Jsapi { params: map(params) },
        Action::App { params } => ActionView::App { params: map(params) },
    }
}

fn failure_view(failure: &Failure) -> FailureView {
    FailureView {
        code: failure.code.as_str(),
        message: failure.message.clone(),
        provider_code: failure.provider_code.clone(),
    }
}

fn refused_notice(notice: &RefusedNotice) -> RefusedNoticeView {
    RefusedNoticeView {
        code: notice.code.as_str(),
        reason: notice.reason.clone(),
        count: notice.count,
        last_at: notice.last_at.to_string(),
    }
}

/// The bodies of events, rendered once, when they are committed: about a refund they show the
/// refund, else the charge. The secret that lets a browser watch is left out of them: a webhook may
/// end up in many logs.
pub(crate) fn event_bodies(events: &[Event], after: &Loaded, public_url: &str) -> Vec<String> {
    if events.is_empty() {
        return Vec::new();
    }
    let view = ChargeView { client_secret: None, ..charge(after, public_url) };
    // Most commits tell two things of one charge; its text is made once.
    let view = to_raw_value(&view).expect("views have string keys and no failing parts");
    let body = |event: &Event| match event.refund.and_then(|id| after.refund(id)) {
        Some(about) => event_body(event, &refund(about)),
        None => event_body(event, &view),
    };
    events.iter().map(body).collect()
}

fn event_body<T: Serialize>(event: &Event, object: &T) -> String {
    #[derive(Serialize)]
    struct Body<'a, T> {
        id: String,
        object: &'static str,
        #[serde(rename = "type")]
        kind: &'static str,
        livemode: bool,
        app: &'a str,
        created_at: String,
        sequence: i64,
        data: Data<'a, T>,
    }
    #[derive(Serialize)]
    struct Data<'a, T> {
        object: &'a T,
    }
    let body = Body {
        id: event.id.to_string(),
        object: "event",
        kind: event.kind.as_str(),
        livemode: event.scope.mode == Mode::Live,
        app: event.scope.app.as_str(),
        created_at: event.created_at.to_string(),
        sequence: event.sequence,
        data: Data { object },
    };
    to_json(&body)
}

pub(crate) fn event(stored: StoredEvent) -> EventView {
    let quoted = || to_json(&stored.body);
    let raw = RawValue::from_string(stored.body.clone());
    let raw = raw.or_else(|_| RawValue::from_string(quoted()));
    EventView(raw.expect("a quoted string is JSON"))
}

/// The one place where a webhook secret goes out.
fn exposed<S: Serializer>(secret: &Option<Secret<String>>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(to)
}

/// `secret` is shown in the replies to create and rotate only.
pub(crate) fn endpoint(endpoint: &Endpoint, secret: Option<&Secret<String>>) -> EndpointView {
    EndpointView {
        id: endpoint.id.to_string(),
        object: "webhook_endpoint",
        livemode: endpoint.scope.mode.is_live(),
        app: endpoint.scope.app.to_string(),
        url: endpoint.url.clone(),
        events: endpoint.events.clone(),
        enabled: endpoint.enabled,
        description: endpoint.description.clone(),
        created_at: endpoint.created_at.to_string(),
        secret: secret.cloned(),
    }
}

pub(crate) fn loaded_delivery(loaded: &LoadedDelivery) -> DeliveryView {
    delivery(&loaded.delivery)
}

pub(crate) fn delivery(delivery: &Delivery) -> DeliveryView {
    let (next, succeeded, failed) = match delivery.state {
        DeliveryState::Pending { next_at } => (Some(next_at), None, None),
        DeliveryState::Succeeded { at } => (None, Some(at), None),
        DeliveryState::Failed { at } => (None, None, Some(at)),
    };
    let (endpoint, callback) = match delivery.target {
        Target::Endpoint(id) => (Some(id.to_string()), None),
        Target::Callback(callback) => (None, Some(callback.as_str())),
    };
    let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
    DeliveryView {
        id: delivery.id.to_string(),
        object: "delivery",
        livemode: delivery.scope.mode.is_live(),
        app: delivery.scope.app.to_string(),
        event: delivery.event.to_string(),
        event_type: delivery.kind.as_str(),
        endpoint,
        callback,
        status: delivery.state.status(),
        n_tries: delivery.n_tries,
        next_try_at: text(next),
        succeeded_at: text(succeeded),
        failed_at: text(failed),
        tries: delivery.tries.iter().map(one_try).collect(),
        created_at: delivery.created_at.to_string(),
    }
}

fn one_try(one: &Try) -> TryView {
    TryView {
        at: one.at.to_string(),
        status: one.status,
        error: one.error.clone(),
        duration_ms: one.took.as_micros() / 1000,
    }
}

pub(crate) fn cashier(
    loaded: &Loaded,
    shown: Option<&Attempt>,
    choices: Vec<Channel>,
    now: Timestamp,
) -> CashierView {
    let charge = &loaded.charge;
    let is_pending = charge.state.is_pending();
    CashierView {
        charge: charge.id,
        app: charge.scope.app.to_string(),
        livemode: charge.scope.mode.is_live(),
        order_no: charge.order_no.to_string(),
        subject: charge.subject.clone(),
        amount: charge.amount.fen(),
        status: charge.state.status(),
        channel: shown.map(|attempt| attempt.channel),
        action: shown.filter(|_| is_pending).and_then(|attempt| attempt.action.clone()),
        choices,
        expires_at: charge.expires_at,
        now,
        return_url: charge.return_url.clone(),
    }
}

/// The JSON of a view.
pub(crate) fn to_json<T: Serialize>(view: &T) -> String {
    // Most objects are somewhat larger than a kilobyte; growing towards that costs more than room.
    let mut json = Vec::with_capacity(2048);
    serde_json::to_writer(&mut json, view).expect("views have string keys and no failing parts");
    String::from_utf8(json).expect("JSON is UTF-8")
}

impl From<&ProviderError> for FailureView {
    fn from(error: &ProviderError) -> FailureView {
        FailureView {
            code: tongbao_types::Code::ProviderRefused.as_str(),
            message: error.message.clone(),
            provider_code: Some(error.code.clone()),
        }
    }
}
