//! Replies in the shape of one of the two providers: its own words where it said some, and the
//! words that it has for such a case where tongbao itself has to say no.

use crate::answer::{json, refusal_status};
use crate::orders::{Failure, Object};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tongbao_engine::{Error, Heard};
use tongbao_types::{Code, Provider};

/// In which provider's shape a route answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape(pub(super) Provider);

impl Shape {
    /// What was heard of the provider, or why it was not asked.
    pub(super) fn answer(self, heard: Result<Heard, Error>) -> Response {
        match heard {
            Ok(Heard::Words(words)) => said(words),
            Ok(Heard::Silence(why)) => json(StatusCode::OK, &self.silence(&why)),
            Err(error) => self.refuse(&error),
        }
    }

    /// There was no answer that can be believed. To a caller that is what the provider itself says
    /// when it does not know.
    pub(super) fn silence(self, why: &str) -> Value {
        match self.0 {
            Provider::Wechat => {
                let message = format!("WeChat Pay gave no answer that can be believed: {why}");
                json!({"return_code": "FAIL", "return_msg": message})
            }
            Provider::Alipay => {
                let message = format!("Alipay gave no answer that can be believed: {why}");
                json!({
                    "code": "20000",
                    "msg": "Service Currently Unavailable",
                    "sub_code": "isp.unknow-error",
                    "sub_msg": message,
                })
            }
        }
    }

    /// tongbao's own no.
    pub(super) fn refuse(self, error: &Error) -> Response {
        if error.code == Code::ProviderUnknown {
            return json(StatusCode::OK, &self.silence(&error.message));
        }
        let body = match self.0 {
            Provider::Wechat => json!({"return_code": "FAIL", "return_msg": error.message}),
            Provider::Alipay => alipay_refusal(error),
        };
        json(status(error), &body)
    }

    /// The same for an order that was not made.
    pub(super) fn refuse_order(self, failure: Failure) -> Response {
        let code = failure.code.parse().unwrap_or(Code::Internal);
        self.refuse(&Error::new(code, failure.message))
    }
}

/// A provider's words as they are.
fn said(words: String) -> Response {
    ([(CONTENT_TYPE, "application/json")], Body::from(words)).into_response()
}

/// A provider's words with more fields.
pub(super) fn said_with(mut words: Object, name: &str, value: &str) -> Response {
    words.insert(name.to_owned(), Value::String(value.to_owned()));
    json(StatusCode::OK, &Value::Object(words))
}

/// What the caller got wrong is 4xx, as it should have been; a refused operation was 200 with the
/// refusal inside.
fn status(error: &Error) -> StatusCode {
    match error.code {
        Code::AuthenticationRequired | Code::InvalidKey | Code::RateLimited => {
            refusal_status(error)
        }
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Unavailable | Code::Conflict => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        code if is_bad_input(code) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

fn is_bad_input(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidJson
            | Code::InvalidParameter
            | Code::MissingParameter
            | Code::BodyTooLarge
            | Code::AmountTooLarge
            | Code::AmountTooSmall
    )
}

/// Alipay's public codes (公共错误码): 20000 the service failed, 40001 and 40002 the request is
/// wrong, 40004 the business is, 40006 the caller may not.
fn alipay_refusal(error: &Error) -> Value {
    let own = format!("TONGBAO.{}", error.code.as_str().to_ascii_uppercase());
    let (code, msg, sub_code) = match error.code {
        Code::AuthenticationRequired | Code::InvalidKey => {
            ("40006", "Insufficient Permissions", "isv.insufficient-isv-permissions")
        }
        Code::RateLimited => ("40004", "Business Failed", "isp.app-call-limited"),
        Code::MissingParameter => ("40001", "Missing Required Arguments", "isv.missing-parameter"),
        code if is_bad_input(code) => ("40002", "Invalid Arguments", "isv.invalid-parameter"),
        Code::Unavailable | Code::Conflict | Code::Internal => {
            ("20000", "Service Currently Unavailable", "isp.unknow-error")
        }
        _ => ("40004", "Business Failed", own.as_str()),
    };
    json!({"code": code, "msg": msg, "sub_code": sub_code, "sub_msg": error.message})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: Code, wanted: (&str, &str), wanted_status: u16) {
        let error = Error::new(code, "Why.");
        let body = alipay_refusal(&error);
        assert_eq!(
            (body["code"].as_str(), body["sub_code"].as_str()),
            (Some(wanted.0), Some(wanted.1))
        );
        assert_eq!(body["sub_msg"], "Why.");
        assert_eq!(status(&error), wanted_status);
    }

    #[test]
    fn each_no_has_a_code_that_alipays_callers_know() {
        let may_not = ("40006", "isv.insufficient-isv-permissions");
        check(Code::AuthenticationRequired, may_not, 401);
        check(Code::InvalidKey, may_not, 403);
        check(Code::MissingParameter, ("40001", "isv.missing-parameter"), 400);
        check(Code::AmountTooSmall, ("40002", "isv.invalid-parameter"), 400);
        check(Code::BodyTooLarge, ("40002", "isv.invalid-parameter"), 413);
        check(Code::RefundTooLarge, ("40004", "TONGBAO.REFUND_TOO_LARGE"), 200);
        check(Code::Unavailable, ("20000", "isp.unknow-error"), 503);
        check(Code::RateLimited, ("40004", "isp.app-call-limited"), 429);
    }
}
