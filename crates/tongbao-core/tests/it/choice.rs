//! A charge that is offered through more than one channel.

use crate::world::{EXPIRES_AT, World, awaiting, paid, refused};
use tongbao_core::{AttemptState, ChargeState, CloseReason, EventKind, Fact, JobKind, Source};
use tongbao_types::Channel;

#[test]
fn the_first_payment_closes_the_other_orders() {
    let mut world = World::with_attempts(0);
    assert!(world.choose(Channel::WechatNative));
    assert!(world.choose(Channel::AlipayQr));
    world.observe(0, Source::Reply, awaiting()).unwrap();
    assert!(world.state(0).is_open() && world.state(1).is_open());
    world.observe(1, Source::Notice, paid("t1")).unwrap();
    assert_eq!(*world.state(0), AttemptState::Closing);
    assert!(!world.promised(JobKind::ExpireCharge(world.loaded.charge.id)));
    world.observe(0, Source::Close, Fact::Closed).unwrap();
    assert_eq!((world.status(), world.jobs.len()), ("succeeded", 0));
}

#[test]
fn while_the_payer_may_choose_no_order_ends_the_charge() {
    let mut world = World::with_attempts(1);
    assert!(world.choose(Channel::AlipayQr));
    world.observe(0, Source::Reply, refused()).unwrap();
    world.observe(1, Source::Reply, refused()).unwrap();
    assert_eq!(world.status(), "pending");
    assert!(world.choose(Channel::WechatNative));
    world.observe(2, Source::Poll, Fact::Closed).unwrap();
    assert_eq!(world.status(), "pending");
    world.run_jobs();
    assert_eq!(world.status(), "closed");
    let ChargeState::Closed { at, reason } = world.loaded.charge.state else { panic!() };
    assert_eq!(reason, CloseReason::Expired);
    assert!(at.as_seconds() >= EXPIRES_AT);
}

#[test]
fn an_order_whose_time_is_over_is_closed_alone_while_others_may_be_chosen() {
    let mut world = World::with_attempts(0);
    world.choose(Channel::WechatMicropay);
    world.choose(Channel::AlipayQr);
    assert!(world.give_up(0));
    assert_eq!(*world.state(0), AttemptState::Closing);
    assert!(world.state(1).is_open());
    assert!(!world.give_up(0), "it is being closed");
    world.observe(0, Source::Close, Fact::Closed).unwrap();
    assert_eq!(world.status(), "pending");
    world.clock = EXPIRES_AT;
    assert!(world.give_up(1));
    world.observe(1, Source::Close, Fact::Closed).unwrap();
    assert_eq!(world.status(), "closed");
}

#[test]
fn without_a_choice_the_end_of_the_order_is_the_end_of_the_charge() {
    let mut world = World::with_attempts(1);
    assert!(world.give_up(0));
    world.observe(0, Source::Close, Fact::Closed).unwrap();
    assert_eq!(world.status(), "closed");
    assert_eq!(world.count(EventKind::ChargeClosed), 1);
}

#[test]
fn nothing_is_chosen_for_a_charge_that_ends_or_has_ended() {
    let mut world = World::with_attempts(1);
    world.clock = EXPIRES_AT;
    assert!(!world.choose(Channel::AlipayQr), "its time is over");
    let mut world = World::with_attempts(1);
    world.close();
    assert!(!world.choose(Channel::AlipayQr), "it is being closed");
    assert!(!World::paid().choose(Channel::AlipayQr), "it is paid");
}
