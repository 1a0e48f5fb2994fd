//! The document's table of outcomes through the profile's own routes.

use super::Old;
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;

#[path = "../../../../../tongbao-sandbox/tests/it/production_table.rs"]
mod production_table;

use production_table::{assert_alike, cells};

impl Old<'_> {
    async fn order_in(&self, provider: &str, state: &str) -> String {
        match state {
            "paid" => self.paid(provider).await,
            "unpaid" => self.unpaid(provider).await,
            "closed" => {
                let number = self.unpaid(provider).await;
                self.call(&format!("{provider} close"), &number).await.expect(200);
                self.until(&number, "closed").await;
                number
            }
            "refunded" => {
                let number = self.paid(provider).await;
                self.call(&format!("{provider} refund"), &number).await.expect(200);
                self.0.advance("1m").await;
                super::until_refunded(self.0, &self.charge(&number).await).await;
                number
            }
            _ => "20180821386906123".to_owned(),
        }
    }
}

fn members(body: &Value) -> BTreeMap<String, String> {
    let members = body.as_object().unwrap_or_else(|| panic!("no object: {body}")).iter();
    members.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// Twenty cells: the same codes, the same set of fields, the same names of states; and whatever
/// was shown, no money moved but where the table says so.
async fn check(provider: &str) {
    let world = World::start().await;
    let old = Old(&world);
    for cell in cells(provider) {
        let number = old.order_in(provider, &cell.state).await;
        let answer = members(&old.call(&cell.operation, &number).await.expect(200));
        assert_alike(&cell, &answer);
        if let Some(named) = answer.get("out_trade_no") {
            assert_eq!(*named, number, "{} {}", cell.operation, cell.state);
        }
        let is_back = cell.state == "refunded"
            || (cell.state == "paid" && cell.operation.ends_with(" refund"));
        let back = super::sent_back(&world, &number).await;
        assert_eq!(back.len(), usize::from(is_back), "{} {}", cell.operation, cell.state);
        if cell.state != "unknown" {
            let charge = old.charge(&number).await;
            let refunds = world.refunds(&charge).await;
            assert_eq!(refunds.len(), back.len(), "each refund there is written here");
            assert!(refunds.iter().all(|refund| refund["refund_no"] == *number));
        }
    }
    world.advance("1m").await;
    world.finish().await;
}

#[tokio::test]
async fn wechats_twenty_cells() {
    check("wechat").await;
}

#[tokio::test]
async fn alipays_twenty_cells() {
    check("alipay").await;
}
