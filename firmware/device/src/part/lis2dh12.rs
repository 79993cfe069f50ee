//! accelerometer
