//! What the world does with orders, codes, refunds and time.

use super::*;
use crate::magic::{self, Effect};
use crate::order::{Api, Party, Product};
use crate::refund::{RefundOrder, RefundRefusal, RefundState};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_242_600 + seconds)
}

fn order(provider: Provider, number: &str, content: &str) -> Order {
    let (api, product) = match provider {
        Provider::Wechat => (Api::WechatV3, Product::WechatNative),
        Provider::Alipay => {
            let (charset, by_certificate) = ("utf-8".to_owned(), false);
            (Api::AlipayOpen { charset, by_certificate }, Product::AlipayQr)
        }
    };
    Order {
        key: Key::new(provider, number),
        api,
        product,
        app_id: "a".to_owned(),
        party: Party::default(),
        payer: None,
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
        world.issue_codes(&key, &[&format!("{provider}-1")], at(0));
        world.issue_codes(&key, &[&format!("{provider}-2")], at(1));
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
    world.issue_codes(&key, &["https://wx"], at(0));
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
    world.payer(&alipay, at(1), |trade| trade.arrive("2088", at(1)).map(|_| ())).unwrap().unwrap();
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
        world.issue_codes(&key, &["weixin://1"], at(0));
        world.issue_codes(&key, &["weixin://2"], at(1));
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
        let trade_no = world.find(&key, at(3)).and_then(|trade| trade.trade_no.clone()).unwrap();
        assert!(world.find_by_trade_no(Provider::Wechat, &trade_no, at(3)).is_some());
    }
    std::fs::remove_file(&path).unwrap();
}

fn refund(number: &str, amount: i64, url: Option<&str>) -> RefundOrder {
    RefundOrder {
        out_refund_no: number.to_owned(),
        amount,
        total: None,
        reason: None,
        notify_url: url.map(str::to_owned),
        api: Api::WechatV3,
    }
}

/// A world with a paid order of 100 fen at each provider.
fn paid_world() -> (World, Key, Key) {
    let mut world = World::new(Rules::default());
    let (wechat, alipay) = (Key::new(Provider::Wechat, "T1"), Key::new(Provider::Alipay, "T1"));
    for key in [&wechat, &alipay] {
        world.place(order(key.provider, "T1", ""), at(0)).unwrap();
        pay(&mut world, key, 1).unwrap();
    }
    (world, wechat, alipay)
}

fn kinds(world: &World) -> Vec<String> {
    world.notices().map(|notice| notice.kind_word().to_owned()).collect()
}

#[test]
fn a_refund_at_wechat_is_under_way_for_a_while_and_told_to_its_own_address() {
    let (mut world, wechat, _) = paid_world();
    let url = Some("http://127.0.0.1:1/r");
    let taken = world.refund(&wechat, refund("R1", 40, url), at(2)).unwrap();
    assert_eq!((taken.refund.state, taken.again), (RefundState::Processing, false));
    let again = world.refund(&wechat, refund("R1", 40, url), at(3)).unwrap();
    assert!(again.again && again.refund.refund_id == taken.refund.refund_id);
    assert_eq!(world.next_at(), Some(at(1)), "the payments' notices are still owed");
    let trade = world.find_refunded("R1", at(4)).unwrap();
    assert_eq!(trade.refunds[0].state, RefundState::Success);
    assert_eq!(kinds(&world), ["payment", "TRADE_SUCCESS", "refund"]);
    let (_, last) = world.notices.last_key_value().unwrap();
    assert_eq!(Some(last.url.as_str()), url);
}

#[test]
fn a_refund_at_alipay_is_done_at_once_and_told_as_the_trades_state() {
    let (mut world, _, alipay) = paid_world();
    let taken = world.refund(&alipay, refund("R1", 40, None), at(2)).unwrap();
    assert_eq!(taken.refund.state, RefundState::Success);
    assert_eq!(taken.trade.alipay_status(), Some("TRADE_SUCCESS"));
    let taken = world.refund(&alipay, refund("R2", 60, None), at(3)).unwrap();
    assert_eq!(taken.trade.alipay_status(), Some("TRADE_CLOSED"));
    assert_eq!(kinds(&world), ["payment", "TRADE_SUCCESS", "TRADE_SUCCESS", "TRADE_CLOSED"]);
}

