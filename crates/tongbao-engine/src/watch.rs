//! Watching a charge: whoever waits is told after each commit about it.
//!
//! This is only a hint to look again; what is told always comes from the database. Where other
//! processes write the same database, the watcher also looks by itself every second, at no more
//! than the charge's version as long as that stays.

use crate::{ChargeView, Engine, Error, StoreError, views};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tongbao_types::ChargeId;

#[derive(Default)]
pub(crate) struct Watchers {
    channels: Mutex<HashMap<ChargeId, watch::Sender<()>>>,
}

impl Watchers {
    fn subscribe(&self, id: ChargeId) -> watch::Receiver<()> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|_, sender| sender.receiver_count() > 0);
        channels.entry(id).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    pub(crate) fn tell(&self, id: ChargeId) {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = channels.get(&id) {
            sender.send_replace(());
        }
    }
}

/// Somebody who waits for changes of one charge.
pub struct Watching {
    engine: Engine,
    id: ChargeId,
    changed: watch::Receiver<()>,
    last_seen: Option<(i64, bool)>,
}

const LOOK_ALONE: Duration = Duration::from_secs(15);
const LOOK_SHARED: Duration = Duration::from_secs(1);

impl Engine {
    /// Watches a charge of any scope; the caller has checked who asks.
    pub async fn watch(&self, id: ChargeId) -> Result<Watching, Error> {
        let changed = self.watchers().subscribe(id);
        self.load(id).await?;
        Ok(Watching { engine: self.clone(), id, changed, last_seen: None })
    }
}

impl Watching {
    /// The present state at first, then the state after each change; `None` after a final state.
    pub async fn next(&mut self) -> Option<ChargeView> {
        loop {
            if self.last_seen.is_some_and(|(_, is_final)| is_final) {
                return None;
            }
            self.changed.mark_unchanged();
            if let Ok(Some(news)) = self.look().await {
                return Some(news);
            }
            let shared = self.engine.store().is_shared();
            let patience = if shared { LOOK_SHARED } else { LOOK_ALONE };
            let _timed_out = tokio::time::timeout(patience, self.changed.changed()).await;
        }
    }

    /// The present state, if it is another than the last one.
    async fn look(&mut self) -> Result<Option<ChargeView>, StoreError> {
        let store = Arc::clone(self.engine.store());
        if let Some((seen, _)) = self.last_seen
            && store.charge_version(self.id).await? == Some(seen)
        {
            return Ok(None);
        }
        let Some(loaded) = store.charge(self.id).await? else { return Ok(None) };
        let version = loaded.charge.version;
        if self.last_seen.is_some_and(|(seen, _)| seen == version) {
            return Ok(None);
        }
        self.last_seen = Some((version, !loaded.charge.state.is_pending()));
        Ok(Some(views::charge(&loaded, self.engine.public_url())))
    }
}
