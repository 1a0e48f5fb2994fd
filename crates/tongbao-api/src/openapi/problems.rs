//! The errors that routes may answer with, for the document: one entry for each status, naming the
//! codes that go with it.

use crate::problem::{self, PROBLEM_JSON};
use std::collections::BTreeMap;
use tongbao_engine::Error;
use tongbao_types::Code;
use utoipa::IntoResponses;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// What any request with a key may be answered.
const READING: &[Code] = &[
    Code::InvalidParameter,
    Code::UnknownParameter,
    Code::AuthenticationRequired,
    Code::InvalidKey,
    Code::NotFound,
    Code::ChargeNotPending,
    Code::RateLimited,
    Code::Internal,
    Code::Unavailable,
];

/// What a request with a body may be answered besides.
const MAKING: &[Code] = &[
    Code::InvalidJson,
    Code::MissingParameter,
    Code::AmountTooSmall,
    Code::AmountTooLarge,
    Code::AccountMissing,
    Code::ChannelUnavailable,
    Code::UrlForbidden,
    Code::ProviderRefused,
    Code::OrderNoInUse,
    Code::PaidWrongAmount,
    Code::Conflict,
    Code::IdempotencyKeyReused,
    Code::IdempotencyKeyBusy,
    Code::BodyTooLarge,
    Code::UnsupportedMediaType,
    Code::ProviderUnknown,
];

/// What a request for a provider's bill may be answered besides.
const FETCHING: &[Code] = &[
    Code::AccountMissing,
    Code::ChannelUnavailable,
    Code::ProviderRefused,
    Code::BillMissing,
    Code::BillNotReady,
    Code::ProviderUnknown,
    Code::BillUnreadable,
];

/// The errors of routes that fetch something from a provider.
pub(crate) struct Fetching;

/// What a request for a refund may be answered besides.
const REFUNDING: &[Code] = &[
    Code::NothingToRefund,
    Code::RefundNoInUse,
    Code::RefundTooLarge,
    Code::RefundTooLate,
    Code::RefundTooMany,
];

/// The errors of routes that read.
pub(crate) struct Reading;

/// The errors of routes that make or change something.
pub(crate) struct Making;

impl IntoResponses for Reading {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references("Reading", READING.to_vec())
    }
}

/// The errors of the route that makes refunds.
pub(crate) struct Refunding;

impl IntoResponses for Refunding {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references("Refunding", [READING, MAKING, REFUNDING].concat())
    }
}

impl IntoResponses for Making {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references("Making", [READING, MAKING].concat())
    }
}

impl IntoResponses for Fetching {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references("Fetching", [READING, FETCHING].concat())
    }
}

/// Every response that routes refer to, by its name among the document's components.
pub(super) fn components() -> Vec<(String, Response)> {
    let named = [
        ("Reading", READING.to_vec()),
        ("Making", [READING, MAKING].concat()),
        ("Refunding", [READING, MAKING, REFUNDING].concat()),
        ("Fetching", [READING, FETCHING].concat()),
    ];
    let all = named.into_iter().flat_map(|(name, codes)| {
        let by_status = by_status(codes).into_iter();
        by_status.map(move |(status, codes)| (format!("{name}{status}"), response(&codes)))
    });
    all.collect()
}

fn references(prefix: &str, codes: Vec<Code>) -> BTreeMap<String, RefOr<Response>> {
    let statuses = by_status(codes).into_keys();
    let name = |status| Ref::from_response_name(format!("{prefix}{status}"));
    statuses.map(|status| (status.to_string(), RefOr::Ref(name(status)))).collect()
}

fn by_status(codes: Vec<Code>) -> BTreeMap<u16, Vec<Code>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(problem::status(code).as_u16()).or_default().push(code);
    }
    by_status
}

fn response(codes: &[Code]) -> Response {
    let lines: Vec<String> =
        codes.iter().map(|code| format!("`{code}`: {}", code.meaning())).collect();
    let example = problem::body(&Error::new(codes[0], codes[0].meaning()));
    let example: serde_json::Value = serde_json::from_str(&example).expect("a problem is JSON");
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    ResponseBuilder::new().description(lines.join("\n\n")).content(PROBLEM_JSON, content).build()
}
