#![no_main]
//! See `certificates` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::certificates(data));
