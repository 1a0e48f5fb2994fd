//! Kept bills as plain maps, part of the specification.

use async_trait::async_trait;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tongbao_engine::{BillKey, BillShelf, KeptBill, StoreError};
use tongbao_types::BillId;

#[derive(Debug, Default)]
pub(crate) struct MemoryBills(Mutex<Bills>);

#[derive(Debug, Default)]
struct Bills {
    kept: BTreeMap<BillKey, KeptBill>,
    parts: BTreeMap<(BillId, u32), Bytes>,
}

impl MemoryBills {
    fn bills(&self) -> MutexGuard<'_, Bills> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bills {
    fn drop_loose(&mut self, these: impl Fn(BillId) -> bool) {
        let kept: Vec<BillId> = self.kept.values().map(|bill| bill.id).collect();
        self.parts.retain(|(bill, _), _| kept.contains(bill) || !these(*bill));
    }
}

#[async_trait]
impl BillShelf for MemoryBills {
    async fn kept_bill(&self, key: &BillKey) -> Result<Option<KeptBill>, StoreError> {
        Ok(self.bills().kept.get(key).cloned())
    }

    async fn bill_part(&self, bill: BillId, part: u32) -> Result<Option<Bytes>, StoreError> {
        Ok(self.bills().parts.get(&(bill, part)).cloned())
    }

    async fn add_bill_part(&self, bill: BillId, part: u32, bytes: Bytes) -> Result<(), StoreError> {
        let mut bills = self.bills();
        if bills.parts.contains_key(&(bill, part)) {
            return Err(StoreError(format!("{bill} has a part {part} already")));
        }
        bills.parts.insert((bill, part), bytes);
        Ok(())
    }

    async fn keep_bill(&self, bill: &KeptBill) -> Result<bool, StoreError> {
        let mut bills = self.bills();
        let parts = bills.parts.range((bill.id, 0)..=(bill.id, u32::MAX)).count();
        let is_whole = u32::try_from(parts) == Ok(bill.parts);
        let is_free = !bills.kept.contains_key(&bill.key);
        if is_whole && is_free {
            bills.kept.insert(bill.key.clone(), bill.clone());
        }
        Ok(is_whole && is_free)
    }

    async fn drop_bill_parts(&self, bill: BillId) -> Result<(), StoreError> {
        self.bills().drop_loose(|other| other == bill);
        Ok(())
    }

    async fn sweep_bill_parts(&self, before: BillId) -> Result<(), StoreError> {
        self.bills().drop_loose(|other| other < before);
        Ok(())
    }
}
