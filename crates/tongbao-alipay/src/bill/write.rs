//! Writing a bill as production does, for the sandbox: two files in GBK with CRLF, a tab after each
//! text, in a zip whose names are GBK.

use super::BillKind;
use super::line::{FUND_COLUMNS, FundLine, TRADE_COLUMNS, TradeLine, TradeLineKind, text_cell};
use crate::{Charset, beijing};
use std::collections::BTreeMap;
use std::io::{self, Seek, Write};
use tongbao_types::{Fen, Timestamp};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What stands around the lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillHead {
    /// The merchant's PID; the file adds `0156`.
    pub seller_id: String,
    /// When the bill begins.
    pub from: Timestamp,
    /// When it ends, exclusive.
    pub until: Timestamp,
    /// When it was made.
    pub exported_at: Timestamp,
}

#[derive(Default)]
struct Tally {
    count: u64,
    sum: i64,
}

/// The sums of a store, in fen.
#[derive(Default)]
struct Store {
    payments: u64,
    refunds: u64,
    order: i64,
    receipt: i64,
    fee: i64,
}

impl BillHead {
    /// The name of the zip.
    pub fn zip_name(&self) -> String {
        format!("{}.csv.zip", self.stem())
    }

    fn stem(&self) -> String {
        let day: String =
            beijing::print(self.from).chars().filter(char::is_ascii_digit).take(8).collect();
        format!("{}0156_{day}", self.seller_id)
    }

    fn file_name(&self, kind: BillKind) -> String {
        format!("{}_{}.csv", self.stem(), kind.suffix())
    }
}

/// Writes the zip of a trade bill: 业务明细 and 业务明细(汇总).
pub fn write_trade_bill<W: Write + Seek>(
    out: W,
    head: &BillHead,
    lines: impl Iterator<Item = TradeLine>,
) -> io::Result<W> {
    let mut zip = ZipWriter::new(out);
    let mut file = File::start(&mut zip, head, BillKind::TradeDetail, TRADE_COLUMNS)?;
    let [mut payments, mut refunds] = [Tally::default(), Tally::default()];
    let mut stores = BTreeMap::new();
    for line in lines {
        file.line(&line.cells().join(","))?;
        match line.kind {
            TradeLineKind::Refund => refunds.add(line.receipt_amount),
            TradeLineKind::Payment | TradeLineKind::Other(_) => payments.add(line.receipt_amount),
        }
        let store: &mut Store = stores.entry(line.store.clone()).or_default();
        store.add(&line);
    }
    file.end(&[
        format!(
            "#交易合计：{}笔，商家实收共{}元，商家优惠共0.00元",
            payments.count,
            payments.yuan()
        ),
        format!(
            "#退款合计：{}笔，商家实收退款共{}元，商家优惠退款共0.00元",
            refunds.count,
            refunds.yuan()
        ),
    ])?;
    write_trade_summary(&mut zip, head, &stores)?;
    finish(zip)
}

/// Writes the zip of a fund-flow bill: 账务明细 and 账务明细(汇总).
pub fn write_fund_bill<W: Write + Seek>(
    out: W,
    head: &BillHead,
    lines: impl Iterator<Item = FundLine>,
) -> io::Result<W> {
    let mut zip = ZipWriter::new(out);
    let mut file = File::start(&mut zip, head, BillKind::FundDetail, FUND_COLUMNS)?;
    let [mut outgo, mut income] = [Tally::default(), Tally::default()];
    for line in lines {
        file.line(&line.cells().join(","))?;
        if line.outgo != Fen::ZERO {
            outgo.add(line.outgo);
        }
        if line.income != Fen::ZERO {
            income.add(line.income);
        }
    }
    let outgo = format!("#支出合计：{}笔，共{}元", outgo.count, outgo.yuan());
    let income = format!("#收入合计：{}笔，共{}元", income.count, income.yuan());
    file.end(&[outgo.clone(), income.clone()])?;
    // The columns of this summary are on no page; the two sums are.
    let file = File::start(&mut zip, head, BillKind::FundSummary, "")?;
    file.end(&[outgo, income])?;
    finish(zip)
}

