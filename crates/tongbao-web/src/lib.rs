//! HTTP plumbing that the faces share.
