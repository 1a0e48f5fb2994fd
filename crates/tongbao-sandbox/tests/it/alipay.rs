//! OpenAPI 2.0: precreate, page.pay, query, close, cancel, certificates.

use crate::stand::{Listener, Stand};
use serde_json::{Value, json};
use tongbao_alipay::open::cancel::{Cancel, CancelAction, CancelReply};
use tongbao_alipay::open::cert_download::CertDownload;
use tongbao_alipay::open::close::Close;
use tongbao_alipay::open::page::{PRODUCT_CODE, PagePay};
use tongbao_alipay::open::precreate::{FACE_TO_FACE_PAYMENT, Precreate};
use tongbao_alipay::open::query::{Query, QueryReply};
use tongbao_alipay::open::{CallContext, Expiry, Order, TradeRef, notify, return_url};
use tongbao_alipay::{
    Answer, CertificateFiles, Charset, ContentKey, Credentials, GatewayError, TradeStatus,
};
use tongbao_types::{Amount, Fen, HttpRequest, Method, OutTradeNo};

pub(crate) fn merchant(stand: &Stand) -> Credentials {
    let alipay = &stand.keys.alipay;
    let keys = (&alipay.app_private_key, &alipay.alipay_public_key);
    let made = Credentials::with_public_key(&alipay.app_id, keys.0, keys.1).unwrap();
    made.with_seller_id(&alipay.seller_id).unwrap()
}

pub(crate) fn merchant_with_certificates(stand: &Stand) -> Credentials {
    let alipay = &stand.keys.alipay;
    let files = CertificateFiles {
        app: &alipay.app_cert,
        alipay: &alipay.alipay_cert,
        root: &alipay.alipay_root_cert,
    };
    Credentials::with_certificates(&alipay.app_id, &alipay.app_private_key, files).unwrap()
}

pub(crate) fn order(number: &str, product_code: &str) -> Order {
    Order {
        out_trade_no: OutTradeNo::new(number).unwrap(),
        total_amount: Amount::new(Fen(8888)).unwrap(),
        subject: "测试 a+b%26&c".to_owned(),
        product_code: product_code.to_owned(),
        body: None,
        expiry: None,
        passback_params: Some("back%3D1".to_owned()),
        seller_id: None,
    }
}

pub(crate) fn call(stand: &Stand, notify_url: Option<&str>) -> CallContext {
    CallContext { notify_url: notify_url.map(str::to_owned), ..CallContext::at(stand.now()) }
}

pub(crate) async fn precreate(
    stand: &Stand,
    merchant: &Credentials,
    number: &str,
    notify_url: Option<&str>,
) -> Result<String, GatewayError> {
    let asked = Precreate { order: order(number, FACE_TO_FACE_PAYMENT) };
    let response = stand.send(&asked.encode(merchant, &call(stand, notify_url))).await;
    assert!(response.header("trace_id").is_some());
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(reply) => Ok(reply.qr_code),
        Answer::Refused(error) => Err(error),
    }
}

fn by(number: &str) -> TradeRef {
    TradeRef::Out(OutTradeNo::new(number).unwrap())
}

async fn query(stand: &Stand, merchant: &Credentials, number: &str) -> Result<QueryReply, String> {
    let asked = Query { trade: by(number) };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(reply) => Ok(reply),
        Answer::Refused(error) => Err(error.sub_code),
    }
}

async fn status(stand: &Stand, merchant: &Credentials, number: &str) -> String {
    match query(stand, merchant, number).await {
        Ok(reply) => reply.trade_status.to_string(),
        Err(code) => code,
    }
}

async fn close(stand: &Stand, merchant: &Credentials, number: &str) -> Result<(), String> {
    let asked = Close { trade: by(number) };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(_) => Ok(()),
        Answer::Refused(error) => Err(error.sub_code),
    }
}

async fn cancel(stand: &Stand, merchant: &Credentials, number: &str) -> CancelReply {
    let asked = Cancel { trade: by(number) };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(reply) => reply,
        Answer::Refused(error) => panic!("{error}"),
    }
}

