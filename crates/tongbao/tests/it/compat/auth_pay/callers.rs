//! Who may call, what is refused, and how that looks to callers of the old service.

use super::Old;
use crate::world::{Answer, World};
use serde_json::{Value, json};

const WECHAT: [&str; 6] = [
    "/auth/pay/wx2.0",
    "/auth/wxpay/orderquery2.0",
    "/auth/wxpay/closeorder2.0",
    "/auth/wxpay/refund2.0",
    "/auth/wxpay/refundquery2.0",
    "/auth/wxpay/downloadbill2.0",
];
const ALIPAY: [&str; 5] = [
    "/auth/alipay/query2.0",
    "/auth/alipay/close2.0",
    "/auth/alipay/refund2.0",
    "/auth/alipay/refundquery2.0",
    "/auth/alipay/billQuery2.0",
];

/// Loopback is let in by no entry of `allow_from`.
async fn closed_world() -> World {
    World::with(&["compat.0.allow_from=10.0.0.0/8", "polling.delay=10m"]).await
}

fn check_alipay(answer: &Answer, status: u16, codes: (&str, &str)) {
    let body = &answer.body;
    assert_eq!(answer.status, status, "{body}");
    assert_eq!((body["code"].as_str(), body["sub_code"].as_str()), (Some(codes.0), Some(codes.1)));
    assert!(body["msg"].is_string() && body["sub_msg"].is_string(), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 4, "{body}");
}

fn check_wechat(answer: &Answer, status: u16) {
    let body = &answer.body;
    assert_eq!((answer.status, &body["return_code"]), (status, &json!("FAIL")), "{body}");
    assert!(body["return_msg"].as_str().is_some_and(|text| text.len() > 10), "{body}");
    assert_eq!(body.as_object().unwrap().len(), 2, "{body}");
}

const NOT_YOU: (&str, &str) = ("40006", "isv.insufficient-isv-permissions");

#[tokio::test]
async fn r_no_credentials_strangers_are_refused_in_the_providers_shape() {
    let world = closed_world().await;
    let old = Old(&world);
    let order = json!({"totalFee": "1", "body": "x", "outTradeNo": "20180821386906"});
    for path in WECHAT {
        check_wechat(&old.post(path, order.clone()).await, 401);
    }
    for path in ALIPAY {
        check_alipay(&old.post(path, order.clone()).await, 401, NOT_YOU);
    }
    let pay = "/auth/alipay/pay2.0?totalAmount=0.01&subject=x";
    check_alipay(&old.get(pay).await, 401, NOT_YOU);
    let other = format!("Bearer {}", world.key("other_secret_key"));
    let with = async |key: &str| {
        let headers = [("authorization", key)];
        let body = Some(order.clone());
        world.try_call("POST", "/auth/pay/wx2.0/", body, &headers).await.unwrap()
    };
    check_wechat(&with(&other).await, 403);
    check_wechat(&with("Bearer sk_test_nobody").await, 403);
    assert_eq!(world.get("/v1/charges").await["data"], json!([]), "nothing was made");

    // The app's own key opens it from anywhere.
    let own = format!("Bearer {}", world.key("secret_key"));
    assert!(with(&own).await.expect(200)["code_url"].is_string());
    world.finish().await;
}

/// Whoever sits in a network that `allow_from` names may look at any page of the web, which must
/// not order or refund through that browser.
#[tokio::test]
async fn a_page_that_somebody_inside_looks_at_cannot_call() {
    let world = World::start().await;
    let order = json!({"totalFee": "1", "body": "x"});
    let url = format!("{}/auth/pay/wx2.0", world.gateway());
    let send = async |pairs: &[(&str, &str)]| {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = pairs.iter().map(own).collect();
        world.raw(&url, &headers, order.to_string()).await
    };
    // What a form or a script without asking may send anywhere.
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        for origin in ["https://evil.example", "null"] {
            let answer = send(&[("content-type", kind), ("origin", origin)]).await;
            check_wechat(&answer, 401);
            let text = answer.body["return_msg"].as_str().unwrap();
            assert!(text.contains(origin), "{text}");
        }
    }
    assert_eq!(world.get("/v1/charges").await["data"], json!([]), "nothing was made");
    let json = ("content-type", "application/json");
    assert!(send(&[json, ("origin", world.gateway())]).await.expect(200)["code_url"].is_string());
    let own = format!("Bearer {}", world.key("secret_key"));
    let keyed = [json, ("origin", "https://shop.example"), ("authorization", &own)];
    assert!(send(&keyed).await.expect(200)["code_url"].is_string());
    world.finish().await;
}

