//! The merchants' endpoints: they write down what comes, and are down when the plan says so.

use crate::life::Life;
use crate::older;
use crate::plan::DownAs;
use crate::providers::Merchant;
use crate::trace::say;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tongbao_core::{Endpoint, Scope};
use tongbao_engine::{Commit, Outgoing, Store, WireError};
use tongbao_types::{AppName, HttpResponse, Mint, Mode, Sealed};

/// Where an endpoint is told.
pub(crate) const URLS: [&str; 2] = ["https://hooks.test/all", "https://hooks.test/money"];
/// What each of them wants to be told.
pub(crate) const WANTS: [&[&str]; 2] = [&["*"], &["charge.succeeded", "refund.*", "poll.finished"]];

/// The address of an endpoint, or of an older service's merchant.
fn url_of(endpoint: usize) -> &'static str {
    URLS.iter().chain(&older::URLS).nth(endpoint).copied().unwrap_or_default()
}

/// A webhook that was received.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    pub(crate) url: String,
    /// `webhook-id`: the event's; callbacks have none.
    pub(crate) id: String,
    pub(crate) body: String,
    /// Whether it was answered with 2xx.
    pub(crate) is_taken: bool,
}

/// Everything that was received.
#[derive(Default)]
pub(crate) struct Hooks(Mutex<Vec<Hook>>);

impl Hooks {
    pub(crate) async fn receive(
        &self,
        life: &Life,
        outgoing: &Outgoing,
    ) -> Result<HttpResponse, WireError> {
        let url = format!("{}{}", outgoing.base, outgoing.request.target);
        let now = life.clock.now().since(crate::clock::BEGINNING);
        let down = life
            .plan
            .downs
            .iter()
            .find(|down| url_of(down.endpoint) == url && down.from <= now && now < down.until);
        if let Some(down) = down {
            life.faults.coverage().count(format_args!("a merchant is down: {:?}", down.how));
        }
        let status = match down.map(|down| down.how) {
            None => 200,
            Some(DownAs::Refuses) => return Err(WireError::Broken("refused".to_owned())),
            Some(DownAs::Hangs) => std::future::pending().await,
            Some(DownAs::Fails) => 500,
        };
        let id = outgoing.request.header("webhook-id").unwrap_or_default().to_owned();
        say!(life.trace, "hook   {url} {id} <- {status}");
        let body = String::from_utf8_lossy(&outgoing.request.body).into_owned();
        self.lock().push(Hook { url, id, body, is_taken: status < 300 });
        let answer = if status < 300 { "SUCCESS" } else { "" };
        Ok(HttpResponse::new(status, "text/plain", answer))
    }

    pub(crate) fn all(&self) -> Vec<Hook> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Hook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret of an endpoint, one of the words that no log may hold.
pub(crate) fn secret(endpoint: usize) -> String {
    format!(
        "whsec_{}",
        ["Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5", "b25lLW1vcmUtc2VjcmV0LW9mLWEtaG9v"][endpoint]
    )
}

/// The scope of a merchant's app.
pub(crate) fn scope(merchant: Merchant) -> Scope {
    let app = AppName::new(merchant.as_str()).expect("a merchant's name is a word");
    Scope { app, mode: Mode::Test }
}

/// Writes a merchant's endpoints, before anything can go wrong.
pub(crate) async fn register(life: &Arc<Life>, merchant: Merchant) {
    for (index, url) in URLS.into_iter().enumerate() {
        let now = life.clock.now();
        let tail = [merchant as u8, u8::try_from(index).unwrap_or(0)];
        let mut seed = [0; 10];
        seed[..2].copy_from_slice(&tail);
        let endpoint = Endpoint {
            id: Mint::new(now, seed).id(),
            scope: scope(merchant),
            url: url.to_owned(),
            events: WANTS[index].iter().map(|word| (*word).to_owned()).collect(),
            enabled: true,
            description: None,
            secret: Sealed::from_text(secret(index)),
            secret_old: None,
            created_at: now,
            version: 1,
        };
        let commit = Commit { endpoint: Some(endpoint), ..Commit::default() };
        life.memory.commit(commit).await.expect("an empty store takes an endpoint");
    }
}