async fn main_job(stand: &Stand, merchant: &Credentials) {
    let mut listener = Listener::start(200, "success").await;
    let qr = precreate(stand, merchant, "T1", Some(&listener.url)).await.unwrap();
    assert!(qr.starts_with("https://qr.alipay.com/bax"), "{qr}");
    assert_eq!(status(stand, merchant, "T1").await, "ACQ.TRADE_NOT_EXIST");
    let (code, scanned) = stand.control("pay", json!({"code": qr, "outcome": "scanned"})).await;
    assert_eq!((code, &scanned["state"]), (200, &json!("WAIT_BUYER_PAY")));
    assert_eq!(status(stand, merchant, "T1").await, "WAIT_BUYER_PAY");
    let played = stand.pay(&qr).await;
    assert_eq!(played["trade_no"], scanned["trade_no"]);

    let notice = listener.next().await;
    let verified = notify::verify(merchant, &notice).unwrap().into_inner();
    assert_eq!(verified.trade_status, TradeStatus::TradeSuccess);
    assert_eq!(verified.total_amount, Fen(8888));
    assert_eq!(verified.subject.as_deref(), Some("测试 a+b%26&c"));
    assert_eq!(verified.passback_params.as_deref(), Some("back%3D1"));
    assert_eq!(stand.tried(1).await["delivered"], json!(true));
    let reply = query(stand, merchant, "T1").await.unwrap();
    assert_eq!(json!(reply.trade_no.as_str()), played["trade_no"]);
    assert!(reply.send_pay_date.is_some());
}

#[tokio::test]
async fn a_code_is_paid_and_notified_with_keys() {
    let stand = Stand::start().await;
    main_job(&stand, &merchant(&stand)).await;
}

#[tokio::test]
async fn a_code_is_paid_and_notified_with_certificates() {
    let stand = Stand::start().await;
    let merchant = merchant_with_certificates(&stand);
    main_job(&stand, &merchant).await;
    let log = stand.list("requests").await;
    let body = log[0]["answer"]["body"].as_str().unwrap();
    assert!(body.contains(",\"alipay_cert_sn\":\""), "{body}");
}

#[tokio::test]
async fn a_code_is_paid_and_notified_with_encrypted_content() {
    let stand = Stand::start().await;
    let key = ContentKey::read(&stand.keys.alipay.aes_key).unwrap();
    main_job(&stand, &merchant(&stand).with_content_key(key)).await;
}

#[tokio::test]
async fn query_and_close_answer_as_production_did_in_each_state() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    for number in ["Tfresh", "Twait", "Tpaid", "Tclosed"] {
        let qr = precreate(&stand, &merchant, number, None).await.unwrap();
        if number != "Tfresh" {
            stand.control("pay", json!({"code": qr, "outcome": "scanned"})).await;
        }
    }
    stand.control("pay", json!({"provider": "alipay", "out_trade_no": "Tpaid"})).await;
    assert_eq!(close(&stand, &merchant, "Tclosed").await, Ok(()));

    let none = "ACQ.TRADE_NOT_EXIST";
    for (number, wanted) in [
        ("Tpaid", "TRADE_SUCCESS"),
        ("Twait", "WAIT_BUYER_PAY"),
        ("Tclosed", "TRADE_CLOSED"),
        ("Tfresh", none),
        ("Tunknown", none),
    ] {
        assert_eq!(status(&stand, &merchant, number).await, wanted, "query {number}");
    }
    for number in ["Twait", "Tclosed"] {
        let reply = query(&stand, &merchant, number).await.unwrap();
        assert_eq!(reply.send_pay_date, None);
        assert!(reply.buyer_user_id.is_some() && reply.buyer_logon_id.is_some());
    }
    let wrong = Err("ACQ.TRADE_STATUS_ERROR".to_owned());
    let none = Err(none.to_owned());
    for (number, wanted) in [
        ("Tpaid", wrong.clone()),
        ("Tclosed", wrong),
        ("Tfresh", none.clone()),
        ("Tunknown", none),
        ("Twait", Ok(())),
    ] {
        assert_eq!(close(&stand, &merchant, number).await, wanted, "close {number}");
    }
}

/// Names of the members of a reply's object, as they stand.
async fn members(stand: &Stand, request: &HttpRequest, root: &str) -> Vec<String> {
    let response = stand.send(request).await;
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    let start = text.find(&format!("\"{root}\":{{")).unwrap() + root.len() + 4;
    let object = &text[start..start + text[start..].find('}').unwrap()];
    let parts = object.split(',').map(|part| part.split(':').next().unwrap());
    parts.map(|name| name.trim_matches('"').to_owned()).collect()
}

