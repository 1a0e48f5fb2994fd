//! What the routes are asked about: objects of the app `dev` in both modes, which the requests
//! name, and what makes each request one that succeeds.

use super::caller::Ask;
use super::document::Operation;
use crate::compat::lost_notice;
use crate::merchant::Merchant;
use crate::world::{World, eventually, id};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tongbao_types::{Span, Timestamp};

/// Texts of the merchant's own, which no payer may read.
pub(super) const PRIVATE: [&str; 2] = ["matrix-metadata-7141", "matrix-attach-7141"];

/// The objects.
pub(super) struct Fixtures {
    /// Of the test mode: an id for each operation that takes one.
    ids: BTreeMap<&'static str, String>,
    /// Of the live mode: an id for each beginning of a path.
    live: BTreeMap<&'static str, String>,
    /// Client secrets by charge.
    secrets: BTreeMap<String, String>,
    paid: String,
    pub(super) event: String,
    pub(super) day: String,
    notices: BTreeMap<&'static str, Ask>,
    returned: String,
    /// Listens as long as the fixtures are there.
    _merchant: Merchant,
}

const CHARGES: &str = "/v1/charges";
const EVENTS: &str = "/v1/events";
const ENDPOINTS: &str = "/v1/webhook_endpoints";
const DELIVERIES: &str = "/v1/deliveries";
const REFUNDS: &str = "/v1/refunds";

impl Fixtures {
    pub(super) async fn make(world: &World) -> Fixtures {
        let day = billed_day(world).await;
        let merchant = Merchant::open(world, &["charge.created"]).await;
        let mut made = Making { world, ids: BTreeMap::new(), secrets: BTreeMap::new() };
        let paid = made.charges().await;
        let live = made.live().await;
        let refund = json!({"charge": paid, "amount": 1});
        let refund = world.post(REFUNDS, refund).await.expect(201);
        eventually("the refund is done", async || {
            let now = world.get(&format!("{REFUNDS}/{}", id(&refund))).await;
            (now["status"] == "succeeded").then_some(())
        })
        .await;
        made.ids.insert("readRefund", id(&refund).to_owned());
        made.endpoints(&merchant).await;
        let (event, _) = made.events().await;
        let (notices, returned) = made.notices().await;
        let Making { ids, secrets, .. } = made;
        Fixtures { ids, live, secrets, paid, event, day, notices, returned, _merchant: merchant }
    }

    /// The request of an operation that its app's test key is enough for.
    pub(super) fn good(&self, operation: &Operation) -> Ask {
        let id = self.ids.get(operation.id.as_str()).cloned();
        self.about(operation, id)
    }

    /// The same request about an object of the live mode, if it names an object.
    pub(super) fn live(&self, operation: &Operation) -> Option<(Ask, String)> {
        let (_, id) = self.live.iter().find(|(path, _)| self.names(operation, path))?;
        Some((self.about(operation, Some(id.clone())), id.clone()))
    }

    fn names(&self, operation: &Operation, path: &str) -> bool {
        operation.path.starts_with(path) && operation.path.contains("{id}")
    }

    /// The object that a good request names, in its path or its body.
    pub(super) fn object(&self, operation: &Operation) -> Option<String> {
        let in_body = (operation.id == "createRefund").then(|| self.paid.clone());
        self.ids.get(operation.id.as_str()).cloned().or(in_body)
    }

    /// A request like this one about an object that never was.
    pub(super) fn nobodys(ask: &Ask, object: &str) -> (Ask, String) {
        // Of the same moment, so that it stands at the same place in lists.
        let random = object.len() - 8..object.len() - 7;
        let other = if object[random.clone()] == *"0" { "1" } else { "0" };
        let mut nobodys = object.to_owned();
        nobodys.replace_range(random, other);
        let mut ask = ask.clone();
        ask.target = ask.target.replace(object, &nobodys);
        ask.body = ask
            .body
            .map(|body| String::from_utf8(body).unwrap().replace(object, &nobodys).into_bytes());
        (ask, nobodys)
    }

