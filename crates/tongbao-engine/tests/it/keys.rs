//! Key pairs and certificates of both sides, made once in each process and only if needed.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue, IsCa,
    KeyPair, PKCS_RSA_SHA256, SerialNumber, date_time_ymd,
};
use std::sync::LazyLock;
use tongbao_crypt::{Certificate, RsaPrivateKey, alipay_root_sn, digest};

/// The merchant's at WeChat.
pub(crate) static MERCHANT: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);
/// Of WeChat's platform certificate.
pub(crate) static PLATFORM: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);
/// The WeChat Pay public key (微信支付公钥).
pub(crate) static PUBLIC_KEY: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);
/// The app's at Alipay.
pub(crate) static APP: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);
/// Alipay's.
pub(crate) static ALIPAY: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);
/// Nobody's.
pub(crate) static STRANGER: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);

pub(crate) static PLATFORM_PEM: LazyLock<String> = LazyLock::new(|| {
    let authority = authority("Tenpay.com Root CA");
    issue(&authority, "Tenpay.com sign", &PLATFORM)
});

/// The three files of Alipay's certificate mode.
pub(crate) struct AlipayFiles {
    pub(crate) app: String,
    pub(crate) alipay: String,
    pub(crate) root: String,
}

pub(crate) static ALIPAY_FILES: LazyLock<AlipayFiles> = LazyLock::new(|| {
    let authority = authority("Ant Financial Test Authority R1");
    AlipayFiles {
        app: issue(&authority, "2088102100000000-2021000000000001", &APP),
        alipay: issue(&authority, "Alipay Test RSA2", &ALIPAY),
        root: authority.pem(),
    }
});

impl AlipayFiles {
    pub(crate) fn app_sn(&self) -> String {
        Certificate::from_pem(&self.app).unwrap().alipay_sn()
    }

    pub(crate) fn alipay_sn(&self) -> String {
        Certificate::from_pem(&self.alipay).unwrap().alipay_sn()
    }

    pub(crate) fn root_sn(&self) -> String {
        alipay_root_sn(&Certificate::bundle_from_pem(&self.root).unwrap())
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, pair(&RsaPrivateKey::generate())).unwrap()
}

fn issue(by: &CertifiedIssuer<'static, KeyPair>, name: &str, of: &RsaPrivateKey) -> String {
    params(name).signed_by(&pair(of), by).unwrap().pem()
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let country = DnValue::PrintableString("CN".try_into().unwrap());
    params.distinguished_name.push(DnType::CountryName, country);
    params.distinguished_name.push(DnType::OrganizationName, "Tests");
    params.distinguished_name.push(DnType::OrganizationalUnitName, "Certification Authority");
    params.distinguished_name.push(DnType::CommonName, name);
    let mut serial = digest::sha256(name.as_bytes())[..20].to_vec();
    serial[0] = 0x20 | (serial[0] & 0x1f);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2036, 1, 1);
    params
}

fn pair(of: &RsaPrivateKey) -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(&of.to_pkcs8_pem(), &PKCS_RSA_SHA256).unwrap()
}