#[tokio::test]
async fn refusals_have_the_members_that_were_captured() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let context = call(&stand, None);
    let asked = Query { trade: by("Tunknown") }.encode(&merchant, &context);
    let found = members(&stand, &asked, "alipay_trade_query_response").await;
    assert_eq!(
        found,
        [
            "code",
            "msg",
            "sub_code",
            "sub_msg",
            "buyer_pay_amount",
            "invoice_amount",
            "out_trade_no",
            "point_amount",
            "receipt_amount"
        ]
    );
    let asked = Close { trade: by("Tunknown") }.encode(&merchant, &context);
    let found = members(&stand, &asked, "alipay_trade_close_response").await;
    assert_eq!(found, ["code", "msg", "sub_code", "sub_msg"]);
    let qr = precreate(&stand, &merchant, "Tpaid", None).await.unwrap();
    stand.pay(&qr).await;
    let asked = Close { trade: by("Tpaid") }.encode(&merchant, &context);
    let found = members(&stand, &asked, "alipay_trade_close_response").await;
    assert_eq!(found, ["code", "msg", "sub_code", "sub_msg", "out_trade_no"]);
}

#[tokio::test]
async fn cancel_closes_refunds_or_finds_nothing() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let merchant = merchant(&stand);
    for number in ["Twait", "Tpaid"] {
        let qr = precreate(&stand, &merchant, number, Some(&listener.url)).await.unwrap();
        stand.control("pay", json!({"code": qr, "outcome": "scanned"})).await;
    }
    stand.control("pay", json!({"provider": "alipay", "out_trade_no": "Tpaid"})).await;
    listener.next().await;
    assert_eq!(cancel(&stand, &merchant, "Tunknown").await.action, None);
    assert_eq!(cancel(&stand, &merchant, "Twait").await.action, Some(CancelAction::Close));
    let closed = notify::verify(&merchant, &listener.next().await).unwrap();
    assert_eq!(closed.trade_status, TradeStatus::TradeClosed);
    assert!(closed.gmt_close.is_some() && !closed.is_about_refund());
    for _again in 0..2 {
        assert_eq!(cancel(&stand, &merchant, "Tpaid").await.action, Some(CancelAction::Refund));
    }
    let refunded = notify::verify(&merchant, &listener.next().await).unwrap();
    assert_eq!(refunded.refund_fee, Some(Fen(8888)));
    let reply = query(&stand, &merchant, "Tpaid").await.unwrap();
    assert_eq!(reply.trade_status, TradeStatus::TradeClosed);
    assert!(reply.send_pay_date.is_some());
}

#[tokio::test]
async fn ordering_again_continues_differs_or_is_refused() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let first = precreate(&stand, &merchant, "T1", None).await.unwrap();
    let second = precreate(&stand, &merchant, "T1", None).await.unwrap();
    assert_ne!(first, second);
    let mut other = Precreate { order: order("T1", FACE_TO_FACE_PAYMENT) };
    other.order.total_amount = Amount::new(Fen(8889)).unwrap();
    let response = stand.send(&other.encode(&merchant, &call(&stand, None))).await;
    let Answer::Refused(error) = other.decode(&merchant, &response).unwrap() else {
        panic!("another amount was taken")
    };
    assert!(error.is("CONTEXT_INCONSISTENT"), "{error}");
    stand.pay(&first).await;
    assert!(precreate(&stand, &merchant, "T1", None).await.unwrap_err().is("TRADE_HAS_SUCCESS"));
    stand.control("rules", json!({"alipay_precreate_once": true})).await;
    precreate(&stand, &merchant, "T2", None).await.unwrap();
    let error = precreate(&stand, &merchant, "T2", None).await.unwrap_err();
    assert!(error.is("APPLY_PC_MERCHANT_CODE_ERROR"), "{error}");
}

#[tokio::test]
async fn a_trade_that_nobody_pays_times_out_and_is_notified() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let merchant = merchant(&stand);
    let qr = precreate(&stand, &merchant, "T1", Some(&listener.url)).await.unwrap();
    stand.control("pay", json!({"code": qr, "outcome": "scanned"})).await;
    stand.advance("3h").await;
    let closed = notify::verify(&merchant, &listener.next().await).unwrap();
    assert_eq!(closed.trade_status, TradeStatus::TradeClosed);
    let (code, body) = stand.control("pay", json!({"code": qr})).await;
    assert_eq!((code, &body["code"]), (409, &json!("closed")));
}

