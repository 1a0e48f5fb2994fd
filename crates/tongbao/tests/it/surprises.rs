//! Money that nobody expected any more, or not so much of: it is a fact, and goes where the app
//! wants it.

use crate::merchant::Merchant;
use crate::payments::{ALIPAY, At, each_account};
use crate::world::{World, id, out_trade_no};
use serde_json::{Value, json};
use tongbao_alipay::Credentials;
use tongbao_alipay::open::envelope::CallContext;
use tongbao_alipay::open::order::Order;
use tongbao_alipay::open::page::{self, PagePay};
use tongbao_types::{Amount, Fen, OutTradeNo, Timestamp};

/// The order that is closed at its provider, and yet a payment under way arrives.
const CLOSED_THEN_PAID: i64 = 77_719;

async fn paid_after_the_close(world: &World, at: At) -> Value {
    let charge = world.order_at(at, CLOSED_THEN_PAID).await;
    world.scan(at, &charge).await;
    let path = format!("/v1/charges/{}/close", id(&charge));
    let closed = world.post(&path, json!({})).await.expect(200);
    assert_eq!(closed["status"], "closed");
    world.advance("6s").await;
    world.until_event(&charge, "charge.paid_late").await;
    charge
}

#[tokio::test]
async fn a_late_payment_is_kept_by_default() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.paid_late"]).await;
    for at in each_account() {
        let charge = paid_after_the_close(&world, at).await;
        let now = world.until(&charge, "succeeded").await;
        assert_eq!((&now["paid"], &now["amount_paid"]), (&json!(true), &CLOSED_THEN_PAID.into()));
        assert_eq!(now["failure"]["code"], "paid_late");
        let told = merchant.until(&charge, "charge.paid_late", 1).await;
        assert!(merchant.believes(&told[0]));
        assert!(world.refunds(&charge).await.is_empty());
        assert!(world.sent_back(&charge).await.is_empty());
    }
    world.finish().await;
}

#[tokio::test]
async fn a_late_payment_goes_back_if_the_app_wants_it() {
    let set = ["polling.delay=10m", "polling.backoff=fixed", "apps.0.late_payments=refund"];
    let world = World::with(&set).await;
    for at in each_account() {
        let charge = paid_after_the_close(&world, at).await;
        let refund = world.refunds(&charge).await.remove(0);
        let refund = world.until_back(&refund).await;
        assert_eq!(refund["cause"], "paid_late");
        let sent = world.sent_back(&charge).await;
        assert_eq!(sent.len(), 1);
        assert_eq!(
            (&sent[0]["amount"], &sent[0]["state"]),
            (&CLOSED_THEN_PAID.into(), &"success".into())
        );
        let now = world.charge(&charge).await;
        assert_eq!((&now["status"], &now["paid"]), (&json!("closed"), &json!(false)));
        assert_eq!(world.count(&charge, "charge.succeeded").await, 0);
    }
    world.finish().await;
}

/// The payer is quicker than the close: the charge is paid, not closed.
#[tokio::test]
async fn a_close_that_comes_too_late_finds_the_payment() {
    let world = World::start().await;
    for at in each_account() {
        let charge = world.order_at(at, 77_718).await;
        world.scan(at, &charge).await;
        let path = format!("/v1/charges/{}/close", id(&charge));
        let answer = world.post(&path, json!({})).await;
        assert!([200, 409].contains(&answer.status), "{}", answer.body);
        let now = world.until(&charge, "succeeded").await;
        assert_eq!(now["amount_paid"], 77_718);
        assert_eq!(world.count(&charge, "charge.closed").await, 0);
        assert!(world.refunds(&charge).await.is_empty());
    }
    world.finish().await;
}

