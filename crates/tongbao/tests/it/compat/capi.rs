//! capi, from a charge to what its app is told.

use crate::merchant::Merchant;
use crate::world::{Answer, World, eventually, fresh_folder, id};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};

const CHARGES: &str = "/capi/api/v1/charge";

/// The app's side: `/notify` and its `payment` function, which answer as they are told to.
#[derive(Clone, Default)]
struct Shop {
    base: String,
    desk: Arc<Mutex<Desk>>,
}

#[derive(Default)]
struct Desk {
    notified: Vec<Value>,
    called: Vec<Value>,
    /// What `/notify` answers before the usual `SUCCESS`.
    answers: VecDeque<(u16, &'static str)>,
}

impl Shop {
    async fn open() -> Shop {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let shop = Shop { base, ..Shop::default() };
        let router = Router::new().route("/notify", post(notify)).route("/function", post(call));
        let router = router.with_state(shop.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        shop
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn will_answer(&self, answers: &[(u16, &'static str)]) {
        self.desk.lock().unwrap().answers.extend(answers);
    }

    fn notified(&self) -> Vec<Value> {
        self.desk.lock().unwrap().notified.clone()
    }

    fn called(&self) -> Vec<Value> {
        self.desk.lock().unwrap().called.clone()
    }

    async fn until_notified(&self, count: usize) -> Vec<Value> {
        eventually(&format!("{count} notifications"), async || {
            Some(self.notified()).filter(|all| all.len() >= count)
        })
        .await
    }
}

async fn notify(State(shop): State<Shop>, body: String) -> (StatusCode, &'static str) {
    let mut desk = shop.desk.lock().unwrap();
    desk.notified.push(serde_json::from_str(&body).unwrap());
    let (status, text) = desk.answers.pop_front().unwrap_or((200, "SUCCESS"));
    (StatusCode::from_u16(status).unwrap(), text)
}

async fn call(State(shop): State<Shop>, body: String) -> &'static str {
    shop.desk.lock().unwrap().called.push(serde_json::from_str(&body).unwrap());
    "SUCCESS"
}

/// A request as the older service's callers send it: JSON, and no key.
async fn ask(world: &World, path: &str, body: Value) -> Answer {
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let url = format!("{}{path}", world.gateway());
    world.raw(&url, &headers, body.to_string()).await
}

async fn create(world: &World, more: Value) -> Value {
    try_create(world, more).await.expect(200)
}

async fn try_create(world: &World, more: Value) -> Answer {
    ask(world, CHARGES, with(json!({"subject": "产品名称", "amount": 100}), &more)).await
}

fn with(mut object: Value, more: &Value) -> Value {
    object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object
}

async fn pay_url(world: &World, charge: &Value, body: Value) -> String {
    let fetched = ask(world, &format!("{}/fetch_pay_url", own(charge)), body).await.expect(200);
    fetched["pay_url"].as_str().unwrap().to_owned()
}

fn own(charge: &Value) -> String {
    format!("{CHARGES}/{}", charge["id"].as_u64().unwrap())
}

async fn read(world: &World, charge: &Value) -> Value {
    world.fetch(&format!("{}{}", world.gateway(), own(charge))).await.expect(200)
}

/// The charge as `/v1` shows it, to a key of this name.
async fn in_v1(world: &World, key: &str, charge: &Value) -> Value {
    let authorization = format!("Bearer {}", world.key(key));
    let path = format!("/v1/charges?order_no={}", charge["id"]);
    let headers = [("authorization", authorization.as_str())];
    let list = world.try_call("GET", &path, None, &headers).await.unwrap().expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list}");
    list["data"][0].clone()
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) -> String {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.body["error"]["code"], code, "{}", answer.body);
    assert_eq!(answer.body.as_object().unwrap().len(), 1);
    answer.body["error"]["message"].as_str().unwrap().to_owned()
}

#[track_caller]
fn looks_like(text: &Value, pattern: &str) {
    let text = text.as_str().unwrap();
    let fits = |(c, p): (char, char)| if p == '0' { c.is_ascii_digit() } else { c == p };
    let same = text.chars().count() == pattern.len();
    assert!(same && text.chars().zip(pattern.chars()).all(fits), "{text} is not {pattern}");
}

fn location(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{}", answer.body);
    answer.headers["location"].to_str().unwrap()
}

#[tokio::test]
async fn visiting_the_pay_address_of_a_test_charge_pays_it_and_its_app_is_told() {
    let shop = Shop::open().await;
    let function = format!("compat.4.payment_function_url={}", shop.at("/function"));
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed", &function]).await;
    let merchant = Merchant::open(&world, &["*"]).await;
    shop.will_answer(&[(200, "FAIELD"), (500, "SUCCESS"), (200, "{\"ok\": true}")]);
    let charge = create(
        &world,
        json!({"body": "产品描述", "source": "pc", "trade_no": 43, "papp": 101, "livemode": false,
            "client_ip": "127.0.0.1", "return_url": "https://shop.example/done?order=43",
            "notify_url": shop.at("/notify")}),
    )
    .await;
    assert!(charge["id"].as_u64().unwrap() < 1 << 53);
    let wanted = json!({"subject": "产品名称", "body": "产品描述", "amount": 100, "paid": false,
        "status": "pending", "paid_time": null, "trade_no": "43", "papp": 101, "data": {},
        "livemode": false, "source": "pc", "channel": null, "notify_url": shop.at("/notify"),
        "return_url": "https://shop.example/done?order=43", "amount_refunded": 0});
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&charge[name], value, "{name}");
    }
    looks_like(&charge["created"], "0000-00-00T00:00:00.000");
    assert_eq!(read(&world, &charge).await, charge);