#[test]
fn a_number_of_a_refund_is_the_merchants_at_wechat_and_the_trades_at_alipay() {
    let (mut world, wechat, alipay) = paid_world();
    for (key, wanted) in [(wechat, Err(RefundRefusal::Differs)), (alipay, Ok(()))] {
        let other = Key::new(key.provider, "T2");
        world.place(order(key.provider, "T2", ""), at(2)).unwrap();
        pay(&mut world, &other, 3).unwrap();
        world.refund(&key, refund("R1", 10, None), at(4)).unwrap();
        let second = world.refund(&other, refund("R1", 10, None), at(5)).map(|_| ());
        assert_eq!(second, wanted, "{}", key.provider);
    }
    let unknown = world.refund(&Key::new(Provider::Wechat, "T9"), refund("R9", 1, None), at(6));
    assert_eq!(unknown, Err(RefundRefusal::NotExist));
}

fn scanned(number: &str, amount: i64) -> Order {
    let mut wanted = order(Provider::Wechat, number, "");
    (wanted.product, wanted.amount) = (Product::WechatMicropay, amount);
    wanted
}

#[test]
fn a_scanned_code_pays_one_order_once() {
    let mut world = World::new(Rules::default());
    let code = world.auth_code(Provider::Wechat, at(0));
    assert_eq!(world.auth_code(Provider::Wechat, at(59)), code);
    let trade = world.charge(scanned("T1", 100), &code.text, at(59)).unwrap();
    assert_eq!(trade.wechat_state(), "SUCCESS");
    assert_eq!(world.notices().count(), 0, "WeChat notifies no scanned payment");
    let again = world.charge(scanned("T1", 100), &code.text, at(60));
    assert_eq!(again, Err(ChargeRefusal::Order(OrderRefusal::Paid)));
    let other = world.charge(scanned("T2", 100), &code.text, at(60));
    assert_eq!(other, Err(ChargeRefusal::Code(AuthCodeRefusal::Used)));
    assert!(world.find(&Key::new(Provider::Wechat, "T2"), at(61)).is_none());

    let next = world.auth_code(Provider::Wechat, at(60));
    assert_ne!(next.text, code.text);
    let late = world.charge(scanned("T3", 100), &next.text, at(120));
    assert_eq!(late, Err(ChargeRefusal::Code(AuthCodeRefusal::Expired)));
    for wrong in ["", "1", "134567890123456789 ", "1345678901234567890", "934567890123456789"] {
        let refused = world.charge(scanned("T3", 100), wrong, at(120));
        assert_eq!(refused, Err(ChargeRefusal::Code(AuthCodeRefusal::Malformed)), "{wrong}");
    }
    assert!(world.charge(scanned("T3", 100), "134567890123456789", at(120)).is_ok());
}

#[test]
fn much_money_needs_a_password() {
    let mut world = World::new(Rules::default());
    let trade = world.charge(scanned("T1", 100_000), "100000000000000001", at(0)).unwrap();
    assert_eq!(trade.wechat_state(), "SUCCESS");
    let trade = world.charge(scanned("T2", 100_001), "100000000000000002", at(0)).unwrap();
    assert_eq!(trade.wechat_state(), "USERPAYING");
    let again = world.charge(scanned("T2", 100_001), "100000000000000002", at(1)).unwrap();
    assert_eq!(again.wechat_state(), "USERPAYING", "asked again it is as it was");
    pay(&mut world, &Key::new(Provider::Wechat, "T2"), 9).unwrap();
}

#[test]
fn the_amount_decides_what_a_scanned_payer_does() {
    let mut world = World::new(Rules::default());
    let cases = [(Effect::ScanPassword, 40, "SUCCESS"), (Effect::ScanGivesUp, 20, "PAYERROR")];
    for (effect, seconds, then) in cases {
        let (number, code) = (format!("T{seconds}"), format!("1000000000000000{seconds}"));
        let amount = magic::amount_of(effect);
        world.charge(scanned(&number, amount), &code, at(0)).unwrap();
        let key = Key::new(Provider::Wechat, number);
        let mut state = |seconds| world.find(&key, at(seconds)).map(Trade::wechat_state);
        assert_eq!(state(seconds - 1), Some("USERPAYING"));
        assert_eq!(state(seconds), Some(then));
    }
}

fn with_effect(world: &mut World, effect: Effect) -> Key {
    let mut wanted = order(Provider::Wechat, &format!("{effect:?}"), "");
    wanted.amount = magic::amount_of(effect);
    let key = wanted.key.clone();
    world.place(wanted, at(0)).unwrap();
    key
}

