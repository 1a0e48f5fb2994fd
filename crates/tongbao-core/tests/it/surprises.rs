//! Money that nobody expected: late, of another amount, or taken back meanwhile.

use crate::world::{AMOUNT, World, awaiting, paid, paid_but};
use tongbao_core::{
    AttemptState, ChargeState, EventKind, Fact, JobKind, Policy, RefundCause, Source, Unexpected,
};
use tongbao_types::{Channel, Code, Fen, Span};

fn closed(policy: Policy) -> World {
    let mut world = World::with_attempts(1);
    world.policy = policy;
    world.observe(0, Source::Reply, awaiting()).unwrap();
    world.close();
    world.observe(0, Source::Close, Fact::Closed).unwrap();
    world
}

fn with_policy(late: Unexpected, wrong_amount: Unexpected) -> Policy {
    Policy { late, wrong_amount }
}

fn less() -> Fact {
    paid_but("t0", |seen| seen.amount = Fen(AMOUNT - 1))
}

fn remark(world: &World) -> Option<Code> {
    let ChargeState::Succeeded(payment) = &world.loaded.charge.state else { return None };
    payment.remark.as_ref().map(|remark| remark.code)
}

/// Status, remark, what went back and why.
fn check(mut world: World, fact: Fact, expected: (&str, Option<Code>, Option<RefundCause>)) {
    assert_eq!(world.observe(0, Source::Poll, fact.clone()), Ok(true));
    let refund = world.loaded.refunds.first();
    let found = (world.status(), remark(&world), refund.map(|refund| refund.cause));
    assert_eq!(found, expected, "{fact:?}");
    if let Some(refund) = refund {
        let AttemptState::Succeeded { amount, .. } = world.state(0) else { panic!() };
        assert_eq!(refund.amount.fen(), *amount);
    }
    assert_eq!(world.observe(0, Source::Notice, fact), Ok(false), "once is enough");
}

#[test]
fn a_late_payment_is_kept_or_given_back_as_the_app_wants() {
    use Unexpected::{Keep, Refund};
    let kept = ("succeeded", Some(Code::PaidLate), None);
    check(closed(with_policy(Keep, Refund)), paid("t0"), kept);
    let back = ("closed", None, Some(RefundCause::PaidLate));
    check(closed(with_policy(Refund, Keep)), paid("t0"), back);
}

#[test]
fn a_payment_of_another_amount_is_kept_or_given_back_as_the_app_wants() {
    use Unexpected::{Keep, Refund};
    let open = |policy| {
        let mut world = World::with_attempts(1);
        world.policy = policy;
        world
    };
    // The answer to a question of ours is a fact; a notice that says so is refused.
    let mut world = open(Policy::default());
    assert_eq!(world.observe(0, Source::Notice, less()), Err(Code::AmountMismatch));
    let found = |world: &mut World| {
        world.observe(0, Source::Poll, less()).unwrap();
        (world.status(), world.loaded.refunds.len())
    };
    assert_eq!(found(&mut world), ("failed", 1));
    let ChargeState::Failed { failure, .. } = &world.loaded.charge.state else { panic!() };
    assert_eq!(failure.code, Code::PaidWrongAmount);
    assert_eq!(world.count(EventKind::ChargePaidWrongAmount), 1);

    let mut world = open(with_policy(Refund, Keep));
    assert_eq!(found(&mut world), ("succeeded", 0));
    let ChargeState::Succeeded(payment) = &world.loaded.charge.state else { panic!() };
    assert_eq!((payment.amount, remark(&world)), (Fen(AMOUNT - 1), Some(Code::PaidWrongAmount)));
    world.refund(None).unwrap();
    assert_eq!(world.loaded.refunds[0].amount.fen(), Fen(AMOUNT - 1), "what was paid goes back");

    assert_eq!(found(&mut closed(with_policy(Keep, Keep))), ("succeeded", 0));
    assert_eq!(found(&mut closed(with_policy(Keep, Refund))), ("closed", 1));
    assert_eq!(found(&mut closed(with_policy(Refund, Keep))), ("closed", 1));
}

#[test]
fn a_wrong_amount_leaves_the_payer_the_other_orders() {
    let mut world = World::with_attempts(2);
    world.observe(0, Source::Poll, less()).unwrap();
    assert_eq!(world.status(), "pending");
    world.observe(1, Source::Notice, paid("t1")).unwrap();
    assert_eq!((world.status(), remark(&world)), ("succeeded", None));
    assert_eq!(world.loaded.refunds.len(), 1);
    assert_eq!(world.loaded.refunds[0].attempt, world.attempt(0));
}

