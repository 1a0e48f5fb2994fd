//! A charge in memory, with everything that was told and promised about it.

use std::collections::BTreeMap;
use tongbao_core::rules::{
    await_choice, begin_another, begin_attempt, begin_close, give_up, observe, observe_refund,
    open, request_refund,
};
use tongbao_core::{
    Action, AttemptState, Backoff, Changes, ChargeState, ChargeWrite, CloseReason, Draft,
    EventKind, Fact, JobChange, JobKind, Loaded, Observation, Policy, Polling, RefundDraft,
    RefundFact, RefundProblem, RefundState, Route, Scope, Seen, Source,
};
use tongbao_types::{
    AccountName, Amount, AppName, AttemptId, Channel, Code, Fen, Mint, Mode, OutRefundNo,
    OutTradeNo, RefundId, Secret, Span, Timestamp, TradeNo,
};

pub(crate) const POLLING: Polling = Polling {
    delay: Span::from_seconds(5),
    attempts: 6,
    backoff: Backoff::Exponential,
    ttl: Span::from_seconds(60),
};
pub(crate) const AMOUNT: i64 = 1200;
pub(crate) const EXPIRES_AT: i64 = 315;

pub(crate) struct World {
    pub(crate) loaded: Loaded,
    pub(crate) told: Vec<EventKind>,
    pub(crate) jobs: BTreeMap<String, (JobKind, Timestamp)>,
    pub(crate) policy: Policy,
    /// Seconds since the charge was made; each decision takes one.
    pub(crate) clock: i64,
}

impl World {
    /// A charge with so many orders at once; with none it waits for a choice.
    pub(crate) fn with_attempts(count: u8) -> World {
        World::with_channels(&vec![Channel::WechatNative; usize::from(count)])
    }

    pub(crate) fn with_channels(channels: &[Channel]) -> World {
        let mut world_mint = mint(0);
        let mut changes = open(draft(), &mut world_mint);
        if channels.is_empty() {
            await_choice(&mut changes, &mut world_mint);
        }
        for (place, &channel) in channels.iter().enumerate() {
            let (route, number) = route(place, channel);
            begin_attempt(&mut changes, route, |_| number, &POLLING, &mut world_mint);
        }
        assert_eq!(changes.write, ChargeWrite::Insert);
        let mut world = World {
            loaded: changes.after(),
            told: Vec::new(),
            jobs: BTreeMap::new(),
            policy: Policy::default(),
            clock: 0,
        };
        world.remember(&changes);
        world.check();
        world
    }

    /// A charge that was paid as trade `t0` through its only order.
    pub(crate) fn paid() -> World {
        let mut world = World::with_attempts(1);
        world.observe(0, Source::Notice, paid("t0")).unwrap();
        world
    }

    pub(crate) fn mint(&mut self) -> Mint {
        self.clock += 1;
        mint(self.clock)
    }

    /// Writes a decision as the store would, and checks what must hold between any two states.
    pub(crate) fn write(&mut self, changes: Changes) {
        let before = &self.loaded.charge;
        let after = &changes.charge;
        assert_eq!(changes.write, ChargeWrite::Update { from: before.version });
        assert_eq!(after.version, before.version + 1, "each write moves the version on by one");
        if let ChargeState::Succeeded(first) = &before.state {
            let ChargeState::Succeeded(second) = &after.state else { panic!("paid stays paid") };
            assert_eq!(first.trade_no, second.trade_no, "the first payment stays the payment");
        }
        for (old, new) in self.loaded.attempts.iter().zip(&changes.attempts) {
            if matches!(old.state, AttemptState::Succeeded { .. }) {
                assert_eq!(old, new, "what was paid stays paid");
            }
        }
        for (old, new) in self.loaded.refunds.iter().zip(&changes.refunds) {
            if matches!(old.state, RefundState::Succeeded { .. }) {
                assert_eq!(old.state, new.state, "what went back stays back");
            }
            assert_eq!((old.amount, &old.out_refund_no), (new.amount, &new.out_refund_no));
        }
        self.remember(&changes);
        self.loaded = changes.after();
        self.check();
    }

    fn remember(&mut self, changes: &Changes) {
        for event in &changes.events {
            self.told.push(event.kind);
            assert_eq!(event.sequence, i64::try_from(self.told.len()).unwrap(), "no gaps");
            assert_eq!(event.refund.is_some(), event.kind.as_str().starts_with("refund."));
        }
        assert_eq!(changes.charge.events, i64::try_from(self.told.len()).unwrap());
        for change in &changes.jobs {
            match change {
                JobChange::Put(job) => {
                    let promise = (job.kind, job.run_at);
                    self.jobs.entry(job.kind.key()).or_insert(promise);
                }
                JobChange::Hasten(job) => {
                    let promise = self.jobs.entry(job.kind.key());
                    let promise = promise.or_insert((job.kind, job.run_at));
                    promise.1 = promise.1.min(job.run_at);
                }
                JobChange::Drop(kind) => drop(self.jobs.remove(&kind.key())),
                JobChange::Finish { .. } | JobChange::Again { .. } => {
                    panic!("only a job itself knows its lease")
                }
            }
        }
    }

