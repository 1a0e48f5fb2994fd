//! `POST /notify/wechat/{account}` and `POST /notify/alipay/{account}`: a provider tells.
//!
//! The bytes go to the engine as they came, since signatures are over them, and its answer goes
//! out as it is. Nothing is parsed here.

use crate::extract::Account;
use crate::openapi::values;
use crate::problem::Body;
use crate::{App, Problem};
use axum::body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode};
use tongbao_types::{HttpResponse, Method, Provider};
use tongbao_web::raw;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(wechat)).routes(routes!(alipay))
}

/// WeChat Pay notifies
///
/// The notify_url of orders. The body is WeChat Pay's own, XML for API v2 and JSON for v3, and so
/// is the answer.
#[utoipa::path(
    post,
    path = "/notify/wechat/{account}",
    tag = "Providers and payers",
    operation_id = "wechatNotifies",
    security(()),
    params(("account" = values::AccountName, Path, description = "The channel account's name.")),
    request_body(content = values::Anything, content_type = "*/*", description = "As signed."),
    responses(
        (status = 200, description = "Believed and committed.", content(
            (values::Anything = "application/json"),
            (String = "text/xml"),
        )),
        (status = "4XX", description = "Not believed; nothing was changed.", content(
            (values::Anything = "application/json"),
            (String = "text/xml"),
            (Body<'static> = "application/problem+json"),
        )),
        (status = "5XX", description = "Could not be kept; to be sent again.", content(
            (values::Anything = "application/json"),
            (String = "text/xml"),
            (Body<'static> = "application/problem+json"),
        )),
    ),
)]
async fn wechat(
    State(app): State<App>,
    account: Account,
    request: Request,
) -> Result<Response, Problem> {
    receive(&app, Provider::Wechat, &account, request).await
}

/// Alipay notifies
///
/// The notify_url of orders. The body is Alipay's own form, and so is the answer.
#[utoipa::path(
    post,
    path = "/notify/alipay/{account}",
    tag = "Providers and payers",
    operation_id = "alipayNotifies",
    security(()),
    params(("account" = values::AccountName, Path, description = "The channel account's name.")),
    request_body(content = values::Anything, content_type = "*/*", description = "As signed."),
    responses(
        (status = 200, description = "`success`: believed and committed; else not.",
            content_type = "text/plain", body = String),
        (status = "4XX", description = "Not believed, or no such account; nothing was changed.",
            content(
            (String = "text/plain"),
            (values::Anything = "application/json"),
            (Body<'static> = "application/problem+json"),
        )),
        (status = "5XX", description = "Could not be kept; to be sent again.", content(
            (String = "text/plain"),
            (Body<'static> = "application/problem+json"),
        )),
    ),
)]
async fn alipay(
    State(app): State<App>,
    account: Account,
    request: Request,
) -> Result<Response, Problem> {
    receive(&app, Provider::Alipay, &account, request).await
}

async fn receive(
    app: &App,
    provider: Provider,
    account: &Account,
    request: Request,
) -> Result<Response, Problem> {
    let request = raw::request(request, Method::Post).await?;
    Ok(answer(app.engine.receive_notice(provider, &account.0, request).await))
}

fn answer(answer: HttpResponse) -> Response {
    let mut response = Response::new(body::Body::from(answer.body));
    // Room for those that every reply gets.
    response.headers_mut().reserve(8);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name);
        let value = HeaderValue::try_from(value);
        if let (Ok(name), Ok(value)) = (name, value) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_goes_out_as_it_is() {
        let sent = answer(HttpResponse::new(401, "application/json", "{\"code\":\"FAIL\"}"));
        assert_eq!(sent.status(), 401);
        assert_eq!(sent.headers()["content-type"], "application/json");
    }
}
