//! `payorder`: the routes of document 003, and what was wrong there.

use super::{call, form, lost_notice, n_charges, numbered, rows, with_headers};
use crate::merchant::Merchant;
use crate::world::{World, id, out_trade_no};
use data_encoding::BASE64;
use serde_json::{Value, json};

fn body() -> Value {
    json!({"body": "测试", "ip": "203.0.113.7", "total_fee": 1990, "trade_type": "NATIVE"})
}

/// Orders, and gives the data.
async fn order(world: &World, body: Value) -> Value {
    let answer = call(world, "/wx/order", body).await.expect(200);
    assert_eq!(answer["status"], 200, "{answer}");
    answer["data"].clone()
}

/// Orders, and gives the charge as `/v1` shows it.
async fn ordered(world: &World) -> Value {
    let data = order(world, body()).await;
    numbered(world, data["out_trade_no"].as_str().unwrap()).await
}

async fn state(world: &World, charge: &Value) -> Value {
    let body = json!({"out_trade_no": charge["order_no"], "nonce_str": "D1"});
    let answer = call(world, "/queryOrder", body).await.expect(200);
    assert_eq!(answer["status"], 200, "{answer}");
    answer["data"].clone()
}

#[track_caller]
fn check_texts(data: &Value) {
    for (name, value) in data.as_object().unwrap() {
        assert!(value.is_string(), "{name}: {value}");
    }
}

#[tokio::test]
async fn an_order_is_drawn_paid_told_and_given_back() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.succeeded"]).await;
    let data = order(&world, body()).await;
    check_texts(&data);
    for name in ["return_code", "result_code"] {
        assert_eq!(data[name], "SUCCESS");
    }
    assert_eq!((&data["return_msg"], &data["trade_type"]), (&json!("OK"), &json!("NATIVE")));
    for name in ["appid", "mch_id", "sign", "prepay_id"] {
        assert!(!data[name].as_str().unwrap().is_empty(), "{name}");
    }
    let number = data["out_trade_no"].as_str().unwrap();
    let digits = number.strip_prefix("China").unwrap();
    assert!(number.len() <= 32 && digits.bytes().all(|b| b.is_ascii_digit()), "{number}");
    let charge = numbered(&world, number).await;
    assert_eq!((&charge["profile"], &charge["amount"]), (&json!("payorder"), &json!(1990)));
    assert_eq!((&charge["subject"], &charge["account"]), (&json!("测试"), &json!("dev_wechat_v2")));
    assert_eq!(charge["metadata"], json!({"nonce_str": data["nonce_str"]}));
    assert_eq!((out_trade_no(&charge), &charge["action"]["code_url"]), (number, &data["code_url"]));

    let drawn = data["payUrl"].as_str().unwrap().strip_prefix("data:image/png;base64,").unwrap();
    let url = format!("{}/v1/charges/{}/qr.png", world.gateway(), id(&charge));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let picture = http.get(url).bearer_auth(world.key("secret_key")).send().await.unwrap();
    assert_eq!(BASE64.decode(drawn.as_bytes()).unwrap(), picture.bytes().await.unwrap());

    assert_eq!(state(&world, &charge).await["trade_state"], "NOTPAY");
    world.pay(&charge).await.expect(200);
    let charge = world.until(&charge, "succeeded").await;
    let told = merchant.until(&charge, "charge.succeeded", 1).await;
    assert!(merchant.believes(&told[0]));
    let paid = state(&world, &charge).await;
    check_texts(&paid);
    assert_eq!((&paid["trade_state"], &paid["total_fee"]), (&json!("SUCCESS"), &json!("1990")));
    assert_eq!(paid["transaction_id"], charge["provider_trade_no"]);

    let refund = world.refund(&charge, json!({})).await.expect(201);
    world.advance("3s").await;
    world.until_refund(&refund, "succeeded").await;
    assert_eq!(state(&world, &charge).await["trade_state"], "REFUND");
    world.finish().await;
}

