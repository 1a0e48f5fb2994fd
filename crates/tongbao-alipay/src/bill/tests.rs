//! Both ends of a bill against each other, and the reader against lines that were not made here.

use super::*;
use crate::Charset;
use crate::bill::{BillHead, TradeLineKind, write_fund_bill, write_trade_bill};
use proptest::prelude::*;
use std::io::Cursor;
use tongbao_types::Fen;

/// A day's file as production printed it in 2020, by the description of its lines.
const HEAD: &str = "#支付宝业务明细查询\r\n#账号：[20880000000000010156]\r\n\
     #起始日期：[2020年07月22日 00:00:00]   终止日期：[2020年07月23日 00:00:00]\r\n\
     #-----------------------------------------业务明细列表----------------------------------------\r\n\
     支付宝交易号,商户订单号,业务类型,商品名称,创建时间,完成时间,门店编号,门店名称,操作员,终端号,对方账户,\
     订单金额（元）,商家实收（元）,支付宝红包（元）,集分宝（元）,支付宝优惠（元）,商家优惠（元）,券核销金额（元）,\
     券名称,商家红包消费金额（元）,卡消费金额（元）,退款批次号/请求号,服务费（元）,分润（元）,备注\r\n";
const TAIL: &str = "#-----------------------------------------业务明细列表结束------------------------------------\r\n\
     #交易合计：1笔，商家实收共1.00元，商家优惠共0.00元\r\n\
     #退款合计：0笔，商家实收退款共0.00元，商家优惠退款共0.00元\r\n\
     #导出时间：[2020年07月23日 08:00:00]\r\n";

fn row(subject: &str, remark: &str) -> String {
    format!(
        "2020072222001444491\t,TB1\t,交易\t,{subject}\t,2020-07-22 12:00:00,2020-07-22 12:00:05,\
         \t,\t,\t,\t,**佳(yan***@163.com)\t,1.00,1.00,0.00,0.00,0.00,0.00,0.00,\t,0.00,0.00,\t,\
         -0.01,0.00,{remark}\r\n"
    )
}

fn reader(text: &str) -> Result<BillReader<Cursor<Vec<u8>>>, BillError> {
    BillReader::open("a.csv", Cursor::new(Charset::Gbk.encode(text)))
}

fn only(text: &str) -> Result<TradeLine, BillError> {
    let mut reader = reader(text)?;
    let line = reader.next_trade()?.unwrap();
    assert_eq!(reader.next_trade()?, None);
    Ok(line)
}

fn fault(text: &str) -> (u64, BillFault) {
    let error = only(text).unwrap_err();
    assert_eq!(error.file, "a.csv");
    (error.line, error.fault)
}

fn payment(no: u64) -> TradeLine {
    TradeLine {
        trade_no: format!("20261120220014{no:014}"),
        out_trade_no: format!("TB{no}"),
        kind: TradeLineKind::Payment,
        subject: "茶, 一壶".into(),
        created_at: Some("2026-11-20T06:30:05Z".parse().unwrap()),
        finished_at: Some("2026-11-20T06:30:11Z".parse().unwrap()),
        store: (String::new(), String::new()),
        buyer: "**佳(yan***@163.com)".into(),
        order_amount: Fen(8888),
        receipt_amount: Fen(8888),
        out_request_no: String::new(),
        service_fee: Fen(-53),
        remark: "a,b".into(),
    }
}

fn refund() -> TradeLine {
    TradeLine {
        kind: TradeLineKind::Refund,
        order_amount: Fen(-100),
        receipt_amount: Fen(-100),
        out_request_no: "TB1R1".into(),
        service_fee: Fen(1),
        store: ("S1".into(), "总店".into()),
        remark: String::new(),
        ..payment(1)
    }
}

fn head() -> BillHead {
    BillHead {
        seller_id: "2088000000000001".into(),
        from: "2026-11-19T16:00:00Z".parse().unwrap(),
        until: "2026-11-20T16:00:00Z".parse().unwrap(),
        exported_at: "2026-11-21T00:00:00Z".parse().unwrap(),
    }
}

fn unpacked(zip: &[u8], index: usize) -> (String, String) {
    let mut zip = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut file = zip.by_index(index).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let gbk = |bytes: &[u8]| Charset::Gbk.decode(bytes).unwrap().into_owned();
    (gbk(file.name_raw()), gbk(&bytes))
}

