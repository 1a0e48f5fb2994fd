//! API v3: both modes of verification, order, notification, query, close, refusals.

use crate::stand::{Listener, Stand};
use serde_json::{Value, json};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Secret, header};
use tongbao_wechat::v3::{
    self, CertificatesQuery, CloseOrder, News, Order, OrderQuery, Received, Stamp,
};
use tongbao_wechat::{
    Answer, Merchant, Notification, PlatformKeys, Prepaid, Trade, TradeKey, V3Credentials,
    WechatError,
};

const NONCE: &str = "593BEC0C930BF1AFEB40B4A08C8FB242";

/// A merchant and what it trusts by now.
pub(crate) struct Shop<'a> {
    pub(crate) stand: &'a Stand,
    pub(crate) merchant: V3Credentials,
    pub(crate) keys: PlatformKeys,
}

impl<'a> Shop<'a> {
    fn new(stand: &'a Stand, keys: PlatformKeys) -> Shop<'a> {
        let wechat = &stand.keys.wechat;
        Shop::of(stand, keys, Merchant::direct(&wechat.app_id, &wechat.mch_id))
    }

    pub(crate) fn of(stand: &'a Stand, keys: PlatformKeys, whose: Merchant) -> Shop<'a> {
        let wechat = &stand.keys.wechat;
        let private = Secret::new(wechat.merchant_private_key.clone());
        let v3_key = Secret::new(wechat.api_v3_key.clone());
        let merchant = V3Credentials::new(whose, &wechat.merchant_serial, &private, &v3_key);
        Shop { stand, merchant: merchant.unwrap().trusting(keys.clone()), keys }
    }

    /// A merchant with the platform certificate.
    pub(crate) fn by_certificate(stand: &'a Stand) -> Shop<'a> {
        let pem = &stand.keys.wechat.platform_certificate;
        Shop::new(stand, PlatformKeys::none().with_certificate(pem).unwrap())
    }

    /// A merchant with the WeChat Pay public key.
    pub(crate) fn by_public_key(stand: &'a Stand) -> Shop<'a> {
        let wechat = &stand.keys.wechat;
        let (id, pem) = (&wechat.platform_public_key_id, &wechat.platform_public_key);
        Shop::new(stand, PlatformKeys::none().with_public_key(id, pem).unwrap())
    }

    pub(crate) fn stamp(&self) -> Stamp<'static> {
        Stamp { now: self.stand.now(), nonce: NONCE }
    }

    pub(crate) fn received<'r>(&'r self, response: &'r HttpResponse) -> Received<'r> {
        Received { response, keys: &self.keys, now: self.stand.now() }
    }

    pub(crate) async fn place(&self, order: &Order) -> Result<String, WechatError> {
        let response = self.stand.send(&order.encode(&self.merchant, self.stamp())).await;
        match order.decode_reply(&self.received(&response)).unwrap() {
            Answer::Done(Prepaid::CodeUrl { code_url, .. }) => Ok(code_url),
            Answer::Done(other) => panic!("{other:?} instead of a code"),
            Answer::Refused(error) => Err(error),
        }
    }

    async fn query(&self, key: TradeKey) -> Result<Trade, WechatError> {
        let query = OrderQuery { key };
        let response = self.stand.send(&query.encode(&self.merchant, self.stamp())).await;
        match query.decode_reply(&self.merchant, &self.received(&response)).unwrap() {
            Answer::Done(trade) => Ok(trade),
            Answer::Refused(error) => Err(error),
        }
    }

    /// Verifies a notification, which must be of a payment.
    pub(crate) fn payment(&self, notice: &HttpRequest) -> Notification {
        match v3::receive(&self.merchant, &self.keys, notice, self.stand.now()).unwrap() {
            News::Payment(verified) => verified.into_value(),
            News::Refund(news) => panic!("{news:?} instead of a payment"),
        }
    }

    async fn close(&self, number: &str) -> Result<(), WechatError> {
        let close = CloseOrder { out_trade_no: number.to_owned() };
        let response = self.stand.send(&close.encode(&self.merchant, self.stamp())).await;
        match close.decode_reply(&self.received(&response)).unwrap() {
            Answer::Done(()) => Ok(()),
            Answer::Refused(error) => Err(error),
        }
    }
}

pub(crate) fn order(number: &str, notify_url: &str) -> Order {
    Order {
        description: "测试".to_owned(),
        out_trade_no: number.to_owned(),
        notify_url: notify_url.to_owned(),
        total: Fen(1200),
        attach: Some("more".to_owned()),
        ..Order::default()
    }
}

fn by(number: &str) -> TradeKey {
    TradeKey::OutTradeNo(number.to_owned())
}

async fn main_job(shop: Shop<'_>, signed_by: &str) {
    let mut listener = Listener::start(204, "").await;
    let number = "T20261121001";
    let code = shop.place(&order(number, &listener.url)).await.unwrap();
    assert_eq!(shop.query(by(number)).await.unwrap().state.as_str(), "NOTPAY");
    let played = shop.stand.pay(&code).await;
    let notice = listener.next().await;
    assert_eq!(notice.header("Wechatpay-Serial"), Some(signed_by));
    let trade = shop.payment(&notice).trade;
    let paid = trade.paid.as_ref().unwrap();
    assert_eq!((paid.total, trade.attach.as_str()), (Fen(1200), "more"));
    assert_eq!(json!(paid.transaction_id), played["trade_no"]);
    assert_eq!(shop.stand.tried(1).await["delivered"], json!(true));
    let by_theirs = TradeKey::TransactionId(paid.transaction_id.clone());
    assert_eq!(&shop.query(by_theirs).await.unwrap(), &trade);
    assert_eq!(&shop.query(by(number)).await.unwrap(), &trade);
}

#[tokio::test]
async fn an_order_is_paid_and_notified_with_the_platform_certificate() {
    let stand = Stand::start().await;
    let serial = stand.keys.wechat.platform_serial.clone();
    main_job(Shop::by_certificate(&stand), &serial).await;
}

#[tokio::test]
async fn an_order_is_paid_and_notified_with_the_public_key() {
    let stand = Stand::start().await;
    let id = stand.keys.wechat.platform_public_key_id.clone();
    main_job(Shop::by_public_key(&stand), &id).await;
}

#[tokio::test]
async fn certificates_bring_the_key_that_signs_unless_there_is_only_the_public_key() {
    let stand = Stand::start().await;
    let shop = Shop::new(&stand, PlatformKeys::none());
    let fetch = async |shop: &Shop<'_>| {
        let response = stand.send(&CertificatesQuery.encode(&shop.merchant, shop.stamp())).await;
        CertificatesQuery.decode_reply(&shop.merchant, &shop.received(&response)).unwrap()
    };
    let Answer::Done(keys) = fetch(&shop).await else { panic!("no certificates came") };
    assert!(keys.find(&stand.keys.wechat.platform_serial).is_some());
    stand.control("rules", json!({"wechat_keys": "public_key"})).await;
    let Answer::Refused(error) = fetch(&shop).await else { panic!("certificates came") };
    assert_eq!(error.code, "RESOURCE_NOT_EXISTS");
    let shop = Shop::by_public_key(&stand);
    assert!(shop.place(&order("T20261121001", "http://127.0.0.1:9/n")).await.is_ok());
}

#[tokio::test]
async fn before_the_move_answers_use_the_certificate_whatever_is_named() {
    let stand = Stand::start().await;
    stand.control("rules", json!({"wechat_keys": "certificate"})).await;
    let shop = Shop::by_public_key(&stand);
    let request =
        order("T20261121001", "http://127.0.0.1:9/n").encode(&shop.merchant, shop.stamp());
    let response = stand.send(&request).await;
    let serial = header(&response.headers, "Wechatpay-Serial");
    assert_eq!(serial, Some(stand.keys.wechat.platform_serial.as_str()));
}

#[tokio::test]
async fn query_and_close_answer_by_the_state_of_the_order() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    for number in ["Tpaid1", "Topen1", "Tclosed1"] {
        shop.place(&order(number, "http://127.0.0.1:9/n")).await.unwrap();
    }
    shop.close("Tclosed1").await.unwrap();
    stand.control("pay", json!({"provider": "wechat", "out_trade_no": "Tpaid1"})).await;

    for (number, wanted) in [("Tpaid1", "SUCCESS"), ("Topen1", "NOTPAY"), ("Tclosed1", "CLOSED")] {
        assert_eq!(shop.query(by(number)).await.unwrap().state.as_str(), wanted, "{number}");
    }
    assert!(shop.query(by("Tunknown1")).await.unwrap_err().is_not_found());
    assert!(shop.close("Tpaid1").await.unwrap_err().is_paid());
    assert_eq!(shop.close("Tclosed1").await, Ok(()));
    assert_eq!(shop.close("Topen1").await, Ok(()));
    assert!(shop.close("Tunknown1").await.unwrap_err().is_not_found());
    stand.control("rules", json!({"wechat_v3_close_unknown": "done"})).await;
    assert_eq!(shop.close("Tunknown1").await, Ok(()));
}

#[tokio::test]
async fn ordering_again_with_other_parameters_is_refused() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let first = order("T20261121001", "http://127.0.0.1:9/n");
    shop.place(&first).await.unwrap();
    shop.place(&first).await.unwrap();
    let other = Order { total: Fen(1201), ..first.clone() };
    assert!(shop.place(&other).await.unwrap_err().is_number_used());
    stand.control("pay", json!({"provider": "wechat", "out_trade_no": "T20261121001"})).await;
    assert!(shop.place(&first).await.unwrap_err().is_paid());
}

