//! Encrypted parts of API v3's messages (微信支付 API v3, 证书和回调报文解密): AES-256-GCM under the
//! APIv3 key, in certificates and notifications.

use serde::{Deserialize, Serialize};
use tongbao_crypt::{aes, base64};
use tongbao_types::Secret;

const ALGORITHM: &str = "AEAD_AES_256_GCM";

/// An encrypted part. Fields are in the order of their names, as production writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// `AEAD_AES_256_GCM`.
    pub algorithm: String,
    /// Signed along but not encrypted: `transaction`, `certificate`, or empty.
    #[serde(default)]
    pub associated_data: String,
    /// Base64 of ciphertext and tag.
    pub ciphertext: String,
    /// Twelve characters.
    pub nonce: String,
    /// What is inside, in notifications.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_type: Option<String>,
}

impl Resource {
    /// The provider encrypts. The nonce is shown as twelve hex digits; it must never come again
    /// under the same key.
    pub fn seal(
        key: &Secret<[u8; 32]>,
        nonce: [u8; 6],
        associated_data: &str,
        plain: &[u8],
    ) -> Resource {
        let nonce: String = nonce.iter().map(|byte| format!("{byte:02x}")).collect();
        let bytes: [u8; 12] = nonce.as_bytes().try_into().expect("six bytes are twelve hex digits");
        let sealed = aes::gcm256_seal(key.expose(), &bytes, associated_data.as_bytes(), plain);
        Resource {
            algorithm: ALGORITHM.to_owned(),
            associated_data: associated_data.to_owned(),
            ciphertext: base64::encode(&sealed),
            nonce,
            original_type: None,
        }
    }

    /// Decrypts and checks the tag; `None` if anything does not fit.
    pub fn open(&self, key: &Secret<[u8; 32]>) -> Option<Vec<u8>> {
        let nonce: [u8; 12] = self.nonce.as_bytes().try_into().ok()?;
        let sealed = base64::decode(&self.ciphertext)?;
        if self.algorithm != ALGORITHM {
            return None;
        }
        aes::gcm256_open(key.expose(), &nonce, self.associated_data.as_bytes(), &sealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"mchid":"1900000109","out_trade_no":"20180821665587","trade_state":"SUCCESS","amount":{"total":1}}"#;
    const WITH_AAD: &str = "XPrGymytT7i1K48HVZfQi2II7SIfdILkSMxzL85MzeGJCxp1T39U5nutEd9+M68gQ2LFMlmoSx3u8LqX9ttaeU7bOhhNwiZBxWQfppmkPZ9kkEipSre00nlBBQOpGhyitovSgRqMaRYCw+RTojH2Kxj61A==";
    const BARE: &str = "XPrGymytT7i1K48HVZfQi2II7SIfdILkSMxzL85MzeGJCxp1T39U5nutEd9+M68gQ2LFMlmoSx3u8LqX9ttaeU7bOhhNwiZBxWQfppmkPZ9kkEipSre00nlBBQOpGhyitovSfufMNOWeRCDtH4IbA2G8KA==";

    fn key() -> Secret<[u8; 32]> {
        Secret::new(*b"0123456789abcdef0123456789ABCDEF")
    }

    fn vector(associated_data: &str, ciphertext: &str) -> Resource {
        Resource {
            algorithm: ALGORITHM.to_owned(),
            associated_data: associated_data.to_owned(),
            ciphertext: ciphertext.to_owned(),
            nonce: "a1b2c3d4e5f6".to_owned(),
            original_type: None,
        }
    }

    #[test]
    fn both_vectors_open_and_seal() {
        for (associated_data, ciphertext) in [("transaction", WITH_AAD), ("", BARE)] {
            let vector = vector(associated_data, ciphertext);
            assert_eq!(vector.open(&key()).as_deref(), Some(PLAIN.as_bytes()));
            let nonce = [0xa1, 0xb2, 0xc3, 0xd4, 0xe5, 0xf6];
            let sealed = Resource::seal(&key(), nonce, associated_data, PLAIN.as_bytes());
            assert_eq!(sealed, vector);
        }
    }

    #[test]
    fn nothing_opens_that_was_changed() {
        let check = |change: fn(&mut Resource)| {
            let mut resource = vector("transaction", WITH_AAD);
            change(&mut resource);
            assert_eq!(resource.open(&key()), None, "{resource:?}");
        };
        check(|r| r.associated_data = "refund".to_owned());
        check(|r| r.nonce = "a1b2c3d4e5f7".to_owned());
        check(|r| r.nonce = "short".to_owned());
        check(|r| r.ciphertext.replace_range(..1, "Y"));
        check(|r| r.ciphertext.truncate(8));
        check(|r| r.ciphertext.clear());
        check(|r| r.algorithm = "AEAD_SM4_GCM".to_owned());
        let other = Secret::new([0; 32]);
        assert_eq!(vector("transaction", WITH_AAD).open(&other), None);
    }
}
