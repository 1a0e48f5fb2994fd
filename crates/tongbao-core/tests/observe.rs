//! What a charge becomes, whatever is observed in whatever order.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use proptest::prelude::*;
use tongbao_core::rules::{
    await_choice, begin_attempt, begin_close, finish_if_idle, look_begins, look_found_nothing,
    observe, open,
};
use tongbao_core::{
    Action, AttemptState, Backoff, Changes, ChargeState, ChargeWrite, CloseReason, Draft,
    EventKind, Fact, JobChange, JobKind, Loaded, NextLook, Observation, Polling, Scope, Seen,
    Source,
};
use tongbao_types::{
    AccountName, Amount, AppName, AttemptId, Channel, Code, Fen, Mint, Mode, OutTradeNo, Secret,
    Span, Timestamp, TradeNo,
};

const POLLING: Polling = Polling {
    delay: Span::from_seconds(5),
    attempts: 6,
    backoff: Backoff::Exponential,
    ttl: Span::from_seconds(60),
};

/// A charge in memory, with everything that was told and promised about it.
struct World {
    loaded: Loaded,
    told: Vec<EventKind>,
    jobs: Vec<JobKind>,
    clock: i64,
}

impl World {
    fn with_attempts(count: u8) -> World {
        let mut world_mint = mint(0);
        let scope = Scope { app: AppName::new("shop").unwrap(), mode: Mode::Test };
        let draft = Draft {
            scope,
            order_no: None,
            amount: Amount::new(Fen(1200)).unwrap(),
            subject: "tea".to_owned(),
            body: None,
            attach: None,
            return_url: None,
            client_ip: None,
            metadata: Vec::new(),
            secret: Secret::new("s".to_owned()),
            expires_at: Timestamp::from_seconds(315),
        };
        let mut changes = open(draft, &mut world_mint);
        if count == 0 {
            await_choice(&mut changes, &mut world_mint);
        }
        for number in 0..count {
            let account = AccountName::new(format!("account-{number}")).unwrap();
            let number = OutTradeNo::new(format!("number-{number}")).unwrap();
            let route = (Channel::WechatNative, account);
            begin_attempt(&mut changes, route, |_| number, &POLLING, &mut world_mint);
        }
        assert_eq!(changes.write, ChargeWrite::Insert);
        let loaded = changes.after();
        let mut world = World { loaded, told: Vec::new(), jobs: Vec::new(), clock: 0 };
        world.remember(&changes);
        world
    }

    fn mint(&mut self) -> Mint {
        self.clock += 1;
        mint(self.clock)
    }

    /// Writes a decision as the store would, and checks what must hold between any two states.
    fn write(&mut self, changes: Changes) {
        let before = &self.loaded.charge;
        let after = &changes.charge;
        assert_eq!(changes.write, ChargeWrite::Update { from: before.version });
        assert_eq!(after.version, before.version + 1, "each write moves the version on by one");
        if let (ChargeState::Succeeded(first), ChargeState::Succeeded(second)) =
            (&before.state, &after.state)
        {
            assert_eq!(first.trade_no, second.trade_no, "the first payment stays the payment");
        }
        if matches!(before.state, ChargeState::Succeeded(_)) {
            assert!(matches!(after.state, ChargeState::Succeeded(_)), "paid stays paid");
        }
        self.remember(&changes);
        self.loaded = changes.after();
    }

    fn remember(&mut self, changes: &Changes) {
        for event in &changes.events {
            self.told.push(event.kind);
            assert_eq!(event.sequence, i64::try_from(self.told.len()).unwrap(), "no gaps");
        }
        assert_eq!(changes.charge.events, i64::try_from(self.told.len()).unwrap());
        for change in &changes.jobs {
            match change {
                JobChange::Put(job) if !self.jobs.contains(&job.kind) => self.jobs.push(job.kind),
                JobChange::Drop(kind) => self.jobs.retain(|job| job != kind),
                _ => {}
            }
        }
    }

    fn attempt(&self, index: usize) -> AttemptId {
        self.loaded.attempts[index].id
    }

