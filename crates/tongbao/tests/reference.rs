//! The pages of `docs/reference`, rendered from the code and compared with the committed files, so
//! that they cannot fall behind; and the example configuration, which the program must take.
//!
//! After a change that they show, write the pages anew with
//! `TONGBAO_UPDATE=1 cargo test -p tongbao --test reference`. The prose around the tables is here
//! too. Guides are written by hand, and the routes of `/v1` stand in the OpenAPI document.

#![expect(clippy::unwrap_used, reason = "a test may")]

use schema::{Key, Kind, ROOT};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tongbao_channels::catalogue::{self, CATALOGUE, Entry, Outcome, Remedy};
use tongbao_core::EventKind;
use tongbao_sandbox::magic::{self, Side};
use tongbao_types::{Code, Provider};

#[path = "../src/config/schema.rs"]
#[expect(dead_code, reason = "the binary looks keys up; the page only lists them")]
mod schema;

const BINARY: &str = env!("CARGO_BIN_EXE_tongbao");

#[test]
fn the_page_of_errors_lists_every_code() {
    check("errors.md", &errors());
}

#[test]
fn the_page_of_the_providers_codes_lists_the_catalogue() {
    check("provider-codes.md", &provider_codes());
}

#[test]
fn the_catalogue_knows_every_code_that_the_sandbox_can_say() {
    let mut said: Vec<(Provider, String)> = Vec::new();
    for refusal in tongbao_alipay::Refusal::ALL {
        let code = if refusal.sub_code.is_empty() { refusal.code } else { refusal.sub_code };
        said.push((Provider::Alipay, code.to_owned()));
    }
    for folder in ["tongbao-wechat", "tongbao-sandbox"] {
        let source = sources(&root().join("crates").join(folder).join("src"));
        for begin in ["Refusal::business(\"", "Refusal::new("] {
            for (at, _) in source.match_indices(begin) {
                let rest = &source[at + begin.len()..];
                let end = rest.find([')', ';']).unwrap_or(rest.len());
                let call = format!("\"{}", rest[..end].trim_start_matches('"'));
                let code = call.split('"').nth(if begin.ends_with('"') { 1 } else { 2 });
                let is_code = |c: &&str| {
                    !c.is_empty() && c.bytes().all(|b| b"_".contains(&b) || b.is_ascii_uppercase())
                };
                said.extend(code.filter(is_code).map(|c| (Provider::Wechat, c.to_owned())));
            }
        }
    }
    assert!(said.iter().filter(|(provider, _)| *provider == Provider::Wechat).count() > 20);
    said.retain(|(provider, code)| catalogue::find(*provider, code).is_none());
    assert!(said.is_empty(), "the catalogue lacks {said:?}");
}

/// The text of all Rust files below a folder.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            all += &std::fs::read_to_string(&path).unwrap();
        }
    }
    all
}

#[test]
fn the_page_of_magic_amounts_lists_every_row() {
    check("magic-amounts.md", &magic_amounts());
}

#[test]
fn the_page_of_events_lists_every_event() {
    check("events.md", &events());
}

#[test]
fn the_page_of_the_configuration_lists_every_key() {
    check("configuration.md", &configuration());
}

#[test]
fn the_page_of_commands_shows_the_help_of_every_command() {
    check("commands.md", &commands());
}

#[test]
fn the_example_configuration_is_taken_as_it_is_and_with_all_that_is_off_in_it() {
    let text = std::fs::read_to_string(root().join("tongbao.example.toml")).unwrap();
    let on: String = text.lines().map(|line| format!("{}\n", switched_on(line))).collect();
    // Two sources for one key are refused, and rightly.
    let on = on.replace("url_file = \"database_url.txt\"\n", "");
    assert!(on.contains("\n[sandbox]\n") && on.contains("\ntrusted_proxies = "));
    for text in [text, on] {
        let output = list_keys(&text);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}\n{text}");
    }
    let wrong = list_keys("[server]\nlisen = \"127.0.0.1:1\"\n");
    assert!(!wrong.status.success(), "a wrong key would not be noticed here");
}

