//! `[security]`: the master keys.

use super::ConfigError;
use super::raw::RawSecurity;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use std::path::PathBuf;
use tongbao_types::Secret;

/// What seals the secrets in the database.
#[derive(Debug)]
pub(crate) struct SecurityConfig {
    /// What seals; if it is not given, a file beside the database may hold it.
    pub(crate) master_key: Option<Secret<[u8; 32]>>,
    /// What opens too.
    pub(crate) old_master_keys: Vec<Secret<[u8; 32]>>,
    /// Where a key is kept that is not given, if not beside an SQLite database.
    pub(crate) key_file: Option<PathBuf>,
}

/// Reads the keys.
pub(super) fn check(raw: RawSecurity) -> Result<SecurityConfig, ConfigError> {
    let wrong = |key: &str| {
        ConfigError::new(format!(
            "security.{key} must be 32 random bytes in base64 or hex, as `openssl rand -base64 32` \
             prints them"
        ))
    };
    let first = raw.master_key.map(Secret::new);
    let first = first.map(|text| master_key(&text).ok_or_else(|| wrong("master_key")));
    let old = Secret::new(raw.old_master_keys.unwrap_or_default());
    let each = old.expose().split([',', '\n']).map(str::trim).filter(|text| !text.is_empty());
    let old_master_keys = each.map(|text| {
        let key = master_key(&Secret::new(text.to_owned()));
        key.ok_or_else(|| wrong("old_master_keys"))
    });
    Ok(SecurityConfig {
        old_master_keys: old_master_keys.collect::<Result<_, _>>()?,
        master_key: first.transpose()?,
        key_file: None,
    })
}

/// Reads one key; `None` if it is not 32 bytes in base64 or hex.
pub(crate) fn master_key(text: &Secret<String>) -> Option<Secret<[u8; 32]>> {
    let text = text.expose().trim().as_bytes();
    let bytes = match text.len() {
        64 => HEXLOWER_PERMISSIVE.decode(text),
        _ => BASE64.decode(text),
    };
    let bytes = Secret::new(bytes.ok()?);
    bytes.expose().as_slice().try_into().ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_32_bytes_in_base64_or_hex() {
        let read = |text: &str| master_key(&Secret::new(text.to_owned()));
        let hex = "00".repeat(31) + "fF";
        let mut wanted = [0; 32];
        wanted[31] = 255;
        assert_eq!(read(&hex).map(|key| *key.expose()), Some(wanted));
        let base64 = BASE64.encode(&wanted);
        assert_eq!(read(&format!("{base64}\n")).map(|key| *key.expose()), Some(wanted));
        let wrong = [String::new(), "00".repeat(31), "x".repeat(64), BASE64.encode(&[0; 31])];
        assert!(wrong.iter().all(|text| read(text).is_none()));
    }

    #[test]
    fn several_old_keys_are_separated_and_a_wrong_one_is_not_shown() {
        let keys = [[1; 32], [2; 32], [3; 32]].map(|key| BASE64.encode(&key));
        let text = format!("{}, {}\n{}\n", keys[0], keys[1], keys[2]);
        let raw = RawSecurity { old_master_keys: Some(text), ..RawSecurity::default() };
        let checked = check(raw).unwrap();
        let found: Vec<u8> = checked.old_master_keys.iter().map(|key| key.expose()[0]).collect();
        assert_eq!(found, [1, 2, 3]);
        let raw = RawSecurity { master_key: Some("tooShort".into()), ..RawSecurity::default() };
        let error = check(raw).unwrap_err().to_string();
        assert!(error.starts_with("security.master_key must be"), "{error}");
        assert!(!error.contains("tooShort"), "{error}");
    }
}
