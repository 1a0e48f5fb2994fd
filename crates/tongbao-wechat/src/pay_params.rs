//! What a merchant's page, mini program or app needs to call up the payment
//! (微信支付, JSAPI调起支付, 小程序调起支付, APP调起支付, H5调起支付).
//!
//! The server signs it, the client passes it on. Both APIs have the same shape, but sign it
//! differently.

use crate::account::{V2Credentials, V3Credentials};
use crate::v2;
use crate::xml::Fields;
use serde::Serialize;
use tongbao_types::Timestamp;

/// For `WeixinJSBridge`, `wx.chooseWXPay` and `wx.requestPayment`. Mini programs do not pass
/// `appId` on, but it is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JsapiParams {
    /// The app id that the payer is in.
    pub app_id: String,
    /// Seconds since 1970, as text.
    pub time_stamp: String,
    /// Random text.
    pub nonce_str: String,
    /// `prepay_id=…`.
    pub package: String,
    /// `MD5`, `HMAC-SHA256` or `RSA`.
    pub sign_type: String,
    /// The signature.
    pub pay_sign: String,
}

/// For the OpenSDK's `PayReq`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AppParams {
    /// The app id.
    pub appid: String,
    /// The merchant number (the sub-merchant's for service providers).
    pub partnerid: String,
    /// The bare id.
    pub prepayid: String,
    /// `Sign=WXPay`; Android calls it `packageValue`.
    pub package: String,
    /// Random text.
    pub noncestr: String,
    /// Seconds since 1970, as text.
    pub timestamp: String,
    /// The signature.
    pub sign: String,
}

/// Signs for a page or mini program with API v2, by the order's method.
pub fn v2_jsapi(
    credentials: &V2Credentials,
    prepay_id: &str,
    nonce: &str,
    now: Timestamp,
) -> JsapiParams {
    let merchant = credentials.merchant();
    let app_id = merchant.sub_app_id.as_ref().unwrap_or(&merchant.app_id);
    let sign_type = credentials.sign_type();
    let mut params = jsapi(app_id, prepay_id, nonce, now);
    params.sign_type = sign_type.as_str().to_owned();
    let mut fields = Fields::new();
    fields.set("appId", &params.app_id);
    fields.set("timeStamp", &params.time_stamp);
    fields.set("nonceStr", &params.nonce_str);
    fields.set("package", &params.package);
    fields.set("signType", &params.sign_type);
    params.pay_sign = v2::sign(&fields, credentials.key(), sign_type);
    params
}

/// Signs for an app with API v2.
pub fn v2_app(
    credentials: &V2Credentials,
    prepay_id: &str,
    nonce: &str,
    now: Timestamp,
) -> AppParams {
    let merchant = credentials.merchant();
    let partner = merchant.sub_mch_id.as_ref().unwrap_or(&merchant.mch_id);
    let app_id = merchant.sub_app_id.as_ref().unwrap_or(&merchant.app_id);
    let mut params = app((app_id, partner), prepay_id, nonce, now);
    let mut fields = Fields::new();
    fields.set("appid", &params.appid);
    fields.set("partnerid", &params.partnerid);
    fields.set("prepayid", &params.prepayid);
    fields.set("package", &params.package);
    fields.set("noncestr", &params.noncestr);
    fields.set("timestamp", &params.timestamp);
    params.sign = v2::sign(&fields, credentials.key(), credentials.sign_type());
    params
}

/// Signs for a page or mini program with API v3: the fourth line has `prepay_id=` in front.
pub fn v3_jsapi(
    credentials: &V3Credentials,
    prepay_id: &str,
    nonce: &str,
    now: Timestamp,
) -> JsapiParams {
    let merchant = credentials.merchant();
    let app_id = merchant.sub_app_id.as_ref().unwrap_or(&merchant.app_id);
    let mut params = jsapi(app_id, prepay_id, nonce, now);
    params.sign_type = "RSA".to_owned();
    let string = v3_string(&params.app_id, &params.time_stamp, nonce, &params.package);
    params.pay_sign = credentials.merchant_key().sign_sha256(string.as_bytes());
    params
}

/// Signs for an app with API v3: the fourth line is the bare id.
pub fn v3_app(
    credentials: &V3Credentials,
    prepay_id: &str,
    nonce: &str,
    now: Timestamp,
) -> AppParams {
    let merchant = credentials.merchant();
    let partner = merchant.sub_mch_id.as_ref().unwrap_or(&merchant.mch_id);
    let app_id = merchant.sub_app_id.as_ref().unwrap_or(&merchant.app_id);
    let mut params = app((app_id, partner), prepay_id, nonce, now);
    let string = v3_string(&params.appid, &params.timestamp, nonce, prepay_id);
    params.sign = credentials.merchant_key().sign_sha256(string.as_bytes());
    params
}

/// The H5 page with the address to come back to, whose domain must be registered with WeChat.
pub fn h5_redirect(h5_url: &str, redirect_url: &str) -> String {
    let mut escaped = String::new();
    for byte in redirect_url.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("{h5_url}&redirect_url={escaped}")
}

