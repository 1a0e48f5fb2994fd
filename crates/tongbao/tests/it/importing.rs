//! `tongbao import orders`: orders that an older service placed go on here.

use crate::merchant::Merchant;
use crate::world::{BINARY, World, fresh_folder, out_trade_no};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tongbao_core::{Loaded, Scope};
use tongbao_engine::{ChargeFilter, Page, Store};
use tongbao_store::SqlStore;
use tongbao_types::{AppName, ChargeId, Fen, HttpResponse, Mode, Secret};
use tongbao_wechat::v2::UnifiedOrder;
use tongbao_wechat::{
    Answer, Merchant as WechatMerchant, Prepaid, SignType, TradeType, V2Credentials,
};

const HEADING: &str =
    "order_no,amount_yuan,subject,channel,created_at,status,account,metadata.shelf\n";

/// A service that speaks to WeChat Pay by itself, with the same merchant's keys.
pub(crate) struct OlderService {
    credentials: V2Credentials,
}

impl OlderService {
    pub(crate) async fn of(world: &World) -> OlderService {
        let url = format!("{}/_sandbox/credentials", world.sandbox());
        let keys = world.fetch(&url).await.expect(200);
        let text = |name: &str| keys["wechat"][name].as_str().unwrap().to_owned();
        let merchant = WechatMerchant::direct(text("app_id"), text("mch_id"));
        let key = Secret::new(text("api_key"));
        let credentials = V2Credentials::new(merchant, key, SignType::Md5).unwrap();
        OlderService { credentials }
    }

