//! A gateway at work, with the provider sandbox beside it if the configuration has one: sockets,
//! servers, the job runner, and stopping them in order.

use crate::config::{Config, LimitsConfig};
use crate::host::{SharedClock, SystemClock};
use crate::listening;
use crate::wiring::{self, Ownership};
use anyhow::Context;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tongbao_api::ApiSettings;
use tongbao_compat::CompatSettings;
use tongbao_engine::{Clock, Engine};
use tongbao_sandbox::{Options, Sandbox, SandboxClock};
use tongbao_web::{Gate, Limits, Serving, Stop};

/// Whose time the gateway keeps when a sandbox is beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// The machine's: live payments are among those it handles.
    Machine,
    /// The sandbox's, so that both are moved together.
    Sandbox,
}

/// What a person changes to listen elsewhere, for errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choosers {
    pub(crate) gateway: &'static str,
    pub(crate) sandbox: &'static str,
}

/// Everything that runs.
pub(crate) struct Running {
    /// The gateway's address on this machine, `http://…`.
    pub(crate) gateway: String,
    /// The sandbox's address on this machine, `http://…`.
    pub(crate) sandbox: Option<String>,
    /// The use cases.
    pub(crate) engine: Engine,
    /// The time that orders go by.
    pub(crate) clock: Arc<dyn Clock>,
    gateway_tasks: Vec<JoinHandle<()>>,
    sandbox_task: Option<JoinHandle<()>>,
    sandbox_stop: CancellationToken,
}

/// Starts what the configuration says. Sockets come first, so that a port in use is told at once.
pub(crate) async fn start(
    mut config: Config,
    time: Time,
    choosers: Choosers,
    stop: &CancellationToken,
) -> anyhow::Result<Running> {
    listening::allow_many_files();
    let listener = listening::bind(&config.server.listen, choosers.gateway).await?;
    let mut beside = Beside::none();
    if let Some(sandbox) = &config.sandbox {
        let socket = listening::bind(&sandbox.listen, choosers.sandbox).await?;
        beside = Beside::open(socket, sandbox.data.clone()).await?;
    }
    if let (Some(sandbox), Some(base)) = (&beside.sandbox, &beside.base) {
        wiring::add_sandbox_accounts(&mut config, sandbox.credentials(), base);
    }
    let base = base_of(&listener)?;
    let public_url = config.server.public_url.clone().unwrap_or_else(|| base.clone());
    let shared = beside.sandbox.as_ref().filter(|_| time == Time::Sandbox);
    let moved = shared.map(|sandbox| sandbox.clock().clone());
    let clock: Arc<dyn Clock> = match &moved {
        Some(clock) => Arc::new(SharedClock(clock.clone())),
        None => Arc::new(SystemClock),
    };
    let alone = Ownership::Alone;
    let engine = wiring::engine(&config, &public_url, Arc::clone(&clock), alone).await?;
    let sandbox_stop = CancellationToken::new();
    let sandbox = beside.base.clone();
    let sandbox_task = beside.serve(&sandbox_stop);
    engine.remember_keys().await.context("the keys cannot be read")?;
    let room = Room::of(&config.limits);
    let mut compat = wiring::compat(&config);
    compat.gate = Gate::new(room.limits);
    let stop = stop_after(config.server.drain.std(), stop);
    let mut gateway_tasks = serve(&engine, listener, &compat, room.serving, &stop);
    if let Some(clock) = moved {
        gateway_tasks.push(tokio::spawn(wake_when_moved(engine.clone(), clock, stop.now)));
    }
    Ok(Running { gateway: base, sandbox, engine, clock, gateway_tasks, sandbox_task, sandbox_stop })
}

impl Running {
    /// Waits until the gateway has stopped, which `stop` asks for, and then stops the sandbox.
    pub(crate) async fn ended(self) {
        for task in self.gateway_tasks {
            if task.await.is_err() {
                tracing::error!("a part of the gateway ended before its time");
            }
        }
        self.sandbox_stop.cancel();
        if let Some(task) = self.sandbox_task {
            let _ended = task.await;
        }
    }
}

