//! What the tests about refunds, attempts and channels share: paid charges, refunds, trades.

use crate::world::{Answer, World, code, eventually, id, out_trade_no};
use serde_json::{Value, json};
use std::time::Duration;

/// An account of the app `dev`, and what is different from one to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) account: &'static str,
    /// A channel that anybody can pay with a code.
    pub(crate) channel: &'static str,
    pub(crate) provider: &'static str,
    /// How a fault names the call that refunds.
    pub(crate) refunding: &'static str,
}

pub(crate) const V3: At = At {
    account: "dev_wechat_v3",
    channel: "wechat.native",
    provider: "wechat",
    refunding: "/v3/refund/domestic/refunds",
};
pub(crate) const V2: At = At {
    account: "dev_wechat_v2",
    channel: "wechat.native",
    provider: "wechat",
    refunding: "/secapi/pay/refund",
};
pub(crate) const ALIPAY: At = At {
    account: "dev_alipay_open",
    channel: "alipay.qr",
    provider: "alipay",
    refunding: "alipay.trade.refund",
};

/// The accounts that can refund, one after another; stderr tells which one a test was at.
pub(crate) fn each_account() -> impl Iterator<Item = At> {
    [V3, V2, ALIPAY].into_iter().inspect(|at| eprintln!("at {}", at.account))
}

impl World {
    /// A charge that waits for its payer.
    pub(crate) async fn order_at(&self, at: At, amount: i64) -> Value {
        let fields = json!({"channel": at.channel, "account": at.account, "amount": amount});
        self.order_with(fields).await
    }

    /// A charge that is paid.
    pub(crate) async fn paid(&self, at: At, amount: i64) -> Value {
        let charge = self.order_at(at, amount).await;
        self.pay(&charge).await.expect(200);
        self.until(&charge, "succeeded").await
    }

    /// The payer scans the code and waits: from here on Alipay knows the order.
    pub(crate) async fn scan(&self, at: At, shown: &Value) {
        if at.provider == "alipay" {
            let scanned = json!({"code": code(shown), "outcome": "scanned"});
            self.control("pay", scanned).await.expect(200);
        }
    }

    /// Asks for a refund.
    pub(crate) async fn refund(&self, charge: &Value, fields: Value) -> Answer {
        self.try_refund(charge, fields, &[]).await.unwrap()
    }

    /// As [`World::refund`] with more headers, for when the gateway may be gone.
    pub(crate) async fn try_refund(
        &self,
        charge: &Value,
        fields: Value,
        headers: &[(&str, &str)],
    ) -> reqwest::Result<Answer> {
        let mut body = json!({"charge": id(charge)});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.try_call("POST", "/v1/refunds", Some(body), headers).await
    }

    pub(crate) async fn refund_now(&self, refund: &Value) -> Value {
        self.get(&format!("/v1/refunds/{}", id(refund))).await
    }

    /// Waits until a refund has a status, and returns it.
    pub(crate) async fn until_refund(&self, refund: &Value, status: &str) -> Value {
        eventually(&format!("{} becomes {status}", id(refund)), async || {
            let now = self.refund_now(refund).await;
            (now["status"] == status).then_some(now)
        })
        .await
    }

    /// Lets time pass, look by look, until a refund is done, and returns it.
    pub(crate) async fn until_back(&self, refund: &Value) -> Value {
        for _look in 0..12 {
            for _moment in 0..15 {
                let now = self.refund_now(refund).await;
                if now["status"] == "succeeded" {
                    return now;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            self.advance("6s").await;
        }
        self.until_refund(refund, "succeeded").await
    }

    /// The refunds of a charge, newest first.
    pub(crate) async fn refunds(&self, charge: &Value) -> Vec<Value> {
        let list = self.get(&format!("/v1/refunds?charge={}", id(charge))).await;
        list["data"].as_array().unwrap().clone()
    }

    /// What the sandbox has under a number of ours.
    pub(crate) async fn trade(&self, number: &str) -> Value {
        let found = self.shown("trades").await.into_iter().find(|t| t["out_trade_no"] == number);
        found.unwrap_or_else(|| panic!("the sandbox has no {number}"))
    }

    /// The refunds that the sandbox has of a charge with one attempt.
    pub(crate) async fn sent_back(&self, charge: &Value) -> Vec<Value> {
        let trade = self.trade(out_trade_no(charge)).await;
        trade["refunds"].as_array().unwrap().clone()
    }

    /// Waits until a charge has had an event.
    pub(crate) async fn until_event(&self, charge: &Value, kind: &str) {
        let told = async || self.events(charge).await.iter().any(|one| one == kind).then_some(());
        eventually(&format!("{kind} of {}", id(charge)), told).await;
    }

    /// How many events of a kind a charge had.
    pub(crate) async fn count(&self, charge: &Value, kind: &str) -> usize {
        self.events(charge).await.iter().filter(|one| *one == kind).count()
    }

    pub(crate) async fn fault(&self, fault: Value) {
        self.control("faults", fault).await.expect(200);
    }
}
