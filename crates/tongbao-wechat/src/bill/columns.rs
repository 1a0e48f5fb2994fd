//! The columns of bills and their order (微信支付, 账单格式), for writing. Reading goes by name, since
//! columns come and go.

use super::BillType;

const ALL: &[&str] = &[
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "商品名称",
    "商户数据包",
    "手续费",
    "费率",
    "订单金额",
    "申请退款金额",
    "费率备注",
];

const SUCCESS: &[&str] = &[
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "商品名称",
    "商户数据包",
    "手续费",
    "费率",
    "订单金额",
    "费率备注",
];

const REFUND: &[&str] = &[
    "交易时间",
    "公众账号ID",
    "商户号",
    "特约商户号",
    "设备号",
    "微信订单号",
    "商户订单号",
    "用户标识",
    "交易类型",
    "交易状态",
    "付款银行",
    "货币种类",
    "应结订单金额",
    "代金券金额",
    "退款申请时间",
    "退款成功时间",
    "微信退款单号",
    "商户退款单号",
    "退款金额",
    "充值券退款金额",
    "退款类型",
    "退款状态",
    "商品名称",
    "商户数据包",
    "手续费",
    "费率",
    "订单金额",
    "申请退款金额",
    "费率备注",
];

const SUMMARY: &[&str] = &[
    "总交易单数",
    "应结订单总金额",
    "退款总金额",
    "充值券退款总金额",
    "手续费总金额",
    "订单总金额",
    "申请退款总金额",
];

const SUCCESS_SUMMARY: &[&str] = &["总交易单数", "应结订单总金额", "手续费总金额", "订单总金额"];

/// Of the fund-flow bill.
pub(super) const FUND: &[&str] = &[
    "记账时间",
    "微信支付业务单号",
    "资金流水单号",
    "业务名称",
    "业务类型",
    "收支类型",
    "收支金额(元)",
    "账户结余(元)",
    "资金变更提交申请人",
    "备注",
    "业务凭证号",
];

/// Of the fund-flow bill's summary.
pub(super) const FUND_SUMMARY: &[&str] =
    &["资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额"];

/// Columns whose text is written by people. They stand side by side in every bill.
pub(super) const FREE_TEXT: &[&str] = &["商品名称", "商户数据包", "资金变更提交申请人", "备注"];

pub(super) const fn trade(kind: BillType) -> &'static [&'static str] {
    match kind {
        BillType::All => ALL,
        BillType::Success => SUCCESS,
        BillType::Refund => REFUND,
    }
}

pub(super) const fn trade_summary(kind: BillType) -> &'static [&'static str] {
    match kind {
        BillType::All | BillType::Refund => SUMMARY,
        BillType::Success => SUCCESS_SUMMARY,
    }
}

/// Where a column stands in a header; round brackets may be wide ones.
pub(super) fn position(names: &[String], wanted: &str) -> Option<usize> {
    let narrow = |c: char| match c {
        '（' => '(',
        '）' => ')',
        same => same,
    };
    names.iter().position(|name| name.chars().map(narrow).eq(wanted.chars()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_have_the_sizes_of_the_documentation() {
        let sizes = [BillType::All, BillType::Success, BillType::Refund].map(|kind| {
            assert!(trade(kind).iter().all(|name| !name.is_empty()));
            (trade(kind).len(), trade_summary(kind).len())
        });
        assert_eq!(sizes, [(27, 7), (20, 4), (29, 7)]);
        assert_eq!((FUND.len(), FUND_SUMMARY.len()), (11, 5));
    }

    #[test]
    fn brackets_may_be_wide() {
        let names = ["备注".to_owned(), "收支金额（元）".to_owned()];
        assert_eq!(position(&names, "收支金额(元)"), Some(1));
        assert_eq!(position(&names, "收支金额"), None);
    }
}
