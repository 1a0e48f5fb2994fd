//! What is paid (订单金额) and whether it will be shared (结算信息): the same in orders and in code
//! payments.

use crate::rules::{Kind, Rule, may, must};
use serde::{Deserialize, Serialize};
use tongbao_types::Fen;

#[derive(Serialize, Deserialize)]
pub(super) struct AmountBody {
    pub(super) total: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) currency: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SettleBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) profit_sharing: Option<bool>,
}

pub(super) const AMOUNT: &[Rule] =
    &[must("total", "总金额", Kind::Integer(1)), may("currency", "货币类型", Kind::Word(&["CNY"]))];

pub(super) const SETTLE: &[Rule] = &[may("profit_sharing", "是否指定分账", Kind::Flag)];

impl AmountBody {
    pub(super) fn of(total: Fen, currency: &Option<String>) -> AmountBody {
        AmountBody { total: total.0, currency: currency.clone() }
    }
}

impl SettleBody {
    pub(super) fn of(profit_sharing: Option<bool>) -> Option<SettleBody> {
        profit_sharing.map(|flag| SettleBody { profit_sharing: Some(flag) })
    }
}
