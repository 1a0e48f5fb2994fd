//! The profile auth-pay, as the callers of that service use it.

mod callbacks;
mod callers;
mod money;
mod ordering;
mod table;

use crate::world::{Answer, World, eventually};
use serde_json::{Value, json};

/// A caller of the old service: without a key, from a network that the configuration names.
struct Old<'a>(&'a World);

impl Old<'_> {
    async fn post(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type".to_owned(), "application/json".to_owned())];
        let url = format!("{}{path}", self.0.gateway());
        self.0.raw(&url, &headers, body.to_string()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.0.fetch(&format!("{}{path}", self.0.gateway())).await
    }

    /// A code of one fen.
    async fn code(&self) -> Value {
        let body = json!({"totalFee": "1", "body": "茶"});
        let order = self.post("/auth/pay/wx2.0/", body).await.expect(200);
        assert!(order["code_url"].is_string(), "{order}");
        order
    }

    /// The address of Alipay's cashier for one fen, and the order's number.
    async fn page(&self) -> (String, String) {
        let path = "/auth/alipay/pay2.0?totalAmount=0.01&subject=%E8%8C%B6&body=%E7%BB%BF%E8%8C%B6";
        let answer = self.get(path).await;
        assert_eq!(answer.status, 302, "{}", answer.body);
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        let newest = self.0.get("/v1/charges?limit=1").await;
        (location, newest["data"][0]["order_no"].as_str().unwrap().to_owned())
    }

    /// The payer of an order comes, and this is what comes of it.
    async fn payer(&self, code: &str, outcome: &str) {
        let act = json!({"code": code, "outcome": outcome});
        self.0.control("pay", act).await.expect(200);
    }

    /// An operation on an order of one fen, by the names that the table has.
    async fn call(&self, operation: &str, number: &str) -> Answer {
        let path = match operation {
            "wechat query" => "/auth/wxpay/orderquery2.0/",
            "wechat close" => "/auth/wxpay/closeorder2.0/",
            "wechat refund" => "/auth/wxpay/refund2.0/",
            "wechat refund_query" => "/auth/wxpay/refundquery2.0/",
            "alipay query" => "/auth/alipay/query2.0/",
            "alipay close" => "/auth/alipay/close2.0/",
            "alipay refund" => "/auth/alipay/refund2.0/",
            "alipay refund_query" => "/auth/alipay/refundquery2.0/",
            _ => panic!("{operation}"),
        };
        let body = match operation {
            "wechat refund" => json!({"outTradeNo": number, "totalFee": "1"}),
            "alipay refund" => {
                json!({"outTradeNo": number, "refundAmount": "0.01", "refundReason": "坏了"})
            }
            _ => json!({"outTradeNo": number}),
        };
        self.post(path, body).await
    }

    /// The charge of a number that the profile gave out.
    async fn charge(&self, number: &str) -> Value {
        let found = self.0.get(&format!("/v1/charges?order_no={number}")).await;
        found["data"][0].clone()
    }

    async fn until(&self, number: &str, status: &str) -> Value {
        let charge = self.charge(number).await;
        self.0.until(&charge, status).await
    }

    /// An order that is paid, and known to be.
    async fn paid(&self, provider: &str) -> String {
        let number = match provider {
            "wechat" => {
                let order = self.code().await;
                self.payer(order["code_url"].as_str().unwrap(), "success").await;
                order["out_trade_no"].as_str().unwrap().to_owned()
            }
            _ => {
                let (page, number) = self.page().await;
                self.payer(&page, "success").await;
                number
            }
        };
        self.until(&number, "succeeded").await;
        number
    }

    /// An order that nobody has paid; Alipay knows it, since its buyer has come.
    async fn unpaid(&self, provider: &str) -> String {
        if provider == "wechat" {
            return self.code().await["out_trade_no"].as_str().unwrap().to_owned();
        }
        let (page, number) = self.page().await;
        self.payer(&page, "scanned").await;
        number
    }

    /// What the sandbox was asked in this operation about an order.
    async fn asked(&self, number: &str, operation: &str) -> usize {
        let requests = self.0.requests(&self.charge(number).await).await;
        requests.iter().filter(|one| one["operation"] == operation).count()
    }
}

/// What the provider gave back of an order.
async fn sent_back(world: &World, number: &str) -> Vec<Value> {
    let trades = world.shown("trades").await;
    let trade = trades.iter().find(|trade| trade["out_trade_no"] == number);
    trade.map_or(Vec::new(), |trade| trade["refunds"].as_array().unwrap().clone())
}

/// A charge's refunds, once the last one has an end.
async fn until_refunded(world: &World, charge: &Value) -> Vec<Value> {
    eventually("the refund has an end", async || {
        let refunds = world.refunds(charge).await;
        let pending = refunds.iter().any(|refund| refund["status"] == "pending");
        (!pending && !refunds.is_empty()).then_some(refunds)
    })
    .await
}
