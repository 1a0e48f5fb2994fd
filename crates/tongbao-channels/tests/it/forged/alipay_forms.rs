//! The kinds of notifications that both of Alipay's gateways share.

use super::Table;
use super::forms::{
    Account, Pairs, all_escaped, escaped, joined, post, remove, set, written, written_by,
};
use tongbao_types::{Code, Method};

pub(super) fn fill(account: &Account, t: &mut Table) {
    genuine(account, t);
    signatures(account, t);
    members(account, t);
    shapes(account, t);
    encodings(account, t);
    contents(account, t);
    ambiguous(account, t);
}

fn genuine(account: &Account, t: &mut Table) {
    let whole = account.whole();
    t.told("as Alipay writes it", account.genuine());
    let mut turned = whole.clone();
    turned.reverse();
    t.told("the other way round", post(written(&turned)));
    t.told("every byte escaped", post(written_by(&whole, all_escaped)));
    let blanks = |bytes: &[u8]| escaped(bytes).replace('+', "%20");
    t.told("blanks as %20", post(written_by(&whole, blanks)));
    let small = |bytes: &[u8]| escaped(bytes).replace("%E", "%e").replace("%2B", "%2b");
    t.told("escapes in small letters", post(written_by(&whole, small)));
    let raw = |bytes: &[u8]| escaped(bytes).replace("%3A", ":").replace("%2F", "/");
    t.told("colons and slashes as they are", post(written_by(&whole, raw)));
    t.told("an empty part", account.text(|x| x.replacen('&', "&&", 1)));
    t.told("an ampersand at the end", account.text(|x| format!("&{x}&")));
    t.told("an empty member more", account.text(|x| format!("{x}&extra=")));
    t.told("a name alone", account.text(|x| format!("extra&{x}")));
    t.told("a new member that is signed", account.signed(|p| set(p, "new_member", "1")));
    t.told(
        "a text with everything in it",
        account.signed(|p| set(p, "subject", "a+b%26&c=d 茶\n")),
    );
    t.told(
        "JSON in a member",
        account.signed(|p| {
            set(p, "fund_bill_list", "[{\"amount\":\"88.88\",\"fundChannel\":\"PCREDIT\"}]");
        }),
    );
    let mut bare = account.genuine();
    bare.headers = vec![("CONTENT-TYPE".to_owned(), "text/html; charset=GBK".to_owned())];
    t.told("another content type", bare);
    let mut query = account.genuine();
    query.target.push_str("?total_amount=1&total_fee=1");
    t.told("members in the address too", query);
}

fn signatures(account: &Account, t: &mut Table) {
    let (wrong, down) = (Code::SignatureMismatch, Code::SignatureDowngraded);
    let string = joined(&account.pairs);
    let own = (account.sign)(string.as_bytes());
    t.refused("no signature", Code::SignatureMissing, account.tampered(|p| remove(p, "sign")));
    t.refused("an empty signature", Code::SignatureMissing, account.under(""));
    t.refused("a blank for a signature", Code::SignatureMissing, account.under(" "));
    t.refused("a signature cut off", wrong, account.under(&own[..own.len() - 4]));
    t.refused("a signature longer", wrong, account.under(&format!("{own}0000")));
    t.refused("the signature twice over", wrong, account.under(&own.repeat(2)));
    t.refused("a blank before it", wrong, account.under(&format!(" {own}")));
    t.refused("a line end after it", wrong, account.under(&format!("{own}\n")));
    t.refused("a null byte after it", wrong, account.under(&format!("{own}\0")));
    t.refused("in capitals", wrong, account.under(&own.to_uppercase()));
    t.refused("escaped twice", wrong, account.under(&escaped(format!("{own}=").as_bytes())));
    t.refused("zeros", wrong, account.under(&"0".repeat(own.len())));
    t.refused("the string itself", wrong, account.under(&string));
    t.refused("over nothing", wrong, account.over(""));
    t.refused("over the body as it was sent", wrong, account.over(&written(&account.pairs)));
    let kind = format!("{string}&sign_type={}", account.sign_type);
    t.refused("over its kind too", wrong, account.over(&kind));
    let mut unsorted: Vec<String> =
        account.pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    unsorted.sort();
    unsorted.reverse();
    t.refused("over the members unsorted", wrong, account.over(&unsorted.join("&")));
    t.refused("over the values alone", wrong, account.over(&string.replace('=', "")));
    let amount = format!("{}=88.88", account.amount);
    assert!(string.contains(&amount));
    t.refused("over all but the amount", wrong, account.over(&string.replace(&amount, "")));
    t.refused("over blanks escaped", wrong, account.over(&string.replace(' ', "%20")));
    for (name, kind) in [
        ("called RSA", "RSA"),
        ("called SHA256", "SHA256"),
        ("called NONE", "NONE"),
        ("its kind in small letters", ""),
        ("its kind with a blank", " "),
    ] {
        let kind = match kind {
            "" => account.sign_type.to_lowercase(),
            " " => format!("{} ", account.sign_type),
            other => other.to_owned(),
        };
        t.refused(name, down, account.tampered(|p| set(p, "sign_type", &kind)));
    }
    let other = if account.sign_type == "MD5" { "RSA2" } else { "MD5" };
    t.refused(
        "called the other gateway's kind",
        down,
        account.tampered(|p| set(p, "sign_type", other)),
    );
    t.refused("of no kind", down, account.tampered(|p| remove(p, "sign_type")));
    t.refused("of an empty kind", down, account.tampered(|p| set(p, "sign_type", "")));
}

