//! The WeChat Pay protocols v2 and v3, both ends, without I/O.
