//! Addresses inside the operator's network: refused when a merchant saves them, and never called,
//! also when they stand in the database behind the gateway's back.

use crate::egress_forms::forms;
use crate::world::{Answer, World, eventually};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const ENDPOINTS: &str = "/v1/webhook_endpoints";
/// What nobody could have against, and nobody answers at: the name is reserved (RFC 6761).
const OUTSIDE: &str = "http://shop.invalid/hook";

/// A port on every address of this machine; whoever comes is counted and told that all is well.
struct Door {
    port: u16,
    n_came: Arc<AtomicUsize>,
}

impl Door {
    async fn open() -> Door {
        let listener = TcpListener::bind("[::]:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let n_came = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&n_came);
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _read = stream.read(&mut [0; 65_536]).await;
                    let fine = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nSUCCESS";
                    let _answered = stream.write_all(fine).await;
                });
            }
        });
        Door { port, n_came }
    }

    fn n_came(&self) -> usize {
        self.n_came.load(Ordering::SeqCst)
    }
}

/// A call with the live key.
async fn live(world: &World, method: &str, path: &str, body: Value) -> Answer {
    let authorization = format!("Bearer {}", world.key("live_secret_key"));
    let body = (method != "GET").then_some(body);
    world.try_call(method, path, body, &[("authorization", &authorization)]).await.unwrap()
}

#[track_caller]
fn refused(answer: &Answer, form: &str) {
    assert_eq!(answer.status, 400, "{form:?}: {}", answer.body);
    let code = answer.body["code"].as_str().or(answer.body["error"]["code"].as_str());
    let known = ["url_forbidden", "invalid_parameter"];
    assert!(code.is_some_and(|code| known.contains(&code)), "{form:?}: {}", answer.body);
}

/// Writes into the gateway's database beside it.
async fn write(world: &World, sql: &'static str, values: &[&str]) -> u64 {
    let mut connection = SqliteConnection::connect(&world.key("database")).await.unwrap();
    let query = values.iter().fold(sqlx::query(sql), |query, value| query.bind(*value));
    let done = query.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    done.rows_affected()
}

/// Endpoints at addresses that nobody could have against, which change behind the gateway's back.
struct Planted {
    urls: Vec<String>,
}

impl Planted {
    async fn make(world: &World, count: usize) -> Planted {
        let urls: Vec<String> = (0..count).map(|n| format!("{OUTSIDE}/{n}")).collect();
        for url in &urls {
            listen(world, url).await.expect(201);
        }
        Planted { urls }
    }

    /// Puts these in the place of as many of the addresses.
    async fn plant(&mut self, world: &World, forms: &[String]) {
        for (url, form) in self.urls.iter_mut().zip(forms) {
            let sql = "update endpoints set url = ?1 where url = ?2";
            assert_eq!(write(world, sql, &[form, url]).await, 1, "{form:?}");
            url.clone_from(form);
        }
    }
}

async fn listen(world: &World, url: &str) -> Answer {
    live(world, "POST", ENDPOINTS, json!({"url": url, "events": ["charge.created"]})).await
}

/// Something happens that all endpoints are told of; the deliveries once each was tried.
async fn happen(world: &World, count: usize) -> Vec<Value> {
    let body = json!({"amount": 1200, "subject": "Tea"});
    let charge = live(world, "POST", "/v1/charges", body).await.expect(201);
    let path = format!("/v1/events?charge={}", charge["id"].as_str().unwrap());
    let events = live(world, "GET", &path, Value::Null).await.expect(200);
    let event = events["data"].as_array().unwrap().last().unwrap()["id"].clone();
    let path = format!("/v1/deliveries?limit=100&event={}", event.as_str().unwrap());
    eventually("every endpoint is tried", async || {
        let list = live(world, "GET", &path, Value::Null).await.expect(200);
        let all = list["data"].as_array().unwrap().clone();
        let tried = all.iter().filter(|one| one["n_tries"].as_u64().unwrap() > 0).count();
        (tried == count).then_some(all)
    })
    .await
}

/// A world whose gateway may reach nothing inside, or what is named.
async fn world(webhooks: &[&str]) -> World {
    let mut set = vec!["polling.delay=10m", "polling.backoff=fixed"];
    set.extend(webhooks);
    World::with(&set).await
}

const AT_ONCE: usize = 45;

#[tokio::test]
async fn addresses_inside_are_never_reached() {
    let door = Door::open().await;
    let all = forms(door.port);
    assert!(all.len() >= 80);
    let world = world(&["webhooks.allow_loopback=false"]).await;
    let n_refused = refuse_all(&world, &all).await;
    let n_tried = try_all(&world, &all).await;
    assert_eq!(door.n_came(), 0, "live mode");
    world.finish().await;
    let (n_let, n_not) = let_through(&door).await;
    let counts = [
        ("addresses, each refused by three routes", all.len().to_string()),
        ("refusals when saved", n_refused.to_string()),
        ("tries of addresses put into the database", n_tried.to_string()),
        ("connections", "0".to_owned()),
        ("connections in named networks", n_let.to_string()),
        ("tries beside them that were refused", n_not.to_string()),
    ];
    let what = "Addresses inside the operator's network were saved over HTTP and put into the \
                database, in live mode, in every spelling known.";
    tongbao_evidence::record("addresses_inside_are_never_reached", what, &counts);
}