fn members(account: &Account, t: &mut Table) {
    let wrong = Code::SignatureMismatch;
    let amount = account.amount;
    let set_to = |name: &'static str, value: &'static str| {
        account.tampered(move |p: &mut Pairs| set(p, name, value))
    };
    t.refused("a smaller amount", wrong, set_to(amount, "0.01"));
    t.refused("the amount with a zero after", wrong, set_to(amount, "88.880"));
    t.refused("the amount with a blank", wrong, set_to(amount, "88.88 "));
    t.refused("another order", wrong, set_to("out_trade_no", "TB20261121000009"));
    t.refused("another number of Alipay's", wrong, set_to("trade_no", "1"));
    t.refused("another state", wrong, set_to("trade_status", "TRADE_FINISHED"));
    t.refused("another buyer", wrong, set_to("buyer_id", "2088000000000009"));
    t.refused("another seller", wrong, set_to("seller_id", "2088000000000009"));
    t.refused("another id of the news", wrong, set_to("notify_id", "1"));
    t.refused("a member more", wrong, set_to("extra", "1"));
    t.refused("a blank member more", wrong, set_to("extra", " "));
    t.refused("a member less", wrong, account.tampered(|p| remove(p, "gmt_payment")));
    t.refused("a member without its value", wrong, set_to("gmt_payment", ""));
    t.refused(
        "two values swapped",
        wrong,
        account.tampered(|p| {
            let value = |p: &Pairs, name: &str| {
                p.iter().find(|(known, _)| known == name).unwrap().1.clone()
            };
            let (ours, theirs) = (value(p, "out_trade_no"), value(p, "trade_no"));
            set(p, "out_trade_no", &theirs);
            set(p, "trade_no", &ours);
        }),
    );
    t.refused(
        "a name in capitals",
        wrong,
        account.tampered(|p| {
            remove(p, "trade_status");
            set(p, "TRADE_STATUS", "TRADE_SUCCESS");
        }),
    );
    t.refused("a text in other letters", wrong, set_to("subject", "Ｔｅａ"));
    t.refused("a plus for a blank, escaped", wrong, account.text(|x| x.replacen('+', "%2B", 1)));
    t.refused("escaped once more", wrong, account.text(|x| x.replace('%', "%25")));
}

fn shapes(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let and = |more: &'static str| account.text(move |x| format!("{x}&{more}"));
    t.refused("an order twice", bad, and("out_trade_no=TB20261121000009"));
    t.refused("an order twice, once escaped", bad, and("out%5Ftrade_no=TB20261121000009"));
    t.refused("a state twice, once empty", bad, and("trade_status="));
    t.refused("a signature twice", bad, and("sign=0"));
    t.refused("a kind twice", bad, and("sign_type=MD5"));
    t.refused("everything twice", bad, account.text(|x| format!("{x}&{x}")));
    t.refused("a charset twice", bad, and("charset=utf-8&charset=utf-8"));
    let many = "x&".repeat(10) + &(0..300).map(|i| format!("k{i}=&")).collect::<String>();
    t.refused("three hundred members more", bad, account.text(|x| format!("{many}{x}")));
    t.refused("a list", Code::SignatureMismatch, and("trade_status[]=TRADE_CLOSED"));
    let semicolons = account.text(|x| x.replace('&', ";"));
    t.refused("semicolons", Code::SignatureMissing, semicolons);
    t.refused(
        "half of it",
        Code::SignatureMissing,
        account.text(|x| {
            let end = x.find("&sign=").unwrap();
            x[..end].to_owned()
        }),
    );
    t.refused("nothing", Code::SignatureMissing, post(""));
    t.refused("a blank", Code::SignatureMissing, post(" "));
    t.refused("XML", Code::SignatureMissing, post("<xml><sign>0</sign></xml>"));
    t.refused("JSON", Code::SignatureMissing, post("{\"sign\":\"0\"}"));
    t.refused("larger than 64 KiB", bad, account.text(|x| format!("{x}&{}", "x".repeat(65_536))));
    let mut got = account.genuine();
    got.method = Method::Get;
    t.refused("not posted", bad, got);
    let mut got = account.genuine();
    got.target = format!("{}?{}", got.target, String::from_utf8(got.body.to_vec()).unwrap());
    got.body = "".into();
    t.refused("in the address alone", Code::SignatureMissing, got);
    t.refused(
        "as parts of a page",
        Code::SignatureMissing,
        account.text(|x| {
            format!("--b\r\nContent-Disposition: form-data\r\n\r\n{}", x.replace("sign=", "sign:"))
        }),
    );
}

