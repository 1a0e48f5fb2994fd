//! A database of a test's own: an SQLite file, or one on a server that
//! `TONGBAO_TEST_POSTGRES_URL` or `TONGBAO_TEST_MYSQL_URL` names, as for the tests of the store.

use crate::world::fresh_folder;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, raw_sql};

pub(crate) const POSTGRES: &str = "TONGBAO_TEST_POSTGRES_URL";
pub(crate) const MYSQL: &str = "TONGBAO_TEST_MYSQL_URL";

/// An empty database.
pub(crate) struct Database {
    /// As `database.url` names it.
    pub(crate) url: String,
    /// The server's own address and the database's name there.
    server: Option<(String, String)>,
}

impl Database {
    /// A file in a fresh folder.
    pub(crate) fn sqlite() -> Database {
        let url = format!("sqlite://{}", fresh_folder("database").join("tongbao.db").display());
        Database { url, server: None }
    }

    /// On the server that this variable names. Without one the test says so and ends.
    pub(crate) async fn on_server(variable: &str) -> Option<Database> {
        let Ok(admin) = std::env::var(variable) else {
            eprintln!("skipped: {variable} is not set");
            return None;
        };
        Some(Database::at(&admin).await)
    }

    /// On the server with this address.
    pub(crate) async fn at(admin: &str) -> Database {
        let name = format!("tongbao_it_{:016x}", rand::random::<u64>());
        say(admin, &format!("create database {name}")).await;
        let mut url: url::Url = admin.parse().unwrap();
        url.set_path(&name);
        Database { url: url.into(), server: Some((admin.to_owned(), name)) }
    }

    /// Removes it.
    pub(crate) async fn end(self) {
        match &self.server {
            Some((admin, name)) => say(admin, &format!("drop database {name}")).await,
            None => {
                let file = std::path::Path::new(self.url.strip_prefix("sqlite://").unwrap());
                std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
            }
        }
    }
}

async fn say(url: &str, sql: &str) {
    let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
    if url.starts_with("postgres") {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
    } else {
        let mut connection = MySqlConnection::connect(url).await.unwrap();
        sql.execute(&mut connection).await.unwrap();
    }
}
