//! The part of the port [`Store`](crate::Store) that keeps bills, in parts, so that nobody holds a
//! bill whole.

use crate::StoreError;
use async_trait::async_trait;
use bytes::Bytes;
use tongbao_channels::{BillDate, BillKind, BillPacking};
use tongbao_types::{AccountName, BillId, Timestamp};

/// What there is one bill of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillKey {
    /// Of which account.
    pub account: AccountName,
    /// Which bill.
    pub kind: BillKind,
    /// Of which day.
    pub date: BillDate,
}

/// A bill that is kept, whole and as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBill {
    /// Whose parts are its own. Each fetch has another, so that two at once do not mix.
    pub id: BillId,
    /// Which bill.
    pub key: BillKey,
    /// In what form it came.
    pub packing: BillPacking,
    /// Its size.
    pub bytes: u64,
    /// In how many parts it is kept.
    pub parts: u32,
    /// How many lines it has; nothing if one of them could not be understood.
    pub lines: Option<u64>,
    /// When it was fetched.
    pub fetched_at: Timestamp,
}

/// Kept bills.
#[async_trait]
pub trait BillShelf: Send + Sync {
    /// The bill under this key.
    async fn kept_bill(&self, key: &BillKey) -> Result<Option<KeptBill>, StoreError>;

    /// A part of a bill, counted from 0.
    async fn bill_part(&self, bill: BillId, part: u32) -> Result<Option<Bytes>, StoreError>;

    /// Puts a part of a bill away that is not kept yet.
    async fn add_bill_part(&self, bill: BillId, part: u32, bytes: Bytes) -> Result<(), StoreError>;

    /// Keeps a bill whose parts were all put away. False if one is kept under its key already, or
    /// if parts are missing; then nothing was written.
    async fn keep_bill(&self, bill: &KeptBill) -> Result<bool, StoreError>;

    /// Throws the parts of a bill away that is not kept.
    async fn drop_bill_parts(&self, bill: BillId) -> Result<(), StoreError>;

    /// The same for all that were begun before this id was made: of fetches that a crash ended.
    async fn sweep_bill_parts(&self, before: BillId) -> Result<(), StoreError>;
}
