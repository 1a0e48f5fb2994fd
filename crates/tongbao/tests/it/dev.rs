//! `tongbao dev`: what it leaves for tools, and what survives.

use crate::world::{BINARY, World};
use serde_json::Value;
use std::process::Command;

#[tokio::test]
async fn dev_json_has_what_tools_need_for_its_owner_alone() {
    let world = World::start().await;
    let names: Vec<&String> = world.dev.as_object().unwrap().keys().collect();
    let mut wanted = vec![
        "app",
        "database",
        "gateway",
        "live_secret_key",
        "log",
        "other_secret_key",
        "sandbox",
        "secret_key",
        "shop",
    ];
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    assert_eq!(world.dev["app"], "dev");
    assert!(world.key("secret_key").starts_with("sk_test_"));
    assert!(world.key("live_secret_key").starts_with("sk_live_"));
    assert!(world.key("other_secret_key").starts_with("sk_test_"));
    #[cfg(unix)]
    for file in ["dev.json", "keys.json"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(world.data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    world.finish().await;
}

/// Also after a kill: keys, credentials, trades and charges are those of before.
#[tokio::test]
async fn everything_survives_a_restart() {
    let mut world = World::start().await;
    let charge = world.order("wechat.native").await;
    let before = world.dev.clone();
    let trades = world.shown("trades").await;
    world.kill();
    world.run().await;
    for key in ["secret_key", "live_secret_key", "other_secret_key", "database", "log"] {
        assert_eq!(world.dev[key], before[key], "{key}");
    }
    assert_eq!(world.shown("trades").await, trades);
    assert_eq!(world.charge(&charge).await["status"], "pending");
    world.pay(&charge).await.expect(200);
    world.finish().await;
}

/// A port in use is named together with the option that chooses another.
#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let check = |option: &str| {
        let data = crate::world::fresh_folder("port");
        let mut command = Command::new(BINARY);
        command.args(["dev", option, &address, "--data"]).arg(&data);
        for other in ["--listen", "--sandbox-listen", "--shop-listen"] {
            if other != option {
                command.args([other, "127.0.0.1:0"]);
            }
        }
        let output = command.output().unwrap();
        std::fs::remove_dir_all(&data).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        assert!(error.contains(&format!("port {port}")) && error.contains(option), "{error}");
    };
    check("--listen");
    check("--sandbox-listen");
    check("--shop-listen");
}

/// The gateway keeps the sandbox's time.
#[tokio::test]
async fn one_clock_moves_both() {
    let world = World::start().await;
    let first = world.order("wechat.native").await;
    world.advance("3d").await;
    let second = world.order("wechat.native").await;
    let time = |charge: &Value| -> tongbao_types::Timestamp {
        charge["created_at"].as_str().unwrap().parse().unwrap()
    };
    assert!(time(&second).since(time(&first)).as_seconds() >= 3 * 86_400);
    world.until(&first, "closed").await;
    world.finish().await;
}

/// Two over one folder would spoil it.
#[tokio::test]
async fn a_second_dev_over_the_same_folder_is_refused() {
    let world = World::start().await;
    let mut command = Command::new(BINARY);
    command.args(["dev", "--listen", "127.0.0.1:0", "--sandbox-listen", "127.0.0.1:0"]);
    command.args(["--shop-listen", "off", "--data"]);
    let output = command.arg(&world.data).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("another `tongbao dev` runs"), "{error}");
    world.finish().await;
}
