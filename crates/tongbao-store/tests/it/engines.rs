//! An empty store on each engine, and its end.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection, raw_sql};
use std::path::PathBuf;
use std::sync::Arc;
use tongbao_engine::Store;
use tongbao_store::{MemoryStore, Options, SqlStore, open};
use uuid::Uuid;

/// The engines by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Memory,
    Sqlite,
    Postgres,
    Mysql,
}

/// A store of the test's own.
pub(crate) struct Fresh {
    pub(crate) store: Arc<dyn Store>,
    /// The same, if it is a database.
    pub(crate) sql: Option<Arc<SqlStore>>,
    /// Where it is, if it is a database.
    pub(crate) url: String,
    folder: Option<PathBuf>,
    server: Option<(Engine, String, String)>,
}

impl Fresh {
    /// An empty store, or nothing where the engine is absent.
    pub(crate) async fn on(engine: Engine) -> Option<Fresh> {
        match engine {
            Engine::Memory => Some(Fresh {
                store: Arc::new(MemoryStore::new()),
                sql: None,
                url: String::new(),
                folder: None,
                server: None,
            }),
            Engine::Sqlite => Some(Fresh::sqlite(Options::default()).await),
            Engine::Postgres => Fresh::server(engine, "TONGBAO_TEST_POSTGRES_URL").await,
            Engine::Mysql => Fresh::server(engine, "TONGBAO_TEST_MYSQL_URL").await,
        }
    }

    /// A store over a database that `script` filled before it was opened.
    pub(crate) async fn after(engine: Engine, script: &str) -> Option<Fresh> {
        match engine {
            Engine::Memory => None,
            Engine::Sqlite => Some(Fresh::sqlite_after(Options::default(), Some(script)).await),
            Engine::Postgres => {
                Fresh::server_after(engine, "TONGBAO_TEST_POSTGRES_URL", Some(script)).await
            }
            Engine::Mysql => {
                Fresh::server_after(engine, "TONGBAO_TEST_MYSQL_URL", Some(script)).await
            }
        }
    }

    pub(crate) async fn sqlite(options: Options) -> Fresh {
        Fresh::sqlite_after(options, None).await
    }

    async fn sqlite_after(options: Options, script: Option<&str>) -> Fresh {
        let folder = std::env::temp_dir().join(random_name());
        let url = format!("sqlite://{}/tongbao.db", folder.display());
        if let Some(script) = script {
            std::fs::create_dir(&folder).unwrap();
            say(Engine::Sqlite, &url, script).await;
        }
        let sql = Arc::new(open(&url, options).await.unwrap());
        Fresh { store: sql.clone(), sql: Some(sql), url, folder: Some(folder), server: None }
    }

    async fn server(engine: Engine, variable: &str) -> Option<Fresh> {
        Fresh::server_after(engine, variable, None).await
    }

    async fn server_after(engine: Engine, variable: &str, script: Option<&str>) -> Option<Fresh> {
        let Ok(admin) = std::env::var(variable) else {
            println!("skipped: {variable} is not set");
            return None;
        };
        let name = random_name();
        say(engine, &admin, &format!("create database {name}")).await;
        let mut url: url::Url = admin.parse().unwrap();
        url.set_path(&name);
        if let Some(script) = script {
            say(engine, url.as_str(), script).await;
        }
        let sql = Arc::new(open(url.as_str(), Options::default()).await.unwrap());
        Some(Fresh {
            store: sql.clone(),
            sql: Some(sql),
            url: url.to_string(),
            folder: None,
            server: Some((engine, admin, name)),
        })
    }

    /// Removes what was made.
    pub(crate) async fn end(self) {
        if let Some(sql) = &self.sql {
            sql.close().await;
        }
        if let Some(folder) = &self.folder {
            std::fs::remove_dir_all(folder).unwrap();
        }
        if let Some((engine, admin, name)) = &self.server {
            say(*engine, admin, &format!("drop database {name}")).await;
        }
    }
}

/// Runs statements beside the store.
pub(crate) async fn say(engine: Engine, url: &str, sql: &str) {
    try_say(engine, url, sql).await.unwrap();
}

/// Runs statements that may be refused.
pub(crate) async fn try_say(engine: Engine, url: &str, sql: &str) -> sqlx::Result<()> {
    let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
    match engine {
        Engine::Memory => panic!("the model takes no statements"),
        Engine::Sqlite => {
            let path = url.strip_prefix("sqlite://").unwrap();
            let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
            let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
            let said = sql.execute(&mut connection).await.map(drop);
            connection.close().await.unwrap();
            said
        }
        Engine::Postgres => {
            let mut connection = PgConnection::connect(url).await.unwrap();
            sql.execute(&mut connection).await.map(drop)
        }
        Engine::Mysql => {
            let mut connection = MySqlConnection::connect(url).await.unwrap();
            sql.execute(&mut connection).await.map(drop)
        }
    }
}

fn random_name() -> String {
    format!("tongbao_test_{}", Uuid::from_u128(rand::random()).simple())
}

/// Each named test, on each engine.
macro_rules! on_each_engine {
    ($($name:ident)*) => {$(
        mod $name {
            use crate::engines::{Engine, Fresh};

            async fn on(engine: Engine) {
                if let Some(fresh) = Fresh::on(engine).await {
                    super::$name(&fresh).await;
                    fresh.end().await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn memory() {
                on(Engine::Memory).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                on(Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                on(Engine::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                on(Engine::Mysql).await;
            }
        }
    )*};
}
pub(crate) use on_each_engine;
