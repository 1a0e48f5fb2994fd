//! Files of both kinds, made here, by another library and by the `openssl` command, and what
//! becomes of wrong passphrases, unknown algorithms and hostile bytes.

use super::der::{self, EXPLICIT_0, OCTETS, SEQUENCE};
use super::reader::{self, SHROUDED_KEY_BAG};
use super::schemes::{Passphrase, Sealing};
use super::{FILE_BYTES_MAX, P12Error, P12Style, writer};
use crate::{Certificate, ClientIdentity, IdentityError, RsaPrivateKey};
use p12_keystore::{EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm};
use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256};
use rcgen::{PKCS_ECDSA_P256_SHA256, SerialNumber};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

const PASSPHRASE: &str = "1900000109";
const SERIAL: &str = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";

/// A merchant as the platform would make one: a certificate under a root, and both in PEM.
struct Merchant {
    key: RsaPrivateKey,
    leaf: String,
    root: String,
    identity: ClientIdentity,
}

static MERCHANT: LazyLock<Merchant> = LazyLock::new(|| {
    let key = RsaPrivateKey::generate();
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "Tenpay.com Root CA");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name.push(DnType::CommonName, PASSPHRASE);
    leaf.serial_number = Some(SerialNumber::from(hex::decode(SERIAL).unwrap()));
    leaf.not_before = rcgen::date_time_ymd(2026, 11, 21);
    leaf.not_after = rcgen::date_time_ymd(2031, 11, 20);
    let root_key = rsa_pair(&RsaPrivateKey::generate());
    let issuer = Issuer::from_params(&root, &root_key);
    let leaf = leaf.signed_by(&rsa_pair(&key), &issuer).unwrap().pem();
    let root = root.self_signed(&root_key).unwrap().pem();
    let pem = format!("{root}\n{leaf}");
    let identity = ClientIdentity::from_pem(&pem, &key.to_pkcs8_pem()).unwrap();
    Merchant { key, leaf, root, identity }
});

fn rsa_pair(key: &RsaPrivateKey) -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(&key.to_pkcs8_pem(), &PKCS_RSA_SHA256).unwrap()
}

fn read(file: &[u8]) -> Result<ClientIdentity, IdentityError> {
    ClientIdentity::from_p12(file, PASSPHRASE)
}

/// The file holds the merchant's key and, of the chain, so many certificates.
#[track_caller]
fn check(file: &[u8], certificates: usize) {
    let found = read(file).unwrap();
    assert_eq!(found.chain(), &MERCHANT.identity.chain()[..certificates]);
    assert_eq!(*found.key().to_pkcs8_der(), *MERCHANT.key.to_pkcs8_der());
    let signature = crate::base64::decode(&found.key().sign_sha256(b"m")).unwrap();
    assert!(found.certificate().public_key().unwrap().verify_sha256(b"m", &signature));
    let wrong = ClientIdentity::from_p12(file, "1900000108");
    assert_eq!(wrong, Err(IdentityError::P12(P12Error::WrongPassphrase)));
}

fn made(style: P12Style) -> Vec<u8> {
    MERCHANT.identity.to_p12("Tenpay Certificate", PASSPHRASE, style)
}

#[test]
fn both_kinds_are_read_as_they_were_written() {
    for style in [P12Style::Modern, P12Style::Legacy] {
        check(&made(style), 2);
    }
}

#[test]
fn serial_and_expiry_of_the_certificate_are_at_hand() {
    let identity = read(&made(P12Style::Legacy)).unwrap();
    assert_eq!(identity.certificate().serial_hex(), SERIAL);
    // 20 November 2031.
    assert_eq!(identity.certificate().not_after_seconds(), 1_952_899_200);
    assert_eq!(format!("{identity:?}"), format!("ClientIdentity({SERIAL})"));
}

