#![no_main]
//! See `bill_text` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::bill_text(data));
