//! Alipay OpenAPI 2.0, the provider's half, in public key and in certificate mode.

use super::{
    ALIPAY_APP_ID, ALIPAY_SELLER_ID, Moment, No, Op, PlaceRefusal, Protocol, Said, Trade,
    TradeStatus, Trades,
};
use crate::keys;
use tongbao_alipay::open::close::{self, Close, CloseReply};
use tongbao_alipay::open::notify::{FAIL, Notification, SUCCESS};
use tongbao_alipay::open::precreate::{self, Precreate, PrecreateReply};
use tongbao_alipay::open::query::{self, QueryReply};
use tongbao_alipay::open::return_url::Return;
use tongbao_alipay::open::{AppAtGateway, Expiry, GatewayRequest, Sealing, page};
use tongbao_alipay::{Charset, Refusal};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Method, OutTradeNo, Timestamp, TradeNo};

pub(super) struct Alipay {
    pub(super) by_certificate: bool,
}

impl Alipay {
    fn opened(&self, request: &HttpRequest) -> GatewayRequest {
        let request = GatewayRequest::read(request).unwrap();
        let files = &*keys::ALIPAY_FILES;
        let serials = (files.app_sn(), files.root_sn());
        let (app_sn, root_sn) = (serials.0.as_str(), serials.1.as_str());
        let certificates = self.by_certificate.then_some((app_sn, root_sn));
        let key = &keys::APP.public();
        let checked = request.check(AppAtGateway { key, certificates, content_key: None });
        assert!(checked.is_ok(), "the call is not signed well: {checked:?}");
        assert_eq!(request.app_id().unwrap(), ALIPAY_APP_ID);
        request
    }

    fn seal<T>(&self, with: impl FnOnce(Sealing<'_>) -> T) -> T {
        let sn = self.by_certificate.then(|| keys::ALIPAY_FILES.alipay_sn());
        with(Sealing::Signed { key: &keys::ALIPAY, cert_sn: sn.as_deref(), content_key: None })
    }

    fn act(
        &self,
        trades: &mut Trades,
        request: &GatewayRequest,
        at: Moment,
    ) -> Result<HttpResponse, Refusal> {
        let number = number(request);
        match request.method().unwrap().as_str() {
            precreate::METHOD => {
                let asked = Precreate::read(&request.biz_content(None)?)?;
                let qr_code = trades.place(order(&asked), at.now)?;
                let reply = PrecreateReply { out_trade_no: asked.order.out_trade_no, qr_code };
                Ok(self.seal(|sealing| reply.encode(request, sealing)))
            }
            query::METHOD => {
                let trade = trades.find(&number).ok_or(Refusal::TRADE_NOT_EXIST)?;
                Ok(self.seal(|sealing| told(trade).encode(request, sealing)))
            }
            close::METHOD => {
                Close::read(&request.biz_content(None)?)?;
                match trades.close(&number) {
                    Some(TradeStatus::Open) => {
                        let trade_no = Some(trade_no(&trades.find(&number).unwrap().trade_no));
                        let reply = CloseReply { out_trade_no: out_no(&number), trade_no };
                        Ok(self.seal(|sealing| reply.encode(request, sealing)))
                    }
                    Some(_) => Err(Refusal::TRADE_STATUS_ERROR),
                    None => Err(Refusal::TRADE_NOT_EXIST),
                }
            }
            other => panic!("the engine does not call {other}"),
        }
    }
}

impl From<PlaceRefusal> for Refusal {
    fn from(refusal: PlaceRefusal) -> Refusal {
        match refusal {
            PlaceRefusal::Paid => Refusal::TRADE_HAS_SUCCESS,
            PlaceRefusal::Closed => Refusal::TRADE_HAS_CLOSE,
            PlaceRefusal::Differs => Refusal::CONTEXT_INCONSISTENT,
            PlaceRefusal::TooLate => Refusal::NOW_TIME_AFTER_EXPIRE_TIME,
        }
    }
}

impl Protocol for Alipay {
    fn read(&self, request: &HttpRequest, _at: Moment) -> (Op, String) {
        let request = self.opened(request);
        let op = match request.method().unwrap().as_str() {
            precreate::METHOD => Op::Place,
            query::METHOD => Op::Query,
            close::METHOD => Op::Close,
            other => panic!("the engine does not call {other}"),
        };
        (op, number(&request))
    }

    fn perform(&self, trades: &mut Trades, request: &HttpRequest, at: Moment) -> HttpResponse {
        let request = self.opened(request);
        let answer = self.act(trades, &request, at);
        answer.unwrap_or_else(|refusal| self.seal(|seal| request.refuse(&refusal, &[], seal)))
    }

    fn refuse(&self, request: &HttpRequest, no: No) -> HttpResponse {
        let refusal = match no {
            No::Permission | No::TooYoung => Refusal::ACCESS_FORBIDDEN,
            No::Busy => Refusal::SYSTEM_ERROR,
        };
        self.seal(|sealing| self.opened(request).refuse(&refusal, &[], sealing))
    }

