//! API v3: money that goes back, payments by the payer's code, bills, a sub-merchant.

use crate::stand::{Listener, Stand};
use crate::wechat_v3::{Shop, order};
use flate2::read::GzDecoder;
use serde_json::json;
use std::io::Read;
use tongbao_types::{Fen, HttpRequest, Secret};
use tongbao_wechat::v3::{
    self, BillLink, CodePayment, FundFlowBill, News, RefundNews, RefundOrder, RefundQuery,
    ReverseOrder, TradeBill,
};
use tongbao_wechat::{
    Answer, BillDate, BillPacking, BillType, FundAccount, Merchant, PlatformKeys, Refund,
    RefundState, Trade, TradeKey, WechatError,
};

const NOWHERE: &str = "http://127.0.0.1:9/n";
const NUMBER: &str = "T20261121001";

fn done<T>(answer: Answer<T>) -> Result<T, WechatError> {
    match answer {
        Answer::Done(value) => Ok(value),
        Answer::Refused(error) => Err(error),
    }
}

fn code_of<T: std::fmt::Debug>(answer: Result<T, WechatError>) -> String {
    answer.unwrap_err().code
}

impl Shop<'_> {
    pub(crate) async fn paid(&self, number: &str, total: i64) {
        let mut wanted = order(number, NOWHERE);
        wanted.total = Fen(total);
        let code = self.place(&wanted).await.unwrap();
        self.stand.pay(&code).await;
    }

    pub(crate) async fn refund(&self, refund: &RefundOrder) -> Result<Refund, WechatError> {
        let response = self.stand.send(&refund.encode(&self.merchant, self.stamp())).await;
        done(refund.decode_reply(&self.received(&response)).unwrap())
    }

    pub(crate) async fn refund_query(&self, number: &str) -> Result<Refund, WechatError> {
        let query = RefundQuery { out_refund_no: number.to_owned() };
        let response = self.stand.send(&query.encode(&self.merchant, self.stamp())).await;
        done(query.decode_reply(&self.received(&response)).unwrap())
    }

    pub(crate) async fn scan(
        &self,
        number: &str,
        code: &str,
        total: i64,
    ) -> Result<Trade, WechatError> {
        let mut payment = CodePayment::new(Secret::new(code.to_owned()), number, Fen(total));
        payment.description = "茶".to_owned();
        payment.scene_info.store_info.out_id = Some("1".to_owned());
        let response = self.stand.send(&payment.encode(&self.merchant, self.stamp())).await;
        done(payment.decode_reply(&self.merchant, &self.received(&response)).unwrap())
    }

    async fn reverse(&self, number: &str) -> Result<(), WechatError> {
        let reverse = ReverseOrder { out_trade_no: number.to_owned() };
        let response = self.stand.send(&reverse.encode(&self.merchant, self.stamp())).await;
        done(reverse.decode_reply(&self.merchant, &self.received(&response)).unwrap())
    }

    /// The text of a bill that a link leads to, verified.
    async fn file(&self, link: &BillLink) -> Result<String, WechatError> {
        let response = self.stand.send(&link.encode(&self.merchant, self.stamp())).await;
        let file = done(BillLink::decode_reply(&response).unwrap())?;
        let mut text = Vec::new();
        match file.packing {
            BillPacking::Plain => text.extend_from_slice(&file.body),
            BillPacking::Gzip => drop(GzDecoder::new(&file.body[..]).read_to_end(&mut text)),
        }
        let text = link.verify(text.into()).unwrap().into_value();
        Ok(String::from_utf8(text.to_vec()).unwrap())
    }

    /// Verifies a notification, which must be of a refund.
    fn refunded(&self, notice: &HttpRequest) -> RefundNews {
        match v3::receive(&self.merchant, &self.keys, notice, self.stand.now()).unwrap() {
            News::Refund(verified) => verified.into_value(),
            News::Payment(news) => panic!("{news:?} instead of a refund"),
        }
    }
}

pub(crate) fn refund_of(number: &str, refund: &str, amount: i64, total: i64) -> RefundOrder {
    RefundOrder {
        key: TradeKey::OutTradeNo(number.to_owned()),
        out_refund_no: refund.to_owned(),
        reason: None,
        notify_url: None,
        funds_account: None,
        refund: Fen(amount),
        total: Fen(total),
        from: None,
        goods_detail: None,
    }
}

