//! The cashier, `/pay/{charge}`: what a payer sees, on a phone or a computer, with scripts or
//! without.
//!
//! Whoever has the address may look, so it shows what a payer may see and nothing else. The page
//! is whole without scripts and then refreshes itself; a script only makes it calmer.

mod page;
mod texts;

pub(crate) use texts::{Language, Texts};

use crate::extract::{Id, Params};
use crate::openapi::objects::ChargeStatus;
use crate::problem::Body;
use crate::v1::watch::changes;
use crate::{App, Problem, pages, qr, returns};
use axum::Json;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use futures_util::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use page::{Page, Stage};
use serde::Serialize;
use tongbao_core::Action;
use tongbao_engine::{CashierView, Engine, Error};
use tongbao_types::{ChargeId, Code};
use tongbao_web::sse;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A form made by our own adapter sends itself by a script inside it. This is the one document
/// with an inline script, and it may do nothing but be sent.
const FORM_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'unsafe-inline'; form-action http: https:; \
     base-uri 'none'; frame-ancestors 'none'",
);

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(events))
        .routes(routes!(status))
        .routes(routes!(go))
        .routes(routes!(picture))
}

/// Where a charge stands, for the cashier's page.
#[derive(Debug, Serialize, ToSchema)]
struct Standing {
    /// The charge's status.
    #[schema(value_type = ChargeStatus)]
    status: &'static str,
    /// What the page shows.
    #[schema(example = "scan")]
    stage: &'static str,
    /// Until nobody can pay any more.
    #[schema(minimum = 0)]
    seconds_left: i64,
}

impl Standing {
    fn of(view: &CashierView) -> Standing {
        let stage = Stage::of(view).as_str();
        Standing { status: view.status, stage, seconds_left: page::seconds_left(view) }
    }
}

/// The cashier: a page on which a payer pays
#[utoipa::path(
    get,
    path = "/pay/{id}",
    tag = "Providers and payers",
    operation_id = "cashier",
    security(()),
    params(("id" = String, Path, description = "The charge's id."),
        ("lang" = Option<String>, Query, description = "`zh` or `en`, before Accept-Language.")),
    responses(
        (status = 200, description = "The page.", content_type = "text/html", body = String),
        (status = 404, description = "A page: no such order.", content_type = "text/html",
            body = String),
    ),
)]
async fn show(
    State(app): State<App>,
    id: Result<Id<ChargeId>, Problem>,
    headers: HeaderMap,
    params: Result<Params, Problem>,
) -> Response {
    let asked = params.ok().and_then(|mut params| params.take("lang"));
    let language = Language::of(&headers, asked.as_deref());
    let Ok(Id(id)) = id else { return pages::no_such_charge(language.texts()) };
    match app.engine.cashier(id).await {
        Ok(view) => pages::page(StatusCode::OK, &Page::new(&view, language)),
        Err(error) => trouble(&error, language),
    }
}

fn trouble(error: &Error, language: Language) -> Response {
    match error.code {
        Code::NotFound => pages::no_such_charge(language.texts()),
        _ => pages::unavailable(language.texts()),
    }
}

/// Where a charge stands, as server-sent events
#[utoipa::path(
    get,
    path = "/pay/{id}/events",
    tag = "Providers and payers",
    operation_id = "cashierEvents",
    security(()),
    params(("id" = String, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "`data: {…}` now and after each change.",
            content_type = "text/event-stream", body = Standing),
        (status = 404, description = "There is no such charge.",
            content_type = "application/problem+json", body = Body<'static>),
    ),
)]
async fn events(State(app): State<App>, id: Id<ChargeId>) -> Result<Response, Problem> {
    let watching = app.engine.watch(id.0).await?;
    let engine = app.engine.clone();
    let standings = changes(watching).filter_map(move |_| standing(engine.clone(), id.0));
    Ok(sse::events(standings, app.stop))
}

async fn standing(engine: Engine, id: ChargeId) -> Option<Standing> {
    engine.cashier(id).await.ok().map(|view| Standing::of(&view))
}

/// Where a charge stands
#[utoipa::path(
    get,
    path = "/pay/{id}/status",
    tag = "Providers and payers",
    operation_id = "cashierStatus",
    security(()),
    params(("id" = String, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "Now.", body = Standing),
        (status = 404, description = "There is no such charge.",
            content_type = "application/problem+json", body = Body<'static>),
    ),
)]
async fn status(State(app): State<App>, id: Id<ChargeId>) -> Result<Response, Problem> {
    let standing = Standing::of(&app.engine.cashier(id.0).await?);
    Ok(([(CACHE_CONTROL, "no-store")], Json(standing)).into_response())
}

/// On to the provider, while there is something to pay
#[utoipa::path(
    get,
    path = "/pay/{id}/go",
    tag = "Providers and payers",
    operation_id = "cashierGo",
    security(()),
    params(("id" = String, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "A form that sends itself.", content_type = "text/html",
            body = String),
        (status = 303, description = "To the provider, or back to the cashier."),
        (status = 404, description = "A page: no such order.", content_type = "text/html",
            body = String),
    ),
)]
async fn go(
    State(app): State<App>,
    id: Result<Id<ChargeId>, Problem>,
    headers: HeaderMap,
) -> Response {
    let language = Language::of(&headers, None);
    let Ok(Id(id)) = id else { return pages::no_such_charge(language.texts()) };
    let view = match app.engine.cashier(id).await {
        Ok(view) => view,
        Err(error) => return trouble(&error, language),
    };
    match view.action {
        Some(Action::Redirect { url }) => returns::see_other(&url),
        Some(Action::Form { html }) => {
            ([(CONTENT_SECURITY_POLICY, FORM_POLICY)], Html(html)).into_response()
        }
        _ => returns::see_other(&format!("/pay/{id}")),
    }
}

/// The QR code, to save on a phone
#[utoipa::path(
    get,
    path = "/pay/{id}/qr.png",
    tag = "Providers and payers",
    operation_id = "cashierQrPng",
    security(()),
    params(("id" = String, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "The picture.", content_type = "image/png", body = Vec<u8>),
        (status = 404, description = "There is no such charge.",
            content_type = "application/problem+json", body = Body<'static>),
    ),
)]
async fn picture(State(app): State<App>, id: Id<ChargeId>) -> Result<Response, Problem> {
    let view = app.engine.cashier(id.0).await?;
    let Some(Action::QrCode { code_url }) = view.action else {
        return Err(Error::new(Code::NotFound, "This charge has no QR code to show.").into());
    };
    let drawn = qr::png(&code_url).ok_or_else(|| {
        Error::new(Code::Internal, "The provider's code is too long for a QR code.")
    })?;
    let headers = [
        (CONTENT_TYPE, "image/png"),
        (CONTENT_DISPOSITION, "attachment; filename=\"pay.png\""),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, drawn).into_response())
}
