//! Texts of events that end alike. Most commits tell two or three things about one charge as it
//! then stands, and the charge is the most of each text; so it is kept with the first of them, and
//! the others name that event's number in its place. Nobody outside this crate sees it.

use super::damaged;
use tongbao_core::Event;
use tongbao_engine::{StoreError, StoredEvent};

/// Stands before the number of the event that ends alike. No JSON text holds it.
const MARK: char = '\u{1}';

/// Where the object of an event begins. What is before it holds no text of a merchant's.
const OBJECT: &str = ",\"data\":";

/// The texts of one commit's events as they are kept.
pub(crate) fn shorten(events: &[Event], bodies: Vec<String>) -> Vec<String> {
    let Some((first, others)) = bodies.split_first() else { return bodies };
    let (_, end) = split(first);
    let number = events.first().map_or(0, |event| event.sequence);
    let short = |body: &String| match split(body) {
        (head, same) if !same.is_empty() && same == end => format!("{head}{MARK}{number}"),
        _ => body.clone(),
    };
    let others: Vec<String> = others.iter().map(short).collect();
    let mut bodies = bodies;
    bodies.truncate(1);
    bodies.extend(others);
    bodies
}

/// The number of the event of the same charge that a kept text ends like, if it is short.
pub(crate) fn ends_like(stored: &StoredEvent) -> Result<Option<i64>, StoreError> {
    let Some((_, number)) = stored.body.split_once(MARK) else { return Ok(None) };
    number.parse().map(Some).map_err(|error| damaged(&error))
}

/// Makes a short text whole, given the text that it ends like.
pub(crate) fn lengthen(stored: &mut StoredEvent, whole: &str) {
    let (_, end) = split(whole);
    if let Some(at) = stored.body.find(MARK) {
        stored.body.truncate(at);
        stored.body.push_str(end);
    }
}

fn split(body: &str) -> (&str, &str) {
    body.split_at(body.find(OBJECT).unwrap_or(body.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongbao_core::{EventKind, Scope};
    use tongbao_types::{AppName, Mint, Mode, Timestamp};

    fn events(n: i64) -> Vec<Event> {
        let mut mint = Mint::new(Timestamp::from_seconds(0), [3; 10]);
        let charge = mint.id();
        let scope = Scope { app: AppName::new("shop").unwrap(), mode: Mode::Test };
        let one = |sequence| Event {
            id: mint.id(),
            scope: scope.clone(),
            charge,
            refund: None,
            kind: EventKind::PollDelayed,
            sequence,
            created_at: Timestamp::from_seconds(0),
        };
        (4..4 + n).map(one).collect()
    }

    fn back(event: &Event, kept: &[String], at: usize) -> String {
        let mut stored = StoredEvent { event: event.clone(), body: kept[at].clone() };
        if let Some(number) = ends_like(&stored).unwrap() {
            assert_eq!(number, 4, "the first one is whole");
            lengthen(&mut stored, &kept[0]);
        }
        stored.body
    }

    #[test]
    fn texts_that_end_alike_are_kept_once_and_read_back() {
        let body =
            |id: &str, object: &str| format!(r#"{{"id":"{id}","data":{{"object":{object}}}}}"#);
        let long = format!(r#""{},\"data\":""#, "茶".repeat(500));
        let whole = vec![body("a", &long), body("b", &long), body("c", "2"), body("d", &long)];
        let kept = shorten(&events(4), whole.clone());
        assert_eq!(kept[0], whole[0]);
        assert!(kept[1].len() < 20 && kept[3].len() < 20, "{kept:?}");
        assert_eq!(kept[2], whole[2]);
        for (at, event) in events(4).iter().enumerate() {
            assert_eq!(back(event, &kept, at), whole[at]);
        }
    }

    #[test]
    fn what_is_no_text_of_ours_stays_as_it_is() {
        let texts = vec![String::new(), String::new(), "x".to_owned()];
        assert_eq!(shorten(&events(3), texts.clone()), texts);
        assert!(shorten(&[], Vec::new()).is_empty());
    }
}
