//! One life: processes, payers, merchants and providers on one thread, until the faults are over
//! and nothing is left to do.

use crate::bills::{self, Shelf};
use crate::check;
use crate::clock::{BEGINNING, SimClock};
use crate::coverage::Coverage;
use crate::deeds;
use crate::dice::mixed;
use crate::fault::FaultBook;
use crate::hooks::{self, Hooks};
use crate::ledger::{Ledger, Violation};
use crate::notices;
use crate::older::Sayings;
use crate::plan::{Deed, Plan, Step};
use crate::process::Process;
use crate::providers::{Desk, Merchant};
use crate::replies::Replies;
use crate::trace::{Trace, say};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tongbao_sandbox::{Rules, Sandbox};
use tongbao_store::MemoryStore;
use tongbao_types::{Span, Timestamp};
use tracing_subscriber::EnvFilter;

/// Everything that a life has in common.
pub(crate) struct Life {
    pub(crate) plan: Plan,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) trace: Trace,
    pub(crate) faults: FaultBook,
    pub(crate) memory: MemoryStore,
    pub(crate) desks: BTreeMap<Merchant, Arc<Desk>>,
    pub(crate) hooks: Hooks,
    pub(crate) replies: Replies,
    pub(crate) sayings: Sayings,
    pub(crate) shelf: Shelf,
    ledger: Mutex<Ledger>,
    places: Mutex<Vec<Place>>,
    busy: AtomicUsize,
    open_deeds: AtomicUsize,
}

/// Where a process runs, or will run again.
enum Place {
    Taken(Process),
    Empty(Timestamp),
}

/// Something is under way, so that time must not jump.
pub(crate) struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// After the faults are over, everything must have settled by then: Alipay's old gateway closes an
/// order that was opened after 15 days, and telling somebody who is never there takes three more.
const HORIZON: Span = Span::from_seconds(20 * 86_400);
/// Shorter waits are waited for.
const NEAR: Span = Span::from_millis(1_500);
/// So many turns of the main loop are enough for every life.
const TURNS_MAX: u32 = 200_000;

/// What became of a life.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What must not have been.
    pub violations: Vec<Violation>,
    /// What happened.
    pub trace: Vec<String>,
    /// How many calls came to each point.
    pub calls: [u32; 5],
    /// How often each thing has happened.
    pub coverage: Coverage,
}

/// Lives a plan. Nothing outside it has any influence.
pub fn live(plan: &Plan) -> Outcome {
    #[cfg(feature = "planted")]
    tongbao_types::plant(plan.bug);
    Sandbox::seed_thread(mixed(plan.seed, "sandbox", 0));
    #[cfg(feature = "planted")]
    let bug = plan.bug;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // Bills are read on threads beside this one.
        .on_thread_start(move || {
            #[cfg(feature = "planted")]
            tongbao_types::plant(bug);
        })
        .build()
        .expect("a runtime without sockets can be made");
    runtime.block_on(async {
        let life = Life::begin(plan.clone());
        let log = tracing_subscriber::fmt()
            .with_writer(life.trace.clone())
            // A request's id and how long it took are the machine's and not the seed's.
            .with_env_filter(EnvFilter::new("debug,tongbao_web=off"))
            .with_ansi(false)
            .without_time()
            .finish();
        let guard = tracing::subscriber::set_default(log);
        life.run().await;
        drop(guard);
        life.end().await
    })
}

impl Life {
    fn begin(plan: Plan) -> Arc<Life> {
        let clock = Arc::new(SimClock::new());
        let leases = Arc::clone(&clock);
        let rules = Rules {
            wechat_refund_seconds: if plan.seed.is_multiple_of(3) { 40 } else { 2 },
            alipay_notify_wait: plan.seed.is_multiple_of(2),
            ..Rules::default()
        };
        let desk = |shop: &crate::plan::Shop| {
            (shop.merchant, Arc::new(Desk::open(shop.merchant, &clock, rules)))
        };
        Arc::new(Life {
            trace: Trace::new(Arc::clone(&clock)),
            faults: FaultBook::new(&plan.faults),
            memory: MemoryStore::with_clock(move || leases.now()),
            desks: plan.shops.iter().map(desk).collect(),
            hooks: Hooks::default(),
            replies: Replies::default(),
            sayings: Sayings::default(),
            shelf: Shelf::default(),
            ledger: Mutex::default(),
            places: Mutex::default(),
            busy: AtomicUsize::new(0),
            open_deeds: AtomicUsize::new(0),
            clock,
            plan,
        })
    }

