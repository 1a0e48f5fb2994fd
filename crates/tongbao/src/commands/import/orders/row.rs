//! One line of the books as an order: each field read by its rule, every problem of the line told
//! at once.

use super::moment;
use super::other;
use super::table::{METADATA, Problem, Row};
use crate::config::{AppConfig, nearest};
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use tongbao_compat::{CompatSettings, ProfileSetup};
use tongbao_core::Scope;
use tongbao_engine::OldOrder;
use tongbao_types::{
    AccountName, Amount, Channel, Fen, Mode, NumberError, OrderNo, OutTradeNo, Profile, Provider,
    Timestamp, TradeNo,
};

/// The notes that say where a charge comes from.
const MARK: &str = "imported";
const MARK_TRADE_NO: &str = "imported_trade_no";
const MARK_PAID_AT: &str = "imported_paid_at";
/// As of `/v1`.
const SUBJECT_MAX: usize = 127;
const NOTES_MAX: usize = 50;
const NOTE_NAME_MAX: usize = 40;
const NOTE_MAX: usize = 500;

/// Whose books they are.
pub(super) struct Books {
    pub(super) scope: Scope,
    accounts: Vec<AccountName>,
    profiles: Vec<Arc<ProfileSetup>>,
}

/// What a line says.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) line: u64,
    pub(super) order: OldOrder,
    /// The books say so; the provider will be asked.
    pub(super) is_paid: bool,
}

/// The problems of one line as they come up.
struct Reader<'a> {
    row: &'a Row<'a>,
    problems: Vec<Problem>,
}

impl Books {
    pub(super) fn new(compat: &CompatSettings, app: &AppConfig, mode: Mode) -> Books {
        let own = app.accounts.iter().filter(|account| account.mode == mode);
        Books {
            scope: Scope { app: app.name.clone(), mode },
            accounts: own.map(|account| account.name.clone()).collect(),
            profiles: compat.profiles.clone(),
        }
    }

    /// Reads a line.
    pub(super) fn read(&self, row: &Row<'_>) -> Result<Claim, Vec<Problem>> {
        let mut reader = Reader { row, problems: Vec::new() };
        let order_no = reader.need("order_no", |text| number(text, OrderNo::new));
        let own_number = reader.maybe("out_trade_no", |text| number(text, OutTradeNo::new));
        let amount = reader.amount();
        let subject = reader.need("subject", subject);
        let channel = reader.need("channel", |text| word(text, Channel::ALL, "a channel"));
        let account = reader.maybe("account", |text| self.account(text));
        let profile = reader.maybe("profile", |text| self.profile(text));
        let created_at = reader.need("created_at", time);
        let expires_at = reader.maybe("expires_at", time);
        let is_paid = reader.need("status", status);
        let metadata = reader.metadata(is_paid, profile);
        let Reader { problems, .. } = reader;
        let (Some(order_no), Some(amount), Some(subject), Some(channel), Some(created_at)) =
            (order_no, amount, subject, channel, created_at)
        else {
            return Err(problems);
        };
        let (Some(is_paid), true) = (is_paid, problems.is_empty()) else { return Err(problems) };
        let same = || OutTradeNo::new(order_no.as_str()).expect("both have the same rule");
        let out_trade_no = own_number.unwrap_or_else(same);
        let account = account.or_else(|| self.account_of(profile, channel));
        let order = OldOrder {
            order_no,
            out_trade_no,
            amount,
            subject,
            channel,
            account,
            profile,
            metadata,
            created_at,
            expires_at,
        };
        Ok(Claim { line: row.line, order, is_paid })
    }

    fn account(&self, text: &str) -> Result<AccountName, String> {
        let found = self.accounts.iter().find(|name| name.as_str() == text);
        found.cloned().ok_or_else(|| {
            let Scope { app, mode } = &self.scope;
            let near = nearest(text, self.accounts.iter().map(AccountName::as_str));
            let near = near.map_or_else(String::new, |near| format!("; the nearest is {near}"));
            format!("the app {app} has no {mode} account named {text}{near}")
        })
    }

    fn profile(&self, text: &str) -> Result<Profile, String> {
        let profile = word(text, Profile::ALL, "a profile")?;
        let Scope { app, mode } = &self.scope;
        let setup = self.profiles.iter().find(|setup| setup.profile == profile);
        let Some(setup) = setup.filter(|setup| setup.app == *app) else {
            return Err(format!(
                "the configuration has no [[compat]] table of {profile} for {app}"
            ));
        };
        if setup.livemode != mode.is_live() {
            return Err(format!(
                "callers of {profile} make {other} charges by the configuration; import with \
                 --mode {other}",
                other = other(*mode)
            ));
        }
        Ok(profile)
    }

