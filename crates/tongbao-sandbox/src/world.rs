//! Everything that the pretend providers know: trades, codes, notifications, rules. The one place
//! that changes them, so that each change reaches the journal and each payment its notification.
//!
//! It knows no HTTP and no protocol. Callers hold it under a lock, for short, and never wait.

mod codes;
mod refunds;

pub(crate) use codes::{AUTH_CODE_LIFE, AuthCodeRefusal, CodeRefusal};

use crate::journal::{AuthCode, Code, Journal, JournalError, Record};
use crate::magic::{self, Effect};
use crate::notice::{Notice, NoticeKind, Try};
use crate::numbers;
use crate::order::{Key, Order};
use crate::rules::Rules;
use crate::trade::{Change, Closing, PayRefusal, Plan, PlannedAct, Reversing, State, Trade};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use tongbao_types::{Provider, Span, Timestamp};

/// How long a payer waits that pays by itself.
const PAYS_BY_ITSELF: Span = Span::from_seconds(10);
/// The same, in a rehearsal.
const SOON: Span = Span::from_seconds(1);
/// How long a payer types a password.
const TYPES: Span = Span::from_seconds(40);
/// How long one types who then gives up.
const TYPES_IN_VAIN: Span = Span::from_seconds(20);
/// How late a notification is that is to be late.
const LATE_NOTICE: Span = Span::from_seconds(30);

/// Why an order call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderRefusal {
    Paid,
    Closed,
    /// The same number with other parameters.
    Differs,
}

/// Why a scanned payer is not charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChargeRefusal {
    Order(OrderRefusal),
    Code(AuthCodeRefusal),
}

/// Who pays when nobody says who.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Payers {
    pub(crate) openid: String,
    pub(crate) buyer_id: String,
}

impl Payers {
    pub(crate) fn of(&self, provider: Provider) -> &str {
        match provider {
            Provider::Wechat => &self.openid,
            Provider::Alipay => &self.buyer_id,
        }
    }
}

/// What cancel (Alipay) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    NotExist,
    Closed,
    Refunded,
    /// It was over already.
    Nothing,
}

/// The state of the sandbox.
#[derive(Debug)]
pub(crate) struct World {
    trades: HashMap<Key, Trade>,
    /// Keys in the order of placing.
    placed: Vec<Key>,
    by_trade_no: HashMap<(Provider, String), Key>,
    codes: HashMap<String, Code>,
    codes_of: HashMap<Key, Vec<String>>,
    auth_codes: HashMap<String, AuthCode>,
    /// WeChat's refunds by the merchant's number and by its own.
    refunds: HashMap<String, Key>,
    payers: Payers,
    notices: BTreeMap<u64, Notice>,
    /// Notices by the time of their next try; those under way are not in it.
    due: BTreeSet<(Timestamp, u64)>,
    deadlines: BTreeSet<(Timestamp, Key)>,
    rules: Rules,
    named_public_key: bool,
    clock_offset: Span,
    journal: Journal,
}

impl World {
    /// An empty world that remembers nothing.
    pub(crate) fn new(rules: Rules) -> World {
        World {
            trades: HashMap::new(),
            placed: Vec::new(),
            by_trade_no: HashMap::new(),
            codes: HashMap::new(),
            codes_of: HashMap::new(),
            auth_codes: HashMap::new(),
            refunds: HashMap::new(),
            payers: Payers::default(),
            notices: BTreeMap::new(),
            due: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            rules,
            named_public_key: false,
            clock_offset: Span::ZERO,
            journal: Journal::none(),
        }
    }

    /// The world as the journal has it, which is then written anew without what was overtaken.
    pub(crate) fn open(path: &Path, rules: Rules) -> Result<World, JournalError> {
        let mut world = World::new(rules);
        for record in Journal::read(path)? {
            world.replay(record);
        }
        world.journal = Journal::start(path, &world.records())?;
        Ok(world)
    }

