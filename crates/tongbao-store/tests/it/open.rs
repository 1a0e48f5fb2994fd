//! Opening: what is made, what is refused, and in which words.

use crate::engines::{Engine, Fresh, say};
use std::time::{Duration, Instant};
use tongbao_engine::Store;
use tongbao_store::{OpenError, Options, open};

async fn refusal(url: &str, options: Options) -> OpenError {
    open(url, options).await.expect_err("it cannot be opened")
}

#[tokio::test]
async fn an_unknown_url_says_which_are_known() {
    for url in ["", "oracle://x", "/var/lib/tongbao.db", "sqlite://", "sqlite:"] {
        let error = refusal(url, Options::default()).await;
        assert!(error.to_string().contains("sqlite://"), "{url}: {error}");
    }
    let error = refusal("sqlite://x.db?mode=ro", Options::default()).await;
    assert!(matches!(error, OpenError::UrlForm(_)), "{error}");
}

#[tokio::test]
async fn a_file_is_owned_by_one_server_and_open_to_a_command_beside_it() {
    let fresh = Fresh::on(Engine::Sqlite).await.unwrap();
    let error = refusal(&fresh.url, Options::default()).await;
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
    let beside = Options { exclusive: false, create: false, ..Options::default() };
    let command = open(&fresh.url, beside).await.unwrap();
    assert!(command.is_shared() && !fresh.store.is_shared());
    let mut maker = crate::data::Maker::new();
    let key = crate::data::api_key(&mut maker, &crate::data::scope("a"), "h");
    command.save_api_key(&key).await.unwrap();
    command.close().await;
    assert_eq!(fresh.store.api_key("h").await.unwrap(), Some(key));
    fresh.sql.as_ref().unwrap().close().await;
    assert!(fresh.store.ready().await.is_err());
    open(&fresh.url, Options::default()).await.unwrap().close().await;
    fresh.end().await;
}

#[tokio::test]
async fn a_missing_file_is_made_only_if_wanted() {
    let folder = std::env::temp_dir().join(format!("tongbao_{:x}", rand::random::<u64>()));
    let url = format!("sqlite://{}/deep/er/t.db", folder.display());
    let error = refusal(&url, Options { create: false, ..Options::default() }).await;
    assert!(matches!(error, OpenError::Missing(_)), "{error}");
    assert!(!folder.exists());
    open(&url, Options::default()).await.unwrap().close().await;
    std::fs::write(folder.join("text.db"), "this is no database at all".repeat(99)).unwrap();
    let text = format!("sqlite://{}/text.db", folder.display());
    let error = refusal(&text, Options::default()).await;
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    let inside = format!("sqlite://{}/text.db/x.db", folder.display());
    let error = refusal(&inside, Options::default()).await;
    assert!(matches!(error, OpenError::NotWritable { .. }), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_or_refuses_is_told_apart_without_the_password() {
    let began = Instant::now();
    for url in ["postgres://u:hunter2@127.0.0.1:1/x", "mysql://u:hunter2@127.0.0.1:1/x"] {
        let error = refusal(url, Options::default()).await;
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("127.0.0.1:1") && !shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("refused"), "{shown}");
    }
    // Nobody waits for a pool's patience.
    assert!(began.elapsed() < Options::default().patience / 2, "{:?}", began.elapsed());
    for variable in ["TONGBAO_TEST_POSTGRES_URL", "TONGBAO_TEST_MYSQL_URL"] {
        let Ok(url) = std::env::var(variable) else {
            println!("skipped: {variable} is not set");
            continue;
        };
        let mut url: url::Url = url.parse().unwrap();
        url.set_path("there_is_no_such_database");
        let error = refusal(url.as_str(), Options::default()).await;
        assert!(matches!(error, OpenError::Refused { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_waited_for_no_longer_than_said() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = silent.local_addr().unwrap();
    let patience = Duration::from_millis(200);
    for scheme in ["postgres", "mysql"] {
        let url = format!("{scheme}://u@{place}/x");
        let error = refusal(&url, Options { patience, ..Options::default() }).await;
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("no answer within 200ms"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_made_once_also_when_several_open_at_once() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(fresh) = Fresh::on(engine).await else { continue };
        for round in 0..3 {
            let name = format!("{}_{round}", fresh.url.rsplit_once('/').unwrap().1);
            say(engine, &fresh.url, &format!("create database {name}")).await;
            let mut url: url::Url = fresh.url.parse().unwrap();
            url.set_path(&name);
            let options = Options { connections: 2, ..Options::default() };
            let all = (0..6).map(|_| open(url.as_str(), options.clone()));
            for store in futures_util::future::join_all(all).await {
                let store = store.unwrap();
                store.ready().await.unwrap();
                store.close().await;
            }
            say(engine, &fresh.url, &format!("drop database {name}")).await;
        }
        fresh.end().await;
    }
}