#[test]
fn a_line_of_production_is_read() {
    let line = only(&format!("{HEAD}{}{TAIL}", row("测试", "谢谢"))).unwrap();
    assert_eq!(line.trade_no, "2020072222001444491");
    assert_eq!(line.out_trade_no, "TB1");
    assert_eq!(line.kind, TradeLineKind::Payment);
    assert_eq!(line.created_at, Some("2020-07-22T04:00:00Z".parse().unwrap()));
    assert_eq!(line.buyer, "**佳(yan***@163.com)");
    assert_eq!(line.receipt_amount, Fen(100));
    assert_eq!(line.service_fee, Fen(-1));
    assert_eq!((line.subject.as_str(), line.remark.as_str()), ("测试", "谢谢"));
    let mut reader = reader(&format!("{HEAD}{}{TAIL}", row("a", "b"))).unwrap();
    assert_eq!(reader.account(), "20880000000000010156");
    assert_eq!(reader.columns().len(), 25);
    while reader.next_row().unwrap().is_some() {}
    assert_eq!(reader.declared("交易合计"), Some(1));
    assert_eq!(reader.declared("退款合计"), Some(0));
    assert_eq!(reader.declared("导出时间"), None);
}

#[test]
fn commas_of_the_merchant_are_put_back() {
    for (subject, remark) in [("a,b,,c", "x"), ("a", "x,y,z"), ("a,b", "x,y"), (",", "")] {
        let line = only(&format!("{HEAD}{}{TAIL}", row(subject, remark))).unwrap();
        assert_eq!((line.subject.as_str(), line.remark.as_str()), (subject, remark));
        assert_eq!(line.order_amount, Fen(100));
    }
    let text = format!("{HEAD}{}{TAIL}", row("a", "")).replace("**佳", "**,佳");
    assert_eq!(fault(&text), (6, BillFault::Malformed("订单金额(元)")));
}

#[test]
fn columns_are_found_by_name_and_new_ones_kept() {
    let text = "#支付宝业务明细查询\r\n\
         商户订单号,新列,支付宝交易号,业务类型,订单金额(元),商家实收(元),服务费(元),退款批次号/请求号,\r\n\
         TB1\t,新\t,2020\t,交易退款\t,-1.00,-1.00,0.01,R1\t,\r\n#--业务明细列表结束--\r\n";
    let line = only(text).unwrap();
    assert_eq!((line.out_trade_no.as_str(), line.trade_no.as_str()), ("TB1", "2020"));
    assert_eq!((line.kind, line.order_amount), (TradeLineKind::Refund, Fen(-100)));
    assert_eq!((line.out_request_no.as_str(), line.service_fee), ("R1", Fen(1)));
    assert_eq!(line.created_at, None);
    let mut reader = reader(text).unwrap();
    let row = reader.next_row().unwrap().unwrap();
    assert_eq!(row.cell("新列"), Some("新"));
    assert_eq!(row.cell("旧列"), None);
    assert_eq!(row.cells().count(), 8);
    assert_eq!(row.line(), 3);
}

#[test]
fn each_fault_names_its_line() {
    assert_eq!(fault(""), (1, BillFault::NotABill));
    assert_eq!(fault("<html>"), (1, BillFault::NotABill));
    let empty = "#支付宝业务明细查询\r\n#账号：[1]\r\n";
    assert_eq!(fault(empty), (3, BillFault::NoHeader));
    let endless = format!("#支付宝业务明细查询\r\n{}", "#\r\n".repeat(30));
    assert_eq!(fault(&endless), (21, BillFault::NoHeader));
    let lacking = HEAD.replace("服务费（元）", "手续费");
    assert_eq!(fault(&lacking), (5, BillFault::ColumnMissing("服务费(元)")));
}

