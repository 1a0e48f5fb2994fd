//! The pretend providers: a simulator of WeChat Pay and Alipay on one port, at their own paths.
//!
//! It stands on the protocol crates alone and knows nothing of charges, so that it cannot share the
//! gateway's mistakes. Start with `trade` (what an order is), `world` (where it is kept) and
//! `answer` (how a request gets its answer); `wechat` and `alipay` hold the operations, `notifier`
//! sends what is owed to notify_urls, `control` and `wallet` are for tests and people.

mod alipay;
mod answer;
mod certificates;
mod clock;
mod connection;
mod control;
mod corrupt;
mod credentials;
mod dice;
mod faults;
mod header_case;
mod journal;
pub mod magic;
mod notice;
mod notifier;
mod numbers;
mod order;
mod payer;
mod pretend;
mod reach;
mod refund;
mod rules;
mod server;
mod task;
mod tls;
mod trade;
mod traffic;
mod wallet;
mod wechat;
mod words;
mod world;

pub use clock::SandboxClock;
pub use credentials::{AlipayCredentials, Credentials, WechatCredentials};
pub use journal::JournalError;
pub use notifier::DueNotice;
pub use rules::{CloseUnknown, NoticeKey, Rules, WechatKeys};

use axum::Router;
use pretend::Pretend;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tongbao_types::{HttpResponse, Timestamp};

/// What a sandbox is opened with. The default keeps nothing and follows the machine's clock.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the keys are kept; without it they are in `data_dir`, or made afresh.
    pub credentials_dir: Option<PathBuf>,
    /// Where trades and notifications are kept; without it they are forgotten at the end.
    pub data_dir: Option<PathBuf>,
    /// The time that orders and notifications go by. Time stamps that sign messages stay real.
    pub clock: SandboxClock,
    /// Whether the listener speaks TLS, with a certificate of the sandbox's own; then some calls
    /// want the merchant's client certificate, as they do at WeChat Pay.
    pub tls: bool,
    /// The merchant's switches. What was set in an earlier run over the same `data_dir` wins.
    pub mch_rules: Rules,
}

/// The pretend providers cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The journal of trades and notifications.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The file of keys.
    #[error("the sandbox's credentials {path} cannot be read or written")]
    Credentials {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or a certificate.
    #[error("the sandbox's keys and certificates cannot be made or read: {0}")]
    Certificate(String),
    /// The client that sends notifications.
    #[error("the sandbox's HTTP client cannot be made")]
    Client(#[from] reqwest::Error),
}

/// The pretend providers, ready to serve. Clones share everything.
#[derive(Clone)]
pub struct Sandbox {
    pretend: Arc<Pretend>,
}

impl Sandbox {
    /// Reads or makes the keys and the world. Making keys takes a second or so of computing.
    pub fn open(options: Options) -> Result<Sandbox, SandboxError> {
        Ok(Sandbox { pretend: Arc::new(Pretend::open(options)?) })
    }

    /// Lets all numbers that the sandboxes of this thread give follow from a seed, for simulations.
    pub fn seed_thread(seed: u64) {
        dice::seed_thread(seed);
    }

    /// Another sandbox with the same keys and an empty world, which keeps nothing. Quicker to have
    /// than a new one, whose keys must be made or read.
    pub fn anew(&self, clock: SandboxClock, mch_rules: Rules) -> Sandbox {
        Sandbox { pretend: Arc::new(self.pretend.anew(clock, mch_rules)) }
    }

    /// What an SDK needs to be a merchant here.
    pub fn credentials(&self) -> &Credentials {
        &self.pretend.credentials
    }

    /// The root that clients have to trust, PEM, if the listener speaks TLS.
    pub fn tls_root(&self) -> Option<&str> {
        self.pretend.tls.as_ref().map(tls::Tls::root_pem)
    }

    /// The clock given at the start.
    pub fn clock(&self) -> &SandboxClock {
        &self.pretend.clock
    }

    /// Everything that is answered, as a service without a socket. It sends no notifications; and a
    /// connection that a fault should cut gets an empty answer. [`Sandbox::serve`] does both.
    pub fn router(&self) -> Router {
        answer::router(Arc::clone(&self.pretend))
    }

    /// Takes out one notification whose turn has come, for whoever carries it instead of the
    /// notifier and then tells [`Sandbox::answered`]. What an amount does to notifications (see
    /// [`magic`]) is done to it.
    pub fn take_due(&self) -> Option<DueNotice> {
        notifier::take_due(&self.pretend)
    }

    /// How a notification was answered, if it was; the next try follows by the timetable.
    pub fn answered(&self, due: DueNotice, answer: Option<&HttpResponse>) {
        notifier::answered(&self.pretend, due, answer);
    }

    /// When something happens next by itself: a notification is due, a payer acts, time is over.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.pretend.world().next_at()
    }

    /// Answers on a listener and sends notifications until `stop`; then requests under way end.
    pub async fn serve(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> Result<(), SandboxError> {
        let notifier = tokio::spawn(notifier::run(Arc::clone(&self.pretend), stop.clone()));
        server::run(self.router(), listener, self.pretend.tls.clone(), stop).await;
        if notifier.await.is_err() {
            tracing::error!("the sandbox's notifier ended before its time");
        }
        Ok(())
    }
}
