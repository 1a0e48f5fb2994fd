//! Bad input is refused with a code and the parameter's name, and nothing of it is stored.

use crate::gateway::Gateway;
use axum::body::Body;
use http::{Method, Request};

async fn check(gateway: &Gateway, body: &str, wanted: (u16, &str, &str)) {
    let answer = gateway.post("/v1/charges", body).await;
    let (status, code, param) = answer.problem();
    assert_eq!((status, code.as_str(), param.as_str()), wanted, "{body:.200}");
    assert_eq!(gateway.stored().await, 0, "{body:.200}");
}

/// A good request with one field changed or added.
fn with(field: &str, value: &str) -> String {
    let mut fields = vec![("amount", "1200"), ("subject", "\"tea\"")];
    fields.retain(|(name, _)| *name != field);
    fields.push((field, value));
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", fields.join(", "))
}

#[tokio::test]
async fn an_amount_is_a_whole_number_of_fen_within_the_limits() {
    let gateway = Gateway::start().await;
    for value in ["1.0", "1e2", "\"100\"", "12.5", "null", "true", "[1]", "{}", "\"\"", "-0.5"] {
        check(&gateway, &with("amount", value), (400, "invalid_parameter", "amount")).await;
    }
    for value in ["0", "-1", "-9223372036854775808"] {
        check(&gateway, &with("amount", value), (400, "amount_too_small", "amount")).await;
    }
    for value in ["10000000001", "9223372036854775807", "9223372036854775808"] {
        check(&gateway, &with("amount", value), (400, "amount_too_large", "amount")).await;
    }
    for value in ["99999999999999999999", "-99999999999999999999", "1e400"] {
        let answer = gateway.post("/v1/charges", &with("amount", value)).await;
        assert_eq!(answer.problem().0, 400, "{value}");
    }
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn every_field_keeps_its_type_and_limit() {
    let gateway = Gateway::start().await;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length));
    let many: Vec<String> = (0..51).map(|n| format!("\"n{n}\": \"v\"")).collect();
    let cases = [
        ("subject", "1".to_owned(), "subject"),
        ("subject", "\"\"".to_owned(), "subject"),
        ("subject", text(128), "subject"),
        ("subject", "\"a\\u0000b\"".to_owned(), "subject"),
        ("subject", "\"a\\nb\"".to_owned(), "subject"),
        ("body", text(1001), "body"),
        ("attach", text(128), "attach"),
        ("attach", format!("\"{}\"", "通".repeat(43)), "attach"),
        ("channel", "\"wechat.telepathy\"".to_owned(), "channel"),
        ("channel", "7".to_owned(), "channel"),
        ("account", "\"No Such Form\"".to_owned(), "account"),
        ("order_no", "\"has blank\"".to_owned(), "order_no"),
        ("order_no", text(65), "order_no"),
        ("order_no", "20261121".to_owned(), "order_no"),
        ("currency", "\"USD\"".to_owned(), "currency"),
        ("currency", "\"cny\"".to_owned(), "currency"),
        ("client_ip", "\"localhost\"".to_owned(), "client_ip"),
        ("return_url", "\"javascript:alert(1)\"".to_owned(), "return_url"),
        ("return_url", "\"/done\"".to_owned(), "return_url"),
        ("expires_at", "\"tomorrow\"".to_owned(), "expires_at"),
        ("expires_at", "\"2020-01-01T00:00:00Z\"".to_owned(), "expires_at"),
        ("expires_at", "1795242600".to_owned(), "expires_at"),
        ("expires_in", "\"30\"".to_owned(), "expires_in"),
        ("expires_in", "\"8d\"".to_owned(), "expires_in"),
        ("expires_in", "0".to_owned(), "expires_in"),
        ("expires_in", "-60".to_owned(), "expires_in"),
        ("expires_in", "1.5".to_owned(), "expires_in"),
        ("expires_in", "18446744073709551615".to_owned(), "expires_in"),
        ("payer", "\"o1\"".to_owned(), "payer"),
        ("payer", "{}".to_owned(), "payer"),
        ("payer", "[\"o1\"]".to_owned(), "payer"),
        ("payer", "{\"openid\": 7}".to_owned(), "payer.openid"),
        ("payer", "{\"openid\": \"有\"}".to_owned(), "payer.openid"),
        ("metadata", "[]".to_owned(), "metadata"),
        ("metadata", "{\"n\": 1}".to_owned(), "metadata.n"),
        ("metadata", format!("{{\"n\": {}}}", text(501)), "metadata.n"),
        ("metadata", format!("{{{}: \"v\"}}", text(41)), "metadata"),
        ("metadata", format!("{{{}}}", many.join(",")), "metadata"),
        ("metadata", "{\"n\": \"1\", \"n\": \"2\"}".to_owned(), "metadata.n"),
    ];
    for (field, value, param) in cases {
        check(&gateway, &with(field, &value), (400, "invalid_parameter", param)).await;
    }
}

