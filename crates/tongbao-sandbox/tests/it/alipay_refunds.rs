//! Refunds of OpenAPI 2.0: parts, repeats, the limits, what is told and notified.

use crate::alipay::{call, merchant, precreate};
use crate::stand::{Listener, Stand};
use serde_json::json;
use tongbao_alipay::open::refund::{Refund, RefundReply};
use tongbao_alipay::open::refund_query::{
    RefundFound, RefundQuery, RefundQueryReply, RefundStatus,
};
use tongbao_alipay::open::{TradeRef, notify};
use tongbao_alipay::{Answer, Credentials, TradeStatus};
use tongbao_types::{Amount, Fen, OutTradeNo};

struct Shop<'a> {
    stand: &'a Stand,
    merchant: Credentials,
}

fn by(number: &str) -> TradeRef {
    TradeRef::Out(OutTradeNo::new(number).unwrap())
}

impl Shop<'_> {
    fn at(stand: &Stand) -> Shop<'_> {
        Shop { stand, merchant: merchant(stand) }
    }

    /// A paid trade of 88.88.
    async fn paid(&self, number: &str, notify_url: Option<&str>) {
        let qr = precreate(self.stand, &self.merchant, number, notify_url).await.unwrap();
        self.stand.pay(&qr).await;
    }

    async fn refund(
        &self,
        number: &str,
        fen: i64,
        request_no: Option<&str>,
    ) -> Result<RefundReply, String> {
        let asked = Refund {
            trade: by(number),
            refund_amount: Amount::new(Fen(fen)).unwrap(),
            out_request_no: request_no.map(str::to_owned),
            refund_reason: Some("不要了".to_owned()),
            with_detail: true,
        };
        let context = call(self.stand, None);
        let response = self.stand.send(&asked.encode(&self.merchant, &context)).await;
        match asked.decode(&self.merchant, &response).unwrap() {
            Answer::Done(reply) => Ok(reply),
            Answer::Refused(error) => Err(error.sub_code),
        }
    }

    async fn ask(&self, number: &str, request_no: &str) -> RefundQueryReply {
        let out_request_no = request_no.to_owned();
        let asked = RefundQuery { trade: by(number), out_request_no, with_detail: true };
        let context = call(self.stand, None);
        let response = self.stand.send(&asked.encode(&self.merchant, &context)).await;
        match asked.decode(&self.merchant, &response).unwrap() {
            Answer::Done(reply) => reply,
            Answer::Refused(error) => panic!("{error}"),
        }
    }

    async fn found(&self, number: &str, request_no: &str) -> RefundFound {
        match self.ask(number, request_no).await {
            RefundQueryReply::Found(found) => found,
            RefundQueryReply::NothingKnown => panic!("no refund {request_no}"),
        }
    }
}

#[tokio::test]
async fn parts_add_up_and_a_repeat_moves_nothing() {
    let stand = Stand::start().await;
    let shop = Shop::at(&stand);
    shop.paid("T1", None).await;
    let first = shop.refund("T1", 3000, Some("R1")).await.unwrap();
    assert_eq!((first.has_fund_change, first.refund_fee), (true, Fen(3000)));
    assert_eq!(first.send_back_fee, Some(Fen(3000)));
    let second = shop.refund("T1", 1000, Some("R2")).await.unwrap();
    assert_eq!((second.has_fund_change, second.refund_fee), (true, Fen(4000)));
    stand.advance("1h").await;
    let repeat = shop.refund("T1", 3000, Some("R1")).await.unwrap();
    assert_eq!((repeat.has_fund_change, repeat.refund_fee), (false, Fen(4000)));
    assert_eq!(repeat.gmt_refund_pay, first.gmt_refund_pay);

    let found = shop.found("T1", "R2").await;
    assert_eq!((found.refund_amount, found.total_amount), (Some(Fen(1000)), Some(Fen(8888))));
    assert_eq!(found.refund_status, Some(RefundStatus::Success));
    assert!(found.gmt_refund_pay.is_some() && found.send_back_fee == Some(Fen(1000)));
    assert_eq!(shop.ask("T1", "R3").await, RefundQueryReply::NothingKnown);
}

