//! PKCS#12 files (`apiclient_cert.p12`): a private key and its certificates under a passphrase.
//!
//! Both kinds that are about are read: today's (AES under PBKDF2, SHA-256) and the old one, with
//! RC2 of 40 bits, Triple DES and SHA-1, which is what WeChat Pay has issued for years and what
//! current OpenSSL opens with `-legacy` only. A file is taken only if its MAC is right, and before
//! anything is computed it is known to be affordable: the size of the file and all the iterations
//! in it are bounded, those inside encrypted parts too.
//!
//! RFC 7292. Not here: passphrases by public key, scrypt, secrets and CRLs inside a file (skipped),
//! BER with indefinite lengths. What a file's content means for an account is `identity.rs`.

mod der;
mod reader;
mod schemes;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use reader::{Contents, read};
pub(crate) use writer::write;

/// The most bytes that are looked at; a file with a chain of three has six thousand.
pub(crate) const FILE_BYTES_MAX: usize = 64 * 1024;

/// The most iterations of all keys of one file together, about a second of computing. OpenSSL
/// writes 3 times 2048, Java 3 times 10,000, Firefox 3 times 600,000.
pub(crate) const ITERATIONS_MAX: u32 = 3_000_000;

/// How a new file is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum P12Style {
    /// AES-256-CBC under PBKDF2 with HMAC-SHA-256, MAC with SHA-256: what OpenSSL 3 writes.
    Modern,
    /// Certificates under 40 bits of RC2, the key under Triple DES, MAC with SHA-1: what WeChat Pay
    /// issues, for trying whether a client reads it. It protects nothing.
    Legacy,
}

/// Why a file is not read. The texts are for the person who has the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum P12Error {
    /// Far too long.
    #[error("not a certificate file: it has more than {FILE_BYTES_MAX} bytes")]
    TooBig,
    /// Something else.
    #[error(
        "not a PKCS#12 file (.p12, .pfx): it must be the binary file itself, such as \
         apiclient_cert.p12, and not a PEM text or its base64"
    )]
    NotP12,
    /// The MAC is wrong.
    #[error(
        "the passphrase of the PKCS#12 file is wrong, or the file was damaged; WeChat Pay's \
         apiclient_cert.p12 has the merchant number (mch_id) as its passphrase"
    )]
    WrongPassphrase,
    /// Nothing shows that passphrase and content are right.
    #[error(
        "the PKCS#12 file has no MAC, so nothing shows that it is whole; make it again with: {}",
        CONVERT
    )]
    NoMac,
    /// An algorithm, by name or else by number, that is not read.
    #[error(
        "the PKCS#12 file uses {0}, which is not supported; convert it with: {command}",
        command = CONVERT
    )]
    Unsupported(String),
    /// More iterations than a file may ask for.
    #[error(
        "the PKCS#12 file asks for more than {ITERATIONS_MAX} iterations; make it again with: {}",
        CONVERT
    )]
    TooCostly,
    /// The MAC is right and the content is not.
    #[error("the PKCS#12 file is damaged inside: its MAC is right, but its content is not")]
    Damaged,
}

/// Through a file, which OpenSSL makes for its owner alone: current versions cannot read a key and
/// its certificate from one pipe.
const CONVERT: &str = "openssl pkcs12 -legacy -in OLD.p12 -passin pass:PASSPHRASE -nodes \
                       -out ALL.pem && openssl pkcs12 -export -in ALL.pem -out NEW.p12 \
                       -passout pass:PASSPHRASE && rm ALL.pem";
