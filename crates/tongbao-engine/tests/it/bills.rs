//! Bills: fetched once, kept as received, shown as they are or as lines; and every way in which a
//! provider has none, or sends something else.

mod answers;
mod shop;
mod troubles;

use crate::provider::Kind;
use answers::{FUND_HEADER, TRADE_HEADER, alipay_file, gzip, link, plain, wechat_text, zip};
use serde_json::{Value, json};
use shop::{Shop, day, request};
use tongbao_engine::{BillContent, BillFormat, BillKind, BillWhose};
use tongbao_types::{Channel, Code, Provider};

const PAYMENT: &str = "`2026-11-20 09:51:59,`wx1,`1900000109,`0,`,`4200000263,`ORDER1,`oUp8,\
    `NATIVE,`SUCCESS,`OTHERS,`CNY,`12.00,`0.00,`0,`0,`0.00,`0.00,`,`,`茶, 250 克,`,`0.07200,\
    `0.60%,`12.00,`0.00,`";
const REFUND: &str = "`2026-11-20 10:00:00,`wx1,`1900000109,`0,`,`4200000263,`ORDER1,`oUp8,\
    `NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5030,`R1,`5.00,`0.00,`ORIGINAL,`PROCESSING,\
    `茶, 250 克,`,`-0.03000,`0.60%,`0.00,`5.00,`";

fn trade_text() -> String {
    wechat_text(TRADE_HEADER, &[PAYMENT, REFUND])
}

#[tokio::test]
async fn wechats_bill_is_fetched_once_and_shown_both_ways() {
    let shop = Shop::of(Kind::V2Md5);
    let text = trade_text();
    shop.answers(plain(200, gzip(&text)).in_pieces(100));
    let file = shop.ask(BillFormat::Original).await.unwrap();
    assert_eq!(file.content, BillContent::Text);
    assert_eq!(file.name, "wechat-v2-md5-trade-2026-11-20.csv");
    assert_eq!(file.bytes, text.as_bytes(), "byte for byte, mark and all");
    assert_eq!(shop.asked()[0].request.path(), "/pay/downloadbill");

    let file = shop.ask(BillFormat::Lines).await.unwrap();
    assert_eq!(file.name, "wechat-v2-md5-trade-2026-11-20.jsonl");
    let mut lines = file.lines();
    let raw = lines[0]["raw"].take();
    let payment = json!({
        "provider": "wechat", "line": 2, "kind": "payment", "time": "2026-11-20T01:51:59Z",
        "out_trade_no": "ORDER1", "provider_trade_no": "4200000263", "out_refund_no": null,
        "provider_refund_no": null, "provider_entry_no": null, "amount": 1200,
        "currency": "CNY", "fee": "0.07200", "trade_type": "NATIVE", "status": "SUCCESS",
        "payer": "oUp8", "raw": null,
    });
    assert_eq!(lines[0], payment);
    assert_eq!((&raw["商品名称"], &raw["微信退款单号"]), (&json!("茶, 250 克"), &json!("0")));
    assert_eq!(raw.as_object().unwrap().len(), 27);
    lines[1]["raw"].take();
    let refund = json!({
        "provider": "wechat", "line": 3, "kind": "refund", "time": "2026-11-20T02:00:00Z",
        "out_trade_no": "ORDER1", "provider_trade_no": "4200000263", "out_refund_no": "R1",
        "provider_refund_no": "5030", "provider_entry_no": null, "amount": -500,
        "currency": "CNY", "fee": "-0.03000", "trade_type": "NATIVE", "status": "PROCESSING",
        "payer": "oUp8", "raw": null,
    });
    assert_eq!(lines[1], refund);
    assert_eq!(shop.asked().len(), 1, "the provider was asked once");
}

#[tokio::test]
async fn version_3_tells_an_address_and_what_the_text_hashes_to() {
    let shop = Shop::of(Kind::V3PublicKey);
    let text = trade_text();
    let elsewhere = "https://api.mch.weixin.qq.com";
    shop.answers(link(Kind::V3PublicKey, elsewhere, &text));
    shop.answers(plain(200, gzip(&text)));
    assert_eq!(shop.ask(BillFormat::Original).await.unwrap().bytes, text.as_bytes());
    let [question, file] = &shop.asked()[..] else { panic!("two calls") };
    assert!(question.request.target.contains("bill_date=2026-11-20"));
    assert_eq!(file.base, "https://v3-public-key.test", "on the account's own host");
    assert!(file.request.target.starts_with("/v3/billdownload/file?token="));
    answers::assert_signed(&file.request, shop.wall());
    assert_ne!(question.request.header("Authorization"), file.request.header("Authorization"));
}

