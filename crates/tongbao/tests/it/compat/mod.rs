//! The older services' routes, called as their callers call them: without a key, from this machine.

mod auth_pay;
mod capi;
mod documents;
mod imported;
mod payorder;
mod wepay;
mod wepay_deploy;
mod wepay_shop;
mod wxpay;

use crate::world::{Answer, World, eventually};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

/// A JSON call.
async fn call(world: &World, path: &str, body: Value) -> Answer {
    with_headers(world, path, &[], body).await
}

/// A JSON call with more headers.
async fn with_headers(world: &World, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let json = [("content-type", "application/json")];
    let headers = json.iter().chain(headers);
    let headers: Vec<_> = headers.map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    world.raw(&format!("{}{path}", world.gateway()), &headers, body.to_string()).await
}

/// A form.
async fn form(world: &World, path: &str, body: &str) -> Answer {
    let kind = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
    world.raw(&format!("{}{path}", world.gateway()), &[kind], body).await
}

/// The charge of a number that a profile gave out, as `/v1` shows it.
async fn numbered(world: &World, number: &str) -> Value {
    let list = world.get(&format!("/v1/charges?order_no={number}")).await;
    list["data"][0].clone()
}

/// How many charges the app has.
async fn n_charges(world: &World) -> usize {
    world.get("/v1/charges?limit=100").await["data"].as_array().unwrap().len()
}

/// A notification as the provider sent it: headers and body.
pub(crate) type Notice = (Vec<(String, String)>, String);

/// The genuine notification of a charge that is paid now; it is lost on its way.
pub(crate) async fn lost_notice(world: &World, charge: &Value) -> Notice {
    world.fault(serde_json::json!({"notify": {"drop": true}})).await;
    world.pay(charge).await.expect(200);
    let sent = async || world.notices(charge).await.into_iter().find(|one| one["body"] != "");
    let notice = eventually("the notification is sent and lost", sent).await;
    let headers = notice["headers"].as_object().unwrap().iter();
    let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().into()));
    (headers.collect(), notice["body"].as_str().unwrap().to_owned())
}

/// Rows of a statement, read beside the gateway; each cell is a text.
async fn rows(world: &World, sql: &str) -> Vec<Vec<String>> {
    let mut connection = SqliteConnection::connect(&world.key("database")).await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await;
    let rows = rows.unwrap();
    connection.close().await.unwrap();
    let cells = |row: sqlx::sqlite::SqliteRow| (0..row.len()).map(|at| row.get(at)).collect();
    rows.into_iter().map(cells).collect()
}