#[test]
fn faults_inside_of_the_list_name_their_line() {
    let in_list = |line: &str| fault(&format!("{HEAD}{line}{TAIL}"));
    let good = row("a", "");
    let cells = |cells| BillFault::Cells { cells, columns: 25 };
    assert_eq!(in_list("a,b\r\n"), (6, cells(2)));
    let wrong = [
        (good.replace("1.00,1.00", "1.000,1.00"), "订单金额(元)"),
        (good.replace("1.00,1.00", "1.00,"), "商家实收(元)"),
        (good.replace("-0.01", "--0.01"), "服务费(元)"),
        (good.replace("2020-07-22 12:00:05", "noon"), "完成时间"),
        (good.replace("2020072222001444491", ""), "支付宝交易号"),
        (good.replace("交易", ""), "业务类型"),
    ];
    for (line, name) in wrong {
        assert_eq!(in_list(&line), (6, BillFault::Malformed(name)), "{line}");
    }
    let long = row(&"长".repeat(LINE_MAX), "");
    assert_eq!(in_list(&long), (6, BillFault::LineTooLong));
}

#[test]
fn half_a_bill_is_no_bill() {
    let text = format!("{HEAD}{}", row("a", ""));
    let mut reader = reader(&text).unwrap();
    assert!(reader.next_trade().unwrap().is_some());
    let error = reader.next_trade().unwrap_err();
    assert_eq!((error.line, error.fault), (7, BillFault::Truncated));
}

#[test]
fn a_letter_cut_in_two_costs_nothing_but_itself() {
    let mut bytes = Charset::Gbk.encode(&format!("{HEAD}{}{TAIL}", row("茶", "")));
    let at = bytes.windows(3).position(|w| w == b"\xB2\xE8\t").unwrap();
    bytes.remove(at + 1);
    let mut reader = BillReader::open("a.csv", Cursor::new(bytes)).unwrap();
    let line = reader.next_trade().unwrap().unwrap();
    assert_eq!(line.subject, "\u{FFFD}");
    assert_eq!(line.order_amount, Fen(100));
}

#[test]
fn a_trade_bill_reads_back() {
    let lines = [payment(1), payment(2), refund()];
    let out = write_trade_bill(Cursor::new(Vec::new()), &head(), lines.iter().cloned()).unwrap();
    let mut archive = BillArchive::open(out).unwrap();
    let mut reader = archive.file(BillKind::TradeDetail).unwrap();
    assert_eq!(reader.account(), "20880000000000010156");
    for line in &lines {
        assert_eq!(reader.next_trade().unwrap().as_ref(), Some(line));
    }
    assert_eq!(reader.next_trade().unwrap(), None);
    assert_eq!(reader.declared("交易合计"), Some(2));
    assert_eq!(reader.declared("退款合计"), Some(1));
    let error = reader.next_fund().unwrap_err();
    assert_eq!(error.fault, BillFault::WrongKind);
    drop(reader);
    let mut summary = archive.file(BillKind::TradeSummary).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = summary.next_row().unwrap() {
        let cell = |name| row.cell(name).unwrap().to_owned();
        rows.push([cell("门店编号"), cell("交易订单总笔数"), cell("实收净额（元）")]);
    }
    assert_eq!(rows, [["", "2", "176.70"], ["S1", "0", "-0.99"], ["合计", "2", "175.71"]]);
    drop(summary);
    let absent = archive.file(BillKind::FundDetail).err().unwrap();
    assert_eq!(absent.fault, BillFault::Absent("#支付宝账务明细查询"));
}

#[test]
fn the_bytes_are_those_of_production() {
    let out = write_trade_bill(Cursor::new(Vec::new()), &head(), [payment(1)].into_iter());
    let zip = out.unwrap().into_inner();
    let (name, text) = unpacked(&zip, 0);
    assert_eq!(head().zip_name(), "20880000000000010156_20261120.csv.zip");
    assert_eq!(name, "20880000000000010156_20261120_业务明细.csv");
    let lines: Vec<&str> = text.split("\r\n").collect();
    let wanted: Vec<&str> = HEAD.split("\r\n").collect();
    assert_eq!(lines[0], wanted[0]);
    assert_eq!(
        lines[2],
        "#起始日期：[2026年11月20日 00:00:00]   终止日期：[2026年11月21日 00:00:00]"
    );
    assert_eq!(lines[3..5], wanted[3..5]);
    let payment = "20261120220014\
         00000000000001\t,TB1\t,交易\t,茶, 一壶\t,2026-11-20 14:30:05,2026-11-20 14:30:11,\t,\t,\t,\t,\
         **佳(yan***@163.com)\t,88.88,88.88,0.00,0.00,0.00,0.00,0.00,\t,0.00,0.00,\t,-0.53,0.00,a,b\t";
    assert_eq!(lines[5], payment);
    let tail: Vec<&str> = TAIL.split("\r\n").collect();
    assert_eq!(lines[6], tail[0]);
    assert_eq!(lines[7], "#交易合计：1笔，商家实收共88.88元，商家优惠共0.00元");
    assert_eq!(lines[8], tail[2]);
    assert_eq!(lines[9..], ["#导出时间：[2026年11月21日 08:00:00]", ""]);
    assert_eq!(unpacked(&zip, 1).0, "20880000000000010156_20261120_业务明细(汇总).csv");
}

