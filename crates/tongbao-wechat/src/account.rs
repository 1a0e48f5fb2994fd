//! What an account is made of: whose it is, and the keys of both sides.
//!
//! Keys are read once, here; a mistake is told by the field it is in and what to put there.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tongbao_crypt::{Certificate, RsaPrivateKey, RsaPublicKey};
use tongbao_types::{Secret, Timestamp, UnknownWord};

/// What is wrong with an account's configuration, for the person who writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct AccountError {
    /// The configuration's field.
    pub field: &'static str,
    /// What is wrong and what to do, without the secret itself.
    pub problem: String,
}

/// How messages of API v2 are signed (签名算法).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignType {
    /// MD5, the default when a message names none.
    Md5,
    /// HMAC-SHA256.
    HmacSha256,
}

impl SignType {
    /// Its name in the field `sign_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SignType::Md5 => "MD5",
            SignType::HmacSha256 => "HMAC-SHA256",
        }
    }
}

impl FromStr for SignType {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<SignType, UnknownWord> {
        match word {
            "MD5" => Ok(SignType::Md5),
            "HMAC-SHA256" => Ok(SignType::HmacSha256),
            _ => Err(UnknownWord { what: "sign_type", word: word.chars().take(80).collect() }),
        }
    }
}

/// Whose messages these are. The `sub_` numbers are set by service providers (服务商) only; with
/// `sub_mch_id`, API v3 takes the paths and names of service providers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Merchant {
    /// `appid`, `wx…`.
    pub app_id: String,
    /// `mch_id` or `mchid`, digits.
    pub mch_id: String,
    /// `sub_appid`.
    pub sub_app_id: Option<String>,
    /// `sub_mch_id`.
    pub sub_mch_id: Option<String>,
}

impl Merchant {
    /// An ordinary merchant.
    pub fn direct(app_id: impl Into<String>, mch_id: impl Into<String>) -> Merchant {
        let (app_id, mch_id) = (app_id.into(), mch_id.into());
        Merchant { app_id, mch_id, sub_app_id: None, sub_mch_id: None }
    }

    fn checked(self) -> Result<Merchant, AccountError> {
        check_app_id("app_id", &self.app_id)?;
        check_mch_id("mch_id", &self.mch_id)?;
        if let Some(id) = &self.sub_app_id {
            check_app_id("sub_app_id", id)?;
        }
        if let Some(id) = &self.sub_mch_id {
            check_mch_id("sub_mch_id", id)?;
        }
        Ok(self)
    }
}

/// A merchant's side of API v2.
#[derive(Debug, Clone)]
pub struct V2Credentials {
    merchant: Merchant,
    key: Secret<String>,
    sign_type: SignType,
}

impl V2Credentials {
    /// `key` is the APIv2 key (APIv2密钥) of the merchant platform, 32 characters.
    pub fn new(
        merchant: Merchant,
        key: Secret<String>,
        sign_type: SignType,
    ) -> Result<V2Credentials, AccountError> {
        check_key("api_key", "APIv2", key.expose())?;
        Ok(V2Credentials { merchant: merchant.checked()?, key, sign_type })
    }

    /// Whose they are.
    pub fn merchant(&self) -> &Merchant {
        &self.merchant
    }

    /// The APIv2 key.
    pub fn key(&self) -> &Secret<String> {
        &self.key
    }

    /// How this account signs, and the only way it takes signatures.
    pub fn sign_type(&self) -> SignType {
        self.sign_type
    }
}

/// A merchant's side of API v3. What is trusted of WeChat's side are [`PlatformKeys`], which can
/// grow while the program runs.
pub struct V3Credentials {
    merchant: Merchant,
    merchant_serial: String,
    merchant_key: RsaPrivateKey,
    api_v3_key: Secret<[u8; 32]>,
    trust: PlatformKeys,
}

impl V3Credentials {
    /// `merchant_key` is the text of `apiclient_key.pem`, `merchant_serial` the serial number of
    /// the certificate beside it, `api_v3_key` the APIv3 key (APIv3密钥), 32 characters.
    pub fn new(
        merchant: Merchant,
        merchant_serial: &str,
        merchant_key: &Secret<String>,
        api_v3_key: &Secret<String>,
    ) -> Result<V3Credentials, AccountError> {
        check_serial(merchant_serial)?;
        let parsed = RsaPrivateKey::read(merchant_key.expose());
        let merchant_key = parsed.map_err(|e| AccountError {
            field: "merchant_private_key",
            problem: format!("{e}; give the text of apiclient_key.pem"),
        })?;
        check_key("api_v3_key", "APIv3", api_v3_key.expose())?;
        let bytes = api_v3_key.expose().as_bytes().try_into().expect("just checked to be 32 bytes");
        Ok(V3Credentials {
            merchant: merchant.checked()?,
            merchant_serial: merchant_serial.to_ascii_uppercase(),
            merchant_key,
            api_v3_key: Secret::new(bytes),
            trust: PlatformKeys::default(),
        })
    }

