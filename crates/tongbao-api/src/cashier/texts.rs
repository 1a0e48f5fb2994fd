//! What the cashier says, in Chinese and English, and which of the two a browser wants.

use http::HeaderMap;
use http::header::ACCEPT_LANGUAGE;

/// A language of the cashier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Chinese,
    English,
}

impl Language {
    /// By the `lang` parameter, else by `Accept-Language`, else Chinese as most payers are.
    pub(crate) fn of(headers: &HeaderMap, asked: Option<&str>) -> Language {
        let accepted = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let asked = asked.and_then(known);
        asked.or_else(|| accepted.and_then(preferred)).unwrap_or(Language::Chinese)
    }

    pub(crate) fn texts(self) -> &'static Texts {
        match self {
            Language::Chinese => &CHINESE,
            Language::English => &ENGLISH,
        }
    }
}

fn known(tag: &str) -> Option<Language> {
    let primary = tag.trim().split(['-', '_']).next().unwrap_or("").to_ascii_lowercase();
    match primary.as_str() {
        "zh" => Some(Language::Chinese),
        "en" => Some(Language::English),
        _ => None,
    }
}

/// The known language with the highest weight; the first of equals.
fn preferred(header: &str) -> Option<Language> {
    let weighted = header.split(',').filter_map(|item| {
        let (tag, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        Some((known(tag)?, thousandths(weight.trim())?))
    });
    let mut best: Option<(Language, u32)> = None;
    for (language, weight) in weighted {
        if weight > best.map_or(0, |(_, weight)| weight) {
            best = Some((language, weight));
        }
    }
    best.map(|(language, _)| language)
}

/// `q=0.8` as 800.
fn thousandths(weight: &str) -> Option<u32> {
    let (whole, part) = weight.strip_prefix("q=")?.split_once('.').unwrap_or((&weight[2..], "0"));
    let digits = format!("{part:0<3}");
    let part: u32 = digits.get(..3)?.parse().ok()?;
    Some(whole.parse::<u32>().ok()?.min(1) * 1000 + part)
}

/// Every text of the cashier and of the small pages.
#[derive(Debug)]
pub(crate) struct Texts {
    pub(crate) lang: &'static str,
    pub(crate) other_lang: &'static str,
    pub(crate) other_name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) test_mode: &'static str,
    pub(crate) order_no: &'static str,
    pub(crate) amount_due: &'static str,
    pub(crate) amount_paid: &'static str,
    pub(crate) amount: &'static str,
    pub(crate) time_left: &'static str,
    pub(crate) time_over: &'static str,
    pub(crate) wechat: &'static str,
    pub(crate) alipay: &'static str,
    pub(crate) code: &'static str,
    pub(crate) scan_wechat: &'static str,
    pub(crate) scan_alipay: &'static str,
    pub(crate) scan_hint: &'static str,
    pub(crate) same_phone: &'static str,
    pub(crate) save_code: &'static str,
    pub(crate) go_wechat: &'static str,
    pub(crate) go_alipay: &'static str,
    pub(crate) open_alipay: &'static str,
    pub(crate) go_heading: &'static str,
    pub(crate) go_hint: &'static str,
    pub(crate) app_heading: &'static str,
    pub(crate) app_hint: &'static str,
    pub(crate) preparing: &'static str,
    pub(crate) preparing_hint: &'static str,
    pub(crate) choosing: &'static str,
    pub(crate) choosing_hint: &'static str,
    pub(crate) choose: &'static str,
    pub(crate) choose_hint: &'static str,
    pub(crate) another_way: &'static str,
    pub(crate) wechat_native: &'static str,
    pub(crate) wechat_h5: &'static str,
    pub(crate) alipay_qr: &'static str,
    pub(crate) alipay_page: &'static str,
    pub(crate) alipay_wap: &'static str,
    pub(crate) not_this_way: &'static str,
    pub(crate) not_this_way_hint: &'static str,
    pub(crate) choose_again: &'static str,
    pub(crate) paid: &'static str,
    pub(crate) paid_hint: &'static str,
    pub(crate) expired: &'static str,
    pub(crate) closed: &'static str,
    pub(crate) order_again: &'static str,
    pub(crate) failed: &'static str,
    pub(crate) failed_hint: &'static str,
    pub(crate) back: &'static str,
    pub(crate) refreshes: &'static str,
    pub(crate) no_such_order: &'static str,
    pub(crate) ask_the_shop: &'static str,
    pub(crate) nothing_here: &'static str,
    pub(crate) check_address: &'static str,
    pub(crate) not_now: &'static str,
    pub(crate) try_again: &'static str,
}

