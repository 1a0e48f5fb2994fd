//! Every route of the five older services' documents, called as the documents say: with their
//! parameters and examples, as JSON and as a form, with a slash at the end and without, against
//! `tongbao dev` as it starts; and the replies have the fields and types that the documents show.

mod reading;

use crate::world::{Answer, World, eventually};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use reading::{Route, outcome};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// How a request is written.
#[derive(Debug, Clone, Copy)]
struct Spelling {
    is_json: bool,
    has_slash: bool,
}

const SPELLINGS: [Spelling; 4] = [
    Spelling { is_json: true, has_slash: true },
    Spelling { is_json: true, has_slash: false },
    Spelling { is_json: false, has_slash: true },
    Spelling { is_json: false, has_slash: false },
];

/// A caller of an older service: it has its document, and no key.
struct Caller<'a> {
    world: &'a World,
    routes: &'a [Route],
    spelling: Spelling,
    called: RefCell<BTreeSet<String>>,
}

impl<'a> Caller<'a> {
    fn new(world: &'a World, routes: &'a [Route], spelling: Spelling) -> Caller<'a> {
        Caller { world, routes, spelling, called: RefCell::default() }
    }

    fn url(&self, path: &str) -> String {
        let slash = if self.spelling.has_slash { "/" } else { "" };
        format!("{}{}{slash}", self.world.gateway(), path.trim_end_matches('/'))
    }

    /// Calls a route of the document with exactly the parameters that it names there.
    async fn call(&self, path: &str, fields: Value) -> Answer {
        let given: BTreeSet<&str> =
            fields.as_object().unwrap().keys().map(String::as_str).collect();
        let same = |route: &&Route| {
            let names: BTreeSet<&str> = route.names().into_iter().collect();
            route.path.trim_end_matches('/') == path.trim_end_matches('/') && names == given
        };
        let found = self.routes.iter().find(same);
        assert!(found.is_some(), "the document has no {path} with {given:?}");
        assert_eq!(found.unwrap().method, "POST");
        self.post(path, &fields).await
    }

    /// Calls a route with what its document leaves out.
    async fn post(&self, path: &str, fields: &Value) -> Answer {
        self.note(path);
        let fields = fields.as_object().unwrap();
        let (kind, body) = match self.spelling.is_json {
            true => ("application/json", Value::Object(fields.clone()).to_string()),
            false => ("application/x-www-form-urlencoded", form(fields)),
        };
        let headers = [("content-type".to_owned(), kind.to_owned())];
        self.world.raw(&self.url(path), &headers, body).await
    }

    fn note(&self, path: &str) {
        self.called.borrow_mut().insert(path.trim_end_matches('/').to_owned());
    }

    /// Each route of the document was called.
    fn done(&self) {
        let called = self.called.borrow();
        let is_left = |route: &&Route| !called.contains(route.path.trim_end_matches('/'));
        let left: Vec<&Route> = self.routes.iter().filter(is_left).collect();
        assert!(left.is_empty(), "never called: {left:?}");
    }

    /// Sends the provider's notification of an order to an address of the document.
    async fn notify(&self, path: &str, number: &str) {
        self.note(path);
        let sent = async || {
            let all = self.world.shown("notifications").await;
            all.into_iter().find(|one| one["out_trade_no"] == number && one["body"] != "")
        };
        let notice = eventually("a notification is sent", sent).await;
        let headers = [("content-type".to_owned(), "text/xml".to_owned())];
        let body = notice["body"].as_str().unwrap().to_owned();
        let answer = self.world.raw(&self.url(path), &headers, body.clone()).await.expect(200);
        assert!(answer.as_str().unwrap().contains("SUCCESS"), "{path}: {answer}");
        let forged = body.replacen("<total_fee>", "<total_fee>1", 1);
        assert_ne!(forged, body);
        let answer = self.world.raw(&self.url(path), &headers, forged).await;
        assert!(answer.body.as_str().unwrap().contains("FAIL"), "{path}: {}", answer.body);
    }

    async fn pay(&self, order: Value) {
        self.world.control("pay", order).await.expect(200);
    }

    async fn until_paid(&self, order_no: &str) -> Value {
        let list = self.world.get(&format!("/v1/charges?order_no={order_no}")).await;
        self.world.until(&list["data"][0], "succeeded").await
    }
}

