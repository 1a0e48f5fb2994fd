//! `tongbao demo --profiles`: one payment through the routes of each older service, as its own
//! callers ask for it, told in its own way where it had one.

use super::APP;
use super::acts::{Outcome, Stage, done, heading, id, told, yuan};
use super::receiver::Door;
use super::timeline::{Timeline, events};
use crate::commands::caller::Caller;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use tongbao_types::Profile;

/// In fen.
const AMOUNT: i64 = 1200;
/// Replies are longer than a line with their pictures and signatures.
const REPLY_SHOWN: usize = 240;

/// An order that a profile made.
struct Ordered {
    profile: Profile,
    channel: &'static str,
    /// The number that the profile gave out.
    number: String,
    /// Where the merchant is told besides the webhook.
    places: &'static [&'static str],
}

/// The configuration of all profiles, for callers on this machine.
pub(super) fn tables(door: &Door) -> anyhow::Result<toml::Table> {
    let mut text = String::new();
    for profile in Profile::ALL {
        text +=
            &format!("[[compat]]\nprofile = \"{profile}\"\napp = \"{APP}\"\nlivemode = false\n");
        text += "allow_from = [\"127.0.0.0/8\"]\n";
        match profile {
            Profile::Wepay => {
                text += &format!("cb_notify_url = \"{}\"\n", door.told("cbNotifyUrl"))
            }
            Profile::Capi => {
                text += &format!("payment_function_url = \"{}\"\n", door.told("payment"));
            }
            Profile::AuthPay | Profile::Wxpay | Profile::Payorder => {}
        }
    }
    toml::from_str(&text).context("the profiles of the demo")
}

/// Plays all of them.
pub(super) async fn play(stage: &Stage, old: &Caller) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for profile in Profile::ALL {
        heading(stage, &format!("{profile}, {}", whose(*profile)));
        let ordered = order(stage, old, *profile).await;
        let ordered = ordered.with_context(|| profile.as_str())?;
        outcomes.push(ended(stage, ordered).await.with_context(|| profile.as_str())?);
    }
    Ok(outcomes)
}

fn whose(profile: Profile) -> &'static str {
    match profile {
        Profile::AuthPay => "WeChat Pay and Alipay with a polling queue",
        Profile::Wepay => "a WeChat microservice, here for an app",
        Profile::Wxpay => "WeChat codes for a ThinkJS front end",
        Profile::Payorder => "WeChat codes as pictures",
        Profile::Capi => "charges over Alipay for hosted apps",
    }
}

async fn order(stage: &Stage, old: &Caller, profile: Profile) -> anyhow::Result<Ordered> {
    let native = |number: &Value| Ordered {
        profile,
        channel: "wechat.native",
        number: text(number).to_owned(),
        places: &[],
    };
    match profile {
        Profile::AuthPay => {
            let body = json!({"totalFee": AMOUNT.to_string(), "body": "龙井茶"});
            let reply = ask(stage, old, "/auth/pay/wx2.0/", &body).await?;
            pay(stage, &json!({"code": reply["code_url"]})).await?;
            Ok(native(&reply["out_trade_no"]))
        }
        Profile::Wepay => wepay(stage, old).await,
        Profile::Wxpay => {
            let body = json!({"merchant_id": 7, "product_id": 12, "price": "12.00"});
            let reply = ask(stage, old, "/wxPay/toPay", &body).await?;
            pay(stage, &json!({"code": reply["code_url"][0]})).await?;
            Ok(native(&reply["order_id"]))
        }
        Profile::Payorder => {
            let body = json!({"body": "普洱茶", "ip": "127.0.0.1", "total_fee": AMOUNT,
                "trade_type": "NATIVE"});
            let reply = ask(stage, old, "/order", &body).await?;
            pay(stage, &json!({"code": reply["data"]["code_url"]})).await?;
            Ok(native(&reply["data"]["out_trade_no"]))
        }
        Profile::Capi => capi(stage, old).await,
    }
}