/// A notice of another amount is not believed, but makes us ask, and the answer counts.
#[tokio::test]
async fn a_notice_of_another_amount_makes_us_ask() {
    let world = World::start().await;
    for at in each_account() {
        let charge = world.order_at(at, 77_706).await;
        world.pay(&charge).await.expect(200);
        let now = world.until(&charge, "succeeded").await;
        assert_eq!(now["amount_paid"], 77_706);
        assert_eq!(now["refused_notices"][0]["code"], "amount_mismatch");
        assert_eq!(world.count(&charge, "poll.complete").await, 1);
        assert!(world.notices(&charge).await.iter().all(|one| one["delivered"] == false));
        assert!(world.refunds(&charge).await.is_empty());
    }
    world.finish().await;
}

/// Another system of the merchant's orders under the same number, for less, and the payer pays
/// that.
async fn paid_too_little(world: &World) -> Value {
    let fields = json!({"channel": "alipay.page", "account": ALIPAY.account});
    let charge = world.order_with(fields).await;
    let keys = world.fetch(&format!("{}/_sandbox/credentials", world.sandbox())).await.expect(200);
    let key = |name: &str| keys["alipay"][name].as_str().unwrap();
    let keys = (key("app_id"), key("app_private_key"), key("alipay_public_key"));
    let credentials = Credentials::with_public_key(keys.0, keys.1, keys.2).unwrap();
    let order = Order {
        out_trade_no: OutTradeNo::new(out_trade_no(&charge)).unwrap(),
        total_amount: Amount::new(Fen(1100)).unwrap(),
        subject: "Tea".to_owned(),
        product_code: page::PRODUCT_CODE.to_owned(),
        body: None,
        expiry: None,
        passback_params: None,
        seller_id: None,
    };
    let notify_url = format!("{}/notify/alipay/{}", world.gateway(), ALIPAY.account);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = Timestamp::from_seconds(i64::try_from(now.as_secs()).unwrap());
    let call = CallContext { notify_url: Some(notify_url), ..CallContext::at(now) };
    let gateway = format!("{}/gateway.do", world.sandbox());
    let code = PagePay::new(order).url(&credentials, &call, &gateway);
    world.control("pay", json!({"code": code})).await.expect(200);
    world.until_event(&charge, "charge.paid_wrong_amount").await;
    assert_eq!(world.charge(&charge).await["refused_notices"][0]["code"], "amount_mismatch");
    charge
}

#[tokio::test]
async fn a_wrong_amount_goes_back_by_default() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.paid_wrong_amount"]).await;
    let charge = paid_too_little(&world).await;
    let told = merchant.until(&charge, "charge.paid_wrong_amount", 1).await;
    assert!(merchant.believes(&told[0]));
    let refund = world.refunds(&charge).await.remove(0);
    let refund = world.until_back(&refund).await;
    assert_eq!((&refund["cause"], &refund["amount"]), (&json!("paid_wrong_amount"), &json!(1100)));
    let sent = world.sent_back(&charge).await;
    assert_eq!((sent.len(), &sent[0]["amount"]), (1, &json!(1100)));
    let now = world.charge(&charge).await;
    assert_eq!((&now["status"], &now["paid"]), (&json!("failed"), &json!(false)));
    assert_eq!(world.count(&charge, "charge.succeeded").await, 0);
    world.finish().await;
}

#[tokio::test]
async fn a_wrong_amount_is_kept_if_the_app_wants_it() {
    let set = ["polling.delay=10m", "polling.backoff=fixed", "apps.0.wrong_amounts=keep"];
    let world = World::with(&set).await;
    let charge = paid_too_little(&world).await;
    let now = world.until(&charge, "succeeded").await;
    assert_eq!((&now["amount"], &now["amount_paid"]), (&json!(1200), &json!(1100)));
    assert!(world.refunds(&charge).await.is_empty());
    let above = world.refund(&charge, json!({"amount": 1101})).await;
    assert_eq!(above.problem(400), "refund_too_large");
    let refund = world.refund(&charge, json!({})).await.expect(201);
    assert_eq!(world.until_back(&refund).await["amount"], 1100);
    world.finish().await;
}
