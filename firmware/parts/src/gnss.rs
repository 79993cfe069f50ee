//! A satellite receiver on a serial line.
