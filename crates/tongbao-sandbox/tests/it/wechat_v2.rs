//! API v2: order, payment, notification, query, close; the states captured from production.

use crate::stand::{Listener, Stand};
use serde_json::json;
use tongbao_types::{Fen, HttpRequest, HttpResponse, Secret};
use tongbao_wechat::v2::{self, CloseOrder, OrderQuery, UnifiedOrder};
use tongbao_wechat::{
    Answer, Fields, Merchant, Prepaid, SignType, Trade, TradeKey, TradeType, V2Credentials,
    WechatError,
};

pub(crate) const RECEIPT: &str = "<xml><return_code><![CDATA[SUCCESS]]></return_code></xml>";
const NONCE: &str = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";

pub(crate) fn merchant(stand: &Stand, sign_type: SignType) -> V2Credentials {
    let wechat = &stand.keys.wechat;
    let merchant = Merchant::direct(&wechat.app_id, &wechat.mch_id);
    V2Credentials::new(merchant, Secret::new(wechat.api_key.clone()), sign_type).unwrap()
}

pub(crate) fn order(number: &str, notify_url: &str) -> UnifiedOrder {
    UnifiedOrder {
        body: "测试 ]]> & <b>".to_owned(),
        out_trade_no: number.to_owned(),
        total_fee: Fen(101),
        spbill_create_ip: "127.0.0.1".to_owned(),
        notify_url: notify_url.to_owned(),
        trade_type: TradeType::Native,
        attach: Some("more".to_owned()),
        ..UnifiedOrder::default()
    }
}

pub(crate) async fn place(
    stand: &Stand,
    merchant: &V2Credentials,
    order: &UnifiedOrder,
) -> Result<String, WechatError> {
    let response = stand.send(&order.encode(merchant, NONCE)).await;
    match order.decode_reply(merchant, &response).unwrap() {
        Answer::Done(Prepaid::CodeUrl { code_url, prepay_id }) => {
            assert_eq!(prepay_id.map(|id| id.len()), Some(36));
            Ok(code_url)
        }
        Answer::Done(other) => panic!("{other:?} instead of a code"),
        Answer::Refused(error) => Err(error),
    }
}

async fn query(stand: &Stand, merchant: &V2Credentials, key: TradeKey) -> Result<Trade, String> {
    let query = OrderQuery { key };
    let response = stand.send(&query.encode(merchant, NONCE)).await;
    match query.decode_reply(merchant, &response).unwrap() {
        Answer::Done(trade) => Ok(trade),
        Answer::Refused(error) => Err(error.to_string()),
    }
}

async fn close(stand: &Stand, merchant: &V2Credentials, number: &str) -> Result<(), String> {
    let close = CloseOrder { out_trade_no: number.to_owned() };
    let response = stand.send(&close.encode(merchant, NONCE)).await;
    match close.decode_reply(merchant, &response).unwrap() {
        Answer::Done(()) => Ok(()),
        Answer::Refused(error) => Err(error.to_string()),
    }
}

fn by(number: &str) -> TradeKey {
    TradeKey::OutTradeNo(number.to_owned())
}

async fn main_job(sign_type: SignType) {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, RECEIPT).await;
    let merchant = merchant(&stand, sign_type);
    let code = place(&stand, &merchant, &order("T20261121001", &listener.url)).await.unwrap();
    assert!(code.starts_with("weixin://wxpay/bizpayurl?pr="), "{code}");
    let played = stand.pay(&code).await;
    assert_eq!((&played["state"], &played["amount"]), (&json!("SUCCESS"), &json!(101)));

    let notice = listener.next().await;
    let verified = v2::receive(&merchant, &notice).unwrap().into_value();
    let paid = verified.trade.paid.unwrap();
    assert_eq!((paid.total, verified.trade.attach.as_str()), (Fen(101), "more"));
    assert_eq!(json!(paid.transaction_id), played["trade_no"]);
    assert_eq!(stand.tried(1).await["delivered"], json!(true));

    let ours = query(&stand, &merchant, by("T20261121001")).await.unwrap();
    let theirs = query(&stand, &merchant, TradeKey::TransactionId(paid.transaction_id)).await;
    assert_eq!(Ok(ours), theirs);
}

#[tokio::test]
async fn an_order_is_paid_and_notified_with_md5() {
    main_job(SignType::Md5).await;
}

#[tokio::test]
async fn an_order_is_paid_and_notified_with_hmac() {
    main_job(SignType::HmacSha256).await;
}

