//! Forged notifications, and genuine ones that are not about our order: for each protocol a table
//! of named kinds, and seeded mutations of what is genuine. None may be believed; every genuine
//! way of writing a notification must be.

mod alipay_forms;
mod alipay_legacy;
mod alipay_open;
mod forms;
mod mutations;
mod sameness;
mod wechat_v2;
mod wechat_v2_kinds;
mod wechat_v2_refunds;
mod wechat_v3;
mod wechat_v3_kinds;

use crate::world::now;
use mutations::Mutator;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tongbao_channels::{Adapter, Notice, NoticeRefusal};
use tongbao_types::{Code, HttpRequest, Timestamp};

/// A reason is for people.
const REASON_MAX: usize = 300;

/// A message, when it comes, and what must become of it.
pub(crate) struct Kind {
    name: &'static str,
    request: HttpRequest,
    at: Timestamp,
    expected: Expected,
}

enum Expected {
    Told(Notice),
    Refused(Code),
}

/// The kinds of one account.
pub(crate) struct Table {
    kinds: Vec<Kind>,
    genuine: Notice,
}

impl Table {
    fn new(genuine: Notice) -> Table {
        Table { kinds: Vec::new(), genuine }
    }

    fn push(&mut self, name: &'static str, request: HttpRequest, expected: Expected) {
        self.kinds.push(Kind { name, request, at: now(), expected });
    }

    /// It says what the genuine one says.
    fn told(&mut self, name: &'static str, request: HttpRequest) {
        let expected = Expected::Told(self.genuine.clone());
        self.push(name, request, expected);
    }

    /// It is genuine, and says this.
    fn tells(&mut self, name: &'static str, request: HttpRequest, notice: Notice) {
        self.push(name, request, Expected::Told(notice));
    }

    /// It is refused for this reason.
    fn refused(&mut self, name: &'static str, code: Code, request: HttpRequest) {
        self.push(name, request, Expected::Refused(code));
    }

    /// The last kind comes at another moment.
    fn at(&mut self, at: Timestamp) {
        self.kinds.last_mut().unwrap().at = at;
    }
}

/// One account of a protocol, what is genuine for it, and what is not.
pub(crate) struct Suite {
    protocol: &'static str,
    adapter: Arc<dyn Adapter>,
    genuine: Vec<HttpRequest>,
    table: Table,
    /// Whether a mutated message still says, byte for byte, all that was signed, by rules of the
    /// test's own.
    is_same: fn(&HttpRequest, &HttpRequest) -> bool,
    /// What is believed is only a reason to ask (WeChat's API v2 does not sign news of refunds).
    is_hint: bool,
}

#[derive(Default)]
struct Count {
    kinds: BTreeSet<&'static str>,
    tried: u64,
    genuine: u64,
    refused: u64,
    hints: u64,
    slowest: Duration,
}

impl Count {
    fn read(
        &mut self,
        suite: &Suite,
        request: &HttpRequest,
        at: Timestamp,
    ) -> Result<Notice, NoticeRefusal> {
        let begun = Instant::now();
        let read = suite.adapter.read_notice(request, at);
        let took = begun.elapsed();
        self.tried += 1;
        if let Err(refusal) = &read {
            self.slowest = self.slowest.max(took);
            self.refused += 1;
            let letters = refusal.reason.chars().count();
            assert!(letters <= REASON_MAX, "a reason has {letters} letters: {}", suite.protocol);
        }
        read
    }

    /// Tells what went wrong, for all kinds at once.
    fn kinds(&mut self, suite: &Suite) -> Vec<String> {
        let mut names = BTreeSet::new();
        let mut wrong = Vec::new();
        for kind in &suite.table.kinds {
            let of = format!("{}: {}", suite.protocol, kind.name);
            if !names.insert(kind.name) {
                wrong.push(format!("{of}: two kinds are called so"));
            }
            self.kinds.insert(kind.name);
            let read = self.read(suite, &kind.request, kind.at);
            let is_right = match (&kind.expected, &read) {
                (Expected::Told(wanted), Ok(notice)) => notice == wanted,
                (Expected::Refused(code), Err(refusal)) => refusal.code == *code,
                _ => false,
            };
            self.genuine += u64::from(is_right && read.is_ok());
            if !is_right {
                wrong.push(format!("{of}: {read:?}"));
            }
        }
        wrong
    }