    let pay = pay_url(&world, &charge, json!({"channel": "ALIPAY"})).await;
    assert!(pay.starts_with(&format!("{}{}/pay?", world.gateway(), own(&charge))), "{pay}");
    assert_eq!(location(&world.fetch(&pay).await), "https://shop.example/done?order=43");
    let first = in_v1(&world, "secret_key", &charge).await;
    let paid = world.until(&first, "succeeded").await;
    assert_eq!((&paid["profile"], &paid["channel"]), (&json!("capi"), &json!("alipay.page")));
    assert_eq!(paid["attempts"][0]["out_trade_no"], charge["id"].to_string());

    for n_tries in 1..=3 {
        until_tried(&world, n_tries).await;
        world.advance("1m").await;
    }
    let told = shop.until_notified(4).await;
    check_told(&world, &told[3], &charge, &paid, "0000-00-00 00:00").await;
    assert!(told.iter().all(|one| one == &told[0]), "{told:?}");
    let called = shop.called();
    assert_eq!(called.len(), 1, "the function accepted at once");
    check_told(&world, &called[0]["charge"], &charge, &paid, "0000-00-00T00:00:00.000").await;
    let shown = read(&world, &charge).await;
    assert_eq!((&shown["status"], &shown["paid"]), (&json!("succeeded"), &json!(true)));
    assert_eq!(shown["data"], told[3]["data"]);

    merchant.until(&paid, "charge.succeeded", 1).await;
    let refund = world.refund(&paid, json!({"amount": 40})).await.expect(201);
    world.advance("3s").await;
    world.until_refund(&refund, "succeeded").await;
    assert_eq!(read(&world, &charge).await["amount_refunded"], 40);
    // Whoever comes again finds it paid, and nothing is told or paid a second time.
    assert_eq!(location(&world.fetch(&pay).await), "https://shop.example/done?order=43");
    assert_eq!(
        world.events(&paid).await.iter().filter(|one| *one == "charge.succeeded").count(),
        1
    );
    world.advance("5h").await;
    world.finish().await;
    assert_eq!((shop.notified().len(), shop.called().len()), (4, 1), "SUCCESS ends it");
}