#[tokio::test]
async fn a_refund_is_accepted_arrives_and_is_told_signed() {
    let stand = Stand::start().await;
    for (shop, number) in [
        (Shop::by_certificate(&stand), "T20261121001"),
        (Shop::by_public_key(&stand), "T20261121002"),
    ] {
        let mut listener = Listener::start(204, "").await;
        shop.paid(number, 1000).await;
        let out_refund_no = format!("{number}-1@a|*");
        let asked = RefundOrder {
            notify_url: Some(listener.url.clone()),
            ..refund_of(number, &out_refund_no, 400, 1000)
        };
        let accepted = shop.refund(&asked).await.unwrap();
        assert_eq!(accepted.state, RefundState::Processing);
        stand.advance("2s").await;
        let news = shop.refunded(&listener.next().await);
        assert_eq!(news.event_type, "REFUND.SUCCESS");
        assert_eq!((news.refund.refund_fen, news.refund.state), (Fen(400), RefundState::Success));
        let found = shop.refund_query(&out_refund_no).await.unwrap();
        assert_eq!((found.state, found.refund_id), (RefundState::Success, accepted.refund_id));
    }
}

#[tokio::test]
async fn the_news_of_a_payment_stays_what_it_was_after_a_refund() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(500, "").await;
    let code = shop.place(&order(NUMBER, &listener.url)).await.unwrap();
    stand.pay(&code).await;
    assert_eq!(shop.payment(&listener.next().await).trade.state.as_str(), "SUCCESS");
    stand.tried(1).await;
    shop.refund(&refund_of(NUMBER, "R1", 1200, 1200)).await.unwrap();
    stand.advance("15s").await;
    assert_eq!(shop.payment(&listener.next().await).trade.state.as_str(), "SUCCESS");
}

#[tokio::test]
async fn refunds_that_cannot_be_are_refused() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let refund = async |number, amount, total| {
        let refused = shop.refund(&refund_of(NUMBER, number, amount, total)).await;
        refused.map(|_| ()).map_err(|error| (error.code, error.message))
    };
    let no = |code: &str, message: &str| Err((code.to_owned(), message.to_owned()));
    assert_eq!(refund("R1", 1, 1000).await, no("RESOURCE_NOT_EXISTS", "订单不存在"));
    let code = shop.place(&order(NUMBER, NOWHERE)).await.unwrap();
    assert_eq!(refund("R1", 1, 1200).await, no("RESOURCE_NOT_EXISTS", "订单不存在"));
    stand.pay(&code).await;
    let differs = "您的请求参数与订单信息不一致";
    assert_eq!(refund("R1", 1, 1199).await, no("INVALID_REQUEST", differs));
    assert_eq!(refund("R1", 1200, 1200).await, Ok(()));
    assert_eq!(refund("R1", 1199, 1200).await, no("INVALID_REQUEST", differs));
    assert_eq!(refund("R2", 1, 1200).await, no("INVALID_REQUEST", "订单已全额退款"));
    assert_eq!(code_of(shop.refund_query("R2").await), "RESOURCE_NOT_EXISTS");
}

#[tokio::test]
async fn an_abnormal_refund_is_told_and_goes_another_way() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let mut listener = Listener::start(204, "").await;
    shop.paid(NUMBER, 100_000).await;
    let asked = RefundOrder {
        notify_url: Some(listener.url.clone()),
        ..refund_of(NUMBER, "R1", 77_727, 100_000)
    };
    let id = shop.refund(&asked).await.unwrap().refund_id;
    stand.advance("2s").await;
    assert_eq!(shop.refunded(&listener.next().await).event_type, "REFUND.ABNORMAL");
    let path = format!("/v3/refund/domestic/refunds/{id}/apply-abnormal-refund");
    let body = json!({"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"}).to_string();
    let signed = signed_post(&shop, &path, &body);
    assert_eq!(stand.send(&signed).await.status, 200);
    assert_eq!(stand.send(&signed).await.status, 400, "it is under way now");
    stand.advance("60s").await;
    assert_eq!(shop.refunded(&listener.next().await).event_type, "REFUND.SUCCESS");
}

/// A request that the protocol crate has no type for.
fn signed_post(shop: &Shop<'_>, path: &str, body: &str) -> HttpRequest {
    let (now, nonce) = (shop.stand.now().as_seconds(), "593BEC0C930BF1AFEB40B4A08C8FB242");
    let string = format!("POST\n{path}\n{now}\n{nonce}\n{body}\n");
    let signature = shop.merchant.merchant_key().sign_sha256(string.as_bytes());
    let (mchid, serial) = (&shop.merchant.merchant().mch_id, shop.merchant.merchant_serial());
    let authorization = format!(
        "WECHATPAY2-SHA256-RSA2048 mchid=\"{mchid}\",nonce_str=\"{nonce}\",\
         signature=\"{signature}\",timestamp=\"{now}\",serial_no=\"{serial}\""
    );
    HttpRequest {
        method: tongbao_types::Method::Post,
        target: path.to_owned(),
        headers: vec![
            ("Authorization".to_owned(), authorization),
            ("Content-Type".to_owned(), "application/json".to_owned()),
        ],
        body: body.to_owned().into(),
    }
}