    fn observe(&mut self, index: usize, source: Source, fact: Fact) -> Result<bool, Code> {
        let attempt = self.loaded.attempts[index].clone();
        let observation = Observation {
            account: attempt.account,
            out_trade_no: attempt.out_trade_no,
            source,
            fact,
        };
        let mut mint = self.mint();
        match observe(&self.loaded, attempt.id, observation, &mut mint) {
            Err(mismatch) => Err(mismatch.code),
            Ok(None) => Ok(false),
            Ok(Some(changes)) => {
                self.write(changes);
                Ok(true)
            }
        }
    }

    fn close(&mut self) -> bool {
        let mut mint = self.mint();
        let begun = begin_close(self.loaded.clone(), CloseReason::Requested, mint.now(), &mut mint);
        begun.map(|changes| self.write(changes)).is_ok()
    }

    fn status(&self) -> &'static str {
        self.loaded.charge.state.status()
    }

    fn count(&self, kind: EventKind) -> usize {
        self.told.iter().filter(|told| **told == kind).count()
    }
}

fn mint(clock: i64) -> Mint {
    let mut seed = [7; 10];
    seed[..8].copy_from_slice(&clock.to_be_bytes());
    Mint::new(Timestamp::from_seconds(clock), seed)
}

fn awaiting() -> Fact {
    Fact::Awaiting(Some(Action::QrCode { code_url: "weixin://wxpay/x".to_owned() }))
}

fn paid(trade_no: &str) -> Fact {
    Fact::Paid(Seen {
        amount: Fen(1200),
        currency: "CNY".to_owned(),
        trade_no: TradeNo::new(trade_no).unwrap(),
        paid_at: None,
        payer: None,
    })
}

fn refused() -> Fact {
    Fact::Refused { code: "NOAUTH".to_owned(), message: "no".to_owned() }
}

#[test]
fn the_main_job_tells_each_step_once_and_leaves_no_job() {
    let mut world = World::with_attempts(1);
    assert_eq!(world.jobs, [JobKind::PollAttempt(world.attempt(0), world.loaded.charge.id)]);
    assert_eq!(world.observe(0, Source::Reply, awaiting()), Ok(true));
    assert_eq!(world.observe(0, Source::Notice, paid("t1")), Ok(true));
    for _ in 0..100 {
        assert_eq!(world.observe(0, Source::Notice, paid("t1")), Ok(false));
    }
    assert_eq!(
        world.told,
        [
            EventKind::ChargeCreated,
            EventKind::ChargeAttempted,
            EventKind::PollDelayed,
            EventKind::ChargeSucceeded
        ]
    );
    assert_eq!(world.jobs, []);
}

#[test]
fn what_contradicts_the_order_is_not_believed() {
    let mut world = World::with_attempts(1);
    let seen = |edit: fn(&mut Seen)| {
        let Fact::Paid(mut seen) = paid("t1") else { unreachable!() };
        edit(&mut seen);
        Fact::Paid(seen)
    };
    let less = seen(|seen| seen.amount = Fen(1199));
    assert_eq!(world.observe(0, Source::Notice, less), Err(Code::AmountMismatch));
    let dollars = seen(|seen| seen.currency = "USD".to_owned());
    assert_eq!(world.observe(0, Source::Notice, dollars), Err(Code::CurrencyMismatch));
    assert_eq!(world.status(), "pending");
    assert_eq!(world.told, [EventKind::ChargeCreated]);
    world.observe(0, Source::Notice, paid("t1")).unwrap();
    assert_eq!(world.observe(0, Source::Notice, paid("t2")), Err(Code::TradeNoMismatch));
}

#[test]
fn a_payment_before_the_orders_answer_counts_and_the_answer_changes_nothing() {
    let mut world = World::with_attempts(1);
    assert_eq!(world.observe(0, Source::Notice, paid("t1")), Ok(true));
    assert_eq!(world.observe(0, Source::Reply, awaiting()), Ok(false));
    assert_eq!(world.status(), "succeeded");
}

