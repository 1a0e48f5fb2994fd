//! Where the money of a payment came from, or where that of a refund went. Alipay, 资金渠道列表
//! (`fund_bill_list`, `refund_detail_item_list`).
//!
//! The same items have two spellings: `fund_channel` in replies, `fundChannel` in the JSON text of
//! notifications. Both are read anywhere.

use super::members::{Reader, Writer};
use crate::error::ReplyError;
use tongbao_types::Fen;

/// One source of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundBill {
    /// `fund_channel`, such as `ALIPAYACCOUNT` or `PCREDIT`.
    pub fund_channel: String,
    /// The part of the amount that is of this source.
    pub amount: Fen,
    /// What was really paid from it, if that differs.
    pub real_amount: Option<Fen>,
    /// `fund_type` of a bank card, such as `DEBIT_CARD`.
    pub fund_type: Option<String>,
}

impl FundBill {
    /// The JSON text of `fund_bill_list` in a notification; empty without items.
    pub fn to_notice(items: &[FundBill]) -> String {
        let item = |bill: &FundBill| {
            Writer::new()
                .text("fundChannel", &bill.fund_channel)
                .fen("amount", Some(bill.amount))
                .to_biz_content()
        };
        let items: Vec<String> = items.iter().map(item).collect();
        if items.is_empty() { String::new() } else { format!("[{}]", items.join(",")) }
    }

    pub(crate) fn write(items: &[FundBill]) -> Vec<Writer> {
        let item = |bill: &FundBill| {
            Writer::new()
                .fen("amount", Some(bill.amount))
                .text("fund_channel", &bill.fund_channel)
                .maybe("fund_type", bill.fund_type.as_deref())
                .fen("real_amount", bill.real_amount)
        };
        items.iter().map(item).collect()
    }

    pub(crate) fn read(members: &Reader, name: &'static str) -> Result<Vec<FundBill>, ReplyError> {
        let item = |item: Reader| {
            let channel = item.text("fund_channel").or_else(|| item.text("fundChannel"));
            let amount = item.fen("amount").map_err(|_| ReplyError::Malformed(name))?;
            Ok(FundBill {
                fund_channel: channel.ok_or(ReplyError::Malformed(name))?,
                amount: amount.ok_or(ReplyError::Malformed(name))?,
                real_amount: item.fen("real_amount").map_err(|_| ReplyError::Malformed(name))?,
                fund_type: item.text("fund_type").or_else(|| item.text("fundType")),
            })
        };
        members.list(name)?.into_iter().map(item).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Result<Vec<FundBill>, ReplyError> {
        let members = Reader::read(&format!(r#"{{"fund_bill_list":{list}}}"#)).unwrap();
        FundBill::read(&members, "fund_bill_list")
    }

    fn bill() -> FundBill {
        let fund_channel = "ALIPAYACCOUNT".to_owned();
        FundBill { fund_channel, amount: Fen(8888), real_amount: None, fund_type: None }
    }

    #[test]
    fn both_spellings_are_read() {
        let card = FundBill {
            fund_channel: "BANKCARD".into(),
            amount: Fen(1000),
            real_amount: Some(Fen(990)),
            fund_type: Some("DEBIT_CARD".into()),
        };
        let sent = [bill(), card];
        let reply = Writer::new().list("fund_bill_list", FundBill::write(&sent)).to_biz_content();
        let members = Reader::read(&reply).unwrap();
        assert_eq!(FundBill::read(&members, "fund_bill_list"), Ok(sent.to_vec()));
        let text = r#""[{\"amount\":\"88.88\",\"fundChannel\":\"ALIPAYACCOUNT\"}]""#;
        assert_eq!(read(text), Ok(vec![bill()]));
    }

    #[test]
    fn a_notification_has_its_own_spelling() {
        let published = r#"[{"amount":"88.88","fundChannel":"ALIPAYACCOUNT"}]"#;
        assert_eq!(FundBill::to_notice(&[bill()]), published);
        assert_eq!(FundBill::to_notice(&[]), "");
    }

    #[test]
    fn other_lists_are_not_taken() {
        assert_eq!(read("null"), Ok(Vec::new()));
        assert_eq!(read("\"\""), Ok(Vec::new()));
        let malformed = Err(ReplyError::Malformed("fund_bill_list"));
        for list in ["{}", "[1]", "\"x\"", "[{}]", r#"[{"fund_channel":"A","amount":"x"}]"#] {
            assert_eq!(read(list), malformed, "{list}");
        }
        let long = format!("[{}{{}}]", "{},".repeat(500));
        assert_eq!(read(&long), malformed);
    }
}
