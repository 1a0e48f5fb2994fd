//! The routes for WeChat Pay. Amounts are fen, as texts; replies are API v2's fields.

use super::asked::{Asked, AtWechat, Ordered, order as make_order, wrong};
use super::shape::{Shape, said_with};
use crate::Service;
use crate::answer::json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use tongbao_engine::{BillFormat, BillKind, BillRequest, BillWhose, Error, Heard, NumberedRefund};
use tongbao_types::{Channel, Code, Provider};

const SHAPE: Shape = Shape(Provider::Wechat);

/// POST `/auth/pay/wx2.0/`, `/auth/pay/wx`: a code to be scanned, and the number of its order. The
/// polling begins at once.
pub(super) async fn order(State(service): State<Service>, AtWechat(asked): AtWechat) -> Response {
    match ordered(&service, &asked).await {
        Ok(Ordered { number, words: Some(words), .. }) => {
            said_with(words, "out_trade_no", number.as_str())
        }
        Ok(Ordered { charge: Err(failure), .. }) => SHAPE.refuse_order(failure),
        Ok(Ordered { number, .. }) => not_heard_of(number.as_str()),
        Err(error) => SHAPE.refuse(&error),
    }
}

async fn ordered(service: &Service, asked: &Asked) -> Result<Ordered, Error> {
    let what = (Channel::WechatNative, asked.total_fee()?);
    make_order(service, asked, what, (asked.subject("body")?, None)).await
}

/// Nobody has a code to pay with, so nobody will; it closes by itself.
fn not_heard_of(number: &str) -> Response {
    let mut body = SHAPE.silence("the order has no code; make another one");
    body["out_trade_no"] = Value::String(number.to_owned());
    json(StatusCode::OK, &body)
}

/// POST `/auth/wxpay/orderquery2.0/`.
pub(super) async fn query(State(service): State<Service>, AtWechat(asked): AtWechat) -> Response {
    SHAPE.answer(asked.query(&service).await)
}

/// POST `/auth/wxpay/closeorder2.0/`. WeChat closes an order that nobody knows with success, too.
pub(super) async fn close(State(service): State<Service>, AtWechat(asked): AtWechat) -> Response {
    SHAPE.answer(asked.close(&service).await)
}

/// POST `/auth/wxpay/refund2.0/`: all of an order goes back, under the order's number.
pub(super) async fn refund(State(service): State<Service>, AtWechat(asked): AtWechat) -> Response {
    SHAPE.answer(refunded(&service, &asked).await)
}

async fn refunded(service: &Service, asked: &Asked) -> Result<Heard, Error> {
    let (number, amount) = (asked.number()?, asked.total_fee()?);
    let account = asked.account.clone();
    let refund = NumberedRefund { account, number, amount, paid: Some(amount), reason: None };
    service.engine.refund_by_number(&asked.scope, &refund).await
}

/// POST `/auth/wxpay/refundquery2.0/`.
pub(super) async fn refund_query(
    State(service): State<Service>,
    AtWechat(asked): AtWechat,
) -> Response {
    SHAPE.answer(asked.refunds(&service).await)
}

/// POST `/auth/wxpay/downloadbill2.0/`: the bill as text, or WeChat's words about there being none.
pub(super) async fn bill(State(service): State<Service>, AtWechat(asked): AtWechat) -> Response {
    downloaded(&service, &asked).await.unwrap_or_else(|error| SHAPE.refuse(&error))
}

async fn downloaded(service: &Service, asked: &Asked) -> Result<Response, Error> {
    let (date, kind) = (asked.bill_date()?, BillKind::Trade);
    if asked.fields.get("billType").is_some_and(|word| word != "ALL") {
        return Err(wrong("billType", "the only one is ALL"));
    }
    let wanted = BillRequest {
        whose: BillWhose::Provider(Provider::Wechat),
        account: Some(asked.account.clone()),
        date,
        kind,
        format: BillFormat::Original,
    };
    match service.engine.bill(&asked.scope, &wanted).await {
        Ok(file) => {
            let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
            Ok((plain, Body::from_stream(file.body)).into_response())
        }
        Err(error) if error.code == Code::Unavailable => Err(error),
        Err(error) => {
            let heard = service.engine.bill_words(&asked.scope, &asked.account, date, kind).await?;
            match heard {
                Heard::Words(_) => Ok(SHAPE.answer(Ok(heard))),
                Heard::Silence(_) => Err(error),
            }
        }
    }
}
