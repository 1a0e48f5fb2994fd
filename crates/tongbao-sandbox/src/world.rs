//! Everything that the pretend providers know: trades, codes, notifications, rules. The one place
//! that changes them, so that each change reaches the journal and each payment its notification.
//!
//! It knows no HTTP and no protocol. Callers hold it under a lock, for short, and never wait.

use crate::journal::{Code, Journal, JournalError, Record};
use crate::notice::{Notice, NoticeKind, Try};
use crate::numbers;
use crate::rules::Rules;
use crate::trade::{Closing, Key, Order, PayRefusal, Product, State, Trade};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use tongbao_types::{Provider, Span, Timestamp};

/// How long a code_url, a prepay_id and a qr_code can be used.
const CODE_LIFE: Span = Span::from_seconds(2 * 3600);
/// How long the address of WeChat's H5 page can be used.
const H5_LIFE: Span = Span::from_seconds(300);

/// Why an order call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OrderRefusal {
    Paid,
    Closed,
    /// The same number with other parameters.
    Differs,
}

/// Why a code leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodeRefusal {
    Unknown,
    Void,
    Expired,
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
                State::Paid => Err(OrderRefusal::Paid),
                State::Closed => Err(OrderRefusal::Closed),
                _ if known.order.content != order.content => Err(OrderRefusal::Differs),
                _ => Ok(()),
            };
        }
        self.placed.push(key.clone());
        self.trades.insert(key.clone(), Trade::placed(order, now));
        self.keep(&key);
        Ok(())
    }

    /// Gives the order a code. WeChat's older codes of the order become void.
    pub(crate) fn issue_code(&mut self, key: &Key, text: &str, now: Timestamp) {
        if key.provider == Provider::Wechat {
            let older = self.codes_of.get(key).cloned().unwrap_or_default();
            for text in older {
                self.void_code(&text);
            }
        }
        let code = Code { text: text.to_owned(), key: key.clone(), issued_at: now, void: false };
        self.journal.append(&Record::Code(code.clone()));
        self.insert_code(code);
    }

    /// The codes that were issued for an order, oldest first.
    pub(crate) fn codes_of(&self, key: &Key) -> &[String] {
        self.codes_of.get(key).map_or(&[], Vec::as_slice)
    }

    /// What a scanned code belongs to.
    pub(crate) fn scan(&self, text: &str, now: Timestamp) -> Result<Key, CodeRefusal> {
        let code = self.codes.get(text).ok_or(CodeRefusal::Unknown)?;
        // A finished order is reported as such, whatever became of its code.
        let Some(trade) = self.trades.get(&code.key).filter(|trade| trade.is_waiting()) else {
            return Ok(code.key.clone());
        };
        let life = if trade.order.product == Product::WechatH5 { H5_LIFE } else { CODE_LIFE };
        if code.void {
            return Err(CodeRefusal::Void);
        }
        if now.since(code.issued_at) >= life {
            return Err(CodeRefusal::Expired);
        }
        Ok(code.key.clone())
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
        let trade = self.trades.get_mut(key)?;
        let before = trade.state;
        let closing = trade.close(now);
        let after = trade.clone();
        if closing == Closing::Done {
            self.keep(key);
            self.notify_change(&after, before, now);
        }
        Some(closing)
    }

    /// Alipay's cancel: closes an unpaid trade, gives a paid one back.
    pub(crate) fn cancel(&mut self, key: &Key, now: Timestamp) -> Cancelled {
        self.settle(now);
        let Some(trade) = self.trades.get_mut(key) else { return Cancelled::NotExist };
        let before = trade.state;
        let done = match before {
            State::Fresh => return Cancelled::NotExist,
            State::Closed => return Cancelled::Nothing,
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
            let Some(trade) = self.trades.get_mut(&key) else { continue };
            let before = trade.state;
            if trade.settle(now) {
                let after = trade.clone();
                self.keep(&key);
                self.notify_change(&after, before, now);
            }
        }
    }

    /// Writes a trade down and renews what points to it.
    fn keep(&mut self, key: &Key) {
        let Some(trade) = self.trades.get(key) else { return };
        self.journal.append(&Record::Trade(trade.clone()));
        self.index(key);
    }

    fn index(&mut self, key: &Key) {
        let Some(trade) = self.trades.get(key) else { return };
        if let Some(trade_no) = &trade.trade_no {
            self.by_trade_no.insert((key.provider, trade_no.clone()), key.clone());
        }
        // A deadline that no longer holds is harmless: settling asks the trade itself.
        self.deadlines.extend(trade.closes_at().map(|at| (at, key.clone())));
    }

    /// WeChat tells payments; Alipay what the merchant's switches ask for (触发通知类型).
    fn notify_change(&mut self, trade: &Trade, before: State, now: Timestamp) {
        let Some(url) = trade.order.notify_url.clone() else { return };
        if trade.state == before {
            return;
        }
        let kind = match (trade.order.key.provider, trade.state) {
            (Provider::Wechat, State::Paid) => NoticeKind::Payment,
            (Provider::Wechat, _) => return,
            (Provider::Alipay, state) => {
                let wanted = match state {
                    State::Open => self.rules.alipay_notify_wait && before == State::Fresh,
                    State::Paid => self.rules.alipay_notify_success,
                    State::Closed => self.rules.alipay_notify_closed,
                    State::Fresh | State::Paying => false,
                };
                match trade.alipay_status().filter(|_| wanted) {
                    Some(status) => NoticeKind::TradeStatus(status.to_owned()),
                    None => return,
                }
            }
        };
        self.owe(trade.order.key.clone(), kind, url, now);
    }

    fn owe(&mut self, key: Key, kind: NoticeKind, url: String, now: Timestamp) {
        let seq = self.notices.last_key_value().map_or(1, |(last, _)| last + 1);
        let id = match key.provider {
            Provider::Wechat => numbers::wechat_notice_id(now),
            Provider::Alipay => numbers::alipay_notify_id(now),
        };
        let notice = Notice {
            seq,
            id,
            key,
            kind,
            url,
            created_at: now,
            next_at: Some(now),
            n_turns: 0,
            tries: Vec::new(),
            headers: Vec::new(),
            body: String::new(),
            delivered: false,
        };
        self.journal.append(&Record::Notice(notice.clone()));
        self.due.insert((now, seq));
        self.notices.insert(seq, notice);
    }

    fn void_code(&mut self, text: &str) {
        if let Some(code) = self.codes.get_mut(text).filter(|code| !code.void) {
            code.void = true;
            self.journal.append(&Record::Code(code.clone()));
        }
    }

    fn insert_code(&mut self, code: Code) {
        let texts = self.codes_of.entry(code.key.clone()).or_default();
        if !texts.contains(&code.text) {
            texts.push(code.text.clone());
        }
        self.codes.insert(code.text.clone(), code);
    }

    fn replay(&mut self, record: Record) {
        match record {
            Record::Trade(trade) => {
                let key = trade.order.key.clone();
                if self.trades.insert(key.clone(), trade).is_none() {
                    self.placed.push(key.clone());
                }
                self.index(&key);
            }
            Record::Code(code) => self.insert_code(code),
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
            all.extend(self.trades.get(key).cloned().map(Record::Trade));
            let codes = self.codes_of(key).iter();
            all.extend(codes.filter_map(|text| self.codes.get(text)).cloned().map(Record::Code));
        }
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
mod tests {
    use super::*;
    use crate::trade::Api;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_795_242_600 + seconds)
    }

    fn order(provider: Provider, number: &str, content: &str) -> Order {
        let (api, product) = match provider {
            Provider::Wechat => (Api::WechatV3, Product::WechatNative),
            Provider::Alipay => {
                (Api::AlipayOpen { charset: "utf-8".to_owned() }, Product::AlipayQr)
            }
        };
        Order {
            key: Key::new(provider, number),
            api,
            product,
            app_id: "a".to_owned(),
            amount: 100,
            subject: "s".to_owned(),
            body: None,
            attach: None,
            content: content.to_owned(),
            notify_url: Some("http://127.0.0.1:1/n".to_owned()),
            return_url: None,
            pay_until: None,
            pay_within: None,
        }
    }

    fn pay(world: &mut World, key: &Key, seconds: i64) -> Result<Trade, PayRefusal> {
        world.payer(key, at(seconds), |trade| trade.pay("o1", at(seconds))).unwrap()
    }

    fn failed(seconds: i64) -> (Sent, Try) {
        let sent = Sent { headers: Vec::new(), body: "b".to_owned(), delivered: false };
        (sent, Try { at: at(seconds), status: Some(500), body: String::new() })
    }

    #[test]
    fn the_same_order_continues_and_another_content_is_refused() {
        let mut world = World::new(Rules::default());
        let key = Key::new(Provider::Wechat, "T1");
        assert_eq!(world.place(order(Provider::Wechat, "T1", "x"), at(0)), Ok(()));
        assert_eq!(world.place(order(Provider::Wechat, "T1", "x"), at(1)), Ok(()));
        let differs = world.place(order(Provider::Wechat, "T1", "y"), at(1));
        assert_eq!(differs, Err(OrderRefusal::Differs));
        assert!(pay(&mut world, &key, 2).is_ok());
        let paid = world.place(order(Provider::Wechat, "T1", "x"), at(3));
        assert_eq!(paid, Err(OrderRefusal::Paid));
        assert_eq!(world.trades(at(3)).count(), 1);
    }

    #[test]
    fn a_new_code_voids_the_older_one_at_wechat_only() {
        let mut world = World::new(Rules::default());
        for (provider, older) in
            [(Provider::Wechat, Err(CodeRefusal::Void)), (Provider::Alipay, Ok(()))]
        {
            let key = Key::new(provider, "T1");
            world.place(order(provider, "T1", ""), at(0)).unwrap();
            world.issue_code(&key, &format!("{provider}-1"), at(0));
            world.issue_code(&key, &format!("{provider}-2"), at(1));
            assert_eq!(world.scan(&format!("{provider}-1"), at(2)).map(|_| ()), older);
            assert_eq!(world.scan(&format!("{provider}-2"), at(2)), Ok(key));
            let late = world.scan(&format!("{provider}-2"), at(1 + 7200));
            assert_eq!(late, Err(CodeRefusal::Expired));
        }
        assert_eq!(world.scan("nothing", at(0)), Err(CodeRefusal::Unknown));
    }

    #[test]
    fn the_address_of_an_h5_page_lives_five_minutes() {
        let mut world = World::new(Rules::default());
        let mut wanted = order(Provider::Wechat, "T1", "");
        wanted.product = Product::WechatH5;
        let key = wanted.key.clone();
        world.place(wanted, at(0)).unwrap();
        world.issue_code(&key, "https://wx", at(0));
        assert_eq!(world.scan("https://wx", at(299)), Ok(key));
        assert_eq!(world.scan("https://wx", at(300)), Err(CodeRefusal::Expired));
    }

    #[test]
    fn each_change_owes_the_notice_that_the_provider_sends() {
        let mut world = World::new(Rules::default());
        let wechat = Key::new(Provider::Wechat, "T1");
        let alipay = Key::new(Provider::Alipay, "T1");
        world.place(order(Provider::Wechat, "T1", ""), at(0)).unwrap();
        world.place(order(Provider::Alipay, "T1", ""), at(0)).unwrap();
        assert_eq!(world.next_at(), Some(at(7 * 86_400)), "only WeChat's own close is ahead");
        pay(&mut world, &wechat, 1).unwrap();
        world
            .payer(&alipay, at(1), |trade| trade.arrive("2088", at(1)).map(|_| ()))
            .unwrap()
            .unwrap();
        assert_eq!(world.close(&alipay, at(2)), Some(Closing::Done));
        let kinds: Vec<_> = world.notices().map(|notice| notice.kind_word().to_owned()).collect();
        assert_eq!(kinds, ["payment", "TRADE_CLOSED"]);
    }

    #[test]
    fn a_timeout_closes_and_notifies_without_anybody_asking() {
        let mut world = World::new(Rules::default());
        let key = Key::new(Provider::Alipay, "T1");
        world.place(order(Provider::Alipay, "T1", ""), at(0)).unwrap();
        world.payer(&key, at(0), |trade| trade.arrive("2088", at(0)).map(|_| ())).unwrap().unwrap();
        assert_eq!(world.next_at(), Some(at(3 * 3600)));
        let (notice, trade) = world.take_due(at(3 * 3600)).unwrap();
        assert_eq!(notice.kind_word(), "TRADE_CLOSED");
        assert_eq!(trade.state, State::Closed);
    }

    #[test]
    fn a_notice_under_way_is_not_taken_twice_and_comes_again_by_the_timetable() {
        let mut world = World::new(Rules::default());
        let key = Key::new(Provider::Wechat, "T1");
        world.place(order(Provider::Wechat, "T1", ""), at(0)).unwrap();
        pay(&mut world, &key, 1).unwrap();
        let (notice, _) = world.take_due(at(1)).unwrap();
        assert!(world.take_due(at(1)).is_none());
        let (sent, tried) = failed(1);
        world.record_try(notice.seq, sent, tried, TryKind::Turn);
        assert!(world.take_due(at(15)).is_none());
        let (again, _) = world.take_due(at(16)).unwrap();
        assert_eq!(again.id, notice.id);
        assert_eq!(again.tries.len(), 1);
    }

    #[test]
    fn a_world_reads_back_from_its_journal() {
        let path = std::env::temp_dir().join(format!("tongbao-world-{}", std::process::id()));
        let key = Key::new(Provider::Wechat, "T1");
        {
            let mut world = World::open(&path, Rules::default()).unwrap();
            world.place(order(Provider::Wechat, "T1", ""), at(0)).unwrap();
            world.issue_code(&key, "weixin://1", at(0));
            world.issue_code(&key, "weixin://2", at(1));
            pay(&mut world, &key, 2).unwrap();
            world.set_clock_offset(Span::from_seconds(60));
            world.set_rules(Rules { wechat_close_wait: true, ..Rules::default() });
        }
        for _restart in 0..2 {
            let mut world = World::open(&path, Rules::default()).unwrap();
            assert_eq!(world.find(&key, at(3)).map(Trade::wechat_state), Some("SUCCESS"));
            assert_eq!(world.codes_of(&key).len(), 2);
            assert_eq!(world.clock_offset(), Span::from_seconds(60));
            assert!(world.rules().wechat_close_wait);
            assert_eq!(world.next_at(), Some(at(2)), "the notice is still owed");
            let trade_no =
                world.find(&key, at(3)).and_then(|trade| trade.trade_no.clone()).unwrap();
            assert!(world.find_by_trade_no(Provider::Wechat, &trade_no, at(3)).is_some());
        }
        std::fs::remove_file(&path).unwrap();
    }
}
