//! Keys and certificates, as the configuration and the providers bring them.

use tongbao_crypt::{Certificate, ClientIdentity, RsaPrivateKey, RsaPublicKey, alipay_root_sn};

/// PEM, bare base64 and DER.
pub fn certificates(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(data) {
        look(&certificate);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = (RsaPrivateKey::read(text).is_ok(), RsaPublicKey::read(text).is_ok());
    let _ = ClientIdentity::from_pem(text, text).is_ok();
    if let Ok(certificate) = Certificate::from_pem(text) {
        look(&certificate);
    }
    if let Ok(bundle) = Certificate::bundle_from_pem(text) {
        let _ = alipay_root_sn(&bundle);
    }
}

fn look(certificate: &Certificate) {
    let again = Certificate::from_pem(&certificate.to_pem()).map(|read| read.serial_hex());
    assert_eq!(again.ok(), Some(certificate.serial_hex()));
    let _ = (certificate.alipay_sn(), certificate.public_key().is_ok());
    let _ = certificate.is_signed_by(certificate);
    let _ = (certificate.not_before_seconds(), certificate.not_after_seconds());
}

/// PKCS#12, with a merchant's number as the passphrase.
pub fn pkcs12(data: &[u8]) {
    let _ = ClientIdentity::from_p12(data, "1900000001").is_ok();
}
