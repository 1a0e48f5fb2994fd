//! Where Alipay and the payer's browser come to. These stay open to all: a notification shows its
//! signature, and coming back proves nothing.

use crate::fields::Fields;
use crate::{ProfileSetup, Service};
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, StatusCode};
use tongbao_types::{AccountName, OutTradeNo, Provider};

/// POST `/auth/zfb/callback/notify`: verified, compared with the order, written, and answered with
/// `success`; by the same function as every notification.
pub(super) async fn notify(State(service): State<Service>, request: Request) -> Response {
    let taken = service.take_notice(Provider::Alipay, request).await;
    taken.unwrap_or_else(|_| plain(StatusCode::BAD_REQUEST, "fail"))
}

/// GET `/auth/zfb/callback/return`: takes out_trade_no, looks once, and shows the result page.
pub(super) async fn returned(
    State(service): State<Service>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_form(query.as_deref().unwrap_or_default()).unwrap_or_default();
    let number = fields.get("out_trade_no").and_then(|text| OutTradeNo::new(text).ok());
    if let Some(number) = number {
        for account in accounts(&service.setup) {
            if let Some(charge) = service.engine.returned_from(account, &number).await {
                return see_other(&format!("/pay/{charge}"));
            }
        }
    }
    plain(StatusCode::NOT_FOUND, "没有这个订单。 There is no such order.")
}

/// The accounts whose orders may be told of here, of both modes.
fn accounts(setup: &ProfileSetup) -> impl Iterator<Item = &AccountName> {
    [&setup.live, &setup.test].into_iter().filter_map(|accounts| accounts.alipay.as_ref())
}

fn see_other(address: &str) -> Response {
    let location = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
