//! The OpenAPI 3.1 document, made from the routes themselves, and `/openapi.json`.

mod headers;
mod links;
pub(crate) mod objects;
mod problems;
pub(crate) mod values;

pub(crate) use problems::{Fetching, Making, Reading, Refunding};

use crate::{App, cashier, health, notify, problem, returns, v1};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use std::sync::LazyLock;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as OpenApiDocument, Ref, RefOr};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

const ABOUT: &str = "One API for WeChat Pay and Alipay. Amounts are whole numbers of fen, times \
    are RFC 3339 in UTC. Unknown fields and parameters are refused, never ignored. Errors are \
    problem details (RFC 9457) whose `code` is stable. Every POST may bear an `Idempotency-Key`; \
    every reply bears a `Request-Id`.";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "tongbao",
        description = ABOUT,
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/", description = "This gateway.")),
    security(("key" = [])),
    modifiers(&Additions),
    components(schemas(
        problem::Body<'static>,
        // What only parameters name is not found by itself.
        values::AccountName,
        values::BillFormat,
        values::BillKind,
        values::BillWhose,
        values::ChargeId,
        values::DeliveryId,
        values::EndpointId,
        values::EventId,
        values::IdempotencyKey,
        values::RefundId,
    )),
    tags(
        (name = "Charges", description = "What you want to be paid, once each."),
        (name = "Refunds", description = "Money on its way back to the payer."),
        (name = "Bills", description = "What a provider says of a day."),
        (name = "Channels", description = "Which ways of paying an app can use."),
        (name = "Events", description = "What happened, in order."),
        (name = "Webhooks", description = "Where you want to be told, and what became of it."),
        (name = "Providers and payers", description = "Addresses without a key."),
        (name = "Health", description = "For load balancers and monitors."),
    ),
)]
struct Base;

struct Additions;

impl Modify for Additions {
    fn modify(&self, document: &mut OpenApiDocument) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("sk_test_… or sk_live_…")
            .description(Some("An app's secret key; test keys never move real money."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(bearer));
        for (name, response) in problems::components() {
            components.responses.insert(name, response.into());
        }
    }
}

/// A body without fields may as well be left away; the attributes cannot say so.
fn without_needless_bodies(mut document: OpenApiDocument) -> OpenApiDocument {
    let nothing = Ref::from_schema_name(v1::Nothing::name());
    for item in document.paths.paths.values_mut() {
        let body = item.post.as_mut().and_then(|post| post.request_body.as_mut());
        let Some(RefOr::T(body)) = body else { continue };
        let is_nothing = |content: &RefOr<Content>| match content {
            RefOr::T(content) => content.schema == Some(RefOr::Ref(nothing.clone())),
            RefOr::Ref(_) => false,
        };
        if body.content.values().any(is_nothing) {
            body.required = None;
        }
    }
    document
}

/// Calls `change` with every operation and its id.
fn each_operation(document: &mut OpenApiDocument, mut change: impl FnMut(&str, &mut Operation)) {
    for item in document.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.post, &mut item.patch, &mut item.put, &mut item.delete];
        for operation in all.into_iter().flatten() {
            let id = operation.operation_id.clone().unwrap_or_default();
            change(&id, operation);
        }
    }
}

/// The documented routes together with their document.
pub(crate) fn routes() -> OpenApiRouter<App> {
    use v1::webhook_endpoints as endpoints;
    use v1::{attempts, bills, channels, charges, deliveries, events, qr, refunds, watch};
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(bills::read))
        .routes(routes!(charges::create, charges::list))
        .routes(routes!(charges::read))
        .routes(routes!(charges::close))
        .routes(routes!(charges::sync))
        .routes(routes!(attempts::create))
        .routes(routes!(refunds::create, refunds::list))
        .routes(routes!(refunds::read))
        .routes(routes!(channels::list))
        .routes(routes!(qr::svg))
        .routes(routes!(qr::png))
        .routes(routes!(watch::watch))
        .routes(routes!(events::list))
        .routes(routes!(events::read))
        .routes(routes!(endpoints::create, endpoints::list))
        .routes(routes!(endpoints::read, endpoints::update, endpoints::delete))
        .routes(routes!(endpoints::rotate_secret))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::read))
        .routes(routes!(deliveries::resend))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(openapi_json))
        .merge(cashier::routes())
        .merge(notify::routes())
        .merge(returns::routes())
}

/// The OpenAPI document as JSON, as `/openapi.json` and `tongbao openapi` show it.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let (_, document) = routes().split_for_parts();
        let mut document = without_needless_bodies(document);
        headers::describe(&mut document);
        links::describe(&mut document);
        document.to_pretty_json().expect("a document of texts and numbers is JSON")
    });
    &DOCUMENT
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Health",
    operation_id = "openApi",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json",
        body = Object)),
)]
async fn openapi_json() -> Response {
    ([(CONTENT_TYPE, "application/json")], document()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_changes_only_on_purpose() {
        insta::assert_snapshot!(document());
    }

    #[test]
    fn every_operation_has_a_name_and_every_reference_leads_somewhere() {
        let document: serde_json::Value = serde_json::from_str(document()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > 20);
        for reference in references {
            let target = document.pointer(reference.trim_start_matches('#'));
            assert!(target.is_some(), "{reference}");
        }
        for (path, operations) in document["paths"].as_object().unwrap() {
            for operation in operations.as_object().unwrap().values() {
                assert!(operation["operationId"].is_string(), "{path}");
                assert!(operation["summary"].is_string(), "{path}");
            }
        }
    }

    fn collect(value: &serde_json::Value, references: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(map) => {
                references.extend(map.get("$ref").and_then(|r| r.as_str()).map(str::to_owned));
                map.values().for_each(|value| collect(value, references));
            }
            serde_json::Value::Array(items) => {
                items.iter().for_each(|value| collect(value, references));
            }
            _ => {}
        }
    }
}
