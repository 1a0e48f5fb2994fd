//! OpenAPI 2.0: the other ways to order, content encryption, a change of Alipay's certificate and
//! the login.

use crate::alipay::{call, merchant, merchant_with_certificates, order, precreate};
use crate::stand::{Listener, Stand};
use serde_json::{Value, json};
use tongbao_alipay::open::app::AppPay;
use tongbao_alipay::open::cert_download::CertDownload;
use tongbao_alipay::open::create::{Buyer, Create, JSAPI_PAY};
use tongbao_alipay::open::page::{PRODUCT_CODE, PagePay};
use tongbao_alipay::open::pay::{
    AuthCode, FACE_TO_FACE_PAYMENT, Pay, PayProgress, PayReply, Scene,
};
use tongbao_alipay::open::query::Query;
use tongbao_alipay::open::wap::{self, WapPay};
use tongbao_alipay::open::{CallContext, Order, TradeRef, app, notify, return_url};
use tongbao_alipay::{Answer, ContentKey, Credentials, GatewayError, ReplyError, TradeStatus};
use tongbao_types::{Amount, Fen, OutTradeNo};

fn encrypting(stand: &Stand) -> Credentials {
    let key = ContentKey::read(&stand.keys.alipay.aes_key).unwrap();
    merchant(stand).with_content_key(key)
}

async fn status(stand: &Stand, merchant: &Credentials, number: &str) -> String {
    let trade = TradeRef::Out(OutTradeNo::new(number).unwrap());
    let asked = Query { trade };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(reply) => reply.trade_status.to_string(),
        Answer::Refused(error) => error.sub_code,
    }
}

#[tokio::test]
async fn a_phones_page_is_opened_paid_and_left() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let merchant = merchant(&stand);
    let context = CallContext {
        return_url: Some("http://127.0.0.1:9/back".to_owned()),
        ..call(&stand, Some(&listener.url))
    };
    let page = WapPay { order: order("T1", wap::PRODUCT_CODE), quit_url: None };
    let url = page.url(&merchant, &context, &format!("{}/gateway.do", stand.base));
    let html = stand.client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("¥88.88"), "{html}");
    assert_eq!(status(&stand, &merchant, "T1").await, "ACQ.TRADE_NOT_EXIST");
    let played = stand.pay(&url).await;
    let back = played["return_url"].as_str().unwrap();
    assert!(back.contains("method=alipay.trade.wap.pay.return"), "{back}");
    let query = back.split_once('?').unwrap().1;
    assert_eq!(return_url::verify(&merchant, query).unwrap().as_str(), "T1");
    let notice = notify::verify(&merchant, &listener.next().await).unwrap();
    assert_eq!(notice.trade_status, TradeStatus::TradeSuccess);
}

#[tokio::test]
async fn an_apps_order_string_is_a_code_and_its_signature_counts() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let merchant = merchant(&stand);
    let order = AppPay { order: order("T1", app::PRODUCT_CODE) };
    let string = order.order_string(&merchant, &call(&stand, Some(&listener.url)));
    let changed = string.replace("88.88", "0.01");
    let (code, body) = stand.control("pay", json!({"code": changed})).await;
    assert_eq!((code, &body["code"]), (409, &json!("page_refused")));
    assert_eq!(stand.pay(&string).await["out_trade_no"], json!("T1"));
    let notice = notify::verify(&merchant, &listener.next().await).unwrap();
    assert_eq!(notice.total_amount, Fen(8888));
    let (code, body) = stand.control("pay", json!({"code": string})).await;
    assert_eq!((code, &body["code"]), (409, &json!("already_paid")));
}

