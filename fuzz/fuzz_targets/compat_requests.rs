#![no_main]
//! See `compat_requests` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::compat_requests(data));
