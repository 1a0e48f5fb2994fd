//! A bill comes from the provider into the store: in parts under an id of its own, looked through
//! from there, and only then kept.

use super::shelf::{BillKey, KeptBill};
use super::{DAY, NOT_READY, SURE_AFTER, form, not_ready, parts};
use crate::accounts::Entry;
use crate::{BodyStream, Engine, Error, Outgoing, Retry, StreamedResponse, Tls, WireError};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tongbao_channels::{
    BILL_HEAD_BYTES, BillFault, BillFetch, BillHead, BillPlan, BillStep, Checked, Doubt, Refusal,
    Reply, check_bill,
};
use tongbao_types::{BillId, Bug, Code, HttpResponse, Provider, Span, is_planted};

/// No bill is larger, as it travels.
const BILL_BYTES_MAX: usize = 4 << 30;
/// A bill is kept in parts of this size.
pub(super) const PART_BYTES: usize = 256 * 1024;
/// More words than these nobody reads.
const WORDS_BYTES_MAX: usize = 64 * 1024;

/// What has come of a bill.
struct Came {
    bytes: u64,
    parts: u32,
}

impl Engine {
    pub(super) async fn fetch_bill(
        &self,
        account: &Entry,
        key: BillKey,
        plan: BillPlan,
    ) -> Result<KeptBill, Error> {
        let fetch = match plan {
            BillPlan::Fetch(fetch) => fetch,
            BillPlan::Ask(exchange) => {
                let reply = self.call(account, &exchange).await;
                self.step(account, &key, reply)?
            }
        };
        let (head, start, body) = self.open_bill(account, &key, &fetch).await?;
        let day_before: BillId = tongbao_types::Mint::new(self.clock().now() - DAY, [0; 10]).id();
        self.store().bills().sweep_bill_parts(day_before).await?;
        let id: BillId = self.mint().id();
        let kept = self.put_away(account, id, start, body).await;
        let kept = match kept {
            Ok(came) => self.look_through(account, key, (id, came), head).await,
            Err(error) => Err(error),
        };
        if !matches!(&kept, Ok(kept) if kept.id == id) {
            self.store().bills().drop_bill_parts(id).await?;
        }
        kept
    }

    /// The file's address, or why there is none.
    fn step(
        &self,
        account: &Entry,
        key: &BillKey,
        reply: Reply<BillStep>,
    ) -> Result<BillFetch, Error> {
        let (provider, date) = (account.adapter.provider(), key.date);
        let now = self.clock().now();
        match reply {
            Reply::Done(BillStep::Fetch(fetch)) => Ok(fetch),
            Reply::Done(BillStep::Missing) if now >= date.start() + SURE_AFTER => {
                let message = format!(
                    "{provider} has no bill of {date} for the account {}: nothing was paid on that \
                     day, or it is too long ago.",
                    key.account
                );
                Err(Error::new(Code::BillMissing, message).param("date"))
            }
            Reply::Done(BillStep::Missing | BillStep::NotReady) => {
                let message = format!(
                    "{provider} has not made the bill of {date} yet; bills are there from about \
                     ten in the morning of the next day in China."
                );
                Err(not_ready(message, NOT_READY))
            }
            Reply::Refused(Refusal { code, message })
            | Reply::AskNow(Refusal { code, message }) => {
                let text = format!("{provider} refuses the bill of {date}: {code} {message}");
                Err(Error::refused(provider, code, message, text))
            }
            Reply::Confirm => Err(unknown(provider, "the answer leaves it open")),
            Reply::Unknown(Doubt { reason, .. }) => Err(unknown(provider, &reason)),
        }
    }

    /// Asks for the file, and reads as much of it as tells a file from words.
    async fn open_bill(
        &self,
        account: &Entry,
        key: &BillKey,
        fetch: &BillFetch,
    ) -> Result<(BillHead, Bytes, BodyStream), Error> {
        let provider = account.adapter.provider();
        let failed = |error: WireError| unknown(provider, &error.to_string());
        let mut outgoing = self.outgoing(account, fetch.request(&self.stamp()));
        outgoing.answer_max = BILL_BYTES_MAX;
        if let Some(base) = &fetch.base {
            // Another host: it is shown nothing of the account.
            let root = outgoing.tls.root;
            let tls = Tls { identity: None, root };
            outgoing = Outgoing { base: base.clone(), tls, ..outgoing };
        }
        let answer = self.wire().stream(outgoing).await.map_err(failed)?;
        let StreamedResponse { status, headers, mut body } = answer;
        let start = read_at_least(&mut body, BILL_HEAD_BYTES).await.map_err(failed)?;
        let mut response = HttpResponse { status, headers, body: start };
        if let Some(head) = fetch.begin(&response) {
            return Ok((head, response.body, body));
        }
        let rest = read_at_least(&mut body, WORDS_BYTES_MAX).await.map_err(failed)?;
        let mut all = BytesMut::from(&response.body[..]);
        all.extend_from_slice(&rest);
        all.truncate(WORDS_BYTES_MAX);
        response.body = all.freeze();
        match self.step(account, key, fetch.read_words(&response)) {
            Ok(_) => Err(unknown(provider, "the address of the file gives another address")),
            Err(error) => Err(error),
        }
    }