static CHINESE: Texts = Texts {
    lang: "zh-CN",
    other_lang: "en",
    other_name: "English",
    title: "收银台",
    test_mode: "测试模式，不会真的扣款",
    order_no: "订单号",
    amount_due: "应付金额",
    amount_paid: "实付金额",
    amount: "订单金额",
    time_left: "剩余时间",
    time_over: "时间已到，正在确认结果…",
    wechat: "微信支付",
    alipay: "支付宝",
    code: "付款二维码",
    scan_wechat: "请用微信扫码付款",
    scan_alipay: "请用支付宝扫码付款",
    scan_hint: "付款后，本页会自动显示结果。",
    same_phone: "正在用手机看本页？先保存二维码，再在微信“扫一扫”里从相册选取。",
    save_code: "保存二维码",
    go_wechat: "去微信付款",
    go_alipay: "去支付宝付款",
    open_alipay: "打开支付宝付款",
    go_heading: "下一步：付款",
    go_hint: "付款后回到本页，结果会自动显示。",
    app_heading: "请在应用内付款",
    app_hint: "请回到下单的应用或小程序完成付款，结果会显示在这里。",
    preparing: "正在准备付款…",
    preparing_hint: "通常只要几秒钟，本页会自动更新。",
    choosing: "等待选择付款方式",
    choosing_hint: "商家还没有给出付款方式，本页会自动更新。",
    choose: "请选择付款方式",
    choose_hint: "选好之后还可以换。",
    another_way: "换一种付款方式",
    wechat_native: "微信扫码付款",
    wechat_h5: "在手机浏览器里用微信付款",
    alipay_qr: "支付宝扫码付款",
    alipay_page: "到支付宝网页付款",
    alipay_wap: "在手机上用支付宝付款",
    not_this_way: "这种方式暂时不能付款",
    not_this_way_hint: "没有扣款。请换一种付款方式，或稍后再试。",
    choose_again: "重新选择",
    paid: "付款成功",
    paid_hint: "可以关闭本页了。",
    expired: "订单已过期",
    closed: "订单已关闭",
    order_again: "这个订单不能再付款了，如仍需要请回到商家重新下单。",
    failed: "无法付款",
    failed_hint: "支付渠道没有接受这个订单，请回到商家重新下单或换一种付款方式。",
    back: "返回商家",
    refreshes: "本页每 5 秒自动刷新。",
    no_such_order: "没有找到这个订单",
    ask_the_shop: "付款结果请以商家的订单页为准。",
    nothing_here: "这里什么也没有",
    check_address: "请检查网址是否完整。",
    not_now: "暂时无法显示",
    try_again: "请稍等几秒后刷新本页，已完成的付款不会丢失。",
};

static ENGLISH: Texts = Texts {
    lang: "en",
    other_lang: "zh",
    other_name: "中文",
    title: "Checkout",
    test_mode: "Test mode: no real money moves",
    order_no: "Order",
    amount_due: "Amount due",
    amount_paid: "Amount paid",
    amount: "Amount",
    time_left: "Time left",
    time_over: "Time is up, checking the result…",
    wechat: "WeChat Pay",
    alipay: "Alipay",
    code: "QR code for the payment",
    scan_wechat: "Scan with WeChat to pay",
    scan_alipay: "Scan with Alipay to pay",
    scan_hint: "This page shows the result by itself.",
    same_phone: "Reading this on your phone? Save the code, then pick it from the album in \
                 WeChat's scanner.",
    save_code: "Save the code",
    go_wechat: "Continue to WeChat",
    go_alipay: "Continue to Alipay",
    open_alipay: "Open Alipay to pay",
    go_heading: "Next: pay",
    go_hint: "Come back here afterwards; the result shows by itself.",
    app_heading: "Please pay in the app",
    app_hint: "Go back to the app in which you ordered and pay there; the result shows here.",
    preparing: "Preparing the payment…",
    preparing_hint: "This takes a few seconds. The page updates by itself.",
    choosing: "Waiting for a way to pay",
    choosing_hint: "The shop has not chosen one yet. The page updates by itself.",
    choose: "Choose how to pay",
    choose_hint: "You can still choose another way afterwards.",
    another_way: "Pay another way",
    wechat_native: "Scan a code with WeChat",
    wechat_h5: "WeChat, in this phone's browser",
    alipay_qr: "Scan a code with Alipay",
    alipay_page: "Alipay's website",
    alipay_wap: "Alipay on this phone",
    not_this_way: "This way of paying does not work right now",
    not_this_way_hint: "No money has moved. Please choose another way, or try again later.",
    choose_again: "Choose again",
    paid: "Paid",
    paid_hint: "You can close this page.",
    expired: "This order has expired",
    closed: "This order is closed",
    order_again: "It can no longer be paid. If you still want it, please order again.",
    failed: "This order cannot be paid",
    failed_hint: "The payment provider did not accept it. Please order again or choose another \
                  way to pay.",
    back: "Back to the shop",
    refreshes: "This page refreshes every 5 seconds.",
    no_such_order: "There is no such order",
    ask_the_shop: "Your order's page at the shop has the last word on the payment.",
    nothing_here: "There is nothing here",
    check_address: "Please check that the address is complete.",
    not_now: "This cannot be shown right now",
    try_again: "Please reload in a few seconds. A payment already made is not lost.",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_gets_the_language_that_it_prefers() {
        let check = |header: Option<&str>, asked: Option<&str>, wanted: Language| {
            let mut headers = HeaderMap::new();
            if let Some(value) = header {
                headers.insert(ACCEPT_LANGUAGE, value.parse().unwrap());
            }
            assert_eq!(Language::of(&headers, asked), wanted, "{header:?} {asked:?}");
        };
        check(None, None, Language::Chinese);
        check(Some("en-US,en;q=0.9"), None, Language::English);
        check(Some("zh-TW,zh;q=0.9,en;q=0.8"), None, Language::Chinese);
        check(Some("fr,en;q=0.3,zh;q=0.7"), None, Language::Chinese);
        check(Some("en;q=0,zh;q=0.1"), None, Language::Chinese);
        check(Some("de"), None, Language::Chinese);
        check(Some(";q=,=;;q=9.99999999"), None, Language::Chinese);
        check(Some("zh"), Some("en"), Language::English);
        check(Some("en"), Some("zh-CN"), Language::Chinese);
        check(Some("en"), Some("tlh"), Language::English);
    }
}
