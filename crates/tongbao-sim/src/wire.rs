//! The network behind faults: from a gateway to its providers and to the merchants' endpoints.

use crate::fault::{Point, What};
use crate::life::Life;
use crate::process::Death;
use crate::providers::{Desk, Merchant, base};
use crate::trace::say;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use std::sync::Arc;
use tongbao_engine::{BodyStream, Outgoing, Reach, StreamedResponse, Wire, WireError};
use tongbao_types::{HttpRequest, HttpResponse, Span};

/// One gateway's network.
pub(crate) struct FaultyWire {
    pub(crate) life: Arc<Life>,
    pub(crate) death: Arc<Death>,
}

fn broken() -> WireError {
    WireError::Broken("the connection broke".to_owned())
}

fn front(status: u16) -> HttpResponse {
    HttpResponse::new(status, "text/html", format!("<h1>{status}</h1>"))
}

#[async_trait]
impl Wire for FaultyWire {
    async fn send(&self, outgoing: Outgoing) -> Result<HttpResponse, WireError> {
        self.exchange(&outgoing).await.0
    }

    async fn stream(&self, outgoing: Outgoing) -> Result<StreamedResponse, WireError> {
        let (answer, what) = self.exchange(&outgoing).await;
        let HttpResponse { status, headers, body } = answer?;
        Ok(StreamedResponse { status, headers, body: in_pieces(body, what) })
    }
}

/// What is left of a file that something has happened to, piece by piece.
fn in_pieces(whole: Bytes, what: Option<What>) -> BodyStream {
    let half = whole.len() / 2;
    let (mut body, mut end) = (whole, None);
    match what {
        Some(What::Cut) => (body, end) = (body.slice(..half), Some(Err(broken()))),
        Some(What::Short) => body = body.slice(..half),
        Some(What::Spoiled) => {
            let mut bytes = body.to_vec();
            if let Some(byte) = bytes.get_mut(half) {
                *byte ^= 1;
            }
            body = bytes.into();
        }
        _ => {}
    }
    let millis = if let Some(What::Trickle(millis)) = what { millis } else { 0 };
    let starts = (0..body.len()).step_by(PIECE_BYTES);
    let pieces: Vec<_> =
        starts.map(|at| Ok(body.slice(at..body.len().min(at + PIECE_BYTES)))).chain(end).collect();
    let pieces = stream::unfold(pieces.into_iter(), move |mut pieces| async move {
        let piece = pieces.next()?;
        if millis > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(millis.into())).await;
        }
        Some((piece, pieces))
    });
    pieces.fuse().boxed()
}

/// A bill of one line has several of them.
const PIECE_BYTES: usize = 200;

impl FaultyWire {
    async fn exchange(
        &self,
        outgoing: &Outgoing,
    ) -> (Result<HttpResponse, WireError>, Option<What>) {
        self.death.hold().await;
        let point = match outgoing.reach {
            Reach::Provider if self.life.faults.is_at_bills() => Point::Bill,
            Reach::Provider => Point::Provider,
            Reach::Merchant => Point::Webhook,
        };
        let (nth, what) = self.life.faults.at(point);
        if let Some(What::Late(seconds)) = what {
            self.life.freeze(seconds).await;
            self.death.hold().await;
        }
        let limit = outgoing.timeout.std();
        let carried = tokio::time::timeout(limit, self.carry(outgoing, (point, nth, what))).await;
        let answer = carried.unwrap_or(Err(WireError::TimedOut(limit)));
        let said = match &answer {
            Ok(response) => response.status.to_string(),
            Err(error) => error.to_string(),
        };
        if let Err(WireError::TimedOut(_)) = &answer {
            self.life.faults.coverage().count(format_args!("{point:?}: timed out"));
        }
        let target = outgoing.request.path();
        say!(self.life.trace, "wire   {point:?} {nth} {target} -> {said}");
        if let Some(What::CrashAfter) = what {
            self.death.die();
        }
        self.death.hold().await;
        (answer, what)
    }

    async fn carry(
        &self,
        outgoing: &Outgoing,
        (point, nth, what): (Point, u32, Option<What>),
    ) -> Result<HttpResponse, WireError> {
        let busy = self.life.busy();
        if let Some(what) = what {
            let target = outgoing.request.path();
            say!(self.life.trace, "fault  {point:?} {nth} {target}: {what:?}");
        }
        self.life.jitter("wire", nth).await;
        match what {
            Some(What::Fails) => return Err(broken()),
            Some(What::Status(status)) => return Ok(front(status)),
            Some(What::Slow(millis)) => self.life.nap(millis).await,
            Some(What::Crash) => {
                self.death.die();
                drop(busy);
                return std::future::pending().await;
            }
            _ => {}
        }
        let answer = match point {
            Point::Webhook => self.life.hooks.receive(&self.life, outgoing).await,
            _ => self.provider(outgoing, what).await,
        };
        match what {
            Some(What::FailsAfter) => Err(broken()),
            Some(What::StatusAfter(status)) => Ok(front(status)),
            Some(What::SlowAfter(millis)) => {
                self.life.nap(millis).await;
                answer
            }
            Some(What::Freeze(seconds)) => {
                drop(busy);
                self.life.freeze(seconds).await;
                answer
            }
            _ => answer,
        }
    }

    async fn provider(
        &self,
        outgoing: &Outgoing,
        what: Option<What>,
    ) -> Result<HttpResponse, WireError> {
        let found = Merchant::ALL.into_iter().find(|merchant| base(*merchant) == outgoing.base);
        let desk = found.and_then(|merchant| self.life.desks.get(&merchant)).ok_or_else(broken)?;
        let request = &outgoing.request;
        if self.life.plan.has_forger && is_order(request) {
            desk.rehearse(request).await;
        }
        match what {
            Some(What::Twice) => drop(desk.call(request).await),
            Some(What::Stray(seconds)) => self.stray(desk, request.clone(), seconds),
            Some(What::Forged) => desk.spoil_next().await,
            _ => {}
        }
        Ok(desk.call(request).await)
    }

    /// The same bytes once more, when nobody waits for the answer.
    fn stray(&self, desk: &Arc<Desk>, request: HttpRequest, seconds: u32) {
        let (life, desk) = (Arc::clone(&self.life), Arc::clone(desk));
        let moment = life.clock.now() + Span::from_seconds(seconds.into());
        tokio::spawn(async move {
            life.clock.far(moment).await;
            let status = desk.call(&request).await.status;
            say!(life.trace, "stray  {} -> {status}", request.path());
        });
    }
}

/// Whether it may place an order; what it does beyond is of no interest to a forger.
fn is_order(request: &HttpRequest) -> bool {
    let body = String::from_utf8_lossy(&request.body);
    let other = ["query", "refund", "close", "cancel", "reverse", "certificates"];
    let text = format!("{} {body}", request.target);
    !other.iter().any(|word| text.contains(word))
}