#[tokio::test]
async fn what_browsers_and_apps_bring_may_be_encrypted() {
    let stand = Stand::start().await;
    let merchant = encrypting(&stand);
    let context = call(&stand, None);
    let gateway = format!("{}/gateway.do", stand.base);
    let page = PagePay::new(order("T1", PRODUCT_CODE)).url(&merchant, &context, &gateway);
    let phone = WapPay { order: order("T2", wap::PRODUCT_CODE), quit_url: None };
    let phone = phone.url(&merchant, &context, &gateway);
    let string = AppPay { order: order("T3", app::PRODUCT_CODE) }.order_string(&merchant, &context);
    let html = stand.client.get(&page).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("¥88.88"), "{html}");
    for (code, number) in [(page, "T1"), (phone, "T2"), (string, "T3")] {
        assert!(code.contains("encrypt_type=AES"), "{code}");
        stand.pay(&code).await;
        assert_eq!(status(&stand, &merchant, number).await, "TRADE_SUCCESS");
    }
}

async fn create(
    stand: &Stand,
    merchant: &Credentials,
    (number, buyer): (&str, Buyer),
    notify_url: Option<&str>,
) -> Result<String, GatewayError> {
    let (op_app_id, op_buyer_open_id) = (None, None);
    let order = order(number, JSAPI_PAY);
    let asked = Create { order, buyer, op_app_id, op_buyer_open_id };
    let response = stand.send(&asked.encode(merchant, &call(stand, notify_url))).await;
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(reply) => Ok(reply.trade_no.as_str().to_owned()),
        Answer::Refused(error) => Err(error),
    }
}

#[tokio::test]
async fn a_created_trade_waits_for_the_buyer_that_it_names() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let merchant = merchant(&stand);
    let user = Buyer::UserId("2088000000000077".to_owned());
    let open = Buyer::OpenId("0abcd-of-this-app".to_owned());
    let address = listener.url.clone();
    let url = Some(address.as_str());
    for (number, buyer) in [("T1", &user), ("T2", &open)] {
        let trade_no = create(&stand, &merchant, (number, buyer.clone()), url).await.unwrap();
        assert_eq!(status(&stand, &merchant, number).await, "WAIT_BUYER_PAY");
        let again = create(&stand, &merchant, (number, buyer.clone()), url).await.unwrap();
        assert_eq!(again, trade_no);
        stand.pay(&trade_no).await;
        let notice = notify::verify(&merchant, &listener.next().await).unwrap().into_inner();
        let named = match buyer {
            Buyer::UserId(_) => notice.buyer_id.map(Buyer::UserId),
            Buyer::OpenId(_) => notice.buyer_open_id.map(Buyer::OpenId),
        };
        assert_eq!(named.as_ref(), Some(buyer));
    }
    create(&stand, &merchant, ("T3", user.clone()), None).await.unwrap();
    let other = create(&stand, &merchant, ("T3", open), None).await.unwrap_err();
    assert!(other.is("TRADE_BUYER_NOT_MATCH"), "{other}");
    let paid = create(&stand, &merchant, ("T1", user), None).await.unwrap_err();
    assert!(paid.is("TRADE_HAS_SUCCESS"), "{paid}");
    let own = Buyer::UserId(stand.keys.alipay.seller_id.clone());
    let equal = create(&stand, &merchant, ("T4", own), None).await.unwrap_err();
    assert!(equal.is("BUYER_SELLER_EQUAL"), "{equal}");
}

async fn scan(
    stand: &Stand,
    merchant: &Credentials,
    (number, fen): (&str, i64),
    auth_code: &str,
) -> Result<PayReply, GatewayError> {
    let total_amount = Amount::new(Fen(fen)).unwrap();
    let order = Order { total_amount, ..order(number, FACE_TO_FACE_PAYMENT) };
    let auth_code = AuthCode::new(auth_code).unwrap();
    let asked = Pay { order, auth_code, scene: Scene::BarCode };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(reply) => Ok(reply),
        Answer::Refused(error) => Err(error),
    }
}

