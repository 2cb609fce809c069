//! The simulator's devices: frames over a socket pair and a TAP device, and their capture; on
//! either simulator port.
use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::Duration;

use gannet_core::{Driver, HwAddr, Pbuf, Pool, pbuf_pool};
use gannet_port_freertos::capture::{Options, capture};
use gannet_port_freertos::device::{FramePair, HostEnd, Setup, Tap, namespace};
use gannet_port_freertos::{Event, counters, delay, host, interrupt, run};

gannet_port_freertos::host!();

const BOARD: HwAddr = HwAddr([2, 0, 0, 0, 0, 2]);
const PEER: HwAddr = HwAddr([2, 0, 0, 0, 0, 1]);
const LONG: Option<Duration> = Some(Duration::from_secs(60));

pbuf_pool! { static RX: [1536; 64] }
pbuf_pool! { static TINY: [1536; 2] }
pbuf_pool! { static SMALL_BLOCKS: [128; 64] }

/// What a device's interrupt signals. The process has one run at a time, and each has its own.
static BELL: critical_section::Mutex<std::cell::Cell<Option<&'static Event>>> =
    critical_section::Mutex::new(std::cell::Cell::new(None));

fn doorbell() -> &'static Event {
    let bell: &'static Event = Box::leak(Box::new(Event::new().unwrap()));
    critical_section::with(|cs| BELL.borrow(cs).set(Some(bell)));
    interrupt::on_interrupt(|| {
        if let Some(bell) = critical_section::with(|cs| BELL.borrow(cs).get()) {
            bell.signal_from_isr();
        }
    });
    bell
}

/// The next frame, waited for.
fn next_frame(driver: &mut impl Driver, bell: &Event) -> Pbuf {
    loop {
        if let Some(frame) = driver.receive() {
            return frame;
        }
        assert!(bell.wait(LONG), "no frame and no interrupt");
    }
}

fn bytes(frame: &Pbuf) -> Vec<u8> {
    let mut data = vec![0; frame.tot_len()];
    frame.copy_to(0, &mut data);
    data
}

fn numbered(len: usize, n: usize) -> Vec<u8> {
    (0..len).map(|i| (i + n) as u8).collect()
}

fn pbuf(pool: &'static Pool, data: &[u8]) -> Pbuf {
    let mut frame = Pbuf::alloc(pool, 0, data.len()).unwrap();
    frame.copy_from(data);
    frame
}

/// Runs `peer` on a thread of the host beside the task that calls this.
fn beside<T: Send + 'static>(
    end: HostEnd,
    peer: impl FnOnce(HostEnd) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    host::masked(|| {
        std::thread::spawn(move || {
            host::block_signals();
            peer(end)
        })
    })
}

fn join<T>(thread: std::thread::JoinHandle<T>) -> T {
    while !thread.is_finished() {
        delay(Duration::from_millis(1));
    }
    thread.join().unwrap()
}

/// Echoes `count` frames of all sizes, sent back as `parts`.
fn echo(pool: &'static Pool, parts: usize) {
    const COUNT: usize = 2_000;
    run(move || {
        let (mut board, end) = FramePair::new(Setup::new(BOARD, pool)).unwrap();
        let bell = doorbell();
        let host = beside(end, |end| {
            let mut buffer = [0; 2_000];
            for n in 0..COUNT {
                let frame = numbered(60 + n % 1_455, n);
                end.send(&frame).unwrap();
                let len = end.recv(&mut buffer, LONG).unwrap().expect("an echo");
                assert_eq!(buffer[..len], frame);
            }
        });
        for _ in 0..COUNT {
            let mut frame = next_frame(&mut board, bell);
            for _ in 1..parts {
                let rest = frame.split_off(frame.tot_len() / 2).unwrap().unwrap();
                frame.cat(rest);
            }
            board.transmit(frame).expect("room");
        }
        join(host);
        assert_eq!(board.counters().rx_frames(), COUNT as u32);
        assert_eq!(board.counters().tx_frames(), COUNT as u32);
        // What was kept for the next frame is given back when there is none.
        assert!(board.receive().is_none());
        assert_eq!(pool.available(), pool.blocks());
    });
}

pbuf_pool! { static PARTS: [1536; 8] + refs 32 }

#[test]
fn a_socket_pair_carries_frames_both_ways() {
    echo(&RX, 1);
}

#[test]
fn a_frame_is_sent_as_parts() {
    echo(&PARTS, 3);
}

