//! The rows of a fund-flow bill (资金账单): every movement of an account.

use super::columns;
use super::money::{count, read_yuan, short_yuan};
use super::read::{BillError, BillLines, BillProblem, BillRow};
use super::write::Writer;
use crate::china::{read_spaced_time, spaced_time};
use tongbao_types::{Fen, Timestamp};

/// Which way the money went (收支类型).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundDirection<'a> {
    /// `收入`: it came in.
    Income,
    /// `支出`: it went out.
    Expense,
    /// Another word.
    Other(&'a str),
}

impl<'a> FundDirection<'a> {
    fn read(word: &'a str) -> FundDirection<'a> {
        match word {
            "收入" => FundDirection::Income,
            "支出" => FundDirection::Expense,
            other => FundDirection::Other(other),
        }
    }

    fn as_str(self) -> &'a str {
        match self {
            FundDirection::Income => "收入",
            FundDirection::Expense => "支出",
            FundDirection::Other(word) => word,
        }
    }
}

/// One movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FundLine<'a> {
    /// When it was booked.
    pub time: Timestamp,
    /// What it belongs to: WeChat's number of the trade or refund, for example.
    pub business_id: &'a str,
    /// The movement's own number.
    pub flow_id: &'a str,
    /// The name of the business, `微信支付`.
    pub name: &'a str,
    /// Its kind, `交易` or `退款` for example.
    pub kind: &'a str,
    /// Which way it went.
    pub direction: FundDirection<'a>,
    /// How much.
    pub amount: Fen,
    /// What the account held then.
    pub balance: Fen,
    /// Who asked for it.
    pub submitter: &'a str,
    /// A note.
    pub note: &'a str,
    /// What it refers to: the merchant's number, for example.
    pub voucher: &'a str,
}

/// Where a bill has the columns of a [`FundLine`]; found once for all rows.
#[derive(Debug, Clone)]
pub struct FundColumns([usize; 11]);

/// The columns without which it is no fund-flow bill.
const NEEDED: [&str; 5] =
    ["记账时间", "微信支付业务单号", "资金流水单号", "收支类型", "收支金额(元)"];

impl FundColumns {
    /// Finds the columns after the header was taken.
    pub fn find(lines: &BillLines) -> Result<FundColumns, BillError> {
        if let Some(name) = NEEDED.into_iter().find(|name| lines.column(name).is_none()) {
            return Err(lines.error(BillProblem::Column(name)));
        }
        let mut places = [usize::MAX; 11];
        for (place, name) in places.iter_mut().zip(columns::FUND) {
            *place = lines.column(name).unwrap_or(usize::MAX);
        }
        Ok(FundColumns(places))
    }

    /// The columns of a row with their types.
    pub fn read<'a>(&self, row: &BillRow<'a>) -> Result<FundLine<'a>, BillError> {
        let [time, business_id, flow_id, name, kind, direction, amount, balance, rest @ ..] =
            self.0.map(|place| row.at(place));
        let [submitter, note, voucher] = rest;
        let moment = read_spaced_time(time)
            .ok_or_else(|| row.error("记账时间", "not yyyy-MM-dd HH:mm:ss", time))?;
        let yuan = |column, text: &str| {
            read_yuan(text).ok_or_else(|| row.error(column, "not an amount of yuan", text))
        };
        if flow_id.is_empty() {
            return Err(row.error("资金流水单号", "empty", ""));
        }
        Ok(FundLine {
            time: moment,
            business_id,
            flow_id,
            name,
            kind,
            direction: FundDirection::read(direction),
            amount: yuan("收支金额(元)", amount)?,
            balance: if balance.is_empty() {
                Fen::ZERO
            } else {
                yuan("账户结余(元)", balance)?
            },
            submitter,
            note,
            voucher,
        })
    }
}

