//! The routes for Alipay. Amounts are yuan, as texts; replies are OpenAPI 2.0's fields.

use super::asked::{Asked, AtAlipay, Ordered, order, wrong};
use super::shape::Shape;
use crate::Service;
use crate::answer::json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use tongbao_engine::{BillKind, Error, Heard, NumberedRefund};
use tongbao_types::{Channel, Provider};

const SHAPE: Shape = Shape(Provider::Alipay);

/// GET `/auth/alipay/pay2.0`: makes an order and sends the browser to Alipay's cashier with it.
pub(super) async fn pay(State(service): State<Service>, AtAlipay(asked): AtAlipay) -> Response {
    match ordered(&service, &asked).await {
        Ok(Ordered { charge: Ok(charge), .. }) => match charge["action"]["url"].as_str() {
            Some(cashier) => found(cashier),
            None => json(StatusCode::OK, &SHAPE.silence("the order has no page")),
        },
        Ok(Ordered { charge: Err(failure), .. }) => SHAPE.refuse_order(failure),
        Err(error) => SHAPE.refuse(&error),
    }
}

async fn ordered(service: &Service, asked: &Asked) -> Result<Ordered, Error> {
    let what = (Channel::AlipayPage, asked.yuan("totalAmount")?);
    order(service, asked, what, (asked.subject("subject")?, asked.text("body")?)).await
}

fn found(address: &str) -> Response {
    match HeaderValue::from_str(address) {
        Ok(location) => (StatusCode::FOUND, [(LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// POST `/auth/alipay/query2.0/`.
pub(super) async fn query(State(service): State<Service>, AtAlipay(asked): AtAlipay) -> Response {
    SHAPE.answer(asked.query(&service).await)
}

/// POST `/auth/alipay/close2.0/`. Alipay closes only a trade whose buyer has come and not paid.
pub(super) async fn close(State(service): State<Service>, AtAlipay(asked): AtAlipay) -> Response {
    SHAPE.answer(asked.close(&service).await)
}

/// POST `/auth/alipay/refund2.0/`: gives an amount back, under the order's number.
pub(super) async fn refund(State(service): State<Service>, AtAlipay(asked): AtAlipay) -> Response {
    SHAPE.answer(refunded(&service, &asked).await)
}

async fn refunded(service: &Service, asked: &Asked) -> Result<Heard, Error> {
    let refund = NumberedRefund {
        account: asked.account.clone(),
        number: asked.number()?,
        amount: asked.yuan("refundAmount")?,
        paid: None,
        reason: asked.text("refundReason")?,
    };
    service.engine.refund_by_number(&asked.scope, &refund).await
}

/// POST `/auth/alipay/refundquery2.0/`. It tells whether there is such a trade, and no more.
pub(super) async fn refund_query(
    State(service): State<Service>,
    AtAlipay(asked): AtAlipay,
) -> Response {
    SHAPE.answer(asked.refunds(&service).await)
}

/// POST `/auth/alipay/billQuery2.0/`: `bill_download_url`, good for half a minute.
pub(super) async fn bill(State(service): State<Service>, AtAlipay(asked): AtAlipay) -> Response {
    SHAPE.answer(bill_address(&service, &asked).await)
}

async fn bill_address(service: &Service, asked: &Asked) -> Result<Heard, Error> {
    let (date, kind) = (asked.bill_date()?, bill_kind(asked)?);
    service.engine.bill_words(&asked.scope, &asked.account, date, kind).await
}

/// The document names ALL and trade in one breath; both are the bill of trades.
fn bill_kind(asked: &Asked) -> Result<BillKind, Error> {
    match asked.fields.get("billType") {
        None | Some("trade" | "ALL") => Ok(BillKind::Trade),
        Some("signcustomer") => Ok(BillKind::FundFlow),
        Some(_) => Err(wrong("billType", "it is trade or signcustomer")),
    }
}
