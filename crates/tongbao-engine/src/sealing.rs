//! Sealing what a store holds: what an earlier version left in clear, and everything anew when the
//! master key changes. Gateways may serve meanwhile: each text is replaced only if it still stands
//! there, and what they read before does not come back over it.

use crate::seals::is_clear;
use crate::webhooks::kept_secrets;
use crate::writes::DECISIONS_MAX;
use crate::{
    Commit, CommitError, Dice, KeptSecret, MasterKeys, SealError, SecretPlace, Store, StoreError,
};
use tongbao_core::Endpoint;
use tongbao_types::{Sealed, Timestamp};

/// What became of the secrets of a store.
#[derive(Debug, Default)]
pub struct Resealed {
    /// So many are sealed under the first key now and were not before.
    pub anew: usize,
    /// So many were.
    pub already: usize,
    /// Those that do not open, and why.
    pub closed: Vec<SealError>,
}

/// A gateway that goes on sealing under its old key keeps us no longer than this.
const PASSES_MAX: usize = 10;

/// Seals what an earlier version left in clear. Returns how many secrets it were.
///
/// Endpoints come last: as long as one stands in clear, the replies are looked at too. Looking at
/// them reads every kept reply, which is too much for every start.
pub async fn seal_clear(
    store: &dyn Store,
    keys: &MasterKeys,
    dice: &dyn Dice,
) -> Result<usize, StoreError> {
    let mut wanted: Vec<KeptSecret> = secrets_of(&store.all_endpoints().await?);
    wanted.retain(|kept| is_clear(&kept.text));
    if wanted.is_empty() {
        return Ok(0);
    }
    let mut all = store.secret_replies().await?;
    all.retain(|kept| is_clear(&kept.text));
    all.extend(wanted);
    let mut done = Resealed::default();
    for kept in &all {
        one(store, (keys, dice), kept, &mut done).await?;
    }
    Ok(done.anew)
}

/// Seals everything under the first key, until nothing is left that is not.
pub async fn reseal(
    store: &dyn Store,
    keys: &MasterKeys,
    dice: &dyn Dice,
) -> Result<Resealed, StoreError> {
    let mut done = Resealed::default();
    for pass in 0..PASSES_MAX {
        let mut all = store.secret_replies().await?;
        all.extend(secrets_of(&store.all_endpoints().await?));
        let before = done.anew;
        done.closed.clear();
        for kept in &all {
            if !keys.is_current(&kept.text) {
                one(store, (keys, dice), kept, &mut done).await?;
            } else if pass == 0 {
                done.already += 1;
            }
        }
        if done.anew == before {
            break;
        }
    }
    Ok(done)
}

/// The secrets that do not open: those that enabled endpoints sign with at `wall`, or with `None`
/// all of the store.
pub async fn closed_secrets(
    store: &dyn Store,
    keys: &MasterKeys,
    wall: Option<Timestamp>,
) -> Result<Vec<SealError>, StoreError> {
    let endpoints = store.all_endpoints().await?;
    let kept = match wall {
        Some(wall) => {
            let enabled = endpoints.iter().filter(|endpoint| endpoint.enabled);
            enabled.flat_map(|endpoint| kept_secrets(endpoint, wall)).collect()
        }
        None => {
            let mut all = secrets_of(&endpoints);
            all.extend(store.secret_replies().await?);
            all
        }
    };
    Ok(kept.iter().filter_map(|kept| keys.open(&kept.place, &kept.text).err()).collect())
}

/// Disables the endpoints whose secret is sealed under a key that is lost, so that a gateway can
/// serve without it; whoever rotates their secrets may enable them again. Returns how many.
pub async fn give_up(
    store: &dyn Store,
    keys: &MasterKeys,
    lost: &str,
) -> Result<usize, StoreError> {
    let mut count = 0;
    for endpoint in store.all_endpoints().await? {
        count += usize::from(give_up_one(store, (keys, lost), endpoint).await?);
    }
    Ok(count)
}

/// Whether anything of the endpoint was lost. A gateway may change it meanwhile; then it is looked
/// at again.
async fn give_up_one(
    store: &dyn Store,
    (keys, lost): (&MasterKeys, &str),
    mut endpoint: Endpoint,
) -> Result<bool, StoreError> {
    for _ in 0..DECISIONS_MAX {
        let (id, scope) = (endpoint.id, endpoint.scope.clone());
        if !without_lost(&mut endpoint, keys, lost) {
            return Ok(false);
        }
        endpoint.version += 1;
        let commit = Commit { endpoint: Some(endpoint), ..Commit::default() };
        match store.commit(commit).await {
            Ok(()) => return Ok(true),
            Err(CommitError::Stale) => {}
            Err(error) => return Err(StoreError(error.to_string())),
        }
        let all = store.endpoints(&scope).await?;
        let Some(now) = all.into_iter().find(|one| one.id == id) else { return Ok(false) };
        endpoint = now;
    }
    Err(StoreError(CommitError::Stale.to_string()))
}

/// Takes from an endpoint what only the lost key opens, and says whether there was anything.
fn without_lost(endpoint: &mut Endpoint, keys: &MasterKeys, lost: &str) -> bool {
    let is_lost = |place: SecretPlace, text: &Sealed| match keys.open(&place, text) {
        Err(SealError::OtherKey { id, .. }) => id == lost,
        _ => false,
    };
    let now = is_lost(SecretPlace::Endpoint(endpoint.id), &endpoint.secret);
    let old = endpoint.secret_old.as_ref();
    let old = old.is_some_and(|(old, _)| is_lost(SecretPlace::EndpointOld(endpoint.id), old));
    if old {
        endpoint.secret_old = None;
    }
    endpoint.enabled &= !now;
    now || old
}

fn secrets_of(endpoints: &[Endpoint]) -> Vec<KeptSecret> {
    let long_ago = Timestamp::from_micros(i64::MIN);
    endpoints.iter().flat_map(|endpoint| kept_secrets(endpoint, long_ago)).collect()
}

async fn one(
    store: &dyn Store,
    (keys, dice): (&MasterKeys, &dyn Dice),
    kept: &KeptSecret,
    done: &mut Resealed,
) -> Result<(), StoreError> {
    let anew = keys.open(&kept.place, &kept.text);
    match anew.and_then(|clear| keys.seal(&kept.place, clear.expose(), dice)) {
        Ok(anew) => done.anew += usize::from(store.reseal(kept, &anew).await?),
        Err(error) => done.closed.push(error),
    }
    Ok(())
}
