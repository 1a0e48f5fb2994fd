//! Payment codes (付款码): what the payer's phone shows and the cashier scans, in both APIs.

/// Whether a scanned text is a payment code: 18 digits that begin with 10 to 15.
pub fn is_auth_code(text: &str) -> bool {
    let begins = ["10", "11", "12", "13", "14", "15"].iter().any(|p| text.starts_with(p));
    begins && text.len() == 18 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_18_digits_with_wechats_beginning() {
        assert!(is_auth_code("134650093011212345") && is_auth_code("100000000000000000"));
        let wrong = ["", "13465009301121234", "1346500930112123456", "284650093011212345"];
        for text in wrong.into_iter().chain(["164650093011212345", "13465009301121234x"]) {
            assert!(!is_auth_code(text), "{text}");
        }
    }
}