    /// The account that the profile itself would order through.
    fn account_of(&self, profile: Option<Profile>, channel: Channel) -> Option<AccountName> {
        let setup = self.profiles.iter().find(|setup| Some(setup.profile) == profile)?;
        let own = self.accounts.iter().find(|name| setup.alipay_account.as_ref() == Some(*name));
        if let Some(own) = own.filter(|_| channel.provider() == Provider::Alipay) {
            return Some(own.clone());
        }
        let accounts = if self.scope.mode.is_live() { &setup.live } else { &setup.test };
        let account = match (channel, channel.provider()) {
            (Channel::AlipayLegacyPage, _) => &accounts.alipay_legacy,
            (_, Provider::Alipay) => &accounts.alipay,
            (_, Provider::Wechat) => &accounts.wechat,
        };
        account.clone()
    }
}

impl Reader<'_> {
    fn note(&mut self, column: &str, what: impl Into<String>) {
        self.problems.push(Problem::new(self.row.line, column, what));
    }

    fn maybe<T>(
        &mut self,
        column: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        match read(self.row.get(column)?) {
            Ok(value) => Some(value),
            Err(what) => {
                self.note(column, what);
                None
            }
        }
    }

    fn need<T>(&mut self, column: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        if self.row.get(column).is_none() {
            self.note(column, "this is empty");
        }
        self.maybe(column, read)
    }

    fn amount(&mut self) -> Option<Amount> {
        let fen = self.row.get("amount_fen").is_some();
        let yuan = self.row.get("amount_yuan").is_some();
        match (fen, yuan) {
            (true, false) => self.maybe("amount_fen", |text| {
                let is_plain = text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit());
                let fen = text.parse().ok().filter(|_| is_plain);
                let fen = fen.ok_or("an amount of fen is a whole number, such as 1990")?;
                Amount::new(Fen(fen)).map_err(|error| error.to_string())
            }),
            (false, true) => self.maybe("amount_yuan", |text| {
                let fen = Fen::from_yuan(text).map_err(|error| error.to_string())?;
                Amount::new(fen).map_err(|error| error.to_string())
            }),
            (false, false) => {
                self.note("amount_fen", "this is empty, and so is amount_yuan; write one of them");
                None
            }
            (true, true) => {
                self.note("amount_yuan", "amount_fen is there too; write only one of them");
                None
            }
        }
    }

    /// What the views `deal` and `payorder` read by its place, and so comes first.
    fn placed(&mut self, profile: Option<Profile>) -> Vec<(String, String)> {
        let (names, is_number): (&[&str], bool) = match profile {
            Some(Profile::Wxpay) => (&["merchant_id", "product_id"], true),
            Some(Profile::Payorder) => (&["nonce_str"], false),
            _ => (&[], false),
        };
        let mut all = Vec::new();
        for name in names {
            let column = format!("{METADATA}{name}");
            let value = self.row.get(&column).unwrap_or_default();
            let is_digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            if is_number && !(is_digits && value.len() <= 18) {
                self.note(&column, "an order of wxpay has this number, up to 18 digits");
            }
            all.push(((*name).to_owned(), value.to_owned()));
        }
        all
    }

    /// The merchant's own notes, and the marks of the import, by which receivers of events know it.
    fn metadata(
        &mut self,
        is_paid: Option<bool>,
        profile: Option<Profile>,
    ) -> Vec<(String, String)> {
        let mut all = self.placed(profile);
        let placed: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
        all.extend(self.row.metadata().into_iter().filter(|(name, _)| !placed.contains(name)));
        if all.len() + 3 > NOTES_MAX {
            self.note("metadata", format!("more than {} notes", NOTES_MAX - 3));
        }
        for (name, value) in &all {
            let column = format!("{METADATA}{name}");
            if name.chars().count() > NOTE_NAME_MAX {
                self.note(&column, format!("the name has more than {NOTE_NAME_MAX} characters"));
            }
            if value.chars().count() > NOTE_MAX {
                self.note(&column, format!("this has more than {NOTE_MAX} characters"));
            }
            if [MARK, MARK_TRADE_NO, MARK_PAID_AT].contains(&name.as_str()) {
                self.note(&column, "the import itself writes this note; take another name");
            }
        }
        let state = if is_paid == Some(true) { "paid" } else { "open" };
        all.push((MARK.to_owned(), state.to_owned()));
        let trade_no = self.maybe("provider_trade_no", |text| number(text, TradeNo::new));
        all.extend(trade_no.map(|number| (MARK_TRADE_NO.to_owned(), number.as_str().to_owned())));
        let paid_at = self.maybe("paid_at", time);
        all.extend(paid_at.map(|at| (MARK_PAID_AT.to_owned(), at.to_string())));
        if is_paid == Some(false) {
            for column in ["provider_trade_no", "paid_at"] {
                if self.row.get(column).is_some() {
                    self.note(column, "an open order has none; is its status paid?");
                }
            }
        }
        all
    }
}

