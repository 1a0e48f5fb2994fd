//! Who calls a profile: somebody from a network that the configuration names, or with the app's
//! key. The older services asked for nothing, which is not copied. Whom the gate turned away gets
//! the same here, so that each profile says so in its own shape.

use crate::Service;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Method};
use std::net::IpAddr;
use tongbao_core::Scope;
use tongbao_engine::Error;
use tongbao_types::Code;
use tongbao_web::ClientAddress;
use tongbao_web::gate::Class;
use tongbao_web::request_id::{Face, admitted, come_again_after};

/// Callers are counted by [`Service::admit`], and it says no for the gate too.
pub(crate) const FACE: Face = Face { class, is_public: |_, _, _| false, refuse: None };

/// What the older services' routes are, by the words in their paths.
fn class(method: &Method, path: &str) -> Class {
    let path = path.trim_end_matches('/');
    let has_one_of = |words: &[&str]| words.iter().any(|word| path.contains(word));
    if has_one_of(&["notify"]) {
        return Class::Notice;
    }
    let reads = ["query", "Query", "close", "Close", "bill", "callback", "sign_key"];
    // Alipay's page is ordered by a link.
    let is_link = path == "/auth/alipay/pay2.0";
    if (method == Method::POST || is_link) && !has_one_of(&reads) {
        return Class::Order;
    }
    Class::Read
}

impl Service {
    /// Whose charges the caller may make and see.
    ///
    /// Fails with [`Code::AuthenticationRequired`] or [`Code::InvalidKey`], and if too many come
    /// with [`Code::RateLimited`] or [`Code::Unavailable`]; the profile says so in its own shape.
    pub(crate) async fn admit(
        &self,
        headers: &HeaderMap,
        ClientAddress(client): ClientAddress,
    ) -> Result<Scope, Error> {
        let outcome = self.admit_now(headers, client).await;
        if let Err(Error { retry_after: Some(span), .. }) = &outcome {
            come_again_after(*span);
        }
        outcome
    }

    async fn admit_now(&self, headers: &HeaderMap, client: IpAddr) -> Result<Scope, Error> {
        admitted()?;
        if headers.contains_key(AUTHORIZATION) {
            let key = self.gate.key_to_try(&self.engine, headers, client)?;
            let known = self.engine.authenticate(key).await;
            let scope = self.gate.tried(key, client, known)?;
            return if scope.app == self.setup.app { Ok(scope) } else { Err(other_app()) };
        }
        if self.setup.allow_from.iter().any(|network| network.contains(&client)) {
            if let Some(page) = strange_page(headers, self.engine.public_url()) {
                return Err(from_a_page(&page));
            }
            self.gate.admit_neighbour(client)?;
            return Ok(self.setup.scope());
        }
        let message = format!(
            "The address {client} is not in allow_from of the compat profile {}, and the request \
             bears no key of the app {}.",
            self.setup.profile, self.setup.app
        );
        Err(Error::new(Code::AuthenticationRequired, message))
    }
}

fn other_app() -> Error {
    Error::new(Code::InvalidKey, "This key belongs to another app than this profile.")
}

fn from_a_page(page: &str) -> Error {
    let message = format!(
        "A page of {page} made a browser send this. allow_from lets programs in and pages of this \
         gateway's own address; for anything else send a key of the app."
    );
    Error::new(Code::AuthenticationRequired, message)
}

/// The page of another address that made a browser send a request, if so.
///
/// Whoever is let in by its network alone may look at such a page, and the browser would order or
/// refund for it. Programs send none of these headers. A browser sends `Origin` with each POST that
/// a page makes, and towards HTTPS says itself how page and address are related (Fetch Metadata);
/// `Host` may be a proxy's own name for this gateway, so the public address counts too.
fn strange_page(headers: &HeaderMap, public_url: &str) -> Option<String> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let origin = text(ORIGIN.as_str());
    let page = || origin.as_deref().unwrap_or("another address").to_owned();
    match text("sec-fetch-site").as_deref() {
        Some("same-origin") => return None,
        Some("cross-site") if origin.is_some() => return Some(page()),
        _ => {}
    }
    let authority = |url: &str| url.split_once("://").map(|(_, rest)| rest.to_ascii_lowercase());
    let public = authority(public_url).map(|rest| rest.split('/').next().unwrap_or("").to_owned());
    let own = [text(HOST.as_str()).map(|host| host.to_ascii_lowercase()), public];
    let from = authority(origin.as_deref()?);
    let is_own = from.is_some() && own.contains(&from);
    (!is_own).then(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&'static str, &str)], is_strange: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        let found = strange_page(&headers, "https://pay.example/gateway");
        assert_eq!(found.is_some(), is_strange, "{pairs:?}: {found:?}");
    }

    #[test]
    fn programs_and_own_pages_are_told_from_strange_ones() {
        let host = ("host", "10.0.0.5:9009");
        check(&[], false);
        check(&[host], false);
        check(&[host, ("origin", "http://10.0.0.5:9009")], false);
        check(&[host, ("origin", "https://PAY.example")], false);
        check(
            &[host, ("origin", "https://shop.example"), ("sec-fetch-site", "same-origin")],
            false,
        );
        // A link that somebody follows carries no origin.
        check(&[host, ("sec-fetch-site", "cross-site")], false);
        for origin in [
            "https://evil.example",
            "http://10.0.0.5",
            "http://10.0.0.5:9009.evil.example",
            "https://pay.example.evil.example",
            "null",
            "",
        ] {
            check(&[host, ("origin", origin)], true);
            check(&[host, ("origin", origin), ("sec-fetch-site", "same-site")], true);
            check(&[("origin", origin)], true);
        }
        let own = ("origin", "http://10.0.0.5:9009");
        check(&[host, own, ("sec-fetch-site", "cross-site")], true);
    }

    #[test]
    fn each_profiles_routes_are_told_apart() {
        let check = |method: Method, paths: &[&str], wanted: Class| {
            for path in paths {
                assert_eq!(class(&method, path), wanted, "{method} {path}");
                assert_eq!(class(&method, &format!("{path}/")), wanted, "{method} {path}/");
            }
        };
        let notices = [
            "/auth/zfb/callback/notify",
            "/apis/v1/wepay/pay_notify",
            "/pay/notify",
            "/pay/notify_url",
        ];
        check(Method::POST, &notices, Class::Notice);
        let orders = [
            "/auth/pay/wx2.0",
            "/auth/pay/wx",
            "/auth/wxpay/refund2.0",
            "/auth/alipay/refund2.0",
            "/apis/v1/wepay/get_pay_request_params",
            "/apis/v1/wepay/refund",
            "/wxPay/toPay",
            "/order",
            "/wx/order",
            "/capi/api/v1/charge",
            "/capi/api/v1/charge/1/fetch_pay_url",
        ];
        check(Method::POST, &orders, Class::Order);
        check(Method::GET, &["/auth/alipay/pay2.0"], Class::Order);
        let reads = [
            "/auth/wxpay/orderquery2.0",
            "/auth/wxpay/closeorder2.0",
            "/auth/wxpay/refundquery2.0",
            "/auth/wxpay/downloadbill2.0",
            "/auth/alipay/billQuery2.0",
            "/apis/v1/wepay/get_sign_key",
            "/wxPay/queryOrder",
            "/wxPay/wxPay/queryOrder",
            "/wxPay/doCloseOrder",
            "/queryOrder",
        ];
        check(Method::POST, &reads, Class::Read);
        check(Method::GET, &["/capi/api/v1/charge/1", "/auth/zfb/callback/return"], Class::Read);
    }
}
