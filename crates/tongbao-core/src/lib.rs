//! The rules of charges, attempts, polling and deliveries, pure.
