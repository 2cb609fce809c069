//! An application that forbids unsafe code can declare pools, in sections too.
#![cfg(not(loom))]
#![forbid(unsafe_code)]
use gannet_core::{Pbuf, pbuf_pool};

pbuf_pool! { static PLAIN: [32; 2] }
pbuf_pool! { static PLACED: [32; 2] + refs 1, in ".bss.gannet_test" }

#[test]
fn pools_are_declared_without_unsafe() {
    for pool in [&PLAIN, &PLACED] {
        let pbuf = Pbuf::alloc(pool, 0, 40).expect("two blocks");
        assert_eq!((pbuf.clen(), pool.available()), (2, 0));
    }
}