#[tokio::test]
async fn forms_slashes_and_both_addresses_work() {
    let world = World::start().await;
    let body = "body=%E6%B5%8B%E8%AF%95&ip=%3A%3Affff%3A127.0.0.1&total_fee=1&trade_type=NATIVE";
    for path in ["/order", "/order/", "/wx/order", "/wx/order/"] {
        let answer = form(&world, path, body).await.expect(200);
        assert_eq!(answer["status"], 200, "{path}: {answer}");
        let number = answer["data"]["out_trade_no"].as_str().unwrap();
        let charge = numbered(&world, number).await;
        assert_eq!((&charge["amount"], &charge["subject"]), (&json!(1), &json!("测试")));
        let state = form(&world, "/queryOrder/", &format!("out_trade_no={number}")).await;
        assert_eq!(state.expect(200)["data"]["trade_state"], "NOTPAY");
    }
    let ips = rows(&world, "select distinct spbill_create_ip from payorder").await;
    assert_eq!(ips, [["127.0.0.1"]], "as Node writes it");
    world.finish().await;
}

#[tokio::test]
async fn one_shared_nonce_and_order_number() {
    let world = World::start().await;
    let all = futures_util::future::join_all((0..20).map(|_| order(&world, body()))).await;
    for name in ["nonce_str", "out_trade_no", "code_url", "prepay_id"] {
        let mut texts: Vec<&str> = all.iter().map(|data| data[name].as_str().unwrap()).collect();
        assert!(texts.iter().all(|text| !text.is_empty()));
        assert!(name != "nonce_str" || texts.iter().all(|text| text.len() <= 32));
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), 20, "{name}");
    }
    world.finish().await;
}

