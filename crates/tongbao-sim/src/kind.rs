//! The accounts that a life can have: every protocol, and every way of having keys for it.

use crate::providers::{Merchant, base, credentials};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tongbao_channels::{
    AccountSetup, Adapter, AlipayKeys, AlipayLegacyKeys, Keys, WechatV2Keys, WechatV3Keys, adapter,
};
use tongbao_sandbox::{AlipayCredentials, WechatCredentials};
use tongbao_types::{AccountName, Channel, Provider, Secret};

/// A protocol and a way of having keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// WeChat Pay API v2, MD5.
    V2Md5,
    /// WeChat Pay API v2, HMAC-SHA256.
    V2Hmac,
    /// WeChat Pay API v3 with the WeChat Pay public key.
    V3Key,
    /// WeChat Pay API v3 with the platform certificate at hand.
    V3Certificate,
    /// WeChat Pay API v3, which fetches the platform certificates.
    V3Fetched,
    /// Alipay OpenAPI 2.0 with public keys.
    OpenKey,
    /// Alipay OpenAPI 2.0 with certificates.
    OpenCertificate,
    /// Alipay's v3 protocol.
    AlipayV3,
    /// Alipay's old gateway.
    Legacy,
}

/// Where the gateway is reached from outside.
pub(crate) const PUBLIC_URL: &str = "https://gateway.test";

impl Kind {
    /// Of WeChat Pay.
    pub const WECHAT: [Kind; 5] =
        [Kind::V2Md5, Kind::V2Hmac, Kind::V3Key, Kind::V3Certificate, Kind::V3Fetched];
    /// Of Alipay.
    pub const ALIPAY: [Kind; 4] =
        [Kind::OpenKey, Kind::OpenCertificate, Kind::AlipayV3, Kind::Legacy];

    /// The channels that it serves.
    pub fn channels(self) -> &'static [Channel] {
        match self.provider() {
            Provider::Alipay if self == Kind::Legacy => &[Channel::AlipayLegacyPage],
            Provider::Wechat => &[
                Channel::WechatNative,
                Channel::WechatJsapi,
                Channel::WechatMini,
                Channel::WechatApp,
                Channel::WechatH5,
                Channel::WechatMicropay,
            ],
            Provider::Alipay => &[
                Channel::AlipayQr,
                Channel::AlipayPage,
                Channel::AlipayWap,
                Channel::AlipayApp,
                Channel::AlipayJsapi,
                Channel::AlipayBarcode,
            ],
        }
    }

    /// Whether its protocol has bills.
    pub fn has_bills(self) -> bool {
        self != Kind::Legacy
    }

    /// Whose protocol it is.
    pub fn provider(self) -> Provider {
        if Kind::WECHAT.contains(&self) { Provider::Wechat } else { Provider::Alipay }
    }

    /// Its account's name at a merchant.
    pub(crate) fn name(self, merchant: Merchant) -> AccountName {
        let kind = format!("{self:?}").to_lowercase();
        AccountName::new(format!("{}_{kind}", merchant.as_str())).expect("letters and _")
    }

    /// Its adapter. One that learns keys is made anew for each process; the others are shared,
    /// since reading keys takes time.
    pub(crate) fn adapter(self, merchant: Merchant) -> Arc<dyn Adapter> {
        type Shared = Mutex<HashMap<(Kind, Merchant), Arc<dyn Adapter>>>;
        static SHARED: std::sync::LazyLock<Shared> = std::sync::LazyLock::new(Shared::default);
        if self == Kind::V3Fetched {
            return self.make(merchant);
        }
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shared.entry((self, merchant)).or_insert_with(|| self.make(merchant)))
    }

    fn make(self, merchant: Merchant) -> Arc<dyn Adapter> {
        let setup = AccountSetup {
            name: self.name(merchant),
            keys: self.keys(merchant),
            endpoint: Some(base(merchant).to_owned()),
            endpoint_ca: None,
            notify_url: None,
            public_url: PUBLIC_URL.to_owned(),
        };
        adapter(setup).expect("the sandbox's own credentials are right")
    }

    fn keys(self, merchant: Merchant) -> Keys {
        let all = credentials(merchant);
        let (wechat, alipay) = (&all.wechat, &all.alipay);
        match self {
            Kind::V2Md5 => v2(wechat, "MD5"),
            Kind::V2Hmac => v2(wechat, "HMAC-SHA256"),
            Kind::V3Key => Keys::WechatV3(WechatV3Keys {
                public_key_id: Some(wechat.platform_public_key_id.clone()),
                public_key: Some(wechat.platform_public_key.clone()),
                ..v3(wechat)
            }),
            Kind::V3Certificate => Keys::WechatV3(WechatV3Keys {
                platform_certificates: vec![wechat.platform_certificate.clone()],
                ..v3(wechat)
            }),
            Kind::V3Fetched => Keys::WechatV3(v3(wechat)),
            Kind::OpenKey => Keys::AlipayOpen(alipay_keys(alipay)),
            Kind::OpenCertificate => Keys::AlipayOpen(AlipayKeys {
                alipay_public_key: None,
                app_cert: Some(alipay.app_cert.clone()),
                alipay_cert: Some(alipay.alipay_cert.clone()),
                alipay_root_cert: Some(alipay.alipay_root_cert.clone()),
                ..alipay_keys(alipay)
            }),
            Kind::AlipayV3 => Keys::AlipayV3(alipay_keys(alipay)),
            Kind::Legacy => Keys::AlipayLegacy(AlipayLegacyKeys {
                partner: alipay.legacy_partner.clone(),
                md5_key: Secret::new(alipay.legacy_md5_key.clone()),
                seller_email: Some(alipay.seller_email.clone()),
            }),
        }
    }
}

fn v2(wechat: &WechatCredentials, sign_type: &str) -> Keys {
    Keys::WechatV2(WechatV2Keys {
        app_id: wechat.app_id.clone(),
        mch_id: wechat.mch_id.clone(),
        api_key: Secret::new(wechat.api_key.clone()),
        sign_type: sign_type.to_owned(),
        sub_app_id: None,
        sub_mch_id: None,
        p12: None,
    })
}

fn v3(wechat: &WechatCredentials) -> WechatV3Keys {
    WechatV3Keys {
        app_id: wechat.app_id.clone(),
        mch_id: wechat.mch_id.clone(),
        api_v3_key: Secret::new(wechat.api_v3_key.clone()),
        merchant_serial: wechat.merchant_serial.clone(),
        merchant_private_key: Secret::new(wechat.merchant_private_key.clone()),
        platform_certificates: Vec::new(),
        public_key_id: None,
        public_key: None,
        sub_app_id: None,
        sub_mch_id: None,
    }
}

fn alipay_keys(alipay: &AlipayCredentials) -> AlipayKeys {
    AlipayKeys {
        app_id: alipay.app_id.clone(),
        seller_id: Some(alipay.seller_id.clone()),
        app_private_key: Secret::new(alipay.app_private_key.clone()),
        alipay_public_key: Some(alipay.alipay_public_key.clone()),
        app_cert: None,
        alipay_cert: None,
        alipay_root_cert: None,
        aes_key: None,
    }
}