#[tokio::test]
async fn v2_and_v3_see_the_same_order() {
    use tongbao_wechat::{SignType, v2};
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    shop.place(&order("T20261121001", "http://127.0.0.1:9/n")).await.unwrap();
    let merchant = crate::wechat_v2::merchant(&stand, SignType::Md5);
    let query = v2::OrderQuery::by_out_trade_no("T20261121001");
    let response = stand.send(&query.encode(&merchant, NONCE)).await;
    assert!(matches!(query.decode_reply(&merchant, &response), Ok(Answer::Done(_))));
}

async fn refused(stand: &Stand, request: &HttpRequest, status: u16, code: &str) -> Value {
    let response = stand.send(request).await;
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, &body["code"]), (status, &json!(code)), "{body}");
    body
}

#[tokio::test]
async fn wrong_requests_are_refused_in_the_providers_words() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let good = order("T20261121001", "http://127.0.0.1:9/n").encode(&shop.merchant, shop.stamp());

    let mut changed = good.clone();
    changed.body = String::from_utf8_lossy(&good.body).replace("1200", "1201").into_bytes().into();
    let body = refused(&stand, &changed, 401, "SIGN_ERROR").await;
    assert_eq!(body["detail"]["detail"]["issue"], json!("sign not match"));
    let mut bare = good.clone();
    bare.headers.retain(|(name, _)| name != "Authorization");
    refused(&stand, &bare, 401, "SIGN_ERROR").await;
    let old = Stamp { now: stand.now() - "6m".parse().unwrap(), nonce: NONCE };
    let old = order("T20261121001", "http://127.0.0.1:9/n").encode(&shop.merchant, old);
    refused(&stand, &old, 401, "SIGN_ERROR").await;
    let zero = Order { total: Fen(0), ..order("T20261121001", "http://127.0.0.1:9/n") };
    refused(&stand, &zero.encode(&shop.merchant, shop.stamp()), 400, "PARAM_ERROR").await;

    let verdicts: Vec<Value> = stand.list("requests").await;
    let verdicts: Vec<_> = verdicts.iter().map(|one| one["signature"]["result"].clone()).collect();
    assert_eq!(verdicts, ["bad", "missing", "bad", "good"]);
    assert_eq!(stand.list("trades").await.len(), 0);
}

