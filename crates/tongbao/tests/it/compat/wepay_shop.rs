//! A shop that uses wepay: the merchants of a `config.json`, at a provider sandbox that speaks TLS
//! and asks for the merchant's certificate; and the shop's own address, where payments are told.

use crate::provider::ProviderSandbox;
use crate::world::{Answer, World, eventually, free_address, fresh_folder};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Where wepay stands among the profiles of `tongbao dev`.
const PROFILE: &str = "compat.1";

/// What a payer is in WeChat.
pub(crate) const OPENID: &str = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";

/// Everything until the test ends.
pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) sandbox: ProviderSandbox,
    /// The sandbox's credentials at WeChat.
    pub(crate) merchant: Value,
    pub(crate) told: Receiver,
    folder: PathBuf,
}

/// Which merchants a shop has.
pub(crate) struct Merchants<'a> {
    pub(crate) envs: &'a [&'a str],
    pub(crate) with_certificate: bool,
}

/// H5, WXAPP and APP of one merchant number, with its certificate.
pub(crate) const ALL: Merchants<'_> =
    Merchants { envs: &["H5", "WXAPP", "APP"], with_certificate: true };

impl Shop {
    pub(crate) async fn open(merchants: Merchants<'_>, set: &[&str]) -> Shop {
        let folder = fresh_folder("wepay");
        let sandbox = ProviderSandbox::over_tls(&folder).await;
        let merchant = sandbox.get("/_sandbox/credentials").await["wechat"].clone();
        let told = Receiver::open().await;
        let gateway = free_address();
        let config = folder.join("config.json");
        let list = config_json(&merchants, &merchant, &gateway, &told.url);
        std::fs::write(&config, list.to_string()).unwrap();
        write_certificate(&folder, &merchant);
        let key = |name: &str, value: &str| format!("{PROFILE}.{name}={value}");
        let mut all = vec![
            format!("server.listen={gateway}"),
            key("config", &config.display().to_string()),
            key("endpoint", &sandbox.base),
            key("endpoint_ca_file", sandbox.root.as_deref().unwrap()),
            "polling.delay=10m".to_owned(),
            "polling.backoff=fixed".to_owned(),
        ];
        all.extend(set.iter().map(|text| (*text).to_owned()));
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let world = World::with(&all).await;
        Shop { world, sandbox, merchant, told, folder }
    }

    pub(crate) async fn finish(self) {
        self.world.finish().await;
        drop(self.sandbox);
        std::fs::remove_dir_all(self.folder).unwrap();
    }

    /// A call of the profile, as the older callers make it: without any credentials.
    pub(crate) async fn ask(&self, route: &str, body: &Value) -> Value {
        self.ask_with(route, &[], body).await.expect(200)
    }

    pub(crate) async fn ask_with(
        &self,
        route: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let json = [("content-type", "application/json")];
        let headers = json.iter().chain(headers);
        let headers: Vec<(String, String)> =
            headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.world.raw(&self.url(route), &headers, body.to_string()).await
    }

    pub(crate) fn url(&self, route: &str) -> String {
        format!("{}/apis/v1/wepay/{route}", self.world.gateway())
    }

    /// An order of 12 yuan; what the payer's side gets.
    pub(crate) async fn order(&self, id: &str, env: &str) -> Value {
        let answer = self.ask("get_pay_request_params", &order(id, env)).await;
        assert_eq!(answer["errcode"], 0, "{answer}");
        answer["result"].clone()
    }

    /// The payer pays the order of this number at WeChat.
    pub(crate) async fn pay(&self, out_trade_no: &str) {
        let order = json!({"provider": "wechat", "out_trade_no": out_trade_no});
        self.sandbox.control("pay", order).await;
    }

    /// The charge of an order, as `/v1` shows it.
    pub(crate) async fn charge(&self, id: &str) -> Value {
        let list = self.world.get(&format!("/v1/charges?order_no={id}")).await;
        list["data"][0].clone()
    }