async fn shown_code(stand: &Stand) -> String {
    let url = format!("{}/_sandbox/auth_codes", stand.base);
    let body = stand.client.get(url).send().await.unwrap().bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["alipay"]["auth_code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_scanned_buyer_pays_at_once_or_types_a_password() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let code = shown_code(&stand).await;
    let paid = scan(&stand, &merchant, ("T1", 1200), &code).await.unwrap();
    assert_eq!(paid.progress, PayProgress::Deducted);
    assert_eq!((paid.total_amount, paid.receipt_amount), (Some(Fen(1200)), Some(Fen(1200))));
    assert!(paid.gmt_payment.is_some() && paid.buyer_user_id.is_some());
    assert_eq!(paid.fund_bill_list[0].amount, Fen(1200));
    let used = scan(&stand, &merchant, ("T2", 1200), &code).await.unwrap_err();
    assert!(used.is("PAYMENT_AUTH_CODE_INVALID"), "{used}");
    let again = scan(&stand, &merchant, ("T1", 1200), &code).await.unwrap_err();
    assert!(again.is("TRADE_HAS_SUCCESS"), "{again}");

    let code = shown_code(&stand).await;
    let large = scan(&stand, &merchant, ("T3", 100_001), &code).await.unwrap();
    assert_eq!((large.progress, large.gmt_payment), (PayProgress::WaitingForPayer, None));
    assert_eq!(status(&stand, &merchant, "T3").await, "WAIT_BUYER_PAY");
    stand.control("pay", json!({"provider": "alipay", "out_trade_no": "T3"})).await;
    assert_eq!(status(&stand, &merchant, "T3").await, "TRADE_SUCCESS");

    let code = shown_code(&stand).await;
    stand.advance("61s").await;
    let old = scan(&stand, &merchant, ("T4", 1200), &code).await.unwrap_err();
    assert!(old.is("PAYMENT_AUTH_CODE_INVALID"), "{old}");
}

#[tokio::test]
async fn amounts_make_a_scanned_payment_wait_fail_or_stay_unknown() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let fresh = async || shown_code(&stand).await;
    let typing = scan(&stand, &merchant, ("T1", 77_723), &fresh().await).await.unwrap();
    assert_eq!(typing.progress, PayProgress::WaitingForPayer);
    stand.advance("41s").await;
    assert_eq!(status(&stand, &merchant, "T1").await, "TRADE_SUCCESS");
    scan(&stand, &merchant, ("T2", 77_724), &fresh().await).await.unwrap();
    stand.advance("41s").await;
    assert_eq!(status(&stand, &merchant, "T2").await, "WAIT_BUYER_PAY");
    let poor = scan(&stand, &merchant, ("T3", 77_725), &fresh().await).await.unwrap_err();
    assert!(poor.is("BUYER_BALANCE_NOT_ENOUGH"), "{poor}");
    let unknown = scan(&stand, &merchant, ("T4", 77_710), &fresh().await).await.unwrap_err();
    assert_eq!((unknown.code.as_str(), unknown.is_unknown()), ("20000", true));
    assert_eq!(status(&stand, &merchant, "T4").await, "TRADE_SUCCESS");
}

