//! Traffic of all kinds, and above all what fails.

use super::gateway::Gateway;
use super::scanner::Canary;
use crate::world::{code, eventually};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use serde_json::{Value, json};

/// A round of everything.
pub(crate) async fn round(gateway: &mut Gateway, number: u64) {
    webhooks(gateway, number).await;
    wrong_callers(gateway).await;
    let charges = orders(gateway).await;
    for charge in &charges {
        payers(gateway, charge).await;
    }
    faults(gateway).await;
    forged_notices(gateway).await;
    older_services(gateway).await;
    ends(gateway, &charges).await;
    commands(gateway, number);
}

/// Endpoints that accept, refuse, redirect and are not there; their secrets are shown once.
async fn webhooks(gateway: &mut Gateway, number: u64) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}", listener.local_addr().unwrap());
    let refuse = || async { (StatusCode::INTERNAL_SERVER_ERROR, "no").into_response() };
    let elsewhere = || async { Redirect::temporary("http://127.0.0.1:1/").into_response() };
    let take = || async { StatusCode::NO_CONTENT };
    let router = Router::new()
        .route("/take", axum::routing::post(take))
        .route("/refuse", axum::routing::post(refuse))
        .route("/elsewhere", axum::routing::post(elsewhere));
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    let gone = "http://127.0.0.1:1".to_owned();
    for url in [format!("{hook}/take"), format!("{hook}/refuse"), format!("{hook}/elsewhere"), gone]
    {
        let key = format!("make {number} {url}");
        let body = json!({"url": url});
        let made = gateway.shown("/v1/webhook_endpoints", &key, body.clone()).await;
        let again = gateway.shown("/v1/webhook_endpoints", &key, body).await;
        assert_eq!((made.status, &made.body), (201, &again.body), "{}", made.body);
        remember(gateway, &made.body);
        let path = format!("/v1/webhook_endpoints/{}", made.body["id"].as_str().unwrap());
        let rotated = format!("{path}/rotate_secret");
        let rotated = gateway.shown(&rotated, &format!("{key} rotate"), json!({})).await;
        assert_eq!(rotated.status, 200);
        remember(gateway, &rotated.body);
        assert_eq!(gateway.call("GET", &path, None).await.status, 200);
    }
    gateway.call("GET", "/v1/webhook_endpoints", None).await;
    let refused = json!({"url": "http://169.254.169.254/"});
    assert_eq!(gateway.call("POST", "/v1/webhook_endpoints", Some(refused)).await.status, 400);
}

fn remember(gateway: &mut Gateway, endpoint: &Value) {
    let secret = endpoint["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
    let bytes = data_encoding::BASE64.decode(secret.as_bytes()).unwrap();
    let known = [("a webhook secret", secret.as_bytes()), ("a webhook secret, bytes", &bytes)];
    gateway.secrets.extend(known.map(|(name, bytes)| Canary::new(name, bytes)));
}

/// Keys that are wrong, in the wrong place, or sent with a wrong request.
async fn wrong_callers(gateway: &mut Gateway) {
    let wrong = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 24]>());
    gateway.secrets.push(Canary::new("a key that is not known", &wrong));
    for header in [
        format!("Bearer sk_live_{wrong}"),
        format!("Basic {}", data_encoding::BASE64.encode(format!("sk_live_{wrong}:").as_bytes())),
        format!("sk_live_{wrong}"),
    ] {
        let headers = [("authorization", header.as_str())];
        assert_eq!(gateway.raw("GET", "/v1/charges", &headers, "").await.status, 401);
    }
    for body in [json!({"amount": 0}), json!({"amount": 1.5, "subject": "x"}), json!(7)] {
        assert_eq!(gateway.call("POST", "/v1/charges", Some(body)).await.status, 400);
    }
    gateway.call("GET", "/v1/charges?limit=1000", None).await;
    gateway.call("GET", "/v1/charges/ch_nothing", None).await;
    gateway.call("GET", "/nowhere", None).await;
    let key = format!("Bearer {}", gateway.key);
    let headers = [("authorization", key.as_str()), ("content-type", "text/plain")];
    gateway.raw("POST", "/v1/charges", &headers, "amount=5").await;
    let headers = [("authorization", key.as_str()), ("content-type", "application/json")];
    gateway.raw("POST", "/v1/charges", &headers, "{\"amount\": ").await;
    gateway.raw("POST", "/v1/charges", &headers, vec![b'x'; 100_000]).await;
}

