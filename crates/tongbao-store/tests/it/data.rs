//! Rows to test with: whole ones, so that a column that is lost or swapped shows.

use tongbao_core::{
    Action, Attempt, AttemptState, Callback, Changes, Charge, ChargeState, ChargeWrite,
    CloseReason, Delivery, DeliveryState, Endpoint, Event, EventKind, Failure, JobChange, JobKind,
    Loaded, NewJob, Payer, Payment, ProviderReply, Refund, RefundCause, RefundState, RefusedNotice,
    ReplyKind, Scope, Target, Try,
};
use tongbao_engine::{ApiKey, Commit, IdempotencyRow};
use tongbao_types::{
    AccountName, Amount, AppName, AttemptId, Channel, ChargeId, Code, EventId, Fen, JobId, Mint,
    Mode, OrderNo, OutRefundNo, OutTradeNo, Profile, RefundNo, Sealed, Secret, Span, Timestamp,
    TradeNo,
};

/// Makes ids that sort in the order of their making, one millisecond apart.
pub(crate) struct Maker {
    at: i64,
    salt: [u8; 10],
}

impl Maker {
    pub(crate) fn new() -> Maker {
        Maker { at: 1_795_242_600_000, salt: rand::random() }
    }

    /// Ids that every run makes alike.
    pub(crate) fn seeded(salt: [u8; 10]) -> Maker {
        Maker { at: 1_795_242_600_000, salt }
    }

    pub(crate) fn mint(&mut self) -> Mint {
        self.at += 1;
        Mint::new(Timestamp::from_micros(self.at * 1000 + 7), self.salt)
    }

    pub(crate) fn id<T: From<uuid::Uuid>>(&mut self) -> T {
        self.mint().id()
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.at * 1000)
    }
}

pub(crate) fn scope(app: &str) -> Scope {
    Scope { app: AppName::new(app).unwrap(), mode: Mode::Test }
}

pub(crate) fn account(name: &str) -> AccountName {
    AccountName::new(name).unwrap()
}

pub(crate) fn number(text: &str) -> OutTradeNo {
    OutTradeNo::new(text).unwrap()
}

/// A new charge with nothing but what it must have.
pub(crate) fn charge(maker: &mut Maker, scope: &Scope, order_no: &str) -> Charge {
    let id: ChargeId = maker.id();
    Charge {
        id,
        scope: scope.clone(),
        order_no: OrderNo::new(order_no).unwrap(),
        amount: Amount::new(Fen(1990)).unwrap(),
        amount_refunded: Fen::ZERO,
        subject: "茶叶 'tea' \"两\"; 🍵".to_owned(),
        body: None,
        attach: None,
        return_url: None,
        client_ip: None,
        metadata: Vec::new(),
        profile: None,
        client_secret: Secret::new(format!("{id}_secret_x")),
        state: ChargeState::Pending { closing: None },
        open_choice: false,
        expires_at: maker.now() + Span::from_seconds(3600),
        created_at: maker.now(),
        refunds: 0,
        version: 1,
        events: 0,
    }
}

/// A charge in which no field is empty.
pub(crate) fn full_charge(maker: &mut Maker, scope: &Scope, order_no: &str) -> Charge {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    Charge {
        amount: Amount::MAX,
        amount_refunded: Fen(7),
        body: Some("b".repeat(3000)),
        attach: Some("附加".to_owned()),
        return_url: Some("https://shop.example/back?a=1&b=%20".to_owned()),
        client_ip: Some("2001:db8::1".to_owned()),
        metadata: vec![pair("z", "1"), pair("a", "二"), pair("", "")],
        profile: Some(Profile::Payorder),
        open_choice: true,
        ..charge(maker, scope, order_no)
    }
}

pub(crate) fn attempt(maker: &mut Maker, charge: ChargeId, account: &str, no: &str) -> Attempt {
    Attempt {
        id: maker.id(),
        charge,
        channel: Channel::WechatNative,
        account: self::account(account),
        out_trade_no: number(no),
        state: AttemptState::Placing,
        payer: None,
        action: None,
        created_at: maker.now(),
    }
}

pub(crate) fn failure() -> Failure {
    Failure {
        code: Code::ProviderRefused,
        message: "余额不足".to_owned(),
        provider_code: Some("NOTENOUGH".to_owned()),
    }
}

/// A payer who is known by both ids.
pub(crate) fn payer() -> Payer {
    let buyer_id = Some("2088".to_owned());
    Payer { openid: Some("oÜ1".to_owned()), buyer_id, auth_code: None }
}