#[test]
fn closing_waits_for_the_provider_and_a_quicker_payer_wins() {
    let mut world = World::with_attempts(1);
    world.observe(0, Source::Reply, awaiting()).unwrap();
    assert!(world.close());
    assert_eq!(world.status(), "pending", "the provider comes first");
    assert_eq!(world.jobs, [JobKind::CloseAttempt(world.attempt(0), world.loaded.charge.id)]);
    assert_eq!(world.observe(0, Source::Close, paid("t1")), Ok(true));
    assert_eq!(world.status(), "succeeded");
    assert_eq!(world.count(EventKind::ChargeClosed), 0);
    assert_eq!(world.jobs, []);
    assert!(!world.close(), "a paid charge is not closed");
}

#[test]
fn a_payment_after_the_close_is_recorded_and_told() {
    let mut world = World::with_attempts(1);
    world.observe(0, Source::Reply, awaiting()).unwrap();
    world.close();
    world.observe(0, Source::Close, Fact::Closed).unwrap();
    assert_eq!(world.status(), "closed");
    assert_eq!(world.observe(0, Source::Notice, paid("t1")), Ok(true));
    assert_eq!(world.status(), "succeeded");
    assert_eq!(world.count(EventKind::ChargePaidLate), 1);
    let ChargeState::Succeeded(payment) = &world.loaded.charge.state else { panic!() };
    assert_eq!(payment.remark.as_ref().map(|remark| remark.code), Some(Code::PaidLate));
}

#[test]
fn a_second_payment_is_recorded_and_told() {
    let mut world = World::with_attempts(2);
    world.observe(0, Source::Notice, paid("t1")).unwrap();
    assert_eq!(world.loaded.attempts[1].state, AttemptState::Closing, "the other is closed");
    assert_eq!(world.observe(1, Source::Notice, paid("t2")), Ok(true));
    assert_eq!(world.count(EventKind::ChargeSucceeded), 1);
    assert_eq!(world.count(EventKind::ChargePaidTwice), 1);
    let ChargeState::Succeeded(payment) = &world.loaded.charge.state else { panic!() };
    assert_eq!(payment.trade_no.as_str(), "t1");
    assert_eq!(payment.remark.as_ref().map(|remark| remark.code), Some(Code::PaidTwice));
}

#[test]
fn a_refused_order_fails_the_charge_only_while_it_is_being_placed() {
    let mut world = World::with_attempts(1);
    assert_eq!(world.observe(0, Source::Reply, refused()), Ok(true));
    assert_eq!(world.status(), "failed");
    let mut world = World::with_attempts(1);
    world.observe(0, Source::Reply, awaiting()).unwrap();
    assert_eq!(world.observe(0, Source::Poll, refused()), Ok(false));
    assert_eq!(world.status(), "pending");
}

#[test]
fn an_order_that_the_provider_does_not_know_ends_by_a_close_and_gets_one_more_look() {
    let mut world = World::with_attempts(1);
    world.observe(0, Source::Reply, awaiting()).unwrap();
    assert_eq!(world.observe(0, Source::Poll, Fact::Absent), Ok(false));
    world.close();
    assert_eq!(world.observe(0, Source::Close, Fact::Absent), Ok(true));
    assert_eq!(world.status(), "closed");
    assert_eq!(world.jobs, [JobKind::PollAttempt(world.attempt(0), world.loaded.charge.id)]);
}

#[test]
fn a_charge_without_an_order_closes_at_once() {
    let mut world = World::with_attempts(0);
    assert_eq!(world.jobs, [JobKind::ExpireCharge(world.loaded.charge.id)]);
    assert!(world.close());
    assert_eq!(world.status(), "closed");
    assert_eq!(world.jobs, []);
}

#[test]
fn looks_are_told_only_while_the_charge_is_pending() {
    let mut world = World::with_attempts(1);
    world.observe(0, Source::Reply, awaiting()).unwrap();
    let attempt = world.loaded.attempts[0].clone();
    let mut first = world.mint();
    let begun = look_begins(world.loaded.clone(), &attempt, &mut first).unwrap();
    world.write(begun);
    let nothing = look_found_nothing(world.loaded.clone(), NextLook::Close, &mut first);
    world.write(nothing);
    assert_eq!(world.count(EventKind::PollActive), 1);
    assert_eq!(world.count(EventKind::PollFinished), 1);
    world.observe(0, Source::Notice, paid("t1")).unwrap();
    let attempt = world.loaded.attempts[0].clone();
    assert!(look_begins(world.loaded.clone(), &attempt, &mut first).is_none());
}

