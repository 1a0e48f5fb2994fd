//! Where an `h5_url` leads (H5支付): the page that a browser on a phone opens, with the payment in
//! it, and back to the merchant's page afterwards.

use crate::payer::{self, PayRequest};
use crate::pretend::Pretend;
use crate::wallet::{self, Cashier};
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use std::sync::Arc;

/// The path of WeChat's own page.
pub(crate) const PATH: &str = "/cgi-bin/mmpayweb-bin/checkmweb";

/// The routes.
pub(crate) fn router() -> Router<Arc<Pretend>> {
    Router::new().route(PATH, get(page).post(act))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    prepay_id: String,
    redirect_url: String,
    lang: String,
    /// What the last act came to.
    said: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Act {
    prepay_id: String,
    redirect_url: String,
    lang: String,
    outcome: String,
}

async fn page(
    State(pretend): State<Arc<Pretend>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let now = pretend.now();
    let key = pretend.world().scan(&asked.prepay_id, now);
    let said = match &key {
        Err(refusal) if asked.said.is_empty() => {
            payer::PayProblem::from(*refusal).status_and_code().1.to_owned()
        }
        _ => asked.said,
    };
    wallet::cashier(
        &pretend,
        &headers,
        &Cashier {
            key: key.ok(),
            lang: asked.lang,
            said,
            action: PATH,
            fields: vec![("prepay_id", asked.prepay_id), ("redirect_url", asked.redirect_url)],
            other: "cancelled",
        },
    )
}

/// Whoever paid or gave up goes back to the merchant, if the address says where that is.
async fn act(State(pretend): State<Arc<Pretend>>, Form(act): Form<Act>) -> Response {
    let request = PayRequest {
        code: Some(act.prepay_id.clone()),
        outcome: Some(act.outcome).filter(|word| !word.is_empty()),
        ..PayRequest::default()
    };
    let said = match payer::play(&pretend, &request) {
        Ok(played) if is_page(&act.redirect_url) => {
            tracing::debug!(played.out_trade_no, "the payer goes back to the merchant");
            return Redirect::to(&act.redirect_url).into_response();
        }
        Ok(played) => played.outcome,
        Err(problem) => problem.status_and_code().1.to_owned(),
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("prepay_id", &act.prepay_id)
        .append_pair("lang", &act.lang)
        .append_pair("said", &said)
        .finish();
    Redirect::to(&format!("{PATH}?{query}")).into_response()
}

fn is_page(url: &str) -> bool {
    url.starts_with("http://") || url.starts_with("https://")
}
