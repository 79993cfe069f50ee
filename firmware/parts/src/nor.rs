//! NOR flash.
