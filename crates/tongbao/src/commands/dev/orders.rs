//! The demo shop's desk: takes orders, remembers them, and believes no one but a signed webhook
//! that one was paid. `examples/shop/server.mjs` is the same in JavaScript.

use crate::commands::caller::{Caller, Refused};
use crate::commands::webhook;
use anyhow::Context;
use axum::http::{HeaderMap, StatusCode};
use lru::LruCache;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;
use tongbao_crypt::webhook::WebhookSecret;
use tongbao_engine::Clock;

const ORDERS_MAX: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not zero");
const CHANNELS: [&str; 3] = ["wechat.native", "alipay.qr", "alipay.page"];

/// A line of the menu, as far as the price is concerned.
#[derive(Debug, Deserialize)]
pub(super) struct Tea {
    pub(super) id: String,
    /// In fen.
    pub(super) amount: i64,
    name: Name,
}

#[derive(Debug, Deserialize)]
struct Name {
    zh: String,
    en: String,
}

/// What a browser asks for. The price comes from the menu, never from the page.
#[derive(Debug, Deserialize)]
struct Wish {
    tea: String,
    channel: String,
    language: Option<String>,
}

/// An order as its buyer's browser may see it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Order {
    id: String,
    tea: String,
    amount: i64,
    paid: bool,
    charge: ChargeHandle,
    wallet: String,
}

/// What lets a browser look at this one charge.
#[derive(Debug, Clone, Serialize)]
struct ChargeHandle {
    id: String,
    client_secret: String,
    cashier_url: String,
}

/// What goes wrong with a request, and what its caller is told.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    pub(super) words: String,
}

impl Trouble {
    fn new(status: StatusCode, words: impl Into<String>) -> Trouble {
        Trouble { status, words: words.into() }
    }

    pub(super) fn nothing_here() -> Trouble {
        Trouble::new(StatusCode::NOT_FOUND, "There is nothing at this address.")
    }

    fn no_such_order() -> Trouble {
        Trouble::new(StatusCode::NOT_FOUND, "There is no such order.")
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Trouble {
        tracing::warn!(error = %format!("{error:#}"), "the demo shop cannot do it");
        let told = error.downcast_ref::<Refused>().and_then(Refused::detail);
        let words = told.unwrap_or_else(|| "The gateway cannot be asked right now.".to_owned());
        Trouble::new(StatusCode::BAD_GATEWAY, words)
    }
}

/// What the shop knows of the world around it.
pub(super) struct Surroundings {
    /// The gateway's address.
    pub(super) gateway: String,
    /// The API key that the shop has.
    pub(super) key: String,
    /// The shop's own address.
    pub(super) own: String,
    /// The sandbox's address.
    pub(super) sandbox: String,
    /// Real time, for the age of webhooks.
    pub(super) clock: Arc<dyn Clock>,
}

/// The shop without its pages.
pub(super) struct Desk {
    caller: Caller,
    around: Surroundings,
    menu: Vec<Tea>,
    secret: OnceCell<WebhookSecret>,
    orders: Mutex<LruCache<String, Order>>,
}

impl Desk {
    pub(super) fn new(around: Surroundings, menu: Vec<Tea>) -> Desk {
        let caller = Caller::new(&around.gateway, Some(&around.key));
        let orders = Mutex::new(LruCache::new(ORDERS_MAX));
        Desk { caller, around, menu, secret: OnceCell::new(), orders }
    }

    /// The gateway's address, which the page must be allowed to ask.
    pub(super) fn gateway(&self) -> &str {
        &self.around.gateway
    }

    /// Takes an order: `{tea, channel, language}`.
    pub(super) async fn place(&self, body: &[u8]) -> Result<Order, Trouble> {
        let bad = |words: &str| Trouble::new(StatusCode::BAD_REQUEST, words);
        let wish: Wish = serde_json::from_slice(body)
            .map_err(|_| bad("Send JSON with a tea and a channel, both texts."))?;
        let tea = self.menu.iter().find(|tea| tea.id == wish.tea);
        let tea = tea.ok_or_else(|| bad("There is no such tea."))?;
        if !CHANNELS.contains(&wish.channel.as_str()) {
            return Err(bad("This shop cannot be paid that way."));
        }
        self.secret.get_or_try_init(|| self.subscribe()).await?;
        let number = format!("tea-{:016x}", rand::random::<u64>());
        let subject =
            if wish.language.as_deref() == Some("en") { &tea.name.en } else { &tea.name.zh };
        let asked = json!({
            "amount": tea.amount,
            "subject": subject,
            "order_no": number,
            "channel": wish.channel,
            "expires_in": "15m",
            "return_url": format!("{}/?order={number}", self.around.own),
            "metadata": {"tea": tea.id},
        });
        let charge = self.caller.post("/v1/charges", &asked).await?;
        let order = self.order(&charge)?;
        self.orders().put(order.id.clone(), order.clone());
        Ok(order)
    }

