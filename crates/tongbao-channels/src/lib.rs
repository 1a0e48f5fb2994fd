//! Adapters between core words and the bytes of a provider.
