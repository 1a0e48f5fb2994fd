//! What a charge becomes of what is said about its orders, case by case.

use crate::world::{World, awaiting, mint, paid, paid_but, refused};
use tongbao_core::rules::{begin_close, finish_if_idle, look_begins, look_found_nothing};
use tongbao_core::{
    Action, AttemptState, Changes, ChargeState, CloseReason, EventKind, Fact, JobKind, Loaded,
    NextLook, Source,
};
use tongbao_types::{Code, Fen, Mint};

#[test]
fn the_main_job_tells_each_step_once_and_leaves_no_job() {
    let mut world = World::with_attempts(1);
    assert_eq!(world.kinds(), [JobKind::PollAttempt(world.attempt(0), world.loaded.charge.id)]);
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
    assert_eq!(world.kinds(), []);
}

#[test]
fn what_contradicts_the_order_is_not_believed() {
    let mut world = World::with_attempts(1);
    let less = paid_but("t1", |seen| seen.amount = Fen(1199));
    assert_eq!(world.observe(0, Source::Notice, less), Err(Code::AmountMismatch));
    let dollars = paid_but("t1", |seen| seen.currency = "USD".to_owned());
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

/// Two placed it at the same time; which code is void is not known, so a third is asked for.
#[test]
fn a_second_code_replaces_the_first_only_if_it_was_asked_for_because_of_that() {
    let code = |text: &str| {
        Fact::Awaiting(Some(Action::QrCode { code_url: format!("weixin://wxpay/{text}") }))
    };
    for source in [Source::Reply, Source::Poll] {
        let mut world = World::with_attempts(1);
        assert_eq!(world.observe(0, Source::Reply, code("first")), Ok(true));
        assert_eq!(world.observe(0, source, code("second")), Ok(false));
        assert_eq!(world.observe(0, Source::Sync, code("third")), Ok(true));
        let Fact::Awaiting(third) = code("third") else { unreachable!() };
        assert_eq!(world.loaded.attempts[0].action, third);
    }
}

#[test]
fn closing_waits_for_the_provider_and_a_quicker_payer_wins() {
    let mut world = World::with_attempts(1);
    world.observe(0, Source::Reply, awaiting()).unwrap();
    assert!(world.close());
    assert_eq!(world.status(), "pending", "the provider comes first");
    assert_eq!(world.kinds(), [JobKind::CloseAttempt(world.attempt(0), world.loaded.charge.id)]);
    assert_eq!(world.observe(0, Source::Close, paid("t1")), Ok(true));
    assert_eq!(world.status(), "succeeded");
    assert_eq!(world.count(EventKind::ChargeClosed), 0);
    assert_eq!(world.kinds(), []);
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
    assert_eq!(world.kinds(), [JobKind::PollAttempt(world.attempt(0), world.loaded.charge.id)]);
}

#[test]
fn a_charge_without_an_order_closes_at_once() {
    let mut world = World::with_attempts(0);
    assert_eq!(world.kinds(), [JobKind::ExpireCharge(world.loaded.charge.id)]);
    assert!(world.close());
    assert_eq!(world.status(), "closed");
    assert_eq!(world.kinds(), []);
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