/// Waits until so many tries to tell `notify_url` have failed.
async fn until_tried(world: &World, n_tries: u32) {
    eventually(&format!("{n_tries} tries"), async || {
        let list = world.get("/v1/deliveries?limit=100").await;
        let mut all = list["data"].as_array().unwrap().clone();
        all.retain(|delivery| delivery["callback"] == "capi.notify");
        assert_eq!(all.len(), 1, "{all:?}");
        let has_failed = all[0]["status"] == "pending" && all[0]["n_tries"] == n_tries;
        has_failed.then_some(())
    })
    .await;
}

async fn check_told(world: &World, told: &Value, charge: &Value, paid: &Value, time: &str) {
    let names = ["id", "subject", "body", "amount", "trade_no", "livemode"];
    names.iter().for_each(|name| assert_eq!(told[name], charge[name], "{name}"));
    assert_eq!((&told["status"], &told["paid"]), (&json!("succeeded"), &json!(true)));
    looks_like(&told["paid_time"], time);
    looks_like(&told["created"], time);
    let credentials = format!("{}/_sandbox/credentials", world.sandbox());
    let credentials = world.fetch(&credentials).await.expect(200);
    assert_eq!(told["data"]["trade_no"], paid["provider_trade_no"]);
    assert_eq!(told["data"]["seller_id"], credentials["alipay"]["seller_id"]);
    assert!(told["data"]["buyer_email"].as_str().unwrap().contains('@'), "{told}");
}

#[tokio::test]
async fn only_whoever_has_the_pay_address_pays() {
    let world = World::start().await;
    let charge = create(&world, json!({"channel": "ALIPAY"})).await;
    let other = create(&world, json!({"channel": "ALIPAY"})).await;
    let pay = pay_url(&world, &charge, json!({})).await;
    let (bare, secret) = pay.split_once("&client_secret=").unwrap();
    let (_, other_secret) = charge_secret(&other);
    let path = bare.trim_end_matches("?channel=ALIPAY");
    for url in [
        path.to_owned(),
        bare.to_owned(),
        format!("{bare}&client_secret="),
        format!("{bare}&client_secret=x{secret}"),
        format!("{bare}&client_secret={other_secret}"),
        pay.replace(&charge["id"].to_string(), &other["id"].to_string()),
        pay.replace(&charge["id"].to_string(), "1"),
    ] {
        refused(&world.fetch(&url).await, 404, "not_found");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.head(&pay).send().await.unwrap().status(), 405, "a look is no visit");
    assert_eq!(world.shown("trades").await, Vec::<Value>::new());
    assert_eq!(read(&world, &charge).await["paid"], false);
    let cashier = charge["cashier_url"].as_str().unwrap();
    assert_eq!(location(&world.fetch(&pay).await), cashier, "there is no return_url");
    let first = in_v1(&world, "secret_key", &charge).await;
    world.until(&first, "succeeded").await;

    let closed = in_v1(&world, "secret_key", &other).await;
    let pay = pay_url(&world, &other, json!({})).await;
    world.post(&format!("/v1/charges/{}/close", id(&closed)), json!({})).await.expect(200);
    assert_eq!(location(&world.fetch(&pay).await), other["cashier_url"].as_str().unwrap());
    assert_eq!(read(&world, &other).await["status"], "closed");
    let again = ask(&world, &format!("{}/fetch_pay_url", own(&other)), json!({})).await;
    refused(&again, 409, "charge_not_pending");
    world.finish().await;
}

fn charge_secret(charge: &Value) -> (&str, &str) {
    charge["watch_url"].as_str().unwrap().split_once("client_secret=").unwrap()
}

