//! Bills: fetched when the provider has them, once, kept as received, and shown as they are or as
//! lines that are the same for both providers.
//!
//! `fetch.rs` brings a bill into the store, `parts.rs` reads it from there, `view.rs` makes a line
//! public. A bill is kept only when all of it is there and was looked through; memory holds a few
//! parts of it at any time.

mod fetch;
mod parts;
pub(crate) mod shelf;
mod view;

use crate::accounts::Entry;
use crate::{Engine, Error, Retry, StoreError};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use shelf::{BillKey, KeptBill};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};
use tongbao_channels::{
    BillDate, BillFault, BillForm, BillKind, BillPacking, BillPlan, BillWanted, read_bill,
};
use tongbao_core::Scope;
use tongbao_types::{AccountName, Channel, Code, Provider, Span};

/// Whose bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillWhose {
    /// Of the first account at this provider that has such bills.
    Provider(Provider),
    /// Of the first account that serves this channel and has such bills.
    Channel(Channel),
}

/// How a bill is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BillFormat {
    /// The provider's own text or zip, byte for byte.
    #[default]
    Original,
    /// A JSON object for each line.
    Lines,
}

/// Which bill is asked for, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillRequest {
    /// Whose.
    pub whose: BillWhose,
    /// Of this account.
    pub account: Option<AccountName>,
    /// Of which day in China.
    pub date: BillDate,
    /// Of what.
    pub kind: BillKind,
    /// In which form.
    pub format: BillFormat,
}

/// What the bytes of a [`BillFile`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillContent {
    /// Comma separated text in UTF-8, as WeChat writes it.
    Text,
    /// A zip of texts in GBK, as Alipay writes it.
    Zip,
    /// A JSON object in each line.
    Lines,
}

/// A bill on its way to whoever asked.
pub struct BillFile {
    /// A name for it.
    pub name: String,
    /// What it is.
    pub content: BillContent,
    /// Its bytes. An error ends it early.
    pub body: BoxStream<'static, Result<Bytes, StoreError>>,
}

/// Bills of a day are made the next morning; both providers say that by ten they are there.
const MADE_AFTER: Span = Span::from_seconds((24 + 10) * 3600);
/// Until then a provider that has none yet may say that there is none.
const SURE_AFTER: Span = Span::from_seconds((24 + 12) * 3600);
const DAY: Span = Span::from_seconds(24 * 3600);
/// How long to wait for a bill that is being made.
const NOT_READY: Span = Span::from_seconds(1800);
/// So many bills are read line by line at a time; each holds a thread, as long as its receiver
/// takes.
const READERS_MAX: usize = 16;
/// How long a request waits until it may read.
const PATIENCE: Span = Span::from_seconds(10);

/// What keeps those who fetch or read bills from each other's way.
pub(crate) struct BillDesk {
    hasher: RandomState,
    turns: [Mutex<()>; 16],
    readers: Arc<Semaphore>,
}

impl Default for BillDesk {
    fn default() -> BillDesk {
        BillDesk {
            hasher: RandomState::new(),
            turns: std::array::from_fn(|_| Mutex::default()),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }
}

impl BillDesk {
    /// One fetch of a bill at a time in this process. It is only a courtesy: what keeps two
    /// processes from keeping it twice is the store.
    async fn turn(&self, key: &BillKey) -> MutexGuard<'_, ()> {
        let hash = self.hasher.hash_one(key);
        let place = usize::try_from(hash % self.turns.len() as u64).unwrap_or(0);
        self.turns[place].lock().await
    }

    async fn reader(&self) -> Result<OwnedSemaphorePermit, Error> {
        let wait = Arc::clone(&self.readers).acquire_owned();
        match tokio::time::timeout(PATIENCE.std(), wait).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => {
                let message = "Too many bills are being read at this moment. Try again.";
                let error = Error::new(Code::RateLimited, message);
                Err(Error { retry_after: Some(PATIENCE), retry: Retry::After, ..error })
            }
        }
    }
}

impl Engine {
    /// A bill, from the store if it was fetched before.
    pub async fn bill(&self, scope: &Scope, request: &BillRequest) -> Result<BillFile, Error> {
        let wanted = BillWanted { date: request.date, kind: request.kind };
        let (account, plan) = self.account_with_bill(scope, request, wanted)?;
        let name = account.adapter.name().clone();
        let key = BillKey { account: name, kind: request.kind, date: request.date };
        let kept = match self.store().bills().kept_bill(&key).await? {
            Some(kept) => kept,
            None => {
                self.check_day(request.date)?;
                let _turn = self.bill_desk().turn(&key).await;
                match self.store().bills().kept_bill(&key).await? {
                    Some(kept) => kept,
                    None => self.fetch_bill(&account, key, plan).await?,
                }
            }
        };
        self.show_bill(account.adapter.provider(), kept, request.format).await
    }

