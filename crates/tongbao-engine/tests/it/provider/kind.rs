//! Which protocols and key modes there are, and an account of each.

use super::Protocol;
use super::alipay::Alipay;
use super::pretended::Pretended;
use super::wechat_v2::V2;
use super::wechat_v3::V3;
use crate::keys;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tongbao_channels::{
    AccountSetup, Adapter, AlipayKeys, Keys, WechatV2Keys, WechatV3Keys, adapter,
};
use tongbao_types::{AccountName, Channel, Provider, Secret};

pub(crate) const WECHAT_APP_ID: &str = "wx0123456789abcdef";
pub(crate) const WECHAT_MCH_ID: &str = "1900000109";
pub(crate) const API_KEY: &str = "TestTestTestTestTestTestTestTest";
pub(crate) const API_V3_KEY: &str = "V3TestV3TestV3TestV3TestV3TestV3";
pub(crate) const MERCHANT_SERIAL: &str = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1";
pub(crate) const PUBLIC_KEY_ID: &str = "PUB_KEY_ID_0119000001092026112100000000000000";
pub(crate) const ALIPAY_APP_ID: &str = "2021000000000001";
pub(crate) const ALIPAY_SELLER_ID: &str = "2088102100000000";

/// A protocol in one of its key modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    V2Md5,
    V2Hmac,
    /// The platform certificate is configured.
    V3Certificate,
    /// Platform certificates are fetched when needed.
    V3Fetched,
    V3PublicKey,
    AlipayKey,
    AlipayCertificate,
}

impl Kind {
    pub(crate) const ALL: [Kind; 7] = [
        Kind::V2Md5,
        Kind::V2Hmac,
        Kind::V3Certificate,
        Kind::V3Fetched,
        Kind::V3PublicKey,
        Kind::AlipayKey,
        Kind::AlipayCertificate,
    ];

    /// One for each protocol.
    pub(crate) const PROTOCOLS: [Kind; 3] = [Kind::V2Md5, Kind::V3PublicKey, Kind::AlipayKey];

    /// The name of its account.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::V2Md5 => "v2-md5",
            Kind::V2Hmac => "v2-hmac",
            Kind::V3Certificate => "v3-certificate",
            Kind::V3Fetched => "v3-fetched",
            Kind::V3PublicKey => "v3-public-key",
            Kind::AlipayKey => "alipay-key",
            Kind::AlipayCertificate => "alipay-certificate",
        }
    }

    pub(crate) fn by_endpoint(base: &str) -> Kind {
        let name = base.strip_prefix("https://").and_then(|rest| rest.strip_suffix(".test"));
        Kind::ALL.into_iter().find(|kind| Some(kind.name()) == name).unwrap()
    }

    pub(crate) fn provider(self) -> Provider {
        self.channel().provider()
    }

    pub(crate) fn channel(self) -> Channel {
        match self {
            Kind::AlipayKey | Kind::AlipayCertificate => Channel::AlipayQr,
            _ => Channel::WechatNative,
        }
    }

    pub(crate) fn protocol(self) -> &'static dyn Protocol {
        match self {
            Kind::V2Md5 => &V2 { hmac: false },
            Kind::V2Hmac => &V2 { hmac: true },
            Kind::V3Certificate | Kind::V3Fetched => &V3 { by_public_key: false },
            Kind::V3PublicKey => &V3 { by_public_key: true },
            Kind::AlipayKey => &Alipay { by_certificate: false },
            Kind::AlipayCertificate => &Alipay { by_certificate: true },
        }
    }

    /// An account named `name`.
    pub(crate) fn account(self, name: &str, is_hindered: &Arc<AtomicBool>) -> Arc<dyn Adapter> {
        let real = self.real_account(name);
        Arc::new(Pretended { real, is_hindered: Arc::clone(is_hindered) })
    }

    /// An account that does what it can by itself.
    pub(crate) fn real_account(self, name: &str) -> Arc<dyn Adapter> {
        adapter(AccountSetup {
            name: AccountName::new(name).unwrap(),
            keys: self.keys(),
            endpoint: Some(format!("https://{}.test", self.name())),
            endpoint_ca: None,
            public_url: "https://pay.test".to_owned(),
            notify_url: None,
        })
        .unwrap()
    }

    fn keys(self) -> Keys {
        match self {
            Kind::V2Md5 => v2("MD5"),
            Kind::V2Hmac => v2("HMAC-SHA256"),
            Kind::V3Certificate => Keys::WechatV3(WechatV3Keys {
                platform_certificates: vec![keys::PLATFORM_PEM.clone()],
                ..v3()
            }),
            Kind::V3Fetched => Keys::WechatV3(v3()),
            Kind::V3PublicKey => Keys::WechatV3(WechatV3Keys {
                public_key_id: Some(PUBLIC_KEY_ID.to_owned()),
                public_key: Some(keys::PUBLIC_KEY.public().to_spki_pem()),
                ..v3()
            }),
            Kind::AlipayKey => {
                let key = keys::ALIPAY.public().to_spki_base64();
                Keys::AlipayOpen(AlipayKeys { alipay_public_key: Some(key), ..alipay() })
            }
            Kind::AlipayCertificate => Keys::AlipayOpen(AlipayKeys {
                app_cert: Some(keys::ALIPAY_FILES.app.clone()),
                alipay_cert: Some(keys::ALIPAY_FILES.alipay.clone()),
                alipay_root_cert: Some(keys::ALIPAY_FILES.root.clone()),
                ..alipay()
            }),
        }
    }
}

fn v2(sign_type: &str) -> Keys {
    Keys::WechatV2(WechatV2Keys {
        app_id: WECHAT_APP_ID.to_owned(),
        mch_id: WECHAT_MCH_ID.to_owned(),
        api_key: Secret::new(API_KEY.to_owned()),
        sign_type: sign_type.to_owned(),
        sub_app_id: None,
        sub_mch_id: None,
        p12: None,
    })
}

fn v3() -> WechatV3Keys {
    WechatV3Keys {
        app_id: WECHAT_APP_ID.to_owned(),
        mch_id: WECHAT_MCH_ID.to_owned(),
        api_v3_key: Secret::new(API_V3_KEY.to_owned()),
        merchant_serial: MERCHANT_SERIAL.to_owned(),
        merchant_private_key: Secret::new(keys::MERCHANT.to_pkcs8_pem().to_string()),
        platform_certificates: Vec::new(),
        public_key_id: None,
        public_key: None,
        sub_app_id: None,
        sub_mch_id: None,
    }
}

fn alipay() -> AlipayKeys {
    AlipayKeys {
        app_id: ALIPAY_APP_ID.to_owned(),
        seller_id: Some(ALIPAY_SELLER_ID.to_owned()),
        app_private_key: Secret::new(keys::APP.to_pkcs8_pem().to_string()),
        alipay_public_key: None,
        app_cert: None,
        alipay_cert: None,
        alipay_root_cert: None,
        aes_key: None,
    }
}
