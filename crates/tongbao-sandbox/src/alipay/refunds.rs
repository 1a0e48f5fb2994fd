//! Refunds and questions about them (Alipay, 统一收单交易退款, 统一收单交易退款查询). A number names one
//! refund within its trade; the same number again is answered, and moves nothing.

use super::refusal::Refused;
use super::{BUYER_LOGON_ID, Caller, find, named, out_no, trade_no};
use crate::refund::{Refund, RefundOrder, RefundRefusal, RefundState};
use crate::trade::Trade;
use tongbao_alipay::Refusal;
use tongbao_alipay::open::FundBill;
use tongbao_alipay::open::refund::{self, RefundReply};
use tongbao_alipay::open::refund_query::{
    self, RefundFound, RefundQuery, RefundQueryReply, RefundStatus,
};
use tongbao_types::Fen;

impl Caller<'_> {
    pub(super) fn refund(&self, biz: &str) -> Result<RefundReply, Refusal> {
        let asked = refund::Refund::read(biz)?;
        let trade = find(self.pretend, &asked.trade).filter(|one| one.alipay_status().is_some());
        let trade = trade.ok_or(Refusal::TRADE_NOT_EXIST)?;
        let key = &trade.order.key;
        let amount = asked.refund_amount.fen().0;
        let has_number = asked.out_request_no.is_some();
        // Without a number of its own it can only be the refund of everything.
        if !has_number && trade.paid_at.is_some() && amount != trade.order.amount {
            return Err(Refusal::REFUND_AMT_NOT_EQUAL_TOTAL);
        }
        let wanted = RefundOrder {
            out_refund_no: asked.out_request_no.unwrap_or_else(|| key.out_trade_no.clone()),
            amount,
            total: None,
            reason: asked.refund_reason,
            notify_url: None,
            api: trade.order.api.clone(),
        };
        let taken = self.pretend.change(|world, now| world.refund(key, wanted, now));
        let taken = taken.map_err(|refusal| words(refusal, has_number))?;
        let moved = !taken.again && taken.refund.state == RefundState::Success;
        let (buyer_user_id, buyer_open_id) = named(taken.trade.payer.as_deref());
        let detail = asked.with_detail && moved;
        Ok(RefundReply {
            out_trade_no: out_no(&taken.trade).ok_or(Refusal::ACQ_INVALID_PARAMETER)?,
            trade_no: trade_no(&taken.trade),
            has_fund_change: moved,
            refund_fee: Fen(taken.trade.refunded()),
            send_back_fee: Some(Fen(if detail { amount } else { 0 })),
            refund_detail_item_list: if detail { vec![item(amount)] } else { Vec::new() },
            gmt_refund_pay: taken.refund.ended_at,
            buyer_user_id,
            buyer_open_id,
            buyer_logon_id: Some(BUYER_LOGON_ID.to_owned()),
        })
    }

    pub(super) fn refund_query(&self, biz: &str) -> Result<RefundQueryReply, Refused> {
        let asked = RefundQuery::read(biz)?;
        let trade = find(self.pretend, &asked.trade).filter(|one| one.alipay_status().is_some());
        let trade = trade.ok_or_else(|| {
            let members = refund_query::refusal_members(&asked.trade).into_iter();
            let members = members.map(|(name, value)| (name, value.to_owned())).collect();
            Refused { refusal: Refusal::TRADE_NOT_EXIST, members }
        })?;
        let found = trade.refund(&asked.out_request_no);
        let found = found.and_then(|refund| told(&trade, refund, asked.with_detail));
        Ok(found.map_or(RefundQueryReply::NothingKnown, RefundQueryReply::Found))
    }
}

fn words(refusal: RefundRefusal, has_number: bool) -> Refusal {
    match refusal {
        RefundRefusal::NotExist => Refusal::TRADE_NOT_EXIST,
        RefundRefusal::Unpaid => Refusal::TRADE_STATUS_ERROR,
        RefundRefusal::Closed | RefundRefusal::FullyRefunded => Refusal::TRADE_HAS_CLOSE,
        RefundRefusal::Finished | RefundRefusal::Overdue => Refusal::TRADE_HAS_FINISHED,
        RefundRefusal::Differs => Refusal::DISCORDANT_REPEAT_REQUEST,
        RefundRefusal::Exceeds if has_number => Refusal::REASON_TRADE_REFUND_FEE_ERR,
        RefundRefusal::Exceeds => Refusal::REFUND_AMT_NOT_EQUAL_TOTAL,
        RefundRefusal::TooMany => Refusal::TRADE_NOT_ALLOW_REFUND,
    }
}

/// Statuses other than success exist by special contract only; here, by amounts that ask for them.
fn told(trade: &Trade, refund: &Refund, with_detail: bool) -> Option<RefundFound> {
    let done = with_detail && refund.state == RefundState::Success;
    Some(RefundFound {
        out_trade_no: out_no(trade)?,
        trade_no: trade_no(trade),
        out_request_no: refund.out_refund_no.clone(),
        total_amount: Some(Fen(trade.order.amount)),
        refund_amount: Some(Fen(refund.amount)),
        refund_status: Some(match refund.state {
            RefundState::Processing => RefundStatus::Processing,
            RefundState::Success => RefundStatus::Success,
            RefundState::Abnormal | RefundState::Closed => RefundStatus::Fail,
        }),
        gmt_refund_pay: refund.ended_at.filter(|_| done),
        send_back_fee: done.then_some(Fen(refund.amount)),
        refund_detail_item_list: if done { vec![item(refund.amount)] } else { Vec::new() },
    })
}

/// All of it came from the balance and goes back there.
fn item(amount: i64) -> FundBill {
    FundBill {
        fund_channel: "ALIPAYACCOUNT".to_owned(),
        amount: Fen(amount),
        real_amount: Some(Fen(amount)),
        fund_type: None,
    }
}
