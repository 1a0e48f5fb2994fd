//! A sandbox that lives through everything, and instances of the gateway that do not.

use super::balancer::Balancer;
use super::client::Client;
use super::instance::{Instance, append, program};
use crate::merchant::Merchant;
use crate::world::{
    binary, borrow_credentials, eventually, free_address, fresh_folder, keep_credentials,
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a field is made of.
pub(crate) struct Plan {
    /// `database.url`.
    pub(crate) database: String,
    /// How many instances; more than one stand behind a balancer.
    pub(crate) instances: usize,
    /// Values of `--set` for each instance.
    pub(crate) set: Vec<String>,
    /// Put before the program's name, such as a command that enters a namespace.
    pub(crate) prefix: Vec<String>,
    /// Where the instances log; unless given in the field's own folder.
    pub(crate) logs: Option<Place>,
}

/// A folder that the instances may see under another name than the tests.
pub(crate) struct Place {
    pub(crate) inside: PathBuf,
    pub(crate) outside: PathBuf,
}

impl Plan {
    /// One instance that asks about its silent orders every two seconds.
    pub(crate) fn over(database: &str) -> Plan {
        let set = ["polling.delay=2s", "polling.attempts=600", "polling.backoff=fixed"];
        Plan {
            database: database.to_owned(),
            instances: 1,
            // What a killed instance held over a server's database is free again after the lease.
            set: set
                .into_iter()
                .chain(["polling.ttl=5s", "database.lease=10s"])
                .map(str::to_owned)
                .collect(),
            prefix: Vec::new(),
            logs: None,
        }
    }
}

/// Everything that runs for one test.
pub(crate) struct Field {
    pub(crate) instances: Vec<Instance>,
    pub(crate) client: Client,
    /// Where clients and notices go, if there is more than one instance.
    pub(crate) balancer: Option<Balancer>,
    folder: PathBuf,
    sandbox: Child,
}

impl Field {
    /// Starts the sandbox, makes a configuration and a key, and starts each instance.
    pub(crate) async fn open(plan: Plan) -> Field {
        let mut field = Field::prepare(plan).await;
        for instance in &mut field.instances {
            instance.start().await;
        }
        field
    }

    /// As [`Field::open`], but no instance is started.
    pub(crate) async fn prepare(plan: Plan) -> Field {
        let folder = fresh_folder("field");
        let (sandbox, sandbox_url) = start_sandbox(&folder).await;
        let addresses: Vec<String> = (0..plan.instances).map(|_| free_address()).collect();
        let balancer = match &addresses[..] {
            [_] => None,
            several => Some(Balancer::open(several).await),
        };
        let public = balancer.as_ref().map_or(&addresses[0], |balancer| &balancer.address);
        let public = format!("http://{public}");
        let mut client = Client::new(public.clone(), sandbox_url);
        let config = folder.join("tongbao.toml");
        write_config(&config, &plan.database, &public, &client).await;
        let own = || Place { inside: folder.clone(), outside: folder.clone() };
        let logs = plan.logs.unwrap_or_else(own);
        let instances = addresses.into_iter().enumerate().map(|(idx, address)| Instance {
            address,
            log_file: logs.inside.join(format!("instance-{idx}.jsonl")),
            log: logs.outside.join(format!("instance-{idx}.jsonl")),
            stderr: logs.outside.join(format!("instance-{idx}.stderr")),
            config: config.clone(),
            set: plan.set.clone(),
            prefix: plan.prefix.clone(),
            child: None,
        });
        let instances = instances.collect();
        client.key = make_key(&config, &plan.prefix);
        Field { instances, client, balancer, folder, sandbox }
    }

    /// A merchant who is told of these events.
    pub(crate) async fn merchant(&self, events: &[&str]) -> Merchant {
        let make_known = async |body| self.client.post("/v1/webhook_endpoints", body).await;
        Merchant::open_by(make_known, events).await
    }

    /// Ends each instance by a word and checks that it went well.
    pub(crate) async fn stop(&mut self) {
        for instance in &mut self.instances {
            instance.signal("-TERM");
            let status = instance.ended().await;
            assert!(status.success(), "it did not end cleanly: {status}");
        }
    }

    /// As [`Field::stop`], where nothing happened that is an error.
    pub(crate) async fn finish(mut self) {
        self.stop().await;
        for instance in &self.instances {
            let errors = instance.logged("ERROR");
            assert!(errors.is_empty(), "{errors:#?}");
        }
    }
}

impl Drop for Field {
    /// What was said is shown if a check failed, and the folder stays.
    fn drop(&mut self) {
        self.instances.iter_mut().for_each(Instance::kill);
        let _gone_already = self.sandbox.kill();
        let _status = self.sandbox.wait();
        if std::thread::panicking() {
            self.instances.iter().for_each(|instance| eprintln!("{}", instance.tail()));
            eprintln!("everything else is in {}", self.folder.display());
        } else {
            let _removed = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// The process and its address.
async fn start_sandbox(folder: &Path) -> (Child, String) {
    let data = folder.join("sandbox");
    borrow_credentials(&data);
    let address = free_address();
    let mut command = Command::new(binary());
    command.args(["sandbox", "--listen", &address, "--data"]).arg(&data);
    let stderr = append(&folder.join("sandbox.stderr"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    let child = command.spawn().unwrap();
    let listens = async || tokio::net::TcpStream::connect(&address).await.ok().map(drop);
    eventually("the sandbox listens", listens).await;
    // It listens a moment before it has its keys, and answers once it has them.
    let client = Client::new(String::new(), format!("http://{address}"));
    client.shown("trades").await;
    keep_credentials(&data);
    (child, client.sandbox)
}

/// One app with an account of each kind at the sandbox.
async fn write_config(path: &Path, database: &str, public: &str, client: &Client) {
    let url = format!("{}/_sandbox/credentials", client.sandbox);
    let text = client.http.get(url).send().await.unwrap().text().await.unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    let account = |provider: &str, api: &str, keys: &[&str], renamed: &[(&str, &str)]| {
        let mut table = json!({"provider": provider, "api": api, "livemode": false,
            "endpoint": client.sandbox});
        let same = keys.iter().map(|key| (*key, *key));
        for (key, from) in same.chain(renamed.iter().copied()) {
            table[key] = all[provider][from].clone();
        }
        table
    };
    let v3 = ["app_id", "mch_id", "api_v3_key", "merchant_serial", "merchant_private_key"];
    let v3_renamed = [
        ("platform_certificates", "platform_certificate"),
        ("public_key_id", "platform_public_key_id"),
        ("public_key", "platform_public_key"),
    ];
    let open = ["app_id", "seller_id", "app_private_key", "alipay_public_key"];
    let accounts = [
        account("wechat", "v3", &v3, &v3_renamed),
        account("wechat", "v2", &["app_id", "mch_id", "api_key"], &[]),
        account("alipay", "open", &open, &[]),
    ];
    let config = json!({
        "server": {"public_url": public},
        "database": {"url": database},
        "security": {"master_key": BASE64.encode(&rand::random::<[u8; 32]>())},
        "apps": [{"name": "shop", "accounts": accounts}],
        "webhooks": {"allow_loopback": true},
    });
    std::fs::write(path, toml::to_string(&config).unwrap()).unwrap();
}

/// Makes a test key, and with it the database.
fn make_key(config: &Path, prefix: &[String]) -> String {
    let mut command = program(prefix);
    command.args(["keys", "create", "--app", "shop", "--mode", "test", "--json", "--config"]);
    let made = command.arg(config).output().unwrap();
    let text = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "no key could be made: {text}");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["key"].as_str().unwrap().to_owned()
}

/// The slowest of several times, in whole milliseconds, for a record.
pub(crate) fn slowest_ms(times: &[Duration]) -> String {
    times.iter().max().map_or(0, Duration::as_millis).to_string()
}
