//! What the gate must know of this crate's routes, and what a request reads that it turned away.

use crate::{Problem, pages};
use axum::response::{IntoResponse, Response};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Uri};
use tongbao_engine::Error;
use tongbao_web::gate::Class;
use tongbao_web::request_id::Face;

pub(crate) const FACE: Face = Face { class, is_public, refuse: Some(refuse) };

/// Closing and asking count as reads, since they end what is under way.
fn class(method: &Method, path: &str) -> Class {
    match path {
        "/healthz" | "/readyz" => Class::Health,
        _ if path.starts_with("/notify/") => Class::Notice,
        _ if method == Method::POST && makes_orders(path) => Class::Order,
        _ => Class::Read,
    }
}

fn makes_orders(path: &str) -> bool {
    matches!(path, "/v1/charges" | "/v1/refunds")
        || path.ends_with("/attempts")
        || path.ends_with("/choose")
}

/// Keys are counted where they are looked at, and notices never: a provider's come from few
/// addresses.
fn is_public(_: &Method, path: &str, headers: &HeaderMap) -> bool {
    if path.starts_with("/v1/") {
        return !headers.contains_key(AUTHORIZATION);
    }
    !path.starts_with("/notify/")
}

/// A page where a payer reads it, else a problem.
fn refuse(error: Error, uri: &Uri, headers: &HeaderMap) -> Response {
    if pages::is_for_people(uri, headers) {
        return pages::too_many(error.code, headers);
    }
    Problem::from(error).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_notices_and_monitors_are_told_from_the_rest() {
        let check = |method: Method, path: &str, wanted: Class| {
            assert_eq!(class(&method, path), wanted, "{method} {path}");
        };
        for path in ["/v1/charges", "/v1/refunds", "/v1/charges/ch_1/attempts", "/pay/ch_1/choose"]
        {
            check(Method::POST, path, Class::Order);
            check(Method::GET, path, Class::Read);
        }
        check(Method::POST, "/v1/charges/ch_1/close", Class::Read);
        check(Method::POST, "/notify/wechat/a", Class::Notice);
        check(Method::GET, "/healthz", Class::Health);
        check(Method::GET, "/readyz", Class::Health);
    }

    #[test]
    fn an_address_is_counted_only_where_no_key_and_no_signature_is() {
        let mut key = HeaderMap::new();
        key.insert(AUTHORIZATION, "Bearer sk_test_1".parse().unwrap());
        let check = |path: &str, headers: &HeaderMap, wanted: bool| {
            assert_eq!(is_public(&Method::GET, path, headers), wanted, "{path}");
        };
        check("/v1/charges", &key, false);
        check("/v1/charges/ch_1/watch", &HeaderMap::new(), true);
        check("/pay/ch_1", &HeaderMap::new(), true);
        check("/pay/ch_1", &key, true);
        check("/notify/wechat/a", &HeaderMap::new(), false);
    }
}
