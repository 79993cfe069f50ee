//! The carousel of a medicine dispenser.