#[test]
fn a_fund_bill_reads_back() {
    let paid = FundLine {
        entry_no: "1".into(),
        business_no: "2026112022001400000000000001".into(),
        out_trade_no: "TB1".into(),
        subject: "茶, 一壶".into(),
        at: "2026-11-20T06:30:11Z".parse().unwrap(),
        counterparty: "**佳(yan***@163.com)".into(),
        income: Fen(8800),
        outgo: Fen(0),
        balance: Some(Fen(8800)),
        channel: "支付宝".into(),
        business: "在线支付".into(),
        remark: "a,b".into(),
    };
    let fee = FundLine {
        entry_no: "2".into(),
        income: Fen(0),
        outgo: Fen(53),
        balance: None,
        business: "收费".into(),
        ..paid.clone()
    };
    let lines = [paid, fee];
    let out = write_fund_bill(Cursor::new(Vec::new()), &head(), lines.iter().cloned()).unwrap();
    let (name, text) = unpacked(out.get_ref(), 0);
    assert_eq!(name, "20880000000000010156_20261120_账务明细.csv");
    assert!(
        text.contains("\r\n#支出合计：1笔，共0.53元\r\n#收入合计：1笔，共88.00元\r\n#导出时间")
    );
    assert!(text.contains(",0.00,-0.53,,支付宝\t,收费\t,"), "{text}");
    let mut archive = BillArchive::open(out).unwrap();
    let mut reader = archive.file(BillKind::FundDetail).unwrap();
    for line in &lines {
        assert_eq!(reader.next_fund().unwrap().as_ref(), Some(line));
    }
    assert_eq!(reader.next_fund().unwrap(), None);
    assert_eq!(reader.declared("收入合计"), Some(1));
}

#[test]
fn what_is_no_zip_of_a_bill_is_refused() {
    let open = |bytes: &[u8]| BillArchive::open(Cursor::new(bytes.to_vec())).err();
    assert!(matches!(open(b"<html>").unwrap().fault, BillFault::Zip(_)));
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..=FILES_MAX {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(format!("{n}.csv"), options).unwrap();
    }
    let many = zip.finish().unwrap().into_inner();
    assert_eq!(open(&many).unwrap().fault, BillFault::TooManyFiles(FILES_MAX + 1));
}

#[test]
fn many_lines_stream() {
    let lines = (0..20_000).map(payment);
    let out = write_trade_bill(Cursor::new(Vec::new()), &head(), lines).unwrap();
    let mut archive = BillArchive::open(out).unwrap();
    let mut reader = archive.file(BillKind::TradeDetail).unwrap();
    let (mut count, mut sum) = (0, 0);
    while let Some(line) = reader.next_trade().unwrap() {
        count += 1;
        sum += line.receipt_amount.0;
    }
    assert_eq!((count, sum), (20_000, 177_760_000));
    assert!(reader.buffer.capacity() < 8 * LINE_MAX, "one line is kept, not the file");
}

proptest! {
    #[test]
    fn hostile_files_never_panic(text in "(#|,|\t|\r\n|列表结束|-1.00|1.0|交易|退款|.){0,60}") {
        for text in [text.clone(), format!("{HEAD}{text}"), format!("#支付宝账务明细查询\r\n{text}")] {
            let Ok(mut reader) = reader(&text) else { continue };
            while let Ok(Some(row)) = reader.next_row() {
                let _ = (TradeLine::read(&row), FundLine::read(&row), row.cells().count());
            }
        }
    }

    #[test]
    fn hostile_zips_never_panic(bytes: Vec<u8>) {
        prop_assert!(BillArchive::open(Cursor::new(bytes)).is_err());
    }
}