#[tokio::test]
async fn unknown_missing_and_repeated_fields_are_refused() {
    let gateway = Gateway::start().await;
    check(&gateway, &with("colour", "1"), (400, "unknown_parameter", "colour")).await;
    check(&gateway, &with("Amount", "1"), (400, "unknown_parameter", "Amount")).await;
    let payer = with("payer", "{\"open_id\": \"o1\"}");
    check(&gateway, &payer, (400, "unknown_parameter", "payer.open_id")).await;
    check(&gateway, "{\"subject\": \"tea\"}", (400, "missing_parameter", "amount")).await;
    check(&gateway, "{\"amount\": 1}", (400, "missing_parameter", "subject")).await;
    check(&gateway, "", (400, "missing_parameter", "amount")).await;
    let twice = "{\"amount\": 1, \"amount\": 2, \"subject\": \"tea\"}";
    check(&gateway, twice, (400, "invalid_parameter", "amount")).await;
    let both = "{\"amount\": 1, \"subject\": \"tea\", \"expires_in\": 600, \
                \"expires_at\": \"2027-01-01T00:00:00Z\"}";
    check(&gateway, both, (400, "invalid_parameter", "expires_in")).await;
    for body in ["{", "[]", "1", "null", "{\"amount\": 1,}", "\u{feff}{}", "amount=1"] {
        check(&gateway, body, (400, "invalid_json", "")).await;
    }
    let trailing = format!("{} {{}}", with("amount", "1"));
    check(&gateway, &trailing, (400, "invalid_json", "")).await;
    let deep = format!("{{\"metadata\": {}1{}}}", "{\"a\":".repeat(5000), "}".repeat(5000));
    let answer = gateway.post("/v1/charges", &deep).await;
    assert_eq!(answer.problem().0, 400);
}

#[tokio::test]
async fn an_account_that_is_not_there_is_named() {
    let gateway = Gateway::start().await;
    let channel = with("channel", "\"alipay.qr\"");
    check(&gateway, &channel, (400, "account_missing", "channel")).await;
    let account = "{\"amount\": 1, \"subject\": \"tea\", \"channel\": \"wechat.native\", \
                   \"account\": \"other-wechat\"}";
    check(&gateway, account, (400, "account_missing", "account")).await;
}

