//! The native API, the notification addresses and the cashier.
