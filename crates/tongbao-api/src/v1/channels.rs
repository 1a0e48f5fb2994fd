//! Channels: what an app can use, and why not the rest.

use crate::extract::{Caller, NoParams};
use crate::openapi::{Reading, objects};
use crate::{App, Problem};
use axum::Json;
use axum::extract::State;
use tongbao_engine::{ChannelView, ListView};

/// List channels
///
/// Every channel there is, in the order of the documentation: with the app's accounts that serve
/// it, or the reason why none does.
#[utoipa::path(
    get,
    path = "/v1/channels",
    tag = "Channels",
    operation_id = "listChannels",
    responses((status = 200, description = "The channels.", body = objects::ChannelList), Reading),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    _none: NoParams,
) -> Result<Json<ListView<ChannelView>>, Problem> {
    Ok(Json(app.engine.channels(&caller.0)))
}
