//! From text to a table in which every name and kind is known: the file, then the environment,
//! then `--set`, each over the one before; then the files that keys with `_file` name.
//!
//! Errors name the place (line, variable or option), the table and the nearest known key.

use super::env::{self, Setting};
use super::modes;
use super::nearest::nearest;
use super::schema::{FILE_SUFFIX, Found, Key, Kind, ROOT, find};
use super::{ConfigError, Sources};
use data_encoding::BASE64;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The whole configuration as written; nothing is decided yet.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Raw {
    pub(crate) server: RawServer,
    pub(crate) database: RawDatabase,
    pub(crate) security: RawSecurity,
    pub(crate) apps: Vec<RawApp>,
    pub(crate) limits: RawLimits,
    pub(crate) polling: RawPolling,
    pub(crate) webhooks: RawWebhooks,
    pub(crate) sandbox: Option<RawSandbox>,
    pub(crate) log: RawLog,
    pub(crate) compat: Vec<RawCompat>,
    /// Files that hold secrets and that every user of the machine may read.
    #[serde(skip)]
    pub(crate) open_files: Vec<PathBuf>,
}

/// `[server]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawServer {
    pub(crate) listen: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) trusted_proxies: Vec<String>,
    pub(crate) drain: Option<String>,
}

/// `[database]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawDatabase {
    pub(crate) url: Option<String>,
    pub(crate) batch_max: Option<i64>,
    pub(crate) lease: Option<String>,
}

/// `[security]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSecurity {
    pub(crate) master_key: Option<String>,
    pub(crate) old_master_keys: Option<String>,
}

/// `[[apps]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawApp {
    pub(crate) name: Option<String>,
    pub(crate) late_payments: Option<String>,
    pub(crate) wrong_amounts: Option<String>,
    pub(crate) accounts: Vec<RawAccount>,
}

/// `[[apps.accounts]]`: everything as written, by name, since which keys belong to an account
/// depends on its provider and api. The schema has checked the names already.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct RawAccount {
    pub(crate) keys: std::collections::BTreeMap<String, toml::Value>,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLimits {
    pub(crate) connections: Option<i64>,
    pub(crate) orders_under_way: Option<i64>,
    pub(crate) requests_per_key: Option<i64>,
    pub(crate) requests_per_address: Option<i64>,
    pub(crate) wrong_keys_per_address: Option<i64>,
}

/// `[polling]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawPolling {
    pub(crate) delay: Option<String>,
    pub(crate) attempts: Option<i64>,
    pub(crate) backoff: Option<String>,
    pub(crate) ttl: Option<String>,
}

/// `[webhooks]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawWebhooks {
    pub(crate) allow_loopback: Option<bool>,
    pub(crate) allow: Vec<String>,
}

/// `[sandbox]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawSandbox {
    pub(crate) listen: Option<String>,
    pub(crate) data: Option<String>,
}

/// `[log]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawLog {
    pub(crate) filter: Option<String>,
    pub(crate) file: Option<String>,
}

/// `[[compat]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawCompat {
    pub(crate) profile: Option<String>,
    pub(crate) app: Option<String>,
    pub(crate) allow_from: Vec<String>,
    pub(crate) livemode: Option<bool>,
    pub(crate) account: Option<String>,
    pub(crate) alipay_account: Option<String>,
    pub(crate) cb_notify_url: Option<String>,
    pub(crate) payment_function_url: Option<String>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) endpoint: Option<String>,
    pub(crate) endpoint_ca: Option<String>,
    pub(crate) merchants: Vec<RawMerchant>,
}

/// `[[compat.merchants]]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RawMerchant {
    pub(crate) env: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) cb_notify_url: Option<String>,
}

// What these hold may be secret, so only the names are shown.
impl std::fmt::Debug for RawDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawDatabase").field("batch_max", &self.batch_max).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RawSecurity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawSecurity").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for RawAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.keys.keys()).finish()
    }
}

