//! Certificates in the shapes that SDKs expect: Tenpay's for a merchant and a platform, Ant's for
//! an app and for Alipay, and the bundle of roots.
//!
//! Alipay's serial rule reads the issuer's name (公钥证书模式), and libraries differ at its edges;
//! so every name is exactly C, O, OU, CN in this order, plain ASCII, without anything to escape.

use crate::SandboxError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_RSA_SHA256, SerialNumber, date_time_ymd,
};
use tongbao_crypt::{ClientIdentity, P12Style, RsaPrivateKey};

/// A name of four parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Name<'a> {
    pub(crate) organization: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) common: &'a str,
}

/// A certificate authority that signs others.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    year: i16,
}

impl Authority {
    /// A self-signed one, good for thirty years from the start of `year`.
    pub(crate) fn new(
        name: Name<'_>,
        key: &RsaPrivateKey,
        year: i16,
    ) -> Result<Authority, SandboxError> {
        let mut params = params(name, year, 30)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, pair(key)?).map_err(failed)?;
        Ok(Authority { issuer, year })
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> String {
        unix_lines(&self.issuer.pem())
    }

    /// A certificate of somebody else's key, good for five years.
    pub(crate) fn issue(
        &self,
        name: Name<'_>,
        key: &RsaPrivateKey,
    ) -> Result<String, SandboxError> {
        let mut params = params(name, self.year, 5)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::DataEncipherment,
        ];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&pair(key)?, &self.issuer).map_err(failed)?;
        Ok(unix_lines(&certificate.pem()))
    }
}

/// A file like `apiclient_cert.p12`: the key and its certificate under a passphrase, in base64.
pub(crate) fn p12_base64(
    key: &RsaPrivateKey,
    certificate: &str,
    passphrase: &str,
) -> Result<String, SandboxError> {
    let identity = ClientIdentity::from_pem(certificate, &key.to_pkcs8_pem());
    let identity = identity.map_err(|error| SandboxError::Certificate(error.to_string()))?;
    let file = identity.to_p12("Tenpay Certificate", passphrase, P12Style::Modern);
    Ok(tongbao_crypt::base64::encode(&file))
}

fn params(name: Name<'_>, year: i16, years: i16) -> Result<CertificateParams, SandboxError> {
    let mut params = CertificateParams::default();
    let mut names = DistinguishedName::new();
    let country = "CN".try_into().map_err(failed)?;
    names.push(DnType::CountryName, DnValue::PrintableString(country));
    names.push(DnType::OrganizationName, name.organization);
    names.push(DnType::OrganizationalUnitName, name.unit);
    names.push(DnType::CommonName, name.common);
    params.distinguished_name = names;
    params.serial_number = Some(serial());
    params.not_before = date_time_ymd(i32::from(year), 1, 1);
    params.not_after = date_time_ymd(i32::from(year + years), 12, 31);
    Ok(params)
}

/// Twenty bytes, positive and without a leading zero: 40 digits in hexadecimal, as WeChat prints.
fn serial() -> SerialNumber {
    let mut bytes: [u8; 20] = crate::dice::bytes();
    bytes[0] = 0x20 | (bytes[0] & 0x1f);
    SerialNumber::from_slice(&bytes)
}

fn pair(key: &RsaPrivateKey) -> Result<KeyPair, SandboxError> {
    KeyPair::from_pkcs8_pem_and_sign_algo(&key.to_pkcs8_pem(), &PKCS_RSA_SHA256).map_err(failed)
}

fn unix_lines(pem: &str) -> String {
    pem.replace('\r', "")
}

fn failed(error: rcgen::Error) -> SandboxError {
    SandboxError::Certificate(error.to_string())
}
