//! A gateway with one account of each app and mode, its provider, its merchant and its clock.
//!
//! Tests run on a single thread with tokio's clock paused: what waits for a timeout gets it as soon
//! as nothing else can run. Business time moves only by [`World::advance`], from one due job to the
//! next.

use crate::fakes::{Fate, HandClock, LEASE_OF_THE_DEAD, SeededDice, Trap, TrappedStore};
use crate::provider::{Kind, Moment, Op, Provider, Said};
use async_trait::async_trait;
use serde_json::Value;
use std::collections::VecDeque;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tongbao_core::{Backoff, Payer, Policy, Polling, RefundDraft, Scope};
use tongbao_crypt::webhook::{self, WebhookSecret};
use tongbao_engine::{
    Account, App, ChargeView, Clock, Egress, EndpointView, Engine, Error, EventFilter,
    IdempotentRequest, MasterKeys, NewAttempt, NewCharge, NewEndpoint, NewRefund, Outgoing, Page,
    Ports, Reach, Reply, Setup, Store, Wire, WireError,
};
use tongbao_types::{
    Amount, AppName, Channel, ChargeId, Code, Fen, HttpRequest, HttpResponse, Mode, OrderNo,
    RefundId, Secret, Span, Timestamp,
};

pub(crate) const POLLING: Polling = Polling {
    delay: Span::from_seconds(5),
    attempts: 3,
    backoff: Backoff::Exponential,
    ttl: Span::from_seconds(10),
};
pub(crate) const CALL_TIMEOUT: Span = Span::from_seconds(20);
pub(crate) const AMOUNT: i64 = 1200;
pub(crate) const ORDER_NO: &str = "ORDER0001";

/// What a merchant's endpoint received.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) url: String,
    pub(crate) id: String,
    pub(crate) signatures: String,
    pub(crate) sent_at: i64,
    pub(crate) raw: Vec<u8>,
    pub(crate) at: Timestamp,
}

impl Told {
    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.raw).unwrap()
    }

    pub(crate) fn kind(&self) -> String {
        self.body()["type"].as_str().unwrap().to_owned()
    }

    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let secret = WebhookSecret::read(secret).unwrap();
        webhook::verify(&secret, &self.id, self.sent_at, &self.raw, &self.signatures)
    }
}

/// The network: the provider and the merchants' endpoints behind one trap.
#[derive(Default)]
pub(crate) struct Net {
    pub(crate) provider: Provider,
    told: Mutex<Vec<Told>>,
    /// What the endpoints answer next; nothing is a connection that breaks. Then 204 for ever.
    pub(crate) answers: Mutex<VecDeque<Option<u16>>>,
    /// The endpoints take a connection and never answer.
    pub(crate) merchants_hang: AtomicBool,
    trap: Arc<Trap>,
    clock: Option<Arc<HandClock>>,
}

impl Net {
    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// The endpoints answer so next.
    pub(crate) fn answer_with(&self, answers: &[Option<u16>]) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn moment(&self) -> Moment {
        let clock = self.clock.as_ref().unwrap();
        Moment { now: clock.now(), wall: clock.wall() }
    }

    fn merchant(&self, outgoing: &Outgoing) -> Result<HttpResponse, WireError> {
        let request = &outgoing.request;
        let header = |name: &str| request.header(name).unwrap_or_default().to_owned();
        self.told.lock().unwrap().push(Told {
            url: format!("{}{}", outgoing.base, request.target),
            id: header("webhook-id"),
            signatures: header("webhook-signature"),
            sent_at: header("webhook-timestamp").parse().unwrap(),
            raw: request.body.to_vec(),
            at: self.moment().now,
        });
        match self.answers.lock().unwrap().pop_front().unwrap_or(Some(204)) {
            Some(status) => Ok(HttpResponse::new(status, "text/plain", "what the shop says")),
            None => Err(WireError::Broken("connection refused".to_owned())),
        }
    }

