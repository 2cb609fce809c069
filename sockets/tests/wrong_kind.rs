//! Connections of all kinds have the same methods underneath: those of another kind are refused, and
//! a buffer that is not sent comes back.
mod common;

use std::net::Ipv4Addr;
use std::time::Duration;

use common::{TX, assert_at_rest, local, net, within_limit};
use gannet_netconn::{Flow, Kind, Netconn, Peek, PollEntry, Ready, Take};
use gannet_sockets::{Error, Patience, Pbuf, Shutdown, TcpListener, TcpStream, UdpSocket};

const NOW: Patience = Patience::Never;
const REFUSED: Error = Error::NotSupported;

#[test]
fn wrong_kind() {
    net();
    within_limit(|| {
        for (name, test) in [
            ("of TCP", of_tcp as fn()),
            ("of streams", of_streams),
            ("of datagrams", of_datagrams),
            ("of events", of_events),
            ("buffers come back", buffers_come_back),
            ("shut down", shut_down),
            ("polled with another net", polled_with_another_net),
        ] {
            println!("{name}");
            test();
            assert_at_rest();
        }
    });
}

/// A connection of each kind, to try `call` on; which of them it refuses.
fn refused_by(call: impl Fn(&Netconn) -> Result<(), Error>) -> Vec<Kind> {
    let tcp = Netconn::new(net(), Kind::Tcp).expect("free");
    let udp = Netconn::new(net(), Kind::Udp).expect("free");
    let event = Netconn::event(net(), 0).expect("free");
    let (one, two) = Netconn::pair(net()).expect("free");
    let (three, four) = Netconn::datagram_pair(net()).expect("free");
    let refused = [tcp, udp, event, one, three]
        .iter()
        .filter(|conn| call(conn) == Err(REFUSED))
        .map(|conn| conn.kind().expect("open"))
        .collect();
    for conn in [tcp, udp, event, one, two, three, four] {
        conn.close();
    }
    refused
}

fn of_tcp() {
    let all_others = [Kind::Udp, Kind::Event, Kind::Pair, Kind::DatagramPair];
    assert_eq!(refused_by(|conn| conn.listen(1)), all_others);
    assert_eq!(refused_by(|conn| conn.tcp_info().map(drop)), all_others);
    assert_eq!(refused_by(|conn| conn.wait_acknowledged(NOW)), all_others);
    // Neither connected nor listening, there is nothing to tell of.
    let tcp = Netconn::new(net(), Kind::Tcp).expect("free");
    assert_eq!(tcp.tcp_info().map(drop), Err(Error::NotConnected));
    assert_eq!(tcp.wait_acknowledged(NOW), Ok(()));
    tcp.close();
}

fn of_streams() {
    let others = [Kind::Udp, Kind::Event, Kind::DatagramPair];
    let sent = |conn: &Netconn| conn.send(b"x").map(drop);
    assert_eq!(refused_by(sent), others);
    let sent = |conn: &Netconn| conn.send_static(b"x", Flow::Ends, NOW);
    assert_eq!(refused_by(sent), others);
    let received = |conn: &Netconn| conn.recv_within(&mut [0; 1], Peek::Take, NOW).map(drop);
    assert_eq!(refused_by(received), others);
    let taken = |conn: &Netconn| conn.recv_pbuf(1, NOW).map(drop);
    assert_eq!(refused_by(taken), others);
}

fn of_datagrams() {
    let streams = [Kind::Tcp, Kind::Event, Kind::Pair];
    let all_others = [Kind::Tcp, Kind::Event, Kind::Pair, Kind::DatagramPair];
    let received = |conn: &Netconn| conn.recv_from(&mut [0; 1], Peek::Take, NOW).map(drop);
    assert_eq!(refused_by(received), streams);
    assert_eq!(
        refused_by(|conn| conn.recv_datagram(NOW).map(drop)),
        streams
    );
    assert_eq!(refused_by(|conn| conn.send_to(b"x", None)), streams);
    assert_eq!(refused_by(|conn| conn.set_recv_errors(true)), all_others);
    let group = Ipv4Addr::new(239, 1, 2, 3);
    let on = Ipv4Addr::LOCALHOST;
    assert_eq!(
        refused_by(|conn| conn.join_multicast(group, on)),
        all_others
    );
    assert_eq!(
        refused_by(|conn| conn.leave_multicast(group, on)),
        all_others
    );
    assert_eq!(
        refused_by(|conn| conn.set_multicast_interface(on)),
        all_others
    );
    assert_eq!(refused_by(|conn| conn.disconnect()), all_others);
}

