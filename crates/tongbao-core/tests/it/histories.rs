//! Whatever is observed, asked for and promised, in whatever order: it ends, and it adds up.

use crate::world::{
    AMOUNT, EXPIRES_AT, World, awaiting, given_back, not_now, paid, paid_but, refund_refused,
    refused,
};
use proptest::prelude::*;
use tongbao_core::{
    AttemptState, ChargeState, EventKind, Fact, Policy, RefundFact, RefundState, Source, Unexpected,
};
use tongbao_types::{Channel, Fen};

/// Everything that can happen to a charge from outside.
#[derive(Debug, Clone)]
enum Step {
    Observe(usize, Source, u8),
    Refund(i64),
    ObserveRefund(usize, u8),
    Choose(Channel),
    GiveUp(usize),
    Close,
    Wait(i64),
}

fn sources() -> impl Strategy<Value = Source> {
    prop_oneof![
        Just(Source::Reply),
        Just(Source::Notice),
        Just(Source::Poll),
        Just(Source::Sync),
        Just(Source::Close),
    ]
}

/// Steps about what is said of the orders alone.
fn said() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0_usize..3, sources(), 0_u8..6)
            .prop_map(|(index, source, fact)| Step::Observe(index, source, fact)),
        1 => Just(Step::Close),
    ];
    proptest::collection::vec(step, 0..40)
}

/// All steps.
fn lives() -> impl Strategy<Value = Vec<Step>> {
    let channel = prop_oneof![
        Just(Channel::WechatNative),
        Just(Channel::AlipayQr),
        Just(Channel::WechatMicropay),
    ];
    let step = prop_oneof![
        8 => (0_usize..4, sources(), 0_u8..9)
            .prop_map(|(index, source, fact)| Step::Observe(index, source, fact)),
        3 => (1_i64..AMOUNT + 100).prop_map(Step::Refund),
        4 => (0_usize..5, 0_u8..7).prop_map(|(index, fact)| Step::ObserveRefund(index, fact)),
        2 => channel.prop_map(Step::Choose),
        1 => (0_usize..4).prop_map(Step::GiveUp),
        1 => Just(Step::Close),
        1 => (1_i64..EXPIRES_AT).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..60)
}

fn policies() -> impl Strategy<Value = Policy> {
    let choice = || prop_oneof![Just(Unexpected::Keep), Just(Unexpected::Refund)];
    (choice(), choice()).prop_map(|(late, wrong_amount)| Policy { late, wrong_amount })
}

fn fact(index: usize, number: u8) -> Fact {
    let trade_no = format!("t{index}");
    match number {
        0 => awaiting(),
        1 => Fact::Awaiting(None),
        2 => paid(&trade_no),
        3 => Fact::Closed,
        4 => Fact::Absent,
        5 => refused(),
        6 => paid_but(&trade_no, |seen| seen.amount = Fen(AMOUNT - 1)),
        7 => paid_but(&trade_no, |seen| seen.amount = Fen(AMOUNT + 5)),
        _ => paid_but(&trade_no, |seen| seen.returned = true),
    }
}

/// What an honest provider can say of a refund: once it says that no money will move, none does.
fn refund_fact(number: u8, state: &RefundState) -> RefundFact {
    match number {
        0 => RefundFact::Processing { provider_no: Some("50".to_owned()) },
        1 => RefundFact::Abnormal { provider_no: None },
        2 => RefundFact::Absent,
        3 => RefundFact::Closed,
        4 => not_now(),
        5 => refund_refused(),
        _ if state.reserves() => given_back(),
        _ => RefundFact::Closed,
    }
}