    /// The order at the provider.
    pub(crate) async fn trade(&self, out_trade_no: &str) -> Value {
        let trades = self.sandbox.get("/_sandbox/trades").await;
        let trades = trades["data"].as_array().unwrap();
        let found = trades.iter().find(|trade| trade["out_trade_no"] == out_trade_no);
        found.unwrap_or_else(|| panic!("no order {out_trade_no}")).clone()
    }

    pub(crate) async fn refund(&self, number: &str, id: &str, fee: i64) -> Value {
        let body = json!({
            "out_refund_no": number, "out_trade_no": id, "total_fee": 1200, "refund_fee": fee,
        });
        self.ask("refund", &body).await
    }
}

/// The document's own example.
pub(crate) fn order(id: &str, env: &str) -> Value {
    json!({
        "id": id, "fee": 1200, "env": env, "openid": OPENID,
        "body": "商品描述:袜子1件+衣服2件",
        "detail": "商品详情:2019赛季球衣 蓝色 L 高领 2件; 球袜 红色 小 1件",
        "attach": "附加数据:福州路店",
    })
}

fn config_json(merchants: &Merchants<'_>, keys: &Value, gateway: &str, told: &str) -> Value {
    let one = |env: &&str| {
        let mut one = json!({
            "env": env,
            "type": "普通商户",
            "appId": keys["app_id"],
            "mchId": keys["mch_id"],
            "notifyUrl": format!("http://{gateway}/apis/v1/wepay/pay_notify"),
            "partnerKey": keys["api_key"],
            "_payUrl": "http://m.example.com/eshop",
            "cbNotifyUrl": format!("{told}/{env}"),
        });
        if merchants.with_certificate {
            one["pfx"] = json!("apiclient_cert.p12");
            one["passphrase"] = keys["p12_passphrase"].clone();
        }
        one
    };
    merchants.envs.iter().map(one).collect()
}

pub(crate) fn write_certificate(folder: &Path, keys: &Value) {
    let p12 = BASE64.decode(keys["p12_base64"].as_str().unwrap().as_bytes()).unwrap();
    std::fs::write(folder.join("apiclient_cert.p12"), p12).unwrap();
}

/// The shop's own service: keeps what it is told, and answers as it shall.
pub(crate) struct Receiver {
    pub(crate) url: String,
    desk: Arc<Desk>,
}

/// What came to a path.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) body: Value,
}

#[derive(Default)]
struct Desk {
    told: Mutex<Vec<Told>>,
    /// Answers before the usual 200.
    answers: Mutex<VecDeque<u16>>,
}

impl Receiver {
    pub(crate) async fn open() -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/pay_notify", listener.local_addr().unwrap());
        let desk = Arc::new(Desk::default());
        let router = Router::new().route("/pay_notify/{env}", post(take));
        let router = router.with_state(Arc::clone(&desk));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Receiver { url, desk }
    }

    pub(crate) fn will_answer(&self, statuses: &[u16]) {
        self.desk.answers.lock().unwrap().extend(statuses);
    }

    /// What was told of an order.
    pub(crate) fn about(&self, id: &str) -> Vec<Told> {
        let all = self.desk.told.lock().unwrap();
        all.iter().filter(|told| told.body["out_trade_no"] == id).cloned().collect()
    }

    /// Waits until an order was told so often.
    pub(crate) async fn until(&self, id: &str, count: usize) -> Vec<Told> {
        eventually(&format!("{id} is told {count} times"), async || {
            let about = self.about(id);
            (about.len() >= count).then_some(about)
        })
        .await
    }
}

async fn take(
    State(desk): State<Arc<Desk>>,
    axum::extract::Path(path): axum::extract::Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let content_type = headers["content-type"].to_str().unwrap().to_owned();
    let body = serde_json::from_slice(&body).unwrap();
    desk.told.lock().unwrap().push(Told { path, content_type, body });
    let status = desk.answers.lock().unwrap().pop_front().unwrap_or(200);
    StatusCode::from_u16(status).unwrap()
}
