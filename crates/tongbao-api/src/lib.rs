//! The native API `/v1`, the notification addresses, the return address, the cashier and the
//! reference pages, over one [`Engine`].
//!
//! A handler extracts, parses, makes one call to the engine, and shows what came back. It decides
//! nothing about money, and it does not see a protocol, a database or a provider.

mod admission;
mod assets;
mod cashier;
mod extract;
mod health;
mod idempotency;
mod notify;
mod openapi;
mod pages;
pub mod problem;
mod returns;
mod v1;

pub use openapi::document;
pub use problem::Problem;

use axum::Router;
use axum::middleware::from_fn_with_state;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tongbao_engine::Engine;
use tongbao_web::request_id::Requests;
use tongbao_web::{Gate, IpNet, Stop, request_id, security_headers};

/// What the configuration says about the faces in this crate.
#[derive(Debug, Clone, Default)]
pub struct ApiSettings {
    /// From which networks `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How many may come; shared with the other faces.
    pub gate: Gate,
    /// Soon: the instance is not ready any more, whatever it still serves. Now: the endless replies
    /// (server-sent events) end, so that the server can stop.
    pub stop: Stop,
}

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    pub(crate) gate: Gate,
    /// Shared, since a clone of a token takes a lock and this is cloned with every request.
    pub(crate) stop: Arc<CancellationToken>,
    /// As `stop`, but it comes sooner.
    pub(crate) stops_soon: Arc<CancellationToken>,
}

/// Every path of [`router`], as it is written there: `{…}` stands for any text without a slash.
pub fn paths() -> Vec<String> {
    let (_, document) = openapi::routes().split_for_parts();
    let documented = document.paths.paths.into_keys();
    documented.chain(assets::PATHS.map(str::to_owned)).collect()
}

/// All routes of this crate. Every reply bears a `Request-Id` and the security headers.
pub fn router(engine: Engine, settings: ApiSettings) -> Router {
    let (Stop { soon, now }, gate) = (settings.stop, settings.gate);
    let requests = Requests::new(settings.trusted_proxies, gate.clone(), admission::FACE);
    let app = App { engine, gate, stop: Arc::new(now), stops_soon: Arc::new(soon) };
    let named = from_fn_with_state(requests, request_id::layer);
    routes()
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::method_not_allowed)
        // Together, since the router boxes every route once for each call of `layer`.
        .layer((named, security_headers::layer()))
        .with_state(app)
}

fn routes() -> Router<App> {
    let (documented, _) = openapi::routes().split_for_parts();
    documented.merge(assets::routes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// axum shows the paths of a router only like this.
    #[test]
    fn no_path_is_missing_from_the_list() {
        let shown = format!("{:?}", routes());
        let (shown, _fallback) = shown.split_once("fallback_router").unwrap();
        let routed: BTreeSet<&str> = shown.split('"').filter(|t| t.starts_with('/')).collect();
        let listed = paths();
        assert!(routed.len() > 30);
        assert_eq!(routed, listed.iter().map(String::as_str).collect());
    }
}
