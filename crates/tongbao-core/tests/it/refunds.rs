//! Refunds: what is reserved, what is released, and what a provider may say.

use crate::world::{AMOUNT, World, given_back, not_now, paid, paid_but, refund_refused};
use tongbao_core::{
    EventKind, Fact, Failure, JobKind, REFUNDS_MAX, RefundCause, RefundDraft, RefundFact,
    RefundProblem, RefundState, Source,
};
use tongbao_types::{Code, Fen, RefundNo, Span};

#[test]
fn a_refund_without_an_amount_is_all_that_is_left() {
    let mut world = World::paid();
    world.refund(Some(500)).unwrap();
    let rest = world.refund(None).unwrap();
    assert_eq!(world.loaded.refund(rest).unwrap().amount.fen(), Fen(AMOUNT - 500));
    assert_eq!(world.refund(None), Err(RefundProblem::TooLarge { left: Fen::ZERO }));
    assert_eq!(world.loaded.charge.amount_refunded, Fen::ZERO, "nothing is back yet");
    world.observe_refund(1, given_back()).unwrap();
    assert_eq!(world.loaded.charge.amount_refunded, Fen(AMOUNT - 500));
    assert_eq!(world.count(EventKind::RefundCreated), 2);
    assert_eq!(world.count(EventKind::RefundSucceeded), 1);
}

#[test]
fn an_amount_is_reserved_before_anybody_is_asked_and_released_by_a_final_no_alone() {
    let mut world = World::paid();
    world.refund(Some(AMOUNT)).unwrap();
    let nothing_left = Err(RefundProblem::TooLarge { left: Fen::ZERO });
    let processing = RefundFact::Processing { provider_no: Some("50".to_owned()) };
    let abnormal = RefundFact::Abnormal { provider_no: None };
    for fact in [processing, RefundFact::Absent, abnormal] {
        world.observe_refund(0, fact).unwrap();
        assert_eq!(world.refund(Some(1)), nothing_left);
    }
    world.observe_refund(0, refund_refused()).unwrap();
    let RefundState::Failed { failure, .. } = &world.loaded.refunds[0].state else { panic!() };
    assert_eq!(failure.code, Code::ProviderRefused);
    assert_eq!(world.count(EventKind::RefundFailed), 1);
    world.refund(Some(AMOUNT)).unwrap();
    world.observe_refund(1, RefundFact::Closed).unwrap();
    assert_eq!(world.count(EventKind::RefundClosed), 1);
    assert!(world.refund(Some(AMOUNT)).is_ok());
}

#[test]
fn a_payment_has_so_many_refunds_and_for_so_long() {
    let mut world = World::paid();
    for _ in 0..REFUNDS_MAX {
        world.refund(Some(1)).unwrap();
    }
    assert_eq!(world.refund(Some(1)), Err(RefundProblem::TooMany));
    world.observe_refund(0, refund_refused()).unwrap();
    assert!(world.refund(Some(1)).is_ok(), "one that failed does not count");

    let mut world = World::paid();
    world.clock = Span::from_seconds(365 * 86_400).as_seconds();
    assert!(world.refund(Some(1)).is_ok());
    world.clock += 10;
    assert_eq!(world.refund(Some(1)), Err(RefundProblem::TooLate));
}

#[test]
fn only_a_payment_is_refunded() {
    let mut world = World::with_attempts(1);
    assert_eq!(world.refund(None), Err(RefundProblem::NothingToRefund));
    world.close();
    world.observe(0, Source::Close, Fact::Closed).unwrap();
    assert_eq!(world.refund(None), Err(RefundProblem::NothingToRefund));
    let mut world = World::with_attempts(2);
    world.observe(0, Source::Notice, paid("t0")).unwrap();
    let attempt = Some(world.attempt(1));
    let other = RefundDraft { attempt, ..RefundDraft::default() };
    assert_eq!(world.request(other), Err(RefundProblem::NothingToRefund));
}

/// The second payment goes back by itself; if that fails the merchant can name it.
#[test]
fn a_second_payment_can_be_named() {
    let mut world = World::with_attempts(2);
    world.observe(0, Source::Notice, paid("t0")).unwrap();
    world.observe(1, Source::Notice, paid("t1")).unwrap();
    let attempt = Some(world.attempt(1));
    let named = RefundDraft { attempt, ..RefundDraft::default() };
    let gone = Err(RefundProblem::TooLarge { left: Fen::ZERO });
    assert_eq!(world.request(named.clone()), gone);
    world.observe_refund(0, refund_refused()).unwrap();
    let id = world.request(named).unwrap();
    assert_eq!(world.loaded.refund(id).unwrap().attempt, world.attempt(1));
    world.observe_refund(1, given_back()).unwrap();
    assert_eq!(world.loaded.charge.amount_refunded, Fen::ZERO, "that payment did not count");
}

