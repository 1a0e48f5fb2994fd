//! The channel accounts: which one serves a channel, and calls to its provider.

use crate::{ChannelView, Engine, Error, ListView, Outgoing, Reach, Tls};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tongbao_channels::{Adapter, Doubt, Exchange, Reply, Stamp};
use tongbao_core::Scope;
use tongbao_types::{AccountName, AppName, Channel, Code, HttpRequest, HttpResponse, Mode, Span};

/// An account of an app.
#[derive(Clone)]
pub struct Account {
    /// Whose it is.
    pub app: AppName,
    /// Test accounts are only reached by test keys, live ones by live keys.
    pub mode: Mode,
    /// Its credentials and protocol.
    pub adapter: Arc<dyn Adapter>,
}

pub(crate) struct Accounts {
    list: Vec<Arc<Entry>>,
    by_name: HashMap<AccountName, Arc<Entry>>,
}

pub(crate) struct Entry {
    pub(crate) scope: Scope,
    pub(crate) adapter: Arc<dyn Adapter>,
    keys_asked_at: AtomicI64,
    keys_turn: tokio::sync::Mutex<()>,
}

/// The provider's keys are asked for at most so often; a stranger could make us ask otherwise.
const KEYS_EVERY: Span = Span::from_seconds(60);
const ANSWER_BYTES_MAX: usize = 256 * 1024;

impl Accounts {
    pub(crate) fn new(accounts: Vec<Account>) -> Result<Accounts, String> {
        let mut list = Vec::new();
        let mut by_name = HashMap::new();
        for Account { app, mode, adapter } in accounts {
            let name = adapter.name().clone();
            let entry = Arc::new(Entry {
                scope: Scope { app, mode },
                adapter,
                keys_asked_at: AtomicI64::new(i64::MIN),
                keys_turn: tokio::sync::Mutex::new(()),
            });
            if by_name.insert(name.clone(), Arc::clone(&entry)).is_some() {
                return Err(format!("two accounts are named {name}; give one another name"));
            }
            list.push(entry);
        }
        Ok(Accounts { list, by_name })
    }

    pub(crate) fn named(&self, name: &AccountName) -> Option<&Arc<Entry>> {
        self.by_name.get(name)
    }

    /// The account that a request names, or the first that serves the channel.
    pub(crate) fn choose(
        &self,
        scope: &Scope,
        channel: Channel,
        name: Option<&AccountName>,
    ) -> Result<Arc<Entry>, Error> {
        let serves = |entry: &&Arc<Entry>| entry.adapter.channels().contains(&channel);
        let mut own = self.list.iter().filter(|entry| entry.scope == *scope);
        let Scope { app, mode } = scope;
        match name {
            None => own.find(serves).cloned().ok_or_else(|| {
                let message = format!("The app {app} has no {mode} account that serves {channel}.");
                Error::new(Code::AccountMissing, message).param("channel")
            }),
            Some(name) => {
                let found = own.find(|entry| entry.adapter.name() == name);
                found.filter(serves).cloned().ok_or_else(|| {
                    let message = format!(
                        "The app {app} has no {mode} account named {name} that serves {channel}."
                    );
                    Error::new(Code::AccountMissing, message).param("account")
                })
            }
        }
    }

    /// The accounts of a scope, in the order of the configuration.
    pub(crate) fn of<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Arc<Entry>> {
        self.list.iter().filter(move |entry| entry.scope == *scope)
    }

    fn describe(&self, scope: &Scope, channel: Channel) -> ChannelView {
        let own = || self.list.iter().filter(|entry| entry.scope == *scope);
        let serves = |entry: &&Arc<Entry>| entry.adapter.channels().contains(&channel);
        let name = |entry: &Arc<Entry>| entry.adapter.name().to_string();
        let accounts: Vec<String> = own().filter(serves).map(name).collect();
        let provider = channel.provider();
        let reason = if !accounts.is_empty() {
            None
        } else if own().any(|entry| entry.adapter.provider() == provider) {
            Some(format!("None of the {provider} accounts of this app and mode can do this."))
        } else {
            let Scope { app, mode } = scope;
            Some(format!("The app {app} has no {mode} account at {provider}."))
        };
        ChannelView {
            object: "channel",
            channel: channel.as_str(),
            provider: provider.as_str(),
            available: !accounts.is_empty(),
            accounts,
            reason,
        }
    }
}

