//! The list of all configuration keys: the one place that says which there are, what each holds
//! and what it means. Files, environment variables and `--set` are all read by it.
//!
//! It checks names and kinds only; whether values make sense together is `checked.rs`.

/// What a key holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A text that may also stand in a file, named by the key with `_file` after it.
    TextOrFile,
    /// As [`Kind::TextOrFile`], and it is never shown.
    Secret,
    /// As [`Kind::Secret`], but not text: base64 in the configuration, plain bytes in a file.
    SecretBytes,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Flag,
    /// A list of texts; outside a file they are separated by commas.
    Texts,
    /// A table: `[name]`.
    Table(&'static [Key]),
    /// A list of tables: `[[name]]`.
    Tables(&'static [Key]),
}

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// As it is written.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// What it is for, for the reference.
    pub(crate) about: &'static str,
}

/// What ends the name of a key whose value stands in a file.
pub(crate) const FILE_SUFFIX: &str = "_file";

impl Key {
    const fn new(name: &'static str, kind: Kind, about: &'static str) -> Key {
        Key { name, kind, about }
    }

    /// Whether the value may stand in a file of its own.
    pub(crate) const fn may_be_file(&self) -> bool {
        matches!(self.kind, Kind::TextOrFile | Kind::Secret | Kind::SecretBytes)
    }
}