fn form(fields: &Map<String, Value>) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        match value {
            Value::String(text) => form.append_pair(name, text),
            other => form.append_pair(name, &other.to_string()),
        };
    }
    form.finish()
}

/// Everything that the document shows is there, and of the same type. Null in a document says
/// nothing of the type.
#[track_caller]
fn same_shape(shown: &Value, got: &Value, place: &str) {
    match (shown, got) {
        (Value::Null, _)
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => {}
        (Value::Array(shown), Value::Array(got)) => {
            assert!(!got.is_empty(), "{place} is empty");
            same_shape(&shown[0], &got[0], place);
        }
        (Value::Object(shown), Value::Object(got)) => {
            for (name, value) in shown {
                let found = got.get(name).unwrap_or_else(|| panic!("{place} has no {name}"));
                same_shape(value, found, &format!("{place}.{name}"));
            }
        }
        _ => panic!("{place} is {shown} in the document, and here {got}"),
    }
}

/// The fields of a row of auth-pay's table, and only these.
#[track_caller]
fn same_fields(provider: &str, row: &str, got: &Value) {
    let wanted = outcome(provider, row);
    let names = |fields: &Map<String, Value>| fields.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(got.as_object().unwrap()), names(&wanted), "{row}: {got}");
    for (name, value) in &wanted {
        let is_code = ["code", "state", "status"].iter().any(|end| name.ends_with(end));
        if is_code || name.ends_with("_fee") || name == "fund_change" {
            assert_eq!(got[name], *value, "{row}: {name}");
        } else {
            same_shape(value, &got[name], name);
        }
    }
}

#[tokio::test]
async fn the_routes_of_document_auth_pay() {
    let routes = reading::auth_pay();
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed"]).await;
    for spelling in SPELLINGS {
        let caller = Caller::new(&world, &routes, spelling);
        auth_pay_at_wechat(&caller).await;
        auth_pay_at_alipay(&caller).await;
        caller.done();
    }
    world.finish().await;
}

async fn auth_pay_at_wechat(caller: &Caller<'_>) {
    const WECHAT: &str = "微信支付";
    let order = async || {
        let body = json!({"totalFee": "1", "body": "商品简单描述"});
        let order = caller.call("/auth/pay/wx2.0/", body).await.expect(200);
        let code = order["code_url"].as_str().unwrap().to_owned();
        (order["out_trade_no"].as_str().unwrap().to_owned(), code)
    };
    let ask = async |path: &str, number: &str| {
        caller.call(path, json!({"outTradeNo": number})).await.expect(200)
    };
    let (number, _) = order().await;
    let unpaid = ask("/auth/wxpay/orderquery2.0/", &number).await;
    same_fields(WECHAT, "查询未支付订单", &unpaid);
    let closed = ask("/auth/wxpay/closeorder2.0/", &number).await;
    same_fields(WECHAT, "关闭未支付订单", &closed);
    let (number, code) = order().await;
    caller.pay(json!({"code": code})).await;
    let paid = ask("/auth/wxpay/orderquery2.0/", &number).await;
    same_fields(WECHAT, "查询已支付订单", &paid);
    let body = json!({"totalFee": "1", "outTradeNo": number});
    let refunded = caller.call("/auth/wxpay/refund2.0/", body).await.expect(200);
    same_fields(WECHAT, "退款已支付订单", &refunded);
    let refunds = ask("/auth/wxpay/refundquery2.0/", &number).await;
    assert_eq!(refunds["out_refund_no_0"], number.as_str(), "{refunds}");
    let body = json!({"billDate": "20140603", "billType": "ALL"});
    let bill = caller.call("/auth/wxpay/downloadbill2.0/", body).await.expect(200);
    assert!(bill["return_code"].is_string(), "there is no bill of a day before all orders: {bill}");
}

