//! real-time clock
