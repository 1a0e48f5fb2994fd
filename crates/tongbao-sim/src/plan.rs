//! A life before it is lived: who is there, what they do and what goes wrong, all by seed.
//!
//! A plan is a list of things that can be left out one by one; so a failure is made short.

mod also;

pub(crate) use also::first;

use crate::fault::{Fault, Point, What};
use crate::kind::Kind;
use crate::providers::Merchant;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tongbao_core::{Policy, Unexpected};
use tongbao_types::{Bug, Channel, Profile, Provider, Span};

/// A whole life.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it follows from.
    pub seed: u64,
    /// How many gateways share the database.
    pub processes: u32,
    /// Who sells.
    pub shops: Vec<Shop>,
    /// What is done, in the order of time.
    pub steps: Vec<Step>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// When endpoints are down.
    pub downs: Vec<Down>,
    /// From then on nothing goes wrong any more.
    pub heals_at: Span,
    /// Whether somebody rehearses orders in order to forge notices about them.
    pub has_forger: bool,
    /// Whether the first merchant has callers of older services.
    pub has_older: bool,
    /// Whether the days' bills are fetched in the end.
    pub has_bills: bool,
    /// What is planted in the gateway; nothing without the feature `planted`.
    pub bug: Option<Bug>,
}

/// A merchant with an app.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Who.
    pub merchant: Merchant,
    /// With which accounts.
    pub accounts: Vec<Kind>,
    /// What is done with unexpected money.
    pub policy: Policy,
}

/// Something that is done at a moment.
#[derive(Debug, Clone)]
pub struct Step {
    /// When, from the beginning.
    pub at: Span,
    /// What.
    pub deed: Deed,
}

/// What merchants, payers and strangers do. `order` is the merchant's number of the charge.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the requests")]
pub enum Deed {
    /// The merchant makes a charge; with a key it may be repeated.
    Create {
        merchant: Merchant,
        order: u32,
        channel: Option<Channel>,
        account: Option<Kind>,
        fen: i64,
        expires: Option<Span>,
        key: Option<u32>,
    },
    /// The merchant asks for one more channel.
    Attempt { merchant: Merchant, order: u32, channel: Channel, key: Option<u32> },
    /// The payer uses what is shown for the n-th attempt.
    Pay { merchant: Merchant, order: u32, attempt: usize, outcome: &'static str },
    /// The merchant closes the charge.
    Close { merchant: Merchant, order: u32 },
    /// The merchant asks the provider now.
    Sync { merchant: Merchant, order: u32 },
    /// The merchant gives money back: so many fen, or all that is left.
    Refund { merchant: Merchant, order: u32, fen: Option<i64>, number: u32, key: Option<u32> },
    /// A caller of an older service makes an order.
    Older { merchant: Merchant, profile: Profile, order: u32, fen: i64 },
    /// The payer of the n-th charge of such a caller pays.
    PayOlder { merchant: Merchant, profile: Profile, nth: usize },
    /// A stranger sends a notice that an order is paid.
    Forge { merchant: Merchant, order: u32, attempt: usize },
    /// A gateway's clock goes wrong by so many seconds.
    Skew { process: u32, seconds: i64 },
    /// A gateway is killed.
    Kill { process: u32 },
}

/// A time in which an endpoint does not work.
#[derive(Debug, Clone)]
pub struct Down {
    /// Which one; those of older services are counted after those of webhooks.
    pub endpoint: usize,
    /// From when.
    pub from: Span,
    /// Until when.
    pub until: Span,
    /// How.
    pub how: DownAs,
}

/// What an endpoint does that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownAs {
    /// It takes no connection.
    Refuses,
    /// It never answers.
    Hangs,
    /// It answers 500.
    Fails,
}

