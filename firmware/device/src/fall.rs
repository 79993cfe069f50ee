//! fall
