//! Misbehaviour on purpose: what tests and curious people asked for through `/_sandbox/faults`.
//!
//! This file says which faults hit a request or a sending; `answer` and `notifier` carry them out.

use crate::order::Key;
use crate::words;
use serde::{Deserialize, Serialize};
use tongbao_types::Provider;

/// A fault as it is asked for. Members left out match everything or change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FaultSpec {
    #[serde(with = "words::provider_option", default)]
    pub(crate) provider: Option<Provider>,
    /// A path, or for Alipay also a method's name.
    #[serde(default)]
    pub(crate) path: Option<String>,
    #[serde(default)]
    pub(crate) when: When,
    #[serde(default)]
    pub(crate) delay_ms: Option<u64>,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default)]
    pub(crate) drop: bool,
    #[serde(default)]
    pub(crate) error_code: Option<String>,
    #[serde(default)]
    pub(crate) corrupt_signature: bool,
    #[serde(default)]
    pub(crate) notify: Option<NotifyFault>,
    /// How many requests or sendings it hits; without it, all until DELETE.
    #[serde(default)]
    pub(crate) times: Option<u64>,
}

/// Whether the request takes effect before the fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    /// The request never takes effect.
    #[default]
    Before,
    /// The effect is there, only its answer suffers.
    After,
}

/// What goes wrong with notifications.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NotifyFault {
    /// It gets lost on the way.
    pub(crate) drop: bool,
    /// So many copies besides.
    pub(crate) duplicate: u32,
    pub(crate) delay_ms: Option<u64>,
    /// A later notification overtakes it.
    pub(crate) reorder: bool,
    pub(crate) corrupt_signature: bool,
    /// Another amount than the order's, in fen, correctly signed.
    pub(crate) amount: Option<i64>,
    /// Another app id than the order's, correctly signed.
    pub(crate) app_id: Option<String>,
}

/// What is to happen to one request: all matching faults added up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Mishap {
    pub(crate) delay_before_ms: u64,
    pub(crate) delay_after_ms: u64,
    /// Replaces the answer without any effect.
    pub(crate) before: Option<Breakage>,
    /// Replaces the answer after the effect.
    pub(crate) after: Option<Breakage>,
    pub(crate) corrupt_signature: bool,
    /// The answer waits until a notification about this order was sent.
    pub(crate) after_notice: Option<Key>,
    /// The faults that hit, for the traffic log.
    pub(crate) ids: Vec<u64>,
}

/// An answer that is not the right one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Breakage {
    pub(crate) drop: bool,
    pub(crate) status: Option<u16>,
    pub(crate) error_code: Option<String>,
}

/// A fault as listed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fault {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) spec: FaultSpec,
    /// How often it hit.
    pub(crate) hits: u64,
}

/// The faults that are on.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    faults: Vec<Fault>,
    last_id: u64,
}

impl FaultSpec {
    /// What makes the fault senseless, in a sentence for its author.
    pub(crate) fn check(&self) -> Result<(), String> {
        let hits_requests = self.delay_ms.is_some()
            || self.status.is_some()
            || self.drop
            || self.error_code.is_some()
            || self.corrupt_signature;
        if self.notify.is_none() && !hits_requests {
            return Err("the fault does nothing: give delay_ms, status, drop, error_code, \
                        corrupt_signature or notify"
                .to_owned());
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Err("status is an HTTP status from 200 to 599".to_owned());
        }
        if self.notify.as_ref().is_some_and(|notify| notify.duplicate > 1000) {
            return Err("notify.duplicate is at most 1000 copies".to_owned());
        }
        if self.times == Some(0) {
            return Err("times is at least 1; leave it out to go on until DELETE".to_owned());
        }
        Ok(())
    }
}

impl FaultBook {
    /// Turns a fault on and gives its number.
    pub(crate) fn add(&mut self, spec: FaultSpec) -> Fault {
        self.last_id += 1;
        let fault = Fault { id: self.last_id, spec, hits: 0 };
        self.faults.push(fault.clone());
        fault
    }

    /// Turns everything off.
    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Those that are on.
    pub(crate) fn list(&self) -> &[Fault] {
        &self.faults
    }

    /// What happens to a request; `names` are its path and, for Alipay, its method.
    pub(crate) fn for_request(&mut self, provider: Provider, names: &[&str]) -> Mishap {
        let mut mishap = Mishap::default();
        let asks = |spec: &FaultSpec| {
            let only_notices = spec.notify.is_some()
                && spec.delay_ms.is_none()
                && spec.status.is_none()
                && !spec.drop
                && spec.error_code.is_none()
                && !spec.corrupt_signature;
            !only_notices
        };
        for fault in self.hit(provider, names, asks) {
            mishap.add(&fault);
        }
        mishap
    }

    /// What happens to a sending; a fault's path is compared with the path of the `notify_url`.
    pub(crate) fn for_notice(&mut self, provider: Provider, path: &str) -> NotifyFault {
        let mut all = NotifyFault::default();
        for fault in self.hit(provider, &[path], |spec| spec.notify.is_some()) {
            all.add(fault.spec.notify.unwrap_or_default());
        }
        all
    }