    /// What holds in every state: each thing that waits has a job that can move it, and money
    /// is neither made nor lost.
    fn check(&self) {
        let Loaded { charge, attempts, refunds, .. } = &self.loaded;
        let promised = |kind: JobKind| self.jobs.contains_key(&kind.key());
        for attempt in attempts {
            let moves_on = match attempt.state {
                AttemptState::Placing | AttemptState::Awaiting => {
                    promised(JobKind::PollAttempt(attempt.id, charge.id))
                }
                AttemptState::Closing => promised(JobKind::CloseAttempt(attempt.id, charge.id)),
                _ => true,
            };
            assert!(moves_on, "{:?} without a job: {:?}", attempt.state, self.jobs);
        }
        for refund in refunds.iter().filter(|refund| refund.state.is_pending()) {
            assert!(promised(JobKind::PerformRefund(refund.id, charge.id)), "{refund:?}");
        }
        let has_end = promised(JobKind::ExpireCharge(charge.id))
            || attempts.iter().any(|attempt| attempt.state.can_be_paid());
        assert!(!charge.state.is_pending() || has_end, "a pending charge without an end");
        assert_eq!(charge.refunds, i64::try_from(refunds.len()).unwrap());
        self.check_money();
    }

    fn check_money(&self) {
        let Loaded { charge, attempts, refunds, .. } = &self.loaded;
        for attempt in attempts {
            let of_it = || refunds.iter().filter(|refund| refund.attempt == attempt.id);
            let sum = |state: fn(&RefundState) -> bool| {
                let some = of_it().filter(|refund| state(&refund.state));
                some.map(|refund| refund.amount.fen().0).sum::<i64>()
            };
            let paid = match attempt.state {
                AttemptState::Succeeded { amount, .. } => amount.0,
                _ => 0,
            };
            let back = sum(|state| matches!(state, RefundState::Succeeded { .. }));
            let on_its_way = sum(RefundState::is_pending);
            let left = self.loaded.left(attempt).0;
            assert_eq!(back + on_its_way + left, paid, "{refunds:?}");
            if let ChargeState::Succeeded(payment) = &charge.state
                && payment.attempt == attempt.id
            {
                assert_eq!((payment.amount.0, charge.amount_refunded.0), (paid, back));
            }
        }
    }

    pub(crate) fn attempt(&self, index: usize) -> AttemptId {
        self.loaded.attempts[index].id
    }

    pub(crate) fn state(&self, index: usize) -> &AttemptState {
        &self.loaded.attempts[index].state
    }

    pub(crate) fn observe(
        &mut self,
        index: usize,
        source: Source,
        fact: Fact,
    ) -> Result<bool, Code> {
        let attempt = self.loaded.attempts[index].clone();
        let observation = Observation {
            account: attempt.account,
            out_trade_no: attempt.out_trade_no,
            source,
            fact,
        };
        let mut mint = self.mint();
        let policy = self.policy;
        let observed = observe(&self.loaded, attempt.id, observation, &policy, &mut mint);
        self.conclude(observed.map_err(|mismatch| mismatch.code))
    }

    pub(crate) fn observe_refund(&mut self, index: usize, fact: RefundFact) -> Result<bool, Code> {
        let id = self.loaded.refunds[index].id;
        let mut mint = self.mint();
        let observed = observe_refund(&self.loaded, id, fact, &mut mint);
        self.conclude(observed.map_err(|mismatch| mismatch.code))
    }

    fn conclude(&mut self, observed: Result<Option<Changes>, Code>) -> Result<bool, Code> {
        let Some(changes) = observed? else { return Ok(false) };
        self.write(changes);
        Ok(true)
    }

    pub(crate) fn close(&mut self) -> bool {
        self.close_since(CloseReason::Requested)
    }

    fn close_since(&mut self, reason: CloseReason) -> bool {
        let mut mint = self.mint();
        let begun = begin_close(self.loaded.clone(), reason, mint.now(), &mut mint);
        begun.map(|changes| self.write(changes)).is_ok()
    }

    /// The time of one order is over.
    pub(crate) fn give_up(&mut self, index: usize) -> bool {
        let mut mint = self.mint();
        let (id, now) = (self.attempt(index), mint.now());
        let given_up = give_up(self.loaded.clone(), id, now, &mut mint);
        given_up.map(|changes| self.write(changes)).is_ok()
    }

    /// The payer chooses one channel more.
    pub(crate) fn choose(&mut self, channel: Channel) -> bool {
        let mut mint = self.mint();
        let (route, number) = route(self.loaded.attempts.len(), channel);
        let chosen = begin_another(self.loaded.clone(), route, |_| number, &POLLING, &mut mint);
        chosen.map(|(changes, _)| self.write(changes)).is_ok()
    }

    pub(crate) fn refund(&mut self, amount: Option<i64>) -> Result<RefundId, RefundProblem> {
        let amount = amount.map(|fen| Amount::new(Fen(fen)).unwrap());
        self.request(RefundDraft { amount, ..RefundDraft::default() })
    }

