//! The routes of five older payment services, so that their callers need change nothing but an
//! address. Each profile is one file that reads like its service's document.
//!
//! A profile is a thin router over the engine: no signing, no SQL, no state of its own. A charge
//! made here is an ordinary charge, with [`Profile`] beside it; it shows in `/v1`, sends the app's
//! webhooks, and is refunded like any other.

mod answer;
mod auth_pay;
mod caller;
mod capi;
mod checks;
mod fields;
mod forwards;
mod notices;
mod numbers;
mod orders;
mod payorder;
mod setup;
mod wepay;
mod wxpay;

pub use forwards::forwards;
pub use setup::{CompatSettings, ModeAccounts, ProfileSetup};
pub use wepay::{WepayEnv, WepayMerchant};

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use std::sync::Arc;
use tongbao_engine::Engine;
use tongbao_types::Profile;
use tongbao_web::request_id::Requests;
use tongbao_web::{request_id, security_headers};

/// What every handler of a profile may use.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) setup: Arc<ProfileSetup>,
}

/// The routes of all profiles that are configured. Every reply bears a `Request-Id` and the
/// security headers, as those of `/v1` do.
pub fn router(engine: &Engine, settings: &CompatSettings) -> Router {
    let mut router = Router::new();
    for setup in &settings.profiles {
        let service = Service { engine: engine.clone(), setup: Arc::clone(setup) };
        let routes: Router<Service> = match setup.profile {
            Profile::AuthPay => auth_pay::routes(),
            Profile::Wepay => wepay::routes(),
            Profile::Wxpay => wxpay::routes(),
            Profile::Payorder => payorder::routes(),
            Profile::Capi => capi::routes(),
        };
        router = router.merge(routes.with_state(service));
    }
    if settings.profiles.is_empty() {
        return router;
    }
    let requests = Requests::new(settings.trusted_proxies.clone());
    router.layer((from_fn_with_state(requests, request_id::layer), security_headers::layer()))
}

/// A route that is the same with a slash at its end.
pub(crate) fn both(
    router: Router<Service>,
    path: &str,
    handler: MethodRouter<Service>,
) -> Router<Service> {
    router.route(path, handler.clone()).route(&format!("{path}/"), handler)
}
