#![no_main]
//! See `addresses` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::addresses(data));
