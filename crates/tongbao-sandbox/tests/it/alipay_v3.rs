//! The v3 protocol, driven with the merchants' half: every operation that has a path, in both modes
//! and encrypted.

use crate::alipay::{merchant, merchant_with_certificates, order};
use crate::stand::{Listener, Stand};
use serde_json::{Value, json};
use tongbao_alipay::open::bill_download_url::{BillDate, BillDownloadUrl, BillType};
use tongbao_alipay::open::cancel::{Cancel, CancelAction};
use tongbao_alipay::open::close::Close;
use tongbao_alipay::open::create::{Buyer, Create, JSAPI_PAY};
use tongbao_alipay::open::pay::{AuthCode, Pay, PayProgress, Scene};
use tongbao_alipay::open::precreate::{FACE_TO_FACE_PAYMENT, Precreate};
use tongbao_alipay::open::query::Query;
use tongbao_alipay::open::refund::Refund;
use tongbao_alipay::open::refund_query::{RefundQuery, RefundQueryReply};
use tongbao_alipay::open::{Order, TradeRef, notify};
use tongbao_alipay::v3::CallContext;
use tongbao_alipay::{Answer, ContentKey, Credentials, GatewayError, ReplyError, TradeStatus};
use tongbao_types::{Amount, Fen, HttpResponse, Method, OutTradeNo};

struct Shop<'a> {
    stand: &'a Stand,
    merchant: Credentials,
}

fn by(number: &str) -> TradeRef {
    TradeRef::Out(OutTradeNo::new(number).unwrap())
}

fn done<T>(answer: Result<Answer<T>, ReplyError>) -> T {
    match answer.unwrap() {
        Answer::Done(reply) => reply,
        Answer::Refused(error) => panic!("{error}"),
    }
}

fn refused<T>(answer: Result<Answer<T>, ReplyError>) -> GatewayError {
    match answer.unwrap() {
        Answer::Done(_) => panic!("it was done"),
        Answer::Refused(error) => error,
    }
}

impl Shop<'_> {
    fn call(&self) -> CallContext {
        CallContext::at(self.stand.now(), format!("{:032x}", rand::random::<u128>()))
    }

    async fn precreate(&self, number: &str, notify_url: &str) -> String {
        let asked = Precreate { order: order(number, FACE_TO_FACE_PAYMENT) };
        let context = CallContext { notify_url: Some(notify_url.to_owned()), ..self.call() };
        let response = self.stand.send(&asked.encode_v3(&self.merchant, &context)).await;
        done(asked.decode_v3(&self.merchant, &response, self.stand.now())).qr_code
    }

    async fn query(&self, number: &str) -> Result<Answer<TradeStatus>, ReplyError> {
        let asked = Query { trade: by(number) };
        let response = self.stand.send(&asked.encode_v3(&self.merchant, &self.call())).await;
        let answer = asked.decode_v3(&self.merchant, &response, self.stand.now())?;
        Ok(match answer {
            Answer::Done(reply) => Answer::Done(reply.trade_status),
            Answer::Refused(error) => Answer::Refused(error),
        })
    }
}

async fn main_job(shop: &Shop<'_>) {
    let (stand, merchant) = (shop.stand, &shop.merchant);
    let mut listener = Listener::start(200, "success").await;
    let qr = shop.precreate("T1", &listener.url).await;
    let unknown = refused(shop.query("T1").await);
    assert_eq!((unknown.sub_code.as_str(), unknown.signed), ("ACQ.TRADE_NOT_EXIST", true));
    stand.pay(&qr).await;
    assert_eq!(done(shop.query("T1").await), TradeStatus::TradeSuccess);
    let notice = notify::verify(merchant, &listener.next().await).unwrap();
    assert_eq!(notice.trade_status, TradeStatus::TradeSuccess);

    let asked = Refund {
        trade: by("T1"),
        refund_amount: Amount::new(Fen(3000)).unwrap(),
        out_request_no: Some("R1".to_owned()),
        refund_reason: None,
        with_detail: false,
    };
    let response = stand.send(&asked.encode_v3(merchant, &shop.call())).await;
    assert_eq!(done(asked.decode_v3(merchant, &response, stand.now())).refund_fee, Fen(3000));
    let asked =
        RefundQuery { trade: by("T1"), out_request_no: "R1".to_owned(), with_detail: false };
    let response = stand.send(&asked.encode_v3(merchant, &shop.call())).await;
    let found = done(asked.decode_v3(merchant, &response, stand.now()));
    assert!(matches!(found, RefundQueryReply::Found(_)) && found.is_refunded());
    let asked = Close { trade: by("T1") };
    let response = stand.send(&asked.encode_v3(merchant, &shop.call())).await;
    assert_eq!(response.status, 400);
    let error = refused(asked.decode_v3(merchant, &response, stand.now()));
    assert!(error.is("TRADE_STATUS_ERROR"), "{error}");
}

#[tokio::test]
async fn an_order_is_paid_notified_and_refunded_with_keys() {
    let stand = Stand::start().await;
    main_job(&Shop { stand: &stand, merchant: merchant(&stand) }).await;
    let log = stand.list("requests").await;
    assert_eq!(log[0]["operation"], json!("alipay.trade.precreate"));
    assert_eq!(log[0]["signature"]["result"], json!("good"));
}