async fn wepay(stage: &Stage, old: &Caller) -> anyhow::Result<Ordered> {
    let number = "demo-order-0001";
    let body = json!({"id": number, "fee": AMOUNT, "body": "茉莉花茶", "env": "APP"});
    let reply = ask(stage, old, "/apis/v1/wepay/get_pay_request_params", &body).await?;
    ensure!(reply["errcode"] == 0, "the order was refused: {reply}");
    pay(stage, &json!({"provider": "wechat", "out_trade_no": number})).await?;
    let (profile, number) = (Profile::Wepay, number.to_owned());
    Ok(Ordered { profile, channel: "wechat.app", number, places: &["cbNotifyUrl"] })
}

async fn capi(stage: &Stage, old: &Caller) -> anyhow::Result<Ordered> {
    let notify_url = stage.receiver.told_at("notify_url");
    let body = json!({"subject": "大红袍", "amount": AMOUNT, "trade_no": "43", "channel": "ALIPAY",
        "livemode": false, "notify_url": notify_url});
    let charge = ask(stage, old, "/capi/api/v1/charge", &body).await?;
    let number = charge["id"].to_string();
    let path = format!("/capi/api/v1/charge/{number}/fetch_pay_url");
    let fetched = ask(stage, old, &path, &json!({"channel": "ALIPAY"})).await?;
    stage.screen.line("  the payer opens it, which pays, since livemode is false");
    old.visit(text(&fetched["pay_url"])).await?;
    let places = &["notify_url", "payment"];
    Ok(Ordered { profile: Profile::Capi, channel: "alipay.page", number, places })
}

/// Asks as the older service's caller does, and shows both.
async fn ask(stage: &Stage, old: &Caller, path: &str, body: &Value) -> anyhow::Result<Value> {
    stage.screen.line(format!("  → POST {path} {body}"));
    let reply = old.post(path, body).await?;
    let shown = reply.to_string();
    let cut = if shown.chars().count() > REPLY_SHOWN { " …" } else { "" };
    let shown: String = shown.chars().take(REPLY_SHOWN).collect();
    stage.screen.line(format!("  ← {shown}{cut}"));
    Ok(reply)
}

async fn pay(stage: &Stage, order: &Value) -> anyhow::Result<()> {
    let played = stage.sandbox.post("/_sandbox/pay", order).await?;
    ensure!(played["amount"] == AMOUNT, "the payer was asked for {} fen", played["amount"]);
    Ok(())
}

/// The charge is an ordinary one: `/v1` has it, and its webhook comes.
async fn ended(stage: &Stage, ordered: Ordered) -> anyhow::Result<Outcome> {
    let Ordered { profile, channel, number, places } = ordered;
    let list = stage.api.get(&format!("/v1/charges?order_no={number}")).await?;
    let charge = &list["data"][0];
    ensure!(charge["profile"] == profile.as_str(), "/v1 has no charge of {number}: {list}");
    for place in places {
        stage.receiver.wait_until_told(place, &number).await?;
    }
    let (charge, took_ms) = told(stage, charge, "charge.succeeded").await?;
    ensure!(charge["status"] == "succeeded", "the charge is {}", charge["status"]);
    ensure!(charge["amount_paid"] == AMOUNT, "{} fen were paid", charge["amount_paid"]);
    let looked = events(stage, id(&charge)).await?;
    let looked = looked.iter().any(|event| event["type"] == "poll.complete");
    Timeline::of(stage, &charge).await?.show(stage);
    let words = match places {
        [] => "paid, and the merchant was told by webhook".to_owned(),
        places => format!("paid, and told by webhook and as {}", places.join(" and ")),
    };
    done(stage, &words);
    Ok(Outcome {
        title: profile.to_string(),
        channel,
        amount: yuan(AMOUNT),
        learnt_by: if looked { "polling" } else { "the notification" },
        ended: "succeeded",
        took_ms,
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
