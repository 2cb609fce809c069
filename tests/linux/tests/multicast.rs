//! Multicast between gannet and Linux, and what Linux's side of IGMP hears of gannet's memberships.
//! Skips where network namespaces cannot be made.
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use gannet_core::udp::Reuse;
use gannet_core::{Config, Owner, Pbuf, UdpPcb, Via};
use gannet_tests::frames::Packet;
use gannet_tests::igmp::{ALL_HOSTS, GROUP, IS_EXCLUDE, Said, TO_EXCLUDE, TO_INCLUDE};
use gannet_tests::igmp::{query_v2, query_v3};
use gannet_tests::udp::{Told, UdpRecorder};
use gannet_tests_linux::linux::Linux;
use gannet_tests_linux::pipe::Faults;
use gannet_tests_linux::station::Station;
use gannet_tests_linux::{Middle, Port, Side, skip};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

const PORT: u16 = 5_000;
const LIMIT: Duration = Duration::from_secs(60);
const ALL_V3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
const ALL_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 2);

struct Ends {
    gannet: Station<UdpRecorder>,
    linux: Linux,
    _middle: Middle,
}

/// `None` without the permission for it.
fn ends() -> Option<Ends> {
    let (linux, right) = match Linux::new(2) {
        Ok(made) => made,
        Err(why) => {
            skip(&why);
            return None;
        }
    };
    let station = Station::new(1, Config::default(), UdpRecorder::default(), 1);
    let (gannet, left) = station.expect("a socket pair");
    let ports = [(Side::Left, left), (Side::Right, right)];
    let ports = ports.map(|(side, fd)| Port { side, fd });
    let faults = Faults::default();
    let middle = Middle::start(ports.into(), faults, faults, 1, None).expect("a thread");
    Some(Ends {
        gannet,
        linux,
        _middle: middle,
    })
}

impl Ends {
    #[track_caller]
    fn until(&mut self, what: &str, done: impl FnMut(&mut Station<UdpRecorder>) -> bool) {
        assert!(self.gannet.run_until(LIMIT, done), "waited for: {what}");
    }

    /// An endpoint of gannet in [`GROUP`], bound to [`PORT`].
    fn member(&mut self) -> UdpPcb {
        let mut udp = self.gannet.stack().udp_now();
        let pcb = udp.new(Owner(0)).expect("free");
        udp.reuse(pcb, Reuse::Shared).expect("open");
        let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
        udp.bind(pcb, addr).expect("shared");
        udp.join_group(pcb, GROUP, Via::Route).expect("room");
        pcb
    }

    fn send(&mut self, pcb: UdpPcb, bytes: &'static [u8]) {
        let stack = self.gannet.stack();
        gannet_core::pbuf_pool! { static TX: [128; 8] }
        let mut data = Pbuf::alloc(&TX, 64, bytes.len()).expect("a buffer");
        data.copy_from(bytes);
        stack
            .udp_now()
            .send_to(pcb, data, (GROUP, PORT).into())
            .expect("sent");
    }

    /// A socket of Linux on [`PORT`], which sends multicasts to the wire.
    fn linux_socket(&self, addr: Ipv4Addr) -> UdpSocket {
        let own = self.linux.address();
        self.linux.run(move || {
            let socket = UdpSocket::bind((addr, PORT)).expect("a free port");
            sockopt::set_ip_multicast_if(&socket, &own).expect("its own address");
            socket.set_nonblocking(true).expect("a socket");
            socket
        })
    }

    /// Whether Linux has told of a membership in [`GROUP`], or has one.
    fn linux_is_in_group(&self) -> bool {
        // In the order of the bytes in memory.
        let name = format!("{:08X}", u32::from_ne_bytes(GROUP.octets()));
        self.linux.run(move || {
            let text = fs::read_to_string("/proc/thread-self/net/igmp").expect("with multicast");
            text.contains(&name)
        })
    }

    /// What a multicast router on Linux reads and writes.
    fn router(&self) -> OwnedFd {
        let own = self.linux.address();
        self.linux.run(move || {
            let (family, flags) = (AddressFamily::INET, SocketFlags::NONBLOCK);
            let igmp = Some(ipproto::IGMP);
            let socket = rustix::net::socket_with(family, SocketType::RAW, flags, igmp)
                .expect("root in its own namespace");
            sockopt::set_ip_multicast_if(&socket, &own).expect("its own address");
            for group in [ALL_ROUTERS, ALL_V3_ROUTERS, GROUP] {
                sockopt::set_ip_add_membership(&socket, &group, &own).expect("room");
            }
            socket
        })
    }

    /// The router's message to a group.
    fn ask(&self, router: &OwnedFd, to: Ipv4Addr, message: &[u8]) {
        let to = SocketAddr::from((to, 0));
        rustix::net::sendto(router, message, SendFlags::empty(), &to).expect("sent");
    }

    /// The next thing gannet says that the router hears.
    #[track_caller]
    fn heard(&mut self, router: &OwnedFd) -> Said {
        let gannet = self.gannet.address();
        let mut heard = None;
        self.until("the router to hear", |_| {
            heard = next_packet(router)
                .filter(|packet| packet.src == gannet)
                .map(|packet| Said::parse(&packet));
            heard.is_some()
        });
        heard.expect("waited for")
    }
}

