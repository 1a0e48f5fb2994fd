//! Certificates: serials as the providers print them, keys, validity, one step of a chain.
//!
//! It does not build or judge chains and knows no revocation; the protocol crates say which
//! certificate must be signed by which. Certificates with algorithms that cannot be used here (SM2,
//! elliptic curves) are read all the same, since they stand in the providers' bundles.

use crate::digest::md5_hex;
use crate::pem;
use crate::rsa::RsaPublicKey;
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RsaParameters, UnparsedPublicKey,
};
use x509_cert::der::{Decode, Encode, Reader, SliceReader};
use x509_cert::ext::pkix::BasicConstraints;

/// Why a text is not taken as a certificate, or gives no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// No `CERTIFICATE` block, or one that is cut off.
    #[error("no certificate: it must be PEM, with its BEGIN CERTIFICATE and END CERTIFICATE lines")]
    NotPem,
    /// The block is not X.509.
    #[error("the certificate is damaged: it is not X.509")]
    NotX509,
    /// The certificate's key is not RSA of 2048 to 8192 bits.
    #[error("the certificate's key is not RSA of 2048 to 8192 bits")]
    NotRsa,
}

/// One X.509 certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
}

impl Certificate {
    /// Reads the first certificate of a text; its chain may follow, as in Alipay's files.
    pub fn from_pem(text: &str) -> Result<Certificate, CertificateError> {
        let mut all = Certificate::bundle_from_pem(text)?;
        Ok(all.swap_remove(0))
    }

    /// Reads all certificates of a text, in its order; at least one.
    pub fn bundle_from_pem(text: &str) -> Result<Vec<Certificate>, CertificateError> {
        let blocks = pem::blocks(text).ok_or(CertificateError::NotPem)?;
        let certificates = blocks.iter().filter(|b| b.label == "CERTIFICATE");
        let all: Vec<Certificate> =
            certificates.map(|b| Certificate::from_der(&b.der)).collect::<Result<_, _>>()?;
        if all.is_empty() { Err(CertificateError::NotPem) } else { Ok(all) }
    }