    async fn carry(&self, outgoing: &Outgoing) -> Result<HttpResponse, WireError> {
        let broken = |_| WireError::Broken("the test pulled the plug".to_owned());
        self.trap.pass().await.map_err(broken)?;
        let answer = match outgoing.reach {
            Reach::Provider => self.provider.answer(outgoing, self.moment()).await,
            Reach::Merchant if self.merchants_hang.load(Ordering::SeqCst) => pending().await,
            Reach::Merchant => self.merchant(outgoing),
        };
        self.trap.pass().await.map_err(broken)?;
        answer
    }
}

#[async_trait]
impl Wire for Net {
    async fn send(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError> {
        let limit = outgoing.timeout.std();
        let answer = tokio::time::timeout(limit, self.carry(&outgoing)).await;
        answer.unwrap_or(Err(WireError::TimedOut(limit)))
    }

    async fn look_up(&self, host: &str) -> Result<(), String> {
        if host.ends_with(".inside.example") { Err(format!("{host} is inside")) } else { Ok(()) }
    }
}

/// A reply of the engine, read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) replayed: bool,
    pub(crate) retry_after: Option<Span>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Answer {
        let Reply { status, body, replayed, retry_after } = reply;
        Answer { status, body: serde_json::from_str(&body).unwrap(), replayed, retry_after }
    }
}

impl Answer {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }
}

/// How the face would say it: 201 for a charge, and a status for each code.
pub(crate) fn render(outcome: Result<&str, &Error>) -> (u16, String) {
    let error = match outcome {
        Ok(json) => return (201, json.to_owned()),
        Err(error) => error,
    };
    let status = match error.code {
        Code::ProviderRefused => 402,
        Code::NotFound => 404,
        Code::OrderNoInUse | Code::ChargeNotPending | Code::Conflict => 409,
        Code::RefundNoInUse => 409,
        Code::IdempotencyKeyBusy | Code::IdempotencyKeyReused => 409,
        Code::Unavailable => 503,
        _ => 400,
    };
    let charge = error.charge.map(|id| id.to_string());
    let refund = error.refund.map(|id| id.to_string());
    let body = serde_json::json!({"code": error.code.as_str(), "message": error.message,
        "param": error.param, "charge": charge, "refund": refund,
        "money_moved": error.money_moved.as_str(), "retry": error.retry.as_str(),
        "provider_code": error.provider.as_ref().map(|said| &said.code)});
    (status, body.to_string())
}

pub(crate) fn scope(app: &str, mode: Mode) -> Scope {
    Scope { app: AppName::new(app).unwrap(), mode }
}

pub(crate) fn shop() -> Scope {
    scope("shop", Mode::Test)
}

pub(crate) fn id(charge: &Value) -> ChargeId {
    charge["id"].as_str().unwrap().parse().unwrap()
}

/// The number of its only order at the provider.
pub(crate) fn number(charge: &Value) -> String {
    charge["attempts"][0]["out_trade_no"].as_str().unwrap().to_owned()
}

/// A refund of so much.
pub(crate) fn draft(fen: i64) -> RefundDraft {
    RefundDraft { amount: Some(Amount::new(Fen(fen)).unwrap()), ..RefundDraft::default() }
}

pub(crate) fn page<Id>(limit: u32) -> Page<Id> {
    Page { limit, starting_after: None, ending_before: None }
}

pub(crate) fn json(charge: &ChargeView) -> Value {
    serde_json::to_value(charge).unwrap()
}

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<TrappedStore>,
    pub(crate) net: Arc<Net>,
    pub(crate) clock: Arc<HandClock>,
    trap: Arc<Trap>,
    pub(crate) kind: Kind,
    /// While this is set, no account can refund.
    pub(crate) is_hindered: Arc<AtomicBool>,
    dice: Arc<SeededDice>,
    polling: Polling,
    policy: Policy,
}

impl World {
    pub(crate) fn of(kind: Kind) -> World {
        World::with(kind, POLLING)
    }

    /// The shop wants this done with unexpected money.
    pub(crate) fn with_policy(kind: Kind, policy: Policy) -> World {
        let mut world = World::of(kind);
        world.policy = policy;
        world.restart();
        world
    }

    /// With WeChat Pay API v2, which needs no key pairs.
    pub(crate) fn v2() -> World {
        World::of(Kind::V2Md5)
    }