async fn auth_pay_at_alipay(caller: &Caller<'_>) {
    const ALIPAY: &str = "支付宝";
    let route = caller.routes.iter().find(|route| route.method == "GET").unwrap();
    let order = async |come: &str| {
        caller.note(&route.path);
        let url = format!("{}?{}", caller.url(&route.path), form(&route.params));
        let answer = caller.world.fetch(&url).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        let page = answer.headers["location"].to_str().unwrap();
        caller.pay(json!({"code": page, "outcome": come})).await;
        let newest = caller.world.get("/v1/charges?limit=1").await;
        let newest = &newest["data"][0];
        assert_eq!(newest["subject"], route.params["subject"]);
        newest["order_no"].as_str().unwrap().to_owned()
    };
    let ask = async |path: &str, number: &str| {
        caller.call(path, json!({"outTradeNo": number})).await.expect(200)
    };
    let number = order("scanned").await;
    let unpaid = ask("/auth/alipay/query2.0/", &number).await;
    same_fields(ALIPAY, "查询未支付订单", &unpaid);
    let closed = ask("/auth/alipay/close2.0/", &number).await;
    same_fields(ALIPAY, "关闭未支付订单", &closed);
    let number = order("success").await;
    let paid = ask("/auth/alipay/query2.0/", &number).await;
    same_fields(ALIPAY, "查询已支付订单", &paid);
    let amount = route.params["totalAmount"].clone();
    let body =
        json!({"outTradeNo": number, "refundAmount": amount, "refundReason": "退款的原因说明"});
    let refunded = caller.call("/auth/alipay/refund2.0/", body).await.expect(200);
    same_fields(ALIPAY, "退款已支付订单", &refunded);
    let refunded = ask("/auth/alipay/query2.0/", &number).await;
    same_fields(ALIPAY, "查询已退款订单", &refunded);
    // The document means this route where it writes query2.0 a second time.
    let refund = caller.post("/auth/alipay/refundquery2.0/", &json!({"outTradeNo": number})).await;
    assert_eq!(refund.expect(200)["code"], "10000");
    let body = json!({"billDate": "2016-04-05", "billType": "trade"});
    let bill = caller.call("/auth/alipay/billQuery2.0/", body).await.expect(200);
    assert!(bill["code"].is_string() && bill["msg"].is_string(), "{bill}");
}

/// The shop's own addresses: whatever is told there is kept and accepted.
#[derive(Clone)]
struct Shop {
    base: String,
    told: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Shop {
    async fn open() -> Shop {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shop = Shop { base, told: Arc::default() };
        let router = Router::new().fallback(take).with_state(shop.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        shop
    }

    /// The first that was told at an address and that fits.
    async fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{path} is told"), async || {
            let told = self.told.lock().unwrap();
            let found = told.iter().find(|(at, body)| at == path && fits(body));
            found.map(|(_, body)| body.clone())
        })
        .await
    }
}

async fn take(State(shop): State<Shop>, uri: Uri, body: String) -> &'static str {
    let body = serde_json::from_str(&body).unwrap();
    shop.told.lock().unwrap().push((uri.path().to_owned(), body));
    "SUCCESS"
}

/// A number of its own for each spelling, as long as the document's.
fn own(number: &Value, spelling: Spelling) -> String {
    let text = number.as_str().unwrap();
    let mark = u8::from(spelling.is_json) * 2 + u8::from(spelling.has_slash);
    format!("{}{mark}", &text[..text.len() - 1])
}

