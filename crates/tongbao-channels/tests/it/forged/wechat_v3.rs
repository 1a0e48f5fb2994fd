//! Notifications of WeChat's API v3, signed with a platform certificate's key or with the key that
//! merchants have as the WeChat Pay public key.

use super::wechat_v3_kinds::table;
use super::{Suite, sameness};
use crate::alipay_certificates::Authority;
use crate::wechat_provider::{PLATFORM, SERIAL, V3_KEY, ordinary, refund, trade, v3_keys};
use crate::world::{made, now};
use serde_json::Value;
use std::sync::Arc;
use tongbao_channels::{Adapter, Keys, WechatV3Keys};
use tongbao_crypt::{Certificate, RsaPrivateKey};
use tongbao_types::{HttpRequest, Method, Secret, Timestamp};
use tongbao_wechat::{Merchant, RefundState, TradeState, v3};

pub(crate) const NONCE: &str = "593BEC0C930BF1AFEB40B4A08C8FB242";

/// An account, and the key that WeChat signs with.
pub(crate) struct Account {
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) key: RsaPrivateKey,
    pub(crate) serial: String,
    pub(crate) merchant_key: RsaPrivateKey,
}

pub(super) fn suites() -> Vec<Suite> {
    let suite = |protocol, account: Account| {
        let other = account.sealed_by(|body| body["id"] = "EV-9".into());
        Suite {
            protocol,
            adapter: Arc::clone(&account.adapter),
            genuine: vec![account.genuine(), account.refund(), other],
            table: table(&account),
            is_same: sameness::of_signed_body,
            is_hint: false,
        }
    };
    vec![
        suite("WeChat v3 public key", Account::of_public_key()),
        suite("WeChat v3 certificate", Account::of_certificate()),
    ]
}

impl Account {
    fn of_public_key() -> Account {
        let (key, merchant_key) = (RsaPrivateKey::generate(), RsaPrivateKey::generate());
        let adapter = made(Keys::WechatV3(WechatV3Keys {
            public_key_id: Some(PLATFORM.to_owned()),
            public_key: Some(key.public().to_spki_pem()),
            ..v3_keys(&ordinary(), &merchant_key)
        }));
        Account { adapter, key, serial: PLATFORM.to_owned(), merchant_key }
    }

    fn of_certificate() -> Account {
        let (key, merchant_key) = (RsaPrivateKey::generate(), RsaPrivateKey::generate());
        let pem = Authority::root("wechat").certify("platform", &key);
        let serial = Certificate::from_pem(&pem).unwrap().serial_hex();
        let adapter = made(Keys::WechatV3(WechatV3Keys {
            platform_certificates: vec![pem],
            ..v3_keys(&ordinary(), &merchant_key)
        }));
        assert_ne!(serial, SERIAL);
        Account { adapter, key, serial, merchant_key }
    }

    pub(crate) fn replier(&self) -> v3::Replier<'_> {
        let (key, serial, now) = (&self.key, self.serial.as_str(), now());
        v3::Replier { key, serial, now, nonce: NONCE, request_id: "R1" }
    }

    pub(crate) fn genuine(&self) -> HttpRequest {
        self.of(&ordinary(), &v3_key())
    }

    /// The same news, of another merchant or under another key.
    pub(crate) fn of(&self, merchant: &Merchant, api_v3_key: &Secret<[u8; 32]>) -> HttpRequest {
        let trade = &trade(TradeState::Success);
        let (id, created_at, nonce) = ("EV-1", now(), [7; 6]);
        let notice = v3::Notice { id, created_at, merchant, trade, api_v3_key, nonce };
        v3::encode_notice(&notice, "/notify/wechat/shop", &self.replier())
    }

    pub(crate) fn refund(&self) -> HttpRequest {
        let (merchant, refund) = (&ordinary(), &refund(RefundState::Success));
        let (id, created_at, api_v3_key, nonce) = ("EV-2", now(), &v3_key(), [8; 6]);
        let notice = v3::RefundNotice { id, created_at, merchant, refund, api_v3_key, nonce };
        v3::encode_refund_notice(&notice, "/notify/wechat/shop", &self.replier()).unwrap()
    }

    /// This body, signed as WeChat alone can.
    pub(crate) fn signed(&self, body: impl AsRef<[u8]>) -> HttpRequest {
        self.signed_by(&self.key, &self.serial, body.as_ref())
    }

    pub(crate) fn signed_by(&self, key: &RsaPrivateKey, serial: &str, body: &[u8]) -> HttpRequest {
        self.signed_at(key, serial, now(), body)
    }

    pub(crate) fn signed_at(
        &self,
        key: &RsaPrivateKey,
        serial: &str,
        at: Timestamp,
        body: &[u8],
    ) -> HttpRequest {
        let headers = v3::signature_headers(key, serial, (at, NONCE), body);
        let body = body.to_vec().into();
        let target = "/notify/wechat/shop".to_owned();
        HttpRequest { method: Method::Post, target, headers, body }
    }

    /// The outside changed, and signed as WeChat alone can.
    pub(crate) fn sealed_by(&self, change: impl FnOnce(&mut Value)) -> HttpRequest {
        let mut body: Value = serde_json::from_slice(&self.genuine().body).unwrap();
        change(&mut body);
        self.signed(body.to_string())
    }

    /// The inside changed, sealed and signed as WeChat alone can.
    pub(crate) fn inside(&self, change: impl FnOnce(&mut Value)) -> HttpRequest {
        self.inside_of(&self.genuine(), change)
    }

    pub(crate) fn inside_of(
        &self,
        request: &HttpRequest,
        change: impl FnOnce(&mut Value),
    ) -> HttpRequest {
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        let resource: v3::Resource = serde_json::from_value(body["resource"].clone()).unwrap();
        let plain = resource.open(&v3_key()).unwrap();
        let mut plain: Value = serde_json::from_slice(&plain).unwrap();
        change(&mut plain);
        body["resource"] = self.resource(plain.to_string().as_bytes());
        self.signed(body.to_string())
    }

    pub(crate) fn resource(&self, plain: &[u8]) -> Value {
        let sealed = v3::Resource::seal(&v3_key(), [9; 6], "transaction", plain);
        serde_json::to_value(sealed).unwrap()
    }
}

pub(crate) fn v3_key() -> Secret<[u8; 32]> {
    Secret::new(V3_KEY.as_bytes().try_into().unwrap())
}
