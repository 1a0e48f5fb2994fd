//! Accounts: which channels they have, and what their configuration may not be.

use crate::alipay_certificates::Authority;
use crate::alipay_provider::{AES_KEY, keys as alipay_keys};
use crate::wechat_provider::{ordinary, service_provider, v2_keys, v3_keys};
use crate::world::{account, made};
use tongbao_channels::{
    AccountSetup, AlipayKeys, AlipayLegacyKeys, Keys, MerchantP12, WechatV2Keys, WechatV3Keys,
};
use tongbao_crypt::{ClientIdentity, P12Style, RsaPrivateKey};
use tongbao_types::{Channel, Provider, Secret};

fn legacy() -> AlipayLegacyKeys {
    AlipayLegacyKeys {
        partner: "2088000000000001".to_owned(),
        md5_key: Secret::new("notarealkeyofthelegacygateway123".to_owned()),
        seller_email: None,
    }
}

fn alipay() -> AlipayKeys {
    alipay_keys(&RsaPrivateKey::generate(), &RsaPrivateKey::generate())
}

/// The field that is wrong, and what is said about it.
fn error(keys: Keys) -> (&'static str, String) {
    match tongbao_channels::adapter(account(keys)) {
        Err(error) => (error.field, error.message),
        Ok(adapter) => panic!("{} was made", adapter.name()),
    }
}

#[test]
fn every_channel_is_served_at_its_provider_s_own_address() {
    let own = RsaPrivateKey::generate();
    let mut served = Vec::new();
    for (keys, provider, endpoint) in [
        (Keys::WechatV2(v2_keys(&ordinary())), Provider::Wechat, "https://api.mch.weixin.qq.com"),
        (
            Keys::WechatV3(v3_keys(&service_provider(), &own)),
            Provider::Wechat,
            "https://api.mch.weixin.qq.com",
        ),
        (Keys::AlipayOpen(alipay()), Provider::Alipay, "https://openapi.alipay.com"),
        (Keys::AlipayV3(alipay()), Provider::Alipay, "https://openapi.alipay.com"),
        (Keys::AlipayLegacy(legacy()), Provider::Alipay, "https://mapi.alipay.com"),
    ] {
        let adapter = made(keys.clone());
        assert_eq!((adapter.provider(), adapter.endpoint()), (provider, endpoint));
        assert_eq!(adapter.name().as_str(), "shop");
        assert!(adapter.channels().iter().all(|channel| channel.provider() == provider));
        served.extend(adapter.channels());
        let elsewhere = Some("http://127.0.0.1:9010".to_owned());
        let setup = AccountSetup { endpoint: elsewhere, ..account(keys) };
        let adapter = tongbao_channels::adapter(setup).unwrap();
        assert_eq!(adapter.endpoint(), "http://127.0.0.1:9010");
    }
    for channel in Channel::ALL {
        assert!(served.contains(channel), "{channel}");
    }
}

#[test]
fn numbers_have_the_form_of_their_provider() {
    let wechat = made(Keys::WechatV2(v2_keys(&ordinary())));
    let alipay = [
        made(Keys::AlipayOpen(alipay())),
        made(Keys::AlipayV3(alipay())),
        made(Keys::AlipayLegacy(legacy())),
    ];
    let long = "a".repeat(33);
    assert!(wechat.takes_number("a-b_1*") && !wechat.takes_number(&long));
    assert!(wechat.takes_refund_number(&long));
    for alipay in alipay {
        assert!(alipay.takes_number(&long) && !alipay.takes_number("a-b"));
        assert!(alipay.takes_refund_number("a_b1"));
        assert!(!alipay.takes_refund_number(&"a".repeat(65)));
    }
}

/// The merchant's certificate as a PKCS#12 file.
fn p12(style: P12Style) -> Vec<u8> {
    let key = RsaPrivateKey::generate();
    let pem = Authority::root("wechat").certify("1900000001", &key);
    let identity = ClientIdentity::from_pem(&pem, &key.to_pkcs8_pem()).unwrap();
    identity.to_p12("shop", "1900000001", style)
}

fn with_p12(file: Vec<u8>, passphrase: &str) -> Keys {
    let passphrase = Secret::new(passphrase.to_owned());
    let p12 = Some(MerchantP12 { file: Secret::new(file), passphrase });
    Keys::WechatV2(WechatV2Keys { p12, ..v2_keys(&ordinary()) })
}

#[test]
fn a_merchant_s_certificate_lets_api_v2_refund() {
    for style in [P12Style::Modern, P12Style::Legacy] {
        let adapter = made(with_p12(p12(style), "1900000001"));
        assert!(adapter.identity().is_some());
        assert_eq!(adapter.refund_hindrance(), None);
    }
    let without = made(Keys::WechatV2(v2_keys(&ordinary())));
    assert!(without.identity().is_none());
}

