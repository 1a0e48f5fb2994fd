//! An app with one account, and a provider that answers what a test says.

use super::answers::Answer;
use crate::fakes::{HandClock, SeededDice};
use crate::provider::Kind;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::TryStreamExt;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tongbao_core::{Backoff, Policy, Polling, Scope};
use tongbao_engine::{
    Account, App, BillContent, BillDate, BillFormat, BillKind, BillRequest, BillWhose, Clock,
    Egress, Engine, Error, Outgoing, Ports, Setup, Store, StreamedResponse, Wire, WireError,
};
use tongbao_store::MemoryStore;
use tongbao_types::{AppName, HttpResponse, Mode, Span, Timestamp};

pub(super) struct Shop {
    kind: Kind,
    engine: Engine,
    wire: Arc<Script>,
    store: Arc<MemoryStore>,
    pub(super) clock: Arc<HandClock>,
}

/// A bill, all of it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) name: String,
    pub(super) content: BillContent,
    pub(super) bytes: Vec<u8>,
}

impl Received {
    pub(super) fn lines(&self) -> Vec<Value> {
        assert_eq!(self.content, BillContent::Lines);
        let text = std::str::from_utf8(&self.bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(super) fn day(text: &str) -> BillDate {
    BillDate::read_dashed(text).unwrap()
}

/// Of the day before the shop's.
pub(super) fn request(kind: BillKind, format: BillFormat) -> BillRequest {
    let whose = BillWhose::Provider(tongbao_types::Provider::Wechat);
    BillRequest { whose, account: None, date: day("2026-11-20"), kind, format }
}

impl Shop {
    /// On the 21st of November, at three in the afternoon in China.
    pub(super) fn of(kind: Kind) -> Shop {
        let clock = Arc::new(HandClock::at("2026-11-21T07:00:00Z".parse().unwrap()));
        Shop::with(kind, Arc::new(Script::default()), Arc::new(MemoryStore::new()), clock)
    }

    /// Another process over the same store.
    pub(super) fn beside(&self) -> Shop {
        let (wire, store) = (Arc::clone(&self.wire), Arc::clone(&self.store));
        Shop::with(self.kind, wire, store, Arc::clone(&self.clock))
    }

    fn with(kind: Kind, wire: Arc<Script>, store: Arc<MemoryStore>, clock: Arc<HandClock>) -> Shop {
        let app = |name: &str| AppName::new(name).unwrap();
        let account = |of: &str, name: &str| Account {
            app: app(of),
            mode: Mode::Test,
            adapter: kind.real_account(name),
        };
        let ports = Ports {
            store: Arc::clone(&store) as Arc<dyn Store>,
            wire: Arc::clone(&wire) as Arc<dyn Wire>,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            dice: wire.dice(),
        };
        let polling = Polling {
            delay: Span::from_seconds(5),
            attempts: 3,
            backoff: Backoff::Exponential,
            ttl: Span::from_seconds(10),
        };
        let setup = Setup {
            apps: ["shop", "other"]
                .map(|name| App {
                    name: app(name),
                    policy: Policy::default(),
                    keeps_replies: false,
                })
                .to_vec(),
            accounts: vec![account("shop", kind.name()), account("other", "other")],
            polling,
            public_url: "https://pay.test".to_owned(),
            egress: Egress::default(),
            call_timeout: Span::from_seconds(20),
            lease: None,
            callbacks: std::sync::Arc::new(tongbao_engine::NoCallbacks),
            master_keys: tongbao_engine::MasterKeys::default(),
        };
        let engine = Engine::new(ports, setup).unwrap();
        Shop { kind, engine, wire, store, clock }
    }

    /// What the provider answers next.
    pub(super) fn answers(&self, answer: Answer) {
        self.wire.answers.lock().unwrap().push_back(answer);
    }

    pub(super) fn asked(&self) -> Vec<Outgoing> {
        self.wire.asked.lock().unwrap().clone()
    }

    pub(super) fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    /// The trade bill of the day before.
    pub(super) async fn ask(&self, format: BillFormat) -> Result<Received, Error> {
        let mut wanted = request(BillKind::Trade, format);
        wanted.whose = BillWhose::Provider(self.kind.provider());
        self.bill(&wanted).await
    }

    pub(super) async fn bill(&self, wanted: &BillRequest) -> Result<Received, Error> {
        let scope = Scope { app: AppName::new("shop").unwrap(), mode: Mode::Test };
        let file = self.engine.bill(&scope, wanted).await?;
        let bytes = file.body.try_fold(Vec::new(), async |mut all, more| {
            all.extend_from_slice(&more);
            Ok(all)
        });
        let bytes = bytes.await.expect("what was promised comes whole");
        Ok(Received { name: file.name, content: file.content, bytes })
    }
}

/// A provider without a mind of its own.
#[derive(Default)]
struct Script {
    /// Shared, so that no two processes make the same ids.
    dice: Arc<SeededDice>,
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<Outgoing>>,
}

impl Script {
    fn dice(&self) -> Arc<dyn tongbao_engine::Dice> {
        Arc::clone(&self.dice) as Arc<dyn tongbao_engine::Dice>
    }

    fn next(&self, outgoing: &Outgoing) -> (HttpResponse, Answer) {
        let answer = self.answers.lock().unwrap().pop_front().expect("nobody expected this call");
        self.asked.lock().unwrap().push(outgoing.clone());
        ((answer.make)(&outgoing.request), answer)
    }
}

#[async_trait]
impl Wire for Script {
    async fn send(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError> {
        Ok(self.next(&outgoing).0)
    }

    async fn stream(&self, outgoing: Outgoing) -> Result<StreamedResponse, WireError> {
        let (response, answer) = self.next(&outgoing);
        let pieces =
            response.body.chunks(answer.piece).map(|piece| Ok(Bytes::copy_from_slice(piece)));
        let mut pieces: Vec<Result<Bytes, WireError>> = pieces.collect();
        if answer.breaks {
            pieces.push(Err(WireError::Broken("connection reset".to_owned())));
        }
        // Each piece lets others run.
        let body =
            futures_util::StreamExt::then(futures_util::stream::iter(pieces), async |piece| {
                tokio::task::yield_now().await;
                piece
            });
        let HttpResponse { status, headers, .. } = response;
        Ok(StreamedResponse { status, headers, body: Box::pin(body) })
    }
}