fn next_packet(router: &OwnedFd) -> Option<Packet> {
    let mut buffer = [0; 2_048];
    let (len, _) = rustix::net::recv(router, &mut buffer, RecvFlags::empty()).ok()?;
    Some(Packet::parse(&buffer[..len]))
}

fn receive(socket: &UdpSocket) -> Option<Vec<u8>> {
    let mut buffer = [0; 2_048];
    let (len, _) = socket.recv_from(&mut buffer).ok()?;
    Some(buffer[..len].to_vec())
}

#[test]
fn members_on_both_sides_hear_each_other() {
    let Some(mut ends) = ends() else { return };
    let pcb = ends.member();
    let socket = ends.linux_socket(Ipv4Addr::UNSPECIFIED);
    let own = ends.linux.address();
    socket.join_multicast_v4(&GROUP, &own).expect("room");
    assert!(ends.linux_is_in_group());
    ends.send(pcb, b"from gannet");
    let mut heard = None;
    ends.until("Linux to hear", |_| {
        heard = receive(&socket);
        heard.is_some()
    });
    assert_eq!(heard.as_deref(), Some(&b"from gannet"[..]));
    socket.send_to(b"from Linux", (GROUP, PORT)).expect("sent");
    ends.until("gannet to hear", |gannet| gannet.app.told.len() >= 2);
    let told = std::mem::take(&mut ends.gannet.app.told);
    let froms: Vec<_> = told
        .iter()
        .map(|told| match told {
            Told::Recv { data, from, .. } => (data.clone(), from.ip()),
            Told::Err(_, error) => panic!("{error}"),
        })
        .collect();
    // Its own copy, and Linux's.
    let gannet = ends.gannet.address();
    assert_eq!(
        froms,
        [
            (b"from gannet".to_vec(), gannet.into()),
            (b"from Linux".to_vec(), own.into())
        ]
    );
}

#[test]
fn who_is_no_member_hears_nothing() {
    let Some(mut ends) = ends() else { return };
    let pcb = ends.member();
    ends.gannet
        .stack()
        .udp_now()
        .leave_group(pcb, GROUP, Via::Route)
        .expect("in");
    let socket = ends.linux_socket(Ipv4Addr::UNSPECIFIED);
    socket.send_to(b"to members", (GROUP, PORT)).expect("sent");
    // What comes behind it shows that it was there.
    let gannet = ends.gannet.address();
    socket.send_to(b"to gannet", (gannet, PORT)).expect("sent");
    ends.until("gannet to hear", |gannet| !gannet.app.told.is_empty());
    assert_eq!(ends.gannet.app.payloads(), [(pcb, b"to gannet".to_vec())]);
    let stack = ends.gannet.stack();
    let netif = stack.netifs().next().expect("one");
    let stats = stack.netif_stats(netif).expect("there");
    assert_ne!(stats.in_other_groups, 0);
}

#[test]
fn a_router_on_linux_hears_of_memberships() {
    let Some(mut ends) = ends() else { return };
    let router = ends.router();
    let pcb = ends.member();
    let joined = Said::V3(vec![(TO_EXCLUDE, GROUP)]);
    assert_eq!(ends.heard(&router), joined);
    assert_eq!(ends.heard(&router), joined);
    ends.ask(&router, ALL_HOSTS, &query_v3(1, Ipv4Addr::UNSPECIFIED, &[]));
    let member = Said::V3(vec![(IS_EXCLUDE, GROUP)]);
    assert_eq!(ends.heard(&router), member);
    ends.ask(&router, GROUP, &query_v3(1, GROUP, &[]));
    assert_eq!(ends.heard(&router), member);
    ends.gannet.stack().udp_now().close(pcb).expect("open");
    let left = Said::V3(vec![(TO_INCLUDE, GROUP)]);
    assert_eq!(ends.heard(&router), left);
    assert_eq!(ends.heard(&router), left);
}

#[test]
fn linux_as_another_member_makes_a_report_of_version_2_unnecessary() {
    let Some(mut ends) = ends() else { return };
    // The router is a member too, as which Linux reports.
    let router = ends.router();
    ends.member();
    ends.heard(&router);
    ends.heard(&router);
    let start = Instant::now();
    let mut suppressed = false;
    // Which of both reports is up to their random delays; after some queries it was Linux once.
    while !suppressed {
        assert!(start.elapsed() < LIMIT, "Linux was never the first");
        let reports = ends.gannet.stack().igmp_stats().in_reports;
        let sent = ends.gannet.stack().igmp_stats().out_reports;
        ends.ask(&router, ALL_HOSTS, &query_v2(2, Ipv4Addr::UNSPECIFIED));
        ends.until("a report", |gannet| {
            let stats = gannet.stack().igmp_stats();
            stats.in_reports > reports || stats.out_reports > sent
        });
        let stats = *ends.gannet.stack().igmp_stats();
        suppressed = stats.in_reports > reports && stats.out_reports == sent;
        if stats.out_reports > sent {
            assert_eq!(ends.heard(&router), Said::V2(GROUP));
        }
    }
    // Whoever hears the report of another says nothing, now and when it leaves.
    let sent = ends.gannet.stack().igmp_stats().out_reports;
    ends.gannet.run_until(Duration::from_millis(300), |_| false);
    assert_eq!(ends.gannet.stack().igmp_stats().out_reports, sent);
}