    /// Reads a certificate in DER, as TLS and PKCS#12 carry it.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CertificateError> {
        let parsed =
            x509_cert::Certificate::from_der(der).map_err(|_| CertificateError::NotX509)?;
        Ok(Certificate { der: der.to_vec(), parsed })
    }

    /// The certificate in DER, as it was read.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The serial number in upper-case hex, two digits for each byte, as WeChat Pay prints it in
    /// `Wechatpay-Serial`.
    pub fn serial_hex(&self) -> String {
        hex::encode_upper(self.serial())
    }

    /// The certificate's key.
    pub fn public_key(&self) -> Result<RsaPublicKey, CertificateError> {
        RsaPublicKey::from_der(&self.spki()).map_err(|_| CertificateError::NotRsa)
    }

    /// The first moment of its validity, in seconds since 1970 UTC.
    pub fn not_before_seconds(&self) -> i64 {
        seconds(self.parsed.tbs_certificate().validity().not_before)
    }

    /// The last moment of its validity, in seconds since 1970 UTC.
    pub fn not_after_seconds(&self) -> i64 {
        seconds(self.parsed.tbs_certificate().validity().not_after)
    }

    /// `CERTIFICATE` in PEM.
    pub fn to_pem(&self) -> String {
        pem::write("CERTIFICATE", &self.der)
    }

    /// Alipay's name of the certificate (`app_cert_sn`, `alipay_cert_sn`): MD5 over the issuer as
    /// RFC 2253 writes it and the serial number in decimal. Alipay, 公钥证书签名.
    pub fn alipay_sn(&self) -> String {
        // This crate's text of a name is what Java's getIssuerX500Principal().getName() prints for
        // C, ST, L, O, OU, CN and DC, which is what Alipay hashes.
        let issuer = self.parsed.tbs_certificate().issuer().to_string();
        md5_hex(format!("{issuer}{}", decimal(self.serial())).as_bytes())
    }

    /// Whether `issuer` is named as this certificate's issuer, may sign certificates, and did sign
    /// this one (RSA with SHA-256, SHA-384 or SHA-512). Validity is the caller's to check.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let named = self.parsed.tbs_certificate().issuer();
        if named != issuer.parsed.tbs_certificate().subject() || !issuer.may_sign() {
            return false;
        }
        let Some(algorithm) = self.signature_algorithm() else { return false };
        let Some(signature) = self.parsed.signature().as_bytes() else { return false };
        let key = UnparsedPublicKey::new(algorithm, issuer.spki());
        signed_part(&self.der).is_some_and(|part| key.verify(part, signature).is_ok())
    }

    /// Whether the certificate names `other` as its issuer and is not its own.
    pub(crate) fn names_as_issuer(&self, other: &Certificate) -> bool {
        let (own, theirs) = (self.parsed.tbs_certificate(), other.parsed.tbs_certificate());
        own.issuer() == theirs.subject() && own.issuer() != own.subject()
    }

    /// Big-endian, without the zero byte that only says that the number is positive.
    fn serial(&self) -> &[u8] {
        match self.parsed.tbs_certificate().serial_number().as_bytes() {
            [0, rest @ ..] if !rest.is_empty() => rest,
            bytes => bytes,
        }
    }

    fn spki(&self) -> Vec<u8> {
        let spki = self.parsed.tbs_certificate().subject_public_key_info();
        spki.to_der().expect("what was read can be written")
    }

    /// By its basic constraints, or, for the old roots that have none, by being its own issuer.
    fn may_sign(&self) -> bool {
        let part = self.parsed.tbs_certificate();
        match part.get_extension::<BasicConstraints>() {
            Ok(Some((_, constraints))) => constraints.ca,
            Ok(None) => part.issuer() == part.subject(),
            Err(_) => false,
        }
    }

    fn signature_algorithm(&self) -> Option<&'static RsaParameters> {
        match self.parsed.signature_algorithm().oid.to_string().as_str() {
            "1.2.840.113549.1.1.11" => Some(&RSA_PKCS1_2048_8192_SHA256),
            "1.2.840.113549.1.1.12" => Some(&RSA_PKCS1_2048_8192_SHA384),
            "1.2.840.113549.1.1.13" => Some(&RSA_PKCS1_2048_8192_SHA512),
            _ => None,
        }
    }

    fn is_signed_with_rsa(&self) -> bool {
        let oid = self.parsed.signature_algorithm().oid.to_string();
        oid.starts_with("1.2.840.113549.1.1.")
    }
}

/// `alipay_root_cert_sn`: the serials of those roots that are signed with RSA, in the order of the
/// file, joined with `_`; empty if there is none. Alipay, 公钥证书签名.
pub fn alipay_root_sn(bundle: &[Certificate]) -> String {
    let rsa = bundle.iter().filter(|certificate| certificate.is_signed_with_rsa());
    rsa.map(Certificate::alipay_sn).collect::<Vec<_>>().join("_")
}

fn seconds(time: x509_cert::time::Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).expect("the year has four digits")
}

/// The bytes that the issuer signed, as they stand in the certificate: writing the parsed form
/// again could give others.
fn signed_part(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    let part: Result<&[u8], x509_cert::der::Error> = reader.sequence(|inner| {
        let part = inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        inner.tlv_bytes()?;
        Ok(part)
    });
    part.ok()
}

