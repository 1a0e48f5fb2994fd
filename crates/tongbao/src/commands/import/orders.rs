//! `tongbao import orders`: orders that an older service placed become charges of an app.
//!
//! The whole file is checked first, line by line, against itself, the configuration and the
//! database; with a single problem nothing is written. Then it is written in portions, each in one
//! transaction. If that breaks off between two portions, the same file is run again: what is here
//! already and the same is skipped.

mod moment;
mod row;
mod table;

use super::super::serve::load;
use crate::cli::ImportOrdersArgs;
use crate::config::{AppConfig, Config};
use crate::host::SystemClock;
use crate::output::{Screen, Style};
use crate::running::open_sandbox;
use crate::wiring::{self, Ownership};
use anyhow::{Context, bail};
use row::{Books, Claim};
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use table::{Problem, Table};
use tongbao_engine::{Engine, Error, OldOrder, Standing};
use tongbao_sandbox::Options;
use tongbao_types::{AppName, Code, Mode, Timestamp};

/// So many orders are one transaction. A gateway that runs beside waits for it, so it is short.
const PORTION: usize = 1000;
/// Problems that are shown; whoever mends so many runs the check again anyway.
const PROBLEMS_SHOWN: usize = 100;
/// A million orders and more.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// What became of the lines.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    open: usize,
    paid: usize,
    /// Here already, and the same.
    same: usize,
}

/// Checks the file, and writes it unless it is only to be checked.
pub(crate) async fn run(args: ImportOrdersArgs) -> anyhow::Result<()> {
    let mut config = load(&args.configuration)?;
    add_sandbox(&mut config).await?;
    let app = app(&config, args.app)?;
    let books = Books::new(&wiring::compat(&config), app, args.mode.into());
    let text = table::read(&read(&args.file)?)?;
    let public_url = config.server.public_url.clone();
    let public_url = public_url.unwrap_or_else(|| format!("http://{}", config.server.listen));
    let clock = Arc::new(SystemClock);
    let engine = wiring::engine(&config, &public_url, clock, Ownership::Beside).await?;
    let import = Import { engine, books, text, progress: Progress::new() };
    let found = import.check().await?;
    let screen = Screen::stdout();
    if args.check {
        screen.line(format!("{}; nothing was written.", found.words("can be imported")));
        return Ok(());
    }
    let written = import.write().await?;
    let done = format!("{}.", written.words("imported"));
    screen.line(screen.paint(Style::Green, done));
    if written.open + written.paid > 0 {
        screen.line(
            "The gateway asks the provider about each of them, 20 in a second, beginning within a \
             minute; what is paid there becomes paid here.",
        );
    }
    Ok(())
}

struct Import {
    engine: Engine,
    books: Books,
    text: String,
    progress: Progress,
}

impl Import {
    /// Goes through the whole file without writing. Problems are told and end it.
    async fn check(&self) -> anyhow::Result<Count> {
        let table = Table::new(&self.text)?;
        let mut problems = Problems::default();
        problems.add(table.problems());
        let (mut count, mut seen) = (Count::default(), Seen::default());
        for (at, row) in table.rows().enumerate() {
            self.progress.show("checked", at);
            let claim = match row.and_then(|row| self.books.read(&row)) {
                Ok(claim) => claim,
                Err(all) => {
                    problems.add(all);
                    continue;
                }
            };
            problems.add(seen.twice(&claim));
            match self.engine.examine_order(&self.books.scope, &claim.order).await {
                Ok(Standing::New) => count.add(&claim),
                Ok(Standing::Same(_)) => count.same += 1,
                Err(error) => problems.add([about(error, &claim)?]),
            }
        }
        self.progress.end();
        if count.open + count.paid + count.same + problems.all == 0 {
            bail!("the file has a heading and no orders");
        }
        problems.tell()?;
        Ok(count)
    }

    /// Writes what is new, in portions.
    async fn write(&self) -> anyhow::Result<Count> {
        let (mut count, mut look_at) = (Count::default(), None);
        let mut portion: Vec<Claim> = Vec::new();
        let table = Table::new(&self.text)?;
        for row in table.rows() {
            // It was read a moment ago without a problem.
            let Ok(claim) = row.and_then(|row| self.books.read(&row)) else { continue };
            let examined = self.engine.examine_order(&self.books.scope, &claim.order).await;
            match examined.map_err(|error| self.broken_off(error, &claim, count))? {
                Standing::Same(_) => count.same += 1,
                Standing::New => portion.push(claim),
            }
            if portion.len() == PORTION {
                look_at = self.write_portion(&mut portion, &mut count, look_at).await?;
            }
        }
        self.write_portion(&mut portion, &mut count, look_at).await?;
        self.progress.end();
        Ok(count)
    }

    async fn write_portion(
        &self,
        portion: &mut Vec<Claim>,
        count: &mut Count,
        look_at: Option<Timestamp>,
    ) -> anyhow::Result<Option<Timestamp>> {
        let Some(first) = portion.first() else { return Ok(look_at) };
        let orders: Vec<OldOrder> = portion.iter().map(|claim| claim.order.clone()).collect();
        let written = self.engine.adopt_orders(&self.books.scope, &orders, look_at).await;
        let look_at = written.map_err(|error| self.broken_off(error, first, *count))?;
        portion.drain(..).for_each(|claim| count.add(&claim));
        self.progress.show("imported", count.open + count.paid);
        Ok(Some(look_at))
    }

