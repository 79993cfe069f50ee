//! An accelerometer.
