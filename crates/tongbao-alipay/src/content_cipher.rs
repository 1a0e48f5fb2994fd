//! Content encryption of the business parameters: AES-128-CBC with an IV of zeros, in base64.
//! Alipay, 接口内容加密方式.
//!
//! It hides the content from who stands between; it proves nothing, the signature does that. The
//! ciphertext is signed, so a reader verifies first and decrypts then.

use tongbao_crypt::{aes, base64};
use tongbao_types::Secret;

/// A text is not a content key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an AES key of Alipay's: it is the base64 of 16 bytes, 24 characters, from the console"
)]
pub struct ContentKeyError;

/// The AES key that the console made for an app.
#[derive(Debug, Clone)]
pub struct ContentKey(Secret<[u8; 16]>);

impl ContentKey {
    /// Reads the base64 that the console shows.
    pub fn read(text: &str) -> Result<ContentKey, ContentKeyError> {
        let bytes = base64::decode(text.trim()).ok_or(ContentKeyError)?;
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| ContentKeyError)?;
        Ok(ContentKey(Secret::new(bytes)))
    }

    /// The ciphertext as it stands in `biz_content` or in a reply.
    pub fn encrypt(&self, plain: &[u8]) -> String {
        base64::encode(&aes::cbc128_encrypt(self.0.expose(), plain))
    }

    /// Undoes [`ContentKey::encrypt`]; `None` if it is not base64, or not of this key.
    pub fn decrypt(&self, text: &str) -> Option<Vec<u8>> {
        aes::cbc128_decrypt(self.0.expose(), &base64::decode(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_ciphertexts_are_made_and_read() {
        let key = ContentKey::read("aYA0GP8JEW+D7/UFaskCWA==").unwrap();
        let cases = [
            (r#"{"out_trade_no":"T1"}"#, "HJjZXDcVHUcOrByocVgEmgs+1Naj649A//Hd8HstLD4="),
            (
                r#"{"out_trade_no":"TB20261121000001"}"#,
                "HJjZXDcVHUcOrByocVgEmonZ/2Ay93njgSEAKHHemvLER8Fc5tiggvuA0FhAj9LM",
            ),
        ];
        for (plain, sealed) in cases {
            assert_eq!(key.encrypt(plain.as_bytes()), sealed);
            assert_eq!(key.decrypt(sealed), Some(plain.as_bytes().to_vec()));
        }
    }

    #[test]
    fn wrong_keys_and_texts_are_refused() {
        for text in ["", "aYA0", "aYA0GP8JEW+D7/UFaskCWA", "!"] {
            assert!(ContentKey::read(text).is_err(), "{text:?}");
        }
        let key = ContentKey::read("aYA0GP8JEW+D7/UFaskCWA==").unwrap();
        assert_eq!(key.decrypt("not base64"), None);
        assert_eq!(key.decrypt("aYA0"), None);
        assert_eq!(format!("{key:?}"), "ContentKey(Secret(…))");
    }
}