#[test]
fn passphrases_may_be_empty_or_have_any_letters() {
    for passphrase in ["", "商户", "🔑 clef", "\0"] {
        for style in [P12Style::Modern, P12Style::Legacy] {
            let file = MERCHANT.identity.to_p12("n", passphrase, style);
            assert!(ClientIdentity::from_p12(&file, passphrase).is_ok(), "{passphrase:?}");
            assert!(ClientIdentity::from_p12(&file, "x").is_err(), "{passphrase:?}");
        }
    }
}

/// Another implementation reads what is written here, and the other way round.
#[test]
fn another_library_agrees() {
    for style in [P12Style::Modern, P12Style::Legacy] {
        let store = KeyStore::from_pkcs12(
            &made(style),
            PASSPHRASE,
            p12_keystore::Pkcs12ImportPolicy::Strict,
        )
        .unwrap();
        let (name, chain) = store.private_key_chain().unwrap();
        assert_eq!((name, chain.certs().len()), ("Tenpay Certificate", 2));
        assert_eq!(chain.key().as_der(), &MERCHANT.key.to_pkcs8_der()[..]);
        assert_eq!(chain.certs()[0].as_der(), MERCHANT.identity.certificate().as_der());
    }
    for (encryption, mac) in [
        (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256),
        (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1),
        (EncryptionAlgorithm::PbeWithShaAnd40BitRc4Cbc, MacAlgorithm::HmacSha1),
        (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha512),
    ] {
        check(&by_the_other_library(encryption, mac), 2);
    }
    let sha224 = MacAlgorithm::HmacSha224;
    let file = by_the_other_library(EncryptionAlgorithm::PbeWithHmacSha256AndAes256, sha224);
    let error = read(&file).unwrap_err().to_string();
    assert!(error.contains("a MAC with SHA-224, which is not supported"), "{error}");
}

fn by_the_other_library(encryption: EncryptionAlgorithm, mac: MacAlgorithm) -> Vec<u8> {
    let key = p12_keystore::PrivateKey::from_der(&MERCHANT.key.to_pkcs8_der()).unwrap();
    let chain = MERCHANT.identity.chain().iter();
    let chain = chain.map(|c| p12_keystore::Certificate::from_der(c.as_der()).unwrap());
    let chain = p12_keystore::PrivateKeyChain::new(vec![1; 4], key, chain);
    let mut store = KeyStore::new();
    store.add_entry("n", KeyStoreEntry::PrivateKeyChain(chain));
    let writer = store.writer(PASSPHRASE).encryption_algorithm(encryption).mac_algorithm(mac);
    writer.encryption_iterations(2048).mac_iterations(2048).write().unwrap()
}

#[test]
fn what_is_no_such_file_is_told_so() {
    let pem = MERCHANT.leaf.as_bytes();
    let base64 = crate::base64::encode(&made(P12Style::Modern));
    let cut = &made(P12Style::Modern)[..1000];
    for file in [&[][..], b"\x30\x80", pem, base64.as_bytes(), cut] {
        assert_eq!(read(file), Err(IdentityError::P12(P12Error::NotP12)));
    }
    let long = vec![0x30; FILE_BYTES_MAX + 1];
    assert_eq!(read(&long), Err(IdentityError::P12(P12Error::TooBig)));
}

/// The MAC is over the content, and the content is not looked at before.
#[test]
fn one_changed_byte_anywhere_in_the_content_is_a_wrong_mac() {
    let file = made(P12Style::Modern);
    for at in [100, 500, 1000, file.len() - 120] {
        let mut changed = file.clone();
        changed[at] ^= 1;
        assert_eq!(read(&changed), Err(IdentityError::P12(P12Error::WrongPassphrase)), "{at}");
    }
}

#[test]
fn a_file_without_a_mac_is_not_trusted() {
    let safes = der::value(SEQUENCE, &[]);
    let bare = der::value(SEQUENCE, &[&der::number(3), &writer::plain(&safes)]);
    assert_eq!(read(&bare), Err(IdentityError::P12(P12Error::NoMac)));
}

/// A file whose MAC is right around these safes.
fn around(safes: &[Vec<u8>]) -> Vec<u8> {
    let safes = der::value(SEQUENCE, &[&safes.concat()]);
    writer::file(&safes, &Passphrase::new(PASSPHRASE), P12Style::Modern)
}