    pub(crate) fn with(kind: Kind, polling: Polling) -> World {
        let clock = Arc::new(HandClock::at("2026-11-21T06:00:00Z".parse().unwrap()));
        let trap = Arc::new(Trap::default());
        let store = TrappedStore::behind(Arc::clone(&trap));
        let net =
            Net { trap: Arc::clone(&trap), clock: Some(Arc::clone(&clock)), ..Net::default() };
        let (store, net, dice) = (Arc::new(store), Arc::new(net), Arc::new(SeededDice::default()));
        let parts = (&store, &net, &clock, &dice);
        let is_hindered = Arc::default();
        let policy = Policy::default();
        let engine = engine(parts, (kind, &is_hindered), polling, policy);
        World { engine, store, net, clock, trap, kind, is_hindered, dice, polling, policy }
    }

    /// Another process over the same database.
    pub(crate) fn restart(&mut self) {
        self.engine = self.another();
    }

    /// An instance more, over the same database.
    pub(crate) fn another(&self) -> Engine {
        let parts = (&self.store, &self.net, &self.clock, &self.dice);
        engine(parts, (self.kind, &self.is_hindered), self.polling, self.policy)
    }

    pub(crate) fn dice(&self) -> &SeededDice {
        &self.dice
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.net.provider
    }

    pub(crate) fn new_charge(&self) -> NewCharge {
        NewCharge {
            order_no: Some(OrderNo::new(ORDER_NO).unwrap()),
            amount: Amount::new(Fen(AMOUNT)).unwrap(),
            subject: "Tea 茶".to_owned(),
            body: None,
            attach: Some("table 7".to_owned()),
            return_url: None,
            client_ip: None,
            payer: None,
            metadata: vec![("cart".to_owned(), "17".to_owned())],
            profile: None,
            channel: Some(self.kind.channel()),
            account: None,
            expires: None,
        }
    }

    pub(crate) async fn create(&self, new: NewCharge) -> Answer {
        self.engine.create_charge(&shop(), new, None, render).await.into()
    }

    pub(crate) async fn create_with_key(&self, new: NewCharge, key: &str, print: &str) -> Answer {
        let request = IdempotentRequest { key: key.to_owned(), fingerprint: print.to_owned() };
        self.engine.create_charge(&shop(), new, Some(request), render).await.into()
    }

    /// A charge with an order that waits for the payer.
    pub(crate) async fn order(&self) -> Value {
        self.create(self.new_charge()).await.expect(201)
    }

    pub(crate) async fn order_numbered(&self, order_no: &str) -> Value {
        let order_no = Some(OrderNo::new(order_no).unwrap());
        self.create(NewCharge { order_no, ..self.new_charge() }).await.expect(201)
    }

    /// A charge whose payer has paid.
    pub(crate) async fn paid(&self) -> Value {
        let charge = self.order().await;
        self.pay(&charge);
        assert!(self.notify(&charge).await);
        charge
    }

    /// A charge without an order, for which a channel may be chosen.
    pub(crate) async fn open(&self) -> Value {
        self.create(NewCharge { channel: None, ..self.new_charge() }).await.expect(201)
    }

    pub(crate) async fn choose(&self, charge: &Value, channel: Channel) -> Answer {
        self.attempt(charge, (channel, None), None).await
    }

    pub(crate) async fn attempt(
        &self,
        charge: &Value,
        (channel, payer): (Channel, Option<Payer>),
        key: Option<&str>,
    ) -> Answer {
        let charge = id(charge);
        let new = NewAttempt { charge, channel, account: None, payer, client_ip: None };
        let request =
            key.map(|key| IdempotentRequest { key: key.into(), fingerprint: "at".into() });
        // Ids sort by their time, and so do attempts.
        self.clock.advance(Span::from_millis(1));
        self.engine.add_attempt(&shop(), new, request, render).await.into()
    }

    pub(crate) async fn refund(&self, charge: &Value, fen: i64) -> Answer {
        self.refund_as(charge, draft(fen), None).await
    }

