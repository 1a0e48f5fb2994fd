//! One run: keys, the stub provider, both servers, then the workloads in rounds that alternate
//! between the ideal and tongbao, then what is only asked of tongbao (a slow disk, start, memory,
//! size), and at the end the books of both are compared with what was acknowledged.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use crate::ideal::Settings;
use crate::keys::Keys;
use crate::load::{self, Expect, Outcome};
use crate::messages::{self, Order, Target};
use crate::process::{self, Server};
use crate::product::Product;
use crate::report::{CHARGES_BAR, NOTICES_BAR, Round, Workload};
use crate::{ledger, stub};

/// Connections of every round.
pub(crate) const CONNECTIONS: usize = 64;

const CREATED: Expect = Expect { statuses: &[201], body: "weixin://" };
const ACCEPTED: Expect = Expect { statuses: &[200, 204], body: "" };
const SUCCESS: Expect = Expect { statuses: &[200], body: "success" };

/// What the command line asks for.
pub(crate) struct Options {
    /// Where keys, databases and logs go.
    pub(crate) folder: PathBuf,
    /// The tongbao binary, if it is to be measured too.
    pub(crate) product: Option<PathBuf>,
    /// Fewer messages.
    pub(crate) quick: bool,
    /// A missed bar is a failure.
    pub(crate) strict: bool,
}

struct Sizes {
    rounds: usize,
    messages: usize,
    slow_batched: usize,
    slow_single: usize,
}

impl Sizes {
    fn of(quick: bool) -> Self {
        if quick {
            Self { rounds: 5, messages: 2_000, slow_batched: 4_000, slow_single: 200 }
        } else {
            Self { rounds: 5, messages: 20_000, slow_batched: 20_000, slow_single: 1_000 }
        }
    }
}

/// Runs everything; true if every bar was reached or nobody insists.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let sizes = Sizes::of(options.quick);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?").to_owned();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("{cores} cores, load before the run {load}, {CONNECTIONS} connections");
    let bench = Bench::prepare(options, &sizes)?;
    let mut workloads = [
        Workload::new("charges", CHARGES_BAR),
        Workload::new("notices, WeChat v3", NOTICES_BAR),
        Workload::new("notices, Alipay", NOTICES_BAR),
    ];
    let mut acknowledged = Acknowledged::default();
    for (round, alipay_orders) in bench.alipay_orders.iter().enumerate() {
        let orders = Order::batch(&format!("w{round}"), sizes.messages);
        let created = bench.charges(&mut workloads[0], &orders)?;
        ensure!(created.complete(&orders), "not every charge was created: {created:?}");
        acknowledged.add(&bench.wechat(&mut workloads[1], &orders)?);
        acknowledged.add(&bench.alipay(&mut workloads[2], alipay_orders)?);
    }
    println!();
    workloads.iter().for_each(Workload::print);
    let mut good = workloads.iter().all(Workload::reaches_bar);
    bench.check_ideal(acknowledged.ideal)?;
    if let Some(product) = bench.product {
        good &= product.finish(&bench.keys, &bench.slow_orders, acknowledged.product)?;
    }
    Ok(good || !options.strict)
}

/// How many requests each side acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    ideal: usize,
    product: usize,
    has_product: bool,
}

impl Acknowledged {
    fn add(&mut self, other: &Self) {
        self.ideal += other.ideal;
        self.product += other.product;
    }

    fn complete(&self, orders: &[Order]) -> bool {
        self.ideal == orders.len() && (!self.has_product || self.product == orders.len())
    }
}

struct Bench {
    keys: Keys,
    ideal: Server,
    ideal_address: SocketAddr,
    ideal_database: PathBuf,
    product: Option<Product>,
    alipay_orders: Vec<Vec<Order>>,
    slow_orders: [Vec<Order>; 2],
}