fn of_events() {
    let all_others = [Kind::Tcp, Kind::Udp, Kind::Pair, Kind::DatagramPair];
    assert_eq!(refused_by(|conn| conn.post(1, NOW)), all_others);
    assert_eq!(refused_by(|conn| conn.post_from_isr(1)), all_others);
    assert_eq!(
        refused_by(|conn| conn.take(Take::All, NOW).map(drop)),
        all_others
    );
    assert_eq!(
        refused_by(|conn| conn.bind(local(0))),
        [Kind::Event, Kind::Pair, Kind::DatagramPair]
    );
}

fn buffer() -> Pbuf {
    Pbuf::from_static(&TX, b"four").expect("a descriptor")
}

fn buffers_come_back() {
    let socket = UdpSocket::bind(local(0)).expect("a free port");
    let (conn, to) = (socket.netconn(), socket.local_addr().expect("bound"));
    let refused = conn.send_pbuf_to(buffer(), None).expect_err("no peer");
    assert_eq!(refused.error, Error::NotConnected);
    assert_eq!(refused.data.map(|data| data.tot_len()), Some(4));
    drop(socket);
    let refused = conn.send_pbuf_to(buffer(), Some(to)).expect_err("closed");
    assert_eq!(refused.error, Error::Closed);
    assert_eq!(refused.data.map(|data| data.tot_len()), Some(4));
    let stream = Netconn::new(net(), Kind::Tcp).expect("free");
    let refused = stream
        .send_pbuf(buffer(), Flow::Ends, NOW)
        .expect_err("not connected");
    assert_eq!(refused.error, Error::NotConnected);
    assert_eq!(refused.data.map(|data| data.tot_len()), Some(4));
    stream.close();
    // More than there will ever be room for.
    let (one, two) = Netconn::pair(net()).expect("free");
    let long = one.send_static(&[7; 8193], Flow::Ends, Patience::Forever);
    assert_eq!(long, Err(Error::TooLong));
    assert_eq!(one.send_static(&[7; 8192], Flow::Ends, NOW), Ok(()));
    assert_eq!(
        one.send_static(&[7], Flow::Ends, NOW),
        Err(Error::WouldBlock)
    );
    assert_eq!(two.available(), Ok(8192));
    one.close();
    two.close();
}

fn shut_down() {
    let listener = TcpListener::bind(local(0)).expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound"));
    let client = client.expect("somebody listens");
    client.shutdown(Shutdown::Write).expect("connected");
    let refused = client.write_pbuf(buffer()).expect_err("shut down");
    assert_eq!(refused.error, Error::BrokenPipe);
    assert_eq!(refused.data.map(|data| data.tot_len()), Some(4));
    // A datagram that is never there ends in a buffer that is not.
    let socket = UdpSocket::bind(local(0)).expect("a free port");
    socket.connect(local(9)).expect("a peer");
    socket
        .set_read_timeout(Some(Duration::from_secs(3600)))
        .expect("not zero");
    socket
        .netconn()
        .shutdown(Shutdown::Read)
        .expect("connected");
    assert_eq!(socket.recv_pbuf_from().map(drop), Err(Error::BrokenPipe));
}

gannet_netconn::net! {
    static OTHER: { connections: 1, datagrams: 1, waiters: 1, tx_pool: TX }
}

/// Nobody can sleep in two nets.
fn polled_with_another_net() {
    let (here, there) = (Netconn::event(net(), 1), Netconn::event(&OTHER, 1));
    let (here, there) = (here.expect("free"), there.expect("free"));
    assert_ne!(here, there);
    let mut entries = [here, there].map(|conn| PollEntry::new(conn, Ready::READ));
    assert_eq!(gannet_netconn::poll(&mut entries, NOW), Err(Error::Invalid));
    assert_eq!(gannet_netconn::poll(&mut entries[..1], NOW), Ok(1));
    assert_eq!(gannet_netconn::poll(&mut entries[1..], NOW), Ok(1));
    assert!(entries[1].ready.read);
    here.close();
}