/// A pending refund of an attempt's payment.
pub(crate) fn refund(maker: &mut Maker, of: (&Charge, &Attempt), no: &str, fen: i64) -> Refund {
    let (charge, attempt) = of;
    Refund {
        id: maker.id(),
        scope: charge.scope.clone(),
        charge: charge.id,
        attempt: attempt.id,
        account: attempt.account.clone(),
        refund_no: RefundNo::new(no).unwrap(),
        out_refund_no: OutRefundNo::new(format!("out-{no}")).unwrap(),
        amount: Amount::new(Fen(fen)).unwrap(),
        reason: None,
        cause: RefundCause::Requested,
        metadata: Vec::new(),
        state: RefundState::Pending { trouble: None },
        provider_no: None,
        created_at: maker.now(),
    }
}

/// Every state that a refund can be in.
pub(crate) fn refund_states() -> Vec<RefundState> {
    let at = Timestamp::from_micros(1_795_242_600_123_459);
    vec![
        RefundState::Pending { trouble: None },
        RefundState::Pending { trouble: Some(failure()) },
        RefundState::Succeeded { at },
        RefundState::Failed { at, failure: failure() },
        RefundState::Closed { at },
    ]
}

/// Adds a refund, as a decision does.
pub(crate) fn add_refund(changes: &mut Changes, refund: Refund) {
    changes.charge.refunds += 1;
    changes.refunds_new.push(refund.id);
    changes.refunds.push(refund);
}

pub(crate) fn payment(attempt: AttemptId) -> Payment {
    Payment {
        attempt,
        amount: Fen(1989),
        trade_no: TradeNo::new("4200001").unwrap(),
        paid_at: Timestamp::from_micros(1_795_242_600_123_456),
        payer: Some(Payer { openid: Some("o1".into()), buyer_id: None, auth_code: None }),
        remark: Some(failure()),
    }
}

/// Every state that a charge can be in, with all that belongs to it.
pub(crate) fn charge_states(attempt: AttemptId) -> Vec<ChargeState> {
    let at = Timestamp::from_micros(1_795_242_600_123_457);
    vec![
        ChargeState::Pending { closing: None },
        ChargeState::Pending { closing: Some(CloseReason::Requested) },
        ChargeState::Succeeded(payment(attempt)),
        ChargeState::Succeeded(Payment { payer: None, remark: None, ..payment(attempt) }),
        ChargeState::Closed { at, reason: CloseReason::Expired },
        ChargeState::Closed { at, reason: CloseReason::Provider },
        ChargeState::Failed { at, failure: failure() },
        ChargeState::Failed { at, failure: Failure { provider_code: None, ..failure() } },
    ]
}

/// Every state that an attempt can be in.
pub(crate) fn attempt_states() -> Vec<AttemptState> {
    let at = Timestamp::from_micros(1_795_242_600_123_458);
    vec![
        AttemptState::Placing,
        AttemptState::Awaiting,
        AttemptState::Closing,
        paid(2000),
        AttemptState::Closed { at },
        AttemptState::Failed { at, failure: failure() },
    ]
}

/// An attempt through which so much was paid.
pub(crate) fn paid(fen: i64) -> AttemptState {
    let paid_at = Timestamp::from_micros(1_795_242_600_123_458);
    let trade_no = TradeNo::new("4200001").unwrap();
    AttemptState::Succeeded { amount: Fen(fen), trade_no, paid_at }
}

/// Every action.
pub(crate) fn actions() -> Vec<Option<Action>> {
    let params = vec![("appId".to_owned(), "wx1".to_owned()), ("a".to_owned(), "b".to_owned())];
    vec![
        None,
        Some(Action::QrCode { code_url: "weixin://wxpay/bizpayurl?pr=x".to_owned() }),
        Some(Action::Redirect { url: "https://p.example/?x".to_owned() }),
        Some(Action::Form { html: format!("<form>{}</form>", "x".repeat(5000)) }),
        Some(Action::Jsapi { params: params.clone() }),
        Some(Action::App { params }),
    ]
}

/// A decision that makes a charge with attempts.
pub(crate) fn insert(charge: Charge, attempts: Vec<Attempt>) -> Changes {
    Changes {
        attempts_new: attempts.iter().map(|attempt| attempt.id).collect(),
        charge,
        attempts,
        write: ChargeWrite::Insert,
        attempts_changed: Vec::new(),
        refunds: Vec::new(),
        refunds_new: Vec::new(),
        refunds_changed: Vec::new(),
        events: Vec::new(),
        jobs: Vec::new(),
    }
}

/// A decision about a loaded charge that changes nothing but its version yet.
pub(crate) fn update(loaded: &Loaded) -> Changes {
    let mut charge = loaded.charge.clone();
    charge.version += 1;
    Changes {
        write: ChargeWrite::Update { from: loaded.charge.version },
        charge,
        attempts: loaded.attempts.clone(),
        attempts_new: Vec::new(),
        attempts_changed: Vec::new(),
        refunds: loaded.refunds.clone(),
        refunds_new: Vec::new(),
        refunds_changed: Vec::new(),
        events: Vec::new(),
        jobs: Vec::new(),
    }
}