#[test]
fn a_certificate_that_cannot_be_read_is_refused_with_what_to_do() {
    let (field, message) = error(with_p12(p12(P12Style::Modern), "1900000002"));
    assert_eq!(field, "p12");
    assert!(message.contains("passphrase") && message.contains("mch_id"), "{message}");
    let (field, message) = error(with_p12(b"-----BEGIN CERTIFICATE-----".to_vec(), "1900000001"));
    assert_eq!(field, "p12");
    assert!(message.contains("apiclient_cert.p12"), "{message}");
    // The digest of its MAC is the last algorithm named in a file: made one that is not read.
    let mut file = p12(P12Style::Modern);
    let sha256 = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
    let at = file.windows(sha256.len()).rposition(|bytes| bytes == sha256).unwrap();
    file[at + sha256.len() - 1] = 0x0c;
    let (field, message) = error(with_p12(file, "1900000001"));
    assert_eq!(field, "p12");
    assert!(message.contains("convert it with: ") && message.contains("openssl"), "{message}");
}

#[test]
fn each_mistake_of_wechat_s_is_told_by_its_field() {
    let own = RsaPrivateKey::generate();
    let v2 = || v2_keys(&ordinary());
    let field = |keys| error(keys).0;
    let sign_type = "SHA1".to_owned();
    assert_eq!(field(Keys::WechatV2(WechatV2Keys { sign_type, ..v2() })), "sign_type");
    let api_key = Secret::new("short".to_owned());
    assert_eq!(field(Keys::WechatV2(WechatV2Keys { api_key, ..v2() })), "api_key");
    let sub_mch_id = Some("shop".to_owned());
    assert_eq!(field(Keys::WechatV2(WechatV2Keys { sub_mch_id, ..v2() })), "sub_mch_id");
    let v3 = || v3_keys(&ordinary(), &own);
    let public_key_id = Some("PUB_KEY_ID_1".to_owned());
    let half = WechatV3Keys { public_key_id: public_key_id.clone(), ..v3() };
    assert_eq!(field(Keys::WechatV3(half)), "public_key_id");
    let public_key = Some("no key".to_owned());
    let wrong = WechatV3Keys { public_key_id, public_key, ..v3() };
    assert_eq!(field(Keys::WechatV3(wrong)), "public_key");
    let public_key_id = Some("PUB_KEY_ID_1".to_owned());
    let public_key = Some(own.public().to_spki_pem());
    let mistaken = Keys::WechatV3(WechatV3Keys { public_key_id, public_key, ..v3() });
    let (field_of_own, message) = error(mistaken);
    assert_eq!(field_of_own, "public_key");
    assert!(message.contains("the merchant's own"), "{message}");
    let platform_certificates = vec!["no certificate".to_owned()];
    let wrong = WechatV3Keys { platform_certificates, ..v3() };
    assert_eq!(field(Keys::WechatV3(wrong)), "platform_certificates");
    let merchant_serial = "PUB_KEY_ID_1".to_owned();
    let wrong = WechatV3Keys { merchant_serial, ..v3() };
    assert_eq!(field(Keys::WechatV3(wrong)), "merchant_serial");
}

#[test]
fn each_mistake_of_alipay_s_is_told_by_its_field() {
    let field = |keys: AlipayKeys| {
        let [open, v3] = [Keys::AlipayOpen(keys.clone()), Keys::AlipayV3(keys)].map(error);
        assert_eq!(open, v3);
        open.0
    };
    assert_eq!(field(AlipayKeys { app_id: "wx1".to_owned(), ..alipay() }), "app_id");
    let seller_id = Some("shop".to_owned());
    assert_eq!(field(AlipayKeys { seller_id, ..alipay() }), "seller_id");
    let app_private_key = Secret::new("no key".to_owned());
    assert_eq!(field(AlipayKeys { app_private_key, ..alipay() }), "app_private_key");
    let none = AlipayKeys { alipay_public_key: None, ..alipay() };
    assert_eq!(field(none.clone()), "alipay_public_key");
    let twice = RsaPrivateKey::generate();
    assert_eq!(field(alipay_keys(&twice, &twice)), "alipay_public_key");
    let half = AlipayKeys { app_cert: Some("x".to_owned()), ..none };
    assert_eq!(field(half), "app_cert");
    let aes_key = Some(Secret::new("short".to_owned()));
    assert_eq!(field(AlipayKeys { aes_key, ..alipay() }), "aes_key");
    let aes_key = Some(Secret::new(AES_KEY.to_owned()));
    made(Keys::AlipayOpen(AlipayKeys { aes_key, ..alipay() }));
}

#[test]
fn each_mistake_of_the_old_gateway_s_is_told_by_its_field() {
    let field = |keys| error(Keys::AlipayLegacy(keys)).0;
    assert_eq!(field(AlipayLegacyKeys { partner: "1".to_owned(), ..legacy() }), "partner");
    let md5_key = Secret::new("short".to_owned());
    assert_eq!(field(AlipayLegacyKeys { md5_key, ..legacy() }), "md5_key");
    let seller_email = Some(String::new());
    assert_eq!(field(AlipayLegacyKeys { seller_email, ..legacy() }), "seller_email");
}
