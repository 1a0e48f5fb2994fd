//! Webhook endpoints and deliveries, as their owner sees them. Making a delivery is a job.

use crate::writes::DECISIONS_MAX;
use crate::{
    Commit, CommitError, DeletedView, DeliveryFilter, DeliveryView, EndpointView, Engine, Error,
    KeptSecret, ListView, LoadedDelivery, Page, SealError, SecretPlace, StoreError, views,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tongbao_core::{DeliveryState, Endpoint, EventKind, JobChange, JobKind, NewJob, Scope, Target};
use tongbao_crypt::webhook::WebhookSecret;
use tongbao_types::{Code, DeliveryId, EndpointId, Secret, Span, Timestamp};
use url::Url;

/// What a merchant asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEndpoint {
    /// The address.
    pub url: String,
    /// Names of events; none means `*`.
    pub events: Vec<String>,
    /// The merchant's own words.
    pub description: Option<String>,
    /// Whether it is told anything yet.
    pub enabled: bool,
}

/// What a merchant changes; `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndpointPatch {
    /// The address.
    pub url: Option<String>,
    /// Names of events.
    pub events: Option<Vec<String>>,
    /// The merchant's own words; `Some(None)` takes them away.
    pub description: Option<Option<String>>,
    /// Whether it is told anything.
    pub enabled: Option<bool>,
}

/// The endpoints of scopes, for as long as only this process can change them. What was read while
/// they were changed is not remembered.
#[derive(Default)]
pub(crate) struct EndpointCache(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    by_scope: HashMap<Scope, (Timestamp, Arc<Vec<Endpoint>>)>,
    n_changes: u64,
}

impl EndpointCache {
    /// What is remembered, and how many changes there were so far.
    fn recall(&self, scope: &Scope, wall: Timestamp) -> (Option<Arc<Vec<Endpoint>>>, u64) {
        let remembered = self.lock();
        let known = remembered.by_scope.get(scope);
        let known = known.filter(|(read_at, _)| wall.since(*read_at) < REMEMBERED_FOR);
        (known.map(|(_, endpoints)| Arc::clone(endpoints)), remembered.n_changes)
    }

    /// Unless something has changed since `n_changes`, when the reading began at `read_at`.
    fn remember(&self, scope: &Scope, known: (Timestamp, Arc<Vec<Endpoint>>), n_changes: u64) {
        let mut remembered = self.lock();
        if remembered.n_changes == n_changes {
            remembered.by_scope.insert(scope.clone(), known);
        }
    }

