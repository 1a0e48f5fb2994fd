//! What the provider says of a parameter that breaks its rules, in production's own wording.
//!
//! One table per request ([`Rule`]) drives both APIs; v2 names a field `/body/xml/total_fee`, v3
//! `/body/amount/total`. Lengths count bytes, as production's messages do (字节数).

use crate::bill::BillDate;
use crate::china::read_compact_time;
use serde_json::{Map, Value, json};
use tongbao_types::{OutTradeNo, Timestamp};

/// What a value must be.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// Text of that many bytes, from and to.
    Text(usize, usize),
    /// A whole number, at least this.
    Integer(i64),
    /// `true` or `false`.
    Flag,
    /// The merchant's number.
    OutTradeNo,
    /// The merchant's number of a refund.
    OutRefundNo,
    /// An address for notifications of at most that many bytes: http(s), no query.
    NotifyUrl(usize),
    /// `yyyyMMddHHmmss`.
    CompactTime,
    /// `yyyyMMdd`.
    CompactDate,
    /// `yyyy-MM-dd`.
    Date,
    /// RFC 3339.
    Time,
    /// One of these words.
    Word(&'static [&'static str]),
    /// An array of such.
    List(&'static Kind),
    /// An array of objects with these fields.
    Objects(&'static [Rule]),
    /// An object with these fields.
    Object(&'static [Rule]),
}

/// A field of a request.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// The field's title in the provider's documentation.
    pub(crate) label: &'static str,
    pub(crate) required: bool,
    pub(crate) kind: Kind,
}

pub(crate) const fn must(name: &'static str, label: &'static str, kind: Kind) -> Rule {
    Rule { name, label, required: true, kind }
}

pub(crate) const fn may(name: &'static str, label: &'static str, kind: Kind) -> Rule {
    Rule { name, label, required: false, kind }
}

/// The first rule that a request breaks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broken {
    /// Where, `/body/amount/total`.
    pub(crate) place: String,
    /// What stands there; for a wrong length the length, as production answers.
    pub(crate) value: Value,
    /// Production's sentence.
    pub(crate) message: String,
}

/// Checks a JSON object. Fields that no rule names and nulls are broken rules, too.
pub(crate) fn check_object(value: &Value, rules: &[Rule], place: &str) -> Result<(), Broken> {
    let Value::Object(object) = value else {
        let message =
            format!("无法将 JSON 输入源“{place}”映射到目标字段，此字段需要一个 JSON 对象");
        return Err(Broken { place: place.to_owned(), value: value.clone(), message });
    };
    for rule in rules {
        let place = format!("{place}/{}", rule.name);
        match object.get(rule.name) {
            None if rule.required => return Err(missing(place, rule.label)),
            None => {}
            Some(value) => check_value(value, rule.label, rule.kind, &place)?,
        }
    }
    check_extra(object, rules, place)
}

/// Checks one text of an XML message or a path, where numbers are texts as well.
pub(crate) fn check_text(text: Option<&str>, rule: &Rule, source: &str) -> Result<(), Broken> {
    let place = format!("{source}/{}", rule.name);
    match (text, rule.kind) {
        (None, _) if rule.required => Err(missing(place, rule.label)),
        (None, _) => Ok(()),
        (Some(text), Kind::Integer(min)) => match read_integer(text) {
            Some(number) => check_number(number, min, rule.label, &place),
            None => {
                let message = not_integer("输入源", &place, rule.label);
                Err(Broken { place, value: text.into(), message })
            }
        },
        (Some(text), kind) => check_string(text, rule.label, kind, &place),
    }
}

/// Digits with an optional minus, nothing else.
pub(crate) fn read_integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn check_extra(object: &Map<String, Value>, rules: &[Rule], place: &str) -> Result<(), Broken> {
    let unknown = |name: &&String| !rules.iter().any(|rule| rule.name == name.as_str());
    let Some(name) = object.keys().find(unknown) else { return Ok(()) };
    let shown: String = name.chars().take(64).collect();
    let place = format!("{place}/{shown}");
    let message = format!("参数中含有非法的额外参数：{place}");
    Err(Broken { place, value: object[name].clone(), message })
}

