//! The OpenAPI document against real replies: every documented field is there, every field that is
//! there is documented, every documented address answers.

use crate::gateway::Gateway;
use axum::body::Body;
use http::{Method, Request};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::from_str(tongbao_api::document()).unwrap()
}

/// Checks a value against a schema as far as types, names of fields and words go.
fn check(document: &Value, schema: &Value, value: &Value, path: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap();
        return check(document, target, value, path);
    }
    if let Some(choices) = choices(schema) {
        let fitting = choices.iter().find(|choice| fits(document, choice, value));
        let fitting = fitting.unwrap_or_else(|| panic!("{path}: no choice fits {value}"));
        return check(document, fitting, value, path);
    }
    assert!(has_type(&schema["type"], value), "{path}: {value} is not a {}", schema["type"]);
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{path}: {value} is not in {words:?}");
    }
    match value {
        Value::Array(items) => {
            for (idx, item) in items.iter().enumerate() {
                check(document, &schema["items"], item, &format!("{path}[{idx}]"));
            }
        }
        Value::Object(fields) => check_object(document, schema, fields, path),
        _ => {}
    }
}

fn choices(schema: &Value) -> Option<&Vec<Value>> {
    schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array())
}

fn check_object(document: &Value, schema: &Value, fields: &Map<String, Value>, path: &str) {
    let Some(properties) = schema["properties"].as_object() else { return };
    let names: BTreeSet<&String> = fields.keys().collect();
    // A field that may be left out says so by not taking null although it is not required.
    let may_lack = |name: &String| {
        let required =
            schema["required"].as_array().is_some_and(|r| r.contains(&name.as_str().into()));
        !required && !may_be_null(&properties[name])
    };
    let wanted: BTreeSet<&String> =
        properties.keys().filter(|name| !may_lack(name) || names.contains(name)).collect();
    assert_eq!(names, wanted, "{path}");
    for (name, value) in fields {
        check(document, &properties[name], value, &format!("{path}.{name}"));
    }
}

fn may_be_null(schema: &Value) -> bool {
    let has_null = |schema: &Value| {
        schema["type"] == "null"
            || schema["type"].as_array().is_some_and(|t| t.contains(&"null".into()))
    };
    has_null(schema)
        || schema["oneOf"].as_array().is_some_and(|choices| choices.iter().any(has_null))
}

fn fits(document: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(document, document.pointer(reference.trim_start_matches('#')).unwrap(), value);
    }
    if let Some(choices) = choices(schema) {
        return choices.iter().any(|choice| fits(document, choice, value));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        return false;
    }
    // The examples of `object` tell charges and refunds apart.
    let object = &schema["properties"]["object"]["example"];
    if object.is_string() && *object != value["object"] {
        return false;
    }
    let words = &schema["properties"]["type"]["enum"];
    let tagged = words.as_array().is_none_or(|words| words.contains(&value["type"]));
    has_type(&schema["type"], value) && tagged
}

fn has_type(wanted: &Value, value: &Value) -> bool {
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    match wanted {
        Value::Array(types) => types.contains(&name.into()),
        wanted => wanted == name,
    }
}

fn check_named(schema: &str, value: &Value) {
    let document = document();
    let schema = &document["components"]["schemas"][schema];
    assert!(schema.is_object());
    check(&document, schema, value, "reply");
}

#[tokio::test]
async fn every_object_has_exactly_the_documented_fields() {
    let gateway = Gateway::start().await;
    let body = r#"{"url": "https://shop.example/hooks"}"#;
    check_named("NewWebhookEndpoint", &gateway.post("/v1/webhook_endpoints", body).await.json());
    check_named("WebhookEndpointList", &gateway.get("/v1/webhook_endpoints").await.json());
    check_named("Charge", &gateway.charge("alipay.page", "20261121-0001").await);
    let charge = gateway.charge("wechat.native", "20261121-0002").await;
    check_named("Charge", &charge);
    let notify = "/notify/wechat/shop-wechat";
    gateway.public(Method::POST, notify, "20261121-0002 1").await;
    gateway.public(Method::POST, notify, "20261121-0002 1200").await;
    let bare = gateway.post("/v1/charges", r#"{"amount": 1, "subject": "x"}"#).await.json();
    check_named("Charge", &bare);
    gateway.post(&format!("/v1/charges/{}/close", bare["id"].as_str().unwrap()), "").await;
    let refuse = r#"{"amount": 1, "subject": "refuse", "channel": "wechat.native"}"#;
    let problem = gateway.post("/v1/charges", refuse).await.json();
    check_named("Problem", &problem);
    check_named("Problem", &gateway.post("/v1/charges", "{}").await.json());
    let paid = format!(r#"{{"charge": {}, "amount": 5}}"#, charge["id"]);
    check_named("Refund", &gateway.post("/v1/refunds", &paid).await.json());
    check_named("RefundList", &gateway.get("/v1/refunds").await.json());
    check_named("Problem", &gateway.post("/v1/refunds", &paid.replace('5', "9999")).await.json());
    let refused = paid.replace("5}", "5, \"reason\": \"refuse\"}");
    check_named("Problem", &gateway.post("/v1/refunds", &refused).await.json());
    check_named("ChannelList", &gateway.get("/v1/channels").await.json());
    check_named("ChargeList", &gateway.get("/v1/charges").await.json());
    check_named("DeliveryList", &gateway.get("/v1/deliveries").await.json());
    check_named("Health", &gateway.get("/readyz").await.json());
    check_named("EventList", &gateway.get("/v1/events?limit=100").await.json());
}

#[tokio::test]
async fn every_documented_address_is_there_and_asks_for_a_key() {
    let gateway = Gateway::start().await;
    let document = document();
    let mut n_operations = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            n_operations += 1;
            let method: Method = method.to_uppercase().parse().unwrap();
            let path = path.replace("{id}", "ch_1").replace("{account}", "nobody");
            let path = path.replace("{channel}", "wechat").replace("{date}", "2026-11-20");
            let request = Request::builder().method(&method).uri(&path);
            let status = gateway.send(request.body(Body::empty()).unwrap()).await.status.as_u16();
            let is_open = operation["security"] == serde_json::json!([{}]);
            let has_alternative = operation["security"].as_array().is_some_and(|s| s.len() == 2);
            match (is_open, has_alternative) {
                (true, _) => assert!(matches!(status, 200 | 404), "{method} {path} {status}"),
                (_, true) => assert_eq!(status, 404, "{method} {path}"),
                _ => assert_eq!(status, 401, "{method} {path}"),
            }
        }
    }
    assert_eq!(n_operations, 37);
}

#[test]
fn the_examples_of_requests_are_requests() {
    let document = document();
    let paths =
        ["/v1/charges", "/v1/charges/{id}/attempts", "/v1/refunds", "/v1/webhook_endpoints"];
    for path in paths {
        let content = &document["paths"][path]["post"]["requestBody"]["content"];
        let content = &content["application/json"];
        let schema = content["schema"]["$ref"].as_str().unwrap().trim_start_matches('#');
        let properties = &document.pointer(schema).unwrap()["properties"];
        for (name, value) in content["example"].as_object().unwrap() {
            check(&document, &properties[name], value, name);
        }
    }
}