/// A number as the books have it, unless a spreadsheet has eaten its digits.
fn number<T>(text: &str, new: impl FnOnce(String) -> Result<T, NumberError>) -> Result<T, String> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((mantissa, exponent)) = text.split_once("E+")
        && is_digits(&mantissa.replacen('.', "", 1))
        && is_digits(exponent)
    {
        return Err(format!(
            "{text} is a number that a spreadsheet has rounded; format the column as text and \
             export it again"
        ));
    }
    new(text.to_owned()).map_err(|error| error.to_string())
}

/// Shown only, so a longer one is cut.
fn subject(text: &str) -> Result<String, String> {
    if text
        .chars()
        .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}'))
    {
        return Err("this has a line break or another character that cannot be shown".to_owned());
    }
    Ok(text.chars().take(SUBJECT_MAX).collect())
}

fn word<T: FromStr + Display + Copy>(text: &str, all: &[T], what: &str) -> Result<T, String> {
    text.parse().map_err(|_| {
        let names: Vec<String> = all.iter().map(ToString::to_string).collect();
        let near = nearest(text, names.iter().map(String::as_str)).unwrap_or_default();
        format!("{text} is not {what}; the nearest is {near}")
    })
}

fn time(text: &str) -> Result<Timestamp, String> {
    moment::read(text).ok_or_else(|| format!("{text} is not a time; {}", moment::FORMS))
}