    fn forget(&self, scope: &Scope) {
        let mut remembered = self.lock();
        remembered.n_changes += 1;
        remembered.by_scope.remove(scope);
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A change whose request was cut off in the middle is not noticed; it counts after this.
const REMEMBERED_FOR: Span = Span::from_seconds(5);

/// The old secret signs too for so long after a rotation.
const OLD_SECRET_LIVES: Span = Span::from_seconds(24 * 3600);
const ENDPOINTS_MAX: usize = 50;

impl Engine {
    /// Makes an endpoint; its reply alone shows the secret.
    pub async fn create_endpoint(
        &self,
        scope: &Scope,
        new: NewEndpoint,
    ) -> Result<EndpointView, Error> {
        self.check_address(&new.url).await?;
        let events = if new.events.is_empty() { vec!["*".to_owned()] } else { new.events };
        check_events(&events)?;
        if self.store().endpoints(scope).await?.len() >= ENDPOINTS_MAX {
            let message = format!("An app has at most {ENDPOINTS_MAX} webhook endpoints.");
            return Err(Error::new(Code::InvalidParameter, message).param("url"));
        }
        let mut mint = self.mint();
        let id = mint.id();
        let secret = self.new_secret();
        let endpoint = Endpoint {
            id,
            scope: scope.clone(),
            url: new.url,
            events,
            enabled: new.enabled,
            description: new.description,
            secret: self.seal(&SecretPlace::Endpoint(id), secret.expose())?,
            secret_old: None,
            created_at: mint.now(),
            version: 1,
        };
        self.save_endpoint(endpoint.clone()).await?;
        Ok(views::endpoint(&endpoint, Some(&secret)))
    }

    /// Reads an endpoint.
    pub async fn endpoint(&self, scope: &Scope, id: EndpointId) -> Result<EndpointView, Error> {
        Ok(views::endpoint(&self.own_endpoint(scope, id).await?, None))
    }

    /// Lists endpoints, newest first. There are so few that the page is cut here.
    pub async fn endpoints(
        &self,
        scope: &Scope,
        page: Page<EndpointId>,
    ) -> Result<ListView<EndpointView>, Error> {
        let mut all = self.store().endpoints(scope).await?;
        if let Some(after) = page.starting_after {
            all.retain(|endpoint| endpoint.id < after);
        }
        if let Some(before) = page.ending_before {
            all.retain(|endpoint| endpoint.id > before);
            let limit = usize::try_from(page.limit).unwrap_or(usize::MAX).saturating_add(1);
            let far = all.len().saturating_sub(limit);
            all.drain(..far);
        }
        Ok(page.list(all, |endpoint| views::endpoint(&endpoint, None)))
    }

    /// Changes an endpoint.
    pub async fn update_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        patch: EndpointPatch,
    ) -> Result<EndpointView, Error> {
        if let Some(url) = &patch.url {
            self.own_endpoint(scope, id).await?;
            // Looking a name up takes time, in which others would change what was read.
            self.check_address(url).await?;
        }
        let decide = |endpoint: &mut Endpoint| self.apply(&patch, endpoint);
        let endpoint = self.change_endpoint(scope, id, decide).await?;
        Ok(views::endpoint(&endpoint, None))
    }

    fn apply(&self, patch: &EndpointPatch, endpoint: &mut Endpoint) -> Result<(), Error> {
        if let Some(url) = &patch.url {
            endpoint.url.clone_from(url);
        }
        if let Some(events) = &patch.events {
            check_events(events)?;
            endpoint.events.clone_from(events);
        }
        if let Some(description) = &patch.description {
            endpoint.description.clone_from(description);
        }
        if patch.enabled == Some(true) && self.open_secret(endpoint).is_err() {
            let message = "The secret of this endpoint cannot be opened any more, so nothing could \
                           be signed for it. Rotate the secret first.";
            return Err(Error::new(Code::Conflict, message).param("enabled"));
        }
        endpoint.enabled = patch.enabled.unwrap_or(endpoint.enabled);
        Ok(())
    }

    /// Deletes an endpoint and its open deliveries, whatever its version: who changes it at the
    /// same time finds it gone.
    pub async fn delete_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
    ) -> Result<DeletedView, Error> {
        self.own_endpoint(scope, id).await?;
        let commit = Commit { endpoint_gone: Some(id), ..Commit::default() };
        let deleted = self.store().commit(commit).await;
        self.endpoint_cache().forget(scope);
        deleted?;
        Ok(DeletedView { id: id.to_string(), object: "webhook_endpoint", deleted: true })
    }

    /// Gives an endpoint a new secret; the old one signs too for a day.
    pub async fn rotate_secret(
        &self,
        scope: &Scope,
        id: EndpointId,
    ) -> Result<EndpointView, Error> {
        let until = self.clock().wall() + OLD_SECRET_LIVES;
        let secret = self.new_secret();
        let sealed = self.seal(&SecretPlace::Endpoint(id), secret.expose())?;
        let decide = |endpoint: &mut Endpoint| {
            // What cannot be opened any more signs nothing; rotating is the way out of a lost key.
            let old = self.open_secret(endpoint).ok();
            if old.as_ref().is_some_and(|old| old.expose() == secret.expose()) {
                // An earlier try was written after all, and is not to end what was before it.
                return Ok(());
            }
            let old = old.map(|old| self.seal(&SecretPlace::EndpointOld(id), old.expose()));
            endpoint.secret_old = old.transpose()?.map(|old| (old, until));
            endpoint.secret = sealed.clone();
            Ok(())
        };
        let endpoint = self.change_endpoint(scope, id, decide).await?;
        Ok(views::endpoint(&endpoint, Some(&secret)))
    }