fn jsapi(app_id: &str, prepay_id: &str, nonce: &str, now: Timestamp) -> JsapiParams {
    JsapiParams {
        app_id: app_id.to_owned(),
        time_stamp: now.as_seconds().to_string(),
        nonce_str: nonce.to_owned(),
        package: format!("prepay_id={prepay_id}"),
        sign_type: String::new(),
        pay_sign: String::new(),
    }
}

fn app((app_id, partner): (&str, &str), prepay_id: &str, nonce: &str, now: Timestamp) -> AppParams {
    AppParams {
        appid: app_id.to_owned(),
        partnerid: partner.to_owned(),
        prepayid: prepay_id.to_owned(),
        package: "Sign=WXPay".to_owned(),
        noncestr: nonce.to_owned(),
        timestamp: now.as_seconds().to_string(),
        sign: String::new(),
    }
}

fn v3_string(app_id: &str, timestamp: &str, nonce: &str, last: &str) -> String {
    format!("{app_id}\n{timestamp}\n{nonce}\n{last}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Merchant, SignType};
    use crate::v3::sign_tests::PUBLIC_KEY;
    use tongbao_crypt::digest::sha256_hex;
    use tongbao_crypt::{RsaPrivateKey, RsaPublicKey, base64};
    use tongbao_types::Secret;

    const NONCE_V2: &str = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";
    const NONCE_V3: &str = "593BEC0C930BF1AFEB40B4A08C8FB242";
    const V3_C: &str = "d3G/MhqA46/SSw0iHMK1hTDMqT4UgTCbHl3B96Zc/xP2fKdSyUW5fA2EshgwAMcbkWswwEY/Ev036GSY3WhIe7hR1VVnMLmN8uacIlOR29jt2ymSFQ++wff+umI+psosg8JiwQJ4JPZNsn9YqS96WZGnK515Rn4t7aLaB0m9pjjykOnHY9O/m+SPwl3J1K0k2CSi1PncnFBPahb99BXR7908CmCV3VmKx3506h3yRaWQz8ZIuQJC/nl0ysjgw6CVIRHsC5K7o8WjvuZZ/iEOy0+70cdoJSMcQesUUA5hR65ZXwOymbAcKEqp6RPJl7tJp7YrXOEdG/tRTh01AGVuNg==";
    const V3_D: &str = "Ww7Z9B8OiSAv/awz+TnlGUv4fRXTBiNULMd9ip24oVNwBDiPcdszk3tV9vs8eLVkDL0tNt7X+3IMd5eNVJ+gAjAUAQjvS3VQV8DOi7BdrH32hj92bFs0E8e4UIJhF7r+zjs6OyGeQz9nixNhe1WYTuCzQzmPzig5a2J2E3NDw66VCu9JN1gl/l7Dse5Lc8dKDzz1XhWnHsQc1GmgrYV7Xdjz6fpv4cUtApd9yQYhfSdYLG3OtyLrEWU5Y40vMoq6oncfM0nkVIzqaGzi26lToSj59xwMoXAQtFXkMkH5/wPEVhF2TelSALHSyxm02zhEtKIhm9KEpqmCbE0gQa77Sg==";

    fn v2(app_id: &str, key: &str) -> V2Credentials {
        let merchant = Merchant::direct(app_id, "10000100");
        V2Credentials::new(merchant, Secret::new(key.to_owned()), SignType::Md5).unwrap()
    }

    #[test]
    fn vectors_v2_3_and_6_of_pages() {
        let prepay_id = "wx2017033010242291fcfe0db70013231072";
        let now = Timestamp::from_seconds(1_490_840_662);
        let check = |app_id: &str, key: &str, wanted: &str| {
            let params = v2_jsapi(&v2(app_id, key), prepay_id, NONCE_V2, now);
            assert_eq!(params.pay_sign, wanted);
            assert_eq!(params.package, format!("prepay_id={prepay_id}"));
        };
        let key = "qazwsxedcrfvtgbyhnujmikolp111111";
        check("wxd678efh567hg6787", key, "22D9B4E54AB1950F51E0649E8810ACD6");
        let key = "192006250b4c09247ec02edce69f6a2d";
        check("wxd930ea5d5a258f4f", key, "A3C4993E71916E54AE93F5D2B1E888AF");
    }

    #[test]
    fn vector_v2_7_of_apps() {
        let credentials = v2("wxd930ea5d5a258f4f", "192006250b4c09247ec02edce69f6a2d");
        let prepay_id = "wx2017033010242291fcfe0db70013231072";
        let now = Timestamp::from_seconds(1_490_840_662);
        let params = v2_app(&credentials, prepay_id, NONCE_V2, now);
        assert_eq!(params.sign, "0A2318B86132946D88206978C947D8D2");
    }

    #[test]
    fn service_providers_sign_for_the_app_and_merchant_below_them() {
        let merchant = Merchant {
            sub_app_id: Some("wx8888888888888888".to_owned()),
            sub_mch_id: Some("1900000109".to_owned()),
            ..Merchant::direct("wxd930ea5d5a258f4f", "10000100")
        };
        let key = Secret::new("192006250b4c09247ec02edce69f6a2d".to_owned());
        let credentials = V2Credentials::new(merchant, key, SignType::HmacSha256).unwrap();
        let now = Timestamp::from_seconds(1_490_840_662);
        let page = v2_jsapi(&credentials, "wx1", NONCE_V2, now);
        assert_eq!(page.app_id, "wx8888888888888888");
        assert_eq!((page.sign_type.as_str(), page.pay_sign.len()), ("HMAC-SHA256", 64));
        let app = v2_app(&credentials, "wx1", NONCE_V2, now);
        assert_eq!(app.appid, "wx8888888888888888");
        assert_eq!((app.partnerid.as_str(), app.prepayid.as_str()), ("1900000109", "wx1"));
        assert_eq!(app.package, "Sign=WXPay");
        assert!(page.time_stamp == "1490840662" && app.timestamp == "1490840662");
    }

    #[test]
    fn vectors_v3_c_and_d() {
        let key = RsaPublicKey::read(PUBLIC_KEY).unwrap();
        let check = |last: &str, digest: &str, signature: &str| {
            let string = v3_string("wx2421b1c4370ec43b", "1554208460", NONCE_V3, last);
            assert_eq!(sha256_hex(string.as_bytes()), digest);
            assert!(key.verify_sha256(string.as_bytes(), &base64::decode(signature).unwrap()));
        };
        let id = "wx201410272009395522657a690389285100";
        let digest = "bf5c0eab11b7710ea376aaa5038ad079fb8175af60d6cbf676fa3bcc4d218bcb";
        check(&format!("prepay_id={id}"), digest, V3_C);
        let digest = "24bea8d9042023a0a50bdf8580f0e52570033d68244bd66ec63df7cc25a9073c";
        check(id, digest, V3_D);
    }

    #[test]
    fn v3_signs_pages_with_and_apps_without_the_prefix() {
        let private = RsaPrivateKey::generate();
        let merchant = Merchant::direct("wx2421b1c4370ec43b", "1900000109");
        let pem = Secret::new(private.to_pkcs8_pem().to_string());
        let v3_key = Secret::new("0".repeat(32));
        let credentials = V3Credentials::new(merchant, "1A", &pem, &v3_key).unwrap();
        let now = Timestamp::from_seconds(1_554_208_460);
        let page = v3_jsapi(&credentials, "wx1", NONCE_V3, now);
        let app = v3_app(&credentials, "wx1", NONCE_V3, now);
        let check = |last: &str, signature: &str| {
            let string = v3_string("wx2421b1c4370ec43b", "1554208460", NONCE_V3, last);
            let signature = base64::decode(signature).unwrap();
            assert!(private.public().verify_sha256(string.as_bytes(), &signature));
        };
        check("prepay_id=wx1", &page.pay_sign);
        check("wx1", &app.sign);
        let json = serde_json::to_value(&page).unwrap();
        for name in ["appId", "timeStamp", "nonceStr", "package", "signType", "paySign"] {
            assert!(json[name].is_string(), "{name}");
        }
    }

    #[test]
    fn v3_signs_for_the_sub_merchants_app() {
        let sub = |id: &str| Some(id.to_owned());
        let merchant = Merchant {
            sub_app_id: sub("wxd678efh567hg6787"),
            sub_mch_id: sub("1900000209"),
            ..Merchant::direct("wx2421b1c4370ec43b", "1900000109")
        };
        let pem = Secret::new(RsaPrivateKey::generate().to_pkcs8_pem().to_string());
        let v3_key = Secret::new("0".repeat(32));
        let credentials = V3Credentials::new(merchant, "1A", &pem, &v3_key).unwrap();
        let now = Timestamp::from_seconds(1_554_208_460);
        assert_eq!(v3_jsapi(&credentials, "wx1", NONCE_V3, now).app_id, "wxd678efh567hg6787");
        let app = v3_app(&credentials, "wx1", NONCE_V3, now);
        assert_eq!(
            (app.appid.as_str(), app.partnerid.as_str()),
            ("wxd678efh567hg6787", "1900000209")
        );
        let string = v3_string("wxd678efh567hg6787", "1554208460", NONCE_V3, "wx1");
        let signature = base64::decode(&app.sign).unwrap();
        assert!(credentials.merchant_key().public().verify_sha256(string.as_bytes(), &signature));
    }

    #[test]
    fn the_way_back_is_escaped() {
        let wanted = "https://wx.tenpay.com/x?a=1&redirect_url=https%3A%2F%2Fa.example%2F%3Fb%3D1";
        assert_eq!(h5_redirect("https://wx.tenpay.com/x?a=1", "https://a.example/?b=1"), wanted);
    }
}
