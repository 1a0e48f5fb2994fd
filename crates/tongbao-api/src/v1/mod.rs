//! `/v1`: one file for each kind of object.

pub(crate) mod attempts;
pub(crate) mod bills;
pub(crate) mod channels;
pub(crate) mod charge_request;
pub(crate) mod charges;
pub(crate) mod deliveries;
pub(crate) mod events;
mod page;
pub(crate) mod qr;
pub(crate) mod refunds;
mod texts;
pub(crate) mod watch;
pub(crate) mod webhook_endpoints;

pub(crate) use texts::is_web_address;

use crate::extract::Object;
use serde::Deserialize;
use utoipa::ToSchema;

/// The body of a request that has no fields: nothing, or an empty object.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The fields of a nested object, if it was sent and is not null.
fn unwrap<T>(object: Option<Object<T>>) -> Option<T> {
    object.map(|Object(fields)| fields)
}
