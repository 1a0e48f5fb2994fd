//! Ends a charge for which no channel was chosen in its time.
//!
//! Safe to run twice because only a pending charge is closed.

use super::finish;
use crate::{Engine, Error};
use tongbao_core::{CloseReason, Job};
use tongbao_types::{ChargeId, Span};

impl Engine {
    pub(super) async fn expire_charge(&self, job: &Job, charge: ChargeId) -> Result<(), Error> {
        // Closing an idle charge drops this job itself; with open orders their own jobs go on.
        let closed = self.begin_close(charge, CloseReason::Expired, Span::ZERO).await?;
        match closed {
            Some(loaded) if !loaded.charge.state.is_pending() => Ok(()),
            _ => self.settle(finish(job)).await,
        }
    }
}
