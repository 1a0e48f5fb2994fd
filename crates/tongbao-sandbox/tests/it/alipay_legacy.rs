//! The old gateway: page, notification, its two questions, and that both gateways see one trade.

use crate::alipay;
use crate::stand::{Listener, Stand};
use serde_json::json;
use tongbao_alipay::legacy::single_trade_query::{SingleTradeQuery, TradeAnswer};
use tongbao_alipay::legacy::{Credentials, DirectPay, NotifyVerify, Verdict, notify};
use tongbao_alipay::open::TradeRef;
use tongbao_alipay::open::query::Query;
use tongbao_alipay::{Answer, Charset, TradeStatus};
use tongbao_types::{Amount, Fen, OutTradeNo, TradeNo};

fn partner(stand: &Stand) -> Credentials {
    let alipay = &stand.keys.alipay;
    let email = Some(alipay.seller_email.as_str());
    Credentials::new(&alipay.legacy_partner, &alipay.legacy_md5_key, email).unwrap()
}

fn order(number: &str, notify_url: Option<&str>) -> DirectPay {
    DirectPay {
        out_trade_no: OutTradeNo::new(number).unwrap(),
        total_fee: Amount::new(Fen(8888)).unwrap(),
        subject: "测试 a+b%26&c".to_owned(),
        body: Some("详情".to_owned()),
        notify_url: notify_url.map(str::to_owned),
        return_url: Some("http://127.0.0.1:9/back".to_owned()),
        show_url: None,
        paymethod: None,
        defaultbank: None,
        extra_common_param: Some("back".to_owned()),
        it_b_pay: None,
    }
}

fn gateway(stand: &Stand) -> String {
    format!("{}/gateway.do", stand.base)
}

async fn ask(stand: &Stand, partner: &Credentials, notify_id: &str) -> Verdict {
    let asked = NotifyVerify { notify_id: notify_id.to_owned() };
    NotifyVerify::decode(&stand.send(&asked.encode(partner)).await).unwrap()
}

async fn query(stand: &Stand, partner: &Credentials, trade: TradeRef) -> TradeAnswer {
    let asked = SingleTradeQuery { trade };
    asked.decode(partner, &stand.send(&asked.encode(partner)).await).unwrap()
}

fn by(number: &str) -> TradeRef {
    TradeRef::Out(OutTradeNo::new(number).unwrap())
}

/// The text of a page in GBK.
async fn page(stand: &Stand, url: &str) -> String {
    let response = stand.client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let gbk = response.headers()["content-type"].to_str().unwrap().contains("GBK");
    let bytes = response.bytes().await.unwrap();
    let charset = if gbk { Charset::Gbk } else { Charset::Utf8 };
    charset.decode(&bytes).unwrap().into_owned()
}

#[tokio::test]
async fn a_page_is_paid_notified_and_both_gateways_know_it() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "wait").await;
    let partner = partner(&stand);
    let url = order("T1", Some(&listener.url)).url(&partner, &gateway(&stand));
    assert!(page(&stand, &url).await.contains("¥88.88"));
    let unknown = query(&stand, &partner, by("T1")).await;
    assert_eq!(unknown, TradeAnswer::Refused("TRADE_NOT_EXIST".to_owned()));
    let played = stand.pay(&url).await;

    let notice = notify::verify(&partner, &listener.next().await).unwrap().into_inner();
    assert_eq!(
        (notice.trade_status.clone(), notice.total_fee),
        (TradeStatus::TradeSuccess, Fen(8888))
    );
    assert_eq!(notice.extra_common_param.as_deref(), Some("back"));
    assert_eq!(
        (notice.subject.as_deref(), notice.body.as_deref()),
        (Some("测试 a+b%26&c"), Some("详情"))
    );
    assert_eq!(ask(&stand, &partner, &notice.notify_id).await, Verdict::True);
    listener.answer(200, "success");
    stand.advance("4m").await;
    listener.next().await;
    stand.tried(2).await;
    assert_eq!(ask(&stand, &partner, &notice.notify_id).await, Verdict::False, "it was received");
    assert_eq!(ask(&stand, &partner, "2026112100222143000000000000000000").await, Verdict::False);
    assert_eq!(ask(&stand, &partner, "").await, Verdict::Invalid);

    let trade_no = TradeNo::new(played["trade_no"].as_str().unwrap()).unwrap();
    for trade in [by("T1"), TradeRef::Trade(trade_no)] {
        let TradeAnswer::Found(found) = query(&stand, &partner, trade).await else {
            panic!("the trade is not there")
        };
        assert_eq!((found.trade_status, found.total_fee), (TradeStatus::TradeSuccess, Fen(8888)));
    }
    let merchant = alipay::merchant(&stand);
    let asked = Query { trade: by("T1") };
    let response = stand.send(&asked.encode(&merchant, &alipay::call(&stand, None))).await;
    assert!(matches!(asked.decode(&merchant, &response), Ok(Answer::Done(_))));
}

