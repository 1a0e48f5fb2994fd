//! Webhook endpoints and deliveries, as their owner sees them. Making a delivery is a job.

use crate::{
    Commit, DeletedView, DeliveryFilter, DeliveryView, EndpointView, Engine, Error, ListView,
    LoadedDelivery, Page, StoreError, views,
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
pub(crate) struct EndpointCache {
    remembered: Mutex<Remembered>,
    /// Held while an endpoint is read, changed and written: rows have no version, and of two
    /// changes at the same time neither may be lost.
    changing: tokio::sync::Mutex<()>,
}

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
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.check_address(&new.url)?;
        let events = if new.events.is_empty() { vec!["*".to_owned()] } else { new.events };
        check_events(&events)?;
        if self.store().endpoints(scope).await?.len() >= ENDPOINTS_MAX {
            let message = format!("An app has at most {ENDPOINTS_MAX} webhook endpoints.");
            return Err(Error::new(Code::InvalidParameter, message).param("url"));
        }
        let mut mint = self.mint();
        let endpoint = Endpoint {
            id: mint.id(),
            scope: scope.clone(),
            url: new.url,
            events,
            enabled: new.enabled,
            description: new.description,
            secret: self.new_secret(),
            secret_old: None,
            created_at: mint.now(),
        };
        self.save_endpoint(endpoint.clone()).await?;
        Ok(views::endpoint(&endpoint, true))
    }

    /// Reads an endpoint.
    pub async fn endpoint(&self, scope: &Scope, id: EndpointId) -> Result<EndpointView, Error> {
        Ok(views::endpoint(&self.own_endpoint(scope, id).await?, false))
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
        Ok(page.list(all, |endpoint| views::endpoint(&endpoint, false)))
    }

    /// Changes an endpoint.
    pub async fn update_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
        patch: EndpointPatch,
    ) -> Result<EndpointView, Error> {
        let _one_at_a_time = self.endpoint_cache().changing.lock().await;
        let mut endpoint = self.own_endpoint(scope, id).await?;
        if let Some(url) = patch.url {
            self.check_address(&url)?;
            endpoint.url = url;
        }
        if let Some(events) = patch.events {
            check_events(&events)?;
            endpoint.events = events;
        }
        if let Some(description) = patch.description {
            endpoint.description = description;
        }
        endpoint.enabled = patch.enabled.unwrap_or(endpoint.enabled);
        self.save_endpoint(endpoint.clone()).await?;
        Ok(views::endpoint(&endpoint, false))
    }

    /// Deletes an endpoint and its open deliveries.
    pub async fn delete_endpoint(
        &self,
        scope: &Scope,
        id: EndpointId,
    ) -> Result<DeletedView, Error> {
        let _one_at_a_time = self.endpoint_cache().changing.lock().await;
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
        let _one_at_a_time = self.endpoint_cache().changing.lock().await;
        let mut endpoint = self.own_endpoint(scope, id).await?;
        let until = self.clock().wall() + OLD_SECRET_LIVES;
        let old = std::mem::replace(&mut endpoint.secret, self.new_secret());
        endpoint.secret_old = Some((old, until));
        self.save_endpoint(endpoint.clone()).await?;
        Ok(views::endpoint(&endpoint, true))
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

    async fn save_endpoint(&self, endpoint: Endpoint) -> Result<(), Error> {
        let scope = endpoint.scope.clone();
        let commit = Commit { endpoint: Some(endpoint), ..Commit::default() };
        let saved = self.store().commit(commit).await;
        self.endpoint_cache().forget(&scope);
        Ok(saved?)
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

    fn new_secret(&self) -> Secret<String> {
        Secret::new(WebhookSecret::from_bytes(&self.random::<32>()).to_text().to_string())
    }

    /// Whether a merchant's address may be told of events; each try asks again.
    ///
    /// Fails with [`Code::InvalidParameter`] or [`Code::UrlForbidden`].
    pub fn check_address(&self, text: &str) -> Result<(), Error> {
        let wrong = |code, message: String| Err(Error::new(code, message).param("url"));
        if text.len() > 500 {
            return wrong(Code::InvalidParameter, "A url has at most 500 characters.".to_owned());
        }
        let Ok(url) = Url::parse(text) else {
            return wrong(Code::InvalidParameter, "This is not a complete address.".to_owned());
        };
        match self.egress().check_url(&url) {
            Ok(()) => Ok(()),
            Err(reason) => wrong(Code::UrlForbidden, format!("Not allowed: {reason}.")),
        }
    }
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
