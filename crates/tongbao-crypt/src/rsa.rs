//! RSA keys with PKCS#1 v1.5 signatures, parsed once and used many times.
//!
//! Signing is SHA-256 alone; SHA-1 can be verified, for Alipay's old `sign_type=RSA`, and cannot be
//! signed. Keys have 2048 to 8192 bits.

use crate::pem;
use crate::x509::Certificate;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicEncryptingKey, PublicKey};
use aws_lc_rs::signature::{
    KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
};
use std::fmt;
use x509_cert::der::asn1::{AnyRef, OctetStringRef};
use x509_cert::der::{Reader, SliceReader};
use zeroize::Zeroizing;

/// Why a text is not taken as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither PEM nor base64.
    #[error(
        "not a key: it must be PEM (with its BEGIN and END lines) or the bare base64 of the key"
    )]
    NotText,
    /// The text decodes, but not to a private RSA key.
    #[error(
        "not a private RSA key: it must be PKCS#8 (PRIVATE KEY) or PKCS#1 (RSA PRIVATE KEY), \
         without a passphrase, as PEM or bare base64, with 2048 to 8192 bits"
    )]
    NotPrivate,
    /// The text decodes, but not to a public RSA key.
    #[error(
        "not a public RSA key: it must be a PUBLIC KEY or a CERTIFICATE in PEM, or the bare \
         base64 of a public key, with 2048 to 8192 bits"
    )]
    NotPublic,
    /// A private key stands where a public one is wanted.
    #[error("this is a private key; a public key belongs here")]
    PrivateInsteadOfPublic,
    /// A public key or a certificate stands where a private key is wanted.
    #[error("this is a public key or a certificate; a private key belongs here")]
    PublicInsteadOfPrivate,
}

/// A private key, ready to sign. `Debug` shows nothing of it.
#[derive(Clone)]
pub struct RsaPrivateKey {
    pair: KeyPair,
    public: RsaPublicKey,
}

/// A public key, ready to verify. Two are equal if they are the same key, however written.
#[derive(Clone)]
pub struct RsaPublicKey {
    sha256: ParsedPublicKey,
    sha1: ParsedPublicKey,
    spki: Vec<u8>,
}

impl RsaPrivateKey {
    /// Reads PKCS#8 or PKCS#1, as PEM or as bare base64.
    pub fn read(text: &str) -> Result<RsaPrivateKey, KeyError> {
        let der = match pem::blocks(text).ok_or(KeyError::NotText)? {
            blocks if blocks.is_empty() => pem::bare(text).ok_or(KeyError::NotText)?,
            blocks => {
                let private = blocks.into_iter().find(|b| b.label.ends_with("PRIVATE KEY"));
                private.ok_or(KeyError::PublicInsteadOfPrivate)?.der
            }
        };
        RsaPrivateKey::from_der(&der).ok_or_else(|| match RsaPublicKey::from_der(&der) {
            Ok(_) => KeyError::PublicInsteadOfPrivate,
            Err(_) => KeyError::NotPrivate,
        })
    }

    /// Reads PKCS#8 or PKCS#1.
    pub(crate) fn from_der(der: &[u8]) -> Option<RsaPrivateKey> {
        let pair = KeyPair::from_pkcs8(der).or_else(|_| KeyPair::from_der(der));
        RsaPrivateKey::from_pair(pair.ok()?)
    }

    /// Makes a new key of 2048 bits, for the sandbox and for tests.
    pub fn generate() -> RsaPrivateKey {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("the system gives random bytes");
        RsaPrivateKey::from_pair(pair).expect("a new key is well formed")
    }

    /// Signs with SHA-256 and PKCS#1 v1.5; the signature is standard base64.
    pub fn sign_sha256(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
            .expect("a key that was checked when read can sign");
        crate::base64::encode(&signature)
    }

    /// The public half.
    pub fn public(&self) -> RsaPublicKey {
        self.public.clone()
    }

