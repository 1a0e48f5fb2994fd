//! `/healthz`: the process answers. `/readyz`: the database does too, and the process is not about
//! to stop.

use crate::openapi::objects;
use crate::{App, Problem};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tongbao_engine::Error;
use tongbao_types::Code;

/// That all is well.
#[derive(Serialize)]
pub(crate) struct Health {
    status: &'static str,
}

const OK: Health = Health { status: "ok" };

/// Is the process alive?
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Health",
    operation_id = "isAlive",
    security(()),
    responses((status = 200, description = "The process answers.", body = objects::Health)),
)]
pub(crate) async fn alive() -> Json<Health> {
    Json(OK)
}

/// Can requests be served?
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Health",
    operation_id = "isReady",
    security(()),
    responses(
        (status = 200, description = "The database answers.", body = objects::Health),
        (status = 503, description = "The database does not answer, or this instance is stopping.",
            content_type = "application/problem+json", body = crate::problem::Body<'static>),
    ),
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Health>, Problem> {
    if app.stops_soon.is_cancelled() {
        let message = "This instance is stopping and takes no new work. Ask another one.";
        return Err(Error::new(Code::Unavailable, message).into());
    }
    app.engine.ready().await?;
    Ok(Json(OK))
}