#[tokio::test]
async fn query_and_close_answer_as_production_did_in_each_state() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand, SignType::Md5);
    let url = "http://127.0.0.1:9/n";
    for number in ["Tpaid1", "Topen1", "Tclosed1"] {
        place(&stand, &merchant, &order(number, url)).await.unwrap();
    }
    close(&stand, &merchant, "Tclosed1").await.unwrap();
    let pay = json!({"provider": "wechat", "out_trade_no": "Tpaid1"});
    assert_eq!(stand.control("pay", pay).await.0, 200);

    for (number, wanted) in [
        ("Tpaid1", Ok(("SUCCESS", "支付成功"))),
        ("Topen1", Ok(("NOTPAY", "订单未支付"))),
        ("Tclosed1", Ok(("CLOSED", "订单已关闭"))),
        ("Tunknown1", Err("ORDERNOTEXIST: order not exist")),
    ] {
        let found = query(&stand, &merchant, by(number)).await;
        let found = found.as_ref().map(|trade| (trade.state.as_str(), trade.state_desc.as_str()));
        assert_eq!(found.map_err(|error| error.as_str()), wanted, "query {number}");
    }
    let paid = Err("ORDERPAID: order paid".to_owned());
    for (number, wanted) in
        [("Tpaid1", paid), ("Tclosed1", Ok(())), ("Tunknown1", Ok(())), ("Topen1", Ok(()))]
    {
        assert_eq!(close(&stand, &merchant, number).await, wanted, "close {number}");
    }
    assert_eq!(query(&stand, &merchant, by("Topen1")).await.unwrap().state.as_str(), "CLOSED");
}

#[tokio::test]
async fn which_fields_a_query_has_depends_on_the_state_as_captured() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand, SignType::Md5);
    place(&stand, &merchant, &order("Topen1", "http://127.0.0.1:9/n")).await.unwrap();
    let fields = async |number: &str| {
        let request = OrderQuery::by_out_trade_no(number).encode(&merchant, NONCE);
        let fields = Fields::parse(&stand.send(&request).await.body).unwrap();
        fields.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    };
    let open = fields("Topen1").await;
    assert!(open.contains(&"trade_state".to_owned()));
    assert!(!open.contains(&"attach".to_owned()) && !open.contains(&"total_fee".to_owned()));
    close(&stand, &merchant, "Topen1").await.unwrap();
    let closed = fields("Topen1").await;
    assert!(closed.contains(&"attach".to_owned()) && !closed.contains(&"total_fee".to_owned()));
}

#[tokio::test]
async fn ordering_again_continues_differs_or_is_refused() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand, SignType::Md5);
    let first = order("T20261121001", "http://127.0.0.1:9/n");
    let older = place(&stand, &merchant, &first).await.unwrap();
    let newer = place(&stand, &merchant, &first).await.unwrap();
    assert_ne!(older, newer);
    let (status, body) = stand.control("pay", json!({"code": older})).await;
    assert_eq!((status, &body["code"]), (409, &json!("void")));

    let other = UnifiedOrder { total_fee: Fen(102), ..first.clone() };
    let error = place(&stand, &merchant, &other).await.unwrap_err();
    assert_eq!(error.to_string(), "INVALID_REQUEST: 201 商户订单号重复");
    stand.pay(&newer).await;
    assert!(place(&stand, &merchant, &first).await.unwrap_err().is_paid());
    let (status, body) = stand.control("pay", json!({"code": newer})).await;
    assert_eq!((status, &body["code"]), (409, &json!("already_paid")));

    let second = order("T20261121002", "http://127.0.0.1:9/n");
    let code = place(&stand, &merchant, &second).await.unwrap();
    close(&stand, &merchant, "T20261121002").await.unwrap();
    assert!(place(&stand, &merchant, &second).await.unwrap_err().is_closed());
    let (status, body) = stand.control("pay", json!({"code": code})).await;
    assert_eq!((status, &body["code"]), (409, &json!("closed")));
}

