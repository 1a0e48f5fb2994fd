//! `wxpay`: the routes of document 002, and what was wrong there.

use super::{call, form, n_charges, numbered, rows, with_headers};
use crate::merchant::Merchant;
use crate::world::{World, eventually, id, out_trade_no};
use serde_json::{Value, json};

const ORDER: [(&str, &str); 2] = [("merchant_id", "7"), ("product_id", "42")];

fn order(price: &str) -> Value {
    let body = format!(r#"{{"merchant_id": 7, "product_id": 42, "price": {price}}}"#);
    serde_json::from_str(&body).unwrap()
}

/// Orders, and gives the charge as `/v1` shows it.
async fn ordered(world: &World, price: &str) -> Value {
    let answer = call(world, "/wxPay/toPay", order(price)).await.expect(200);
    assert_eq!((&answer["code"], &answer["msg"]), (&json!(0), &json!("")), "{answer}");
    numbered(world, answer["order_id"].as_str().unwrap()).await
}

async fn state(world: &World, charge: &Value) -> Value {
    let body = json!({"order_id": charge["order_no"]});
    call(world, "/wxPay/queryOrder", body).await.expect(200)
}

async fn close(world: &World, order_id: &Value) -> Value {
    call(world, "/wxPay/doCloseOrder", json!({"order_id": order_id})).await.expect(200)
}

fn said(code: i64, msg: &str) -> Value {
    json!({"code": code, "msg": msg})
}

fn trade(state: &str, desc: &str) -> Value {
    json!({"trade_state": state, "trade_state_desc": desc})
}

#[tokio::test]
async fn an_order_is_shown_paid_told_and_given_back() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.succeeded", "refund.succeeded"]).await;
    let answer = call(&world, "/wxPay/toPay", order("19.9")).await.expect(200);
    let members: Vec<&String> = answer.as_object().unwrap().keys().collect();
    assert_eq!(members, ["code", "code_url", "msg", "order_id"]);
    let codes = answer["code_url"].as_array().unwrap();
    assert_eq!(codes.len(), 1);
    assert!(codes[0].as_str().unwrap().starts_with("weixin://wxpay/bizpayurl?pr="));

    let charge = numbered(&world, answer["order_id"].as_str().unwrap()).await;
    assert_eq!(charge["action"]["code_url"], codes[0]);
    assert_eq!((&charge["profile"], &charge["amount"]), (&json!("wxpay"), &json!(1990)));
    assert_eq!(charge["account"], "dev_wechat_v2");
    assert_eq!(charge["metadata"], json!({"merchant_id": "7", "product_id": "42"}));
    assert_eq!(out_trade_no(&charge), answer["order_id"]);
    assert_eq!(state(&world, &charge).await, trade("NOTPAY", "订单未支付"));

    world.pay(&charge).await.expect(200);
    let charge = world.until(&charge, "succeeded").await;
    assert_eq!(state(&world, &charge).await, trade("SUCCESS", "支付成功"));
    let told = merchant.until(&charge, "charge.succeeded", 1).await;
    assert!(merchant.believes(&told[0]));
    assert!(world.events(&charge).await.contains(&"charge.succeeded".to_owned()));

    let refund = world.refund(&charge, json!({"amount": 990})).await.expect(201);
    world.advance("3s").await;
    let refund = world.until_refund(&refund, "succeeded").await;
    merchant.until(&refund, "refund.succeeded", 1).await;
    assert_eq!(state(&world, &charge).await["trade_state"], "REFUND");
    world.finish().await;
}

#[tokio::test]
async fn forms_slashes_and_the_other_address_work_too() {
    let world = World::start().await;
    let body: String = ORDER.iter().map(|(name, value)| format!("{name}={value}&")).collect();
    let answer = form(&world, "/wxPay/toPay/", &format!("{body}price=0.03")).await.expect(200);
    assert_eq!(answer["code"], 0, "{answer}");
    let body = format!("order_id={}", answer["order_id"].as_str().unwrap());
    for path in ["/wxPay/queryOrder", "/wxPay/wxPay/queryOrder", "/wxPay/wxPay/queryOrder/"] {
        let state = form(&world, path, &body).await.expect(200);
        assert_eq!(state, trade("NOTPAY", "订单未支付"), "{path}");
    }
    let closed = form(&world, "/wxPay/doCloseOrder/", &body).await.expect(200);
    assert_eq!(closed, said(0, "关单成功"));
    world.finish().await;
}

