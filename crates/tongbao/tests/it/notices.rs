//! Provider notifications that must not be believed: each is refused in the provider's own shape,
//! changes nothing, and leaves its reason at the charge where that can be known. Every table ends
//! with the genuine message, which is believed: so it was the change that was refused.

use crate::merchant::Merchant;
use crate::world::{Answer, World, eventually, id, out_trade_no};
use serde_json::{Value, json};
use tongbao_crypt::RsaPrivateKey;

/// A message as the sandbox would have sent it.
#[derive(Clone)]
struct Message {
    url: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Message {
    /// The genuine notification of a charge that was just paid; it was lost on its way.
    async fn genuine(world: &World, account: &str, channel: &str) -> (Value, Message) {
        world.control("faults", json!({"notify": {"drop": true}})).await.expect(200);
        let charge = world.order_with(json!({"channel": channel, "account": account})).await;
        world.pay(&charge).await.expect(200);
        let sent = async || world.notices(&charge).await.into_iter().find(|one| one["body"] != "");
        let notice = eventually("the notification is sent and lost", sent).await;
        let headers = notice["headers"].as_object().unwrap().iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().into()));
        let text = |name: &str| notice[name].as_str().unwrap().to_owned();
        (charge, Message { url: text("url"), headers: headers.collect(), body: text("body") })
    }

    async fn send(&self, world: &World) -> Answer {
        world.raw(&self.url, &self.headers, self.body.clone()).await
    }

    fn with_body(&self, body: impl Into<String>) -> Message {
        Message { body: body.into(), ..self.clone() }
    }

    /// The first `from` in the body becomes `to`; it must be there.
    fn swapped(&self, from: &str, to: &str) -> Message {
        assert!(self.body.contains(from), "{from} is not in {}", self.body);
        self.with_body(self.body.replacen(from, to, 1))
    }

    fn truncated(&self) -> Message {
        self.with_body(&self.body[..self.body.len() / 2])
    }

    fn without(&self, header: &str) -> Message {
        let mut message = self.clone();
        message.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
        assert!(message.headers.len() < self.headers.len(), "{header}");
        message
    }

    fn with(&self, header: &str, value: &str) -> Message {
        let mut message = self.without(header);
        message.headers.push((header.to_owned(), value.to_owned()));
        message
    }

    fn header(&self, wanted: &str) -> &str {
        let found = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        &found.unwrap().1
    }
}

/// One letter of a base64 text becomes another.
fn flipped(text: &str) -> String {
    let (at, letter) = text.char_indices().find(|(_, c)| c.is_ascii_alphabetic()).unwrap();
    let other = if letter == 'A' { 'B' } else { 'A' };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[derive(Clone, Copy)]
enum Shape {
    V2,
    V3,
    Alipay,
}

impl Shape {
    #[track_caller]
    fn check_refused(self, case: &str, answer: &Answer) {
        let text = answer.body.as_str().unwrap_or_default();
        match self {
            Shape::V2 => {
                assert!(text.contains("FAIL") && !text.contains("SUCCESS"), "{case}: {text}");
            }
            Shape::V3 => {
                assert!((400..600).contains(&answer.status), "{case}: {}", answer.status);
                assert_eq!(answer.body["code"], "FAIL", "{case}: {}", answer.body);
            }
            Shape::Alipay => {
                assert!(text.starts_with("fail"), "{case}: {}", answer.body);
            }
        }
    }

    #[track_caller]
    fn check_accepted(self, answer: &Answer) {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let text = answer.body.as_str().unwrap_or_default();
        match self {
            Shape::V2 => assert!(text.contains("SUCCESS"), "{text}"),
            Shape::V3 => assert_eq!(answer.body["code"], "SUCCESS"),
            Shape::Alipay => assert_eq!(text, "success"),
        }
    }
}

/// A change, its name, and the reason that it leaves at the charge (empty: the order cannot be
/// known from it).
type Case = (&'static str, Message, &'static str);

/// Sends each changed message, and the genuine one at the end.
async fn check(world: World, shape: Shape, charge: Value, genuine: Message, cases: Vec<Case>) {
    let before = world.events(&charge).await;
    let mut seen = 0;
    for (case, message, code) in cases {
        let answer = message.send(&world).await;
        shape.check_refused(case, &answer);
        seen += i64::from(!code.is_empty());
        // The first of a charge is written at once, more of them once a second.
        let refused = eventually(case, async || {
            let now = world.charge(&charge).await;
            assert_eq!(now["status"], "pending", "{case}");
            let refused = now["refused_notices"].as_array().unwrap().clone();
            let count = |one: &Value| one["count"].as_i64().unwrap();
            let all: i64 = refused.iter().map(count).sum();
            assert!(all <= seen, "{case}: {refused:?}");
            (all == seen).then_some(refused)
        });
        let refused = refused.await;
        let is_told = refused.iter().any(|one| one["code"] == code);
        assert_eq!(is_told, !code.is_empty(), "{case}: {refused:?}");
    }
    assert_eq!(world.events(&charge).await, before);
    shape.check_accepted(&genuine.send(&world).await);
    assert_eq!(world.charge(&charge).await["status"], "succeeded");
    world.finish().await;
}

const XXE: &str = "<?xml version=\"1.0\"?><!DOCTYPE xml [<!ENTITY x SYSTEM \
                   \"file:///etc/passwd\">]><xml><return_code>&x;</return_code></xml>";

fn bomb() -> String {
    let mut entities = "<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..30 {
        let before = format!("&a{};", level - 1);
        entities.push_str(&format!("<!ENTITY a{level} \"{before}{before}\">"));
    }
    format!("<!DOCTYPE xml [{entities}]><xml><return_code>&a29;</return_code></xml>")
}

