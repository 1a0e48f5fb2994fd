//! The pages' texts in Chinese and English, in one table.

use tongbao_types::Provider;

/// All texts in one language.
pub(crate) struct Words {
    /// The tag for `lang` attributes and links.
    pub(crate) lang: &'static str,
    pub(crate) other_lang: &'static str,
    pub(crate) other_name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) pretend: &'static str,
    pub(crate) scan: &'static str,
    pub(crate) code_hint: &'static str,
    pub(crate) look: &'static str,
    pub(crate) show_code: &'static str,
    pub(crate) pay: &'static str,
    pub(crate) give_up: &'static str,
    pub(crate) open_orders: &'static str,
    pub(crate) no_orders: &'static str,
    pub(crate) finished: &'static str,
    pub(crate) traffic: &'static str,
    pub(crate) no_traffic: &'static str,
    pub(crate) signature: &'static str,
    pub(crate) string: &'static str,
    pub(crate) number: &'static str,
    pub(crate) waits: &'static str,
    pub(crate) paying: &'static str,
    pub(crate) paid: &'static str,
    pub(crate) closed: &'static str,
    pub(crate) refunded: &'static str,
    pub(crate) cashier: &'static str,
    pub(crate) log_in: &'static str,
    pub(crate) unknown_order: &'static str,
    wechat: &'static str,
    alipay: &'static str,
    verdicts: [&'static str; 4],
    said: &'static [(&'static str, &'static str)],
    said_otherwise: &'static str,
}

const ZH: Words = Words {
    lang: "zh-CN",
    other_lang: "en",
    other_name: "English",
    title: "沙箱钱包",
    pretend: "这里的钱都是假的",
    scan: "付款",
    code_hint: "粘贴二维码内容，例如 weixin://wxpay/…",
    look: "识别",
    show_code: "付款码（商家扫码，每分钟更新）",
    pay: "确认付款",
    give_up: "取消",
    open_orders: "待付款订单",
    no_orders: "没有订单",
    finished: "已结束的交易",
    traffic: "接口流量",
    no_traffic: "还没有请求",
    signature: "签名",
    string: "验签字符串",
    number: "商户订单号",
    waits: "待付款",
    paying: "付款中",
    paid: "已付款",
    closed: "已关闭",
    refunded: "已退款",
    cashier: "收银台",
    log_in: "登录，稍后付款",
    unknown_order: "没有这笔订单",
    wechat: "微信支付",
    alipay: "支付宝",
    verdicts: ["正确", "错误", "缺失", "不需要"],
    said: &[
        ("success", "付款成功"),
        ("scanned", "已登录，等待付款"),
        ("cancelled", "已取消，订单仍待付款"),
        ("user_paying", "正在输入密码"),
        ("not_found", "没有这个二维码或订单"),
        ("already_paid", "该订单已支付"),
        ("closed", "该订单已关闭"),
        ("expired", "二维码或订单已过期"),
        ("void", "二维码已失效，请使用新的二维码"),
        ("page_refused", "该支付页面地址无效"),
    ],
    said_otherwise: "付款未成功",
};

const EN: Words = Words {
    lang: "en",
    other_lang: "zh-CN",
    other_name: "中文",
    title: "Sandbox wallet",
    pretend: "No real money here",
    scan: "Pay",
    code_hint: "Paste what a QR code says, such as weixin://wxpay/…",
    look: "Look",
    show_code: "Codes for a merchant to scan (new each minute)",
    pay: "Pay",
    give_up: "Cancel",
    open_orders: "Orders to pay",
    no_orders: "No orders",
    finished: "Finished trades",
    traffic: "Traffic",
    no_traffic: "No requests yet",
    signature: "signature",
    string: "String that was checked",
    number: "Order number",
    waits: "to pay",
    paying: "paying",
    paid: "paid",
    closed: "closed",
    refunded: "refunded",
    cashier: "Cashier",
    log_in: "Log in, pay later",
    unknown_order: "There is no such order",
    wechat: "WeChat Pay",
    alipay: "Alipay",
    verdicts: ["good", "bad", "missing", "not needed"],
    said: &[
        ("success", "Paid"),
        ("scanned", "Logged in, the payment waits"),
        ("cancelled", "Cancelled, the order still waits"),
        ("user_paying", "Typing the password"),
        ("not_found", "There is no such code or order"),
        ("already_paid", "The order is paid already"),
        ("closed", "The order is closed"),
        ("expired", "The code or the order has expired"),
        ("void", "A newer code replaced this one"),
        ("page_refused", "The address of the page is not valid"),
    ],
    said_otherwise: "The payment did not succeed",
};

/// By the wish in the address, else by the browser's languages, else English.
pub(crate) fn choose(lang: &str, accept_language: &str) -> &'static Words {
    let wishes = [lang].into_iter().chain(accept_language.split(','));
    for wish in wishes.map(|wish| wish.trim().to_ascii_lowercase()) {
        if wish.starts_with("zh") {
            return &ZH;
        }
        if wish.starts_with("en") {
            return &EN;
        }
    }
    &EN
}

impl Words {
    /// The sentence for what an act came to, and whether that is good news. Empty for nothing.
    pub(crate) fn said(&self, word: &str) -> (&'static str, bool) {
        if word.is_empty() {
            return ("", true);
        }
        let found = self.said.iter().find(|(known, _)| *known == word);
        let well = ["success", "scanned", "cancelled", "user_paying"].contains(&word);
        (found.map_or(self.said_otherwise, |(_, sentence)| sentence), well)
    }

    pub(crate) fn verdict(&self, word: &str) -> &'static str {
        let order = ["good", "bad", "missing", "not_needed"];
        order.iter().position(|known| *known == word).map_or("", |at| self.verdicts[at])
    }

    pub(crate) fn wallet_of(&self, provider: Provider) -> &'static str {
        match provider {
            Provider::Wechat => self.wechat,
            Provider::Alipay => self.alipay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_chosen_by_wish_then_browser_then_english() {
        let cases = [
            ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
            ("en", "zh-CN,zh;q=0.9", "en"),
            ("zh-CN", "en", "zh-CN"),
            ("", "fr, en;q=0.5, zh;q=0.4", "en"),
            ("", "", "en"),
        ];
        for (lang, header, wanted) in cases {
            assert_eq!(choose(lang, header).lang, wanted, "{lang} {header}");
        }
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let keys = |words: &Words| words.said.iter().map(|(key, _)| *key).collect::<Vec<_>>();
        assert_eq!(keys(&ZH), keys(&EN));
        assert_eq!(EN.said("NOTENOUGH"), ("The payment did not succeed", false));
    }
}