    /// Places an order and returns its code.
    pub(crate) async fn order(
        &self,
        world: &World,
        number: &str,
        fen: i64,
        notify_url: &str,
    ) -> String {
        let order = UnifiedOrder {
            body: "龙井茶".to_owned(),
            out_trade_no: number.to_owned(),
            total_fee: Fen(fen),
            spbill_create_ip: "127.0.0.1".to_owned(),
            notify_url: notify_url.to_owned(),
            trade_type: TradeType::Native,
            ..UnifiedOrder::default()
        };
        let request = order.encode(&self.credentials, "5K8264ILTKCH16CQ2502SI8ZNMTM67VS");
        let url = format!("{}{}", world.sandbox(), request.target);
        let answer = world.raw(&url, &request.headers, request.body.to_vec()).await;
        let body = answer.body.as_str().unwrap().to_owned();
        let response = HttpResponse::new(answer.status, "text/xml", body.into_bytes());
        match order.decode_reply(&self.credentials, &response).unwrap() {
            Answer::Done(Prepaid::CodeUrl { code_url, .. }) => code_url,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn import(file: &Path, arguments: &[&str]) -> Output {
    let folder = file.parent().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["import", "orders"]).arg(file).args(arguments);
    command.args(["--config", "tongbao.toml"]).current_dir(folder).output().unwrap()
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A configuration over the database and the sandbox of a world.
pub(crate) fn beside(world: &World) -> PathBuf {
    let folder = fresh_folder("import");
    let sandbox = world.data.join("sandbox");
    let config = format!(
        "[database]\nurl = \"{}\"\n[sandbox]\nlisten = \"{}\"\ndata = \"{}\"\n[[apps]]\n\
         name = \"dev\"\n[[apps]]\nname = \"other\"\n",
        world.key("database"),
        world.sandbox().trim_start_matches("http://"),
        sandbox.display(),
    );
    std::fs::write(folder.join("tongbao.toml"), config).unwrap();
    folder
}

pub(crate) async fn numbered(world: &World, order_no: &str) -> Value {
    let list = world.get(&format!("/v1/charges?order_no={order_no}")).await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "{order_no}: {list}");
    list["data"][0].clone()
}

/// A world with five orders of the older service at its sandbox, and the file that has them.
struct Moving {
    world: World,
    folder: PathBuf,
    file: PathBuf,
    /// The codes of the first two orders.
    codes: [String; 2],
}

/// Whose orders these are.
const WHOSE: [&str; 4] = ["--app", "dev", "--mode", "test"];

impl Moving {
    async fn start() -> Moving {
        let world = World::start().await;
        let service = OlderService::of(&world).await;
        // Nobody listens at the old address any more; the other one leads here.
        let old = "http://127.0.0.1:9/paid";
        let here = format!("{}/notify/wechat/dev_wechat_v2", world.gateway());
        let found = service.order(&world, "OLD-0001", 1990, old).await;
        let told = service.order(&world, "OLD-0002", 300, &here).await;
        let before = service.order(&world, "OLD-0003", 500, old).await;
        service.order(&world, "OLD-0004", 700, old).await;
        service.order(&world, "OLD-0005", 900, old).await;
        world.control("pay", json!({"code": before})).await.expect(200);
        let folder = beside(&world);
        let file = folder.join("orders.csv");
        let lines = [
            ("OLD-0001", "19.9", "open"),
            ("OLD-0002", "3.00", "open"),
            ("OLD-0003", "5", "paid"),
            ("OLD-0004", "7", "paid"),
            ("OLD-0005", "9", "open"),
        ];
        let line = |(no, yuan, status): (&str, &str, &str)| {
            let moment = "2026/11/20 9:03";
            format!("{no},{yuan},龙井茶,wechat.native,{moment},{status},dev_wechat_v2,茶 7\n")
        };
        let text = format!("{HEADING}{}", lines.map(line).concat());
        let (gb, _, _) = encoding_rs::GB18030.encode(&text);
        std::fs::write(&file, &gb).unwrap();
        Moving { world, folder, file, codes: [found, told] }
    }

    fn import(&self, more: &[&str]) -> String {
        let output = import(&self.file, &[&WHOSE[..], more].concat());
        assert!(output.status.success(), "{}", err(&output));
        out(&output)
    }

    async fn pay(&self, code: &str) {
        self.world.control("pay", json!({"code": code})).await.expect(200);
    }

    async fn finish(self) {
        self.world.finish().await;
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// What was paid is found by looks and told by notifications, and only that: what the file merely
/// says is not believed.
#[tokio::test]
async fn an_older_services_payments_are_found_and_told_here() {
    let moving = Moving::start().await;
    let world = &moving.world;
    let merchant = Merchant::open(world, &["charge.created", "charge.succeeded"]).await;
    let checked = moving.import(&["--check"]);
    assert!(checked.contains("5 orders can be imported, 3 open and 2 paid by the file"));
    assert!(world.get("/v1/charges").await["data"].as_array().unwrap().is_empty());

    let imported = moving.import(&[]);
    assert!(imported.contains("5 orders imported"), "{imported}");
    let first = numbered(world, "OLD-0001").await;
    assert_eq!(first["amount"], 1990);
    assert_eq!(first["created_at"], "2026-11-20T01:03:00Z");
    assert_eq!(first["metadata"], json!({"imported": "open", "shelf": "茶 7"}));
    assert_eq!(out_trade_no(&first), "OLD-0001");

    moving.pay(&moving.codes[0]).await;
    world.advance("2s").await;
    let created = merchant.until(&first, "charge.created", 1).await;
    assert_eq!(created[0].event["data"]["object"]["metadata"]["imported"], "open");
    world.until(&first, "succeeded").await;
    assert!(world.events(&first).await.contains(&"poll.complete".to_owned()));
    merchant.until(&first, "charge.succeeded", 1).await;
    world.until(&numbered(world, "OLD-0003").await, "succeeded").await;
    assert_eq!(numbered(world, "OLD-0004").await["status"], "pending");

    let second = numbered(world, "OLD-0002").await;
    moving.pay(&moving.codes[1]).await;
    world.until(&second, "succeeded").await;
    assert!(world.notices(&second).await.iter().any(|notice| notice["delivered"] == true));
    moving.finish().await;
}

/// Refunds go on, orders that nobody pays end at the provider first, and the same file again
/// changes nothing.
#[tokio::test]
async fn an_older_services_orders_are_refunded_and_closed_here() {
    let moving = Moving::start().await;
    let world = &moving.world;
    moving.import(&[]);
    world.advance("2s").await;
    let paid = world.until(&numbered(world, "OLD-0003").await, "succeeded").await;
    let refund = world.refund(&paid, json!({"amount": 200})).await.expect(201);
    world.advance("3s").await;
    world.until_refund(&refund, "succeeded").await;

    world.advance("2h").await;
    for number in ["OLD-0001", "OLD-0002", "OLD-0004", "OLD-0005"] {
        let charge = numbered(world, number).await;
        world.until(&charge, "closed").await;
        let requests = world.requests(&charge).await;
        let is_order = |request: &&Value| request["target"] == "/pay/unifiedorder";
        assert_eq!(requests.iter().filter(is_order).count(), 1, "{number} is not placed again");
    }
    for trade in world.shown("trades").await {
        let is_closed = trade["state"] == "CLOSED";
        assert_eq!(is_closed, trade["out_trade_no"] != "OLD-0003", "{trade}");
    }
    let again = moving.import(&[]);
    assert!(again.contains("0 orders imported"), "{again}");
    assert!(again.contains("5 are here already"), "{again}");
    moving.finish().await;
}

/// A configuration of a live app whose provider is not asked, over a database of its own.
fn alone() -> PathBuf {
    let folder = fresh_folder("import");
    let config = "[database]\nurl = \"sqlite://t.db\"\n[[apps]]\nname = \"shop\"\n\
                  [[apps.accounts]]\nprovider = \"wechat\"\napi = \"v2\"\n\
                  app_id = \"wx0123456789abcdef\"\nmch_id = \"1900000001\"\n\
                  api_key = \"0123456789abcdef0123456789abcdef\"\n";
    std::fs::write(folder.join("tongbao.toml"), config).unwrap();
    folder
}

async fn open(folder: &Path) -> SqlStore {
    let url = format!("sqlite://{}", folder.join("t.db").display());
    let options = tongbao_store::Options { exclusive: false, ..Default::default() };
    tongbao_store::open(&url, options).await.unwrap()
}

/// Live charges of the shop, newest first.
async fn page(store: &SqlStore, limit: u32, after: Option<ChargeId>) -> Vec<Loaded> {
    let scope = Scope { app: AppName::new("shop").unwrap(), mode: Mode::Live };
    let page = Page { limit, starting_after: after, ending_before: None };
    store.charges(&scope, &ChargeFilter::default(), page).await.unwrap()
}

/// The order numbers of the live charges in a folder's database.
async fn order_nos(folder: &Path) -> Vec<String> {
    let store = open(folder).await;
    let (mut all, mut last) = (Vec::new(), None);
    loop {
        let found = page(&store, 500, last).await;
        let Some(end) = found.last() else { break };
        last = Some(end.charge.id);
        all.extend(found.iter().map(|one| one.charge.order_no.as_str().to_owned()));
    }
    store.close().await;
    all.sort();
    all
}

fn plain(no: &str, yuan: &str) -> String {
    format!("{no},{yuan},Tea,wechat.native,2026-11-20 09:03:00,open,,\n")
}

#[tokio::test]
async fn with_one_wrong_line_nothing_is_imported_and_every_problem_is_told() {
    let folder = alone();
    let file = folder.join("orders.csv");
    let good = [plain("A-00001", "1"), plain("A-00002", "2")].concat();
    let bad = [
        plain("A-00003", "1.234"),
        plain("A-00001", "1"),
        plain("A5", "1"),
        "A-00006,1,Tea,wechat.micropay,2026-11-20 09:03:00,open,,\n".to_owned(),
        "A-00007,1,Tea,alipay.qr,2026-11-20 09:03:00,open,,\n".to_owned(),
        "A-00008,1,Tea,wechat.native,2999-11-20 09:03:00,gone,,\n".to_owned(),
    ];
    std::fs::write(&file, format!("{HEADING}{good}{}", bad.concat())).unwrap();
    let output = import(&file, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = err(&output);
    for part in [
        "line 4, amount_yuan: an amount of yuan is digits",
        "line 5, order_no: A-00001 stands in line 2 already",
        "line 6, out_trade_no: wechat takes no such number as A5",
        "line 7, channel: an order of wechat.micropay ends within a minute",
        "line 8, channel: The app shop has no live account that serves alipay.qr",
        "line 9, status: gone is not a status",
        "the file has 6 problems; nothing was imported",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(order_nos(&folder).await.is_empty());

    std::fs::write(&file, format!("{HEADING}{good}")).unwrap();
    assert!(import(&file, &[]).status.success());
    assert_eq!(order_nos(&folder).await, ["A-00001", "A-00002"]);

    // The same number with another amount is not the same order.
    std::fs::write(&file, format!("{HEADING}{}{}", plain("A-00002", "3"), plain("A-00009", "1")))
        .unwrap();
    let output = import(&file, &[]);
    assert_eq!(output.status.code(), Some(1));
    let told = err(&output);
    assert!(told.contains("line 2, amount_fen: the charge ch_"), "{told}");
    assert!(told.contains("with 200 fen instead of 300 fen"), "{told}");
    assert_eq!(order_nos(&folder).await.len(), 2);

    std::fs::write(&file, "order_no,amount_fen\nA,1\n").unwrap();
    let told = err(&import(&file, &[]));
    assert!(told.contains("line 1, subject: this column is missing"), "{told}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The file that the guide shows is taken as it is.
#[tokio::test]
async fn the_guides_example_can_be_imported() {
    let guide = include_str!("../../../../docs/guide/migrating.md");
    let example = guide.split("```text\norder_no,").nth(1).unwrap().split("```").next().unwrap();
    let folder = alone();
    let config = folder.join("tongbao.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text + "[[compat]]\nprofile = \"payorder\"\napp = \"shop\"\n";
    std::fs::write(&config, text).unwrap();
    let file = folder.join("orders.csv");
    // Its days are those of the guide, which may lie ahead.
    let year = |text: &str| text.replace("2026", "2025");
    std::fs::write(&file, year(&format!("order_no,{example}"))).unwrap();
    let output = import(&file, &[]);
    assert!(output.status.success(), "{}", err(&output));
    let wanted = "2 orders imported, 1 open and 1 paid by the file";
    assert!(out(&output).contains(wanted), "{}", out(&output));
    assert_eq!(order_nos(&folder).await.len(), 2);
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Killed anywhere, it leaves whole portions, and the same file brings the rest.
#[tokio::test]
async fn an_import_that_is_killed_leaves_whole_portions_and_is_run_again() {
    const LINES: usize = 2500;
    let folder = alone();
    let file = folder.join("orders.csv");
    let lines = (0..LINES).map(|n| plain(&format!("B-{n:06}"), "1"));
    std::fs::write(&file, format!("{HEADING}{}", lines.collect::<String>())).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["import", "orders"]).arg(&file).args(["--config", "tongbao.toml"]);
    command.current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let file_is_there = async || folder.join("t.db").exists().then_some(());
    crate::world::eventually("the database is there", file_is_there).await;
    let watched = open(&folder).await;
    crate::world::eventually("the first portion is written", async || {
        let some = !page(&watched, 1, None).await.is_empty();
        (some || child_has_ended(child.id())).then_some(())
    })
    .await;
    let _ended_already = child.kill();
    child.wait().unwrap();
    let left = order_nos(&folder).await.len();
    watched.close().await;
    assert!(left >= 1000, "{left}");
    assert!(left == LINES || left.is_multiple_of(1000), "{left} is no number of whole portions");

    let output = import(&file, &[]);
    assert!(output.status.success(), "{}", err(&output));
    let told = out(&output);
    assert!(told.contains(&format!("{} orders imported", LINES - left)), "{left}: {told}");
    let known = format!("{left} are here already");
    assert!(left == 0 || told.contains(&known), "{left}: {told}");
    let all = order_nos(&folder).await;
    assert_eq!(all.len(), LINES);
    assert!(all.windows(2).all(|two| two[0] != two[1]), "none is here twice");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A process that has ended and is not waited for yet is a zombie.
fn child_has_ended(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('Z'))
}