    /// The account that is named, or the first that fits and has such bills.
    fn account_with_bill(
        &self,
        scope: &Scope,
        request: &BillRequest,
        wanted: BillWanted,
    ) -> Result<(Arc<Entry>, BillPlan), Error> {
        let fits = |entry: &&Arc<Entry>| match request.whose {
            BillWhose::Provider(provider) => entry.adapter.provider() == provider,
            BillWhose::Channel(channel) => entry.adapter.channels().contains(&channel),
        };
        let named = |entry: &&Arc<Entry>| {
            request.account.as_ref().is_none_or(|name| entry.adapter.name() == name)
        };
        let stamp = self.stamp();
        let mut hindrance = None;
        for entry in self.accounts().of(scope).filter(fits).filter(named) {
            match entry.adapter.bill(wanted, &stamp) {
                Ok(plan) => return Ok((Arc::clone(entry), plan)),
                Err(error) => hindrance = hindrance.or(Some(error.0)),
            }
        }
        let param = if request.account.is_some() { "account" } else { "channel" };
        Err(match hindrance {
            Some(message) => Error::new(Code::ChannelUnavailable, message),
            None => {
                let Scope { app, mode } = scope;
                let whose = match request.whose {
                    BillWhose::Provider(provider) => format!("at {provider}"),
                    BillWhose::Channel(channel) => format!("that serves {channel}"),
                };
                let name = request.account.as_ref().map(|name| format!(" named {name}"));
                let name = name.unwrap_or_default();
                let message = format!("The app {app} has no {mode} account{name} {whose}.");
                Error::new(Code::AccountMissing, message)
            }
        }
        .param(param))
    }

    /// Nobody is asked for a day that is not over.
    fn check_day(&self, date: BillDate) -> Result<(), Error> {
        let now = self.clock().now();
        let today = BillDate::of(now);
        if date > today {
            let message = format!("In China it is {today}; {date} is still to come.");
            return Err(Error::new(Code::InvalidParameter, message).param("date"));
        }
        if date == today {
            let at = date.start() + MADE_AFTER;
            let message = format!(
                "The bill of {date} is made when the day in China is over; ask after {at}, which \
                 is ten in the morning there."
            );
            return Err(not_ready(message, at.since(now)));
        }
        Ok(())
    }

    async fn show_bill(
        &self,
        provider: Provider,
        kept: KeptBill,
        format: BillFormat,
    ) -> Result<BillFile, Error> {
        let BillKey { account, kind, date } = &kept.key;
        let stem = format!("{provider}-{account}-{}-{date}", kind.as_str().replace('_', "-"));
        let name = |end: &str| format!("{stem}.{end}");
        if format == BillFormat::Lines {
            let body = self.bill_lines(provider, &kept).await?;
            return Ok(BillFile { name: name("jsonl"), content: BillContent::Lines, body });
        }
        let body = parts::original(Arc::clone(self.store()), &kept);
        Ok(match kept.packing {
            BillPacking::Zip => BillFile { name: name("zip"), content: BillContent::Zip, body },
            BillPacking::Text | BillPacking::Gzip => {
                BillFile { name: name("csv"), content: BillContent::Text, body }
            }
        })
    }

    /// Whether there is a line that cannot be understood was seen when the bill was fetched, so
    /// that nobody gets half of one; perhaps an older version did not understand it.
    async fn bill_lines(
        &self,
        provider: Provider,
        kept: &KeptBill,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, Error> {
        let form = form(provider, kept);
        let permit = self.bill_desk().reader().await?;
        if kept.lines.is_none() {
            let look = move |input: &mut parts::Parts| read_bill(form, input, &mut |_| true);
            let odd = |fault| BillFault { is_broken: false, ..fault };
            let looked = parts::read(self.store(), kept, move |i| look(i).map_err(odd)).await;
            looked.map_err(|error| parts::name_provider(error, provider))?;
        }
        Ok(parts::lines(Arc::clone(self.store()), kept, form, permit))
    }
}

fn form(provider: Provider, kept: &KeptBill) -> BillForm {
    BillForm { provider, kind: kept.key.kind, packing: kept.packing }
}

fn not_ready(message: String, wait: Span) -> Error {
    let error = Error::new(Code::BillNotReady, message);
    Error { retry_after: Some(wait), retry: Retry::After, ..error }
}
