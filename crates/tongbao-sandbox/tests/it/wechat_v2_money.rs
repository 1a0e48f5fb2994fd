//! API v2: money that goes back, payments by the payer's code, bills, a sub-merchant, rehearsals.

use crate::stand::{Listener, Stand};
use crate::wechat_v2::{RECEIPT, merchant, order, place};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use std::io::Read;
use tongbao_types::{Fen, HttpResponse, Secret};
use tongbao_wechat::v2::{
    self, CloseOrder, DownloadBill, DownloadFundFlow, Micropay, OrderQuery, Recall, RefundOrder,
    RefundPage, RefundQuery, ReverseOrder, SandboxKey, UnifiedOrder,
};
use tongbao_wechat::{
    Answer, BillDate, BillFile, BillPacking, BillReader, BillType, FundAccount, FundColumns,
    Merchant, Prepaid, Refund, RefundKey, RefundState, SignType, Trade, TradeColumns, TradeKey,
    TradeKind, TradeType, V2Credentials, WechatError,
};

const NONCE: &str = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";
const NOWHERE: &str = "http://127.0.0.1:9/n";
const NUMBER: &str = "T20261121001";

/// A merchant at a sandbox.
struct Shop<'a> {
    stand: &'a Stand,
    to: V2Credentials,
}

fn done<T>(answer: Answer<T>) -> Result<T, WechatError> {
    match answer {
        Answer::Done(value) => Ok(value),
        Answer::Refused(error) => Err(error),
    }
}

impl<'a> Shop<'a> {
    fn new(stand: &'a Stand, sign_type: SignType) -> Shop<'a> {
        Shop { stand, to: merchant(stand, sign_type) }
    }

    async fn paid(&self, number: &str, total: i64) {
        let order = UnifiedOrder { total_fee: Fen(total), ..order(number, NOWHERE) };
        let code = place(self.stand, &self.to, &order).await.unwrap();
        self.stand.pay(&code).await;
    }

    async fn refund(&self, refund: &RefundOrder) -> Result<Refund, WechatError> {
        let response = self.stand.send(&refund.encode(&self.to, NONCE)).await;
        done(refund.decode_reply(&self.to, &response).unwrap())
    }

    async fn refunds(&self, key: RefundKey) -> Result<RefundPage, WechatError> {
        let query = RefundQuery { key, offset: None };
        let response = self.stand.send(&query.encode(&self.to, NONCE)).await;
        done(query.decode_reply(&self.to, &response).unwrap())
    }

    async fn query(&self, number: &str) -> Result<Trade, WechatError> {
        let query = OrderQuery::by_out_trade_no(number);
        let response = self.stand.send(&query.encode(&self.to, NONCE)).await;
        done(query.decode_reply(&self.to, &response).unwrap())
    }

    async fn scan(&self, number: &str, code: &str, total: i64) -> Result<Trade, WechatError> {
        let mut payment = Micropay::new(Secret::new(code.to_owned()), number, Fen(total));
        payment.body = "茶".to_owned();
        payment.spbill_create_ip = "127.0.0.1".to_owned();
        let response = self.stand.send(&payment.encode(&self.to, NONCE)).await;
        done(payment.decode_reply(&self.to, &response).unwrap())
    }

    async fn reverse(&self, number: &str) -> Result<Recall, WechatError> {
        let reverse = ReverseOrder::by_out_trade_no(number);
        let response = self.stand.send(&reverse.encode(&self.to, NONCE)).await;
        done(reverse.decode_reply(&self.to, &response).unwrap())
    }

    async fn bill(&self, date: BillDate, bill_type: BillType) -> Result<BillFile, WechatError> {
        let asked = DownloadBill { date, bill_type, packing: BillPacking::Gzip };
        let response = self.stand.send(&asked.encode(&self.to, NONCE)).await;
        done(DownloadBill::decode_reply(&response).unwrap())
    }
}

fn refund_of(number: &str, refund: &str, amount: i64, total: i64) -> RefundOrder {
    RefundOrder {
        key: TradeKey::OutTradeNo(number.to_owned()),
        out_refund_no: refund.to_owned(),
        total_fee: Fen(total),
        refund_fee: Fen(amount),
        refund_desc: None,
        notify_url: None,
        refund_account: None,
        refund_fee_type: None,
    }
}

fn code_of<T: std::fmt::Debug>(answer: Result<T, WechatError>) -> String {
    answer.unwrap_err().code
}

#[tokio::test]
async fn a_refund_is_accepted_arrives_and_is_told_encrypted() {
    let stand = Stand::start().await;
    let shop = Shop::new(&stand, SignType::HmacSha256);
    let mut listener = Listener::start(200, RECEIPT).await;
    shop.paid(NUMBER, 1000).await;
    let asked = RefundOrder {
        notify_url: Some(listener.url.clone()),
        ..refund_of(NUMBER, "R1", 400, 1000)
    };
    let accepted = shop.refund(&asked).await.unwrap();
    assert_eq!(accepted.state, RefundState::Processing);
    assert_eq!(shop.query(NUMBER).await.unwrap().state.as_str(), "REFUND");

    stand.advance("2s").await;
    let notice = listener.next().await;
    assert!(v2::is_refund_notice(&notice));
    let news = v2::read_refund_notice(&shop.to, &notice).unwrap();
    assert_eq!((news.refund_status.as_str(), news.state()), ("SUCCESS", RefundState::Success));
    assert_eq!(news.out_refund_no.as_deref(), Some("R1"));
    let found = shop.refunds(RefundKey::OutRefundNo("R1".to_owned())).await.unwrap().refunds;
    assert_eq!(found[0].state, RefundState::Success);
    assert_eq!(found[0].refund_id, accepted.refund_id);
    assert!(found[0].success_time.is_some());
    let kinds: Vec<Value> =
        stand.list("notifications").await.iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["payment", "refund"]);
}