    /// `PRIVATE KEY` in PEM.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::write("PRIVATE KEY", &self.to_pkcs8_der()))
    }

    /// PKCS#8 in DER, as TLS wants it.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().expect("a checked key can be written");
        Zeroizing::new(der.as_ref().to_vec())
    }

    /// `RSA PRIVATE KEY` in PEM.
    pub fn to_pkcs1_pem(&self) -> Zeroizing<String> {
        let pkcs8 = self.to_pkcs8_der();
        let pkcs1 = pkcs1_inside(&pkcs8).expect("our own PKCS#8 has the key in its third member");
        Zeroizing::new(pem::write("RSA PRIVATE KEY", pkcs1))
    }

    fn from_pair(pair: KeyPair) -> Option<RsaPrivateKey> {
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
        let public = RsaPublicKey::from_der(spki.as_ref()).ok()?;
        Some(RsaPrivateKey { pair, public })
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RsaPrivateKey(…)")
    }
}

impl RsaPublicKey {
    /// Reads a public key in PEM or bare base64, or the key of a certificate in PEM (of several,
    /// the first).
    pub fn read(text: &str) -> Result<RsaPublicKey, KeyError> {
        let blocks = pem::blocks(text).ok_or(KeyError::NotText)?;
        let Some(first) = blocks.first() else {
            let der = pem::bare(text).ok_or(KeyError::NotText)?;
            return RsaPublicKey::from_der(&der);
        };
        if first.label.ends_with("PRIVATE KEY") {
            return Err(KeyError::PrivateInsteadOfPublic);
        }
        if first.label == "CERTIFICATE" {
            let certificate = Certificate::from_pem(text).map_err(|_| KeyError::NotPublic)?;
            return certificate.public_key().map_err(|_| KeyError::NotPublic);
        }
        RsaPublicKey::from_der(&first.der)
    }

    /// Whether `signature` (raw bytes) is this key's over `message`, with SHA-256.
    pub fn verify_sha256(&self, message: &[u8], signature: &[u8]) -> bool {
        self.sha256.verify_sig(message, signature).is_ok()
    }

    /// Whether `signature` (raw bytes) is this key's over `message`, with SHA-1.
    pub fn verify_sha1(&self, message: &[u8], signature: &[u8]) -> bool {
        self.sha1.verify_sig(message, signature).is_ok()
    }

    /// `PUBLIC KEY` in PEM.
    pub fn to_spki_pem(&self) -> String {
        pem::write("PUBLIC KEY", &self.spki)
    }

    /// The same without armour, on one line, as Alipay's console shows it.
    pub fn to_spki_base64(&self) -> String {
        crate::base64::encode(&self.spki)
    }

    /// From SubjectPublicKeyInfo or PKCS#1's RSAPublicKey.
    pub(crate) fn from_der(der: &[u8]) -> Result<RsaPublicKey, KeyError> {
        let read = || {
            let key = PublicKey::from_der(der).ok()?;
            let spki: PublicKeyX509Der<'_> = key.as_der().ok()?;
            let spki = spki.as_ref().to_vec();
            // Verification would check the size each time and then say no more than "no".
            PublicEncryptingKey::from_der(&spki).ok()?;
            let sha256 = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &spki).ok()?;
            let sha1 = &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY;
            let sha1 = ParsedPublicKey::new(sha1, &spki).ok()?;
            Some(RsaPublicKey { sha256, sha1, spki })
        };
        read().ok_or_else(|| match KeyPair::from_pkcs8(der).or_else(|_| KeyPair::from_der(der)) {
            Ok(_) => KeyError::PrivateInsteadOfPublic,
            Err(_) => KeyError::NotPublic,
        })
    }
}

impl PartialEq for RsaPublicKey {
    fn eq(&self, other: &RsaPublicKey) -> bool {
        self.spki == other.spki
    }
}

impl Eq for RsaPublicKey {}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({})", crate::digest::sha256_hex(&self.spki))
    }
}

