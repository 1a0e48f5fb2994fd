//! WeChat Pay API v3, the provider's half, signing with a platform certificate or with the WeChat
//! Pay public key.

use super::kind::MERCHANT_SERIAL;
use super::wechat_v2::{say, told};
use super::{
    API_V3_KEY, Moment, No, Op, PUBLIC_KEY_ID, PlaceRefusal, Protocol, Said, Trade, TradeStatus,
    Trades, WECHAT_APP_ID, WECHAT_MCH_ID,
};
use crate::keys;
use tongbao_crypt::{Certificate, RsaPrivateKey};
use tongbao_types::{HttpRequest, HttpResponse, Secret, Timestamp};
use tongbao_wechat::v3::{
    CERTIFICATES_PATH, CertificatesQuery, CloseOrder, Notice, Opened, Order, OrderQuery, Refusal,
    Replier, SealedCertificate, encode_notice, is_accepted, open,
};
use tongbao_wechat::{Merchant, Prepaid, TradeKey};

pub(super) struct V3 {
    pub(super) by_public_key: bool,
}

fn api_v3_key() -> Secret<[u8; 32]> {
    Secret::new(API_V3_KEY.as_bytes().try_into().unwrap())
}

impl V3 {
    fn opened(request: &HttpRequest, at: Moment) -> Opened {
        let opened = open(request.clone()).unwrap();
        let checked = opened.verify(&keys::MERCHANT.public(), MERCHANT_SERIAL, at.wall);
        assert!(checked.is_ok(), "the call is not signed well: {checked:?}");
        assert_eq!(opened.authorization.mchid, WECHAT_MCH_ID);
        opened
    }

