//! wepay: its orders, refunds and notifications, for several merchants, as its document has them.

use super::wepay_shop::{ALL, Merchants, OPENID, Receiver, Shop, order};
use crate::merchant::Merchant;
use crate::world::{World, eventually};
use serde_json::{Value, json};
use tongbao_crypt::digest;

/// Each kind of front end gets what it hands to WeChat; all three merchants have one merchant
/// number, so each notification fits the keys of all of them.
#[tokio::test]
async fn every_kind_of_front_end_is_ordered_for_paid_and_told() {
    let shop = Shop::open(ALL, &[]).await;
    let webhooks = Merchant::open(&shop.world, &["charge.succeeded"]).await;
    for (env, channel, sign) in [
        ("H5", "wechat.jsapi", "paySign"),
        ("WXAPP", "wechat.mini", "paySign"),
        ("APP", "wechat.app", "sign"),
    ] {
        let id = format!("5ba27cc3a70db45dd108{env:0>4.4}");
        let params = shop.order(&id, env).await;
        let app_id = if env == "APP" { &params["appid"] } else { &params["appId"] };
        assert_eq!(*app_id, shop.merchant["app_id"], "{params}");
        check_md5(&shop.merchant, &params, sign);
        let charge = shop.charge(&id).await;
        assert_eq!(charge["profile"], "wepay");
        assert_eq!((&charge["channel"], &charge["amount"]), (&json!(channel), &json!(1200)));
        let account = format!("wepay_{}_{}", text(&shop.merchant["mch_id"]), env.to_lowercase());
        assert_eq!(charge["account"], account);
        assert_eq!(charge["attempts"][0]["out_trade_no"], id.as_str());
        assert_eq!(shop.trade(&id).await["notify_url"], shop.url("pay_notify"));

        shop.pay(&id).await;
        let paid = shop.world.until(&charge, "succeeded").await;
        assert_eq!(paid["refused_notices"], json!([]));
        assert_eq!(shop.world.count(&charge, "poll.complete").await, 0, "the notice was enough");
        let told = shop.told.until(&id, 1).await[0].clone();
        assert_eq!((told.path.as_str(), told.content_type.as_str()), (env, "application/json"));
        let fields = told.body.as_object().unwrap();
        assert!(fields.values().all(Value::is_string), "{fields:?}");
        let wanted = [
            ("return_code", json!("SUCCESS")),
            ("result_code", json!("SUCCESS")),
            ("total_fee", json!("1200")),
            ("attach", json!("附加数据:福州路店")),
            ("transaction_id", paid["provider_trade_no"].clone()),
            ("mch_id", shop.merchant["mch_id"].clone()),
        ];
        for (name, value) in wanted {
            assert_eq!(fields[name], value, "{name}");
        }
        assert!(fields.contains_key("time_end") && fields.contains_key("bank_type"));
        webhooks.until(&charge, "charge.succeeded", 1).await;
    }
    shop.finish().await;
}

/// The sum never exceeds what was paid, and the same number moves no money twice.
#[tokio::test]
async fn a_payment_goes_back_in_parts_and_never_more_than_it_was() {
    let shop = Shop::open(ALL, &[]).await;
    shop.order("order-in-parts", "H5").await;
    let unpaid = shop.refund("r0", "order-in-parts", 100).await;
    assert_eq!(unpaid["errcode"], 4, "{unpaid}");
    shop.pay("order-in-parts").await;
    for (number, fee, wanted) in [
        ("r1", 700, 0),
        ("r2", 501, 4),
        ("r2", 500, 0),
        ("r1", 700, 0),
        ("r1", 600, 4),
        ("r3", 1, 4),
        ("r3", 1201, 1),
        ("r 3", 1, 1),
    ] {
        let answer = shop.refund(number, "order-in-parts", fee).await;
        assert_eq!(answer["errcode"], wanted, "{number} {fee}: {answer}");
        if wanted != 0 {
            assert!(answer["errmsg"].as_str().unwrap().len() > 10 && answer["result"].is_null());
            continue;
        }
        let result = &answer["result"];
        assert_eq!(result["out_trade_no"], "order-in-parts", "{answer}");
        assert_eq!(result["out_refund_no"], number);
        assert_eq!(result["refund_fee"], fee.to_string());
        assert_eq!(result["result_code"], "SUCCESS");
        assert!(result["refund_id"].is_string() && result["transaction_id"].is_string());
    }
    let trade = shop.trade("order-in-parts").await;
    assert_eq!((&trade["refunded"], trade["refunds"].as_array().unwrap().len()), (&json!(1200), 2));

    let wrong_total = json!({"out_refund_no": "r4", "out_trade_no": "order-in-parts",
        "total_fee": 1000, "refund_fee": 100});
    let answer = shop.ask("refund", &wrong_total).await;
    assert_eq!(
        answer,
        json!({"errcode": 1, "errmsg": "total_fee of the order order-in-parts is 1200."})
    );
    assert_eq!(shop.refund("r5", "no-such-order", 1).await["errcode"], 3);
    shop.finish().await;
}