#[tokio::test]
async fn bodies_are_json_and_not_too_long() {
    let gateway = Gateway::start().await;
    let send = async |content_type: Option<&str>, body: Vec<u8>| {
        let mut request = Request::post("/v1/charges");
        request = request.header("Authorization", format!("Bearer {}", gateway.key));
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        gateway.send(request.body(Body::from(body)).unwrap()).await.problem()
    };
    let good = || with("channel", "\"wechat.native\"").into_bytes();
    let json = Some("application/json");
    let unsupported = (415, "unsupported_media_type".to_owned(), "Content-Type".to_owned());
    assert_eq!(send(None, good()).await, unsupported);
    assert_eq!(send(Some("text/plain"), good()).await, unsupported);
    assert_eq!(send(Some("application/x-www-form-urlencoded"), good()).await, unsupported);
    let too_large = (413, "body_too_large".to_owned(), String::new());
    assert_eq!(send(json, vec![b' '; 1024 * 1024]).await, too_large);
    assert_eq!(send(json, with("body", &format!("\"{}\"", "x".repeat(65_536))).into()).await, {
        too_large
    });
    assert_eq!(send(json, b"{\"amount\": 1, \"subject\": \"\xff\"}".to_vec()).await.0, 400);
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn a_key_is_needed_and_must_be_known() {
    let gateway = Gateway::start().await;
    let send = async |authorization: Option<&str>| {
        let mut request = Request::post("/v1/charges").header("Content-Type", "application/json");
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        gateway.send(request.body(Body::from(with("body", "\"x\""))).unwrap()).await
    };
    let answer = send(None).await;
    assert_eq!(answer.problem(), (401, "authentication_required".to_owned(), String::new()));
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(send(Some("Bearer sk_test_unknown")).await.problem().1, "invalid_key");
    assert_eq!(send(Some("Basic c2s6")).await.problem().1, "authentication_required");
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn queries_are_taken_whole_or_refused() {
    let gateway = Gateway::start().await;
    for (query, code, param) in [
        ("limit=0", "invalid_parameter", "limit"),
        ("limit=101", "invalid_parameter", "limit"),
        ("limit=ten", "invalid_parameter", "limit"),
        ("limit=5&limit=6", "invalid_parameter", "limit"),
        ("starting_after=evt_1", "invalid_parameter", "starting_after"),
        ("status=paid", "invalid_parameter", "status"),
        ("channel=wechat", "invalid_parameter", "channel"),
        ("order_no=a%20b", "invalid_parameter", "order_no"),
        ("created_after=2026-11-21", "invalid_parameter", "created_after"),
        ("colour=red", "unknown_parameter", "colour"),
    ] {
        let answer = gateway.get(&format!("/v1/charges?{query}")).await;
        let wanted = (400, code.to_owned(), param.to_owned());
        assert_eq!(answer.problem(), wanted, "{query}");
    }
    for path in ["/v1/events?type=charge.exploded", "/v1/deliveries?status=lost"] {
        assert_eq!(gateway.get(path).await.problem().1, "invalid_parameter", "{path}");
    }
    let known = "/v1/charges/ch_00000000000000000000000000";
    assert_eq!(gateway.get(&format!("{known}?expand=1")).await.problem().1, "unknown_parameter");
}

#[tokio::test]
async fn unknown_addresses_ids_and_methods_are_problems() {
    let gateway = Gateway::start().await;
    for path in [
        "/v1/charge",
        "/v1/charges/",
        "/v1",
        "/v1/charges/ch_00000000000000000000000000",
        "/v1/charges/ch_1",
        "/v1/charges/%ff",
        "/v1/charges/we_00000000000000000000000000",
        "/v1/events/evt_00000000000000000000000000",
        "/v1/webhook_endpoints/we_00000000000000000000000000",
        "/v1/deliveries/dl_00000000000000000000000000",
    ] {
        let answer = gateway.get(path).await;
        assert_eq!(answer.problem(), (404, "not_found".to_owned(), String::new()), "{path}");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/v1/charges", "GET,HEAD,POST"),
        (Method::DELETE, "/v1/charges/ch_1", "GET,HEAD"),
        (Method::GET, "/notify/wechat/shop-wechat", "POST"),
        (Method::POST, "/healthz", "GET,HEAD"),
    ] {
        let answer = gateway.send(gateway.request(method, path, "")).await;
        assert_eq!(answer.problem().1, "method_not_allowed", "{path}");
        let mut methods: Vec<&str> = answer.header("allow").split(',').collect();
        methods.sort_unstable();
        assert_eq!(methods.join(","), allowed, "{path}");
    }
}
