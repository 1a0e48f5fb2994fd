//! The calls that merchants' servers make: precreate, query, close, cancel, certificate download.
//!
//! Which members a reply has in which state of a trade is as captured from production in 2018
//! (Alipay, 统一收单交易查询 and 统一收单交易关闭).

use super::{order, sealing};
use crate::numbers;
use crate::pretend::Pretend;
use crate::trade::{Closing, Key, Product, Trade};
use crate::world::Cancelled;
use tongbao_alipay::open::TradeRef;
use tongbao_alipay::open::cancel::{self, Cancel, CancelAction, CancelReply};
use tongbao_alipay::open::cert_download::{self, CertDownload};
use tongbao_alipay::open::close::{self, Close, CloseReply};
use tongbao_alipay::open::gateway::{GatewayRequest, Sealing};
use tongbao_alipay::open::precreate::{self, Precreate, PrecreateReply};
use tongbao_alipay::open::query::{self, Query, QueryReply};
use tongbao_alipay::{ContentKey, Refusal, TradeStatus};
use tongbao_types::{Fen, HttpResponse, OutTradeNo, Provider, TradeNo};

/// A request that may be carried out, and how its replies are sealed.
struct Call<'a> {
    pretend: &'a Pretend,
    request: &'a GatewayRequest,
    sealing: Sealing<'a>,
}

/// A refusal with the members that the operation adds to it.
struct Refused {
    refusal: Refusal,
    members: Vec<(&'static str, String)>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { refusal, members: Vec::new() }
    }
}

type Answer = Result<HttpResponse, Refused>;

/// Carries out a method of a verified request.
pub(super) fn perform(pretend: &Pretend, request: &GatewayRequest, method: &str) -> HttpResponse {
    let content_key = ContentKey::read(&pretend.credentials.alipay.aes_key).ok();
    let encrypted = content_key.as_ref().filter(|_| request.is_encrypted());
    let call = Call { pretend, request, sealing: sealing(pretend, request, encrypted) };
    let biz = match request.biz_content(content_key.as_ref()) {
        Ok(biz) => biz,
        // What could not be decrypted is answered in the open.
        Err(refusal) => return request.refuse(&refusal, &[], sealing(pretend, request, None)),
    };
    call.act(method, &biz).unwrap_or_else(|refused| {
        let members: Vec<_> =
            refused.members.iter().map(|(name, value)| (*name, value.as_str())).collect();
        request.refuse(&refused.refusal, &members, call.sealing)
    })
}