fn encodings(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let charset = |name: &str| account.signed(|p| set(p, "charset", name));
    t.refused("signed in Latin", bad, charset("latin1"));
    t.refused("signed in UTF-7", bad, charset("utf-7"));
    t.refused("signed in UTF-16", bad, charset("UTF-16LE"));
    t.refused("signed in no charset", bad, charset(" "));
    t.refused(
        "a byte that is no letter",
        bad,
        account.text(|x| x.replacen("subject=", "subject=%FF", 1)),
    );
    t.refused(
        "an overlong letter",
        bad,
        account.text(|x| x.replacen("subject=", "subject=%C0%AF", 1)),
    );
    t.refused(
        "half a pair of UTF-16",
        bad,
        account.text(|x| x.replacen("subject=", "subject=%ED%A0%80", 1)),
    );
    t.refused("a name that is no letter", bad, account.text(|x| format!("{x}&%FF=")));
    let wrong = Code::SignatureMismatch;
    t.refused("a null byte", wrong, account.text(|x| x.replacen("88.88", "88.88%00", 1)));
    t.refused("a null byte as it is", wrong, account.text(|x| x.replacen("88.88", "88.88\0", 1)));
    t.refused("a byte order mark", wrong, account.text(|x| format!("\u{feff}{x}")));
    t.refused("half an escape", wrong, account.text(|x| x.replacen("subject=", "subject=%4", 1)));
    t.refused(
        "a zero-width letter",
        wrong,
        account.text(|x| x.replacen("88.88", "88.88%E2%80%8B", 1)),
    );
    t.refused(
        "the same letter of another form",
        wrong,
        account.text(|x| x.replacen("subject=", "subject=e%CC%81", 1)),
    );
}

fn contents(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let amount = account.amount;
    for (name, value) in [
        ("signed without an amount", ""),
        ("signed with three decimals", "88.888"),
        ("signed with a negative amount", "-88.88"),
        ("signed with a plus", "+88.88"),
        ("signed with an exponent", "8.8e1"),
        ("signed with a huge amount", "99999999999999999999.00"),
        ("signed with a comma", "88,88"),
        ("signed with other digits", "８８.８８"),
        ("signed with blanks", " 88.88"),
        ("signed with NaN", "NaN"),
    ] {
        t.refused(name, bad, account.signed(|p| set(p, amount, value)));
    }
    for (name, member) in [
        ("signed without an order", "out_trade_no"),
        ("signed without Alipay's number", "trade_no"),
        ("signed without a state", "trade_status"),
        ("signed without an id", "notify_id"),
    ] {
        t.refused(name, bad, account.signed(|p| remove(p, member)));
    }
    t.refused(
        "signed with an order of blanks",
        bad,
        account.signed(|p| set(p, "out_trade_no", "a b")),
    );
    t.refused(
        "signed with a time that is none",
        bad,
        account.signed(|p| set(p, "gmt_payment", "noon")),
    );
    t.tells(
        "genuine, in an unknown state",
        account.signed(|p| set(p, "trade_status", "TRADE_PENDING")),
        tongbao_channels::Notice::Other,
    );
    t.tells(
        "genuine, not paid yet",
        account.signed(|p| set(p, "trade_status", "WAIT_BUYER_PAY")),
        tongbao_channels::Notice::Other,
    );
    t.refused(
        "genuine, of another seller",
        Code::AccountMismatch,
        account.signed(|p| set(p, "seller_id", "2088000000000009")),
    );
}

/// One string, two ways to cut it: both have the same signature.
fn ambiguous(account: &Account, t: &mut Table) {
    let bad = Code::NoticeMalformed;
    let same = |p: &Pairs| assert_eq!(joined(p), joined(&account.pairs), "the signature fits");
    t.refused(
        "a value swallows the next member",
        bad,
        account.tampered(|p| {
            remove(p, "trade_no");
            set(p, account.amount, &format!("88.88&trade_no={}", crate::world::TRADE_NO));
            same(p);
        }),
    );
    t.refused(
        "a name swallows another member",
        bad,
        account.tampered(|p| {
            remove(p, "buyer_id");
            remove(p, "gmt_payment");
            // Whatever stands between the two in the string goes into the name as well.
            let string = joined(&account.pairs);
            let (begin, end) =
                (string.find("buyer_id=").unwrap(), string.find("gmt_payment=").unwrap());
            let between: Vec<String> = string[begin..end]
                .trim_end_matches('&')
                .split('&')
                .skip(1)
                .map(|part| part.split('=').next().unwrap().to_owned())
                .collect();
            between.iter().for_each(|name| remove(p, name));
            let value =
                account.pairs.iter().find(|(name, _)| name == "gmt_payment").unwrap().1.clone();
            set(p, &format!("{}gmt_payment", &string[begin..end]), &value);
            same(p);
        }),
    );
    t.refused(
        "genuine, and a text could be two members",
        bad,
        account.signed(|p| set(p, "subject", "tea&trade_status=TRADE_SUCCESS")),
    );
    t.refused(
        "genuine, and a text ends in a member",
        bad,
        account.signed(|p| set(p, "body", "x&out_trade_no=")),
    );
    t.refused("genuine, and a name could be two", bad, account.signed(|p| set(p, "a=1&b", "1")));
}
