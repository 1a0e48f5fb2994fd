//! Bills of Alipay, read with the merchants' half.

use crate::alipay::{call, merchant, order};
use crate::stand::Stand;
use std::io::Cursor;
use tongbao_alipay::bill::{BillArchive, BillKind, FundLine, TradeLine, TradeLineKind};
use tongbao_alipay::open::bill_download_url::{BillDate, BillDownloadUrl, BillType};
use tongbao_alipay::open::precreate::{FACE_TO_FACE_PAYMENT, Precreate};
use tongbao_alipay::open::refund::Refund;
use tongbao_alipay::open::{Order, TradeRef};
use tongbao_alipay::{Answer, Credentials};
use tongbao_types::{Amount, Fen, OutTradeNo, Timestamp};

async fn paid(stand: &Stand, merchant: &Credentials, number: &str, fen: i64) {
    let total_amount = Amount::new(Fen(fen)).unwrap();
    let asked = Precreate { order: Order { total_amount, ..order(number, FACE_TO_FACE_PAYMENT) } };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    let Ok(Answer::Done(reply)) = asked.decode(merchant, &response) else { panic!("no code") };
    stand.pay(&reply.qr_code).await;
}

async fn refund(stand: &Stand, merchant: &Credentials, number: &str, fen: i64) {
    let asked = Refund {
        trade: TradeRef::Out(OutTradeNo::new(number).unwrap()),
        refund_amount: Amount::new(Fen(fen)).unwrap(),
        out_request_no: Some(format!("{number}R")),
        refund_reason: Some("不要了".to_owned()),
        with_detail: false,
    };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    assert!(matches!(asked.decode(merchant, &response), Ok(Answer::Done(_))));
}

async fn address(
    stand: &Stand,
    merchant: &Credentials,
    bill_type: BillType,
    date: &str,
) -> Result<String, String> {
    let bill_date = BillDate::from_text(date).unwrap();
    let asked = BillDownloadUrl { bill_type, bill_date };
    let response = stand.send(&asked.encode(merchant, &call(stand, None))).await;
    match asked.decode(merchant, &response).unwrap() {
        Answer::Done(reply) => Ok(reply.bill_download_url),
        Answer::Refused(error) => Err(error.sub_code),
    }
}

async fn archive(stand: &Stand, url: &str) -> BillArchive<Cursor<Vec<u8>>> {
    let response = stand.client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/zip");
    BillArchive::open(Cursor::new(response.bytes().await.unwrap().to_vec())).unwrap()
}

/// The day in China.
fn day(moment: Timestamp) -> String {
    tongbao_alipay::print_beijing_time(moment)[..10].to_owned()
}

/// A stand whose clock shows noon in China.
async fn noon() -> Stand {
    let stand = Stand::start().await;
    let text = tongbao_alipay::print_beijing_time(stand.clock.now());
    let hour: i64 = text[11..13].parse().unwrap();
    stand.advance(&format!("{}h", (36 - hour) % 24 + 24)).await;
    stand
}

#[tokio::test]
async fn a_days_bill_has_its_payments_and_refunds() {
    let stand = noon().await;
    let merchant = merchant(&stand);
    let first = day(stand.clock.now());
    paid(&stand, &merchant, "T1", 8888).await;
    paid(&stand, &merchant, "T2", 1).await;
    paid(&stand, &merchant, "Tmissing", 77_721).await;
    paid(&stand, &merchant, "Tmore", 77_722).await;
    refund(&stand, &merchant, "T1", 3000).await;
    stand.advance("1d").await;
    let second = day(stand.clock.now());
    refund(&stand, &merchant, "T2", 1).await;
    stand.advance("1d").await;

    let url = address(&stand, &merchant, BillType::Trade, &first).await.unwrap();
    assert!(url.starts_with(&stand.base), "{url}");
    let mut archive = archive(&stand, &url).await;
    let mut reader = archive.file(BillKind::TradeDetail).unwrap();
    let mut lines: Vec<TradeLine> = Vec::new();
    while let Some(line) = reader.next_trade().unwrap() {
        lines.push(line);
    }
    let shown: Vec<_> =
        lines.iter().map(|one| (one.out_trade_no.as_str(), one.order_amount.0)).collect();
    assert_eq!(shown, [("T1", 8888), ("T2", 1), ("Tmore", 77_723), ("T1", -3000)]);
    let refund = &lines[3];
    assert_eq!((&refund.kind, refund.out_request_no.as_str()), (&TradeLineKind::Refund, "T1R"));
    assert_eq!((lines[0].service_fee, refund.service_fee), (Fen(-53), Fen(18)));
    assert_eq!((refund.remark.as_str(), lines[0].subject.as_str()), ("不要了", "测试 a+b%26&c"));
    assert!(lines[0].finished_at.is_some_and(|at| day(at) == first));
    drop(reader);
    assert!(archive.file(BillKind::TradeSummary).is_ok());
    assert!(address(&stand, &merchant, BillType::Trade, &second).await.is_ok());
}

#[tokio::test]
async fn the_fund_flow_has_money_and_fees_and_a_balance() {
    let stand = noon().await;
    let merchant = merchant(&stand);
    let first = day(stand.clock.now());
    paid(&stand, &merchant, "T1", 8888).await;
    refund(&stand, &merchant, "T1", 3000).await;
    stand.advance("1d").await;
    let url = address(&stand, &merchant, BillType::SignCustomer, &first).await.unwrap();
    let mut archive = archive(&stand, &url).await;
    let mut reader = archive.file(BillKind::FundDetail).unwrap();
    let mut lines: Vec<FundLine> = Vec::new();
    while let Some(line) = reader.next_fund().unwrap() {
        lines.push(line);
    }
    let shown: Vec<_> = lines
        .iter()
        .map(|one| (one.business.as_str(), one.income.0, one.outgo.0, one.balance.unwrap().0))
        .collect();
    assert_eq!(
        shown,
        [
            ("在线支付", 8888, 0, 8888),
            ("收费", 0, 53, 8835),
            ("交易退款", 0, 3000, 5835),
            ("退费", 18, 0, 5853),
        ]
    );
}

#[tokio::test]
async fn a_bill_is_there_from_nine_the_next_day_and_its_address_for_half_a_minute() {
    let stand = noon().await;
    let merchant = merchant(&stand);
    let today = day(stand.clock.now());
    paid(&stand, &merchant, "T1", 8888).await;
    let ask = async |date: &str| address(&stand, &merchant, BillType::Trade, date).await;
    assert_eq!(ask(&today).await.unwrap_err(), "BILL_NOT_EXIST");
    stand.advance("19h").await;
    assert_eq!(ask(&today).await.unwrap_err(), "BILL_NOT_EXIST", "seven in the morning");
    stand.advance("3h").await;
    let url = ask(&today).await.unwrap();
    assert_eq!(ask("2020-02-29").await.unwrap_err(), "NO_BILL_DATA");
    let forged = url.replace(&today, "2020-02-29");
    assert_eq!(stand.client.get(&forged).send().await.unwrap().status(), 403);
    assert_eq!(stand.client.get(&url).send().await.unwrap().status(), 200);
    stand.advance("31s").await;
    assert_eq!(stand.client.get(&url).send().await.unwrap().status(), 403);
    assert_eq!(ask(&today[..7]).await.is_ok(), today[..7] != day(stand.clock.now())[..7]);
    stand.advance("40d").await;
    assert!(ask(&today[..7]).await.is_ok());
}
