//! SQLite's loader of single charges: callers that ask at the same time are answered by one
//! statement. A statement's way to the connection's thread and back costs more than the reading, so
//! this is what keeps notifications cheap.
//!
//! What it answers was read after the question came in, so whoever was told of a commit sees it.

use crate::error;
use crate::reads;
use crate::sql::Transaction;
use crate::sqlite_writer::on_thread_of_its_own;
use crate::tables::{attempts, charges, text_maybe};
use sea_orm::{DbBackend, QueryResult, Statement, Value};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::collections::HashMap;
use tokio::sync::{mpsc, oneshot};
use tongbao_core::Loaded;
use tongbao_engine::StoreError;
use tongbao_types::{AccountName, OutTradeNo};

/// So many questions may wait before whoever brings more must wait too.
const QUEUE_MAX: usize = 1024;

/// Few sizes, so that there are few statements and all stay prepared; empty places are null.
const SIZES: [usize; 4] = [1, 4, 16, 64];

type Answer = Result<Option<Loaded>, StoreError>;

/// The door to the loading task.
#[derive(Clone)]
pub(crate) struct Loader(mpsc::Sender<Question>);

struct Question {
    account: AccountName,
    number: OutTradeNo,
    answer: oneshot::Sender<Answer>,
}

impl Loader {
    /// Starts the task over a read-only connection of its own.
    pub(crate) fn start(connection: SqliteConnection) -> Loader {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        on_thread_of_its_own("sqlite-loader", run(connection, queue));
        Loader(sender)
    }

    /// The charge of an order at a provider.
    pub(crate) async fn load(&self, account: &AccountName, number: &OutTradeNo) -> Answer {
        let (answer, loaded) = oneshot::channel();
        let question = Question { account: account.clone(), number: number.clone(), answer };
        let gone = || StoreError("the loader has stopped".to_owned());
        self.0.send(question).await.map_err(|_| gone())?;
        loaded.await.map_err(|_| gone())?
    }
}

async fn run(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Question>) {
    let most = SIZES[SIZES.len() - 1];
    let mut questions = Vec::with_capacity(most);
    let texts = SIZES.map(text);
    while queue.recv_many(&mut questions, most).await > 0 {
        let size = SIZES.iter().position(|size| *size >= questions.len());
        let size = size.expect("no more are taken than the largest size");
        let asked = ask(&questions, SIZES[size], &texts[size], &mut connection).await;
        answer(&mut questions, asked);
    }
    // Nothing was written here that closing could lose.
    let _ = connection.close().await;
}

async fn ask(
    questions: &[Question],
    size: usize,
    text: &str,
    connection: &mut SqliteConnection,
) -> Result<HashMap<i64, Loaded>, StoreError> {
    let mut values: Vec<Value> = Vec::with_capacity(size * 2);
    for at in 0..size {
        let question = questions.get(at);
        values.push(text_maybe(question.map(|q| q.account.as_str().to_owned())));
        values.push(text_maybe(question.map(|q| q.number.as_str().to_owned())));
    }
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, text, values);
    let rows = connection.ask(statement).await.map_err(error::store)?;
    let mut found: HashMap<i64, Vec<QueryResult>> = HashMap::new();
    for row in rows {
        found.entry(reads::place(&row)?).or_default().push(row);
    }
    let mut loaded = HashMap::with_capacity(found.len());
    for (place, rows) in found {
        loaded.extend(reads::fold(&rows, 1)?.pop().map(|charge| (place, charge)));
    }
    Ok(loaded)
}

fn answer(questions: &mut Vec<Question>, asked: Result<HashMap<i64, Loaded>, StoreError>) {
    let mut asked = asked;
    for (place, question) in (0_i64..).zip(questions.drain(..)) {
        let answer = match &mut asked {
            Ok(loaded) => Ok(loaded.remove(&place)),
            Err(StoreError(cause)) => Err(StoreError(cause.clone())),
        };
        // A caller who went away needs no answer.
        let _ = question.answer.send(answer);
    }
}

/// The joins are `cross` so that SQLite keeps their order: from the numbers through the index of
/// attempts to the charge, and back to all its attempts.
fn text(size: usize) -> String {
    let columns = |alias: &str, names: &[&str]| {
        names.iter().map(|name| format!("{alias}.\"{name}\"")).collect::<Vec<_>>().join(", ")
    };
    let places: Vec<String> = (0..size).map(|place| format!("({place},?,?)")).collect();
    format!(
        "select v.column1, {}, {} from (values {}) as v \
         cross join attempts as found on found.account = v.column2 \
         and found.out_trade_no = v.column3 \
         cross join charges as c on c.id = found.charge \
         cross join attempts as a on a.charge = c.id",
        columns("c", &charges::COLUMNS),
        columns("a", &attempts::COLUMNS),
        places.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;

    #[tokio::test]
    async fn the_way_goes_from_the_numbers_by_indexes() {
        let empty = explain::empty().await;
        let steps = explain::steps(&empty.0, &text(16)).await;
        let searches: Vec<&str> =
            steps.iter().filter(|step| step.starts_with("SEARCH")).map(String::as_str).collect();
        let wanted = [
            "SEARCH found USING INDEX attempts_out_trade_no (account=? AND out_trade_no=?)",
            "SEARCH c USING INDEX sqlite_autoindex_charges_1 (id=?)",
            "SEARCH a USING INDEX sqlite_autoindex_attempts_1 (charge=?)",
        ];
        assert_eq!(searches, wanted, "{steps:?}");
        explain::end(empty).await;
    }
}
