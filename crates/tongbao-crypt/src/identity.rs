//! Who a client says it is in TLS: a private key and the certificates that name its owner.
//!
//! WeChat Pay asks for one at `/secapi/…` and for the fund-flow bill (商户API证书). It comes as a
//! PKCS#12 file or as two PEM texts; either way the key is known to belong to the first
//! certificate. Whether the certificate is still valid is for somebody with a clock to ask.

use crate::p12::{self, P12Error, P12Style};
use crate::rsa::{KeyError, RsaPrivateKey};
use crate::x509::{Certificate, CertificateError};
use std::fmt;
use zeroize::Zeroizing;

/// Why no identity comes of a file or of texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The PKCS#12 file is not read.
    #[error(transparent)]
    P12(#[from] P12Error),
    /// The private key is not read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A certificate is not read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A file of certificates only.
    #[error("the PKCS#12 file holds no private key; export it together with its key")]
    NoKey,
    /// A key of another kind.
    #[error("the private key in the PKCS#12 file is not RSA of 2048 to 8192 bits")]
    NotRsa,
    /// No certificate of the private key.
    #[error(
        "no certificate belongs to the private key; take both from the same download \
         (apiclient_cert and apiclient_key)"
    )]
    Mismatch,
}

/// A private key and its certificates. `Debug` shows nothing of the key.
#[derive(Clone)]
pub struct ClientIdentity {
    key: RsaPrivateKey,
    /// The key's own first, then its issuer and so on; at least one.
    chain: Vec<Certificate>,
}

impl ClientIdentity {
    /// Reads a PKCS#12 file. Of several keys the first with a certificate counts.
    pub fn from_p12(file: &[u8], passphrase: &str) -> Result<ClientIdentity, IdentityError> {
        let p12::Contents { keys, certificates } = p12::read(file, passphrase)?;
        if keys.is_empty() {
            return Err(IdentityError::NoKey);
        }
        let keys: Vec<_> = keys.iter().filter_map(|der| RsaPrivateKey::from_der(der)).collect();
        if keys.is_empty() {
            return Err(IdentityError::NotRsa);
        }
        let read = certificates.iter().map(|der| Certificate::from_der(der));
        let certificates = read.collect::<Result<Vec<_>, _>>()?;
        let fitting = keys.into_iter().find_map(|key| ClientIdentity::of(key, &certificates));
        fitting.ok_or(IdentityError::Mismatch)
    }

    /// Reads `apiclient_cert.pem` (its chain may follow in any order) and `apiclient_key.pem`.
    pub fn from_pem(certificates: &str, key: &str) -> Result<ClientIdentity, IdentityError> {
        let key = RsaPrivateKey::read(key)?;
        let certificates = Certificate::bundle_from_pem(certificates)?;
        ClientIdentity::of(key, &certificates).ok_or(IdentityError::Mismatch)
    }

    /// The key's own certificate: its serial number, its validity.
    pub fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The certificates as they are sent: the key's own, its issuer's, and so on.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The private key.
    pub fn key(&self) -> &RsaPrivateKey {
        &self.key
    }

    /// Writes a PKCS#12 file; `name` is what programs show for it.
    pub fn to_p12(&self, name: &str, passphrase: &str, style: P12Style) -> Vec<u8> {
        let key: Zeroizing<Vec<u8>> = self.key.to_pkcs8_der();
        let chain: Vec<&[u8]> = self.chain.iter().map(Certificate::as_der).collect();
        p12::write(&key, &chain, name, passphrase, style)
    }

    fn of(key: RsaPrivateKey, certificates: &[Certificate]) -> Option<ClientIdentity> {
        let public = key.public();
        let is_own = |certificate: &&Certificate| certificate.public_key() == Ok(public.clone());
        let leaf = certificates.iter().find(is_own)?;
        Some(ClientIdentity { key, chain: chain_of(leaf, certificates) })
    }
}

/// The certificate with its issuers, as far as they are there. Names decide; the other end checks
/// signatures. A certificate stands in it once, so names in a circle end it.
fn chain_of(leaf: &Certificate, all: &[Certificate]) -> Vec<Certificate> {
    let mut chain = vec![leaf.clone()];
    loop {
        let last = &chain[chain.len() - 1];
        let issuer = all.iter().find(|other| last.names_as_issuer(other));
        match issuer {
            Some(issuer) if !chain.contains(issuer) => chain.push(issuer.clone()),
            _ => return chain,
        }
    }
}

impl PartialEq for ClientIdentity {
    /// The first certificate names the key, so equal chains are equal identities.
    fn eq(&self, other: &ClientIdentity) -> bool {
        self.chain == other.chain
    }
}

impl Eq for ClientIdentity {}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientIdentity({})", self.certificate().serial_hex())
    }
}
