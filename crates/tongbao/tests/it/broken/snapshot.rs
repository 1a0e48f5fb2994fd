//! Everything that the gateway, the provider and the merchant say at one moment.

use super::client::Client;
use crate::merchant::{Merchant, Webhook};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Lists as they were read, and ways to find something in them.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) charges: Vec<Value>,
    pub(crate) refunds: Vec<Value>,
    /// Oldest first.
    pub(crate) events: Vec<Value>,
    /// Deliveries that are still to be made.
    pub(crate) pending: Vec<Value>,
    pub(crate) trades: Vec<Value>,
    pub(crate) notices: Vec<Value>,
    pub(crate) webhooks: Vec<Webhook>,
}

impl Snapshot {
    /// Reads everything. The provider comes first: what it knows must be known here then.
    pub(crate) async fn read(client: &Client, merchant: &Merchant) -> Snapshot {
        Snapshot {
            trades: client.shown("trades").await,
            notices: client.shown("notifications").await,
            charges: client.all("/v1/charges?").await,
            refunds: client.all("/v1/refunds?").await,
            events: client.all("/v1/events?").await,
            pending: client.all("/v1/deliveries?status=pending").await,
            webhooks: merchant.received(),
        }
    }

    /// Charges by the number of each of their orders at the provider.
    pub(crate) fn by_order(&self) -> HashMap<&str, &Value> {
        let attempts = |charge: &'_ Value| charge["attempts"].as_array().unwrap().len();
        let mut found = HashMap::new();
        for charge in &self.charges {
            for idx in 0..attempts(charge) {
                found.insert(text(&charge["attempts"][idx], "out_trade_no"), charge);
            }
        }
        found
    }

    /// Events of each charge, oldest first.
    pub(crate) fn by_charge(&self) -> BTreeMap<&str, Vec<&Value>> {
        let mut found: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for event in self.events.iter().filter(|event| event["sequence"].is_i64()) {
            let object = &event["data"]["object"];
            let of = if object["charge"].is_string() { "charge" } else { "id" };
            found.entry(text(object, of)).or_default().push(event);
        }
        found.values_mut().for_each(|of| of.sort_by_key(|event| event["sequence"].as_i64()));
        found
    }
}

/// A text that every such object has.
#[track_caller]
pub(crate) fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}"))
}