#[tokio::test]
async fn serial_numbers_are_compared_in_any_case_and_time_stamps_stay_real() {
    let stand = Stand::start().await;
    stand.advance("30d").await;
    let shop = Shop::by_certificate(&stand);
    let mut request =
        order("T20261121001", "http://127.0.0.1:9/n").encode(&shop.merchant, shop.stamp());
    let serial = &stand.keys.wechat.merchant_serial;
    for (name, value) in &mut request.headers {
        if name == "Authorization" {
            *value = value.replace(serial, &serial.to_lowercase());
        }
    }
    let response = stand.send(&request).await;
    assert_eq!(response.status, 200);
    let stamp: i64 = header(&response.headers, "Wechatpay-Timestamp").unwrap().parse().unwrap();
    assert!((stamp - stand.now().as_seconds()).abs() < 60);
}

#[tokio::test]
async fn strange_merchants_and_apps_are_refused() {
    let stand = Stand::start().await;
    let wechat = &stand.keys.wechat;
    let keys = || Shop::by_certificate(&stand).keys;
    let order = order("T20261121001", "http://127.0.0.1:9/n");
    let stranger = Shop::of(&stand, keys(), Merchant::direct(&wechat.app_id, "1900000109"));
    assert_eq!(stranger.place(&order).await.unwrap_err().code, "SIGN_ERROR");
    let other_app = Merchant::direct("wx0000000000000000", &wechat.mch_id);
    let other_app = Shop::of(&stand, keys(), other_app);
    assert_eq!(other_app.place(&order).await.unwrap_err().code, "APPID_MCHID_NOT_MATCH");
    assert!(stand.list("trades").await.is_empty());
}
