//! The secrets among the rows: found for whoever seals them anew, and replaced where they still
//! stand. What they are sealed with is not known here.

use crate::reads::ask;
use crate::tables::{Cells, endpoints, id, idempotency_keys};
use sea_orm::DatabaseConnection;
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Query, UpdateStatement};
use tongbao_core::Endpoint;
use tongbao_engine::{KeptSecret, SecretPlace, StoreError};
use tongbao_types::{EndpointId, Sealed};

/// What a sealed text begins with. No JSON does.
const SEALED: &str = "v1.";
/// What every webhook secret begins with; earlier versions kept it in clear.
const CLEAR: &str = "whsec_";

/// Whether a kept reply is sealed, or should be.
pub(crate) fn may_hold_secret(body: &str) -> bool {
    body.starts_with(SEALED) || body.contains(CLEAR)
}

/// All endpoints.
pub(crate) async fn all_endpoints(
    database: &DatabaseConnection,
) -> Result<Vec<Endpoint>, StoreError> {
    let mut select = Query::select();
    select.columns(endpoints::COLUMNS).from(endpoints::TABLE);
    let rows = ask(database, &select).await?;
    rows.iter().filter_map(|row| endpoints::read(row, 0).transpose()).collect()
}

/// The kept replies that are sealed or should be.
pub(crate) async fn replies(database: &DatabaseConnection) -> Result<Vec<KeptSecret>, StoreError> {
    let body = || Expr::col("body");
    let looks =
        Cond::any().add(body().like(format!("{SEALED}%"))).add(body().like(format!("%{CLEAR}%")));
    let mut select = Query::select();
    select.columns(["app", "mode", "key", "body"]).from(idempotency_keys::TABLE);
    let rows = ask(database, select.cond_where(looks)).await?;
    let mut found = Vec::new();
    for row in &rows {
        let mut cells = Cells::of(row, 0);
        let place = SecretPlace::Reply { scope: cells.scope()?, key: cells.next()? };
        let text: String = cells.next()?;
        // The wildcard _ and letters of either case match more than is meant.
        if may_hold_secret(&text) {
            found.push(KeptSecret { place, text: Sealed::from_text(text) });
        }
    }
    Ok(found)
}

/// Writes a text in the place of the kept one, if that still stands there. Whoever read an endpoint
/// before must not write the former text back, so its version is raised.
pub(crate) fn replacing(kept: &KeptSecret, anew: &Sealed) -> UpdateStatement {
    let mut update = Query::update();
    let column = match &kept.place {
        SecretPlace::Endpoint(endpoint) => in_endpoints(&mut update, *endpoint, "secret"),
        SecretPlace::EndpointOld(endpoint) => in_endpoints(&mut update, *endpoint, "secret_old"),
        SecretPlace::Reply { scope, key } => {
            update
                .table(idempotency_keys::TABLE)
                .and_where(Expr::col("app").eq(scope.app.as_str()))
                .and_where(Expr::col("mode").eq(scope.mode.as_str()))
                .and_where(Expr::col("key").eq(key.as_str()));
            "body"
        }
    };
    update
        .value(column, anew.as_text())
        .and_where(Expr::col(column).eq(kept.text.as_text()))
        .to_owned()
}

fn in_endpoints(
    update: &mut UpdateStatement,
    endpoint: EndpointId,
    column: &'static str,
) -> &'static str {
    update
        .table(endpoints::TABLE)
        .value("version", Expr::col("version").add(1_i64))
        .and_where(Expr::col("id").eq(id(endpoint.uuid())));
    column
}