#[tokio::test]
async fn what_cannot_be_refunded_is_refused_by_its_reason() {
    let stand = Stand::start().await;
    let shop = Shop::at(&stand);
    shop.paid("T1", None).await;
    let check = async |fen, number: Option<&str>, wanted: &str| {
        let refused = shop.refund("T1", fen, number).await.unwrap_err();
        assert_eq!(refused, wanted, "{fen} {number:?}");
    };
    check(1000, None, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL").await;
    check(8889, None, "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL").await;
    check(8889, Some("R1"), "ACQ.REASON_TRADE_REFUND_FEE_ERR").await;
    shop.refund("T1", 8000, Some("R1")).await.unwrap();
    check(889, Some("R2"), "ACQ.REASON_TRADE_REFUND_FEE_ERR").await;
    check(7999, Some("R1"), "ACQ.DISCORDANT_REPEAT_REQUEST").await;
    shop.refund("T1", 888, Some("R2")).await.unwrap();
    check(1, Some("R3"), "ACQ.TRADE_HAS_CLOSE").await;
    assert!(!shop.refund("T1", 888, Some("R2")).await.unwrap().has_fund_change);

    precreate(&stand, &shop.merchant, "Tfresh", None).await.unwrap();
    let fresh = shop.refund("Tfresh", 8888, None).await.unwrap_err();
    assert_eq!(fresh, "ACQ.TRADE_NOT_EXIST", "nobody has scanned it yet");
    shop.paid("Told", None).await;
    stand.advance("366d").await;
    assert_eq!(shop.refund("Told", 1, Some("R1")).await.unwrap_err(), "ACQ.TRADE_HAS_FINISHED");
}

#[tokio::test]
async fn a_part_is_notified_as_success_again_and_the_rest_as_closed() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let shop = Shop::at(&stand);
    shop.paid("T1", Some(&listener.url)).await;
    let paid = notify::verify(&shop.merchant, &listener.next().await).unwrap();
    assert!(!paid.is_about_refund());
    shop.refund("T1", 3000, Some("R1")).await.unwrap();
    let part = notify::verify(&shop.merchant, &listener.next().await).unwrap();
    assert_eq!(part.trade_status, TradeStatus::TradeSuccess);
    assert_eq!((part.refund_fee, part.out_biz_no.as_deref()), (Some(Fen(3000)), Some("R1")));
    assert!(part.gmt_refund.is_some() && part.gmt_close.is_none());
    shop.refund("T1", 3000, Some("R1")).await.unwrap();
    shop.refund("T1", 5888, Some("R2")).await.unwrap();
    let rest = notify::verify(&shop.merchant, &listener.next().await).unwrap();
    assert_eq!(rest.trade_status, TradeStatus::TradeClosed);
    assert_eq!((rest.refund_fee, rest.out_biz_no.as_deref()), (Some(Fen(8888)), Some("R2")));
    assert!(rest.gmt_refund.is_some() && rest.gmt_close.is_some());
    assert_ne!(part.notify_id, rest.notify_id);
    assert!(!listener.has_more());
}

#[tokio::test]
async fn switches_keep_notifications_of_refunds_back() {
    let stand = Stand::start().await;
    let mut listener = Listener::start(200, "success").await;
    let shop = Shop::at(&stand);
    stand.control("rules", json!({"alipay_notify_refund": false})).await;
    shop.paid("T1", Some(&listener.url)).await;
    listener.next().await;
    shop.refund("T1", 3000, Some("R1")).await.unwrap();
    shop.refund("T1", 5888, Some("R2")).await.unwrap();
    let only = notify::verify(&shop.merchant, &listener.next().await).unwrap();
    assert_eq!(only.out_biz_no.as_deref(), Some("R2"));
    assert_eq!(stand.list("notifications").await.len(), 2);
}

#[tokio::test]
async fn amounts_make_a_refund_slow_fail_or_unknown() {
    let stand = Stand::start().await;
    let shop = Shop::at(&stand);
    let order = tongbao_alipay::open::precreate::Precreate {
        order: tongbao_alipay::open::Order {
            total_amount: Amount::new(Fen(1_000_000)).unwrap(),
            ..crate::alipay::order("T1", "FACE_TO_FACE_PAYMENT")
        },
    };
    let response = stand.send(&order.encode(&shop.merchant, &call(&stand, None))).await;
    let Ok(Answer::Done(reply)) = order.decode(&shop.merchant, &response) else { panic!() };
    stand.pay(&reply.qr_code).await;

    let slow = shop.refund("T1", 77_728, Some("slow")).await.unwrap();
    assert!(!slow.has_fund_change && slow.gmt_refund_pay.is_none());
    let found = shop.found("T1", "slow").await;
    assert_eq!(found.refund_status, Some(RefundStatus::Processing));
    stand.advance("61m").await;
    let found = shop.found("T1", "slow").await;
    assert_eq!(found.refund_status, Some(RefundStatus::Success));

    assert!(!shop.refund("T1", 77_729, Some("closed")).await.unwrap().has_fund_change);
    assert_eq!(shop.found("T1", "closed").await.refund_status, Some(RefundStatus::Fail));
    let poor = shop.refund("T1", 77_732, Some("poor")).await.unwrap_err();
    assert_eq!(poor, "ACQ.SELLER_BALANCE_NOT_ENOUGH");
    let done = shop.refund("T1", 77_730, Some("done")).await.unwrap_err();
    assert_eq!(done, "ACQ.SYSTEM_ERROR");
    assert_eq!(shop.found("T1", "done").await.refund_status, Some(RefundStatus::Success));
    let repeat = shop.refund("T1", 77_730, Some("done")).await.unwrap();
    assert!(!repeat.has_fund_change, "the first call had its effect");
    let undone = shop.refund("T1", 77_731, Some("undone")).await.unwrap_err();
    assert_eq!(undone, "ACQ.SYSTEM_ERROR");
    assert_eq!(shop.ask("T1", "undone").await, RefundQueryReply::NothingKnown);
}

#[tokio::test]
async fn a_paid_trade_is_cancelled_within_a_day_and_its_money_goes_back() {
    use tongbao_alipay::open::cancel::{Cancel, CancelAction};
    let stand = Stand::start().await;
    let shop = Shop::at(&stand);
    let cancel = async |number: &str| {
        let asked = Cancel { trade: by(number) };
        let response = stand.send(&asked.encode(&shop.merchant, &call(&stand, None))).await;
        match asked.decode(&shop.merchant, &response).unwrap() {
            Answer::Done(reply) => Ok(reply.action),
            Answer::Refused(error) => Err(error.sub_code),
        }
    };
    shop.paid("T1", None).await;
    assert_eq!(cancel("T1").await, Ok(Some(CancelAction::Refund)));
    assert_eq!(stand.list("trades").await[0]["refunded"], json!(8888));
    shop.paid("T2", None).await;
    stand.advance("25h").await;
    assert_eq!(cancel("T2").await, Err("ACQ.TRADE_CANCEL_TIME_OUT".to_owned()));
}
