//! The tables as they are made, step by step. Each step changes one thing and may run twice, since
//! not every database undoes a half-done one; what ran is kept in `migrations`.
//!
//! A step that has been released is never edited; a change is a new step at the end.

use crate::tables::{
    api_keys, attempts, bills, charge_numbers, charges, deliveries, endpoints, events,
    idempotency_keys, jobs, provider_replies, refunds, refused_notices,
};
use crate::{OpenError, error, views};
use sea_orm::sea_query::{
    ColumnDef, Expr, Index, IndexCreateStatement, OnConflict, Query, Table, TableAlterStatement,
    TableCreateStatement,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

const TABLE: &str = "migrations";

/// Makes what is missing. Says so if the database was made by a newer tongbao.
pub(crate) async fn run(database: &DatabaseConnection) -> Result<(), OpenError> {
    let backend = database.get_database_backend();
    let failed = |error: DbErr| OpenError::migration(&error.into());
    let steps = steps(backend);
    let done = match applied(database).await {
        Ok(done) => done,
        Err(_) => {
            database.execute(&make_migrations(backend)).await.map_err(failed)?;
            applied(database).await.map_err(failed)?
        }
    };
    if let Some(unknown) = done.iter().find(|name| steps.iter().all(|step| step.0 != **name)) {
        return Err(OpenError::Newer(unknown.clone()));
    }
    for (name, statement) in steps {
        if done.iter().any(|known| known == name) {
            continue;
        }
        match database.execute_raw(statement).await {
            Err(cause) if !error::exists_already(&cause) => return Err(failed(cause)),
            _ => database.execute(&note(name)).await.map_err(failed)?,
        };
    }
    Ok(())
}

async fn applied(database: &DatabaseConnection) -> Result<Vec<String>, DbErr> {
    let rows = database.query_all(Query::select().column("name").from(TABLE)).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

fn note(name: &str) -> sea_orm::sea_query::InsertStatement {
    let once = OnConflict::column("name").do_nothing_on(["name"]).to_owned();
    Query::insert()
        .into_table(TABLE)
        .columns(["name"])
        .values_panic([Expr::val(name)])
        .on_conflict(once)
        .to_owned()
}

fn make_migrations(backend: DbBackend) -> TableCreateStatement {
    table(backend, TABLE, [words("name", 80)]).primary_key(&mut index(["name"])).to_owned()
}

/// All steps in order, by name.
fn steps(backend: DbBackend) -> Vec<(&'static str, Statement)> {
    let mut steps: Vec<(&'static str, Statement)> = Vec::new();
    for (name, table) in [
        ("0001_charges", make_charges(backend)),
        ("0002_attempts", make_attempts(backend)),
        ("0003_events", make_events(backend)),
        ("0004_jobs", make_jobs(backend)),
        ("0005_endpoints", make_endpoints(backend)),
        ("0006_deliveries", make_deliveries(backend)),
        ("0007_idempotency_keys", make_idempotency_keys(backend)),
        ("0008_refused_notices", make_refused_notices(backend)),
        ("0009_api_keys", make_api_keys(backend)),
    ] {
        steps.push((name, backend.build(&table)));
    }
    for (name, index) in indexes(backend) {
        steps.push((name, backend.build(&index)));
    }
    for (name, column) in columns_of_refunds(backend) {
        steps.push((name, backend.build(&column)));
    }
    steps.push(("0029_refunds", backend.build(&make_refunds(backend))));
    for (name, index) in indexes_of_refunds(backend) {
        steps.push((name, backend.build(&index)));
    }
    steps.push(("0040_bills", backend.build(&make_bills(backend))));
    steps.push(("0041_bill_parts", backend.build(&make_bill_parts(backend))));
    let key = on(backend, "bills_key", bills::TABLE, &["account", "kind", "day"]);
    steps.push(("0042_bills_key", backend.build(key.clone().unique())));
    for (name, column) in columns_of_profiles() {
        steps.push((name, backend.build(&column)));
    }
    steps.push(("0052_provider_replies", backend.build(&make_provider_replies(backend))));
    steps.push(("0053_charge_numbers", backend.build(&make_charge_numbers(backend))));
    for (name, view) in
        [("0054_deal", views::deal(backend)), ("0055_payorder", views::payorder(backend))]
    {
        steps.push((name, Statement::from_string(backend, view)));
    }
    // Rows that were there are a first version, as are those that an older instance makes.
    let version = add(endpoints::TABLE, whole("version").default(1_i64).take());
    steps.push(("0056_endpoints_version", backend.build(&version)));
    steps
}

/// Uniqueness first, then what lists and queues need. An index's own name begins with its table's,
/// and says in an error which rule was broken.
fn indexes(backend: DbBackend) -> Vec<(&'static str, IndexCreateStatement)> {
    let unique = |name, table, columns: &[&'static str]| {
        on(backend, name, table, columns).unique().to_owned()
    };
    let plain =
        |name, table, columns: &[&'static str]| on(backend, name, table, columns).to_owned();
    vec![
        ("0010_charges_order_no", {
            unique("charges_order_no", charges::TABLE, &["app", "mode", "order_no"])
        }),
        ("0011_charges_scope", plain("charges_scope", charges::TABLE, &["app", "mode", "id"])),
        ("0012_attempts_out_trade_no", {
            unique("attempts_out_trade_no", attempts::TABLE, &["account", "out_trade_no"])
        }),
        ("0013_events_sequence", {
            unique("events_sequence", events::TABLE, &["charge", "sequence"])
        }),
        ("0014_jobs_key", unique("jobs_key", jobs::TABLE, &["key"])),
        ("0015_jobs_due", plain("jobs_due", jobs::TABLE, &["lease_until", "run_at", "id"])),
        ("0016_endpoints_scope", {
            plain("endpoints_scope", endpoints::TABLE, &["app", "mode", "id"])
        }),
        ("0017_deliveries_scope", {
            plain("deliveries_scope", deliveries::TABLE, &["app", "mode", "id"])
        }),
        ("0018_deliveries_endpoint", {
            plain("deliveries_endpoint", deliveries::TABLE, &["endpoint", "id"])
        }),
        ("0019_deliveries_event", {
            plain("deliveries_event", deliveries::TABLE, &["event", "id"])
        }),
        ("0020_idempotency_keys_created_at", {
            plain("idempotency_keys_created_at", idempotency_keys::TABLE, &["created_at"])
        }),
        ("0021_api_keys_hash", unique("api_keys_hash", api_keys::TABLE, &["hash"])),
    ]
}

/// What refunds, further attempts and other amounts than the charge's need in tables that were
/// there before. Rows that were there, and those that an older instance beside this one still
/// writes, get the default.
fn columns_of_refunds(backend: DbBackend) -> Vec<(&'static str, TableAlterStatement)> {
    let zero = |name| whole(name).default(0_i64).take();
    let maybe = |name| ColumnDef::new(name).big_integer().take();
    vec![
        ("0022_charges_open_choice", add(charges::TABLE, zero("open_choice"))),
        ("0023_charges_refunds", add(charges::TABLE, zero("refunds"))),
        ("0024_charges_amount_paid", add(charges::TABLE, maybe("amount_paid"))),
        ("0025_attempts_payer", add(attempts::TABLE, long(backend, "payer"))),
        ("0026_attempts_amount_paid", add(attempts::TABLE, maybe("amount_paid"))),
        ("0027_events_refund", add(events::TABLE, uuid(backend, "refund"))),
        ("0028_idempotency_keys_refund", add(idempotency_keys::TABLE, uuid(backend, "refund"))),
    ]
}

/// What the older services' profiles need in tables that were there before.
fn columns_of_profiles() -> Vec<(&'static str, TableAlterStatement)> {
    let maybe = |name| ColumnDef::new(name).string_len(16).take();
    vec![
        ("0050_charges_profile", add(charges::TABLE, maybe("profile"))),
        ("0051_deliveries_callback", add(deliveries::TABLE, maybe("callback"))),
    ]
}

fn indexes_of_refunds(backend: DbBackend) -> Vec<(&'static str, IndexCreateStatement)> {
    let one = |name, columns: &[&'static str]| on(backend, name, refunds::TABLE, columns);
    vec![
        ("0030_refunds_refund_no", {
            one("refunds_refund_no", &["app", "mode", "refund_no"]).unique().to_owned()
        }),
        ("0031_refunds_out_refund_no", {
            one("refunds_out_refund_no", &["account", "out_refund_no"]).unique().to_owned()
        }),
        ("0032_refunds_scope", one("refunds_scope", &["app", "mode", "id"])),
        ("0033_refunds_charge", one("refunds_charge", &["charge", "id"])),
    ]
}

fn make_charges(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "id").not_null().take(),
        words("app", 40),
        words("mode", 8),
        words("order_no", 64),
        whole("amount"),
        long(backend, "subject").not_null().take(),
        long(backend, "body"),
        long(backend, "attach"),
        long(backend, "return_url"),
        long(backend, "client_ip"),
        long(backend, "metadata").not_null().take(),
        words("client_secret", 255),
        whole("created_at"),
        whole("amount_refunded"),
        whole("expires_at"),
        words("status", 16),
        ColumnDef::new("reason").string_len(16).take(),
        ColumnDef::new("ended_at").big_integer().take(),
        long(backend, "failure"),
        uuid(backend, "attempt"),
        ColumnDef::new("trade_no").string_len(64).take(),
        ColumnDef::new("paid_at").big_integer().take(),
        long(backend, "payer"),
        long(backend, "remark"),
        whole("events"),
        whole("version"),
    ];
    table(backend, charges::TABLE, columns).primary_key(&mut index(["id"])).to_owned()
}

/// The charge leads the key, since attempts are read with their charge.
fn make_attempts(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "charge").not_null().take(),
        uuid(backend, "id").not_null().take(),
        words("channel", 40),
        words("account", 80),
        words("out_trade_no", 64),
        whole("created_at"),
        words("status", 16),
        ColumnDef::new("trade_no").string_len(64).take(),
        ColumnDef::new("paid_at").big_integer().take(),
        ColumnDef::new("ended_at").big_integer().take(),
        long(backend, "failure"),
        long(backend, "action"),
    ];
    table(backend, attempts::TABLE, columns).primary_key(&mut index(["charge", "id"])).to_owned()
}

/// The scope leads the key: it is the order of the list, and whoever reads an event knows its
/// scope, so no other index on the id is written.
fn make_events(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        words("app", 40),
        words("mode", 8),
        uuid(backend, "id").not_null().take(),
        uuid(backend, "charge").not_null().take(),
        words("kind", 40),
        whole("sequence"),
        whole("created_at"),
        long(backend, "body").not_null().take(),
    ];
    table(backend, events::TABLE, columns).primary_key(&mut index(["app", "mode", "id"])).to_owned()
}

