//! A secret can be used but not printed.

use std::fmt;
use zeroize::Zeroize;

/// Holds a key or password; `Debug` shows nothing of it and dropping wipes it.
#[derive(Clone)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the value in.
    pub const fn new(value: T) -> Secret<T> {
        Secret(value)
    }

    /// Shows the value; search for this word to find every use of a secret.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret as the store keeps it: sealed under a master key, so that the text alone is of no use;
/// or in clear, where an earlier version wrote it. `Debug` shows nothing of it either way.
#[derive(Clone)]
pub struct Sealed(Secret<String>);

impl Sealed {
    /// Takes in what stands in the store, or what is to stand there.
    pub const fn from_text(text: String) -> Sealed {
        Sealed(Secret::new(text))
    }

    /// What stands in the store.
    pub fn as_text(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new(String::from("192006250b4c09247ec02edce69f6a2d"));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.expose().len(), 32);
        let sealed = Sealed::from_text(secret.expose().clone());
        assert_eq!(format!("{sealed:?}"), "Sealed(…)");
        assert_eq!(sealed.as_text(), secret.expose());
    }
}