    async fn put_away(
        &self,
        account: &Entry,
        id: BillId,
        start: Bytes,
        mut body: BodyStream,
    ) -> Result<Came, Error> {
        let mut came = Came { bytes: 0, parts: 0 };
        let mut waiting = BytesMut::from(&start[..]);
        drop(start);
        loop {
            while waiting.len() >= PART_BYTES {
                let part = waiting.split_to(PART_BYTES);
                self.put_part(id, &mut came, part.freeze()).await?;
            }
            match body.next().await {
                Some(Ok(more)) => waiting.extend_from_slice(&more),
                Some(Err(error)) => {
                    let bytes = came.bytes + waiting.len() as u64;
                    let reason = format!("the bill stopped coming after {bytes} bytes: {error}");
                    return Err(unknown(account.adapter.provider(), &reason));
                }
                None => break,
            }
        }
        if !waiting.is_empty() {
            self.put_part(id, &mut came, waiting.freeze()).await?;
        }
        Ok(came)
    }

    async fn put_part(&self, id: BillId, came: &mut Came, part: Bytes) -> Result<(), Error> {
        let bytes = part.len() as u64;
        self.store().bills().add_bill_part(id, came.parts, part).await?;
        came.bytes += bytes;
        came.parts += 1;
        Ok(())
    }

    /// Keeps a bill that is whole. Another process may have been quicker.
    async fn look_through(
        &self,
        account: &Entry,
        key: BillKey,
        (id, Came { bytes, parts }): (BillId, Came),
        head: BillHead,
    ) -> Result<KeptBill, Error> {
        let provider = account.adapter.provider();
        let BillHead { packing, sha1 } = head;
        let fetched_at = self.clock().now();
        let mut kept = KeptBill { id, key, packing, bytes, parts, lines: None, fetched_at };
        let form = form(provider, &kept);
        let permit = self.bill_desk().reader().await?;
        let check = move |input: &mut parts::Parts| match is_planted(Bug::BillUnchecked) {
            true => Ok(Checked::Readable(0)),
            false => check_bill(form, sha1.as_deref(), input),
        };
        let checked = parts::read(self.store(), &kept, check).await;
        drop(permit);
        kept.lines = match checked.map_err(|error| parts::name_provider(error, provider))? {
            Checked::Readable(lines) => Some(lines),
            Checked::Odd(fault) => {
                tracing::warn!(%fault, account.id = %kept.key.account, "a bill is odd");
                None
            }
        };
        let bills = self.store().bills();
        if bills.keep_bill(&kept).await? {
            return Ok(kept);
        }
        bills.kept_bill(&kept.key).await?.ok_or_else(Error::unavailable)
    }
}

/// Reads until there are so many bytes, or until the end.
async fn read_at_least(body: &mut BodyStream, n: usize) -> Result<Bytes, WireError> {
    let mut bytes = BytesMut::new();
    while bytes.len() < n {
        match body.next().await {
            Some(more) => bytes.extend_from_slice(&more?),
            None => break,
        }
    }
    Ok(bytes.freeze())
}

fn unknown(provider: Provider, reason: &str) -> Error {
    let message = format!("The bill could not be fetched from {provider}: {reason}. Try again.");
    let error = Error::new(Code::ProviderUnknown, message);
    Error { retry_after: Some(Span::from_seconds(10)), retry: Retry::After, ..error }
}

/// What came is not a bill, or not all of one, or has a line that is not understood.
pub(super) fn unreadable(provider: Provider, fault: &BillFault) -> Error {
    let message = if fault.is_broken {
        format!("What {provider} sent is no whole bill, so it was not kept: {fault}. Try again.")
    } else {
        format!(
            "The bill is {provider}'s own, but it has a line that cannot be shown as JSON: \
             {fault}. The original can be had."
        )
    };
    let error = Error::new(Code::BillUnreadable, message);
    if !fault.is_broken {
        return error;
    }
    Error { retry_after: Some(Span::from_seconds(10)), retry: Retry::After, ..error }
}
