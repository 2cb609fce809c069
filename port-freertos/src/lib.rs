//! (bones)
