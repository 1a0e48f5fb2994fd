//! What the cashier's template shows: strings ready to be shown, made from the payer's view.

use super::texts::{Language, Texts};
use crate::v1::is_web_address;
use askama::Template;
use tongbao_core::Action;
use tongbao_engine::CashierView;
use tongbao_types::{Channel, ChargeId, Provider};
use tongbao_web::qr;

/// Which of its faces the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// A code to scan.
    Scan,
    /// A button that leads to the provider.
    Go,
    /// The payer pays inside an app.
    InApp,
    /// The order is on its way to the provider.
    Preparing,
    /// No channel was chosen yet.
    Choosing,
    /// Paid.
    Paid,
    /// Closed because its time was over.
    Expired,
    /// Closed before.
    Closed,
    /// Refused by the provider.
    Failed,
}

impl Stage {
    pub(super) fn of(view: &CashierView) -> Stage {
        match (view.status, &view.action) {
            ("succeeded", _) => Stage::Paid,
            ("failed", _) => Stage::Failed,
            ("closed", _) if view.now >= view.expires_at => Stage::Expired,
            ("closed", _) => Stage::Closed,
            (_, Some(Action::QrCode { .. })) => Stage::Scan,
            (_, Some(Action::Redirect { .. } | Action::Form { .. })) => Stage::Go,
            (_, Some(Action::Jsapi { .. } | Action::App { .. })) => Stage::InApp,
            (_, None) if view.channel.is_some() => Stage::Preparing,
            (_, None) => Stage::Choosing,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Stage::Scan => "scan",
            Stage::Go => "go",
            Stage::InApp => "in-app",
            Stage::Preparing => "preparing",
            Stage::Choosing => "choosing",
            Stage::Paid => "paid",
            Stage::Expired => "expired",
            Stage::Closed => "closed",
            Stage::Failed => "failed",
        }
    }

    fn is_open(self) -> bool {
        !matches!(self, Stage::Paid | Stage::Expired | Stage::Closed | Stage::Failed)
    }
}

/// Seconds until nobody can pay any more, never negative.
pub(super) fn seconds_left(view: &CashierView) -> i64 {
    view.expires_at.since(view.now).as_seconds()
}

/// A link that looks like a button.
pub(super) struct Button {
    href: String,
    text: &'static str,
}

/// A way of paying to choose.
struct Choice {
    channel: &'static str,
    provider: &'static str,
    text: &'static str,
}

/// The page.
#[derive(Template)]
#[template(path = "cashier.html")]
pub(super) struct Page {
    t: &'static Texts,
    charge: ChargeId,
    is_test: bool,
    stage: &'static str,
    is_open: bool,
    provider: &'static str,
    provider_name: &'static str,
    subject: String,
    amount_label: &'static str,
    amount: String,
    order_no: String,
    heading: &'static str,
    hint: &'static str,
    code: Option<String>,
    same_phone: bool,
    button: Option<Button>,
    back: Option<Button>,
    choices: Vec<Choice>,
    query: String,
    other_query: String,
    seconds_left: i64,
    time_left: String,
}