    async fn run(self: &Arc<Life>) {
        for shop in &self.plan.shops {
            hooks::register(self, shop.merchant).await;
        }
        let beginning = self.clock.now();
        *self.places() = (0..self.plan.processes).map(|_| Place::Empty(beginning)).collect();
        let mut steps: VecDeque<Step> = self.plan.steps.clone().into();
        let mut number = 0;
        for turn in 0.. {
            if turn == TURNS_MAX {
                let (busy, next) = (self.busy.load(Ordering::Relaxed), self.next_at(&steps));
                let what = format!("{busy} calls are under way, the next thing is due at {next:?}");
                self.ledger().accuse("endless", what);
                break;
            }
            self.heal_in_time();
            let began = [
                self.clock.ring(),
                self.restart(&mut number),
                self.begin_due(&mut steps),
                notices::send_due(self),
            ];
            // What has just begun shall be under way before the next thing is looked for.
            let pause = if began.contains(&true) { Some(SHORTEST) } else { self.pause(&steps) };
            let Some(pause) = pause else { break };
            // On the paused clock this ends when everybody else waits.
            tokio::time::sleep(pause).await;
        }
        for process in self.processes() {
            process.stop().await;
        }
        bills::fetch(self).await;
    }

    async fn end(self: Arc<Life>) -> Outcome {
        let found = check::all(&self).await;
        let mut violations = self.ledger().take_violations();
        violations.extend(found);
        let trace = self.trace.take();
        violations.extend(check::secrets(&trace));
        let calls = crate::fault::Point::ALL.map(|point| self.faults.count(point));
        let coverage = self.coverage().await;
        Outcome { violations, trace, calls, coverage }
    }

    /// What has happened, with how it ended.
    async fn coverage(&self) -> Coverage {
        let coverage = self.faults.coverage().clone();
        if self.plan.processes > 1 {
            coverage.count(format_args!("two processes"));
        }
        for &merchant in self.desks.keys() {
            check::cover(self, merchant, &coverage).await;
        }
        coverage
    }

    /// How long to wait for what comes next; nothing, if nothing comes.
    fn pause(&self, steps: &VecDeque<Step>) -> Option<Duration> {
        let now = self.clock.now();
        let is_busy = self.busy.load(Ordering::Relaxed) > 0;
        let next = self.next_at(steps);
        let wait = next.map(|at| at.since(now));
        if is_busy || self.open_deeds.load(Ordering::Relaxed) > 0 && wait.is_none() {
            let short = Duration::from_millis(500);
            let wait = wait.filter(|wait| *wait > Span::ZERO);
            return Some(wait.map_or(short, |wait| wait.std().clamp(SHORTEST, short)));
        }
        let wait = wait?;
        if next > Some(BEGINNING + self.plan.heals_at + HORIZON) {
            return None;
        }
        if wait <= NEAR {
            // Who is late for it has a clock that is slow, or waits after an error.
            let late = Duration::from_millis(250);
            return Some(if wait == Span::ZERO { late } else { wait.std().max(SHORTEST) });
        }
        self.clock.jump_to(now + wait);
        for process in self.processes() {
            process.engine.wake();
        }
        Some(SHORTEST)
    }

    /// When something happens next, as far as anybody knows.
    fn next_at(&self, steps: &VecDeque<Step>) -> Option<Timestamp> {
        let step = steps.front().map(|step| BEGINNING + step.at);
        let heal = (!self.faults.is_healed()).then(|| BEGINNING + self.plan.heals_at);
        let providers = self.desks.values().filter_map(|desk| desk.next_at()).min();
        let until = |place: &Place| match place {
            Place::Taken(_) => None,
            Place::Empty(until) => Some(*until),
        };
        let free = self.places().iter().filter_map(until).min();
        let jobs = self.memory.jobs();
        let jobs = jobs.iter().map(|job| job.lease_until.unwrap_or(job.run_at)).min();
        [step, heal, providers, free, jobs, self.clock.next_ring()].into_iter().flatten().min()
    }

