//! Reading a kept bill: part by part, packed or not, as bytes or as lines.
//!
//! The readers of bills are plain loops over a source, so they run on a thread for blocking work,
//! which asks the store for the next part. What they make goes through a short channel: whoever
//! receives slowly makes them wait.

use super::fetch::unreadable;
use super::shelf::KeptBill;
use super::view;
use crate::{Error, Store, StoreError};
use bytes::{Bytes, BytesMut};
use flate2::write::MultiGzDecoder;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tongbao_channels::{BillFault, BillForm, BillPacking, read_bill};
use tongbao_types::{BillId, Bug, Code, Provider, is_planted};

/// So much of the lines is sent at a time.
const BLOCK_BYTES: usize = 64 * 1024;
/// So much is unpacked at a time; it becomes a thousand times as much at worst.
const PACKED_BYTES: usize = 4 * 1024;

/// The bytes of a bill as a source for blocking code. Parts have one size, except for the last.
pub(super) struct Parts {
    store: Arc<dyn Store>,
    runtime: Handle,
    bill: BillId,
    bytes: u64,
    at: u64,
    part: Option<(u32, Bytes)>,
    failed: Option<StoreError>,
}

impl Parts {
    fn of(store: &Arc<dyn Store>, kept: &KeptBill) -> Parts {
        Parts {
            store: Arc::clone(store),
            runtime: Handle::current(),
            bill: kept.id,
            bytes: kept.bytes,
            at: 0,
            part: None,
            failed: None,
        }
    }

    fn load(&mut self, number: u32) -> io::Result<&Bytes> {
        if self.part.as_ref().is_none_or(|(known, _)| *known != number) {
            self.part = None;
            let loaded = self.runtime.block_on(part(&*self.store, self.bill, number));
            match loaded {
                Ok(bytes) => self.part = Some((number, bytes)),
                Err(error) => {
                    self.failed = Some(error);
                    return Err(io::Error::other("the store cannot answer"));
                }
            }
        }
        self.part.as_ref().map(|(_, bytes)| bytes).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// A part that must be there.
async fn part(store: &dyn Store, bill: BillId, number: u32) -> Result<Bytes, StoreError> {
    let part = store.bills().bill_part(bill, number).await?;
    part.ok_or_else(|| StoreError(format!("the part {number} of {bill} is lost")))
}

const PART_BYTES: u64 = super::fetch::PART_BYTES as u64;

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let number = u32::try_from(self.at / PART_BYTES).map_err(io::Error::other)?;
        let within = usize::try_from(self.at % PART_BYTES).map_err(io::Error::other)?;
        let rest = self.load(number)?.get(within..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Parts {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// Lets blocking code read a bill.
pub(super) async fn read<T: Send + 'static>(
    store: &Arc<dyn Store>,
    kept: &KeptBill,
    work: impl FnOnce(&mut Parts) -> Result<T, BillFault> + Send + 'static,
) -> Result<T, Unread> {
    let mut parts = Parts::of(store, kept);
    let done = Handle::current().spawn_blocking(move || {
        let done = work(&mut parts);
        (done, parts.failed)
    });
    match done.await {
        Ok((_, Some(error))) => Err(Unread::Store(error)),
        Ok((done, None)) => done.map_err(Unread::Bill),
        Err(error) => Err(Unread::Fell(error.to_string())),
    }
}

/// Why a bill could not be read.
#[derive(Debug)]
pub(super) enum Unread {
    Store(StoreError),
    Bill(BillFault),
    Fell(String),
}

pub(super) fn name_provider(error: Unread, provider: Provider) -> Error {
    match error {
        Unread::Store(error) => error.into(),
        Unread::Bill(fault) => unreadable(provider, &fault),
        Unread::Fell(error) => {
            tracing::error!(error, "reading a bill fell");
            Error::new(Code::Internal, "The bill could not be read.")
        }
    }
}

/// The provider's own file; gzip was only for the way.
pub(super) fn original(
    store: Arc<dyn Store>,
    kept: &KeptBill,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let (bill, parts) = (kept.id, kept.parts);
    let parts = stream::iter(0..parts).then(move |number| {
        let store = Arc::clone(&store);
        async move { part(&*store, bill, number).await }
    });
    match kept.packing {
        BillPacking::Gzip => unpacked(parts.boxed()),
        BillPacking::Text | BillPacking::Zip => parts.boxed(),
    }
}

fn unpacked(
    parts: BoxStream<'static, Result<Bytes, StoreError>>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let pieces = parts.flat_map(|part| match part {
        Ok(part) => stream::iter(pieces(part)).left_stream(),
        Err(error) => stream::iter([Err(error)]).right_stream(),
    });
    let state = (pieces.boxed(), MultiGzDecoder::new(Vec::new()));
    let texts = stream::try_unfold(state, |(mut pieces, mut decoder)| async move {
        let damaged = |error: io::Error| StoreError(format!("a bill does not unpack: {error}"));
        while let Some(piece) = pieces.next().await {
            decoder.write_all(&piece?).map_err(damaged)?;
            let text = std::mem::take(decoder.get_mut());
            if !text.is_empty() {
                return Ok(Some((Bytes::from(text), (pieces, decoder))));
            }
        }
        decoder.try_finish().map_err(damaged)?;
        let text = std::mem::take(decoder.get_mut());
        Ok((!text.is_empty()).then(|| (Bytes::from(text), (pieces, decoder))))
    });
    texts.boxed()
}

fn pieces(part: Bytes) -> impl Iterator<Item = Result<Bytes, StoreError>> {
    let starts = (0..part.len()).step_by(PACKED_BYTES);
    starts.map(move |at| Ok(part.slice(at..part.len().min(at + PACKED_BYTES))))
}

/// A JSON object for each line. The permit is given back when the last one is read or nobody
/// listens any more.
pub(super) fn lines(
    store: Arc<dyn Store>,
    kept: &KeptBill,
    form: BillForm,
    permit: OwnedSemaphorePermit,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let mut parts = Parts::of(&store, kept);
    let (sender, receiver) = mpsc::channel(2);
    let bill = kept.id;
    // Not a promise: it ends with the stream that it feeds.
    let reading = Handle::current().spawn_blocking(move || {
        let _permit = permit;
        let mut block = BytesMut::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4);
        let done = read_bill(form, &mut parts, &mut |line| {
            if line.amount.0 < 0 && is_planted(Bug::BillLineDropped) {
                return true;
            }
            view::write_line(form.provider, line, &mut block);
            block.len() < BLOCK_BYTES || sender.blocking_send(Ok(block.split().freeze())).is_ok()
        });
        let last = match done {
            Ok(_) => Ok(block.freeze()),
            Err(fault) => {
                let cause = parts.failed.take();
                Err(cause.unwrap_or_else(|| StoreError(format!("{bill} is damaged: {fault}"))))
            }
        };
        // Nobody may listen any more.
        let _ = sender.blocking_send(last);
    });
    drop(reading);
    let stream = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|block| (block, receiver))
    });
    stream.boxed()
}
