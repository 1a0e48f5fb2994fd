//! Each channel from its order to its payment and a refund in part: what the payer's side is given
//! works at the provider as it is.

use crate::world::{World, code, eventually, id, out_trade_no};
use data_encoding::BASE64;
use serde_json::{Value, json};
use tongbao_crypt::{RsaPrivateKey, digest};

async fn credentials(world: &World) -> Value {
    world.fetch(&format!("{}/_sandbox/credentials", world.sandbox())).await.expect(200)
}

/// The code that the pretend payer's phone shows now.
async fn auth_code(world: &World, provider: &str) -> Value {
    let url = format!("{}/_sandbox/auth_codes", world.sandbox());
    world.fetch(&url).await.expect(200)[provider]["auth_code"].clone()
}

/// An order of a channel, with what it shows in the form wanted.
async fn ordered(world: &World, channel: &str, account: &str, kind: &str, more: Value) -> Value {
    let mut fields = json!({"channel": channel, "account": account});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let charge = world.order_with(fields).await;
    assert_eq!((&charge["channel"], &charge["status"]), (&json!(channel), &json!("pending")));
    assert_eq!(charge["action"]["type"], kind, "{}", charge["action"]);
    charge
}

/// The payer pays what is shown; the notification alone tells us, and a part goes back.
async fn is_paid(world: &World, charge: &Value) -> Value {
    let played = world.pay(charge).await.expect(200);
    let paid = world.until(charge, "succeeded").await;
    assert_eq!(paid["refused_notices"], json!([]));
    assert_eq!(world.count(charge, "poll.complete").await, 0, "the notification was enough");
    goes_back_in_part(world, charge).await;
    played
}

async fn goes_back_in_part(world: &World, charge: &Value) {
    let refund = world.refund(charge, json!({"amount": 200})).await.expect(201);
    world.advance("3s").await;
    world.until_refund(&refund, "succeeded").await;
    assert_eq!(world.sent_back(charge).await.len(), 1);
    assert_eq!(world.charge(charge).await["amount_refunded"], 200);
}

fn text<'a>(params: &'a Value, name: &str) -> &'a str {
    params[name].as_str().unwrap_or_else(|| panic!("{name} is not in {params}"))
}

/// WeChat v3: the merchant's key signed these lines.
fn check_rsa(credentials: &Value, lines: &[&str], signature: &str) {
    let key = text(&credentials["wechat"], "merchant_private_key");
    let key = RsaPrivateKey::read(key).unwrap().public();
    let message: String = lines.iter().flat_map(|line| [*line, "\n"]).collect();
    let signature = BASE64.decode(signature.as_bytes()).unwrap();
    assert!(key.verify_sha256(message.as_bytes(), &signature), "{message}");
    assert!(!key.verify_sha256(b"something else", &signature));
}

/// WeChat v2: the members but the signature, sorted, and the key at their end.
fn check_md5(credentials: &Value, params: &Value, sign: &str) {
    let members = params.as_object().unwrap().iter().filter(|(name, _)| *name != sign);
    let mut pairs: Vec<String> =
        members.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
    pairs.sort();
    let key = text(&credentials["wechat"], "api_key");
    let signed = format!("{}&key={key}", pairs.join("&"));
    assert_eq!(text(params, sign), digest::md5_hex(signed.as_bytes()).to_uppercase());
}