#[tokio::test]
async fn the_routes_of_document_wepay() {
    const BASE: &str = "/apis/v1/wepay";
    let routes = reading::wepay();
    let route = |name: &str| routes.iter().find(|route| route.path.ends_with(name)).unwrap();
    let shop = Shop::open().await;
    let callback = format!("compat.1.cb_notify_url={}/apis/v1/mqtt/pay_notify", shop.base);
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed", &callback]).await;
    for spelling in SPELLINGS {
        let caller = Caller::new(&world, &routes, spelling);
        let order = route("get_pay_request_params");
        let mut example = Value::Object(order.params.clone());
        example["id"] = own(&example["id"], spelling).into();
        let number = example["id"].as_str().unwrap().to_owned();
        // Without an openid nobody can pay inside WeChat, which the document does not say.
        let refused = caller.call(&order.path, example.clone()).await.expect(200);
        assert_ne!(refused["errcode"], 0);
        same_shape(&order.replies[1], &refused, "refused");
        example["openid"] = "oPayer000000000000000000000000".into();
        let ordered = caller.post(&order.path, &example).await.expect(200);
        assert_eq!(ordered["errcode"], 0, "{ordered}");
        same_shape(&order.replies[0], &ordered, "ordered");

        caller.pay(json!({"provider": "wechat", "out_trade_no": number})).await;
        let charge = caller.until_paid(&number).await;
        assert_eq!(charge["amount"], example["fee"]);
        caller.notify(&format!("{BASE}/pay_notify"), &number).await;
        let is_it = |told: &Value| told["out_trade_no"] == number.as_str();
        let told = shop.until("/apis/v1/mqtt/pay_notify", is_it).await;
        assert_eq!(told["total_fee"], example["fee"].to_string(), "{told}");

        let refund = route("/refund");
        let mut body = Value::Object(refund.params.clone());
        body["out_trade_no"] = number.clone().into();
        body["out_refund_no"] = own(&body["out_refund_no"], spelling).into();
        let refunded = caller.call(&refund.path, body.clone()).await.expect(200);
        assert_eq!(refunded["errcode"], 0, "{refunded}");
        same_shape(&refund.replies[0], &refunded, "refunded");
        body["out_refund_no"] = format!("more{}", number).into();
        let too_much = caller.call(&refund.path, body).await.expect(200);
        assert_ne!(too_much["errcode"], 0);
        same_shape(&refund.replies[1], &too_much, "too much");

        let key = route("get_sign_key");
        let answer = caller.call(&key.path, json!({})).await.expect(200);
        same_shape(&key.replies[0], &answer, "sign key");
        assert_eq!(answer["errcode"], 0, "{answer}");
        caller.done();
    }
    world.finish().await;
}

#[tokio::test]
async fn the_routes_of_document_wxpay() {
    let routes = reading::wxpay();
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed"]).await;
    for spelling in SPELLINGS {
        let caller = Caller::new(&world, &routes, spelling);
        let shown = |path: &str, at: usize| {
            let route = routes.iter().find(|route| route.path == path).unwrap();
            route.replies[at].clone()
        };
        let order = async |price: f64| {
            let body = json!({"merchant_id": 7, "product_id": 12, "price": price});
            let order = caller.call("/wxPay/toPay", body).await.expect(200);
            same_shape(&shown("/wxPay/toPay", 0), &order, "order");
            assert_eq!(order["code"], 0, "{order}");
            (order["order_id"].as_str().unwrap().to_owned(), order["code_url"][0].clone())
        };
        let (number, code) = order(19.9).await;
        for path in ["/wxPay/queryOrder", "/wxPay/wxPay/queryOrder"] {
            let state = caller.call(path, json!({"order_id": number})).await.expect(200);
            same_shape(&shown(path, 0), &state, "unpaid");
            assert_eq!(state["trade_state"], "NOTPAY");
        }
        caller.pay(json!({"code": code})).await;
        assert_eq!(caller.until_paid(&number).await["amount"], 1990);
        let state = caller.call("/wxPay/queryOrder", json!({"order_id": number})).await.expect(200);
        assert_eq!(state, shown("/wxPay/queryOrder", 0));
        let close = async |number: &str| {
            caller.call("/wxPay/doCloseOrder", json!({"order_id": number})).await.expect(200)
        };
        assert_eq!(close(&number).await, shown("/wxPay/doCloseOrder", 1), "it is paid");
        let (number, _) = order(0.03).await;
        assert_eq!(close(&number).await, shown("/wxPay/doCloseOrder", 0));
        caller.done();
    }
    world.finish().await;
}