/// The query of a cashier's address that keeps showing the same.
pub(super) fn query(channel: Option<Channel>, lang: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(channel.map(|channel| ("channel", channel.as_str())));
    query.extend_pairs(lang.map(|lang| ("lang", lang)));
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

impl Page {
    /// `asked` is the channel whose order the address asks for.
    pub(super) fn new(view: &CashierView, language: Language, asked: Option<Channel>) -> Page {
        let t = language.texts();
        let stage = Stage::of(view);
        let provider = view.channel.map(|channel| channel.provider());
        let (heading, hint) = match stage {
            Stage::Choosing if !view.choices.is_empty() => (t.choose, t.choose_hint),
            stage => words(stage, provider, t),
        };
        let code = match &view.action {
            Some(Action::QrCode { code_url }) => qr::inline_svg(code_url),
            _ => None,
        };
        let seconds_left = seconds_left(view);
        Page {
            t,
            charge: view.charge,
            is_test: !view.livemode,
            stage: stage.as_str(),
            is_open: stage.is_open(),
            provider: provider.map_or("none", Provider::as_str),
            provider_name: provider.map_or("", |provider| provider_name(provider, t)),
            subject: view.subject.clone(),
            amount_label: amount_label(stage, t),
            amount: grouped(&view.amount.to_yuan()),
            order_no: view.order_no.clone(),
            heading,
            hint,
            same_phone: code.is_some() && provider == Some(Provider::Wechat),
            code,
            button: button(view, t, &query(asked, None)),
            back: back(view, t),
            choices: choices(view, t),
            query: query(asked, None),
            other_query: query(asked, Some(t.other_lang)),
            seconds_left,
            time_left: clock(seconds_left),
        }
    }
}

fn provider_name(provider: Provider, t: &'static Texts) -> &'static str {
    match provider {
        Provider::Wechat => t.wechat,
        Provider::Alipay => t.alipay,
    }
}

fn amount_label(stage: Stage, t: &'static Texts) -> &'static str {
    match stage {
        Stage::Paid => t.amount_paid,
        stage if stage.is_open() => t.amount_due,
        _ => t.amount,
    }
}

fn words(
    stage: Stage,
    provider: Option<Provider>,
    t: &'static Texts,
) -> (&'static str, &'static str) {
    let scan = if provider == Some(Provider::Wechat) { t.scan_wechat } else { t.scan_alipay };
    match stage {
        Stage::Scan => (scan, t.scan_hint),
        Stage::Go => (t.go_heading, t.go_hint),
        Stage::InApp => (t.app_heading, t.app_hint),
        Stage::Preparing => (t.preparing, t.preparing_hint),
        Stage::Choosing => (t.choosing, t.choosing_hint),
        Stage::Paid => (t.paid, t.paid_hint),
        Stage::Expired => (t.expired, t.order_again),
        Stage::Closed => (t.closed, t.order_again),
        Stage::Failed => (t.failed, t.failed_hint),
    }
}

/// What leads to the provider: a page of its own, or Alipay's app, which opens such addresses.
fn button(view: &CashierView, t: &'static Texts, query: &str) -> Option<Button> {
    let is_wechat = view.channel.map(|channel| channel.provider()) == Some(Provider::Wechat);
    match view.action.as_ref()? {
        Action::Redirect { .. } | Action::Form { .. } => {
            let text = if is_wechat { t.go_wechat } else { t.go_alipay };
            Some(Button { href: format!("/pay/{}/go{query}", view.charge), text })
        }
        Action::QrCode { code_url } if !is_wechat && is_web_address(code_url) => {
            Some(Button { href: code_url.clone(), text: t.open_alipay })
        }
        _ => None,
    }
}

/// The ways of paying that are not the one shown.
fn choices(view: &CashierView, t: &'static Texts) -> Vec<Choice> {
    let others = view.choices.iter().filter(|channel| Some(**channel) != view.channel);
    let choice = |channel: &Channel| {
        let text = match channel {
            Channel::WechatNative => t.wechat_native,
            Channel::WechatH5 => t.wechat_h5,
            Channel::AlipayQr => t.alipay_qr,
            Channel::AlipayPage => t.alipay_page,
            Channel::AlipayWap => t.alipay_wap,
            _ => return None,
        };
        let provider = channel.provider().as_str();
        Some(Choice { channel: channel.as_str(), provider, text })
    };
    others.filter_map(choice).collect()
}

fn back(view: &CashierView, t: &'static Texts) -> Option<Button> {
    let url = view.return_url.clone().filter(|url| is_web_address(url))?;
    let is_over = !Stage::of(view).is_open();
    is_over.then_some(Button { href: url, text: t.back })
}

/// `1234567.00` as `1,234,567.00`.
fn grouped(yuan: &str) -> String {
    let (whole, part) = yuan.split_once('.').unwrap_or((yuan, "00"));
    let mut text = String::new();
    for (idx, digit) in whole.chars().enumerate() {
        if idx > 0 && (whole.len() - idx).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text}.{part}")
}

/// `4:59`, `1:04:59`.
fn clock(seconds: i64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let (hours, rest) = (minutes / 60, minutes % 60);
    if hours > 0 {
        format!("{hours}:{rest:02}:{seconds:02}")
    } else {
        format!("{rest}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_types::{Fen, Mint, Span, Timestamp};

    const QR: &str = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz";

    fn view(status: &'static str, channel: Option<Channel>, action: Option<Action>) -> CashierView {
        let now = Timestamp::from_seconds(1_795_242_600);
        CashierView {
            charge: Mint::new(now, [7; 10]).id(),
            app: "shop".to_owned(),
            livemode: false,
            order_no: "20261121-0001".to_owned(),
            subject: "云南小粒咖啡豆 <250 g> & filter".to_owned(),
            amount: Fen(123_456),
            status,
            channel,
            action,
            choices: Vec::new(),
            expires_at: now + Span::from_seconds(299),
            now,
            return_url: Some("https://shop.example/orders?a=1&b=2".to_owned()),
        }
    }

    fn every_stage() -> Vec<CashierView> {
        let qr = || Some(Action::QrCode { code_url: QR.to_owned() });
        let url = "https://openapi.alipay.com/gateway.do?method=x".to_owned();
        let app = Action::Jsapi { params: vec![("prepay_id".to_owned(), "wx1".to_owned())] };
        let alipay_qr = Action::QrCode { code_url: "https://qr.alipay.com/bax00069".to_owned() };
        let mut expired = view("closed", Some(Channel::WechatNative), None);
        expired.now = expired.expires_at;
        let mut open = view("pending", None, None);
        open.choices = vec![Channel::WechatNative, Channel::AlipayQr, Channel::AlipayPage];
        let mut chosen = view("pending", Some(Channel::WechatNative), qr());
        chosen.choices.clone_from(&open.choices);
        let mut alipay = view("pending", Some(Channel::AlipayQr), Some(alipay_qr));
        alipay.livemode = true;
        vec![
            view("pending", Some(Channel::WechatNative), qr()),
            alipay,
            view("pending", Some(Channel::AlipayPage), Some(Action::Redirect { url })),
            view("pending", Some(Channel::WechatJsapi), Some(app)),
            view("pending", Some(Channel::WechatNative), None),
            view("pending", None, None),
            view("succeeded", Some(Channel::WechatNative), None),
            expired,
            view("closed", Some(Channel::AlipayQr), None),
            view("failed", Some(Channel::WechatNative), None),
            open,
            chosen,
        ]
    }

    #[test]
    fn every_stage_in_both_languages_is_a_whole_page_with_nothing_inline() {
        for (idx, view) in every_stage().iter().enumerate() {
            for language in [Language::Chinese, Language::English] {
                let page = Page::new(view, language, None);
                let html = page.render().unwrap();
                assert!(html.contains(page.heading) && html.contains("1,234.56"));
                assert!(html.contains("&#60;250 g&#62; &#38; filter"), "{html}");
                assert_eq!(html.matches("<script").count(), 1, "the script is a file");
                assert!(!html.contains(" style=") && !html.contains("<style"));
                assert_eq!(html.contains("http-equiv=\"refresh\""), page.is_open);
                assert_eq!(html.contains("shop.example"), !page.is_open);
                assert_eq!(html.contains("class=\"test-mode\""), page.is_test);
                // For looking at: TONGBAO_PAGES_TO=target/cashier cargo test -p tongbao-api
                if let Ok(folder) = std::env::var("TONGBAO_PAGES_TO") {
                    let html = html.replace("/assets/", "");
                    let name = format!("{folder}/{idx}-{}-{}.html", page.stage, page.t.lang);
                    std::fs::write(name, html).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_stage_follows_from_status_and_action() {
        let stages: Vec<&str> = every_stage().iter().map(|view| Stage::of(view).as_str()).collect();
        let wanted = "scan scan go in-app preparing choosing paid expired closed failed \
                      choosing scan";
        assert_eq!(stages.join(" "), wanted);
    }

    #[test]
    fn only_alipay_codes_are_opened_by_a_button() {
        let t = Language::English.texts();
        let buttons: Vec<Option<String>> = every_stage()
            .iter()
            .map(|view| button(view, t, "").map(|button| button.href))
            .collect();
        assert_eq!(buttons[0], None);
        assert_eq!(buttons[1].as_deref(), Some("https://qr.alipay.com/bax00069"));
        assert!(buttons[2].as_ref().is_some_and(|href| href.ends_with("/go")));
        assert!(buttons[3..].iter().all(Option::is_none), "nor one of WeChat's");
    }

    #[test]
    fn what_is_not_shown_can_be_chosen_without_scripts() {
        let views = every_stage();
        let [.., open, chosen] = views.as_slice() else { unreachable!() };
        let html = |view: &CashierView| Page::new(view, Language::English, None).render().unwrap();
        let buttons = |html: &str| html.matches("<button ").count();
        let open = html(open);
        assert_eq!(buttons(&open), 3);
        assert!(open.contains("Choose how to pay") && open.contains("method=\"post\""));
        assert!(open.contains("name=\"channel\" value=\"alipay.page\""));
        let chosen = html(chosen);
        assert_eq!(buttons(&chosen), 2);
        assert!(chosen.contains("Pay another way") && !chosen.contains("value=\"wechat.native\""));
        assert_eq!(buttons(&html(&views[0])), 0, "the merchant has chosen");
    }

    #[test]
    fn the_addresses_of_a_page_go_on_showing_the_same_order() {
        assert_eq!(query(None, None), "");
        assert_eq!(query(Some(Channel::AlipayQr), Some("en")), "?channel=alipay.qr&lang=en");
        assert_eq!(query(None, Some("a&b\"")), "?lang=a%26b%22");
    }

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(grouped("0.01"), "0.01");
        assert_eq!(grouped("123.40"), "123.40");
        assert_eq!(grouped("1234.00"), "1,234.00");
        assert_eq!(grouped("100000000.00"), "100,000,000.00");
        assert_eq!(clock(0), "0:00");
        assert_eq!(clock(299), "4:59");
        assert_eq!(clock(3_899), "1:04:59");
    }
}
