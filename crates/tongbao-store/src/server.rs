//! A database server as one store sees it: where it is, since when it has not answered, and which
//! claims of jobs it never answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tongbao_engine::StoreError;
use uuid::Uuid;

pub(crate) struct Server {
    /// Engine, host and port, without a password: «PostgreSQL at 127.0.0.1:5432».
    place: String,
    /// How long is waited for a connection.
    pub(crate) patience: Duration,
    is_silent: AtomicBool,
    silent_since: Mutex<Option<Instant>>,
    /// Marks of claims whose commit got no answer: the jobs may be held in our name.
    lost_claims: Mutex<Vec<Uuid>>,
}

impl Server {
    pub(crate) fn new(place: String, patience: Duration) -> Server {
        Server {
            place,
            patience,
            is_silent: AtomicBool::new(false),
            silent_since: Mutex::new(None),
            lost_claims: Mutex::new(Vec::new()),
        }
    }

    /// Notes whether it answered, and says in an error which database it was and since when.
    pub(crate) fn heard<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        match answer {
            Ok(answer) => {
                self.answers();
                Ok(answer)
            }
            Err(error) => Err(self.silent(error)),
        }
    }

    /// Adds to the words of an error which database it was and since when.
    pub(crate) fn silent(&self, StoreError(text): StoreError) -> StoreError {
        let mut since = lock(&self.silent_since);
        let since = *since.get_or_insert_with(Instant::now);
        self.is_silent.store(true, Ordering::Release);
        let (place, seconds) = (&self.place, since.elapsed().as_secs());
        StoreError(format!("{text} ({place}, without a good answer for {seconds} s)"))
    }

    pub(crate) fn answers(&self) {
        // Mostly it did so before, and then nothing is written here.
        if !self.is_silent.load(Ordering::Acquire) || !self.is_silent.swap(false, Ordering::AcqRel)
        {
            return;
        }
        if let Some(since) = lock(&self.silent_since).take() {
            let (database, after) = (&self.place, since.elapsed());
            tracing::info!(database, ?after, "the database answers again");
        }
    }

    pub(crate) fn lost_claims(&self) -> Vec<Uuid> {
        lock(&self.lost_claims).clone()
    }

    pub(crate) fn claim_lost(&self, owner: Uuid) {
        lock(&self.lost_claims).push(owner);
    }

    pub(crate) fn claims_found(&self, owners: &[Uuid]) {
        lock(&self.lost_claims).retain(|owner| !owners.contains(owner));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
