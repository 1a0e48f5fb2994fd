//! WeChat's side of both APIs: it checks what was sent and answers in its own bytes.

use crate::world::{
    NUMBER, PART, REFUND_NUMBER, TOTAL, TRADE_NO, account, made, now, number, paid_at,
};
use std::sync::Arc;
use tongbao_channels::{AccountSetup, Adapter, Keys, WechatV2Keys, WechatV3Keys};
use tongbao_core::Payer;
use tongbao_crypt::RsaPrivateKey;
use tongbao_types::{HttpRequest, HttpResponse, Secret};
use tongbao_wechat::v2::{self, Recall};
use tongbao_wechat::{Merchant, Paid, Prepaid, Refund, RefundState, Trade, TradeState, v3};

pub(crate) const V2_KEY: &str = "not-a-real-key-of-api-v2-1234567";
pub(crate) const V3_KEY: &str = "not-a-real-key-of-api-v3-1234567";
pub(crate) const SERIAL: &str = "0123456789ABCDEF0123456789ABCDEF01234567";
pub(crate) const PLATFORM: &str = "PUB_KEY_ID_0000000000000000000000000000000001";
pub(crate) const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    V2,
    V3,
}

pub(crate) struct Wechat {
    pub(crate) api: Api,
    pub(crate) adapter: Arc<dyn Adapter>,
    pub(crate) merchant: Merchant,
    pub(crate) merchant_key: RsaPrivateKey,
    pub(crate) platform_key: RsaPrivateKey,
}

