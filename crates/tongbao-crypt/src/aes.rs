//! AES in the three forms that the providers use.
//!
//! GCM carries WeChat Pay v3's notifications and certificates, ECB its v2 refund notifications,
//! CBC with a zero IV Alipay's content encryption. ECB and a fixed IV hide little and prove
//! nothing; they are here because the protocols prescribe them.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

const ZERO_IV: [u8; 16] = [0; 16];

/// AES-256-GCM: the ciphertext with its 16 bytes of tag at the end.
pub fn gcm256_seal(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    gcm(key)
        .seal_in_place_append_tag(nonce, Aad::from(aad), &mut bytes)
        .expect("sealing fails only beyond 64 GiB");
    bytes
}

/// Opens what [`gcm256_seal`] made; `None` if anything of it was changed.
pub fn gcm256_open(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let plain = gcm(key).open_in_place(nonce, Aad::from(aad), &mut bytes).ok()?;
    Some(plain.to_vec())
}

/// AES-128-CBC with an IV of zeros and PKCS#7 padding.
pub fn cbc128_encrypt(key: &[u8; 16], plain: &[u8]) -> Vec<u8> {
    let key = UnboundCipherKey::new(&AES_128, key).expect("the key has 16 bytes");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).expect("AES knows CBC");
    encrypt(&key, plain, EncryptionContext::Iv128(FixedLength::from(ZERO_IV)))
}

/// Undoes [`cbc128_encrypt`]; `None` if the length or the padding is wrong.
pub fn cbc128_decrypt(key: &[u8; 16], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = UnboundCipherKey::new(&AES_128, key).expect("the key has 16 bytes");
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).expect("AES knows CBC");
    decrypt(&key, sealed, DecryptionContext::Iv128(FixedLength::from(ZERO_IV)))
}

/// AES-256-ECB with PKCS#7 padding.
pub fn ecb256_encrypt(key: &[u8; 32], plain: &[u8]) -> Vec<u8> {
    let key = UnboundCipherKey::new(&AES_256, key).expect("the key has 32 bytes");
    let key = PaddedBlockEncryptingKey::ecb_pkcs7(key).expect("AES knows ECB");
    encrypt(&key, plain, EncryptionContext::None)
}

/// Undoes [`ecb256_encrypt`]; `None` if the length or the padding is wrong.
pub fn ecb256_decrypt(key: &[u8; 32], sealed: &[u8]) -> Option<Vec<u8>> {
    let key = UnboundCipherKey::new(&AES_256, key).expect("the key has 32 bytes");
    let key = PaddedBlockDecryptingKey::ecb_pkcs7(key).expect("AES knows ECB");
    decrypt(&key, sealed, DecryptionContext::None)
}

fn gcm(key: &[u8; 32]) -> LessSafeKey {
    let key = UnboundKey::new(&aead::AES_256_GCM, key).expect("the key has 32 bytes");
    LessSafeKey::new(key)
}

fn encrypt(key: &PaddedBlockEncryptingKey, plain: &[u8], context: EncryptionContext) -> Vec<u8> {
    let mut bytes = plain.to_vec();
    key.less_safe_encrypt(&mut bytes, context).expect("the context fits the mode");
    bytes
}

