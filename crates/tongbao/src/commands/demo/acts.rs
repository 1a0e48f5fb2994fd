//! The scenes of the demo. Each places an order over HTTP, lets something happen at the sandbox,
//! and checks from outside that everything came out as it should.

use super::receiver::Receiver;
use super::timeline::{Timeline, events, notifications, requests, time};
use crate::commands::caller::Caller;
use crate::output::{Screen, Style};
use crate::qr_terminal::{self, Ink};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tongbao_types::Fen;

/// Who plays.
pub(super) struct Stage {
    pub(super) api: Caller,
    pub(super) sandbox: Caller,
    pub(super) receiver: Receiver,
    pub(super) screen: Screen,
    pub(super) shows_qr: bool,
}

/// What is ordered.
pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) channel: &'static str,
    pub(super) account: &'static str,
    pub(super) subject: &'static str,
    /// In fen.
    pub(super) amount: i64,
}

/// How a scene ended, for the summary.
pub(super) struct Outcome {
    pub(super) title: String,
    pub(super) channel: &'static str,
    pub(super) amount: String,
    pub(super) learnt_by: &'static str,
    pub(super) ended: &'static str,
    /// From the order until the merchant was told.
    pub(super) took_ms: i64,
}

/// Ordered, paid, notified, told.
pub(super) async fn paid(stage: &Stage, scene: &Scene) -> anyhow::Result<Outcome> {
    heading(stage, scene.title);
    let charge = order(stage, scene).await?;
    show_code(stage, &charge)?;
    pay(stage, &charge).await?;
    let (charge, took_ms) = told(stage, &charge, "charge.succeeded").await?;
    check_paid(scene, &charge)?;
    let notices = notifications(stage, out_trade_no(&charge)).await?;
    let delivered = notices.iter().any(|notice| notice["delivered"] == true);
    ensure!(delivered, "the provider's notification was not accepted: {notices:?}");
    check_signatures(stage, &charge).await?;
    refund_half(stage, &charge).await?;
    Timeline::of(stage, &charge).await?.show(stage);
    done(stage, "paid, notified, the merchant was told; and half of it refunded");
    Ok(outcome(scene, scene.title, ("the notification", "succeeded"), took_ms))
}

/// As [`paid`], but the provider's notification never arrives; polling finds the payment.
pub(super) async fn lost_notification(stage: &Stage, scene: &Scene) -> anyhow::Result<Outcome> {
    heading(stage, &format!("{}, and the notification is lost", scene.title));
    let fault = json!({"provider": "wechat", "notify": {"drop": true}, "times": 1});
    stage.sandbox.post("/_sandbox/faults", &fault).await?;
    let charge = order(stage, scene).await?;
    pay(stage, &charge).await?;
    stage.screen.line("  paid; the notification is lost on its way; now the gateway has to ask …");
    let (charge, took_ms) = told(stage, &charge, "charge.succeeded").await?;
    check_paid(scene, &charge)?;
    let notices = notifications(stage, out_trade_no(&charge)).await?;
    let arrived = notices.iter().any(|notice| notice["delivered"] == true);
    ensure!(!arrived, "a notification arrived although it should be lost: {notices:?}");
    let found = events(stage, id(&charge)).await?;
    let found = found.iter().any(|event| event["type"] == "poll.complete");
    ensure!(found, "the charge is paid, but no look of the polling found that");
    Timeline::of(stage, &charge).await?.show(stage);
    done(stage, "paid, and polling found it");
    Ok(outcome(scene, "notification lost", ("polling", "succeeded"), took_ms))
}

