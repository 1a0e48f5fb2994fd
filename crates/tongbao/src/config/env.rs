//! Settings outside the file: environment variables and `--set`.
//!
//! One rule: the key's dotted path in upper case, its parts joined by two underscores, after
//! `TONGBAO_`. So `server.listen` is `TONGBAO_SERVER__LISTEN`, and the first account of the first
//! app has its merchant number in `TONGBAO_APPS__0__ACCOUNTS__0__MCH_ID`. Lists of texts are
//! separated by commas. Variables without two underscores are not settings.

use super::ConfigError;
use super::schema::{Key, Kind, ROOT};

/// What each of our variables begins with.
pub(crate) const PREFIX: &str = "TONGBAO_";

/// One key with its value, from outside the file.
#[derive(Clone)]
pub(crate) struct Setting {
    /// The parts of the key's dotted path.
    pub(crate) path: Vec<String>,
    /// The value as text; may be secret.
    pub(crate) value: String,
    /// Where it came from, for errors.
    pub(crate) origin: String,
}

impl Setting {
    /// The key's dotted path.
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }
}

/// The settings among environment variables, lists in the order of their items.
pub(crate) fn settings(variables: &[(String, String)]) -> Result<Vec<Setting>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        if !rest.contains("__") {
            refuse_single_underscores(name, rest)?;
            continue;
        }
        let path = rest.to_ascii_lowercase().split("__").map(str::to_owned).collect();
        found.push(Setting { path, value: value.clone(), origin: name.clone() });
    }
    found.sort_by_key(|setting| setting.path.iter().map(|part| order(part)).collect::<Vec<_>>());
    Ok(found)
}

/// One `--set KEY=VALUE`.
pub(crate) fn option(text: &str) -> Result<Setting, ConfigError> {
    let Some((key, value)) = text.split_once('=') else {
        let message = format!("--set {text}: write KEY=VALUE, such as server.listen=0.0.0.0:9009");
        return Err(ConfigError::usage(message));
    };
    Ok(Setting {
        path: key.trim().split('.').map(str::to_owned).collect(),
        value: value.to_owned(),
        origin: format!("--set {}", key.trim()),
    })
}

/// Numbers by value, so that item 10 comes after item 9.
fn order(part: &str) -> (u64, String) {
    (part.parse().unwrap_or(u64::MAX), part.to_owned())
}

/// `TONGBAO_SERVER_LISTEN` would be passed over in silence, so it is an error.
fn refuse_single_underscores(name: &str, rest: &str) -> Result<(), ConfigError> {
    let flat = rest.to_ascii_lowercase();
    for table in ROOT {
        let (Kind::Table(keys) | Kind::Tables(keys)) = table.kind else { continue };
        let meant = keys.iter().find(|key| is_flat(&flat, table, key));
        if let Some(key) = meant {
            let wanted = format!("{PREFIX}{}__{}", table.name, key.name).to_ascii_uppercase();
            return Err(ConfigError::usage(format!(
                "{name}: the parts of a key are joined by two underscores: {wanted}"
            )));
        }
    }
    Ok(())
}

fn is_flat(flat: &str, table: &Key, key: &Key) -> bool {
    flat.strip_prefix(table.name).and_then(|rest| rest.strip_prefix('_')) == Some(key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(names: &[&str]) -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), "v".to_owned())).collect()
    }

    #[test]
    fn items_of_lists_come_in_the_order_of_their_numbers() {
        let variables = pairs(&["TONGBAO_APPS__10__NAME", "TONGBAO_APPS__9__NAME", "HOME"]);
        let found = settings(&variables).unwrap();
        let names: Vec<String> = found.iter().map(Setting::name).collect();
        assert_eq!(names, ["apps.9.name", "apps.10.name"]);
    }

    #[test]
    fn a_variable_with_single_underscores_is_not_passed_over() {
        let error = settings(&pairs(&["TONGBAO_SERVER_PUBLIC_URL"])).err().unwrap();
        assert_eq!(
            error.to_string(),
            "TONGBAO_SERVER_PUBLIC_URL: the parts of a key are joined by two underscores: \
             TONGBAO_SERVER__PUBLIC_URL"
        );
        assert!(settings(&pairs(&["TONGBAO_CONFIG", "TONGBAO_TEST_POSTGRES"])).unwrap().is_empty());
    }

    #[test]
    fn an_option_needs_a_value() {
        assert!(option("server.listen").is_err());
        assert_eq!(option("database.url=a=b").unwrap().value, "a=b");
    }
}
