//! Every route with every credential: what each may do is in the document, and everything else is
//! refused, in a declared way that tells nothing.
//!
//! The table is made from `/openapi.json`, so a new route is in it by itself; a test goes red if
//! its request cannot be made from the document and `fixtures.rs`, if the right key does not
//! succeed, or if a router has a path that is in no table. Whoever is refused comes first and must
//! leave no trace; then the right key shows that the same request was good all along.

mod caller;
mod document;
mod fixtures;
mod methods;
mod profiles;

use crate::commands::keys;
use crate::world::{World, eventually};
use caller::{Ask, Caller, Reply};
use document::{Access, Document, Operation, methods};
use fixtures::{Fixtures, PRIVATE};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tongbao_types::Profile;

/// Two key texts that nobody was given, and one that is too long for a key.
const UNKNOWN: &str = "sk_test_0000000000000000000000000000000000000000000000000000";

#[tokio::test]
async fn every_route_with_every_credential() {
    let world = World::with(&profiles::SETTINGS).await;
    let mut matrix = Matrix::start(&world).await;
    matrix.compare_with_routers();
    let operations = matrix.document.operations();
    let before = matrix.traces().await;
    for operation in &operations {
        match operation.access {
            Access::Key => matrix.refuse_by_key(operation).await,
            Access::KeyOrSecret => {
                matrix.refuse_by_key(operation).await;
                matrix.refuse_by_secret(operation).await;
            }
            Access::Open => {}
        }
    }
    matrix.no_trace_since(&before).await;
    for operation in &operations {
        matrix.admit(operation).await;
    }
    world.clear_faults().await;
    matrix.refuse_methods(&operations).await;
    let n_profiles = profiles::every_route(&mut matrix).await;
    let n_operations = operations.len();
    let n_cells = matrix.n_cells;
    drop(matrix);
    world.finish().await;
    tongbao_evidence::record(
        "every_route_with_every_credential",
        "Every route was asked without a key and with malformed, unknown and revoked keys, those \
         of another app and of the other mode, in the query and twice; older services' routes \
         from addresses that may not ask, too.",
        &[
            ("operations in the document", n_operations.to_string()),
            ("other routes", n_profiles.to_string()),
            ("requests", n_cells.to_string()),
        ],
    );
}

/// The gateway under test, and what is known of it.
pub(crate) struct Matrix<'a> {
    world: &'a World,
    caller: Caller,
    document: Document,
    fixtures: Fixtures,
    /// Of the app `dev`.
    test: String,
    live: String,
    other: String,
    revoked: String,
    n_cells: usize,
}

