//! Sealing small texts at rest: AES-256-GCM under a key that is derived from a master key.
//!
//! A sealed text is `v1.<key id>.<base64 of nonce, ciphertext and tag>`. It opens only under the
//! key that it names and only at the place that it was sealed for, so that nobody who can write
//! the database can move it to another row.

use crate::{base64, digest};
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// How long a nonce is, in bytes. It must be random: two texts under one nonce give each other
/// away.
pub const NONCE_BYTES: usize = 12;

const VERSION: &str = "v1.";
const KEY_ID_DIGITS: usize = 8;

/// A master key, ready to seal and to open. `Debug` shows its id only.
pub struct SealingKey {
    id: String,
    key: LessSafeKey,
}

impl SealingKey {
    /// Derives the key and its id, once for many texts.
    pub fn new(master: &[u8; 32]) -> SealingKey {
        let mut id = hex::encode(digest::hmac_sha256(master, b"tongbao master key id v1"));
        id.truncate(KEY_ID_DIGITS);
        let mut derived = digest::hmac_sha256(master, b"tongbao seal v1");
        let key = UnboundKey::new(&aead::AES_256_GCM, &derived).expect("the key has 32 bytes");
        derived.zeroize();
        SealingKey { id, key: LessSafeKey::new(key) }
    }

    /// Eight hex digits that tell this key from others. They are no secret.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Seals a text for a place, under a random nonce.
    pub fn seal(&self, place: &[u8], nonce: &[u8; NONCE_BYTES], clear: &str) -> String {
        let mut bytes = clear.as_bytes().to_vec();
        let once = Nonce::assume_unique_for_key(*nonce);
        self.key
            .seal_in_place_append_tag(once, Aad::from(place), &mut bytes)
            .expect("sealing fails only beyond 64 GiB");
        let all = [nonce.as_slice(), &bytes].concat();
        format!("{VERSION}{}.{}", self.id, base64::encode(&all))
    }

    /// Opens what [`SealingKey::seal`] made under this key for this place; `None` if it is anything
    /// else, or was changed.
    pub fn open(&self, place: &[u8], sealed: &str) -> Option<Zeroizing<String>> {
        let (id, body) = parts(sealed)?;
        if id != self.id {
            return None;
        }
        let mut bytes = base64::decode(body)?;
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let clear = self.key.open_in_place(nonce, Aad::from(place), sealed).ok()?;
        let text = std::str::from_utf8(clear).ok().map(|text| Zeroizing::new(text.to_owned()));
        bytes.zeroize();
        text
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.id)
    }
}

/// The id of the key that a text was sealed under; `None` if the text is not sealed.
pub fn key_id(text: &str) -> Option<&str> {
    parts(text).map(|(id, _)| id)
}

fn parts(text: &str) -> Option<(&str, &str)> {
    let (id, body) = text.strip_prefix(VERSION)?.split_once('.')?;
    let is_id = id.len() == KEY_ID_DIGITS && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then_some((id, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: &[u8] = b"endpoints\0secret\0we_1";

    #[test]
    fn a_sealed_text_opens_under_its_key_and_at_its_place_only() {
        let (key, other) = (SealingKey::new(&[1; 32]), SealingKey::new(&[2; 32]));
        let sealed = key.seal(PLACE, &[7; 12], "whsec_abc");
        assert_eq!(key.open(PLACE, &sealed).as_deref().map(String::as_str), Some("whsec_abc"));
        assert_eq!(key_id(&sealed), Some(key.id()));
        assert_ne!(key.id(), other.id());
        assert!(!sealed.contains("whsec"));
        assert!(key.open(b"endpoints\0secret\0we_2", &sealed).is_none());
        assert!(other.open(PLACE, &sealed).is_none());
        let renamed = sealed.replacen(key.id(), other.id(), 1);
        assert!(other.open(PLACE, &renamed).is_none());
        assert_ne!(sealed, key.seal(PLACE, &[8; 12], "whsec_abc"));
    }

    /// The form is kept in databases: it must open for ever.
    #[test]
    fn the_form_stays_what_it_was() {
        let sealed = "v1.6e292e66.BwcHBwcHBwcHBwcHqPWub3znTBLYA4C2XJ15b463AkS/Zx06Uw==";
        let key = SealingKey::new(&[1; 32]);
        assert_eq!(key.seal(PLACE, &[7; 12], "whsec_abc"), sealed);
        assert_eq!(format!("{key:?}"), format!("SealingKey({})", key_id(sealed).unwrap()));
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let key = SealingKey::new(&[1; 32]);
        let sealed = key.seal(PLACE, &[7; 12], "whsec_abc");
        for at in 0..sealed.len() {
            let mut bytes = sealed.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(key.open(PLACE, &changed).is_none(), "{changed}");
        }
        for clear in ["", "whsec_abc", "v1.", "v1.0011223.AAAA", "{\"id\": 1}"] {
            assert_eq!(key_id(clear), None, "{clear}");
        }
    }

    proptest! {
        #[test]
        fn opening_undoes_sealing(clear: String, place: Vec<u8>, nonce: [u8; 12], bad: String) {
            let key = SealingKey::new(&[3; 32]);
            let sealed = key.seal(&place, &nonce, &clear);
            prop_assert_eq!(key.open(&place, &sealed).map(|text| text.to_string()), Some(clear));
            prop_assert!(key.open(&place, &bad).is_none());
            let hostile = format!("v1.{}.{bad}", key.id());
            prop_assert!(key.open(&place, &hostile).is_none());
        }
    }
}