    fn corrupt(&self, response: HttpResponse) -> HttpResponse {
        let text = String::from_utf8(response.body.to_vec()).unwrap();
        let (before, _) = text.split_once("\"sign\":\"").unwrap();
        let forged = keys::STRANGER.sign_sha256(b"anything");
        HttpResponse { body: format!("{before}\"sign\":\"{forged}\"}}").into(), ..response }
    }

    fn notice(&self, trade: &Trade, said: &Said, at: Moment) -> HttpRequest {
        let total_amount = Fen(said.amount.unwrap_or(trade.amount));
        let status = told(trade).trade_status;
        let notification = Notification {
            notify_id: "2026112100222060000000000000000000".to_owned(),
            notify_time: Some(at.wall),
            app_id: said.app_id.unwrap_or(ALIPAY_APP_ID).to_owned(),
            seller_id: Some(said.merchant.unwrap_or(ALIPAY_SELLER_ID).to_owned()),
            out_trade_no: out_no(said.number.unwrap_or(&trade.number)),
            trade_no: trade_no(said.trade_no.unwrap_or(&trade.trade_no)),
            trade_status: status,
            total_amount,
            receipt_amount: None,
            buyer_pay_amount: None,
            invoice_amount: None,
            point_amount: None,
            buyer_id: Some("2088102177891234".to_owned()),
            buyer_open_id: None,
            buyer_logon_id: None,
            subject: None,
            body: None,
            passback_params: trade.attach.clone(),
            fund_bill_list: None,
            gmt_create: None,
            gmt_payment: trade.paid_at,
            gmt_refund: None,
            gmt_close: None,
            refund_fee: None,
            out_biz_no: None,
        };
        let key = if said.forged { &*keys::STRANGER } else { &*keys::ALIPAY };
        let mut request = notification.encode("/notify/alipay/any", Charset::Utf8, key);
        if said.downgraded {
            let text = String::from_utf8(request.body.to_vec()).unwrap();
            assert!(text.contains("sign_type=RSA2"));
            request.body = text.replace("sign_type=RSA2", "sign_type=RSA").into();
        }
        request
    }

    fn is_accepted(&self, response: &HttpResponse) -> bool {
        response.status == 200 && response.body == SUCCESS
    }

    fn is_refused(&self, response: &HttpResponse) -> bool {
        response.body == FAIL
    }
}

/// The browser's way back from Alipay's page, as the gateway gets it.
pub(crate) fn returned(number: &str, at: Timestamp) -> HttpRequest {
    let members = Return {
        app_id: ALIPAY_APP_ID.to_owned(),
        seller_id: ALIPAY_SELLER_ID.to_owned(),
        method: page::METHOD.to_owned(),
        out_trade_no: out_no(number),
        trade_no: trade_no(&format!("42{number}")),
        total_amount: Fen(1200),
        timestamp: at,
    };
    let target = members.encode("/return/alipay/alipay-key", Charset::Utf8, &keys::ALIPAY);
    HttpRequest { method: Method::Get, target, headers: Vec::new(), body: Vec::new().into() }
}

fn number(request: &GatewayRequest) -> String {
    let biz = request.biz_content(None).unwrap();
    let biz: serde_json::Value = serde_json::from_str(&biz).unwrap();
    biz["out_trade_no"].as_str().unwrap().to_owned()
}

fn order(asked: &Precreate) -> Trade {
    let order = &asked.order;
    let Some(Expiry::At(until)) = order.expiry else { panic!("every order has its end") };
    Trade {
        number: order.out_trade_no.to_string(),
        amount: order.total_amount.fen().0,
        content: format!("{order:?}"),
        code: format!("https://qr.alipay.com/bax{}", order.out_trade_no),
        attach: order.passback_params.clone(),
        until: Some(until),
        status: TradeStatus::Open,
        is_known: false,
        trade_no: format!("42{}", order.out_trade_no),
        paid_at: None,
    }
}

fn told(trade: &Trade) -> QueryReply {
    let trade_status = match trade.status {
        TradeStatus::Open => tongbao_alipay::TradeStatus::WaitBuyerPay,
        TradeStatus::Paid => tongbao_alipay::TradeStatus::TradeSuccess,
        TradeStatus::Closed => tongbao_alipay::TradeStatus::TradeClosed,
    };
    QueryReply {
        out_trade_no: out_no(&trade.number),
        trade_no: trade_no(&trade.trade_no),
        trade_status,
        total_amount: Fen(trade.amount),
        send_pay_date: trade.paid_at,
        buyer_user_id: Some("2088102177891234".to_owned()),
        buyer_open_id: None,
        buyer_logon_id: None,
        buyer_pay_amount: None,
        receipt_amount: None,
        invoice_amount: None,
        point_amount: None,
    }
}

fn out_no(number: &str) -> OutTradeNo {
    OutTradeNo::new(number).unwrap()
}

fn trade_no(number: &str) -> TradeNo {
    TradeNo::new(number).unwrap()
}
