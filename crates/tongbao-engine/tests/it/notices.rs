//! Notifications that must not be believed: each is refused in the provider's own form, changes
//! nothing, and leaves its reason at the charge where that can be known.

use crate::provider::{Kind, Op, Said};
use crate::world::{AMOUNT, World, number};
use serde_json::Value;
use std::sync::atomic::Ordering;
use tongbao_engine::{Clock, Engine};
use tongbao_types::{HttpRequest, Provider, Span};

/// A change, its name, and the reason that it leaves at the charge (empty: the order cannot be
/// known from it).
type Case = (&'static str, HttpRequest, &'static str);

fn body(notice: &HttpRequest) -> String {
    String::from_utf8(notice.body.to_vec()).unwrap()
}

fn with_body(notice: &HttpRequest, body: impl Into<Vec<u8>>) -> HttpRequest {
    HttpRequest { body: body.into().into(), ..notice.clone() }
}

fn with_header(notice: &HttpRequest, name: &str, text: &str) -> HttpRequest {
    let mut notice = notice.clone();
    for (known, value) in &mut notice.headers {
        if known == name {
            *value = text.to_owned();
        }
    }
    notice
}

/// The last letter of the cipher text becomes another.
fn flipped(notice: &HttpRequest) -> HttpRequest {
    let mut json: Value = serde_json::from_slice(&notice.body).unwrap();
    let text = json["resource"]["ciphertext"].as_str().unwrap();
    let (first, rest) = text.split_at(1);
    json["resource"]["ciphertext"] =
        format!("{}{rest}", if first == "A" { "B" } else { "A" }).into();
    with_body(notice, json.to_string())
}

fn cases(world: &World, charge: &Value) -> Vec<Case> {
    let say = |said: Said| world.notice(charge, &said);
    let genuine = say(Said::default());
    // MD5 is the weaker one: for an account that uses it, another method is a plain mismatch.
    let is_md5 = world.kind == Kind::V2Md5;
    let another_way = if is_md5 { "signature_mismatch" } else { "signature_downgraded" };
    let half = genuine.body[..genuine.body.len() / 2].to_vec();
    let mut cases = vec![
        ("another key", say(Said { forged: true, ..Said::default() }), "signature_mismatch"),
        (
            "another app",
            say(Said { app_id: Some("2021000000000009"), ..Said::default() }),
            "account_mismatch",
        ),
        (
            "another merchant",
            say(Said { merchant: Some("2088999999999999"), ..Said::default() }),
            "account_mismatch",
        ),
        ("less", say(Said { amount: Some(AMOUNT - 1), ..Said::default() }), "amount_mismatch"),
        ("more", say(Said { amount: Some(AMOUNT + 1), ..Said::default() }), "amount_mismatch"),
        ("signed in another way", say(Said { downgraded: true, ..Said::default() }), another_way),
        ("another order", say(Said { number: Some("ORDER9999"), ..Said::default() }), ""),
        ("nothing", with_body(&genuine, ""), ""),
    ];
    match world.kind {
        Kind::AlipayKey | Kind::AlipayCertificate => {
            let start = genuine.body[..20].to_vec();
            cases.push(("the start of it", with_body(&genuine, start), ""));
            let whole = body(&genuine);
            let others = whole.split('&').filter(|pair| !pair.starts_with("sign="));
            let others: Vec<&str> = others.collect();
            cases.push((
                "no signature",
                with_body(&genuine, others.join("&")),
                "signature_missing",
            ));
            let more = format!("{}&x=y", body(&genuine));
            cases.push(("a field more", with_body(&genuine, more), "signature_mismatch"));
        }
        Kind::V2Md5 | Kind::V2Hmac => {
            cases.push(("half of it", with_body(&genuine, half), ""));
            let cheaper = body(&genuine).replace(&AMOUNT.to_string(), "1");
            cases.push(("cheaper", with_body(&genuine, cheaper), "signature_mismatch"));
        }
        _ => {
            cases.push(("half of it", with_body(&genuine, half), ""));
            cases.push(("a letter flipped", flipped(&genuine), ""));
            let old = say(Said { age: 301, ..Said::default() });
            cases.push(("ten minutes old", old, "notice_stale"));
            let new = say(Said { age: -301, ..Said::default() });
            cases.push(("from the future", new, "notice_stale"));
            let probe = "WECHATPAY/SIGNTEST/QmFzZTY0";
            let probe = with_header(&genuine, "Wechatpay-Signature", probe);
            cases.push(("a probe", probe, "signature_mismatch"));
            let unknown = with_header(&genuine, "Wechatpay-Serial", &"5".repeat(40));
            cases.push(("an unknown key", unknown, "signature_key_unknown"));
        }
    }
    if world.kind.provider() == Provider::Wechat {
        let dollars = say(Said { currency: Some("USD"), ..Said::default() });
        cases.push(("dollars", dollars, "currency_mismatch"));
    }
    cases
}

