//! Deliveries: one event on its way to one webhook endpoint, until it is accepted or three days
//! have passed.

use crate::{Event, EventKind, JobChange, JobKind, NewJob, Scope};
use std::str::FromStr;
use tongbao_types::{DeliveryId, EndpointId, EventId, Mint, Sealed, Span, Timestamp, UnknownWord};

/// Where an app wants to be told.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Whose it is.
    pub scope: Scope,
    /// The address.
    pub url: String,
    /// Names of events, `*` for all but `poll.*`, or `charge.*`-like prefixes.
    pub events: Vec<String>,
    /// Whether it is told anything.
    pub enabled: bool,
    /// The merchant's own words.
    pub description: Option<String>,
    /// `whsec_…`, which signs.
    pub secret: Sealed,
    /// The secret before the last rotation, which signs too until then.
    pub secret_old: Option<(Sealed, Timestamp)>,
    /// When it was made.
    pub created_at: Timestamp,
    /// How often it was written, 1 when it is made; guards against changing old rows.
    pub version: i64,
}

/// A delivery as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// Whose it is.
    pub scope: Scope,
    /// Of which event.
    pub event: EventId,
    /// The event's name.
    pub kind: EventKind,
    /// To whom.
    pub target: Target,
    /// Where it stands.
    pub state: DeliveryState,
    /// Every try so far, the newest last; at most [`Delivery::TRIES_KEPT`].
    pub tries: Vec<Try>,
    /// How many tries there were.
    pub n_tries: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// To whom a delivery goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A webhook endpoint of the app.
    Endpoint(EndpointId),
    /// The merchant, in an older service's way; the profile of the charge knows the address.
    Callback(Callback),
}

/// How an older service tells its merchant that a charge is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callback {
    /// The fields of WeChat's notification, to wepay's `cbNotifyUrl`.
    WepayNotify,
    /// The charge, to the `notify_url` that it was made with.
    CapiNotify,
    /// The charge, to the app's `payment` function.
    CapiFunction,
}

impl Callback {
    /// Every callback.
    pub const ALL: &'static [Callback] =
        &[Callback::WepayNotify, Callback::CapiNotify, Callback::CapiFunction];

    /// `callback` of the public object, and the word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Callback::WepayNotify => "wepay.notify",
            Callback::CapiNotify => "capi.notify",
            Callback::CapiFunction => "capi.function",
        }
    }
}

impl FromStr for Callback {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let found = Callback::ALL.iter().find(|callback| callback.as_str() == word);
        found
            .copied()
            .ok_or_else(|| UnknownWord { what: "callback", word: word.chars().take(80).collect() })
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It will be tried (again) then.
    Pending {
        /// Not before this moment.
        next_at: Timestamp,
    },
    /// The endpoint answered 2xx, or the callback what its receivers say then.
    Succeeded {
        /// When.
        at: Timestamp,
    },
    /// Given up after three days, or the endpoint is gone.
    Failed {
        /// When.
        at: Timestamp,
    },
}

/// One try of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// When.
    pub at: Timestamp,
    /// What the endpoint answered.
    pub status: Option<u16>,
    /// Why there was no answer, or the beginning of one that does not accept.
    pub error: Option<String>,
    /// How long it took.
    pub took: Span,
}

/// What follows a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Done, either way.
    No,
    /// Again then.
    At(Timestamp),
}

impl Delivery {
    /// Older tries are forgotten.
    pub const TRIES_KEPT: usize = 20;

    /// Tries end before the waits between them sum to more than this.
    pub const GIVES_UP_AFTER: Span = Span::from_seconds(3 * 86_400);
}

impl DeliveryState {
    /// `status` of the public object, and the word in the database.
    pub fn status(self) -> &'static str {
        match self {
            DeliveryState::Pending { .. } => "pending",
            DeliveryState::Succeeded { .. } => "succeeded",
            DeliveryState::Failed { .. } => "failed",
        }
    }
}