/// Nobody pays: the order is closed at the provider first, and then here.
pub(super) async fn nobody_pays(stage: &Stage, scene: &Scene) -> anyhow::Result<Outcome> {
    heading(stage, &format!("{}, and nobody pays", scene.title));
    let charge = order(stage, scene).await?;
    stage.screen.line("  nobody pays; after three looks the order is given up …");
    let (charge, took_ms) = told(stage, &charge, "charge.closed").await?;
    ensure!(charge["status"] == "closed", "the charge is {}, not closed", charge["status"]);
    let trades = stage.sandbox.get("/_sandbox/trades").await?;
    let trades = trades["data"].as_array().cloned().unwrap_or_default();
    let trade = trades.iter().find(|trade| trade["out_trade_no"] == out_trade_no(&charge));
    let state = trade.context("the provider does not know the order")?["state"].clone();
    ensure!(state == "CLOSED", "the order stands at the provider as {state}, not closed");
    let log = requests(stage, out_trade_no(&charge)).await?;
    let close = log.iter().find(|request| {
        request["operation"].as_str().is_some_and(|operation| operation.contains("close"))
    });
    let close = close.context("the provider's log has no request to close the order")?;
    let (there, here) = (time(&close["at"])?, time(&charge["closed_at"])?);
    ensure!(there <= here, "closed here at {here}, before the provider was asked at {there}");
    Timeline::of(stage, &charge).await?.show(stage);
    let between = here.since(there).as_micros();
    done(stage, &format!("closed at the provider first, and here {between} µs later"));
    Ok(outcome(scene, "nobody pays", ("polling", "closed"), took_ms))
}

/// Two payers scan two codes of one charge, one of each provider, and both pay. The second payment
/// goes back by itself.
pub(super) async fn paid_twice(stage: &Stage, scene: &Scene) -> anyhow::Result<Outcome> {
    heading(stage, "one charge, two codes, and both are paid");
    let fault = json!({"notify": {"delay_ms": 1500}, "times": 2});
    stage.sandbox.post("/_sandbox/faults", &fault).await?;
    let body = json!({"amount": scene.amount, "subject": scene.subject});
    let charge = stage.api.post("/v1/charges", &body).await?;
    let path = format!("/v1/charges/{}/attempts", id(&charge));
    for channel in ["wechat.native", "alipay.qr"] {
        let charge = stage.api.post(&path, &json!({"channel": channel})).await?;
        stage.screen.line(format!("  {channel}: {}", code(&charge)?));
        pay(stage, &charge).await?;
    }
    stage.receiver.wait_for(id(&charge), "charge.paid_twice").await?;
    let (charge, took_ms) = told(stage, &charge, "charge.succeeded").await?;
    let refunds = stage.api.get(&format!("/v1/refunds?charge={}", id(&charge))).await?;
    let refund = &refunds["data"][0];
    ensure!(refund["cause"] == "paid_twice", "the second payment has no refund: {refunds}");
    stage.receiver.wait_for(id(refund), "refund.succeeded").await?;
    Timeline::of(stage, &charge).await?.show(stage);
    done(stage, "paid once; the second payment went back by itself");
    Ok(outcome(scene, "paid twice", ("both providers", "succeeded"), took_ms))
}

/// Gives half of a payment back and waits until the merchant is told that the money arrived.
async fn refund_half(stage: &Stage, charge: &Value) -> anyhow::Result<()> {
    let amount = charge["amount"].as_i64().unwrap_or_default() / 2;
    let body = json!({"charge": id(charge), "amount": amount, "reason": "demo"});
    let refund = stage.api.post("/v1/refunds", &body).await?;
    stage.screen.line(format!("  refunding {}: {}", yuan(amount), id(&refund)));
    stage.receiver.wait_for(id(&refund), "refund.succeeded").await?;
    let now = stage.api.get(&format!("/v1/charges/{}", id(charge))).await?;
    ensure!(now["amount_refunded"] == amount, "the charge says {}", now["amount_refunded"]);
    let trades = stage.sandbox.get("/_sandbox/trades").await?;
    let trades = trades["data"].as_array().cloned().unwrap_or_default();
    let trade = trades.iter().find(|trade| trade["out_trade_no"] == out_trade_no(charge));
    let gone = trade.map(|trade| trade["refunded"].clone());
    ensure!(gone == Some(json!(amount)), "the provider gave back {gone:?}, not {amount}");
    Ok(())
}

pub(super) fn heading(stage: &Stage, title: &str) {
    stage.screen.line("");
    stage.screen.line(stage.screen.paint(Style::Bold, format!("━━ {title}")));
}

