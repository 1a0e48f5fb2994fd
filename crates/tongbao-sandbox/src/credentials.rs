//! The pretend merchant's account at both providers: made once, kept in a file, shown to whoever
//! wants to be a merchant here. The providers' own private halves stay in [`Keys`].
//!
//! Shapes follow production (WeChat Pay, API安全; Alipay, 公钥证书模式): a merchant number of ten
//! digits, `wx` and sixteen, `2088…`, serial numbers of forty hexadecimal digits.

use crate::SandboxError;
use crate::certificates::{Authority, Name, p12_base64};
use crate::numbers::{digits, hex, letters};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use tongbao_crypt::digest;
use tongbao_crypt::{Certificate, RsaPrivateKey, RsaPublicKey, alipay_root_sn};

/// All that an SDK needs to be a merchant here; the body of `/_sandbox/credentials`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The merchant at WeChat Pay.
    pub wechat: WechatCredentials,
    /// The same merchant at Alipay.
    pub alipay: AlipayCredentials,
}

/// The merchant at WeChat Pay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WechatCredentials {
    /// `appid`.
    pub app_id: String,
    /// `secret` of the app, for the stand-in of WeChat's login.
    #[serde(default)]
    pub app_secret: String,
    /// `mch_id`, ten digits.
    pub mch_id: String,
    /// `sub_mch_id` of a sub-merchant, for whom the merchant can order as a service provider.
    #[serde(default)]
    pub sub_mch_id: String,
    /// `sub_appid` of the sub-merchant.
    #[serde(default)]
    pub sub_app_id: String,
    /// The APIv2 key, 32 characters.
    pub api_key: String,
    /// The APIv3 key, 32 characters.
    pub api_v3_key: String,
    /// Serial number of the merchant's certificate, 40 upper-case hexadecimal digits.
    pub merchant_serial: String,
    /// PKCS#8 PEM.
    pub merchant_private_key: String,
    /// PEM.
    pub merchant_certificate: String,
    /// `apiclient_cert.p12` in base64.
    pub p12_base64: String,
    /// Its passphrase: the merchant number, as WeChat has it.
    pub p12_passphrase: String,
    /// Serial number of the platform certificate.
    pub platform_serial: String,
    /// PEM.
    pub platform_certificate: String,
    /// `PUB_KEY_ID_` and digits.
    pub platform_public_key_id: String,
    /// PEM (SubjectPublicKeyInfo).
    pub platform_public_key: String,
}

/// The merchant at Alipay.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlipayCredentials {
    /// The application, 16 digits.
    pub app_id: String,
    /// The account (PID), 16 digits from 2088.
    pub seller_id: String,
    /// PKCS#8 PEM.
    pub app_private_key: String,
    /// Bare base64 (SubjectPublicKeyInfo).
    pub app_public_key: String,
    /// Bare base64 (SubjectPublicKeyInfo); verifies what Alipay sends.
    pub alipay_public_key: String,
    /// `appCertPublicKey_….crt`, PEM.
    pub app_cert: String,
    /// `alipayCertPublicKey_RSA2.crt`, PEM.
    pub alipay_cert: String,
    /// `alipayRootCert.crt`, PEM, a blank line between certificates.
    pub alipay_root_cert: String,
    /// Base64 of 16 bytes.
    pub aes_key: String,
    /// The partner of the old gateway: the same account.
    pub legacy_partner: String,
    /// Its MD5 key, 32 characters.
    pub legacy_md5_key: String,
    /// The account's e-mail.
    pub seller_email: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wechat, alipay) = (&self.wechat.mch_id, &self.alipay.app_id);
        write!(f, "Credentials(WeChat merchant {wechat}, Alipay app {alipay})")
    }
}

/// The parsed keys that the providers sign and verify with.
pub(crate) struct Keys {
    pub(crate) merchant_public: RsaPublicKey,
    pub(crate) platform_certificate: RsaPrivateKey,
    pub(crate) platform_public: RsaPrivateKey,
    pub(crate) alipay: RsaPrivateKey,
    pub(crate) app_public: RsaPublicKey,
    /// Serial numbers by Alipay's rule.
    pub(crate) app_cert_sn: String,
    pub(crate) alipay_cert_sn: String,
    pub(crate) alipay_root_sn: String,
    /// What Alipay changes to in certificate mode; none if the file of keys is older than this.
    pub(crate) next_alipay: Option<NextCertificate>,
    /// The platform certificate.
    pub(crate) platform: Certificate,
    /// Who issues merchants' certificates, PEM; empty if the file of keys is older than this.
    pub(crate) merchant_authority: String,
}