/// Orders through every kind of account; those with wrong keys are refused.
async fn orders(gateway: &mut Gateway) -> Vec<Value> {
    let openid = format!("o{}", data_encoding::HEXLOWER.encode(&rand::random::<[u8; 13]>()));
    gateway.private.push(Canary::new("openid", &openid));
    let codes = gateway.provider.get("/_sandbox/auth_codes").await;
    let mut code = |provider: &str| {
        let code = codes[provider]["auth_code"].as_str().unwrap().to_owned();
        gateway.secrets.push(Canary::new("auth_code", &code));
        json!({"auth_code": code})
    };
    let scanned = [code("wechat"), code("alipay")];
    let payer = json!({"openid": openid});
    let orders = [
        ("wechat.native", "v3", Value::Null, 201),
        ("wechat.native", "v2", Value::Null, 201),
        ("wechat.jsapi", "v3", payer.clone(), 201),
        ("wechat.mini", "v2", payer.clone(), 201),
        ("wechat.app", "v3", Value::Null, 201),
        ("wechat.h5", "v3", Value::Null, 201),
        ("wechat.micropay", "v2", scanned[0].clone(), 201),
        ("alipay.qr", "open", Value::Null, 201),
        ("alipay.qr", "v3ali", Value::Null, 201),
        ("alipay.page", "open", Value::Null, 201),
        ("alipay.wap", "open", Value::Null, 201),
        ("alipay.app", "open", Value::Null, 201),
        ("alipay.barcode", "open", scanned[1].clone(), 201),
        ("alipay.legacy_page", "legacy", Value::Null, 201),
        ("wechat.native", "wrong-v2", Value::Null, 0),
        ("alipay.qr", "wrong-open", Value::Null, 0),
        ("wechat.jsapi", "wrong-v2", payer, 0),
    ];
    let mut made = Vec::new();
    for (channel, account, payer, status) in orders {
        let mut body = json!({"amount": 1200, "subject": "Tea", "channel": channel,
            "account": account, "client_ip": "203.0.113.9"});
        if !payer.is_null() {
            body["payer"] = payer;
        }
        let charge = gateway.call("POST", "/v1/charges", Some(body)).await;
        match status {
            201 => {
                assert_eq!(charge.status, 201, "{channel} {account}: {}", charge.body);
                made.push(charge.body);
            }
            _ => assert_ne!(charge.body["status"], "succeeded", "{channel} {account}"),
        }
    }
    for charge in &made {
        let secret = charge["client_secret"].as_str().unwrap();
        let (_, secret) = secret.split_once("_secret_").unwrap();
        gateway.private.push(Canary::new("client_secret", secret));
    }
    made
}

/// What a payer's browser does, with the secret in its address.
async fn payers(gateway: &mut Gateway, charge: &Value) {
    let id = charge["id"].as_str().unwrap();
    let secret = charge["client_secret"].as_str().unwrap();
    let cashier = charge["cashier_url"].as_str().unwrap().replace(&gateway.base, "");
    gateway.raw("GET", &cashier, &[], "").await;
    for path in ["qr.svg", "qr.png"] {
        let path = format!("/v1/charges/{id}/{path}?client_secret={secret}");
        gateway.raw("GET", &path, &[], "").await;
    }
    let wrong = format!("/v1/charges/{id}/qr.svg?client_secret={secret}x");
    assert_ne!(gateway.raw("GET", &wrong, &[], "").await.status, 200);
}

/// The provider misbehaves, in its answers and in its notices.
async fn faults(gateway: &mut Gateway) {
    for fault in [
        json!({"corrupt_signature": true, "times": 1}),
        json!({"status": 500, "times": 1}),
        json!({"drop": true, "times": 1}),
        json!({"error_code": "SYSTEMERROR", "times": 1}),
    ] {
        for (channel, account) in
            [("wechat.native", "v3"), ("wechat.native", "v2"), ("alipay.qr", "open")]
        {
            gateway.provider.control("faults", fault.clone()).await;
            let body = json!({"amount": 100, "subject": "Tea", "channel": channel,
                "account": account});
            gateway.call("POST", "/v1/charges", Some(body)).await;
        }
    }
    for account in ["v3", "v2"] {
        let fault = json!({"notify": {"corrupt_signature": true}, "times": 1});
        gateway.provider.control("faults", fault).await;
        let body = json!({"amount": 100, "subject": "Tea", "channel": "wechat.native",
            "account": account});
        let charge = gateway.call("POST", "/v1/charges", Some(body)).await.body;
        if charge["action"]["code_url"].is_string() {
            gateway.provider.pay(&charge).await;
        }
    }
}

