//! Errors as RFC 9457 problem details: the only file that knows both codes and HTTP statuses.
//!
//! A caller branches on `code`; `detail` is for people. Nothing of the cause chain is shown.

use crate::openapi::objects::{ErrorCode, MoneyMoved, Retry};
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use std::fmt::Display;
use tongbao_engine::Error;
use tongbao_types::Code;
use tongbao_web::request_id::{RequestId, retry_after};
use utoipa::ToSchema;

/// The content type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error on its way to the caller.
#[derive(Debug)]
pub struct Problem(Box<Error>);

/// What a caller reads of an error (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body<'a> {
    /// A name of the kind of error, made from `code`.
    #[serde(rename = "type")]
    #[schema(example = "urn:tongbao:error:amount_too_small")]
    kind: String,
    /// What such errors mean, the same words for each.
    #[schema(example = "The amount is below 1 fen.")]
    title: &'static str,
    /// The HTTP status again.
    #[schema(example = 400)]
    status: u16,
    /// What happened here, and what to do about it.
    #[schema(example = "An amount is at least 1 fen.")]
    detail: &'a str,
    /// For programs to branch on; stable.
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    /// Which parameter or header is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "amount", nullable = false)]
    param: Option<&'a str>,
    /// The id of the request, which finds it in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "req_019aa5b3c4d04f1d2c3b4a596877", nullable = false)]
    request_id: Option<String>,
    /// What the provider said, if it was the provider that said no.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    provider: Option<Provider<'a>>,
    /// The charge that this is about, if one exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ch_06bae2r3pdt3jc5s0vbh9p2a1k", nullable = false)]
    charge: Option<String>,
    /// The refund that this is about, if one exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "re_06bae2r3pdt3jc5s0vbh9p2a1o", nullable = false)]
    refund: Option<String>,
    /// Whether money has moved all the same.
    #[schema(value_type = MoneyMoved)]
    money_moved: &'static str,
    /// Whether it helps to send the request again.
    #[schema(value_type = Retry)]
    retry: &'static str,
}

/// A provider's no.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderError)]
pub(crate) struct Provider<'a> {
    /// Who said it.
    #[schema(example = "wechat")]
    name: &'static str,
    /// The provider's own code.
    #[schema(example = "NOAUTH")]
    code: &'a str,
    /// The provider's own words.
    #[schema(example = "商户无此接口权限")]
    message: &'a str,
    /// Why the provider says so, if the code is a known one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause_zh: Option<&'static str>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'static str>,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix_zh: Option<&'static str>,
}

/// The status that goes with a code.
pub fn status(code: Code) -> StatusCode {
    match code {
        Code::AuthenticationRequired | Code::InvalidKey => StatusCode::UNAUTHORIZED,
        Code::ProviderRefused | Code::PaidWrongAmount => StatusCode::PAYMENT_REQUIRED,
        Code::NotFound | Code::BillMissing => StatusCode::NOT_FOUND,
        Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Code::OrderNoInUse
        | Code::RefundNoInUse
        | Code::Conflict
        | Code::BillNotReady
        | Code::ChargeNotPending
        | Code::IdempotencyKeyReused
        | Code::IdempotencyKeyBusy => StatusCode::CONFLICT,
        Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::ProviderUnknown | Code::BillUnreadable => StatusCode::BAD_GATEWAY,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::AccountMissing
        | Code::AccountMismatch
        | Code::AmountMismatch
        | Code::AmountTooLarge
        | Code::AmountTooSmall
        | Code::ChannelUnavailable
        | Code::CurrencyMismatch
        | Code::InvalidJson
        | Code::InvalidParameter
        | Code::MissingParameter
        | Code::NoticeUndecryptable
        | Code::NoticeMalformed
        | Code::NoticeStale
        | Code::NothingToRefund
        | Code::PaidLate
        | Code::PaidTwice
        | Code::RefundAbnormal
        | Code::RefundClosed
        | Code::RefundTooLarge
        | Code::RefundTooLate
        | Code::RefundTooMany
        | Code::SignatureMismatch
        | Code::SignatureDowngraded
        | Code::SignatureMissing
        | Code::SignatureKeyUnknown
        | Code::TradeNoMismatch
        | Code::UnknownParameter
        | Code::UrlForbidden => StatusCode::BAD_REQUEST,
    }
}