impl Engine {
    /// Every channel there is, with the accounts of this scope that serve it, or why none does.
    pub fn channels(&self, scope: &Scope) -> ListView<ChannelView> {
        let view = |channel: &Channel| self.accounts().describe(scope, *channel);
        let data = Channel::ALL.iter().map(view).collect();
        ListView { object: "list", data, has_more: false }
    }

    pub(crate) fn stamp(&self) -> Stamp {
        Stamp { wall: self.clock().wall(), nonce: self.random_hex() }
    }

    /// Carries an exchange. Every way of not getting a believable answer is [`Reply::Unknown`].
    pub(crate) async fn call<T: 'static>(
        &self,
        account: &Entry,
        exchange: &Exchange<T>,
    ) -> Reply<T> {
        self.talk(account, exchange).await.0
    }

    /// As [`Engine::call`], with the answer itself if there was a believable one.
    pub(crate) async fn talk<T: 'static>(
        &self,
        account: &Entry,
        exchange: &Exchange<T>,
    ) -> (Reply<T>, Option<HttpResponse>) {
        if account.adapter.needs_keys() {
            self.refresh_keys(account).await;
        }
        let response = match self.send(account, exchange.request.clone()).await {
            Ok(response) => response,
            Err(reason) => {
                return (Reply::Unknown(Doubt { reason, keys_may_help: false }), None);
            }
        };
        let reply = match exchange.finish(&response, self.clock().wall()) {
            Reply::Unknown(doubt) if doubt.keys_may_help && self.refresh_keys(account).await => {
                exchange.finish(&response, self.clock().wall())
            }
            reply => reply,
        };
        let answer = (!matches!(reply, Reply::Unknown(_))).then_some(response);
        (reply, answer)
    }

    /// Fetches the provider's keys, unless that was done a moment ago. Tells whether it may have
    /// helped.
    pub(crate) async fn refresh_keys(&self, account: &Entry) -> bool {
        let _one_at_a_time = account.keys_turn.lock().await;
        let now = self.clock().wall();
        let asked_at = account.keys_asked_at.load(Ordering::Relaxed);
        if now.as_micros() < asked_at.saturating_add(KEYS_EVERY.as_micros()) {
            return !account.adapter.needs_keys();
        }
        let Some(request) = account.adapter.keys_request(&self.stamp()) else { return false };
        let learnt = match self.send(account, request).await {
            Ok(response) => account.adapter.learn_keys(&response, self.clock().wall()),
            Err(reason) => Err(reason),
        };
        account.keys_asked_at.store(now.as_micros(), Ordering::Relaxed);
        let name = account.adapter.name();
        match &learnt {
            Ok(()) => tracing::info!(account.id = %name, "fetched the provider's keys"),
            Err(error) => {
                tracing::warn!(account.id = %name, %error, "cannot fetch the provider's keys");
            }
        }
        learnt.is_ok()
    }

    async fn send(&self, account: &Entry, request: HttpRequest) -> Result<HttpResponse, String> {
        let outgoing = self.outgoing(account, request);
        self.wire().send(outgoing).await.map_err(|error| error.to_string())
    }

    /// A call to the account's provider.
    pub(crate) fn outgoing(&self, account: &Entry, request: HttpRequest) -> Outgoing {
        Outgoing {
            base: account.adapter.endpoint().to_owned(),
            request,
            timeout: self.call_timeout(),
            answer_max: ANSWER_BYTES_MAX,
            reach: Reach::Provider,
            tls: Tls {
                identity: account.adapter.identity().cloned(),
                root: account.adapter.root().cloned(),
            },
        }
    }
}