/// The certificate that Alipay has not shown to anybody yet.
pub(crate) struct NextCertificate {
    pub(crate) key: RsaPrivateKey,
    /// Serial number by Alipay's rule.
    pub(crate) sn: String,
    pub(crate) pem: String,
}

/// The file: what is shown, and the providers' private keys that are not.
#[derive(Serialize, Deserialize)]
struct Kept {
    credentials: Credentials,
    /// PKCS#8 PEM each.
    platform_private_key: String,
    platform_public_key_pair: String,
    alipay_private_key: String,
    /// PEM of the authority that issued the merchant's certificate.
    #[serde(default)]
    merchant_authority: String,
    /// Alipay's next pair and its certificate, PEM.
    #[serde(default)]
    next_alipay: Option<[String; 2]>,
}

const FILE: &str = "sandbox-credentials.json";

/// Reads the credentials of a folder, or makes and keeps them there; without a folder makes them
/// afresh. `year` is the present one, from which certificates are valid.
pub(crate) fn open(folder: Option<&Path>, year: i16) -> Result<(Credentials, Keys), SandboxError> {
    let Some(folder) = folder else {
        let kept = make(year)?.completed();
        let keys = kept.keys()?;
        return Ok((kept.credentials, keys));
    };
    let path = folder.join(FILE);
    let failed = |source| SandboxError::Credentials { path: path.clone(), source };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let kept = make(year)?;
            write(folder, &path, &kept).map_err(failed)?;
            // Two that start at once end up with the same credentials: the file's.
            std::fs::read(&path).map_err(failed)?
        }
        Err(error) => return Err(failed(error)),
    };
    let kept: Kept = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    let kept = kept.completed();
    let keys = kept.keys()?;
    Ok((kept.credentials, keys))
}

