//! What providers answer, well made or not.

use crate::keys;
use crate::provider::{Kind, MERCHANT_SERIAL, PUBLIC_KEY_ID};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use tongbao_alipay::bill::{BillHead, TradeLine, TradeLineKind, write_trade_bill};
use tongbao_alipay::open::bill_download_url::BillDownloadUrlReply;
use tongbao_alipay::open::{GatewayRequest, Sealing};
use tongbao_types::{Fen, HttpRequest, HttpResponse, Timestamp};
use tongbao_wechat::BillPacking;
use tongbao_wechat::v3::{BillLink, Replier, open};

pub(super) const TRADE_HEADER: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,\
    商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,\
    商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,\
    申请退款金额,费率备注";
pub(super) const FUND_HEADER: &str = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,\
    收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号";

type Make = Box<dyn Fn(&HttpRequest) -> HttpResponse + Send + Sync>;

/// An answer, and how it comes.
pub(super) struct Answer {
    pub(super) make: Make,
    pub(super) piece: usize,
    pub(super) breaks: bool,
}

impl Answer {
    pub(super) fn new(
        make: impl Fn(&HttpRequest) -> HttpResponse + Send + Sync + 'static,
    ) -> Answer {
        Answer { make: Box::new(make), piece: usize::MAX, breaks: false }
    }

    pub(super) fn in_pieces(self, piece: usize) -> Answer {
        Answer { piece, ..self }
    }

    /// The connection breaks after the last piece.
    pub(super) fn and_breaks(self) -> Answer {
        Answer { breaks: true, ..self }
    }
}

/// Without a signature, as files are.
pub(super) fn plain(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    let body = body.into();
    Answer::new(move |_| HttpResponse::new(status, "text/plain", body.clone()))
}

pub(super) fn wechat_text(header: &str, rows: &[&str]) -> String {
    let mut text = format!("\u{feff}{header}\r\n");
    for row in rows {
        text.push_str(&format!("{row}\r\n"));
    }
    text + "总交易单数,应结订单总金额\r\n`2.0,`12.0\r\n"
}

pub(super) fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Where the file is: for WeChat the host counts for nothing, for Alipay it is the whole address.
pub(super) fn link(kind: Kind, address: &str, text: &str) -> Answer {
    let (address, text) = (address.to_owned(), text.to_owned());
    match kind {
        Kind::V3PublicKey => Answer::new(move |_| {
            let told = BillLink::new(&address, "a/b+c=", BillPacking::Gzip, text.as_bytes());
            told.encode_reply(&Replier {
                key: &keys::PUBLIC_KEY,
                serial: PUBLIC_KEY_ID,
                now: "2026-11-21T07:00:00Z".parse().unwrap(),
                nonce: "593BEC0C930BF1AFEB40B4A08C8FB242",
                request_id: "08-0",
            })
        }),
        Kind::AlipayKey => Answer::new(move |request| {
            let request = GatewayRequest::read(request).unwrap();
            let reply = BillDownloadUrlReply { bill_download_url: address.clone() };
            reply.encode(&request, sealing())
        }),
        other => panic!("{other:?} tells no address"),
    }
}

/// Alipay says no.
pub(super) fn alipay_refusal(refusal: tongbao_alipay::Refusal) -> Answer {
    Answer::new(move |request| {
        GatewayRequest::read(request).unwrap().refuse(&refusal, &[], sealing())
    })
}

fn sealing() -> Sealing<'static> {
    Sealing::Signed { key: &keys::ALIPAY, cert_sn: None, content_key: None }
}

pub(super) fn assert_signed(request: &HttpRequest, wall: Timestamp) {
    let opened = open(request.clone()).unwrap();
    let checked = opened.verify(&keys::MERCHANT.public(), MERCHANT_SERIAL, wall);
    assert!(checked.is_ok(), "{checked:?}");
}

/// A payment and its refund.
pub(super) fn alipay_file() -> Vec<TradeLine> {
    let time = |text: &str| Some(text.parse::<Timestamp>().unwrap());
    let payment = TradeLine {
        trade_no: "2026112022001".to_owned(),
        out_trade_no: "ORDER1".to_owned(),
        kind: TradeLineKind::Payment,
        subject: "茶叶".to_owned(),
        created_at: time("2026-11-20T01:59:00Z"),
        finished_at: time("2026-11-20T02:00:00Z"),
        store: (String::new(), String::new()),
        buyer: "**佳(yan***@163.com)".to_owned(),
        order_amount: Fen(1200),
        receipt_amount: Fen(1200),
        out_request_no: String::new(),
        service_fee: Fen(-7),
        remark: String::new(),
    };
    let refund = TradeLine {
        kind: TradeLineKind::Refund,
        order_amount: Fen(-500),
        receipt_amount: Fen(-500),
        out_request_no: "R1".to_owned(),
        service_fee: Fen(3),
        ..payment.clone()
    };
    vec![payment, refund]
}

pub(super) fn zip(lines: &[TradeLine]) -> Vec<u8> {
    let head = BillHead {
        seller_id: "2088102100000000".to_owned(),
        from: "2026-11-19T16:00:00Z".parse().unwrap(),
        until: "2026-11-20T16:00:00Z".parse().unwrap(),
        exported_at: "2026-11-21T00:00:00Z".parse().unwrap(),
    };
    let out = std::io::Cursor::new(Vec::new());
    write_trade_bill(out, &head, lines.iter().cloned()).unwrap().into_inner()
}