#[tokio::test]
async fn a_page_is_paid_in_the_browser_which_then_goes_back() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let merchant = merchant(&stand);
    let context = CallContext {
        return_url: Some("http://127.0.0.1:9/back?x=1".to_owned()),
        ..call(&stand, Some(&listener.url))
    };
    let page = PagePay::new(order("T1", PRODUCT_CODE));
    let url = page.url(&merchant, &context, &format!("{}/gateway.do", stand.base));
    let response = stand.client.get(&url).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html;charset=utf-8");
    let html = response.text().await.unwrap();
    assert!(html.contains("¥88.88") && html.contains("测试 a+b%26&#38;c"), "{html}");
    assert_eq!(status(&stand, &merchant, "T1").await, "ACQ.TRADE_NOT_EXIST");

    let act = async |outcome: &str| {
        let form = format!("out_trade_no=T1&outcome={outcome}");
        let url = format!("{}/_sandbox/cashier", stand.base);
        let request = stand.client.post(url).body(form);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 303);
        response.headers()["location"].to_str().unwrap().to_owned()
    };
    assert!(act("scanned").await.starts_with("/_sandbox/cashier?"));
    assert_eq!(status(&stand, &merchant, "T1").await, "WAIT_BUYER_PAY");
    let back = act("success").await;
    let query = back.strip_prefix("http://127.0.0.1:9/back?x=1&").unwrap();
    let number = return_url::verify(&merchant, query).unwrap().into_inner();
    assert_eq!(number.as_str(), "T1");
    assert!(!query.contains("trade_status"));
    let notice = notify::verify(&merchant, &listener.next().await).unwrap();
    assert_eq!(notice.trade_status, TradeStatus::TradeSuccess);
}

#[tokio::test]
async fn the_address_of_a_page_is_a_code_and_so_is_its_form() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let gateway = format!("{}/gateway.do", stand.base);
    let context = CallContext { return_url: Some("http://x/".to_owned()), ..call(&stand, None) };
    let page = PagePay::new(order("T1", PRODUCT_CODE));
    let url = page.url(&merchant, &context, &gateway);
    let played = stand.pay(&url).await;
    assert_eq!(played["out_trade_no"], json!("T1"));
    assert!(played["return_url"].as_str().unwrap().starts_with("http://x/?"));
    let (code, body) = stand.control("pay", json!({"code": url})).await;
    assert_eq!((code, &body["code"]), (409, &json!("already_paid")));

    let form = PagePay::new(order("T2", PRODUCT_CODE)).form(&merchant, &context, &gateway);
    let fields: Vec<_> = form.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = stand.client.post(&form.action).body(body);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    assert!(request.send().await.unwrap().text().await.unwrap().contains("T2"));
    let (code, _) = stand.control("pay", json!({"provider": "alipay", "out_trade_no": "T2"})).await;
    assert_eq!(code, 200);
}

#[tokio::test]
async fn a_wrong_page_gets_the_error_page_in_gbk() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let gateway = format!("{}/gateway.do", stand.base);
    let url = PagePay::new(order("T1", PRODUCT_CODE)).url(&merchant, &call(&stand, None), &gateway);
    let response = stand.client.get(url.replace("88.88", "0.01")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html;charset=GBK");
    let bytes = response.bytes().await.unwrap();
    let text = Charset::Gbk.decode(&bytes).unwrap();
    assert!(text.contains("错误代码 invalid-signature"), "{text}");
    assert!(stand.list("trades").await.is_empty());
}

/// The code, the sub_code and whether the answer to these parameters is signed.
async fn answer(stand: &Stand, params: &[(&str, &str)]) -> (Value, Value, bool) {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let request = HttpRequest {
        method: Method::Get,
        target: format!("/gateway.do?{query}"),
        headers: Vec::new(),
        body: Vec::new().into(),
    };
    let response = stand.send(&request).await;
    assert_eq!(response.status, 200);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let object = body.as_object().unwrap();
    let (_, found) = object.iter().find(|(name, _)| name.ends_with("_response")).unwrap();
    (found["code"].clone(), found["sub_code"].clone(), object.contains_key("sign"))
}

#[tokio::test]
async fn the_gateway_checks_in_its_own_order() {
    let stand = Stand::start().await;
    let app = stand.keys.alipay.app_id.as_str();
    let method = ("method", "alipay.trade.query");
    let check = async |params: &[(&str, &str)], sub_code: &str, signed: bool| {
        let (_, found, sealed) = answer(&stand, params).await;
        assert_eq!((found, sealed), (json!(sub_code), signed), "{params:?}");
    };
    check(&[], "isv.missing-method", false).await;
    check(&[method], "isv.missing-app-id", false).await;
    let stranger = ("app_id", "2021000000009999");
    check(&[method, stranger], "isv.invalid-app-id", false).await;
    check(&[method, ("app_id", app)], "isv.missing-signature", true).await;
}

