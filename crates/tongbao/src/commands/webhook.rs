//! A merchant's side of our webhooks: what is believed, and why something is not.

use anyhow::{Context, bail};
use axum::http::HeaderMap;
use serde_json::Value;
use tongbao_crypt::webhook::{self, WebhookSecret};
use tongbao_types::Timestamp;

/// Standard Webhooks, «Verifying webhook authenticity»: a few minutes either way.
const AGE_MAX_SECONDS: i64 = 300;

/// The event, if its signature (Standard Webhooks) is right and fresh at `wall`, which is real
/// time.
pub(super) fn verified(
    secret: &WebhookSecret,
    headers: &HeaderMap,
    body: &[u8],
    wall: Timestamp,
) -> anyhow::Result<Value> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.with_context(|| format!("it has no header {name}"))
    };
    let timestamp: i64 = header("webhook-timestamp")?.parse()?;
    if wall.as_seconds().abs_diff(timestamp) > AGE_MAX_SECONDS.unsigned_abs() {
        bail!("its time stamp is too old or too new");
    }
    let (id, signatures) = (header("webhook-id")?, header("webhook-signature")?);
    if !webhook::verify(secret, id, timestamp, body, signatures) {
        bail!("its signature is wrong");
    }
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_signed_right_and_fresh_is_believed() {
        let secret = WebhookSecret::from_bytes(&[7; 32]);
        let other = WebhookSecret::from_bytes(&[8; 32]);
        let at = "2026-11-21T15:00:00Z".parse::<Timestamp>().unwrap();
        let check = |signer: &WebhookSecret, age: i64, signed: &[u8], wanted: Option<&str>| {
            let time = at.as_seconds() - age;
            let mut headers = HeaderMap::new();
            let mut put = |name: &'static str, value: String| {
                headers.insert(name, value.parse().unwrap());
            };
            put("webhook-id", "evt_1".to_owned());
            put("webhook-timestamp", time.to_string());
            put("webhook-signature", webhook::sign(signer, "evt_1", time, signed));
            let error = verified(&secret, &headers, b"{}", at).err().map(|e| e.to_string());
            assert_eq!(error.as_deref(), wanted);
        };
        check(&secret, 0, b"{}", None);
        check(&secret, 300, b"{}", None);
        check(&secret, 301, b"{}", Some("its time stamp is too old or too new"));
        check(&secret, -301, b"{}", Some("its time stamp is too old or too new"));
        check(&secret, i64::MIN / 2, b"{}", Some("its time stamp is too old or too new"));
        check(&other, 0, b"{}", Some("its signature is wrong"));
        check(&secret, 0, b"{ }", Some("its signature is wrong"));
        let none = verified(&secret, &HeaderMap::new(), b"{}", at).unwrap_err().to_string();
        assert_eq!(none, "it has no header webhook-timestamp");
    }
}
