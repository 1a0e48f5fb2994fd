//! tongbao as the measured side: its configuration for this run, its process, its charges, and what
//! is asked of it alone: that its books hold what it acknowledged, how it fares on a slow disk, how
//! fast it is ready, how large it is in memory and on disk.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::keys::Keys;
use crate::load::Expect;
use crate::messages::{self, Order, Target};
use crate::process::{self, Server};
use crate::report::{SLOW_DISK_BAR, median};
use crate::run::measure;
use crate::{ledger, load};

const READY_MAX: Duration = Duration::from_millis(300);
const RESIDENT_KIB_MAX: u64 = 40 * 1_024;
const BINARY_MIB_MAX: f64 = 30.0;

/// Starts of which the median is the ready time.
const STARTS: usize = 5;

const CREATED: Expect = Expect { statuses: &[201], body: "\"pending\"" };
const SUCCESS: Expect = Expect { statuses: &[200], body: "success" };
const SUCCEEDED: &str = "select count(*) from charges where status = 'succeeded'";

/// A running `tongbao serve`.
pub(crate) struct Product {
    /// Its process.
    pub(crate) server: Server,
    place: Place,
}

/// Where its files are and how it is reached, running or not.
struct Place {
    binary: PathBuf,
    folder: PathBuf,
    address: SocketAddr,
    secret_key: String,
}

/// How a server is started.
#[derive(Clone, Copy)]
enum Disk {
    /// As it is.
    Own,
    /// 5 ms slower at each sync, with at most so many writes in one commit.
    Slow { batch_max: usize },
}

impl Product {
    /// Writes the configuration, makes a key and starts the server.
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        keys: &Keys,
        provider: SocketAddr,
    ) -> Result<Self> {
        let address = process::free_address()?;
        let folder = folder.join("product");
        std::fs::create_dir(&folder)?;
        // The loader resolves a preloaded library from the server's own folder.
        let folder = folder.canonicalize()?;
        std::fs::write(folder.join("tongbao.toml"), config(keys, address, provider))?;
        let binary = binary.canonicalize().context("the tongbao binary")?;
        let mut place = Place { binary, folder, address, secret_key: String::new() };
        place.secret_key = place.make_key()?;
        Ok(Self { server: place.serve(Disk::Own)?, place })
    }

    /// A request to one of its paths.
    pub(crate) fn target(&self, path: &str) -> Target {
        self.place.target(path)
    }

    /// Where it takes WeChat's notices.
    pub(crate) fn wechat_path(&self) -> String {
        "/notify/wechat/bench_wechat".into()
    }

    /// Where it takes Alipay's notices.
    pub(crate) fn alipay_path(&self) -> String {
        ALIPAY_PATH.into()
    }

    /// Opens charges for a page of Alipay's, which needs no call to the provider.
    pub(crate) fn open_alipay_charges(&self, orders: &[Order]) -> Result<()> {
        let target = self.target("/v1/charges");
        let requests = messages::charge_requests(&target, orders, "alipay.page");
        let outcome =
            load::run(&target.authority, requests.into(), crate::run::CONNECTIONS, CREATED)?;
        let refusal = outcome.first_refusal.unwrap_or_default();
        ensure!(outcome.acknowledged.len() == orders.len(), "charges were refused: {refusal}");
        Ok(())
    }

    /// Everything that comes after the rounds; true if every bar was reached.
    pub(crate) fn finish(
        self,
        keys: &Keys,
        slow_orders: &[Vec<Order>; 2],
        acknowledged: usize,
    ) -> Result<bool> {
        let Self { server, place } = self;
        server.stop()?;
        place.check_books(acknowledged)?;
        let mut good = place.start_and_size()?;
        let rates = place.slow_disk(keys, slow_orders)?;
        let factor = rates[0] / rates[1];
        good &= say(
            factor >= SLOW_DISK_BAR,
            &format!(
                "slow disk, 5 ms more each sync: {:.0}/s, one commit per request {:.0}/s, \
                 factor {factor:.1} (bar {SLOW_DISK_BAR})",
                rates[0], rates[1]
            ),
        );
        let slow: usize = slow_orders.iter().map(Vec::len).sum();
        place.check_books(acknowledged + slow)?;
        println!("the books hold exactly what was acknowledged: {} notices", acknowledged + slow);
        Ok(good)
    }
}

const ALIPAY_PATH: &str = "/notify/alipay/bench_alipay";

impl Place {
    fn target(&self, path: &str) -> Target {
        Target {
            authority: self.address.to_string(),
            path: path.to_owned(),
            bearer: Some(self.secret_key.clone()),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).args(["--config", "tongbao.toml"]).current_dir(&self.folder);
        command
    }

    fn make_key(&self) -> Result<String> {
        let output =
            self.command(&["keys", "create", "--app", "bench", "--mode", "test"]).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let problem = String::from_utf8_lossy(&output.stderr);
        let key = text.find("sk_test_").map(|start| &text[start..]);
        let key = key.and_then(|key| key.split(|c: char| !c.is_alphanumeric() && c != '_').next());
        key.map(str::to_owned).with_context(|| format!("no key was made: {text}{problem}"))
    }

