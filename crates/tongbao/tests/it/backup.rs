//! `tongbao db`: a copy made under load, put in the place of a database that is lost, catches up by
//! asking the providers; and wrong uses say what to do.

use crate::world::{BINARY, World, fresh_folder, id};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

fn db(arguments: &[&str], database: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("db").args(arguments).args(["--set", &format!("database.url={database}")]);
    command.current_dir(fresh_folder("db")).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn order(world: &World, number: &str) -> Value {
    let body = json!({"amount": 100, "subject": "Tea", "channel": "wechat.native",
        "order_no": number});
    world.call("POST", "/v1/charges", Some(body)).await.expect(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_under_load_catches_up_by_asking() {
    let settings = ["polling.delay=1s", "polling.attempts=600", "polling.backoff=fixed"];
    let mut world = World::with(&settings).await;
    let database = world.key("database");
    let before = order(&world, "BEFORE").await;
    let copy = fresh_folder("copy").join("copy.db");
    let load = async {
        for n in 0..60 {
            order(&world, &format!("LOAD{n}")).await;
        }
    };
    let target = copy.display().to_string();
    let from = database.clone();
    let backup = tokio::task::spawn_blocking(move || db(&["backup", &target], &from));
    let (made, ()) = tokio::join!(backup, load);
    let made = made.unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let path = format!("sqlite://{}", copy.display());
    let checked = db(&["check"], &path);
    assert!(checked.status.success(), "{}{}", text(&checked.stdout), text(&checked.stderr));

    // What happened after the copy was made is known to the provider alone.
    world.control("pay", json!({"code": before["action"]["code_url"]})).await;
    world.until(&before, "succeeded").await;
    world.kill();
    restore(&copy, Path::new(database.strip_prefix("sqlite://").unwrap()));
    world.run().await;
    let known = world.get(&format!("/v1/charges/{}", id(&before))).await;
    assert_eq!(known["order_no"], "BEFORE");
    world.until(&before, "succeeded").await;
    world.finish().await;
}

/// As the command says that it is done.
fn restore(copy: &Path, database: &Path) {
    for end in ["-wal", "-shm"] {
        let beside = format!("{}{end}", database.display());
        let _none_there = std::fs::remove_file(beside);
    }
    std::fs::copy(copy, database).unwrap();
}

#[test]
fn wrong_uses_say_what_to_do() {
    let folder = fresh_folder("wrong");
    let place = |name: &str| folder.join(name).display().to_string();
    let database = format!("sqlite://{}", place("none.db"));
    let missing = db(&["backup", &place("copy.db")], &database);
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("there is no database"), "{}", text(&missing.stderr));
    let missing = db(&["check"], &database);
    assert_eq!(missing.status.code(), Some(1), "nothing is made by looking");
    let made = db(&["migrate"], &database);
    assert!(made.status.success(), "{}", text(&made.stderr));
    std::fs::write(place("there.db"), "mine").unwrap();
    let there = db(&["backup", &place("there.db")], &database);
    assert_eq!(there.status.code(), Some(1));
    assert!(text(&there.stderr).contains("exists already"), "{}", text(&there.stderr));
    assert_eq!(std::fs::read_to_string(place("there.db")).unwrap(), "mine");
    let server = db(&["backup", &place("copy.db")], "postgres://tongbao@127.0.0.1:1/t");
    assert!(text(&server.stderr).contains("pg_dump"), "{}", text(&server.stderr));
}