fn certificates(chain: &[&[u8]]) -> Vec<u8> {
    writer::plain(&writer::certificate_bags(chain, &[]))
}

fn shrouded(key: &[u8]) -> Vec<u8> {
    let (algorithm, sealed) = Sealing::Aes256.seal(key, &Passphrase::new(PASSPHRASE));
    shrouded_by(&algorithm, &sealed)
}

fn shrouded_by(algorithm: &[u8], sealed: &[u8]) -> Vec<u8> {
    let value = der::value(SEQUENCE, &[algorithm, &der::value(OCTETS, &[sealed])]);
    let value = der::value(EXPLICIT_0, &[&value]);
    let bag = der::value(SEQUENCE, &[&der::oid(SHROUDED_KEY_BAG), &value]);
    writer::plain(&der::value(SEQUENCE, &[&bag]))
}

#[test]
fn key_and_certificate_must_be_there_and_belong_together() {
    let own = MERCHANT.identity.certificate().as_der();
    let root = MERCHANT.identity.chain()[1].as_der();
    let key = MERCHANT.key.to_pkcs8_der();
    assert_eq!(read(&around(&[certificates(&[own])])), Err(IdentityError::NoKey));
    assert_eq!(read(&around(&[shrouded(&key)])), Err(IdentityError::Mismatch));
    let other = around(&[certificates(&[root]), shrouded(&key)]);
    assert_eq!(read(&other), Err(IdentityError::Mismatch));
    let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap().serialize_der();
    let ec = around(&[certificates(&[own]), shrouded(&ec)]);
    assert_eq!(read(&ec), Err(IdentityError::NotRsa));

    // Order does not matter, and neither does a key that is nobody's.
    let stranger = RsaPrivateKey::generate().to_pkcs8_der();
    let mixed = [shrouded(&stranger), shrouded(&key), certificates(&[root, own, own])];
    check_chain(&around(&mixed), 2);
    let error = ClientIdentity::from_pem(&MERCHANT.root, &MERCHANT.key.to_pkcs8_pem());
    assert_eq!(error, Err(IdentityError::Mismatch));
}

#[track_caller]
fn check_chain(file: &[u8], certificates: usize) {
    assert_eq!(read(file).unwrap().chain(), &MERCHANT.identity.chain()[..certificates]);
}

/// Two authorities that name each other must not make a chain without end.
#[test]
fn a_circle_of_names_ends() {
    let params = |name: &str| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let (a, b) = (params("a"), params("b"));
    let (a_key, b_key) = (rsa_pair(&MERCHANT.key), rsa_pair(&RsaPrivateKey::generate()));
    let a_by_b = a.signed_by(&a_key, &Issuer::from_params(&b, &b_key)).unwrap().pem();
    let b_by_a = b.signed_by(&b_key, &Issuer::from_params(&a, &a_key)).unwrap().pem();
    let both = format!("{a_by_b}{b_by_a}");
    let identity = ClientIdentity::from_pem(&both, &MERCHANT.key.to_pkcs8_pem()).unwrap();
    assert_eq!(identity.chain(), &Certificate::bundle_from_pem(&both).unwrap()[..]);
}

fn pbe(oid: &str, iterations: u32) -> Vec<u8> {
    let salt = der::value(OCTETS, &[&[1; 8]]);
    let parameters = der::value(SEQUENCE, &[&salt, &der::number(iterations)]);
    der::value(SEQUENCE, &[&der::oid(oid.parse().unwrap()), &parameters])
}

const PBE_3DES: &str = "1.2.840.113549.1.12.1.3";
const PBE_RC4: &str = "1.2.840.113549.1.12.1.1";

