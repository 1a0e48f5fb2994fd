#![no_main]
//! See `public_ids` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::public_ids(data));