/// Everything that can happen to a charge from outside.
#[derive(Debug, Clone)]
enum Step {
    Observe(usize, Source, u8),
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let source = prop_oneof![
        Just(Source::Reply),
        Just(Source::Notice),
        Just(Source::Poll),
        Just(Source::Sync),
        Just(Source::Close),
    ];
    let step = prop_oneof![
        8 => (0_usize..3, source, 0_u8..6)
            .prop_map(|(index, source, fact)| Step::Observe(index, source, fact)),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 0..40)
}

fn fact(index: usize, number: u8) -> Fact {
    match number {
        0 => awaiting(),
        1 => Fact::Awaiting(None),
        2 => paid(&format!("t{index}")),
        3 => Fact::Closed,
        4 => Fact::Absent,
        _ => refused(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Any order and number of observations: paid if and only if somebody paid, told once, no
    /// job left that has no object, and nothing new when everything is said again.
    #[test]
    fn any_history_ends_in_one_state(history in steps()) {
        let mut world = World::with_attempts(3);
        let mut payers = Vec::new();
        for step in &history {
            match step {
                Step::Close => { world.close(); }
                Step::Observe(index, source, number) => {
                    let fact = fact(*index, *number);
                    if matches!(fact, Fact::Paid(_)) && !payers.contains(index) {
                        payers.push(*index);
                    }
                    world.observe(*index, *source, fact).unwrap();
                }
            }
        }
        prop_assert_eq!(world.status() == "succeeded", !payers.is_empty());
        prop_assert_eq!(world.count(EventKind::ChargeSucceeded), usize::from(!payers.is_empty()));
        prop_assert_eq!(world.count(EventKind::ChargePaidTwice), payers.len().saturating_sub(1));
        if let ChargeState::Succeeded(payment) = &world.loaded.charge.state {
            prop_assert_eq!(payment.attempt, world.attempt(payers[0]));
        }
        for index in payers {
            prop_assert_eq!(world.observe(index, Source::Notice, fact(index, 2)), Ok(false));
        }
    }

    /// Whatever has happened, a state that waits has a job that will move it on, and closing at
    /// the provider always ends it.
    #[test]
    fn nothing_waits_for_ever(history in steps()) {
        let mut world = World::with_attempts(3);
        for step in &history {
            match step {
                Step::Close => { world.close(); }
                Step::Observe(index, source, number) => {
                    world.observe(*index, *source, fact(*index, *number)).unwrap();
                }
            }
        }
        let charge = world.loaded.charge.id;
        for attempt in &world.loaded.attempts {
            let promised = match attempt.state {
                AttemptState::Placing | AttemptState::Awaiting => {
                    world.jobs.contains(&JobKind::PollAttempt(attempt.id, charge))
                }
                AttemptState::Closing => {
                    world.jobs.contains(&JobKind::CloseAttempt(attempt.id, charge))
                }
                _ => true,
            };
            prop_assert!(promised, "{:?} without a job: {:?}", attempt.state, world.jobs);
        }
        if world.close() {
            for index in 0..3 {
                world.observe(index, Source::Close, Fact::Closed).unwrap();
            }
        }
        prop_assert!(world.status() != "pending");
    }
}

#[test]
fn an_idle_charge_is_left_alone_while_it_waits_for_a_choice() {
    let world = World::with_attempts(0);
    let mut mint = mint(9);
    let mut changes = begin_close_then_undo(&world.loaded, &mut mint);
    finish_if_idle(&mut changes, &mut mint);
    assert_eq!(changes.charge.state.status(), "pending");
}

/// Changes of a charge that nobody wants closed.
fn begin_close_then_undo(loaded: &Loaded, mint: &mut Mint) -> Changes {
    let mut changes = begin_close(loaded.clone(), CloseReason::Expired, mint.now(), mint).unwrap();
    changes.charge.state = ChargeState::Pending { closing: None };
    changes
}
