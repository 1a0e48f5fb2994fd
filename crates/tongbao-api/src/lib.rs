//! The native API `/v1`, the notification addresses, the return address, the cashier and the
//! reference pages, over one [`Engine`].
//!
//! A handler extracts, parses, makes one call to the engine, and shows what came back. It decides
//! nothing about money, and it does not see a protocol, a database or a provider.

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
use tongbao_web::{IpNet, request_id, security_headers};

/// What the configuration says about the faces in this crate.
#[derive(Debug, Clone, Default)]
pub struct ApiSettings {
    /// From which networks `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Ends the endless replies (server-sent events), so that the server can stop.
    pub stop: CancellationToken,
}

/// What every handler may use.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) engine: Engine,
    /// Shared, since a clone of a token takes a lock and this is cloned with every request.
    pub(crate) stop: Arc<CancellationToken>,
}

/// All routes of this crate. Every reply bears a `Request-Id` and the security headers.
pub fn router(engine: Engine, settings: ApiSettings) -> Router {
    let app = App { engine, stop: Arc::new(settings.stop) };
    let requests = Requests::new(settings.trusted_proxies);
    let named = from_fn_with_state(requests, request_id::layer);
    let (documented, _) = openapi::routes().split_for_parts();
    documented
        .merge(assets::routes())
        .fallback(pages::not_found)
        .method_not_allowed_fallback(pages::method_not_allowed)
        // Together, since the router boxes every route once for each call of `layer`.
        .layer((named, security_headers::layer()))
        .with_state(app)
}