/// Compares a page with the committed one, or writes it if that is asked for.
fn check(name: &str, rendered: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("TONGBAO_UPDATE").is_some() {
        std::fs::write(&path, rendered).unwrap();
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == rendered,
        "docs/reference/{name} is not what the code says now; write it anew with \
         `TONGBAO_UPDATE=1 cargo test -p tongbao --test reference` and read the difference"
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A page; each paragraph and table is set off by an empty line.
fn page(title: &str, parts: &[String]) -> String {
    let note =
        "<!-- Generated from the code by crates/tongbao/tests/reference.rs; change it there. -->";
    format!("# {title}\n\n{note}\n\n{}\n", parts.join("\n\n"))
}

fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |", cells.join(" | ").replace('<', "&lt;"));
    let heading: Vec<String> = heading.iter().map(|cell| (*cell).to_owned()).collect();
    let rule = vec!["---".to_owned(); heading.len()];
    let lines = [line(&heading), line(&rule)].into_iter();
    lines.chain(rows.into_iter().map(|row| line(&row))).collect::<Vec<_>>().join("\n")
}

// Errors.

/// Where a code is seen.
#[derive(PartialEq, Eq)]
enum Place {
    /// In the reply to a request.
    Reply,
    /// At a charge, about a notification that was not believed.
    Notice,
    /// At a charge, about a payment that was not expected.
    Charge,
    /// At a refund.
    Refund,
}

/// A new code does not compile until it is placed.
fn place(code: Code) -> Place {
    match code {
        Code::AccountMismatch
        | Code::AmountMismatch
        | Code::CurrencyMismatch
        | Code::NoticeMalformed
        | Code::NoticeStale
        | Code::NoticeUndecryptable
        | Code::SignatureDowngraded
        | Code::SignatureKeyUnknown
        | Code::SignatureMismatch
        | Code::SignatureMissing
        | Code::TradeNoMismatch => Place::Notice,
        Code::PaidLate | Code::PaidTwice | Code::PaidWrongAmount => Place::Charge,
        Code::RefundAbnormal | Code::RefundClosed => Place::Refund,
        Code::AccountMissing
        | Code::AmountTooLarge
        | Code::AmountTooSmall
        | Code::AuthenticationRequired
        | Code::BillMissing
        | Code::BillNotReady
        | Code::BillUnreadable
        | Code::BodyTooLarge
        | Code::ChannelUnavailable
        | Code::ChargeNotPending
        | Code::Conflict
        | Code::IdempotencyKeyBusy
        | Code::IdempotencyKeyReused
        | Code::Internal
        | Code::InvalidJson
        | Code::InvalidKey
        | Code::InvalidParameter
        | Code::MethodNotAllowed
        | Code::MissingParameter
        | Code::NotFound
        | Code::NothingToRefund
        | Code::OrderNoInUse
        | Code::ProviderRefused
        | Code::ProviderUnknown
        | Code::RateLimited
        | Code::RefundNoInUse
        | Code::RefundTooLarge
        | Code::RefundTooLate
        | Code::RefundTooMany
        | Code::Unavailable
        | Code::UnknownParameter
        | Code::UnsupportedMediaType
        | Code::UrlForbidden => Place::Reply,
    }
}

fn errors() -> String {
    let codes = |wanted: Place| Code::ALL.iter().filter(move |code| place(**code) == wanted);
    let name = |code: &Code| format!("`{code}`");
    let both = |code: &Code| format!("{} {}", code.meaning(), code.meaning_zh());
    let replies = codes(Place::Reply).map(|code| {
        let status = tongbao_api::problem::status(*code).as_u16();
        vec![name(code), status.to_string(), both(code)]
    });
    let plain = |wanted| {
        let rows = codes(wanted).map(|code| vec![name(code), both(code)]);
        table(&["code", "meaning"], rows)
    };
    page(
        "Errors",
        &[
            "Branch on `code`: codes are stable, and new ones may be added. `detail` is for people \
             and may change. `param` names what is wrong, `request_id` finds the request in the \
             log, and `provider` has the provider's own code and words if it was the provider that \
             said no; [provider-codes.md](provider-codes.md) says what they mean. `money_moved` is \
             `no`, `yes` or `unknown`, and `retry` is `same_request`, `after` (with `Retry-After`) \
             or `never`."
                .to_owned(),
            "## Replies".to_owned(),
            "A reply with a status of 400 or more is a problem (RFC 9457, \
             `application/problem+json`) with one of these codes. With `Retry-After` it can be \
             sent again unchanged, after so many seconds."
                .to_owned(),
            table(&["code", "status", "meaning"], replies),
            "## Notifications that were not believed".to_owned(),
            "Such a notification changed nothing. If it named one of your orders, its reason \
             stands in `refused_notices` of the charge; otherwise in the log."
                .to_owned(),
            plain(Place::Notice),
            "## Payments that nobody expected".to_owned(),
            "The charge's `failure` has one of these codes. A second payment goes back by itself; \
             `late_payments` and `wrong_amounts` of the app decide about the other two."
                .to_owned(),
            plain(Place::Charge),
            "## Refunds in trouble".to_owned(),
            "The refund's `failure` has one of these codes, or `provider_refused`.".to_owned(),
            plain(Place::Refund),
        ],
    )
}

fn provider_codes() -> String {
    let mut parts = vec![
        "What the providers' own codes mean (`provider.code` of a problem, `provider_code` of a \
         `failure`): whether money may have moved by the request that got it, and whether to send \
         it again. Spellings with and without underscores and `ACQ.` are the same code.\n\n\
         渠道错误码的含义：该请求是否可能已动账，以及是否应当重试。"
            .to_owned(),
    ];
    for provider in Provider::ALL {
        parts.push(format!("## {provider}"));
        let of_it = CATALOGUE.iter().filter(|entry| entry.provider == *provider);
        let heading = ["codes", "money moved", "retry", "cause · 原因", "fix · 处理"];
        parts.push(table(&heading, of_it.map(entry_row)));
    }
    page("The providers' codes", &parts)
}

fn entry_row(entry: &Entry) -> Vec<String> {
    let codes: Vec<String> = entry.codes.iter().map(|code| format!("`{code}`")).collect();
    let moved = match entry.outcome {
        Outcome::Nothing => "no",
        Outcome::Unknown => "unknown",
        Outcome::Earlier => "not by this request",
    };
    let retry = match entry.remedy {
        Remedy::SameRequest => "same_request",
        Remedy::Never => "never",
        Remedy::After => "after",
    };
    let both = |words: catalogue::Words| format!("{} {}", words.en, words.zh);
    let (cause, fix) = (both(entry.cause), both(entry.fix));
    vec![codes.join(" "), moved.to_owned(), retry.to_owned(), cause, fix]
}

// The sandbox.

fn magic_amounts() -> String {
    let rows = magic::TABLE.iter().map(|row| {
        let digits = format!("{:05}", row.digits);
        let whose = match row.side {
            Side::Order => "order",
            Side::Scan => "order, code scanned by the merchant",
            Side::Refund => "refund",
        };
        let example = format!("{}.{:02}", row.digits / 100, row.digits % 100);
        vec![format!("…{digits}"), example, whose.to_owned(), row.what.to_owned()]
    });
    page(
        "Magic amounts of the sandbox",
        &[
            "Choose a price, and the sandbox does what the table says. The last five digits of the \
             amount in fen count; of a refund, the refund's own amount. Other amounts do nothing \
             special."
                .to_owned(),
            table(&["amount in fen", "yuan", "whose", "what happens"], rows),
        ],
    )
}

// Events.

fn events() -> String {
    let rows = EventKind::ALL.iter().map(|kind| {
        let all = if kind.only_if_named() { "no" } else { "yes" };
        vec![format!("`{kind}`"), kind.meaning().to_owned(), all.to_owned()]
    });
    page(
        "Events",
        &[
            "An event says that something happened to a charge. It is written in the same \
             transaction as what it tells of, is kept, and never changes. `sequence` counts the \
             events of one charge from 1 without gaps; webhooks may come in another order, or more \
             than once with the same `id`. `data.object` is the charge (of `refund.*`: the refund) \
             as it was then; read it to know how it is now."
                .to_owned(),
            table(&["type", "meaning", "sent for `*`"], rows),
            "A webhook endpoint names the events that it wants: types, beginnings such as \
             `charge.*`, or `*`, which is everything but `poll.*`. Read all of them with \
             `GET /v1/events`."
                .to_owned(),
        ],
    )
}

// The configuration.

fn configuration() -> String {
    let mut parts = vec![
        "`tongbao serve` and `tongbao keys` read `tongbao.toml`, or the file that `--config` or \
         `TONGBAO_CONFIG` names. Over the file go environment variables, and over those `--set`. \
         An unknown key is an error that names the nearest known one. \
         [tongbao.example.toml](../../tongbao.example.toml) is a file to start from."
            .to_owned(),
        "- In the environment: the key's path in upper case after `TONGBAO_`, its parts joined by \
         two underscores. `server.listen` is `TONGBAO_SERVER__LISTEN`; the `mch_id` of the first \
         account of the first app is `TONGBAO_APPS__0__ACCOUNTS__0__MCH_ID`.\n\
         - On the command line: `--set server.listen=0.0.0.0:9009`, `--set apps.0.name=shop`.\n\
         - Where the table says «or file», the key with `_file` after it names a file with the \
         value; relative names start at the folder of the configuration file. Line ends at the \
         file's end do not count.\n\
         - Lengths of time are a whole number and `ms`, `s`, `m`, `h` or `d`. Lists outside a file \
         are separated by commas."
            .to_owned(),
    ];
    describe(ROOT, "", &mut parts);
    page("Configuration", &parts)
}

fn describe(keys: &'static [Key], inside: &str, parts: &mut Vec<String>) {
    for key in keys {
        let name = format!("{inside}{}", key.name);
        let (inner, title) = match key.kind {
            Kind::Table(inner) => (inner, format!("## `[{name}]`")),
            Kind::Tables(inner) => (inner, format!("## `[[{name}]]`")),
            _ => continue,
        };
        parts.extend([title, key.about.to_owned()]);
        let rows = inner.iter().filter_map(|key| {
            Some(vec![format!("`{}`", key.name), holds(key)?.to_owned(), key.about.to_owned()])
        });
        parts.push(table(&["key", "holds", "meaning"], rows));
        describe(inner, &format!("{name}."), parts);
    }
}

/// What a key holds; nothing for a table, which has a heading of its own.
fn holds(key: &Key) -> Option<&'static str> {
    match key.kind {
        Kind::Text => Some("text"),
        Kind::TextOrFile => Some("text, or file"),
        Kind::Secret => Some("secret text, or file"),
        Kind::SecretBytes => Some("secret, base64, or file"),
        Kind::Number => Some("whole number"),
        Kind::Flag => Some("true or false"),
        Kind::Texts => Some("list of texts"),
        Kind::Table(_) | Kind::Tables(_) => None,
    }
}

