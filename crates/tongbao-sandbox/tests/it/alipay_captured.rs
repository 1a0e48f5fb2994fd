//! What production answered in 2018 to four calls about a trade of page.pay in five states, with
//! the buyer's names and Alipay's numbers made unrecognisable. The text is read as it was written
//! down, and each answer of the sandbox has the same members in the same order.
//!
//! `TONGBAO_CAPTURED` names another file of the same form to compare with instead.

use crate::alipay::{call, merchant, order};
use crate::production_table as production;
use crate::stand::Stand;
use serde_json::json;
use tongbao_alipay::Credentials;
use tongbao_alipay::open::close::Close;
use tongbao_alipay::open::page::{PRODUCT_CODE, PagePay};
use tongbao_alipay::open::query::Query;
use tongbao_alipay::open::refund::Refund;
use tongbao_alipay::open::refund_query::RefundQuery;
use tongbao_alipay::open::{Order, TradeRef};
use tongbao_types::{Amount, Fen, HttpRequest, OutTradeNo};

const CAPTURED: &str = include_str!("captured/alipay_2018.txt");

/// The operations and states by their places in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Query,
    Refund,
    RefundQuery,
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Paid,
    Waiting,
    Closed,
    Unknown,
    Refunded,
}

type Members = Vec<(String, String)>;

struct Cell {
    operation: Operation,
    state: State,
    members: Members,
}

fn captured() -> String {
    match std::env::var("TONGBAO_CAPTURED") {
        Ok(path) => std::fs::read_to_string(path).unwrap(),
        Err(_) => CAPTURED.to_owned(),
    }
}

/// Alipay's part of the text.
fn part(text: &str) -> &str {
    let part = &text[text.find("测试支付宝:").unwrap()..];
    &part[..part.find("\n# ").unwrap_or(part.len())]
}

fn cells(text: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    let (mut operation, mut state) = (None, None);
    let mut object: Option<String> = None;
    for line in part(text).lines().map(str::trim) {
        match line {
            "2.查询" => operation = Some(Operation::Query),
            "3.退款" => operation = Some(Operation::Refund),
            "4.退款查询" => operation = Some(Operation::RefundQuery),
            "5.关闭订单" => operation = Some(Operation::Close),
            _ => {}
        }
        let states = [State::Paid, State::Waiting, State::Closed, State::Unknown, State::Refunded];
        let number = line.strip_prefix('(').and_then(|rest| rest.split(')').next());
        if let Some(number) = number.and_then(|number| number.parse::<usize>().ok()) {
            state = states.get(number - 1).copied();
        }
        if line.starts_with('{') {
            object = Some(String::new());
        }
        if let Some(text) = &mut object {
            text.push_str(line);
        }
        if line.ends_with('}') {
            let text = object.take().unwrap();
            let (operation, state) = (operation.unwrap(), state.unwrap());
            cells.push(Cell { operation, state, members: members(&text) });
        }
    }
    cells
}

/// The members of an object as a JavaScript console prints it, names as the gateway has them.
fn members(object: &str) -> Members {
    let inside = object.trim_matches(['{', '}', ' ']);
    let pairs = inside.split("',").map(|pair| pair.split_once(": '").unwrap());
    pairs.map(|(name, value)| (snake(name.trim()), value.trim_end_matches('\'').into())).collect()
}

/// Some were printed after a library had changed their names.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

