//! The views `deal` and `payorder`: the columns of the older services' tables over our own rows, on
//! each database, and nobody writes through them.

use crate::data::*;
use crate::engines::{Engine, Fresh, say, try_say};
use crate::table::{read, types};
use tongbao_core::{ChargeState, CloseReason, Payment, RefundState, ReplyKind};
use tongbao_engine::Commit;
use tongbao_store::{Options, open};
use tongbao_types::{Amount, Channel, ChargeId, Fen, Profile, Timestamp, TradeNo};

/// A test on each database; the model has no views.
macro_rules! on_each_database {
    ($($name:ident)*) => {$(
        mod $name {
            use crate::engines::{Engine, Fresh};

            async fn on(engine: Engine) {
                if let Some(fresh) = Fresh::on(engine).await {
                    super::$name(engine, &fresh).await;
                    fresh.end().await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                on(Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                on(Engine::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                on(Engine::Mysql).await;
            }
        }
    )*};
}

on_each_database! {
    deal_has_every_column_of_the_older_table
    deal_says_how_a_charge_stands
    payorder_has_the_columns_of_both_designs
    payorder_says_how_a_charge_stands
    ids_are_small_and_stay
    nobody_writes_through_a_view
    money_never_becomes_a_float
}

const DEAL: [&str; 14] = [
    "id",
    "order_id",
    "product_id",
    "merchant_id",
    "transaction_id",
    "price",
    "price_last",
    "status",
    "mode",
    "prepayBack",
    "payBack",
    "queryBack",
    "create_at",
    "update_at",
];

const PAYORDER: [&str; 18] = [
    "id",
    "appid",
    "bank_type",
    "cash_fee",
    "fee_type",
    "is_subscribe",
    "mch_id",
    "nonce_str",
    "openid",
    "out_trade_no",
    "sign",
    "time_end",
    "total_fee",
    "trade_type",
    "transaction_id",
    "body",
    "spbill_create_ip",
    "trade_state",
];

/// Two hours after the charges were made.
const ENDED_AT: Timestamp = Timestamp::from_seconds(1_795_249_800);

/// A charge of a profile with one attempt, in a state.
struct Made {
    profile: Option<Profile>,
    number: &'static str,
    fen: i64,
    channel: Channel,
    state: fn(Payment) -> ChargeState,
}

const MADE: Made = Made {
    profile: Some(Profile::Wxpay),
    number: "2026112114300012345",
    fen: 1990,
    channel: Channel::WechatNative,
    state: |_| ChargeState::Pending { closing: None },
};

async fn make(fresh: &Fresh, maker: &mut Maker, made: Made) -> ChargeId {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut charge = charge(maker, &scope("a"), made.number);
    let id = charge.id;
    charge.profile = made.profile;
    charge.amount = Amount::new(Fen(made.fen)).unwrap();
    charge.client_ip = Some("203.0.113.7".to_owned());
    charge.metadata = match made.profile {
        Some(Profile::Wxpay) => vec![pair("merchant_id", "7"), pair("product_id", "123456789012")],
        _ => vec![pair("nonce_str", "D1795242600123")],
    };
    let mut attempt = attempt(maker, id, "acc", made.number);
    attempt.channel = made.channel;
    let trade_no = TradeNo::new("4200001").unwrap();
    let payment = Payment { trade_no, remark: None, ..payment(attempt.id) };
    let payment = Payment { amount: Fen(made.fen), ..payment };
    charge.state = (made.state)(payment);
    fresh.store.commit(commit(insert(charge, vec![attempt]))).await.unwrap();
    id
}

async fn said(fresh: &Fresh, charge: ChargeId, kind: ReplyKind, body: &str) {
    let provider_reply = Some(reply(charge, kind, body, 5));
    fresh.store.commit(Commit { provider_reply, ..Commit::default() }).await.unwrap();
}

type Cells<'a> = &'a [&'a str];

/// Compares the rows of a view but for their ids; `~` is null.
async fn check(
    (engine, fresh): (Engine, &Fresh),
    view: &str,
    columns: Cells<'_>,
    rows: &[Cells<'_>],
) {
    let found = read(engine, &fresh.url, view, columns).await;
    let show = |cell: Option<String>| cell.unwrap_or_else(|| "~".to_owned());
    let found: Vec<Vec<String>> =
        found.into_iter().map(|row| row.into_iter().map(show).collect()).collect();
    assert_eq!(found, rows, "{engine:?} {view}");
}

async fn deal_has_every_column_of_the_older_table(engine: Engine, fresh: &Fresh) {
    let maker = &mut Maker::new();
    let paid = Made { state: ChargeState::Succeeded, ..MADE };
    let id = make(fresh, maker, paid).await;
    let order = r#"{"code_url":"weixin://wxpay/bizpayurl?pr=x","名":"茶 'tea' \"两\" 🍵"}"#;
    said(fresh, id, ReplyKind::Order, order).await;
    said(fresh, id, ReplyKind::Notice, r#"{"result_code":"SUCCESS"}"#).await;
    said(fresh, id, ReplyKind::Query, r#"{"trade_state":"SUCCESS"}"#).await;
    let columns = types(engine, &fresh.url, "deal").await;
    assert_eq!(columns.iter().map(|column| &*column.0).collect::<Vec<_>>(), DEAL);
    let row: Cells<'_> = &[
        "2026112114300012345",
        "123456789012",
        "7",
        "4200001",
        "19.90",
        "19.90",
        "1",
        "0",
        order,
        r#"{"result_code":"SUCCESS"}"#,
        r#"{"trade_state":"SUCCESS"}"#,
        "2026-11-21 14:30:00",
        "2026-11-21 14:30:00",
    ];
    check((engine, fresh), "deal", &DEAL[1..], &[row]).await;
}

async fn deal_says_how_a_charge_stands(engine: Engine, fresh: &Fresh) {
    let maker = &mut Maker::new();
    let closed = |_| ChargeState::Closed { at: ENDED_AT, reason: CloseReason::Expired };
    let failed = |_| ChargeState::Failed { at: ENDED_AT, failure: failure() };
    let alipay = Channel::AlipayQr;
    make(fresh, maker, Made { number: "1", fen: 3, ..MADE }).await;
    make(fresh, maker, Made { number: "2", state: closed, ..MADE }).await;
    make(fresh, maker, Made { number: "3", state: failed, ..MADE }).await;
    let by_alipay = Made { number: "4", channel: alipay, state: ChargeState::Succeeded, ..MADE };
    make(fresh, maker, by_alipay).await;
    make(fresh, maker, Made { number: "5", profile: None, ..MADE }).await;
    make(fresh, maker, Made { number: "6", profile: Some(Profile::Payorder), ..MADE }).await;
    let columns =
        ["order_id", "transaction_id", "price", "status", "mode", "prepayBack", "update_at"];
    let rows: [Cells<'_>; 3] = [
        &["1", "~", "0.03", "0", "0", "~", "2026-11-21 14:30:00"],
        &["2", "~", "19.90", "2", "0", "~", "2026-11-21 16:30:00"],
        &["4", "4200001", "19.90", "1", "1", "~", "2026-11-21 14:30:00"],
    ];
    check((engine, fresh), "deal", &columns, &rows).await;
}

async fn payorder_has_the_columns_of_both_designs(engine: Engine, fresh: &Fresh) {
    let maker = &mut Maker::new();
    let profile = Some(Profile::Payorder);
    let number = "China17952426001230123456789";
    let id = make(fresh, maker, Made { number, profile, ..MADE }).await;
    let order = r#"{"appid":"wx1","mch_id":"1900000109","trade_type":"NATIVE","sign":"of-order",
        "nonce_str":"of-order"}"#;
    said(fresh, id, ReplyKind::Order, order).await;
    let columns = types(engine, &fresh.url, "payorder").await;
    assert_eq!(columns.iter().map(|column| &*column.0).collect::<Vec<_>>(), PAYORDER);
    let subject = charge(maker, &scope("a"), "x").subject;
    let mut row = [
        "wx1",
        "",
        "",
        "",
        "",
        "1900000109",
        "D1795242600123",
        "",
        number,
        "",
        "",
        "1990",
        "NATIVE",
        "",
        &subject,
        "203.0.113.7",
        "NOTPAY",
    ];
    check((engine, fresh), "payorder", &PAYORDER[1..], &[&row]).await;

    let told = r#"{"appid":"wx1","bank_type":"CMC","cash_fee":"1990","fee_type":"CNY",
        "is_subscribe":"Y","openid":"o1","sign":"A\"B","time_end":"20261121143005"}"#;
    said(fresh, id, ReplyKind::Notice, told).await;
    (row[1], row[2], row[3], row[4]) = ("CMC", "1990", "CNY", "Y");
    (row[7], row[9], row[10]) = ("o1", "A\"B", "20261121143005");
    check((engine, fresh), "payorder", &PAYORDER[1..], &[&row]).await;
}

async fn payorder_says_how_a_charge_stands(engine: Engine, fresh: &Fresh) {
    let maker = &mut Maker::new();
    let base = || Made { profile: Some(Profile::Payorder), ..MADE };
    let closed = |_| ChargeState::Closed { at: ENDED_AT, reason: CloseReason::Requested };
    let failed = |_| ChargeState::Failed { at: ENDED_AT, failure: failure() };
    make(fresh, maker, Made { number: "1", ..base() }).await;
    make(fresh, maker, Made { number: "2", state: closed, ..base() }).await;
    make(fresh, maker, Made { number: "3", state: failed, ..base() }).await;
    let asked = make(fresh, maker, Made { number: "4", state: ChargeState::Succeeded, ..base() });
    let asked = asked.await;
    // The notice was lost; what the provider said when it was asked is as good.
    said(fresh, asked, ReplyKind::Query, r#"{"openid":"o4","bank_type":"OTHERS"}"#).await;
    make(fresh, maker, MADE).await;
    let back = make(fresh, maker, Made { number: "5", state: ChargeState::Succeeded, ..base() });
    let loaded = fresh.store.charge(back.await).await.unwrap().unwrap();
    let mut changes = update(&loaded);
    let mut refund = refund(maker, (&loaded.charge, &loaded.attempts[0]), "r", 90);
    refund.state = RefundState::Succeeded { at: ENDED_AT };
    add_refund(&mut changes, refund);
    fresh.store.commit(commit(changes)).await.unwrap();
    let columns = ["out_trade_no", "transaction_id", "openid", "bank_type", "trade_state"];
    let rows: [Cells<'_>; 4] = [
        &["1", "", "", "", "NOTPAY"],
        &["2", "", "", "", "CLOSED"],
        &["4", "4200001", "o4", "OTHERS", "SUCCESS"],
        &["5", "4200001", "", "", "REFUND"],
    ];
    check((engine, fresh), "payorder", &columns, &rows).await;
}

async fn ids_are_small_and_stay(engine: Engine, fresh: &Fresh) {
    let maker = &mut Maker::new();
    let ids = async || {
        let rows = read(engine, &fresh.url, "deal", &["order_id", "id"]).await;
        let rows = rows.into_iter().map(|row| (row[0].clone().unwrap(), row[1].clone().unwrap()));
        rows.map(|(no, id)| (no, id.parse::<i64>().unwrap())).collect::<Vec<_>>()
    };
    // Ids are not times: whoever was written first has the smaller one, whenever it was minted.
    let mut late = Maker::new();
    late.id::<ChargeId>();
    make(fresh, &mut late, Made { number: "late", ..MADE }).await;
    make(fresh, maker, Made { number: "early", ..MADE }).await;
    let before = ids().await;
    assert_eq!(before.len(), 2);
    assert_eq!((before[0].0.as_str(), before[1].0.as_str()), ("late", "early"));
    assert!(0 < before[0].1 && before[0].1 < before[1].1 && before[1].1 < 1000, "{before:?}");
    make(fresh, maker, Made { number: "x", profile: Some(Profile::Payorder), ..MADE }).await;
    make(fresh, maker, Made { number: "third", ..MADE }).await;
    let after = ids().await;
    assert_eq!((&after[..2], after.len()), (&before[..], 3));
}

async fn nobody_writes_through_a_view(engine: Engine, fresh: &Fresh) {
    let maker = &mut Maker::new();
    make(fresh, maker, MADE).await;
    make(fresh, maker, Made { number: "2", profile: Some(Profile::Payorder), ..MADE }).await;
    let statements = [
        "insert into deal (order_id) values ('9')",
        "update deal set order_id = '9'",
        "update deal set status = 1",
        "update deal set transaction_id = '9'",
        "delete from deal",
        "insert into payorder (out_trade_no) values ('9')",
        "update payorder set out_trade_no = '9'",
        "update payorder set trade_state = 'SUCCESS'",
        "update payorder set body = '9'",
        "delete from payorder",
    ];
    for statement in statements {
        let error = try_say(engine, &fresh.url, statement).await.unwrap_err().to_string();
        let view = if statement.contains("deal") { "deal" } else { "payorder" };
        let (says_which, says_why) = (error.contains(view), {
            error.contains("view")
                || error.contains("not updatable")
                || error.contains("insertable")
        });
        assert!(says_which && says_why, "{engine:?} {statement}: {error}");
    }
    assert_eq!(read(engine, &fresh.url, "deal", &["order_id"]).await.len(), 1);
}

async fn money_never_becomes_a_float(engine: Engine, fresh: &Fresh) {
    let maker = &mut Maker::new();
    let cases = [
        (1, "0.01"),
        (3, "0.03"),
        (10, "0.10"),
        (1990, "19.90"),
        (1_234_567_899, "12345678.99"),
        (10_000_000_000, "100000000.00"),
    ];
    let numbers = ["1", "2", "3", "4", "5", "6"];
    for (number, (fen, _)) in numbers.into_iter().zip(cases) {
        make(fresh, maker, Made { number, fen, ..MADE }).await;
    }
    let rows = cases.map(|(_, yuan)| [yuan, yuan]);
    let rows: Vec<Cells<'_>> = rows.iter().map(|row| &row[..]).collect();
    check((engine, fresh), "deal", &["price", "price_last"], &rows).await;
    let kinds = types(engine, &fresh.url, "deal").await;
    let kind = |name: &str| kinds.iter().find(|column| column.0 == name).unwrap().1.clone();
    let (price, time) = match engine {
        Engine::Postgres => ("NUMERIC", "TIMESTAMP"),
        Engine::Mysql => ("DECIMAL", "DATETIME"),
        _ => ("TEXT", "TEXT"),
    };
    assert_eq!((kind("price"), kind("price_last")), (price.to_owned(), price.to_owned()));
    assert_eq!((kind("create_at"), kind("update_at")), (time.to_owned(), time.to_owned()));
}

/// Somebody lets tongbao use the database that holds the older service's own table: it stays, with
/// all that is in it.
#[tokio::test]
async fn a_table_of_the_same_name_is_left_alone() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
        let script = "create table deal (id int); insert into deal values (7);";
        let Some(fresh) = Fresh::after(engine, script).await else { continue };
        let rows = read(engine, &fresh.url, "deal", &["id"]).await;
        assert_eq!(rows, [[Some("7".to_owned())]], "{engine:?}");
        assert!(read(engine, &fresh.url, "payorder", &["id"]).await.is_empty());
        fresh.end().await;
    }
}

/// As when a process fell between a step and the note of it.
#[tokio::test]
async fn views_are_made_twice_without_harm() {
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mysql] {
        let Some(fresh) = Fresh::on(engine).await else { continue };
        make(&fresh, &mut Maker::new(), MADE).await;
        fresh.sql.as_ref().unwrap().close().await;
        say(engine, &fresh.url, "delete from migrations where name >= '0053'").await;
        open(&fresh.url, Options::default()).await.unwrap().close().await;
        assert_eq!(read(engine, &fresh.url, "deal", &["order_id"]).await.len(), 1);
        fresh.end().await;
    }
}
