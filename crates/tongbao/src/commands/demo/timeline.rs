//! What happened to one charge, from all sides, in the order of time: the charge's events, the
//! sandbox's log of requests and notifications, and the webhooks that arrived.

use super::acts::Stage;
use crate::output::Style;
use anyhow::Context;
use serde_json::Value;
use tongbao_types::Timestamp;

/// One thing that happened.
struct Moment {
    at: Timestamp,
    style: Style,
    who: &'static str,
    what: String,
}

/// Everything about one charge.
pub(super) struct Timeline {
    moments: Vec<Moment>,
    began: Timestamp,
}

/// Reads a time from a public object.
pub(super) fn time(value: &Value) -> anyhow::Result<Timestamp> {
    let text = value.as_str().context("a time is missing")?;
    text.parse().with_context(|| format!("{text} is not a time"))
}

/// The requests that the sandbox got about an order, oldest first.
pub(super) async fn requests(stage: &Stage, out_trade_no: &str) -> anyhow::Result<Vec<Value>> {
    let all = stage.sandbox.get("/_sandbox/requests").await?;
    let about = |request: &&Value| {
        ["target", "body"].iter().any(|part| text(&request[*part]).contains(out_trade_no))
    };
    Ok(list(&all).iter().filter(about).cloned().collect())
}

/// The notifications that the sandbox sent about an order.
pub(super) async fn notifications(stage: &Stage, out_trade_no: &str) -> anyhow::Result<Vec<Value>> {
    let all = stage.sandbox.get("/_sandbox/notifications").await?;
    let about = |notice: &&Value| text(&notice["out_trade_no"]) == out_trade_no;
    Ok(list(&all).iter().filter(about).cloned().collect())
}

/// The charge's events, oldest first.
pub(super) async fn events(stage: &Stage, charge: &str) -> anyhow::Result<Vec<Value>> {
    let all = stage.api.get(&format!("/v1/events?charge={charge}&limit=100")).await?;
    Ok(list(&all).iter().rev().cloned().collect())
}

fn list(object: &Value) -> &[Value] {
    object["data"].as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The moment when the payer paid, if he did.
async fn payment(stage: &Stage, out_trade_no: &str) -> anyhow::Result<Option<Moment>> {
    let all = stage.sandbox.get("/_sandbox/trades").await?;
    let trade = list(&all).iter().find(|trade| text(&trade["out_trade_no"]) == out_trade_no);
    let Some(trade) = trade.filter(|trade| !trade["paid_at"].is_null()) else { return Ok(None) };
    let at = time(&trade["paid_at"])?;
    Ok(Some(Moment {
        at,
        style: Style::Bold,
        who: "payer",
        what: "scans the code and pays".into(),
    }))
}

impl Timeline {
    /// Gathers it.
    pub(super) async fn of(stage: &Stage, charge: &Value) -> anyhow::Result<Timeline> {
        let id = text(&charge["id"]);
        let number = text(&charge["attempts"][0]["out_trade_no"]);
        let mut moments = Vec::new();
        for event in events(stage, id).await? {
            let what = text(&event["type"]).to_owned();
            let at = time(&event["created_at"])?;
            moments.push(Moment { at, style: Style::Bold, who: "gateway", what });
        }
        for request in requests(stage, number).await? {
            moments.push(Moment {
                at: time(&request["at"])?,
                style: Style::Cyan,
                who: "provider",
                what: request_words(&request),
            });
        }
        for notice in notifications(stage, number).await? {
            for one in notice["tries"].as_array().unwrap_or(&Vec::new()) {
                let what = try_words(&notice, one);
                let at = time(&one["at"])?;
                moments.push(Moment { at, style: Style::Yellow, who: "provider", what });
            }
        }
        moments.extend(payment(stage, number).await?);
        for webhook in stage.receiver.about(id) {
            let what = format!("webhook {} received, signature verified", webhook.kind);
            moments.push(Moment { at: webhook.at, style: Style::Green, who: "merchant", what });
        }
        for told in stage.receiver.told_about(text(&charge["order_no"])) {
            let what = format!("told in the older way, as {}", told.place);
            moments.push(Moment { at: told.at, style: Style::Green, who: "merchant", what });
        }
        moments.sort_by_key(|moment| moment.at);
        Ok(Timeline { moments, began: time(&charge["created_at"])? })
    }

    /// Prints it, each line with the milliseconds since the order.
    pub(super) fn show(&self, stage: &Stage) {
        let screen = stage.screen;
        for moment in &self.moments {
            let after = moment.at.since(self.began).as_micros() / 1000;
            let after = screen.paint(Style::Dim, format!("{after:>6} ms"));
            let what = screen.paint(moment.style, &moment.what);
            screen.line(format!("  {after}  {:<9} {what}", moment.who));
        }
    }
}

fn request_words(request: &Value) -> String {
    let operation = text(&request["operation"]);
    let verdict = text(&request["signature"]["result"]);
    let answer = match &request["answer"]["status"] {
        Value::Null => "no answer".to_owned(),
        status => format!("answered {status}"),
    };
    format!("← {} {operation}, signature {verdict}, {answer}", text(&request["method"]))
}

/// The gateway answers so that a notification is not repeated only after it verified the message
/// and committed its effect.
fn try_words(notice: &Value, one: &Value) -> String {
    let what = format!("→ notification ({})", text(&notice["kind"]));
    match (&one["status"], notice["delivered"] == true) {
        (Value::Null, _) => format!("{what} {}", text(&one["body"])),
        (status, true) => format!("{what}, verified and accepted with {status}"),
        (status, false) => format!("{what}, not accepted, answered with {status}"),
    }
}