#[tokio::test]
async fn wechat_v2_notices_are_believed_only_if_everything_fits() {
    let world = World::start().await;
    let (charge, genuine) = Message::genuine(&world, "dev_wechat_v2", "wechat.native").await;
    let sign = genuine.body.split("<sign>").nth(1).unwrap().split("</sign>").next().unwrap();
    let unsigned = genuine.swapped(&format!("<sign>{sign}</sign>"), "");
    let inner = genuine.body.replacen("<xml>", "", 1);
    let doctype = format!("<!DOCTYPE xml [<!ENTITY x \"y\">]><xml>{inner}");
    let element = |name: &str| {
        let after = genuine.body.split(&format!("<{name}>")).nth(1).unwrap();
        after.split(&format!("</{name}>")).next().unwrap().to_owned()
    };
    // The same string to sign, and so the same signature, with the payer in the nonce's text.
    let (nonce, payer) = (element("nonce_str"), element("openid"));
    let joint = payer.replace("<![CDATA[", "").replace("]]>", "");
    let recut = genuine
        .swapped(&format!("<openid>{payer}</openid>"), "")
        .swapped(&nonce, &format!("{nonce}&amp;openid={joint}"));
    let declared = format!("<?xml version=\"1.0\" encoding=\"GBK\"?>{}", genuine.body);
    let cases = vec![
        ("the fields cut elsewhere", recut, "notice_malformed"),
        ("a name of two fields", genuine.swapped("<xml>", "<xml><a=1&b>1</a=1&b>"), ""),
        ("a field twice", genuine.swapped("<xml>", "<xml><total_fee>1</total_fee>"), ""),
        ("a field within a field", genuine.swapped("<sign>", "<x><y/></x><sign>"), ""),
        ("an attribute", genuine.swapped("<sign>", "<sign a=\"1\">"), ""),
        ("a namespace", genuine.swapped("<xml>", "<xml xmlns=\"urn:x\">"), ""),
        ("another charset by its declaration", genuine.with_body(declared), ""),
        ("one long name", genuine.with_body(format!("<{}/>", "a".repeat(60_000))), ""),
        ("another amount", genuine.swapped("1200", "1201"), "signature_mismatch"),
        ("another signature", genuine.swapped(sign, &"0".repeat(50)), "signature_mismatch"),
        ("no signature", unsigned, "signature_missing"),
        ("half of it", genuine.truncated(), ""),
        ("nothing", genuine.with_body(""), ""),
        ("a document type", genuine.with_body(doctype), ""),
        ("an external entity", genuine.with_body(XXE), ""),
        ("an entity bomb", genuine.with_body(bomb()), ""),
        ("two roots", genuine.with_body(genuine.body.repeat(2)), ""),
        ("JSON", genuine.with_body("{}"), ""),
    ];
    let huge = genuine.with_body(format!("<xml>{}</xml>", "a".repeat(1 << 20)));
    assert_eq!(huge.send(&world).await.status, 413);
    check(world, Shape::V2, charge, genuine, cases).await;
}

