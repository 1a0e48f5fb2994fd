//! The second table: routes that the document does not list. Those of the older services answer
//! callers from a network that is named and callers with the app's key; everybody else reads no in
//! that service's own shape. The addresses that providers and payers come to are open, and what
//! comes there shows by itself whether it is genuine.

use super::Matrix;
use super::caller::{Ask, Reply};
use super::methods::refuse_others;
use super::{UNKNOWN, caller};
use crate::compat::lost_notice;
use crate::world::out_trade_no;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Callers come from loopback, which `tongbao dev` names, unless they say otherwise.
pub(super) const SETTINGS: [&str; 4] = [
    "polling.delay=10m",
    "polling.backoff=fixed",
    "server.trusted_proxies=127.0.0.0/8",
    // The matrix shows many wrong keys on purpose.
    "limits.wrong_keys_per_address=100000",
];

/// Files and the page that shows the document: for everybody.
pub(super) const ASSETS: [&str; 2] = ["/assets/{file}", "/docs"];

/// An address that no profile names.
const OUTSIDE: &str = "198.51.100.7";
/// A number of the profiles' form that nobody's order has.
const NOBODYS: &str = "20180821386906";

/// In whose words a route says no.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Wechat,
    Alipay,
    Wepay,
    Wxpay,
    Payorder,
    Capi,
}

