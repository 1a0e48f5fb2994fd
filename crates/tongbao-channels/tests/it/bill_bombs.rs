//! Packed files that would grow: how far they are read is bounded by their own size.

use crate::world::{NUMBER, TOTAL, TRADE_NO, paid_at};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{Cursor, Read, Write};
use tongbao_alipay::bill::{BillHead, TradeLine, TradeLineKind, write_trade_bill};
use tongbao_channels::{BillForm, BillKind, BillPacking, check_bill, read_bill};
use tongbao_types::{Fen, Provider};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Beyond the first part, a bill may unpack to so many times its size.
const TIMES: usize = 200;
const FREE: usize = 256 * 1024;

pub(crate) struct Bill {
    packing: BillPacking,
    bytes: Vec<u8>,
}

impl Bill {
    /// It is no bill; however much of it could be read was in proportion to its size.
    pub(crate) fn check_refused(&self, name: &str) {
        let provider = match self.packing {
            BillPacking::Zip => Provider::Alipay,
            _ => Provider::Wechat,
        };
        let form = BillForm { provider, kind: BillKind::Trade, packing: self.packing };
        let fault = check_bill(form, None, Cursor::new(&self.bytes));
        let fault = fault.map_err(|fault| fault.is_broken);
        assert_eq!(fault, Err(true), "{name}");
        let mut read = 0;
        let read_again = read_bill(form, Cursor::new(&self.bytes), &mut |line| {
            read += line.columns().map(|(_, text)| text.len() + 1).sum::<usize>();
            true
        });
        assert!(read_again.is_err(), "{name}");
        // Two bytes of GBK are three here.
        let read = read * 2 / 3;
        assert!(read <= FREE + TIMES * self.bytes.len(), "{name}: {read} bytes were read");
    }
}

fn gzip(text: &[u8]) -> Bill {
    let mut writer = GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(text).unwrap();
    Bill { packing: BillPacking::Gzip, bytes: writer.finish().unwrap() }
}

fn zipped(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Bill {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in files {
        let packed = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(name, packed.compression_level(Some(9))).unwrap();
        zip.write_all(&text).unwrap();
    }
    Bill { packing: BillPacking::Zip, bytes: zip.finish().unwrap().into_inner() }
}

/// The header of WeChat's trade bill and one line, as often as they make so many bytes.
fn wechat_rows(bytes: usize) -> Vec<u8> {
    let columns = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,\
                   交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,\
                   商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,\
                   费率,订单金额,申请退款金额,费率备注";
    let row = "`2026-11-20 10:00:00,`wx1,`1900000001,`0,`,`4200000001,`A1,`o1,`NATIVE,`SUCCESS,\
               `OTHERS,`CNY,`1.00,`0.00,`0,`0,`0.00,`0.00,`,`,`tea,`,`0.01000,`0.60%,`1.00,`0.00,`";
    let rows = format!("{row}\r\n").repeat(bytes / row.len());
    format!("\u{feff}{columns}\r\n{rows}").into_bytes()
}

/// A bill of Alipay's that is whole, and has one long line again and again.
fn alipay_bill(lines: usize) -> Bill {
    let head = BillHead {
        seller_id: "2088000000000001".to_owned(),
        from: "2026-11-19T16:00:00Z".parse().unwrap(),
        until: "2026-11-20T16:00:00Z".parse().unwrap(),
        exported_at: "2026-11-21T00:00:00Z".parse().unwrap(),
    };
    let line = || TradeLine {
        trade_no: TRADE_NO.to_owned(),
        out_trade_no: NUMBER.to_owned(),
        kind: TradeLineKind::Payment,
        subject: "茶".repeat(20_000),
        created_at: Some(paid_at()),
        finished_at: Some(paid_at()),
        store: (String::new(), String::new()),
        buyer: String::new(),
        order_amount: TOTAL,
        receipt_amount: TOTAL,
        out_request_no: String::new(),
        service_fee: Fen(0),
        remark: String::new(),
    };
    let lines = std::iter::repeat_with(line).take(lines);
    let out = write_trade_bill(Cursor::new(Vec::new()), &head, lines).unwrap();
    let mut whole = ZipArchive::new(out).unwrap();
    let file = |index| {
        let mut file = whole.by_index(index).unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        (format!("{index}.csv"), text)
    };
    zipped((0..2).map(file).collect::<Vec<_>>())
}

pub(crate) fn all() -> Vec<(&'static str, Bill)> {
    let one = |text: Vec<u8>| zipped([("1.csv".to_owned(), text)]);
    let many = |n: usize| zipped((0..n).map(|i| (format!("{i}.csv"), Vec::new())));
    let mut lying = many(300);
    let end = lying.bytes.windows(4).rposition(|four| four == b"PK\x05\x06").unwrap();
    lying.bytes[end + 8..end + 12].copy_from_slice(&[2, 0, 2, 0]);
    let text = |bytes| Bill { packing: BillPacking::Gzip, bytes };
    vec![
        ("gzip of one long line", gzip(&vec![b'a'; 2 << 20])),
        ("gzip of line ends", gzip(&vec![b'\n'; 2 << 20])),
        ("gzip of zeros", gzip(&vec![0; 2 << 20])),
        ("gzip of a bill's lines", gzip(&wechat_rows(2 << 20))),
        ("gzip within gzip", gzip(&gzip(&vec![0; 2 << 20]).bytes)),
        ("gzip, many in a row", text(gzip(b"").bytes.repeat(5_000))),
        ("gzip without an end", text(gzip(&wechat_rows(1 << 20)).bytes[..400].to_vec())),
        ("gzip of nothing", gzip(b"")),
        ("a zip of one long line", one(vec![b'a'; 2 << 20])),
        ("a zip of a bill with one long line again and again", alipay_bill(60)),
        ("a zip within a zip", one(one(vec![0; 2 << 20]).bytes)),
        ("a zip of 300 files", many(300)),
        ("a zip of 300 files that tells of two", lying),
        ("a zip cut off", {
            let mut cut = alipay_bill(3);
            cut.bytes.truncate(cut.bytes.len() - 30);
            cut
        }),
    ]
}
