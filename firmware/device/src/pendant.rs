//! pendant
