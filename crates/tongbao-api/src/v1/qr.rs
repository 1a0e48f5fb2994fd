//! `GET /v1/charges/{id}/qr.svg` and `/qr.png`: the code that the payer scans, as a picture.

use crate::extract::{Audience, Id, Params};
use crate::openapi::{Reading, values};
use crate::{App, Problem};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use tongbao_core::Action;
use tongbao_engine::{CashierView, Error};
use tongbao_types::{ChargeId, Code};
use tongbao_web::{ClientAddress, qr};

/// The QR code as SVG
///
/// Send the key, or the charge's `client_secret` as a parameter.
#[utoipa::path(
    get,
    path = "/v1/charges/{id}/qr.svg",
    tag = "Charges",
    operation_id = "chargeQrSvg",
    params(("id" = values::ChargeId, Path, description = "The charge's id."),
        ("client_secret" = Option<String>, Query, description = "Instead of a key.")),
    security(("key" = []), ()),
    responses((status = 200, description = "The picture.", content_type = "image/svg+xml",
        body = String), Reading),
)]
pub(crate) async fn svg(
    State(app): State<App>,
    id: Id<ChargeId>,
    client: ClientAddress,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let text = code_of(&app, id.0, (&headers, client), params).await?;
    let drawn = qr::svg(&text).ok_or_else(too_long)?;
    Ok(picture("image/svg+xml", drawn))
}

/// The QR code as PNG
///
/// Send the key, or the charge's `client_secret` as a parameter.
#[utoipa::path(
    get,
    path = "/v1/charges/{id}/qr.png",
    tag = "Charges",
    operation_id = "chargeQrPng",
    params(("id" = values::ChargeId, Path, description = "The charge's id."),
        ("client_secret" = Option<String>, Query, description = "Instead of a key.")),
    security(("key" = []), ()),
    responses((status = 200, description = "The picture.", content_type = "image/png",
        body = Vec<u8>), Reading),
)]
pub(crate) async fn png(
    State(app): State<App>,
    id: Id<ChargeId>,
    client: ClientAddress,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, Problem> {
    let text = code_of(&app, id.0, (&headers, client), params).await?;
    let drawn = qr::png(&text).ok_or_else(too_long)?;
    Ok(picture("image/png", drawn))
}

async fn code_of(
    app: &App,
    id: ChargeId,
    caller: (&HeaderMap, ClientAddress),
    mut params: Params,
) -> Result<String, Error> {
    let secret = params.take("client_secret");
    Audience::of(app, caller, secret.as_deref(), id).await?;
    params.finish()?;
    shown_code(app.engine.cashier(id, None).await?)
}

fn shown_code(view: CashierView) -> Result<String, Error> {
    match (view.status, view.action) {
        (_, Some(Action::QrCode { code_url })) => Ok(code_url),
        ("pending", _) => {
            Err(Error::new(Code::NotFound, "This charge has no QR code to show, or not yet."))
        }
        (status, _) => {
            let message = format!("The charge has ended: it is {status}.");
            let mut error = Error::new(Code::ChargeNotPending, message);
            error.charge = Some(view.charge);
            Err(error)
        }
    }
}

fn too_long() -> Error {
    Error::new(Code::Internal, "The provider's code is too long for a QR code.")
}

fn picture(content_type: &'static str, drawn: impl IntoResponse) -> Response {
    let mut response = drawn.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // The code stops working when the charge ends.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
