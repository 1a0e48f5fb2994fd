//! `provider_replies`: the last of a provider's replies of each kind about a charge.

use super::{Cells, id, text, time};
use sea_orm::{QueryResult, Value};
use tongbao_core::ProviderReply;
use tongbao_engine::StoreError;

pub(crate) const TABLE: &str = "provider_replies";

pub(crate) const COLUMNS: [&str; 4] = ["charge", "kind", "body", "at"];

pub(crate) fn row(reply: &ProviderReply) -> Vec<Value> {
    vec![
        id(reply.charge.uuid()),
        text(reply.kind.as_str()),
        text(reply.body.clone()),
        time(reply.at),
    ]
}

pub(crate) fn read(row: &QueryResult) -> Result<ProviderReply, StoreError> {
    let mut cells = Cells::of(row, 0);
    Ok(ProviderReply {
        charge: cells.id()?,
        kind: cells.word()?,
        body: cells.next()?,
        at: cells.time()?,
    })
}