#[tokio::test]
async fn refunds_that_cannot_be_are_refused_in_productions_words() {
    let stand = Stand::start().await;
    let shop = Shop::new(&stand, SignType::Md5);
    shop.paid(NUMBER, 1000).await;
    let refund = async |number, amount, total| {
        let refused = shop.refund(&refund_of(NUMBER, number, amount, total)).await;
        refused.map(|_| ()).map_err(|error| (error.code, error.message))
    };
    let no = |code: &str, message: &str| Err((code.to_owned(), message.to_owned()));
    assert_eq!(refund("R1", 1001, 1000).await, no("FAIL", "invalid refund_fee"));
    let differs = "订单金额或退款金额与之前请求不一致，请核实后再试";
    assert_eq!(refund("R1", 1, 999).await, no("REFUND_FEE_MISMATCH", differs));
    assert_eq!(refund("R1", 600, 1000).await, Ok(()));
    assert_eq!(refund("R1", 601, 1000).await, no("REFUND_FEE_MISMATCH", differs));
    let over = no("INVALID_REQUEST", "refund_fee大于可退金额");
    assert_eq!(refund("R2", 401, 1000).await, over);
    assert_eq!(refund("R2", 400, 1000).await, Ok(()));
    assert_eq!(refund("R3", 1, 1000).await, no("ERROR", "订单已全额退款"));
    let page = shop.refunds(RefundKey::OutTradeNo(NUMBER.to_owned())).await.unwrap();
    assert_eq!(page.refunds.len(), 2);

    shop.paid("T20261121002", 10).await;
    stand.advance("366d").await;
    let late = shop.refund(&refund_of("T20261121002", "R9", 10, 10)).await;
    assert_eq!(code_of(late), "TRADE_OVERDUE");
}