#[tokio::test]
async fn a_wrong_key_and_an_unknown_method_are_refused_signed() {
    let stand = Stand::start().await;
    let good = merchant(&stand);
    let alipay = &stand.keys.alipay;
    let stranger = tongbao_crypt::RsaPrivateKey::generate().to_pkcs8_pem().to_string();
    let wrong =
        Credentials::with_public_key(&alipay.app_id, &stranger, &alipay.alipay_public_key).unwrap();
    let error = precreate(&stand, &wrong, "T1", None).await.unwrap_err();
    assert!(error.is("invalid-signature") && error.signed, "{error}");
    assert!(error.sub_msg.contains("&amp;method=alipay.trade.precreate"), "{}", error.sub_msg);
    let log = stand.list("requests").await;
    assert_eq!(log[0]["signature"]["result"], json!("bad"));
    assert_eq!(log[0]["operation"], json!("alipay.trade.precreate"));

    let unsigned = tongbao_alipay::open::envelope::unsigned(
        &good,
        &call(&stand, None),
        "alipay.trade.telepathy",
        "{}",
    );
    let form = tongbao_alipay::open::envelope::signed(&good, unsigned).to_form();
    let params: Vec<_> = form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let params: Vec<_> = params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let (code, sub_code, signed) = answer(&stand, &params).await;
    assert_eq!((code, sub_code, signed), (json!("40002"), json!("isv.invalid-method"), true));
}

#[tokio::test]
async fn the_certificate_that_a_reply_names_can_be_downloaded() {
    let stand = Stand::start().await;
    let merchant = merchant_with_certificates(&stand);
    let wanted = tongbao_crypt::Certificate::from_pem(&stand.keys.alipay.alipay_cert).unwrap();
    let asked = CertDownload { alipay_cert_sn: wanted.alipay_sn() };
    let response = stand.send(&asked.encode(&merchant, &call(&stand, None))).await;
    let Answer::Done(found) = asked.decode(&merchant, &response, stand.now()).unwrap() else {
        panic!("no certificate came")
    };
    assert_eq!(found.alipay_sn(), wanted.alipay_sn());
}

#[tokio::test]
async fn orders_that_cannot_be_are_refused() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let check = async |order: Order, wanted: &str| {
        let asked = Precreate { order };
        let response = stand.send(&asked.encode(&merchant, &call(&stand, None))).await;
        match asked.decode(&merchant, &response).unwrap() {
            Answer::Refused(error) => assert!(error.is(wanted), "{error}"),
            Answer::Done(_) => panic!("{wanted} was taken"),
        }
    };
    let good = || order("T1", FACE_TO_FACE_PAYMENT);
    let seller_id = Some("2088000000000009".to_owned());
    check(Order { seller_id, ..good() }, "INVALID_RECEIVE_ACCOUNT").await;
    let past = Some(Expiry::At(stand.clock.now() - "1m".parse().unwrap()));
    check(Order { expiry: past, ..good() }, "NOW_TIME_AFTER_EXPIRE_TIME_ERROR").await;
    check(order("T1", PRODUCT_CODE), "INVALID_PARAMETER").await;
    assert!(stand.list("trades").await.is_empty());
    let number = "out_trade_no with a minus".replace(' ', "-");
    check(order(&number, FACE_TO_FACE_PAYMENT), "INVALID_PARAMETER").await;
}

#[tokio::test]
async fn an_absolute_time_limit_ends_code_and_trade() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let expiry = Some(Expiry::At(stand.clock.now() + "5m".parse().unwrap()));
    for (number, comes) in [("Twait", true), ("Tfresh", false)] {
        let order = Order { expiry, ..order(number, FACE_TO_FACE_PAYMENT) };
        let asked = Precreate { order };
        let response = stand.send(&asked.encode(&merchant, &call(&stand, None))).await;
        assert!(matches!(asked.decode(&merchant, &response), Ok(Answer::Done(_))));
        if comes {
            let scan = json!({"provider": "alipay", "out_trade_no": number, "outcome": "scanned"});
            assert_eq!(stand.control("pay", scan).await.0, 200);
        }
    }
    stand.advance("5m").await;
    stand.advance("1s").await;
    assert_eq!(status(&stand, &merchant, "Twait").await, "TRADE_CLOSED");
    assert_eq!(status(&stand, &merchant, "Tfresh").await, "ACQ.TRADE_NOT_EXIST");
    let pay = json!({"provider": "alipay", "out_trade_no": "Tfresh"});
    let (code, body) = stand.control("pay", pay).await;
    assert_eq!((code, &body["code"]), (409, &json!("expired")));
}