    /// Reads a delivery.
    pub async fn delivery(&self, scope: &Scope, id: DeliveryId) -> Result<DeliveryView, Error> {
        Ok(views::loaded_delivery(&self.own_delivery(scope, id).await?))
    }

    /// Lists deliveries, newest first.
    pub async fn deliveries(
        &self,
        scope: &Scope,
        filter: &DeliveryFilter,
        page: Page<DeliveryId>,
    ) -> Result<ListView<DeliveryView>, Error> {
        let found = self.store().deliveries(scope, filter, page.one_more()).await?;
        Ok(page.list(found, |delivery| views::delivery(&delivery)))
    }

    /// Sends a delivery again now, whatever became of it; its three days begin anew.
    pub async fn resend(&self, scope: &Scope, id: DeliveryId) -> Result<DeliveryView, Error> {
        let mut loaded = self.own_delivery(scope, id).await?;
        let is_callback = matches!(loaded.delivery.target, Target::Callback(_));
        if loaded.endpoint.is_none() && !is_callback {
            let message = "The endpoint of this delivery was deleted; nobody is there to send to.";
            return Err(Error::new(Code::Conflict, message));
        }
        let mut mint = self.mint();
        let now = mint.now();
        loaded.delivery.state = DeliveryState::Pending { next_at: now };
        loaded.delivery.n_tries = 0;
        let kind = JobKind::Deliver(id);
        let job = NewJob { id: mint.id(), kind, run_at: now };
        let jobs = vec![JobChange::Drop(kind), JobChange::Put(job)];
        let view = views::loaded_delivery(&loaded);
        let delivery_tried = Some(loaded.delivery);
        self.store().commit(Commit { jobs, delivery_tried, ..Commit::default() }).await?;
        self.runner().promised(now);
        Ok(view)
    }

    /// The endpoints of a scope, for the deliveries of an event.
    pub(crate) async fn endpoints_of(
        &self,
        scope: &Scope,
    ) -> Result<Arc<Vec<Endpoint>>, StoreError> {
        if self.store().is_shared() {
            return self.store().endpoints(scope).await.map(Arc::new);
        }
        let wall = self.clock().wall();
        let (known, n_changes) = self.endpoint_cache().recall(scope, wall);
        if let Some(known) = known {
            return Ok(known);
        }
        let endpoints = Arc::new(self.store().endpoints(scope).await?);
        self.endpoint_cache().remember(scope, (wall, Arc::clone(&endpoints)), n_changes);
        Ok(endpoints)
    }