    /// Notes who has died, and starts who is to come again; whether anybody was.
    fn restart(self: &Arc<Life>, number: &mut u32) -> bool {
        let before = *number;
        let now = self.clock.now();
        for place in self.places().iter_mut() {
            match place {
                Place::Taken(process) if process.death.is_dead() => {
                    let wait = mixed(self.plan.seed, "restart", process.number.into()) % 20_000;
                    say!(self.trace, "death  process {}", process.number);
                    let wait = Span::from_millis(i64::try_from(wait).unwrap_or(0));
                    *place = Place::Empty(now + wait);
                }
                Place::Empty(until) if *until <= now => {
                    *number += 1;
                    *place = Place::Taken(Process::start(self, *number));
                }
                _ => {}
            }
        }
        *number > before
    }

    /// Begins what is to be done now; whether that is anything.
    fn begin_due(self: &Arc<Life>, steps: &mut VecDeque<Step>) -> bool {
        let (now, before) = (self.clock.now(), steps.len());
        while steps.front().is_some_and(|step| BEGINNING + step.at <= now) {
            let Some(step) = steps.pop_front() else { break };
            let nth = self.plan.steps.len() - steps.len();
            let (life, deed) = (Arc::clone(self), step.deed);
            self.open_deeds.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                deeds::perform(&life, nth, &deed).await;
                life.open_deeds.fetch_sub(1, Ordering::Relaxed);
            });
        }
        steps.len() < before
    }

    fn heal_in_time(&self) {
        if !self.faults.is_healed() && self.clock.now() >= BEGINNING + self.plan.heals_at {
            self.faults.heal();
            for process in self.processes() {
                process.wrong_micros.store(0, std::sync::atomic::Ordering::Relaxed);
            }
            say!(self.trace, "heal   from now on nothing goes wrong");
        }
    }

    /// The living processes.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let places = self.places();
        let living = places.iter().filter_map(|place| match place {
            Place::Taken(process) if !process.death.is_dead() => Some(process.clone()),
            _ => None,
        });
        living.collect()
    }

    /// The process that a request comes to, if any is there.
    pub(crate) fn process(&self, place: &str, nth: u64) -> Option<Process> {
        let mut living = self.processes();
        if living.is_empty() {
            return None;
        }
        let which = mixed(self.plan.seed, place, nth) % living.len() as u64;
        Some(living.swap_remove(usize::try_from(which).unwrap_or(0)))
    }

    /// A clock goes wrong, or a process is killed.
    pub(crate) fn upset(&self, deed: &Deed) {
        let (Deed::Skew { process, .. } | Deed::Kill { process }) = deed else { return };
        let living = self.processes();
        let Some(victim) = living.get(*process as usize).filter(|_| !self.faults.is_healed())
        else {
            return;
        };
        match deed {
            Deed::Skew { seconds, .. } => {
                self.faults.coverage().count(format_args!("a clock is wrong"));
                victim.wrong_micros.store(seconds * 1_000_000, Ordering::Relaxed);
            }
            _ => {
                self.faults.coverage().count(format_args!("a process is killed"));
                victim.death.die();
            }
        }
    }

    /// Something is under way until this is dropped.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.busy)
    }

    /// A short while, which others use.
    pub(crate) async fn nap(&self, millis: u32) {
        tokio::time::sleep(Duration::from_millis(millis.into())).await;
    }

    /// Hardly any time, in which others may be quicker.
    pub(crate) async fn jitter(&self, place: &str, nth: u32) {
        match mixed(self.plan.seed, place, nth.into()) % 16 {
            0 | 1 => self.nap(nth % 37 + 1).await,
            2..=7 => tokio::task::yield_now().await,
            _ => {}
        }
    }

    /// A process stands still.
    pub(crate) async fn freeze(&self, seconds: u32) {
        self.clock.far(self.clock.now() + Span::from_seconds(seconds.into())).await;
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The shortest pause that lets everybody else run.
const SHORTEST: Duration = Duration::from_millis(1);
