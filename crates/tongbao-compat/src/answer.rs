//! Replies: JSON with a status, and a provider's acknowledgement as it is.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::ALLOW;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tongbao_engine::Error;
use tongbao_types::{Code, HttpResponse};

/// JSON.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    (status, axum::Json(body)).into_response()
}

/// HEAD is for looking: where a GET makes an order or pays, a browser that only looks ahead must
/// not.
pub(crate) async fn only_get() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response()
}

/// The status of a caller who is not admitted, in every profile.
pub(crate) fn refusal_status(error: &Error) -> StatusCode {
    match error.code {
        Code::InvalidKey => StatusCode::FORBIDDEN,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable | Code::Internal => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNAUTHORIZED,
    }
}

/// The status of what cannot be done, in profiles that said so in the body alone: a caller's
/// program must not take a gateway in trouble for a refusal.
pub(crate) fn failure_status(error: &Error) -> StatusCode {
    match error.code {
        Code::Unavailable | Code::Internal => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

/// The bytes that answer a provider's notification.
pub(crate) fn acknowledgement(answer: HttpResponse) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