/// WeChat was asked for refunds at once, so callers do not wait until they are told of a payment.
#[tokio::test]
async fn a_payment_that_nobody_told_us_of_yet_can_be_refunded() {
    let shop = Shop::open(ALL, &[]).await;
    let silent = json!({"provider": "wechat", "notify": {"drop": true}});
    shop.sandbox.control("faults", silent).await;
    shop.order("order-0001", "APP").await;
    shop.pay("order-0001").await;
    let answer = shop.refund("r1", "order-0001", 300).await;
    assert_eq!(answer["errcode"], 0, "{answer}");
    assert_eq!(shop.trade("order-0001").await["refunded"], 300);
    shop.finish().await;
}

/// What was ordered here is an ordinary charge: `/v1` refunds it, and the profile knows.
#[tokio::test]
async fn v1_refunds_what_the_profile_ordered() {
    let shop = Shop::open(ALL, &[]).await;
    shop.order("order-for-v1", "WXAPP").await;
    shop.pay("order-for-v1").await;
    let charge = shop.charge("order-for-v1").await;
    shop.world.until(&charge, "succeeded").await;
    shop.world.refund(&charge, json!({"amount": 1000})).await.expect(201);
    let answer = shop.refund("r1", "order-for-v1", 201).await;
    assert_eq!(answer["errcode"], 4, "{answer}");
    assert_eq!(shop.refund("r1", "order-for-v1", 200).await["errcode"], 0);
    shop.finish().await;
}

#[tokio::test]
async fn a_refund_without_the_certificate_says_what_is_missing() {
    let merchants = Merchants { envs: &["H5"], with_certificate: false };
    let shop = Shop::open(merchants, &[]).await;
    shop.order("order-0001", "H5").await;
    shop.pay("order-0001").await;
    let charge = shop.charge("order-0001").await;
    shop.world.until(&charge, "succeeded").await;
    let answer = shop.refund("r1", "order-0001", 100).await;
    assert_eq!(answer["errcode"], 7, "{answer}");
    let errmsg = answer["errmsg"].as_str().unwrap();
    assert!(errmsg.contains("certificate") && errmsg.contains("pfx"), "{errmsg}");
    assert_eq!(shop.trade("order-0001").await["refunded"], 0);
    shop.finish().await;
}

/// A front end that is opened again asks again; the older service's callers rely on it.
#[tokio::test]
async fn the_same_order_asked_for_again_gets_the_same() {
    let shop = Shop::open(ALL, &[]).await;
    let first = shop.order("order-0001", "H5").await;
    assert_eq!(shop.order("order-0001", "H5").await, first);
    assert_eq!(shop.charge("order-0001").await["attempts"].as_array().unwrap().len(), 1);

    let mut other = order("order-0001", "H5");
    other["fee"] = json!(1300);
    let answer = shop.ask("get_pay_request_params", &other).await;
    assert_eq!(answer["errcode"], 4, "{answer}");
    shop.pay("order-0001").await;
    let charge = shop.charge("order-0001").await;
    shop.world.until(&charge, "succeeded").await;
    let answer = shop.ask("get_pay_request_params", &order("order-0001", "H5")).await;
    assert_eq!(
        answer,
        json!({"errcode": 4, "errmsg": "The order order-0001 has ended: it is paid."})
    );

    let v1 = json!({"amount": 1200, "subject": "Tea", "order_no": "order-0002"});
    shop.world.post("/v1/charges", v1).await.expect(201);
    let answer = shop.ask("get_pay_request_params", &order("order-0002", "H5")).await;
    assert_eq!(answer["errcode"], 4, "{answer}");
    shop.finish().await;
}