#[tokio::test]
async fn a_wrong_key_is_refused_unsigned_and_the_log_says_why() {
    let stand = Stand::start().await;
    let good = merchant(&stand, SignType::Md5);
    let other = Secret::new("0".repeat(32));
    let wrong = V2Credentials::new(good.merchant().clone(), other, SignType::Md5).unwrap();
    let order = order("T20261121001", "http://127.0.0.1:9/n");
    let error = place(&stand, &wrong, &order).await.unwrap_err();
    assert!(error.is_signature(), "{error}");
    let query = OrderQuery::by_out_trade_no("T20261121001");
    let response: HttpResponse = stand.send(&query.encode(&good, NONCE)).await;
    assert!(
        matches!(query.decode_reply(&good, &response), Ok(Answer::Refused(e)) if e.is_not_found())
    );

    let log = stand.list("requests").await;
    assert_eq!(log[0]["signature"]["result"], json!("bad"));
    let string = log[0]["signature"]["string"].as_str().unwrap();
    assert!(string.starts_with("appid=") && string.ends_with("&key=********"), "{string}");
    assert_eq!(log[1]["signature"]["result"], json!("good"));
    assert_eq!(log[0]["answer"]["status"], json!(200));
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_the_providers_shape() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand, SignType::Md5);
    let good = order("T20261121001", "http://127.0.0.1:9/n").encode(&merchant, NONCE);
    let bodies: [&[u8]; 4] = [
        b"",
        b"no xml",
        b"<!DOCTYPE xml [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><xml><a>&x;</a></xml>",
        b"<xml><appid>wx</appid></xml>",
    ];
    for body in bodies {
        let request = HttpRequest { body: body.to_vec().into(), ..good.clone() };
        let response = stand.send(&request).await;
        let fields = Fields::parse(&response.body).unwrap();
        assert_eq!((response.status, fields.text("return_code")), (200, Some("FAIL")));
        assert_eq!(fields.text("sign"), None);
    }
    let query_string = UnifiedOrder {
        notify_url: "http://127.0.0.1:9/n?x=1".to_owned(),
        ..order("T20261121001", "")
    };
    assert!(place(&stand, &merchant, &query_string).await.is_err());
    let unknown = HttpRequest { target: "/pay/nothing".to_owned(), ..good };
    assert_eq!(stand.send(&unknown).await.status, 404);
}

#[tokio::test]
async fn codes_and_orders_expire_by_the_sandboxes_clock() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand, SignType::Md5);
    let plain = order("T20261121001", "http://127.0.0.1:9/n");
    let code = place(&stand, &merchant, &plain).await.unwrap();
    stand.advance("2h").await;
    let (status, body) = stand.control("pay", json!({"code": code})).await;
    assert_eq!((status, &body["code"]), (409, &json!("expired")));
    let code = place(&stand, &merchant, &plain).await.unwrap();
    stand.pay(&code).await;

    let until = stand.clock.now() + "90s".parse().unwrap();
    let timed =
        UnifiedOrder { time_expire: Some(until), ..order("T20261121002", "http://127.0.0.1:9/n") };
    let code = place(&stand, &merchant, &timed).await.unwrap();
    stand.advance("91s").await;
    let (status, body) = stand.control("pay", json!({"code": code})).await;
    assert_eq!((status, &body["code"]), (409, &json!("expired")));
    let state = query(&stand, &merchant, by("T20261121002")).await.unwrap().state;
    assert_eq!(state.as_str(), "NOTPAY", "expired is not closed");

    place(&stand, &merchant, &order("T20261121003", "http://127.0.0.1:9/n")).await.unwrap();
    stand.advance("7d").await;
    let state = query(&stand, &merchant, by("T20261121003")).await.unwrap().state;
    assert_eq!(state.as_str(), "CLOSED");
}

#[tokio::test]
async fn the_five_minute_rule_is_a_switch() {
    let stand = Stand::start().await;
    let merchant = merchant(&stand, SignType::Md5);
    let (status, _) = stand.control("rules", json!({"wechat_close_wait": true})).await;
    assert_eq!(status, 200);
    place(&stand, &merchant, &order("T20261121001", "http://127.0.0.1:9/n")).await.unwrap();
    let error = close(&stand, &merchant, "T20261121001").await.unwrap_err();
    assert!(error.starts_with("TRADE_STATE_ERROR"), "{error}");
    stand.advance("5m").await;
    assert_eq!(close(&stand, &merchant, "T20261121001").await, Ok(()));
}

#[tokio::test]
async fn strange_merchants_and_apps_are_refused() {
    let stand = Stand::start().await;
    let wechat = &stand.keys.wechat;
    let key = || Secret::new(wechat.api_key.clone());
    let order = order("T20261121001", "http://127.0.0.1:9/n");
    let check = async |whose: Merchant, wanted: &str| {
        let merchant = V2Credentials::new(whose, key(), SignType::Md5).unwrap();
        let error = place(&stand, &merchant, &order).await.unwrap_err();
        assert!(error.to_string().starts_with(wanted), "{error}");
    };
    check(Merchant::direct(&wechat.app_id, "1900000109"), "FAIL: 商户号").await;
    check(Merchant::direct("wx0000000000000000", &wechat.mch_id), "APPID_MCHID_NOT_MATCH").await;
    assert!(stand.list("trades").await.is_empty());
}
