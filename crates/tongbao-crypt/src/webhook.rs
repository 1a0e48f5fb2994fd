//! Signatures of our own webhooks, as Standard Webhooks (version 1, symmetric) has them.
//!
//! The signature is over the id, the time and the exact body. Whether the time is recent enough is
//! for the receiver to judge; no clock is asked here.

use crate::{base64, digest};
use std::fmt;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";

/// A text is not a webhook secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a webhook secret: it is whsec_ and the base64 of 24 to 64 bytes")]
pub struct WebhookSecretError;

/// What an endpoint shares with us. `Debug` shows nothing of it and dropping wipes it.
#[derive(Clone)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

impl WebhookSecret {
    /// Reads `whsec_…`; the secret must have 24 to 64 bytes (Standard Webhooks, «Signature
    /// scheme»).
    pub fn read(text: &str) -> Result<WebhookSecret, WebhookSecretError> {
        let bytes = text.strip_prefix(PREFIX).and_then(base64::decode);
        let bytes = Zeroizing::new(bytes.ok_or(WebhookSecretError)?);
        if !(24..=64).contains(&bytes.len()) {
            return Err(WebhookSecretError);
        }
        Ok(WebhookSecret(bytes))
    }

    /// Takes the bytes of a secret that was just drawn, or comes from the database.
    pub fn from_bytes(bytes: &[u8]) -> WebhookSecret {
        WebhookSecret(Zeroizing::new(bytes.to_vec()))
    }

    /// `whsec_…`, to show to the endpoint's owner. The text is wiped when dropped.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", base64::encode(&self.0)))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

/// One entry of the header `webhook-signature`: `v1,` and base64.
pub fn sign(secret: &WebhookSecret, id: &str, timestamp_seconds: i64, body: &[u8]) -> String {
    format!("v1,{}", base64::encode(&mac(secret, id, timestamp_seconds, body)))
}

/// Whether one of the entries of a `webhook-signature` header (separated by blanks) is right.
/// Entries of other versions are passed over.
pub fn verify(
    secret: &WebhookSecret,
    id: &str,
    timestamp_seconds: i64,
    body: &[u8],
    signatures: &str,
) -> bool {
    let wanted = mac(secret, id, timestamp_seconds, body);
    let right = |entry: &str| {
        let given = entry.strip_prefix("v1,").and_then(base64::decode);
        given.is_some_and(|given| digest::same(&given, &wanted))
    };
    signatures.split_ascii_whitespace().any(right)
}

fn mac(secret: &WebhookSecret, id: &str, timestamp_seconds: i64, body: &[u8]) -> [u8; 32] {
    let mut message = format!("{id}.{timestamp_seconds}.").into_bytes();
    message.extend_from_slice(body);
    digest::hmac_sha256(&secret.0, &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const TIME: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    #[test]
    fn the_published_example_signs_alike() {
        let secret = WebhookSecret::read(SECRET).unwrap();
        let signature = sign(&secret, ID, TIME, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(secret.to_text().as_str(), SECRET);
        assert!(verify(&secret, ID, TIME, BODY, &signature));
    }

    #[test]
    fn any_right_entry_is_enough_and_any_change_breaks_it() {
        let secret = WebhookSecret::from_bytes(&[7; 24]);
        let other = WebhookSecret::from_bytes(&[8; 24]);
        let right = sign(&secret, ID, TIME, BODY);
        let wrong = sign(&other, ID, TIME, BODY);
        assert!(verify(&secret, ID, TIME, BODY, &format!("v1a,xx {wrong} {right}")));
        assert!(!verify(&secret, ID, TIME, BODY, &wrong));
        assert!(!verify(&secret, "msg_other", TIME, BODY, &right));
        assert!(!verify(&secret, ID, TIME + 1, BODY, &right));
        assert!(!verify(&secret, ID, TIME, b"{}", &right));
        assert!(!verify(&secret, ID, TIME, BODY, ""));
        assert!(!verify(&secret, ID, TIME, BODY, right.trim_start_matches("v1,")));
    }

    #[test]
    fn a_secret_has_its_prefix_and_its_length() {
        let with = |length: usize| format!("whsec_{}", base64::encode(&vec![1; length]));
        assert!(WebhookSecret::read(&with(24)).is_ok());
        assert!(WebhookSecret::read(&with(64)).is_ok());
        let bare = SECRET.trim_start_matches("whsec_").to_owned();
        for wrong in [with(23), with(65), bare, "whsec_".to_owned(), String::new()] {
            assert!(WebhookSecret::read(&wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(format!("{:?}", WebhookSecret::from_bytes(&[1; 24])), "WebhookSecret(…)");
    }
}
