//! The merchant's side of an app: who it is, its key, and whose messages it believes.
//!
//! Everything is parsed and checked once, when the credentials are made; a mix-up of keys, the
//! commonest mistake, is told here in words and not later as a signature that does not fit. Whether
//! a certificate has expired is not checked here, since no clock is.

use crate::ContentKey;
use std::collections::BTreeMap;
use tongbao_crypt::{
    Certificate, CertificateError, KeyError, RsaPrivateKey, RsaPublicKey, alipay_root_sn,
};
use tongbao_types::Timestamp;

/// Certificates between a leaf and a root, at most.
const CHAIN_MAX: usize = 4;

/// Why credentials cannot be used. Each is the merchant's configuration to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// The app id is not digits.
    #[error("app_id must be the app's number from the console: 1 to 32 digits")]
    AppId,
    /// The seller id is not a PID.
    #[error("seller_id must be the merchant's PID: 16 digits that begin with 2088")]
    SellerId,
    /// The app's private key cannot be read.
    #[error("the app's private key (应用私钥): {0}")]
    AppKey(#[source] KeyError),
    /// Alipay's public key cannot be read.
    #[error("Alipay's public key (支付宝公钥): {0}")]
    AlipayKey(#[source] KeyError),
    /// The app's own public key stands where Alipay's belongs.
    #[error(
        "the key given as Alipay's public key is the public half of the app's own key: copy \
         支付宝公钥 from the console, not 应用公钥"
    )]
    SameKeyTwice,
    /// One of the three certificate files cannot be read.
    #[error("{file}: {error}")]
    Certificate {
        /// The file, by the name that Alipay gives it.
        file: &'static str,
        /// What is wrong with it.
        #[source]
        error: CertificateError,
    },
    /// The app's certificate was issued for another key.
    #[error(
        "appCertPublicKey belongs to another private key than the app's: download the certificate \
         again, or use the private key that its request was made with"
    )]
    AppCertificateOfAnotherKey,
    /// No root in the bundle is signed with RSA.
    #[error("alipayRootCert holds no root that is signed with RSA: use the file from the console")]
    NoRsaRoot,
}

/// The three files of the certificate mode, as PEM text.
#[derive(Debug, Clone, Copy)]
pub struct CertificateFiles<'a> {
    /// `appCertPublicKey_<app_id>.crt`.
    pub app: &'a str,
    /// `alipayCertPublicKey_RSA2.crt`.
    pub alipay: &'a str,
    /// `alipayRootCert.crt`.
    pub root: &'a str,
}

/// Whose signatures count.
#[derive(Debug, Clone)]
pub enum Trust {
    /// 公钥模式: one key of Alipay's.
    PublicKey(RsaPublicKey),
    /// 公钥证书模式.
    Certificates(CertificateTrust),
}

/// What the certificate mode needs.
#[derive(Debug, Clone)]
pub struct CertificateTrust {
    app_cert_sn: String,
    root_sn: String,
    alipay: BTreeMap<String, RsaPublicKey>,
    between: Vec<Certificate>,
    roots: Vec<Certificate>,
}

/// One app of a merchant at Alipay.
#[derive(Debug, Clone)]
pub struct Credentials {
    app_id: String,
    seller_id: Option<String>,
    app_key: RsaPrivateKey,
    trust: Trust,
    content_key: Option<ContentKey>,
}

impl Credentials {
    /// An app in 公钥模式. Keys are PEM or bare base64.
    pub fn with_public_key(
        app_id: &str,
        app_private_key: &str,
        alipay_public_key: &str,
    ) -> Result<Credentials, CredentialsError> {
        let app_key = RsaPrivateKey::read(app_private_key).map_err(CredentialsError::AppKey)?;
        let key = RsaPublicKey::read(alipay_public_key).map_err(CredentialsError::AlipayKey)?;
        if key == app_key.public() {
            return Err(CredentialsError::SameKeyTwice);
        }
        Credentials::new(app_id, app_key, Trust::PublicKey(key))
    }

    /// An app in 公钥证书模式.
    pub fn with_certificates(
        app_id: &str,
        app_private_key: &str,
        files: CertificateFiles<'_>,
    ) -> Result<Credentials, CredentialsError> {
        let app_key = RsaPrivateKey::read(app_private_key).map_err(CredentialsError::AppKey)?;
        let trust = CertificateTrust::read(files, &app_key.public())?;
        Credentials::new(app_id, app_key, Trust::Certificates(trust))
    }

    /// The same with the merchant's PID, which notifications must then name.
    pub fn with_seller_id(mut self, seller_id: &str) -> Result<Credentials, CredentialsError> {
        let digits = seller_id.bytes().all(|b| b.is_ascii_digit());
        if !digits || seller_id.len() != 16 || !seller_id.starts_with("2088") {
            return Err(CredentialsError::SellerId);
        }
        self.seller_id = Some(seller_id.to_owned());
        Ok(self)
    }

