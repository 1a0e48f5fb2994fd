//! `demo`, `serve`, `sandbox`, `keys` and `openapi` as a person runs them.

use crate::world::{BINARY, World, fresh_folder, signal};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Output, Stdio};

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _ended_already = self.0.wait();
    }
}

/// The first `http://…` of the first line that contains `mark`.
fn first_address(from: impl Read, mark: &str) -> String {
    let mut lines = BufReader::new(from).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains(mark)).expect("the address is told");
    let from = line.find("http://").unwrap_or_else(|| panic!("no address: {line}"));
    let rest = line[from..].split(['"', ' ']).next().unwrap();
    rest.trim_end_matches('/').to_owned()
}

#[test]
fn the_demo_shows_the_whole_way_and_ends_well() {
    let output = Command::new(BINARY).arg("demo").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}\n{error}");
    for part in ["WeChat Pay, API v2", "WeChat Pay, API v3", "Alipay", "notification lost"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains('█'), "a code is drawn");
    assert!(!text.contains('\u{1b}'), "no colours into a file");
}

#[test]
fn the_demo_plays_the_older_services_too() {
    let output = Command::new(BINARY).args(["demo", "--profiles"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{text}\n{error}");
    for part in [
        "━━ auth-pay",
        "━━ wepay",
        "━━ wxpay",
        "━━ payorder",
        "━━ capi",
        "told in the older way, as cbNotifyUrl",
        "told in the older way, as notify_url",
        "told in the older way, as payment",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

pub(crate) fn keys(arguments: &[&str], database: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("keys").args(arguments);
    command.args(["--set", &format!("database.url={database}"), "--set", "apps.0.name=dev"]);
    command.current_dir(fresh_folder("keys")).output().unwrap()
}

/// Beside a running gateway, which takes the new key and forgets the revoked one.
#[tokio::test]
async fn keys_are_made_listed_and_revoked_beside_a_running_gateway() {
    let world = World::start().await;
    let database = world.key("database");
    let made = keys(
        &["create", "--app", "dev", "--mode", "test", "--json", "--description", "mine"],
        &database,
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let authorization = format!("Bearer {}", made["key"].as_str().unwrap());
    let headers = [("authorization", authorization.as_str())];
    let read = async || world.try_call("GET", "/v1/charges", None, &headers).await.unwrap().status;
    assert_eq!(read().await, 200);

    let listed = keys(&["list", "--app", "dev", "--json"], &database);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
    assert_eq!(listed["data"][0]["description"], "mine");
    assert!(!listed.to_string().contains(made["key"].as_str().unwrap()));
    let table = keys(&["list", "--app", "dev"], &database);
    assert!(String::from_utf8_lossy(&table.stdout).contains("DESCRIPTION"));

    let id = made["id"].as_str().unwrap();
    assert!(keys(&["revoke", id, "--app", "dev"], &database).status.success());
    crate::world::eventually("the key is forgotten", async || (read().await == 401).then_some(()))
        .await;
    assert_eq!(keys(&["list", "--app", "nobody"], &database).status.code(), Some(0));
    let nobody = keys(&["create", "--app", "nobody", "--mode", "test"], &database);
    assert_eq!(nobody.status.code(), Some(1));
    world.finish().await;
}

#[test]
fn openapi_is_printed() {
    let output = Command::new(BINARY).arg("openapi").output().unwrap();
    assert!(output.status.success());
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/v1/charges"]["post"].is_object());
}

/// Over an empty configuration it starts, warns, answers, and stops when it is told to.
#[tokio::test]
async fn serve_runs_without_apps_and_stops_when_told() {
    let folder = fresh_folder("serve");
    std::fs::write(folder.join("tongbao.toml"), "[server]\nlisten = \"127.0.0.1:0\"\n").unwrap();
    let mut command = Command::new(BINARY);
    command.arg("serve").current_dir(&folder).stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let base = first_address(running.0.stderr.take().unwrap(), "listens");
    let healthy = reqwest::get(format!("{base}/healthz")).await.unwrap();
    assert_eq!(healthy.status(), 200);
    let ready = reqwest::get(format!("{base}/readyz")).await.unwrap();
    assert_eq!(ready.status(), 200);
    let charges = reqwest::get(format!("{base}/v1/charges")).await.unwrap();
    assert_eq!(charges.status(), 401);
    signal(&running.0, "-TERM");
    assert!(running.0.wait().unwrap().success());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// With a `[sandbox]` table, test keys of each app work against it.
#[tokio::test]
async fn serve_with_a_sandbox_gives_apps_test_accounts() {
    let folder = fresh_folder("serve");
    let config = "[server]\nlisten = \"127.0.0.1:0\"\n[sandbox]\nlisten = \"127.0.0.1:0\"\n\
                  data = \"pretended\"\n[[apps]]\nname = \"shop\"\n";
    std::fs::write(folder.join("tongbao.toml"), config).unwrap();
    let mut command = Command::new(BINARY);
    command.arg("serve").current_dir(&folder).stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let base = first_address(running.0.stderr.take().unwrap(), "the gateway listens");
    let made = Command::new(BINARY)
        .args(["keys", "create", "--app", "shop", "--mode", "test", "--json"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let body = json!({"amount": 5, "subject": "x", "channel": "alipay.qr"}).to_string();
    let request = reqwest::Client::new()
        .post(format!("{base}/v1/charges"))
        .bearer_auth(made["key"].as_str().unwrap())
        .header("content-type", "application/json")
        .body(body);
    let text = request.send().await.unwrap().text().await.unwrap();
    let charge: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(charge["account"], "shop_alipay_open", "{charge}");
    assert_eq!(charge["action"]["type"], "qr_code");
    signal(&running.0, "-TERM");
    assert!(running.0.wait().unwrap().success());
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn the_sandbox_runs_alone_and_keeps_its_credentials() {
    let folder = fresh_folder("sandbox");
    let start = || {
        let mut command = Command::new(BINARY);
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--credentials"]).arg(&folder);
        let mut running = Running(command.stdout(Stdio::piped()).spawn().unwrap());
        let base = first_address(running.0.stdout.take().unwrap(), "sandbox");
        (running, base)
    };
    let credentials = async |base: &str| {
        let url = format!("{base}/_sandbox/credentials");
        let text = reqwest::get(url).await.unwrap().text().await.unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let (first, base) = start();
    let before = credentials(&base).await;
    assert!(before["wechat"]["mch_id"].is_string());
    drop(first);
    let (_second, base) = start();
    assert_eq!(credentials(&base).await, before);
    std::fs::remove_dir_all(&folder).unwrap();
}
