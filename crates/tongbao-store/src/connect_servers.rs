//! Connecting to PostgreSQL and MySQL: what each session must be told, and the lock under which
//! instances that start at once make the tables one after the other.

use crate::connect::{OpenError, Options};
use crate::server::Server;
use crate::store::{Doors, SqlStore};
use crate::{address, migrations};
use sea_orm::{DatabaseConnection, SqlxMySqlConnector, SqlxPostgresConnector};
use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor};
use std::time::Duration;

/// Held by one connection until that is closed. The number is ours alone, and says nothing.
const LOCK_POSTGRES: &str = "select pg_advisory_lock(7405173920658)";
/// Such names are known to the whole server and have at most 64 characters.
const LOCK_MYSQL: &str = "select get_lock(left(concat('tongbao ', database()), 64), 30)";
/// Each step of making tables may run twice, so it is better to go on than to wait for ever.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);

/// An instance that stops in the middle of a transaction must not hold rows that others need: the
/// server ends its session, and if it wakes, what it was at runs again.
const IDLE_POSTGRES: &str = "set idle_in_transaction_session_timeout = '5s'";
/// MariaDB's; MySQL has none.
const IDLE_MARIADB: &str = "set session idle_transaction_timeout = 5";

pub(crate) async fn postgres(url: &str, options: &Options) -> Result<SqlStore, OpenError> {
    address::check(url, address::POSTGRES_OPTIONS)?;
    let connect: PgConnectOptions = url.parse().map_err(address::refused)?;
    let connect = connect.application_name("tongbao").disable_statement_logging();
    let place = format!("{}:{}", connect.get_host(), connect.get_port());
    let mut first = knock(&connect, options.patience, &place).await?;
    locked(tokio::time::timeout(LOCK_PATIENCE, first.execute(LOCK_POSTGRES)).await);
    let pool = PgPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(options.patience)
        .after_connect(|connection, _| {
            Box::pin(async move { if_known(connection.execute(IDLE_POSTGRES).await.map(drop)) })
        })
        .connect_with(connect);
    let pool = pool.await.map_err(|cause| server_failed(&place, cause))?;
    let server = Server::new(format!("PostgreSQL at {place}"), options.patience);
    let store = make(SqlxPostgresConnector::from_sqlx_postgres_pool(pool), server).await;
    let _gone_already = first.close().await;
    store
}

/// Strings compare by their bytes, times are UTC, what does not fit is an error, and a transaction
/// sees what is committed.
pub(crate) async fn mysql(url: &str, options: &Options) -> Result<SqlStore, OpenError> {
    let url = url.replacen("mariadb:", "mysql:", 1);
    address::check(&url, address::MYSQL_OPTIONS)?;
    let connect: MySqlConnectOptions = url.parse().map_err(address::refused)?;
    let connect = connect.charset("utf8mb4").collation("utf8mb4_bin").disable_statement_logging();
    let place = format!("{}:{}", connect.get_host(), connect.get_port());
    let mut first = knock(&connect, options.patience, &place).await?;
    locked(tokio::time::timeout(LOCK_PATIENCE, first.execute(LOCK_MYSQL)).await);
    let pool = MySqlPoolOptions::new()
        .max_connections(options.connections)
        .acquire_timeout(options.patience)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let strict = "set session sql_mode = concat(@@sql_mode, ',STRICT_ALL_TABLES')";
                connection.execute(strict).await?;
                let level = "set session transaction isolation level read committed";
                connection.execute(level).await?;
                if_known(connection.execute(IDLE_MARIADB).await.map(drop))
            })
        })
        .connect_with(connect);
    let pool = pool.await.map_err(|cause| server_failed(&place, cause))?;
    let server = Server::new(format!("MySQL at {place}"), options.patience);
    let store = make(SqlxMySqlConnector::from_sqlx_mysql_pool(pool), server).await;
    let _gone_already = first.close().await;
    store
}

async fn make(reads: DatabaseConnection, server: Server) -> Result<SqlStore, OpenError> {
    migrations::run(&reads).await?;
    Ok(SqlStore { reads, doors: Doors::Server(server), is_shared: true })
}

/// Not every database that speaks the protocol has such a lock.
fn locked<T>(answer: Result<sqlx::Result<T>, tokio::time::error::Elapsed>) {
    let why = match answer {
        Ok(Ok(_)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("another instance held it for more than {LOCK_PATIENCE:?}"),
    };
    tracing::warn!(why, "the tables are looked after without the lock against other instances");
}

/// Passes over a setting that this server does not know.
fn if_known(set: sqlx::Result<()>) -> sqlx::Result<()> {
    match set {
        Err(sqlx::Error::Database(error)) => {
            tracing::debug!(%error, "a setting is not known to this database");
            Ok(())
        }
        other => other,
    }
}

/// Makes one connection, to be told at once if there can be none, and why: a pool tries on until
/// its patience ends and then knows no cause.
async fn knock<O>(connect: &O, patience: Duration, place: &str) -> Result<O::Connection, OpenError>
where
    O: ConnectOptions<Connection: Sized>,
{
    let answer = match tokio::time::timeout(patience, connect.connect()).await {
        Ok(answer) => answer,
        Err(_) => {
            let words = format!("no answer within {patience:?}");
            Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, words)))
        }
    };
    answer.map_err(|cause| server_failed(place, cause))
}

fn server_failed(place: &str, cause: sqlx::Error) -> OpenError {
    let (place, text) = (place.to_owned(), cause.to_string());
    match cause {
        sqlx::Error::Database(_) => OpenError::Refused { place, cause: text },
        _ => OpenError::Unreachable { place, cause: text },
    }
}