/// What WeChat says.
pub(crate) enum Say<'a> {
    Ordered(&'a Prepaid),
    Trade(&'a Trade),
    PaidByCode(&'a Trade),
    Closed,
    /// Whether the call must be made again (v2 alone says so).
    Reversed(Recall),
    Refunded(&'a Refund),
    RefundQueried(&'a Refund),
    /// Status (v3), code and words.
    No(u16, &'a str, &'a str),
}

pub(crate) fn ordinary() -> Merchant {
    Merchant::direct("wx0000000000000001", "1900000001")
}

pub(crate) fn service_provider() -> Merchant {
    Merchant {
        sub_app_id: Some("wx0000000000000002".to_owned()),
        sub_mch_id: Some("1900000002".to_owned()),
        ..ordinary()
    }
}

/// Both APIs, for an ordinary merchant and for a service provider's.
pub(crate) fn all() -> impl Iterator<Item = Wechat> {
    [Api::V2, Api::V3].into_iter().flat_map(|api| {
        [ordinary(), service_provider()].into_iter().map(move |merchant| Wechat::new(api, merchant))
    })
}

/// Both APIs for an ordinary merchant.
pub(crate) fn both() -> [Wechat; 2] {
    [Api::V2, Api::V3].map(|api| Wechat::new(api, ordinary()))
}

pub(crate) fn v2_keys(merchant: &Merchant) -> WechatV2Keys {
    let Merchant { app_id, mch_id, sub_app_id, sub_mch_id } = merchant.clone();
    WechatV2Keys {
        app_id,
        mch_id,
        api_key: Secret::new(V2_KEY.to_owned()),
        sign_type: "HMAC-SHA256".to_owned(),
        sub_app_id,
        sub_mch_id,
        p12: None,
    }
}

pub(crate) fn v3_keys(merchant: &Merchant, own: &RsaPrivateKey) -> WechatV3Keys {
    let Merchant { app_id, mch_id, sub_app_id, sub_mch_id } = merchant.clone();
    WechatV3Keys {
        app_id,
        mch_id,
        api_v3_key: Secret::new(V3_KEY.to_owned()),
        merchant_serial: SERIAL.to_owned(),
        merchant_private_key: Secret::new(own.to_pkcs8_pem().to_string()),
        platform_certificates: Vec::new(),
        public_key_id: None,
        public_key: None,
        sub_app_id,
        sub_mch_id,
    }
}

impl Wechat {
    pub(crate) fn new(api: Api, merchant: Merchant) -> Wechat {
        let [merchant_key, platform_key] = [(); 2].map(|()| RsaPrivateKey::generate());
        let keys = match api {
            Api::V2 => Keys::WechatV2(v2_keys(&merchant)),
            Api::V3 => Keys::WechatV3(WechatV3Keys {
                public_key_id: Some(PLATFORM.to_owned()),
                public_key: Some(platform_key.public().to_spki_pem()),
                ..v3_keys(&merchant, &merchant_key)
            }),
        };
        Wechat { api, adapter: made(keys), merchant, merchant_key, platform_key }
    }

    /// The same at an address of its own.
    pub(crate) fn v2_at(endpoint: &str) -> Arc<dyn Adapter> {
        let keys = Keys::WechatV2(v2_keys(&ordinary()));
        let setup = AccountSetup { endpoint: Some(endpoint.to_owned()), ..account(keys) };
        tongbao_channels::adapter(setup).unwrap()
    }

    pub(crate) fn replier(&self) -> v3::Replier<'_> {
        v3::Replier {
            key: &self.platform_key,
            serial: PLATFORM,
            now: now(),
            nonce: "fedcba9876543210",
            request_id: "R1",
        }
    }

    /// The path and the answer, once the signature of the request has been found right.
    pub(crate) fn answer(&self, request: &HttpRequest, say: &Say<'_>) -> HttpResponse {
        match self.api {
            Api::V2 => answer_v2(request, say),
            Api::V3 => {
                let opened = v3::open(request.clone()).unwrap();
                opened.verify(&self.merchant_key.public(), SERIAL, now()).unwrap();
                self.answer_v3(say)
            }
        }
    }

    fn answer_v3(&self, say: &Say<'_>) -> HttpResponse {
        let replier = &self.replier();
        match say {
            Say::Ordered(prepaid) => v3::Order::encode_reply(prepaid, replier),
            Say::Trade(trade) => v3::OrderQuery::encode_reply(trade, &self.merchant, replier),
            Say::PaidByCode(trade) => v3::CodePayment::encode_reply(trade, &self.merchant, replier),
            Say::Closed => v3::CloseOrder::encode_reply(replier),
            Say::Reversed(_) => {
                let reverse = v3::ReverseOrder { out_trade_no: NUMBER.to_owned() };
                reverse.encode_reply(&self.merchant, replier)
            }
            Say::Refunded(refund) => v3::RefundOrder::encode_reply(refund, replier),
            Say::RefundQueried(refund) => v3::RefundQuery::encode_reply(refund, replier),
            Say::No(status, code, words) => v3::Refusal::new(*status, code, words).encode("R1"),
        }
    }
}

fn answer_v2(request: &HttpRequest, say: &Say<'_>) -> HttpResponse {
    let key = Secret::new(V2_KEY.to_owned());
    let opened = v2::open(request).unwrap();
    assert!(opened.verify(&key).holds);
    let replier = opened.replier(&key, "fedcba9876543210");
    match say {
        Say::Ordered(prepaid) => {
            v2::UnifiedOrder::decode(&opened).unwrap().encode_reply(prepaid, &replier)
        }
        Say::Trade(trade) => v2::OrderQuery::encode_reply(trade, &replier),
        Say::PaidByCode(trade) => match &trade.paid {
            Some(paid) => v2::Micropay::encode_reply(trade, paid, &replier),
            None => replier.refuse(&v2::Refusal::business("USERPAYING", "需要用户输入支付密码")),
        },
        Say::Closed => v2::CloseOrder::encode_reply(&opened, &replier),
        Say::Reversed(recall) => v2::ReverseOrder::encode_reply(*recall, &replier),
        Say::Refunded(refund) => v2::RefundOrder::encode_reply(refund, &replier),
        Say::RefundQueried(refund) => {
            let query = v2::RefundQuery::decode(&opened).unwrap();
            query.encode_reply(std::slice::from_ref(*refund), &replier).unwrap()
        }
        Say::No(_, code, words) => replier.refuse(&v2::Refusal::business(code, words)),
    }
}

pub(crate) fn payer() -> Payer {
    Payer { openid: Some(OPENID.to_owned()), ..Payer::default() }
}

pub(crate) fn trade(state: TradeState) -> Trade {
    let paid = state.is_paid().then(|| Paid {
        transaction_id: TRADE_NO.to_owned(),
        total: TOTAL,
        payer_total: Some(TOTAL),
        currency: "CNY".to_owned(),
        openid: Some(OPENID.to_owned()),
        trade_type: Some("NATIVE".to_owned()),
        bank_type: Some("OTHERS".to_owned()),
        success_time: Some(paid_at()),
    });
    let state_desc = state.description().to_owned();
    let (out_trade_no, attach) = (number().to_string(), String::new());
    Trade { out_trade_no, state, state_desc, attach, paid }
}

pub(crate) fn refund(state: RefundState) -> Refund {
    let success_time = (state == RefundState::Success).then(paid_at);
    Refund {
        out_trade_no: NUMBER.to_owned(),
        transaction_id: TRADE_NO.to_owned(),
        out_refund_no: REFUND_NUMBER.to_owned(),
        refund_id: "50000000382019052709732678859".to_owned(),
        refund_fen: PART,
        total_fen: TOTAL,
        state,
        success_time,
        created_time: Some(paid_at()),
        user_received_account: Some("支付用户零钱".to_owned()),
        channel: Some("ORIGINAL".to_owned()),
    }
}