/// Reads all sources into one.
pub(crate) fn read(sources: &Sources) -> Result<Raw, ConfigError> {
    let mut table = sources.base.clone();
    let mut open_files = Vec::new();
    if let Some(file) = &sources.file {
        let parsed = parse(&file.text, &file.path)?;
        if holds_secret(&parsed, ROOT) {
            modes::note(&file.path, &mut open_files);
        }
        table.extend(parsed);
    }
    let from_env = env::settings(&sources.environment)?;
    let from_options = sources.set.iter().map(|text| env::option(text));
    let from_options = from_options.collect::<Result<Vec<_>, _>>()?;
    for setting in from_env.iter().chain(&from_options) {
        apply(&mut table, ROOT, setting, 0)?;
    }
    let folder = sources.file.as_ref().and_then(|file| file.path.parent());
    let folder = folder.unwrap_or(Path::new(""));
    read_files(&mut table, ROOT, folder, &mut open_files)?;
    // The cause's own text would show the line, secrets and all.
    let mut raw: Raw = table
        .try_into()
        .map_err(|error| ConfigError::new(format!("the configuration: {}", error.message())))?;
    let configs = raw.compat.iter_mut().filter_map(|compat| compat.config.as_mut());
    for config in configs {
        *config = folder.join(&*config);
        modes::note(config, &mut open_files);
    }
    raw.open_files = open_files;
    Ok(raw)
}

fn parse(text: &str, path: &Path) -> Result<toml::Table, ConfigError> {
    let place = |at: usize| format!("{}, line {}", path.display(), line_of(text, at));
    let spanned = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        ConfigError::new(format!("{}: {}", place(at), error.message()))
    })?;
    check(spanned.get_ref(), ROOT, "", &place)?;
    let parsed = text.parse();
    parsed.map_err(|error: toml::de::Error| {
        ConfigError::new(format!("{}: {}", path.display(), error.message()))
    })
}