#[test]
fn iterations_are_bounded_for_the_whole_file_and_before_they_are_spent() {
    let safe = shrouded_by(&pbe(PBE_3DES, u32::MAX), &[0; 8]);
    assert_eq!(read(&around(&[safe])), Err(IdentityError::P12(P12Error::TooCostly)));
    let safe = shrouded_by(&pbe(PBE_3DES, 0), &[0; 8]);
    assert_eq!(read(&around(&[safe])), Err(IdentityError::P12(P12Error::Damaged)));

    // Inside an encrypted safe too, where no look at the outside would find it.
    let bags = [shrouded_by(&pbe(PBE_3DES, super::ITERATIONS_MAX), &[0; 8])];
    let inner = Members::octets_of(&bags[0]);
    let safe = writer::encrypted(&inner, Sealing::Rc2Of40Bits, &Passphrase::new(PASSPHRASE));
    assert_eq!(read(&around(&[safe])), Err(IdentityError::P12(P12Error::TooCostly)));

    let mac = [
        der::value(SEQUENCE, &[&pbe("1.3.14.3.2.26", 1), &der::value(OCTETS, &[&[0; 20]])]),
        der::value(OCTETS, &[&[1; 8]]),
        der::number(u32::MAX),
    ];
    let mac = der::value(SEQUENCE, &[&mac.concat()]);
    let safes = writer::plain(&der::value(SEQUENCE, &[]));
    let file = der::value(SEQUENCE, &[&der::number(3), &safes, &mac]);
    assert_eq!(read(&file), Err(IdentityError::P12(P12Error::TooCostly)));
}

/// Undoes [`writer::plain`].
struct Members;

impl Members {
    fn octets_of(content: &[u8]) -> Vec<u8> {
        let mut members = der::Members::of_sequence(content).ok().unwrap();
        assert!(members.oid().is_ok());
        let octets = members.explicit(0).and_then(|mut inner| inner.octets());
        octets.unwrap().to_vec()
    }
}

#[test]
fn an_unsupported_algorithm_is_named_together_with_the_way_out() {
    let safe = shrouded_by(&pbe(PBE_RC4, 1), &[0; 8]);
    let error = read(&around(&[safe])).unwrap_err().to_string();
    assert!(error.contains("uses pbeWithSHA1And128BitRC4, which is not supported"), "{error}");
    assert!(error.contains("convert it with: openssl pkcs12 -legacy -in OLD.p12 "), "{error}");
    let safe = shrouded_by(&pbe("1.2.3.4", 1), &[0; 8]);
    let error = read(&around(&[safe])).unwrap_err().to_string();
    assert!(error.contains("uses the algorithm 1.2.3.4, which"), "{error}");
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    /// Bytes are changed in the outer shell and, under a right MAC, in the safes and inside the
    /// encrypted ones, so that every layer meets them.
    #[test]
    fn changed_bytes_never_panic(
        layer in 0..3,
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let hurt = |mut bytes: Vec<u8>| {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(cut.map_or(usize::MAX, |cut| cut.index(bytes.len())));
            bytes
        };
        let passphrase = Passphrase::new(PASSPHRASE);
        let own = MERCHANT.identity.certificate().as_der();
        let key = MERCHANT.key.to_pkcs8_der();
        let bags = writer::certificate_bags(&[own], &[]);
        let file = match layer {
            0 => hurt(made(P12Style::Modern)),
            1 => {
                let certificates = writer::encrypted(&bags, Sealing::Aes256, &passphrase);
                let safes = der::value(SEQUENCE, &[&certificates, &shrouded(&key)]);
                writer::file(&hurt(safes), &passphrase, P12Style::Legacy)
            }
            _ => {
                let bags = hurt(bags);
                around(&[writer::encrypted(&bags, Sealing::TripleDes, &passphrase), shrouded(&key)])
            }
        };
        let _whatever = read(&file);
        let _whatever = reader::read(&file, PASSPHRASE);
    }
}

/// A folder with the merchant's PEM files, and the `openssl` command if the machine has one.
struct Openssl {
    folder: PathBuf,
}