/// The members of a reply's object, in the order of its bytes.
async fn answered(stand: &Stand, request: &HttpRequest) -> Members {
    let response = stand.send(request).await;
    let text = String::from_utf8(response.body.to_vec()).unwrap();
    let object = text.split_once("_response\":{\"").unwrap().1;
    let object = object.split_once("\"}").unwrap().0;
    let pairs = object.split("\",\"").map(|pair| pair.split_once("\":\"").unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Names differ from run to run; of those only the form is compared.
fn form(name: &str, value: &str) -> String {
    match name {
        "buyer_logon_id" => value.split('@').next().unwrap().replace(char::is_alphabetic, "a"),
        "buyer_user_id" | "trade_no" | "send_pay_date" | "gmt_refund_pay" => {
            value.replace(|c: char| c.is_ascii_digit(), "9")
        }
        "out_trade_no" => "the order's".to_owned(),
        _ => value.to_owned(),
    }
}

fn forms(members: &Members) -> Vec<(&str, String)> {
    members.iter().map(|(name, value)| (name.as_str(), form(name, value))).collect()
}

struct Shop<'a> {
    stand: &'a Stand,
    merchant: Credentials,
}

impl Shop<'_> {
    /// A page of one fen, opened by its buyer who then does this.
    async fn visit(&self, number: &str, outcome: &str) {
        let total_amount = Amount::new(Fen(1)).unwrap();
        let page = PagePay::new(Order { total_amount, ..order(number, PRODUCT_CODE) });
        let url = page.url(&self.merchant, &call(self.stand, None), "http://x/gateway.do");
        let (status, body) =
            self.stand.control("pay", json!({"code": url, "outcome": outcome})).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn bring(&self, number: &str, state: State) {
        match state {
            State::Unknown => {}
            State::Paid => self.visit(number, "success").await,
            State::Waiting => self.visit(number, "scanned").await,
            State::Closed => {
                self.visit(number, "scanned").await;
                self.stand.send(&self.request(Operation::Close, number)).await;
            }
            State::Refunded => {
                self.visit(number, "success").await;
                self.stand.send(&self.request(Operation::Refund, number)).await;
            }
        }
    }

    /// As the old service asked: refunds without a number of their own, and questions about a
    /// number that no refund has.
    fn request(&self, operation: Operation, number: &str) -> HttpRequest {
        let trade = TradeRef::Out(OutTradeNo::new(number).unwrap());
        let context = call(self.stand, None);
        match operation {
            Operation::Query => Query { trade }.encode(&self.merchant, &context),
            Operation::Close => Close { trade }.encode(&self.merchant, &context),
            Operation::Refund => {
                let refund_amount = Amount::new(Fen(1)).unwrap();
                let refund = Refund {
                    trade,
                    refund_amount,
                    out_request_no: None,
                    refund_reason: None,
                    with_detail: false,
                };
                refund.encode(&self.merchant, &context)
            }
            Operation::RefundQuery => {
                let out_request_no = format!("{number}other");
                RefundQuery { trade, out_request_no, with_detail: false }
                    .encode(&self.merchant, &context)
            }
        }
    }
}

/// Both providers' answers are in one table as well, which names nobody.
#[test]
fn the_table_has_the_same_cells() {
    let table = production::cells("alipay");
    let cells = cells(&captured());
    assert_eq!(cells.len(), table.len());
    for (row, cell) in table.iter().zip(cells) {
        let operation = match cell.operation {
            Operation::Query => "alipay query",
            Operation::Refund => "alipay refund",
            Operation::RefundQuery => "alipay refund_query",
            Operation::Close => "alipay close",
        };
        let state = match cell.state {
            State::Paid => "paid",
            State::Waiting => "unpaid",
            State::Closed => "closed",
            State::Unknown => "unknown",
            State::Refunded => "refunded",
        };
        assert_eq!((row.operation.as_str(), row.state.as_str()), (operation, state));
        production::assert_alike(row, &cell.members.into_iter().collect());
    }
}

#[tokio::test]
async fn the_sandbox_answers_as_production_did() {
    let stand = Stand::start().await;
    let shop = Shop { stand: &stand, merchant: merchant(&stand) };
    let cells = cells(&captured());
    assert_eq!(cells.len(), 20);
    for (idx, cell) in cells.iter().enumerate() {
        let number = format!("20180821{idx:06}");
        shop.bring(&number, cell.state).await;
        let found = answered(&stand, &shop.request(cell.operation, &number)).await;
        assert_eq!(forms(&found), forms(&cell.members), "{:?} {:?}", cell.operation, cell.state);
        let named = found.iter().filter(|(name, _)| name == "out_trade_no");
        assert!(named.into_iter().all(|(_, value)| *value == number), "{found:?}");
    }
}

#[tokio::test]
async fn a_second_refund_tells_the_time_of_the_first() {
    let stand = Stand::start().await;
    let shop = Shop { stand: &stand, merchant: merchant(&stand) };
    shop.bring("T1", State::Paid).await;
    let first = answered(&stand, &shop.request(Operation::Refund, "T1")).await;
    stand.advance("1h").await;
    let second = answered(&stand, &shop.request(Operation::Refund, "T1")).await;
    let time = |members: &Members| members.iter().find(|(n, _)| n == "gmt_refund_pay").cloned();
    assert!(time(&first).is_some());
    assert_eq!(time(&first), time(&second));
}

/// 下单: nobody pays; somebody pays at once; somebody scans, and comes to pay after the close.
#[tokio::test]
async fn ordering_ends_as_written_down() {
    let text = captured();
    let cases: Vec<&str> = part(&text)
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "1.下单")
        .skip(1)
        .take_while(|line| line.starts_with('('))
        .collect();
    let ends = [
        "没有支付 --- payStatus:2 支付失败",
        "立即支付 --- payStatus:1 支付成功",
        "再支付 --- 订单被关闭",
    ];
    assert_eq!(cases.len(), 3);
    assert!(cases.iter().zip(ends).all(|(case, end)| case.ends_with(end)), "{cases:?}");

    let stand = Stand::start().await;
    let shop = Shop { stand: &stand, merchant: merchant(&stand) };
    let status = async |number: &str| {
        let found = answered(&stand, &shop.request(Operation::Query, number)).await;
        let wanted = ["trade_status", "sub_code"];
        let found = found.into_iter().find(|(name, _)| wanted.contains(&name.as_str()));
        found.unwrap().1
    };
    let url = {
        let page = PagePay::new(order("T1", PRODUCT_CODE));
        page.url(&shop.merchant, &call(&stand, None), &format!("{}/gateway.do", stand.base))
    };
    stand.client.get(&url).send().await.unwrap();
    assert_eq!(status("T1").await, "ACQ.TRADE_NOT_EXIST");

    shop.visit("T2", "success").await;
    assert_eq!(status("T2").await, "TRADE_SUCCESS");

    shop.bring("T3", State::Closed).await;
    let pay = json!({"provider": "alipay", "out_trade_no": "T3"});
    let (code, body) = stand.control("pay", pay).await;
    assert_eq!((code, &body["code"]), (409, &json!("closed")));
    assert_eq!(status("T3").await, "TRADE_CLOSED");
}