#[tokio::test]
async fn alipays_zip_comes_from_another_host_that_is_shown_nothing() {
    let shop = Shop::of(Kind::AlipayKey);
    let zipped = zip(&alipay_file());
    let address = "http://dwbillcenter.test/download?bizType=trade&token=a%2Fb=";
    shop.answers(link(Kind::AlipayKey, address, ""));
    shop.answers(plain(200, zipped.clone()).in_pieces(7));
    let file = shop.ask(BillFormat::Original).await.unwrap();
    assert_eq!((file.content, &file.bytes), (BillContent::Zip, &zipped));
    assert_eq!(file.name, "alipay-alipay-key-trade-2026-11-20.zip");
    let asked = &shop.asked()[1];
    assert_eq!(asked.base, "http://dwbillcenter.test");
    assert_eq!(asked.request.target, "/download?bizType=trade&token=a%2Fb=");
    assert_eq!((asked.request.headers.len(), &asked.tls.identity), (0, &None));

    let lines = shop.ask(BillFormat::Lines).await.unwrap().lines();
    let of = |line: &Value, name: &str| line[name].clone();
    assert_eq!(of(&lines[0], "kind"), "payment");
    assert_eq!(of(&lines[0], "time"), "2026-11-20T02:00:00Z");
    assert_eq!((of(&lines[0], "amount"), of(&lines[0], "fee")), (json!(1200), json!("0.07000")));
    assert_eq!(of(&lines[0], "payer"), "**佳(yan***@163.com)");
    assert_eq!(lines[0]["raw"]["商品名称"], "茶叶");
    assert_eq!(of(&lines[1], "kind"), "refund");
    assert_eq!((of(&lines[1], "amount"), of(&lines[1], "fee")), (json!(-500), json!("-0.03000")));
    assert_eq!(of(&lines[1], "out_refund_no"), "R1");
    assert_eq!(lines.len(), 2);
    assert_eq!(shop.asked().len(), 2);
}

#[tokio::test]
async fn fund_flow_has_movements_with_their_signs() {
    let shop = Shop::of(Kind::V3PublicKey);
    let rows = [
        "`2026-11-20 04:21:23,`420001,`19001,`微信支付,`交易,`收入,`0.02,`0.17,`system,`缴费,`ORDER1",
        "`2026-11-20 04:21:23,`420001,`19002,`扣除交易手续费,`扣除交易手续费,`支出,`0.01,`0.16,`s,`,`O1",
        "`2026-11-20 04:22:23,`503001,`19003,`退款,`退款,`支出,`0.02,`0.14,`s,`,`R1",
        "`2026-11-20 04:23:23,`1,`19004,`提现,`提现,`支出,`0.10,`0.04,`s,`,`W1",
    ];
    let text = wechat_text(FUND_HEADER, &rows);
    shop.answers(link(Kind::V3PublicKey, "https://x.test", &text));
    shop.answers(plain(200, text.clone()));
    let wanted = request(BillKind::FundFlow, BillFormat::Lines);
    let lines = shop.bill(&wanted).await.unwrap().lines();
    let told: Vec<Value> = lines
        .iter()
        .map(|l| json!([l["kind"], l["amount"], l["provider_entry_no"], l["out_trade_no"]]))
        .collect();
    let expected = [
        json!(["payment", 2, "19001", "ORDER1"]),
        json!(["fee", -1, "19002", "O1"]),
        json!(["refund", -2, "19003", null]),
        json!(["withdrawal", -10, "19004", null]),
    ];
    assert_eq!(told, expected);
    assert_eq!((&lines[2]["out_refund_no"], &lines[2]["fee"]), (&json!("R1"), &Value::Null));
    assert_eq!(shop.asked()[0].request.path(), "/v3/bill/fundflowbill");
}