/// What a name in a table means.
pub(crate) enum Found {
    /// The key itself.
    Value(&'static Key),
    /// The name of a file with the key's value.
    File,
}

/// Looks a name up in a table.
pub(crate) fn find(keys: &'static [Key], name: &str) -> Option<Found> {
    if let Some(key) = keys.iter().find(|key| key.name == name) {
        return Some(Found::Value(key));
    }
    let bare = name.strip_suffix(FILE_SUFFIX)?;
    keys.iter().any(|key| key.name == bare && key.may_be_file()).then_some(Found::File)
}

use Kind::{Flag, Number, Secret, SecretBytes, Table, Tables, Text, TextOrFile, Texts};

/// The whole configuration.
pub(crate) const ROOT: &[Key] = &[
    Key::new("server", Table(SERVER), "Where the gateway listens."),
    Key::new("database", Table(DATABASE), "Where everything is kept."),
    Key::new("security", Table(SECURITY), "What seals the secrets in the database."),
    Key::new("apps", Tables(APPS), "The tenants: each has keys, accounts and endpoints."),
    Key::new("limits", Table(LIMITS), "How many may come at once, and how often."),
    Key::new("polling", Table(POLLING), "When a provider is asked about a silent order."),
    Key::new("webhooks", Table(WEBHOOKS), "Which networks webhooks may reach."),
    Key::new("sandbox", Table(SANDBOX), "Runs the provider sandbox too, for test keys."),
    Key::new("log", Table(LOG), "What is logged, and where."),
    Key::new("compat", Tables(COMPAT), "Routes of older services, for their callers."),
];

const SERVER: &[Key] = &[
    Key::new("listen", Text, "Address and port; 127.0.0.1:9009 unless given."),
    Key::new(
        "public_url",
        Text,
        "How providers and payers reach this gateway, such as https://pay.example.com.",
    ),
    Key::new(
        "trusted_proxies",
        Texts,
        "The networks of reverse proxies whose X-Forwarded-For is believed.",
    ),
    Key::new(
        "drain",
        Text,
        "How long to go on serving after SIGTERM, while /readyz says 503; 0s unless given.",
    ),
];

const DATABASE: &[Key] = &[
    Key::new(
        "url",
        Secret,
        "sqlite://…, postgres://… or mysql://…; sqlite://tongbao.db unless given.",
    ),
    Key::new("batch_max", Number, "How many writes share one commit at most; 256 unless given."),
    Key::new(
        "lease",
        Text,
        "How long another instance leaves a job alone; 3 × polling.ttl + 30s unless given.",
    ),
];

const SECURITY: &[Key] = &[
    Key::new(
        "master_key",
        Secret,
        "32 random bytes in base64 or hex, which seal the secrets in the database. With SQLite a \
         key is made beside the database unless one is given; with a database server it must be \
         given, the same to every instance.",
    ),
    Key::new(
        "old_master_keys",
        Secret,
        "Further keys that open what is sealed and seal nothing, separated by commas or line ends.",
    ),
];

const APPS: &[Key] = &[
    Key::new("name", Text, "1 to 40 lower-case letters, digits, - or _."),
    Key::new(
        "late_payments",
        Text,
        "A payment after the charge had ended: keep (unless given) makes it paid, refund gives it \
         back.",
    ),
    Key::new(
        "wrong_amounts",
        Text,
        "A payment of another amount: refund (unless given) gives it back, keep makes it paid.",
    ),
    Key::new(
        "accounts",
        Tables(ACCOUNTS),
        "Credentials; the first serving a channel is its default.",
    ),
];

const ACCOUNTS: &[Key] = &[
    Key::new(
        "name",
        Text,
        "Part of the notification address; <app>_<provider>_<api> unless given.",
    ),
    Key::new("provider", Text, "wechat or alipay."),
    Key::new("api", Text, "v2 or v3 for wechat; open, v3 or legacy for alipay."),
    Key::new("livemode", Flag, "false for an account that test keys use; true unless given."),
    Key::new("endpoint", Text, "Another address than the provider's own, such as a sandbox."),
    Key::new(
        "endpoint_ca",
        TextOrFile,
        "Who signs that address's TLS certificate, PEM; this machine's authorities unless given.",
    ),
    Key::new(
        "notify_url",
        Text,
        "Where the provider notifies, if not at public_url/notify/…: an address that leads here.",
    ),
    Key::new("app_id", Text, "The appid (WeChat) or app_id (Alipay)."),
    Key::new("mch_id", Text, "WeChat's merchant number."),
    Key::new("api_key", Secret, "WeChat v2: the API key, 32 characters."),
    Key::new("sign_type", Text, "WeChat v2: MD5 (unless given) or HMAC-SHA256."),
    Key::new(
        "p12",
        SecretBytes,
        "WeChat v2: the merchant's certificate (apiclient_cert.p12), which refunds and reverses \
         need; in the configuration itself as base64.",
    ),
    Key::new("p12_passphrase", Secret, "WeChat v2: what opens it; mch_id unless given."),
    Key::new("sub_app_id", Text, "WeChat, service providers: the sub-merchant's appid."),
    Key::new("sub_mch_id", Text, "WeChat, service providers: the sub-merchant's number."),
    Key::new("api_v3_key", Secret, "WeChat v3: the APIv3 key, 32 bytes."),
    Key::new("merchant_serial", Text, "WeChat v3: the serial of the merchant's certificate."),
    Key::new("merchant_private_key", Secret, "WeChat v3: the merchant's private key, PEM."),
    Key::new(
        "platform_certificates",
        TextOrFile,
        "WeChat v3: the platform's certificates, PEM, one after another; fetched if not given.",
    ),
    Key::new("public_key_id", Text, "WeChat v3: the id of the WeChat Pay public key."),
    Key::new("public_key", TextOrFile, "WeChat v3: the WeChat Pay public key, PEM."),
    Key::new("seller_id", Text, "Alipay: the seller, 2088…; compared with notifications."),
    Key::new(
        "aes_key",
        Secret,
        "Alipay: the key of content encryption (接口内容加密), if it is on.",
    ),
    Key::new("partner", Text, "Alipay legacy: the partner's number (PID), 2088…."),
    Key::new("md5_key", Secret, "Alipay legacy: the MD5 key (安全校验码)."),
    Key::new("seller_email", Text, "Alipay legacy: the seller's Alipay login, if not the partner."),
    Key::new("app_private_key", Secret, "Alipay: the app's private key, PEM or bare base64."),
    Key::new("alipay_public_key", TextOrFile, "Alipay, public key mode: Alipay's key."),
    Key::new("app_cert", TextOrFile, "Alipay, certificate mode: the app's certificate."),
    Key::new("alipay_cert", TextOrFile, "Alipay, certificate mode: Alipay's certificate."),
    Key::new(
        "alipay_root_cert",
        TextOrFile,
        "Alipay, certificate mode: Alipay's root certificates.",
    ),
];

const LIMITS: &[Key] = &[
    Key::new(
        "connections",
        Number,
        "Connections at once; 4096 unless given, or fewer if the system allows fewer open files.",
    ),
    Key::new(
        "orders_under_way",
        Number,
        "Orders and refunds under way at once; 1024 unless given. More get 503. Twice as many \
         other requests and four times as many notices have room of their own.",
    ),
    Key::new(
        "requests_per_key",
        Number,
        "Requests in a second with one key, or from one address of allow_from; 5000 unless given.",
    ),
    Key::new(
        "requests_per_address",
        Number,
        "Requests in a second without a key from one address; 200 unless given. Notices are not \
         counted.",
    ),
    Key::new(
        "wrong_keys_per_address",
        Number,
        "Wrong keys in a minute from one address; 30 unless given.",
    ),
];

const POLLING: &[Key] = &[
    Key::new("delay", Text, "From ordering to the first look; 5s unless given."),
    Key::new("attempts", Number, "How many looks; 6 unless given."),
    Key::new("backoff", Text, "exponential (unless given), linear or fixed."),
    Key::new("ttl", Text, "How long one look may take; 60s unless given."),
];

const WEBHOOKS: &[Key] = &[
    Key::new(
        "allow_loopback",
        Flag,
        "Whether webhooks may go to this machine; false unless given.",
    ),
    Key::new("allow", Texts, "Private networks that webhooks may reach, such as 10.1.0.0/16."),
];

const SANDBOX: &[Key] = &[
    Key::new("listen", Text, "Address and port; 127.0.0.1:9010 unless given."),
    Key::new("data", Text, "Folder of its keys and trades; ./sandbox unless given."),
];

const LOG: &[Key] = &[
    Key::new("filter", Text, "Levels, such as info or tongbao_engine=debug; info unless given."),
    Key::new("file", Text, "A file that gets every line as JSON too."),
];

const COMPAT: &[Key] = &[
    Key::new("profile", Text, "auth-pay, wepay, wxpay, payorder or capi."),
    Key::new("app", Text, "The app that the profile's charges belong to."),
    Key::new("allow_from", Texts, "The networks whose callers need no key."),
    Key::new(
        "livemode",
        Flag,
        "Whether callers without a key make live charges; true unless given.",
    ),
    Key::new(
        "account",
        Text,
        "The account at WeChat Pay (api v2) for its charges; the app's first one unless given.",
    ),
    Key::new(
        "alipay_account",
        Text,
        "capi: the Alipay account for its charges, of either kind; the app's first current one \
         unless given.",
    ),
    Key::new("cb_notify_url", Text, "wepay: where payments are told, as JSON."),
    Key::new(
        "payment_function_url",
        Text,
        "capi: the app's payment function, which is told of payments.",
    ),
    Key::new(
        "config",
        Text,
        "wepay: its config.json; the merchants in it become accounts of the app, named \
         wepay_<mchId>_<env>.",
    ),
    Key::new(
        "endpoint",
        Text,
        "wepay: another address than WeChat Pay's own for the merchants of config, such as a \
         sandbox.",
    ),
    Key::new(
        "endpoint_ca",
        TextOrFile,
        "wepay: who signs that address's TLS certificate, PEM; this machine's authorities unless \
         given.",
    ),
    Key::new("merchants", Tables(MERCHANTS), "wepay: its merchants, where no config lists them."),
];

const MERCHANTS: &[Key] = &[
    Key::new("env", Text, "H5, WXAPP or APP: which requests it serves."),
    Key::new("account", Text, "The account at WeChat Pay (api v2) with its keys."),
    Key::new("cb_notify_url", Text, "Where its payments are told, as JSON."),
];
