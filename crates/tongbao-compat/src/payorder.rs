//! `payorder`: WeChat's code payments with the code drawn as a picture.
//!
//! - `POST /order`, also `/wx/order`, takes body, ip, total_fee in fen and trade_type `NATIVE`, and
//!   answers `{status: 200, data: {WeChat's fields, payUrl, nonce_str, out_trade_no}}`.
//! - `POST /queryOrder` takes out_trade_no and answers `{status: 200, data: {WeChat's fields}}`.
//! - `POST /pay/notify`, also `/pay/notify_url`, takes WeChat's notification and answers as WeChat
//!   wants it.
//!
//! `payUrl` is a PNG as a `data:` address, and every value is a text. Whatever cannot be done is
//! `{status: 1050, data: "<why>"}` with status 200, as it was; a caller who is not admitted gets
//! the same with 401 or 403. The table `payorder` is a view of that name.
//!
//! What was wrong and is not kept: SQL made of the caller's texts, notifications that nobody
//! verified and that were dropped once any order was there, one `nonce_str` and `out_trade_no` for
//! all orders, and callers without credentials.

use crate::fields::Fields;
use crate::orders::{Failure, Object, code_url, id_of, under_a_new_number, word};
use crate::{Routes, Service, answer, both, checks, numbers};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use data_encoding::BASE64;
use http::StatusCode;
use serde_json::{Value, json};
use std::net::IpAddr;
use tongbao_core::{ReplyKind, Scope};
use tongbao_engine::{Error, Expires, NewCharge};
use tongbao_types::{Channel, OrderNo, Profile, Provider, Span};
use tongbao_web::{ClientAddress, qr};

pub(crate) fn routes() -> Routes {
    let routes = both(Routes::default(), "/order", post(order));
    let routes = both(routes, "/wx/order", post(order));
    let routes = both(routes, "/queryOrder", post(query_order));
    let routes = both(routes, "/pay/notify", post(notify));
    both(routes, "/pay/notify_url", post(notify))
}

/// 注意：code_url有效期为2小时，过期后扫码不能再发起支付。
const CODE_LIFE: Span = Span::from_seconds(2 * 3600);
/// The status of whatever cannot be done.
const REFUSED: u16 = 1050;

/// `{status: 1050, data: "<why>"}`.
struct Refusal {
    status: StatusCode,
    why: String,
}

type Answer = Result<Object, Refusal>;

async fn order(
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
    if !matches!(fields.get("trade_type"), None | Some("NATIVE")) {
        return Err(Refusal::of("trade_type 只支持 NATIVE".to_owned()));
    }
    let amount = checks::fen("total_fee", need(fields, "total_fee")?)?;
    let subject = checks::subject("body", need(fields, "body")?)?;
    let account = service.setup.account(scope.mode, Provider::Wechat);
    let nonce_str = numbers::millis("D", &service.engine, 10);
    let new = NewCharge {
        order_no: None,
        amount,
        subject,
        body: None,
        attach: None,
        return_url: None,
        client_ip: payer_ip(fields)?,
        payer: None,
        // The view `payorder` reads it by its place.
        metadata: vec![("nonce_str".to_owned(), nonce_str.clone())],
        profile: Some(Profile::Payorder),
        channel: Some(Channel::WechatNative),
        account: account.cloned(),
        expires: Some(Expires::In(CODE_LIFE)),
    };
    let charge = under_a_new_number(|| {
        let order_no = OrderNo::new(numbers::millis("China", &service.engine, 10)).ok();
        service.make_charge(scope, NewCharge { order_no, ..new.clone() })
    });
    let charge = charge.await?;
    let unknown = || Refusal::of("微信没有确认下单结果，请重新下单".to_owned());
    let code_url = code_url(&charge).ok_or_else(unknown)?;
    let drawn = qr::png(code_url).ok_or_else(|| Refusal::of("二维码内容过长".to_owned()))?;
    let charge_id = id_of(&charge).ok_or_else(unknown)?;
    let words = service.words(scope, charge_id, ReplyKind::Order).await?;
    let mut data = plain(words.unwrap_or_default());
    let pay_url = format!("data:image/png;base64,{}", BASE64.encode(&drawn));
    data.insert("code_url".to_owned(), code_url.into());
    data.insert("payUrl".to_owned(), pay_url.into());
    data.insert("nonce_str".to_owned(), nonce_str.into());
    data.insert("out_trade_no".to_owned(), charge["order_no"].clone());
    Ok(data)
}

/// The design of the table has another name for it; Node writes IPv4 addresses as IPv6 ones.
fn payer_ip(fields: &Fields) -> Result<Option<String>, Refusal> {
    let (name, text) = match fields.get("ip") {
        Some(text) => ("ip", text),
        None => match fields.get("spbill_create_ip") {
            Some(text) => ("spbill_create_ip", text),
            None => return Ok(None),
        },
    };
    let address: Result<IpAddr, _> = text.parse();
    let address = address.map_err(|_| Refusal::of(format!("{name} 不是有效的 IP 地址")))?;
    Ok(Some(address.to_canonical().to_string()))
}

/// `nonce_str` may come with it, as it had to once; nothing depends on it.
async fn query_order(
    State(service): State<Service>,
    client: ClientAddress,
    request: Request,
) -> Response {
    let query = async || {
        let (scope, fields) = read(&service, client, request).await?;
        let charge = service.charge_numbered(&scope, need(&fields, "out_trade_no")?).await?;
        let charge = charge.as_ref().and_then(id_of);
        let charge = charge.ok_or_else(|| Refusal::of("订单不存在".to_owned()))?;
        let words = service.ask_in_words(&scope, charge).await?;
        let words = words.ok_or_else(|| Refusal::of("查询失败，请稍后再试".to_owned()))?;
        match word(&words, "err_code_des").or_else(|| word(&words, "err_code")) {
            Some(why) => Err(Refusal::of(why.to_owned())),
            None => Ok(plain(words)),
        }
    };
    respond(query().await)
}

/// Open to all: the signature is WeChat's key.
async fn notify(State(service): State<Service>, request: Request) -> Response {
    match service.take_notice(Provider::Wechat, request).await {
        Ok(acknowledgement) => acknowledgement,
        Err(error) => {
            let refusal = Refusal { status: StatusCode::BAD_REQUEST, why: error.message };
            respond(Err(refusal))
        }
    }
}

async fn read(
    service: &Service,
    client: ClientAddress,
    request: Request,
) -> Result<(Scope, Fields), Refusal> {
    let scope = service
        .admit(request.headers(), client)
        .await
        .map_err(|error| Refusal { status: answer::refusal_status(&error), why: error.message })?;
    Ok((scope, Fields::of_request(request).await?))
}

fn need<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, Refusal> {
    fields.get(name).ok_or_else(|| Refusal::of(format!("缺少参数 {name}")))
}

/// Every value as a text.
fn plain(words: Object) -> Object {
    let text = |value: Value| match value {
        Value::String(_) => value,
        other => Value::String(other.to_string()),
    };
    words.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn respond(answer: Answer) -> Response {
    match answer {
        Ok(data) => answer::json(StatusCode::OK, &json!({"status": 200, "data": data})),
        Err(Refusal { status, why }) => {
            answer::json(status, &json!({"status": REFUSED, "data": why}))
        }
    }
}

impl Refusal {
    fn of(why: String) -> Refusal {
        Refusal { status: StatusCode::OK, why }
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Refusal {
        Refusal::of(why)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal { status: answer::failure_status(&error), why: error.message }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Refusal {
        Refusal::of(failure.provider.map_or(failure.message, |(_, words)| words))
    }
}
