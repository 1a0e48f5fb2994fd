//! The cashier, `/pay/{charge}`: what a payer sees, on a phone or a computer, with scripts or
//! without.
//!
//! Whoever has the address may look, so it shows what a payer may see and nothing else. The page
//! is whole without scripts and then refreshes itself; a script only makes it calmer.

mod page;
mod texts;

pub(crate) use texts::{Language, Texts};

use crate::extract::{Id, Params};
use crate::openapi::objects::{ChannelName, ChargeStatus};
use crate::openapi::values;
use crate::problem::Body;
use crate::v1::watch::changes;
use crate::{App, Problem, pages, returns};
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use page::{Page, Stage};
use serde::Serialize;
use tongbao_core::Action;
use tongbao_engine::{CashierView, Engine, Error};
use tongbao_types::{Channel, ChargeId, Code};
use tongbao_web::limits::read_body;
use tongbao_web::qr;
use tongbao_web::{ClientAddress, sse};
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
        .routes(routes!(choose))
        .routes(routes!(picture))
}

/// Where a charge stands, for the cashier's page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Standing {
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
    params(("id" = values::ChargeId, Path, description = "The charge's id."),
        ("lang" = Option<String>, Query, description = "`zh` or `en`, before Accept-Language."),
        ("channel" = Option<String>, Query,
            description = "Show the order that waits in this channel; other words are ignored.")),
    responses(
        (status = 200, description = "The page.", content_type = "text/html", body = String),
        (status = 404, description = "A page: no such order.", content_type = "text/html",
            body = String),
        (status = 503, description = "A page: try again.", content_type = "text/html",
            body = String),
    ),
)]
async fn show(
    State(app): State<App>,
    id: Result<Id<ChargeId>, Problem>,
    headers: HeaderMap,
    params: Result<Params, Problem>,
) -> Response {
    let asked = Asked::of(params);
    let language = Language::of(&headers, asked.lang.as_deref());
    let Ok(Id(id)) = id else { return pages::no_such_charge(language.texts()) };
    match app.engine.cashier(id, asked.channel).await {
        Ok(view) => pages::page(StatusCode::OK, &Page::new(&view, language, asked.channel)),
        Err(error) => trouble(&error, language),
    }
}

/// What the address of a cashier's page asks for. A page is shown whatever else stands there, such
/// as what a mail program adds.
#[derive(Default)]
struct Asked {
    lang: Option<String>,
    channel: Option<Channel>,
}