/// Amounts that let the sandbox misbehave, see its table of magic amounts; of orders.
const MAGIC: [i64; 22] = [
    77_701, 77_702, 77_703, 77_704, 77_705, 77_706, 77_706, 77_707, 77_708, 77_709, 77_710, 77_711,
    77_712, 77_713, 77_714, 77_715, 77_716, 77_717, 77_718, 77_719, 77_719, 77_720,
];
/// And of refunds.
const MAGIC_REFUNDS: [i64; 7] = [77_727, 77_728, 77_729, 77_730, 77_731, 77_732, 77_733];
const MAGIC_SCANS: [i64; 4] = [77_723, 77_724, 77_725, 77_726];

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Plan {
        let mut dice = StdRng::seed_from_u64(seed);
        let shops = shops(&mut dice);
        let has_forger = dice.random_bool(0.2);
        let processes = if dice.random_bool(0.4) { 2 } else { 1 };
        let heals_at = Span::from_seconds(match dice.random_range(0..20) {
            0 => 26 * 3600,
            1..=4 => 900,
            _ => 400,
        });
        let mut plan = Plan {
            seed,
            processes,
            shops,
            steps: Vec::new(),
            faults: faults(&mut dice),
            downs: downs(&mut dice, heals_at),
            heals_at,
            has_forger,
            has_older: false,
            has_bills: false,
            bug: None,
        };
        plan.add_steps(&mut dice);
        plan.add_more();
        plan.steps.sort_by_key(|step| step.at);
        plan
    }

    fn add_steps(&mut self, dice: &mut StdRng) {
        let charges = dice.random_range(1..=3);
        for order in 0..charges {
            let fen = fen(dice);
            for shop in self.shops.clone() {
                // Two merchants often sell the same thing under the same number.
                let fen = if dice.random_bool(0.7) { fen } else { self::fen(dice) };
                self.add_charge(dice, &shop, order, fen);
            }
        }
        for process in 0..self.processes {
            if dice.random_bool(0.1) {
                let seconds = dice.random_range(-90..=90);
                self.add(dice.random_range(5..200), Deed::Skew { process, seconds });
            }
            if dice.random_bool(0.1) {
                self.add(dice.random_range(5..200), Deed::Kill { process });
            }
        }
    }

    fn add(&mut self, second: i64, deed: Deed) {
        // A part of a second apart, so that what is done at once still has an order.
        let millis = i64::try_from(self.steps.len()).unwrap_or(0) * 7;
        let at = Span::from_seconds(second) + Span::from_millis(millis);
        self.steps.push(Step { at, deed });
    }

    fn add_charge(&mut self, dice: &mut StdRng, shop: &Shop, order: u32, fen: i64) {
        let merchant = shop.merchant;
        let (account, channel) = choice(dice, shop);
        let is_open = dice.random_bool(0.35);
        let is_scan = channel.is_scanned_by_merchant() && !is_open;
        let fen = if is_scan && dice.random_bool(0.4) { pick(dice, &MAGIC_SCANS) } else { fen };
        let key = dice.random_bool(0.5).then_some(order);
        let begins = dice.random_range(1..40);
        let expires = [None, Some(20), Some(60), Some(120), Some(300)];
        let expires = pick(dice, &expires).map(Span::from_seconds);
        let create = Deed::Create {
            merchant,
            order,
            channel: (!is_open).then_some(channel),
            account: dice.random_bool(0.5).then_some(account).filter(|_| !is_open),
            fen,
            expires,
            key,
        };
        for again in 0..if dice.random_bool(0.35) { 2 } else { 1 } {
            self.add(begins + again * dice.random_range(0..70), create.clone());
        }
        let attempts = if is_open { dice.random_range(1..=3) } else { dice.random_range(0..=1) };
        for attempt in 0..attempts {
            let (_, channel) = choice(dice, shop);
            let key = dice.random_bool(0.4).then_some(100 + order * 10 + attempt);
            let at = begins + dice.random_range(1..30);
            self.add(at, Deed::Attempt { merchant, order, channel, key });
        }
        self.add_payer(dice, (merchant, order), begins);
        self.add_desk(dice, (merchant, order), begins, fen);
    }

    fn add_payer(&mut self, dice: &mut StdRng, (merchant, order): (Merchant, u32), begins: i64) {
        for _ in 0..pick(dice, &[0, 1, 1, 1, 2, 3]) {
            let late = dice.random_bool(0.15);
            let at = begins + dice.random_range(if late { 60..400 } else { 2..50 });
            let attempt = dice.random_range(0..3);
            let all = ["success", "success", "success", "success", "scanned", "cancelled"];
            let outcome = pick(dice, &all);
            self.add(at, Deed::Pay { merchant, order, attempt, outcome });
        }
        if self.has_forger && dice.random_bool(0.7) {
            let (at, attempt) = (begins + dice.random_range(2..60), dice.random_range(0..2));
            self.add(at, Deed::Forge { merchant, order, attempt });
        }
    }

    fn add_desk(
        &mut self,
        dice: &mut StdRng,
        (merchant, order): (Merchant, u32),
        begins: i64,
        fen: i64,
    ) {
        if dice.random_bool(0.25) {
            self.add(begins + dice.random_range(0..90), Deed::Close { merchant, order });
        }
        for _ in 0..pick(dice, &[0, 0, 0, 1, 2]) {
            self.add(begins + dice.random_range(1..120), Deed::Sync { merchant, order });
        }
        let refunds = pick(dice, &[0, 0, 1, 2, 3]);
        let at = begins + dice.random_range(30..200);
        for refund in 0..refunds {
            let together = dice.random_bool(0.6);
            let at = if together { at } else { begins + dice.random_range(20..300) };
            let amount = match dice.random_range(0..6) {
                0 => None,
                1 => Some(fen + 1),
                2 => Some(pick(dice, &MAGIC_REFUNDS)),
                _ => Some((fen * dice.random_range(30..=80) / 100).max(1)),
            };
            let number = order * 10 + if dice.random_bool(0.2) { 0 } else { refund };
            let key = dice.random_bool(0.4).then_some(500 + number);
            let deed = Deed::Refund { merchant, order, fen: amount, number, key };
            for again in 0..if dice.random_bool(0.25) { 2 } else { 1 } {
                self.add(at + again * dice.random_range(0..70), deed.clone());
            }
        }
    }
}

