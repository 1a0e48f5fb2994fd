//! Reads the older services' documents: which routes they describe, with which parameters and
//! replies. The files beside this one are parts of those documents; keys, ids and host names in
//! them are replaced.

use serde_json::{Map, Value};

pub(super) const AUTH_PAY: &str = include_str!("auth-pay.txt");
pub(super) const WEPAY: &str = include_str!("wepay.txt");
pub(super) const WXPAY: &str = include_str!("wxpay.txt");
pub(super) const PAYORDER: &str = include_str!("payorder.txt");
pub(super) const CAPI: &str = include_str!("capi.txt");

/// A route as a document describes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    /// `GET` or `POST`.
    pub(super) method: String,
    /// Begins with a slash.
    pub(super) path: String,
    /// What it takes; null where the document gives no example.
    pub(super) params: Map<String, Value>,
    /// What it replies, where the document shows it.
    pub(super) replies: Vec<Value>,
}

impl Route {
    fn new(method: &str, path: &str) -> Route {
        let (method, path) = (method.trim().to_uppercase(), path.trim());
        let path = format!("/{}", path.trim_start_matches('/'));
        Route { method, path, params: Map::new(), replies: Vec::new() }
    }

    /// The names of its parameters.
    pub(super) fn names(&self) -> Vec<&str> {
        self.params.keys().map(String::as_str).collect()
    }
}

/// The routes of document auth-pay: lines of `请求路由`, `请求方式`, `请求参数`.
pub(super) fn auth_pay() -> Vec<Route> {
    let mut routes: Vec<Route> = Vec::new();
    let part = AUTH_PAY.split("# 20180821").next().unwrap();
    for line in part.lines() {
        if let Some(address) = line.strip_prefix("请求路由:") {
            let (path, query) = address.split_once('?').unwrap_or((address, ""));
            let mut route = Route::new("", &path[path.find("/auth").unwrap()..]);
            for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
                route.params.insert(name.to_owned(), value.trim().into());
            }
            routes.push(route);
        } else if let Some(method) = line.strip_prefix("请求方式:") {
            routes.last_mut().unwrap().method = method.trim().to_uppercase();
        } else if let Some((name, _)) = line.split_once(" {String} ") {
            let name = name.trim_start_matches("请求参数:").trim();
            let route = routes.last_mut().unwrap();
            route.params.entry(name).or_insert(Value::Null);
        }
    }
    routes
}

/// A reply of the table of outcomes, such as `查询未支付订单` of `微信支付`, in the provider's own
/// spelling.
pub(super) fn outcome(provider: &str, title: &str) -> Map<String, Value> {
    let from = AUTH_PAY.find(&format!("测试{provider}")).unwrap();
    let title = AUTH_PAY[from..].find(&format!("){title}\n")).unwrap() + from;
    let (value, _) = literal(&AUTH_PAY[title..]);
    let Value::Object(fields) = value else { panic!("{title}: no object") };
    fields.into_iter().map(|(name, value)| (snake(&name), value)).collect()
}

/// Some rows of the table were printed by a library that changes names.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The routes of document wepay: numbered, each with a block of `参数` and `返回`.
pub(super) fn wepay() -> Vec<Route> {
    let marked = |part: &str| {
        let (method, rest) = part.split_once(' ')?;
        let path = rest.split('`').next()?;
        ["GET", "POST"].contains(&method).then(|| Route::new(method, path))
    };
    let parts: Vec<&str> = WEPAY.split('`').collect();
    let mut routes = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let Some(mut route) = marked(part) else { continue };
        let block = parts[at + 1..].join("`");
        let block = block.split("```").nth(1).unwrap_or_default();
        if route.path.ends_with("pay_notify") {
            routes.push(route);
            continue;
        }
        for (label, text) in labelled(block) {
            match label {
                "参数" => route.params = object(text),
                _ => route.replies.push(Value::Object(object(text))),
            }
        }
        routes.push(route);
    }
    routes
}

/// The texts after `参数:`, `正确返回:`, `错误返回:`.
fn labelled(block: &str) -> Vec<(&'static str, &str)> {
    let labels = ["参数", "正确返回", "错误返回"];
    let begins = labels.map(|label| (label, block.find(&format!("{label}:\n"))));
    begins.into_iter().filter_map(|(label, at)| Some((label, &block[at?..]))).collect()
}