    /// The same with content encryption of server calls switched on.
    pub fn with_content_key(mut self, key: ContentKey) -> Credentials {
        self.content_key = Some(key);
        self
    }

    /// The same with one more certificate of Alipay's believed, once it was downloaded and checked
    /// (see [`crate::open::cert_download`]). In 公钥模式 nothing changes.
    pub fn with_alipay_certificate(
        mut self,
        certificate: &Certificate,
    ) -> Result<Credentials, CredentialsError> {
        if let Trust::Certificates(trust) = &mut self.trust {
            trust.add(certificate, &self.app_key.public())?;
        }
        Ok(self)
    }

    /// The app's number.
    pub fn app_id(&self) -> &str {
        &self.app_id
    }

    /// The merchant's PID, if configured.
    pub fn seller_id(&self) -> Option<&str> {
        self.seller_id.as_deref()
    }

    /// The app's private key (应用私钥).
    pub fn app_key(&self) -> &RsaPrivateKey {
        &self.app_key
    }

    /// Whose signatures count.
    pub fn trust(&self) -> &Trust {
        &self.trust
    }

    /// The key of content encryption, if it is on.
    pub fn content_key(&self) -> Option<&ContentKey> {
        self.content_key.as_ref()
    }

    fn new(
        app_id: &str,
        app_key: RsaPrivateKey,
        trust: Trust,
    ) -> Result<Credentials, CredentialsError> {
        let digits = app_id.bytes().all(|b| b.is_ascii_digit());
        if !digits || !(1..=32).contains(&app_id.len()) {
            return Err(CredentialsError::AppId);
        }
        let app_id = app_id.to_owned();
        Ok(Credentials { app_id, seller_id: None, app_key, trust, content_key: None })
    }
}

impl Trust {
    /// The keys that may have signed a message that names no certificate.
    pub(crate) fn keys(&self) -> Vec<&RsaPublicKey> {
        match self {
            Trust::PublicKey(key) => vec![key],
            Trust::Certificates(trust) => trust.alipay.values().collect(),
        }
    }

    /// The keys that may have signed a reply with this `alipay_cert_sn`; `None` if the certificate
    /// is not known. A reply that names none may be of any known one.
    pub(crate) fn keys_for(&self, cert_sn: Option<&str>) -> Option<Vec<&RsaPublicKey>> {
        match (self, cert_sn) {
            (Trust::Certificates(trust), Some(sn)) => trust.alipay.get(sn).map(|key| vec![key]),
            _ => Some(self.keys()),
        }
    }
}

impl CertificateTrust {
    /// `app_cert_sn` of our requests.
    pub fn app_cert_sn(&self) -> &str {
        &self.app_cert_sn
    }

    /// `alipay_root_cert_sn` of our requests.
    pub fn root_sn(&self) -> &str {
        &self.root_sn
    }

    /// The serials of Alipay's certificates that are believed.
    pub fn alipay_cert_sns(&self) -> impl Iterator<Item = &str> {
        self.alipay.keys().map(String::as_str)
    }

    /// Whether a chain leads from `leaf` over `others` to a configured root, each certificate of it
    /// valid at `now`.
    pub(crate) fn leads_to_root(
        &self,
        leaf: &Certificate,
        others: &[Certificate],
        now: Timestamp,
    ) -> bool {
        let seconds = now.as_seconds();
        let valid =
            |c: &Certificate| (c.not_before_seconds()..=c.not_after_seconds()).contains(&seconds);
        let between: Vec<&Certificate> = others.iter().chain(&self.between).collect();
        let mut at = leaf;
        for _ in 0..=CHAIN_MAX {
            if !valid(at) {
                return false;
            }
            if self.roots.iter().any(|root| valid(root) && at.is_signed_by(root)) {
                return true;
            }
            match between.iter().find(|c| **c != at && at.is_signed_by(c)) {
                Some(next) => at = next,
                None => return false,
            }
        }
        false
    }

    fn read(
        files: CertificateFiles<'_>,
        app_key: &RsaPublicKey,
    ) -> Result<CertificateTrust, CredentialsError> {
        let app = bundle("appCertPublicKey", files.app)?.swap_remove(0);
        if key("appCertPublicKey", &app)? != *app_key {
            return Err(CredentialsError::AppCertificateOfAnotherKey);
        }
        let roots = bundle("alipayRootCert", files.root)?;
        let root_sn = alipay_root_sn(&roots);
        if root_sn.is_empty() {
            return Err(CredentialsError::NoRsaRoot);
        }
        let mut between = bundle("alipayCertPublicKey_RSA2", files.alipay)?;
        let alipay = between.remove(0);
        let mut trust = CertificateTrust {
            app_cert_sn: app.alipay_sn(),
            root_sn,
            alipay: BTreeMap::new(),
            between,
            roots,
        };
        trust.add(&alipay, app_key)?;
        Ok(trust)
    }