#[tokio::test]
async fn a_return_can_be_verified_for_a_minute() {
    let stand = Stand::start().await;
    let partner = partner(&stand);
    let url = order("T1", None).url(&partner, &gateway(&stand));
    let played = stand.pay(&url).await;
    let back = played["return_url"].as_str().unwrap();
    let query = back.strip_prefix("http://127.0.0.1:9/back?").unwrap();
    assert_eq!(notify::verify_return(&partner, query).unwrap().as_str(), "T1");
    let id = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "notify_id");
    let id = id.unwrap().1.into_owned();
    assert_eq!(ask(&stand, &partner, &id).await, Verdict::True);
    let later = format!("9{}", &id[1..]);
    assert_eq!(ask(&stand, &partner, &later).await, Verdict::False, "made up");
    stand.advance("61s").await;
    assert_eq!(ask(&stand, &partner, &id).await, Verdict::False);
}

#[tokio::test]
async fn a_form_works_as_an_address_does() {
    let stand = Stand::start().await;
    let form = order("T1", None).form(&partner(&stand), &gateway(&stand));
    let fields: Vec<_> = form.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = stand.client.post(&form.action).body(body);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    assert!(request.send().await.unwrap().text().await.unwrap().contains("¥88.88"));
    assert_eq!(stand.list("requests").await[0]["signature"]["result"], json!("good"));
    assert_eq!(stand.list("requests").await[0]["operation"], json!("create_direct_pay_by_user"));
}

#[tokio::test]
async fn what_is_wrong_is_said_on_a_page_or_in_xml() {
    let stand = Stand::start().await;
    let good = partner(&stand);
    let alipay = &stand.keys.alipay;
    let check = async |url: &str, code: &str| {
        let text = page(&stand, url).await;
        assert!(text.contains(&format!("错误代码 {code}")), "{code}: {text}");
    };
    let url = |partner: &Credentials| order("T1", None).url(partner, &gateway(&stand));
    let key = "0".repeat(32);
    let forged =
        Credentials::new(&alipay.legacy_partner, &key, Some(&alipay.seller_email)).unwrap();
    check(&url(&forged), "ILLEGAL_SIGN").await;
    let stranger = Credentials::new("2088000000000009", &alipay.legacy_md5_key, None).unwrap();
    check(&url(&stranger), "ILLEGAL_PARTNER").await;
    let seller = Some("other@sandbox.example");
    let other = Credentials::new(&alipay.legacy_partner, &alipay.legacy_md5_key, seller).unwrap();
    check(&url(&other), "SELLER_NOT_EXIST").await;
    let with_query = order("T1", Some("http://127.0.0.1:9/n?a=1"));
    check(&with_query.url(&good, &gateway(&stand)), "ILLEGAL_ARGUMENT").await;
    assert!(stand.list("trades").await.is_empty());

    stand.pay(&url(&good)).await;
    check(&url(&good), "TRADE_NOT_ALLOWED_PAY").await;
    let (code, body) = stand.control("pay", json!({"code": url(&good)})).await;
    assert_eq!((code, &body["code"]), (409, &json!("already_paid")));
    stand.client.get(order("T2", None).url(&good, &gateway(&stand))).send().await.unwrap();
    let dearer = DirectPay { total_fee: Amount::new(Fen(8889)).unwrap(), ..order("T2", None) };
    check(&dearer.url(&good, &gateway(&stand)), "TRADE_DATA_MATCH_ERROR").await;

    let answer = query(&stand, &forged, by("T1")).await;
    assert_eq!(answer, TradeAnswer::Refused("ILLEGAL_SIGN".to_owned()));
    stand.fault(json!({"path": "single_trade_query", "error_code": "SYSTEM_ERROR"})).await;
    let answer = query(&stand, &good, by("T1")).await;
    assert_eq!(answer, TradeAnswer::Refused("SYSTEM_ERROR".to_owned()));
}

#[tokio::test]
async fn a_closed_page_is_told_in_the_old_form() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let partner = partner(&stand);
    let url = order("T1", Some(&listener.url)).url(&partner, &gateway(&stand));
    stand.control("pay", json!({"code": url, "outcome": "scanned"})).await;
    stand.advance("15d").await;
    let closed = notify::verify(&partner, &listener.next().await).unwrap();
    assert_eq!(closed.trade_status, TradeStatus::TradeClosed);
    assert!(closed.gmt_close.is_some() && closed.refund_status.is_none());
}
