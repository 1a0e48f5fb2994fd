//! Whether the rows of a database fit each other: what must hold after every commit, asked of all
//! of them at once. It finds what a damaged disk, a restored half or an edit by hand has done.

use crate::SqlStore;
use crate::tables::Row as _;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tongbao_engine::StoreError;
use uuid::Uuid;

/// One rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// What is wrong, in words.
    pub what: &'static str,
    /// In how many places.
    pub count: usize,
    /// The ids of the first few rows: of charges, refunds or deliveries.
    pub examples: Vec<Uuid>,
}

/// So many examples are shown of each breach.
const EXAMPLES: usize = 5;

/// What must not be found, and the question that finds it; each gives ids.
const RULES: &[(&str, &str)] = &[
    (
        "charges whose events are not numbered 1, 2, 3 … up to their count",
        "select c.id from charges c left join events e on e.charge = c.id \
         group by c.id, c.events \
         having count(e.sequence) <> c.events or coalesce(max(e.sequence), 0) <> c.events",
    ),
    (
        "charges with more given back than was paid",
        "select id from charges where amount_refunded > coalesce(amount_paid, amount) \
         and status = 'succeeded'",
    ),
    (
        "charges that count refunds which are not there",
        "select c.id from charges c where c.refunds > 0 and \
         (select count(*) from refunds r where r.charge = c.id) <> c.refunds",
    ),
    (
        "refunds of no charge",
        "select r.id from refunds r left join charges c on c.id = r.charge where c.id is null",
    ),
    (
        "orders of no charge",
        "select a.id from attempts a left join charges c on c.id = a.charge where c.id is null",
    ),
    (
        "orders that wait for their payer, and nothing will ask about them",
        "select a.id from attempts a where a.status in ('placing', 'pending') and not exists \
         (select 1 from jobs j where j.subject = a.id and j.kind = 'poll_attempt')",
    ),
    (
        "orders that are to be closed, and nothing will close them",
        "select a.id from attempts a where a.status = 'closing' and not exists \
         (select 1 from jobs j where j.subject = a.id and j.kind = 'close_attempt')",
    ),
    (
        "refunds that are pending, and nothing will ask about them",
        "select r.id from refunds r where r.status = 'pending' and not exists \
         (select 1 from jobs j where j.subject = r.id and j.kind = 'perform_refund')",
    ),
    (
        "deliveries that are pending, and nothing will make them",
        "select d.id from deliveries d where d.status = 'pending' and not exists \
         (select 1 from jobs j where j.subject = d.id and j.kind = 'deliver')",
    ),
];

impl SqlStore {
    /// Looks for what must not be. On SQLite the file itself is checked too. It reads everything,
    /// so a large database takes its time; whoever writes meanwhile may show up with what was
    /// written between two questions.
    pub async fn check(&self) -> Result<Vec<Breach>, StoreError> {
        let mut found = Vec::new();
        if self.reads.get_database_backend() == DbBackend::Sqlite {
            found.extend(self.check_file().await?);
        }
        for (what, question) in RULES {
            let statement =
                Statement::from_string(self.reads.get_database_backend(), (*question).to_owned());
            let rows = self.reads.query_all_raw(statement).await.map_err(|error| failed(&error))?;
            if rows.is_empty() {
                continue;
            }
            let examples = rows.iter().take(EXAMPLES).map(|row| row.cell(0));
            let examples = examples.collect::<Result<_, _>>()?;
            found.push(Breach { what, count: rows.len(), examples });
        }
        Ok(found)
    }

    async fn check_file(&self) -> Result<Option<Breach>, StoreError> {
        let pragma = Statement::from_string(DbBackend::Sqlite, "pragma integrity_check".to_owned());
        let rows = self.reads.query_all_raw(pragma).await.map_err(|error| failed(&error))?;
        let first: Option<String> = rows.first().map(|row| row.cell(0)).transpose()?;
        if first.as_deref() == Some("ok") {
            return Ok(None);
        }
        let what = "places where the file itself is damaged; restore a backup";
        Ok(Some(Breach { what, count: rows.len(), examples: Vec::new() }))
    }
}

fn failed(error: &DbErr) -> StoreError {
    StoreError(error.to_string())
}
