//! Which part of a list is wanted: `limit`, `starting_after`, `ending_before`.

use crate::extract::Params;
use std::fmt::Display;
use std::str::FromStr;
use tongbao_engine::{Error, Page};
use tongbao_types::Code;

const LIMIT_DEFAULT: u32 = 10;
const LIMIT_MAX: u32 = 100;

/// Takes the three parameters.
pub(crate) fn page<Id>(params: &mut Params) -> Result<Page<Id>, Error>
where
    Id: FromStr,
    Id::Err: Display,
{
    let limit = params.parse_by("limit", read_limit)?.unwrap_or(LIMIT_DEFAULT);
    let starting_after = params.parse("starting_after")?;
    let ending_before = params.parse("ending_before")?;
    if starting_after.is_some() && ending_before.is_some() {
        let message = "Give starting_after or ending_before, not both.";
        return Err(Error::new(Code::InvalidParameter, message).param("ending_before"));
    }
    Ok(Page { limit, starting_after, ending_before })
}

fn read_limit(text: &str) -> Result<u32, String> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| is_number && (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("A limit is a whole number from 1 to {LIMIT_MAX}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_from_1_to_100() {
        for (text, wanted) in [("1", Some(1)), ("100", Some(100)), ("007", Some(7))] {
            assert_eq!(read_limit(text).ok(), wanted);
        }
        for text in ["0", "101", "-1", "+1", "1.0", "1e1", "", "ten", "99999999999"] {
            assert!(read_limit(text).is_err(), "{text}");
        }
    }
}