#[tokio::test]
async fn a_charge_is_paid_through_wechat_and_watched_by_its_page() {
    let world = World::start().await;
    let charge = create(&world, json!({"channel": "WECHAT", "source": "weixin"})).await;
    let pay = pay_url(&world, &charge, json!({})).await;
    assert_eq!(location(&world.fetch(&pay).await), charge["cashier_url"].as_str().unwrap());
    let first = in_v1(&world, "secret_key", &charge).await;
    let paid = world.until(&first, "succeeded").await;
    assert_eq!(
        (&paid["channel"], &paid["account"]),
        (&json!("wechat.native"), &json!("dev_wechat_v2"))
    );
    let data = json!({"trade_no": paid["provider_trade_no"], "buyer_email": "", "seller_id": ""});
    assert_eq!(read(&world, &charge).await["data"], data);
    // The stream of an ended charge ends by itself.
    let watched = world.fetch(charge["watch_url"].as_str().unwrap()).await.expect(200);
    assert!(watched.as_str().unwrap().contains("\"status\":\"succeeded\""), "{watched}");
    world.finish().await;
}

#[tokio::test]
async fn forms_and_trailing_slashes_work_too() {
    let world = World::start().await;
    let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let url = format!("{}{CHARGES}/", world.gateway());
    let body = "subject=%E8%8C%B6&amount=100&papp=a1&trade_no=007&livemode=false";
    let charge = world.raw(&url, &form, body).await.expect(200);
    assert_eq!((&charge["subject"], &charge["papp"]), (&json!("茶"), &json!("a1")));
    assert_eq!(charge["trade_no"], "007");
    let url = format!("{}{}/", world.gateway(), own(&charge));
    assert_eq!(world.fetch(&url).await.expect(200), charge);
    let fetched = world.raw(&format!("{url}fetch_pay_url/"), &form, "channel=ALIPAY").await;
    let pay = fetched.expect(200)["pay_url"].as_str().unwrap().to_owned();
    location(&world.fetch(&pay.replace("/pay?", "/pay/?")).await);
    world.until(&in_v1(&world, "secret_key", &charge).await, "succeeded").await;
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_the_services_own_shape() {
    let world = World::start().await;
    for (more, code, part) in [
        (json!({"amount": 19.9}), "invalid_parameter", "whole number of fen"),
        (json!({"amount": "0.03"}), "invalid_parameter", "whole number of fen"),
        (json!({"amount": 0}), "amount_too_small", "amount"),
        (json!({"amount": null}), "missing_parameter", "amount"),
        (json!({"subject": ""}), "missing_parameter", "subject"),
        (json!({"channel": "PAYPAL"}), "invalid_parameter", "ALIPAY or WECHAT"),
        (json!({"livemode": true}), "account_missing", "no live account for ALIPAY"),
        (json!({"livemode": true, "channel": "WECHAT"}), "account_missing", "for WECHAT"),
        (json!({"notify_url": "http://10.0.0.1/n"}), "url_forbidden", "10.0.0.1"),
        (json!({"notify_url": "http://169.254.169.254/n"}), "url_forbidden", "link-local"),
        (json!({"notify_url": "nowhere"}), "invalid_parameter", "complete address"),
        (json!({"return_url": "javascript:alert(1)"}), "invalid_parameter", "return_url"),
    ] {
        let answer = try_create(&world, more.clone()).await;
        let message = refused(&answer, 400, code);
        assert!(message.contains(part), "{more}: {message}");
    }
    let broken = world.raw(&format!("{}{CHARGES}", world.gateway()), &[], "{\"amount\": ").await;
    refused(&broken, 400, "invalid_json");
    let charge = create(&world, json!({})).await;
    let unnamed = ask(&world, &format!("{}/fetch_pay_url", own(&charge)), json!({})).await;
    assert!(refused(&unnamed, 400, "missing_parameter").contains("Name a channel"));
    for path in ["/1", "/x", "/1/fetch_pay_url"] {
        let url = format!("{}{CHARGES}{path}", world.gateway());
        let answer = match path.ends_with("url") {
            true => world.raw(&url, &[], "{}").await,
            false => world.fetch(&url).await,
        };
        refused(&answer, 404, "not_found");
    }
    // Another charge's digits open nothing here.
    let of_v1 = world.order_with(json!({"order_no": "123456"})).await;
    let url = format!("{}{CHARGES}/123456", world.gateway());
    refused(&world.fetch(&url).await, 404, "not_found");
    assert_eq!(of_v1["profile"], Value::Null);
    let events = world.get("/v1/charges?limit=100").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 2, "a refusal leaves no charge");
    world.finish().await;
}