fn live(world: &mut World, step: &Step) {
    match step {
        Step::Observe(index, source, number) if *index < world.loaded.attempts.len() => {
            // Another amount in a notice is refused; all else is believed.
            let told = world.observe(*index, *source, fact(*index, *number));
            assert!(told.is_ok() || *source == Source::Notice, "{told:?}");
        }
        Step::ObserveRefund(index, number) if *index < world.loaded.refunds.len() => {
            let fact = refund_fact(*number, &world.loaded.refunds[*index].state);
            world.observe_refund(*index, fact).unwrap();
        }
        Step::Observe(..) | Step::ObserveRefund(..) => {}
        Step::Refund(fen) => drop(world.refund(Some(*fen))),
        Step::Choose(channel) => drop(world.choose(*channel)),
        Step::GiveUp(index) if *index < world.loaded.attempts.len() => drop(world.give_up(*index)),
        Step::GiveUp(_) => {}
        Step::Close => drop(world.close()),
        Step::Wait(seconds) => world.clock += seconds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Any order and number of observations: paid if and only if somebody paid, told once, and
    /// nothing new when everything is said again.
    #[test]
    fn any_history_ends_in_one_state(history in said()) {
        let mut world = World::with_attempts(3);
        let mut payers = Vec::new();
        for step in &history {
            if let Step::Observe(index, _, 2) = step
                && !payers.contains(index)
            {
                payers.push(*index);
            }
            live(&mut world, step);
        }
        prop_assert_eq!(world.status() == "succeeded", !payers.is_empty());
        prop_assert_eq!(world.count(EventKind::ChargeSucceeded), usize::from(!payers.is_empty()));
        prop_assert_eq!(world.count(EventKind::ChargePaidTwice), payers.len().saturating_sub(1));
        prop_assert_eq!(world.loaded.refunds.len(), payers.len().saturating_sub(1));
        if let ChargeState::Succeeded(payment) = &world.loaded.charge.state {
            prop_assert_eq!(payment.attempt, world.attempt(payers[0]));
        }
        for index in payers {
            prop_assert_eq!(world.observe(index, Source::Notice, fact(index, 2)), Ok(false));
        }
    }

    /// Whatever has happened, the promised jobs alone bring everything to its end: no order
    /// waits, no refund is on its way, no job is left. What must hold in between, money above
    /// all, is checked at every write.
    #[test]
    fn nothing_waits_for_ever(
        count in 0_u8..3,
        policy in policies(),
        history in lives(),
    ) {
        let mut world = World::with_attempts(count);
        world.policy = policy;
        for step in &history {
            live(&mut world, step);
        }
        world.run_jobs();
        prop_assert_ne!(world.status(), "pending");
        for attempt in &world.loaded.attempts {
            prop_assert!(!attempt.state.can_be_paid(), "{:?}", attempt.state);
        }
        for refund in &world.loaded.refunds {
            prop_assert!(!refund.state.is_pending(), "{:?}", refund.state);
        }
    }

    /// Every payment that does not count has gone back in whole, and one that counts only as far
    /// as the merchant asked for it.
    #[test]
    fn each_fen_is_kept_or_given_back(
        count in 0_u8..3,
        policy in policies(),
        history in lives(),
    ) {
        let mut world = World::with_attempts(count);
        world.policy = policy;
        let (mut asked, mut returned) = (0, Vec::new());
        for step in &history {
            // Without refunds that fail, so that it is known what comes of each.
            match step {
                Step::ObserveRefund(..) => continue,
                Step::Refund(fen) if world.status() == "succeeded" => {
                    asked += i64::from(world.refund(Some(*fen)).is_ok()) * fen;
                    continue;
                }
                Step::Refund(_) => continue,
                Step::Observe(index, _, 8) => returned.push(*index),
                _ => {}
            }
            live(&mut world, step);
        }
        world.run_jobs();
        let counts = match &world.loaded.charge.state {
            ChargeState::Succeeded(payment) => Some(payment.attempt),
            _ => None,
        };
        for (index, attempt) in world.loaded.attempts.iter().enumerate() {
            let AttemptState::Succeeded { amount, .. } = attempt.state else { continue };
            if counts == Some(attempt.id) {
                prop_assert_eq!(world.loaded.left(attempt).0, amount.0 - asked);
            } else if !returned.contains(&index) {
                prop_assert_eq!(world.loaded.left(attempt), Fen::ZERO);
            }
        }
    }

    /// What is said of a refund twice, or of one that is at its end, changes nothing.
    #[test]
    fn any_refund_ends_in_one_state(facts in proptest::collection::vec(0_u8..7, 0..20)) {
        let mut world = World::paid();
        world.refund(Some(500)).unwrap();
        for number in facts {
            let fact = refund_fact(number, &world.loaded.refunds[0].state);
            let was_final = !world.loaded.refunds[0].state.is_pending();
            let before = world.loaded.refunds[0].state.clone();
            world.observe_refund(0, fact.clone()).unwrap();
            if was_final {
                prop_assert_eq!(&before, &world.loaded.refunds[0].state);
            }
            prop_assert_eq!(world.observe_refund(0, fact), Ok(false), "said twice");
        }
        let ends = [EventKind::RefundSucceeded, EventKind::RefundFailed, EventKind::RefundClosed];
        let n_ends: usize = ends.into_iter().map(|kind| world.count(kind)).sum();
        let is_final = !world.loaded.refunds[0].state.is_pending();
        prop_assert_eq!(n_ends, usize::from(is_final));
    }
}