#[tokio::test]
async fn wechat_v3_notices_are_believed_only_if_everything_fits() {
    let world = World::start().await;
    let (charge, genuine) = Message::genuine(&world, "dev_wechat_v3", "wechat.native").await;
    let signature = flipped(genuine.header("wechatpay-signature"));
    let cipher: Value = serde_json::from_str(&genuine.body).unwrap();
    let cipher = cipher["resource"]["ciphertext"].as_str().unwrap().to_owned();
    let probe = format!("WECHATPAY/SIGNTEST/{signature}");
    let elsewhere = genuine.url.replace("dev_wechat_v3", "other_wechat_v3");
    let foreign = Message { url: elsewhere, ..genuine.clone() };
    let cases = vec![
        (
            "another signature",
            genuine.with("wechatpay-signature", &signature),
            "signature_mismatch",
        ),
        ("another time", genuine.with("wechatpay-timestamp", "1554208460"), "signature_mismatch"),
        ("another nonce", genuine.with("wechatpay-nonce", "EWQQMXS"), "signature_mismatch"),
        ("no signature", genuine.without("wechatpay-signature"), "signature_missing"),
        (
            "a foreign key",
            genuine.with("wechatpay-serial", &"5".repeat(40)),
            "signature_key_unknown",
        ),
        ("an old message", old(&world, &genuine), "notice_stale"),
        ("WeChat's probe", genuine.with("wechatpay-signature", &probe), "signature_mismatch"),
        ("no key named", genuine.without("wechatpay-serial"), "signature_missing"),
        ("another kind", genuine.with("wechatpay-signature-type", "SM2"), "signature_downgraded"),
        ("a member twice", genuine.swapped("{", "{\"id\":\"1\","), ""),
        ("a line end more", genuine.with_body(format!("{}\n", genuine.body)), "signature_mismatch"),
        ("a deep list", genuine.with_body("[".repeat(60_000)), ""),
        ("another cipher text", genuine.swapped(&cipher, &flipped(&cipher)), ""),
        ("a cipher text cut off", genuine.swapped(&cipher, &cipher[..40]), ""),
        ("half of it", genuine.truncated(), ""),
        ("nothing", genuine.with_body(""), ""),
        ("XML", genuine.with_body(XXE), ""),
        ("another app's address", foreign, ""),
    ];
    check(world, Shape::V3, charge, genuine, cases).await;
}