    /// With the keys of WeChat's side that the configuration gives.
    pub fn trusting(mut self, trust: PlatformKeys) -> V3Credentials {
        self.trust = trust;
        self
    }

    /// Whose they are.
    pub fn merchant(&self) -> &Merchant {
        &self.merchant
    }

    /// The serial number of the merchant's certificate, upper-case.
    pub fn merchant_serial(&self) -> &str {
        &self.merchant_serial
    }

    /// The merchant's private key.
    pub fn merchant_key(&self) -> &RsaPrivateKey {
        &self.merchant_key
    }

    /// The APIv3 key; it decrypts and does nothing else.
    pub fn api_v3_key(&self) -> &Secret<[u8; 32]> {
        &self.api_v3_key
    }

    /// The keys given by the configuration.
    pub fn trust(&self) -> &PlatformKeys {
        &self.trust
    }
}

impl fmt::Debug for V3Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("V3Credentials")
            .field("merchant", &self.merchant)
            .field("merchant_serial", &self.merchant_serial)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

/// One key of WeChat's side: a platform certificate's (平台证书) or the WeChat Pay public key
/// (微信支付公钥).
pub struct PlatformKey {
    id: String,
    key: RsaPublicKey,
    not_after: Option<Timestamp>,
}

impl PlatformKey {
    /// The certificate's serial number, or `PUB_KEY_ID_…`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself.
    pub fn key(&self) -> &RsaPublicKey {
        &self.key
    }

    /// When the certificate ends; public keys do not.
    pub fn not_after(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Whether it came as a bare public key (微信支付公钥).
    pub fn is_public_key(&self) -> bool {
        self.not_after.is_none()
    }
}

/// The keys that WeChat's signatures are checked with, by id. Cheap to clone; more are had by
/// making another set.
#[derive(Clone, Default)]
pub struct PlatformKeys(Arc<Vec<Arc<PlatformKey>>>);

impl PlatformKeys {
    /// No keys: nothing can be verified until certificates are fetched.
    pub fn none() -> PlatformKeys {
        PlatformKeys::default()
    }

    /// With the WeChat Pay public key: its id (`PUB_KEY_ID_…`) and PEM, both of the merchant
    /// platform.
    pub fn with_public_key(self, id: &str, pem: &str) -> Result<PlatformKeys, AccountError> {
        if !id.starts_with("PUB_KEY_ID_") || id.len() > 100 {
            let problem = "it begins with PUB_KEY_ID_ and stands beside the public key on the \
                           merchant platform (API安全)";
            return Err(AccountError {
                field: "platform_public_key_id",
                problem: problem.to_owned(),
            });
        }
        let key = RsaPublicKey::read(pem).map_err(|e| AccountError {
            field: "platform_public_key",
            problem: format!("{e}; give the text of pub_key.pem of the merchant platform"),
        })?;
        Ok(self.with(PlatformKey { id: id.to_owned(), key, not_after: None }))
    }

    /// With a platform certificate, PEM. Its own serial number is its id.
    pub fn with_certificate(self, pem: &str) -> Result<PlatformKeys, AccountError> {
        let wrong = |problem: String| AccountError { field: "platform_certificate", problem };
        let certificate = Certificate::from_pem(pem).map_err(|e| wrong(e.to_string()))?;
        let key = certificate.public_key().map_err(|e| wrong(e.to_string()))?;
        let not_after = Some(Timestamp::from_seconds(certificate.not_after_seconds()));
        Ok(self.with(PlatformKey { id: certificate.serial_hex(), key, not_after }))
    }

    /// These and those; where both have an id, those win.
    pub fn merged(&self, those: &PlatformKeys) -> PlatformKeys {
        let new = |key: &&Arc<PlatformKey>| those.find(&key.id).is_none();
        let kept = self.0.iter().filter(new).chain(those.0.iter());
        PlatformKeys(Arc::new(kept.cloned().collect()))
    }

    /// The key of this id. Serial numbers are compared without regard to case, since SDKs differ.
    pub fn find(&self, id: &str) -> Option<&PlatformKey> {
        self.iter().find(|key| key.id.eq_ignore_ascii_case(id))
    }

    /// The id of the WeChat Pay public key, which requests name to be answered with it.
    pub fn public_key_id(&self) -> Option<&str> {
        self.iter().find(|key| key.is_public_key()).map(|key| key.id.as_str())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &PlatformKey> {
        self.0.iter().map(|key| &**key)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn with(self, key: PlatformKey) -> PlatformKeys {
        self.merged(&PlatformKeys(Arc::new(vec![Arc::new(key)])))
    }
}

impl fmt::Debug for PlatformKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|key| &key.id)).finish()
    }
}

fn check_app_id(field: &'static str, id: &str) -> Result<(), AccountError> {
    let fits = id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if fits && id.len() > 2 && id.starts_with("wx") {
        return Ok(());
    }
    let problem = "an app id begins with wx, has letters and digits and at most 32 of them";
    Err(AccountError { field, problem: problem.to_owned() })
}

