//! The disk of database and logs is full, and has room again: nothing is acknowledged that is not
//! stored, `/readyz` says why, and all goes on by itself.

use super::books;
use super::field::{Field, Plan, slowest_ms};
use super::instance::program;
use super::kills::seed;
use super::ledger::{Acknowledged, Ledger};
use super::load::{Load, Manner, ROUTES};
use super::small_disk::SmallDisk;
use super::snapshot::text;
use crate::world::{eventually, free_address, fresh_folder};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// From the moment that there is room until `/readyz` says so.
const RECOVERS_IN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn disk_full() {
    let Some(disk) = SmallDisk::open() else { return };
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let plan = Plan::over(&disk.database());
    let plan = Plan { prefix: disk.prefix(), logs: Some(disk.place()), ..plan };
    let mut field = Field::open(plan).await;
    let merchant = field.merchant(&["*"]).await;
    let ledger = Arc::new(Ledger::default());
    let manners = [Manner::Repeats, Manner::GoesOn, Manner::Repeats];
    let load = Load::start(&field.client, &ledger, seed, &manners);
    let rounds = tongbao_evidence::times(3, 40);
    let (mut noticed, mut recovered, mut refused_notices) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        let waiting = wait_for_payers(&field, &ledger, &format!("FULL{round}")).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..500))).await;
        disk.fill();
        let (problem, after) = field.instances[0].until_readiness(503).await;
        check_problem(&problem.body);
        noticed.push(after);
        refused_notices += pay_while_full(&field, &disk, &waiting).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(100..500))).await;
        disk.free();
        let (_, after) = field.instances[0].until_readiness(200).await;
        recovered.push(after);
        eprintln!("round {round}: told after {:?}, ready again after {after:?}", noticed.last());
    }
    load.end().await;
    let slowest = recovered.iter().max().copied().unwrap_or_default();
    assert!(slowest < RECOVERS_IN, "it took {slowest:?} to see that there is room again");
    let refused = ledger.failures();
    assert!(refused.iter().any(|one| one.contains(" 503 ")), "no request felt it: {refused:?}");
    assert!(refused_notices > 0, "no notice felt it");
    let balance = books::check(&field.client, &merchant, &ledger).await;
    field.stop().await;
    let missing = field.instances[0].logged("WARN");
    let told = missing.iter().any(|line| line.contains("log lines are missing here"));
    assert!(told, "the log does not say that lines are missing: {missing:#?}");
    let mut counts = vec![
        ("times full", rounds.to_string()),
        ("slowest until /readyz said 503, ms", slowest_ms(&noticed)),
        ("slowest until ready again, ms", slowest_ms(&recovered)),
        ("notices not accepted at first", refused_notices.to_string()),
        ("requests refused or broken off", ledger.counted("failed requests").to_string()),
    ];
    counts.push((books::NOT_KEPT, ledger.counted(books::NOT_KEPT).to_string()));
    counts.extend(balance.counts());
    let broken = "The disk of database and logs was filled under load, and given room again.";
    tongbao_evidence::record("disk_full", broken, &counts);
}

/// One order at each account that waits for its payer.
async fn wait_for_payers(field: &Field, ledger: &Ledger, name: &str) -> Vec<Value> {
    let mut waiting = Vec::new();
    for (channel, account) in ROUTES {
        let key = format!("{name}-{account}").replace('_', "-");
        let body = json!({"amount": 100, "subject": "Tea", "channel": channel,
            "account": account, "order_no": key});
        let path = "/v1/charges".to_owned();
        let made = field.client.try_call("POST", &path, Some(&body), Some(&key)).await.unwrap();
        let reply = made.expect(201);
        waiting.push(reply.clone());
        ledger.acknowledge(Acknowledged { path, body, key, status: 201, reply });
    }
    waiting
}

fn check_problem(problem: &Value) {
    assert_eq!(problem["code"], "unavailable", "{problem}");
    assert!(text(problem, "detail").contains("disk of the database is full"), "{problem}");
}

/// Payers pay while the disk is full. A notice that is accepted all the same found room in what the
/// database had taken before, and had its effect; how many were not accepted.
async fn pay_while_full(field: &Field, disk: &SmallDisk, waiting: &[Value]) -> u64 {
    let client = &field.client;
    // What was given back since then, such as a log folded in.
    disk.fill();
    for charge in waiting {
        let code = json!({"code": charge["action"]["code_url"]});
        client.control("pay", code).await.expect(200);
    }
    let mut refused = 0;
    for charge in waiting {
        let notice = eventually("its notice is answered", async || {
            let all = client.shown("notifications").await;
            let number = text(&charge["attempts"][0], "out_trade_no");
            let mut own = all.into_iter().filter(|notice| notice["out_trade_no"] == number);
            own.find(|notice| notice["tries"][0].is_object())
        })
        .await;
        let now = client.get(&format!("/v1/charges/{}", text(charge, "id"))).await;
        let is_accepted = notice["delivered"] == true;
        assert!(!is_accepted || now["paid"] == true, "accepted and not stored: {notice} {now}");
        refused += u64::from(!is_accepted);
    }
    refused
}

/// A start on a full disk ends with a message that says what to do; with room it goes well.
#[tokio::test]
async fn a_start_on_a_full_disk_says_so() {
    let Some(disk) = SmallDisk::open() else { return };
    let folder = fresh_folder("full-start");
    let config = folder.join("tongbao.toml");
    let log = disk.place().inside.join("tongbao.jsonl");
    let address = free_address();
    let text = json!({"server": {"listen": address}, "database": {"url": disk.database()},
        "log": {"file": log}});
    std::fs::write(&config, toml::to_string(&text).unwrap()).unwrap();
    let start = || {
        let mut command = program(&disk.prefix());
        let output = command.args(["serve", "--config"]).arg(&config).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let migrate = || {
        let mut command = program(&disk.prefix());
        command.args(["db", "migrate", "--config"]).arg(&config).output().unwrap()
    };
    disk.fill();
    let (new, told) = start();
    assert_eq!(new, Some(1), "{told}");
    assert!(told.contains("no room left for the database"), "{told}");
    disk.free();
    let made = migrate();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    disk.fill();
    let (known, told) = start();
    assert_eq!(known, Some(1), "{told}");
    assert!(told.contains("no room left for the database"), "{told}");
    assert!(told.contains("make room"), "{told}");
    std::fs::remove_dir_all(&folder).unwrap();
}
