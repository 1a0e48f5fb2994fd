//! One account of each protocol, under keys that are made when the program starts. The providers'
//! halves are here too, so that what comes after a signature is reached as well.

use std::sync::{Arc, LazyLock};
use tongbao_channels::{
    AccountSetup, Adapter, AlipayKeys, AlipayLegacyKeys, Keys, OrderRef, RefundOrder, Stamp,
    WechatV2Keys, WechatV3Keys, adapter,
};
use tongbao_crypt::RsaPrivateKey;
use tongbao_types::{
    AccountName, Amount, Channel, Fen, HttpRequest, Method, OutRefundNo, OutTradeNo, Secret,
    Timestamp,
};

pub(crate) const V2_KEY: &str = "not-a-real-key-of-api-v2-1234567";
pub(crate) const V3_KEY: &[u8; 32] = b"not-a-real-key-of-api-v3-1234567";
pub(crate) const MD5_KEY: &str = "notarealkeyofthelegacygateway123";
pub(crate) const PLATFORM: &str = "PUB_KEY_ID_0000000000000000000000000000000001";

/// The providers' key; it signs for both.
pub(crate) static THEIRS: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);
static OURS: LazyLock<RsaPrivateKey> = LazyLock::new(RsaPrivateKey::generate);
static NUMBERS: LazyLock<(OutTradeNo, OutRefundNo)> = LazyLock::new(|| {
    let order = OutTradeNo::new("TB20261121000001").expect("it fits both providers");
    (order, OutRefundNo::new("TB20261121000001R1").expect("it fits both providers"))
});

pub(crate) static WECHAT_V2: LazyLock<Arc<dyn Adapter>> = LazyLock::new(|| {
    made(
        "wechat-v2",
        Keys::WechatV2(WechatV2Keys {
            app_id: "wx0000000000000001".to_owned(),
            mch_id: "1900000001".to_owned(),
            api_key: Secret::new(V2_KEY.to_owned()),
            sign_type: "MD5".to_owned(),
            sub_app_id: None,
            sub_mch_id: None,
            p12: None,
        }),
    )
});

pub(crate) static WECHAT_V3: LazyLock<Arc<dyn Adapter>> = LazyLock::new(|| {
    let key = String::from_utf8_lossy(V3_KEY).into_owned();
    made(
        "wechat-v3",
        Keys::WechatV3(WechatV3Keys {
            app_id: "wx0000000000000001".to_owned(),
            mch_id: "1900000001".to_owned(),
            api_v3_key: Secret::new(key),
            merchant_serial: "0123456789ABCDEF0123456789ABCDEF01234567".to_owned(),
            merchant_private_key: Secret::new(OURS.to_pkcs8_pem().to_string()),
            platform_certificates: Vec::new(),
            public_key_id: Some(PLATFORM.to_owned()),
            public_key: Some(THEIRS.public().to_spki_pem()),
            sub_app_id: None,
            sub_mch_id: None,
        }),
    )
});

pub(crate) static ALIPAY_OPEN: LazyLock<Arc<dyn Adapter>> =
    LazyLock::new(|| made("alipay-open", Keys::AlipayOpen(alipay())));
pub(crate) static ALIPAY_V3: LazyLock<Arc<dyn Adapter>> =
    LazyLock::new(|| made("alipay-v3", Keys::AlipayV3(alipay())));
pub(crate) static ALIPAY_LEGACY: LazyLock<Arc<dyn Adapter>> = LazyLock::new(|| {
    made(
        "alipay-legacy",
        Keys::AlipayLegacy(AlipayLegacyKeys {
            partner: "2088000000000001".to_owned(),
            md5_key: Secret::new(MD5_KEY.to_owned()),
            seller_email: None,
        }),
    )
});

fn alipay() -> AlipayKeys {
    AlipayKeys {
        app_id: "2021000000000001".to_owned(),
        seller_id: Some("2088000000000001".to_owned()),
        app_private_key: Secret::new(OURS.to_pkcs8_pem().to_string()),
        alipay_public_key: Some(THEIRS.public().to_spki_base64()),
        app_cert: None,
        alipay_cert: None,
        alipay_root_cert: None,
        aes_key: None,
    }
}

fn made(name: &str, keys: Keys) -> Arc<dyn Adapter> {
    let setup = AccountSetup {
        name: AccountName::new(name).expect("a name of small letters"),
        keys,
        endpoint: None,
        endpoint_ca: None,
        public_url: "https://pay.example.com".to_owned(),
        notify_url: None,
    };
    adapter(setup).expect("the keys were made for it")
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(1_795_242_600)
}

pub(crate) fn stamp() -> Stamp {
    Stamp { wall: now(), nonce: "0123456789abcdef0123456789abcdef".to_owned() }
}

pub(crate) fn order(channel: Channel) -> OrderRef<'static> {
    OrderRef { channel, out_trade_no: &NUMBERS.0 }
}

pub(crate) fn refund(channel: Channel) -> RefundOrder<'static> {
    RefundOrder {
        order: order(channel),
        paid: Fen(8888),
        out_refund_no: &NUMBERS.1,
        amount: Amount::new(Fen(100)).expect("a yuan"),
        reason: None,
    }
}

pub(crate) fn posted(target: &str, body: impl Into<Vec<u8>>) -> HttpRequest {
    let (target, body) = (target.to_owned(), body.into().into());
    HttpRequest { method: Method::Post, target, headers: Vec::new(), body }
}

/// The first byte chooses, the rest is the message.
pub(crate) fn choice(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}