    pub(crate) fn request(&mut self, draft: RefundDraft) -> Result<RefundId, RefundProblem> {
        let mut mint = self.mint();
        let number =
            |_: &_, no: &tongbao_types::RefundNo, _| OutRefundNo::new(no.as_str()).unwrap();
        let job_at = mint.now();
        let (changes, id) = request_refund(self.loaded.clone(), draft, number, job_at, &mut mint)?;
        self.write(changes);
        Ok(id)
    }

    /// Runs the promised jobs as the engine does, at a provider where nobody pays any more and
    /// every refund succeeds, until none is left.
    pub(crate) fn run_jobs(&mut self) {
        for _ in 0..100 {
            let next = self.jobs.values().min_by_key(|(_, run_at)| *run_at).copied();
            let Some((kind, run_at)) = next else { return };
            self.clock = self.clock.max(run_at.as_seconds());
            self.run_job(kind);
        }
        panic!("the jobs never rest: {:?}", self.jobs);
    }

    fn run_job(&mut self, kind: JobKind) {
        let index = |world: &World, id| {
            world.loaded.attempts.iter().position(|attempt| attempt.id == id).unwrap()
        };
        match kind {
            JobKind::PollAttempt(id, _) => {
                let index = index(self, id);
                if self.state(index).is_open() {
                    self.clock = self.clock.max(EXPIRES_AT);
                    assert!(self.give_up(index));
                } else {
                    self.jobs.remove(&kind.key());
                }
            }
            JobKind::CloseAttempt(id, _) => {
                let index = index(self, id);
                if !self.observe(index, Source::Close, Fact::Closed).unwrap() {
                    self.jobs.remove(&kind.key());
                }
            }
            JobKind::ExpireCharge(_) => {
                self.close_since(CloseReason::Expired);
                self.jobs.remove(&kind.key());
            }
            JobKind::PerformRefund(id, _) => {
                let index = self.loaded.refunds.iter().position(|refund| refund.id == id).unwrap();
                self.observe_refund(index, given_back()).unwrap();
            }
            JobKind::Deliver(_) => panic!("no decision promises a delivery"),
        }
    }

    pub(crate) fn status(&self) -> &'static str {
        self.loaded.charge.state.status()
    }

    pub(crate) fn count(&self, kind: EventKind) -> usize {
        self.told.iter().filter(|told| **told == kind).count()
    }

    /// What is promised, whenever.
    pub(crate) fn kinds(&self) -> Vec<JobKind> {
        self.jobs.values().map(|(kind, _)| *kind).collect()
    }

    pub(crate) fn promised(&self, kind: JobKind) -> bool {
        self.jobs.contains_key(&kind.key())
    }
}

fn draft() -> Draft {
    Draft {
        scope: Scope { app: AppName::new("shop").unwrap(), mode: Mode::Test },
        order_no: None,
        amount: Amount::new(Fen(AMOUNT)).unwrap(),
        subject: "tea".to_owned(),
        body: None,
        attach: None,
        return_url: None,
        client_ip: None,
        metadata: Vec::new(),
        profile: None,
        secret: Secret::new("s".to_owned()),
        expires_at: Timestamp::from_seconds(EXPIRES_AT),
    }
}

fn route(place: usize, channel: Channel) -> (Route, OutTradeNo) {
    let account = AccountName::new(format!("account-{place}")).unwrap();
    let number = OutTradeNo::new(format!("number-{place}")).unwrap();
    (Route { channel, account, payer: None }, number)
}

pub(crate) fn mint(clock: i64) -> Mint {
    let mut seed = [7; 10];
    seed[..8].copy_from_slice(&clock.to_be_bytes());
    Mint::new(Timestamp::from_seconds(clock), seed)
}

pub(crate) fn awaiting() -> Fact {
    Fact::Awaiting(Some(Action::QrCode { code_url: "weixin://wxpay/x".to_owned() }))
}

pub(crate) fn paid(trade_no: &str) -> Fact {
    paid_but(trade_no, |_| ())
}

/// A payment that is unlike the order in something.
pub(crate) fn paid_but(trade_no: &str, edit: impl FnOnce(&mut Seen)) -> Fact {
    let mut seen = Seen {
        amount: Fen(AMOUNT),
        currency: "CNY".to_owned(),
        trade_no: TradeNo::new(trade_no).unwrap(),
        paid_at: None,
        payer: None,
        returned: false,
    };
    edit(&mut seen);
    Fact::Paid(seen)
}

pub(crate) fn refused() -> Fact {
    Fact::Refused { code: "NOAUTH".to_owned(), message: "no".to_owned() }
}

pub(crate) fn given_back() -> RefundFact {
    RefundFact::Succeeded { provider_no: Some("50".to_owned()), amount: None, at: None }
}

pub(crate) fn refund_refused() -> RefundFact {
    RefundFact::Refused { code: "NO_AUTH".to_owned(), message: "no".to_owned() }
}

pub(crate) fn not_now() -> RefundFact {
    RefundFact::NotNow { code: "NOTENOUGH".to_owned(), message: "no money".to_owned() }
}
