//! What goes wrong, and where: each fault is planned for one point, the n-th call of its kind in
//! the whole life, so that leaving one out leaves the others where they are.

use crate::coverage::Coverage;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Where something can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// A call of the database.
    Store,
    /// A call of a provider.
    Provider,
    /// A provider's notification.
    Notice,
    /// A webhook.
    Webhook,
    /// A call for a bill, when everything else has come to rest.
    Bill,
}

impl Point {
    /// All of them.
    pub const ALL: [Point; 5] =
        [Point::Store, Point::Provider, Point::Notice, Point::Webhook, Point::Bill];
}

/// What goes wrong there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It does not take place, and whoever called gets an error.
    Fails,
    /// It takes place, and whoever called gets an error: the outcome is unknown.
    FailsAfter,
    /// The gateway dies before it takes place.
    Crash,
    /// It takes place, and the gateway dies before it knows.
    CrashAfter,
    /// It takes so many milliseconds longer before it takes place.
    Slow(u32),
    /// It takes place, and so many milliseconds pass before the answer is there.
    SlowAfter(u32),
    /// The gateway stands still for so many seconds, after it has taken place.
    Freeze(u32),
    /// The gateway stands still for so many seconds before it takes place.
    Late(u32),
    /// A failing server in front answers with this status, and it does not take place.
    Status(u16),
    /// It takes place, and a failing server in front answers with this status.
    StatusAfter(u16),
    /// It takes place twice; the second answer counts.
    Twice,
    /// It takes place, and once more after so many seconds, when nobody waits for it.
    Stray(u32),
    /// The answer's, or the message's, signature is wrong.
    Forged,
    /// It goes to another account's address.
    Astray,
    /// Half of the file comes, then the connection breaks.
    Cut,
    /// Half of the file comes, and nothing says that it is not the whole.
    Short,
    /// A byte of the file is another.
    Spoiled,
    /// The file comes in small pieces, so many milliseconds apart.
    Trickle(u32),
}

impl What {
    /// Its name without a measure, for counting.
    pub fn word(self) -> &'static str {
        match self {
            What::Fails => "fails",
            What::FailsAfter => "fails after its effect",
            What::Crash => "crash",
            What::CrashAfter => "crash after its effect",
            What::Slow(_) => "slow",
            What::SlowAfter(_) => "slow after its effect",
            What::Freeze(_) => "process stands still",
            What::Late(_) => "process stands still before it",
            What::Status(_) => "5xx",
            What::StatusAfter(_) => "5xx after its effect",
            What::Twice => "twice",
            What::Stray(seconds) if seconds > 3_600 => "once more, hours later",
            What::Stray(_) => "once more, later",
            What::Forged => "wrong signature",
            What::Astray => "another account's address",
            What::Cut => "cut",
            What::Short => "half of it",
            What::Spoiled => "a byte is another",
            What::Trickle(_) => "slow body",
        }
    }
}

/// A fault and its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub point: Point,
    /// At which call there, from 0.
    pub nth: u32,
    /// What.
    pub what: What,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}: {:?}", self.point, self.nth, self.what)
    }
}

/// The faults of a life, what has come of them, and how many calls have come to each point.
#[derive(Default)]
pub(crate) struct FaultBook {
    planned: BTreeMap<(Point, u32), What>,
    counts: Mutex<BTreeMap<Point, u32>>,
    is_healed: AtomicBool,
    is_at_bills: AtomicBool,
    coverage: Coverage,
}

impl FaultBook {
    pub(crate) fn new(faults: &[Fault]) -> FaultBook {
        let planned = faults.iter().map(|fault| ((fault.point, fault.nth), fault.what)).collect();
        FaultBook { planned, ..FaultBook::default() }
    }

    /// A call has come to a point: its number there, and what is to go wrong.
    pub(crate) fn at(&self, point: Point) -> (u32, Option<What>) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(point).or_default();
        let nth = *count;
        *count += 1;
        let is_over = self.is_healed() && point != Point::Bill;
        let what = self.planned.get(&(point, nth)).filter(|_| !is_over).copied();
        if let Some(what) = what {
            self.coverage.count(format_args!("{point:?}: {}", what.word()));
        }
        (nth, what)
    }

    /// What has happened so far.
    pub(crate) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// From now on providers are asked for bills alone.
    pub(crate) fn turn_to_bills(&self) {
        self.is_at_bills.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_at_bills(&self) -> bool {
        self.is_at_bills.load(Ordering::Relaxed)
    }

    /// How many calls have come to a point.
    pub(crate) fn count(&self, point: Point) -> u32 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&point).copied().unwrap_or(0)
    }

    /// From now on nothing goes wrong.
    pub(crate) fn heal(&self) {
        self.is_healed.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_healed(&self) -> bool {
        self.is_healed.load(Ordering::Relaxed)
    }
}
