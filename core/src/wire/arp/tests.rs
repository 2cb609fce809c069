//! Tests of the arp codec.
