//! A gateway's process: an engine over the common database and network, which can die at any call
//! of either. What is dead never comes back from a call, so nothing of it goes on.

use crate::clock::Watch;
use crate::dice::{SeededDice, mixed};
use crate::kind::PUBLIC_URL;
use crate::life::Life;
use crate::older;
use crate::store::FaultyStore;
use crate::trace::say;
use crate::wire::FaultyWire;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tongbao_compat::forwards;
use tongbao_core::{Backoff, Polling};
use tongbao_engine::{Account, App, Egress, Engine, MasterKeys, Ports, Setup};
use tongbao_types::{AppName, Mode, Secret, Span};

/// Whether a process still lives.
#[derive(Default)]
pub(crate) struct Death {
    is_dead: AtomicBool,
    news: Notify,
}

impl Death {
    /// It dies here and now.
    pub(crate) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
        self.news.notify_waiters();
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// Whoever comes here dead stays here.
    pub(crate) async fn hold(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until it has died.
    pub(crate) async fn met(&self) {
        let news = self.news.notified();
        if !self.is_dead() {
            news.await;
        }
    }
}

/// One process.
#[derive(Clone)]
pub(crate) struct Process {
    pub(crate) number: u32,
    pub(crate) engine: Engine,
    pub(crate) death: Arc<Death>,
    pub(crate) wrong_micros: Arc<AtomicI64>,
    stop: CancellationToken,
    runner: Arc<std::sync::Mutex<Option<JoinHandle<()>>>>,
}

pub(crate) const POLLING: Polling = Polling {
    delay: Span::from_seconds(5),
    attempts: 4,
    backoff: Backoff::Exponential,
    ttl: Span::from_seconds(10),
};
/// How long a call to a provider may take.
pub(crate) const CALL_TIMEOUT: Span = Span::from_seconds(20);

impl Process {
    /// Starts a process, with its runner of jobs.
    pub(crate) fn start(life: &Arc<Life>, number: u32) -> Process {
        let death = Arc::new(Death::default());
        let wrong_micros = Arc::new(AtomicI64::new(0));
        let engine = engine(life, number, &death, &wrong_micros);
        let stop = CancellationToken::new();
        let (runs, until) = (engine.clone(), stop.clone());
        let runner = tokio::spawn(async move { runs.run_jobs(until).await });
        say!(life.trace, "start  process {number}");
        let runner = Arc::new(std::sync::Mutex::new(Some(runner)));
        Process { number, engine, death, wrong_micros, stop, runner }
    }

    /// Ends it in order.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let runner = self.runner.lock().ok().and_then(|mut runner| runner.take());
        if let Some(runner) = runner.filter(|_| !self.death.is_dead()) {
            // A runner that fell has told why already.
            let _ = tokio::time::timeout(std::time::Duration::from_secs(120), runner).await;
        }
    }

    /// What the work gives, unless the process dies before it is done.
    pub(crate) async fn survive<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.death.met() => None,
            done = work => Some(done),
        }
    }
}

fn engine(
    life: &Arc<Life>,
    number: u32,
    death: &Arc<Death>,
    wrong_micros: &Arc<AtomicI64>,
) -> Engine {
    let (mut apps, mut accounts) = (Vec::new(), Vec::new());
    for shop in &life.plan.shops {
        let name = AppName::new(shop.merchant.as_str()).expect("a merchant's name is a word");
        for kind in &shop.accounts {
            let adapter = kind.adapter(shop.merchant);
            accounts.push(Account { app: name.clone(), mode: Mode::Test, adapter });
        }
        apps.push(App { name, policy: shop.policy, keeps_replies: life.plan.has_older });
    }
    let ports = Ports {
        store: Arc::new(FaultyStore { life: Arc::clone(life), death: Arc::clone(death) }),
        wire: Arc::new(FaultyWire { life: Arc::clone(life), death: Arc::clone(death) }),
        clock: Arc::new(Watch {
            truth: Arc::clone(&life.clock),
            wrong_micros: Arc::clone(wrong_micros),
        }),
        dice: Arc::new(SeededDice::new(mixed(life.plan.seed, "dice", number.into()))),
    };
    let setup = Setup {
        apps,
        accounts,
        polling: POLLING,
        public_url: PUBLIC_URL.to_owned(),
        egress: Egress::default(),
        call_timeout: CALL_TIMEOUT,
        lease: None,
        callbacks: forwards(older::settings(&life.plan)),
        master_keys: MasterKeys::new([&Secret::new([7; 32])]),
    };
    Engine::new(ports, setup).expect("accounts have names of their own")
}
