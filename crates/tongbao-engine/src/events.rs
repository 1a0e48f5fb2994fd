//! Reading events, and the arithmetic of pages that all lists share.

use crate::{Engine, Error, EventFilter, EventView, ListView, Page, views};
use tongbao_core::Scope;
use tongbao_types::EventId;

impl Engine {
    /// Reads an event.
    pub async fn event(&self, scope: &Scope, id: EventId) -> Result<EventView, Error> {
        let found = self.store().event(scope, id).await?;
        found.map(views::event).ok_or_else(|| Error::not_found("event"))
    }

    /// Lists events, newest first.
    pub async fn events(
        &self,
        scope: &Scope,
        filter: &EventFilter,
        page: Page<EventId>,
    ) -> Result<ListView<EventView>, Error> {
        let found = self.store().events(scope, filter, page.one_more()).await?;
        Ok(page.list(found, views::event))
    }
}

impl<Id> Page<Id> {
    /// The same with one object more, which tells whether there are more.
    pub(crate) fn one_more(self) -> Page<Id> {
        Page { limit: self.limit + 1, ..self }
    }

    /// Cuts what was found to the page and shows it. What lies beyond is the oldest when reading
    /// forwards and the newest when reading backwards.
    pub(crate) fn list<T, V>(self, mut found: Vec<T>, view: impl Fn(T) -> V) -> ListView<V> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let has_more = found.len() > limit;
        if has_more && self.ending_before.is_some() {
            found.remove(0);
        }
        found.truncate(limit);
        ListView { object: "list", data: found.into_iter().map(view).collect(), has_more }
    }
}