/// The routes of document wxpay: `请求URL`, a table of `参数`, blocks of `返回示例`; and the list at
/// the top, which spells one of them otherwise.
pub(super) fn wxpay() -> Vec<Route> {
    let mut routes = Vec::new();
    for part in WXPAY.split("**请求URL：**").skip(1) {
        let path = part.split('`').nth(1).unwrap();
        let method = part.split("**请求方式：**").nth(1).unwrap();
        let method = method.trim_start().trim_start_matches('-').trim_start();
        let mut route = Route::new(method.split_whitespace().next().unwrap(), path);
        let table = part.split("**参数：**").nth(1).unwrap();
        let table = table.split("**返回示例**").next().unwrap();
        for row in table.lines().filter(|line| line.contains("|是")) {
            route.params.insert(row.split('|').nth(1).unwrap().trim().to_owned(), Value::Null);
        }
        let mut example = part.split("```").nth(1).unwrap();
        while example.contains('{') {
            let (value, rest) = literal(example);
            route.replies.push(value);
            example = rest;
        }
        routes.push(route);
    }
    let listed = WXPAY.lines().filter_map(|line| Some(line.split_once('：')?.1.trim()));
    for path in listed.filter(|path| path.starts_with("wxPay/")) {
        let last = path.rsplit('/').next().unwrap();
        let same = routes.iter().find(|route| route.path.ends_with(last)).unwrap().clone();
        let route = Route { path: format!("/{path}"), ..same };
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    routes
}

/// The routes of document payorder: `router.post('/…', handler)`; a handler's parameters are those
/// that it takes out of `ctx.request.body`, in each of its versions.
pub(super) fn payorder() -> Vec<Route> {
    let mut routes = Vec::new();
    for call in PAYORDER.split("router.post('").skip(1) {
        let (path, rest) = call.split_once('\'').unwrap();
        let handler = rest.trim_start_matches(',').split(')').next().unwrap().trim();
        let mut versions = handler_params(handler);
        if versions.is_empty() {
            versions.push(Map::new());
        }
        for params in versions {
            let route = Route { params, ..Route::new("POST", path) };
            if !routes.contains(&route) {
                routes.push(route);
            }
        }
    }
    // The order's own example says where the notification goes.
    let address = PAYORDER.split("<notify_url>http://gateway.example").nth(1).unwrap();
    routes.push(Route::new("POST", address.split('<').next().unwrap()));
    routes
}

fn handler_params(handler: &str) -> Vec<Map<String, Value>> {
    let begin = format!("module.exports.{handler} = async");
    let bodies = PAYORDER.split(&begin).skip(1);
    let taken = bodies.filter_map(|body| {
        let body = body.split("module.exports").next()?;
        let before = &body[..body.find("} = ctx.request.body;")?];
        let names = &before[before.rfind('{')? + 1..];
        Some(names.split(',').map(|name| (name.trim().to_owned(), Value::Null)).collect())
    });
    taken.collect()
}

/// The names of the fields that WeChat answered an order with, in document payorder.
pub(super) fn payorder_reply() -> Vec<&'static str> {
    let reply = PAYORDER.split("``` xml").nth(1).unwrap().split("```").next().unwrap();
    let open = reply.split('<').filter(|tag| !tag.starts_with(['/', '!', 'x']));
    open.filter_map(|tag| Some(tag.split_once('>')?.0)).collect()
}

/// The routes of document capi: `POST …` and what it takes and gives.
pub(super) fn capi() -> Vec<Route> {
    let mut routes = Vec::new();
    for part in CAPI.split("\nPOST ").skip(1) {
        let (path, rest) = part.split_once('\n').unwrap();
        let mut route = Route::new("POST", path);
        let block = rest.split("```").next().unwrap();
        let (params, rest) = literal(block);
        route.params = params.as_object().unwrap().clone();
        if rest.contains('{') {
            route.replies.push(literal(rest).0);
        }
        routes.push(route);
    }
    routes
}

/// What the browser side of document capi sends.
pub(super) fn capi_browser() -> Map<String, Value> {
    let mut fields = object(CAPI.split("let chargeData =").nth(1).unwrap());
    fields.retain(|_, value| !value.is_null());
    fields
}

/// What the app's function of document capi gets as `charge`.
pub(super) fn capi_function() -> Map<String, Value> {
    let comment = CAPI.lines().find(|line| line.contains("# {'charge': '")).unwrap();
    object(comment.split("'charge': '").nth(1).unwrap())
}

fn object(text: &str) -> Map<String, Value> {
    match literal(text).0 {
        Value::Object(fields) => fields,
        other => panic!("no object: {other}"),
    }
}