#[tokio::test]
async fn wechat_jsapi_and_mini_programs_get_signed_parameters() {
    let world = World::start().await;
    let credentials = credentials(&world).await;
    for channel in ["wechat.jsapi", "wechat.mini"] {
        for account in ["dev_wechat_v3", "dev_wechat_v2"] {
            eprintln!("{channel} {account}");
            let payer = json!({"payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}});
            let charge = ordered(&world, channel, account, "jsapi", payer).await;
            let params = &charge["action"]["params"];
            let part = |name| text(params, name);
            assert_eq!(part("appId"), credentials["wechat"]["app_id"]);
            assert!(part("package").starts_with("prepay_id="));
            if account == "dev_wechat_v3" {
                assert_eq!(part("signType"), "RSA");
                let lines = ["appId", "timeStamp", "nonceStr", "package"].map(part);
                check_rsa(&credentials, &lines, part("paySign"));
            } else {
                assert_eq!(part("signType"), "MD5");
                check_md5(&credentials, params, "paySign");
            }
            is_paid(&world, &charge).await;
            let openid = &world.charge(&charge).await["payer"]["openid"];
            assert_eq!(openid, "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o");
        }
    }
    let without = json!({"amount": 1200, "subject": "Tea", "channel": "wechat.jsapi"});
    let refused = world.post("/v1/charges", without).await;
    assert_eq!(refused.body["param"], "payer.openid", "{}", refused.body);
    assert_eq!(refused.status, 400);
    world.finish().await;
}

#[tokio::test]
async fn wechat_apps_get_signed_parameters() {
    let world = World::start().await;
    let credentials = credentials(&world).await;
    for account in ["dev_wechat_v3", "dev_wechat_v2"] {
        eprintln!("{account}");
        let charge = ordered(&world, "wechat.app", account, "app", json!({})).await;
        let params = &charge["action"]["params"];
        let part = |name| text(params, name);
        assert_eq!(part("partnerid"), credentials["wechat"]["mch_id"]);
        assert_eq!(part("package"), "Sign=WXPay");
        if account == "dev_wechat_v3" {
            let lines = ["appid", "timestamp", "noncestr", "prepayid"].map(part);
            check_rsa(&credentials, &lines, part("sign"));
        } else {
            check_md5(&credentials, params, "sign");
        }
        is_paid(&world, &charge).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn wechat_h5_sends_the_browser_to_wechat_and_back() {
    let world = World::start().await;
    for account in ["dev_wechat_v3", "dev_wechat_v2"] {
        eprintln!("{account}");
        let more = json!({"client_ip": "203.0.113.7", "return_url": "https://shop.example/done"});
        let charge = ordered(&world, "wechat.h5", account, "redirect", more).await;
        let page: url::Url = code(&charge).parse().unwrap();
        let back = page.query_pairs().find(|(name, _)| name == "redirect_url").unwrap().1;
        assert_eq!(back, charge["cashier_url"].as_str().unwrap());
        assert_eq!(world.fetch(page.as_str()).await.status, 200);
        is_paid(&world, &charge).await;
        let cashier = world.fetch(&back).await.expect(200);
        assert!(cashier.as_str().unwrap().contains("https://shop.example/done"));
    }
    world.finish().await;
}

/// Alipay's pages send the payer back by way of the gateway.
#[tokio::test]
async fn alipay_pages_are_paid_and_lead_back() {
    let world = World::start().await;
    for channel in ["alipay.page", "alipay.wap"] {
        eprintln!("{channel}");
        let more = json!({"return_url": "https://shop.example/done"});
        let charge = ordered(&world, channel, "dev_alipay_open", "redirect", more).await;
        let played = is_paid(&world, &charge).await;
        let back = world.fetch(played["return_url"].as_str().unwrap()).await;
        assert_eq!(back.status, 303);
        assert_eq!(back.headers["location"], "https://shop.example/done");
    }
    world.finish().await;
}

#[tokio::test]
async fn alipay_apps_get_an_order_string_that_pays() {
    let world = World::start().await;
    let charge = ordered(&world, "alipay.app", "dev_alipay_open", "app", json!({})).await;
    assert!(charge["action"]["params"]["orderString"].is_string(), "{}", charge["action"]);
    is_paid(&world, &charge).await;
    world.finish().await;
}

#[tokio::test]
async fn alipay_jsapi_gets_a_trade_no_that_pays() {
    let world = World::start().await;
    let payer = json!({"payer": {"buyer_id": "2088102177846880"}});
    let charge = ordered(&world, "alipay.jsapi", "dev_alipay_open", "jsapi", payer).await;
    let trade_no = charge["action"]["params"]["tradeNO"].clone();
    assert_eq!(world.trade(out_trade_no(&charge)).await["trade_no"], trade_no);
    is_paid(&world, &charge).await;
    assert_eq!(world.charge(&charge).await["payer"]["buyer_id"], "2088102177846880");
    world.finish().await;
}

/// The old gateway: its notification is proved by a question to Alipay, and it cannot refund.
#[tokio::test]
async fn alipays_old_page_is_paid_and_its_notification_proved() {
    let world = World::start().await;
    let fields =
        json!({"channel": "alipay.legacy_page", "return_url": "https://shop.example/done"});
    let charge = world.order_with(fields).await;
    assert_eq!(charge["account"], "dev_alipay_legacy");
    let played = world.pay(&charge).await.expect(200);
    let paid = world.until(&charge, "succeeded").await;
    assert_eq!(paid["refused_notices"], json!([]));
    let asked =
        world.shown("requests").await.into_iter().filter(|request| {
            request["target"].as_str().unwrap().contains("service=notify_verify")
        });
    assert_eq!(asked.count(), 1);
    let notices = world.notices(&charge).await;
    assert_eq!((notices.len(), &notices[0]["delivered"]), (1, &json!(true)));
    let back = world.fetch(played["return_url"].as_str().unwrap()).await;
    assert_eq!(back.headers["location"], "https://shop.example/done");
    let refused = world.refund(&charge, json!({})).await;
    assert_eq!(refused.problem(400), "account_missing");
    assert!(world.refunds(&charge).await.is_empty());
    world.finish().await;
}

/// The channels where the merchant scans the payer's code.
const SCANNED: [(&str, &str, &str); 3] = [
    ("wechat.micropay", "dev_wechat_v3", "wechat"),
    ("wechat.micropay", "dev_wechat_v2", "wechat"),
    ("alipay.barcode", "dev_alipay_open", "alipay"),
];

async fn scanned(world: &World, at: (&str, &str, &str), amount: i64) -> crate::world::Answer {
    eprintln!("{at:?}");
    let (channel, account, provider) = at;
    let payer = json!({"auth_code": auth_code(world, provider).await});
    let body = json!({"amount": amount, "subject": "Tea", "channel": channel, "account": account,
        "payer": payer, "client_ip": "203.0.113.7"});
    world.post("/v1/charges", body).await
}

#[tokio::test]
async fn a_scanned_code_pays_at_once() {
    let world = World::start().await;
    for at in SCANNED {
        let charge = scanned(&world, at, 1200).await.expect(201);
        assert_eq!((&charge["status"], &charge["paid"]), (&json!("succeeded"), &json!(true)));
        let trade = world.trade(out_trade_no(&charge)).await;
        assert_eq!(charge["provider_trade_no"], trade["trade_no"]);
        goes_back_in_part(&world, &charge).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_payer_types_a_password_and_is_waited_for() {
    let world = World::start().await;
    for at in SCANNED {
        let charge = scanned(&world, at, 77_723).await.expect(201);
        assert_eq!(charge["status"], "pending");
        for _look in 0..8 {
            world.advance("5s").await;
            tokio::time::sleep(std::time::Duration::from_millis(30)).await;
        }
        world.advance("2s").await;
        world.until(&charge, "succeeded").await;
        let all = world.requests(&charge).await;
        let signed = all.iter().all(|one| one["signature"]["result"] != "bad");
        assert!(signed && all.len() > 2, "asked {} times", all.len());
        goes_back_in_part(&world, &charge).await;
    }
    world.finish().await;
}

/// Nobody types the password: after 45 seconds the order is taken back, and cannot be paid.
#[tokio::test]
async fn a_code_that_nobody_confirms_is_taken_back() {
    let world = World::start().await;
    for at in SCANNED {
        let charge = scanned(&world, at, 150_000).await.expect(201);
        assert_eq!(charge["status"], "pending");
        world.advance("40s").await;
        eventually("a look found nothing", async || {
            (world.count(&charge, "poll.failed").await > 0).then_some(())
        })
        .await;
        assert_eq!(world.charge(&charge).await["status"], "pending");
        world.advance("6s").await;
        let closed = world.until(&charge, "closed").await;
        assert_eq!(closed["close_reason"], "expired");
        let state = if at.2 == "wechat" { "REVOKED" } else { "TRADE_CLOSED" };
        let trade = world.trade(out_trade_no(&charge)).await;
        assert_eq!(trade["state"], state);
        assert_eq!(trade["refunds"], json!([]));
        let pay = json!({"provider": at.2, "out_trade_no": out_trade_no(&charge)});
        assert_eq!(world.control("pay", pay).await.status, 409);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_scanned_payer_without_money_is_refused_for_good() {
    let world = World::start().await;
    for at in SCANNED {
        for amount in [77_725, 77_726] {
            let refused = scanned(&world, at, amount).await;
            assert_eq!(refused.body["money_moved"], "no", "{}", refused.body);
            let charge = refused.body["charge"].as_str().unwrap().to_owned();
            assert_eq!(refused.problem(402), "provider_refused");
            let charge = world.get(&format!("/v1/charges/{charge}")).await;
            assert_eq!(charge["status"], "failed", "{}", id(&charge));
        }
    }
    assert!(world.shown("trades").await.is_empty());
    world.finish().await;
}