#[tokio::test]
async fn a_scanned_code_pays_at_once_and_is_reversed() {
    let stand = Stand::start().await;
    let shop = Shop::new(&stand, SignType::Md5);
    let trade = shop.scan(NUMBER, "134567890123456789", 100).await.unwrap();
    assert_eq!(trade.paid.unwrap().trade_type.as_deref(), Some("MICROPAY"));
    assert_eq!(code_of(shop.scan(NUMBER, "134567890123456789", 100).await), "ORDERPAID");
    let used = shop.scan("T20261121002", "134567890123456789", 100).await;
    assert_eq!(code_of(used), "AUTH_CODE_INVALID");
    let close = CloseOrder { out_trade_no: NUMBER.to_owned() };
    let response = stand.send(&close.encode(&shop.to, NONCE)).await;
    assert!(matches!(close.decode_reply(&shop.to, &response).unwrap(), Answer::Refused(_)));

    assert_eq!(shop.reverse(NUMBER).await.unwrap(), Recall::Done);
    assert_eq!(shop.query(NUMBER).await.unwrap().state.as_str(), "REVOKED");
    assert_eq!(code_of(shop.scan(NUMBER, "134567890123456789", 100).await), "ORDERREVERSED");
    assert_eq!(shop.reverse("T20261121099").await.unwrap(), Recall::Done, "nothing is there");
    shop.paid("T20261121003", 100).await;
    assert_eq!(code_of(shop.reverse("T20261121003").await), "TRADE_ERROR");
}

#[tokio::test]
async fn a_payer_at_the_password_is_waited_for() {
    let stand = Stand::start().await;
    let shop = Shop::new(&stand, SignType::Md5);
    let refused = shop.scan(NUMBER, "134567890123456789", 100_001).await.unwrap_err();
    assert!(refused.is_user_paying());
    assert_eq!(shop.query(NUMBER).await.unwrap().state.as_str(), "USERPAYING");
    assert_eq!(code_of(shop.reverse(NUMBER).await), "USERPAYING");
    let act = async |outcome: &str| {
        let asked = json!({"provider": "wechat", "out_trade_no": NUMBER, "outcome": outcome});
        stand.control("pay", asked).await.0
    };
    assert_eq!(act("success").await, 200);
    assert_eq!(shop.query(NUMBER).await.unwrap().state.as_str(), "SUCCESS");
    assert!(stand.list("notifications").await.is_empty());

    shop.scan("T20261121002", "134567890123456780", 100_001).await.unwrap_err();
    stand.advance("15s").await;
    assert_eq!(shop.reverse("T20261121002").await.unwrap(), Recall::Done);
}

#[tokio::test]
async fn bills_are_made_of_the_days_trades() {
    let stand = Stand::start().await;
    let shop = Shop::new(&stand, SignType::Md5);
    let today = BillDate::of(stand.clock.now());
    shop.paid("T20261121001", 1000).await;
    shop.paid("T20261121002", 77_721).await;
    shop.paid("T20261121003", 77_722).await;
    shop.scan("T20261121004", "134567890123456789", 50).await.unwrap();
    shop.reverse("T20261121004").await.unwrap();
    shop.refund(&refund_of("T20261121001", "R1", 400, 1000)).await.unwrap();
    place(&stand, &shop.to, &order("T20261121005", NOWHERE)).await.unwrap();
    assert_eq!(code_of(shop.bill(today, BillType::All).await), "20002");
    to_tomorrow(&stand, today, 9).await;
    assert!(shop.bill(today, BillType::All).await.unwrap_err().is_bill_creating());
    stand.advance("1h").await;

    let file = shop.bill(today, BillType::All).await.unwrap();
    assert_eq!(file.packing, BillPacking::Gzip);
    let mut text = String::new();
    GzDecoder::new(&file.body[..]).read_to_string(&mut text).unwrap();
    let mut reader = BillReader::new(text.as_bytes()).unwrap();
    let columns = TradeColumns::find(reader.lines()).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        let line = columns.read(&row).unwrap();
        let refund = line.refund.map(|refund| refund.requested.0);
        rows.push((
            line.out_trade_no.to_owned(),
            line.kind == TradeKind::Payment,
            line.total.0,
            refund,
        ));
    }
    rows.sort();
    let row = |number: &str, payment, total, refund| (number.to_owned(), payment, total, refund);
    // The second order's payment is left out and the third's is a fen too much: their amounts ask
    // for it.
    let wanted = [
        row("T20261121001", false, 0, Some(400)),
        row("T20261121001", true, 1000, None),
        row("T20261121003", true, 77_723, None),
        row("T20261121004", false, 0, Some(50)),
        row("T20261121004", true, 50, None),
    ];
    assert_eq!(rows, wanted);
    let again = shop.bill(today, BillType::All).await.unwrap();
    assert_eq!(again.body, file.body, "a bill does not change");
    let refunds = shop.bill(today, BillType::Refund).await.unwrap();
    assert_ne!(refunds.body, file.body);
    stand.advance("93d").await;
    assert!(shop.bill(today, BillType::All).await.unwrap_err().is_no_bill());
}

