//! Configurations that cannot work, each with a secret in the place that is wrong.

use super::gateway::{Said, command, write};
use super::scanner::Canary;
use crate::world::fresh_folder;
use tongbao_crypt::RsaPrivateKey;

/// Its name, the text of the file with `CANARY` in it, and values of `--set`.
type Case = (&'static str, String, Vec<String>);

/// Runs `serve` and `db check` over each; gives what was said, and the secrets.
pub(crate) fn all() -> (Vec<Said>, Vec<Canary>) {
    let (mut said, mut canaries) = (Vec::new(), Vec::new());
    for (name, file, set) in cases() {
        let secret = data_encoding::HEXLOWER.encode(&rand::random::<[u8; 16]>());
        let folder = fresh_folder("wrong");
        let fill = |text: &str| text.replace("CANARY", &secret);
        write(&folder.join("tongbao.toml"), fill(&file));
        write(&folder.join("secret.txt"), [b"\xff\xfe".as_slice(), secret.as_bytes()].concat());
        let mut arguments = vec!["--set".to_owned(), "log.filter=trace".to_owned()];
        set.iter().for_each(|set| arguments.extend(["--set".to_owned(), fill(set)]));
        for words in [&["serve"][..], &["db", "check"]] {
            let mut run = command(&folder, words);
            let output = run.args(&arguments).output().unwrap();
            assert!(!output.status.success() || words[0] == "db", "{name} is taken");
            let bytes = [output.stdout, output.stderr].concat();
            assert!(!bytes.is_empty(), "{name}: nothing is said");
            said.push(Said { place: format!("{name}, {}", words.join(" ")), bytes });
        }
        canaries.push(Canary::new(name, &secret));
        std::fs::remove_dir_all(&folder).unwrap();
    }
    (said, canaries)
}

fn cases() -> Vec<Case> {
    let written = wrong_credentials().into_iter().chain(wrong_texts());
    let mut cases: Vec<Case> = written.map(|(name, text)| (name, text, Vec::new())).collect();
    for (name, url) in WRONG_DATABASES {
        cases.push((name, with(""), vec![format!("database.url={url}"), master()]));
    }
    cases
}

fn with(table: &str) -> String {
    format!("[server]\nlisten = \"127.0.0.1:0\"\n{table}\n")
}

fn account(keys: &str) -> String {
    with(&format!("[[apps]]\nname = \"shop\"\n[[apps.accounts]]\nprovider = {keys}"))
}

const V3: &str = "\"wechat\"\napi = \"v3\"\napp_id = \"wx\"\nmch_id = \"1900000001\"\n\
                  merchant_serial = \"5157F09EFDC096DE15EBE81A47057A7232F1B8E1\"\n";
const V2: &str = "\"wechat\"\napi = \"v2\"\napp_id = \"wx\"\nmch_id = \"1900000001\"\n";
const OPEN: &str = "\"alipay\"\napi = \"open\"\napp_id = \"2021000000000000\"\n";
const API_KEY: &str = "\"0123456789abcdef0123456789abcdef\"";

/// Accounts with a credential that cannot be read.
fn wrong_credentials() -> Vec<(&'static str, String)> {
    let good = RsaPrivateKey::generate().to_pkcs8_pem().to_string();
    let all = [
        (
            "a private key of WeChat that is none",
            format!("{V3}api_v3_key = {API_KEY}\nmerchant_private_key = \"CANARY\""),
        ),
        (
            "an API v3 key that is too long",
            format!("{V3}merchant_private_key = '''{good}'''\napi_v3_key = \"CANARY-CANARY\""),
        ),
        ("a certificate that is none", format!("{V2}api_key = {API_KEY}\np12 = \"CANARY\"")),
        ("an API key that is too long", format!("{V2}api_key = \"CANARY=\"\np12 = \"\"")),
        (
            "a private key of Alipay that is none",
            format!("{OPEN}app_private_key = \"CANARY\"\nalipay_public_key = \"x\""),
        ),
        (
            "a content key that is none",
            format!(
                "{OPEN}app_private_key = '''{good}'''\nalipay_public_key = \"x\"\n\
                 aes_key = \"CANARY\""
            ),
        ),
        ("a secret of another kind of account", format!("{V2}md5_key = \"CANARY\"")),
    ];
    all.into_iter().map(|(name, keys)| (name, account(&keys))).collect()
}

/// Files in which a secret stands where nothing or something else should.
fn wrong_texts() -> Vec<(&'static str, String)> {
    let security = |keys: &str| with(&format!("[security]\n{keys}"));
    vec![
        ("a text without its end", account(&format!("{V2}api_key = \"CANARY\n"))),
        ("a text without quotes", account(&format!("{V2}api_key = CANARY\n"))),
        ("a key twice", account(&format!("{V2}api_key = \"CANARY\"\napi_key = \"CANARY\"\n"))),
        ("a key that is not known", account(&format!("{V2}api_kye = \"CANARY\"\n"))),
        ("a list", account(&format!("{V2}api_key = [\"CANARY\"]\n"))),
        ("a file that is no text", account(&format!("{V2}api_key_file = \"secret.txt\"\n"))),
        ("a master key that is none", security("master_key = \"CANARY\"")),
        ("an old key that is none", security("old_master_keys = \"CANARY,CANARY\"")),
        ("two sources", security("master_key = \"CANARY\"\nmaster_key_file = \"secret.txt\"")),
    ]
}

const WRONG_DATABASES: [(&str, &str); 13] = [
    ("a database that is not there", "postgres://tongbao:CANARY@127.0.0.1:1/x"),
    ("a MySQL that is not there", "mysql://tongbao:CANARY@127.0.0.1:1/x"),
    ("a database without a port", "postgres://tongbao:CANARY@127.0.0.1:port/x"),
    ("a database of another kind", "oracle://tongbao:CANARY@127.0.0.1/x"),
    ("a database with a foreign option", "postgres://tongbao:CANARY@127.0.0.1:1/x?sslmode=CANARY"),
    ("a MySQL with a foreign option", "mysql://tongbao:CANARY@127.0.0.1:1/x?ssl-mode=CANARY"),
    ("a password with a question mark", "postgres://tongbao:12?CANARY@127.0.0.1:1/x"),
    ("a MySQL password with a question mark", "mysql://tongbao:12?CANARY@127.0.0.1:1/x"),
    ("a password with a slash", "postgres://tongbao:12/CANARY@127.0.0.1:1/x"),
    ("a password with a hash", "postgres://tongbao:ab#CANARY@127.0.0.1:1/x"),
    ("a password with an at", "postgres://tongbao:ab@CANARY@127.0.0.1:1/x"),
    ("an address that is none", "CANARY"),
    ("an SQLite with options", "sqlite://x?key=CANARY"),
];

fn master() -> String {
    "security.master_key=bmV3IGtleSBuZXcga2V5IG5ldyBrZXkgbmV3IGtleSE=".to_owned()
}