    /// The client secret of the charge that a request is about.
    pub(super) fn secret(&self, operation: &Operation) -> &str {
        &self.secrets[&self.ids[operation.id.as_str()]]
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &String> {
        self.secrets.values()
    }

    /// For parameters of lists: each with the id of an object of this app.
    pub(super) fn filters(&self, operation: &Operation) -> Vec<(&'static str, String)> {
        let newest = match operation.id.as_str() {
            "listCharges" => "readCharge",
            "listRefunds" => "readRefund",
            "listEvents" => "readEvent",
            "listWebhookEndpoints" => "readWebhookEndpoint",
            "listDeliveries" => "readDelivery",
            other => panic!("{other}: say in filters which object of that list there is"),
        };
        let all = [
            ("charge", self.ids["readCharge"].clone()),
            ("endpoint", self.ids["readWebhookEndpoint"].clone()),
            ("event", self.event.clone()),
            ("starting_after", self.ids[newest].clone()),
            ("ending_before", self.ids[newest].clone()),
        ];
        all.into_iter().filter(|(name, _)| operation.has_parameter(name)).collect()
    }

    fn about(&self, operation: &Operation, id: Option<String>) -> Ask {
        if let Some(notice) = self.notices.get(operation.id.as_str()) {
            return notice.clone();
        }
        let mut target = operation.path.clone();
        if target.contains("{id}") {
            let id = id.unwrap_or_else(|| panic!("{}: no object for it", operation.id));
            target = target.replace("{id}", &id);
        }
        let target = match operation.id.as_str() {
            "alipayReturns" => self.returned.clone(),
            "readBill" => format!("/v1/bills/wechat/{}?account=dev_wechat_v3", self.day),
            _ => target,
        };
        assert!(!target.contains('{'), "{}: say in about what goes into {target}", operation.id);
        let ask = operation.ask(target);
        match operation.example() {
            None => ask,
            Some((media, mut example)) if media == "application/json" => {
                if operation.id == "createRefund" {
                    example["charge"] = json!(self.paid);
                }
                ask.json(&example)
            }
            Some((media, _)) => ask.body(&media, "channel=alipay.page"),
        }
    }
}

/// A day of China that is over and of which WeChat Pay and Alipay have bills.
async fn billed_day(world: &World) -> String {
    for (account, channel) in [
        ("dev_wechat_v3", "wechat.native"),
        ("dev_wechat_v2", "wechat.native"),
        ("dev_alipay_open", "alipay.qr"),
    ] {
        let order = json!({"channel": channel, "account": account});
        let charge = world.order_with(order).await;
        world.pay(&charge).await.expect(200);
        world.until(&charge, "succeeded").await;
    }
    let clock = world.fetch(&format!("{}/_sandbox/clock", world.sandbox())).await.expect(200);
    let now: Timestamp = clock["now"].as_str().unwrap().parse().unwrap();
    world.advance("36h").await;
    (now + Span::from_seconds(8 * 3600)).to_string()[..10].to_owned()
}

struct Making<'a> {
    world: &'a World,
    ids: BTreeMap<&'static str, String>,
    secrets: BTreeMap<String, String>,
}

/// Operations on charges, and through which channel the charge is that they are about.
const ON_CHARGES: [(&str, Option<&str>); 13] = [
    ("readCharge", Some("wechat.native")),
    ("closeCharge", Some("wechat.native")),
    ("syncCharge", Some("wechat.native")),
    ("createAttempt", None),
    ("chargeQrSvg", Some("wechat.native")),
    ("chargeQrPng", Some("wechat.native")),
    ("watchCharge", Some("wechat.native")),
    ("cashier", Some("wechat.native")),
    ("cashierEvents", Some("wechat.native")),
    ("cashierStatus", Some("wechat.native")),
    ("cashierGo", Some("alipay.page")),
    ("cashierChoose", None),
    ("cashierQrPng", Some("wechat.native")),
];

