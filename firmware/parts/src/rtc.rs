//! A real-time clock.
