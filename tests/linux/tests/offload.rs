//! A TAP device with offloads: Linux and gannet hand each other large segments and leave checksums
//! out.
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use gannet_core::Config;
use gannet_tests::recorder::Recorder;
use gannet_tests_linux::linux::{Linux, Offloads};
use gannet_tests_linux::rig::{bytes, write};
use gannet_tests_linux::skip;
use gannet_tests_linux::station::Station;

const LIMIT: Duration = Duration::from_secs(60);
const TOTAL: usize = 4 << 20;

/// gannet, and Linux's socket of a connection between them.
fn connected() -> Option<(Station<Recorder>, Linux, TcpStream)> {
    let (linux, cable) = match Linux::with_offloads(2, Offloads::All) {
        Ok(made) => made,
        Err(why) => {
            skip(&why);
            return None;
        }
    };
    let mut gannet = Station::on(
        cable,
        Offloads::All,
        1,
        Config::default(),
        |_| Recorder::default(),
        1,
    )
    .expect("a descriptor");
    let at = SocketAddr::from((linux.address(), 7_000));
    let listener = linux.run(move || std::net::TcpListener::bind(at).expect("a free port"));
    listener.set_nonblocking(true).expect("a socket");
    let mut tcp = gannet.tcp();
    let pcb = tcp.new(gannet_core::Owner(0)).expect("a free block");
    tcp.connect(pcb, at).expect("a route");
    let mut accepted = None;
    let done = gannet.run_until(LIMIT, |gannet| {
        accepted = accepted.take().or_else(|| listener.accept().ok());
        accepted.is_some() && gannet.app.log.iter().any(|line| line == "connected")
    });
    assert!(done, "{:?}", gannet.app.log);
    let (stream, _) = accepted.expect("waited for");
    stream.set_nonblocking(true).expect("a socket");
    Some((gannet, linux, stream))
}

#[test]
fn large_segments_to_linux() {
    let Some((mut gannet, _linux, mut stream)) = connected() else {
        return;
    };
    let data = bytes(TOTAL);
    let (mut written, mut received) = (0, Vec::new());
    let mut buffer = vec![0; 1 << 16];
    let pcb = gannet.app.pcb();
    let done = gannet.run_until(LIMIT, |gannet| {
        written += write(&mut gannet.tcp(), pcb, &data[written..]);
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            received.extend_from_slice(&buffer[..n]);
        }
        received.len() >= TOTAL
    });
    assert!(done, "{} of {TOTAL} bytes arrived", received.len());
    assert!(received == data, "what arrived is not what was sent");
    let segments = gannet.stack().tcp_stats().segments_sent as usize;
    let frames = frames(&mut gannet).out_frames as usize;
    assert!(
        frames * 2 < segments,
        "{frames} frames for {segments} segments"
    );
}

#[test]
fn large_segments_from_linux() {
    let Some((mut gannet, _linux, mut stream)) = connected() else {
        return;
    };
    let data = bytes(TOTAL);
    let mut written = 0;
    let done = gannet.run_until(LIMIT, |gannet| {
        written += stream.write(&data[written..]).unwrap_or(0);
        gannet.app.data.len() >= TOTAL
    });
    assert!(done, "{} of {TOTAL} bytes arrived", gannet.app.data.len());
    assert!(gannet.app.data == data, "what arrived is not what was sent");
    let frames = frames(&mut gannet).in_frames as usize;
    assert!(frames * 2 < TOTAL / 1_460, "{frames} frames received");
}

fn frames(gannet: &mut Station<Recorder>) -> gannet_core::netif::NetifStats {
    let netif = gannet.stack().netifs().next().expect("its interface");
    *gannet.stack().netif_stats(netif).expect("its interface")
}