fn check_value(value: &Value, label: &str, kind: Kind, place: &str) -> Result<(), Broken> {
    let wrong =
        |message: String| Err(Broken { place: place.to_owned(), value: value.clone(), message });
    match (kind, value) {
        (Kind::Object(rules), _) => check_object(value, rules, place),
        (Kind::Objects(rules), Value::Array(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| check_object(item, rules, &format!("{place}/{i}"))),
        (Kind::List(kind), Value::Array(items)) => items
            .iter()
            .enumerate()
            .try_for_each(|(i, item)| check_value(item, label, *kind, &format!("{place}/{i}"))),
        (Kind::Objects(_) | Kind::List(_), _) => wrong(not_kind(place, label, "JSON 数组")),
        (Kind::Integer(min), Value::Number(number)) => match number.as_i64() {
            Some(number) => check_number(number, min, label, place),
            None => wrong(not_integer(" JSON 输入源", place, label)),
        },
        (Kind::Integer(_), _) => wrong(not_integer(" JSON 输入源", place, label)),
        (Kind::Flag, Value::Bool(_)) => Ok(()),
        (Kind::Flag, _) => wrong(not_kind(place, label, "布尔值")),
        (_, Value::String(text)) => check_string(text, label, kind, place),
        _ => wrong(not_kind(place, label, "字符串")),
    }
}

fn check_string(text: &str, label: &str, kind: Kind, place: &str) -> Result<(), Broken> {
    let rule = |fits: bool, pattern: &str| {
        if fits { Ok(()) } else { Err(not_pattern(text, label, pattern, place)) }
    };
    match kind {
        Kind::Text(min, max) => check_length(text, label, (min, max), place),
        Kind::OutTradeNo => {
            check_length(text, label, (6, 32), place)?;
            rule(OutTradeNo::fits_wechat(text), r"^[0-9a-zA-Z_\-\|\*]+$")
        }
        Kind::OutRefundNo => {
            check_length(text, label, (1, 64), place)?;
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"_-|*@".contains(&b);
            rule(text.bytes().all(fits), r"^[0-9a-zA-Z_\-\|\*@]+$")
        }
        Kind::NotifyUrl(max) => {
            check_length(text, label, (1, max), place)?;
            rule(is_notify_url(text), r"^https?://[^\s/?#]+[^\s?#]*$")
        }
        Kind::CompactTime => rule(read_compact_time(text).is_some(), "yyyyMMddHHmmss"),
        Kind::CompactDate => rule(BillDate::read_compact(text).is_some(), "yyyyMMdd"),
        Kind::Date => rule(BillDate::read_dashed(text).is_some(), "yyyy-MM-dd"),
        Kind::Time => rule(text.parse::<Timestamp>().is_ok(), "yyyy-MM-DDTHH:mm:ss+TIMEZONE"),
        Kind::Word(words) => rule(words.contains(&text), &format!("^({})$", words.join("|"))),
        // Texts are asked about these kinds only where a table mixes up the two APIs.
        Kind::Integer(_) | Kind::Flag | Kind::List(_) | Kind::Objects(_) | Kind::Object(_) => {
            rule(false, "")
        }
    }
}

fn is_notify_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or("");
    !host.is_empty() && !text.contains(|c: char| c.is_whitespace() || c == '?' || c == '#')
}

fn check_length(
    text: &str,
    label: &str,
    (min, max): (usize, usize),
    place: &str,
) -> Result<(), Broken> {
    let n = text.len();
    let problem = match n {
        _ if n < min => format!("字节数 {n}，小于最小值 {min}"),
        _ if n > max => format!("字节数 {n}，大于最大值 {max}"),
        _ => return Ok(()),
    };
    let message = format!("输入源“{place}”映射到值字段“{label}”字符串规则校验失败，{problem}");
    Err(Broken { place: place.to_owned(), value: json!(n), message })
}

fn check_number(number: i64, min: i64, label: &str, place: &str) -> Result<(), Broken> {
    if number >= min {
        return Ok(());
    }
    let message = format!("输入源“{place}”映射到数值字段“{label}”规则校验失败，值低于最小值 {min}");
    Err(Broken { place: place.to_owned(), value: json!(number), message })
}

fn missing(place: String, label: &str) -> Broken {
    let message = format!("输入源“{place}”映射到字段“{label}”必填性规则校验失败，此字段为必填项");
    Broken { place, value: Value::Null, message }
}

fn not_integer(source: &str, place: &str, label: &str) -> String {
    format!(
        "无法将{source}“{place}”映射到目标字段“{label}”中，此字段需要一个合法的 64 位有符号整数"
    )
}

fn not_kind(place: &str, label: &str, kind: &str) -> String {
    format!("无法将 JSON 输入源“{place}”映射到目标字段“{label}”中，此字段需要一个合法的{kind}")
}