/// Moves the clock to this hour in China of the day after.
async fn to_tomorrow(stand: &Stand, today: BillDate, hour: i64) {
    let wanted = today.start().as_seconds() + (24 + hour) * 3600;
    let ahead = wanted - stand.clock.now().as_seconds();
    stand.advance(&format!("{ahead}s")).await;
}

#[tokio::test]
async fn the_fund_flow_adds_up() {
    let stand = Stand::start().await;
    let shop = Shop::new(&stand, SignType::Md5);
    let date = BillDate::of(stand.clock.now());
    shop.paid(NUMBER, 1000).await;
    shop.refund(&refund_of(NUMBER, "R1", 400, 1000)).await.unwrap();
    to_tomorrow(&stand, date, 10).await;
    let flow = async |account| -> Result<(BillFile, HttpResponse), WechatError> {
        let asked = DownloadFundFlow { date, account, packing: BillPacking::Plain };
        let response = stand.send(&asked.encode(&shop.to, NONCE)).await;
        Ok((done(DownloadFundFlow::decode_reply(&response).unwrap())?, response))
    };
    let (file, response) = flow(FundAccount::Basic).await.unwrap();
    let digest = tongbao_crypt::digest::sha1_hex(&file.body);
    assert_eq!(response.header("digest"), Some(format!("SHA={digest}").as_str()));
    let mut reader = BillReader::new(&file.body[..]).unwrap();
    let columns = FundColumns::find(reader.lines()).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = reader.next_row().unwrap() {
        let line = columns.read(&row).unwrap();
        rows.push((line.kind.to_owned(), line.amount.0, line.balance.0));
    }
    let row = |kind: &str, amount, balance| (kind.to_owned(), amount, balance);
    let wanted = [
        row("交易", 1000, 1000),
        row("扣除交易手续费", 6, 994),
        row("退款", 400, 594),
        row("退还交易手续费", 2, 596),
    ];
    assert_eq!(rows, wanted);
    assert_eq!(code_of(flow(FundAccount::Fees).await), "NO_BILL_EXIST");
}

#[tokio::test]
async fn a_sub_merchants_orders_are_not_the_merchants_own() {
    let stand = Stand::start().await;
    let wechat = &stand.keys.wechat;
    let key = || Secret::new(wechat.api_key.clone());
    let partner = |sub_mch_id: &str| {
        let merchant = Merchant {
            sub_mch_id: Some(sub_mch_id.to_owned()),
            sub_app_id: Some(wechat.sub_app_id.clone()),
            ..Merchant::direct(&wechat.app_id, &wechat.mch_id)
        };
        V2Credentials::new(merchant, key(), SignType::Md5).unwrap()
    };
    let listener = &mut Listener::start(200, RECEIPT).await;
    let theirs = Shop { stand: &stand, to: partner(&wechat.sub_mch_id) };
    let code = place(&stand, &theirs.to, &order(NUMBER, &listener.url)).await.unwrap();
    stand.pay(&code).await;
    v2::receive(&theirs.to, &listener.next().await).unwrap();
    assert_eq!(theirs.query(NUMBER).await.unwrap().state.as_str(), "SUCCESS");
    theirs.refund(&refund_of(NUMBER, "R1", 101, 101)).await.unwrap();

    let own = Shop::new(&stand, SignType::Md5);
    assert_eq!(code_of(own.query(NUMBER).await), "ORDERNOTEXIST");
    assert_eq!(code_of(own.refund(&refund_of(NUMBER, "R2", 1, 101)).await), "ORDERNOTEXIST");
    assert!(own.refunds(RefundKey::OutRefundNo("R1".to_owned())).await.is_err());
    let stranger = partner("1600000000");
    let error = place(&stand, &stranger, &order("T20261121002", NOWHERE)).await.unwrap_err();
    assert_eq!(error.message, "商户号mch_id或sub_mch_id不存在");
}

