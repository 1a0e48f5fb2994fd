//! What survives the end of the process, a torn write included.

use crate::stand::{Listener, Stand, data_dir};
use crate::wechat_v3::{self, Shop};
use serde_json::json;
use std::io::Write;
use tongbao_sandbox::{Options, Rules, Sandbox, SandboxError, WechatKeys};
use tongbao_types::Span;

#[tokio::test]
async fn trades_notifications_clock_and_rules_survive_a_torn_journal() {
    let folder = data_dir("torn");
    let options = || Options { data_dir: Some(folder.clone()), ..Options::default() };
    let mut listener = Listener::start(500, "").await;

    let stand = Stand::open(options()).await;
    let shop = Shop::by_certificate(&stand);
    let code = shop.place(&wechat_v3::order("T20261121001", &listener.url)).await.unwrap();
    shop.place(&wechat_v3::order("T20261121002", &listener.url)).await.unwrap();
    let played = stand.pay(&code).await;
    listener.next().await;
    let before = stand.tried(1).await;
    stand.advance("10s").await;
    stand.control("rules", json!({"alipay_notify_wait": true})).await;
    stand.stop().await;

    let journal = folder.join("sandbox-journal.jsonl");
    let mut file = std::fs::OpenOptions::new().append(true).open(&journal).unwrap();
    file.write_all(b"{\"trade\":{\"order\":{\"key\":{\"provider\":\"wec").unwrap();
    drop(file);

    listener.answer(200, "");
    let stand = Stand::open(options()).await;
    assert!(stand.clock.offset() >= Span::from_seconds(10));
    let trades = stand.list("trades").await;
    assert_eq!(trades.len(), 2);
    assert_eq!(trades[0]["trade_no"], played["trade_no"]);
    assert_eq!((&trades[0]["state"], &trades[1]["state"]), (&json!("SUCCESS"), &json!("NOTPAY")));
    let after = stand.tried(1).await;
    assert_eq!((&after["id"], &after["body"]), (&before["id"], &before["body"]));
    stand.advance("15s").await;
    listener.next().await;
    assert_eq!(stand.tried(2).await["delivered"], json!(true));
    let (_, rules) = stand.control("rules", json!({})).await;
    assert_eq!(rules["alipay_notify_wait"], json!(true));
    let (status, body) = stand.control("pay", json!({"code": code})).await;
    assert_eq!((status, &body["code"]), (409, &json!("already_paid")));
    stand.stop().await;
}

#[test]
fn credentials_are_kept_beside_the_trades_unless_another_folder_is_named() {
    let folder = data_dir("keys");
    let options = Options { data_dir: Some(folder.clone()), ..Options::default() };
    let first = Sandbox::open(options.clone()).unwrap();
    let second = Sandbox::open(options).unwrap();
    assert!(first.credentials() == second.credentials());
    let file = folder.join("sandbox-credentials.json");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    std::fs::write(&file, "{}").unwrap();
    let damaged = Sandbox::open(Options { data_dir: Some(folder), ..Options::default() });
    assert!(matches!(damaged.err(), Some(SandboxError::Credentials { .. })));
}

#[tokio::test]
async fn rules_given_at_the_start_hold() {
    let mch_rules = Rules { wechat_keys: WechatKeys::PublicKey, ..Rules::default() };
    let stand = Stand::open(Options { mch_rules, ..Options::default() }).await;
    let (_, rules) = stand.control("rules", json!({})).await;
    assert_eq!(rules["wechat_keys"], json!("public_key"));
}