impl Endpoint {
    /// The version that this one takes the place of; nothing if it is the first.
    pub const fn replaces(&self) -> Option<i64> {
        if self.version > 1 { Some(self.version - 1) } else { None }
    }

    /// Whether this endpoint is told of such an event.
    pub fn wants(&self, kind: EventKind) -> bool {
        let named = |pattern: &String| match pattern.strip_suffix('*') {
            Some("") => !kind.only_if_named(),
            Some(prefix) => kind.as_str().starts_with(prefix),
            None => kind.as_str() == pattern,
        };
        self.enabled && self.events.iter().any(named)
    }
}

/// The deliveries that events cause, each with the promise to make it: to the endpoints that want
/// them, and by the callbacks that `callbacks` names for a kind of event.
pub fn deliveries_for(
    events: &[Event],
    endpoints: &[Endpoint],
    callbacks: impl Fn(EventKind) -> Vec<Callback>,
    mint: &mut Mint,
) -> (Vec<Delivery>, Vec<JobChange>) {
    let mut deliveries = Vec::new();
    let mut jobs = Vec::new();
    for event in events {
        let wanting = endpoints.iter().filter(|endpoint| endpoint.wants(event.kind));
        let wanting = wanting.map(|endpoint| Target::Endpoint(endpoint.id));
        let called = callbacks(event.kind).into_iter().map(Target::Callback);
        for target in wanting.chain(called) {
            let id: DeliveryId = mint.id();
            let now = mint.now();
            deliveries.push(Delivery {
                id,
                scope: event.scope.clone(),
                event: event.id,
                kind: event.kind,
                target,
                state: DeliveryState::Pending { next_at: now },
                tries: Vec::new(),
                n_tries: 0,
                created_at: now,
            });
            let kind = JobKind::Deliver(id);
            jobs.push(JobChange::Put(NewJob { id: mint.id(), kind, run_at: now }));
        }
    }
    (deliveries, jobs)
}

