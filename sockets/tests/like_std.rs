//! The calls that `std::net` and `embedded-io` have too do what they do there.
mod common;

use std::num::NonZeroU8;
use std::thread;
use std::time::Duration;

use common::{assert_at_rest, local, net, pattern, within_limit};
use embedded_io::{Error as _, ErrorKind, Read, ReadReady, Write, WriteReady};
use gannet_core::Pbuf;
use gannet_sockets::io::IoError;
use gannet_sockets::{Error, Shutdown, TcpListener, TcpStream, UdpSocket};

/// Copies what comes, as code does that knows of `embedded-io` only.
fn echo(mut stream: impl Read + Write) {
    let mut buffer = [0; 700];
    loop {
        match stream.read(&mut buffer).expect("open") {
            0 => return,
            n => stream.write_all(&buffer[..n]).expect("open"),
        }
        stream.flush().expect("open");
    }
}

/// One after another: the last looks at what is in use.
#[test]
fn like_std() {
    within_limit(|| {
        streams_are_embedded_io_streams();
        listeners_are_iterators_and_can_be_impatient();
        datagrams_have_a_peer();
        assert_at_rest();
    });
}

fn streams_are_embedded_io_streams() {
    let listener = TcpListener::bind_on(net(), local(0), 4).expect("a listener");
    let addr = listener.local_addr().expect("bound");
    let server = thread::spawn(move || {
        // By value, and by reference.
        echo(listener.accept().expect("a connection").0);
        echo(&listener.accept().expect("a connection").0);
    });
    for _ in 0..2 {
        let mut client = TcpStream::connect_timeout(addr, Duration::from_secs(10)).expect("heard");
        assert!(client.write_ready().expect("open"));
        assert!(!client.read_ready().expect("open"));
        let sent = pattern(10_000);
        Write::write_all(&mut client, &sent).expect("open");
        let mut received = vec![0; sent.len()];
        Read::read_exact(&mut client, &mut received).expect("all of it");
        assert_eq!(received, sent);
        TcpStream::shutdown(&client, Shutdown::Write).expect("open");
        assert_eq!(Read::read(&mut client, &mut received), Ok(0));
        assert!(client.read_ready().expect("its end is there"));
        client.close();
        let error = Read::read(&mut client, &mut received).expect_err("closed");
        assert_eq!(
            (error, error.kind()),
            (IoError(Error::Closed), ErrorKind::NotConnected)
        );
        assert_eq!(error.to_string(), "closed");
    }
    server.join().expect("no panic");
}

fn listeners_are_iterators_and_can_be_impatient() {
    let listener = TcpListener::bind_on(net(), local(0), 4).expect("a listener");
    let addr = listener.local_addr().expect("bound");
    assert_eq!(
        listener.set_timeout(Some(Duration::ZERO)),
        Err(Error::Invalid)
    );
    listener
        .set_timeout(Some(Duration::from_millis(1)))
        .expect("open");
    assert_eq!(listener.accept().err(), Some(Error::WouldBlock));
    listener.set_timeout(None).expect("open");
    listener.set_nonblocking(true).expect("open");
    assert_eq!(listener.accept().err(), Some(Error::WouldBlock));
    listener.set_nonblocking(false).expect("open");
    let clients: Vec<_> = (0..3)
        .map(|_| TcpStream::connect(addr).expect("heard"))
        .collect();
    let servers: Vec<_> = listener.incoming().take(3).collect();
    for (client, server) in clients.iter().zip(servers) {
        let server = server.expect("a connection");
        assert_eq!(server.peer_addr(), client.local_addr());
        server
            .set_write_timeout(Some(Duration::from_secs(1)))
            .expect("open");
        assert_eq!(server.write_timeout(), Ok(Some(Duration::from_secs(1))));
        assert_eq!(server.read_timeout(), Ok(None));
        client.write_all(b"ab").expect("open");
        let mut both = [0; 2];
        server.read_exact(&mut both).expect("both");
        assert_eq!(&both, b"ab");
        client.shutdown(Shutdown::Write).expect("open");
        assert_eq!(server.read_exact(&mut both), Err(Error::NotConnected));
    }
}

fn datagrams_have_a_peer() {
    let [a, b] = [0; 2].map(|port| UdpSocket::bind_on(net(), local(port)).expect("free"));
    let (to_a, to_b) = (
        a.local_addr().expect("bound"),
        b.local_addr().expect("bound"),
    );
    assert_eq!(a.send(b"?"), Err(Error::NotConnected));
    assert_eq!(a.peer_addr(), Err(Error::NotConnected));
    a.connect(to_b).expect("a peer");
    assert_eq!(a.peer_addr(), Ok(to_b));
    a.send(b"one").expect("sent");
    let mut buffer = [0; 10];
    assert_eq!(b.peek_from(&mut buffer), Ok((3, to_a)));
    assert_eq!(b.recv(&mut buffer), Err(Error::NotConnected));
    b.connect(to_a).expect("a peer");
    assert_eq!(b.recv(&mut buffer), Ok(3));
    let mut data = Pbuf::alloc(&common::TX, 64, 4).expect("buffers");
    data.copy_from(b"four");
    b.send_pbuf_to(data, to_a).expect("sent");
    let (data, from) = a.recv_pbuf_from().expect("a datagram");
    assert_eq!((data.tot_len(), from), (4, to_b));
    b.set_read_timeout(Some(Duration::from_millis(1)))
        .expect("open");
    assert_eq!(b.recv(&mut buffer), Err(Error::WouldBlock));
    b.set_nonblocking(true).expect("open");
    assert_eq!(b.recv(&mut buffer), Err(Error::WouldBlock));
    // With no hops left it still reaches this host.
    b.set_ttl(NonZeroU8::new(1)).expect("open");
    assert_eq!(b.netconn().settings().expect("open").ttl, NonZeroU8::new(1));
    b.send(b"near").expect("sent");
    a.set_read_timeout(None).expect("open");
    let about = a.netconn().recv_datagram(gannet_sockets::Patience::Forever);
    assert_eq!(about.expect("open").expect("a datagram").1.ttl, 1);
    let everybody = (std::net::Ipv4Addr::BROADCAST, 9).into();
    assert_eq!(b.send_to(b"all", everybody), Err(Error::Denied));
    b.set_broadcast(true).expect("open");
    assert_ne!(b.send_to(b"all", everybody), Err(Error::Denied));
    let _ = b.take_error().expect("open");
    b.close();
    assert_eq!(b.recv(&mut buffer), Err(Error::Closed));
}
