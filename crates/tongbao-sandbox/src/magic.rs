//! Amounts that make something happen: a developer who wants to see how a shop stands a lost
//! notification or an abnormal refund chooses a price.
//!
//! The last five digits of an amount in fen count, so that ￥777.01, ￥1777.01 and ￥52777.01 are all
//! the first row; small prices, which everybody tests with, do nothing. Of a refund it is the
//! refund's own amount that counts. Everything else about such an order is as usual: it waits for
//! its payer, unless its row says that the payer pays by itself.
//!
//! Each row is carried out by whoever does the thing: `trade`, `refund` and `world` for what
//! happens to money, `notifier` for notifications, `task` for answers, the bills for bills.

/// One amount and what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The last five digits of the amount in fen.
    pub digits: i64,
    /// Whose amount it is.
    pub side: Side,
    /// What happens, in a sentence.
    pub what: &'static str,
    pub(crate) effect: Effect,
}

/// Whose amount makes it happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The order's.
    Order,
    /// The order's, on channels where the merchant scans the payer.
    Scan,
    /// The refund's.
    Refund,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    NoticeLost,
    NoticeLostOnce,
    NoticeThrice,
    NoticeLate,
    NoticeFirst,
    NoticeAmount,
    NoticeForged,
    NoticeApp,
    PaysByItself,
    OrderErrorDone,
    OrderErrorUndone,
    OrderRefused,
    OrderCut,
    OrderStatus500,
    OrderLimited,
    QueryUnknownState,
    QueryError,
    ClosePaid,
    CloseThenPaid,
    CloseError,
    BillMissing,
    BillAmount,
    ScanPassword,
    ScanGivesUp,
    ScanNotEnough,
    ScanCodeExpired,
    RefundAbnormal,
    RefundHour,
    RefundClosed,
    RefundErrorDone,
    RefundErrorUndone,
    RefundNotEnough,
    RefundNoticeLost,
}

const fn row(digits: i64, side: Side, effect: Effect, what: &'static str) -> Row {
    Row { digits, side, what, effect }
}

