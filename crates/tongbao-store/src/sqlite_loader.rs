//! SQLite's loader of single charges: a thread with a connection of its own, so that a question is
//! answered by one prepared statement without a driver in between. Callers that ask at the same
//! time share a transaction, which saves them the locks.
//!
//! What it answers was read after the question came in, so whoever was told of a commit sees it.

use crate::reads::fold_row;
use crate::sqlite::say;
use crate::sqlite_writer::on_thread_of_its_own;
use crate::tables::{attempts, charges, refunds};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use tongbao_core::Loaded;
use tongbao_engine::StoreError;
use tongbao_types::{AccountName, OutTradeNo};

/// So many questions may wait before whoever brings more must wait too.
const QUEUE_MAX: usize = 1024;

/// So many questions share a transaction at most.
const TOGETHER_MAX: usize = 64;

type Answer = Result<Option<Loaded>, StoreError>;

/// The door to the loading thread.
#[derive(Clone)]
pub(crate) struct Loader(mpsc::Sender<Question>);

struct Question {
    account: AccountName,
    number: OutTradeNo,
    answer: oneshot::Sender<Answer>,
}

impl Loader {
    /// Starts the thread over a read-only connection of its own.
    pub(crate) fn start(connection: Connection) -> Loader {
        let (sender, queue) = mpsc::channel(QUEUE_MAX);
        on_thread_of_its_own("sqlite-loader", move || run(&connection, queue));
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

fn run(connection: &Connection, mut queue: mpsc::Receiver<Question>) {
    let mut questions = Vec::with_capacity(TOGETHER_MAX);
    let text = texts();
    while queue.blocking_recv_many(&mut questions, TOGETHER_MAX) > 0 {
        // Without a transaction each question has its own; it is only a saving.
        let began = say(connection, "begin").is_ok();
        for question in questions.drain(..) {
            let answer = ask(&question, &text, connection);
            // A caller who went away needs no answer.
            let _ = question.answer.send(answer);
        }
        if began && let Err(error) = say(connection, "commit") {
            tracing::warn!(%error, "a transaction that only reads did not end");
        }
    }
}

fn ask(question: &Question, text: &Texts, connection: &Connection) -> Answer {
    let failed = |error: rusqlite::Error| StoreError(error.to_string());
    let mut statement = connection.prepare_cached(&text.charge).map_err(failed)?;
    let number = [question.account.as_str(), question.number.as_str()];
    let mut rows = statement.query(number).map_err(failed)?;
    let mut loaded = Vec::with_capacity(1);
    while let Some(row) = rows.next().map_err(failed)? {
        fold_row(&mut loaded, row)?;
    }
    let mut loaded = loaded.pop();
    if let Some(loaded) = loaded.as_mut().filter(|loaded| loaded.charge.refunds > 0) {
        let charge = loaded.charge.id.uuid();
        let mut statement = connection.prepare_cached(&text.refunds).map_err(failed)?;
        let mut rows = statement.query([charge]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            loaded.refunds.push(refunds::read(row, 0)?);
        }
    }
    Ok(loaded)
}

/// The statements, by what they ask for.
struct Texts {
    charge: String,
    refunds: String,
}

fn texts() -> Texts {
    let columns = refunds::COLUMNS.map(|name| format!("\"{name}\"")).join(", ");
    let refunds = format!("select {columns} from refunds where charge = ? order by id");
    Texts { charge: text(), refunds }
}

/// The joins are `cross` so that SQLite keeps their order: from the number through the index of
/// attempts to the charge, and back to all its attempts, oldest first.
fn text() -> String {
    let columns = |alias: &str, names: &[&str]| {
        names.iter().map(|name| format!("{alias}.\"{name}\"")).collect::<Vec<_>>().join(", ")
    };
    format!(
        "select {}, {} from attempts as found \
         cross join charges as c on c.id = found.charge \
         cross join attempts as a on a.charge = c.id \
         where found.account = ? and found.out_trade_no = ? order by a.id",
        columns("c", &charges::COLUMNS),
        columns("a", &attempts::COLUMNS),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain;

    #[tokio::test]
    async fn the_way_goes_from_the_number_by_indexes() {
        let empty = explain::empty().await;
        let steps = explain::steps(&empty.0, &text()).await;
        let wanted = [
            "SEARCH found USING INDEX attempts_out_trade_no (account=? AND out_trade_no=?)",
            "SEARCH c USING INDEX sqlite_autoindex_charges_1 (id=?)",
            "SEARCH a USING INDEX sqlite_autoindex_attempts_1 (charge=?)",
        ];
        assert_eq!(steps, wanted);
        explain::end(empty).await;
    }
}
