//! What an app wants done with money that it did not expect.

/// What becomes of a payment that came late or of another amount than the charge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unexpected {
    /// The charge becomes paid.
    Keep,
    /// The payer gets it back, without anybody asking.
    Refund,
}

/// An app's choices. A second payment of a paid charge is always given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// A payment after the charge had ended here.
    pub late: Unexpected,
    /// A payment of another amount.
    pub wrong_amount: Unexpected,
}

impl Default for Policy {
    /// Late payments are kept, since the payer wants the goods; wrong amounts go back.
    fn default() -> Policy {
        Policy { late: Unexpected::Keep, wrong_amount: Unexpected::Refund }
    }
}