/// Whether a table of the file has a secret in it, rather than the name of a file.
fn holds_secret(table: &toml::Table, keys: &'static [Key]) -> bool {
    table.iter().any(|(name, value)| {
        let key = keys.iter().find(|key| key.name == name.as_str());
        match (key.map(|key| key.kind), value) {
            (Some(Kind::Secret), toml::Value::String(text)) => {
                // The address of an SQLite file is none.
                !text.starts_with("sqlite:")
            }
            (Some(Kind::SecretBytes), _) => true,
            (Some(Kind::Table(inner)), toml::Value::Table(inside)) => holds_secret(inside, inner),
            (Some(Kind::Tables(inner)), toml::Value::Array(list)) => {
                list.iter().filter_map(toml::Value::as_table).any(|one| holds_secret(one, inner))
            }
            _ => false,
        }
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Checks the names and kinds of a table of the file. `name` is the table's own, dotted.
fn check(
    table: &DeTable<'_>,
    keys: &'static [Key],
    name: &str,
    place: &dyn Fn(usize) -> String,
) -> Result<(), ConfigError> {
    for (key, value) in table {
        let word: &str = key.get_ref();
        let at = place(key.span().start);
        let Some(found) = find(keys, word) else {
            return Err(ConfigError::new(format!("{at}: {}", unknown(keys, name, word))));
        };
        let full = if name.is_empty() { word.to_owned() } else { format!("{name}.{word}") };
        let kind = match found {
            Found::Value(key) => key.kind,
            Found::File => Kind::Text,
        };
        match (kind, value.get_ref()) {
            (Kind::Table(inner), DeValue::Table(table)) => check(table, inner, &full, place)?,
            (Kind::Tables(inner), DeValue::Array(list)) => {
                for item in list {
                    let DeValue::Table(table) = item.get_ref() else {
                        return Err(wrong_kind(&at, &full, kind));
                    };
                    check(table, inner, &full, place)?;
                }
            }
            (kind, value) if fits(kind, value) => {}
            (kind, _) => return Err(wrong_kind(&at, &full, kind)),
        }
    }
    Ok(())
}

fn fits(kind: Kind, value: &DeValue<'_>) -> bool {
    let text = |item: &Spanned<DeValue<'_>>| matches!(item.get_ref(), DeValue::String(_));
    match (kind, value) {
        (Kind::Text | Kind::TextOrFile | Kind::Secret | Kind::SecretBytes, DeValue::String(_))
        | (Kind::Number, DeValue::Integer(_))
        | (Kind::Flag, DeValue::Boolean(_)) => true,
        (Kind::Texts, DeValue::Array(list)) => list.iter().all(text),
        _ => false,
    }
}

fn wrong_kind(at: &str, key: &str, kind: Kind) -> ConfigError {
    let wanted = match kind {
        Kind::Text | Kind::TextOrFile | Kind::Secret => "a text in quotes",
        Kind::SecretBytes => "base64 in quotes, or better a file",
        Kind::Number => "a whole number",
        Kind::Flag => "true or false",
        Kind::Texts => "a list of texts, such as [\"10.0.0.0/8\"]",
        Kind::Table(_) => "a table, written [name]",
        Kind::Tables(_) => "a list of tables, each written [[name]]",
    };
    ConfigError::new(format!("{at}: {key} must be {wanted}"))
}

/// Says that a key is not known, and which one is nearest.
pub(crate) fn unknown(keys: &'static [Key], table: &str, word: &str) -> String {
    let place = match table {
        "" => "at the top".to_owned(),
        "apps" | "apps.accounts" | "compat" | "compat.merchants" => format!("in [[{table}]]"),
        _ => format!("in [{table}]"),
    };
    let near = match word.strip_suffix(FILE_SUFFIX) {
        Some(bare) if keys.iter().any(Key::may_be_file) => {
            let fitting = keys.iter().filter(|key| key.may_be_file()).map(|key| key.name);
            format!("{}{FILE_SUFFIX}", nearest(bare, fitting).unwrap_or_default())
        }
        _ => nearest(word, keys.iter().map(|key| key.name)).unwrap_or_default().to_owned(),
    };
    format!("there is no key \"{word}\" {place}; the nearest known key is \"{near}\"")
}

/// Puts one setting into the table, from its path's segment `depth` on.
fn apply(
    table: &mut toml::Table,
    keys: &'static [Key],
    setting: &Setting,
    depth: usize,
) -> Result<(), ConfigError> {
    let refuse = |why: String| ConfigError::usage(format!("{}: {why}", setting.origin));
    let parent = setting.path[..depth].join(".");
    let Some(word) = setting.path.get(depth) else {
        return Err(refuse(format!("{parent} is a table; name a key in it")));
    };
    let found = find(keys, word).ok_or_else(|| refuse(unknown(keys, &parent, word)))?;
    let kind = match found {
        Found::Value(key) => key.kind,
        Found::File => Kind::Text,
    };
    match kind {
        Kind::Table(inner) => {
            let slot = table.entry(word.as_str()).or_insert_with(|| toml::Table::new().into());
            let inside = slot.as_table_mut().expect("the schema says it is a table");
            apply(inside, inner, setting, depth + 1)
        }
        Kind::Tables(inner) => {
            let slot = table.entry(word.as_str()).or_insert_with(|| toml::Value::Array(Vec::new()));
            let list = slot.as_array_mut().expect("the schema says it is a list");
            let item = item(list, setting, depth + 1).map_err(refuse)?;
            apply(item, inner, setting, depth + 2)
        }
        _ if setting.path.len() > depth + 1 => {
            Err(refuse(format!("{} holds a value, not a table", setting.path[..=depth].join("."))))
        }
        kind => {
            let value = value(kind, &setting.value);
            let value = value.ok_or_else(|| wrong_kind(&setting.origin, &setting.name(), kind))?;
            // A later source that names a file replaces an earlier value, and the other way round.
            let bare = word.strip_suffix(FILE_SUFFIX).unwrap_or(word);
            table.remove(bare);
            table.remove(&format!("{bare}{FILE_SUFFIX}"));
            table.insert(word.clone(), value);
            Ok(())
        }
    }
}

/// The table of a list that the path's segment `depth` counts; the one after the last is new.
fn item<'a>(
    list: &'a mut Vec<toml::Value>,
    setting: &Setting,
    depth: usize,
) -> Result<&'a mut toml::Table, String> {
    let name = setting.path[..depth].join(".");
    let idx: usize = setting
        .path
        .get(depth)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{name} is a list; count its items from 0, such as {name}.0"))?;
    if idx == list.len() {
        list.push(toml::Table::new().into());
    }
    let n_items = list.len();
    let item = list.get_mut(idx).and_then(toml::Value::as_table_mut);
    item.ok_or_else(|| format!("{name} has {n_items} items, so the next one is {name}.{n_items}"))
}

fn value(kind: Kind, text: &str) -> Option<toml::Value> {
    match kind {
        Kind::Number => text.parse::<i64>().ok().map(toml::Value::from),
        Kind::Flag => text.parse::<bool>().ok().map(toml::Value::from),
        Kind::Texts => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(items.map(toml::Value::from).collect::<Vec<_>>().into())
        }
        Kind::Text | Kind::TextOrFile | Kind::Secret | Kind::SecretBytes => Some(text.into()),
        Kind::Table(_) | Kind::Tables(_) => None,
    }
}