impl Asked {
    fn of(params: Result<Params, Problem>) -> Asked {
        let Ok(mut params) = params else { return Asked::default() };
        let channel = params.take("channel").and_then(|text| text.parse().ok());
        Asked { lang: params.take("lang"), channel }
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
    params(("id" = values::ChargeId, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "`data: {…}` now and after each change.",
            content_type = "text/event-stream", body = values::StandingMessage),
        (status = 404, description = "There is no such charge.",
            content_type = "application/problem+json", body = Body<'static>),
        (status = 503, description = "The database does not answer.",
            content_type = "application/problem+json", body = Body<'static>),
    ),
)]
async fn events(
    State(app): State<App>,
    id: Id<ChargeId>,
    ClientAddress(client): ClientAddress,
    params: Result<Params, Problem>,
) -> Result<Response, Problem> {
    let watch = app.gate.watch(client, None)?;
    let (Id(id), channel) = (id, Asked::of(params).channel);
    let watching = app.engine.watch(id).await?;
    let engine = app.engine.clone();
    let standings = changes(watching).filter_map(move |_| standing(engine.clone(), id, channel));
    Ok(sse::events(standings, watch, (*app.stop).clone()))
}

async fn standing(engine: Engine, id: ChargeId, channel: Option<Channel>) -> Option<Standing> {
    engine.cashier(id, channel).await.ok().map(|view| Standing::of(&view))
}

/// Where a charge stands
#[utoipa::path(
    get,
    path = "/pay/{id}/status",
    tag = "Providers and payers",
    operation_id = "cashierStatus",
    security(()),
    params(("id" = values::ChargeId, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "Now.", body = Standing),
        (status = 404, description = "There is no such charge.",
            content_type = "application/problem+json", body = Body<'static>),
        (status = 503, description = "The database does not answer.",
            content_type = "application/problem+json", body = Body<'static>),
    ),
)]
async fn status(
    State(app): State<App>,
    id: Id<ChargeId>,
    params: Result<Params, Problem>,
) -> Result<Response, Problem> {
    let standing = Standing::of(&app.engine.cashier(id.0, Asked::of(params).channel).await?);
    Ok(([(CACHE_CONTROL, "no-store")], Json(standing)).into_response())
}

/// On to the provider, while there is something to pay
#[utoipa::path(
    get,
    path = "/pay/{id}/go",
    tag = "Providers and payers",
    operation_id = "cashierGo",
    security(()),
    params(("id" = values::ChargeId, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "A form that sends itself.", content_type = "text/html",
            body = String),
        (status = 303, description = "To the provider, or back to the cashier."),
        (status = 404, description = "A page: no such order.", content_type = "text/html",
            body = String),
        (status = 503, description = "A page: try again.", content_type = "text/html",
            body = String),
    ),
)]
async fn go(
    State(app): State<App>,
    id: Result<Id<ChargeId>, Problem>,
    headers: HeaderMap,
    params: Result<Params, Problem>,
) -> Response {
    let language = Language::of(&headers, None);
    let Ok(Id(id)) = id else { return pages::no_such_charge(language.texts()) };
    let view = match app.engine.cashier(id, Asked::of(params).channel).await {
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

/// The payer chooses a channel
///
/// What the buttons of the cashier's page send. Only channels that need nothing but a browser, and
/// only for a charge that was made without a channel.
#[utoipa::path(
    post,
    path = "/pay/{id}/choose",
    tag = "Providers and payers",
    operation_id = "cashierChoose",
    security(()),
    params(("id" = values::ChargeId, Path, description = "The charge's id.")),
    request_body(content = Choice, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 303, description = "Back to the cashier, which shows the order."),
        (status = 404, description = "A page: no such order.", content_type = "text/html",
            body = String),
        (status = 503, description = "A page: try again.", content_type = "text/html",
            body = String),
        (status = 409, description = "A page: it cannot be paid this way.",
            content_type = "text/html", body = String),
    ),
)]
async fn choose(
    State(app): State<App>,
    id: Result<Id<ChargeId>, Problem>,
    headers: HeaderMap,
    address: Option<Extension<ClientAddress>>,
    request: Request,
) -> Response {
    // What cannot be read whole is no form of ours, and names no channel.
    let form = read_body(request.into_body(), FORM_MAX).await.unwrap_or_default();
    let Choice { channel, lang } = Choice::read(&form);
    let language = Language::of(&headers, lang.as_deref());
    let Ok(Id(id)) = id else { return pages::no_such_charge(language.texts()) };
    let Some(channel) = channel else { return pages::not_this_way(id, language.texts()) };
    let client_ip = address.map(|Extension(ClientAddress(address))| address.to_string());
    match app.engine.choose_channel(id, None, channel, client_ip).await {
        Ok(_) => {
            let query = page::query(Some(channel), lang.as_deref());
            returns::see_other(&format!("/pay/{id}{query}"))
        }
        // Somebody paid or closed it meanwhile: the cashier says so.
        Err(error) if error.code == Code::ChargeNotPending => {
            returns::see_other(&format!("/pay/{id}"))
        }
        Err(error) if matches!(error.code, Code::NotFound | Code::Unavailable) => {
            trouble(&error, language)
        }
        Err(error) => {
            tracing::warn!(charge.id = %id, %error, "the payer's choice could not be ordered");
            pages::not_this_way(id, language.texts())
        }
    }
}

const FORM_MAX: usize = 1024;

/// What a button sends.
#[derive(Debug, Default, ToSchema)]
struct Choice {
    /// How the payer wants to pay.
    #[schema(value_type = ChannelName)]
    channel: Option<Channel>,
    /// The page's language.
    #[schema(example = "zh")]
    lang: Option<String>,
}

impl Choice {
    fn read(form: &[u8]) -> Choice {
        let mut choice = Choice::default();
        for (name, value) in form_urlencoded::parse(form) {
            match name.as_ref() {
                "channel" => choice.channel = value.parse().ok(),
                "lang" => choice.lang = Some(value.into_owned()),
                _ => {}
            }
        }
        choice
    }
}

/// The QR code, to save on a phone
#[utoipa::path(
    get,
    path = "/pay/{id}/qr.png",
    tag = "Providers and payers",
    operation_id = "cashierQrPng",
    security(()),
    params(("id" = values::ChargeId, Path, description = "The charge's id.")),
    responses(
        (status = 200, description = "The picture.", content_type = "image/png", body = Vec<u8>),
        (status = 404, description = "There is no such charge.",
            content_type = "application/problem+json", body = Body<'static>),
        (status = 503, description = "The database does not answer.",
            content_type = "application/problem+json", body = Body<'static>),
    ),
)]
async fn picture(
    State(app): State<App>,
    id: Id<ChargeId>,
    params: Result<Params, Problem>,
) -> Result<Response, Problem> {
    let view = app.engine.cashier(id.0, Asked::of(params).channel).await?;
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
