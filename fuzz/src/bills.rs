//! Bills: text, gzip and zip, of both kinds.

use crate::accounts::choice;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Cursor, Write};
use tongbao_channels::{BillForm, BillKind, BillPacking, check_bill, read_bill};
use tongbao_types::Provider;

/// WeChat's, as they are and packed.
pub fn bill_text(data: &[u8]) {
    let (first, text) = choice(data);
    let kind = if first & 1 == 0 { BillKind::Trade } else { BillKind::FundFlow };
    read(Provider::Wechat, kind, BillPacking::Text, text);
    read(Provider::Wechat, kind, BillPacking::Gzip, text);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    if packed.write_all(text).is_ok()
        && let Ok(packed) = packed.finish()
    {
        read(Provider::Wechat, kind, BillPacking::Gzip, &packed);
    }
}

/// Alipay's.
pub fn bill_zip(data: &[u8]) {
    read(Provider::Alipay, BillKind::Trade, BillPacking::Zip, data);
    read(Provider::Alipay, BillKind::FundFlow, BillPacking::Zip, data);
    for account in [true, false] {
        let read = tongbao_alipay::bill::BillReader::open("a.csv", data);
        let Ok(mut reader) = read else { return };
        while let Ok(Some(row)) = reader.next_row() {
            let _ = match account {
                true => tongbao_alipay::bill::TradeLine::read(&row).is_ok(),
                false => tongbao_alipay::bill::FundLine::read(&row).is_ok(),
            };
        }
    }
}

fn read(provider: Provider, kind: BillKind, packing: BillPacking, bytes: &[u8]) {
    let form = BillForm { provider, kind, packing };
    let checked = check_bill(form, None, Cursor::new(bytes));
    let _ = check_bill(form, Some("da39a3ee5e6b4b0d3255bfef95601890afd80709"), Cursor::new(bytes));
    let mut columns = 0;
    let read = read_bill(form, Cursor::new(bytes), &mut |line| {
        columns += line.columns().count();
        true
    });
    if let Ok(tongbao_channels::Checked::Readable(lines)) = checked {
        assert_eq!(read.ok(), Some(lines), "what is readable is read");
    }
}