/// The octet string inside PrivateKeyInfo (RFC 5208): version, algorithm, key.
fn pkcs1_inside(pkcs8: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(pkcs8).ok()?;
    let key: Result<&OctetStringRef, x509_cert::der::Error> = reader.sequence(|inner| {
        inner.decode::<AnyRef<'_>>()?;
        inner.decode::<AnyRef<'_>>()?;
        let key = inner.decode()?;
        while !inner.is_finished() {
            inner.decode::<AnyRef<'_>>()?;
        }
        Ok(key)
    });
    key.ok().map(OctetStringRef::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base64;

    fn generated() -> RsaPrivateKey {
        RsaPrivateKey::generate()
    }

    fn without_armour(pem: &str) -> String {
        pem.lines().filter(|line| !line.starts_with("-----")).collect()
    }

    #[test]
    fn a_private_key_is_read_in_all_four_shapes() {
        let key = generated();
        let (pkcs8, pkcs1) = (key.to_pkcs8_pem(), key.to_pkcs1_pem());
        assert!(pkcs1.starts_with("-----BEGIN RSA PRIVATE KEY-----\nMII"));
        let certificate = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";
        for text in [
            pkcs8.to_string(),
            pkcs1.to_string(),
            without_armour(&pkcs8),
            without_armour(&pkcs1),
            pkcs8.replace('\n', "\r\n"),
            pkcs8.replace('\n', "\\n"),
            format!("  {}\n", without_armour(&pkcs8)),
            format!("{certificate}{}", pkcs8.as_str()),
        ] {
            let read = RsaPrivateKey::read(&text).unwrap();
            assert_eq!(read.public(), key.public());
            assert_eq!(read.sign_sha256(b"x"), key.sign_sha256(b"x"));
        }
    }

    #[test]
    fn a_public_key_is_read_in_all_shapes() {
        let key = generated().public();
        let pem = key.to_spki_pem();
        assert!(key.to_spki_base64().starts_with("MIIBIjANBg"));
        for text in [pem.clone(), key.to_spki_base64(), pem.replace('\n', "\r\n")] {
            assert_eq!(RsaPublicKey::read(&text), Ok(key.clone()));
        }
    }

    #[test]
    fn the_error_says_what_was_given_instead() {
        let key = generated();
        let (private, public) = (key.to_pkcs8_pem(), key.public().to_spki_pem());
        let private_errors = [
            (public.clone(), KeyError::PublicInsteadOfPrivate),
            (without_armour(&public), KeyError::PublicInsteadOfPrivate),
            ("".to_owned(), KeyError::NotText),
            ("not base64!".to_owned(), KeyError::NotText),
            ("YWJj".to_owned(), KeyError::NotPrivate),
            (private.replace("-----END", "-----"), KeyError::NotText),
        ];
        for (text, error) in private_errors {
            assert_eq!(RsaPrivateKey::read(&text).err(), Some(error), "{text}");
        }
        let public_errors = [
            (private.to_string(), KeyError::PrivateInsteadOfPublic),
            (without_armour(&private), KeyError::PrivateInsteadOfPublic),
            ("YWJj".to_owned(), KeyError::NotPublic),
            ("".to_owned(), KeyError::NotText),
        ];
        for (text, error) in public_errors {
            assert_eq!(RsaPublicKey::read(&text).err(), Some(error), "{text}");
        }
    }

    #[test]
    fn a_short_key_is_refused_when_read_not_when_used() {
        // 1024 bits.
        let short = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDQyAl5lOI1w2VpnEjeksBM8bruWBau81I9ghukSV\
                     u+GtbwMVFgucKnVPpLpR6oMXowbcsAtOpQm6YahY+1FMo0hyffJr8Edz+JFltKkBlVJIL7BzWcM+GG\
                     kZUZBDYWB4ENRnd4rxmpgeoHqixyp3fsF698a4xLAWN5g2oiXKP26wIDAQAB";
        assert!(pem::bare(short).is_some());
        assert_eq!(RsaPublicKey::read(short), Err(KeyError::NotPublic));
    }

    #[test]
    fn a_signature_fits_its_message_and_its_key_only() {
        let (key, other) = (generated(), generated());
        let signature = base64::decode(&key.sign_sha256(b"message")).unwrap();
        assert!(key.public().verify_sha256(b"message", &signature));
        assert!(!key.public().verify_sha256(b"messagE", &signature));
        assert!(!other.public().verify_sha256(b"message", &signature));
        assert!(!key.public().verify_sha1(b"message", &signature));
        assert!(!key.public().verify_sha256(b"message", b""));
        assert!(!key.public().verify_sha256(b"message", &signature[1..]));
    }

    #[test]
    fn debug_shows_no_private_key() {
        assert_eq!(format!("{:?}", generated()), "RsaPrivateKey(…)");
    }
}
