//! `deal` and `payorder`: the tables of two older services as views over our own, for reports that
//! read them. Their SQL is written by hand, since the builder knows no views.
//!
//! Nobody writes through them. SQLite has no other views; PostgreSQL takes writes only through a
//! view of one table; MySQL and MariaDB through no view that they make whole before it is read.
//!
//! What a profile keeps in a charge's metadata is read by its place, since that is all that the
//! three databases can do alike: the order is that of `metadata` in `tongbao-compat`'s files of the
//! same names. A table of that name that is there already, such as the older service's own, stays
//! as it is.

use sea_orm::DbBackend;

/// What `wxpay` kept in its table `deal`. A charge that the provider refused was never there.
pub(crate) fn deal(backend: DbBackend) -> String {
    let sql = Sql(backend);
    let create = sql.create("deal");
    let [merchant_id, product_id] = [0, 1].map(|place| sql.whole(&sql.metadata(place)));
    let (price, price_last) = (sql.yuan("c.amount"), sql.yuan("coalesce(c.amount_paid, c.amount)"));
    let create_at = sql.china_time("c.created_at");
    let update_at = sql.china_time("coalesce(c.paid_at, c.ended_at, c.created_at)");
    let [prepay_back, pay_back, query_back] =
        ["prepayBack", "payBack", "queryBack"].map(|name| sql.name(name));
    let said = |kind: &str| {
        format!(
            "(select r.body from provider_replies r where r.charge = c.id and r.kind = '{kind}')"
        )
    };
    let [order, notice, query] = ["order", "notice", "query"].map(said);
    format!(
        "{create}
        select
            n.number as id,
            c.order_no as order_id,
            {product_id} as product_id,
            {merchant_id} as merchant_id,
            c.trade_no as transaction_id,
            {price} as price,
            {price_last} as price_last,
            case c.status when 'pending' then 0 when 'succeeded' then 1 else 2 end as status,
            coalesce((
                select case when a.channel like 'alipay.%' then 1 else 0 end
                from attempts a
                where a.charge = c.id and a.id = c.attempt
            ), 0) as mode,
            {order} as {prepay_back},
            {notice} as {pay_back},
            {query} as {query_back},
            {create_at} as create_at,
            {update_at} as update_at
        from charge_numbers n
        join charges c on c.id = n.charge
        where c.profile = 'wxpay' and c.status <> 'failed'"
    )
}

/// What `payorder` kept in its table of that name, in either of its two designs. A text that is not
/// known, or not yet, is empty, since the table had no nulls.
pub(crate) fn payorder(backend: DbBackend) -> String {
    let sql = Sql(backend);
    let create = sql.create("payorder");
    let first = |kinds: &[&str], field: &str| {
        let texts = kinds.iter().map(|kind| sql.field(&format!("{kind}.body"), field));
        let texts: Vec<String> = texts.collect();
        format!("coalesce({}, '') as {field}", texts.join(", "))
    };
    let of_order = |field: &str| first(&["ordered", "told", "asked"], field);
    let of_payment = |field: &str| first(&["told", "asked"], field);
    let [appid, mch_id, trade_type] = ["appid", "mch_id", "trade_type"].map(of_order);
    let [bank_type, cash_fee, fee_type, is_subscribe, openid, sign, time_end] =
        ["bank_type", "cash_fee", "fee_type", "is_subscribe", "openid", "sign", "time_end"]
            .map(of_payment);
    let nonce_str = sql.metadata(0);
    let total_fee = sql.text("c.amount");
    format!(
        "{create}
        select
            n.number as id,
            {appid},
            {bank_type},
            {cash_fee},
            {fee_type},
            {is_subscribe},
            {mch_id},
            coalesce({nonce_str}, '') as nonce_str,
            {openid},
            c.order_no as out_trade_no,
            {sign},
            {time_end},
            {total_fee} as total_fee,
            {trade_type},
            coalesce(c.trade_no, '') as transaction_id,
            c.subject as body,
            coalesce(c.client_ip, '') as spbill_create_ip,
            case
                when c.status = 'pending' then 'NOTPAY'
                when c.status = 'closed' then 'CLOSED'
                when exists (
                    select 1
                    from refunds b
                    where b.charge = c.id and b.status = 'succeeded'
                ) then 'REFUND'
                else 'SUCCESS'
            end as trade_state
        from charge_numbers n
        join charges c on c.id = n.charge
        left join provider_replies ordered on ordered.charge = c.id and ordered.kind = 'order'
        left join provider_replies told on told.charge = c.id and told.kind = 'notice'
        left join provider_replies asked on asked.charge = c.id and asked.kind = 'query'
        where c.profile = 'payorder' and c.status <> 'failed'"
    )
}

