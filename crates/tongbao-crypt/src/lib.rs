//! Bytes in, bytes out: digests, RSA, AES, PEM, X.509, PKCS#12, webhook signatures, sealing.
//!
//! What the provider protocols and the webhooks need, and no more, over one implementation (AWS-LC;
//! it lacks Triple DES and RC2, which old PKCS#12 files need). Nothing here knows a provider's
//! message, reads a file or a clock. Keys are parsed once and then used many times; what compares
//! secrets or signatures does so in constant time.

pub mod aes;
pub mod base64;
pub mod digest;
mod identity;
mod p12;
mod pem;
mod rsa;
pub mod seal;
pub mod webhook;
mod x509;

pub use identity::{ClientIdentity, IdentityError};
pub use p12::{P12Error, P12Style};
pub use rsa::{KeyError, RsaPrivateKey, RsaPublicKey};
pub use x509::{Certificate, CertificateError, alipay_root_sn};