/// The genuine message, signed anew with the provider's own key ten minutes ago.
fn old(world: &World, genuine: &Message) -> Message {
    let kept = std::fs::read(world.data.join("sandbox/sandbox-credentials.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    let by_key = genuine.header("wechatpay-serial").starts_with("PUB_KEY_ID_");
    let name = if by_key { "platform_public_key_pair" } else { "platform_private_key" };
    let key = RsaPrivateKey::read(kept[name].as_str().unwrap()).unwrap();
    let time: i64 = genuine.header("wechatpay-timestamp").parse().unwrap();
    let (time, nonce) = ((time - 600).to_string(), genuine.header("wechatpay-nonce"));
    let signature = key.sign_sha256(format!("{time}\n{nonce}\n{}\n", genuine.body).as_bytes());
    genuine.with("wechatpay-timestamp", &time).with("wechatpay-signature", &signature)
}

#[tokio::test]
async fn alipay_notices_are_believed_only_if_everything_fits() {
    let world = World::start().await;
    let (charge, genuine) = Message::genuine(&world, "dev_alipay_open", "alipay.qr").await;
    let part = |name: &str| {
        let pairs = genuine.body.split('&');
        let found = pairs.into_iter().find(|pair| pair.starts_with(&format!("{name}=")));
        found.unwrap().to_owned()
    };
    let sign = part("sign");
    // The same string to sign, and so the same signature, with one moment in another's value.
    let (created, paid) = (part("gmt_create"), part("gmt_payment"));
    let joint = format!("{created}%26{}", paid.replacen('=', "%3D", 1));
    let recut = genuine.swapped(&format!("&{paid}"), "").swapped(&created, &joint);
    let other = format!("sign={}", flipped(sign.trim_start_matches("sign=")));
    let cases = vec![
        ("another amount", genuine.swapped("12.00", "12.01"), "signature_mismatch"),
        ("another signature", genuine.swapped(&sign, &other), "signature_mismatch"),
        ("the members cut elsewhere", recut, "notice_malformed"),
        (
            "an order twice",
            genuine.with_body(format!("{}&out_trade_no=1", genuine.body)),
            "notice_malformed",
        ),
        ("another charset", genuine.swapped("charset=utf-8", "charset=utf-7"), "notice_malformed"),
        ("a signature of blanks", genuine.swapped(&sign, "sign=+"), "signature_missing"),
        ("no kind of signature", genuine.swapped("&sign_type=RSA2", ""), "signature_downgraded"),
        ("another field", genuine.with_body(format!("{}&x=y", genuine.body)), "signature_mismatch"),
        ("no signature", genuine.swapped(&format!("&{sign}"), ""), "signature_missing"),
        ("an older method", genuine.swapped("RSA2", "RSA"), "signature_downgraded"),
        ("half of it", genuine.truncated(), "signature_missing"),
        ("nothing", genuine.with_body(""), ""),
        ("XML", genuine.with_body(XXE), ""),
    ];
    check(world, Shape::Alipay, charge, genuine, cases).await;
}

const ACCOUNTS: [(&str, &str, &str); 3] = [
    ("wechat", "wechat.native", "dev_wechat_v3"),
    ("wechat", "wechat.native", "dev_wechat_v2"),
    ("alipay", "alipay.qr", "dev_alipay_open"),
];

/// Signed by the provider itself, but about another amount or another app than the order's.
#[tokio::test]
async fn a_signed_notice_with_other_contents_is_not_believed() {
    let world = World::start().await;
    let wrongs = [
        (json!({"amount": 1201}), "amount_mismatch"),
        (json!({"app_id": "wx0000000000000000"}), "account_mismatch"),
    ];
    for (provider, channel, account) in ACCOUNTS {
        for (wrong, code) in &wrongs {
            let fault = json!({"provider": provider, "notify": wrong, "times": 1});
            world.control("faults", fault).await.expect(200);
            let charge = world.order_with(json!({"channel": channel, "account": account})).await;
            world.pay(&charge).await.expect(200);
            let sent = async || {
                let all = world.notices(&charge).await;
                all.into_iter().find(|one| !one["tries"].as_array().unwrap().is_empty())
            };
            let notice = eventually("the notification was sent", sent).await;
            assert_eq!(notice["delivered"], false, "{account}: {notice}");
            let now = world.charge(&charge).await;
            assert_eq!(now["refused_notices"][0]["code"], *code, "{account}: {now}");
            if *code == "amount_mismatch" {
                // It is signed, so the provider is asked at once, and knows better.
                let now = world.until(&charge, "succeeded").await;
                assert_eq!(now["amount_paid"], now["amount"]);
                continue;
            }
            assert_eq!(now["status"], "pending", "{account} {code}");
            // The provider repeats it, and this time it is right.
            world.advance("5m").await;
            world.until(&charge, "succeeded").await;
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn the_same_notice_a_hundred_times_has_one_effect() {
    let world = World::start().await;
    let merchant = Merchant::open(&world, &["charge.succeeded"]).await;
    let shapes = [Shape::V3, Shape::V2, Shape::Alipay];
    for ((_, channel, account), shape) in ACCOUNTS.into_iter().zip(shapes) {
        let (charge, genuine) = Message::genuine(&world, account, channel).await;
        let all = (0..100).map(|_| genuine.send(&world));
        let answers = futures_util::future::join_all(all).await;
        answers.iter().for_each(|answer| shape.check_accepted(answer));
        let kinds = world.events(&charge).await;
        let paid = kinds.iter().filter(|kind| *kind == "charge.succeeded").count();
        assert_eq!(paid, 1, "{account}: {kinds:?}");
        assert_eq!(merchant.until(&charge, "charge.succeeded", 1).await.len(), 1);
    }
    assert_eq!(merchant.received().len(), 3);
    eventually("the deliveries are recorded", async || {
        let list = world.get("/v1/deliveries?status=succeeded").await;
        (list["data"].as_array().unwrap().len() == 3).then_some(())
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn notices_for_accounts_that_are_not_here_are_refused() {
    let world = World::start().await;
    for path in ["/notify/wechat/nobody", "/notify/alipay/dev_wechat_v3", "/notify/wechat/%00"] {
        let url = format!("{}{path}", world.gateway());
        let answer = world.raw(&url, &[], "x").await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    world.finish().await;
}

/// The buyer pays on a page that was opened before the charge was closed here, when the provider
/// knew of no trade yet. The payment is recorded, and the charge says so.
#[tokio::test]
async fn a_payment_after_the_end_is_never_lost() {
    let world = World::start().await;
    let charge = world.order("alipay.page").await;
    let closed = world.post(&format!("/v1/charges/{}/close", id(&charge)), json!({})).await;
    assert_eq!(closed.expect(200)["status"], "closed");
    let paid = world.pay(&charge).await.expect(200);
    assert_eq!(paid["out_trade_no"], out_trade_no(&charge));
    let look = async || {
        let kinds = world.events(&charge).await;
        kinds.contains(&"charge.paid_late".to_owned()).then_some(())
    };
    eventually("the late payment is recorded", look).await;
    let now = world.charge(&charge).await;
    assert_eq!(now["failure"]["code"], "paid_late", "{now}");
    assert_eq!(now["provider_trade_no"], paid["trade_no"], "{now}");
    world.finish().await;
}