fn make_jobs(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "id").not_null().take(),
        words("key", 80),
        words("kind", 40),
        uuid(backend, "subject").not_null().take(),
        uuid(backend, "charge"),
        whole("run_at"),
        whole("runs"),
        whole("epoch"),
        whole("lease_until"),
        uuid(backend, "lease_owner"),
        long(backend, "last_error"),
    ];
    let mut jobs = table(backend, jobs::TABLE, columns);
    jobs.primary_key(&mut index(["id"]));
    if backend == DbBackend::Sqlite {
        // Short rows that come and go: one tree less to write.
        jobs.extra("without rowid");
    }
    jobs
}

fn make_endpoints(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "id").not_null().take(),
        words("app", 40),
        words("mode", 8),
        long(backend, "url").not_null().take(),
        long(backend, "events").not_null().take(),
        whole("enabled"),
        long(backend, "description"),
        long(backend, "secret").not_null().take(),
        long(backend, "secret_old"),
        ColumnDef::new("secret_old_until").big_integer().take(),
        whole("created_at"),
    ];
    table(backend, endpoints::TABLE, columns).primary_key(&mut index(["id"])).to_owned()
}

fn make_deliveries(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "id").not_null().take(),
        words("app", 40),
        words("mode", 8),
        uuid(backend, "event").not_null().take(),
        words("kind", 40),
        uuid(backend, "endpoint").not_null().take(),
        whole("created_at"),
        words("status", 16),
        whole("at"),
        long(backend, "tries").not_null().take(),
        whole("n_tries"),
    ];
    table(backend, deliveries::TABLE, columns).primary_key(&mut index(["id"])).to_owned()
}