#[test]
fn small_blocks_make_chains_of_many_parts() {
    echo(&SMALL_BLOCKS, 1);
}

#[test]
fn without_buffers_frames_are_dropped_and_counted() {
    run(|| {
        let (mut board, end) = FramePair::new(Setup::new(BOARD, &TINY)).unwrap();
        for n in 0..5 {
            end.send(&numbered(100, n)).unwrap();
        }
        let held = [board.receive().unwrap(), board.receive().unwrap()];
        assert!(board.receive().is_none());
        assert_eq!(board.counters().rx_no_buffer(), 3);
        drop(held);
        end.send(&numbered(100, 9)).unwrap();
        assert_eq!(bytes(&board.receive().unwrap()), numbered(100, 9));
    });
}

#[test]
fn a_frame_over_the_mtu_is_dropped_and_counted() {
    run(|| {
        let (mut board, end) = FramePair::new(Setup::new(BOARD, &RX)).unwrap();
        end.send(&numbered(1_515, 0)).unwrap();
        end.send(&numbered(1_514, 0)).unwrap();
        assert_eq!(board.receive().unwrap().tot_len(), 1_514);
        assert_eq!(board.counters().rx_too_long(), 1);
    });
}

#[test]
fn a_full_device_gives_the_frame_back_and_says_when_there_is_room() {
    run(|| {
        let (mut board, end) = FramePair::new(Setup::new(BOARD, &RX)).unwrap();
        let bell = doorbell();
        bell.wait(Some(Duration::from_millis(1))); // the one of `on_interrupt`
        let data = numbered(1_514, 0);
        let mut sent = 0;
        let refused = loop {
            assert!(sent < 100_000, "the socket takes everything");
            match board.transmit(pbuf(&RX, &data)) {
                Ok(()) => sent += 1,
                Err(frame) => break frame,
            }
        };
        assert_eq!(bytes(&refused), data);
        assert!(!board.can_transmit());
        let host = beside(end, move |end| {
            let mut buffer = [0; 2_000];
            for _ in 0..=sent {
                end.recv(&mut buffer, LONG).unwrap().expect("a frame");
            }
        });
        let mut refused = Some(refused);
        while let Some(frame) = refused.take() {
            while !board.can_transmit() {
                assert!(bell.wait(LONG), "room, and no interrupt");
            }
            refused = board.transmit(frame).err();
        }
        join(host);
        assert_eq!(board.counters().tx_frames(), sent + 1);
    });
}

#[test]
fn the_link_goes_down_with_the_peer() {
    run(|| {
        let (mut board, end) = FramePair::new(Setup::new(BOARD, &RX)).unwrap();
        assert!(board.link_up());
        drop(end);
        assert!(board.receive().is_none());
        assert!(!board.link_up());
        assert!(
            board.transmit(pbuf(&RX, &[0; 60])).is_ok(),
            "lost, as on a cable"
        );
        assert_eq!(board.counters().tx_errors(), 1);
    });
}

#[test]
fn a_board_on_a_descriptor_of_someone_elses() {
    run(|| {
        let (a, b) = std::os::unix::net::UnixDatagram::pair().unwrap();
        let mut board = FramePair::from_fd(OwnedFd::from(a), Setup::new(BOARD, &RX)).unwrap();
        let bell = doorbell();
        b.send(&[7; 60]).unwrap();
        assert_eq!(bytes(&next_frame(&mut board, bell)), [7; 60]);
    });
}

#[test]
fn a_capture_has_the_frames_and_counts_what_it_skips() {
    let path = std::env::temp_dir().join(format!("gannet-capture-{}.pcap", std::process::id()));
    let file = path.clone();
    let (written, skipped) = run(move || {
        let (board, end) = FramePair::new(Setup::new(BOARD, &RX)).unwrap();
        let options = Options {
            snaplen: 100,
            ring: 2_000,
        };
        let (mut board, capture) = capture(board, &file, options).unwrap();
        // The capture's task runs only while this one sleeps.
        end.send(&numbered(60, 1)).unwrap();
        board.receive().unwrap();
        board.transmit(pbuf(&RX, &numbered(1_000, 2))).unwrap();
        while capture.written() < 2 {
            delay(Duration::from_millis(1));
        }
        for n in 0..40 {
            board.transmit(pbuf(&RX, &numbered(200, n))).unwrap();
        }
        let skipped = capture.skipped();
        assert!(skipped > 0 && skipped < 40, "{skipped} skipped");
        (capture.finish().unwrap(), skipped)
    });
    assert_eq!(written + skipped, 42);
    let mut reader = pcap_file::pcap::PcapReader::new(File::open(&path).unwrap()).unwrap();
    let mut packets = Vec::new();
    while let Some(packet) = reader.next_packet() {
        packets.push(packet.unwrap().into_owned());
    }
    std::fs::remove_file(path).unwrap();
    assert_eq!(packets.len() as u32, written);
    assert_eq!(
        (packets[0].orig_len, &packets[0].data[..]),
        (60, &numbered(60, 1)[..])
    );
    assert_eq!(
        (packets[1].orig_len, &packets[1].data[..]),
        (1_000, &numbered(100, 2)[..])
    );
    assert!(packets.is_sorted_by_key(|packet| packet.timestamp));
}