impl Call<'_> {
    fn act(&self, method: &str, biz: &str) -> Answer {
        match method {
            precreate::METHOD => self.precreate(biz),
            query::METHOD => self.query(biz),
            close::METHOD => self.close(biz),
            cancel::METHOD => self.cancel(biz),
            cert_download::METHOD => self.cert_download(biz),
            _ => Err(Refusal::INVALID_METHOD.into()),
        }
    }

    fn precreate(&self, biz: &str) -> Answer {
        let asked = Precreate::read(biz)?;
        let codes = ["", precreate::FACE_TO_FACE_PAYMENT, precreate::QR_CODE_OFFLINE];
        if !codes.contains(&asked.order.product_code.as_str()) {
            return Err(Refusal::ACQ_INVALID_PARAMETER.saying("参数无效：product_code").into());
        }
        let order = order(self.pretend, self.request, &asked.order, Product::AlipayQr)?;
        let key = order.key.clone();
        let qr_code = numbers::qr_code();
        self.pretend.change(|world, now| {
            let once = world.rules().alipay_precreate_once;
            if once && !world.codes_of(&key).is_empty() {
                return Err(Refusal::APPLY_PC_MERCHANT_CODE_ERROR);
            }
            world.place(order, now)?;
            world.issue_code(&key, &qr_code, now);
            Ok(())
        })?;
        let reply = PrecreateReply { out_trade_no: asked.order.out_trade_no, qr_code };
        Ok(reply.encode(self.request, self.sealing))
    }

    fn query(&self, biz: &str) -> Answer {
        let asked = Query::read(biz)?;
        let reply = self.find(&asked.trade).and_then(|trade| told(&trade));
        let reply = reply.ok_or_else(|| {
            let members = query::refusal_members(&asked.trade).into_iter();
            let members = members.map(|(name, value)| (name, value.to_owned())).collect();
            Refused { refusal: Refusal::TRADE_NOT_EXIST, members }
        })?;
        Ok(reply.encode(self.request, self.sealing))
    }

    fn close(&self, biz: &str) -> Answer {
        let asked = Close::read(biz)?;
        let trade = self.find(&asked.trade).ok_or(Refusal::TRADE_NOT_EXIST)?;
        let key = &trade.order.key;
        match self.pretend.change(|world, now| world.close(key, now)) {
            Some(Closing::Done) => {
                let (out_trade_no, trade_no) = (out_no(&trade)?, trade_no(&trade));
                Ok(CloseReply { out_trade_no, trade_no }.encode(self.request, self.sealing))
            }
            Some(Closing::Paid | Closing::AlreadyClosed) => {
                let members = vec![("out_trade_no", key.out_trade_no.clone())];
                Err(Refused { refusal: Refusal::TRADE_STATUS_ERROR, members })
            }
            Some(Closing::NotExist) | None => Err(Refusal::TRADE_NOT_EXIST.into()),
        }
    }

    fn cancel(&self, biz: &str) -> Answer {
        let asked = Cancel::read(biz)?;
        let found = self.find(&asked.trade);
        let reply = match (&found, &asked.trade) {
            (Some(trade), _) => {
                let key = &trade.order.key;
                let done = self.pretend.change(|world, now| world.cancel(key, now));
                let action = match done {
                    Cancelled::NotExist => None,
                    Cancelled::Closed => Some(CancelAction::Close),
                    Cancelled::Refunded => Some(CancelAction::Refund),
                    Cancelled::Nothing if trade.paid_at.is_some() => Some(CancelAction::Refund),
                    Cancelled::Nothing => Some(CancelAction::Close),
                };
                let trade_no = trade_no(trade);
                CancelReply { out_trade_no: out_no(trade)?, trade_no, must_retry: false, action }
            }
            (None, TradeRef::Out(number)) => CancelReply {
                out_trade_no: number.clone(),
                trade_no: None,
                must_retry: false,
                action: None,
            },
            (None, TradeRef::Trade(_)) => return Err(Refusal::TRADE_NOT_EXIST.into()),
        };
        Ok(reply.encode(self.request, self.sealing))
    }

    fn cert_download(&self, biz: &str) -> Answer {
        let asked = CertDownload::read(biz)?;
        if asked.alipay_cert_sn != self.pretend.keys.alipay_cert_sn {
            return Err(Refusal::INVALID_PARAMETER.into());
        }
        let pem = &self.pretend.credentials.alipay.alipay_cert;
        Ok(cert_download::encode_reply(pem, self.request, self.sealing))
    }

    fn find(&self, wanted: &TradeRef) -> Option<Trade> {
        self.pretend.change(|world, now| match wanted {
            TradeRef::Out(number) => {
                world.find(&Key::new(Provider::Alipay, number.as_str()), now).cloned()
            }
            TradeRef::Trade(number) => {
                world.find_by_trade_no(Provider::Alipay, number.as_str(), now).cloned()
            }
        })
    }
}

/// The account of the pretend buyer as others may see it.
pub(super) const BUYER_LOGON_ID: &str = "buy***@sandbox.example";

/// A trade as a query tells it; none while nobody has come to it.
fn told(trade: &Trade) -> Option<QueryReply> {
    let status = trade.alipay_status()?;
    // Ordinary contracts of page.pay get four zeros even for what is paid.
    let face_to_face = trade.order.product == Product::AlipayQr && trade.paid_at.is_some();
    let amount = Fen(if face_to_face { trade.order.amount } else { 0 });
    Some(QueryReply {
        out_trade_no: out_no(trade).ok()?,
        trade_no: trade_no(trade)?,
        trade_status: TradeStatus::from_word(status),
        total_amount: Fen(trade.order.amount),
        send_pay_date: trade.paid_at,
        buyer_user_id: trade.payer.clone(),
        buyer_open_id: None,
        buyer_logon_id: Some(BUYER_LOGON_ID.to_owned()),
        buyer_pay_amount: Some(amount),
        receipt_amount: Some(amount),
        invoice_amount: Some(amount),
        point_amount: Some(Fen(0)),
    })
}

fn out_no(trade: &Trade) -> Result<OutTradeNo, Refusal> {
    let number = trade.order.key.out_trade_no.as_str();
    OutTradeNo::new(number).map_err(|_| Refusal::ACQ_INVALID_PARAMETER)
}

fn trade_no(trade: &Trade) -> Option<TradeNo> {
    TradeNo::new(trade.trade_no.clone()?).ok()
}