    fn hit(
        &mut self,
        provider: Provider,
        names: &[&str],
        asks: impl Fn(&FaultSpec) -> bool,
    ) -> Vec<Fault> {
        let mut hit = Vec::new();
        for fault in &mut self.faults {
            let spec = &fault.spec;
            let whose = spec.provider.is_none_or(|wanted| wanted == provider);
            let pattern = spec.path.as_deref();
            let here = pattern.is_none_or(|path| names.iter().any(|name| path_fits(path, name)));
            if whose && here && asks(spec) {
                fault.hits += 1;
                hit.push(fault.clone());
            }
        }
        self.faults.retain(|fault| fault.spec.times.is_none_or(|times| fault.hits < times));
        hit
    }
}

impl Mishap {
    fn add(&mut self, fault: &Fault) {
        let spec = &fault.spec;
        self.ids.push(fault.id);
        self.corrupt_signature |= spec.corrupt_signature;
        let (delay, breakage) = match spec.when {
            When::Before => (&mut self.delay_before_ms, &mut self.before),
            When::After => (&mut self.delay_after_ms, &mut self.after),
        };
        *delay += spec.delay_ms.unwrap_or(0);
        if spec.drop || spec.status.is_some() || spec.error_code.is_some() {
            let all = breakage.get_or_insert_default();
            all.drop |= spec.drop;
            all.status = spec.status.or(all.status);
            all.error_code = spec.error_code.clone().or_else(|| all.error_code.take());
        }
    }
}

impl NotifyFault {
    pub(crate) fn add(&mut self, other: NotifyFault) {
        self.drop |= other.drop;
        self.duplicate += other.duplicate;
        self.reorder |= other.reorder;
        self.corrupt_signature |= other.corrupt_signature;
        self.amount = other.amount.or(self.amount);
        self.app_id = other.app_id.or_else(|| self.app_id.take());
        self.delay_ms = match (self.delay_ms, other.delay_ms) {
            (Some(one), Some(two)) => Some(one + two),
            (one, two) => one.or(two),
        };
    }
}

/// A pattern fits segment by segment; `*` and `{anything}` stand for one segment. A shorter one
/// fits what lies under it, but an order's address does not cover what is done to the order.
fn path_fits(pattern: &str, path: &str) -> bool {
    let segments = |text: &'_ str| -> Vec<String> {
        text.trim_end_matches('/').split('/').map(str::to_owned).collect()
    };
    let (wanted, found) = (segments(pattern), segments(path));
    if wanted.len() > found.len() {
        return false;
    }
    let wild = |part: &str| part == "*" || (part.starts_with('{') && part.ends_with('}'));
    let alike = wanted.iter().zip(&found).all(|(w, f)| w == f || wild(w));
    alike && !matches!(found[wanted.len()..], [ref verb] if verb == "close" || verb == "reverse")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> FaultSpec {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn patterns_fit_by_segments() {
        let query = "/v3/pay/transactions/out-trade-no/T1";
        let close = "/v3/pay/transactions/out-trade-no/T1/close";
        let cases = [
            (query, query, true),
            ("/v3/pay/transactions/out-trade-no/{out_trade_no}", query, true),
            ("/v3/pay/transactions/out-trade-no/{out_trade_no}", close, false),
            ("/v3/pay/transactions/out-trade-no/*/close", close, true),
            ("/v3/pay", query, true),
            ("/v3/pa", query, false),
            (close, query, false),
            ("alipay.trade.query", "alipay.trade.query", true),
            ("alipay.trade", "alipay.trade.query", false),
        ];
        for (pattern, path, wanted) in cases {
            assert_eq!(path_fits(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn faults_add_up_and_wear_out() {
        let mut book = FaultBook::default();
        book.add(spec(r#"{"delay_ms": 5}"#));
        book.add(spec(r#"{"provider": "wechat", "delay_ms": 7, "error_code": "X", "times": 1}"#));
        book.add(spec(r#"{"when": "after", "drop": true, "path": "/pay/orderquery"}"#));
        let first = book.for_request(Provider::Wechat, &["/pay/orderquery"]);
        assert_eq!(first.delay_before_ms, 12);
        assert_eq!(first.before.unwrap().error_code.as_deref(), Some("X"));
        assert!(first.after.unwrap().drop);
        assert_eq!(first.ids, [1, 2, 3]);
        let second = book.for_request(Provider::Wechat, &["/pay/unifiedorder"]);
        assert_eq!((second.delay_before_ms, second.before, second.after), (5, None, None));
        book.clear();
        assert_eq!(book.for_request(Provider::Wechat, &["/x"]), Mishap::default());
    }

    #[test]
    fn faults_of_notices_leave_requests_alone_and_the_other_way_round() {
        let mut book = FaultBook::default();
        book.add(spec(r#"{"notify": {"drop": true}, "times": 1}"#));
        book.add(spec(r#"{"status": 502}"#));
        assert_eq!(book.for_request(Provider::Alipay, &["/gateway.do"]).ids, [2]);
        assert!(book.for_notice(Provider::Alipay, "/n").drop);
        assert_eq!(book.for_notice(Provider::Alipay, "/n"), NotifyFault::default());
    }

    #[test]
    fn senseless_faults_are_named() {
        assert!(serde_json::from_str::<FaultSpec>(r#"{"delay": 5}"#).is_err());
        assert!(serde_json::from_str::<FaultSpec>(r#"{"notify": {"lose": true}}"#).is_err());
        assert!(spec("{}").check().is_err());
        assert!(spec(r#"{"status": 42}"#).check().is_err());
        assert!(spec(r#"{"drop": true, "times": 0}"#).check().is_err());
        assert!(spec(r#"{"notify": {"duplicate": 1001}}"#).check().is_err());
        assert!(spec(r#"{"drop": true}"#).check().is_ok());
    }
}
