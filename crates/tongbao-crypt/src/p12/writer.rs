//! Writes a file as OpenSSL does: the certificates in an encrypted safe, the key in a bag of its
//! own, both tied together by the certificate's SHA-1.

use super::P12Style;
use super::der::{self, EXPLICIT_0, IMPLICIT_0, OCTETS, SEQUENCE, SET};
use super::reader::{CERTIFICATE_BAG, DATA, ENCRYPTED_DATA, SHROUDED_KEY_BAG, X509};
use super::schemes::{self, Passphrase, Sealing};
use aws_lc_rs::digest;
use x509_cert::der::asn1::ObjectIdentifier;

const FRIENDLY_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.20");
const LOCAL_KEY_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.21");

/// A file of a key (PKCS#8) and its certificates, the key's own first. `name` is what programs
/// show for it.
pub(crate) fn write(
    key: &[u8],
    chain: &[&[u8]],
    name: &str,
    passphrase: &str,
    style: P12Style,
) -> Vec<u8> {
    let passphrase = Passphrase::new(passphrase);
    let (for_certificates, for_key) = match style {
        P12Style::Modern => (Sealing::Aes256, Sealing::Aes256),
        P12Style::Legacy => (Sealing::Rc2Of40Bits, Sealing::TripleDes),
    };
    let attributes = attributes(name, chain);
    let certificates =
        encrypted(&certificate_bags(chain, &attributes), for_certificates, &passphrase);
    let (algorithm, sealed) = for_key.seal(key, &passphrase);
    let shrouded = der::value(SEQUENCE, &[&algorithm, &der::value(OCTETS, &[&sealed])]);
    let key = plain(&der::value(SEQUENCE, &[&bag(SHROUDED_KEY_BAG, &shrouded, &attributes)]));
    file(&der::value(SEQUENCE, &[&certificates, &key]), &passphrase, style)
}

/// The shell with a right MAC around safes.
pub(super) fn file(safes: &[u8], passphrase: &Passphrase, style: P12Style) -> Vec<u8> {
    let mac = schemes::mac_data(safes, passphrase, style == P12Style::Legacy);
    der::value(SEQUENCE, &[&der::number(3), &plain(safes), &mac])
}

/// `ContentInfo` of bytes as they are.
pub(super) fn plain(bytes: &[u8]) -> Vec<u8> {
    let bytes = der::value(EXPLICIT_0, &[&der::value(OCTETS, &[bytes])]);
    der::value(SEQUENCE, &[&der::oid(DATA), &bytes])
}

/// `ContentInfo` of bytes under a passphrase.
pub(super) fn encrypted(bytes: &[u8], sealing: Sealing, passphrase: &Passphrase) -> Vec<u8> {
    let (algorithm, sealed) = sealing.seal(bytes, passphrase);
    let sealed = der::value(IMPLICIT_0, &[&sealed]);
    let content = der::value(SEQUENCE, &[&der::oid(DATA), &algorithm, &sealed]);
    let data = der::value(SEQUENCE, &[&der::number(0), &content]);
    der::value(SEQUENCE, &[&der::oid(ENCRYPTED_DATA), &der::value(EXPLICIT_0, &[&data])])
}

pub(super) fn certificate_bags(chain: &[&[u8]], attributes: &[u8]) -> Vec<u8> {
    let bags = chain.iter().enumerate().map(|(index, certificate)| {
        let certificate = der::value(EXPLICIT_0, &[&der::value(OCTETS, &[certificate])]);
        let value = der::value(SEQUENCE, &[&der::oid(X509), &certificate]);
        bag(CERTIFICATE_BAG, &value, if index == 0 { attributes } else { &[] })
    });
    der::value(SEQUENCE, &[&bags.collect::<Vec<_>>().concat()])
}

fn bag(kind: ObjectIdentifier, value: &[u8], attributes: &[u8]) -> Vec<u8> {
    der::value(SEQUENCE, &[&der::oid(kind), &der::value(EXPLICIT_0, &[value]), attributes])
}

/// The members of a SET stand in the order of their bytes.
fn attributes(name: &str, chain: &[&[u8]]) -> Vec<u8> {
    let wide: Vec<u8> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let leaf = chain.first().copied().unwrap_or_default();
    let key_id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
    let mut both = [
        attribute(FRIENDLY_NAME, &der::value(BMP_STRING, &[&wide])),
        attribute(LOCAL_KEY_ID, &der::value(OCTETS, &[key_id.as_ref()])),
    ];
    both.sort();
    der::value(SET, &[&both.concat()])
}

const BMP_STRING: u8 = 0x1E;

fn attribute(kind: ObjectIdentifier, value: &[u8]) -> Vec<u8> {
    der::value(SEQUENCE, &[&der::oid(kind), &der::value(SET, &[value])])
}