/// WeChat's no is final for one order at WeChat, not for the merchant's number: a wrong openid is
/// put right, say, and the order asked for again. The merchant goes on calling it by its number.
#[tokio::test]
async fn an_order_that_wechat_refused_can_be_asked_for_again() {
    let shop = Shop::open(ALL, &[]).await;
    let fault = json!({"provider": "wechat", "path": "/pay/unifiedorder",
        "error_code": "NOAUTH", "times": 1});
    shop.sandbox.control("faults", fault).await;
    let answer = shop.ask("get_pay_request_params", &order("order-0001", "H5")).await;
    assert_eq!(answer["errcode"], 5, "{answer}");
    assert!(answer["errmsg"].as_str().unwrap().starts_with("NOAUTH: "), "{answer}");
    shop.order("order-0001", "H5").await;
    let charge = shop.charge("order-0001").await;
    let number = text(&charge["attempts"][1]["out_trade_no"]).to_owned();
    assert_ne!(number, "order-0001");
    shop.pay(&number).await;
    let told = shop.told.until("order-0001", 1).await;
    assert_eq!(told[0].body["total_fee"], "1200");
    assert_eq!(told[0].body["openid"], OPENID);
    let answer = shop.refund("r1", "order-0001", 1200).await;
    assert_eq!(answer["result"]["out_trade_no"], "order-0001", "{answer}");
    shop.finish().await;
}

#[tokio::test]
async fn no_answer_from_wechat_is_told_as_such_and_nothing_is_lost() {
    let shop = Shop::open(ALL, &[]).await;
    let drop = |path: &str| json!({"provider": "wechat", "path": path, "drop": true, "times": 1});
    shop.sandbox.control("faults", drop("/pay/unifiedorder")).await;
    let answer = shop.ask("get_pay_request_params", &order("order-0001", "H5")).await;
    assert_eq!(answer["errcode"], 6, "{answer}");
    shop.order("order-0001", "H5").await;
    let charge = shop.charge("order-0001").await;
    let newest = charge["attempts"].as_array().unwrap().last().unwrap();
    shop.pay(text(&newest["out_trade_no"])).await;
    shop.world.until(&charge, "succeeded").await;

    // The refund was made, and only the answer is lost.
    let mut lost = drop("/secapi/pay/refund");
    lost["when"] = json!("after");
    shop.sandbox.control("faults", lost).await;
    assert_eq!(shop.refund("r1", "order-0001", 100).await["errcode"], 6);
    shop.world.advance("1m").await;
    let answer = eventually("the refund is known", async || {
        let answer = shop.refund("r1", "order-0001", 100).await;
        (answer["errcode"] == 0).then_some(answer)
    });
    assert_eq!(answer.await["result"]["refund_fee"], "100");
    assert_eq!(shop.trade(text(&newest["out_trade_no"])).await["refunded"], 100);
    shop.finish().await;
}

/// The merchant is told the same of a payment that nobody notified.
#[tokio::test]
async fn a_payment_that_a_look_found_is_told_with_the_fields_of_the_query() {
    let shop = Shop::open(ALL, &["polling.delay=1s"]).await;
    let silent = json!({"provider": "wechat", "notify": {"drop": true}});
    shop.sandbox.control("faults", silent).await;
    shop.order("order-0001", "WXAPP").await;
    shop.pay("order-0001").await;
    let told = shop.told.until("order-0001", 1).await[0].clone();
    assert_eq!(told.path, "WXAPP");
    assert_eq!(told.body["trade_state"], "SUCCESS");
    assert_eq!(
        (&told.body["total_fee"], &told.body["result_code"]),
        (&json!("1200"), &json!("SUCCESS"))
    );
    assert!(told.body.as_object().unwrap().values().all(Value::is_string));
    let charge = shop.charge("order-0001").await;
    assert_eq!(shop.world.count(&charge, "poll.complete").await, 1);
    shop.finish().await;
}

#[tokio::test]
async fn a_merchant_is_told_until_it_answers_with_success() {
    let shop = Shop::open(ALL, &[]).await;
    shop.told.will_answer(&[500, 302, 404, 204]);
    shop.order("order-0001", "H5").await;
    shop.pay("order-0001").await;
    for count in 1..=4 {
        shop.told.until("order-0001", count).await;
        let tried = async || {
            let list = shop.world.get("/v1/deliveries").await;
            (list["data"][0]["n_tries"] == count).then(|| list["data"][0].clone())
        };
        let delivery = eventually("the try is recorded", tried).await;
        assert_eq!(delivery["callback"], "wepay.notify");
        assert_eq!(delivery["status"], if count == 4 { "succeeded" } else { "pending" });
        shop.world.advance("9m").await;
        shop.world.advance("5h").await;
    }
    assert_eq!(shop.told.about("order-0001").len(), 4);
    shop.finish().await;
}

