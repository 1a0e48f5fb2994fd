//! Orders that a merchant's server places: precreate, create and pay (Alipay, 统一收单线下交易预创建,
//! 统一收单交易创建, 统一收单交易支付).

use super::{BUYER_LOGON_ID, Caller, named, out_no, trade_no};
use crate::numbers;
use crate::order::{Key, Order, Party, PayWithin, Product};
use crate::trade::{State, Trade};
use crate::world::ChargeRefusal;
use tongbao_alipay::Refusal;
use tongbao_alipay::open::FundBill;
use tongbao_alipay::open::create::{self, Buyer, Create, CreateReply};
use tongbao_alipay::open::order::{Expiry, Order as Asked};
use tongbao_alipay::open::pay::{self, Pay, PayProgress, PayReply};
use tongbao_alipay::open::precreate::{self, Precreate, PrecreateReply};
use tongbao_types::{Fen, Provider, Timestamp};

impl Caller<'_> {
    pub(super) fn precreate(&self, biz: &str) -> Result<PrecreateReply, Refusal> {
        let asked = Precreate::read(biz)?;
        check_product(
            &asked.order,
            &[precreate::FACE_TO_FACE_PAYMENT, precreate::QR_CODE_OFFLINE],
        )?;
        let order = self.order(&asked.order, Product::AlipayQr)?;
        let key = order.key.clone();
        let qr_code = numbers::qr_code();
        self.pretend.change(|world, now| {
            let once = world.rules().alipay_precreate_once;
            if once && !world.codes_of(&key).is_empty() {
                return Err(Refusal::APPLY_PC_MERCHANT_CODE_ERROR);
            }
            world.place(order, now)?;
            world.issue_codes(&key, &[&qr_code], now);
            Ok(())
        })?;
        Ok(PrecreateReply { out_trade_no: asked.order.out_trade_no, qr_code })
    }

    /// The trade exists at once, held by the buyer that the order names.
    pub(super) fn create(&self, biz: &str) -> Result<CreateReply, Refusal> {
        let asked = Create::read(biz)?;
        check_product(&asked.order, &[create::JSAPI_PAY, pay::FACE_TO_FACE_PAYMENT])?;
        let (Buyer::UserId(buyer) | Buyer::OpenId(buyer)) = &asked.buyer;
        if *buyer == self.pretend.credentials.alipay.seller_id {
            return Err(Refusal::BUYER_SELLER_EQUAL);
        }
        let order = self.order(&asked.order, Product::AlipayCreate)?;
        let order = Order { payer: Some(buyer.clone()), ..order };
        let key = order.key.clone();
        let trade = self.pretend.change(|world, now| {
            world.place(order, now)?;
            // A buyer who pays by itself may have done so already.
            let _ = world.payer(&key, now, |trade| trade.arrive(buyer, now).map(|_| ()));
            world.find(&key, now).cloned().ok_or(Refusal::SYSTEM_ERROR)
        })?;
        if trade.state == State::Open && trade.payer.as_ref() != Some(buyer) {
            return Err(Refusal::TRADE_BUYER_NOT_MATCH);
        }
        let trade_no = trade_no(&trade).ok_or(Refusal::SYSTEM_ERROR)?;
        Ok(CreateReply { out_trade_no: asked.order.out_trade_no, trade_no })
    }

    pub(super) fn pay(&self, biz: &str) -> Result<PayReply, Refusal> {
        let asked = Pay::read(biz)?;
        check_product(&asked.order, &[pay::FACE_TO_FACE_PAYMENT, pay::OFFLINE_PAYMENT])?;
        let order = self.order(&asked.order, Product::AlipayBarcode)?;
        let code = asked.auth_code.as_str();
        let charged = self.pretend.change(|world, now| world.charge(order, code, now));
        let trade = charged.map_err(|refusal| match refusal {
            ChargeRefusal::Order(refusal) => refusal.into(),
            ChargeRefusal::Code(_) => Refusal::PAYMENT_AUTH_CODE_INVALID,
        })?;
        charged_reply(&trade).ok_or(Refusal::SYSTEM_ERROR)
    }

    /// An order of the protocol as the world keeps it.
    pub(super) fn order(&self, asked: &Asked, product: Product) -> Result<Order, Refusal> {
        let alipay = &self.pretend.credentials.alipay;
        if asked.seller_id.as_ref().is_some_and(|wanted| *wanted != alipay.seller_id) {
            return Err(Refusal::INVALID_RECEIVE_ACCOUNT);
        }
        let (pay_until, pay_within) = limits(asked.expiry, self.pretend.now())?;
        let amount = asked.total_amount.fen().0;
        Ok(Order {
            key: Key::new(Provider::Alipay, asked.out_trade_no.as_str()),
            api: self.api.clone(),
            product,
            app_id: alipay.app_id.clone(),
            party: Party::default(),
            payer: None,
            amount,
            subject: asked.subject.clone(),
            body: asked.body.clone(),
            attach: asked.passback_params.clone(),
            content: content(amount, &asked.subject, asked.body.as_deref()),
            notify_url: self.notify_url.clone(),
            return_url: self.return_url.clone(),
            pay_until,
            pay_within,
        })
    }
}

/// What must be alike when an order is placed again, through whichever door.
pub(super) fn content(amount: i64, subject: &str, body: Option<&str>) -> String {
    format!("{amount} {subject:?} {body:?}")
}

fn check_product(order: &Asked, known: &[&str]) -> Result<(), Refusal> {
    let named = order.product_code.as_str();
    if named.is_empty() || known.contains(&named) {
        return Ok(());
    }
    Err(Refusal::ACQ_INVALID_PARAMETER.saying("参数无效：product_code"))
}

/// Paid, or waiting for the buyer's password.
fn charged_reply(trade: &Trade) -> Option<PayReply> {
    let total = Fen(trade.order.amount);
    let paid = trade.paid_at.map(|_| total);
    let (buyer_user_id, buyer_open_id) = named(trade.payer.as_deref());
    let balance = |amount| FundBill {
        fund_channel: "ALIPAYACCOUNT".to_owned(),
        amount,
        real_amount: None,
        fund_type: None,
    };
    Some(PayReply {
        progress: match paid {
            Some(_) => PayProgress::Deducted,
            None => PayProgress::WaitingForPayer,
        },
        out_trade_no: out_no(trade)?,
        trade_no: trade_no(trade),
        total_amount: Some(total),
        gmt_payment: trade.paid_at,
        buyer_user_id,
        buyer_open_id,
        buyer_logon_id: Some(BUYER_LOGON_ID.to_owned()),
        buyer_pay_amount: paid,
        receipt_amount: paid,
        invoice_amount: paid,
        point_amount: paid.map(|_| Fen(0)),
        fund_bill_list: paid.map(balance).into_iter().collect(),
    })
}

type Limits = (Option<Timestamp>, Option<PayWithin>);

/// The last moment to pay, or how long after the buyer's arrival it is.
pub(super) fn limits(expiry: Option<Expiry>, now: Timestamp) -> Result<Limits, Refusal> {
    match expiry {
        None => Ok((None, None)),
        Some(Expiry::At(moment)) if moment <= now => Err(Refusal::NOW_TIME_AFTER_EXPIRE_TIME),
        Some(Expiry::At(moment)) => Ok((Some(moment), None)),
        Some(Expiry::After(span)) => Ok((None, Some(PayWithin::Minutes(span.as_seconds() / 60)))),
        Some(Expiry::Midnight) => Ok((None, Some(PayWithin::Midnight))),
    }
}
