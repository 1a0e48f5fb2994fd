//! A charge that the payer may pay through more than one channel.

use crate::provider::{Kind, Mischief, Op, TradeStatus};
use crate::world::{AMOUNT, ORDER_NO, World, id, scope, shop};
use serde_json::Value;
use tongbao_core::Payer;
use tongbao_engine::{NewAttempt, NewCharge};
use tongbao_types::{Channel, Mode, Span};

fn jsapi(openid: &str) -> (Channel, Option<Payer>) {
    let payer = Payer { openid: Some(openid.to_owned()), ..Payer::default() };
    (Channel::WechatJsapi, Some(payer))
}

fn numbers(charge: &Value) -> Vec<String> {
    let attempts = charge["attempts"].as_array().unwrap();
    attempts.iter().map(|one| one["out_trade_no"].as_str().unwrap().to_owned()).collect()
}

fn statuses(charge: &Value) -> Vec<String> {
    let attempts = charge["attempts"].as_array().unwrap();
    attempts.iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_first_order_bears_the_order_no_and_one_success_closes_the_others() {
    let world = World::v2();
    let charge = world.open().await;
    let first = world.choose(&charge, Channel::WechatNative).await.expect(201);
    assert_eq!(first["action"]["type"], "qr_code");
    let both = world.attempt(&charge, jsapi("o1"), None).await.expect(201);
    assert_eq!(
        (&both["channel"], &both["action"]["type"]),
        (&"wechat.jsapi".into(), &"jsapi".into())
    );
    let numbers = numbers(&both);
    assert_eq!(numbers[0], ORDER_NO);
    assert_ne!(numbers[1], ORDER_NO);
    assert_eq!(statuses(&both), ["pending", "pending"]);
    world.provider().pay(ORDER_NO, tongbao_engine::Clock::now(&*world.clock));
    assert!(world.notify(&both).await);
    let now = world.now(&charge).await;
    assert_eq!((&now["status"], &now["channel"]), (&"succeeded".into(), &"wechat.native".into()));
    assert_eq!(statuses(&now), ["succeeded", "closing"]);
    world.run_due().await;
    assert_eq!(statuses(&world.now(&charge).await), ["succeeded", "closed"]);
    assert_eq!(world.provider().trade(&numbers[1]).status, TradeStatus::Closed);
    world.until_nothing_is_left().await;
    assert_eq!(world.n_calls(Op::Query), 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_success_goes_back_by_itself() {
    let world = World::v2();
    world.endpoint(&["charge.paid_twice", "refund.succeeded"]).await;
    let charge = world.open().await;
    world.choose(&charge, Channel::WechatNative).await.expect(201);
    let both = world.attempt(&charge, jsapi("o1"), None).await.expect(201);
    let numbers = numbers(&both);
    let now = tongbao_engine::Clock::now(&*world.clock);
    world.provider().pay(&numbers[0], now);
    world.provider().pay(&numbers[1], now);
    assert!(world.notify(&both).await);
    world.run_due().await;
    let refunds = world.all_refunds().await;
    assert_eq!(refunds.len(), 1, "the close found that it was paid");
    world.until_nothing_is_left().await;
    let refunds = world.all_refunds().await;
    let refund = &refunds[0];
    assert_eq!((&refund["status"], &refund["cause"]), (&"succeeded".into(), &"paid_twice".into()));
    assert_eq!(refund["amount"], AMOUNT);
    let known = world.provider().refunds();
    assert_eq!(known.values().next().map(|one| one.order.clone()), Some(numbers[1].clone()));
    let now = world.now(&charge).await;
    assert_eq!((&now["status"], &now["amount_refunded"]), (&"succeeded".into(), &0.into()));
    assert_eq!(now["failure"]["code"], "paid_twice");
    assert_eq!(world.net.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn asking_again_for_what_waits_gives_that_order() {
    let world = World::v2();
    let charge = world.order().await;
    let again = world.choose(&charge, Channel::WechatNative).await.expect(201);
    assert_eq!(again["action"], charge["action"]);
    assert_eq!(numbers(&again), [ORDER_NO]);
    world.attempt(&charge, jsapi("o1"), None).await.expect(201);
    world.attempt(&charge, jsapi("o1"), None).await.expect(201);
    let other = world.attempt(&charge, jsapi("o2"), Some("key")).await.expect(201);
    assert_eq!(numbers(&other).len(), 3, "another payer");
    let back = world.choose(&charge, Channel::WechatNative).await.expect(201);
    assert_eq!(back["channel"], "wechat.native", "shown as it was asked for");
    let repeated = world.attempt(&charge, jsapi("o2"), Some("key")).await;
    assert!(repeated.replayed);
    assert_eq!(repeated.expect(201), other);
    assert_eq!(world.n_calls(Op::Place), 3);
}

/// The provider would refuse the same number with another payer, so it was the same.
#[tokio::test(start_paused = true)]
async fn an_order_of_unknown_outcome_is_placed_again_for_its_payer() {
    let world = World::v2();
    for mischief in [Mischief::LostAfter, Mischief::BusyBefore] {
        let charge =
            world.create(NewCharge { order_no: None, channel: None, ..world.new_charge() });
        let charge = charge.await.expect(201);
        world.provider().next(Op::Place, mischief);
        let first = world.attempt(&charge, jsapi("o1"), Some(charge["id"].as_str().unwrap())).await;
        let first = first.expect(201);
        assert_eq!(
            (statuses(&first), &first["action"]),
            (vec!["placing".to_owned()], &Value::Null)
        );
        world.advance(Span::from_seconds(5)).await;
        let key = charge["id"].as_str();
        let repeated = world.attempt(&charge, jsapi("o1"), key).await.expect(201);
        assert_eq!(repeated["action"]["type"], "jsapi");
        assert_eq!(numbers(&repeated), numbers(&first));
    }
    world.until_nothing_is_left().await;
}

/// Something in it was different, as with the payer's address; the order stands all the same.
#[tokio::test(start_paused = true)]
async fn a_number_that_is_in_use_fails_nothing_when_an_order_is_placed_again() {
    let world = World::v2();
    let charge = world.open().await;
    world.provider().next(Op::Place, Mischief::LostAfter);
    let first = world.attempt(&charge, jsapi("o1"), None).await.expect(201);
    world.provider().change_content(&numbers(&first)[0]);
    world.advance(Span::from_seconds(5)).await;
    let now = world.now(&charge).await;
    assert_eq!((&now["status"], statuses(&now)), (&"pending".into(), vec!["pending".to_owned()]));
    let next = world.attempt(&charge, jsapi("o1"), None).await.expect(201);
    assert_eq!(next["action"]["type"], "jsapi", "a new order, since that one has nothing to show");
    assert_eq!(numbers(&next).len(), 2);
    world.until_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_channel_leaves_the_others() {
    let world = World::v2();
    let charge = world.open().await;
    world.provider().next(Op::Place, Mischief::Refuse);
    let refused = world.attempt(&charge, jsapi("o1"), Some("key")).await.expect(402);
    assert_eq!((&refused["code"], &refused["charge"]), (&"provider_refused".into(), &charge["id"]));
    assert_eq!(refused["money_moved"], "no");
    assert!(world.attempt(&charge, jsapi("o1"), Some("key")).await.replayed);
    assert_eq!(world.now(&charge).await["status"], "pending");
    let good = world.choose(&charge, Channel::WechatNative).await.expect(201);
    assert_eq!(statuses(&good), ["failed", "pending"]);
    world.until_nothing_is_left().await;
    let now = world.now(&charge).await;
    assert_eq!((&now["status"], &now["close_reason"]), (&"closed".into(), &"expired".into()));
    assert_eq!(statuses(&now), ["failed", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_chosen_is_said_before_anything_is_written() {
    let world = World::v2();
    let charge = world.open().await;
    let version = world.version(&charge).await;
    let missing = world.choose(&charge, Channel::AlipayQr).await.expect(400);
    assert_eq!(
        (&missing["code"], &missing["param"]),
        (&"account_missing".into(), &"channel".into())
    );
    let nobody = world.choose(&charge, Channel::WechatJsapi).await.expect(400);
    assert_eq!((&nobody["code"], &nobody["param"]), (&"invalid_parameter".into(), &"payer".into()));
    let engine = &world.engine;
    for stranger in [scope("other", Mode::Test), scope("shop", Mode::Live)] {
        let (channel, payer) = jsapi("o1");
        let charge = id(&charge);
        let new = NewAttempt { charge, channel, account: None, payer, client_ip: None };
        let reply = engine.add_attempt(&stranger, new, None, crate::world::render);
        assert_eq!(reply.await.status, 404);
    }
    assert_eq!(world.version(&charge).await, version);
    engine.close_charge(&shop(), id(&charge)).await.unwrap();
    let ended = world.choose(&charge, Channel::WechatNative).await.expect(409);
    assert_eq!(ended["code"], "charge_not_pending");
    let paid = world.order_numbered("ORDER0002").await;
    world.pay(&paid);
    world.notify(&paid).await;
    let paid = world.choose(&paid, Channel::WechatJsapi).await;
    assert_eq!(paid.expect(409)["money_moved"], "yes");
}

#[tokio::test(start_paused = true)]
async fn the_payer_chooses_at_the_cashier_where_the_merchant_left_it_open() {
    let world = World::v2();
    let charge = world.open().await;
    let view = world.engine.cashier(id(&charge), None).await.unwrap();
    assert_eq!(view.choices, [Channel::WechatNative, Channel::WechatH5]);
    assert!(view.action.is_none());
    let choose = |channel, secret: Option<&str>| {
        let secret = secret.map(str::to_owned);
        let engine = world.engine.clone();
        let id = id(&charge);
        async move { engine.choose_channel(id, secret.as_deref(), channel, None).await }
    };
    let view = choose(Channel::WechatNative, None).await.unwrap();
    assert_eq!(view.channel, Some(Channel::WechatNative));
    assert!(view.action.is_some() && view.choices.len() == 2);
    world.clock.advance(Span::from_millis(1));
    choose(Channel::WechatH5, None).await.unwrap();
    let view = world.engine.cashier(id(&charge), Some(Channel::WechatNative)).await.unwrap();
    assert_eq!(view.channel, Some(Channel::WechatNative), "the order of a channel, if it waits");
    let view = world.engine.cashier(id(&charge), Some(Channel::AlipayQr)).await.unwrap();
    assert_eq!(view.channel, Some(Channel::WechatH5), "else the newest");
    let secret = charge["client_secret"].as_str();
    choose(Channel::WechatNative, secret).await.unwrap();
    assert_eq!(world.n_calls(Op::Place), 2);
    assert_eq!(
        choose(Channel::WechatNative, Some("x")).await.unwrap_err().code.as_str(),
        "not_found"
    );
    for channel in [Channel::WechatJsapi, Channel::WechatMicropay, Channel::AlipayQr] {
        let error = choose(channel, None).await.unwrap_err();
        let wanted =
            if channel == Channel::AlipayQr { "account_missing" } else { "channel_unavailable" };
        assert_eq!(error.code.as_str(), wanted);
    }
    world.provider().next(Op::Place, Mischief::Refuse);
    let other = world.create(NewCharge { order_no: None, channel: None, ..world.new_charge() });
    let other = other.await.expect(201);
    let refused = world.engine.choose_channel(id(&other), None, Channel::WechatH5, None).await;
    assert_eq!(refused.unwrap_err().code.as_str(), "provider_refused");

    let fixed = world.order_numbered("ORDER0002").await;
    assert!(world.engine.cashier(id(&fixed), None).await.unwrap().choices.is_empty());
    let error = world.engine.choose_channel(id(&fixed), None, Channel::WechatH5, None).await;
    assert_eq!(error.unwrap_err().code.as_str(), "channel_unavailable");
    world.until_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn strangers_cannot_place_orders_without_end() {
    let world = World::v2();
    let charge = world.open().await;
    for _ in 0..20 {
        world.provider().next(Op::Place, Mischief::BusyBefore);
        let chosen =
            world.engine.choose_channel(id(&charge), None, Channel::WechatH5, None).await.unwrap();
        assert!(chosen.action.is_none());
    }
    let error = world.engine.choose_channel(id(&charge), None, Channel::WechatH5, None).await;
    assert_eq!(error.unwrap_err().code.as_str(), "rate_limited");
    world.until_nothing_is_left().await;
}

#[tokio::test(start_paused = true)]
async fn every_channel_is_told_of_with_its_accounts_or_the_reason_why_not() {
    let world = World::of(Kind::AlipayKey);
    let list = world.engine.channels(&shop()).data;
    assert_eq!(list.len(), Channel::ALL.len());
    let find = |name: &str| list.iter().find(|one| one.channel == name).unwrap();
    let page = find("alipay.page");
    assert!(page.available && page.reason.is_none());
    assert_eq!(page.accounts, ["alipay-key"]);
    let reasons = [
        ("wechat.native", "has no test account at wechat"),
        ("alipay.legacy_page", "None of the alipay accounts"),
    ];
    for (name, reason) in reasons {
        let one = find(name);
        assert!(!one.available && one.accounts.is_empty());
        let told = one.reason.as_deref().unwrap();
        assert!(told.contains(reason), "{told}");
    }
    let live = world.engine.channels(&scope("shop", Mode::Live)).data;
    assert_eq!(live.iter().find(|one| one.channel == "alipay.page").unwrap().accounts, ["live"]);
}
