//! For tests: how SQLite would answer a statement, so that an index that is lost or not used is
//! seen before a million rows show it.

use crate::{Options, SqlStore, open};
use sea_orm::{ConnectionTrait, DbBackend, Statement, StatementBuilder};

/// An empty database in a folder of its own.
pub(crate) async fn empty() -> (SqlStore, std::path::PathBuf) {
    let name = format!("tongbao_explain_{:x}", rand::random::<u64>());
    let folder = std::env::temp_dir().join(name);
    let url = format!("sqlite://{}/t.db", folder.display());
    (open(&url, Options::default()).await.unwrap(), folder)
}

/// The steps for a statement of a builder's.
pub(crate) async fn built(store: &SqlStore, statement: &impl StatementBuilder) -> Vec<String> {
    steps(store, &DbBackend::Sqlite.build(statement).sql).await
}

/// The steps for a text. Its values stay empty; they do not change the way.
pub(crate) async fn steps(store: &SqlStore, text: &str) -> Vec<String> {
    let explain = format!("explain query plan {text}");
    let rows = store.reads.query_all_raw(Statement::from_string(DbBackend::Sqlite, explain)).await;
    rows.unwrap().iter().map(|row| row.try_get_by_index(3).unwrap()).collect()
}

/// Ends the test.
pub(crate) async fn end((store, folder): (SqlStore, std::path::PathBuf)) {
    store.close().await;
    std::fs::remove_dir_all(folder).unwrap();
}