impl Openssl {
    fn find(test: &str) -> Option<Openssl> {
        let mut version = Command::new("openssl");
        version.arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        if !version.status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no openssl command here");
            return None;
        }
        let name = format!("tongbao-p12-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let own = Openssl { folder };
        own.put("key.pem", MERCHANT.key.to_pkcs8_pem().as_bytes());
        own.put("cert.pem", MERCHANT.leaf.as_bytes());
        own.put("root.pem", MERCHANT.root.as_bytes());
        Some(own)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).unwrap();
    }

    /// Runs a line of the shell in the folder; `None` if it fails, as it does where a build lacks
    /// the old algorithms.
    fn run(&self, line: &str) -> Option<String> {
        let output = Command::new("sh").args(["-c", line]).current_dir(&self.folder).output();
        let output = output.unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
    }

    fn export(&self, options: &str) -> Option<Vec<u8>> {
        let base = "openssl pkcs12 -export -inkey key.pem -in cert.pem -out made.p12";
        self.run(&format!("{base} -passout pass:{PASSPHRASE} {options}"))?;
        Some(std::fs::read(self.folder.join("made.p12")).unwrap())
    }
}

impl Drop for Openssl {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn files_made_by_openssl_are_read() {
    let Some(openssl) = Openssl::find("made") else { return };
    let today = openssl.export("").unwrap();
    check(&today, 1);
    check(&openssl.export("-certfile root.pem -name 商户证书").unwrap(), 2);
    check(&openssl.export("-certpbe AES-128-CBC -keypbe AES-192-CBC").unwrap(), 1);
    check(&openssl.export("-certpbe NONE -macalg sha512 -iter 10000").unwrap(), 1);
    check(&openssl.export("-keypbe NONE -certpbe NONE").unwrap(), 1);
    check(&openssl.export("-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES").unwrap(), 1);
    check(&openssl.export("-keypbe DES-EDE3-CBC -macalg sha1 -nomaciter").unwrap(), 1);
    assert_eq!(read(&openssl.export("-nomac").unwrap()), Err(P12Error::NoMac.into()));
    assert_eq!(read(&openssl.export("-nokeys").unwrap()), Err(IdentityError::NoKey));

    let Some(old) = openssl.export("-legacy -certfile root.pem") else { return };
    let rc2_40 = der::oid("1.2.840.113549.1.12.1.6".parse().unwrap());
    assert!(old.windows(rc2_40.len()).any(|some| some == rc2_40));
    check(&old, 2);
    check(&openssl.export("-legacy -certpbe PBE-SHA1-RC2-128").unwrap(), 1);
}

/// The command in the message does what the message says.
#[test]
fn the_conversion_that_errors_name_makes_a_readable_file() {
    let Some(openssl) = Openssl::find("convert") else { return };
    let Some(old) = openssl.export("-legacy -keypbe PBE-SHA1-RC4-128") else { return };
    let error = read(&old).unwrap_err();
    assert_eq!(error, P12Error::Unsupported("pbeWithSHA1And128BitRC4".to_owned()).into());
    let text = error.to_string();
    let (_, command) = text.split_once("convert it with: ").unwrap();
    openssl.put("OLD.p12", &old);
    openssl.run(&command.replace("PASSPHRASE", PASSPHRASE)).unwrap();
    check(&std::fs::read(openssl.folder.join("NEW.p12")).unwrap(), 1);
    assert!(!openssl.folder.join("ALL.pem").exists());
}

#[test]
fn openssl_reads_what_is_written_here() {
    let Some(openssl) = Openssl::find("written") else { return };
    for (style, option) in [(P12Style::Modern, ""), (P12Style::Legacy, "-legacy")] {
        openssl.put("ours.p12", &made(style));
        let read = format!("openssl pkcs12 -in ours.p12 -nodes -passin pass:{PASSPHRASE} {option}");
        let Some(text) = openssl.run(&read) else {
            assert_eq!(style, P12Style::Legacy, "{read}");
            continue;
        };
        let identity = ClientIdentity::from_pem(&text, &text).unwrap();
        assert_eq!(identity, MERCHANT.identity);
        assert!(text.contains("friendlyName: Tenpay Certificate"), "{text}");
    }
}
