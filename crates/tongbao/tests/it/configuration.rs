//! `serve` and its configuration, by what it says and with which exit code.

use crate::world::{BINARY, fresh_folder};
use std::process::{Command, Output};

fn serve(config: &str, environment: &[(&str, &str)], set: &[&str]) -> Output {
    let folder = fresh_folder("serve");
    let file = folder.join("tongbao.toml");
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["serve", "--config"]).arg(&file).envs(environment.iter().copied());
    set.iter().for_each(|set| {
        command.args(["--set", set]);
    });
    let output = command.current_dir(&folder).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    output
}

fn refused(output: &Output, exit: i32, parts: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(exit), "{error}");
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let output = serve("[server]\nlisten = \"127.0.0.1:0\"\npublic_ulr = \"x\"\n", &[], &[]);
    refused(&output, 1, &["line 3", "public_ulr", "[server]", "\"public_url\""]);
    let output = serve("", &[("TONGBAO_DATABASE__URI", "x")], &[]);
    refused(&output, 2, &["TONGBAO_DATABASE__URI", "[database]", "\"url\""]);
    let output = serve("", &[], &["pooling.delay=1s"]);
    refused(&output, 2, &["--set pooling.delay", "\"polling\""]);
}

#[test]
fn a_missing_file_shows_how_one_looks() {
    let output = Command::new(BINARY).args(["serve", "--config", "/nowhere/t.toml"]).output();
    refused(&output.unwrap(), 1, &["/nowhere/t.toml", "[[apps.accounts]]", "tongbao dev"]);
}

#[test]
fn an_account_that_cannot_work_is_named_with_its_field() {
    let account = |secret: &str, key: &str| {
        format!(
            "[[apps]]\nname = \"shop\"\n[[apps.accounts]]\nprovider = \"wechat\"\n\
             api = \"v3\"\napp_id = \"wx0123456789abcdef\"\nmch_id = \"1900000001\"\n\
             merchant_serial = \"5157F09EFDC096DE15EBE81A47057A7232F1B8E1\"\n\
             api_v3_key = \"{secret}\"\nmerchant_private_key = \"\"\"{key}\"\"\"\n"
        )
    };
    let good = "0123456789abcdef0123456789abcdef";
    let output = serve(&account(good, "nonsense"), &[], &[]);
    refused(&output, 1, &["app shop", "account shop_wechat_v3", "merchant_private_key", "PKCS#8"]);
    let key = tongbao_crypt::RsaPrivateKey::generate().to_pkcs8_pem();
    let output = serve(&account("short", &key), &[], &[]);
    refused(&output, 1, &["app shop", "account shop_wechat_v3", "api_v3_key"]);
}

#[test]
fn a_profile_for_an_app_that_is_not_there_is_told() {
    let output = serve("[[compat]]\nprofile = \"wepay\"\napp = \"shop\"\n", &[], &[]);
    refused(&output, 1, &["wepay", "no app named shop"]);
}

#[test]
fn a_database_that_cannot_be_opened_is_named() {
    let listen = "[server]\nlisten = \"127.0.0.1:0\"\n";
    let output = serve(&format!("{listen}[database]\nurl = \"oracle://x\"\n"), &[], &[]);
    refused(&output, 1, &["database", "sqlite://"]);
}

/// Wrong usage is exit code 2, as with any command line.
#[test]
fn wrong_usage_is_exit_code_two() {
    let output = Command::new(BINARY).arg("surve").output().unwrap();
    refused(&output, 2, &["surve"]);
    let output = Command::new(BINARY).args(["keys", "create", "--app", "x"]).output().unwrap();
    refused(&output, 2, &["--mode"]);
}