#[tokio::test]
async fn yuan_as_floating_point() {
    let world = World::start().await;
    let prices =
        [("19.9", 1990), ("0.03", 3), ("0.29", 29), ("1.15", 115), ("4.35", 435), ("8.20", 820)];
    for (price, fen) in prices {
        let charge = ordered(&world, price).await;
        assert_eq!(charge["amount"], fen, "{price}");
        assert_eq!(world.trade(out_trade_no(&charge)).await["amount"], fen, "{price}");
    }
    let texts = r#"{"merchant_id": "7", "product_id": "42", "price": "19.90"}"#;
    let texts = call(&world, "/wxPay/toPay", serde_json::from_str(texts).unwrap()).await;
    let charge = numbered(&world, texts.expect(200)["order_id"].as_str().unwrap()).await;
    assert_eq!(charge["amount"], 1990);

    let before = n_charges(&world).await;
    for price in ["19.999", "0.30000000000000004", "1e2", "-1", "0", "\"\"", "null", "100000000.01"]
    {
        let body = format!(r#"{{"merchant_id": 7, "product_id": 42, "price": {price}}}"#);
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let url = format!("{}/wxPay/toPay", world.gateway());
        let refused = world.raw(&url, &headers, body).await.expect(200);
        assert_eq!(refused["code"], 1, "{price}: {refused}");
        assert!(refused["msg"].as_str().unwrap().contains("price"), "{price}: {refused}");
    }
    assert_eq!(n_charges(&world).await, before);
    world.finish().await;
}

#[tokio::test]
async fn one_order_number_for_each_order() {
    let world = World::start().await;
    let orders = (0..20).map(|_| call(&world, "/wxPay/toPay", order("0.01")));
    let answers = futures_util::future::join_all(orders).await;
    let mut numbers: Vec<String> = Vec::new();
    for answer in answers {
        let answer = answer.expect(200);
        let number = answer["order_id"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(number.len() == 19 && number.bytes().all(|b| b.is_ascii_digit()), "{number}");
        let created_at = numbered(&world, number).await["created_at"].as_str().unwrap().to_owned();
        let created_at: tongbao_types::Timestamp = created_at.parse().unwrap();
        let in_china = created_at + tongbao_types::Span::from_seconds(8 * 3600);
        let seconds = in_china.to_string().replace(['-', ':', 'T'], "");
        assert_eq!(number[..13], seconds[..13], "the moment in China");
        numbers.push(number.to_owned());
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 20);
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_done_is_said_in_the_documents_shape() {
    let world = World::start().await;
    let bad = [
        json!({"product_id": 42, "price": 1}),
        json!({"merchant_id": "7' or '1'='1", "product_id": 42, "price": 1}),
        json!({"merchant_id": 7, "product_id": -1, "price": 1}),
        json!({"merchant_id": 7, "product_id": "1234567890123456789", "price": 1}),
        json!([]),
    ];
    for body in bad {
        let refused = call(&world, "/wxPay/toPay", body.clone()).await.expect(200);
        assert_eq!(refused["code"], 1, "{body}");
        assert!(refused["msg"].is_string(), "{body}");
    }
    assert_eq!(n_charges(&world).await, 0);

    let fault = json!({"path": "/pay/unifiedorder", "error_code": "NOAUTH", "times": 1});
    world.fault(fault).await;
    let refused = call(&world, "/wxPay/toPay", order("1")).await.expect(200);
    let words = world.shown("requests").await;
    let words = words.last().unwrap()["answer"].to_string();
    let msg = refused["msg"].as_str().unwrap();
    assert!(refused["code"] == 1 && !msg.is_empty() && words.contains(msg), "{msg}: {words}");

    for number in ["2026112114300012345", "' or '1'='1", "x\"; drop table charges; --"] {
        let body = json!({"order_id": number});
        let unknown = call(&world, "/wxPay/queryOrder", body).await.expect(200);
        assert_eq!(unknown, said(1, "订单不存在"), "{number}");
        assert_eq!(close(&world, &json!(number)).await, said(1, "关单失败"), "{number}");
    }
    world.finish().await;
}

/// An older answer is none to this question.
#[tokio::test]
async fn a_query_without_an_answer_shows_no_old_one() {
    let world = World::start().await;
    let charge = ordered(&world, "1").await;
    assert_eq!(state(&world, &charge).await, trade("NOTPAY", "订单未支付"));
    world.fault(json!({"path": "/pay/orderquery", "drop": true})).await;
    assert_eq!(state(&world, &charge).await["code"], 1);
    world.clear_faults().await;
    assert_eq!(state(&world, &charge).await, trade("NOTPAY", "订单未支付"));
    world.finish().await;
}

#[tokio::test]
async fn an_order_is_closed_and_a_paid_one_is_not() {
    let world = World::start().await;
    let charge = ordered(&world, "1").await;
    for _twice in 0..2 {
        assert_eq!(close(&world, &charge["order_no"]).await, said(0, "关单成功"));
    }
    assert_eq!(world.trade(out_trade_no(&charge)).await["state"], "CLOSED");
    assert_eq!(world.charge(&charge).await["status"], "closed");
    assert_eq!(state(&world, &charge).await["trade_state"], "CLOSED");

    let paid = ordered(&world, "1").await;
    world.pay(&paid).await.expect(200);
    assert_eq!(close(&world, &paid["order_no"]).await, said(1, "关单失败"));
    world.until(&paid, "succeeded").await;
    world.finish().await;
}

/// WeChat refuses to close an order in its first five minutes. What was accepted is kept, also by
/// a process that dies meanwhile.
#[tokio::test]
async fn a_close_in_the_first_five_minutes_is_made_when_they_are_over() {
    let mut world = World::start().await;
    world.control("rules", json!({"wechat_close_wait": true})).await.expect(200);
    let charge = ordered(&world, "1").await;
    let paid = ordered(&world, "1").await;
    for charge in [&charge, &paid] {
        assert_eq!(close(&world, &charge["order_no"]).await, said(0, "关单已受理"));
    }
    world.pay(&paid).await.expect(200);
    world.until(&paid, "succeeded").await;
    world.kill();
    world.run().await;
    world.advance("250s").await;
    assert_eq!(close(&world, &charge["order_no"]).await, said(0, "关单已受理"));
    assert_eq!(state(&world, &charge).await["trade_state"], "NOTPAY");
    // The job has had its turn and knows when the time has come.
    eventually("the job waits for the time", async || {
        let due = "select cast(run_at / 1000000 as text) from jobs where kind = 'close_attempt'";
        let due = rows(&world, due).await;
        let created_at: tongbao_types::Timestamp =
            charge["created_at"].as_str().unwrap().parse().unwrap();
        let wanted = created_at.as_seconds() + 301;
        (due.len() == 1 && due[0][0].parse::<i64>().unwrap() >= wanted).then_some(())
    })
    .await;
    world.advance("60s").await;
    world.until(&charge, "closed").await;
    assert_eq!(world.trade(out_trade_no(&charge)).await["state"], "CLOSED");
    assert_eq!(close(&world, &charge["order_no"]).await, said(0, "关单成功"));
    world.finish().await;
}

#[tokio::test]
async fn no_credentials() {
    let world = World::with(&["polling.delay=10m", "server.trusted_proxies=127.0.0.0/8"]).await;
    let mine = ordered(&world, "1").await;
    let stranger = ("x-forwarded-for", "203.0.113.9");
    let key = |name: &str| format!("Bearer {}", world.key(name));
    let (own, other) = (key("secret_key"), key("other_secret_key"));
    let calls = [
        ("/wxPay/toPay", order("1")),
        ("/wxPay/queryOrder", json!({"order_id": mine["order_no"]})),
        ("/wxPay/doCloseOrder", json!({"order_id": mine["order_no"]})),
    ];
    for (path, body) in calls {
        let refused = with_headers(&world, path, &[stranger], body.clone()).await.expect(401);
        assert_eq!(refused["code"], 1, "{path}");
        assert!(refused["msg"].as_str().unwrap().contains("203.0.113.9"), "{path}: {refused}");
        let theirs = [stranger, ("authorization", &*other)];
        assert_eq!(with_headers(&world, path, &theirs, body.clone()).await.expect(403)["code"], 1);
        assert_eq!(world.charge(&mine).await["status"], "pending", "{path}");
        let ours = [stranger, ("authorization", &*own)];
        let done = with_headers(&world, path, &ours, body).await.expect(200);
        assert_ne!(done["code"], 1, "{path}: {done}");
    }
    world.finish().await;
}

#[tokio::test]
async fn the_table_deal_is_a_view_of_it() {
    let world = World::start().await;
    let unpaid = ordered(&world, "0.03").await;
    let paid = ordered(&world, "19.9").await;
    world.pay(&paid).await.expect(200);
    let paid = world.until(&paid, "succeeded").await;
    assert_eq!(state(&world, &paid).await["trade_state"], "SUCCESS");
    let columns = "order_id, cast(product_id as text), cast(merchant_id as text), \
                   coalesce(transaction_id, ''), price, price_last, cast(status as text), \
                   cast(mode as text), create_at";
    let found = rows(&world, &format!("select {columns} from deal order by id")).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |charge: &Value, trade_no: String, price: &str, status: &str| {
        let created_at: tongbao_types::Timestamp = text(&charge["created_at"]).parse().unwrap();
        let in_china = created_at + tongbao_types::Span::from_seconds(8 * 3600);
        let in_china = in_china.to_string().replace('T', " ")[..19].to_owned();
        let first = [text(&charge["order_no"]), "42".to_owned(), "7".to_owned(), trade_no];
        let last = [price, price, status, "0", &in_china].map(str::to_owned);
        first.into_iter().chain(last).collect::<Vec<_>>()
    };
    let trade_no = text(&paid["provider_trade_no"]);
    let wanted = [row(&unpaid, String::new(), "0.03", "0"), row(&paid, trade_no, "19.90", "1")];
    assert_eq!(found, wanted);
    let replies = "select prepayBack, payBack, queryBack from deal where status = 1";
    let replies = rows(&world, replies).await;
    for (reply, member) in replies[0].iter().zip(["prepay_id", "transaction_id", "trade_state"]) {
        let reply: Value = serde_json::from_str(reply).unwrap();
        assert!(reply[member].is_string(), "{member}: {reply}");
    }
    assert!(id(&paid).starts_with("ch_"));
    world.finish().await;
}