/// Status and body of the reply to a request that makes something: 201, or the problem.
pub(crate) fn render_created(outcome: Result<&str, &Error>) -> (u16, String) {
    render(StatusCode::CREATED, outcome)
}

/// Status and body of the reply to a request that changes something: 200, or the problem.
pub(crate) fn render_changed(outcome: Result<&str, &Error>) -> (u16, String) {
    render(StatusCode::OK, outcome)
}

fn render(good: StatusCode, outcome: Result<&str, &Error>) -> (u16, String) {
    match outcome {
        Ok(json) => (good.as_u16(), json.to_owned()),
        Err(error) => (status(error.code).as_u16(), body(error)),
    }
}

/// The problem's JSON, with the id of the request that this task is answering.
pub(crate) fn body(error: &Error) -> String {
    let body = Body {
        kind: format!("urn:tongbao:error:{}", error.code),
        title: error.code.meaning(),
        status: status(error.code).as_u16(),
        detail: &error.message,
        code: error.code.as_str(),
        param: error.param.as_deref(),
        request_id: RequestId::current().map(|id| id.to_string()),
        provider: error.provider.as_ref().map(|provider| Provider {
            name: provider.name.as_str(),
            code: &provider.code,
            message: &provider.message,
            cause: provider.advice.map(|advice| advice.cause),
            cause_zh: provider.advice.map(|advice| advice.cause_zh),
            fix: provider.advice.map(|advice| advice.fix),
            fix_zh: provider.advice.map(|advice| advice.fix_zh),
        }),
        charge: error.charge.map(|charge| charge.to_string()),
        refund: error.refund.map(|refund| refund.to_string()),
        money_moved: error.money_moved.as_str(),
        retry: error.retry.as_str(),
    };
    serde_json::to_string(&body).expect("a struct of texts and numbers is JSON")
}

/// The types' errors are phrases; people read sentences.
pub(crate) fn sentence(phrase: &impl Display) -> String {
    let text = phrase.to_string();
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        Problem(Box::new(error))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = status(self.0.code);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self.0, "could not answer a request");
        }
        let mut response = (status, body(&self.0)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(span) = self.0.retry_after {
            headers.insert(RETRY_AFTER, retry_after(span));
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"tongbao\"");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_engine::{Advice, ProviderError};
    use tongbao_types::{Provider as ProviderName, Span};

    #[test]
    fn every_code_has_an_error_status_and_these_are_they() {
        let lines: Vec<String> =
            Code::ALL.iter().map(|code| format!("{} {code}", status(*code).as_u16())).collect();
        assert!(
            Code::ALL.iter().all(|c| status(*c).is_client_error() || status(*c).as_u16() >= 500)
        );
        insta::assert_snapshot!(lines.join("\n"));
    }

    fn readable(error: &Error) -> String {
        let json: serde_json::Value = serde_json::from_str(&body(error)).unwrap();
        serde_json::to_string_pretty(&json).unwrap()
    }

    #[test]
    fn a_problem_names_code_param_and_provider_and_nothing_that_is_not_there() {
        let message = "An amount is at least 1 fen.";
        let plain = Error::new(Code::AmountTooSmall, message).param("amount");
        insta::assert_snapshot!("problem_with_param", readable(&plain));
        let mut refused = Error::new(Code::ProviderRefused, "WeChat Pay refused the order.");
        refused.provider = Some(Box::new(ProviderError {
            name: ProviderName::Wechat,
            code: "NOAUTH".to_owned(),
            message: "商户无此接口权限".to_owned(),
            advice: Some(Advice {
                cause: "Not opened.",
                cause_zh: "未开通。",
                fix: "Open it.",
                fix_zh: "请开通。",
            }),
        }));
        insta::assert_snapshot!("problem_with_provider", readable(&refused));
    }

    #[test]
    fn headers_say_how_to_authenticate_and_when_to_come_again() {
        let response = Problem::from(Error::new(Code::InvalidKey, "No.")).into_response();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_JSON);
        assert!(response.headers().contains_key(WWW_AUTHENTICATE));
        let mut busy = Error::new(Code::IdempotencyKeyBusy, "Wait.");
        busy.retry_after = Some(Span::from_millis(1200));
        let response = Problem::from(busy).into_response();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()[RETRY_AFTER], "2");
        assert!(!response.headers().contains_key(WWW_AUTHENTICATE));
    }
}