#[tokio::test]
async fn without_credentials_nothing_is_answered() {
    let world = World::with(&["polling.delay=10m", "compat.4.allow_from=10.0.0.0/8"]).await;
    let body = json!({"subject": "Tea", "amount": 100, "livemode": false});
    refused(&ask(&world, CHARGES, body.clone()).await, 401, "authentication_required");
    let path = format!("{CHARGES}/1");
    let url = format!("{}{path}", world.gateway());
    refused(&world.fetch(&url).await, 401, "authentication_required");
    let fetch = format!("{path}/fetch_pay_url");
    refused(&ask(&world, &fetch, json!({})).await, 401, "authentication_required");
    let by = async |key: &str, body: Value| {
        let authorization = format!("Bearer {key}");
        let headers = [("authorization", authorization.as_str())];
        world.try_call("POST", CHARGES, Some(body), &headers).await.unwrap()
    };
    refused(&by(&world.key("other_secret_key"), body.clone()).await, 403, "invalid_key");
    refused(&by("sk_test_unknown", body.clone()).await, 403, "invalid_key");
    let charge = by(&world.key("secret_key"), body.clone()).await.expect(200);
    let live = with(body.clone(), &json!({"livemode": true}));
    let message = refused(&by(&world.key("secret_key"), live).await, 400, "invalid_parameter");
    assert!(message.contains("test charges alone"), "{message}");
    refused(&by(&world.key("live_secret_key"), body).await, 400, "invalid_parameter");
    // A live key sees no test charge.
    let authorization = format!("Bearer {}", world.key("live_secret_key"));
    let headers = [("authorization", authorization.as_str())];
    let read = world.try_call("GET", &own(&charge), None, &headers).await.unwrap();
    refused(&read, 404, "not_found");
    world.finish().await;
}

