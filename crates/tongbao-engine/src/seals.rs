//! Secrets at rest: what the store gets to see of them. The store keeps texts as they are given to
//! it; here they are sealed on their way there and opened on their way back.

use crate::{Dice, Engine, Error};
use std::fmt;
use std::sync::Arc;
use tongbao_core::Scope;
use tongbao_crypt::seal::{self, NONCE_BYTES, SealingKey};
use tongbao_types::{Code, EndpointId, Sealed, Secret};

/// Where a secret is kept. It is part of what is sealed, so a sealed text opens nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretPlace {
    /// The secret of a webhook endpoint.
    Endpoint(EndpointId),
    /// Its secret before the last rotation.
    EndpointOld(EndpointId),
    /// The kept reply to a request with an `Idempotency-Key`.
    Reply {
        /// Whose key.
        scope: Scope,
        /// The key.
        key: String,
    },
}

impl SecretPlace {
    /// Table, column and row. No part but the last can hold the byte that parts them.
    fn bytes(&self) -> Vec<u8> {
        let text = match self {
            SecretPlace::Endpoint(id) => format!("endpoints\0secret\0{id}"),
            SecretPlace::EndpointOld(id) => format!("endpoints\0secret_old\0{id}"),
            SecretPlace::Reply { scope, key } => {
                format!("idempotency_keys\0body\0{}\0{}\0{key}", scope.app, scope.mode)
            }
        };
        text.into_bytes()
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretPlace::Endpoint(id) => write!(f, "the secret of the webhook endpoint {id}"),
            SecretPlace::EndpointOld(id) => {
                write!(f, "the old secret of the webhook endpoint {id}")
            }
            SecretPlace::Reply { scope, .. } => {
                write!(f, "a kept reply of the app {} ({})", scope.app, scope.mode)
            }
        }
    }
}

/// Why a secret cannot be sealed or opened. No text shows anything of the secret or of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is no key to seal with.
    #[error("there is no master key to seal secrets with; set security.master_key_file")]
    NoKey,
    /// It was sealed under a key that is not here.
    #[error(
        "{place} is sealed under the master key {id}, which is not configured; put that key into \
         security.master_key or security.old_master_keys"
    )]
    OtherKey {
        /// Which secret.
        place: SecretPlace,
        /// The key's id.
        id: String,
    },
    /// The key is here, and the text is not what was sealed.
    #[error("{place} was changed, or moved here from another row: its master key {id} refuses it")]
    Changed {
        /// Which secret.
        place: SecretPlace,
        /// The key's id.
        id: String,
    },
}

impl SealError {
    /// Whether nothing but a key is missing.
    pub const fn is_missing_key(&self) -> bool {
        matches!(self, SealError::NoKey | SealError::OtherKey { .. })
    }
}

impl From<SealError> for Error {
    fn from(cause: SealError) -> Error {
        tracing::error!(error = %cause, "a secret can be neither sealed nor opened");
        let message = "A secret could not be sealed or opened. The log of this gateway says why.";
        Error::new(Code::Internal, message)
    }
}

/// The master keys: the first one seals, and all of them open. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct MasterKeys(Arc<Vec<SealingKey>>);

impl MasterKeys {
    /// Derives what is needed from each key, once.
    pub fn new<'a>(keys: impl IntoIterator<Item = &'a Secret<[u8; 32]>>) -> MasterKeys {
        let keys = keys.into_iter().map(|key| SealingKey::new(key.expose()));
        MasterKeys(Arc::new(keys.collect()))
    }

    /// The id of the key that seals.
    pub fn first_id(&self) -> Option<&str> {
        self.0.first().map(SealingKey::id)
    }

    /// Seals a text for a place.
    pub(crate) fn seal(
        &self,
        place: &SecretPlace,
        clear: &str,
        dice: &dyn Dice,
    ) -> Result<Sealed, SealError> {
        let key = self.0.first().ok_or(SealError::NoKey)?;
        let mut nonce = [0; NONCE_BYTES];
        dice.fill(&mut nonce);
        Ok(Sealed::from_text(key.seal(&place.bytes(), &nonce, clear)))
    }

    /// Opens what is kept at a place. What an earlier version wrote in clear is given as it is.
    pub fn open(&self, place: &SecretPlace, kept: &Sealed) -> Result<Secret<String>, SealError> {
        self.read(place, kept.as_text()).map(Secret::new)
    }

    /// As [`MasterKeys::open`], for a text that need not be a secret.
    pub(crate) fn read(&self, place: &SecretPlace, kept: &str) -> Result<String, SealError> {
        let Some(id) = seal::key_id(kept) else { return Ok(kept.to_owned()) };
        let (place, id) = (place.clone(), id.to_owned());
        // Two keys may share an id, if only by a great chance.
        let mut named = self.0.iter().filter(|key| key.id() == id).peekable();
        if named.peek().is_none() {
            return Err(SealError::OtherKey { place, id });
        }
        let bytes = place.bytes();
        let opened = named.find_map(|key| key.open(&bytes, kept));
        opened.map(|clear| clear.to_string()).ok_or(SealError::Changed { place, id })
    }

    /// Whether a text is sealed under the key that seals now.
    pub(crate) fn is_current(&self, kept: &Sealed) -> bool {
        let id = seal::key_id(kept.as_text());
        id.is_some() && id == self.first_id()
    }
}

/// Whether a text stands in clear, as an earlier version left it.
pub(crate) fn is_clear(kept: &Sealed) -> bool {
    seal::key_id(kept.as_text()).is_none()
}

impl Engine {
    /// Seals a text for a place.
    pub(crate) fn seal(&self, place: &SecretPlace, clear: &str) -> Result<Sealed, SealError> {
        self.master_keys().seal(place, clear, self.dice())
    }
}
