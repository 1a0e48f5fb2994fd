//! `charge_numbers`: small numbers of the charges that the views in [`crate::views`] show, given by
//! the database as an older service's table gave them: they grow, may have gaps, and never change.

use super::id;
use sea_orm::Value;
use tongbao_core::Charge;
use tongbao_types::Profile;

pub(crate) const TABLE: &str = "charge_numbers";

pub(crate) const COLUMNS: [&str; 1] = ["charge"];

/// The row of a new charge, if a view shows it.
pub(crate) fn row(charge: &Charge) -> Option<Vec<Value>> {
    let is_shown = matches!(charge.profile, Some(Profile::Wxpay | Profile::Payorder));
    is_shown.then(|| vec![id(charge.id.uuid())])
}
