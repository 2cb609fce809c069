//! What the fuzz targets of `tests/fuzz` do with their input. It is here so that their corpora can
//! be replayed without a nightly compiler.
pub mod peer;
pub mod stack;
pub mod wire;