/// Notices that nobody signed.
async fn forged_notices(gateway: &mut Gateway) {
    let xml = "<xml><return_code>SUCCESS</return_code><sign>00</sign><out_trade_no>1</out_trade_no>\
               <appid>wx</appid><mch_id>1</mch_id></xml>";
    for account in ["v2", "v3", "wrong-v2", "nobody"] {
        let path = format!("/notify/wechat/{account}");
        gateway.raw("POST", &path, &[("content-type", "text/xml")], xml).await;
        let headers = [
            ("wechatpay-signature", "AAAA"),
            ("wechatpay-serial", "PUB_KEY_ID_1"),
            ("wechatpay-timestamp", "1"),
            ("wechatpay-nonce", "1"),
        ];
        gateway.raw("POST", &path, &headers, "{\"id\": \"1\"}").await;
    }
    for account in ["open", "v3ali", "legacy", "wrong-open"] {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let body = "out_trade_no=1&sign_type=RSA2&sign=AAAA&trade_status=TRADE_SUCCESS&notify_id=1";
        gateway.raw("POST", &format!("/notify/alipay/{account}"), &form, body).await;
        gateway.raw("GET", &format!("/return/alipay/{account}?{body}"), &[], "").await;
    }
}

/// The older services' routes, with requests that they take and that they do not.
async fn older_services(gateway: &mut Gateway) {
    let order = json!({"merchant_id": 7, "product_id": 42, "price": 0.03});
    for path in ["/wxPay/toPay", "/wxPay/queryOrder", "/wxPay/doRefund", "/order/create"] {
        gateway.call("POST", path, Some(order.clone())).await;
    }
    let wepay = json!({"appId": "wx", "mchId": "1", "env": "WXAPP", "body": "x", "total_fee": 3});
    for path in ["unified_order", "order_query", "refund", "pay_notify"] {
        gateway.call("POST", &format!("/apis/v1/wepay/{path}"), Some(wepay.clone())).await;
    }
    let charge = json!({"amount": 100, "channel": "wx", "subject": "x", "order_no": "1"});
    gateway.call("POST", "/capi/api/v1/charge/", Some(charge)).await;
    for path in ["/auth/order", "/auth/query", "/pay/notify"] {
        gateway.call("POST", path, Some(json!({}))).await;
    }
}

/// Everything is paid, given back, asked about or closed, and read once more.
async fn ends(gateway: &mut Gateway, charges: &[Value]) {
    for charge in charges {
        let path = format!("/v1/charges/{}", charge["id"].as_str().unwrap());
        if charge["action"].is_object() && charge["channel"] == "wechat.native" {
            let body = json!({"code": code(charge)});
            gateway.provider.control("pay", body).await;
            let paid = eventually("it is paid", async || {
                let url = format!("{}{path}", gateway.base);
                let request = reqwest::Client::new().get(url).bearer_auth(&gateway.key);
                let text = request.send().await.ok()?.text().await.ok()?;
                text.contains("\"status\":\"succeeded\"").then_some(())
            });
            paid.await;
            let refund = json!({"charge": charge["id"], "amount": 5});
            gateway.call("POST", "/v1/refunds", Some(refund)).await;
            let refund = json!({"charge": charge["id"], "amount": 999_999});
            assert_ne!(gateway.call("POST", "/v1/refunds", Some(refund)).await.status, 201);
        }
        gateway.call("POST", &format!("{path}/sync"), Some(json!({}))).await;
        gateway.call("POST", &format!("{path}/close"), Some(json!({}))).await;
    }
    for path in ["events", "deliveries", "refunds", "channels", "charges"] {
        gateway.call("GET", &format!("/v1/{path}?limit=100"), None).await;
    }
    gateway.call("GET", "/v1/bills/wechat.native/2026-11-20", None).await;
    for path in ["/openapi.json", "/docs", "/healthz", "/readyz", "/metrics"] {
        gateway.raw("GET", path, &[], "").await;
    }
}

/// What an operator asks for while it runs.
fn commands(gateway: &mut Gateway, number: u64) {
    if number > 0 {
        return;
    }
    for arguments in [
        &["db", "check"][..],
        &["db", "reseal"],
        &["db", "backup", "copy.db"],
        &["db", "migrate"],
        &["keys", "list", "--app", "shop"],
        &["keys", "list", "--app", "shop", "--json"],
        &["keys", "revoke", "--app", "shop", "key_nothing"],
        &["serve"],
        &["openapi"],
    ] {
        gateway.command(arguments);
    }
}
