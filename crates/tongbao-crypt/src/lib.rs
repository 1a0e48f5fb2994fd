//! Bytes in, bytes out: digests, RSA, AES, PEM, X.509, webhook signatures.