/// Taking back gives back what was paid meanwhile, and the notice of that comes after it.
#[test]
fn a_notice_after_a_scanned_code_was_taken_back_only_makes_us_ask() {
    for closed in [false, true] {
        let mut world = World::with_channels(&[Channel::WechatMicropay]);
        world.close();
        if closed {
            world.observe(0, Source::Close, Fact::Closed).unwrap();
        }
        let (id, charge) = (world.attempt(0), world.loaded.charge.id);
        let asks = if closed {
            JobKind::PollAttempt(id, charge)
        } else {
            JobKind::CloseAttempt(id, charge)
        };
        assert_eq!(world.observe(0, Source::Notice, paid("t0")), Ok(true));
        assert_ne!(world.status(), "succeeded");
        assert!(world.promised(asks));
        assert_eq!(world.count(EventKind::ChargePaidLate), 0);
        // What the provider answers then is believed.
        world.observe(0, Source::Poll, paid("t0")).unwrap();
        assert_eq!(world.status(), "succeeded");
    }
}

#[test]
fn what_was_taken_back_is_closed_and_was_never_paid() {
    let returned = || paid_but("t0", |seen| seen.returned = true);
    let mut world = World::with_channels(&[Channel::AlipayBarcode]);
    world.close();
    assert_eq!(world.observe(0, Source::Close, returned()), Ok(true));
    assert_eq!(world.status(), "closed");
    assert_eq!(world.observe(0, Source::Poll, returned()), Ok(false));
    assert!(world.loaded.refunds.is_empty());
}

#[test]
fn a_scanned_code_is_paid_at_once_or_looked_at_every_five_seconds_for_forty_five() {
    use crate::world::POLLING;
    use tongbao_core::NextLook;
    use tongbao_types::Timestamp;
    let mut world = World::with_channels(&[Channel::WechatMicropay]);
    let at = Timestamp::from_seconds;
    let (charge, order) = (&world.loaded.charge, &world.loaded.attempts[0]);
    let next = |look, now| POLLING.after(look, charge, order, at(now));
    assert_eq!(POLLING.first_wait(order.channel).as_seconds(), 5);
    assert_eq!(next(1, 5), NextLook::At(at(10)));
    assert_eq!(next(8, 41), NextLook::At(at(45)));
    assert_eq!(next(9, 45), NextLook::Close);
    assert_eq!(world.observe(0, Source::Reply, paid("t0")), Ok(true));
    assert_eq!((world.status(), world.jobs.len()), ("succeeded", 0));
}

/// A process that stood still between writing an order and placing it.
#[test]
fn an_order_that_is_seen_open_after_its_close_is_closed_once_more() {
    for (source, fact) in [
        (Source::Reply, awaiting()),
        (Source::Poll, Fact::Awaiting(None)),
        (Source::Sync, Fact::Awaiting(None)),
        (Source::Notice, Fact::Awaiting(None)),
    ] {
        let mut world = closed(Policy::default());
        let close = JobKind::CloseAttempt(world.attempt(0), world.loaded.charge.id);
        assert!(!world.promised(close));
        assert_eq!(world.observe(0, source, fact), Ok(true), "{source:?}");
        assert!(world.promised(close), "{source:?}");
        assert_eq!(world.status(), "closed");
        assert_eq!(world.loaded.attempts[0].state.status(), "closed");
        // The second close says what the first one said.
        assert_eq!(world.observe(0, Source::Close, Fact::Closed), Ok(false));
    }
}

/// The process may have died when it had placed it, so that nobody tells.
#[test]
fn a_close_of_an_order_that_nobody_has_answered_for_is_followed_by_a_look() {
    let look = |world: &World| JobKind::PollAttempt(world.attempt(0), world.loaded.charge.id);
    for channel in [Channel::WechatNative, Channel::WechatMicropay, Channel::AlipayQr] {
        let mut world = World::with_channels(&[channel]);
        world.close();
        assert!(!world.promised(look(&world)), "a close is promised in its place");
        world.observe(0, Source::Close, Fact::Closed).unwrap();
        assert!(world.promised(look(&world)), "{channel}");
        let (_, run_at) = world.jobs[&look(&world).key()];
        assert_eq!(run_at, world.loaded.charge.expires_at + Span::from_seconds(60));
    }
    let known = closed(Policy::default());
    assert!(!known.promised(look(&known)), "whoever placed it has told so");
    // That the provider has closed it itself shows that it was there.
    let mut there = World::with_attempts(1);
    there.observe(0, Source::Poll, Fact::Closed).unwrap();
    assert!(!there.promised(look(&there)));
}