/// Whether a webhook endpoint that answers so has accepted.
pub fn is_accepted(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Records a try, accepted or not, and says what follows. `jitter` is a random number from 0 to
/// 999.
pub fn after_try(
    delivery: &mut Delivery,
    (outcome, accepted): (Try, bool),
    jitter: u32,
    now: Timestamp,
) -> Retry {
    delivery.n_tries += 1;
    delivery.tries.push(outcome);
    let too_many = delivery.tries.len().saturating_sub(Delivery::TRIES_KEPT);
    delivery.tries.drain(..too_many);
    if accepted {
        delivery.state = DeliveryState::Succeeded { at: now };
        return Retry::No;
    }
    let waited = (1..=delivery.n_tries).fold(Span::ZERO, |sum, tries| sum + longest_wait(tries));
    if waited > Delivery::GIVES_UP_AFTER {
        delivery.state = DeliveryState::Failed { at: now };
        return Retry::No;
    }
    let next_at = now + wait_before_retry(delivery.n_tries, jitter);
    delivery.state = DeliveryState::Pending { next_at };
    Retry::At(next_at)
}

/// 5 s, 10 s, 20 s … at most 4 h. Only these are summed up, so that a gateway that stood still for
/// a day has not used up the receiver's three.
fn longest_wait(tries: u32) -> Span {
    let first = Span::from_seconds(5);
    crate::job::backoff(first, Span::from_seconds(4 * 3600), tries.saturating_sub(1))
}

/// Up to a quarter less, so that a receiver that comes back is not met by everybody at once.
fn wait_before_retry(tries: u32, jitter: u32) -> Span {
    let longest = longest_wait(tries).as_micros();
    Span::from_micros(longest - longest / 4000 * i64::from(jitter.min(999)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::{AppName, Mode};

    fn endpoint(events: &[&str]) -> Endpoint {
        Endpoint {
            id: mint().id(),
            scope: Scope { app: AppName::new("shop").unwrap(), mode: Mode::Test },
            url: "https://example.com/hook".to_owned(),
            events: events.iter().map(|name| (*name).to_owned()).collect(),
            enabled: true,
            description: None,
            secret: Sealed::from_text("whsec_".to_owned()),
            secret_old: None,
            created_at: Timestamp::from_seconds(0),
            version: 1,
        }
    }

    fn mint() -> Mint {
        Mint::new(Timestamp::from_seconds(0), [3; 10])
    }

    fn delivery() -> Delivery {
        Delivery {
            id: mint().id(),
            scope: Scope { app: AppName::new("shop").unwrap(), mode: Mode::Test },
            event: mint().id(),
            kind: EventKind::ChargeSucceeded,
            target: Target::Endpoint(mint().id()),
            state: DeliveryState::Pending { next_at: Timestamp::from_seconds(0) },
            tries: Vec::new(),
            n_tries: 0,
            created_at: Timestamp::from_seconds(0),
        }
    }

    fn answered(status: Option<u16>, at: Timestamp) -> (Try, bool) {
        let accepted = status.is_some_and(is_accepted);
        (Try { at, status, error: None, took: Span::ZERO }, accepted)
    }

    #[test]
    fn an_endpoint_gets_what_it_names_and_poll_events_only_by_name() {
        let wants = |events: &[&str], kind| endpoint(events).wants(kind);
        assert!(wants(&["*"], EventKind::ChargeSucceeded));
        assert!(!wants(&["*"], EventKind::PollActive));
        assert!(wants(&["poll.*"], EventKind::PollActive));
        assert!(wants(&["*", "poll.active"], EventKind::PollActive));
        assert!(wants(&["charge.*"], EventKind::ChargeClosed));
        assert!(!wants(&["charge.closed"], EventKind::ChargeSucceeded));
        let mut off = endpoint(&["*"]);
        off.enabled = false;
        assert!(!off.wants(EventKind::ChargeSucceeded));
    }

    #[test]
    fn any_2xx_accepts_and_nothing_else_does() {
        for status in [Some(200), Some(204), Some(299)] {
            let mut delivery = delivery();
            let now = Timestamp::from_seconds(9);
            assert_eq!(after_try(&mut delivery, answered(status, now), 0, now), Retry::No);
            assert_eq!(delivery.state, DeliveryState::Succeeded { at: now });
        }
        for status in [None, Some(199), Some(301), Some(400), Some(500)] {
            let mut delivery = delivery();
            let now = Timestamp::from_seconds(9);
            let retry = after_try(&mut delivery, answered(status, now), 0, now);
            assert_eq!(retry, Retry::At(now + Span::from_seconds(5)), "{status:?}");
        }
    }

    #[test]
    fn without_jitter_retries_fill_three_days_and_begin_anew_with_the_count() {
        let mut delivery = delivery();
        let mut now = Timestamp::from_seconds(0);
        while let Retry::At(next) = after_try(&mut delivery, answered(None, now), 0, now) {
            now = next;
        }
        assert!(now.as_seconds() > 3 * 86_400 - 4 * 3600 && now.as_seconds() <= 3 * 86_400);
        delivery.n_tries = 0;
        assert_ne!(after_try(&mut delivery, answered(None, now), 0, now), Retry::No);
    }

    #[test]
    fn retries_grow_with_jitter_and_end_after_three_days() {
        let mut delivery = delivery();
        let mut now = Timestamp::from_seconds(0);
        let mut waits = Vec::new();
        while let Retry::At(next) = after_try(&mut delivery, answered(None, now), 999, now) {
            waits.push(next.since(now).as_seconds());
            now = next;
        }
        assert_eq!(waits[..4], [3, 7, 15, 30], "a quarter less at most");
        assert!(waits.iter().all(|wait| *wait <= 4 * 3600));
        assert!(now.as_seconds() > 2 * 86_400 && now.as_seconds() <= 3 * 86_400);
        assert_eq!(delivery.state, DeliveryState::Failed { at: now });
        assert_eq!(delivery.tries.len(), Delivery::TRIES_KEPT);
        assert!(delivery.n_tries > 20);
    }
}
