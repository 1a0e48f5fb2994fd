//! Digests, HMAC and comparing in constant time.
//!
//! MD5 and SHA-1 are here for protocols that prescribe them; nothing new should use them.

use aws_lc_rs::{constant_time, digest, hmac};
use md5::{Digest, Md5};

/// MD5 as 32 lower-case hex digits, leading zeros kept.
pub fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// SHA-1 as 40 lower-case hex digits.
pub fn sha1_hex(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes))
}

/// SHA-1 of what comes in pieces.
pub struct Sha1(digest::Context);

impl Default for Sha1 {
    fn default() -> Sha1 {
        Sha1(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY))
    }
}

impl Sha1 {
    /// The next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As [`sha1_hex`] of all pieces together.
    pub fn hex(self) -> String {
        hex::encode(self.0.finish())
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// SHA-256 as 64 lower-case hex digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(sha256(bytes))
}

/// HMAC with SHA-256; the key may have any length.
pub fn hmac_sha256(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, bytes).as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

/// Whether two texts are equal, in a time that depends on their lengths only.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_agree_with_their_published_vectors() {
        assert_eq!(md5_hex(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let mut pieces = Sha1::default();
        ["a", "", "bc"].iter().for_each(|piece| pieces.update(piece.as_bytes()));
        assert_eq!(pieces.hex(), sha1_hex(b"abc"));
        let sha256_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex(b"abc"), sha256_abc);
        let mac = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        let wanted = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(mac), wanted);
    }

    #[test]
    fn an_md5_keeps_its_leading_zero() {
        assert_eq!(md5_hex(b"168"), "006f52e9102a8d3be2fe5614f42ba989");
    }

    #[test]
    fn same_wants_equal_bytes_and_lengths() {
        assert!(same(b"abc", b"abc"));
        assert!(same(b"", b""));
        assert!(!same(b"abc", b"abd"));
        assert!(!same(b"abc", b"ab"));
        assert!(!same(b"", b"a"));
    }
}
