//! `GET /return/alipay/{account}`: the payer's browser comes back from Alipay.
//!
//! Coming back proves nothing; the engine asks the provider, and the payer goes on to the shop or,
//! if the shop named no page, to the cashier, which shows where the charge stands.

use crate::extract::Account;
use crate::openapi::values;
use crate::v1::is_web_address;
use crate::{App, Problem, pages};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use tongbao_types::{ChargeId, Method};
use tongbao_web::raw;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(alipay))
}

/// A payer comes back from Alipay
///
/// The return_url of orders.
#[utoipa::path(
    get,
    path = "/return/alipay/{account}",
    tag = "Providers and payers",
    operation_id = "alipayReturns",
    security(()),
    params(("account" = values::AccountName, Path, description = "The channel account's name.")),
    responses(
        (status = 303, description = "On to the charge's return_url, or to the cashier."),
        (status = 404, description = "A page: no such order.", content_type = "text/html"),
    ),
)]
async fn alipay(
    State(app): State<App>,
    account: Account,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    let request = raw::request(request, Method::Get).await?;
    let Some(charge) = app.engine.returned(&account.0, request).await else {
        return Ok(pages::returned(&headers));
    };
    let view = app.engine.cashier(charge, None).await?;
    Ok(see_other(&onward(charge, view.return_url)))
}

fn onward(charge: ChargeId, return_url: Option<String>) -> String {
    let shop = return_url.filter(|url| is_web_address(url));
    shop.unwrap_or_else(|| format!("/pay/{charge}"))
}

/// Sends the browser on with a GET.
pub(crate) fn see_other(address: &str) -> Response {
    let location = HeaderValue::from_str(address).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::{Mint, Timestamp};

    #[test]
    fn a_payer_goes_to_the_shop_or_to_the_cashier_and_nowhere_else() {
        let charge: ChargeId = Mint::new(Timestamp::from_seconds(1), [1; 10]).id();
        let cashier = format!("/pay/{charge}");
        let check = |url: Option<&str>, wanted: &str| {
            assert_eq!(onward(charge, url.map(str::to_owned)), wanted);
        };
        check(None, &cashier);
        check(Some("https://shop.example/done"), "https://shop.example/done");
        check(Some("javascript:alert(1)"), &cashier);
        check(Some("//evil.example"), &cashier);
    }
}
