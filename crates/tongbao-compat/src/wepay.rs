//! wepay: a microservice for payments inside WeChat, for several merchants.
//!
//! | route, below `/apis/v1/wepay` | takes | gives |
//! | --- | --- | --- |
//! | `get_pay_request_params` | `id, fee, body, detail?, attach?`, `openid` | the call of WeChat |
//! | `refund` | `out_refund_no, out_trade_no, total_fee, refund_fee` | the refund |
//! | `get_sign_key` | | the key of WeChat's own test system |
//! | `pay_notify` | WeChat's notification | what WeChat wants; see `notify.rs` |
//!
//! Each of the first three may name its merchant by `env`, `appId` and `mchId`; see `merchants.rs`.
//! The answer is `{errcode: 0, result}` or `{errcode, errmsg}`, both with HTTP status 200, which
//! callers of the older service count on; [`ErrCode`] lists the numbers. Callers who are not
//! admitted get 401 or 403.
//!
//! The older service asked WeChat again whenever an order was asked for again. Here the same order
//! asked for again gives the same parameters, and one that WeChat refused may be asked for again.

mod merchants;
mod notify;
mod orders;
mod refunds;

pub use merchants::{WepayEnv, WepayMerchant};
pub(crate) use notify::{callbacks, notification};

use crate::fields::Fields;
use crate::orders::Failure;
use crate::{Routes, Service, answer, both};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{MethodRouter, post};
use http::StatusCode;
use serde_json::{Value, json};
use tongbao_core::Scope;
use tongbao_engine::Error;
use tongbao_types::{Amount, Code, Fen};
use tongbao_web::ClientAddress;

/// What an `errcode` means. 0 is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrCode {
    /// A field is missing or wrong.
    Request = 1,
    /// The caller is not admitted.
    Caller = 2,
    /// There is no such order.
    NotFound = 3,
    /// The order or the refund stands otherwise: paid, ended, refunded, or its number is another's.
    Conflict = 4,
    /// WeChat says no; `errmsg` has its code and words.
    Refused = 5,
    /// WeChat gave no answer that can be believed. Nothing is lost: send the same again.
    Unknown = 6,
    /// No merchant is configured for this, or it lacks its certificate.
    Merchant = 7,
    /// Something is wrong here; send the same again.
    Internal = 8,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq)]
struct No {
    errcode: ErrCode,
    errmsg: String,
    /// Set for callers who are not admitted.
    status: Option<StatusCode>,
}

pub(crate) fn routes() -> Routes {
    let routes = at(Routes::default(), "get_pay_request_params", post(get_pay_request_params));
    let routes = at(routes, "refund", post(refund));
    let routes = at(routes, "get_sign_key", post(get_sign_key));
    at(routes, "pay_notify", post(notify::pay_notify))
}

fn at(routes: Routes, name: &str, route: MethodRouter<Service>) -> Routes {
    both(routes, &format!("/apis/v1/wepay/{name}"), route)
}

async fn get_pay_request_params(
    State(service): State<Service>,
    client: ClientAddress,
    request: Request,
) -> Response {
    shown(async { service.pay_request_params(asked(&service, client, request).await?).await }.await)
}

async fn refund(
    State(service): State<Service>,
    client: ClientAddress,
    request: Request,
) -> Response {
    shown(async { service.refund_in_part(asked(&service, client, request).await?).await }.await)
}

async fn get_sign_key(
    State(service): State<Service>,
    client: ClientAddress,
    request: Request,
) -> Response {
    shown(async { service.sign_key(asked(&service, client, request).await?).await }.await)
}

/// What somebody who is admitted asks.
struct Asked {
    scope: Scope,
    fields: Fields,
}

async fn asked(service: &Service, client: ClientAddress, request: Request) -> Result<Asked, No> {
    let admitted = service.admit(request.headers(), client).await;
    let scope = admitted.map_err(|error| match error.code {
        Code::AuthenticationRequired | Code::InvalidKey => {
            No { status: Some(answer::refusal_status(&error)), ..No::from(error) }
        }
        _ => No::from(error),
    })?;
    Ok(Asked { scope, fields: Fields::of_request(request).await? })
}