/// The first object in a text, and what follows it. The documents write JSON, JavaScript and
/// things between: bare names, either quotes, comments, commas that are missing.
pub(super) fn literal(text: &str) -> (Value, &str) {
    let begin = text.find('{').unwrap_or_else(|| panic!("no object: {text}"));
    let mut reader = Reader { rest: &text[begin..] };
    let value = reader.value();
    (value, reader.rest)
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
            if !self.rest.starts_with("//") {
                return;
            }
            self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    fn value(&mut self) -> Value {
        self.skip();
        match self.rest.chars().next() {
            Some('{') => self.fields(),
            Some('[') => self.list(),
            Some('\'' | '"') => Value::String(self.quoted()),
            _ => {
                let word = self.until(|c| matches!(c, ',' | '}' | ']' | '\n' | ' '));
                serde_json::from_str(word).unwrap_or(Value::Null)
            }
        }
    }

    fn fields(&mut self) -> Value {
        self.rest = &self.rest[1..];
        let mut fields = Map::new();
        loop {
            self.skip();
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                return Value::Object(fields);
            }
            assert!(!self.rest.is_empty(), "an object has no end");
            let name = match self.rest.starts_with(['\'', '"']) {
                true => self.quoted(),
                false => self.until(|c| !c.is_alphanumeric() && c != '_').to_owned(),
            };
            // One name in the documents has a quote too many.
            self.rest = self.rest.trim_start_matches(['"', ' ']);
            match self.rest.strip_prefix(':') {
                Some(rest) => {
                    self.rest = rest;
                    let value = self.value();
                    fields.insert(name, value);
                }
                // `xxx` stands for whatever there is.
                None => assert!(!name.is_empty(), "no name: {}", self.rest),
            }
        }
    }

    fn list(&mut self) -> Value {
        self.rest = &self.rest[1..];
        let mut all = Vec::new();
        loop {
            self.skip();
            match self.rest.strip_prefix(']') {
                Some(rest) => {
                    self.rest = rest;
                    return Value::Array(all);
                }
                None => all.push(self.value()),
            }
        }
    }

    fn quoted(&mut self) -> String {
        let quote = self.rest.chars().next().unwrap();
        let (text, rest) = self.rest[1..].split_once(quote).unwrap();
        self.rest = rest;
        text.to_owned()
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

/// What is read is what the documents say; the test beside this one would otherwise test nothing.
#[test]
fn the_documents_are_read() {
    let show = |routes: Vec<Route>| {
        let one = |r: &Route| format!("{} {} {}", r.method, r.path, r.names().join(" "));
        routes.iter().map(one).collect::<Vec<_>>().join("\n")
    };
    let auth_pay = "POST /auth/pay/wx2.0/ body totalFee\n\
        POST /auth/wxpay/orderquery2.0/ outTradeNo\n\
        POST /auth/wxpay/closeorder2.0/ outTradeNo\n\
        POST /auth/wxpay/refund2.0/ outTradeNo totalFee\n\
        POST /auth/wxpay/refundquery2.0/ outTradeNo\n\
        POST /auth/wxpay/downloadbill2.0/ billDate billType\n\
        GET /auth/alipay/pay2.0 body subject totalAmount\n\
        POST /auth/alipay/query2.0/ outTradeNo\n\
        POST /auth/alipay/close2.0/ outTradeNo\n\
        POST /auth/alipay/refund2.0/ outTradeNo refundAmount refundReason\n\
        POST /auth/alipay/query2.0/ outTradeNo\n\
        POST /auth/alipay/billQuery2.0/ billDate billType";
    assert_eq!(show(self::auth_pay()), auth_pay);
    let wepay = "POST /apis/v1/wepay/pay_notify \n\
        POST /apis/v1/wepay/get_pay_request_params attach body detail fee id\n\
        POST /apis/v1/wepay/refund out_refund_no out_trade_no refund_fee total_fee\n\
        POST /apis/v1/wepay/get_sign_key ";
    assert_eq!(show(self::wepay()), wepay);
    let wxpay = "POST /wxPay/toPay merchant_id price product_id\n\
        POST /wxPay/queryOrder order_id\n\
        POST /wxPay/doCloseOrder order_id\n\
        POST /wxPay/wxPay/queryOrder order_id";
    assert_eq!(show(self::wxpay()), wxpay);
    let payorder = "POST /wx/order body ip total_fee trade_type\n\
        POST /wx/order body spbill_create_ip total_fee trade_type\n\
        POST /order body ip total_fee trade_type\n\
        POST /order body spbill_create_ip total_fee trade_type\n\
        POST /pay/notify \n\
        POST /queryOrder \n\
        POST /pay/notify_url ";
    assert_eq!(show(self::payorder()), payorder);
    let capi = "POST /capi/api/v1/charge amount body channel client_ip notify_url papp \
        return_url subject\n\
        POST /capi/api/v1/charge/101/fetch_pay_url channel\n\
        POST /notify_url data id paid paid_time status subject";
    assert_eq!(show(self::capi()), capi);
    assert_eq!(outcome("微信支付", "查询未支付订单")["trade_state"], "NOTPAY");
    assert_eq!(outcome("支付宝", "查询未支付订单")["trade_status"], "WAIT_BUYER_PAY");
    assert_eq!(outcome("微信支付", "退款已退款订单")["refund_fee"], "1");
    assert_eq!(self::wxpay()[0].replies[0]["order_id"], "2020042900000000000");
    assert_eq!(self::wxpay()[2].replies.len(), 2);
    assert!(payorder_reply().contains(&"code_url"));
    assert_eq!(capi_browser()["source"], "pc");
    assert_eq!(capi_function()["id"], 74);
}
