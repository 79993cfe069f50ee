//! seizure