/// All of them, by amount.
pub const TABLE: &[Row] = &[
    row(77_701, Side::Order, Effect::NoticeLost, "every notification of the payment gets lost"),
    row(
        77_702,
        Side::Order,
        Effect::NoticeLostOnce,
        "the first notification of the payment gets lost; the next one comes by the timetable",
    ),
    row(
        77_703,
        Side::Order,
        Effect::NoticeThrice,
        "the notification of the payment is sent 3 times",
    ),
    row(
        77_704,
        Side::Order,
        Effect::NoticeLate,
        "the notification of the payment is sent after 30 s",
    ),
    row(
        77_705,
        Side::Order,
        Effect::NoticeFirst,
        "the payer pays by itself at once, and is notified before the order is answered",
    ),
    row(
        77_706,
        Side::Order,
        Effect::NoticeAmount,
        "the notification of the payment tells one fen too little, rightly signed",
    ),
    row(
        77_707,
        Side::Order,
        Effect::NoticeForged,
        "the first notification of the payment has a wrong signature; the next one is right",
    ),
    row(
        77_708,
        Side::Order,
        Effect::NoticeApp,
        "the notification of the payment names another app, rightly signed",
    ),
    row(77_709, Side::Order, Effect::PaysByItself, "the payer pays by itself after 10 s"),
    row(
        77_710,
        Side::Order,
        Effect::OrderErrorDone,
        "the first order call has its effect and answers a system error",
    ),
    row(
        77_711,
        Side::Order,
        Effect::OrderErrorUndone,
        "the first order call has no effect and answers a system error",
    ),
    row(77_712, Side::Order, Effect::OrderRefused, "the order is refused for lack of a permission"),
    row(
        77_713,
        Side::Order,
        Effect::OrderCut,
        "the first order call has its effect, and the connection is cut before the answer",
    ),
    row(
        77_714,
        Side::Order,
        Effect::OrderStatus500,
        "the first order call has no effect and answers a page with HTTP status 500",
    ),
    row(
        77_715,
        Side::Order,
        Effect::OrderLimited,
        "the first order call is refused because there were too many",
    ),
    row(
        77_716,
        Side::Order,
        Effect::QueryUnknownState,
        "until it is paid, queries tell a state that no document has",
    ),
    row(77_717, Side::Order, Effect::QueryError, "the first query answers a system error"),
    row(
        77_718,
        Side::Order,
        Effect::ClosePaid,
        "the payer pays by itself just before the close, which is refused therefore",
    ),
    row(
        77_719,
        Side::Order,
        Effect::CloseThenPaid,
        "the close succeeds, and a payment under way arrives by itself 5 s later",
    ),
    row(77_720, Side::Order, Effect::CloseError, "the first close answers a system error"),
    row(77_721, Side::Order, Effect::BillMissing, "the day's bill lacks the payment"),
    row(77_722, Side::Order, Effect::BillAmount, "the day's bill has the payment with a fen more"),
    row(
        77_723,
        Side::Scan,
        Effect::ScanPassword,
        "the payer types the password for 40 s and then pays by itself",
    ),
    row(77_724, Side::Scan, Effect::ScanGivesUp, "the payer gives up after 20 s at the password"),
    row(77_725, Side::Scan, Effect::ScanNotEnough, "the payer has not enough money"),
    row(77_726, Side::Scan, Effect::ScanCodeExpired, "the payer's code has expired"),
    row(77_727, Side::Refund, Effect::RefundAbnormal, "the refund turns abnormal"),
    row(77_728, Side::Refund, Effect::RefundHour, "the refund takes an hour"),
    row(77_729, Side::Refund, Effect::RefundClosed, "the refund is closed, no money moves"),
    row(
        77_730,
        Side::Refund,
        Effect::RefundErrorDone,
        "the first refund call has its effect and answers a system error",
    ),
    row(
        77_731,
        Side::Refund,
        Effect::RefundErrorUndone,
        "the first refund call has no effect and answers a system error",
    ),
    row(
        77_732,
        Side::Refund,
        Effect::RefundNotEnough,
        "the refund is refused because the merchant's balance is too small",
    ),
    row(
        77_733,
        Side::Refund,
        Effect::RefundNoticeLost,
        "every notification of the refund gets lost",
    ),
];

/// How many digits of an amount count.
const MODULUS: i64 = 100_000;

fn find(amount: i64, is_refund: bool) -> Option<Effect> {
    let digits = amount.rem_euclid(MODULUS);
    let mine = |row: &&Row| row.digits == digits && (row.side == Side::Refund) == is_refund;
    TABLE.iter().find(mine).map(|row| row.effect)
}

/// What an order of this amount (fen) does.
pub(crate) fn of_order(amount: i64) -> Option<Effect> {
    find(amount, false)
}

/// What a refund of this amount (fen) does.
pub(crate) fn of_refund(amount: i64) -> Option<Effect> {
    find(amount, true)
}

/// The smallest amount, in fen, that does it.
#[cfg(test)]
pub(crate) fn amount_of(effect: Effect) -> i64 {
    TABLE.iter().find(|row| row.effect == effect).map(|row| row.digits).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_amount_does_one_thing() {
        let mut digits: Vec<i64> = TABLE.iter().map(|row| row.digits).collect();
        let rows = digits.len();
        digits.dedup();
        assert_eq!(digits.len(), rows);
        assert!(digits.is_sorted() && digits.iter().all(|one| (77_701..77_800).contains(one)));
    }

    #[test]
    fn the_last_five_digits_count_and_refunds_have_rows_of_their_own() {
        for amount in [77_701, 177_701, 5_277_701] {
            assert_eq!(of_order(amount), Some(Effect::NoticeLost), "{amount}");
            assert_eq!(of_refund(amount), None, "{amount}");
        }
        assert_eq!(of_refund(177_727), Some(Effect::RefundAbnormal));
        for amount in [1, 101, 7_701, 77_700, 77_800, 777_010] {
            assert_eq!(of_order(amount), None, "{amount}");
        }
    }
}