/// A route for callers who are admitted. In its body `#paid`, `#open`, `#ali`, `#capi` stand for
/// the numbers of orders, `#day` for a day.
struct Route(Shape, &'static str, &'static str, &'static str);

const GUARDED: [Route; 25] = [
    Route(Shape::Wechat, "POST", "/auth/pay/wx2.0", r#"{"totalFee": "1", "body": "x"}"#),
    Route(Shape::Wechat, "POST", "/auth/pay/wx", r#"{"total_fee": "1", "body": "x"}"#),
    Route(Shape::Wechat, "POST", "/auth/wxpay/orderquery2.0", r##"{"outTradeNo": "#paid"}"##),
    Route(Shape::Wechat, "POST", "/auth/wxpay/closeorder2.0", r##"{"outTradeNo": "#open"}"##),
    Route(
        Shape::Wechat,
        "POST",
        "/auth/wxpay/refund2.0",
        r##"{"outTradeNo": "#paid", "totalFee": "1"}"##,
    ),
    Route(Shape::Wechat, "POST", "/auth/wxpay/refundquery2.0", r##"{"outTradeNo": "#paid"}"##),
    Route(
        Shape::Wechat,
        "POST",
        "/auth/wxpay/downloadbill2.0",
        r##"{"billDate": "#compact", "billType": "ALL"}"##,
    ),
    Route(Shape::Alipay, "GET", "/auth/alipay/pay2.0", "totalAmount=0.01&subject=x&body=y"),
    Route(Shape::Alipay, "POST", "/auth/alipay/query2.0", r##"{"outTradeNo": "#ali"}"##),
    Route(Shape::Alipay, "POST", "/auth/alipay/close2.0", r##"{"outTradeNo": "#ali"}"##),
    Route(
        Shape::Alipay,
        "POST",
        "/auth/alipay/refund2.0",
        r##"{"outTradeNo": "#ali", "refundAmount": "0.01", "refundReason": "x"}"##,
    ),
    Route(Shape::Alipay, "POST", "/auth/alipay/refundquery2.0", r##"{"outTradeNo": "#ali"}"##),
    Route(
        Shape::Alipay,
        "POST",
        "/auth/alipay/billQuery2.0",
        r##"{"billDate": "#day", "billType": "trade"}"##,
    ),
    Route(
        Shape::Wepay,
        "POST",
        "/apis/v1/wepay/get_pay_request_params",
        r#"{"id": "matrix-wepay-1", "fee": 1, "body": "x", "openid": "o-matrix"}"#,
    ),
    Route(
        Shape::Wepay,
        "POST",
        "/apis/v1/wepay/refund",
        r##"{"out_refund_no": "matrix-r1", "out_trade_no": "#wepay", "total_fee": 1,
            "refund_fee": 1}"##,
    ),
    Route(Shape::Wepay, "POST", "/apis/v1/wepay/get_sign_key", "{}"),
    Route(
        Shape::Wxpay,
        "POST",
        "/wxPay/toPay",
        r#"{"merchant_id": 1, "product_id": 2, "price": 0.01}"#,
    ),
    Route(Shape::Wxpay, "POST", "/wxPay/queryOrder", r##"{"order_id": "#wxpay"}"##),
    Route(Shape::Wxpay, "POST", "/wxPay/wxPay/queryOrder", r##"{"order_id": "#wxpay"}"##),
    Route(Shape::Wxpay, "POST", "/wxPay/doCloseOrder", r##"{"order_id": "#wxpay"}"##),
    Route(Shape::Payorder, "POST", "/order", ORDER),
    Route(Shape::Payorder, "POST", "/wx/order", ORDER),
    Route(Shape::Payorder, "POST", "/queryOrder", r##"{"out_trade_no": "#payorder"}"##),
    Route(Shape::Capi, "POST", "/capi/api/v1/charge", CHARGE),
    Route(
        Shape::Capi,
        "POST",
        "/capi/api/v1/charge/{id}/fetch_pay_url",
        r#"{"channel": "ALIPAY"}"#,
    ),
];

/// It has no body, so it stands apart.
const READ_CAPI: Route = Route(Shape::Capi, "GET", "/capi/api/v1/charge/{id}", "");

const ORDER: &str = r#"{"body": "x", "ip": "203.0.113.7", "total_fee": 1, "trade_type": "NATIVE"}"#;
const CHARGE: &str = r#"{"subject": "x", "amount": 1, "livemode": false}"#;

/// For everybody: the method, the path.
const OPEN: [(&str, &str); 6] = [
    ("POST", "/auth/zfb/callback/notify"),
    ("GET", "/auth/zfb/callback/return"),
    ("POST", "/apis/v1/wepay/pay_notify"),
    ("POST", "/pay/notify"),
    ("POST", "/pay/notify_url"),
    ("GET", "/capi/api/v1/charge/{id}/pay"),
];

/// Routes whose GET does something, so that HEAD is refused.
const WITHOUT_HEAD: [&str; 2] = ["/auth/alipay/pay2.0", "/capi/api/v1/charge/{id}/pay"];

/// Every path of the older services in this table.
pub(super) fn paths() -> BTreeSet<String> {
    let guarded = GUARDED.iter().chain([&READ_CAPI]).map(|route| route.2);
    guarded.chain(OPEN.map(|(_, path)| path)).map(str::to_owned).collect()
}

/// Asks every one of them with every credential. Returns how many there are.
pub(super) async fn every_route(matrix: &mut Matrix<'_>) -> usize {
    let orders = Orders::make(matrix).await;
    let guarded: Vec<&Route> = GUARDED.iter().chain([&READ_CAPI]).collect();
    let before = matrix.traces().await;
    for route in &guarded {
        refuse(matrix, &orders, route).await;
    }
    matrix.no_trace_since(&before).await;
    for route in &guarded {
        admit(matrix, &orders, route).await;
    }
    forged(matrix, &orders).await;
    genuine(matrix, &orders).await;
    assets(matrix).await;
    all_methods(matrix, &orders, &guarded).await;
    guarded.len() + OPEN.len() + ASSETS.len()
}

/// Numbers by the names that stand for them.
struct Orders(Vec<(&'static str, String)>);

impl Orders {
    async fn make(matrix: &mut Matrix<'_>) -> Orders {
        let made = async |path: &str, body: &str| {
            let ask = Ask::new("POST", path).body("application/json", body);
            let reply = matrix.caller.send(&ask).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            reply.json()
        };
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let code = r#"{"totalFee": "1", "body": "x"}"#;
        let open = text(&made("/auth/pay/wx2.0", code).await["out_trade_no"]);
        let paid = text(&made("/auth/pay/wx2.0", code).await["out_trade_no"]);
        let wxpay = r#"{"merchant_id": 1, "product_id": 2, "price": 0.01}"#;
        let wxpay = text(&made("/wxPay/toPay", wxpay).await["order_id"]);
        let payorder = text(&made("/order", ORDER).await["data"]["out_trade_no"]);
        let capi = text(&made("/capi/api/v1/charge", CHARGE).await["id"]);
        let other_capi = text(&made("/capi/api/v1/charge", CHARGE).await["id"]);
        let page = "/auth/alipay/pay2.0?totalAmount=0.01&subject=x&body=y";
        let page = matrix.caller.send(&Ask::new("GET", page)).await;
        assert_eq!(page.status, 302, "{}", page.text());
        let world = matrix.world;
        let newest = world.get("/v1/charges?limit=1").await["data"][0].clone();
        let ali = text(&newest["order_no"]);
        let wepay = json!({"channel": "wechat.native", "account": "dev_wechat_v2", "amount": 1});
        let wepay = world.order_with(wepay).await;
        let paid_ones = [by_number(matrix, &paid).await, wepay.clone(), newest];
        for charge in paid_ones {
            world.pay(&charge).await.expect(200);
            world.until(&charge, "succeeded").await;
        }
        let day = matrix.fixtures.day.clone();
        Orders(vec![
            ("#paid", paid),
            ("#open", open),
            ("#ali", ali),
            ("#wepay", text(&wepay["order_no"])),
            ("#wxpay", wxpay),
            ("#payorder", payorder),
            ("#compact", day.replace('-', "")),
            ("#day", day),
            ("{id}", capi),
            ("#other", other_capi),
        ])
    }

    fn named(&self, name: &str) -> &str {
        &self.0.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn filled(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    fn ask(&self, route: &Route) -> Ask {
        let Route(_, method, path, body) = route;
        let path = self.filled(path);
        match *method {
            "GET" if body.is_empty() => Ask::new(method, path),
            "GET" => Ask::new(method, format!("{path}?{body}")),
            _ => Ask::new(method, path).body("application/json", self.filled(body)),
        }
    }

    /// The number of an order that a route is asked about.
    fn number(&self, route: &Route) -> Option<&str> {
        let names = ["#paid", "#open", "#ali", "#wepay", "#wxpay", "#payorder", "{id}"];
        let name = names.into_iter().find(|name| route.2.contains(name) || route.3.contains(name));
        name.map(|name| self.named(name))
    }
}

async fn by_number(matrix: &Matrix<'_>, number: &str) -> Value {
    matrix.world.get(&format!("/v1/charges?order_no={number}")).await["data"][0].clone()
}

fn outside(ask: Ask) -> Ask {
    ask.header("x-forwarded-for", OUTSIDE)
}

async fn refuse(matrix: &mut Matrix<'_>, orders: &Orders, route: &Route) {
    let good = orders.ask(route);
    for malformed in matrix.malformed() {
        let ask = malformed
            .iter()
            .fold(outside(good.clone()), |ask, value| ask.header("authorization", value.clone()));
        refused(matrix, route, &ask, 401).await;
    }
    let posing = good.clone().header("x-forwarded-for", format!("127.0.0.1, {OUTSIDE}"));
    refused(matrix, route, &posing, 401).await;
    let in_query = outside(good.clone()).query("access_token", &matrix.test.clone());
    refused(matrix, route, &in_query, 401).await;
    for key in matrix.unknown().into_iter().chain([matrix.other.clone()]) {
        refused(matrix, route, &outside(good.clone()).key(&key), 403).await;
        // A key counts before the address that it comes from.
        refused(matrix, route, &good.clone().key(&key), 403).await;
    }
    if let Some(number) = orders.number(route) {
        hide(matrix, route, &good, number).await;
    }
}

/// A key of the other mode sees an order as if it were not there.
async fn hide(matrix: &mut Matrix<'_>, route: &Route, good: &Ask, number: &str) {
    let live = good.clone().key(&matrix.live.clone());
    let mut nobodys = live.clone();
    nobodys.target = live.target.replace(number, NOBODYS);
    nobodys.body = live
        .body
        .as_ref()
        .map(|body| String::from_utf8_lossy(body).replace(number, NOBODYS).into_bytes());
    let seen = matrix.send(&live).await;
    assert!(!is_good(route, &seen), "{}: {}", route.2, seen.text());
    let unknown = matrix.send(&nobodys).await;
    assert_eq!(seen.seen(&[number]), unknown.seen(&[NOBODYS]), "{}", route.2);
}

async fn refused(matrix: &mut Matrix<'_>, route: &Route, ask: &Ask, status: u16) {
    let reply = matrix.send(ask).await;
    let told = format!("{} by {ask:?}: {} {}", route.2, reply.status, reply.text());
    assert_eq!(reply.status, status, "{told}");
    let body = reply.json();
    let names: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let (wanted, mark) = match route.0 {
        Shape::Wechat => (vec!["return_code", "return_msg"], body["return_code"] == "FAIL"),
        Shape::Alipay => (vec!["code", "msg", "sub_code", "sub_msg"], body["code"] == "40006"),
        Shape::Wepay => (vec!["errcode", "errmsg"], body["errcode"] == 2),
        Shape::Wxpay => (vec!["code", "msg"], body["code"] == 1),
        Shape::Payorder => (vec!["data", "status"], body["status"] == 1050),
        Shape::Capi => (vec!["error"], body["error"]["message"].is_string()),
    };
    assert_eq!(names.into_iter().collect::<Vec<_>>(), wanted, "{told}");
    assert!(mark, "{told}");
}

async fn admit(matrix: &mut Matrix<'_>, orders: &Orders, route: &Route) {
    let good = orders.ask(route);
    let slashed = {
        let mut ask = good.clone();
        let (path, query) = good.target.split_once('?').unwrap_or((&good.target, ""));
        ask.target = format!("{path}/?{query}").trim_end_matches('?').to_owned();
        ask
    };
    let with_key = outside(good.clone()).key(&matrix.test.clone());
    for ask in [good, slashed, with_key] {
        let reply = matrix.send(&ask).await;
        let told = format!("{} by {ask:?}: {} {}", route.2, reply.status, reply.text());
        assert!(is_good(route, &reply), "{told}");
    }
}

/// Whether this is what the caller wanted.
fn is_good(route: &Route, reply: &Reply) -> bool {
    let body = reply.json();
    let done = match route.0 {
        Shape::Wechat => body["return_code"] == "SUCCESS" || reply.text().contains('`'),
        // A paid trade that is to be closed is refused by the provider, in its words (40004).
        Shape::Alipay => body["code"] == "10000" || of_alipay(&body["sub_code"]),
        Shape::Wepay => body["errcode"] == 0,
        Shape::Wxpay => body["code"] == 0 || body["trade_state"].is_string(),
        Shape::Payorder => body["status"] == 200,
        Shape::Capi => !body["id"].is_null() || body["pay_url"].is_string(),
    };
    (reply.status == 200 && done) || reply.status == 302
}

/// Whether it is a code of Alipay's own.
fn of_alipay(code: &Value) -> bool {
    code.as_str().is_some_and(|code| code.starts_with("ACQ.") || code.starts_with("isp."))
}

/// What is not signed by the provider is answered as the provider expects a no, and a payer's
/// address without the secret of its charge is not there.
async fn forged(matrix: &mut Matrix<'_>, orders: &Orders) {
    let number = orders.named("#wxpay");
    let xml = format!(
        "<xml><return_code>SUCCESS</return_code><out_trade_no>{number}</out_trade_no>\
         <total_fee>1</total_fee><sign>00000000000000000000000000000000</sign></xml>"
    );
    for path in ["/apis/v1/wepay/pay_notify", "/pay/notify", "/pay/notify_url"] {
        let reply = matrix.send(&Ask::new("POST", path).body("text/xml", xml.clone())).await;
        assert!(reply.text().contains("FAIL"), "{path}: {}", reply.text());
    }
    let form = format!(
        "out_trade_no={}&trade_status=TRADE_SUCCESS&total_amount=0.01&sign_type=RSA2&sign=AAAA",
        orders.named("#ali")
    );
    let form = caller::Ask::new("POST", "/auth/zfb/callback/notify")
        .body("application/x-www-form-urlencoded", form);
    assert_eq!(matrix.send(&form).await.text(), "fail");
    let unknown = format!("/auth/zfb/callback/return?out_trade_no={NOBODYS}");
    assert_eq!(matrix.send(&Ask::new("GET", unknown)).await.status, 404);
    let others = by_number(matrix, orders.named("#other")).await["client_secret"].clone();
    let pay = Ask::new("GET", orders.filled("/capi/api/v1/charge/{id}/pay"));
    let nobodys = Ask::new("GET", format!("/capi/api/v1/charge/{NOBODYS}/pay"));
    for secret in ["", UNKNOWN, others.as_str().unwrap()] {
        for key in [None, Some(matrix.test.clone())] {
            let with = |ask: &Ask| {
                let ask = ask.clone().query("client_secret", secret).query("channel", "ALIPAY");
                key.iter().fold(ask, |ask, key| ask.key(key))
            };
            let reply = matrix.send(&with(&pay)).await;
            assert_eq!(reply.status, 404, "{}", reply.text());
            let id = orders.named("{id}");
            let unknown = matrix.send(&with(&nobodys)).await;
            assert_eq!(reply.seen(&[id]), unknown.seen(&[NOBODYS]));
        }
    }
    assert_eq!(by_number(matrix, orders.named("{id}")).await["status"], "pending");
    assert_eq!(by_number(matrix, number).await["paid"], false);
}

/// What is genuine needs no key, wherever it comes from.
async fn genuine(matrix: &mut Matrix<'_>, orders: &Orders) {
    let world = matrix.world;
    for (account, channel, paths) in [
        (
            "dev_wechat_v2",
            "wechat.native",
            &["/apis/v1/wepay/pay_notify", "/pay/notify", "/pay/notify_url"][..],
        ),
        ("dev_alipay_open", "alipay.qr", &["/auth/zfb/callback/notify"]),
    ] {
        let charge = world.order_with(json!({"account": account, "channel": channel})).await;
        let (headers, body) = lost_notice(world, &charge).await;
        for path in paths {
            let mut ask = outside(Ask::new("POST", *path));
            ask.headers.extend(headers.clone());
            ask.body = Some(body.clone().into_bytes());
            let text = matrix.send(&ask).await.text();
            assert!(text.contains("SUCCESS") || text == "success", "{path}: {text}");
        }
        assert_eq!(world.charge(&charge).await["status"], "succeeded");
        if channel == "alipay.qr" {
            let number = out_trade_no(&charge);
            let back = format!("/auth/zfb/callback/return?out_trade_no={number}");
            assert_eq!(matrix.send(&outside(Ask::new("GET", back))).await.status, 303);
        }
    }
    world.clear_faults().await;
    let fetch = Ask::new("POST", orders.filled("/capi/api/v1/charge/{id}/fetch_pay_url"));
    let fetched = matrix.send(&fetch.json(&json!({"channel": "ALIPAY"}))).await.json();
    let url = fetched["pay_url"].as_str().unwrap();
    let target = url.trim_start_matches(matrix.world.gateway()).to_owned();
    let visit = matrix.send(&outside(Ask::new("GET", target))).await;
    assert_eq!(visit.status, 303, "{}", visit.text());
    let charge = by_number(matrix, orders.named("{id}")).await;
    matrix.world.until(&charge, "succeeded").await;
}

async fn assets(matrix: &mut Matrix<'_>) {
    for (path, status) in [
        ("/docs", 200),
        ("/assets/cashier.css", 200),
        ("/assets/no-such-file", 404),
        ("/assets/..%2f..%2fCargo.toml", 404),
        ("/assets/%2e%2e%2fdocs", 404),
    ] {
        let reply = matrix.send(&Ask::new("GET", path)).await;
        assert_eq!(reply.status, status, "{path}");
    }
}

async fn all_methods(matrix: &mut Matrix<'_>, orders: &Orders, guarded: &[&Route]) {
    let guarded = guarded.iter().map(|route| (route.1, route.2));
    let assets = [("GET", "/docs"), ("GET", "/assets/cashier.css")];
    for (method, path) in guarded.chain(OPEN).chain(assets) {
        let mut known = vec![method.to_owned()];
        if WITHOUT_HEAD.contains(&path) {
            known.push("-HEAD".to_owned());
        }
        refuse_others(matrix, &orders.filled(path), &known).await;
    }
}
