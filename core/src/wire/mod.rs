//! Wire formats: layout and structural checks, no protocol.
