//! The Alipay OpenAPI protocol, both ends, without I/O.