fn make_refunds(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "id").not_null().take(),
        words("app", 40),
        words("mode", 8),
        uuid(backend, "charge").not_null().take(),
        uuid(backend, "attempt").not_null().take(),
        words("account", 80),
        words("refund_no", 64),
        words("out_refund_no", 64),
        whole("amount"),
        long(backend, "reason"),
        words("cause", 24),
        long(backend, "metadata").not_null().take(),
        whole("created_at"),
        words("status", 16),
        ColumnDef::new("ended_at").big_integer().take(),
        long(backend, "failure"),
        long(backend, "provider_no"),
    ];
    table(backend, refunds::TABLE, columns).primary_key(&mut index(["id"])).to_owned()
}

fn make_bills(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "id").not_null().take(),
        words("account", 80),
        words("kind", 16),
        words("day", 10),
        words("packing", 8),
        whole("bytes"),
        whole("parts"),
        ColumnDef::new("lines").big_integer().take(),
        whole("fetched_at"),
    ];
    table(backend, bills::TABLE, columns).primary_key(&mut index(["id"])).to_owned()
}

fn make_bill_parts(backend: DbBackend) -> TableCreateStatement {
    let body = match backend {
        // Its blob ends at 64 KiB.
        DbBackend::MySql => ColumnDef::new("body").custom("mediumblob").not_null().take(),
        _ => ColumnDef::new("body").blob().not_null().take(),
    };
    let columns = [uuid(backend, "bill").not_null().take(), whole("part"), body];
    table(backend, bills::PARTS, columns).primary_key(&mut index(["bill", "part"])).to_owned()
}

