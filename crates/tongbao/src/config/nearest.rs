//! Which known word somebody probably meant.

/// The known word that is nearest to `word`, by edits. `None` only if there are no known words.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase().replace('-', "_");
    known.into_iter().min_by_key(|candidate| {
        // A word inside another (`id` in `app_id`) is nearer than its length alone says.
        let inside = candidate.contains(lower.as_str());
        let edits = strsim::damerau_levenshtein(&lower, candidate);
        if inside { edits.min(2) } else { edits }
    })
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_word_is_found() {
        let known = ["listen", "public_url", "api_key", "api_v3_key", "app_private_key"];
        let cases = [
            ("lisen", "listen"),
            ("LISTEN", "listen"),
            ("public-url", "public_url"),
            ("apikey", "api_key"),
            ("v3_key", "api_v3_key"),
            ("private_key", "app_private_key"),
        ];
        for (word, wanted) in cases {
            assert_eq!(nearest(word, known), Some(wanted), "{word}");
        }
        assert_eq!(nearest("x", []), None);
    }
}
