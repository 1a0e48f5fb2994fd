//! An account's credentials as the configuration has them, checked and parsed once.

use crate::Adapter;
use crate::alipay_app::AlipayApp;
use crate::alipay_legacy::AlipayLegacy;
use crate::alipay_protocol::Protocol;
use crate::wechat_v2::WechatV2;
use crate::wechat_v3::WechatV3;
use std::sync::Arc;
use tongbao_crypt::Certificate;
use tongbao_types::{AccountName, ChargeId, Secret};

/// The credentials of an account, by protocol.
#[derive(Debug, Clone)]
pub enum Keys {
    /// WeChat Pay API v2.
    WechatV2(WechatV2Keys),
    /// WeChat Pay API v3.
    WechatV3(WechatV3Keys),
    /// Alipay OpenAPI 2.0.
    AlipayOpen(AlipayKeys),
    /// Alipay's v3 protocol.
    AlipayV3(AlipayKeys),
    /// Alipay's old gateway (mapi).
    AlipayLegacy(AlipayLegacyKeys),
}

impl Keys {
    /// The appid and the merchant number of an account at WeChat Pay.
    pub fn wechat_ids(&self) -> Option<(&str, &str)> {
        match self {
            Keys::WechatV2(keys) => Some((&keys.app_id, &keys.mch_id)),
            Keys::WechatV3(keys) => Some((&keys.app_id, &keys.mch_id)),
            Keys::AlipayOpen(_) | Keys::AlipayV3(_) | Keys::AlipayLegacy(_) => None,
        }
    }
}

/// WeChat Pay API v2.
#[derive(Debug, Clone)]
pub struct WechatV2Keys {
    /// `wx…`.
    pub app_id: String,
    /// The merchant number.
    pub mch_id: String,
    /// The APIv2 key (APIv2密钥).
    pub api_key: Secret<String>,
    /// `MD5` or `HMAC-SHA256`.
    pub sign_type: String,
    /// Of a service provider's sub-merchant.
    pub sub_app_id: Option<String>,
    /// Of a service provider's sub-merchant.
    pub sub_mch_id: Option<String>,
    /// The merchant's certificate (商户API证书), which refunds and reverses need.
    pub p12: Option<MerchantP12>,
}

/// A PKCS#12 file (`apiclient_cert.p12`).
#[derive(Debug, Clone)]
pub struct MerchantP12 {
    /// The bytes of the file.
    pub file: Secret<Vec<u8>>,
    /// What opens it, the merchant number as WeChat issues it.
    pub passphrase: Secret<String>,
}

/// WeChat Pay API v3.
#[derive(Debug, Clone)]
pub struct WechatV3Keys {
    /// `wx…`.
    pub app_id: String,
    /// The merchant number.
    pub mch_id: String,
    /// The APIv3 key (APIv3密钥).
    pub api_v3_key: Secret<String>,
    /// The serial number of the merchant's certificate.
    pub merchant_serial: String,
    /// The merchant's private key, PEM.
    pub merchant_private_key: Secret<String>,
    /// Platform certificates, PEM; without any they are fetched when needed.
    pub platform_certificates: Vec<String>,
    /// The id of the WeChat Pay public key, `PUB_KEY_ID_…`.
    pub public_key_id: Option<String>,
    /// The WeChat Pay public key (微信支付公钥), PEM.
    pub public_key: Option<String>,
    /// Of a service provider's sub-merchant.
    pub sub_app_id: Option<String>,
    /// Of a service provider's sub-merchant.
    pub sub_mch_id: Option<String>,
}

/// Alipay OpenAPI 2.0 or v3, with public keys or with certificates.
#[derive(Debug, Clone)]
pub struct AlipayKeys {
    /// The application's id.
    pub app_id: String,
    /// The account number (PID) that notifications must name.
    pub seller_id: Option<String>,
    /// The application's private key, PEM or bare base64.
    pub app_private_key: Secret<String>,
    /// Alipay's public key (支付宝公钥).
    pub alipay_public_key: Option<String>,
    /// The application's certificate, PEM; with the next two it makes certificate mode.
    pub app_cert: Option<String>,
    /// Alipay's certificate, PEM.
    pub alipay_cert: Option<String>,
    /// Alipay's root certificates, PEM.
    pub alipay_root_cert: Option<String>,
    /// The key of content encryption (接口内容加密), where that is switched on.
    pub aes_key: Option<Secret<String>>,
}

/// Alipay's old gateway.
#[derive(Debug, Clone)]
pub struct AlipayLegacyKeys {
    /// The partner's number (PID), 2088….
    pub partner: String,
    /// The MD5 key (安全校验码).
    pub md5_key: Secret<String>,
    /// The seller's login; the partner itself without it.
    pub seller_email: Option<String>,
}

/// An account to be made.
#[derive(Debug, Clone)]
pub struct AccountSetup {
    /// Its name; part of its notification address.
    pub name: AccountName,
    /// Its credentials.
    pub keys: Keys,
    /// Another address than the provider's own, without a trailing slash.
    pub endpoint: Option<String>,
    /// Who signs the endpoint's TLS certificate, PEM; the machine's authorities unless given.
    pub endpoint_ca: Option<String>,
    /// Where this gateway is reached from outside, without a trailing slash.
    pub public_url: String,
    /// Another notification address than the usual one below `public_url`.
    pub notify_url: Option<String>,
}

/// What is wrong with an account's configuration, for the person who writes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct AccountError {
    /// The configuration's key.
    pub field: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl AccountError {
    pub(crate) fn new(field: &'static str, message: impl Into<String>) -> AccountError {
        AccountError { field, message: message.into() }
    }
}

/// Makes the adapter of an account.
pub fn adapter(setup: AccountSetup) -> Result<Arc<dyn Adapter>, AccountError> {
    let AccountSetup { name, keys, endpoint, endpoint_ca, public_url, notify_url } = setup;
    let root = endpoint_ca.as_deref().map(|pem| Certificate::from_pem(pem).map(Arc::new));
    let root =
        root.transpose().map_err(|error| AccountError::new("endpoint_ca", error.to_string()))?;
    let site = Site { name, endpoint, root, public_url, notify_url };
    Ok(match keys {
        Keys::WechatV2(keys) => Arc::new(WechatV2::new(site, keys)?),
        Keys::WechatV3(keys) => Arc::new(WechatV3::new(site, keys)?),
        Keys::AlipayOpen(keys) => Arc::new(AlipayApp::new(site, &keys, Protocol::Open)?),
        Keys::AlipayV3(keys) => Arc::new(AlipayApp::new(site, &keys, Protocol::V3)?),
        Keys::AlipayLegacy(keys) => Arc::new(AlipayLegacy::new(site, &keys)?),
    })
}

/// What an adapter knows of its surroundings.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) name: AccountName,
    pub(crate) endpoint: Option<String>,
    pub(crate) root: Option<Arc<Certificate>>,
    public_url: String,
    notify_url: Option<String>,
}

impl Site {
    pub(crate) fn notify_url(&self, provider: &str) -> String {
        let usual = || format!("{}/notify/{provider}/{}", self.public_url, self.name);
        self.notify_url.clone().unwrap_or_else(usual)
    }

    /// Where the payer of a charge sees how it stands.
    pub(crate) fn cashier_url(&self, charge: ChargeId) -> String {
        format!("{}/pay/{charge}", self.public_url)
    }

    pub(crate) fn return_url(&self) -> String {
        format!("{}/return/alipay/{}", self.public_url, self.name)
    }
}