fn check_mch_id(field: &'static str, id: &str) -> Result<(), AccountError> {
    if (1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    let problem = "a merchant number is digits, usually ten of them".to_owned();
    Err(AccountError { field, problem })
}

fn check_key(field: &'static str, name: &str, key: &str) -> Result<(), AccountError> {
    if key.len() == 32 && key.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    let problem = format!(
        "it has {} bytes; the {name} key of the merchant platform (API安全) is 32 letters and digits",
        key.len()
    );
    Err(AccountError { field, problem })
}

fn check_serial(serial: &str) -> Result<(), AccountError> {
    let problem = if serial.starts_with("PUB_KEY_ID_") {
        "this is the id of the WeChat Pay public key; give the serial number of the merchant's own \
         API certificate (商户API证书)"
    } else if serial.is_empty()
        || serial.len() > 40
        || !serial.bytes().all(|b| b.is_ascii_hexdigit())
    {
        "the serial number of the merchant's API certificate (商户API证书) is up to 40 hexadecimal \
         digits"
    } else {
        return Ok(());
    };
    Err(AccountError { field: "merchant_serial", problem: problem.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "192006250b4c09247ec02edce69f6a2d";

    fn v2(merchant: Merchant, key: &str) -> Result<V2Credentials, AccountError> {
        V2Credentials::new(merchant, Secret::new(key.to_owned()), SignType::Md5)
    }

    #[test]
    fn mistakes_in_v2_are_told_by_their_field() {
        let good = Merchant::direct("wxd930ea5d5a258f4f", "10000100");
        assert!(v2(good.clone(), KEY).is_ok());
        let field = |merchant, key| v2(merchant, key).unwrap_err().field;
        assert_eq!(field(good.clone(), ""), "api_key");
        assert_eq!(field(good.clone(), &KEY[1..]), "api_key");
        assert_eq!(field(good.clone(), " 92006250b4c09247ec02edce69f6a2d"), "api_key");
        assert_eq!(field(Merchant::direct("d930ea5d5a258f4f", "10000100"), KEY), "app_id");
        assert_eq!(field(Merchant::direct("wxd930ea5d5a258f4f", "1000 100"), KEY), "mch_id");
        let sub = Merchant { sub_mch_id: Some(String::new()), ..good };
        assert_eq!(field(sub, KEY), "sub_mch_id");
    }

    #[test]
    fn mistakes_in_v3_are_told_by_their_field_and_show_no_secret() {
        let pem = RsaPrivateKey::generate().to_pkcs8_pem();
        let read = |serial: &str, pem: &str, key: &str| {
            let merchant = Merchant::direct("wxd930ea5d5a258f4f", "1900000109");
            let (pem, key) = (Secret::new(pem.to_owned()), Secret::new(key.to_owned()));
            V3Credentials::new(merchant, serial, &pem, &key)
        };
        let credentials = read("5157f09e", &pem, KEY).unwrap();
        assert_eq!(credentials.merchant_serial(), "5157F09E");
        assert!(!format!("{credentials:?}").contains("PRIVATE"));
        let field = |serial: &str, pem: &str, key: &str| {
            let error = read(serial, pem, key).unwrap_err();
            assert!(!error.problem.contains("MIIE") && !error.problem.contains(KEY), "{error}");
            error.field
        };
        assert_eq!(field("", &pem, KEY), "merchant_serial");
        assert_eq!(field("PUB_KEY_ID_1", &pem, KEY), "merchant_serial");
        assert_eq!(field("1A", "nonsense", KEY), "merchant_private_key");
        assert_eq!(field("1A", &pem, &KEY[..31]), "api_v3_key");
    }

    #[test]
    fn platform_keys_are_found_without_regard_to_case_and_grow_by_copies() {
        let pem = RsaPrivateKey::generate().public().to_spki_pem();
        let empty = PlatformKeys::none();
        let keys = empty.clone().with_public_key("PUB_KEY_ID_01", &pem).unwrap();
        assert!(empty.is_empty() && !keys.is_empty());
        assert!(keys.find("pub_key_id_01").is_some() && keys.find("PUB_KEY_ID_02").is_none());
        assert_eq!(keys.public_key_id(), Some("PUB_KEY_ID_01"));
        let again = keys.clone().with_public_key("PUB_KEY_ID_01", &pem).unwrap();
        assert_eq!(again.iter().count(), 1);
        let field =
            |id: &str, pem: &str| PlatformKeys::none().with_public_key(id, pem).unwrap_err().field;
        assert_eq!(field("5157F09E", &pem), "platform_public_key_id");
        assert_eq!(field("PUB_KEY_ID_1", "x"), "platform_public_key");
        let certificate = PlatformKeys::none().with_certificate("x").unwrap_err();
        assert_eq!(certificate.field, "platform_certificate");
    }
}
