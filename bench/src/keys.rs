//! The keys of one run: a merchant, WeChat Pay and Alipay, made afresh and written to the run's
//! folder so that the ideal server reads the same ones. Signatures are RSA-SHA256 on aws-lc-rs,
//! keys are parsed once. This file does not know what is signed.

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// One RSA key pair as text: private PKCS#8 and public SubjectPublicKeyInfo, both bare base64.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct KeyText {
    /// PKCS#8, DER, base64.
    pub(crate) private: String,
    /// SubjectPublicKeyInfo, DER, base64.
    pub(crate) public: String,
}

/// Everything that the two ends of one run must agree about.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Keys {
    /// The merchant's key, at WeChat Pay and at Alipay.
    pub(crate) merchant: KeyText,
    /// The WeChat Pay public key's pair.
    pub(crate) wechat: KeyText,
    /// Alipay's key.
    pub(crate) alipay: KeyText,
    /// WeChat Pay's APIv3 key, 32 ASCII characters.
    pub api_v3_key: String,
    /// The WeChat application.
    pub(crate) wechat_app_id: String,
    /// The WeChat merchant number.
    pub(crate) mch_id: String,
    /// The serial number of the merchant's certificate, 40 hex digits.
    pub(crate) merchant_serial: String,
    /// The id of the WeChat Pay public key.
    pub(crate) wechat_key_id: String,
    /// The Alipay application.
    pub(crate) alipay_app_id: String,
    /// The Alipay account that receives the money.
    pub(crate) seller_id: String,
}

impl Keys {
    /// Makes three key pairs; the rest is constant.
    pub(crate) fn generate() -> Result<Self> {
        Ok(Self {
            merchant: KeyText::generate()?,
            wechat: KeyText::generate()?,
            alipay: KeyText::generate()?,
            api_v3_key: "bench0bench1bench2bench3bench4be".into(),
            wechat_app_id: "wxbe4c4be4c4be4c40".into(),
            mch_id: "1900009999".into(),
            merchant_serial: "5157F09EFDC096DE15EBE81A47057A7232F1B8E1".into(),
            wechat_key_id: "PUB_KEY_ID_0119000099992026112100000000000001".into(),
            alipay_app_id: "2021009999999999".into(),
            seller_id: "2088999999999999".into(),
        })
    }
}

impl KeyText {
    fn generate() -> Result<Self> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let private = AsDer::<Pkcs8V1Der>::as_der(&pair)?;
        let public = AsDer::<PublicKeyX509Der>::as_der(pair.public_key())?;
        Ok(Self {
            private: STANDARD.encode(private.as_ref()),
            public: STANDARD.encode(public.as_ref()),
        })
    }

    /// The private key in PEM, as configuration files hold it.
    pub(crate) fn private_pem(&self) -> String {
        pem("PRIVATE KEY", &self.private)
    }

    /// The public key in PEM.
    pub(crate) fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public)
    }
}

fn pem(label: &str, base64: &str) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Signs with one private key.
pub(crate) struct Signer {
    key: RsaKeyPair,
    random: SystemRandom,
}

impl Signer {
    /// Parses the private half.
    pub(crate) fn new(text: &KeyText) -> Result<Self> {
        let der = STANDARD.decode(&text.private)?;
        let key = RsaKeyPair::from_pkcs8(&der).map_err(|e| anyhow!("private key: {e}"))?;
        Ok(Self { key, random: SystemRandom::new() })
    }

    /// PKCS#1 v1.5 over SHA-256, in base64.
    pub(crate) fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&RSA_PKCS1_SHA256, &self.random, message, &mut signature)
            .expect("a 2048-bit key signs any message");
        STANDARD.encode(signature)
    }
}

/// Verifies with one public key.
pub(crate) struct Verifier(ParsedPublicKey);

impl Verifier {
    /// Parses the public half.
    pub(crate) fn new(text: &KeyText) -> Result<Self> {
        let der = STANDARD.decode(&text.public)?;
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der);
        Ok(Self(key.map_err(|e| anyhow!("public key: {e}"))?))
    }

    /// Whether `signature`, in base64, was made over `message`.
    pub(crate) fn check(&self, message: &[u8], signature: &str) -> Result<()> {
        let signature = STANDARD.decode(signature).context("signature is not base64")?;
        self.0.verify_sig(message, &signature).map_err(|_| anyhow!("signature does not fit"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_text_verifies_and_changed_text_does_not() {
        let text = KeyText::generate().unwrap();
        let signature = Signer::new(&text).unwrap().sign(b"1200 fen");
        let verifier = Verifier::new(&text).unwrap();
        assert!(verifier.check(b"1200 fen", &signature).is_ok());
        assert!(verifier.check(b"1201 fen", &signature).is_err());
    }
}
