//! `Idempotency-Key`: the same request again gets the first reply again.
//!
//! The key is written with the intent and the reply with the outcome, so a crash in between leaves
//! a key that names its charge or its refund; who asks again then gets that. Replies that only say
//! that nothing could be done now are not kept.

use crate::error::busy;
use crate::replies::{charge_reply, refund_reply};
use crate::{
    ChargeView, Commit, CommitError, DeliveryView, EndpointView, Engine, Error, IdempotencyRow,
    IdempotencyStep, SecretPlace, views,
};
use serde::Serialize;
use tongbao_core::Scope;
use tongbao_crypt::digest;
use tongbao_types::{Code, Span};

/// A request that bears an `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotentRequest {
    /// The key.
    pub key: String,
    /// SHA-256 of method, path and body, in hex.
    pub fingerprint: String,
}

impl IdempotentRequest {
    /// A key with what tells this request from another one.
    pub fn new(key: String, method: &str, path: &str, body: &[u8]) -> IdempotentRequest {
        let all = [method.as_bytes(), path.as_bytes(), body].join(&b'\n');
        IdempotentRequest { key, fingerprint: digest::sha256_hex(&all) }
    }
}

/// Gives status and body of a reply: for an object's JSON or for an error.
pub type Render = fn(Result<&str, &Error>) -> (u16, String);

/// What a reply says. Whoever adds a kind of reply says whether it may be kept as it is.
pub trait Tells: Serialize {
    /// Whether its JSON holds a secret; then the kept reply is sealed.
    fn tells_a_secret(&self) -> bool;
}

impl Tells for EndpointView {
    fn tells_a_secret(&self) -> bool {
        self.secret.is_some()
    }
}

/// The `client_secret` of a charge is for its payer's browser, which shows it to everybody there.
impl Tells for ChargeView {
    fn tells_a_secret(&self) -> bool {
        false
    }
}

impl Tells for DeliveryView {
    fn tells_a_secret(&self) -> bool {
        false
    }
}

/// A reply, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Whether it is the kept reply of an earlier request.
    pub replayed: bool,
    /// When to try again.
    pub retry_after: Option<Span>,
}

/// A request that is still without a reply after this long has died; its key may be taken over.
const ABANDONED_AFTER: Span = Span::from_seconds(60);

impl Engine {
    /// Runs work that may bear an `Idempotency-Key`.
    pub async fn idempotently<T: Tells>(
        &self,
        scope: &Scope,
        idempotent: Option<IdempotentRequest>,
        render: Render,
        work: impl Future<Output = Result<T, Error>> + Send,
    ) -> Reply {
        let Some(request) = idempotent else {
            return reply(render, &work.await.map(|done| views::to_json(&done)));
        };
        if let Some(kept) = self.begin(scope, &request, render).await {
            return kept;
        }
        let done = work.await;
        let is_secret = done.as_ref().is_ok_and(Tells::tells_a_secret);
        let done = done.map(|done| views::to_json(&done));
        let reply = reply(render, &done);
        let step = match &done {
            Err(error) if !is_worth_keeping(error) => forget(scope, &request.key),
            _ if is_secret => self.keep_sealed(scope, &request.key, &reply),
            _ => keep(scope, &request.key, &reply),
        };
        let commit = Commit { idempotency: Some(step), ..Commit::default() };
        if let Err(error) = self.store().commit(commit).await {
            tracing::warn!(%error, "a reply could not be kept for its Idempotency-Key");
        }
        reply
    }

    /// The reply to a request that came before with its key, if it has one.
    pub(crate) async fn earlier(
        &self,
        scope: &Scope,
        idempotent: Option<&IdempotentRequest>,
        render: Render,
    ) -> Option<Reply> {
        let kept = self.kept_reply(scope, idempotent?, render).await;
        kept.unwrap_or_else(|error| Some(failure(render, &error)))
    }

    /// The reply to a request that could not begin: perhaps the same one was quicker.
    pub(crate) async fn not_begun(
        &self,
        error: Error,
        scope: &Scope,
        idempotent: Option<&IdempotentRequest>,
        render: Render,
    ) -> Reply {
        let earlier = self.earlier(scope, idempotent, render).await;
        earlier.unwrap_or_else(|| failure(render, &error))
    }

    /// The kept reply, or why the key cannot be used; `None` if the key is now this request's.
    pub(crate) async fn begin(
        &self,
        scope: &Scope,
        request: &IdempotentRequest,
        render: Render,
    ) -> Option<Reply> {
        let begin = IdempotencyStep::Begin(self.idempotency_row(scope, request));
        let commit = Commit { idempotency: Some(begin), ..Commit::default() };
        match self.store().commit(commit).await {
            Ok(()) => None,
            Err(CommitError::IdempotencyKeyTaken) => {
                match self.kept_reply(scope, request, render).await {
                    Ok(Some(reply)) => Some(reply),
                    Ok(None) => Some(failure(render, &busy())),
                    Err(error) => Some(failure(render, &error)),
                }
            }
            Err(error) => Some(failure(render, &error.into())),
        }
    }