#[tokio::test]
async fn an_unverified_notice_pays_nothing_and_tells_nobody() {
    let shop = Shop::open().await;
    let world = World::start().await;
    let charge = create(&world, json!({"notify_url": shop.at("/notify")})).await;
    pay_url(&world, &charge, json!({"channel": "ALIPAY"})).await;
    let form = [("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
    let account = in_v1(&world, "secret_key", &charge).await["account"].clone();
    let url = format!("{}/notify/alipay/{}", world.gateway(), account.as_str().unwrap());
    let body = format!(
        "out_trade_no={}&trade_no=2017&trade_status=TRADE_SUCCESS&total_amount=1.00&sign_type=RSA2\
         &sign=AAAA",
        charge["id"]
    );
    let answer = world.raw(&url, &form, body).await;
    assert_ne!(answer.body, "success");
    let first = in_v1(&world, "secret_key", &charge).await;
    assert_eq!(first["refused_notices"].as_array().unwrap().len(), 1);
    assert_eq!(first["status"], "pending");
    // The genuine one is told, and is the only one.
    let pay = pay_url(&world, &charge, json!({"channel": "ALIPAY"})).await;
    location(&world.fetch(&pay).await);
    let told = shop.until_notified(1).await;
    assert_ne!(told[0]["data"]["trade_no"], "2017");
    world.advance("5h").await;
    world.finish().await;
    assert_eq!(shop.notified().len(), 1);
}

#[tokio::test]
async fn an_account_that_points_at_no_sandbox_says_so() {
    let shop = Shop::open().await;
    let provider = World::start().await;
    let set = alipay_accounts(&provider, &shop.base, "false").await;
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let world = World::with(&set).await;
    let charge = create(&world, json!({"channel": "ALIPAY"})).await;
    let pay = pay_url(&world, &charge, json!({})).await;
    let message = refused(&world.fetch(&pay).await, 400, "channel_unavailable");
    assert!(message.contains(&format!("no provider sandbox at {}", shop.base)), "{message}");
    assert_eq!(read(&world, &charge).await["paid"], false);
    world.finish().await;
    provider.finish().await;
}

/// Both kinds of accounts at Alipay, for the first app, as `--set` texts.
async fn alipay_accounts(provider: &World, endpoint: &str, livemode: &str) -> Vec<String> {
    let credentials = format!("{}/_sandbox/credentials", provider.sandbox());
    let keys = provider.fetch(&credentials).await.expect(200)["alipay"].clone();
    let folder = fresh_folder("capi");
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let file = |name: &str| file(&folder, name, &text(name));
    let open = [
        ("api", "open".to_owned()),
        ("app_id", text("app_id")),
        ("app_private_key_file", file("app_private_key")),
        ("alipay_public_key_file", file("alipay_public_key")),
    ];
    let legacy = [
        ("api", "legacy".to_owned()),
        ("partner", text("legacy_partner")),
        ("md5_key", text("legacy_md5_key")),
        ("seller_email", text("seller_email")),
    ];
    let mut set = vec!["polling.delay=10m".to_owned(), "polling.backoff=fixed".to_owned()];
    for (at, (name, own)) in [("open", open), ("old", legacy)].into_iter().enumerate() {
        let shared = [("name", name), ("provider", "alipay"), ("endpoint", endpoint)];
        let shared = shared.into_iter().chain([("livemode", livemode)]);
        let all = shared.map(|(key, value)| (key, value.to_owned())).chain(own);
        set.extend(all.map(|(key, value)| format!("apps.0.accounts.{at}.{key}={value}")));
    }
    set
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn params(url: &str) -> BTreeMap<String, String> {
    url::Url::parse(url).unwrap().query_pairs().into_owned().collect()
}

/// The parameters of the older service's address, as its document prints them.
const DOCUMENTED: &str = "body seller_email total_fee service paymethod _input_charset sign \
                          out_trade_no payment_type notify_url sign_type partner return_url \
                          subject";

#[tokio::test]
async fn a_legacy_account_gets_the_address_that_the_document_shows() {
    let provider = World::start().await;
    let mut set = alipay_accounts(&provider, provider.sandbox(), "true").await;
    set.push("compat.4.alipay_account=old".to_owned());
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let shop = Shop::open().await;
    let world = World::with(&set).await;
    let live = json!({"livemode": true, "body": "描述", "channel": "ALIPAY", "source": "mobile",
        "notify_url": shop.at("/notify")});
    // Fen divided as floating point: 0.03 and 19.9 are where that went wrong, and 1 became 0.
    for (fen, yuan) in [(1, "0.01"), (3, "0.03"), (100, "1.00"), (1990, "19.90"), (2999, "29.99")] {
        let charge = create(&world, with(json!({"amount": fen}), &live)).await;
        let url = pay_url(&world, &charge, json!({})).await;
        let gateway = format!("{}/gateway.do?", provider.sandbox());
        assert!(url.starts_with(&gateway), "{url}");
        let found = params(&url);
        let names: BTreeSet<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, DOCUMENTED.split_whitespace().collect());
        assert_eq!(found["total_fee"], yuan);
        assert_eq!(found["service"], "create_direct_pay_by_user");
        assert_eq!((&*found["paymethod"], &*found["payment_type"]), ("directPay", "1"));
        assert_eq!((&*found["sign_type"], &*found["_input_charset"]), ("MD5", "utf-8"));
        assert_eq!(found["out_trade_no"], charge["id"].to_string());
        assert_eq!((&*found["subject"], &*found["body"]), ("产品名称", "描述"));
    }
    let nameless = with(live.clone(), &json!({"body": null}));
    let charge = create(&world, nameless).await;
    let url = pay_url(&world, &charge, json!({})).await;
    assert!(!params(&url).contains_key("body"), "no body is not the text None: {url}");
    // The address is genuine: it can be paid, and a live charge has no other.
    let secret = charge_secret(&charge).1;
    let own = format!("{}{}/pay?client_secret={secret}", world.gateway(), own(&charge));
    refused(&world.fetch(&own).await, 404, "not_found");
    provider.control("pay", json!({"code": url})).await.expect(200);
    let told = shop.until_notified(1).await;
    assert_eq!((&told[0]["id"], &told[0]["livemode"]), (&charge["id"], &json!(true)));
    assert!(told[0]["data"]["buyer_email"].as_str().unwrap().contains('@'));
    assert_eq!(in_v1(&world, "live_secret_key", &charge).await["status"], "succeeded");
    world.finish().await;
    provider.finish().await;
}

#[tokio::test]
async fn a_current_account_gets_its_own_page_by_what_the_payer_looks_at() {
    let provider = World::start().await;
    let set = alipay_accounts(&provider, provider.sandbox(), "true").await;
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let world = World::with(&set).await;
    for (source, method) in [
        ("pc", "alipay.trade.page.pay"),
        ("mobile", "alipay.trade.wap.pay"),
        ("weixin", "alipay.trade.wap.pay"),
    ] {
        let charge = create(&world, json!({"livemode": true, "source": source})).await;
        assert_eq!(charge["livemode"], true);
        let url = pay_url(&world, &charge, json!({"channel": "ALIPAY"})).await;
        assert_eq!(params(&url)["method"], method);
        assert_eq!(pay_url(&world, &charge, json!({"channel": "ALIPAY"})).await, url, "the same");
        let first = in_v1(&world, "live_secret_key", &charge).await;
        assert_eq!(first["attempts"].as_array().unwrap().len(), 1);
        provider.control("pay", json!({"code": url})).await.expect(200);
        eventually("the charge is paid", async || {
            let shown = read(&world, &charge).await;
            (shown["paid"] == true && shown["data"]["buyer_email"] != "").then_some(())
        })
        .await;
    }
    let charge = create(&world, json!({"livemode": true})).await;
    let fetch = format!("{}/fetch_pay_url", own(&charge));
    let wechat = ask(&world, &fetch, json!({"channel": "WECHAT"})).await;
    refused(&wechat, 400, "account_missing");
    world.finish().await;
    provider.finish().await;
}

#[tokio::test]
async fn wechat_of_a_live_charge_is_the_cashier_with_its_code() {
    let provider = World::start().await;
    let credentials = format!("{}/_sandbox/credentials", provider.sandbox());
    let keys = provider.fetch(&credentials).await.expect(200)["wechat"].clone();
    let text = |name: &str| keys[name].as_str().unwrap().to_owned();
    let all = [
        ("provider", "wechat".to_owned()),
        ("api", "v2".to_owned()),
        ("endpoint", provider.sandbox().to_owned()),
        ("app_id", text("app_id")),
        ("mch_id", text("mch_id")),
        ("api_key", text("api_key")),
    ];
    let set = all.map(|(key, value)| format!("apps.0.accounts.0.{key}={value}"));
    let set: Vec<&str> = set.iter().map(String::as_str).chain(["polling.delay=10m"]).collect();
    let world = World::with(&set).await;
    let charge = create(&world, json!({"livemode": true, "client_ip": "203.0.113.7"})).await;
    let url = pay_url(&world, &charge, json!({"channel": "WECHAT"})).await;
    let cashier = charge["cashier_url"].as_str().unwrap();
    assert_eq!(url, format!("{cashier}?channel=wechat.native"));
    world.fetch(&url).await.expect(200);
    let first = in_v1(&world, "live_secret_key", &charge).await;
    provider.control("pay", json!({"code": first["action"]["code_url"]})).await.expect(200);
    let paid = eventually("the charge is paid", async || {
        Some(read(&world, &charge).await).filter(|shown| shown["paid"] == true)
    })
    .await;
    assert_eq!(paid["data"]["buyer_email"], "");
    world.finish().await;
    provider.finish().await;
}
