//! Reads a file: outer shell, MAC, then the bags (RFC 7292, section 4).

use super::der::{Malformed, Members};
use super::schemes::{self, Algorithm, Budget, Mac, Passphrase};
use super::{FILE_BYTES_MAX, P12Error};
use x509_cert::der::Tag;
use x509_cert::der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

pub(super) const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
pub(super) const ENCRYPTED_DATA: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.6");
pub(super) const KEY_BAG: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.1");
pub(super) const SHROUDED_KEY_BAG: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.2");
pub(super) const CERTIFICATE_BAG: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.12.10.1.3");
pub(super) const X509: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.22.1");

/// What is in a file, in its order.
#[derive(Default)]
pub(crate) struct Contents {
    /// PKCS#8.
    pub(crate) keys: Vec<Zeroizing<Vec<u8>>>,
    /// X.509.
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// Reads all keys and certificates of a file.
pub(crate) fn read(file: &[u8], passphrase: &str) -> Result<Contents, P12Error> {
    if file.len() > FILE_BYTES_MAX {
        return Err(P12Error::TooBig);
    }
    let shell = Shell::read(file).map_err(|Malformed| P12Error::NotP12)?;
    let mac = shell.mac.ok_or(P12Error::NoMac)?;
    let passphrase = Passphrase::new(passphrase);
    let mut budget = Budget::new();
    if !mac.is_right(shell.safes, &passphrase, &mut budget)? {
        return Err(P12Error::WrongPassphrase);
    }
    let mut opener = Opener { passphrase, budget, contents: Contents::default() };
    let mut safes = Members::of_sequence(shell.safes)?;
    while !safes.is_empty() {
        opener.safe(&mut safes)?;
    }
    Ok(opener.contents)
}

/// `PFX`.
struct Shell<'a> {
    /// `AuthenticatedSafe`: what the MAC covers.
    safes: &'a [u8],
    mac: Option<Mac<'a>>,
}

impl<'a> Shell<'a> {
    fn read(file: &'a [u8]) -> Result<Shell<'a>, Malformed> {
        let mut members = Members::of_sequence(file)?;
        if members.number()? != 3 {
            return Err(Malformed);
        }
        let mut content = members.sequence()?;
        if content.oid()? != DATA {
            return Err(Malformed);
        }
        let safes = content.explicit(0)?.octets()?;
        content.end()?;
        let mac = if members.is_empty() { None } else { Some(mac(members.sequence()?)?) };
        members.end()?;
        Ok(Shell { safes, mac })
    }
}

fn mac(mut members: Members<'_>) -> Result<Mac<'_>, Malformed> {
    let mut info = members.sequence()?;
    let algorithm = Algorithm::read(&mut info)?;
    let value = info.octets()?;
    info.end()?;
    let salt = members.octets()?;
    let iterations = if members.next_is(Tag::Integer) { members.number()? } else { 1 };
    members.end()?;
    Ok(Mac { algorithm, value, salt, iterations })
}

struct Opener {
    passphrase: Passphrase,
    budget: Budget,
    contents: Contents,
}

impl Opener {
    /// One `ContentInfo`, plain or encrypted.
    fn safe(&mut self, safes: &mut Members<'_>) -> Result<(), P12Error> {
        let mut safe = safes.sequence()?;
        match safe.oid()? {
            DATA => self.bags(safe.explicit(0)?.octets()?),
            ENCRYPTED_DATA => {
                let mut data = safe.explicit(0)?.sequence()?;
                let _version = data.number()?;
                let mut content = data.sequence()?;
                let _kind = content.oid()?;
                let algorithm = Algorithm::read(&mut content)?;
                let sealed = content.implicit_octets(0)?;
                let plain = self.open(&algorithm, sealed)?;
                self.bags(&plain)
            }
            other => Err(P12Error::Unsupported(format!("content of the kind {other}"))),
        }
    }

    /// `SafeContents`. Bags inside bags, CRLs and secrets are passed over.
    fn bags(&mut self, bytes: &[u8]) -> Result<(), P12Error> {
        let mut bags = Members::of_sequence(bytes)?;
        while !bags.is_empty() {
            let mut bag = bags.sequence()?;
            let kind = bag.oid()?;
            let mut value = bag.explicit(0)?;
            match kind {
                KEY_BAG => self.contents.keys.push(Zeroizing::new(value.any()?.to_vec())),
                SHROUDED_KEY_BAG => {
                    let mut shrouded = value.sequence()?;
                    let algorithm = Algorithm::read(&mut shrouded)?;
                    let key = self.open(&algorithm, shrouded.octets()?)?;
                    self.contents.keys.push(key);
                }
                CERTIFICATE_BAG => {
                    let mut certificate = value.sequence()?;
                    if certificate.oid()? == X509 {
                        let der = certificate.explicit(0)?.octets()?;
                        self.contents.certificates.push(der.to_vec());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn open(
        &mut self,
        algorithm: &Algorithm<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, P12Error> {
        schemes::open(algorithm, sealed, &self.passphrase, &mut self.budget)
    }
}