/// The same in the words of each database.
#[derive(Clone, Copy)]
struct Sql(DbBackend);

impl Sql {
    /// The beginning of a view's statement. That a view is there already is seen by the error,
    /// where it cannot be said before.
    fn create(self, name: &str) -> String {
        match self.0 {
            DbBackend::Sqlite => format!("create view if not exists {name} as"),
            DbBackend::MySql => format!("create algorithm = temptable view {name} as"),
            _ => format!("create view {name} as"),
        }
    }

    /// A name with capitals.
    fn name(self, name: &str) -> String {
        match self.0 {
            DbBackend::MySql => format!("`{name}`"),
            _ => format!("\"{name}\""),
        }
    }

    /// The text under a name in a JSON object; null if it is not there.
    fn field(self, json: &str, name: &str) -> String {
        match self.0 {
            DbBackend::Postgres => format!("{json}::json ->> '{name}'"),
            DbBackend::MySql => format!("json_unquote(json_extract({json}, '$.{name}'))"),
            _ => format!("json_extract({json}, '$.{name}')"),
        }
    }

    /// The value at a place of a charge's metadata, a list of pairs.
    fn metadata(self, place: usize) -> String {
        match self.0 {
            DbBackend::Postgres => format!("(c.metadata::json -> {place} ->> 1)"),
            DbBackend::MySql => {
                format!("json_unquote(json_extract(c.metadata, '$[{place}][1]'))")
            }
            _ => format!("json_extract(c.metadata, '$[{place}][1]')"),
        }
    }

    /// A text of digits as a number.
    fn whole(self, text: &str) -> String {
        match self.0 {
            DbBackend::Postgres => format!("cast({text} as bigint)"),
            DbBackend::MySql => format!("cast({text} as signed)"),
            _ => format!("cast({text} as integer)"),
        }
    }

    /// A number as its digits.
    fn text(self, whole: &str) -> String {
        match self.0 {
            DbBackend::MySql => format!("cast({whole} as char)"),
            _ => format!("cast({whole} as text)"),
        }
    }

    /// Fen as yuan with two decimals, never through a float. SQLite has no decimals, so there it is
    /// a text.
    fn yuan(self, fen: &str) -> String {
        match self.0 {
            DbBackend::Sqlite => format!("printf('%d.%02d', {fen} / 100, {fen} % 100)"),
            DbBackend::Postgres => format!("cast(cast({fen} as numeric) / 100 as numeric(14, 2))"),
            _ => format!("cast({fen} / 100 as decimal(14, 2))"),
        }
    }

    /// Microseconds since 1970 UTC as a date and a time in China, to the second, whatever the
    /// session's own zone is.
    fn china_time(self, micros: &str) -> String {
        const EPOCH: &str = "'1970-01-01 08:00:00'";
        match self.0 {
            DbBackend::Postgres => {
                format!("timestamp {EPOCH} + {micros} / 1000000 * interval '1 second'")
            }
            DbBackend::MySql => {
                let epoch = format!("cast({EPOCH} as datetime)");
                format!("timestampadd(second, {micros} div 1000000, {epoch})")
            }
            _ => format!("datetime({micros} / 1000000, 'unixepoch', '+8 hours')"),
        }
    }
}
