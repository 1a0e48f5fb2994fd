//! WeChat's bills in both APIs: one call whose answer is the file, or one that tells where it is.

use crate::bill::{
    BillFetch, BillHindrance, BillKind, BillPlan, BillStep, BillWanted, Form, odd_words,
};
use crate::{Reply, Stamp, wechat};
use std::sync::Arc;
use tongbao_types::{HttpRequest, HttpResponse, Provider};
use tongbao_wechat::v3::{self, BillLink, FundFlowBill, Received, TradeBill};
use tongbao_wechat::{
    Answer, BillFile, BillPacking, BillType, FundAccount, Level, ReplyError, V2Credentials,
    V3Credentials, WechatError, v2,
};

/// In API v2 the answer is the file, or says in words why there is none.
pub(crate) fn of_v2(
    credentials: &Arc<V2Credentials>,
    shows_identity: bool,
    wanted: BillWanted,
) -> Result<BillPlan, BillHindrance> {
    let date = wanted.date;
    let own = Arc::clone(credentials);
    let form = Form::Wechat { sha1: None };
    Ok(BillPlan::Fetch(match wanted.kind {
        BillKind::Trade => {
            let bill =
                v2::DownloadBill { date, bill_type: BillType::All, packing: BillPacking::Gzip };
            let request = move |stamp: &Stamp| bill.encode(&own, &stamp.nonce);
            BillFetch::new(form, request, |response| {
                words_of_v2(response, v2::DownloadBill::decode_reply(response))
            })
        }
        BillKind::FundFlow if !shows_identity => {
            let message = "WeChat's API v2 gives fund-flow bills only to the merchant's \
                           certificate: give the account p12_file, the apiclient_cert.p12 of the \
                           merchant platform.";
            return Err(BillHindrance(message.to_owned()));
        }
        BillKind::FundFlow => {
            // Plain, since the documents do not say which of the two the Digest is of.
            let packing = BillPacking::Plain;
            let bill = v2::DownloadFundFlow { date, account: FundAccount::Basic, packing };
            let request = move |stamp: &Stamp| bill.encode(&own, &stamp.nonce);
            BillFetch::new(form, request, |response| {
                words_of_v2(response, v2::DownloadFundFlow::decode_reply(response))
            })
        }
    }))
}

fn words_of_v2(
    response: &HttpResponse,
    answer: Result<Answer<BillFile>, ReplyError>,
) -> Reply<BillStep> {
    match answer {
        Ok(Answer::Refused(error)) => refused(error),
        // Words that are not even XML; now and then they are the known ones.
        Ok(Answer::Done(_)) => {
            let error = WechatError {
                level: Level::Communication,
                code: "FAIL".to_owned(),
                message: crate::bill::words_of(response),
            };
            match error.is_no_bill() || error.is_bill_creating() || error.is_signature() {
                true => refused(error),
                false => odd_words(Provider::Wechat, response),
            }
        }
        Err(_) => odd_words(Provider::Wechat, response),
    }
}

/// What API v3 is asked first.
pub(crate) enum LinkQuestion {
    Trade(TradeBill),
    FundFlow(FundFlowBill),
}

impl LinkQuestion {
    pub(crate) fn of(wanted: BillWanted) -> LinkQuestion {
        let (date, packing) = (wanted.date, BillPacking::Gzip);
        match wanted.kind {
            BillKind::Trade => {
                LinkQuestion::Trade(TradeBill { date, bill_type: BillType::All, packing })
            }
            BillKind::FundFlow => {
                let account = FundAccount::Basic;
                LinkQuestion::FundFlow(FundFlowBill { date, account, packing })
            }
        }
    }

    pub(crate) fn encode(&self, credentials: &V3Credentials, stamp: v3::Stamp<'_>) -> HttpRequest {
        match self {
            LinkQuestion::Trade(bill) => bill.encode(credentials, stamp),
            LinkQuestion::FundFlow(bill) => bill.encode(credentials, stamp),
        }
    }

    pub(crate) fn decode_reply(
        &self,
        received: &Received<'_>,
    ) -> Result<Answer<BillLink>, ReplyError> {
        match self {
            LinkQuestion::Trade(bill) => bill.decode_reply(received),
            LinkQuestion::FundFlow(bill) => bill.decode_reply(received),
        }
    }
}

/// What the answer to the first question amounts to. `sign` makes the request for the file.
pub(crate) fn linked(
    answer: Result<Answer<BillLink>, ReplyError>,
    sign: impl Fn(&BillLink, &Stamp) -> HttpRequest + Send + Sync + 'static,
) -> Reply<BillStep> {
    match answer {
        Ok(Answer::Done(link)) => {
            let form = Form::Wechat { sha1: Some(link.hash_value().to_owned()) };
            let request = move |stamp: &Stamp| sign(&link, stamp);
            Reply::Done(BillStep::Fetch(BillFetch::new(form, request, words_of_v3)))
        }
        Ok(Answer::Refused(error)) => refused(error),
        Err(error) => wechat::doubted(&error),
    }
}

fn words_of_v3(response: &HttpResponse) -> Reply<BillStep> {
    match BillLink::decode_reply(response) {
        Ok(Answer::Refused(error)) => refused(error),
        _ => odd_words(Provider::Wechat, response),
    }
}

fn refused(error: WechatError) -> Reply<BillStep> {
    if error.is_bill_creating() {
        Reply::Done(BillStep::NotReady)
    } else if error.is_no_bill() {
        Reply::Done(BillStep::Missing)
    } else {
        wechat::refused(error)
    }
}
