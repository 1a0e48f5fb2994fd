//! What a caller reads instead of a Charge: `{error: {code, message}}`, the codes being those of
//! `/v1`.

use crate::answer;
use crate::orders::Failure;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use tongbao_engine::Error;
use tongbao_types::Code;

/// A refusal.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: String,
    message: String,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        let status = match error.code {
            Code::AuthenticationRequired | Code::InvalidKey => answer::refusal_status(&error),
            code => status(code),
        };
        Refusal { status, code: error.code.as_str().to_owned(), message: error.message }
    }
}

impl From<Failure> for Refusal {
    fn from(Failure { code, message, .. }: Failure) -> Refusal {
        let status = code.parse().map_or(StatusCode::INTERNAL_SERVER_ERROR, status);
        Refusal { status, code, message }
    }
}

impl Refusal {
    /// Whether it is this of our codes.
    pub(super) fn is(&self, code: Code) -> bool {
        self.code == code.as_str()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Refusal { status, code, message } = self;
        answer::json(status, &json!({"error": {"code": code, "message": message}}))
    }
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::ProviderRefused => StatusCode::PAYMENT_REQUIRED,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::ChargeNotPending | Code::Conflict | Code::OrderNoInUse => StatusCode::CONFLICT,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::ProviderUnknown => StatusCode::BAD_GATEWAY,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}
