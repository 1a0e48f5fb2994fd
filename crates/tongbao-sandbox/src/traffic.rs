//! The log of what came and what was answered, with a verdict on each signature: a ring in memory.

use crate::words;
use serde::Serialize;
use std::collections::VecDeque;
use tongbao_types::{HttpRequest, HttpResponse, Provider, Timestamp};

/// How many exchanges are remembered.
const ENTRIES_MAX: usize = 1000;
/// How much of a body is remembered.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the provider thinks of a request's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// It fits.
    Good {
        /// The string that was signed; a v2 key in it is masked.
        string: String,
    },
    /// It does not fit.
    Bad {
        /// The string that the provider built and checked; a v2 key in it is masked.
        string: String,
        /// What was wrong.
        why: String,
    },
    /// There is none, or nothing that looks like one.
    Missing {
        /// What was looked for.
        why: String,
    },
    /// The address needs none.
    NotNeeded,
}

impl Verdict {
    /// The string that was checked, if one was.
    pub(crate) fn string(&self) -> Option<&str> {
        match self {
            Verdict::Good { string } | Verdict::Bad { string, .. } => Some(string),
            Verdict::Missing { .. } | Verdict::NotNeeded => None,
        }
    }

    /// One word for people.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Verdict::Good { .. } => "good",
            Verdict::Bad { .. } => "bad",
            Verdict::Missing { .. } => "missing",
            Verdict::NotNeeded => "not_needed",
        }
    }
}

/// One exchange.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Exchange {
    /// Counted from 1 since the start.
    pub(crate) id: u64,
    /// RFC 3339, sandbox time.
    pub(crate) at: String,
    #[serde(with = "words::provider_option")]
    pub(crate) provider: Option<Provider>,
    /// The path, or for Alipay the method's name.
    pub(crate) operation: String,
    pub(crate) method: &'static str,
    /// As it stood in the request line.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    pub(crate) signature: Verdict,
    /// The numbers of the faults that hit.
    pub(crate) faults: Vec<u64>,
    /// None if the connection was cut.
    pub(crate) answer: Option<Answered>,
}

/// What was answered.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl From<&HttpResponse> for Answered {
    fn from(response: &HttpResponse) -> Answered {
        let headers = response.headers.clone();
        Answered { status: response.status, headers, body: text(&response.body) }
    }
}

impl Exchange {
    /// The beginning of an entry: what came and what was thought of it.
    pub(crate) fn of(
        request: &HttpRequest,
        provider: Option<Provider>,
        operation: String,
        now: Timestamp,
    ) -> Exchange {
        Exchange {
            id: 0,
            at: now.to_string(),
            provider,
            operation,
            method: request.method.as_str(),
            target: request.target.clone(),
            headers: request.headers.clone(),
            body: text(&request.body),
            signature: Verdict::NotNeeded,
            faults: Vec::new(),
            answer: None,
        }
    }
}

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    entries: VecDeque<Exchange>,
    last_id: u64,
}

impl Traffic {
    /// Remembers an exchange and forgets the oldest beyond the limit.
    pub(crate) fn add(&mut self, mut exchange: Exchange) {
        self.last_id += 1;
        exchange.id = self.last_id;
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(exchange);
    }

    /// Oldest first.
    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Exchange> {
        self.entries.iter()
    }
}

fn text(body: &[u8]) -> String {
    let kept = &body[..body.len().min(BODY_BYTES_MAX)];
    String::from_utf8_lossy(kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::Method;

    #[test]
    fn the_ring_forgets_the_oldest() {
        let request = HttpRequest {
            method: Method::Get,
            target: "/x?y=1".to_owned(),
            headers: Vec::new(),
            body: vec![b'a'; BODY_BYTES_MAX + 1].into(),
        };
        let entry = Exchange::of(&request, None, "/x".to_owned(), Timestamp::from_seconds(0));
        assert_eq!(entry.body.len(), BODY_BYTES_MAX);
        let mut traffic = Traffic::default();
        (0..=ENTRIES_MAX).for_each(|_| traffic.add(entry.clone()));
        assert_eq!(traffic.entries().count(), ENTRIES_MAX);
        assert_eq!(traffic.entries().next().map(|entry| entry.id), Some(2));
    }
}