/// The older service passed on whatever came to `pay_notify`.
#[tokio::test]
async fn an_unverified_notice_is_neither_believed_nor_passed_on() {
    let shop = Shop::open(ALL, &[]).await;
    shop.order("order-0001", "H5").await;
    let merchant = &shop.merchant;
    let forged = format!(
        "<xml><return_code>SUCCESS</return_code><result_code>SUCCESS</result_code>\
         <appid>{}</appid><mch_id>{}</mch_id><out_trade_no>order-0001</out_trade_no>\
         <transaction_id>4200000000000000000000000001</transaction_id><total_fee>1200</total_fee>\
         <fee_type>CNY</fee_type><time_end>20261121120000</time_end><nonce_str>n</nonce_str>\
         <sign>0123456789ABCDEF0123456789ABCDEF</sign></xml>",
        text(&merchant["app_id"]),
        text(&merchant["mch_id"]),
    );
    let xml = [("content-type".to_owned(), "text/xml".to_owned())];
    for (body, reason) in [(forged.as_str(), "signature_mismatch"), ("<xml>", "")] {
        let answer = shop.world.raw(&shop.url("pay_notify/"), &xml, body).await;
        assert!(answer.body.as_str().unwrap().contains("FAIL"), "{}", answer.body);
        let charge = shop.charge("order-0001").await;
        assert_eq!(charge["status"], "pending");
        if !reason.is_empty() {
            let charge = shop.world.charge(&charge).await;
            assert_eq!(charge["refused_notices"][0]["code"], reason, "{charge}");
        }
    }
    let nothing = shop.world.get("/v1/deliveries").await;
    assert_eq!((nothing["data"].clone(), shop.told.about("order-0001").len()), (json!([]), 0));
    shop.finish().await;
}

/// The older service asked nobody who they were.
#[tokio::test]
async fn callers_without_credentials_are_refused_in_wepays_own_shape() {
    let shop = Shop::open(ALL, &["compat.1.allow_from=10.0.0.0/8"]).await;
    let bearer = |name: &str| format!("Bearer {}", shop.world.key(name));
    let (own, other) = (bearer("secret_key"), bearer("other_secret_key"));
    for route in ["get_pay_request_params", "refund", "get_sign_key"] {
        for (headers, status) in [
            (vec![], 401),
            (vec![("authorization", "Bearer sk_test_nonsense")], 403),
            (vec![("authorization", other.as_str())], 403),
            (vec![("x-forwarded-for", "10.1.1.1")], 401),
        ] {
            let body = shop.ask_with(route, &headers, &order("order-0001", "H5")).await;
            let body = body.expect(status);
            assert_eq!(body["errcode"], 2, "{body}");
            assert!(body["errmsg"].is_string() && body["result"].is_null(), "{body}");
        }
    }
    let headers = [("authorization", own.as_str())];
    let order = order("order-0001", "H5");
    let body = shop.ask_with("get_pay_request_params", &headers, &order).await.expect(200);
    assert_eq!(body["errcode"], 0, "{body}");
    shop.finish().await;
}

/// JSON or a form, with a slash at the end or none; what is wrong is named.
#[tokio::test]
async fn requests_may_be_forms_and_mistakes_are_named() {
    let shop =
        Shop::open(Merchants { envs: &["WXAPP", "APP"], with_certificate: false }, &[]).await;
    let form = format!("id=order-0001&fee=1200&body=socks&openid={OPENID}");
    let headers = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let url = shop.url("get_pay_request_params/");
    let body = shop.world.raw(&url, &headers, form).await.expect(200);
    assert_eq!(body["errcode"], 0, "{body}");
    assert_eq!(shop.charge("order-0001").await["channel"], "wechat.mini", "the first merchant's");

    let with = |name: &str, value: Value| {
        let mut body = order("order-0002", "WXAPP");
        body[name] = value;
        body
    };
    for (body, errcode, part) in [
        (with("openid", json!("")), 1, "openid is missing"),
        (with("fee", json!(12.5)), 1, "fee is a whole number of fen"),
        (with("fee", json!(0)), 1, "fee"),
        (with("id", json!("订单")), 1, "id is 6 to 32"),
        (with("body", json!(null)), 1, "body is missing"),
        (with("env", json!("H5")), 7, "env H5"),
        (with("env", json!("PC")), 1, "env is H5, WXAPP or APP"),
        (with("mchId", json!("1")), 7, "mchId 1"),
        (json!("x"), 1, "cannot be read"),
    ] {
        let answer = shop.ask("get_pay_request_params", &body).await;
        assert_eq!(answer["errcode"], errcode, "{body}: {answer}");
        assert!(answer["errmsg"].as_str().unwrap().contains(part), "{part}: {answer}");
    }
    assert!(shop.charge("order-0002").await.is_null(), "nothing was stored");
    shop.finish().await;
}

