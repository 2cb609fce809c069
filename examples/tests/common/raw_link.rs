//! The board on a link whose other end is the test: any bytes as frames.