    pub(crate) async fn refund_as(
        &self,
        charge: &Value,
        draft: RefundDraft,
        key: Option<&str>,
    ) -> Answer {
        let request =
            key.map(|key| IdempotentRequest { key: key.into(), fingerprint: "re".into() });
        let new = NewRefund { charge: id(charge), draft };
        self.engine.create_refund(&shop(), new, request, render).await.into()
    }

    /// The refund as it is now.
    pub(crate) async fn refund_now(&self, refund: &Value) -> Value {
        let id: RefundId = refund["id"].as_str().unwrap().parse().unwrap();
        serde_json::to_value(self.engine.refund(&shop(), id).await.unwrap()).unwrap()
    }

    /// All refunds of the shop, newest first.
    pub(crate) async fn all_refunds(&self) -> Vec<Value> {
        let list = self.engine.refunds(&shop(), &Default::default(), page(100)).await.unwrap();
        list.data.iter().map(|refund| serde_json::to_value(refund).unwrap()).collect()
    }

    /// The charge as it is now.
    pub(crate) async fn now(&self, charge: &Value) -> Value {
        json(&self.engine.charge(&shop(), id(charge)).await.unwrap())
    }

    pub(crate) async fn version(&self, charge: &Value) -> i64 {
        self.store.memory().charge(id(charge)).await.unwrap().unwrap().charge.version
    }

    pub(crate) async fn all_charges(&self) -> Vec<Value> {
        let list = self.engine.charges(&shop(), &Default::default(), page(100)).await.unwrap();
        list.data.iter().map(json).collect()
    }

    pub(crate) async fn endpoint(&self, events: &[&str]) -> EndpointView {
        self.endpoint_at("https://shop.test/hook", events).await
    }

    pub(crate) async fn endpoint_at(&self, url: &str, events: &[&str]) -> EndpointView {
        let events = events.iter().map(|name| (*name).to_owned()).collect();
        let new = NewEndpoint { url: url.to_owned(), events, description: None, enabled: true };
        self.engine.create_endpoint(&shop(), new).await.unwrap()
    }

    pub(crate) fn clock_wall(&self) -> Timestamp {
        self.clock.wall()
    }

    pub(crate) fn pay(&self, charge: &Value) {
        self.provider().pay(&number(charge), self.clock.now());
    }

    pub(crate) fn notice(&self, charge: &Value, said: &Said) -> HttpRequest {
        let trade = self.provider().trade(&number(charge));
        let at = Moment { now: self.clock.now(), wall: self.clock.wall() };
        self.kind.protocol().notice(&trade, said, at)
    }

    pub(crate) async fn receive(&self, notice: HttpRequest) -> HttpResponse {
        self.engine.receive_notice(self.kind.provider(), self.kind.name(), notice).await
    }

    /// The provider tells of the trade as it is; whether it need not come again.
    pub(crate) async fn notify(&self, charge: &Value) -> bool {
        let answer = self.receive(self.notice(charge, &Said::default())).await;
        self.kind.protocol().is_accepted(&answer)
    }