#[tokio::test]
async fn the_key_of_wechats_test_system_is_passed_on() {
    let shop = Shop::open(ALL, &[]).await;
    let answer = shop.ask("get_sign_key", &json!({})).await;
    assert_eq!(answer["errcode"], 0, "{answer}");
    assert_eq!(answer["result"]["mch_id"], shop.merchant["mch_id"]);
    assert_eq!(text(&answer["result"]["sandbox_signkey"]).len(), 32, "{answer}");
    assert_ne!(answer["result"]["sandbox_signkey"], shop.merchant["api_key"]);
    shop.finish().await;
}

/// `tongbao dev` has the profile on without any merchants; then one address is told of all.
#[tokio::test]
async fn dev_answers_as_wepay_at_once() {
    let told = Receiver::open().await;
    let world = World::with(&[&format!("compat.1.cb_notify_url={}/all", told.url)]).await;
    let url = format!("{}/apis/v1/wepay/get_pay_request_params", world.gateway());
    let answer = world.raw(&url, &[], order("order-0001", "APP").to_string()).await.expect(200);
    assert_eq!(answer["errcode"], 0, "{answer}");
    let order = json!({"provider": "wechat", "out_trade_no": "order-0001"});
    world.control("pay", order).await.expect(200);
    let list = world.get("/v1/charges?order_no=order-0001").await;
    let paid = world.until(&list["data"][0], "succeeded").await;
    assert_eq!(paid["profile"], "wepay");
    assert_eq!(told.until("order-0001", 1).await[0].path, "all");
    world.finish().await;
}

/// WeChat's last words may be about another order of the same charge by the time that the merchant
/// listens; it is told of its payment all the same.
#[tokio::test]
async fn a_merchant_is_never_told_the_words_about_another_order() {
    let shop = Shop::open(ALL, &["polling.delay=1s"]).await;
    let silent = json!({"provider": "wechat", "notify": {"drop": true}});
    shop.sandbox.control("faults", silent).await;
    shop.told.will_answer(&[500]);
    shop.order("order-0001", "H5").await;
    let mut another = order("order-0001", "H5");
    another["openid"] = json!("another-payer");
    assert_eq!(shop.ask("get_pay_request_params", &another).await["errcode"], 0);
    shop.pay("order-0001").await;
    let first = shop.told.until("order-0001", 1).await[0].body.clone();
    let charge = shop.charge("order-0001").await;
    assert_eq!(charge["attempts"].as_array().unwrap().len(), 2);
    // Asks about both orders; the unpaid one comes last.
    let path = format!("/v1/charges/{}/sync", text(&charge["id"]));
    shop.world.call("POST", &path, None).await.expect(200);
    let tried = async || {
        let list = shop.world.get("/v1/deliveries").await;
        (list["data"][0]["n_tries"] == 1).then_some(())
    };
    eventually("the try is recorded", tried).await;
    shop.world.advance("9m").await;
    let second = shop.told.until("order-0001", 2).await[1].body.clone();
    assert!(first.get("trade_state").is_some() && second.get("trade_state").is_none());
    let same = ["return_code", "result_code", "appid", "mch_id", "openid", "transaction_id"];
    for name in same.into_iter().chain(["total_fee", "fee_type", "attach", "time_end"]) {
        assert_eq!(second[name], first[name], "{name}");
    }
    shop.finish().await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// WeChat v2: the members but the signature, sorted, and the key at their end.
fn check_md5(merchant: &Value, params: &Value, sign: &str) {
    let members = params.as_object().unwrap().iter().filter(|(name, _)| *name != sign);
    let mut pairs: Vec<String> =
        members.map(|(name, value)| format!("{name}={}", text(value))).collect();
    pairs.sort();
    let signed = format!("{}&key={}", pairs.join("&"), text(&merchant["api_key"]));
    assert_eq!(text(&params[sign]), digest::md5_hex(signed.as_bytes()).to_uppercase());
}