    /// Signs with this mode's key; `serial` is what the message names.
    fn sign<T>(&self, wall: Timestamp, with: impl FnOnce(&Replier<'_>) -> T) -> T {
        if self.by_public_key {
            return replier(&keys::PUBLIC_KEY, PUBLIC_KEY_ID, wall, with);
        }
        let serial = Certificate::from_pem(&keys::PLATFORM_PEM).unwrap().serial_hex();
        replier(&keys::PLATFORM, &serial, wall, with)
    }

    fn answer(trades: &mut Trades, opened: &Opened, at: Moment, by: &Replier<'_>) -> HttpResponse {
        let no = |status, code: &str| Refusal::new(status, code, "no").encode("08-0");
        let path = opened.request.path();
        if path == CERTIFICATES_PATH {
            CertificatesQuery::decode(opened).unwrap();
            let platform = Certificate::from_pem(&keys::PLATFORM_PEM).unwrap();
            let sealed = SealedCertificate::seal(&platform, &api_v3_key(), [7; 6]);
            return CertificatesQuery::encode_reply(vec![sealed], by);
        }
        if path.ends_with("/close") {
            return match trades.close(&CloseOrder::decode(opened).unwrap().out_trade_no) {
                Some(TradeStatus::Paid) => no(400, "ORDERPAID"),
                Some(_) => CloseOrder::encode_reply(by),
                None => no(404, "ORDER_NOT_EXIST"),
            };
        }
        if path.contains("/out-trade-no/") {
            let TradeKey::OutTradeNo(number) = OrderQuery::decode(opened).unwrap().key else {
                panic!("the engine asks by its own numbers");
            };
            let merchant = Merchant::direct(WECHAT_APP_ID, WECHAT_MCH_ID);
            return match trades.find(&number) {
                Some(trade) => OrderQuery::encode_reply(&told(trade), &merchant, by),
                None => no(404, "ORDER_NOT_EXIST"),
            };
        }
        let (order, _) = Order::decode(opened).unwrap();
        match trades.place(asked(&order), at.now) {
            Ok(code_url) => {
                let prepaid = Prepaid::CodeUrl { code_url, prepay_id: None };
                Order::encode_reply(&prepaid, by)
            }
            Err(PlaceRefusal::Paid) => no(400, "ORDERPAID"),
            Err(PlaceRefusal::Closed) => no(400, "ORDER_CLOSED"),
            Err(PlaceRefusal::Differs) => no(403, "OUT_TRADE_NO_USED"),
            Err(PlaceRefusal::TooLate) => no(400, "PARAM_ERROR"),
        }
    }
}

fn replier<T>(
    key: &RsaPrivateKey,
    serial: &str,
    wall: Timestamp,
    with: impl FnOnce(&Replier<'_>) -> T,
) -> T {
    let nonce = "593BEC0C930BF1AFEB40B4A08C8FB242";
    with(&Replier { key, serial, now: wall, nonce, request_id: "08-0" })
}

impl Protocol for V3 {
    fn read(&self, request: &HttpRequest, at: Moment) -> (Op, String) {
        let opened = Self::opened(request, at);
        let path = request.path();
        if path == CERTIFICATES_PATH {
            return (Op::Keys, String::new());
        }
        if path.ends_with("/close") {
            return (Op::Close, CloseOrder::decode(&opened).unwrap().out_trade_no);
        }
        if let Some((_, number)) = path.split_once("/out-trade-no/") {
            return (Op::Query, number.to_owned());
        }
        (Op::Place, Order::decode(&opened).unwrap().0.out_trade_no)
    }

    fn perform(&self, trades: &mut Trades, request: &HttpRequest, at: Moment) -> HttpResponse {
        let opened = Self::opened(request, at);
        self.sign(at.wall, |by| Self::answer(trades, &opened, at, by))
    }

    fn refuse(&self, _request: &HttpRequest, no: No) -> HttpResponse {
        match no {
            No::Permission => Refusal::new(403, "NO_AUTH", "商户无权限").encode("08-0"),
            No::TooYoung => {
                let message = "订单创建后5分钟内不能关单";
                Refusal::new(400, "TRADE_STATE_ERROR", message).encode("08-0")
            }
            No::Busy => Refusal::new(500, "SYSTEM_ERROR", "系统异常，请稍后重试").encode("08-0"),
        }
    }

    fn corrupt(&self, mut response: HttpResponse) -> HttpResponse {
        let forged = keys::STRANGER.sign_sha256(b"anything");
        for (name, value) in &mut response.headers {
            if name == "Wechatpay-Signature" {
                value.clone_from(&forged);
            }
        }
        response
    }

    fn notice(&self, trade: &Trade, said: &Said, at: Moment) -> HttpRequest {
        let app_id = said.app_id.unwrap_or(WECHAT_APP_ID);
        let merchant = Merchant::direct(app_id, said.merchant.unwrap_or(WECHAT_MCH_ID));
        let mut trade = told(trade);
        say(&mut trade, said);
        let api_v3_key = api_v3_key();
        let notice = Notice {
            id: "EV-2018022511223320873",
            created_at: at.wall,
            merchant: &merchant,
            trade: &trade,
            api_v3_key: &api_v3_key,
            nonce: [9; 6],
        };
        let signed_at = Timestamp::from_seconds(at.wall.as_seconds() - said.age);
        let mut request = self.sign(signed_at, |by| {
            let key = if said.forged { &*keys::STRANGER } else { by.key };
            encode_notice(&notice, "/notify/wechat/any", &Replier { key, ..*by })
        });
        if said.downgraded {
            for (name, value) in &mut request.headers {
                if name == "Wechatpay-Signature-Type" {
                    *value = "WECHATPAY2-SM2-WITH-SM3".to_owned();
                }
            }
        }
        request
    }

    fn is_accepted(&self, response: &HttpResponse) -> bool {
        is_accepted(response)
    }

    fn is_refused(&self, response: &HttpResponse) -> bool {
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        (400..600).contains(&response.status) && body["code"] == "FAIL"
    }
}

fn asked(order: &Order) -> Trade {
    Trade {
        number: order.out_trade_no.clone(),
        amount: order.total.0,
        content: format!("{order:?}"),
        code: format!("weixin://wxpay/bizpayurl?pr={}", order.out_trade_no),
        attach: order.attach.clone(),
        until: order.time_expire,
        status: TradeStatus::Open,
        is_known: true,
        trade_no: format!("42{}", order.out_trade_no),
        paid_at: None,
    }
}
