//! Whose an object is: an app's, in test or live mode. Nothing crosses a scope.

use tongbao_types::{AppName, Mode};

/// An app and a mode; every object belongs to one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The tenant.
    pub app: AppName,
    /// Whether money is real.
    pub mode: Mode,
}