#[test]
fn a_frame_given_back_is_not_captured() {
    let path = std::env::temp_dir().join(format!("gannet-refused-{}.pcap", std::process::id()));
    let file = path.clone();
    run(move || {
        let (board, _end) = FramePair::new(Setup::new(BOARD, &RX)).unwrap();
        let (mut board, capture) = capture(board, &file, Options::default()).unwrap();
        let mut sent = 0;
        while board.transmit(pbuf(&RX, &[0; 1_514])).is_ok() {
            sent += 1;
            delay(Duration::from_millis(u64::from(sent % 50 == 0) * 5));
        }
        let skipped = capture.skipped();
        assert_eq!(capture.finish().unwrap() + skipped, sent);
    });
    std::fs::remove_file(path).unwrap();
}

/// The Linux kernel as the peer: it asks by ARP for the board's address, is answered, and sends the
/// datagram it held back.
#[test]
fn a_tap_device_talks_to_the_kernel() {
    static NAME: OnceLock<String> = OnceLock::new();
    if let Err(reason) = namespace::enter() {
        return println!("skipped: a_tap_device_talks_to_the_kernel: {reason}");
    }
    let mut tap = match Tap::open("", Setup::new(BOARD, &RX)) {
        Ok(tap) => tap,
        Err(error) => {
            return println!(
                "skipped: a_tap_device_talks_to_the_kernel: /dev/net/tun can't be used: {error}"
            );
        }
    };
    NAME.set(tap.name().to_owned()).unwrap();
    namespace::configure(tap.name(), Some(PEER), Ipv4Addr::new(10, 9, 8, 1), 24).unwrap();
    namespace::loopback_up().unwrap();
    run(move || {
        let bell = doorbell();
        let socket = UdpSocket::bind("10.9.8.1:0").unwrap();
        socket.send_to(b"hello board", "10.9.8.2:7").unwrap();
        loop {
            let frame = bytes(&next_frame(&mut tap, bell));
            match frame[12..14] {
                // ARP, a request for 10.9.8.2: answer it.
                [0x08, 0x06] if frame[20..22] == [0, 1] && frame[38..42] == [10, 9, 8, 2] => {
                    assert_eq!(frame[6..12], PEER.0);
                    let mut reply = frame.clone();
                    reply[0..6].copy_from_slice(&PEER.0);
                    reply[6..12].copy_from_slice(&BOARD.0);
                    reply[21] = 2;
                    reply[22..28].copy_from_slice(&BOARD.0);
                    reply[28..32].copy_from_slice(&[10, 9, 8, 2]);
                    reply[32..38].copy_from_slice(&PEER.0);
                    reply[38..42].copy_from_slice(&[10, 9, 8, 1]);
                    tap.transmit(pbuf(&RX, &reply)).expect("room");
                }
                [0x08, 0x00] if frame.ends_with(b"hello board") => {
                    assert_eq!(frame[0..6], BOARD.0);
                    return;
                }
                _ => {}
            }
        }
    });
}

#[test]
fn a_device_costs_one_switch_for_each_frame_that_is_waited_for() {
    run(|| {
        let (mut board, end) = FramePair::new(Setup::new(BOARD, &RX)).unwrap();
        let bell = doorbell();
        let before = counters::context_switches();
        let host = beside(end, |end| {
            for n in 0..200 {
                end.send(&numbered(60, n)).unwrap();
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        for _ in 0..200 {
            next_frame(&mut board, bell);
        }
        let switches = counters::context_switches().wrapping_sub(before);
        join(host);
        // To idle and back for each frame; ticks that find nothing to do switch nothing.
        assert!(switches <= 2 * 201, "{switches} switches");
    });
}