fn not_pattern(text: &str, label: &str, pattern: &str, place: &str) -> Broken {
    let message = format!(
        "输入源“{place}”映射到值字段“{label}”字符串规则校验失败，字符串必须匹配正则表达式“{pattern}”"
    );
    Broken { place: place.to_owned(), value: text.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[Rule] = &[
        must("out_trade_no", "商户订单号", Kind::OutTradeNo),
        may("notify_url", "通知地址", Kind::NotifyUrl(40)),
        may("out_refund_no", "商户退款单号", Kind::OutRefundNo),
        may("attach", "附加数据", Kind::Text(0, 6)),
        may("amount", "订单金额", Kind::Object(&[must("total", "总金额", Kind::Integer(1))])),
        may("limit_pay", "指定支付方式", Kind::List(&Kind::Word(&["no_credit"]))),
        may("flag", "标记", Kind::Flag),
        may("at", "时间", Kind::Time),
        may("day", "日期", Kind::Date),
        may("short_day", "日期", Kind::CompactDate),
    ];

    fn check(mut body: Value, wanted: Option<(&str, &str)>) {
        let number = json!("123456");
        body["out_trade_no"] = body.get("out_trade_no").cloned().unwrap_or(number);
        let found = check_object(&body, RULES, "/body").err();
        assert_eq!(found.is_some(), wanted.is_some(), "{body}: {found:?}");
        if let (Some(found), Some((place, words))) = (found, wanted) {
            assert_eq!(found.place, place);
            assert!(found.message.contains(words), "{}", found.message);
        }
    }

    #[test]
    fn each_rule_is_told_in_the_providers_words() {
        check(json!({}), None);
        check(
            json!({"out_trade_no": "123"}),
            Some(("/body/out_trade_no", "字节数 3，小于最小值 6")),
        );
        check(json!({"out_trade_no": "订单号123"}), Some(("/body/out_trade_no", "正则表达式")));
        check(json!({"out_trade_no": null}), Some(("/body/out_trade_no", "字符串")));
        check(json!({"out_refund_no": "a@1|*_-"}), None);
        check(json!({"out_refund_no": ""}), Some(("/body/out_refund_no", "小于最小值 1")));
        check(json!({"out_refund_no": "退款1"}), Some(("/body/out_refund_no", "正则表达式")));
        check(json!({"attach": "中文"}), None);
        check(json!({"attach": "中文x"}), Some(("/body/attach", "字节数 7，大于最大值 6")));
        check(json!({"notify_url": "https://a.example/n"}), None);
        check(json!({"notify_url": "https://a.example/n?x=1"}), Some(("/body/notify_url", "正则")));
        check(json!({"notify_url": "ftp://a.example/n"}), Some(("/body/notify_url", "正则")));
        check(json!({"notify_url": "https:///n"}), Some(("/body/notify_url", "正则")));
        check(json!({"amount": {"total": 1}}), None);
        check(json!({"amount": {}}), Some(("/body/amount/total", "此字段为必填项")));
        check(json!({"amount": {"total": 0}}), Some(("/body/amount/total", "值低于最小值 1")));
        check(json!({"amount": {"total": 0.01}}), Some(("/body/amount/total", "64 位有符号整数")));
        check(json!({"amount": {"total": "1"}}), Some(("/body/amount/total", "64 位有符号整数")));
        check(json!({"amount": {"total": 1, "x": 1}}), Some(("/body/amount/x", "额外参数")));
        check(json!({"amount": 1}), Some(("/body/amount", "JSON 对象")));
        check(json!({"limit_pay": ["no_credit"]}), None);
        check(json!({"limit_pay": ["x"]}), Some(("/body/limit_pay/0", "正则")));
        check(json!({"limit_pay": "no_credit"}), Some(("/body/limit_pay", "JSON 数组")));
        check(json!({"flag": true}), None);
        check(json!({"flag": "true"}), Some(("/body/flag", "布尔值")));
        check(json!({"at": "2026-11-21T14:30:00+08:00"}), None);
        check(json!({"at": "20261121143000"}), Some(("/body/at", "正则")));
        check(json!({"out_refund_no": "R-1@2|*_"}), None);
        check(json!({"out_refund_no": "a b"}), Some(("/body/out_refund_no", "正则")));
        check(json!({"out_refund_no": ""}), Some(("/body/out_refund_no", "字节数 0")));
        check(json!({"out_refund_no": "1".repeat(65)}), Some(("/body/out_refund_no", "字节数 65")));
        check(json!({"day": "2026-11-20"}), None);
        check(json!({"day": "20261120"}), Some(("/body/day", "正则")));
        check(json!({"short_day": "20261120"}), None);
        check(json!({"short_day": "20261131"}), Some(("/body/short_day", "正则")));
        check(json!({"nonsense": 1}), Some(("/body/nonsense", "额外参数")));
    }

    #[test]
    fn texts_of_xml_are_checked_alike() {
        let total = must("total_fee", "标价金额", Kind::Integer(1));
        let say = |text| check_text(text, &total, "/body/xml").err().map(|broken| broken.message);
        assert_eq!(say(Some("1")), None);
        assert!(
            say(None).is_some_and(|m| m.contains("“/body/xml/total_fee”") && m.contains("必填"))
        );
        for wrong in ["0.12", "", "1 ", "+1", "99999999999999999999", "１"] {
            assert!(say(Some(wrong)).is_some_and(|m| m.contains("64 位有符号整数")), "{wrong}");
        }
        assert!(say(Some("0")).is_some_and(|m| m.contains("值低于最小值 1")));
        assert!(say(Some("-5")).is_some_and(|m| m.contains("值低于最小值 1")));
    }
}