fn make_provider_replies(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "charge").not_null().take(),
        words("kind", 16),
        long(backend, "body").not_null().take(),
        whole("at"),
    ];
    let mut key = index(["charge", "kind"]);
    table(backend, provider_replies::TABLE, columns).primary_key(&mut key).to_owned()
}

fn make_charge_numbers(backend: DbBackend) -> TableCreateStatement {
    let number = whole("number").auto_increment().primary_key().take();
    let columns = [number, uuid(backend, "charge").not_null().take()];
    let mut key = index(["charge"]);
    let key = key.unique().name("charge_numbers_charge");
    table(backend, charge_numbers::TABLE, columns).index(key).to_owned()
}

fn make_idempotency_keys(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        words("app", 40),
        words("mode", 8),
        words("key", 255),
        words("fingerprint", 64),
        uuid(backend, "charge"),
        ColumnDef::new("status").big_integer().take(),
        long(backend, "body"),
        whole("created_at"),
    ];
    let mut key = index(["app", "mode", "key"]);
    table(backend, idempotency_keys::TABLE, columns).primary_key(&mut key).to_owned()
}

fn make_refused_notices(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "charge").not_null().take(),
        words("code", 64),
        long(backend, "reason").not_null().take(),
        whole("count"),
        whole("last_at"),
    ];
    let mut key = index(["charge", "code"]);
    table(backend, refused_notices::TABLE, columns).primary_key(&mut key).to_owned()
}

fn make_api_keys(backend: DbBackend) -> TableCreateStatement {
    let columns = [
        uuid(backend, "id").not_null().take(),
        words("app", 40),
        words("mode", 8),
        words("hash", 64),
        words("tail", 16),
        long(backend, "description"),
        whole("created_at"),
        ColumnDef::new("revoked_at").big_integer().take(),
    ];
    table(backend, api_keys::TABLE, columns).primary_key(&mut index(["id"])).to_owned()
}

fn table<const N: usize>(
    backend: DbBackend,
    name: &'static str,
    columns: [ColumnDef; N],
) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name).if_not_exists();
    for column in columns {
        table.col(column);
    }
    if backend == DbBackend::MySql {
        table.character_set("utf8mb4").collate("utf8mb4_bin");
    }
    table
}

fn add(name: &'static str, mut column: ColumnDef) -> TableAlterStatement {
    Table::alter().table(name).add_column(&mut column).to_owned()
}

fn index<const N: usize>(columns: [&'static str; N]) -> IndexCreateStatement {
    let mut index = Index::create();
    for column in columns {
        index.col(column);
    }
    index
}

/// MySQL knows no `if not exists` here; that the index is there already is seen by its error.
fn on(
    backend: DbBackend,
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    if backend != DbBackend::MySql {
        index.if_not_exists();
    }
    for column in columns {
        index.col(*column);
    }
    index
}

/// 16 bytes.
fn uuid(backend: DbBackend, name: &'static str) -> ColumnDef {
    match backend {
        DbBackend::Sqlite => ColumnDef::new(name).custom("blob").take(),
        _ => ColumnDef::new(name).uuid().take(),
    }
}

/// A short text that is always there.
fn words(name: &'static str, length: u32) -> ColumnDef {
    ColumnDef::new(name).string_len(length).not_null().take()
}

/// A number, an amount of fen or a time in microseconds, that is always there.
fn whole(name: &'static str) -> ColumnDef {
    ColumnDef::new(name).big_integer().not_null().take()
}

/// A text of any length; MySQL's `text` ends at 64 KiB.
fn long(backend: DbBackend, name: &'static str) -> ColumnDef {
    match backend {
        DbBackend::MySql => ColumnDef::new(name).custom("mediumtext").take(),
        _ => ColumnDef::new(name).text().take(),
    }
}
