use super::*;
use gannet_core::pbuf_pool;
use gannet_port_std as _;

fn bytes(data: &Pbuf) -> std::vec::Vec<u8> {
    data.parts().flatten().copied().collect()
}

#[test]
fn slices_are_copied_as_one_run() {
    pbuf_pool! { static POOL: [64; 4] + refs 4 }
    let long = [7; 100];
    let slices: [&[u8]; 5] = [b"ab", b"", b"cde", &long, b"f"];
    let mut gather = Gather::new(&slices);
    assert_eq!(gather.len(), 106);
    let first = gather.copy_out(&POOL, 0, 3).expect("free");
    assert_eq!(bytes(&first), b"abc");
    let rest = gather.copy_out(&POOL, 16, 200).expect("free");
    assert_eq!((rest.tot_len(), gather.len()), (103, 0));
    assert_eq!(rest.headroom(), 16);
    assert!(bytes(&rest).starts_with(b"de\x07") && bytes(&rest).ends_with(b"\x07f"));
}

#[test]
fn nothing_is_consumed_when_buffers_run_out() {
    pbuf_pool! { static POOL: [64; 2] + refs 2 }
    let slices: [&[u8]; 1] = [&[1; 200]];
    let mut gather = Gather::new(&slices);
    assert!(gather.copy_out(&POOL, 0, 200).is_err());
    assert_eq!((gather.len(), POOL.available()), (200, 2));
    assert_eq!(gather.copy_out(&POOL, 0, 128).expect("free").tot_len(), 128);
}

#[test]
fn a_packet_is_scattered_from_an_offset_on() {
    pbuf_pool! { static POOL: [64; 2] + refs 2 }
    let mut data = Pbuf::alloc(&POOL, 0, 5).expect("free");
    data.copy_from(b"12345");
    let (mut a, mut b, mut c) = ([0; 3], [0; 0], [0; 4]);
    let mut bufs: [&mut [u8]; 3] = [&mut a, &mut b, &mut c];
    assert_eq!(scatter(&data, &mut bufs, 1), 5);
    assert_eq!((&a, &c), (b"\x0012", b"345\0"));
    assert_eq!(scatter(&data, &mut [&mut a], 3), 0);
}