    /// Decides on an endpoint and writes it, again as often as somebody else was quicker. Returns
    /// it as it was written.
    async fn change_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        decide: impl Fn(&mut Endpoint) -> Result<(), Error> + Send,
    ) -> Result<Endpoint, Error> {
        for _ in 0..DECISIONS_MAX {
            let mut endpoint = self.own_endpoint(scope, id).await?;
            decide(&mut endpoint)?;
            endpoint.version += 1;
            match self.save_endpoint(endpoint.clone()).await {
                Ok(()) => return Ok(endpoint),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(CommitError::Stale.into())
    }

    async fn save_endpoint(&self, endpoint: Endpoint) -> Result<(), CommitError> {
        let scope = endpoint.scope.clone();
        let commit = Commit { endpoint: Some(endpoint), ..Commit::default() };
        let saved = self.store().commit(commit).await;
        self.endpoint_cache().forget(&scope);
        saved
    }

    async fn own_endpoint(&self, scope: &Scope, id: EndpointId) -> Result<Endpoint, Error> {
        let all = self.store().endpoints(scope).await?;
        let found = all.into_iter().find(|endpoint| endpoint.id == id);
        found.ok_or_else(|| Error::not_found("webhook endpoint"))
    }

    async fn own_delivery(&self, scope: &Scope, id: DeliveryId) -> Result<LoadedDelivery, Error> {
        let found = self.store().delivery(id).await?;
        let own = found.filter(|loaded| loaded.delivery.scope == *scope);
        own.ok_or_else(|| Error::not_found("delivery"))
    }

    /// The secrets that sign at this moment: the endpoint's, and for a day the one before.
    pub(crate) fn signing_secrets(
        &self,
        endpoint: &Endpoint,
        wall: Timestamp,
    ) -> Result<Vec<Secret<String>>, SealError> {
        let kept = kept_secrets(endpoint, wall);
        let opened = kept.iter().map(|one| self.master_keys().open(&one.place, &one.text));
        let opened: Result<_, _> = opened.collect();
        opened.inspect_err(|error| {
            tracing::error!(endpoint.id = %endpoint.id, %error, "a webhook cannot be signed");
        })
    }

    fn open_secret(&self, endpoint: &Endpoint) -> Result<Secret<String>, SealError> {
        self.master_keys().open(&SecretPlace::Endpoint(endpoint.id), &endpoint.secret)
    }

    fn new_secret(&self) -> Secret<String> {
        Secret::new(WebhookSecret::from_bytes(&self.random::<32>()).to_text().to_string())
    }

    /// Whether a merchant's address may be told of events, as it is written and as its name leads
    /// now; each try asks again.
    ///
    /// Fails with [`Code::InvalidParameter`] or [`Code::UrlForbidden`].
    pub async fn check_address(&self, text: &str) -> Result<(), Error> {
        let wrong = |code, message: String| Err(Error::new(code, message).param("url"));
        if text.len() > 500 {
            return wrong(Code::InvalidParameter, "A url has at most 500 characters.".to_owned());
        }
        let Ok(url) = Url::parse(text) else {
            return wrong(Code::InvalidParameter, "This is not a complete address.".to_owned());
        };
        let mut checked = self.egress().check_url(&url);
        if let (Ok(()), Some(host)) = (&checked, url.host_str()) {
            checked = self.wire().look_up(host).await;
        }
        match checked {
            Ok(()) => Ok(()),
            Err(reason) => wrong(Code::UrlForbidden, format!("Not allowed: {reason}.")),
        }
    }
}

/// What is kept of an endpoint's secrets that still sign.
pub(crate) fn kept_secrets(endpoint: &Endpoint, wall: Timestamp) -> Vec<KeptSecret> {
    let now = (SecretPlace::Endpoint(endpoint.id), &endpoint.secret);
    let old = endpoint.secret_old.as_ref().filter(|(_, until)| wall < *until);
    let old = old.map(|(secret, _)| (SecretPlace::EndpointOld(endpoint.id), secret));
    let all = std::iter::once(now).chain(old);
    all.map(|(place, text)| KeptSecret { place, text: text.clone() }).collect()
}

fn check_events(events: &[String]) -> Result<(), Error> {
    let known = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => EventKind::ALL.iter().any(|kind| kind.as_str().starts_with(prefix)),
        None => pattern.parse::<EventKind>().is_ok(),
    };
    match events.iter().find(|pattern| !known(pattern)) {
        None if events.is_empty() => {
            let message = "Name at least one event, or * for all.";
            Err(Error::new(Code::InvalidParameter, message).param("events"))
        }
        None => Ok(()),
        Some(pattern) => {
            let message = format!("There is no event named {pattern:?}.");
            Err(Error::new(Code::InvalidParameter, message).param("events"))
        }
    }
}