    fn mutations(&mut self, suite: &Suite, times: u64) {
        let genuine: Vec<Notice> =
            suite.genuine.iter().map(|request| self.read(suite, request, now()).unwrap()).collect();
        self.genuine += genuine.len() as u64;
        let mut mutator = Mutator::new(suite.protocol);
        let mut done = 0;
        while done < times {
            let (origin, mutated) = mutator.next(&suite.genuine);
            if suite.genuine.contains(&mutated) {
                continue;
            }
            done += 1;
            let read = self.read(suite, &mutated, now());
            let said = format!("{} #{done}: {read:?}\n{}", suite.protocol, shown(&mutated));
            if suite.is_hint {
                let is_hint = matches!(read, Ok(Notice::Refund { fact: None, .. }) | Err(_));
                assert!(is_hint, "more than a reason to ask: {said}");
                self.hints += u64::from(read.is_ok());
                continue;
            }
            let same = (0..genuine.len()).find(|i| (suite.is_same)(&suite.genuine[*i], &mutated));
            match (&read, same) {
                (Err(_), None) => {}
                (Ok(notice), Some(i)) if *notice == genuine[i] => self.genuine += 1,
                (Ok(_), _) => panic!("forged and believed (made of {origin}): {said}"),
                (Err(_), Some(_)) => panic!("genuine and refused (made of {origin}): {said}"),
            }
        }
    }
}

fn shown(request: &HttpRequest) -> String {
    let body = String::from_utf8_lossy(&request.body);
    format!("{:?}\n{body:?}", request.headers)
}

/// Forged and genuine-but-wrong notifications, at the door through which all of them come.
#[test]
fn forged_notices() {
    let protocols: [(&str, Vec<Suite>); 5] = [
        ("WeChat v2", wechat_v2::suites()),
        ("WeChat v2 refunds", wechat_v2_refunds::suites()),
        ("WeChat v3", wechat_v3::suites()),
        ("Alipay open", alipay_open::suites()),
        ("Alipay legacy", alipay_legacy::suites()),
    ];
    let suites: usize = protocols.iter().map(|(_, suites)| suites.len()).sum();
    let mutations = tongbao_evidence::times(20_000, 115_000) / suites as u64 + 1;
    let mut counts: Vec<Count> = protocols.iter().map(|_| Count::default()).collect();
    let mut wrong = Vec::new();
    for ((_, suites), count) in protocols.iter().zip(&mut counts) {
        wrong.extend(suites.iter().flat_map(|suite| count.kinds(suite)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut lines = Vec::new();
    let mut slowest = Duration::ZERO;
    for ((protocol, suites), mut count) in protocols.iter().zip(counts) {
        suites.iter().for_each(|suite| count.mutations(suite, mutations));
        let Count { kinds, tried, genuine, refused, hints, .. } = &count;
        let least = if suites.iter().any(|suite| suite.is_hint) { 20 } else { 60 };
        assert!(kinds.len() >= least, "{protocol} has {} kinds", kinds.len());
        assert_eq!(tried - genuine - refused, *hints, "{protocol}");
        let told = format!(
            "{} kinds, {tried} tried, {genuine} genuine accepted, {refused} refused, {hints} only \
             asked about, 0 forged accepted",
            kinds.len()
        );
        lines.push((*protocol, told));
        slowest = slowest.max(count.slowest);
    }
    lines.push(("slowest refusal, µs", slowest.as_micros().to_string()));
    tongbao_evidence::record(
        "forged_notices",
        "Forged, altered and misdirected notifications were sent to every protocol.",
        &lines,
    );
}