/// The provider's bill.
pub fn write_fund_bill<'a>(lines: impl IntoIterator<Item = FundLine<'a>>) -> String {
    let mut writer = Writer::new(columns::FUND);
    let (mut income, mut expense) = ((0, Fen::ZERO), (0, Fen::ZERO));
    let mut n = 0;
    for line in lines {
        n += 1;
        let side = match line.direction {
            FundDirection::Income => Some(&mut income),
            FundDirection::Expense => Some(&mut expense),
            FundDirection::Other(_) => None,
        };
        if let Some((count, sum)) = side {
            *count += 1;
            sum.0 = sum.0.saturating_add(line.amount.0);
        }
        writer.row(cells(&line));
    }
    writer.end(columns::FUND_SUMMARY, |name| match name {
        "资金流水总笔数" => count(n),
        "收入笔数" => count(income.0),
        "收入金额" => short_yuan(income.1),
        "支出笔数" => count(expense.0),
        _ => short_yuan(expense.1),
    })
}

fn cells(line: &FundLine<'_>) -> [String; 11] {
    [
        spaced_time(line.time),
        line.business_id.to_owned(),
        line.flow_id.to_owned(),
        line.name.to_owned(),
        line.kind.to_owned(),
        line.direction.as_str().to_owned(),
        line.amount.to_yuan(),
        line.balance.to_yuan(),
        line.submitter.to_owned(),
        line.note.to_owned(),
        line.voucher.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bill::read::BillReader;

    fn line(direction: FundDirection<'static>, fen: i64) -> FundLine<'static> {
        FundLine {
            time: read_spaced_time("2018-02-01 04:21:23").unwrap(),
            business_id: "50000305742018020103387128253",
            flow_id: "1900009231201802015884652186",
            name: "退款",
            kind: "退款",
            direction,
            amount: Fen(fen),
            balance: Fen(17),
            submitter: "system",
            note: "缺货,`退款总金额0.02元",
            voucher: "REF4200000068201801293084726067",
        }
    }

    #[test]
    fn movements_go_there_and_back_and_are_summed() {
        let lines = [
            line(FundDirection::Expense, 18),
            line(FundDirection::Income, 34),
            line(FundDirection::Income, 1),
            line(FundDirection::Other("冻结"), 5),
        ];
        let text = write_fund_bill(lines);
        assert!(text.ends_with("`4.0,`2.0,`0.35,`1.0,`0.18\r\n"), "{text}");
        let mut reader = BillReader::new(text.as_bytes()).unwrap();
        let columns = FundColumns::find(reader.lines()).unwrap();
        let mut n = 0;
        while let Some(row) = reader.next_row().unwrap() {
            let mut wanted = lines[n];
            // What people wrote stays whole together, though not apart.
            (wanted.submitter, wanted.note) = ("system,`缺货", "退款总金额0.02元");
            assert_eq!(columns.read(&row).unwrap(), wanted);
            n += 1;
        }
        assert_eq!(n, 4);
        assert_eq!(reader.summary().unwrap().get("收入金额"), Some("0.35"));
    }

    #[test]
    fn the_columns_are_those_of_the_documentation() {
        let text = write_fund_bill([line(FundDirection::Income, 1)]);
        let lines: Vec<&str> = text.lines().collect();
        let names = "\u{feff}记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),\
                     账户结余(元),资金变更提交申请人,备注,业务凭证号";
        assert_eq!(lines[0], names);
        assert!(lines[1].starts_with("`2018-02-01 04:21:23,`50000305742018020103387128253,`"));
        assert_eq!(lines[2], "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额");
    }

    #[test]
    fn faults_are_told_with_line_and_column() {
        let good = write_fund_bill([line(FundDirection::Income, 1)]);
        let read = |text: &str| {
            let mut reader = BillReader::new(text.as_bytes())?;
            let columns = FundColumns::find(reader.lines())?;
            while let Some(row) = reader.next_row()? {
                columns.read(&row)?;
            }
            Ok::<(), BillError>(())
        };
        assert_eq!(read(&good), Ok(()));
        assert_eq!(read(&good.replace('(', "（").replace(')', "）")), Ok(()));
        let check = |from: &str, to: &str, wanted: &str| {
            let error = read(&good.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
        };
        check("2018-02-01", "02/01", "line 2 of the bill: 记账时间");
        check("`0.01", "`0.001", "收支金额(元)");
        check("`0.17", "`x", "账户结余(元)");
        check("1900009231201802015884652186", "", "资金流水单号");
        check("收支类型", "收支", "the column 收支类型 is missing");
        let trade = "交易时间,微信订单号\n";
        let error = read(trade).unwrap_err();
        assert_eq!(error.problem, BillProblem::Column("记账时间"));
    }
}