impl Matrix<'_> {
    async fn start(world: &World) -> Matrix<'_> {
        let caller = Caller::new(world.gateway());
        let revoked = revoked(world, &caller).await;
        let document = caller.send(&Ask::new("GET", "/openapi.json")).await;
        Matrix {
            caller,
            document: Document::read(&document.text()),
            fixtures: Fixtures::make(world).await,
            test: world.key("secret_key"),
            live: world.key("live_secret_key"),
            other: world.key("other_secret_key"),
            revoked,
            n_cells: 0,
            world,
        }
    }

    async fn send(&mut self, ask: &Ask) -> Reply {
        self.n_cells += 1;
        let reply = self.caller.send(ask).await;
        let id = reply.header("request-id").unwrap_or("");
        assert!(id.starts_with("req_"), "{} {}: no Request-Id", ask.method, ask.target);
        reply
    }

    /// Sends a request of an operation, whose reply must be one that is declared.
    async fn cell(&mut self, operation: &Operation, ask: &Ask) -> Reply {
        let reply = self.send(ask).await;
        if let Some(why) = self.document.undeclared(operation, &reply) {
            panic!("{} by {ask:?}: {why}; {} {}", operation.id, reply.status, reply.text());
        }
        reply
    }

    /// The same for a request that must be refused in this way.
    async fn refused(&mut self, operation: &Operation, ask: &Ask, status: u16, code: &str) {
        let reply = self.cell(operation, ask).await;
        let found = (reply.status, reply.json()["code"].clone());
        assert_eq!(found, (status, json!(code)), "{} by {ask:?}: {}", operation.id, reply.text());
        for secret in self.fixtures.secrets().chain([&self.test]) {
            assert!(!reply.text().contains(secret.as_str()), "{}: {}", operation.id, reply.text());
        }
    }

    /// No router has a path that is in no table.
    fn compare_with_routers(&self) {
        let documented: BTreeSet<&str> = self.document.paths().map(String::as_str).collect();
        let of_profiles = profiles::paths();
        let known = |path: &str| documented.contains(path) || profiles::ASSETS.contains(&path);
        for path in tongbao_api::paths() {
            assert!(known(&path), "{path} is in no table: document it, or see profiles.rs");
        }
        for profile in Profile::ALL {
            for path in tongbao_compat::paths(*profile) {
                let bare = path.trim_end_matches('/').to_owned();
                assert!(of_profiles.contains(&bare), "{profile}: {path} is not in profiles.rs");
            }
        }
    }

    /// Everything that the app can see, in both modes, but for what happens by itself.
    async fn traces(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for key in [&self.test, &self.live] {
            for list in ["charges", "refunds", "events", "webhook_endpoints", "deliveries"] {
                let ask = Ask::new("GET", format!("/v1/{list}?limit=100")).key(key);
                let list = self.caller.send(&ask).await.json();
                all.extend(list["data"].as_array().unwrap().clone());
            }
        }
        for name in ["tries", "n_tries", "next_try_at"] {
            for object in all.iter_mut().filter(|object| object["object"] == "delivery") {
                object[name] = Value::Null;
            }
        }
        all
    }

    async fn no_trace_since(&self, before: &[Value]) {
        let after = self.traces().await;
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(after, before, "somebody who was refused left a trace");
        }
        assert_eq!(after.len(), before.len(), "somebody who was refused made something");
    }

    async fn refuse_by_key(&mut self, operation: &Operation) {
        let good = self.fixtures.good(operation);
        for malformed in self.malformed() {
            let ask = malformed
                .iter()
                .fold(good.clone(), |ask, value| ask.header("authorization", value.clone()));
            self.refused(operation, &ask, 401, "authentication_required").await;
        }
        for key in self.unknown() {
            self.refused(operation, &good.clone().key(&key), 401, "invalid_key").await;
        }
        let names = ["key", "api_key", "access_token", "secret_key", "Authorization"];
        for name in names {
            let ask = good.clone().query(name, &self.test);
            self.refused(operation, &ask, 401, "authentication_required").await;
        }
        let both = good.clone().query("access_token", &self.test).key(&self.test);
        self.refused(operation, &both, 400, "unknown_parameter").await;
        for key in [self.other.clone(), self.live.clone()] {
            self.hide(operation, &good, &key).await;
        }
        if let Some((ask, object)) = self.fixtures.live(operation) {
            let key = self.test.clone();
            self.hide_object(operation, &ask.key(&key), &object).await;
        }
    }

    /// Headers that bear no key, each as the values of `Authorization`.
    fn malformed(&self) -> Vec<Vec<String>> {
        let key = &self.test;
        let one = |text: String| vec![text];
        vec![
            vec![],
            one(String::new()),
            one(key.clone()),
            one("Bearer".to_owned()),
            one(format!("Basic {key}")),
            one(format!("Token {key}")),
            one(format!("Bearer{key}")),
            one(format!("Bearer {key} {key}")),
            one(format!("Bearer {key}, Bearer {key}")),
            one(format!("Bearer {}", "x".repeat(5000))),
            vec![format!("Bearer {key}"), format!("Bearer {key}")],
            vec![format!("Bearer {UNKNOWN}"), format!("Bearer {key}")],
        ]
    }

    /// Keys that open nothing.
    fn unknown(&self) -> Vec<String> {
        let key = &self.test;
        vec![
            UNKNOWN.to_owned(),
            format!("{key}0"),
            key[..key.len() - 1].to_owned(),
            key.to_uppercase(),
            key.replace("sk_test_", "sk_live_"),
            key.trim_start_matches("sk_test_").to_owned(),
            self.revoked.clone(),
        ]
    }

    /// A key that is good, but not for what the request is about.
    async fn hide(&mut self, operation: &Operation, good: &Ask, key: &str) {
        let ask = good.clone().key(key);
        if let Some(object) = self.fixtures.object(operation) {
            return self.hide_object(operation, &ask, &object).await;
        }
        match operation.id.as_str() {
            _ if operation.is_list() => self.hide_list(operation, &ask).await,
            "listChannels" => {
                let reply = self.cell(operation, &ask).await;
                assert_eq!(reply.status, 200);
                assert!(!reply.text().contains("\"dev_"), "{}", reply.text());
            }
            "createCharge" => {
                let account = json!({"amount": 1, "subject": "x", "channel": "wechat.native",
                    "account": "dev_wechat_v3"});
                let ask = Ask::new("POST", good.target.clone()).json(&account).key(key);
                self.hide_account(operation, &ask).await;
            }
            "readBill" => self.hide_account(operation, &ask).await,
            // It names nothing of anybody's.
            "createWebhookEndpoint" => {}
            other => panic!("{other}: say in hide what another app's key must not see there"),
        }
    }

    async fn hide_object(&mut self, operation: &Operation, ask: &Ask, object: &str) {
        self.refused(operation, ask, 404, "not_found").await;
        let (nobodys, unknown) = Fixtures::nobodys(ask, object);
        self.same(operation, (ask, object), (&nobodys, &unknown)).await;
    }

    /// Another app's account looks like one that is not there.
    async fn hide_account(&mut self, operation: &Operation, ask: &Ask) {
        self.refused(operation, ask, 400, "account_missing").await;
        let mut nobodys = ask.clone();
        nobodys.target = ask.target.replace("dev_wechat_v3", "ved_wechat_v3");
        nobodys.body = ask.body.as_ref().map(|body| {
            String::from_utf8_lossy(body).replace("dev_wechat_v3", "ved_wechat_v3").into_bytes()
        });
        self.same(operation, (ask, "dev_wechat_v3"), (&nobodys, "ved_wechat_v3")).await;
    }

    async fn hide_list(&mut self, operation: &Operation, ask: &Ask) {
        let is_live = ask.headers.iter().any(|(_, value)| value.ends_with(&self.live));
        if !is_live {
            let reply = self.cell(operation, ask).await;
            let found = (reply.status, &reply.json()["data"]);
            assert_eq!(found, (200, &json!([])), "{}", operation.id);
        }
        for (name, object) in self.fixtures.filters(operation) {
            let ask = ask.clone().query(name, &object);
            let reply = self.cell(operation, &ask).await;
            let about_it = reply.json()["data"].to_string();
            let is_cursor = matches!(name, "starting_after" | "ending_before");
            assert!(is_cursor || about_it == "[]" || about_it == "null", "{name}: {about_it}");
            let (nobodys, unknown) = Fixtures::nobodys(&ask, &object);
            self.same(operation, (&ask, &object), (&nobodys, &unknown)).await;
        }
    }

    /// «Not yours» and «not there» cannot be told apart.
    async fn same(&mut self, operation: &Operation, one: (&Ask, &str), two: (&Ask, &str)) {
        let theirs = self.cell(operation, one.0).await.seen(&[one.1]);
        let nobodys = self.cell(operation, two.0).await.seen(&[two.1]);
        assert_eq!(theirs, nobodys, "{} by {:?}", operation.id, one.0);
    }

    async fn refuse_by_secret(&mut self, operation: &Operation) {
        let good = self.fixtures.good(operation);
        let object = self.fixtures.object(operation).unwrap();
        let own = self.fixtures.secret(operation).to_owned();
        let others = self.fixtures.secrets().find(|secret| **secret != own).unwrap().clone();
        for wrong in [others, format!("{own}x"), own[1..].to_owned(), String::new()] {
            let ask = good.clone().query("client_secret", &wrong);
            self.hide_object(operation, &ask, &object).await;
        }
        let with_own = good.query("client_secret", &own);
        self.refused(operation, &with_own.clone().key(UNKNOWN), 401, "invalid_key").await;
        let with_others_key = with_own.key(&self.other.clone());
        self.hide_object(operation, &with_others_key, &object).await;
    }

    /// Whoever may, gets what is declared; and payers no more than they may see.
    async fn admit(&mut self, operation: &Operation) {
        let good = self.fixtures.good(operation);
        if operation.access != Access::Open {
            let ask = good.clone().key(&self.test.clone());
            self.good(operation, &ask).await;
        }
        if operation.access == Access::KeyOrSecret {
            let secret = self.fixtures.secret(operation).to_owned();
            let reply = self.good(operation, &good.clone().query("client_secret", &secret)).await;
            self.shows_nothing_private(operation, &reply);
        }
        if operation.access == Access::Open {
            for credential in ["", &format!("Bearer {UNKNOWN}"), &format!("Bearer {}", self.other)]
            {
                let ask = good.clone().header("authorization", credential);
                let reply = self.good(operation, &ask).await;
                self.shows_nothing_private(operation, &reply);
            }
            let reply = self.good(operation, &good).await;
            self.shows_nothing_private(operation, &reply);
            self.refuse_unknown(operation, &good).await;
        }
    }

    async fn good(&mut self, operation: &Operation, ask: &Ask) -> Reply {
        let reply = self.cell(operation, ask).await;
        let text = reply.text();
        assert!(
            operation.is_good(reply.status),
            "{} by {ask:?}: {} {text}",
            operation.id,
            reply.status
        );
        reply
    }

    /// An object or account that never was: 404, with a reply that is declared.
    async fn refuse_unknown(&mut self, operation: &Operation, good: &Ask) {
        let Some(object) = self.fixtures.object(operation) else { return };
        let (ask, _) = Fixtures::nobodys(good, &object);
        let reply = self.cell(operation, &ask).await;
        assert_eq!(reply.status, 404, "{}: {}", operation.id, reply.text());
    }

    fn shows_nothing_private(&self, operation: &Operation, reply: &Reply) {
        if operation.id == "openApi" {
            return;
        }
        let text = reply.text();
        let secrets = self.fixtures.secrets().map(String::as_str);
        let keys = ["sk_test_", "sk_live_", "whsec_"];
        for private in secrets.chain(PRIVATE).chain(keys) {
            assert!(!text.contains(private), "{} shows {private}: {text}", operation.id);
        }
    }

    async fn refuse_methods(&mut self, operations: &[Operation]) {
        for (path, known) in methods(operations) {
            let one = operations.iter().find(|one| one.path == path).unwrap();
            let target = self.fixtures.good(one).target;
            methods::refuse_others(self, &target, &known).await;
        }
    }
}

/// A key that was good and is revoked.
async fn revoked(world: &World, caller: &Caller) -> String {
    let database = world.key("database");
    let made = keys(&["create", "--app", "dev", "--mode", "test", "--json"], &database);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let key = made["key"].as_str().unwrap().to_owned();
    let ask = Ask::new("GET", "/v1/charges").key(&key);
    assert_eq!(caller.send(&ask).await.status, 200);
    let id = made["id"].as_str().unwrap();
    assert!(keys(&["revoke", id, "--app", "dev"], &database).status.success());
    let forgotten = async || (caller.send(&ask).await.status == 401).then_some(());
    eventually("the key is forgotten", forgotten).await;
    key
}