#[test]
fn the_number_is_the_merchants_or_the_ids_and_stays() {
    let mut world = World::paid();
    let refund_no = Some(RefundNo::new("R-1").unwrap());
    let amount = Some(tongbao_types::Amount::new(Fen(1)).unwrap());
    let id = world.request(RefundDraft { refund_no, amount, ..RefundDraft::default() }).unwrap();
    assert_eq!(world.loaded.refund(id).unwrap().out_refund_no.as_str(), "R-1");
    let id = world.refund(Some(1)).unwrap();
    assert_eq!(world.loaded.refund(id).unwrap().refund_no.as_str(), id.bare());
}

#[test]
fn success_is_believed_even_after_a_no() {
    for no in [refund_refused(), RefundFact::Closed] {
        let mut world = World::paid();
        world.refund(Some(500)).unwrap();
        world.observe_refund(0, no).unwrap();
        assert_eq!(world.observe_refund(0, given_back()), Ok(true));
        assert_eq!(world.loaded.charge.amount_refunded, Fen(500));
        assert_eq!(world.count(EventKind::RefundSucceeded), 1);
        assert_eq!(world.observe_refund(0, refund_refused()), Ok(false));
        assert_eq!(world.refund(Some(AMOUNT)), Err(RefundProblem::TooLarge { left: Fen(700) }));
    }
}

#[test]
fn another_amount_than_the_refunds_is_not_believed() {
    let mut world = World::paid();
    world.refund(Some(500)).unwrap();
    let told = RefundFact::Succeeded { provider_no: None, amount: Some(Fen(501)), at: None };
    assert_eq!(world.observe_refund(0, told), Err(Code::AmountMismatch));
    assert!(world.loaded.refunds[0].state.is_pending());
}

/// A merchant who asked is told no; nobody asked for the other one, so it is tried until it works.
#[test]
fn too_little_money_ends_a_refund_that_was_asked_for_and_delays_one_that_was_not() {
    let mut world = World::paid();
    world.refund(Some(500)).unwrap();
    world.observe_refund(0, not_now()).unwrap();
    assert_eq!(world.loaded.refunds[0].state.status(), "failed");

    let mut world = World::with_attempts(2);
    world.observe(0, Source::Notice, paid("t0")).unwrap();
    world.observe(1, Source::Notice, paid("t1")).unwrap();
    assert_eq!(world.observe_refund(0, not_now()), Ok(true));
    assert_eq!(world.observe_refund(0, not_now()), Ok(false), "told once");
    let refund = &world.loaded.refunds[0];
    assert_eq!((refund.cause, refund.state.status()), (RefundCause::PaidTwice, "pending"));
    assert_eq!(refund.failure().map(|failure| failure.code), Some(Code::ProviderRefused));
    assert_eq!(world.count(EventKind::RefundAbnormal), 1);
    assert!(world.promised(JobKind::PerformRefund(refund.id, world.loaded.charge.id)));
    world.observe_refund(0, given_back()).unwrap();
    assert_eq!(world.jobs.len(), 0);
}

#[test]
fn looks_at_a_refund_become_seldom_and_those_at_an_abnormal_one_at_once() {
    let mut world = World::paid();
    world.refund(Some(500)).unwrap();
    let waits = |world: &World| -> Vec<i64> {
        let wait = |runs| world.loaded.refunds[0].wait(runs).as_seconds();
        [0, 1, 2, 9, 10, 100].map(wait).to_vec()
    };
    assert_eq!(waits(&world), [5, 10, 20, 2560, 3600, 3600]);
    world.observe_refund(0, RefundFact::Abnormal { provider_no: None }).unwrap();
    assert_eq!(waits(&world), [21_600; 6]);
    let failure = world.loaded.refunds[0].failure().cloned();
    assert!(matches!(failure, Some(Failure { code: Code::RefundAbnormal, .. })));
}

/// The payer got all of it back already, by hand in the provider's console.
#[test]
fn what_has_gone_back_already_is_not_given_back() {
    let returned = || paid_but("t1", |seen| seen.returned = true);
    let mut world = World::with_attempts(2);
    world.observe(0, Source::Notice, paid("t0")).unwrap();
    assert_eq!(world.observe(1, Source::Poll, returned()), Ok(true));
    assert_eq!(world.count(EventKind::ChargePaidTwice), 1);
    assert!(world.loaded.refunds.is_empty());

    let mut world = World::with_attempts(1);
    world.close();
    world.observe(0, Source::Close, Fact::Closed).unwrap();
    assert_eq!(world.observe(0, Source::Poll, returned()), Ok(false));
    assert_eq!(world.status(), "closed");
}