/// The base URL of a listener as this machine reaches it.
pub(crate) fn base_of(listener: &TcpListener) -> anyhow::Result<String> {
    let mut address: SocketAddr = listener.local_addr()?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("http://{address}"))
}

/// Opens a sandbox. Making keys is a second of computing, so it has a thread of its own.
pub(crate) async fn open_sandbox(options: Options) -> anyhow::Result<Sandbox> {
    let opened = tokio::task::spawn_blocking(move || Sandbox::open(options)).await;
    Ok(opened.context("opening the sandbox broke off")??)
}

/// The sandbox before it serves.
struct Beside {
    sandbox: Option<Sandbox>,
    socket: Option<TcpListener>,
    base: Option<String>,
}

impl Beside {
    fn none() -> Beside {
        Beside { sandbox: None, socket: None, base: None }
    }

    async fn open(socket: TcpListener, data: std::path::PathBuf) -> anyhow::Result<Beside> {
        let options = Options { data_dir: Some(data), ..Options::default() };
        let sandbox = open_sandbox(options).await?;
        let base = Some(base_of(&socket)?);
        Ok(Beside { sandbox: Some(sandbox), socket: Some(socket), base })
    }

    fn serve(self, stop: &CancellationToken) -> Option<JoinHandle<()>> {
        let (sandbox, socket) = (self.sandbox?, self.socket?);
        let stop = stop.clone();
        Some(tokio::spawn(async move {
            if let Err(error) = sandbox.serve(socket, stop).await {
                tracing::error!(%error, "the sandbox ended before its time");
            }
        }))
    }
}

/// From being told to stop until it does, an instance goes on for so long, so that a balancer can
/// learn of it.
fn stop_after(drain: Duration, told: &CancellationToken) -> Stop {
    let stop = Stop { soon: told.clone(), now: CancellationToken::new() };
    if drain.is_zero() {
        return Stop { now: told.clone(), ..stop };
    }
    let (soon, now) = (stop.soon.clone(), stop.now.clone());
    tokio::spawn(async move {
        soon.cancelled().await;
        tracing::info!(?drain, "stopping: /readyz says so, and requests are served a while longer");
        tokio::time::sleep(drain).await;
        now.cancel();
    });
    stop
}

/// How many may come, as far as the system lets them.
struct Room {
    serving: Serving,
    limits: Limits,
}

impl Room {
    fn of(config: &LimitsConfig) -> Room {
        let connections_max = listening::connections_within(config.connections);
        tracing::info!(
            connections = connections_max,
            orders = config.gate.orders_under_way,
            "there is room for so many connections, and for so many orders under way"
        );
        // Those who only watch never take more than half.
        let limits = Limits { watchers: (connections_max / 2).max(1), ..config.gate };
        Room { serving: Serving { connections_max, ..Serving::default() }, limits }
    }
}

fn serve(
    engine: &Engine,
    listener: TcpListener,
    compat: &CompatSettings,
    serving: Serving,
    stop: &Stop,
) -> Vec<JoinHandle<()>> {
    let trusted_proxies = compat.trusted_proxies.clone();
    let settings = ApiSettings { trusted_proxies, gate: compat.gate.clone(), stop: stop.clone() };
    let router = tongbao_api::router(engine.clone(), settings);
    let router = router.merge(tongbao_compat::router(engine, compat));
    vec![
        tokio::spawn(tongbao_web::serve(listener, router, serving, stop.clone())),
        tokio::spawn(run_jobs(engine.clone(), stop.now.clone())),
    ]
}

async fn run_jobs(engine: Engine, stop: CancellationToken) {
    engine.run_jobs(stop).await;
}

async fn wake_when_moved(engine: Engine, clock: SandboxClock, stop: CancellationToken) {
    let mut moves = clock.on_advance();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            moved = moves.changed() => match moved {
                Ok(()) => engine.wake(),
                Err(_) => return,
            },
        }
    }
}