    /// The switches.
    pub(crate) fn rules(&self) -> Rules {
        self.rules
    }

    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
        self.journal.append(&Record::Rules(rules));
    }

    /// Who pays by itself.
    pub(crate) fn payers(&self) -> &Payers {
        &self.payers
    }

    pub(crate) fn set_payers(&mut self, payers: Payers) {
        self.payers = payers;
    }

    /// How far ahead of the machine the last run was.
    pub(crate) fn clock_offset(&self) -> Span {
        self.clock_offset
    }

    pub(crate) fn set_clock_offset(&mut self, offset: Span) {
        self.clock_offset = offset;
        self.journal.append(&Record::ClockOffset(offset.as_micros()));
    }

    /// Whether the merchant's last v3 request named the WeChat Pay public key.
    pub(crate) fn named_public_key(&self) -> bool {
        self.named_public_key
    }

    pub(crate) fn set_named_public_key(&mut self, named: bool) {
        if self.named_public_key != named {
            self.named_public_key = named;
            self.journal.append(&Record::NamedPublicKey(named));
        }
    }

    /// Takes an order. The same number again with the same content continues the same trade.
    pub(crate) fn place(&mut self, order: Order, now: Timestamp) -> Result<(), OrderRefusal> {
        self.settle(now);
        let key = order.key.clone();
        if let Some(known) = self.trades.get(&key) {
            return match known.state {
                State::Paid | State::Finished => Err(OrderRefusal::Paid),
                State::Closed | State::Failed | State::Reversed => Err(OrderRefusal::Closed),
                _ if known.order.content != order.content => Err(OrderRefusal::Differs),
                _ => Ok(()),
            };
        }
        let pause = match magic::of_order(order.amount).filter(|_| !order.product.is_scanned()) {
            Some(Effect::NoticeFirst) => Some(Span::ZERO),
            Some(Effect::PaysByItself) => Some(PAYS_BY_ITSELF),
            _ => None,
        };
        let mut trade = Trade::placed(order, now);
        trade.plan = pause.map(|pause| self.plan(&trade, now + pause));
        self.placed.push(key.clone());
        self.trades.insert(key.clone(), trade);
        self.keep(&key);
        self.settle(now);
        Ok(())
    }

    /// Charges the payer whose code was scanned: paid at once, or at the password.
    pub(crate) fn charge(
        &mut self,
        order: Order,
        auth_code: &str,
        now: Timestamp,
    ) -> Result<Trade, ChargeRefusal> {
        let key = order.key.clone();
        if !self.trades.contains_key(&key) {
            self.use_auth_code(auth_code, &key, now).map_err(ChargeRefusal::Code)?;
        }
        let known = self.trades.contains_key(&key);
        self.place(order, now).map_err(ChargeRefusal::Order)?;
        let payer = self.payers.of(key.provider).to_owned();
        let above = self.rules.password_above;
        if let Some(trade) = self.trades.get_mut(&key).filter(|_| !known) {
            let before = trade.state;
            let (pause, act) = match trade.effect() {
                Some(Effect::ScanPassword) => (Some(TYPES), PlannedAct::Pay),
                Some(Effect::ScanGivesUp) => (Some(TYPES_IN_VAIN), PlannedAct::GiveUp),
                _ => (None, PlannedAct::Pay),
            };
            let begun = match (pause, trade.order.amount > above) {
                (None, false) => trade.pay(&payer, now),
                _ => trade.start_paying(&payer, now),
            };
            debug_assert!(begun.is_ok(), "an order placed just now can be paid");
            trade.plan = pause.map(|pause| Plan { at: now + pause, act, payer });
            let after = trade.clone();
            self.keep(&key);
            self.notify_change(&after, before, now);
        }
        self.trades.get(&key).cloned().ok_or(ChargeRefusal::Order(OrderRefusal::Closed))
    }

    /// Lets the payer of an order that waits pay by itself in a moment.
    pub(crate) fn pay_by_itself(&mut self, key: &Key, now: Timestamp) {
        let Some(trade) = self.trades.get(key) else { return };
        let plan = self.plan(trade, now + SOON);
        if let Some(trade) = self.trades.get_mut(key).filter(|trade| trade.is_waiting()) {
            trade.plan.get_or_insert(plan);
        }
        self.keep(key);
    }

    fn plan(&self, trade: &Trade, at: Timestamp) -> Plan {
        Plan { at, act: PlannedAct::Pay, payer: self.payer_of(trade).to_owned() }
    }

    /// Who pays an order: whom it names, or the pretend payer.
    pub(crate) fn payer_of<'a>(&'a self, trade: &'a Trade) -> &'a str {
        let named = trade.order.payer.as_deref();
        named.unwrap_or_else(|| self.payers.of(trade.order.key.provider))
    }

    /// A trade by the merchant's number, as it stands now.
    pub(crate) fn find(&mut self, key: &Key, now: Timestamp) -> Option<&Trade> {
        self.settle(now);
        self.trades.get(key)
    }

    /// A trade by the provider's number, as it stands now.
    pub(crate) fn find_by_trade_no(
        &mut self,
        provider: Provider,
        trade_no: &str,
        now: Timestamp,
    ) -> Option<&Trade> {
        self.settle(now);
        let key = self.by_trade_no.get(&(provider, trade_no.to_owned()))?;
        self.trades.get(key)
    }

    /// Lets a payer do something with a trade, and notifies what changed. None if there is none.
    pub(crate) fn payer(
        &mut self,
        key: &Key,
        now: Timestamp,
        act: impl FnOnce(&mut Trade) -> Result<(), PayRefusal>,
    ) -> Option<Result<Trade, PayRefusal>> {
        self.settle(now);
        let trade = self.trades.get_mut(key)?;
        let before = trade.state;
        let outcome = act(trade);
        let after = trade.clone();
        self.keep(key);
        if outcome.is_ok() {
            self.notify_change(&after, before, now);
        }
        Some(outcome.map(|()| after))
    }

    /// The merchant closes a trade. None if there is none.
    pub(crate) fn close(&mut self, key: &Key, now: Timestamp) -> Option<Closing> {
        self.settle(now);
        let payer = self.payer_of(self.trades.get(key)?).to_owned();
        let trade = self.trades.get_mut(key)?;
        let before = trade.state;
        let effect = trade.effect();
        if effect == Some(Effect::ClosePaid) && trade.is_waiting() {
            // Who may not pay any more does not win the race.
            let _ = trade.pay(&payer, now);
        }
        let closing = trade.close(now);
        if closing == Closing::Done && effect == Some(Effect::CloseThenPaid) {
            trade.plan_late_payment(&payer, now);
        }
        self.changed(key, before, now);
        Some(closing)
    }

    /// The merchant takes a scanned payment back. None if there is no such trade.
    pub(crate) fn reverse(&mut self, key: &Key, now: Timestamp) -> Option<Reversing> {
        self.settle(now);
        let trade = self.trades.get_mut(key)?;
        let before = trade.state;
        let reversing = trade.reverse(now);
        self.changed(key, before, now);
        Some(reversing)
    }

    /// Writes a trade down and notifies, if its state is another than before.
    fn changed(&mut self, key: &Key, before: State, now: Timestamp) {
        let Some(trade) = self.trades.get(key).filter(|trade| trade.state != before) else {
            return;
        };
        let after = trade.clone();
        self.keep(key);
        self.notify_change(&after, before, now);
    }

    /// Alipay's cancel: closes an unpaid trade, gives a paid one back.
    pub(crate) fn cancel(&mut self, key: &Key, now: Timestamp) -> Cancelled {
        self.settle(now);
        let Some(trade) = self.trades.get_mut(key) else { return Cancelled::NotExist };
        let before = trade.state;
        let done = match before {
            State::Fresh => return Cancelled::NotExist,
            State::Closed | State::Failed | State::Reversed | State::Finished => {
                return Cancelled::Nothing;
            }
            State::Paid => {
                trade.give_back(now);
                Cancelled::Refunded
            }
            State::Open | State::Paying => {
                trade.close(now);
                Cancelled::Closed
            }
        };
        let after = trade.clone();
        self.keep(key);
        self.notify_change(&after, before, now);
        done
    }

    /// All trades, oldest first, as they stand now.
    pub(crate) fn trades(&mut self, now: Timestamp) -> impl DoubleEndedIterator<Item = &Trade> {
        self.settle(now);
        self.placed.iter().filter_map(|key| self.trades.get(key))
    }

    /// All notifications, oldest first.
    pub(crate) fn notices(&self) -> impl DoubleEndedIterator<Item = &Notice> {
        self.notices.values()
    }

    /// Takes out one notification whose try is due, with its trade. It stays out of the timetable
    /// until [`World::record_try`] says how it went.
    pub(crate) fn take_due(&mut self, now: Timestamp) -> Option<(Notice, Trade)> {
        self.settle(now);
        loop {
            let (_, seq) = self.due.first().filter(|(at, _)| *at <= now).copied()?;
            self.due.pop_first();
            let notice = self.notices.get(&seq)?;
            if let Some(trade) = self.trades.get(&notice.key) {
                return Some((notice.clone(), trade.clone()));
            }
        }
    }

    /// When something happens next by itself: a try, or a trade's time running out.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let notice = self.due.first().map(|(at, _)| *at);
        let trade = self.deadlines.first().map(|(at, _)| *at);
        [notice, trade].into_iter().flatten().min()
    }

    /// Records a message as sent and how its turn went. `extra` is a duplicate beside the turn.
    pub(crate) fn record_try(&mut self, seq: u64, sent: Sent, tried: Try, kind: TryKind) {
        let Some(notice) = self.notices.get_mut(&seq) else { return };
        let before = notice.next_at;
        notice.headers = sent.headers;
        notice.body = sent.body;
        match kind {
            TryKind::Turn => notice.record_turn(tried, sent.delivered),
            TryKind::Extra => notice.record_extra(tried, sent.delivered),
        }
        let next = notice.next_at;
        let record = Record::Notice(notice.clone());
        self.reschedule(seq, before, next);
        self.journal.append(&record);
    }

    fn reschedule(&mut self, seq: u64, before: Option<Timestamp>, next: Option<Timestamp>) {
        if let Some(at) = before {
            self.due.remove(&(at, seq));
        }
        self.due.extend(next.map(|at| (at, seq)));
    }

    fn settle(&mut self, now: Timestamp) {
        while let Some((at, key)) = self.deadlines.first().filter(|(at, _)| *at <= now).cloned() {
            self.deadlines.remove(&(at, key.clone()));
            while let Some((at, change)) = self.step(&key, now) {
                self.keep(&key);
                let Some(after) = self.trades.get(&key).cloned() else { break };
                // Owed since it happened: a clock that was moved far makes up for the tries.
                match change {
                    Change::State(before) => self.notify_change(&after, before, at),
                    Change::Refund(number) => self.notify_refund(&after, &number, at),
                }
            }
        }
    }

    fn step(&mut self, key: &Key, now: Timestamp) -> Option<(Timestamp, Change)> {
        let trade = self.trades.get_mut(key)?;
        let at = trade.next_at()?;
        trade.step(now).map(|change| (at, change))
    }

    /// Writes a trade down and renews what points to it.
    fn keep(&mut self, key: &Key) {
        let Some(trade) = self.trades.get(key) else { return };
        self.journal.append(&Record::Trade(Box::new(trade.clone())));
        self.index(key);
    }

    fn index(&mut self, key: &Key) {
        let Some(trade) = self.trades.get(key) else { return };
        if let Some(trade_no) = &trade.trade_no {
            self.by_trade_no.insert((key.provider, trade_no.clone()), key.clone());
        }
        // A deadline that no longer holds is harmless: settling asks the trade itself.
        self.deadlines.extend(trade.next_at().map(|at| (at, key.clone())));
        let wechat = trade.refunds.iter().filter(|_| key.provider == Provider::Wechat);
        for refund in wechat {
            let numbers = [Some(&refund.out_refund_no), refund.refund_id.as_ref()];
            for number in numbers.into_iter().flatten() {
                self.refunds.insert(number.clone(), key.clone());
            }
        }
    }

    /// WeChat tells payments; Alipay what the merchant's switches ask for (触发通知类型).
    fn notify_change(&mut self, trade: &Trade, before: State, now: Timestamp) {
        let Some(url) = trade.order.notify_url.clone() else { return };
        if trade.state == before {
            return;
        }
        let kind = match (trade.order.key.provider, trade.state) {
            (Provider::Wechat, State::Paid) if !trade.order.product.is_scanned() => {
                NoticeKind::Payment
            }
            (Provider::Wechat, _) => return,
            (Provider::Alipay, state) => {
                let wanted = match state {
                    State::Open => self.rules.alipay_notify_wait && before == State::Fresh,
                    State::Paid => self.rules.alipay_notify_success,
                    State::Closed => self.rules.alipay_notify_closed,
                    State::Finished => self.rules.alipay_notify_finished,
                    State::Fresh | State::Paying | State::Failed | State::Reversed => false,
                };
                match trade.alipay_status().filter(|_| wanted) {
                    Some(status) => NoticeKind::TradeStatus(status.to_owned()),
                    None => return,
                }
            }
        };
        let late = trade.state == State::Paid && trade.effect() == Some(Effect::NoticeLate);
        let at = if late { now + LATE_NOTICE } else { now };
        self.owe(&trade.order.key, kind, url, (now, at));
    }

    /// Owes a notification from `now` on; its first try is due at `at`.
    fn owe(&mut self, key: &Key, kind: NoticeKind, url: String, (now, at): (Timestamp, Timestamp)) {
        let seq = self.notices.last_key_value().map_or(1, |(last, _)| last + 1);
        let id = match key.provider {
            Provider::Wechat => numbers::wechat_notice_id(now),
            Provider::Alipay => numbers::alipay_notify_id(now),
        };
        let notice = Notice {
            seq,
            id,
            key: key.clone(),
            kind,
            url,
            created_at: now,
            next_at: Some(at),
            n_turns: 0,
            tries: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
            delivered: false,
        };
        self.journal.append(&Record::Notice(notice.clone()));
        self.due.insert((at, seq));
        self.notices.insert(seq, notice);
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Trade(trade) => {
                let key = trade.order.key.clone();
                if self.trades.insert(key.clone(), *trade).is_none() {
                    self.placed.push(key.clone());
                }
                self.index(&key);
            }
            Record::Code(code) => self.insert_code(code),
            Record::AuthCode(code) => {
                self.auth_codes.insert(code.text.clone(), code);
            }
            Record::Notice(notice) => {
                let (seq, next) = (notice.seq, notice.next_at);
                let before = self.notices.insert(seq, notice).and_then(|older| older.next_at);
                self.reschedule(seq, before, next);
            }
            Record::Rules(rules) => self.rules = rules,
            Record::ClockOffset(micros) => self.clock_offset = Span::from_micros(micros),
            Record::NamedPublicKey(named) => self.named_public_key = named,
        }
    }

    /// The present as records that rebuild it.
    fn records(&self) -> Vec<Record> {
        let mut all = vec![
            Record::Rules(self.rules),
            Record::ClockOffset(self.clock_offset.as_micros()),
            Record::NamedPublicKey(self.named_public_key),
        ];
        for key in &self.placed {
            all.extend(self.trades.get(key).cloned().map(Box::new).map(Record::Trade));
            let codes = self.codes_of(key).iter();
            all.extend(codes.filter_map(|text| self.codes.get(text)).cloned().map(Record::Code));
        }
        all.extend(self.auth_codes.values().cloned().map(Record::AuthCode));
        all.extend(self.notices.values().cloned().map(Record::Notice));
        all
    }
}

/// A message as it went out, and whether its receiver took it.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) delivered: bool,
}

/// Whether a sending was a turn of the timetable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TryKind {
    Turn,
    Extra,
}

#[cfg(test)]
mod tests;
