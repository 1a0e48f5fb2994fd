//! The proof that a message was verified.

use std::ops::Deref;

/// A value out of a message whose signature and identity were checked. Only this crate's
/// verification makes one, so that nothing else can reach the rules of an order:
///
/// ```compile_fail,E0423
/// let forged = tongbao_alipay::Verified(String::from("not verified at all"));
/// ```
///
/// ```compile_fail,E0599
/// let forged = tongbao_alipay::Verified::new(String::from("not verified at all"));
/// ```
///
/// The type itself can be named:
///
/// ```
/// fn act(message: tongbao_alipay::Verified<String>) -> String {
///     message.into_inner()
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A function and not a method, so that no path from outside leads to it.
pub(crate) fn seal<T>(value: T) -> Verified<T> {
    Verified(value)
}