/// Puts the file in place in one step, unless another process was quicker.
fn write(folder: &Path, path: &Path, kept: &Kept) -> std::io::Result<()> {
    use std::io::Write;
    std::fs::create_dir_all(folder)?;
    let draft = folder.join(format!("{FILE}.{}", hex(12)));
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    file.write_all(&serde_json::to_vec_pretty(kept)?)?;
    file.sync_all()?;
    let placed = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match placed {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

impl Kept {
    fn keys(&self) -> Result<Keys, SandboxError> {
        let private = |text: &str| RsaPrivateKey::read(text).map_err(broken);
        let certificate = |text: &str| Certificate::from_pem(text).map_err(broken);
        let (wechat, alipay) = (&self.credentials.wechat, &self.credentials.alipay);
        let platform = certificate(&wechat.platform_certificate)?;
        let roots = Certificate::bundle_from_pem(&alipay.alipay_root_cert).map_err(broken)?;
        Ok(Keys {
            merchant_public: RsaPublicKey::read(&wechat.merchant_certificate).map_err(broken)?,
            platform_certificate: private(&self.platform_private_key)?,
            platform_public: private(&self.platform_public_key_pair)?,
            alipay: private(&self.alipay_private_key)?,
            app_public: RsaPublicKey::read(&alipay.app_public_key).map_err(broken)?,
            app_cert_sn: certificate(&alipay.app_cert)?.alipay_sn(),
            alipay_cert_sn: certificate(&alipay.alipay_cert)?.alipay_sn(),
            alipay_root_sn: alipay_root_sn(&roots),
            next_alipay: self.next_alipay.as_ref().map(NextCertificate::read).transpose()?,
            platform,
            merchant_authority: self.merchant_authority.clone(),
        })
    }

    /// Fills in what files of older versions lack, the same at each start.
    fn completed(mut self) -> Kept {
        let wechat = &mut self.credentials.wechat;
        let hash =
            |what: &str| digest::sha256_hex(format!("{what} of {}", wechat.app_id).as_bytes());
        let (secret, sub_app, sub_mch) = (hash("secret"), hash("sub app"), hash("sub merchant"));
        let fill = |field: &mut String, text: String| {
            if field.is_empty() {
                *field = text;
            }
        };
        fill(&mut wechat.app_secret, secret[..32].to_owned());
        fill(&mut wechat.sub_app_id, format!("wx{}", &sub_app[..16]));
        let number = u64::from_str_radix(&sub_mch[..12], 16).unwrap_or_default() % 100_000_000;
        fill(&mut wechat.sub_mch_id, format!("16{number:08}"));
        self
    }
}

impl NextCertificate {
    fn read([key, pem]: &[String; 2]) -> Result<NextCertificate, SandboxError> {
        let sn = Certificate::from_pem(pem).map_err(broken)?.alipay_sn();
        let key = RsaPrivateKey::read(key).map_err(broken)?;
        Ok(NextCertificate { key, sn, pem: pem.clone() })
    }
}

fn broken(error: impl fmt::Display) -> SandboxError {
    SandboxError::Certificate(error.to_string())
}

fn make(year: i16) -> Result<Kept, SandboxError> {
    let [merchant, platform, public, app, alipay, next, root] = pairs();
    let (wechat, merchant_authority) = wechat(year, [&merchant, &platform, &public, &root])?;
    let (made, next_cert) = make_alipay(year, [&app, &alipay, &next, &root])?;
    let credentials = Credentials { wechat, alipay: made };
    Ok(Kept {
        credentials,
        platform_private_key: platform.to_pkcs8_pem().to_string(),
        platform_public_key_pair: public.to_pkcs8_pem().to_string(),
        alipay_private_key: alipay.to_pkcs8_pem().to_string(),
        merchant_authority,
        next_alipay: Some([next.to_pkcs8_pem().to_string(), next_cert]),
    })
}

/// Makes key pairs on threads of their own: each takes a good part of a second.
fn pairs<const N: usize>() -> [RsaPrivateKey; N] {
    std::thread::scope(|scope| {
        let threads: [_; N] = std::array::from_fn(|_| scope.spawn(RsaPrivateKey::generate));
        threads.map(|thread| thread.join().expect("making a key does not panic"))
    })
}

fn wechat(
    year: i16,
    keys: [&RsaPrivateKey; 4],
) -> Result<(WechatCredentials, String), SandboxError> {
    let [merchant, platform, public, root] = keys;
    let mch_id = format!("19{}", digits(8));
    let tenpay = |common| Name { organization: "Tenpay.com", unit: "Tenpay.com CA Center", common };
    let authority = Authority::new(tenpay("Tenpay.com Root CA"), root, year)?;
    let merchant_certificate = authority.issue(
        Name { organization: "WeChat Pay Merchant", unit: "Tongbao Sandbox", common: &mch_id },
        merchant,
    )?;
    let platform_certificate = authority.issue(tenpay("Tenpay.com sign"), platform)?;
    let serial = |pem: &str| Certificate::from_pem(pem).map(|c| c.serial_hex()).map_err(broken);
    let credentials = WechatCredentials {
        app_id: format!("wx{}", hex(16)),
        // The rest follows from the app id, as for files of older versions.
        app_secret: String::new(),
        sub_mch_id: String::new(),
        sub_app_id: String::new(),
        api_key: letters(32),
        api_v3_key: letters(32),
        merchant_serial: serial(&merchant_certificate)?,
        merchant_private_key: merchant.to_pkcs8_pem().to_string(),
        p12_base64: p12_base64(merchant, &merchant_certificate, &mch_id)?,
        p12_passphrase: mch_id.clone(),
        merchant_certificate,
        platform_serial: serial(&platform_certificate)?,
        platform_certificate,
        platform_public_key_id: format!("PUB_KEY_ID_01{mch_id}{}00", digits(18)),
        platform_public_key: public.public().to_spki_pem(),
        mch_id,
    };
    Ok((credentials, authority.pem()))
}

/// The app's credentials, and Alipay's next certificate.
fn make_alipay(
    year: i16,
    keys: [&RsaPrivateKey; 4],
) -> Result<(AlipayCredentials, String), SandboxError> {
    let [app, alipay, next, root] = keys;
    let ant = |unit, common| Name { organization: "Ant Financial", unit, common };
    let unit = "Certification Authority";
    let authority = Authority::new(ant(unit, "Ant Financial Sandbox Authority R1"), root, year)?;
    let second = Authority::new(ant(unit, "Ant Financial Sandbox Authority R2"), root, year)?;
    let app_id = format!("9021{}", digits(12));
    let seller_id = format!("2088{}", digits(12));
    let app_name = format!("{seller_id}-{app_id}");
    let app_cert = authority.issue(ant("Alipay", &app_name), app)?;
    let alipay_cert = authority.issue(ant("Alipay", "Alipay Sandbox RSA2"), alipay)?;
    let next_cert = authority.issue(ant("Alipay", "Alipay Sandbox RSA2"), next)?;
    // Some libraries find the certificates of a bundle by the blank line between them alone.
    let roots = [authority.pem(), second.pem()].map(|pem| pem.trim_end().to_owned()).join("\n\n");
    let credentials = AlipayCredentials {
        app_private_key: app.to_pkcs8_pem().to_string(),
        app_public_key: app.public().to_spki_base64(),
        alipay_public_key: alipay.public().to_spki_base64(),
        app_cert,
        alipay_cert,
        alipay_root_cert: roots + "\n",
        aes_key: tongbao_crypt::base64::encode(&crate::dice::bytes::<16>()),
        legacy_partner: seller_id.clone(),
        legacy_md5_key: letters(32).to_lowercase(),
        seller_email: format!("seller{}@sandbox.example", digits(4)),
        app_id,
        seller_id,
    };
    Ok((credentials, next_cert))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_the_shapes_of_production_and_fit_together() {
        let (all, keys) = open(None, 2026).unwrap();
        let wechat = &all.wechat;
        assert_eq!(wechat.mch_id.len(), 10);
        assert_eq!(wechat.app_id.len(), 18);
        let upper = |c: char| c.is_ascii_digit() || ('A'..='F').contains(&c);
        for serial in [&wechat.merchant_serial, &wechat.platform_serial] {
            assert!(serial.len() == 40 && serial.chars().all(upper), "{serial}");
        }
        let merchant = RsaPrivateKey::read(&wechat.merchant_private_key).unwrap();
        let signature = tongbao_crypt::base64::decode(&merchant.sign_sha256(b"m")).unwrap();
        assert!(keys.merchant_public.verify_sha256(b"m", &signature));
        let platform = RsaPublicKey::read(&wechat.platform_certificate).unwrap();
        let signed = keys.platform_certificate.sign_sha256(b"m");
        assert!(platform.verify_sha256(b"m", &tongbao_crypt::base64::decode(&signed).unwrap()));

        let roots = Certificate::bundle_from_pem(&all.alipay.alipay_root_cert).unwrap();
        assert_eq!(roots.len(), 2);
        assert!(all.alipay.alipay_root_cert.contains("-----\n\n-----BEGIN"));
        for pem in [&all.alipay.app_cert, &all.alipay.alipay_cert] {
            let certificate = Certificate::from_pem(pem).unwrap();
            assert!(certificate.is_signed_by(&roots[0]) && !certificate.is_signed_by(&roots[1]));
        }
        assert_eq!(keys.alipay_root_sn.split('_').count(), 2);
    }

    #[test]
    fn the_p12_opens_with_the_merchant_number_only() {
        let (all, _) = open(None, 2026).unwrap();
        let bytes = tongbao_crypt::base64::decode(&all.wechat.p12_base64).unwrap();
        let strict = p12_keystore::Pkcs12ImportPolicy::Strict;
        let store =
            p12_keystore::KeyStore::from_pkcs12(&bytes, &all.wechat.mch_id, strict).unwrap();
        let (_, chain) = store.private_key_chain().unwrap();
        assert!(chain.certs()[0].subject().contains(&all.wechat.mch_id));
        assert!(p12_keystore::KeyStore::from_pkcs12(&bytes, "0000000000", strict).is_err());
    }

    #[test]
    fn a_folder_keeps_them() {
        let folder = std::env::temp_dir().join(format!("tongbao-keys-{}", std::process::id()));
        let (first, _) = open(Some(&folder), 2026).unwrap();
        let (second, _) = open(Some(&folder), 2027).unwrap();
        assert!(first == second);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
