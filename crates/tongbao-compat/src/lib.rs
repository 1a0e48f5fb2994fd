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
use tongbao_web::{Gate, request_id, security_headers};

/// What every handler of a profile may use.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) engine: Engine,
    pub(crate) setup: Arc<ProfileSetup>,
    pub(crate) gate: Gate,
}

/// The routes of all profiles that are configured. Every reply bears a `Request-Id` and the
/// security headers, as those of `/v1` do.
pub fn router(engine: &Engine, settings: &CompatSettings) -> Router {
    let mut router = Router::new();
    for setup in &settings.profiles {
        let (engine, gate) = (engine.clone(), settings.gate.clone());
        let service = Service { engine, setup: Arc::clone(setup), gate };
        router = router.merge(routes(setup.profile).router.with_state(service));
    }
    if settings.profiles.is_empty() {
        return router;
    }
    let gate = settings.gate.clone();
    let requests = Requests::new(settings.trusted_proxies.clone(), gate, caller::FACE);
    router.layer((from_fn_with_state(requests, request_id::layer), security_headers::layer()))
}

/// Every path of a profile, as it is written in its router: `{…}` stands for any text without a
/// slash.
pub fn paths(profile: Profile) -> Vec<String> {
    routes(profile).paths
}

fn routes(profile: Profile) -> Routes {
    match profile {
        Profile::AuthPay => auth_pay::routes(),
        Profile::Wepay => wepay::routes(),
        Profile::Wxpay => wxpay::routes(),
        Profile::Payorder => payorder::routes(),
        Profile::Capi => capi::routes(),
    }
}

/// The routes of one profile, and the list of their paths.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Service>,
    paths: Vec<String>,
}

/// A route that is the same with a slash at its end.
pub(crate) fn both(routes: Routes, path: &str, handler: MethodRouter<Service>) -> Routes {
    let Routes { router, mut paths } = routes;
    let slashed = format!("{path}/");
    let router = router.route(path, handler.clone()).route(&slashed, handler);
    paths.extend([path.to_owned(), slashed]);
    Routes { router, paths }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// axum shows the paths of a router only like this.
    #[test]
    fn no_path_is_missing_from_the_list() {
        for &profile in Profile::ALL {
            let shown = format!("{:?}", routes(profile).router);
            let (shown, _fallback) = shown.split_once("fallback_router").unwrap();
            let routed: BTreeSet<&str> = shown.split('"').filter(|t| t.starts_with('/')).collect();
            let listed = paths(profile);
            assert!(!routed.is_empty(), "{profile}");
            assert_eq!(routed, listed.iter().map(String::as_str).collect(), "{profile}");
        }
    }
}