#[tokio::test]
async fn what_callers_get_wrong_is_named() {
    let world = World::start().await;
    let old = Old(&world);
    let wechat = async |path: &str, body: Value| {
        check_wechat(&old.post(path, body).await, 400);
    };
    for fee in ["0", "-1", "1.5", "1e2", "", "10000000001", "一"] {
        wechat("/auth/pay/wx2.0/", json!({"totalFee": fee, "body": "x"})).await;
    }
    wechat("/auth/pay/wx2.0/", json!({"totalFee": "1"})).await;
    wechat("/auth/pay/wx2.0/", json!({"totalFee": "1", "body": "a\u{0}b"})).await;
    wechat("/auth/wxpay/orderquery2.0/", json!({})).await;
    wechat("/auth/wxpay/orderquery2.0/", json!({"outTradeNo": "订单"})).await;
    wechat("/auth/wxpay/orderquery2.0/", json!([1])).await;
    wechat("/auth/wxpay/downloadbill2.0/", json!({"billDate": "20140632"})).await;
    let wrong = ("40002", "isv.invalid-parameter");
    for amount in ["'0.01'", "0.001", "0", "-1", "1e2"] {
        let path = format!("/auth/alipay/pay2.0?totalAmount={amount}&subject=x");
        check_alipay(&old.get(&path).await, 400, wrong);
    }
    let missing = ("40001", "isv.missing-parameter");
    check_alipay(&old.get("/auth/alipay/pay2.0?totalAmount=1").await, 400, missing);
    check_alipay(&old.post("/auth/alipay/query2.0/", json!({})).await, 400, missing);
    assert_eq!(world.get("/v1/charges").await["data"], json!([]), "nothing was made");
    assert_eq!(world.shown("requests").await.len(), 0, "and nobody was asked");
    world.finish().await;
}

/// A longer text than today's limit is cut, since the old service took it.
#[tokio::test]
async fn a_long_description_is_cut() {
    let world = World::start().await;
    let body = json!({"totalFee": "1", "body": "茶".repeat(300)});
    let order = Old(&world).post("/auth/pay/wx2.0", body).await.expect(200);
    let charge = Old(&world).charge(order["out_trade_no"].as_str().unwrap()).await;
    assert_eq!(charge["subject"], "茶".repeat(127));
    world.finish().await;
}

#[tokio::test]
async fn a_form_does_as_well_as_json_and_a_slash_makes_no_difference() {
    let world = World::start().await;
    let number = Old(&world).unpaid("wechat").await;
    for (path, kind, body) in [
        (
            "/auth/wxpay/orderquery2.0",
            "application/json",
            json!({"outTradeNo": number}).to_string(),
        ),
        ("/auth/wxpay/orderquery2.0/", "text/plain", format!("outTradeNo={number}")),
        (
            "/auth/wxpay/orderquery2.0",
            "application/x-www-form-urlencoded",
            format!("outTradeNo={number}"),
        ),
    ] {
        let headers = [("content-type".to_owned(), kind.to_owned())];
        let answer = world.raw(&format!("{}{path}", world.gateway()), &headers, body).await;
        assert_eq!(answer.expect(200)["trade_state"], "NOTPAY", "{path} {kind}");
    }
    world.finish().await;
}

/// A browser that looks ahead must not order.
#[tokio::test]
async fn head_makes_no_order() {
    let world = World::start().await;
    let path = "/auth/alipay/pay2.0?totalAmount=0.01&subject=x";
    let answer = world.call("HEAD", path, None).await;
    assert_eq!(answer.status, 405);
    assert_eq!(world.get("/v1/charges").await["data"], json!([]));
    world.finish().await;
}

#[tokio::test]
async fn a_silent_provider_is_shown_as_one() {
    let world = World::start().await;
    let old = Old(&world);
    let code = old.unpaid("wechat").await;
    let page = old.unpaid("alipay").await;
    world.fault(json!({"status": 500})).await;
    let unknown = ("20000", "isp.unknow-error");
    for operation in ["query", "refund", "refund_query", "close"] {
        check_wechat(&old.call(&format!("wechat {operation}"), &code).await, 200);
        check_alipay(&old.call(&format!("alipay {operation}"), &page).await, 200, unknown);
    }
    let order = old.post("/auth/pay/wx2.0/", json!({"totalFee": "1", "body": "x"})).await;
    let order = order.expect(200);
    assert_eq!(order["return_code"], "FAIL", "{order}");
    let number = order["out_trade_no"].as_str().unwrap();
    assert_eq!(old.charge(number).await["status"], "pending");
    world.clear_faults().await;
    // An older answer is never shown for a newer question.
    assert_eq!(old.call("wechat query", &code).await.expect(200)["return_code"], "SUCCESS");
    world.fault(json!({"corrupt_signature": true})).await;
    check_wechat(&old.call("wechat query", &code).await, 200);
    check_alipay(&old.call("alipay query", &page).await, 200, unknown);
    world.clear_faults().await;
    world.advance("30m").await;
    world.finish().await;
}