    fn serve(&self, disk: Disk) -> Result<Server> {
        let mut command = self.command(&["serve"]);
        let log =
            std::fs::File::options().create(true).append(true).open(self.folder.join("log"))?;
        command.stdout(Stdio::from(log.try_clone()?)).stderr(log);
        if let Disk::Slow { batch_max } = disk {
            command.env("LD_PRELOAD", self.slow_sync()?);
            command.args(["--set", &format!("database.batch_max={batch_max}")]);
        }
        Server::start(command, self.address)
    }

    /// Compiles the shim that slows the disk down.
    fn slow_sync(&self) -> Result<PathBuf> {
        let library = self.folder.join("slow_sync.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/slow_sync.c");
        let mut gcc = Command::new("gcc");
        gcc.args(["-shared", "-fPIC", "-O2", "-Wall", "-o"]).arg(&library).arg(source).arg("-ldl");
        ensure!(gcc.status()?.success(), "gcc could not build the slow disk");
        Ok(library)
    }

    fn check_books(&self, acknowledged: usize) -> Result<()> {
        let found = ledger::count(&self.folder.join("tongbao.db"), SUCCEEDED)?;
        ensure!(
            usize::try_from(found)? == acknowledged,
            "tongbao acknowledged {acknowledged} notices and holds {found} succeeded charges"
        );
        Ok(())
    }

    fn start_and_size(&self) -> Result<bool> {
        let mut ready = Vec::new();
        let mut resident = 0;
        for start in 0..STARTS {
            let server = self.serve(Disk::Own)?;
            ready.push(server.ready.as_secs_f64());
            if start + 1 == STARTS {
                std::thread::sleep(Duration::from_secs(1));
                resident = server.resident_kib()?;
            }
            server.stop()?;
        }
        let ready = median(&ready, |seconds| *seconds).unwrap_or(f64::INFINITY);
        let size = std::fs::metadata(&self.binary)?.len() as f64 / 1_048_576.0;
        let good = [
            say(
                ready < READY_MAX.as_secs_f64(),
                &format!("ready after {:.0} ms (bar {})", ready * 1e3, READY_MAX.as_millis()),
            ),
            say(
                resident < RESIDENT_KIB_MAX,
                &format!("{:.1} MiB resident when idle (bar 40)", resident as f64 / 1_024.0),
            ),
            say(size < BINARY_MIB_MAX, &format!("binary of {size:.1} MiB (bar {BINARY_MIB_MAX})")),
        ];
        Ok(good.iter().all(|good| *good))
    }

    /// Rates on a slow disk: as configured, and with one commit per request.
    fn slow_disk(&self, keys: &Keys, orders: &[Vec<Order>; 2]) -> Result<[f64; 2]> {
        let mut rates = [0.0; 2];
        for (index, batch_max) in [256, 1].into_iter().enumerate() {
            let server = self.serve(Disk::Slow { batch_max })?;
            let target = self.target(ALIPAY_PATH);
            let notices = messages::alipay_notices(keys, &target, &orders[index])?;
            let (outcome, _) = measure(&server, &target, notices, SUCCESS)?;
            ensure!(outcome.acknowledged.len() == orders[index].len(), "notices were refused");
            rates[index] = outcome.rate();
            server.stop()?;
        }
        // One commit in 5 ms or more: a higher rate means that the disk was not slowed down.
        ensure!(rates[1] < 200.0, "the slow disk had no effect: {:.0}/s one by one", rates[1]);
        Ok(rates)
    }
}

fn say(good: bool, words: &str) -> bool {
    println!("{words} {}", if good { "reached" } else { "MISSED" });
    good
}

/// Looks are put off for an hour: polling is not what is measured here.
fn config(keys: &Keys, address: SocketAddr, provider: SocketAddr) -> String {
    format!(
        r#"[server]
listen = "{address}"
public_url = "https://pay.example.com"

[database]
url = "sqlite://tongbao.db"

[polling]
delay = "1h"

[log]
filter = "warn"

[[apps]]
name = "bench"

[[apps.accounts]]
name = "bench_wechat"
provider = "wechat"
api = "v3"
livemode = false
endpoint = "http://{provider}"
app_id = "{wechat_app_id}"
mch_id = "{mch_id}"
api_v3_key = "{api_v3_key}"
merchant_serial = "{merchant_serial}"
merchant_private_key = '''
{merchant}'''
public_key_id = "{wechat_key_id}"
public_key = '''
{wechat}'''

[[apps.accounts]]
name = "bench_alipay"
provider = "alipay"
api = "open"
livemode = false
endpoint = "http://{provider}"
app_id = "{alipay_app_id}"
seller_id = "{seller_id}"
app_private_key = '''
{merchant}'''
alipay_public_key = '''
{alipay}'''
"#,
        wechat_app_id = keys.wechat_app_id,
        mch_id = keys.mch_id,
        api_v3_key = keys.api_v3_key,
        merchant_serial = keys.merchant_serial,
        merchant = keys.merchant.private_pem(),
        wechat_key_id = keys.wechat_key_id,
        wechat = keys.wechat.public_pem(),
        alipay_app_id = keys.alipay_app_id,
        seller_id = keys.seller_id,
        alipay = keys.alipay.public_pem(),
    )
}
