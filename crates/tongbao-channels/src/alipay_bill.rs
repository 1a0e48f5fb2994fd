//! Alipay's bills: one signed call tells an address on another host, and whoever asks there within
//! thirty seconds is given a zip, without a signature on either side.

use crate::bill::{BillFetch, BillKind, BillStep, BillWanted, Form, odd_words};
use crate::{Doubt, Reply, alipay};
use tongbao_alipay::open::bill_download_url::{
    BillDate, BillDownloadUrl, BillDownloadUrlReply, BillType,
};
use tongbao_alipay::{Answer, ReplyError};
use tongbao_types::{HttpRequest, Method, Provider};

/// The signed call.
pub(crate) fn question(wanted: BillWanted) -> BillDownloadUrl {
    let date = BillDate::from_text(&wanted.date.to_string());
    BillDownloadUrl {
        bill_type: match wanted.kind {
            BillKind::Trade => BillType::Trade,
            BillKind::FundFlow => BillType::SignCustomer,
        },
        bill_date: date.expect("a day that exists reads back"),
    }
}

/// What its answer amounts to.
pub(crate) fn linked(answer: Result<Answer<BillDownloadUrlReply>, ReplyError>) -> Reply<BillStep> {
    match answer {
        Ok(Answer::Done(reply)) => fetch(&reply.bill_download_url),
        Ok(Answer::Refused(error)) if error.is_bill_absent() => Reply::Done(BillStep::Missing),
        Ok(Answer::Refused(error)) => alipay::refused(error),
        Err(error) => alipay::doubted(&error),
    }
}

fn fetch(address: &str) -> Reply<BillStep> {
    let Some((base, target)) = split(address) else {
        let reason = "the address of the bill is none that can be asked".to_owned();
        return Reply::Unknown(Doubt { reason, keys_may_help: false });
    };
    let request = HttpRequest {
        method: Method::Get,
        target: target.to_owned(),
        headers: Vec::new(),
        body: bytes::Bytes::new(),
    };
    let words = |response: &_| odd_words(Provider::Alipay, response);
    let fetch = BillFetch::new(Form::Alipay, move |_| request.clone(), words);
    Reply::Done(BillStep::Fetch(fetch.elsewhere(base)))
}

/// Scheme and host, and the rest as it stands there: Alipay signed it, so no byte may change.
fn split(address: &str) -> Option<(&str, &str)> {
    let host =
        ["https://", "http://"].iter().find_map(|s| address.strip_prefix(s).map(|_| s.len()));
    let rest = address.get(host?..)?;
    let plain = address.bytes().all(|b| b.is_ascii_graphic() && !b"#@\\".contains(&b));
    let at = rest.find('/').filter(|at| *at > 0 && plain)?;
    Some(address.split_at(host? + at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_split_and_not_changed() {
        let check = |address: &str, wanted| assert_eq!(split(address), wanted, "{address}");
        let target = "/downloadBillFile.resource?bizType=trade&fileId=%2Ftrade%2F1&token=a=";
        let address = format!("http://dwbillcenter.alipay.com{target}");
        check(&address, Some(("http://dwbillcenter.alipay.com", target)));
        check("https://127.0.0.1:9010/x", Some(("https://127.0.0.1:9010", "/x")));
        for wrong in [
            "",
            "https://",
            "https:///x",
            "https://host",
            "ftp://host/x",
            "https://host/x y",
            "https://host/x\r\nA: b",
            "https://a@host/x",
            "https://host/账单",
        ] {
            check(wrong, None);
        }
    }
}
