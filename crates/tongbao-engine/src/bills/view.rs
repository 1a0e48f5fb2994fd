//! The public form of a bill's line.

use bytes::{BufMut, BytesMut};
use serde::{Serialize, Serializer};
use tongbao_channels::BillLine;
use tongbao_types::Provider;

/// A line of a bill, as JSON. Every field is always there.
#[derive(Serialize)]
struct BillLineView<'a> {
    provider: &'static str,
    line: u64,
    kind: &'static str,
    time: Option<String>,
    out_trade_no: Option<&'a str>,
    provider_trade_no: Option<&'a str>,
    out_refund_no: Option<&'a str>,
    provider_refund_no: Option<&'a str>,
    provider_entry_no: Option<&'a str>,
    amount: i64,
    currency: &'a str,
    fee: Option<String>,
    trade_type: Option<&'a str>,
    status: Option<&'a str>,
    payer: Option<&'a str>,
    raw: Raw<'a>,
}

struct Raw<'a>(&'a BillLine<'a>);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.columns())
    }
}

/// Adds a line with its end.
pub(super) fn write_line(provider: Provider, line: &BillLine<'_>, out: &mut BytesMut) {
    let view = BillLineView {
        provider: provider.as_str(),
        line: line.line,
        kind: line.kind.as_str(),
        time: line.time.map(|time| time.to_string()),
        out_trade_no: line.out_trade_no,
        provider_trade_no: line.provider_trade_no,
        out_refund_no: line.out_refund_no,
        provider_refund_no: line.provider_refund_no,
        provider_entry_no: line.entry_no,
        amount: line.amount.0,
        currency: line.currency,
        fee: line.fee.map(fee),
        trade_type: line.trade_type,
        status: line.status,
        payer: line.payer,
        raw: Raw(line),
    };
    serde_json::to_writer(out.writer(), &view).expect("texts and numbers are JSON");
    out.put_u8(b'\n');
}

/// Hundred-thousandths of a yuan as yuan with five decimals.
fn fee(fee: i64) -> String {
    let digits = fee.unsigned_abs();
    let sign = if fee < 0 { "-" } else { "" };
    format!("{sign}{}.{:05}", digits / 100_000, digits % 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_has_five_decimals_and_a_sign() {
        for (number, text) in [
            (0, "0.00000"),
            (1000, "0.01000"),
            (-1, "-0.00001"),
            (123_456_789, "1234.56789"),
            (i64::MIN, "-92233720368547.75808"),
        ] {
            assert_eq!(fee(number), text);
        }
    }
}