/// Replaces each `…_file` by what stands in the file. Relative names start at `folder`.
fn read_files(
    table: &mut toml::Table,
    keys: &'static [Key],
    folder: &Path,
    open_files: &mut Vec<PathBuf>,
) -> Result<(), ConfigError> {
    for key in keys {
        match (key.kind, table.get_mut(key.name)) {
            (Kind::Table(inner), Some(toml::Value::Table(inside))) => {
                read_files(inside, inner, folder, open_files)?;
            }
            (Kind::Tables(inner), Some(toml::Value::Array(list))) => {
                for inside in list.iter_mut().filter_map(toml::Value::as_table_mut) {
                    read_files(inside, inner, folder, open_files)?;
                }
            }
            _ if key.may_be_file() => read_file(table, key, folder, open_files)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_file(
    table: &mut toml::Table,
    key: &Key,
    folder: &Path,
    open_files: &mut Vec<PathBuf>,
) -> Result<(), ConfigError> {
    let name = format!("{}{FILE_SUFFIX}", key.name);
    let Some(toml::Value::String(file)) = table.remove(&name) else { return Ok(()) };
    if table.contains_key(key.name) {
        let both = format!("{} and {name} are both given; keep one of them", key.name);
        return Err(ConfigError::new(both));
    }
    let path = folder.join(&file);
    if matches!(key.kind, Kind::Secret | Kind::SecretBytes) {
        modes::note(&path, open_files);
    }
    let value = if matches!(key.kind, Kind::SecretBytes) {
        std::fs::read(&path).map(|bytes| BASE64.encode(&bytes))
    } else {
        std::fs::read_to_string(&path).map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let value = value.map_err(|error| {
        ConfigError::new(format!("{name} names {}, which cannot be read: {error}", path.display()))
    })?;
    table.insert(key.name.to_owned(), value.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::SourceFile;
    use super::*;

    fn sources(text: &str, environment: &[(&str, &str)], set: &[&str]) -> Sources {
        let file = SourceFile { path: "tongbao.toml".into(), text: text.to_owned() };
        Sources {
            base: toml::Table::new(),
            file: Some(file),
            environment: environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            set: set.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn check(text: &str, environment: &[(&str, &str)], set: &[&str], wanted: &str) {
        let error = read(&sources(text, environment, set)).unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_table_and_neighbour() {
        check(
            "[server]\nlisten = \"127.0.0.1:1\"\nlisen = \"x\"\n",
            &[],
            &[],
            "tongbao.toml, line 3: there is no key \"lisen\" in [server]; \
             the nearest known key is \"listen\"",
        );
        check(
            "[[apps]]\nname = \"shop\"\n[[apps.accounts]]\nmchid = \"1\"\n",
            &[],
            &[],
            "tongbao.toml, line 4: there is no key \"mchid\" in [[apps.accounts]]; \
             the nearest known key is \"mch_id\"",
        );
        check(
            "[sever]\n",
            &[],
            &[],
            "tongbao.toml, line 1: there is no key \"sever\" at the top; \
             the nearest known key is \"server\"",
        );
        check(
            "[[apps]]\n[[apps.accounts]]\napi_keys_file = \"x\"\n",
            &[],
            &[],
            "tongbao.toml, line 3: there is no key \"api_keys_file\" in [[apps.accounts]]; \
             the nearest known key is \"api_key_file\"",
        );
        check(
            "",
            &[("TONGBAO_POLLING__ATEMPTS", "3")],
            &[],
            "TONGBAO_POLLING__ATEMPTS: there is no key \"atempts\" in [polling]; \
             the nearest known key is \"attempts\"",
        );
        check(
            "",
            &[],
            &["polling.dely=1s"],
            "--set polling.dely: there is no key \"dely\" in [polling]; \
             the nearest known key is \"delay\"",
        );
    }

    #[test]
    fn a_value_of_another_kind_is_refused_at_its_place() {
        check(
            "[polling]\n\nattempts = \"six\"\n",
            &[],
            &[],
            "tongbao.toml, line 3: polling.attempts must be a whole number",
        );
        check(
            "server = 5\n",
            &[],
            &[],
            "tongbao.toml, line 1: server must be a table, written [name]",
        );
        check(
            "",
            &[("TONGBAO_WEBHOOKS__ALLOW_LOOPBACK", "yes")],
            &[],
            "TONGBAO_WEBHOOKS__ALLOW_LOOPBACK: webhooks.allow_loopback must be true or false",
        );
        check(
            "",
            &[],
            &["apps.1.name=shop"],
            "--set apps.1.name: apps has 0 items, so the next one is apps.0",
        );
    }

    #[test]
    fn each_source_goes_over_the_one_before() {
        let text =
            "[server]\nlisten = \"a:1\"\npublic_url = \"http://file\"\n[[apps]]\nname = \"one\"\n";
        let environment = [
            ("TONGBAO_SERVER__LISTEN", "b:2"),
            ("TONGBAO_APPS__1__NAME", "two"),
            ("TONGBAO_APPS__0__ACCOUNTS__0__MCH_ID", "1900000109"),
            ("TONGBAO_WEBHOOKS__ALLOW", "10.0.0.0/8, 192.168.1.0/24"),
        ];
        let raw = read(&sources(text, &environment, &["server.listen=c:3", "polling.attempts=2"]));
        let raw = raw.unwrap();
        assert_eq!(raw.server.listen.as_deref(), Some("c:3"));
        assert_eq!(raw.server.public_url.as_deref(), Some("http://file"));
        assert_eq!(raw.polling.attempts, Some(2));
        assert_eq!(raw.apps[1].name.as_deref(), Some("two"));
        assert_eq!(raw.apps[0].accounts[0].keys["mch_id"].as_str(), Some("1900000109"));
        assert_eq!(raw.webhooks.allow, ["10.0.0.0/8", "192.168.1.0/24"]);
    }

    #[test]
    fn a_secret_may_stand_in_a_file_but_not_in_two_places() {
        let path = std::env::temp_dir().join(format!("tongbao-secret-{}", std::process::id()));
        std::fs::write(&path, "sqlite://elsewhere.db\n").unwrap();
        let file = path.to_str().unwrap();
        let raw = read(&sources(&format!("[database]\nurl_file = {file:?}\n"), &[], &[])).unwrap();
        assert_eq!(raw.database.url.as_deref(), Some("sqlite://elsewhere.db"));
        assert!(!format!("{raw:?}").contains("elsewhere"));

        let both = format!("[database]\nurl = \"x\"\nurl_file = {file:?}\n");
        check(&both, &[], &[], "url and url_file are both given; keep one of them");
        let over = [("TONGBAO_DATABASE__URL", "sqlite://env.db")];
        let raw = read(&sources(&format!("[database]\nurl_file = {file:?}\n"), &over, &[]));
        assert_eq!(raw.unwrap().database.url.as_deref(), Some("sqlite://env.db"));
        std::fs::remove_file(&path).unwrap();
    }

    /// Every key of the schema is a field of the structs and the other way round: serde names the
    /// fields that it expects when it meets a foreign one.
    #[test]
    fn schema_and_structs_list_the_same_keys() {
        fn expected<T: serde::de::DeserializeOwned>() -> Vec<String> {
            let error = toml::from_str::<T>("no_such_key = 1").err().unwrap();
            let message = error.message().to_owned();
            let list = message.split_once("expected ").unwrap().1;
            list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
        }
        fn names(keys: &[Key]) -> Vec<String> {
            keys.iter().map(|key| key.name.to_owned()).collect()
        }
        fn table(name: &str) -> &'static [Key] {
            match ROOT.iter().find(|key| key.name == name).unwrap().kind {
                Kind::Table(keys) | Kind::Tables(keys) => keys,
                _ => &[],
            }
        }
        assert_eq!(expected::<Raw>(), names(ROOT));
        assert_eq!(expected::<RawServer>(), names(table("server")));
        assert_eq!(expected::<RawDatabase>(), names(table("database")));
        assert_eq!(expected::<RawSecurity>(), names(table("security")));
        assert_eq!(expected::<RawApp>(), names(table("apps")));
        assert_eq!(expected::<RawPolling>(), names(table("polling")));
        assert_eq!(expected::<RawWebhooks>(), names(table("webhooks")));
        assert_eq!(expected::<RawSandbox>(), names(table("sandbox")));
        assert_eq!(expected::<RawLog>(), names(table("log")));
        assert_eq!(expected::<RawCompat>(), names(table("compat")));
    }
}