#[tokio::test]
async fn a_refused_payment_has_four_amounts_of_nothing() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let order = order("T1", FACE_TO_FACE_PAYMENT);
    let auth_code = AuthCode::new("280000000000000001").unwrap();
    let asked = Pay { order, auth_code, scene: Scene::BarCode };
    let request = asked.encode(&merchant, &call(&stand, None));
    stand.send(&request).await;
    let response = stand.send(&request).await;
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    assert!(text.contains(r#""buyer_pay_amount":"0.00","invoice_amount":"0.00""#), "{text}");
}

#[tokio::test]
async fn a_changed_certificate_is_downloaded_and_then_believed() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "fail").await;
    let merchant = merchant_with_certificates(&stand);
    stand.control("rules", json!({"alipay_next_certificate": true})).await;
    let asked = Query { trade: TradeRef::Out(OutTradeNo::new("T1").unwrap()) };
    let response = stand.send(&asked.encode(&merchant, &call(&stand, None))).await;
    let Err(ReplyError::CertificateUnknown { sn }) = asked.decode(&merchant, &response) else {
        panic!("a certificate that nobody knows was believed")
    };
    let download = CertDownload { alipay_cert_sn: sn };
    let response = stand.send(&download.encode(&merchant, &call(&stand, None))).await;
    let now = stand.now();
    let Answer::Done(certificate) = download.decode(&merchant, &response, now).unwrap() else {
        panic!("no certificate came")
    };
    let knowing = merchant.clone().with_alipay_certificate(&certificate).unwrap();
    assert_eq!(status(&stand, &knowing, "T1").await, "ACQ.TRADE_NOT_EXIST");
    let qr = precreate(&stand, &knowing, "T1", Some(&listener.url)).await.unwrap();
    stand.pay(&qr).await;
    let notice = listener.next().await;
    assert!(notify::verify(&merchant, &notice).is_err());
    assert!(notify::verify(&knowing, &notice).is_ok());
    // An app with plain keys does not notice.
    let plain = crate::alipay::merchant(&stand);
    assert_eq!(status(&stand, &plain, "T1").await, "TRADE_SUCCESS");
}

/// The reply to a call whose members are public parameters.
async fn token(stand: &Stand, merchant: &Credentials, code: &str) -> Value {
    let timestamp = tongbao_alipay::print_beijing_time(stand.now());
    let mut params = vec![
        ("app_id", merchant.app_id()),
        ("charset", "utf-8"),
        ("code", code),
        ("grant_type", "authorization_code"),
        ("method", "alipay.system.oauth.token"),
        ("sign_type", "RSA2"),
        ("timestamp", &timestamp),
        ("version", "1.0"),
    ];
    let pairs: Vec<String> = params.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let sign = merchant.app_key().sign_sha256(pairs.join("&").as_bytes());
    params.push(("sign", &sign));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    let request = stand.client.post(format!("{}/gateway.do", stand.base)).body(form);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let body = request.send().await.unwrap().bytes().await.unwrap();
    let text = std::str::from_utf8(&body).unwrap();
    let object = text.strip_prefix("{\"alipay_system_oauth_token_response\":").unwrap();
    let (object, sign) = object.split_once(",\"sign\":\"").unwrap();
    let key = tongbao_crypt::RsaPublicKey::read(&stand.keys.alipay.alipay_public_key).unwrap();
    let sign = tongbao_crypt::base64::decode(sign.trim_end_matches("\"}")).unwrap();
    assert!(key.verify_sha256(object.as_bytes(), &sign), "{text}");
    serde_json::from_str(object).unwrap()
}

#[tokio::test]
async fn a_login_gives_the_buyers_ids_once() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("app_id", merchant.app_id())
        .append_pair("scope", "auth_base")
        .append_pair("redirect_uri", "http://127.0.0.1:9/in?x=1")
        .append_pair("state", "s1")
        .finish();
    let page = format!("{}/oauth2/publicAppAuthorize.htm?{query}", stand.base);
    let response = stand.client.get(&page).send().await.unwrap();
    assert_eq!(response.status(), 303);
    let back = url::Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    let member = |name: &str| back.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
    assert_eq!((member("x").as_str(), member("state").as_str()), ("1", "s1"));
    let found = token(&stand, &merchant, &member("auth_code")).await;
    let user_id = found["user_id"].as_str().unwrap().to_owned();
    assert!(user_id.starts_with("2088") && found["open_id"].as_str().unwrap().len() == 47);
    create(&stand, &merchant, ("T1", Buyer::UserId(user_id)), None).await.unwrap();
    for code in [member("auth_code"), "1234567890123456789".to_owned()] {
        let refused = token(&stand, &merchant, &code).await;
        assert_eq!(refused["sub_code"], json!("isv.code-invalid"), "{refused}");
    }
    let other = page.replace(merchant.app_id(), "2021000000000009");
    assert_eq!(stand.client.get(&other).send().await.unwrap().status(), 400);
}