    fn add(
        &mut self,
        certificate: &Certificate,
        app_key: &RsaPublicKey,
    ) -> Result<(), CredentialsError> {
        let key = key("alipayCertPublicKey_RSA2", certificate)?;
        if key == *app_key {
            return Err(CredentialsError::SameKeyTwice);
        }
        self.alipay.insert(certificate.alipay_sn(), key);
        Ok(())
    }
}

fn bundle(file: &'static str, text: &str) -> Result<Vec<Certificate>, CredentialsError> {
    let read = Certificate::bundle_from_pem(text);
    read.map_err(|error| CredentialsError::Certificate { file, error })
}

fn key(file: &'static str, of: &Certificate) -> Result<RsaPublicKey, CredentialsError> {
    of.public_key().map_err(|error| CredentialsError::Certificate { file, error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::testing::{APP_ID, Authority, K1, K1_PUBLIC};

    fn files<'a>(app: &'a str, alipay: &'a str, root: &'a str) -> CertificateFiles<'a> {
        CertificateFiles { app, alipay, root }
    }

    #[test]
    fn each_mistake_with_keys_has_its_own_error() {
        let alipay = RsaPrivateKey::generate().public().to_spki_base64();
        let make = |app_id: &str, private: &str, public: &str| {
            Credentials::with_public_key(app_id, private, public).err()
        };
        assert_eq!(make(APP_ID, K1, &alipay), None);
        assert_eq!(make(APP_ID, K1, K1_PUBLIC), Some(CredentialsError::SameKeyTwice));
        assert_eq!(make("", K1, &alipay), Some(CredentialsError::AppId));
        assert_eq!(make("2021 1", K1, &alipay), Some(CredentialsError::AppId));
        let swapped = CredentialsError::AppKey(KeyError::PublicInsteadOfPrivate);
        assert_eq!(make(APP_ID, &alipay, K1), Some(swapped));
        let private = CredentialsError::AlipayKey(KeyError::PrivateInsteadOfPublic);
        assert_eq!(make(APP_ID, K1, K1), Some(private));
    }

    #[test]
    fn a_seller_id_is_a_pid() {
        let alipay = RsaPrivateKey::generate().public().to_spki_base64();
        let make = |seller_id: &str| {
            let made = Credentials::with_public_key(APP_ID, K1, &alipay).unwrap();
            made.with_seller_id(seller_id).map(|made| made.seller_id().is_some())
        };
        assert_eq!(make("2088000000000001"), Ok(true));
        for wrong in ["", "2088", "2021000000000001", "seller@example.com"] {
            assert_eq!(make(wrong), Err(CredentialsError::SellerId), "{wrong:?}");
        }
    }

    #[test]
    fn each_mistake_with_certificates_has_its_own_error() {
        let root = Authority::root("root");
        let app = root.certify("app", &RsaPrivateKey::read(K1).unwrap());
        let alipay = root.certify("alipay", &RsaPrivateKey::generate());
        let make = |files| Credentials::with_certificates(APP_ID, K1, files).err();
        assert_eq!(make(files(&app, &alipay, &root.pem)), None);
        let of_another = make(files(&alipay, &alipay, &root.pem));
        assert_eq!(of_another, Some(CredentialsError::AppCertificateOfAnotherKey));
        let twice = make(files(&app, &app, &root.pem));
        assert_eq!(twice, Some(CredentialsError::SameKeyTwice));
        let error = CertificateError::NotPem;
        let file = "alipayRootCert";
        let wanted = CredentialsError::Certificate { file, error };
        assert_eq!(make(files(&app, &alipay, "nothing")), Some(wanted));
    }

    #[test]
    fn a_bundle_without_rsa_roots_is_refused() {
        let root = Authority::root("root");
        let app = root.certify("app", &RsaPrivateKey::read(K1).unwrap());
        let alipay = root.certify("alipay", &RsaPrivateKey::generate());
        let ec = rcgen::KeyPair::generate().unwrap();
        let ec = rcgen::CertificateParams::default().self_signed(&ec).unwrap().pem();
        let made = Credentials::with_certificates(APP_ID, K1, files(&app, &alipay, &ec));
        assert_eq!(made.err(), Some(CredentialsError::NoRsaRoot));
    }

    #[test]
    fn debug_shows_no_private_key() {
        let alipay = RsaPrivateKey::generate().public().to_spki_base64();
        let made = Credentials::with_public_key(APP_ID, K1, &alipay).unwrap();
        assert!(!format!("{made:?}").contains("MII"));
    }
}
