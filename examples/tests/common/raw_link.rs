//! The board on a link whose other end is the test: any bytes as frames, and what the board
//! answers. Needs no privilege.
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use gannet_core::HwAddr;
use gannet_core::wire::arp::{Operation, Packet as Arp};
use gannet_core::wire::ethernet::EtherType;
use gannet_core::wire::ipv4::Protocol;
use gannet_tests::frames::{Sent, arp_bytes, frame};
use gannet_tests::udp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde_json::Value;

use super::{BOARD, GATEWAY, LIMIT, SERVICES, wait_until};

pub(crate) const BOARD_HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 2]);
pub(crate) const PEER_HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 1]);
const CONTROL: SocketAddrV4 = SocketAddrV4::new(BOARD, 9999);
const OWN: SocketAddrV4 = SocketAddrV4::new(GATEWAY, 40_000);

/// The program `services` as a board, without its host's side.
pub(crate) struct RawBoard {
    child: Child,
    link: OwnedFd,
}

impl RawBoard {
    pub(crate) fn start() -> Self {
        static ONCE: Once = Once::new();
        // The board tells its parent that it serves; unheard, the signal would end this process.
        ONCE.call_once(|| {
            let heard = std::sync::Arc::default();
            signal_hook::flag::register(signal_hook::consts::SIGUSR1, heard).expect("a handler");
        });
        let flags = SocketFlags::CLOEXEC;
        let (board, link) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a pair");
        let child = Command::new(SERVICES)
            .env("GANNET_BOARD_OF", std::process::id().to_string())
            .stdin(Stdio::from(board))
            .spawn()
            .expect("the program starts");
        let mut board = Self { child, link };
        wait_until("the board serves", || {
            board.ask("ping", Duration::from_millis(100)).is_some()
        });
        board.recv(Duration::from_millis(200));
        board
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let sent = rustix::io::write(&self.link, frame).expect("the board runs");
        assert_eq!(sent, frame.len());
    }

    /// An IP packet to the board.
    pub(crate) fn send_ip(&self, packet: &[u8]) {
        self.send(&frame(BOARD_HW, PEER_HW, EtherType::IPV4, packet));
    }

    /// The next frame of the board; its questions for this end are answered.
    pub(crate) fn recv(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec {
                tv_sec: left.as_secs().try_into().expect("short"),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut fds = [PollFd::new(&self.link, PollFlags::IN)];
            if poll(&mut fds, Some(&left)).expect("a socket") == 0 {
                return None;
            }
            let mut buffer = [0; 2_048];
            let len = rustix::io::read(&self.link, &mut buffer).expect("a frame");
            assert_ne!(len, 0, "the board has ended");
            let frame = buffer[..len].to_vec();
            match Sent::parse(&frame, BOARD_HW) {
                Sent::Arp(_, arp) if arp.operation == Operation::Request => self.answer(&arp),
                _ => return Some(frame),
            }
        }
    }

    fn answer(&self, request: &Arp) {
        if request.target_ip != GATEWAY {
            return; // an announcement
        }
        let reply = Arp {
            operation: Operation::Reply,
            sender_hw: PEER_HW,
            sender_ip: GATEWAY,
            target_hw: BOARD_HW,
            target_ip: BOARD,
        };
        self.send(&frame(
            BOARD_HW,
            PEER_HW,
            EtherType::ARP,
            &arp_bytes(&reply),
        ));
    }

    /// A command's answer, and the frames that came before it.
    fn ask(&mut self, command: &str, patience: Duration) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
        self.send_ip(&udp::packet(OWN, CONTROL, command.as_bytes()));
        let mut others = Vec::new();
        loop {
            let frame = self.recv(patience)?;
            match Sent::parse(&frame, BOARD_HW) {
                Sent::Ip(_, packet)
                    if packet.protocol == Protocol::UDP
                        && packet.payload.starts_with(&CONTROL.port().to_be_bytes()) =>
                {
                    return Some((packet.payload[8..].to_vec(), others));
                }
                _ => others.push(frame),
            }
        }
    }

    /// A section of the counters, and what the board has sent since it was last asked.
    pub(crate) fn counters(&mut self, section: &str) -> (Value, Vec<Vec<u8>>) {
        let answer = self.ask(&format!("stats {section}"), LIMIT);
        let (answer, others) = answer.expect("an answer in time");
        (serde_json::from_slice(&answer).expect("JSON"), others)
    }
}

impl Drop for RawBoard {
    fn drop(&mut self) {
        // Nothing to lose on this one.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