    /// Something changed between the check and the writing, or the database went away.
    fn broken_off(&self, error: Error, at: &Claim, count: Count) -> anyhow::Error {
        self.progress.end();
        let done = count.open + count.paid;
        anyhow::anyhow!(
            "the import broke off at or after line {}: {error} {done} orders before it are \
             imported. Run the same file again: those are skipped.",
            at.line
        )
    }
}

/// What the engine says about an order, as a problem of its line; anything else ends the import.
fn about(error: Error, claim: &Claim) -> anyhow::Result<Problem> {
    match (&error.param, error.code) {
        (Some(column), code) if code != Code::Unavailable => {
            Ok(Problem::new(claim.line, column, error.message.clone()))
        }
        _ => Err(anyhow::Error::new(error)),
    }
}

/// Numbers that came before in the same file.
#[derive(Default)]
struct Seen {
    order_nos: HashMap<String, u64>,
    numbers: HashMap<(String, String), u64>,
}

impl Seen {
    fn twice(&mut self, claim: &Claim) -> Vec<Problem> {
        let order = &claim.order;
        let mut problems = Vec::new();
        let mut note = |column: &str, number: &str, before: Option<u64>| {
            if let Some(line) = before {
                let what = format!("{number} stands in line {line} already; leave one of them out");
                problems.push(Problem::new(claim.line, column, what));
            }
        };
        let order_no = order.order_no.as_str();
        let before = self.order_nos.insert(order_no.to_owned(), claim.line);
        note("order_no", order_no, before);
        let account = order.account.as_ref().map_or("", |name| name.as_str());
        // Without an account's name the provider at least tells two numbers apart.
        let place = if account.is_empty() { order.channel.provider().as_str() } else { account };
        let number = order.out_trade_no.as_str();
        let before_there = self.numbers.insert((place.into(), number.into()), claim.line);
        if before.is_none() {
            note("out_trade_no", number, before_there);
        }
        problems
    }
}

/// The first problems, and how many there are.
#[derive(Default)]
struct Problems {
    shown: Vec<Problem>,
    all: usize,
}

impl Problems {
    fn add(&mut self, more: impl IntoIterator<Item = Problem>) {
        for problem in more {
            self.all += 1;
            if self.shown.len() < PROBLEMS_SHOWN {
                self.shown.push(problem);
            }
        }
    }

    fn tell(self) -> anyhow::Result<()> {
        if self.all == 0 {
            return Ok(());
        }
        self.shown.iter().for_each(|problem| eprintln!("{problem}"));
        if self.all > self.shown.len() {
            eprintln!("… and {} more", self.all - self.shown.len());
        }
        let problems = if self.all == 1 { "problem" } else { "problems" };
        bail!("the file has {} {problems}; nothing was imported", self.all)
    }
}

impl Count {
    fn add(&mut self, claim: &Claim) {
        if claim.is_paid {
            self.paid += 1;
        } else {
            self.open += 1;
        }
    }

    fn words(self, done: &str) -> String {
        let Count { open, paid, same } = self;
        let all = open + paid;
        let orders = if all == 1 { "order" } else { "orders" };
        let known = if same == 0 { String::new() } else { format!("; {same} are here already") };
        format!("{all} {orders} {done}, {open} open and {paid} paid by the file{known}")
    }
}

/// A line on a terminal that changes; nothing elsewhere.
struct Progress {
    is_seen: bool,
}

impl Progress {
    fn new() -> Progress {
        Progress { is_seen: std::io::stderr().is_terminal() }
    }

    fn show(&self, done: &str, count: usize) {
        if self.is_seen && count > 0 && count.is_multiple_of(PORTION) {
            let mut err = std::io::stderr();
            // A terminal that is gone needs no progress.
            let _gone = write!(err, "\r{count} lines {done} …").and_then(|()| err.flush());
        }
    }

    fn end(&self) {
        if self.is_seen {
            eprint!("\r\u{1b}[K");
        }
    }
}

/// Test accounts at the sandbox, if the configuration has one, are those that `serve` adds.
async fn add_sandbox(config: &mut Config) -> anyhow::Result<()> {
    let Some(sandbox) = &config.sandbox else { return Ok(()) };
    let folder = sandbox.data.clone();
    if !folder.exists() {
        return Ok(());
    }
    let base = format!("http://{}", sandbox.listen);
    let options = Options { credentials_dir: Some(folder), ..Options::default() };
    let opened = open_sandbox(options).await?;
    wiring::add_sandbox_accounts(config, opened.credentials(), &base);
    Ok(())
}

fn app(config: &Config, name: Option<String>) -> anyhow::Result<&AppConfig> {
    let names = || {
        let all: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
        all.join(", ")
    };
    match (name, &config.apps[..]) {
        (_, []) => bail!("no [[apps]] are configured, so there is nobody to import for"),
        (None, [app]) => Ok(app),
        (None, _) => bail!("there are several apps; name one with --app: {}", names()),
        (Some(name), all) => {
            let name = AppName::new(name)?;
            let found = all.iter().find(|app| app.name == name);
            found.with_context(|| format!("there is no app {name}; there are: {}", names()))
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("{shown} cannot be read"))?.len();
    if size > FILE_BYTES_MAX {
        bail!("{shown} is larger than {} MiB; split it", FILE_BYTES_MAX / 1024 / 1024);
    }
    std::fs::read(path).with_context(|| format!("{shown} cannot be read"))
}

/// The word for people who mixed the modes up.
fn other(mode: Mode) -> &'static str {
    match mode {
        Mode::Test => "live",
        Mode::Live => "test",
    }
}