    /// From memory, else, after a restart, from what the gateway knows. That is not remembered: the
    /// webhook may have come in between.
    pub(super) async fn read(&self, number: &str) -> Result<Order, Trouble> {
        if !is_number(number) {
            return Err(Trouble::no_such_order());
        }
        if let Some(order) = self.orders().get(number) {
            return Ok(order.clone());
        }
        let found = self.caller.get(&format!("/v1/charges?order_no={number}")).await?;
        let charge = found["data"].get(0).ok_or_else(Trouble::no_such_order)?;
        Ok(self.order(charge)?)
    }

    /// The only word that makes an order paid.
    pub(super) async fn take_webhook(
        &self,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Trouble> {
        let refuse = |why: String| {
            tracing::warn!(why, "the demo shop does not believe a webhook");
            Trouble::new(StatusCode::UNAUTHORIZED, "This is not signed as it should be.")
        };
        // After a restart the new secret is too late for this one, but not for its repetition.
        let secret = self.secret.get_or_try_init(|| self.subscribe()).await?;
        let event = webhook::verified(secret, headers, body, self.around.clock.wall())
            .map_err(|error| refuse(error.to_string()))?;
        let number = event["data"]["object"]["order_no"].as_str().unwrap_or_default();
        if event["type"] == "charge.succeeded"
            && let Some(order) = self.orders().get_mut(number)
        {
            order.paid = true;
        }
        Ok(())
    }

    /// Asks to be told, at the first order and not before: who never looks at the shop finds no
    /// endpoint of it. That of an earlier start is used again, with a new secret.
    async fn subscribe(&self) -> anyhow::Result<WebhookSecret> {
        let url = format!("{}/webhooks", self.around.own);
        let known = self.caller.get("/v1/webhook_endpoints?limit=100").await?;
        let known = known["data"].as_array().and_then(|all| all.iter().find(|e| e["url"] == url));
        let endpoint = match known.and_then(|endpoint| endpoint["id"].as_str()) {
            Some(id) => {
                let target = format!("/v1/webhook_endpoints/{id}/rotate_secret");
                self.caller.post(&target, &json!({})).await?
            }
            None => {
                let events = ["charge.succeeded"];
                let asked = json!({"url": url, "events": events, "description": "the demo shop"});
                self.caller.post("/v1/webhook_endpoints", &asked).await?
            }
        };
        let secret = endpoint["secret"].as_str().context("the endpoint came without a secret")?;
        Ok(WebhookSecret::read(secret)?)
    }

    fn order(&self, charge: &Value) -> anyhow::Result<Order> {
        let text = |value: &Value, name: &str| {
            let text = value[name].as_str().map(str::to_owned);
            text.with_context(|| format!("the charge has no {name}"))
        };
        Ok(Order {
            id: text(charge, "order_no")?,
            tea: text(&charge["metadata"], "tea")?,
            amount: charge["amount"].as_i64().context("the charge has no amount")?,
            paid: charge["paid"] == true,
            charge: ChargeHandle {
                id: text(charge, "id")?,
                client_secret: text(charge, "client_secret")?,
                cashier_url: text(charge, "cashier_url")?,
            },
            wallet: format!("{}/", self.around.sandbox),
        })
    }

    fn orders(&self) -> std::sync::MutexGuard<'_, LruCache<String, Order>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is one of the shop's own numbers; only these are asked for at the gateway.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix("tea-").unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shops_own_numbers_are_looked_up() {
        assert!(is_number("tea-0123456789abcdef"));
        for wrong in
            ["", "tea-", "tea-0123456789ABCDEF", "tea-0123456789abcde&", "0123456789abcdef"]
        {
            assert!(!is_number(wrong), "{wrong}");
        }
    }
}