pub(super) fn done(stage: &Stage, words: &str) {
    stage.screen.line(stage.screen.paint(Style::Green, format!("  ✓ {words}")));
}

async fn order(stage: &Stage, scene: &Scene) -> anyhow::Result<Value> {
    let Scene { channel, account, subject, amount, .. } = scene;
    let body = json!({
        "amount": amount, "subject": subject, "channel": channel, "account": account,
    });
    let charge = stage.api.post("/v1/charges", &body).await?;
    ensure!(charge["status"] == "pending", "a new charge is {}, not pending", charge["status"]);
    code(&charge)?;
    let price = yuan(*amount);
    stage.screen.line(format!("  {subject}, {price}, {channel}: {} ", id(&charge)));
    Ok(charge)
}

fn show_code(stage: &Stage, charge: &Value) -> anyhow::Result<()> {
    let code = code(charge)?;
    if stage.shows_qr {
        let ink = if stage.screen.has_colours() { Ink::Coloured } else { Ink::Plain };
        for line in qr_terminal::draw(code, ink)? {
            stage.screen.line(format!("    {line}"));
        }
    }
    stage.screen.line(format!("    {code}"));
    Ok(())
}

async fn pay(stage: &Stage, charge: &Value) -> anyhow::Result<()> {
    let played = stage.sandbox.post("/_sandbox/pay", &json!({"code": code(charge)?})).await?;
    ensure!(
        played["amount"] == charge["amount"],
        "the payer was asked for {} fen instead of {}",
        played["amount"],
        charge["amount"]
    );
    Ok(())
}

/// Waits until the merchant was told, and reads the charge as it is then; also how many
/// milliseconds after the order that was.
pub(super) async fn told(
    stage: &Stage,
    charge: &Value,
    kind: &str,
) -> anyhow::Result<(Value, i64)> {
    let received = stage.receiver.wait_for(id(charge), kind).await?;
    let charge = stage.api.get(&format!("/v1/charges/{}", id(charge))).await?;
    let took = received.at.since(time(&charge["created_at"])?);
    Ok((charge, took.as_micros() / 1000))
}

fn check_paid(scene: &Scene, charge: &Value) -> anyhow::Result<()> {
    ensure!(charge["status"] == "succeeded", "the charge is {}, not succeeded", charge["status"]);
    ensure!(charge["paid"] == true, "the charge does not say that it is paid");
    ensure!(charge["provider_trade_no"].is_string(), "the provider's trade number is missing");
    ensure!(charge["account"] == scene.account, "the order went to {}", charge["account"]);
    Ok(())
}

/// The provider must have found every signature of ours right.
async fn check_signatures(stage: &Stage, charge: &Value) -> anyhow::Result<()> {
    let log = requests(stage, out_trade_no(charge)).await?;
    ensure!(!log.is_empty(), "the provider's log has no request about the order");
    let wrong = log.iter().find(|request| request["signature"]["result"] != "good");
    ensure!(wrong.is_none(), "the provider refused a signature: {wrong:?}");
    Ok(())
}

fn outcome(
    scene: &Scene,
    title: &str,
    (learnt_by, ended): (&'static str, &'static str),
    took_ms: i64,
) -> Outcome {
    Outcome {
        title: title.to_owned(),
        channel: scene.channel,
        amount: yuan(scene.amount),
        learnt_by,
        ended,
        took_ms,
    }
}

pub(super) fn yuan(fen: i64) -> String {
    format!("¥{}", Fen(fen).to_yuan())
}

pub(super) fn id(charge: &Value) -> &str {
    charge["id"].as_str().unwrap_or_default()
}

fn out_trade_no(charge: &Value) -> &str {
    charge["attempts"][0]["out_trade_no"].as_str().unwrap_or_default()
}

fn code(charge: &Value) -> anyhow::Result<&str> {
    let code = charge["action"]["code_url"].as_str();
    code.with_context(|| format!("the charge has no code to scan: {}", charge["action"]))
}
