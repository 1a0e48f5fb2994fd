//! How often each thing has happened: a fault that never strikes proves nothing.

use crate::fault::{Point, What};
use crate::kind::Kind;
use crate::plan::DownAs;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongbao_types::Profile;

/// How often each thing has happened, by its name.
#[derive(Debug, Default)]
pub struct Coverage(Mutex<BTreeMap<String, u64>>);

impl Clone for Coverage {
    fn clone(&self) -> Coverage {
        Coverage(Mutex::new(self.lock().clone()))
    }
}

impl Coverage {
    /// It has happened once more.
    pub(crate) fn count(&self, name: fmt::Arguments<'_>) {
        *self.lock().entry(name.to_string()).or_default() += 1;
    }

    /// What has happened elsewhere has happened here too.
    pub(crate) fn add(&self, other: &Coverage) {
        let mut own = self.lock();
        for (name, count) in other.lock().iter() {
            *own.entry(name.clone()).or_default() += count;
        }
    }

    /// How often it has happened.
    pub fn of(&self, name: &str) -> u64 {
        self.lock().get(name).copied().unwrap_or(0)
    }

    /// All of it, by name.
    pub fn all(&self) -> BTreeMap<String, u64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.lock().iter() {
            writeln!(f, "{count:>9}  {name}")?;
        }
        Ok(())
    }
}

/// The faults that a point can have; a measure is left out.
const FAULTS: &[(Point, &[What])] = &[
    (Point::Store, &[What::Freeze(0)]),
    (
        Point::Provider,
        &[
            What::Freeze(0),
            What::Late(0),
            What::Status(0),
            What::StatusAfter(0),
            What::Twice,
            What::Stray(0),
            What::Forged,
        ],
    ),
    (
        Point::Notice,
        &[What::Twice, What::Stray(0), What::Stray(90_000), What::Forged, What::Astray],
    ),
    (Point::Webhook, &[What::Status(0), What::StatusAfter(0)]),
    (Point::Bill, &[What::Status(0), What::Cut, What::Short, What::Spoiled, What::Trickle(0)]),
];
/// Those that every point can have.
const EVERYWHERE: [What; 6] = [
    What::Fails,
    What::FailsAfter,
    What::Crash,
    What::CrashAfter,
    What::Slow(0),
    What::SlowAfter(0),
];
/// What does not belong to a point.
const OTHERS: [&str; 9] = [
    "Provider: timed out",
    "Webhook: timed out",
    "a clock is wrong",
    "a process is killed",
    "two processes",
    "a forged notice",
    "a charge is paid late",
    "a charge is paid twice",
    "a bill is asked for too early",
];

/// Everything that many lives must have seen.
pub fn wanted() -> Vec<String> {
    let mut all: Vec<String> = OTHERS.map(str::to_owned).to_vec();
    for (point, faults) in FAULTS {
        let words = EVERYWHERE.iter().chain(*faults).map(|what| what.word());
        all.extend(words.map(|word| format!("{point:?}: {word}")));
    }
    for how in [DownAs::Refuses, DownAs::Hangs, DownAs::Fails] {
        all.push(format!("a merchant is down: {how:?}"));
    }
    for kind in Kind::WECHAT.into_iter().chain(Kind::ALIPAY) {
        let channels = kind.channels().iter();
        all.extend(channels.map(|channel| format!("{kind:?} {channel}: succeeded")));
        if kind.has_bills() {
            all.push(format!("{kind:?}: bill"));
        }
    }
    for profile in [Profile::AuthPay, Profile::Wepay, Profile::Capi] {
        all.push(format!("{profile}: succeeded"));
    }
    for callback in ["WepayNotify", "CapiNotify", "CapiFunction"] {
        all.push(format!("{callback}: taken"));
        all.push(format!("{callback}: given up"));
    }
    all
}
