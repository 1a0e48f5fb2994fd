//! What lives have beside charges over `/v1`: mini programs, more forgers, the callers of older
//! services, and bills. Its dice are its own, so that it leaves the luck of everything else alone.

use super::{Deed, Down, DownAs, Plan, pick};
use crate::bills;
use crate::fault::{Fault, Point, What};
use crate::hooks::URLS;
use crate::kind::Kind;
use crate::older;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tongbao_types::{Channel, Span};

const OWN_DICE: u64 = 0x0061_6c73_6f00;

impl Plan {
    pub(super) fn add_more(&mut self) {
        let mut dice = StdRng::seed_from_u64(self.seed ^ OWN_DICE);
        self.let_some_be_minis(&mut dice);
        if dice.random_bool(0.15) {
            self.add_forger(&mut dice);
        }
        if dice.random_bool(0.25) {
            self.add_older(&mut dice);
        }
        if dice.random_bool(0.2) {
            self.add_late_orders(&mut dice);
        }
        self.has_bills = dice.random_bool(0.4);
        if self.has_bills {
            self.add_bill_faults(&mut dice);
        }
    }

    /// A page inside WeChat and a mini program differ in nothing but the name.
    fn let_some_be_minis(&mut self, dice: &mut StdRng) {
        for step in &mut self.steps {
            let channel = match &mut step.deed {
                Deed::Create { channel: Some(channel), .. } | Deed::Attempt { channel, .. } => {
                    channel
                }
                _ => continue,
            };
            if *channel == Channel::WechatJsapi && dice.random_bool(0.5) {
                *channel = Channel::WechatMini;
            }
        }
    }

    fn add_forger(&mut self, dice: &mut StdRng) {
        self.has_forger = true;
        if dice.random_bool(0.4) {
            self.add_old_gateway(dice);
        }
        for step in self.steps.clone() {
            let Deed::Create { merchant, order, .. } = step.deed else { continue };
            let seconds = step.at.as_micros() / 1_000_000 + dice.random_range(2..60);
            let attempt = dice.random_range(0..2);
            self.add(seconds, Deed::Forge { merchant, order, attempt });
        }
    }

    /// An order at Alipay's old gateway, whose notices are proven by an old signature.
    fn add_old_gateway(&mut self, dice: &mut StdRng) {
        let shop = &mut self.shops[0];
        let merchant = shop.merchant;
        if !shop.accounts.contains(&Kind::Legacy) {
            shop.accounts.push(Kind::Legacy);
        }
        let create = Deed::Create {
            merchant,
            order: 9,
            channel: Some(Channel::AlipayLegacyPage),
            account: Some(Kind::Legacy),
            fen: dice.random_range(1..50_000),
            expires: Some(Span::from_seconds(120)),
            key: None,
        };
        self.add(dice.random_range(1..40), create);
    }

    /// The first merchant moved here from older services, and has callers of theirs still.
    fn add_older(&mut self, dice: &mut StdRng) {
        self.has_older = true;
        let shop = &mut self.shops[0];
        let merchant = shop.merchant;
        for wanted in [older::WECHAT, older::ALIPAY] {
            if !shop.accounts.iter().any(|kind| wanted.contains(kind)) && dice.random_bool(0.6) {
                shop.accounts.push(pick(dice, &wanted));
            }
        }
        let profiles = older::profiles(&shop.accounts);
        for order in 0..if profiles.is_empty() { 0 } else { dice.random_range(1..=3) } {
            let profile = pick(dice, &profiles);
            let fen = super::fen(dice);
            let begins = dice.random_range(1..60);
            for again in 0..if dice.random_bool(0.3) { 2 } else { 1 } {
                let at = begins + again * dice.random_range(0..40);
                self.add(at, Deed::Older { merchant, profile, order, fen });
            }
            for _ in 0..pick(dice, &[0, 1, 1, 2]) {
                let at = begins + dice.random_range(2..60);
                self.add(at, Deed::PayOlder { merchant, profile, nth: dice.random_range(0..2) });
            }
        }
        for place in 0..older::URLS.len() {
            if dice.random_bool(0.4) {
                let how = pick(dice, &[DownAs::Refuses, DownAs::Hangs, DownAs::Fails]);
                let from = Span::from_seconds(dice.random_range(0..60));
                let forever = Span::from_seconds(30 * 86_400);
                let until = if dice.random_bool(0.4) { forever } else { self.heals_at };
                self.downs.push(Down { endpoint: URLS.len() + place, from, until, how });
            }
        }
    }

    /// A process stands still before it places an order, which is closed meanwhile.
    fn add_late_orders(&mut self, dice: &mut StdRng) {
        for _ in 0..2 {
            let (nth, seconds) = (dice.random_range(0..4), dice.random_range(20..280));
            self.faults.push(Fault { point: Point::Provider, nth, what: What::Late(seconds) });
        }
        for step in self.steps.clone() {
            let Deed::Create { merchant, order, .. } = step.deed else { continue };
            let seconds = step.at.as_micros() / 1_000_000 + dice.random_range(1..20);
            self.add(seconds, Deed::Close { merchant, order });
        }
    }

    fn add_bill_faults(&mut self, dice: &mut StdRng) {
        let percent = pick(dice, &[0, 20, 50]);
        for nth in 0..bills::FAULTS_MAX {
            if dice.random_range(0..100) < percent {
                let what = super::what(dice, Point::Bill);
                self.faults.push(Fault { point: Point::Bill, nth, what });
            }
        }
    }
}

/// The first account of the wanted kinds.
pub(crate) fn first(accounts: &[Kind], wanted: &[Kind]) -> Option<Kind> {
    accounts.iter().copied().find(|kind| wanted.contains(kind))
}
