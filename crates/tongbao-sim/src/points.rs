//! Every point of every flow: one life for each call that the flow makes and each way in which that
//! call can go wrong, and nothing else goes wrong in it.

use crate::fault::{Fault, Point, What};
use crate::kind::Kind;
use crate::life::{Outcome, live};
use crate::plan::{Deed, Down, DownAs, Plan, Shop, Step};
use crate::providers::Merchant;
use tongbao_core::Policy;
use tongbao_types::{Channel, Span};

/// What becomes of a flow at each of its points.
#[derive(Debug)]
pub struct Pointed {
    /// The flow's name.
    pub flow: &'static str,
    /// How many calls it makes: to the database, to providers, of notices, of webhooks, for bills.
    pub calls: [u32; 5],
    /// How many lives were lived.
    pub lives: u32,
    /// Those that failed.
    pub failed: Vec<(Plan, Outcome)>,
}

/// The flows that are enumerated.
pub const FLOWS: [&str; 7] = ["create", "notify", "close", "refund", "attempt", "deliver", "bill"];

const WAYS: [What; 4] = [What::Fails, What::FailsAfter, What::Crash, What::CrashAfter];

/// Lives a flow with one fault at each of its points.
pub fn point_at(flow: &'static str, kind: Kind) -> Pointed {
    let plan = plan(flow, kind);
    let undisturbed = live(&plan);
    let mut pointed = Pointed { flow, calls: undisturbed.calls, lives: 1, failed: Vec::new() };
    if !undisturbed.violations.is_empty() {
        pointed.failed.push((plan, undisturbed));
        return pointed;
    }
    for (point, calls) in Point::ALL.into_iter().zip(pointed.calls) {
        // What comes before the bill is what other flows have too.
        if flow == "bill" && point != Point::Bill {
            continue;
        }
        for (nth, what) in (0..calls).flat_map(|nth| WAYS.map(|what| (nth, what))) {
            let faults = vec![Fault { point, nth, what }];
            let plan = Plan { faults, ..plan.clone() };
            let outcome = live(&plan);
            pointed.lives += 1;
            if !outcome.violations.is_empty() {
                pointed.failed.push((plan, outcome));
            }
        }
    }
    pointed
}

fn plan(flow: &str, kind: Kind) -> Plan {
    let (merchant, order) = (Merchant::One, 0);
    let create = |channel| Deed::Create {
        merchant,
        order,
        channel,
        account: None,
        fen: 1200,
        expires: Some(Span::from_seconds(60)),
        key: Some(1),
    };
    let pay = |attempt| Deed::Pay { merchant, order, attempt, outcome: "success" };
    let refund = Deed::Refund { merchant, order, fen: Some(700), number: 1, key: Some(2) };
    let ask = |channel, key| Deed::Attempt { merchant, order, channel, key: Some(key) };
    let [channel, other] = match kind.provider() {
        tongbao_types::Provider::Wechat => [Channel::WechatNative, Channel::WechatH5],
        tongbao_types::Provider::Alipay => [Channel::AlipayQr, Channel::AlipayPage],
    };
    let deeds = match flow {
        "create" => vec![(1, create(Some(channel))), (80, create(Some(channel)))],
        "notify" => vec![(1, create(Some(channel))), (8, pay(0))],
        "bill" => vec![(1, create(Some(channel))), (8, pay(0)), (20, refund)],
        "close" => vec![(1, create(Some(channel))), (8, Deed::Close { merchant, order })],
        "refund" => {
            let again = (100, refund.clone());
            vec![(1, create(Some(channel))), (8, pay(0)), (20, refund), again]
        }
        "attempt" => vec![
            (1, create(None)),
            (2, ask(channel, 3)),
            (4, ask(other, 4)),
            (8, pay(0)),
            (8, pay(1)),
        ],
        _ => vec![(1, create(Some(channel))), (3, Deed::Close { merchant, order })],
    };
    let step = |(second, deed)| Step { at: Span::from_seconds(second), deed };
    let down = |endpoint| Down {
        endpoint,
        from: Span::ZERO,
        until: Span::from_seconds(30),
        how: DownAs::Fails,
    };
    let accounts = vec![kind];
    Plan {
        seed: 1,
        processes: 1,
        shops: vec![Shop { merchant, accounts, policy: Policy::default() }],
        steps: deeds.into_iter().map(step).collect(),
        faults: Vec::new(),
        downs: if flow == "deliver" { vec![down(0), down(1)] } else { Vec::new() },
        heals_at: Span::from_seconds(200),
        has_forger: false,
        has_older: false,
        has_bills: flow == "bill",
        bug: None,
    }
}