    pub(crate) fn idempotency_row(
        &self,
        scope: &Scope,
        request: &IdempotentRequest,
    ) -> IdempotencyRow {
        IdempotencyRow {
            scope: scope.clone(),
            key: request.key.clone(),
            fingerprint: request.fingerprint.clone(),
            charge: None,
            refund: None,
            reply: None,
            created_at: self.clock().now(),
        }
    }

    /// What an earlier request with this key got; `None` if there was no such request.
    pub(crate) async fn kept_reply(
        &self,
        scope: &Scope,
        request: &IdempotentRequest,
        render: Render,
    ) -> Result<Option<Reply>, Error> {
        let Some(row) = self.store().idempotency(scope, &request.key).await? else {
            return Ok(None);
        };
        if row.fingerprint != request.fingerprint {
            let message = "This Idempotency-Key came with another request before. Use a new key \
                           for each request, and the same key only to repeat one.";
            return Err(Error::new(Code::IdempotencyKeyReused, message));
        }
        match &row.reply {
            Some((_, body)) if body.is_empty() => {
                let found = self.as_it_stands(&row, render).await?;
                return Ok(found.map(|reply| Reply { replayed: true, ..reply }));
            }
            Some((status, body)) => {
                let place = SecretPlace::Reply { scope: scope.clone(), key: request.key.clone() };
                let (status, body) = (*status, self.master_keys().read(&place, body)?);
                return Ok(Some(Reply { status, body, replayed: true, retry_after: None }));
            }
            None => {}
        }
        if self.clock().now() <= row.created_at + ABANDONED_AFTER {
            return Err(busy());
        }
        let found = self.as_it_stands(&row, render).await?;
        let step = match &found {
            Some(reply) => keep(scope, &request.key, reply),
            None => forget(scope, &request.key),
        };
        self.store().commit(Commit { idempotency: Some(step), ..Commit::default() }).await?;
        found.map(Some).ok_or_else(busy)
    }

    /// A reply that cannot be sealed is not kept: whoever repeats the request makes a new secret.
    fn keep_sealed(&self, scope: &Scope, key: &str, reply: &Reply) -> IdempotencyStep {
        let place = SecretPlace::Reply { scope: scope.clone(), key: key.to_owned() };
        match self.seal(&place, &reply.body) {
            Ok(sealed) => {
                keep(scope, key, &Reply { body: sealed.as_text().to_owned(), ..reply.clone() })
            }
            Err(_) => forget(scope, key),
        }
    }

    /// What became of that which a request made, if it made anything.
    async fn as_it_stands(
        &self,
        row: &IdempotencyRow,
        render: Render,
    ) -> Result<Option<Reply>, Error> {
        if let Some(id) = row.refund {
            let known = self.store().refund(id).await?;
            let refund = known.ok_or_else(|| Error::not_found("refund"))?;
            let loaded = self.load(refund.charge).await?;
            return Ok(Some(refund_reply(&refund, &loaded, render)));
        }
        let Some(charge) = row.charge else { return Ok(None) };
        Ok(Some(charge_reply(&self.load(charge).await?, self.public_url(), render)))
    }
}

/// An error that only says «not now» must not be the answer for ever.
pub(crate) fn is_worth_keeping(error: &Error) -> bool {
    !matches!(
        error.code,
        Code::Unavailable
            | Code::Internal
            | Code::Conflict
            | Code::RateLimited
            | Code::ProviderUnknown
            | Code::IdempotencyKeyBusy
    )
}

pub(crate) fn keep(scope: &Scope, key: &str, reply: &Reply) -> IdempotencyStep {
    let (scope, key) = (scope.clone(), key.to_owned());
    IdempotencyStep::Done { scope, key, status: reply.status, body: reply.body.clone() }
}

/// The request is answered, but what its order became was not known yet: whoever repeats it gets
/// the charge as it stands then.
pub(crate) fn keep_open(scope: &Scope, key: &str) -> IdempotencyStep {
    let (scope, key) = (scope.clone(), key.to_owned());
    IdempotencyStep::Done { scope, key, status: 201, body: String::new() }
}

pub(crate) fn forget(scope: &Scope, key: &str) -> IdempotencyStep {
    IdempotencyStep::Forget { scope: scope.clone(), key: key.to_owned() }
}

pub(crate) fn reply(render: Render, done: &Result<String, Error>) -> Reply {
    match done {
        Ok(json) => {
            let (status, body) = render(Ok(json));
            Reply { status, body, replayed: false, retry_after: None }
        }
        Err(error) => failure(render, error),
    }
}

pub(crate) fn failure(render: Render, error: &Error) -> Reply {
    let (status, body) = render(Err(error));
    Reply { status, body, replayed: false, retry_after: error.retry_after }
}
