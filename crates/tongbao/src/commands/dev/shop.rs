//! The demo shop of `tongbao dev`: the page of `examples/shop` with the SDK of `sdk/js`, both out
//! of the binary, and in `orders.rs` what `server.mjs` does there. It calls the gateway over HTTP
//! with an API key, as any shop would, and knows nothing that a shop could not know.

use super::orders::{self, Desk};
use crate::listening::bind;
use crate::running::base_of;
use anyhow::Context;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use orders::Trouble;
use rust_embed::RustEmbed;
use serde_json::json;
use std::io;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tongbao_web::{Serving, Stop, security_headers};

const LISTEN: &str = "127.0.0.1:9011";
const OPTION: &str = "--shop-listen";
/// What the option says for no shop.
const OFF: &str = "off";

#[derive(RustEmbed)]
#[folder = "../../examples/shop/public/"]
struct Page;

#[derive(RustEmbed)]
#[folder = "../../sdk/js/dist/"]
struct Sdk;

/// What came of the wish for a shop.
pub(super) enum Place {
    /// Nobody wants one.
    Off,
    /// Another program has the default address, and nobody asked for it in words.
    Taken,
    /// Here.
    At(TcpListener),
}

impl Place {
    /// Listens where `asked` says. A missing shop is no reason not to start, unless its address
    /// was asked for.
    pub(super) async fn find(asked: Option<&str>) -> anyhow::Result<Place> {
        match asked {
            Some(OFF) => Ok(Place::Off),
            Some(address) => Ok(Place::At(bind(address, OPTION).await?)),
            None => match TcpListener::bind(LISTEN).await {
                Ok(listener) => Ok(Place::At(listener)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(Place::Taken),
                Err(error) => Err(error).with_context(|| {
                    format!("{LISTEN} cannot be listened on; choose another address with {OPTION}")
                }),
            },
        }
    }

    /// The shop's address on this machine, `http://…`.
    pub(super) fn base(&self) -> anyhow::Result<Option<String>> {
        match self {
            Place::At(listener) => base_of(listener).map(Some),
            Place::Off | Place::Taken => Ok(None),
        }
    }

    /// What to say where there is no shop.
    pub(super) fn absence(&self) -> String {
        match self {
            Place::Taken => format!("none: {LISTEN} is in use; choose another with {OPTION}"),
            Place::Off | Place::At(_) => format!("none ({OPTION} off)"),
        }
    }

    /// Serves until `stop`.
    pub(super) async fn serve(self, desk: Arc<Desk>, stop: CancellationToken) {
        let stop = Stop { soon: stop.clone(), now: stop };
        if let Place::At(listener) = self {
            tongbao_web::serve(listener, router(desk), Serving::default(), stop).await;
        }
    }
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/{file}", get(page))
        .route("/sdk/{file}", get(sdk))
        .route("/orders", post(place_order))
        .route("/orders/{id}", get(read_order))
        .route("/webhooks", post(take_webhook))
        .layer(security_headers::layer())
        .with_state(desk)
}

/// The menu, as the page reads it.
pub(super) fn menu() -> anyhow::Result<Vec<orders::Tea>> {
    let file = Page::get("menu.json").context("the shop has no menu")?;
    serde_json::from_slice(&file.data).context("the shop's menu")
}

async fn index(State(desk): State<Arc<Desk>>) -> Result<Response, Trouble> {
    let mut response = file("index.html", Page::get("index.html"))?;
    // The page loads the code and hears of the payment from the gateway; nothing else comes from
    // elsewhere.
    let gateway = desk.gateway();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' {gateway}; \
         connect-src 'self' {gateway}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::from_str(&policy).map_err(|_| Trouble::nothing_here())?;
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

async fn page(Path(name): Path<String>) -> Result<Response, Trouble> {
    file(&name, Page::get(&name))
}

async fn sdk(Path(name): Path<String>) -> Result<Response, Trouble> {
    file(&name, Sdk::get(&name))
}

fn file(name: &str, found: Option<rust_embed::EmbeddedFile>) -> Result<Response, Trouble> {
    let kind = match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        _ => return Err(Trouble::nothing_here()),
    };
    let found = found.ok_or_else(Trouble::nothing_here)?;
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from(found.data)).into_response())
}

async fn place_order(
    State(desk): State<Arc<Desk>>,
    body: Bytes,
) -> Result<(StatusCode, Json<orders::Order>), Trouble> {
    Ok((StatusCode::CREATED, Json(desk.place(&body).await?)))
}

async fn read_order(
    State(desk): State<Arc<Desk>>,
    Path(id): Path<String>,
) -> Result<Json<orders::Order>, Trouble> {
    Ok(Json(desk.read(&id).await?))
}

async fn take_webhook(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Trouble> {
    desk.take_webhook(&headers, &body).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.words}))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_the_page_loads_is_in_the_binary() {
        let names: Vec<_> = Page::iter().collect();
        for name in &names {
            assert!(file(name, Page::get(name)).is_ok(), "{name} has no media type");
        }
        let html = Page::get("index.html").unwrap();
        let html = String::from_utf8(html.data.into_owned()).unwrap();
        for name in ["shop.js", "shop.css", "icon.svg"] {
            assert!(html.contains(&format!("\"/{name}\"")) && names.iter().any(|one| one == name));
        }
        assert_eq!(html.matches("<script").count(), html.matches("src=\"/shop.js\"").count());
        assert!(file("index.js", Sdk::get("index.js")).is_ok());
        assert!(file("index.d.ts", Sdk::get("index.d.ts")).is_err(), "types are for editors");
    }

    #[test]
    fn the_menu_can_be_read_and_names_no_tea_twice() {
        let menu = menu().unwrap();
        let mut ids: Vec<_> = menu.iter().map(|tea| &tea.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), menu.len());
        assert!(menu.iter().all(|tea| tea.amount > 0));
    }

    #[tokio::test]
    async fn a_default_address_that_is_taken_is_told_and_no_error() {
        // If this cannot have it, another program has.
        let _held = TcpListener::bind(LISTEN).await;
        let place = Place::find(None).await.unwrap();
        assert_eq!(place.base().unwrap(), None);
        let words = place.absence();
        assert!(words.contains("9011") && words.contains(OPTION), "{words}");
    }

    #[tokio::test]
    async fn an_address_that_was_asked_for_and_is_taken_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = Place::find(Some(&address)).await.err().unwrap().to_string();
        assert!(error.contains("in use") && error.contains(OPTION), "{error}");
        let off = Place::find(Some("off")).await.unwrap();
        assert_eq!(off.base().unwrap(), None);
    }
}