fn write_trade_summary<W: Write + Seek>(
    zip: &mut ZipWriter<W>,
    head: &BillHead,
    stores: &BTreeMap<(String, String), Store>,
) -> io::Result<()> {
    let columns = "门店编号,门店名称,交易订单总笔数,退款订单总笔数,订单金额（元）,商家实收（元）,支付宝优惠（元）,\
                   商家优惠（元）,卡消费金额（元）,服务费（元）,分润（元）,实收净额（元）";
    let mut file = File::start(zip, head, BillKind::TradeSummary, columns)?;
    let mut all = Store::default();
    for ((number, name), store) in stores {
        all.merge(store);
        file.line(&store.cells(number, name))?;
    }
    file.line(&all.cells("合计", ""))?;
    file.end(&[])
}

fn finish<W: Write + Seek>(zip: ZipWriter<W>) -> io::Result<W> {
    Ok(zip.finish()?)
}

/// One file of the zip.
struct File<'a, W: Write + Seek> {
    zip: &'a mut ZipWriter<W>,
    kind: BillKind,
    exported_at: Timestamp,
}

impl<'a, W: Write + Seek> File<'a, W> {
    fn start(
        zip: &'a mut ZipWriter<W>,
        head: &BillHead,
        kind: BillKind,
        columns: &str,
    ) -> io::Result<File<'a, W>> {
        let name = Charset::Gbk.encode(&head.file_name(kind));
        // A bill of a large merchant passes 4 GiB, and its size is not known beforehand.
        let options = SimpleFileOptions::default().large_file(true);
        zip.start_file_with_options(options.name(&name))?;
        let mut file = File { zip, kind, exported_at: head.exported_at };
        file.line(kind.title())?;
        file.line(&format!("#账号：[{}0156]", head.seller_id))?;
        let [from, until] = [head.from, head.until].map(chinese_time);
        file.line(&format!("#起始日期：[{from}]   终止日期：[{until}]"))?;
        let [left, right] = [41, 40].map(|n| "-".repeat(n));
        file.line(&format!("#{left}{}{right}", kind.list()))?;
        if !columns.is_empty() {
            file.line(columns)?;
        }
        Ok(file)
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        let mut bytes = Charset::Gbk.encode(text);
        bytes.extend_from_slice(b"\r\n");
        self.zip.write_all(&bytes)
    }

    fn end(mut self, sums: &[String]) -> io::Result<()> {
        let [left, right] = [41, 36].map(|n| "-".repeat(n));
        self.line(&format!("#{left}{}结束{right}", self.kind.list()))?;
        for sum in sums {
            self.line(sum)?;
        }
        self.line(&format!("#导出时间：[{}]", chinese_time(self.exported_at)))
    }
}

fn chinese_time(moment: Timestamp) -> String {
    let text = beijing::print(moment);
    let (date, time) = text.split_once(' ').unwrap_or((&text, ""));
    let mut parts = date.splitn(3, '-');
    let [year, month, day] = [(); 3].map(|()| parts.next().unwrap_or_default());
    format!("{year}年{month}月{day}日 {time}")
}

impl Tally {
    fn add(&mut self, amount: Fen) {
        self.count += 1;
        self.sum = self.sum.saturating_add(amount.0);
    }

    fn yuan(&self) -> String {
        Fen(self.sum).to_yuan()
    }
}

impl Store {
    fn add(&mut self, line: &TradeLine) {
        match line.kind {
            TradeLineKind::Refund => self.refunds += 1,
            TradeLineKind::Payment | TradeLineKind::Other(_) => self.payments += 1,
        }
        self.order = self.order.saturating_add(line.order_amount.0);
        self.receipt = self.receipt.saturating_add(line.receipt_amount.0);
        self.fee = self.fee.saturating_add(line.service_fee.0);
    }

    fn merge(&mut self, other: &Store) {
        self.payments += other.payments;
        self.refunds += other.refunds;
        self.order = self.order.saturating_add(other.order);
        self.receipt = self.receipt.saturating_add(other.receipt);
        self.fee = self.fee.saturating_add(other.fee);
    }

    fn cells(&self, number: &str, name: &str) -> String {
        let [order, receipt, fee] = [self.order, self.receipt, self.fee].map(|n| Fen(n).to_yuan());
        let net = Fen(self.receipt.saturating_add(self.fee)).to_yuan();
        let (number, name) = (text_cell(number), text_cell(name));
        let Store { payments, refunds, .. } = self;
        format!(
            "{number},{name},{payments},{refunds},{order},{receipt},0.00,0.00,0.00,{fee},0.00,{net}"
        )
    }
}