#[test]
fn the_amount_decides_when_a_payer_pays_by_itself() {
    let mut world = World::new(Rules::default());
    let state = |world: &mut World, key: &Key, seconds| {
        world.find(key, at(seconds)).map(Trade::wechat_state).unwrap()
    };
    let first = with_effect(&mut world, Effect::NoticeFirst);
    assert_eq!(state(&mut world, &first, 0), "SUCCESS");
    let itself = with_effect(&mut world, Effect::PaysByItself);
    assert_eq!(state(&mut world, &itself, 9), "NOTPAY");
    assert_eq!(state(&mut world, &itself, 10), "SUCCESS");
    let race = with_effect(&mut world, Effect::ClosePaid);
    assert_eq!(world.close(&race, at(20)), Some(Closing::Paid));
    assert_eq!(state(&mut world, &race, 20), "SUCCESS");
    let late = with_effect(&mut world, Effect::CloseThenPaid);
    assert_eq!(world.close(&late, at(20)), Some(Closing::Done));
    assert_eq!(state(&mut world, &late, 24), "CLOSED");
    assert_eq!(state(&mut world, &late, 25), "SUCCESS");
    assert_eq!(kinds(&world), ["payment"; 4]);
}

#[test]
fn the_amount_decides_how_late_a_notice_is_and_which_state_a_query_tells() {
    let mut world = World::new(Rules::default());
    let late = with_effect(&mut world, Effect::NoticeLate);
    pay(&mut world, &late, 1).unwrap();
    assert!(world.take_due(at(30)).is_none() && world.take_due(at(31)).is_some());
    let strange = with_effect(&mut world, Effect::QueryUnknownState);
    assert_eq!(world.find(&strange, at(40)).map(Trade::wechat_state), Some("CHECKING"));
    pay(&mut world, &strange, 41).unwrap();
    assert_eq!(world.find(&strange, at(42)).map(Trade::wechat_state), Some("SUCCESS"));
}

#[test]
fn the_amount_decides_how_a_refund_ends() {
    let cases = [
        (Effect::RefundAbnormal, 2, RefundState::Abnormal),
        (Effect::RefundClosed, 2, RefundState::Closed),
        (Effect::RefundHour, 3600, RefundState::Success),
    ];
    for (effect, seconds, then) in cases {
        let mut world = World::new(Rules::default());
        let mut wanted = order(Provider::Wechat, "T1", "");
        wanted.amount = 100_000;
        let key = wanted.key.clone();
        world.place(wanted, at(0)).unwrap();
        pay(&mut world, &key, 0).unwrap();
        world.refund(&key, refund("R1", magic::amount_of(effect), None), at(0)).unwrap();
        let mut state = |seconds| world.find(&key, at(seconds)).unwrap().refunds[0].state;
        assert_eq!(state(seconds - 1), RefundState::Processing, "{effect:?}");
        assert_eq!(state(seconds), then);
    }
}

#[test]
fn refunds_codes_and_plans_survive_a_restart() {
    let path = std::env::temp_dir().join(format!("tongbao-refunds-{}", std::process::id()));
    let key = Key::new(Provider::Wechat, "T1");
    let code;
    {
        let mut world = World::open(&path, Rules::default()).unwrap();
        world.place(order(Provider::Wechat, "T1", ""), at(0)).unwrap();
        pay(&mut world, &key, 1).unwrap();
        world.refund(&key, refund("R1", 40, Some("http://127.0.0.1:1/r")), at(2)).unwrap();
        let typing = scanned("T2", magic::amount_of(Effect::ScanPassword));
        code = world.auth_code(Provider::Wechat, at(2));
        world.charge(typing, &code.text, at(2)).unwrap();
    }
    let mut world = World::open(&path, Rules::default()).unwrap();
    let trade = world.find_refunded("R1", at(4)).unwrap();
    assert_eq!(trade.refunds[0].state, RefundState::Success);
    assert_eq!(kinds(&world).last().map(String::as_str), Some("refund"));
    let used = world.charge(scanned("T3", 1), &code.text, at(5));
    assert_eq!(used, Err(ChargeRefusal::Code(AuthCodeRefusal::Used)));
    let scanned = Key::new(Provider::Wechat, "T2");
    assert_eq!(world.find(&scanned, at(42)).map(Trade::wechat_state), Some("SUCCESS"));
    std::fs::remove_file(&path).unwrap();
}
