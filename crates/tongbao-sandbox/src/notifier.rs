//! Sends what is owed to notify_urls, on the providers' timetables in sandbox time, and repeats it
//! until it is received. A moved clock wakes it, so that a day of tries takes moments.
//!
//! What is due is the world's to say; which message it is, the protocols'. Here are the sockets and
//! the faults of sendings.

use crate::faults::NotifyFault;
use crate::magic::{self, Effect};
use crate::notice::{Notice, NoticeKind, Try, is_receipt};
use crate::pretend::Pretend;
use crate::trade::{State, Trade};
use crate::wechat::{Changes, Message};
use crate::world::{Sent, TryKind};
use crate::{alipay, corrupt, reach, wechat};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tongbao_types::{HttpRequest, HttpResponse, Method, Provider, Timestamp};

/// How many sendings may be under way.
const AT_ONCE: usize = 64;
/// How long a notification waits to be overtaken, if none comes.
const OVERTAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// How long to sleep when nothing is due; a change or a moved clock ends it.
const IDLE: Duration = Duration::from_secs(3600);

/// Runs until `stop`. Sendings under way are given up then and made again after a restart.
pub(crate) async fn run(pretend: Arc<Pretend>, stop: CancellationToken) {
    let mut sendings = JoinSet::new();
    let mut moved = pretend.clock.on_advance();
    loop {
        while sendings.len() < AT_ONCE {
            let due = pretend.world().take_due(pretend.now());
            let Some((notice, trade)) = due else { break };
            sendings.spawn(send(Arc::clone(&pretend), notice, trade));
        }
        let pause = until(pretend.world().next_at(), pretend.now());
        let full = sendings.len() >= AT_ONCE;
        tokio::select! {
            () = stop.cancelled() => break,
            _ = moved.changed() => {}
            () = pretend.wake.notified() => {}
            () = tokio::time::sleep(pause), if !full => {}
            Some(_) = sendings.join_next(), if !sendings.is_empty() => {}
        }
    }
    sendings.shutdown().await;
}

fn until(next: Option<Timestamp>, now: Timestamp) -> Duration {
    // A little late rather than early, so that what is slept for is due.
    next.map_or(IDLE, |at| at.since(now).std() + Duration::from_millis(1)).min(IDLE)
}

