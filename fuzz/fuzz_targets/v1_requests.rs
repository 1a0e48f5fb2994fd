#![no_main]
//! See `v1_requests` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::v1_requests(data));