fn shops(dice: &mut StdRng) -> Vec<Shop> {
    let mut shops = Vec::new();
    let merchants = if dice.random_bool(0.25) { &Merchant::ALL[..] } else { &Merchant::ALL[..1] };
    for &merchant in merchants {
        // Old protocols without key pairs cost little to compute, so they are the more frequent.
        let cheap = dice.random_bool(0.5);
        let wechat = if cheap { &Kind::WECHAT[..2] } else { &Kind::WECHAT[..] };
        let mut accounts = vec![pick(dice, wechat)];
        if !cheap || dice.random_bool(0.3) {
            accounts.push(pick(dice, &Kind::ALIPAY));
        }
        if dice.random_bool(0.2) {
            accounts.push(pick(dice, &Kind::WECHAT));
        }
        accounts.sort();
        accounts.dedup();
        if dice.random_bool(0.5) {
            accounts.reverse();
        }
        let unexpected = [Unexpected::Keep, Unexpected::Refund];
        let policy =
            Policy { late: pick(dice, &unexpected), wrong_amount: pick(dice, &unexpected) };
        shops.push(Shop { merchant, accounts, policy });
    }
    shops
}

fn choice(dice: &mut StdRng, shop: &Shop) -> (Kind, Channel) {
    let kind = pick(dice, &shop.accounts);
    let channels = match (kind.provider(), kind) {
        (_, Kind::Legacy) => &[Channel::AlipayLegacyPage][..],
        (Provider::Wechat, _) => &[
            Channel::WechatNative,
            Channel::WechatNative,
            Channel::WechatJsapi,
            Channel::WechatApp,
            Channel::WechatH5,
            Channel::WechatMicropay,
        ],
        (Provider::Alipay, _) => &[
            Channel::AlipayQr,
            Channel::AlipayQr,
            Channel::AlipayPage,
            Channel::AlipayWap,
            Channel::AlipayApp,
            Channel::AlipayJsapi,
            Channel::AlipayBarcode,
        ],
    };
    (kind, pick(dice, channels))
}

fn fen(dice: &mut StdRng) -> i64 {
    match dice.random_range(0..10) {
        0..=3 => pick(dice, &MAGIC),
        4..=5 => 200_000,
        _ => dice.random_range(1..50_000),
    }
}

fn faults(dice: &mut StdRng) -> Vec<Fault> {
    let percent = pick(dice, &[0, 1, 3, 3, 8, 15]);
    let mut faults = Vec::new();
    for (point, calls) in Point::ALL.into_iter().zip([500, 150, 30, 60]) {
        for nth in 0..calls {
            if dice.random_range(0..100) < percent {
                faults.push(Fault { point, nth, what: what(dice, point) });
            }
        }
    }
    faults
}

fn what(dice: &mut StdRng, point: Point) -> What {
    let millis = dice.random_range(100..25_000);
    let seconds = dice.random_range(100..700);
    let status = pick(dice, &[500, 502, 503, 504]);
    let everywhere = [
        What::Fails,
        What::FailsAfter,
        What::FailsAfter,
        What::Crash,
        What::CrashAfter,
        What::Slow(millis),
        What::SlowAfter(millis),
    ];
    let also: &[What] = match point {
        Point::Store => &[What::Freeze(seconds)],
        Point::Provider => &[
            What::Freeze(seconds),
            What::Status(status),
            What::StatusAfter(status),
            What::Twice,
            What::Stray(dice.random_range(1..60)),
            What::Forged,
        ],
        Point::Notice => &[
            What::Twice,
            What::Twice,
            What::Stray(dice.random_range(1..90_000)),
            What::Stray(dice.random_range(1..120)),
            What::Forged,
            What::Astray,
            What::Astray,
        ],
        Point::Webhook => &[What::Status(status), What::StatusAfter(status)],
        Point::Bill => &[
            What::Status(status),
            What::Cut,
            What::Cut,
            What::Short,
            What::Short,
            What::Spoiled,
            What::Spoiled,
            What::Trickle(millis / 20),
        ],
    };
    let all: Vec<What> = everywhere.iter().chain(also).copied().collect();
    pick(dice, &all)
}

fn downs(dice: &mut StdRng, heals_at: Span) -> Vec<Down> {
    let mut downs = Vec::new();
    for endpoint in 0..2 {
        if dice.random_bool(0.3) {
            let how = pick(dice, &[DownAs::Refuses, DownAs::Hangs, DownAs::Fails]);
            let from = Span::from_seconds(dice.random_range(0..100));
            // Seldom somebody never comes back, and is given up after three days.
            let forever = dice.random_bool(0.05);
            let until = if forever { Span::from_seconds(30 * 86_400) } else { heals_at };
            downs.push(Down { endpoint, from, until, how });
        }
    }
    downs
}

fn pick<T: Clone>(dice: &mut StdRng, all: &[T]) -> T {
    all.choose(dice).expect("there is something to choose from").clone()
}
