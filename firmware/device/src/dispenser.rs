//! dispenser
