#![no_main]
//! See `pkcs12` of the library.

libfuzzer_sys::fuzz_target!(|data: &[u8]| tongbao_fuzz::pkcs12(data));
