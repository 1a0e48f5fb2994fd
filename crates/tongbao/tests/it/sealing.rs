//! Secrets at rest, with the real program: where its master key comes from, what it says when a key
//! is missing, and how the key is changed while a gateway serves.

use crate::merchant::Merchant;
use crate::world::{BINARY, World, eventually, fresh_folder};
use serde_json::{Value, json};
use sqlx::{Connection, Row, SqliteConnection, raw_sql};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const NEW_KEY: &str = "bmV3IGtleSBuZXcga2V5IG5ldyBrZXkgbmV3IGtleSE=";

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(BINARY);
    command.args(arguments).current_dir(folder).output().unwrap()
}

fn text(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(error))
}

/// `tongbao db` beside a world, with the key of its data folder and perhaps more.
fn db(world: &World, command: &[&str], keys: &[(&str, &str)]) -> Output {
    let mut arguments = vec!["db".to_owned()];
    arguments.extend(command.iter().map(|word| (*word).to_owned()));
    arguments.extend(["--set".to_owned(), format!("database.url={}", world.key("database"))]);
    for (name, value) in keys {
        arguments.extend(["--set".to_owned(), format!("security.{name}={value}")]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&world.data, &arguments)
}

async fn say(database: &str, statement: &'static str) -> Vec<String> {
    let mut connection = SqliteConnection::connect(database).await.unwrap();
    let rows = sqlx::query(statement).fetch_all(&mut connection).await.unwrap();
    let first = rows.iter().map(|row| row.get(0)).collect();
    connection.close().await.unwrap();
    first
}

fn key_file(world: &World) -> String {
    std::fs::read_to_string(world.data.join("master.key")).unwrap().trim().to_owned()
}

#[tokio::test]
async fn dev_seals_under_a_key_of_its_folder_and_signs_again_after_a_restart() {
    let mut world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.created"]).await;
    let path = world.data.join("master.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let key = key_file(&world);
    let kept = say(&world.key("database"), "select secret from endpoints").await;
    assert!(kept[0].starts_with("v1."), "{kept:?}");
    world.kill();
    world.run().await;
    assert_eq!(key_file(&world), key);
    let charge = world.order("wechat.native").await;
    let told = merchant.until(&charge, "charge.created", 1).await;
    assert!(merchant.believes(&told[0]));
    world.finish().await;
}

/// An earlier version kept secrets in clear. It sealed nothing, so there is no key either.
#[tokio::test]
async fn a_database_of_an_earlier_version_is_sealed_at_the_start() {
    let mut world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.created"]).await;
    world.kill();
    std::fs::remove_file(world.data.join("master.key")).unwrap();
    let database = world.key("database");
    let secret = merchant.endpoint["secret"].as_str().unwrap();
    let statement = format!("update endpoints set secret = '{secret}'");
    let mut connection = SqliteConnection::connect(&database).await.unwrap();
    raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    world.run().await;
    let kept = say(&database, "select secret from endpoints").await;
    assert!(kept[0].starts_with("v1."), "{kept:?}");
    let charge = world.order("wechat.native").await;
    let told = merchant.until(&charge, "charge.created", 1).await;
    assert!(merchant.believes(&told[0]));
    world.finish().await;
}

#[tokio::test]
async fn the_master_key_changes_while_a_gateway_serves() {
    let mut world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.created"]).await;
    let headers = [("idempotency-key", "once")];
    let body = Some(json!({"url": "http://127.0.0.1:1/", "enabled": false}));
    let made = world.try_call("POST", "/v1/webhook_endpoints", body.clone(), &headers).await;
    let made = made.unwrap().expect(201);
    let old = key_file(&world);
    let keys = [("master_key", NEW_KEY), ("old_master_keys", old.as_str())];

    // A gateway that does not know the new key yet sends nothing, and says which key it wants.
    let sealed = db(&world, &["reseal"], &keys);
    assert!(sealed.status.success(), "{}", text(&sealed));
    assert!(text(&sealed).starts_with("3 secrets are sealed anew"), "{}", text(&sealed));
    let id = text(&sealed).split("master key ").nth(1).unwrap()[..8].to_owned();
    let charge = world.order("wechat.native").await;
    let tried = eventually("it was tried", async || {
        let list = world.get("/v1/deliveries").await;
        list["data"][0]["tries"][0]["error"].as_str().map(str::to_owned)
    });
    let tried = tried.await;
    assert!(tried.contains(&id), "{tried}");
    assert!(merchant.received().is_empty());
    let checked = db(&world, &["check"], &[("master_key", &old)]);
    assert_eq!(checked.status.code(), Some(1));
    assert!(text(&checked).contains(&id), "{}", text(&checked));
    assert!(db(&world, &["check"], &keys[..1]).status.success());

    // A start without it is refused with its id, and makes no other key.
    world.kill();
    let data = world.data.display().to_string();
    let refused = run(&world.data, &["dev", "--shop-listen", "off", "--data", &data]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    for part in [&id, "security.old_master_keys", &format!("--give-up {id}")] {
        assert!(text(&refused).contains(part), "{part}: {}", text(&refused));
    }
    std::fs::remove_file(world.data.join("master.key")).unwrap();
    let refused = run(&world.data, &["dev", "--shop-listen", "off", "--data", &data]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("is missing") && text(&refused).contains(&id));
    assert!(!world.data.join("master.key").exists());

    std::fs::write(world.data.join("master.key"), NEW_KEY).unwrap();
    world.run().await;
    world.advance("1h").await;
    let told = merchant.until(&charge, "charge.created", 1).await;
    assert!(merchant.believes(&told[0]));
    let again = world.try_call("POST", "/v1/webhook_endpoints", body, &headers).await;
    assert_eq!(again.unwrap().expect(201), made);
}

/// The way out when no copy of the key is left.
#[tokio::test]
async fn a_lost_key_is_given_up_and_the_secret_rotated() {
    let mut world = World::start().await;
    let mut merchant = Merchant::open(&world, &["charge.created"]).await;
    let kept = say(&world.key("database"), "select secret from endpoints").await;
    let id = kept[0].split('.').nth(1).unwrap().to_owned();
    world.kill();
    std::fs::write(world.data.join("master.key"), NEW_KEY).unwrap();
    let given = db(&world, &["reseal", "--give-up", &id], &[("master_key", NEW_KEY)]);
    assert!(given.status.success(), "{}", text(&given));
    world.run().await;
    let path = format!("/v1/webhook_endpoints/{}", merchant.endpoint["id"].as_str().unwrap());
    let enable = || Some(json!({"enabled": true}));
    assert_eq!(world.get(&path).await["enabled"], false);
    assert_eq!(world.call("PATCH", &path, enable()).await.problem(409), "conflict");
    merchant.endpoint = world.post(&format!("{path}/rotate_secret"), json!({})).await.expect(200);
    world.call("PATCH", &path, enable()).await.expect(200);
    let charge = world.order("wechat.native").await;
    let told = merchant.until(&charge, "charge.created", 1).await;
    assert!(merchant.believes(&told[0]));
    world.finish().await;
}

#[test]
fn serve_says_what_is_wrong_with_the_key() {
    let folder = fresh_folder("master-key");
    let serve = |more: &[&str]| {
        let mut arguments = vec!["serve", "--set", "server.listen=127.0.0.1:0"];
        more.iter().for_each(|set| arguments.extend(["--set", set]));
        let output = run(&folder, &arguments);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        text(&output)
    };
    let server = serve(&["database.url=postgres://tongbao@127.0.0.1:1/x"]);
    assert!(server.contains("openssl rand -base64 32"), "{server}");
    let short = serve(&["security.master_key=c2hvcnQ="]);
    assert!(short.contains("security.master_key must be 32 random bytes"), "{short}");
    assert!(!short.contains("c2hvcnQ"), "{short}");
    let old = format!("security.old_master_keys={NEW_KEY}");
    let server = "database.url=postgres://tongbao@127.0.0.1:1/x";
    assert!(serve(&[server, &old]).contains("security.master_key is not set"));
    std::fs::write(folder.join("tongbao.db.key"), "c2hvcnQ=").unwrap();
    let damaged = serve(&["polling.delay=1s"]);
    assert!(damaged.contains("tongbao.db.key is damaged"), "{damaged}");
    assert!(!damaged.contains("c2hvcnQ"), "{damaged}");
}

/// What stands beside the database, and a word about who else may read secrets.
#[tokio::test]
async fn serve_makes_a_key_beside_sqlite_and_warns_of_files_that_all_may_read() {
    let folder = fresh_folder("serve-key");
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nfile = \"log.jsonl\"\n\
                  [[apps]]\nname = \"shop\"\n[[apps.accounts]]\nprovider = \"wechat\"\n\
                  api = \"v2\"\napp_id = \"wx0123456789abcdef\"\nmch_id = \"1900000001\"\n\
                  api_key_file = \"open.txt\"\n[[apps.accounts]]\nname = \"two\"\n\
                  provider = \"wechat\"\napi = \"v2\"\napp_id = \"wx0123456789abcdef\"\n\
                  mch_id = \"1900000002\"\napi_key_file = \"shut.txt\"\n";
    let mode =
        |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    for (name, bits) in [("open.txt", 0o644), ("shut.txt", 0o640)] {
        std::fs::write(folder.join(name), "0123456789abcdef0123456789abcdef").unwrap();
        let bits = std::fs::Permissions::from_mode(bits);
        std::fs::set_permissions(folder.join(name), bits).unwrap();
    }
    std::fs::write(folder.join("tongbao.toml"), config).unwrap();
    let mut serving = Command::new(BINARY);
    let null = std::process::Stdio::null;
    let mut serving = serving.arg("serve").current_dir(&folder).stderr(null()).spawn().unwrap();
    let log = eventually("the gateway listens", async || {
        let log = std::fs::read_to_string(folder.join("log.jsonl")).ok()?;
        log.contains("the gateway listens").then_some(log)
    });
    let log = log.await;
    serving.kill().unwrap();
    serving.wait().unwrap();
    assert_eq!(mode("tongbao.db.key"), 0o600);
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let says = |part: &str| {
        let has = |line: &&Value| line["message"].as_str().unwrap().contains(part);
        lines.iter().filter(has).count()
    };
    assert_eq!(says("a master key is made"), 1);
    assert_eq!(says("chmod o-r"), 1, "neither the one for a group nor a file without secrets");
    assert_eq!(says("open.txt holds a secret"), 1);
    std::fs::remove_dir_all(&folder).unwrap();
}