#[tokio::test]
async fn a_scanned_code_pays_and_is_reversed() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let trade = shop.scan(NUMBER, "134567890123456789", 100).await.unwrap();
    assert_eq!(trade.paid.unwrap().trade_type.as_deref(), Some("MICROPAY"));
    shop.reverse(NUMBER).await.unwrap();
    let trades = stand.list("trades").await;
    assert_eq!((&trades[0]["state"], &trades[0]["refunded"]), (&json!("REVOKED"), &json!(100)));
    let waiting = shop.scan("T20261121002", "134567890123456780", 100_001).await.unwrap();
    assert_eq!(waiting.state.as_str(), "USERPAYING");
    assert_eq!(code_of(shop.reverse("T20261121002").await), "USERPAYING");
    stand.advance("15s").await;
    shop.reverse("T20261121002").await.unwrap();
    assert_eq!(code_of(shop.reverse("T20261121003").await), "ORDER_NOT_EXIST");
}

#[tokio::test]
async fn bills_are_had_by_an_address_that_is_good_for_five_minutes() {
    let stand = Stand::start().await;
    let shop = Shop::by_certificate(&stand);
    let date = BillDate::of(stand.clock.now());
    shop.paid(NUMBER, 1000).await;
    let trades = async |packing| {
        let asked = TradeBill { date, bill_type: BillType::All, packing };
        let response = stand.send(&asked.encode(&shop.merchant, shop.stamp())).await;
        done(asked.decode_reply(&shop.received(&response)).unwrap())
    };
    assert_eq!(code_of(trades(BillPacking::Plain).await), "NO_STATEMENT_EXIST");
    let ahead = date.start().as_seconds() + 33 * 3600 - stand.clock.now().as_seconds();
    stand.advance(&format!("{ahead}s")).await;
    assert_eq!(code_of(trades(BillPacking::Plain).await), "STATEMENT_CREATING");
    stand.advance("1h").await;
    let plain = trades(BillPacking::Plain).await.unwrap();
    let text = shop.file(&plain).await.unwrap();
    assert!(text.starts_with("\u{feff}交易时间,") && text.contains(NUMBER), "{text}");
    let packed = trades(BillPacking::Gzip).await.unwrap();
    assert_eq!(shop.file(&packed).await.unwrap(), text);

    let asked = FundFlowBill { date, account: FundAccount::Basic, packing: BillPacking::Plain };
    let response = stand.send(&asked.encode(&shop.merchant, shop.stamp())).await;
    let flow = done(asked.decode_reply(&shop.received(&response)).unwrap()).unwrap();
    assert!(shop.file(&flow).await.unwrap().contains("扣除交易手续费"));
    stand.advance("5m").await;
    assert_eq!(code_of(shop.file(&plain).await), "RESOURCE_NOT_EXISTS");
}

#[tokio::test]
async fn a_service_provider_orders_for_its_sub_merchant_alone() {
    let stand = Stand::start().await;
    let wechat = &stand.keys.wechat;
    let keys = || PlatformKeys::none().with_certificate(&wechat.platform_certificate).unwrap();
    let partner = |sub_mch_id: &str| {
        let whose = Merchant {
            sub_mch_id: Some(sub_mch_id.to_owned()),
            sub_app_id: Some(wechat.sub_app_id.clone()),
            ..Merchant::direct(&wechat.app_id, &wechat.mch_id)
        };
        Shop::of(&stand, keys(), whose)
    };
    let mut listener = Listener::start(204, "").await;
    let theirs = partner(&wechat.sub_mch_id);
    let code = theirs.place(&order(NUMBER, &listener.url)).await.unwrap();
    stand.pay(&code).await;
    assert_eq!(theirs.payment(&listener.next().await).trade.out_trade_no, NUMBER);
    theirs.refund(&refund_of(NUMBER, "R1", 1200, 1200)).await.unwrap();
    assert!(theirs.refund_query("R1").await.is_ok());

    let own = Shop::by_certificate(&stand);
    assert_eq!(code_of(own.refund_query("R1").await), "RESOURCE_NOT_EXISTS");
    let refused = own.refund(&refund_of(NUMBER, "R2", 1, 1200)).await;
    assert_eq!(code_of(refused), "RESOURCE_NOT_EXISTS");
    let stranger = partner("1600000000");
    assert_eq!(code_of(stranger.place(&order("T20261121002", NOWHERE)).await), "NO_AUTH");
}