#[tokio::test]
async fn an_order_is_paid_notified_and_refunded_with_certificates() {
    let stand = Stand::start().await;
    main_job(&Shop { stand: &stand, merchant: merchant_with_certificates(&stand) }).await;
}

#[tokio::test]
async fn an_order_is_paid_notified_and_refunded_with_encrypted_content() {
    let stand = Stand::start().await;
    let key = ContentKey::read(&stand.keys.alipay.aes_key).unwrap();
    main_job(&Shop { stand: &stand, merchant: merchant(&stand).with_content_key(key) }).await;
}

#[tokio::test]
async fn the_other_operations_have_their_paths() {
    let stand = Stand::start().await;
    let shop = Shop { stand: &stand, merchant: merchant(&stand) };
    let (merchant, now) = (&shop.merchant, stand.now());
    let buyer = Buyer::UserId("2088000000000077".to_owned());
    let (op_app_id, op_buyer_open_id) = (None, None);
    let asked = Create { order: order("T1", JSAPI_PAY), buyer, op_app_id, op_buyer_open_id };
    let response = stand.send(&asked.encode_v3(merchant, &shop.call())).await;
    done(asked.decode_v3(merchant, &response, now));
    let asked = Cancel { trade: by("T1") };
    let response = stand.send(&asked.encode_v3(merchant, &shop.call())).await;
    let cancelled = done(asked.decode_v3(merchant, &response, now));
    assert_eq!(cancelled.action, Some(CancelAction::Close));

    for (number, fen, progress, status) in [
        ("T2", 1200, PayProgress::Deducted, 200),
        ("T3", 100_001, PayProgress::WaitingForPayer, 202),
    ] {
        let total_amount = Amount::new(Fen(fen)).unwrap();
        let order = Order { total_amount, ..order(number, FACE_TO_FACE_PAYMENT) };
        let auth_code = AuthCode::new(format!("28000000000000{fen:06}")).unwrap();
        let asked = Pay { order, auth_code, scene: Scene::BarCode };
        let response = stand.send(&asked.encode_v3(merchant, &shop.call())).await;
        assert_eq!(response.status, status);
        assert_eq!(done(asked.decode_v3(merchant, &response, now)).progress, progress);
    }
    let bill_date = BillDate::from_text("2020-02-29").unwrap();
    let asked = BillDownloadUrl { bill_type: BillType::Trade, bill_date };
    let response = stand.send(&asked.encode_v3(merchant, &shop.call())).await;
    let error = refused(asked.decode_v3(merchant, &response, now));
    assert!(error.is("NO_BILL_DATA"), "{error}");
}

fn code(response: &HttpResponse) -> String {
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert!(body["links"].is_array(), "{body}");
    body["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_gateways_own_refusals_are_not_signed() {
    let stand = Stand::start().await;
    let shop = Shop { stand: &stand, merchant: merchant(&stand) };
    let good = Query { trade: by("T1") }.encode_v3(&shop.merchant, &shop.call());
    let check = async |request: &tongbao_types::HttpRequest, status: u16, wanted: &str| {
        let response = stand.send(request).await;
        assert_eq!((response.status, code(&response).as_str()), (status, wanted));
        assert!(response.header("alipay-signature").is_none(), "{wanted}");
        assert!(response.header("alipay-trace-id").is_some());
    };
    let mut bare = good.clone();
    bare.headers.retain(|(name, _)| name != "authorization");
    check(&bare, 400, "missing-timestamp").await;
    let mut changed = good.clone();
    changed.body = good.body.iter().copied().chain(*b" ").collect::<Vec<u8>>().into();
    check(&changed, 400, "invalid-signature").await;
    let old = CallContext::at(stand.now() - "11m".parse().unwrap(), "n1");
    check(&Query { trade: by("T1") }.encode_v3(&shop.merchant, &old), 400, "invalid-timestamp")
        .await;
    let alipay = &stand.keys.alipay;
    let keys = (&alipay.app_private_key, &alipay.alipay_public_key);
    let other = Credentials::with_public_key("2021000000000009", keys.0, keys.1).unwrap();
    let asked = Query { trade: by("T1") }.encode_v3(&other, &shop.call());
    check(&asked, 400, "invalid-app-id").await;
    let lost =
        stand.send(&tongbao_types::HttpRequest { method: Method::Get, ..good.clone() }).await;
    assert_eq!(lost.status, 400, "another verb has another signature");
}

#[tokio::test]
async fn faults_reach_v3() {
    let stand = Stand::start().await;
    let shop = Shop { stand: &stand, merchant: merchant(&stand) };
    stand
        .fault(json!({"path": "alipay.trade.query", "error_code": "ACQ.SYSTEM_ERROR", "times": 1}))
        .await;
    let error = refused(shop.query("T1").await);
    assert!(error.is_unknown(), "{error}");
    stand.fault(json!({"path": "/v3/alipay/trade/query", "corrupt_signature": true})).await;
    assert_eq!(shop.query("T1").await.unwrap_err(), ReplyError::SignatureMismatch);
}