fn decrypt(
    key: &PaddedBlockDecryptingKey,
    sealed: &[u8],
    context: DecryptionContext,
) -> Option<Vec<u8>> {
    if sealed.is_empty() || !sealed.len().is_multiple_of(16) {
        return None;
    }
    let mut bytes = sealed.to_vec();
    key.decrypt(&mut bytes, context).ok().map(|plain| plain.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64;
    use crate::digest::md5_hex;
    use proptest::prelude::*;

    #[test]
    fn content_encryption_gives_the_known_ciphertexts() {
        let key = base64::decode("aYA0GP8JEW+D7/UFaskCWA==").unwrap();
        let key: [u8; 16] = key.try_into().unwrap();
        let cases = [
            (r#"{"out_trade_no":"T1"}"#, "HJjZXDcVHUcOrByocVgEmgs+1Naj649A//Hd8HstLD4="),
            (
                r#"{"out_trade_no":"TB20261121000001"}"#,
                "HJjZXDcVHUcOrByocVgEmonZ/2Ay93njgSEAKHHemvLER8Fc5tiggvuA0FhAj9LM",
            ),
        ];
        for (plain, sealed) in cases {
            assert_eq!(base64::encode(&cbc128_encrypt(&key, plain.as_bytes())), sealed);
            let back = cbc128_decrypt(&key, &base64::decode(sealed).unwrap());
            assert_eq!(back, Some(plain.as_bytes().to_vec()));
        }
    }

    #[test]
    fn a_v2_refund_notification_decrypts() {
        let key = md5_hex(b"192006250b4c09247ec02edce69f6a2d");
        assert_eq!(key, "d96eb16afdd491fa1e705096edbc2205");
        let key: [u8; 32] = key.as_bytes().try_into().unwrap();
        let plain = "<root><out_trade_no>20180821665587</out_trade_no>\
                     <refund_status>SUCCESS</refund_status></root>";
        let sealed = "Df1zEhkaQRcJZp87pZvZWfff79vA3uaIFrSXvdhFxogpGAuIJ4/M5OS7u7e2kGwlQpvBaLCeII\
                      uxBGNHBB4+Q5pZ0GcFXRiLqzDr2JeJ56SPcuk0XIOQ+7vHxtwravwW";
        assert_eq!(base64::encode(&ecb256_encrypt(&key, plain.as_bytes())), sealed);
        let back = ecb256_decrypt(&key, &base64::decode(sealed).unwrap());
        assert_eq!(back, Some(plain.as_bytes().to_vec()));
    }

    #[test]
    fn a_v3_resource_opens_only_unchanged() {
        let key = b"0123456789abcdef0123456789ABCDEF";
        let nonce = b"a1b2c3d4e5f6";
        let plain = concat!(
            r#"{"mchid":"1900000109","out_trade_no":"20180821665587","#,
            r#""trade_state":"SUCCESS","amount":{"total":1}}"#,
        );
        let cases = [
            (
                "transaction",
                "XPrGymytT7i1K48HVZfQi2II7SIfdILkSMxzL85MzeGJCxp1T39U5nutEd9+M68gQ2LFMlmoSx3u8LqX\
                 9ttaeU7bOhhNwiZBxWQfppmkPZ9kkEipSre00nlBBQOpGhyitovSgRqMaRYCw+RTojH2Kxj61A==",
            ),
            (
                "",
                "XPrGymytT7i1K48HVZfQi2II7SIfdILkSMxzL85MzeGJCxp1T39U5nutEd9+M68gQ2LFMlmoSx3u8LqX\
                 9ttaeU7bOhhNwiZBxWQfppmkPZ9kkEipSre00nlBBQOpGhyitovSfufMNOWeRCDtH4IbA2G8KA==",
            ),
        ];
        for (aad, sealed) in cases {
            let made = gcm256_seal(key, nonce, aad.as_bytes(), plain.as_bytes());
            assert_eq!(base64::encode(&made), sealed);
            let open = |aad: &str, bytes: &[u8]| gcm256_open(key, nonce, aad.as_bytes(), bytes);
            assert_eq!(open(aad, &made), Some(plain.as_bytes().to_vec()));
            assert_eq!(open("refund", &made), None);
            let mut changed = made.clone();
            changed[0] ^= 1;
            assert_eq!(open(aad, &changed), None);
            assert_eq!(open(aad, &made[..made.len() - 1]), None);
            assert_eq!(open(aad, b""), None);
        }
    }

    #[test]
    fn wrong_lengths_and_paddings_are_refused() {
        let key = [7; 16];
        assert_eq!(cbc128_decrypt(&key, b""), None);
        assert_eq!(cbc128_decrypt(&key, &[0; 15]), None);
        assert_eq!(cbc128_decrypt(&[8; 16], &cbc128_encrypt(&key, b"text")), None);
        assert_eq!(ecb256_decrypt(&[7; 32], &[0; 17]), None);
    }

    proptest! {
        #[test]
        fn decrypting_undoes_encrypting(plain: Vec<u8>, hostile: Vec<u8>) {
            let back = cbc128_decrypt(&[1; 16], &cbc128_encrypt(&[1; 16], &plain));
            prop_assert_eq!(back, Some(plain.clone()));
            let back = ecb256_decrypt(&[1; 32], &ecb256_encrypt(&[1; 32], &plain));
            prop_assert_eq!(back, Some(plain));
            let _ = cbc128_decrypt(&[1; 16], &hostile);
            let _ = ecb256_decrypt(&[1; 32], &hostile);
            let _ = gcm256_open(&[1; 32], &[1; 12], b"", &hostile);
        }
    }
}
