//! Orders of an older service that were imported with its profile: its routes, its notification
//! address and its callback go on.

use super::wepay_shop::Receiver;
use crate::importing::{OlderService, beside, err, import, numbered, out};
use crate::world::World;
use serde_json::{Value, json};
use std::io::Write;

/// A configuration beside a world, with these profiles too.
fn beside_with(world: &World, profiles: &[&str]) -> std::path::PathBuf {
    let folder = beside(world);
    let mut file = std::fs::File::options().append(true).open(folder.join("tongbao.toml")).unwrap();
    for profile in profiles {
        let table = "livemode = false\nallow_from = [\"127.0.0.0/8\"]\n";
        writeln!(file, "[[compat]]\nprofile = \"{profile}\"\napp = \"dev\"\n{table}").unwrap();
    }
    folder
}

async fn ask(world: &World, path: &str, body: Value) -> Value {
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let url = format!("{}{path}", world.gateway());
    world.raw(&url, &headers, body.to_string()).await.expect(200)
}

#[tokio::test]
async fn imported_orders_are_asked_for_notified_and_told_at_the_old_addresses() {
    let receiver = Receiver::open().await;
    let callback = format!("compat.1.cb_notify_url={}/H5", receiver.url);
    let world = World::with(&["polling.delay=10m", "polling.backoff=fixed", &callback]).await;
    let service = OlderService::of(&world).await;
    let at = |path: &str| format!("{}{path}", world.gateway());
    let wepay = at("/apis/v1/wepay/pay_notify");
    let open = service.order(&world, "5ba0000000000001", 1200, &wepay).await;
    let before = service.order(&world, "5ba0000000000002", 300, "http://127.0.0.1:9/gone").await;
    let code = service.order(&world, "China0000000001", 500, &at("/pay/notify_url")).await;
    world.control("pay", json!({"code": before})).await.expect(200);

    let folder = beside_with(&world, &["wepay", "payorder"]);
    let file = folder.join("orders.csv");
    let text = "order_no,amount_fen,subject,channel,created_at,status,profile,metadata.nonce_str\n\
        5ba0000000000001,1200,袜子,wechat.native,2026-11-20 09:03:00,open,wepay,\n\
        5ba0000000000002,300,袜子,wechat.native,2026-11-20 09:03:00,paid,wepay,\n\
        China0000000001,500,测试,wechat.native,2026-11-20 09:03:00,open,payorder,D1629277432053\n";
    std::fs::write(&file, text).unwrap();
    let imported = import(&file, &["--app", "dev", "--mode", "test"]);
    assert!(imported.status.success(), "{}{}", out(&imported), err(&imported));
    world.advance("2s").await;
    let told_before = numbered(&world, "5ba0000000000002").await;
    assert_eq!(told_before["account"], "dev_wechat_v2", "the one that the profile orders through");
    world.until(&told_before, "succeeded").await;

    world.control("pay", json!({"code": open})).await.expect(200);
    let paid = world.until(&numbered(&world, "5ba0000000000001").await, "succeeded").await;
    assert!(world.notices(&paid).await.iter().any(|notice| notice["delivered"] == true));
    assert_eq!(receiver.until("5ba0000000000001", 1).await[0].body["total_fee"], "1200");
    let again = receiver.until("5ba0000000000002", 0).await;
    assert!(again.is_empty(), "the older service itself has told of it: {again:?}");
    let refund = json!({"out_refund_no": "r1", "out_trade_no": "5ba0000000000001",
        "total_fee": 1200, "refund_fee": 200});
    assert_eq!(ask(&world, "/apis/v1/wepay/refund", refund).await["errcode"], 0);

    let query = json!({"out_trade_no": "China0000000001", "nonce_str": "D1629277432053"});
    let unpaid = ask(&world, "/queryOrder", query.clone()).await;
    assert_eq!(unpaid["data"]["trade_state"], "NOTPAY", "{unpaid}");
    world.control("pay", json!({"code": code})).await.expect(200);
    let charge = numbered(&world, "China0000000001").await;
    world.until(&charge, "succeeded").await;
    assert_eq!(world.count(&charge, "poll.complete").await, 0, "the notification was enough");
    assert_eq!(ask(&world, "/queryOrder", query).await["data"]["trade_state"], "SUCCESS");
    world.finish().await;
    std::fs::remove_dir_all(&folder).unwrap();
}
