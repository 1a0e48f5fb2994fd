//! Bills through Alipay, in OpenAPI 2.0 and in v3.

use crate::alipay_provider::{Alipay, Say, all, both};
use crate::world::{now, stamp};
use tongbao_alipay::Refusal as Word;
use tongbao_alipay::open::bill_download_url::{
    BillDate, BillDownloadUrl, BillDownloadUrlReply, BillType, METHOD,
};
use tongbao_channels::{BillKind, BillPlan, BillStep, BillWanted, Exchange, Reply};
use tongbao_types::Method;

fn question(alipay: &Alipay, kind: BillKind) -> Exchange<BillStep> {
    let date = tongbao_channels::BillDate::read_dashed("2026-11-20").unwrap();
    match alipay.adapter.bill(BillWanted { date, kind }, &stamp()) {
        Ok(BillPlan::Ask(exchange)) => exchange,
        other => panic!("{other:?}"),
    }
}

fn finish(alipay: &Alipay, exchange: &Exchange<BillStep>, say: &Say<'_>) -> Reply<BillStep> {
    exchange.finish(&alipay.answer(&exchange.request, say), now())
}

#[test]
fn the_address_is_asked_for_and_taken_as_it_is() {
    let address = "http://dwbillcenter.alipay.com/d.resource?x=%2F1&token=a=";
    let reply = BillDownloadUrlReply { bill_download_url: address.to_owned() };
    for alipay in all() {
        for (kind, bill_type) in
            [(BillKind::Trade, BillType::Trade), (BillKind::FundFlow, BillType::SignCustomer)]
        {
            let exchange = question(&alipay, kind);
            let sent = alipay.read(&exchange.request);
            assert_eq!(sent.method, METHOD);
            let bill_date = BillDate::from_text("2026-11-20").unwrap();
            let wanted = BillDownloadUrl { bill_type, bill_date };
            assert_eq!(BillDownloadUrl::read(&sent.content), Ok(wanted));
            match finish(&alipay, &exchange, &Say::BillAt(&reply)) {
                Reply::Done(BillStep::Fetch(fetch)) => {
                    let request = fetch.request(&stamp());
                    assert_eq!(fetch.base.as_deref(), Some("http://dwbillcenter.alipay.com"));
                    assert_eq!(request.target, "/d.resource?x=%2F1&token=a=");
                    assert_eq!((request.method, request.headers.len()), (Method::Get, 0));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_day_without_a_bill_is_told_from_a_refusal() {
    for alipay in both() {
        let exchange = question(&alipay, BillKind::Trade);
        let said = |word| finish(&alipay, &exchange, &Say::No(word));
        for word in [Word::BILL_NOT_EXIST, Word::NO_BILL_DATA] {
            let reply = said(word);
            assert!(matches!(reply, Reply::Done(BillStep::Missing)), "{reply:?}");
        }
        assert!(matches!(said(Word::TYPE_NOT_SUPPORTED), Reply::Refused(_)));
        assert!(matches!(said(Word::SYSTEM_RATE_LIMIT), Reply::Unknown(_)));
    }
}
