//! `wxpay`: WeChat's code payments for a ThinkJS front end.
//!
//! - `POST /wxPay/toPay` takes merchant_id, product_id and price in yuan, and answers
//!   `{code_url: ["weixin://…"], order_id, code: 0, msg: ""}`.
//! - `POST /wxPay/queryOrder`, also `/wxPay/wxPay/queryOrder`, takes order_id and answers
//!   `{trade_state, trade_state_desc}` in WeChat's own words.
//! - `POST /wxPay/doCloseOrder` takes order_id and answers `{code: 0, msg: "关单成功"}` or
//!   `{code: 1, msg: "关单失败"}`; where WeChat wants to wait, `{code: 0, msg: "关单已受理"}`.
//!
//! Whatever cannot be done is `{code: 1, msg}` with status 200, as it was; a caller who is not
//! admitted gets the same with 401 or 403. The table `deal` is a view of that name.
//!
//! What was wrong and is not kept: `price` as a double, and callers without credentials.

use crate::fields::Fields;
use crate::orders::{Failure, code_url, id_of, under_a_new_number, word};
use crate::{Routes, Service, answer, both, checks, numbers};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde_json::{Value, json};
use tongbao_core::Scope;
use tongbao_engine::{Error, Expires, NewCharge};
use tongbao_types::{Channel, ChargeId, Code, Profile, Provider, Span};
use tongbao_web::ClientAddress;

pub(crate) fn routes() -> Routes {
    let routes = both(Routes::default(), "/wxPay/toPay", post(to_pay));
    let routes = both(routes, "/wxPay/queryOrder", post(query_order));
    // The document's list of routes has it so.
    let routes = both(routes, "/wxPay/wxPay/queryOrder", post(query_order));
    both(routes, "/wxPay/doCloseOrder", post(close_order))
}

/// A code of WeChat's can be paid for two hours.
const CODE_LIFE: Span = Span::from_seconds(2 * 3600);

/// `{code: 1, msg}`.
struct Refusal {
    status: StatusCode,
    msg: String,
}

type Answer = Result<Value, Refusal>;

async fn to_pay(
    State(service): State<Service>,
    client: ClientAddress,
    request: Request,
) -> Response {
    let order = async || {
        let (scope, fields) = read(&service, client, request).await?;
        place(&service, &scope, &fields).await
    };
    respond(order().await)
}

async fn place(service: &Service, scope: &Scope, fields: &Fields) -> Answer {
    let merchant_id = number(fields, "merchant_id")?;
    let product_id = number(fields, "product_id")?;
    let amount = checks::yuan("price", need(fields, "price")?)?;
    let account = service.setup.account(scope.mode, Provider::Wechat);
    let new = NewCharge {
        order_no: None,
        amount,
        subject: format!("商品 {product_id}"),
        body: None,
        attach: None,
        return_url: None,
        client_ip: None,
        payer: None,
        // The view `deal` reads these by their places.
        metadata: vec![
            ("merchant_id".to_owned(), merchant_id),
            ("product_id".to_owned(), product_id),
        ],
        profile: Some(Profile::Wxpay),
        channel: Some(Channel::WechatNative),
        account: account.cloned(),
        expires: Some(Expires::In(CODE_LIFE)),
    };
    let charge = under_a_new_number(|| {
        let order_no = Some(numbers::dated(&service.engine, 5));
        service.make_charge(scope, NewCharge { order_no, ..new.clone() })
    });
    let charge = charge.await?;
    let Some(code_url) = code_url(&charge) else {
        return Err(Refusal::of("微信没有确认下单结果，请重新下单".to_owned()));
    };
    Ok(json!({"code_url": [code_url], "order_id": charge["order_no"], "code": 0, "msg": ""}))
}

async fn query_order(
    State(service): State<Service>,
    client: ClientAddress,
    request: Request,
) -> Response {
    let query = async || {
        let (scope, fields) = read(&service, client, request).await?;
        let order = order_of(&service, &scope, &fields).await?;
        let order = order.ok_or_else(|| Refusal::of("订单不存在".to_owned()))?;
        let words = service.ask_in_words(&scope, order).await?.unwrap_or_default();
        match word(&words, "trade_state") {
            Some(state) => {
                let desc = word(&words, "trade_state_desc").unwrap_or_default();
                Ok(json!({"trade_state": state, "trade_state_desc": desc}))
            }
            None => {
                let why = word(&words, "err_code_des").unwrap_or("查询失败，请稍后再试");
                Err(Refusal::of(why.to_owned()))
            }
        }
    };
    respond(query().await)
}

/// WeChat refuses to close an order in its first five minutes; then the engine has the close as a
/// job, and the caller hears that it will be done.
async fn close_order(
    State(service): State<Service>,
    client: ClientAddress,
    request: Request,
) -> Response {
    let close = async || {
        let (scope, fields) = read(&service, client, request).await?;
        let refused = || Refusal::of("关单失败".to_owned());
        let order = order_of(&service, &scope, &fields).await?.ok_or_else(refused)?;
        match service.engine.close_charge(&scope, order).await {
            Ok(charge) if charge.status == "pending" => Ok(json!({"code": 0, "msg": "关单已受理"})),
            Ok(_) => Ok(json!({"code": 0, "msg": "关单成功"})),
            Err(error) if error.code == Code::ChargeNotPending => Err(refused()),
            Err(error) => Err(error.into()),
        }
    };
    respond(close().await)
}

async fn read(
    service: &Service,
    client: ClientAddress,
    request: Request,
) -> Result<(Scope, Fields), Refusal> {
    let scope = service
        .admit(request.headers(), client)
        .await
        .map_err(|error| Refusal { status: answer::refusal_status(&error), msg: error.message })?;
    Ok((scope, Fields::of_request(request).await?))
}

async fn order_of(
    service: &Service,
    scope: &Scope,
    fields: &Fields,
) -> Result<Option<ChargeId>, Refusal> {
    let charge = service.charge_numbered(scope, need(fields, "order_id")?).await?;
    Ok(charge.as_ref().and_then(id_of))
}

fn need<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Refusal> {
    fields.get(name).ok_or_else(|| Refusal::of(format!("缺少参数 {name}")))
}

/// An id of the front end's, a number in the older service's table.
fn number(fields: &Fields, name: &str) -> Result<String, Refusal> {
    let text = need(fields, name)?;
    let fits = text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit());
    let wrong = || Refusal::of(format!("{name} 须是不超过 18 位的数字"));
    fits.then(|| text.to_owned()).ok_or_else(wrong)
}

fn respond(answer: Answer) -> Response {
    match answer {
        Ok(body) => answer::json(StatusCode::OK, &body),
        Err(Refusal { status, msg }) => answer::json(status, &json!({"code": 1, "msg": msg})),
    }
}

impl Refusal {
    fn of(msg: String) -> Refusal {
        Refusal { status: StatusCode::OK, msg }
    }
}

impl From<String> for Refusal {
    fn from(msg: String) -> Refusal {
        Refusal::of(msg)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal { status: answer::failure_status(&error), msg: error.message }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal::of(failure.provider.map_or(failure.message, |(_, words)| words))
    }
}
