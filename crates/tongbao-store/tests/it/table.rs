//! Rows of a table or view as somebody beside the store reads them.

use crate::engines::Engine;
use sqlx::{
    AssertSqlSafe, Column, Connection, MySqlConnection, PgConnection, Row, SqliteConnection,
    TypeInfo,
};

/// Asks beside the store, and reads each row.
macro_rules! ask {
    ($engine:expr, $url:expr, $sql:expr, |$row:ident| $read:expr) => {{
        let sql: &str = $sql;
        macro_rules! rows {
            ($connection:ty, $address:expr) => {{
                let mut connection = <$connection>::connect($address).await.unwrap();
                let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
                let rows = rows.unwrap();
                connection.close().await.unwrap();
                rows.into_iter().map(|$row| $read).collect::<Vec<_>>()
            }};
        }
        match $engine {
            Engine::Memory => panic!("the model takes no statements"),
            Engine::Sqlite => rows!(SqliteConnection, $url),
            Engine::Postgres => rows!(PgConnection, $url),
            Engine::Mysql => rows!(MySqlConnection, $url),
        }
    }};
}

/// Some columns as texts, by `id`.
pub(crate) async fn read(
    engine: Engine,
    url: &str,
    table: &str,
    columns: &[&str],
) -> Vec<Vec<Option<String>>> {
    let (quote, text) = match engine {
        Engine::Mysql => ('`', "char"),
        _ => ('"', "text"),
    };
    let columns = columns.iter().map(|name| format!("cast({quote}{name}{quote} as {text})"));
    let columns = columns.collect::<Vec<_>>().join(", ");
    let sql = format!("select {columns} from {table} order by id");
    ask!(engine, url, &sql, |row| {
        (0..row.len()).map(|at| row.get::<Option<String>, _>(at)).collect::<Vec<_>>()
    })
}

/// The names of all columns in order, each with its type in the first row.
pub(crate) async fn types(engine: Engine, url: &str, table: &str) -> Vec<(String, String)> {
    let sql = format!("select * from {table}");
    let rows = ask!(engine, url, &sql, |row| {
        let columns = row.columns().iter().enumerate();
        let kind = |at| sqlx::ValueRef::type_info(&row.try_get_raw(at).unwrap()).name().to_owned();
        columns.map(|(at, column)| (column.name().to_owned(), kind(at))).collect::<Vec<_>>()
    });
    rows.into_iter().next().unwrap()
}