/// By every route that takes an address from a caller.
async fn refuse_all(world: &World, all: &[String]) -> usize {
    let good = live(world, "POST", ENDPOINTS, json!({"url": OUTSIDE})).await.expect(201);
    let path = format!("{ENDPOINTS}/{}", good["id"].as_str().unwrap());
    let capi = format!("{}/capi/api/v1/charge", world.gateway());
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    for form in all {
        refused(&live(world, "POST", ENDPOINTS, json!({"url": form})).await, form);
        refused(&live(world, "PATCH", &path, json!({"url": form})).await, form);
        let body = json!({"subject": "Tea", "amount": 100, "livemode": true, "notify_url": form});
        refused(&world.raw(&capi, &json, body.to_string()).await, form);
    }
    let list = live(world, "GET", ENDPOINTS, Value::Null).await.expect(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "none was kept");
    assert_eq!(list["data"][0]["url"], OUTSIDE);
    live(world, "DELETE", &path, Value::Null).await.expect(200);
    3 * all.len()
}

/// Behind the gateway's back, so that only the check of each try is left.
async fn try_all(world: &World, all: &[String]) -> usize {
    let mut planted = Planted::make(world, AT_ONCE).await;
    let mut n_tried = 0;
    for some in all.chunks(AT_ONCE) {
        planted.plant(world, some).await;
        for delivery in happen(world, AT_ONCE).await {
            assert_eq!(delivery["status"], "pending", "{delivery}");
            let tried = &delivery["tries"][0];
            assert_eq!((&tried["status"], tried["error"].is_string()), (&Value::Null, true));
        }
        n_tried += some.len();
    }
    n_tried + try_again(world, AT_ONCE).await
}

/// The tries after the first are checked like it.
async fn try_again(world: &World, count: usize) -> usize {
    world.advance("20m").await;
    eventually("every endpoint is tried again", async || {
        let list = live(world, "GET", "/v1/deliveries?limit=100", Value::Null).await.expect(200);
        let again = list["data"].as_array().unwrap().iter();
        let again = again.filter(|one| one["n_tries"].as_u64().unwrap() > 1).count();
        (again >= count).then_some(())
    })
    .await;
    count
}

/// `dev` lets loopback through and nothing else; an operator's list what it names and nothing else.
async fn let_through(door: &Door) -> (usize, usize) {
    let at = |host: &str| format!("http://{host}:{}/", door.port);
    let (v4, v6) = (at("127.0.0.1"), at("[::1]"));
    let dev: (&[&str], &[&String], _) = (&[], &[&v4, &v6], [at("0.0.0.0"), at("[fd00::2]")]);
    let named: (&[&str], &[&String], _) = (
        &["webhooks.allow_loopback=false", "webhooks.allow=127.0.0.0/16"],
        &[&v4],
        [at("[::1]"), at("127.1.0.1")],
    );
    let (mut n_let, mut n_not) = (0, 0);
    for (set, through, kept) in [dev, named] {
        let world = world(set).await;
        for url in through {
            listen(&world, url).await.expect(201);
        }
        for url in &kept {
            refused(&listen(&world, url).await, url);
        }
        Planted::make(&world, kept.len()).await.plant(&world, &kept).await;
        let before = door.n_came();
        let deliveries = happen(&world, through.len() + kept.len()).await;
        let accepted = deliveries.iter().filter(|one| one["status"] == "succeeded").count();
        assert_eq!(accepted, through.len(), "{deliveries:?}");
        assert_eq!(door.n_came() - before, through.len());
        n_let += through.len();
        n_not += kept.len();
        world.finish().await;
    }
    (n_let, n_not)
}

/// capi's `notify_url` stands with the charge; it is checked at each try as well.
#[tokio::test]
async fn a_callback_that_was_changed_to_lead_inside_is_not_made() {
    let door = Door::open().await;
    let mut world = world(&["webhooks.allow_loopback=false"]).await;
    let json = [("content-type".to_owned(), "application/json".to_owned())];
    let capi = format!("{}/capi/api/v1/charge", world.gateway());
    let body = json!({"subject": "Tea", "amount": 100, "notify_url": OUTSIDE});
    let charge = world.raw(&capi, &json, body.to_string()).await.expect(200);
    let own = format!("{capi}/{}", charge["id"]);
    let channel = json!({"channel": "WECHAT"}).to_string();
    let fetched = world.raw(&format!("{own}/fetch_pay_url"), &json, channel).await.expect(200);
    // What is remembered of a waiting charge goes with the process.
    world.kill();
    let inside = format!("http://127.0.0.1:{}/", door.port);
    let sql = "update charges set metadata = replace(metadata, ?1, ?2)";
    assert_eq!(write(&world, sql, &[OUTSIDE, &inside]).await, 1);
    world.run().await;
    assert_eq!(world.fetch(&own).await.expect(200)["notify_url"], inside.as_str());
    let paid = world.fetch(fetched["pay_url"].as_str().unwrap()).await;
    assert!(paid.status < 400, "{}", paid.body);
    let list = eventually("the callback is tried", async || {
        let list = world.get("/v1/deliveries?limit=100").await;
        let tried = list["data"][0]["n_tries"].as_u64() > Some(0);
        tried.then_some(list)
    })
    .await;
    let error = list["data"][0]["tries"][0]["error"].as_str().unwrap();
    assert!(error.contains("127.0.0.1 lies in a private"), "{list}");
    assert_eq!(door.n_came(), 0);
    world.finish().await;
}