#[tokio::test]
async fn columns_that_are_new_are_shown_and_marks_do_not_matter() {
    for mark in ["\u{feff}", ""] {
        let shop = Shop::of(Kind::V2Hmac);
        let header = format!("{TRADE_HEADER},碳积分");
        let text = wechat_text(&header, &[&format!("{PAYMENT},`7 克")]).replace('\u{feff}', mark);
        shop.answers(plain(200, text.clone()));
        let lines = shop.ask(BillFormat::Lines).await.unwrap().lines();
        assert_eq!(lines[0]["raw"]["碳积分"], "7 克");
        assert_eq!(shop.ask(BillFormat::Original).await.unwrap().bytes, text.as_bytes());
    }
}

#[tokio::test]
async fn many_who_ask_at_once_make_one_fetch() {
    let shop = Shop::of(Kind::V2Md5);
    shop.answers(plain(200, trade_text()).in_pieces(50));
    let asked = (0..20).map(|_| shop.ask(BillFormat::Lines));
    for file in futures_util::future::join_all(asked).await {
        assert_eq!(file.unwrap().lines().len(), 2);
    }
    assert_eq!(shop.asked().len(), 1);
}

/// Two processes that fetch the same bill keep the first, whole, and show it both.
#[tokio::test]
async fn two_processes_keep_one() {
    let shop = Shop::of(Kind::V2Md5);
    let other = shop.beside();
    let texts = [trade_text(), wechat_text(TRADE_HEADER, &[PAYMENT])];
    for text in &texts {
        shop.answers(plain(200, text.clone()).in_pieces(90));
    }
    let both = tokio::join!(shop.ask(BillFormat::Original), other.ask(BillFormat::Original));
    let (one, two) = (both.0.unwrap().bytes, both.1.unwrap().bytes);
    assert_eq!(shop.asked().len(), 2);
    assert_eq!(one, two);
    assert!(texts.iter().any(|text| text.as_bytes() == one));
}

#[tokio::test]
async fn a_day_that_is_not_over_is_refused_without_asking() {
    let shop = Shop::of(Kind::V2Md5);
    let check = async |date: &str| {
        let mut wanted = request(BillKind::Trade, BillFormat::Original);
        wanted.date = day(date);
        shop.bill(&wanted).await.err().unwrap()
    };
    // It is three in the afternoon of the 21st in China.
    let today = check("2026-11-21").await;
    assert_eq!(today.code, Code::BillNotReady);
    assert_eq!(today.retry_after.unwrap().as_seconds(), 19 * 3600);
    assert!(today.message.contains("2026-11-22T02:00:00Z"), "{}", today.message);
    let future = check("2026-11-22").await;
    assert_eq!((future.code, future.param.as_deref()), (Code::InvalidParameter, Some("date")));
    assert_eq!(shop.asked().len(), 0);
}

#[tokio::test]
async fn the_account_is_the_one_that_fits() {
    let shop = Shop::of(Kind::V2Md5);
    let check = async |whose, account: Option<&str>, kind| {
        let mut wanted = request(kind, BillFormat::Original);
        wanted.whose = whose;
        wanted.account = account.map(|name| tongbao_types::AccountName::new(name).unwrap());
        let error = shop.bill(&wanted).await.err().unwrap();
        (error.code, error.param.unwrap_or_default())
    };
    let wechat = BillWhose::Provider(Provider::Wechat);
    let missing = |param: &str| (Code::AccountMissing, param.to_owned());
    let trade = BillKind::Trade;
    let alipay = BillWhose::Provider(Provider::Alipay);
    assert_eq!(check(alipay, None, trade).await, missing("channel"));
    let qr = BillWhose::Channel(Channel::AlipayQr);
    assert_eq!(check(qr, None, trade).await, missing("channel"));
    assert_eq!(check(wechat, Some("nobody"), trade).await, missing("account"));
    // Another app's.
    assert_eq!(check(wechat, Some("other"), trade).await, missing("account"));
    // The fund-flow bill of version 2 is given to a certificate alone.
    let hindered = (Code::ChannelUnavailable, "channel".to_owned());
    assert_eq!(check(wechat, None, BillKind::FundFlow).await, hindered);
    assert_eq!(shop.asked().len(), 0);

    shop.answers(plain(200, trade_text()));
    let mut wanted = request(trade, BillFormat::Original);
    wanted.whose = BillWhose::Channel(Channel::WechatNative);
    assert!(shop.bill(&wanted).await.is_ok());
}
