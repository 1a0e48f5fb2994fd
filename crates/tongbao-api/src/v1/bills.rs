//! `GET /v1/bills/{channel}/{date}`: what a provider says of a day, as it said it or as lines.

use crate::extract::{Caller, Params};
use crate::openapi::{Fetching, values};
use crate::{App, Problem};
use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::request::Parts;
use tongbao_engine::{
    BillContent, BillDate, BillFile, BillFormat, BillKind, BillRequest, BillWhose, Error,
};
use tongbao_types::{AccountName, Code};

const KINDS: [&str; 2] = ["trade", "fund_flow"];
const FORMATS: [&str; 2] = ["original", "jsonl"];

/// Read a bill
///
/// The provider's bill of a day in China. It is fetched when it is first asked for, kept as it was
/// received, and comes from here afterwards. Bills are made the next morning, by about ten in
/// China.
///
/// `format=original` is the provider's file: of WeChat Pay a text in UTF-8 whose cells are led by a
/// backtick, of Alipay a zip of texts in GBK.
///
/// `format=jsonl` is a JSON object for each line, the same for both: `provider`, `line` (where it
/// stands in its file), `kind` (`payment`, `refund`, `reversal`, `fee`, `withdrawal`, `other`),
/// `time` (RFC 3339, UTC), `out_trade_no`, `provider_trade_no`, `out_refund_no`,
/// `provider_refund_no`, `provider_entry_no` (of a movement), `amount` (fen; what came in is
/// positive, what was refunded or went out is negative), `currency`, `fee` (yuan with five
/// decimals, as text; negative if it was given back), `trade_type`, `status` and `payer` in the
/// provider's words, and `raw` with the text of every column by its own name. What a line does not
/// have is null.
#[utoipa::path(
    get,
    path = "/v1/bills/{channel}/{date}",
    tag = "Bills",
    operation_id = "readBill",
    params(
        ("channel" = values::BillWhose, Path, example = "wechat",
            description = "A provider (`wechat`, `alipay`) or a channel; the first of the app's \
                accounts that fits and has such bills."),
        ("date" = String, Path, description = "The day in China.", format = Date,
            example = "2026-11-20"),
        ("account" = Option<values::AccountName>, Query, description = "Of this channel account."),
        ("type" = Option<values::BillKind>, Query,
            description = "`trade` (the default): a line for each payment and each refund. \
                `fund_flow`: a line for each movement of the balance."),
        ("format" = Option<values::BillFormat>, Query,
            description = "`original` (the default) or `jsonl`."),
    ),
    responses(
        (status = 200, description = "The bill, streamed.", content(
            (String = "text/csv; charset=utf-8"),
            (Vec<u8> = "application/zip"),
            (String = "application/x-ndjson"),
        )),
        Fetching,
    ),
)]
pub(crate) async fn read(
    State(app): State<App>,
    caller: Caller,
    wanted: Wanted,
    mut params: Params,
) -> Result<Response, Problem> {
    let account = params.parse_by("account", |text| {
        AccountName::new(text).map_err(|cause| crate::problem::sentence(&cause))
    })?;
    let kind = params.word("type", &KINDS)?;
    let format = params.word("format", &FORMATS)?;
    params.finish()?;
    let request = BillRequest {
        whose: wanted.whose,
        account,
        date: wanted.date,
        kind: match kind.as_deref() {
            Some("fund_flow") => BillKind::FundFlow,
            _ => BillKind::Trade,
        },
        format: match format.as_deref() {
            Some("jsonl") => BillFormat::Lines,
            _ => BillFormat::Original,
        },
    };
    Ok(shown(app.engine.bill(&caller.0, &request).await?))
}

/// What the path says.
pub(crate) struct Wanted {
    whose: BillWhose,
    date: BillDate,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Wanted, Problem> {
        let not_found = || Error::new(Code::NotFound, "There is no such address.");
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| not_found())?;
        let text = |name: &str| params.iter().find(|(n, _)| *n == name).map(|(_, text)| text);
        let whose = whose(text("channel").ok_or_else(not_found)?)?;
        let date = date(text("date").ok_or_else(not_found)?)?;
        Ok(Wanted { whose, date })
    }
}

fn whose(text: &str) -> Result<BillWhose, Error> {
    let provider = text.parse().map(BillWhose::Provider).ok();
    provider.or(text.parse().map(BillWhose::Channel).ok()).ok_or_else(|| {
        let message = "A bill is of a provider, wechat or alipay, or of one of its channels.";
        Error::new(Code::InvalidParameter, message).param("channel")
    })
}

fn date(text: &str) -> Result<BillDate, Error> {
    BillDate::read_dashed(text).ok_or_else(|| {
        let message = "A date is a day in China, such as 2026-11-20.";
        Error::new(Code::InvalidParameter, message).param("date")
    })
}

fn shown(file: BillFile) -> Response {
    let content_type = match file.content {
        BillContent::Text => "text/csv; charset=utf-8",
        BillContent::Zip => "application/zip",
        BillContent::Lines => "application/x-ndjson",
    };
    let mut response = Response::new(Body::from_stream(file.body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    // Names of accounts are made of letters, digits and dashes.
    let disposition = format!("attachment; filename=\"{}\"", file.name);
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::{Channel, Provider};

    #[test]
    fn a_path_names_a_provider_or_a_channel_and_a_day() {
        assert_eq!(whose("wechat").ok(), Some(BillWhose::Provider(Provider::Wechat)));
        assert_eq!(whose("alipay.qr").ok(), Some(BillWhose::Channel(Channel::AlipayQr)));
        for text in ["", "WeChat", "wechat.", "paypal", "wechat.native.x"] {
            assert_eq!(whose(text).unwrap_err().param.as_deref(), Some("channel"), "{text}");
        }
        assert!(date("2026-11-20").is_ok());
        for text in ["", "20261120", "2026-11-31", "2026-11", "today", "2026-11-20T00:00:00Z"] {
            assert_eq!(date(text).unwrap_err().param.as_deref(), Some("date"), "{text}");
        }
    }
}