#[tokio::test]
async fn rehearsals_have_a_key_of_their_own_and_pay_themselves() {
    let stand = Stand::start().await;
    let real = merchant(&stand, SignType::Md5);
    let mut listener = Listener::start(200, RECEIPT).await;
    let response = stand.send(&SandboxKey::encode(&real, NONCE)).await;
    let key = done(SandboxKey::decode_reply(&real, &response).unwrap()).unwrap();
    let rehearsal = V2Credentials::new(real.merchant().clone(), key, SignType::Md5).unwrap();
    let rehearse = async |to: &V2Credentials| {
        let order = order(NUMBER, &listener.url);
        let mut request = order.encode(to, NONCE);
        request.target = v2::sandbox_path(&request.target);
        order.decode_reply(to, &stand.send(&request).await).unwrap()
    };
    assert!(matches!(rehearse(&real).await, Answer::Refused(_)), "the real key is not taken");
    assert!(matches!(rehearse(&rehearsal).await, Answer::Done(Prepaid::CodeUrl { .. })));
    stand.advance("1s").await;
    v2::receive(&rehearsal, &listener.next().await).unwrap();

    let other =
        V2Credentials::new(real.merchant().clone(), Secret::new("0".repeat(32)), SignType::Md5);
    let response = stand.send(&SandboxKey::encode(&other.unwrap(), NONCE)).await;
    assert!(matches!(SandboxKey::decode_reply(&real, &response).unwrap(), Answer::Refused(_)));
}

#[tokio::test]
async fn every_form_of_a_code_leads_to_its_order() {
    let stand = Stand::start().await;
    let to = merchant(&stand, SignType::Md5);
    let prepaid = async |number: &str, trade_type| {
        let order = UnifiedOrder {
            trade_type,
            openid: Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o".to_owned()),
            scene_info: Some(r#"{"h5_info":{"type":"Wap"}}"#.to_owned()),
            ..order(number, NOWHERE)
        };
        let response = stand.send(&order.encode(&to, NONCE)).await;
        done(order.decode_reply(&to, &response).unwrap()).unwrap()
    };
    let Prepaid::PrepayId(jsapi) = prepaid("T20261121001", TradeType::Jsapi).await else {
        panic!("no prepay_id")
    };
    let Prepaid::PrepayId(app) = prepaid("T20261121002", TradeType::App).await else {
        panic!("no prepay_id")
    };
    let Prepaid::H5Url { h5_url, .. } = prepaid("T20261121003", TradeType::Mweb).await else {
        panic!("no h5_url")
    };
    assert!(h5_url.starts_with(&format!("{}/cgi-bin/", stand.base)), "{h5_url}");
    let Prepaid::CodeUrl { prepay_id, .. } = prepaid("T20261121004", TradeType::Native).await
    else {
        panic!("no code_url")
    };
    let with_return = tongbao_wechat::h5_redirect(&h5_url, "https://shop.example.com/done?n=1");
    let codes = [format!("prepay_id={jsapi}"), app, with_return, prepay_id.unwrap()];
    for (idx, code) in codes.iter().enumerate() {
        let played = stand.pay(code).await;
        assert_eq!(played["out_trade_no"], json!(format!("T2026112100{}", idx + 1)));
    }
    let shop = Shop::new(&stand, SignType::Md5);
    let paid = shop.query("T20261121001").await.unwrap().paid.unwrap();
    assert_eq!(paid.openid.as_deref(), Some("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"), "whom it named");
}