#[tokio::test]
async fn sql_by_concatenation() {
    let world = World::start().await;
    let evil = r#"x"); drop table charges; -- ' or '1'='1 ${key} \"#;
    let data = order(&world, json!({"body": evil, "ip": "203.0.113.7", "total_fee": "1"})).await;
    let charge = numbered(&world, data["out_trade_no"].as_str().unwrap()).await;
    assert_eq!(charge["subject"], evil, "a text is a text");
    for number in
        [r#"China1" or "1"="1"#, "' union select 1 --", "China1'; delete from charges; --"]
    {
        let unknown = call(&world, "/queryOrder", json!({"out_trade_no": number})).await;
        assert_eq!(unknown.expect(200), json!({"status": 1050, "data": "订单不存在"}), "{number}");
    }
    let bodies = rows(&world, "select body from payorder").await;
    assert_eq!(bodies, [[evil]]);
    let ip = json!({"body": "x", "ip": "1' or '1'='1", "total_fee": 1});
    assert_eq!(call(&world, "/order", ip).await.expect(200)["status"], 1050);
    assert_eq!(n_charges(&world).await, 1);
    world.finish().await;
}

#[tokio::test]
async fn unverified_notices() {
    let world = World::start().await;
    let charge = ordered(&world).await;
    let (headers, genuine) = lost_notice(&world, &charge).await;
    let sign = genuine.split_once("<sign>").unwrap().1.split_once("</sign>").unwrap().0;
    assert!(genuine.contains("1990"), "{genuine}");
    let forged = [
        genuine.replace(&format!("<sign>{sign}</sign>"), ""),
        genuine.replace(sign, &format!("<![CDATA[{}]]>", "0".repeat(32))),
        genuine.replace("1990", "1"),
        genuine.replace("1990", "199000"),
        String::new(),
        "<xml><return_code>SUCCESS</return_code></xml>".to_owned(),
        genuine[..genuine.len() / 2].to_owned(),
    ];
    for path in ["/pay/notify", "/pay/notify_url"] {
        let url = format!("{}{path}", world.gateway());
        for body in &forged {
            assert_ne!(body, &genuine);
            let answer = world.raw(&url, &headers, body.clone()).await;
            let text = answer.body.as_str().unwrap();
            assert!(text.contains("FAIL") && !text.contains("SUCCESS"), "{body}: {text}");
            assert_eq!(world.charge(&charge).await["status"], "pending", "{body}");
        }
    }
    let url = format!("{}/pay/notify", world.gateway());
    let answer = world.raw(&url, &headers, genuine).await;
    assert!(answer.body.as_str().unwrap().contains("SUCCESS"), "{}", answer.body);
    assert_eq!(world.charge(&charge).await["status"], "succeeded");
    world.finish().await;
}

/// The first notice put a row into the table, and every later one was dropped because of it.
#[tokio::test]
async fn a_notice_dropped_once_any_order_exists() {
    let world = World::start().await;
    for path in ["/pay/notify", "/pay/notify_url", "/pay/notify/", "/pay/notify_url/"] {
        let charge = ordered(&world).await;
        let (headers, notice) = lost_notice(&world, &charge).await;
        let state = "select trade_state, transaction_id, openid from payorder order by id desc";
        assert_eq!(rows(&world, state).await[0], ["NOTPAY", "", ""], "{path}");
        for _repeated in 0..2 {
            let url = format!("{}{path}", world.gateway());
            let answer = world.raw(&url, &headers, notice.clone()).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(answer.body.as_str().unwrap().contains("SUCCESS"), "{path}: {}", answer.body);
        }
        let paid = world.charge(&charge).await;
        assert_eq!(paid["status"], "succeeded", "{path}");
        assert_eq!(world.count(&charge, "charge.succeeded").await, 1, "{path}");
        let row = rows(&world, state).await.remove(0);
        assert_eq!((&*row[0], &*row[1]), ("SUCCESS", paid["provider_trade_no"].as_str().unwrap()));
        assert_eq!(row[2], paid["payer"]["openid"].as_str().unwrap());
    }
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_the_documents_shape() {
    let world = World::start().await;
    let with = |name: &str, value: Value| {
        let mut body = body();
        body[name] = value;
        body
    };
    let bad = [
        (with("trade_type", json!("JSAPI")), "trade_type"),
        (with("total_fee", json!(1.5)), "total_fee"),
        (with("total_fee", json!(0)), "total_fee"),
        (with("total_fee", Value::Null), "total_fee"),
        (with("total_fee", json!(10_000_000_001_i64)), "total_fee"),
        (with("body", json!("")), "body"),
        (with("body", json!("a\nb")), "body"),
        (with("ip", json!("here")), "ip"),
    ];
    for (body, why) in bad {
        let refused = call(&world, "/order", body.clone()).await.expect(200);
        assert_eq!(refused["status"], 1050, "{body}");
        assert!(refused["data"].as_str().unwrap().contains(why), "{body}: {refused}");
    }
    assert_eq!(n_charges(&world).await, 0);
    let fault = json!({"path": "/pay/unifiedorder", "error_code": "NOAUTH", "times": 1});
    world.fault(fault).await;
    let refused = call(&world, "/order", body()).await.expect(200);
    let words = world.shown("requests").await;
    let words = words.last().unwrap()["answer"].to_string();
    let why = refused["data"].as_str().unwrap();
    assert!(refused["status"] == 1050 && words.contains(why), "{why}: {words}");
    assert!(rows(&world, "select id from payorder").await.is_empty(), "a refused order is none");
    world.finish().await;
}

#[tokio::test]
async fn no_credentials() {
    let world = World::with(&["polling.delay=10m", "server.trusted_proxies=127.0.0.0/8"]).await;
    let charge = ordered(&world).await;
    let stranger = ("x-forwarded-for", "203.0.113.9");
    let key = |name: &str| format!("Bearer {}", world.key(name));
    let (own, other) = (key("secret_key"), key("other_secret_key"));
    let number = json!({"out_trade_no": charge["order_no"]});
    for (path, body) in [("/order", body()), ("/wx/order", body()), ("/queryOrder", number)] {
        let refused = with_headers(&world, path, &[stranger], body.clone()).await.expect(401);
        assert_eq!(refused["status"], 1050, "{path}");
        assert!(refused["data"].as_str().unwrap().contains("203.0.113.9"), "{path}: {refused}");
        let theirs = [stranger, ("authorization", &*other)];
        let refused = with_headers(&world, path, &theirs, body.clone()).await.expect(403);
        assert_eq!(refused["status"], 1050, "{path}");
        let ours = [stranger, ("authorization", &*own)];
        let done = with_headers(&world, path, &ours, body).await.expect(200);
        assert_eq!(done["status"], 200, "{path}: {done}");
    }
    // The signature is WeChat's key, wherever it calls from.
    let (mut headers, notice) = lost_notice(&world, &charge).await;
    headers.push((stranger.0.to_owned(), stranger.1.to_owned()));
    let answer = world.raw(&format!("{}/pay/notify", world.gateway()), &headers, notice).await;
    assert!(answer.body.as_str().unwrap().contains("SUCCESS"), "{}", answer.body);
    world.finish().await;
}