async fn n_refused(world: &World, charge: &Value, code: &str) -> i64 {
    let now = world.now(charge).await;
    let all = now["refused_notices"].as_array().unwrap().clone();
    let counted = all.iter().filter(|one| code.is_empty() || one["code"] == code);
    counted.map(|one| one["count"].as_i64().unwrap()).sum()
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_in_everything_is_refused_and_changes_nothing() {
    for kind in Kind::ALL {
        let world = World::of(kind);
        let charge = world.order().await;
        world.pay(&charge);
        let version = world.version(&charge).await;
        for (name, notice, code) in cases(&world, &charge) {
            let case = format!("{kind:?}, {name}");
            let before =
                (n_refused(&world, &charge, "").await, n_refused(&world, &charge, code).await);
            let answer = world.receive(notice).await;
            world.write_counted().await;
            assert!(kind.protocol().is_refused(&answer), "{case}: {answer:?}");
            assert!(!kind.protocol().is_accepted(&answer), "{case}");
            assert_eq!(world.now(&charge).await["status"], "pending", "{case}");
            assert_eq!(world.version(&charge).await, version, "{case}");
            let more = i64::from(!code.is_empty());
            let now = world.now(&charge).await["refused_notices"].clone();
            assert_eq!(n_refused(&world, &charge, "").await, before.0 + more, "{case}: {now}");
            assert_eq!(n_refused(&world, &charge, code).await, before.1 + more, "{case}: {now}");
        }
        assert!(world.notify(&charge).await, "{kind:?}: the genuine one is believed");
        assert_eq!(world.count(&charge, "charge.succeeded").await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_a_notice_needs_are_fetched_once_and_then_believed() {
    let mut world = World::of(Kind::V3Fetched);
    let charge = world.order().await;
    world.pay(&charge);
    world.restart();
    world.provider().forget_calls();
    assert!(world.notify(&charge).await);
    assert_eq!(world.n_calls(Op::Keys), 1);
    assert_eq!(world.now(&charge).await["status"], "succeeded");
}

#[tokio::test(start_paused = true)]
async fn strangers_cannot_make_us_ask_for_keys_more_than_once_a_minute() {
    let world = World::of(Kind::V3PublicKey);
    let charge = world.order().await;
    world.pay(&charge);
    let genuine = world.notice(&charge, &Said::default());
    for round in 1..=3 {
        for serial in 0..20 {
            let name = format!("{serial:040}");
            world.receive(with_header(&genuine, "Wechatpay-Serial", &name)).await;
        }
        assert_eq!(world.n_calls(Op::Keys), round);
        world.clock.advance(Span::from_seconds(60));
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_stored_is_answered_so_that_it_comes_again() {
    for kind in Kind::ALL {
        let world = World::of(kind);
        let charge = world.order().await;
        world.pay(&charge);
        world.store.is_down.store(true, Ordering::SeqCst);
        let answer = world.receive(world.notice(&charge, &Said::default())).await;
        assert!(kind.protocol().is_refused(&answer), "{kind:?}");
        assert!(!kind.protocol().is_accepted(&answer), "{kind:?}");
        world.store.is_down.store(false, Ordering::SeqCst);
        assert!(world.notify(&charge).await, "{kind:?}");
    }
}

/// Alipay tells of a trade that waits for its buyer, too.
#[tokio::test(start_paused = true)]
async fn news_that_is_not_followed_is_taken_without_effect() {
    let world = World::of(Kind::AlipayKey);
    let charge = world.order().await;
    let version = world.version(&charge).await;
    assert!(world.notify(&charge).await);
    assert_eq!(world.version(&charge).await, version);
    world.provider().close_by_itself(&number(&charge));
    assert!(world.notify(&charge).await, "nor does a closed one surprise");
    assert_eq!(world.now(&charge).await["status"], "closed");
}

/// The same bytes, posted to the address of another account with the same credentials.
#[tokio::test(start_paused = true)]
async fn a_notice_at_another_accounts_address_finds_no_order() {
    for kind in Kind::PROTOCOLS {
        let world = World::of(kind);
        let charge = world.order().await;
        world.pay(&charge);
        let notice = world.notice(&charge, &Said::default());
        let engine: &Engine = &world.engine;
        for account in ["live", "other"] {
            let answer = engine.receive_notice(kind.provider(), account, notice.clone()).await;
            assert!(kind.protocol().is_refused(&answer), "{kind:?}");
        }
        assert_eq!(world.now(&charge).await["status"], "pending");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_notice_says_when_and_why_for_a_person() {
    let world = World::v2();
    let charge = world.order().await;
    world.pay(&charge);
    let notice = world.notice(&charge, &Said { amount: Some(1), ..Said::default() });
    world.receive(notice.clone()).await;
    world.clock.advance(Span::from_seconds(15));
    world.receive(notice).await;
    let refused = world.now(&charge).await["refused_notices"][0].clone();
    assert_eq!(refused["count"], 2);
    assert_eq!(refused["last_at"], world.clock.now().to_string());
    let reason = refused["reason"].as_str().unwrap();
    assert!(reason.contains("1200") && reason.contains("1 fen"), "{reason}");
}

/// A stranger who knows an order's number costs one write a second, and every notice is counted.
#[tokio::test(start_paused = true)]
async fn forged_notices_are_written_once_a_second() {
    let world = World::v2();
    let charge = world.order().await;
    world.pay(&charge);
    let forged = world.notice(&charge, &Said { forged: true, ..Said::default() });
    let n_commits = || world.store.n_commits.load(Ordering::SeqCst);
    let before = n_commits();
    for _ in 0..1000 {
        let answer = world.receive(forged.clone()).await;
        assert!(world.kind.protocol().is_refused(&answer));
    }
    assert_eq!(n_commits(), before + 1);
    assert_eq!(n_refused(&world, &charge, "signature_mismatch").await, 1);
    world.clock.advance(Span::from_seconds(1));
    world.run_due().await;
    assert_eq!(n_commits(), before + 2);
    assert_eq!(n_refused(&world, &charge, "signature_mismatch").await, 1000);
    assert_eq!(world.now(&charge).await["status"], "pending");
    assert!(world.notify(&charge).await, "the genuine one does not wait");
}

/// The runner sleeps, and is woken for what was counted.
#[tokio::test(start_paused = true)]
async fn what_was_counted_is_written_though_nothing_else_is_due() {
    let world = World::v2();
    let charge = world.paid().await;
    let forged = world.notice(&charge, &Said { forged: true, ..Said::default() });
    let stop = tokio_util::sync::CancellationToken::new();
    let strangers = async {
        world.receive(forged.clone()).await;
        world.receive(forged.clone()).await;
        // The runner has looked and gone to sleep again before time passes.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        world.clock.advance(Span::from_seconds(1));
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        assert_eq!(n_refused(&world, &charge, "signature_mismatch").await, 2);
        stop.cancel();
    };
    tokio::join!(world.engine.run_jobs(stop.clone()), strangers);
}