/// Serial numbers have up to 20 bytes, more than any integer type holds.
fn decimal(bytes: &[u8]) -> String {
    let mut digits = vec![0u8];
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) * 256;
            *digit = (carry % 10) as u8;
            carry /= 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    digits.iter().rev().map(|digit| char::from(b'0' + digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RsaPrivateKey;
    use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer};
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, SerialNumber};

    struct Made {
        params: CertificateParams,
        key: KeyPair,
    }

    fn made(common_name: &str, serial_hex: &str, key: KeyPair) -> Made {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in [
            (DnType::CountryName, "CN"),
            (DnType::OrganizationName, "Ant Financial"),
            (DnType::OrganizationalUnitName, "Certification Authority"),
            (DnType::CommonName, common_name),
        ] {
            params.distinguished_name.push(kind, value);
        }
        params.serial_number = Some(SerialNumber::from(hex::decode(serial_hex).unwrap()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Made { params, key }
    }

    fn rsa() -> KeyPair {
        let pem = RsaPrivateKey::generate().to_pkcs8_pem();
        KeyPair::from_pkcs8_pem_and_sign_algo(&pem, &PKCS_RSA_SHA256).unwrap()
    }

    impl Made {
        fn self_signed(&self) -> String {
            self.params.self_signed(&self.key).unwrap().pem()
        }

        fn signed_by(&self, issuer: &Made) -> String {
            let issuer = Issuer::from_params(&issuer.params, &issuer.key);
            self.params.signed_by(&self.key, &issuer).unwrap().pem()
        }
    }

    const R1: &str = "Ant Financial Certification Authority R1";
    const CLASS_1: &str = "Ant Financial Certification Authority Class 1 R1";
    const CLASS_2: &str = "Ant Financial Certification Authority Class 2 R1";

    #[test]
    fn serials_are_those_of_alipays_own_certificates() {
        let check = |issuer: &str, serial: &str, sn: &str| {
            let leaf = made("leaf", serial, rsa()).signed_by(&made(issuer, "01", rsa()));
            let leaf = Certificate::from_pem(&leaf).unwrap();
            assert_eq!(leaf.alipay_sn(), sn);
            assert_eq!(leaf.serial_hex(), serial);
        };
        let app = "2020051862039D4090897BA4D51C2126";
        check(CLASS_1, app, "866efef280dec9137a87d047ac446315");
        let alipay = "20200514E63C2FE04D538716FE21358B";
        check(CLASS_2, alipay, "7513daaaa48aa3ba2e4018d84402479c");
    }

    #[test]
    fn the_published_texts_hash_to_the_published_serials() {
        let ca = "OU=Certification Authority,O=Ant Financial,C=CN";
        let cases = [
            (format!("CN={R1},{ca}2292228364100439313"), "687b59193f3f462dd5336e5abf83c5d8"),
            (
                "CN=iTrusChina Class 2 Root CA - G3,OU=China Trust Network,O=iTrusChina,\
                 C=CN95790491425698859646659490580052089075020051350"
                    .to_owned(),
                "02941eef3187dddf3d3b83462e1dfcf6",
            ),
            (
                format!("CN={CLASS_1},{ca}42701552708448241360226107228231049510"),
                "866efef280dec9137a87d047ac446315",
            ),
            (
                format!("CN={CLASS_2},{ca}42701552432456004857627230056898180491"),
                "7513daaaa48aa3ba2e4018d84402479c",
            ),
        ];
        for (text, sn) in cases {
            assert_eq!(md5_hex(text.as_bytes()), sn, "{text}");
        }
    }

    #[test]
    fn a_bundle_names_its_rsa_roots_only() {
        // 2292228364100439313 in hex.
        let r1 = made(R1, "1FCFA18D6A480D11", rsa()).self_signed();
        let ec = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let ec = made("Ant Financial Certification Authority E1", "02", ec).self_signed();
        let sm2 = as_sm2(&ec);
        let bundle = Certificate::bundle_from_pem(&[sm2, r1.clone(), ec, r1].join("\n")).unwrap();
        assert_eq!(bundle.len(), 4);
        let sn = "687b59193f3f462dd5336e5abf83c5d8";
        assert_eq!(alipay_root_sn(&bundle), format!("{sn}_{sn}"));
        assert_eq!(bundle[0].public_key(), Err(CertificateError::NotRsa));
        assert_eq!(alipay_root_sn(&[]), "");
    }

    /// Turns ecdsa-with-SHA256 into SM2-with-SM3, an identifier of the same length.
    fn as_sm2(pem: &str) -> String {
        let ecdsa = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
        let sm2 = [0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x83, 0x75];
        let mut der = pem::blocks(pem).unwrap()[0].der.to_vec();
        let mut found = 0;
        for at in 0..der.len() - 8 {
            if der[at..at + 8] == ecdsa {
                der[at..at + 8].copy_from_slice(&sm2);
                found += 1;
            }
        }
        assert_eq!(found, 2);
        pem::write("CERTIFICATE", &der)
    }

    #[test]
    fn serial_numbers_become_decimal_whatever_their_length() {
        for (hex_text, wanted) in [
            ("00", "0"),
            ("0A", "10"),
            ("FFFFFFFFFFFFFFFF", "18446744073709551615"),
            ("010000000000000000", "18446744073709551616"),
            ("2020051862039D4090897BA4D51C2126", "42701552708448241360226107228231049510"),
            ("20200514E63C2FE04D538716FE21358B", "42701552432456004857627230056898180491"),
        ] {
            assert_eq!(decimal(&hex::decode(hex_text).unwrap()), wanted);
        }
    }

    #[test]
    fn serials_in_hex_keep_zero_digits_and_lose_the_sign_byte() {
        for serial in ["0B5E4B2C", "F00D", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"] {
            let text = made("x", serial, rsa()).self_signed();
            assert_eq!(Certificate::from_pem(&text).unwrap().serial_hex(), serial);
        }
    }

    #[test]
    fn only_the_named_issuer_with_the_right_key_and_the_right_to_sign_counts() {
        let read = |pem: &str| Certificate::from_pem(pem).unwrap();
        let root = made("root", "01", rsa());
        let impostor = made("root", "01", rsa());
        let mut leaf = made("leaf", "02", rsa());
        leaf.params.is_ca = IsCa::ExplicitNoCa;
        let child = made("child", "03", rsa());

        let (root_pem, leaf_pem) = (read(&root.self_signed()), read(&leaf.signed_by(&root)));
        assert!(root_pem.is_signed_by(&root_pem));
        assert!(leaf_pem.is_signed_by(&root_pem));
        assert!(!leaf_pem.is_signed_by(&read(&impostor.self_signed())));
        assert!(!leaf_pem.is_signed_by(&leaf_pem));
        assert!(!read(&child.signed_by(&leaf)).is_signed_by(&leaf_pem));
        let renamed = made("other", "01", rsa());
        let other = Made { params: renamed.params, key: root.key };
        assert!(!leaf_pem.is_signed_by(&read(&other.self_signed())));
    }

    #[test]
    fn one_changed_byte_breaks_the_issuers_signature() {
        let root = made("root", "01", rsa());
        let root_read = Certificate::from_pem(&root.self_signed()).unwrap();
        let leaf = made("leaf name", "02", rsa()).signed_by(&root);
        let mut der = pem::blocks(&leaf).unwrap()[0].der.to_vec();
        let at = der.windows(9).position(|w| w == b"leaf name").unwrap();
        der[at] = b'L';
        assert!(!Certificate::from_der(&der).unwrap().is_signed_by(&root_read));
    }

    #[test]
    fn validity_key_and_text_read_back() {
        let mut root = made("root", "01", rsa());
        root.params.not_before = rcgen::date_time_ymd(2026, 11, 21);
        root.params.not_after = rcgen::date_time_ymd(2051, 1, 1);
        let text = root.self_signed();
        let certificate = Certificate::from_pem(&text).unwrap();
        assert_eq!(certificate.not_before_seconds(), 1_795_219_200);
        assert_eq!(certificate.not_after_seconds(), 2_556_144_000);
        assert_eq!(Certificate::from_pem(&certificate.to_pem()), Ok(certificate.clone()));
        let key = certificate.public_key().unwrap();
        assert_eq!(RsaPublicKey::read(&text), Ok(key.clone()));
        assert_eq!(RsaPublicKey::read(&root.key.public_key_pem()), Ok(key));
    }

    #[test]
    fn other_texts_are_no_certificates() {
        for text in ["", "MIIB", "-----BEGIN CERTIFICATE-----\nYWJj\n"] {
            assert_eq!(Certificate::from_pem(text), Err(CertificateError::NotPem), "{text:?}");
        }
        let damaged = pem::write("CERTIFICATE", b"abc");
        assert_eq!(Certificate::from_pem(&damaged), Err(CertificateError::NotX509));
        let key = RsaPrivateKey::generate().public().to_spki_pem();
        assert_eq!(Certificate::from_pem(&key), Err(CertificateError::NotPem));
    }
}
