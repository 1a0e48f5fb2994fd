//! WeChat's half of the table of production's answers, and what becomes of an order that is not
//! paid, paid, or paid too late.

use crate::production_table::{assert_alike, cells};
use crate::stand::Stand;
use crate::wechat_v2::{self, place};
use serde_json::json;
use std::collections::BTreeMap;
use tongbao_types::{Fen, HttpRequest};
use tongbao_wechat::v2::{CloseOrder, OrderQuery, RefundOrder, RefundQuery, UnifiedOrder};
use tongbao_wechat::{Fields, RefundKey, SignType, TradeKey, V2Credentials};

const NONCE: &str = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS";
const NOWHERE: &str = "http://127.0.0.1:9/n";

struct Merchant<'a> {
    stand: &'a Stand,
    credentials: V2Credentials,
}

impl Merchant<'_> {
    /// An order of one fen in a state of the table.
    async fn order_in(&self, state: &str, number: &str) {
        if state == "unknown" {
            return;
        }
        let order =
            UnifiedOrder { total_fee: Fen(1), attach: None, ..wechat_v2::order(number, NOWHERE) };
        let code = place(self.stand, &self.credentials, &order).await.unwrap();
        match state {
            "paid" | "refunded" => drop(self.stand.pay(&code).await),
            "closed" => drop(self.call("wechat close", number).await),
            _ => {}
        }
        if state == "refunded" {
            self.call("wechat refund", number).await;
            self.stand.advance("1m").await;
        }
    }

    /// The answer to an operation; refunds are of everything, under the order's own number.
    async fn call(&self, operation: &str, number: &str) -> BTreeMap<String, String> {
        let (order, to) = (number.to_owned(), &self.credentials);
        let request: HttpRequest = match operation {
            "wechat query" => OrderQuery::by_out_trade_no(number).encode(to, NONCE),
            "wechat close" => CloseOrder { out_trade_no: order }.encode(to, NONCE),
            "wechat refund_query" => {
                RefundQuery { key: RefundKey::OutTradeNo(order), offset: None }.encode(to, NONCE)
            }
            _ => {
                let refund = RefundOrder {
                    key: TradeKey::OutTradeNo(order.clone()),
                    out_refund_no: order,
                    total_fee: Fen(1),
                    refund_fee: Fen(1),
                    refund_desc: None,
                    notify_url: None,
                    refund_account: None,
                    refund_fee_type: None,
                };
                refund.encode(to, NONCE)
            }
        };
        let response = self.stand.send(&request).await;
        let fields = Fields::parse(&response.body).unwrap();
        fields.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }
}

#[tokio::test]
async fn wechat_answers_each_operation_in_each_state_as_production_did() {
    let stand = Stand::start().await;
    let credentials = wechat_v2::merchant(&stand, SignType::Md5);
    let merchant = Merchant { stand: &stand, credentials };
    for (idx, cell) in cells("wechat").iter().enumerate() {
        let number = format!("2018082100{idx:04}");
        merchant.order_in(&cell.state, &number).await;
        assert_alike(cell, &merchant.call(&cell.operation, &number).await);
    }
}

#[tokio::test]
async fn a_refund_asked_for_again_is_the_same_refund() {
    let stand = Stand::start().await;
    let credentials = wechat_v2::merchant(&stand, SignType::Md5);
    let merchant = Merchant { stand: &stand, credentials };
    merchant.order_in("paid", "20180821665587").await;
    let first = merchant.call("wechat refund", "20180821665587").await;
    let again = merchant.call("wechat refund", "20180821665587").await;
    assert_eq!(first["refund_id"], again["refund_id"]);
    let trades = stand.list("trades").await;
    assert_eq!(trades[0]["refunded"], json!(1));
    assert_eq!(trades[0]["refunds"].as_array().map(Vec::len), Some(1));
}

/// Ordered and not paid; paid at once; scanned, and paid after the order was closed.
#[tokio::test]
async fn three_orders_at_wechat() {
    let stand = Stand::start().await;
    let credentials = wechat_v2::merchant(&stand, SignType::Md5);
    let merchant = Merchant { stand: &stand, credentials };
    merchant.order_in("unpaid", "20180821000001").await;
    let state = merchant.call("wechat query", "20180821000001").await;
    assert_eq!(state["trade_state"], "NOTPAY", "the order is there as soon as it has a code");
    merchant.order_in("paid", "20180821000002").await;
    let state = merchant.call("wechat query", "20180821000002").await;
    assert_eq!(state["trade_state"], "SUCCESS");

    let number = "20180821000003";
    merchant.order_in("unpaid", number).await;
    let act = async |outcome: &str| {
        let asked = json!({"provider": "wechat", "out_trade_no": number, "outcome": outcome});
        stand.control("pay", asked).await
    };
    assert_eq!(act("scanned").await.0, 200);
    merchant.call("wechat close", number).await;
    let (status, body) = act("success").await;
    assert_eq!((status, &body["code"]), (409, &json!("closed")));
    let state = merchant.call("wechat query", number).await;
    assert_eq!(state["trade_state"], "CLOSED");
}
