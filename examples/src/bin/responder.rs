//! A task that answers ARP and pings by hand and does nothing else: what the latency of the stack
//! is compared with.
use core::net::Ipv4Addr;
use std::process::ExitCode;

use clap::Parser;
use gannet_core::wire::arp::{self, Operation};
use gannet_core::wire::ethernet::{self, EtherType, Header};
use gannet_core::wire::{icmpv4, ipv4};
use gannet_core::{Driver, HwAddr};
use gannet_examples::options::Network;
use gannet_examples::run_bare;
use gannet_port_freertos::Event;

gannet_port_freertos::host!();

/// Answers pings on a simulated FreeRTOS board without a stack, for comparison.
#[derive(Parser)]
#[command(name = "responder")]
struct Options {
    #[command(flatten)]
    network: Network,
}

fn main() -> ExitCode {
    run_bare(Options::parse().network, respond)
}

fn respond(device: &mut dyn Driver, addr: Ipv4Addr, hw: HwAddr, frames: &Event) {
    loop {
        while let Some(mut frame) = device.receive() {
            let answered = frame.data_mut().and_then(|bytes| answer(bytes, addr, hw));
            if answered.is_some() {
                // One that the device does not take is lost, as on any wire.
                let _ = device.transmit(frame);
            }
        }
        frames.wait(None);
    }
}

/// Turns the request in `frame` into its answer. `None`: it is not for us.
fn answer(frame: &mut [u8], addr: Ipv4Addr, hw: HwAddr) -> Option<()> {
    let (header, _) = ethernet::parse(frame).ok()?;
    let (ethertype, from) = (header.ethertype(), header.src());
    let (head, body) = frame.split_at_mut_checked(ethernet::HEADER_LEN)?;
    match ethertype {
        EtherType::ARP => {
            let request = arp::Packet::parse(body).ok()?;
            let ours = request.target_ip == addr && request.operation == Operation::Request;
            let reply = arp::Packet {
                operation: Operation::Reply,
                sender_hw: hw,
                sender_ip: addr,
                target_hw: request.sender_hw,
                target_ip: request.sender_ip,
            };
            ours.then(|| reply.emit(body).ok())??;
        }
        EtherType::IPV4 => {
            let packet = ipv4::Packet::parse(body, body.len()).ok()?;
            let ours = packet.dst() == addr && packet.protocol() == ipv4::Protocol::ICMP;
            let len = packet.header_len();
            if !ours {
                return None;
            }
            // Source and destination change places, which the checksum does not notice.
            let (source, destination) = body.get_mut(12..20)?.split_at_mut(4);
            source.swap_with_slice(destination);
            icmpv4::reply_in_place(body.get_mut(len..)?).ok()?;
        }
        _ => return None,
    }
    Header::new(from, hw, ethertype).emit(head).ok()
}