fn status(text: &str) -> Result<bool, String> {
    match text {
        "open" => Ok(false),
        "paid" => Ok(true),
        _ => Err(format!(
            "{text} is not a status; write open or paid, and leave out orders that have ended"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;
    use crate::config::Sources;
    use crate::wiring;

    const GOOD: [(&str, &str); 6] = [
        ("order_no", "20181121774779"),
        ("amount_yuan", "19.9"),
        ("subject", "龙井茶"),
        ("channel", "wechat.native"),
        ("created_at", "2026-11-21 14:30:00"),
        ("status", "open"),
    ];

    const CONFIG: &str = r#"
        [[apps]]
        name = "shop"
        [[apps.accounts]]
        name = "shop_wechat_v2"
        provider = "wechat"
        api = "v2"
        app_id = "wx0123456789abcdef"
        mch_id = "1900000001"
        api_key = "0123456789abcdef0123456789abcdef"
        [[apps.accounts]]
        name = "shop_alipay_legacy"
        provider = "alipay"
        api = "legacy"
        partner = "2088000000000000"
        md5_key = "0123456789abcdef0123456789abcdef"
        [[compat]]
        profile = "payorder"
        app = "shop"
        [[compat]]
        profile = "wxpay"
        app = "shop"
    "#;

    fn books() -> Books {
        let base = toml::from_str(CONFIG).unwrap();
        let config = Sources { base, ..Sources::default() }.load().unwrap();
        Books::new(&wiring::compat(&config), &config.apps[0], Mode::Live)
    }

    /// Reads a good line with these fields over it; an empty one is taken away.
    fn read(over: &[(&str, &str)]) -> Result<Claim, String> {
        let given = |name: &str| over.iter().any(|(other, _)| *other == name);
        let kept = GOOD.iter().filter(|(name, _)| !given(name));
        let all: Vec<&(&str, &str)> = kept.chain(over).collect();
        let line = |part: fn(&(&str, &str)) -> String| {
            all.iter().map(|field| part(field)).collect::<Vec<_>>().join("\t")
        };
        let text = format!("{}\n{}\n", line(|f| f.0.to_owned()), line(|f| f.1.to_owned()));
        let table = Table::new(&text).unwrap();
        assert_eq!(table.problems(), []);
        let row = table.rows().next().unwrap().ok().unwrap();
        books()
            .read(&row)
            .map_err(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn a_line_becomes_an_order() {
        let claim = read(&[]).unwrap();
        assert!(!claim.is_paid);
        let order = claim.order;
        assert_eq!(order.amount.fen(), Fen(1990));
        assert_eq!(order.out_trade_no.as_str(), order.order_no.as_str());
        assert_eq!(order.created_at.to_string(), "2026-11-21T06:30:00Z");
        assert_eq!((order.account, order.profile, order.expires_at), (None, None, None));
        assert_eq!(order.metadata, [("imported".to_owned(), "open".to_owned())]);
    }

    #[test]
    fn a_paid_line_keeps_what_the_books_say_as_notes() {
        let over = [
            ("status", "paid"),
            ("provider_trade_no", "4200000178"),
            ("paid_at", "20261121143100"),
            ("metadata.notify_url", "https://shop.example/paid"),
            ("out_trade_no", "W-774779"),
            ("profile", "payorder"),
        ];
        let claim = read(&over).unwrap();
        assert!(claim.is_paid);
        let notes: Vec<String> =
            claim.order.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let wanted = [
            "nonce_str=",
            "notify_url=https://shop.example/paid",
            "imported=paid",
            "imported_trade_no=4200000178",
            "imported_paid_at=2026-11-21T06:31:00Z",
        ];
        assert_eq!(notes, wanted);
        assert_eq!(claim.order.out_trade_no.as_str(), "W-774779");
        assert_eq!(claim.order.account.unwrap().as_str(), "shop_wechat_v2", "the profile's");
    }

    #[test]
    fn each_problem_names_its_column_and_what_to_write() {
        let cases: [(&[(&str, &str)], &str); 19] = [
            (&[("order_no", "")], "order_no: this is empty"),
            (
                &[("order_no", "2.01811E+13")],
                "order_no: 2.01811E+13 is a number that a spreadsheet",
            ),
            (&[("order_no", "订单1")], "order_no: an order number is 1 to 64"),
            (&[("amount_yuan", "")], "amount_fen: this is empty, and so is amount_yuan"),
            (&[("amount_fen", "1990")], "amount_yuan: amount_fen is there too"),
            (&[("amount_yuan", "19.999")], "amount_yuan: an amount of yuan is digits"),
            (&[("amount_yuan", "0")], "amount_yuan: an amount is at least 1 fen"),
            (&[("amount_yuan", ""), ("amount_fen", "19.9")], "amount_fen: an amount of fen is a"),
            (
                &[("amount_yuan", ""), ("amount_fen", "99999999999")],
                "amount_fen: an amount is at most",
            ),
            (&[("subject", "a\u{7}b")], "subject: this has a line break"),
            (&[("channel", "wechat.natve")], "is not a channel; the nearest is wechat.native"),
            (&[("account", "shop_wechat_v4")], "the nearest is shop_wechat_v2"),
            (&[("profile", "wepay")], "no [[compat]] table of wepay for shop"),
            (&[("created_at", "yesterday")], "created_at: yesterday is not a time; write 2026"),
            (&[("expires_at", "x")], "expires_at: x is not a time"),
            (&[("status", "closed")], "status: closed is not a status; write open or paid"),
            (&[("paid_at", "20261121143100")], "paid_at: an open order has none"),
            (&[("metadata.imported", "x")], "the import itself writes this note"),
            (&[("metadata.a", &"长".repeat(501))], "metadata.a: this has more than 500"),
        ];
        for (over, wanted) in cases {
            let told = read(over).expect_err(wanted);
            assert!(told.starts_with("line 2, ") && told.contains(wanted), "{wanted}: {told}");
            assert_eq!(told.lines().count(), 1, "{told}");
        }
        let all = read(&[("order_no", ""), ("status", "?"), ("subject", "")]).unwrap_err();
        assert_eq!(all.lines().count(), 3, "{all}");
    }

    /// The view `deal` reads the first two notes as numbers.
    #[test]
    fn an_order_of_wxpay_has_its_numbers_in_their_places() {
        let notes = |over: &[(&str, &str)]| {
            let over = [&[("profile", "wxpay"), ("metadata.a", "x")], over].concat();
            let claim = read(&over)?;
            Ok::<_, String>(claim.order.metadata.into_iter().map(|(_, value)| value).collect())
        };
        let both = [("metadata.product_id", "9"), ("metadata.merchant_id", "7")];
        assert_eq!(notes(&both), Ok(["7", "9", "x", "open"].map(str::to_owned).to_vec()));
        let told = notes(&[("metadata.product_id", "n9")]).unwrap_err();
        let wanted = "an order of wxpay has this number, up to 18 digits";
        assert_eq!(told.matches(wanted).count(), 2, "{told}");
    }

    #[test]
    fn a_profile_of_the_other_mode_is_not_mixed_in() {
        let mut books = books();
        books.scope.mode = Mode::Test;
        let told = books.profile("payorder").unwrap_err();
        assert!(told.ends_with("import with --mode live"), "{told}");
    }

    #[test]
    fn a_long_subject_is_cut_since_it_is_only_shown() {
        let claim = read(&[("subject", &"茶".repeat(200))]).unwrap();
        assert_eq!(claim.order.subject.chars().count(), 127);
    }
}