/// Each provider's routes know its own orders alone.
#[tokio::test]
async fn a_number_of_the_other_provider_is_unknown() {
    let world = World::start().await;
    let old = Old(&world);
    let (code, page) = (old.paid("wechat").await, old.paid("alipay").await);
    let answer = old.call("wechat query", &page).await.expect(200);
    assert_eq!(answer["err_code"], "ORDERNOTEXIST");
    for operation in ["alipay query", "alipay refund"] {
        let answer = old.call(operation, &code).await.expect(200);
        assert_eq!(answer["sub_code"], "ACQ.TRADE_NOT_EXIST", "{operation}");
    }
    for number in [&code, &page] {
        assert!(super::sent_back(&world, number).await.is_empty());
    }
    world.finish().await;
}

#[tokio::test]
async fn bills_come_as_they_did() {
    let world = World::start().await;
    let old = Old(&world);
    let number = old.paid("wechat").await;
    old.paid("alipay").await;
    let day = format!("{}-{}-{}", &number[..4], &number[4..6], &number[6..8]);
    world.advance("36h").await;
    let bill = async |date: &str, kind: &str| {
        let body = json!({"billDate": date, "billType": kind});
        old.post("/auth/wxpay/downloadbill2.0/", body).await
    };
    let text = bill(&number[..8], "ALL").await;
    assert_eq!(text.headers["content-type"], "text/plain; charset=utf-8");
    let text = text.expect(200);
    let text = text.as_str().unwrap();
    assert!(text.contains("交易时间,公众账号ID") && text.contains(&number), "{text}");
    let none = bill("20140603", "ALL").await.expect(200);
    assert_eq!(
        (&none["return_code"], &none["return_msg"]),
        (&json!("FAIL"), &json!("No Bill Exist"))
    );
    check_wechat(&bill("20140603", "REVERSED").await, 400);

    let address = async |date: &str| {
        let body = json!({"billDate": date, "billType": "trade"});
        old.post("/auth/alipay/billQuery2.0/", body).await.expect(200)
    };
    let there = address(&day).await;
    assert_eq!(there["code"], "10000", "{there}");
    assert!(there["bill_download_url"].as_str().unwrap().starts_with("http"), "{there}");
    let none = address("2016-04-05").await;
    assert_eq!(none["code"], "40004", "{none}");
    assert!(none["sub_code"].is_string(), "{none}");
    world.finish().await;
}

/// The words about several orders of one charge are kept in one place; whose they are is not mixed
/// up.
#[tokio::test]
async fn another_channels_answer_is_not_shown() {
    let world = World::start().await;
    let old = Old(&world);
    let number = old.unpaid("wechat").await;
    let charge = old.charge(&number).await;
    let path = format!("/v1/charges/{}/attempts", charge["id"].as_str().unwrap());
    world.post(&path, json!({"channel": "alipay.qr"})).await.expect(201);
    let answer = old.call("wechat query", &number).await.expect(200);
    assert_eq!(answer["trade_state"], "NOTPAY", "{answer}");
    let answer = old.call("wechat close", &number).await.expect(200);
    assert_eq!(answer["result_code"], "SUCCESS", "{answer}");
    assert_eq!(old.until(&number, "closed").await["order_no"], number);
    world.finish().await;
}

/// WeChat's no to an order is shown as WeChat said it, beside the number that was used up.
#[tokio::test]
async fn a_refused_order_is_shown_in_wechats_words() {
    let world = World::start().await;
    let old = Old(&world);
    let no = json!({"path": "/pay/unifiedorder", "error_code": "NOAUTH", "times": 1});
    world.fault(no).await;
    let answer = old.post("/auth/pay/wx2.0/", json!({"totalFee": "1", "body": "x"})).await;
    let answer = answer.expect(200);
    assert_eq!(
        (&answer["return_code"], &answer["result_code"]),
        (&json!("SUCCESS"), &json!("FAIL"))
    );
    assert_eq!(answer["err_code"], "NOAUTH", "{answer}");
    let charge = old.charge(answer["out_trade_no"].as_str().unwrap()).await;
    assert_eq!(charge["status"], "failed");
    world.finish().await;
}