// Commands.

fn commands() -> String {
    let mut parts =
        vec!["Exit codes: 0 done, 1 failed, 2 wrong usage. Errors go to stderr.".to_owned()];
    show_help(&[], &mut parts);
    page("Commands", &parts)
}

/// The help of a command, then of those below it.
fn show_help(path: &[String], parts: &mut Vec<String>) {
    let text = help(path);
    let title = [&["tongbao".to_owned()], path].concat().join(" ");
    parts.extend([format!("## {title}"), format!("```text\n{text}\n```")]);
    let below = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below = below.take_while(|line| line.starts_with("  "));
    let names: Vec<String> =
        below.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    for name in names.into_iter().filter(|name| name != "help") {
        show_help(&[path, &[name]].concat(), parts);
    }
}

fn help(path: &[String]) -> String {
    let output = Command::new(BINARY).args(path).arg("--help").env_clear().output().unwrap();
    assert!(output.status.success(), "{path:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

// The example.

/// A line that begins with # and no blank is a setting that is off.
fn switched_on(line: &str) -> &str {
    match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting,
        _ => line,
    }
}

/// No key of anybody's.
const MASTER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";

/// Runs a command that reads the whole configuration but opens no account, since the credentials
/// that the example names are not there; files by those names are.
fn list_keys(configuration: &str) -> Output {
    let number = configuration.len();
    let folder = format!("{}/example-{}-{number}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(folder.join("secrets")).unwrap();
    for line in configuration.lines().filter(|line| !line.starts_with('#')) {
        if let Some((_, file)) = line.split_once("_file = ") {
            let file = file.trim_matches('"');
            let text = if file.contains("master_key") { MASTER_KEY } else { "anything" };
            std::fs::write(folder.join(file), text).unwrap();
        }
    }
    std::fs::write(folder.join("tongbao.toml"), configuration).unwrap();
    let arguments = ["keys", "list", "--app", "shop"];
    let output = Command::new(BINARY).args(arguments).current_dir(&folder).env_clear().output();
    std::fs::remove_dir_all(&folder).unwrap();
    output.unwrap()
}