/// Adds the next event.
pub(crate) fn tell(changes: &mut Changes, kind: EventKind, maker: &mut Maker) -> EventId {
    changes.charge.events += 1;
    let id = maker.id();
    changes.events.push(Event {
        id,
        scope: changes.charge.scope.clone(),
        charge: changes.charge.id,
        refund: None,
        kind,
        sequence: changes.charge.events,
        created_at: maker.now(),
    });
    id
}

/// A commit of a decision, each event with a body that names it.
pub(crate) fn commit(changes: Changes) -> Commit {
    // All of one commit end alike, as they mostly do.
    let object = format!("{{\"object\":{{\"version\":{}}}}}", changes.charge.version);
    let body = |event: &Event| {
        format!("{{\"id\":\"{}\",\"名\":\"{}\",\"data\":{object}}}", event.id, event.kind)
    };
    let event_bodies = changes.events.iter().map(body).collect();
    Commit { changes: Some(changes), event_bodies, ..Commit::default() }
}

pub(crate) fn put(maker: &mut Maker, kind: JobKind, run_at: Timestamp) -> (JobId, JobChange) {
    let id = maker.id();
    (id, JobChange::Put(NewJob { id, kind, run_at }))
}

pub(crate) fn hasten(maker: &mut Maker, kind: JobKind, run_at: Timestamp) -> (JobId, JobChange) {
    let id = maker.id();
    (id, JobChange::Hasten(NewJob { id, kind, run_at }))
}

pub(crate) fn jobs(jobs: Vec<JobChange>) -> Commit {
    Commit { jobs, ..Commit::default() }
}

pub(crate) fn endpoint(maker: &mut Maker, scope: &Scope) -> Endpoint {
    Endpoint {
        id: maker.id(),
        scope: scope.clone(),
        url: "https://shop.example/hook".to_owned(),
        events: vec!["*".to_owned(), "poll.active".to_owned()],
        enabled: true,
        description: Some("ours".to_owned()),
        secret: Sealed::from_text("v1.00000000.c2VhbGVk".to_owned()),
        secret_old: None,
        created_at: maker.now(),
        version: 1,
    }
}

pub(crate) fn delivery(maker: &mut Maker, event: &Event, endpoint: &Endpoint) -> Delivery {
    Delivery {
        id: maker.id(),
        scope: event.scope.clone(),
        event: event.id,
        kind: event.kind,
        target: Target::Endpoint(endpoint.id),
        state: DeliveryState::Pending { next_at: maker.now() },
        tries: Vec::new(),
        n_tries: 0,
        created_at: maker.now(),
    }
}

pub(crate) fn tried(delivery: &Delivery, state: DeliveryState) -> Delivery {
    let mut after = delivery.clone();
    let took = Span::from_millis(12);
    let at = Timestamp::from_micros(5);
    after.tries.push(Try { at, status: Some(500), error: Some("坏".into()), took });
    after.tries.push(Try { at, status: None, error: None, took: Span::ZERO });
    after.n_tries += 2;
    after.state = state;
    after
}

/// The same event as a callback.
pub(crate) fn callback(maker: &mut Maker, event: &Event, callback: Callback) -> Delivery {
    Delivery {
        id: maker.id(),
        scope: event.scope.clone(),
        event: event.id,
        kind: event.kind,
        target: Target::Callback(callback),
        state: DeliveryState::Pending { next_at: maker.now() },
        tries: Vec::new(),
        n_tries: 0,
        created_at: maker.now(),
    }
}

pub(crate) fn reply(charge: ChargeId, kind: ReplyKind, body: &str, at: i64) -> ProviderReply {
    ProviderReply { charge, kind, body: body.to_owned(), at: Timestamp::from_micros(at) }
}

pub(crate) fn refused(charge: ChargeId, code: Code, reason: &str, at: i64) -> RefusedNotice {
    RefusedNotice {
        charge,
        code,
        reason: reason.to_owned(),
        count: 1,
        last_at: Timestamp::from_micros(at),
    }
}

pub(crate) fn idempotency(scope: &Scope, key: &str, at: Timestamp) -> IdempotencyRow {
    IdempotencyRow {
        scope: scope.clone(),
        key: key.to_owned(),
        fingerprint: "0f".repeat(32),
        charge: None,
        refund: None,
        reply: None,
        created_at: at,
    }
}

pub(crate) fn api_key(maker: &mut Maker, scope: &Scope, hash: &str) -> ApiKey {
    ApiKey {
        id: maker.id(),
        scope: scope.clone(),
        hash: hash.to_owned(),
        tail: "a1b2".to_owned(),
        description: None,
        created_at: maker.now(),
        revoked_at: None,
    }
}
