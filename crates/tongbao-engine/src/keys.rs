//! API keys: 256 random bits, shown once and kept as a hash.

use crate::{ApiKey, Engine, Error, NewKey, key_prefix};
use moka::sync::Cache;
use std::time::Duration;
use tongbao_core::Scope;
use tongbao_crypt::digest;
use tongbao_types::{ApiKeyId, AppName, Code, Mode, Secret};

/// Keys that were good.
pub(crate) struct KeyCache {
    /// A moment ago. A revoked key works for so long at most.
    fresh: Cache<String, Scope>,
    /// At any time. Whether they still are, the database says.
    known: Cache<String, ()>,
}

impl Default for KeyCache {
    fn default() -> KeyCache {
        let fresh = Cache::builder().max_capacity(4096).time_to_live(Duration::from_secs(5));
        KeyCache { fresh: fresh.build(), known: Cache::new(65_536) }
    }
}

/// What is kept of a key's text.
pub fn key_hash(text: &str) -> String {
    digest::sha256_hex(text.as_bytes())
}

impl Engine {
    /// Whose key this is.
    pub async fn authenticate(&self, text: &str) -> Result<Scope, Error> {
        let hash = key_hash(text);
        if let Some(scope) = self.key_cache().fresh.get(&hash) {
            return Ok(scope);
        }
        let known = self.store().api_key(&hash).await?;
        let Some(key) = known.filter(|key| key.revoked_at.is_none()) else {
            let message = "This key is not known here, or it was revoked. Keys begin with \
                           sk_test_ or sk_live_; make one with `tongbao keys create`.";
            return Err(Error::new(Code::InvalidKey, message));
        };
        self.key_cache().known.insert(hash.clone(), ());
        self.key_cache().fresh.insert(hash, key.scope.clone());
        Ok(key.scope)
    }

    /// Whether this was a key of ours at any time, as far as is remembered. It opens nothing; it
    /// only tells a shop from somebody who guesses.
    pub fn has_known(&self, text: &str) -> bool {
        self.key_cache().known.contains_key(&key_hash(text))
    }

    /// Remembers the keys that there are, for [`Engine::has_known`].
    pub async fn remember_keys(&self) -> Result<(), Error> {
        for app in &self.0.apps {
            for key in self.store().api_keys(&app.name).await? {
                self.key_cache().known.insert(key.hash, ());
            }
        }
        Ok(())
    }

    /// Makes a key for an app.
    pub async fn create_key(
        &self,
        app: &AppName,
        mode: Mode,
        description: Option<String>,
    ) -> Result<NewKey, Error> {
        let random = data_encoding::BASE32_DNSSEC.encode(&self.random::<32>());
        let text = Secret::new(format!("{}{random}", key_prefix(mode)));
        let kept = self.describe_key(app, mode, &text, description)?;
        self.store().save_api_key(&kept).await?;
        self.key_cache().known.insert(kept.hash.clone(), ());
        Ok(NewKey { text, kept })
    }

    /// Makes a key known whose text is kept elsewhere; does nothing if it is known.
    pub async fn keep_key(
        &self,
        app: &AppName,
        mode: Mode,
        text: &Secret<String>,
    ) -> Result<(), Error> {
        let kept = self.describe_key(app, mode, text, None)?;
        if self.store().api_key(&kept.hash).await?.is_none() {
            self.store().save_api_key(&kept).await?;
        }
        self.key_cache().known.insert(kept.hash, ());
        Ok(())
    }

    /// The keys of an app, newest first.
    pub async fn keys(&self, app: &AppName) -> Result<Vec<ApiKey>, Error> {
        Ok(self.store().api_keys(app).await?)
    }

    /// Revokes a key of an app.
    pub async fn revoke_key(&self, app: &AppName, id: ApiKeyId) -> Result<(), Error> {
        let keys = self.store().api_keys(app).await?;
        let found = keys.into_iter().find(|key| key.id == id);
        let mut key = found.ok_or_else(|| Error::not_found("key"))?;
        key.revoked_at.get_or_insert(self.clock().now());
        self.store().save_api_key(&key).await?;
        self.key_cache().fresh.invalidate(&key.hash);
        Ok(())
    }

    fn describe_key(
        &self,
        app: &AppName,
        mode: Mode,
        text: &Secret<String>,
        description: Option<String>,
    ) -> Result<ApiKey, Error> {
        if self.app(app).is_none() {
            let message = format!("There is no app {app} in the configuration; add [[apps]].");
            return Err(Error::new(Code::NotFound, message).param("app"));
        }
        let text = text.expose();
        let tail_from = text.len().saturating_sub(4);
        Ok(ApiKey {
            id: self.mint().id(),
            scope: Scope { app: app.clone(), mode },
            hash: key_hash(text),
            tail: text.get(tail_from..).unwrap_or_default().to_owned(),
            description,
            created_at: self.clock().now(),
            revoked_at: None,
        })
    }
}