#[tokio::test]
async fn the_routes_of_document_payorder() {
    let routes = reading::payorder();
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed"]).await;
    for spelling in SPELLINGS {
        let caller = Caller::new(&world, &routes, spelling);
        for path in ["/order", "/wx/order"] {
            for ip in ["ip", "spbill_create_ip"] {
                let mut body = json!({"body": "测试", "total_fee": "1", "trade_type": "NATIVE"});
                body[ip] = "127.0.0.1".into();
                let reply = caller.call(path, body.clone()).await.expect(200);
                let data = payorder_data(&reply);
                for name in reading::payorder_reply() {
                    assert!(data.contains_key(name), "{path} has no {name}: {data:?}");
                }
                let picture = data["payUrl"].as_str().unwrap();
                assert!(picture.starts_with("data:image/png;base64,"), "{picture}");
                let number = data["out_trade_no"].as_str().unwrap();
                payorder_is_paid(&caller, number, &data["code_url"]).await;
                body["total_fee"] = "0".into();
                let refused = caller.call(path, body).await.expect(200);
                assert_eq!(refused["status"], 1050);
                assert!(refused["data"].is_string(), "{refused}");
            }
        }
        caller.done();
    }
    world.finish().await;
}

async fn payorder_is_paid(caller: &Caller<'_>, number: &str, code: &Value) {
    let ask = json!({"out_trade_no": number, "nonce_str": "D0000000000000"});
    let unpaid = caller.post("/queryOrder", &ask).await.expect(200);
    assert_eq!(payorder_data(&unpaid)["trade_state"], "NOTPAY");
    caller.pay(json!({"code": code})).await;
    caller.until_paid(number).await;
    for path in ["/pay/notify", "/pay/notify_url"] {
        caller.notify(path, number).await;
    }
    let paid = caller.post("/queryOrder", &ask).await.expect(200);
    assert_eq!(payorder_data(&paid)["trade_state"], "SUCCESS");
}

#[track_caller]
fn payorder_data(reply: &Value) -> &Map<String, Value> {
    assert_eq!(reply["status"], 200, "{reply}");
    let data = reply["data"].as_object().unwrap();
    assert!(data.values().all(Value::is_string), "{data:?}");
    data
}

#[tokio::test]
async fn the_routes_of_document_capi() {
    let routes = reading::capi();
    let [create, fetch, notification] = &routes[..] else { panic!("{routes:?}") };
    let shop = Shop::open().await;
    let function = format!("compat.4.payment_function_url={}/payment", shop.base);
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed", &function]).await;
    for spelling in SPELLINGS {
        let caller = Caller::new(&world, &routes, spelling);
        // The app hears of it at the last of the document's three addresses, which is its own.
        caller.note(&notification.path);
        let mut example = Value::Object(create.params.clone());
        example["notify_url"] = format!("{}{}", shop.base, notification.path).into();
        let charge = caller.call(&create.path, example).await.expect(200);
        let told = capi_paid(&caller, fetch, &charge, &shop).await;
        same_shape(&Value::Object(notification.params.clone()), &told, "notification");
        assert_eq!(told["status"], notification.params["status"]);

        let mut browser = Value::Object(reading::capi_browser());
        browser["trade_no"] = "43".into();
        browser["notify_url"] = format!("{}{}", shop.base, notification.path).into();
        let charge = caller.post(&create.path, &browser).await.expect(200);
        capi_paid(&caller, fetch, &charge, &shop).await;
        caller.note(&fetch.path);
        caller.done();
    }
    world.finish().await;
}

/// A charge is paid by visiting its address, and told to the app and to its function.
async fn capi_paid(caller: &Caller<'_>, fetch: &Route, charge: &Value, shop: &Shop) -> Value {
    let mut shown = reading::capi_function();
    // Not paid yet.
    shown["paid_time"] = Value::Null;
    shown.remove("trade_no").filter(|_| charge["trade_no"].is_null());
    same_shape(&Value::Object(shown), charge, "charge");
    let path = fetch.path.replace("101", &charge["id"].to_string());
    let fetched = caller.post(&path, &Value::Object(fetch.params.clone())).await.expect(200);
    same_shape(&fetch.replies[0], &fetched, "fetched");
    let visited = caller.world.fetch(fetched["pay_url"].as_str().unwrap()).await;
    assert!(visited.status < 400, "{}", visited.body);
    let id = charge["id"].clone();
    let called = shop.until("/payment", |told| told["charge"]["id"] == id).await;
    let mut wanted = reading::capi_function();
    if charge["trade_no"].is_null() {
        wanted["trade_no"] = Value::Null;
    }
    same_shape(&Value::Object(wanted), &called["charge"], "function");
    shop.until("/notify_url", |told| told["id"] == id).await
}