impl Making<'_> {
    async fn charge(&mut self, channel: Option<&str>) -> Value {
        let mut order = json!({"metadata": {"note": PRIVATE[0]}, "attach": PRIVATE[1]});
        if let Some(channel) = channel {
            order["channel"] = json!(channel);
        }
        let charge = self.world.order_with(order).await;
        let secret = charge["client_secret"].as_str().unwrap().to_owned();
        self.secrets.insert(id(&charge).to_owned(), secret);
        charge
    }

    /// A charge for each operation on one, and one that is paid, whose id is returned.
    async fn charges(&mut self) -> String {
        for (operation, channel) in ON_CHARGES {
            let charge = self.charge(channel).await;
            self.ids.insert(operation, id(&charge).to_owned());
        }
        let paid = self.charge(Some("wechat.native")).await;
        self.world.pay(&paid).await.expect(200);
        self.world.until(&paid, "succeeded").await;
        id(&paid).to_owned()
    }

    async fn endpoints(&mut self, merchant: &Merchant) {
        for operation in [
            "readWebhookEndpoint",
            "updateWebhookEndpoint",
            "deleteWebhookEndpoint",
            "rotateWebhookSecret",
        ] {
            let url = merchant.endpoint["url"].as_str().unwrap();
            let body = json!({"url": url, "events": ["charge.failed"]});
            let endpoint = self.world.post(ENDPOINTS, body).await.expect(201);
            self.ids.insert(operation, id(&endpoint).to_owned());
        }
    }

    /// Two deliveries that are done, and an event.
    async fn events(&mut self) -> (String, String) {
        let deliveries = eventually("every delivery is done", async || {
            let list = self.world.get(&format!("{DELIVERIES}?limit=100")).await;
            let all = list["data"].as_array().unwrap().clone();
            let is_done = |one: &Value| one["status"] == "succeeded";
            (all.len() > ON_CHARGES.len() && all.iter().all(is_done)).then_some(all)
        })
        .await;
        self.ids.insert("readDelivery", id(&deliveries[0]).to_owned());
        self.ids.insert("resendDelivery", id(&deliveries[1]).to_owned());
        let event = deliveries[0]["event"].as_str().unwrap().to_owned();
        self.ids.insert("readEvent", event.clone());
        (event, id(&deliveries[0]).to_owned())
    }

    /// The app has no live account, so its live charges wait for a channel.
    async fn live(&mut self) -> BTreeMap<&'static str, String> {
        let authorization = format!("Bearer {}", self.world.key("live_secret_key"));
        let headers = [("authorization", authorization.as_str())];
        let call = async |method: &str, path: &str, body: Option<Value>| {
            self.world.try_call(method, path, body, &headers).await.unwrap()
        };
        let endpoint = json!({"url": "https://shop.example/hooks", "enabled": true});
        let endpoint = call("POST", ENDPOINTS, Some(endpoint)).await.expect(201);
        let charge = json!({"amount": 1, "subject": "live"});
        let charge = call("POST", CHARGES, Some(charge)).await.expect(201);
        let first = async |path: &str| {
            eventually(&format!("{path} has one"), async || {
                let list = call("GET", path, None).await.expect(200);
                list["data"][0]["id"].as_str().map(str::to_owned)
            })
            .await
        };
        BTreeMap::from([
            (CHARGES, id(&charge).to_owned()),
            (EVENTS, first(EVENTS).await),
            (ENDPOINTS, id(&endpoint).to_owned()),
            (DELIVERIES, first(DELIVERIES).await),
        ])
    }

    /// A genuine notification for each address of a provider, each lost on its way here, and the
    /// way back of a payer.
    async fn notices(&mut self) -> (BTreeMap<&'static str, Ask>, String) {
        let ways = [
            ("wechatNotifies", "/notify/wechat/dev_wechat_v3", "wechat.native"),
            ("alipayNotifies", "/notify/alipay/dev_alipay_open", "alipay.qr"),
        ];
        let mut all = BTreeMap::new();
        for (operation, target, channel) in ways {
            let charge = self.charge(Some(channel)).await;
            let (headers, body) = lost_notice(self.world, &charge).await;
            let mut ask = Ask::new("POST", target);
            ask.headers = headers;
            ask.body = Some(body.into_bytes());
            all.insert(operation, ask);
        }
        let page = self.charge(Some("alipay.page")).await;
        let played = self.world.pay(&page).await.expect(200);
        let returned = played["return_url"].as_str().unwrap();
        let returned = returned.strip_prefix(self.world.gateway()).unwrap().to_owned();
        // They stay lost until somebody clears the faults.
        (all, returned)
    }
}