impl Bench {
    fn prepare(options: &Options, sizes: &Sizes) -> Result<Self> {
        if options.folder.exists() {
            std::fs::remove_dir_all(&options.folder)?;
        }
        std::fs::create_dir_all(&options.folder)?;
        let keys = Keys::generate()?;
        let provider = stub::start(&keys)?;
        let alipay_orders: Vec<_> = (0..sizes.rounds)
            .map(|round| Order::batch(&format!("a{round}"), sizes.messages))
            .collect();
        let slow_orders =
            [Order::batch("sb", sizes.slow_batched), Order::batch("ss", sizes.slow_single)];
        let ideal_database = options.folder.join("ideal.db");
        for orders in &alipay_orders {
            ledger::prefill(&ideal_database, orders)?;
        }
        let ideal_address = process::free_address()?;
        let settings = Settings {
            listen: ideal_address,
            database: ideal_database.clone(),
            provider,
            keys: keys.clone(),
        };
        let ideal = start_ideal(&options.folder, &settings)?;
        let product = match &options.product {
            Some(binary) => {
                let product = Product::start(binary, &options.folder, &keys, provider)?;
                for orders in alipay_orders.iter().chain(&slow_orders) {
                    product.open_alipay_charges(orders)?;
                }
                Some(product)
            }
            None => None,
        };
        Ok(Self { keys, ideal, ideal_address, ideal_database, product, alipay_orders, slow_orders })
    }

    fn charges(&self, workload: &mut Workload, orders: &[Order]) -> Result<Acknowledged> {
        let render =
            |target: &Target| Ok(messages::charge_requests(target, orders, "wechat.native"));
        self.both(workload, ["/charge", "/v1/charges"], render, CREATED)
    }

    fn wechat(&self, workload: &mut Workload, orders: &[Order]) -> Result<Acknowledged> {
        let render = |target: &Target| messages::wechat_notices(&self.keys, target, orders);
        let path = self.product.as_ref().map(Product::wechat_path).unwrap_or_default();
        self.both(workload, ["/wechat", &path], render, ACCEPTED)
    }

    fn alipay(&self, workload: &mut Workload, orders: &[Order]) -> Result<Acknowledged> {
        let render = |target: &Target| messages::alipay_notices(&self.keys, target, orders);
        let path = self.product.as_ref().map(Product::alipay_path).unwrap_or_default();
        self.both(workload, ["/alipay", &path], render, SUCCESS)
    }

    /// One round on both sides; which goes first changes from round to round.
    fn both(
        &self,
        workload: &mut Workload,
        paths: [&str; 2],
        render: impl Fn(&Target) -> Result<Vec<Vec<u8>>>,
        expect: Expect,
    ) -> Result<Acknowledged> {
        let mut acknowledged =
            Acknowledged { has_product: self.product.is_some(), ..Acknowledged::default() };
        let product_first = workload.ideal.len() % 2 == 1;
        for product_turn in [product_first, !product_first] {
            let (target, server) = match (&self.product, product_turn) {
                (Some(product), true) => (product.target(paths[1]), &product.server),
                (None, true) => continue,
                (_, false) => (self.ideal_target(paths[0]), &self.ideal),
            };
            let outcome = measure(server, &target, render(&target)?, expect)?;
            if product_turn {
                acknowledged.product += outcome.0.acknowledged.len();
                workload.product.push(outcome.1);
            } else {
                acknowledged.ideal += outcome.0.acknowledged.len();
                workload.ideal.push(outcome.1);
            }
        }
        Ok(acknowledged)
    }

    fn ideal_target(&self, path: &str) -> Target {
        Target { authority: self.ideal_address.to_string(), path: path.to_owned(), bearer: None }
    }

    fn check_ideal(&self, acknowledged: usize) -> Result<()> {
        let query = "select count(*) from charges where status = 'succeeded'";
        let found = ledger::count(&self.ideal_database, query)?;
        ensure!(
            usize::try_from(found)? == acknowledged,
            "the ideal acknowledged {acknowledged} notices and holds {found}"
        );
        Ok(())
    }
}

/// Sends one round to a server; says on stderr if something was refused.
pub(crate) fn measure(
    server: &Server,
    target: &Target,
    requests: Vec<Vec<u8>>,
    expect: Expect,
) -> Result<(Outcome, Round)> {
    let before = server.cpu()?;
    let outcome = load::run(&target.authority, Arc::new(requests), CONNECTIONS, expect)
        .with_context(|| format!("load on {}{}", target.authority, target.path))?;
    if let Some(refusal) = &outcome.first_refusal {
        eprintln!("{}{} refused: {refusal}", target.authority, target.path);
    }
    let round = Round::new(&outcome, server.cpu()? - before);
    Ok((outcome, round))
}

fn start_ideal(folder: &Path, settings: &Settings) -> Result<Server> {
    let file = folder.join("ideal.json");
    std::fs::write(&file, serde_json::to_vec(settings)?)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("ideal").arg(&file);
    Server::start(command, settings.listen)
}
