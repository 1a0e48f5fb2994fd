#![no_main]
//! See `bill_zip` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::bill_zip(data));