impl Service {
    async fn sign_key(&self, asked: Asked) -> Result<Value, No> {
        let merchant = self.merchant(asked.scope.mode, &asked.fields)?;
        let answer = self.engine.sandbox_key(&asked.scope, &merchant.account).await?;
        serde_json::from_str(answer.expose())
            .map_err(|_| No::new(ErrCode::Unknown, "WeChat's answer cannot be read."))
    }
}

fn shown(outcome: Result<Value, No>) -> Response {
    match outcome {
        Ok(result) => answer::json(StatusCode::OK, &json!({"errcode": 0, "result": result})),
        Err(No { errcode, errmsg, status }) => {
            let body = json!({"errcode": errcode as i32, "errmsg": errmsg});
            answer::json(status.unwrap_or(StatusCode::OK), &body)
        }
    }
}

impl No {
    fn new(errcode: ErrCode, errmsg: impl Into<String>) -> No {
        No { errcode, errmsg: errmsg.into(), status: None }
    }
}

impl From<Error> for No {
    fn from(error: Error) -> No {
        No::from(Failure::from(error))
    }
}

impl From<Failure> for No {
    fn from(failure: Failure) -> No {
        let errcode = failure.code.parse().map_or(ErrCode::Internal, errcode);
        let errmsg = match failure.provider {
            Some((code, words)) => format!("{code}: {words}"),
            None => failure.message,
        };
        No::new(errcode, errmsg)
    }
}

fn errcode(code: Code) -> ErrCode {
    match code {
        Code::AmountTooLarge
        | Code::AmountTooSmall
        | Code::BodyTooLarge
        | Code::InvalidJson
        | Code::InvalidParameter
        | Code::MissingParameter => ErrCode::Request,
        Code::AuthenticationRequired | Code::InvalidKey => ErrCode::Caller,
        Code::NotFound => ErrCode::NotFound,
        Code::ChargeNotPending
        | Code::Conflict
        | Code::NothingToRefund
        | Code::OrderNoInUse
        | Code::RateLimited
        | Code::RefundNoInUse
        | Code::RefundTooLarge
        | Code::RefundTooLate
        | Code::RefundTooMany => ErrCode::Conflict,
        Code::ProviderRefused => ErrCode::Refused,
        Code::ProviderUnknown => ErrCode::Unknown,
        Code::AccountMissing | Code::ChannelUnavailable => ErrCode::Merchant,
        _ => ErrCode::Internal,
    }
}

fn wrong(message: String) -> No {
    No::new(ErrCode::Request, message)
}

/// An amount in fen, as digits alone: never a float.
fn fen(fields: &Fields, name: &'static str) -> Result<Amount, No> {
    let text = fields.need(name)?;
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let whole = if digits { text.parse().ok() } else { None };
    let amount = whole.map(|fen| Amount::new(Fen(fen)));
    match amount {
        Some(Ok(amount)) => Ok(amount),
        Some(Err(rule)) => Err(wrong(format!("{name} = {text}: {rule}."))),
        None => Err(wrong(format!("{name} is a whole number of fen, such as 1200 for 12 yuan."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The older service took any number; half a fen or a float must not become money.
    #[test]
    fn an_amount_is_digits_alone() {
        let read = |text: &str| fen(&Fields::of_form(&format!("fee={text}")).unwrap(), "fee");
        assert_eq!(read("1200").unwrap().fen(), Fen(1200));
        for bad in ["12.5", "1e3", "-5", "%2B5", "0", "", "0x10", "99999999999", "1200.0"] {
            assert_eq!(read(bad).unwrap_err().errcode, ErrCode::Request, "{bad}");
        }
    }

    #[test]
    fn what_wechat_says_stands_in_the_message() {
        let provider = Some(("ORDERPAID".to_owned(), "该订单已支付".to_owned()));
        let failure =
            Failure { code: "provider_refused".to_owned(), message: "no".to_owned(), provider };
        let no = No::from(failure);
        assert_eq!((no.errcode, no.errmsg.as_str()), (ErrCode::Refused, "ORDERPAID: 该订单已支付"));
    }
}