/// One turn of a notification: once, or as often as a fault duplicates it.
async fn send(pretend: Arc<Pretend>, notice: Notice, trade: Trade) {
    let path = url::Url::parse(&notice.url).map(|url| url.path().to_owned()).unwrap_or_default();
    let mut fault = pretend.faults().for_notice(notice.key.provider, &path);
    fault.add(by_amount(&notice, &trade));
    if let Some(millis) = fault.delay_ms {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    if fault.reorder {
        let mut sent = pretend.sent.subscribe();
        let _ = tokio::time::timeout(OVERTAKE_TIMEOUT, sent.changed()).await;
    }
    for count in 0..=fault.duplicate {
        let kind = if count == 0 { TryKind::Turn } else { TryKind::Extra };
        let Some(message) = message(&pretend, &notice, &trade, &fault) else {
            tracing::error!(notice.id, "the sandbox cannot write a notification of this kind");
            return;
        };
        let (sent, tried) = attempt(&pretend, &notice, &trade, message, &fault).await;
        pretend.change(|world, _| world.record_try(notice.seq, sent, tried, kind));
    }
    pretend.sent.send_modify(|count| *count += 1);
}

/// A notification taken out of the timetable, to be carried by somebody else.
#[derive(Debug, Clone)]
pub struct DueNotice {
    /// The address that it is for.
    pub url: String,
    /// The message; its target is the path of the address.
    pub request: HttpRequest,
    /// How often it is sent, at least once; the copies are alike.
    pub copies: u32,
    notice: Notice,
    trade: Trade,
}

impl DueNotice {
    /// The number of the order that it is about.
    pub fn out_trade_no(&self) -> &str {
        &self.notice.key.out_trade_no
    }
}

/// Takes one out whose turn has come. One that is to get lost is recorded as lost.
pub(crate) fn take_due(pretend: &Pretend) -> Option<DueNotice> {
    loop {
        let (notice, trade) = pretend.world().take_due(pretend.now())?;
        let url = url::Url::parse(&notice.url).ok();
        let target = url.map(|url| url.path().to_owned()).unwrap_or_default();
        let mut fault = pretend.faults().for_notice(notice.key.provider, &target);
        fault.add(by_amount(&notice, &trade));
        let Some(Message { headers, body }) = message(pretend, &notice, &trade, &fault) else {
            tracing::error!(notice.id, "the sandbox cannot write a notification of this kind");
            continue;
        };
        let request = HttpRequest { method: Method::Post, target, headers, body: body.into() };
        let (url, copies) = (notice.url.clone(), fault.duplicate + 1);
        let due = DueNotice { url, request, copies, notice, trade };
        if !fault.drop {
            return Some(due);
        }
        answered(pretend, due, None);
    }
}

/// Records how it was answered.
pub(crate) fn answered(pretend: &Pretend, due: DueNotice, answer: Option<&HttpResponse>) {
    let DueNotice { request, notice, trade, .. } = due;
    let is_receipt = |a: &HttpResponse| is_receipt(notice.door(&trade), a.status, &a.body);
    let delivered = answer.is_some_and(is_receipt);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let sent = Sent { headers: request.headers, body: text(&request.body), delivered };
    let (at, status) = (pretend.now(), answer.map(|answer| answer.status));
    let body = answer.map_or("no answer came".to_owned(), |answer| text(&answer.body));
    let tried = Try { at, status, body };
    pretend.change(|world, _| world.record_try(notice.seq, sent, tried, TryKind::Turn));
    pretend.sent.send_modify(|count| *count += 1);
}

/// What the amount makes of a notification, see `magic`.
fn by_amount(notice: &Notice, trade: &Trade) -> NotifyFault {
    let first = notice.n_turns == 0;
    let none = NotifyFault::default();
    if let NoticeKind::Refund { out_refund_no, .. } = &notice.kind {
        let amount = trade.refund(out_refund_no).map_or(0, |refund| refund.amount);
        let drop = magic::of_refund(amount) == Some(Effect::RefundNoticeLost);
        return NotifyFault { drop, ..none };
    }
    if trade.state != State::Paid {
        return none;
    }
    match trade.effect() {
        Some(Effect::NoticeLost) => NotifyFault { drop: true, ..none },
        Some(Effect::NoticeLostOnce) => NotifyFault { drop: first, ..none },
        Some(Effect::NoticeThrice) if first => NotifyFault { duplicate: 2, ..none },
        Some(Effect::NoticeAmount) => NotifyFault { amount: Some(trade.order.amount - 1), ..none },
        Some(Effect::NoticeForged) => NotifyFault { corrupt_signature: first, ..none },
        Some(Effect::NoticeApp) => NotifyFault { app_id: Some(other_app(notice)), ..none },
        _ => none,
    }
}

/// An app that is not the merchant's.
fn other_app(notice: &Notice) -> String {
    match notice.key.provider {
        Provider::Wechat => "wx0000000000000000".to_owned(),
        Provider::Alipay => "2021000000000000".to_owned(),
    }
}

fn message(
    pretend: &Pretend,
    notice: &Notice,
    trade: &Trade,
    fault: &NotifyFault,
) -> Option<Message> {
    let changes = Changes { amount: fault.amount, app_id: fault.app_id.clone() };
    let mut message = match notice.key.provider {
        Provider::Wechat => wechat::message(pretend, notice, trade, &changes),
        Provider::Alipay => alipay::message(pretend, notice, trade, &changes),
    }?;
    if fault.corrupt_signature {
        corrupt::headers(&mut message.headers);
        message.body = corrupt::body(&message.body).unwrap_or(message.body);
    }
    Some(message)
}

async fn attempt(
    pretend: &Pretend,
    notice: &Notice,
    trade: &Trade,
    message: Message,
    fault: &NotifyFault,
) -> (Sent, Try) {
    let at = pretend.now();
    let body = String::from_utf8_lossy(&message.body).into_owned();
    let headers = message.headers.clone();
    let answer = if fault.drop {
        Err("lost on its way, as a fault asked for".to_owned())
    } else {
        post(pretend, &notice.url, message).await
    };
    let (delivered, status, text) = match answer {
        Ok((status, bytes)) => {
            let received = is_receipt(notice.door(trade), status, &bytes);
            (received, Some(status), String::from_utf8_lossy(&bytes).into_owned())
        }
        Err(why) => (false, None, why),
    };
    (Sent { headers, body, delivered }, Try { at, status, body: text })
}

/// Posts and reads the beginning of the answer; the client's own time limit is the provider's.
async fn post(pretend: &Pretend, url: &str, message: Message) -> Result<(u16, Vec<u8>), String> {
    reach::check(url)?;
    let mut request = pretend.client.post(url).body(message.body);
    for (name, value) in &message.headers {
        request = request.header(name, value);
    }
    let mut response = request.send().await.map_err(|error| chain(&error))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            body.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    Ok((status, body))
}

/// The whole reason in one line: the outermost error alone says only that sending failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Rules, SandboxClock};
    use tongbao_types::Span;

    #[test]
    fn what_is_taken_out_comes_again_until_it_is_receipted() {
        let clock = || SandboxClock::of(|| Timestamp::from_seconds(1_795_242_600));
        let model = Pretend::open(Options { clock: clock(), ..Options::default() }).unwrap();
        let pretend = model.anew(clock(), Rules::default());
        let order = crate::trade::tests::order(Provider::Wechat);
        let order = crate::order::Order { notify_url: Some("http://shop/n".to_owned()), ..order };
        let key = order.key.clone();
        pretend.change(|world, now| world.place(order, now)).unwrap();
        assert!(take_due(&pretend).is_none(), "nobody has paid yet");
        let paid =
            pretend.change(|world, now| world.payer(&key, now, |trade| trade.pay("o1", now)));
        assert!(matches!(paid, Some(Ok(_))));
        let due = take_due(&pretend).unwrap();
        assert_eq!((due.url.as_str(), due.request.path(), due.copies), ("http://shop/n", "/n", 1));
        assert!(take_due(&pretend).is_none(), "it is under way");
        answered(&pretend, due, None);
        assert!(take_due(&pretend).is_none(), "its pause has begun");
        pretend.advance(Span::from_seconds(15));
        let again = take_due(&pretend).unwrap();
        answered(&pretend, again, Some(&HttpResponse::new(204, "text/plain", "")));
        pretend.advance(Span::from_seconds(86_400));
        assert!(take_due(&pretend).is_none(), "it was receipted");
    }
}
