//! The calls that merchants' servers make about a trade: query, close, cancel; the certificate
//! download; and which method is whose. Orders are in `orders`, refunds in `refunds`.
//!
//! Which members a reply has in which state of a trade is as captured from production in 2018
//! (Alipay, 统一收单交易查询 and 统一收单交易关闭).

use super::refusal::Refused;
use super::reply::Reply;
use super::{BUYER_LOGON_ID, Caller, find, named, out_no, trade_no};
use crate::order::Product;
use crate::trade::{Closing, State, Trade};
use crate::world::Cancelled;
use tongbao_alipay::open::TradeRef;
use tongbao_alipay::open::bill_download_url;
use tongbao_alipay::open::cancel::{self, Cancel, CancelAction, CancelReply};
use tongbao_alipay::open::cert_download::{self, CertDownload};
use tongbao_alipay::open::close::{self, Close, CloseReply};
use tongbao_alipay::open::query::{self, Query, QueryReply};
use tongbao_alipay::open::{create, pay, precreate, refund, refund_query};
use tongbao_alipay::{Refusal, TradeStatus};
use tongbao_types::{Fen, Span};

/// A paid trade can be cancelled for so long; afterwards it is refunded.
const CANCEL_WINDOW: Span = Span::from_seconds(86_400);

/// Carries out a method of a verified request.
pub(super) fn perform(caller: &Caller<'_>, method: &str, biz: &str) -> Result<Reply, Refused> {
    let reply = match method {
        precreate::METHOD => Reply::Precreate(caller.precreate(biz)?),
        create::METHOD => Reply::Create(caller.create(biz)?),
        pay::METHOD => {
            let reply = caller.pay(biz).map_err(|refusal| Refused::by(method, refusal))?;
            Reply::Pay(Box::new(reply))
        }
        query::METHOD => Reply::Query(Box::new(caller.query(biz)?)),
        close::METHOD => Reply::Close(caller.close(biz)?),
        cancel::METHOD => Reply::Cancel(caller.cancel(biz)?),
        refund::METHOD => {
            let reply = caller.refund(biz).map_err(|refusal| Refused::by(method, refusal))?;
            Reply::Refund(Box::new(reply))
        }
        refund_query::METHOD => Reply::RefundQuery(caller.refund_query(biz)?),
        bill_download_url::METHOD => Reply::Bill(caller.bill(biz)?),
        cert_download::METHOD => Reply::Certificate(caller.certificate(biz)?),
        _ => return Err(Refusal::INVALID_METHOD.into()),
    };
    Ok(reply)
}

impl Caller<'_> {
    fn query(&self, biz: &str) -> Result<QueryReply, Refused> {
        let asked = Query::read(biz)?;
        let reply = find(self.pretend, &asked.trade).and_then(|trade| told(&trade));
        reply.ok_or_else(|| {
            let members = query::refusal_members(&asked.trade).into_iter();
            let members = members.map(|(name, value)| (name, value.to_owned())).collect();
            Refused { refusal: Refusal::TRADE_NOT_EXIST, members }
        })
    }

    fn close(&self, biz: &str) -> Result<CloseReply, Refused> {
        let asked = Close::read(biz)?;
        let trade = find(self.pretend, &asked.trade).ok_or(Refusal::TRADE_NOT_EXIST)?;
        let key = &trade.order.key;
        match self.pretend.change(|world, now| world.close(key, now)) {
            Some(Closing::Done) => {
                let out_trade_no = out_no(&trade).ok_or(Refusal::ACQ_INVALID_PARAMETER)?;
                Ok(CloseReply { out_trade_no, trade_no: trade_no(&trade) })
            }
            Some(Closing::Paid | Closing::AlreadyClosed | Closing::OnlyReverse) => {
                let members = vec![("out_trade_no", key.out_trade_no.clone())];
                Err(Refused { refusal: Refusal::TRADE_STATUS_ERROR, members })
            }
            Some(Closing::NotExist) | None => Err(Refusal::TRADE_NOT_EXIST.into()),
        }
    }

    fn cancel(&self, biz: &str) -> Result<CancelReply, Refused> {
        let asked = Cancel::read(biz)?;
        let trade = match (find(self.pretend, &asked.trade), &asked.trade) {
            (Some(trade), _) => trade,
            (None, TradeRef::Out(number)) => {
                let (out_trade_no, trade_no, action) = (number.clone(), None, None);
                return Ok(CancelReply { out_trade_no, trade_no, must_retry: false, action });
            }
            (None, TradeRef::Trade(_)) => return Err(Refusal::TRADE_NOT_EXIST.into()),
        };
        let key = &trade.order.key;
        let paid_at = trade.paid_at.filter(|_| trade.state == State::Paid);
        if paid_at.is_some_and(|at| self.pretend.now().since(at) > CANCEL_WINDOW) {
            return Err(Refusal::TRADE_CANCEL_TIME_OUT.into());
        }
        let action = match self.pretend.change(|world, now| world.cancel(key, now)) {
            Cancelled::NotExist => None,
            Cancelled::Closed => Some(CancelAction::Close),
            Cancelled::Refunded => Some(CancelAction::Refund),
            Cancelled::Nothing if trade.state == State::Finished => {
                return Err(Refusal::TRADE_HAS_FINISHED.into());
            }
            Cancelled::Nothing if trade.paid_at.is_some() => Some(CancelAction::Refund),
            Cancelled::Nothing => Some(CancelAction::Close),
        };
        let out_trade_no = out_no(&trade).ok_or(Refusal::ACQ_INVALID_PARAMETER)?;
        Ok(CancelReply { out_trade_no, trade_no: trade_no(&trade), must_retry: false, action })
    }

    /// Alipay's present certificate or its next one.
    fn certificate(&self, biz: &str) -> Result<String, Refused> {
        let wanted = CertDownload::read(biz)?.alipay_cert_sn;
        let (keys, shown) = (&self.pretend.keys, &self.pretend.credentials.alipay);
        if wanted == keys.alipay_cert_sn {
            return Ok(shown.alipay_cert.clone());
        }
        let next = keys.next_alipay.as_ref().filter(|next| next.sn == wanted);
        Ok(next.ok_or(Refusal::INVALID_PARAMETER)?.pem.clone())
    }
}

/// A trade as a query tells it; none while nobody has come to it.
fn told(trade: &Trade) -> Option<QueryReply> {
    let status = trade.alipay_status()?;
    // Ordinary contracts of page.pay get four zeros even for what is paid.
    let products = [Product::AlipayQr, Product::AlipayBarcode, Product::AlipayCreate];
    let face_to_face = products.contains(&trade.order.product) && trade.paid_at.is_some();
    let amount = Fen(if face_to_face { trade.order.amount } else { 0 });
    let (buyer_user_id, buyer_open_id) = named(trade.payer.as_deref());
    Some(QueryReply {
        out_trade_no: out_no(trade)?,
        trade_no: trade_no(trade)?,
        trade_status: TradeStatus::from_word(status),
        total_amount: Fen(trade.order.amount),
        send_pay_date: trade.paid_at,
        buyer_user_id,
        buyer_open_id,
        buyer_logon_id: Some(BUYER_LOGON_ID.to_owned()),
        buyer_pay_amount: Some(amount),
        receipt_amount: Some(amount),
        invoice_amount: Some(amount),
        point_amount: Some(Fen(0)),
    })
}