    /// Kinds of the events of a charge in their order, whose numbers have no gaps.
    pub(crate) async fn events(&self, charge: &Value) -> Vec<String> {
        let filter = EventFilter { charge: Some(id(charge)), kind: None };
        let list = self.engine.events(&shop(), &filter, page(1000)).await.unwrap();
        let all: Vec<Value> =
            list.data.iter().map(|event| serde_json::from_str(event.0.get()).unwrap()).collect();
        let sequence = |event: &Value| event["sequence"].as_u64().unwrap();
        let mut all: Vec<(u64, String)> = all
            .iter()
            .map(|event| (sequence(event), event["type"].as_str().unwrap().to_owned()))
            .collect();
        all.sort();
        let numbers: Vec<u64> = all.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<u64>>());
        all.into_iter().map(|(_, kind)| kind).collect()
    }

    pub(crate) async fn count(&self, charge: &Value, kind: &str) -> usize {
        self.events(charge).await.iter().filter(|event| *event == kind).count()
    }

    /// Runs what is due now to its end.
    pub(crate) async fn run_due(&self) {
        let stop = CancellationToken::new();
        let idle = async {
            // On the paused clock this ends when everybody else waits.
            tokio::time::sleep(Duration::from_millis(1)).await;
            stop.cancel();
        };
        tokio::join!(self.engine.run_jobs(stop.clone()), idle);
    }

    /// Refused notices that were only counted are written, as when the process ends.
    pub(crate) async fn write_counted(&self) {
        let stop = CancellationToken::new();
        stop.cancel();
        self.engine.run_jobs(stop).await;
    }

    /// Time passes, and every job runs at its moment.
    pub(crate) async fn advance(&self, span: Span) {
        let target = self.clock.now() + span;
        for _ in 0..10_000 {
            self.run_due().await;
            let due = self.store.memory().next_due().await.unwrap();
            match due.filter(|due| *due <= target) {
                Some(due) => self.clock.advance(due.since(self.clock.now())),
                None => {
                    self.clock.advance(target.since(self.clock.now()));
                    return;
                }
            }
        }
        panic!("the jobs never rest");
    }

    /// When the next job is due.
    pub(crate) async fn next_job(&self) -> Option<Timestamp> {
        self.store.memory().next_due().await.unwrap()
    }

    /// A month passes, after which nothing is left to do.
    pub(crate) async fn until_nothing_is_left(&self) {
        self.advance(Span::from_seconds(30 * 86_400)).await;
        assert_eq!(self.next_job().await, None, "a job is left");
    }

    /// Lets `work` run into the trap at its `nth` point and then starts the process anew. `None`:
    /// there are not so many points.
    pub(crate) async fn crash<T>(
        &mut self,
        (nth, fate): (usize, Fate),
        work: impl AsyncFnOnce(&World) -> T,
    ) -> Option<Crashed<T>> {
        self.trap.set(nth, fate);
        self.store.forgets_leases.store(true, Ordering::SeqCst);
        let done = tokio::select! {
            biased;
            done = work(self) => Some(done),
            () = self.trap.sprung.notified() => None,
        };
        let was_hit = self.trap.take();
        self.store.forgets_leases.store(false, Ordering::SeqCst);
        self.restart();
        // Leases run by the machine's clock, which nobody moves.
        std::thread::sleep(LEASE_OF_THE_DEAD.std() + Duration::from_millis(5));
        was_hit.then_some(Crashed(done))
    }

    pub(crate) fn n_calls(&self, op: Op) -> usize {
        self.provider().calls(op).len()
    }
}

/// What work gave before it died, if it did.
pub(crate) struct Crashed<T>(pub(crate) Option<T>);

type Parts<'a> = (&'a Arc<TrappedStore>, &'a Arc<Net>, &'a Arc<HandClock>, &'a Arc<SeededDice>);

fn engine(
    (store, net, clock, dice): Parts<'_>,
    (kind, is_hindered): (Kind, &Arc<AtomicBool>),
    polling: Polling,
    policy: Policy,
) -> Engine {
    let account = |app: &str, mode, name: &str| {
        let app = AppName::new(app).unwrap();
        Account { app, mode, adapter: kind.account(name, is_hindered) }
    };
    let app = |name: &str| App { name: AppName::new(name).unwrap(), policy, keeps_replies: true };
    let accounts = vec![
        account("shop", Mode::Test, kind.name()),
        account("shop", Mode::Live, "live"),
        account("other", Mode::Test, "other"),
    ];
    let ports = Ports {
        store: Arc::clone(store) as Arc<dyn Store>,
        wire: Arc::clone(net) as Arc<dyn Wire>,
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        dice: Arc::clone(dice) as Arc<dyn tongbao_engine::Dice>,
    };
    let setup = Setup {
        apps: vec![app("shop"), app("other")],
        accounts,
        polling,
        public_url: "https://pay.test".to_owned(),
        egress: Egress::default(),
        call_timeout: CALL_TIMEOUT,
        lease: None,
        callbacks: std::sync::Arc::new(tongbao_engine::NoCallbacks),
        master_keys: master_keys(),
    };
    Engine::new(ports, setup).unwrap()
}

/// What seals in every world.
pub(crate) fn master_keys() -> MasterKeys {
    MasterKeys::new([&Secret::new([7; 32])])
}
