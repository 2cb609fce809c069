//! Sockets of tasks, over loopback: each future in a thread with the smallest of executors.
#![cfg(feature = "async")]
mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use common::{assert_at_rest, local, net, pattern, within_limit};
use edge_nal::{Close, MulticastV4, MulticastV6, TcpAccept, TcpBind, TcpShutdown, TcpSplit};
use edge_nal::{UdpBind, UdpReceive, UdpSend, UdpSplit, UdpSplitMulticast};
use embedded_io_async::{BufRead, Read, Write};
use embedded_nal_async::{ConnectedUdp, UdpStack, UnconnectedUdp};
use gannet_sockets::asynch::{Stack, TcpListener, TcpStream, UdpSocket};
use gannet_sockets::io::IoError;
use gannet_sockets::{BufStream, Error};

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Both at once in one task.
async fn both<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_out, mut b_out) = (None, None);
    std::future::poll_fn(move |cx| {
        if a_out.is_none()
            && let Poll::Ready(out) = a.as_mut().poll(cx)
        {
            a_out = Some(out);
        }
        if b_out.is_none()
            && let Poll::Ready(out) = b.as_mut().poll(cx)
        {
            b_out = Some(out);
        }
        match (a_out.is_some(), b_out.is_some()) {
            (true, true) => Poll::Ready((a_out.take().expect("some"), b_out.take().expect("some"))),
            _ => Poll::Pending,
        }
    })
    .await
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind_on(net(), local(0), 2).expect("a free port");
    let addr = listener.local_addr().expect("bound");
    let (client, accepted) = both(TcpStream::connect(addr), listener.accept()).await;
    (
        client.expect("somebody listens"),
        accepted.expect("it comes").0,
    )
}

#[test]
fn asynch() {
    net();
    within_limit(|| {
        for (name, test) in [
            ("echo", echo as fn()),
            ("a megabyte, one task for both ends", megabyte),
            ("nobody listens", refused),
            ("tasks share a direction", shared),
            ("closing wakes", closing),
            ("the traits of embedded-nal-async", nal_async),
            ("the traits of edge-nal", edge),
            ("the UDP traits of edge-nal", edge_udp),
            ("multicast by edge-nal", edge_multicast),
            ("bytes lent where they were received", buffered),
            ("no buffers", no_buffers),
            ("no buffers for a datagram", no_buffers_for_a_datagram),
        ] {
            println!("{name}");
            test();
            assert_at_rest();
        }
    });
}

fn echo() {
    let (client, server) = block_on(pair());
    let echo = thread::spawn(move || {
        block_on(async {
            let mut buf = [0; 64];
            loop {
                let n = server.read(&mut buf).await.expect("open");
                if n == 0 {
                    return;
                }
                (&server).write_all(&buf[..n]).await.expect("open");
            }
        });
    });
    block_on(async {
        for round in 0..100u8 {
            let mut buf = [0; 64];
            (&client).write_all(&[round; 64]).await.expect("open");
            (&client).read_exact(&mut buf).await.expect("echoed");
            assert_eq!(buf, [round; 64]);
        }
    });
    drop(client);
    echo.join().expect("no panic");
}

fn megabyte() {
    let data = pattern(1_000_000);
    block_on(async {
        let (client, mut server) = pair().await;
        let mut got = vec![0; data.len()];
        let send = async {
            (&client).write_all(&data).await.expect("open");
            drop(client);
        };
        let ((), received) = both(send, server.read_exact(&mut got)).await;
        received.expect("all of it");
        assert!(got == data);
        assert_eq!(server.read(&mut got).await, Ok(0));
    });
}

fn refused() {
    let outcome = block_on(TcpStream::connect(local(9)));
    assert_eq!(outcome.expect_err("nobody listens"), Error::Refused);
}

fn shared() {
    let (client, server) = block_on(pair());
    let server = Arc::new(server);
    // Each pushes the other's waker out; none is forgotten.
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                block_on(async {
                    let (mut total, mut buf) = (0, [0; 10]);
                    loop {
                        match server.read(&mut buf).await.expect("open") {
                            0 => return total,
                            n => total += n,
                        }
                    }
                })
            })
        })
        .collect();
    for _ in 0..500 {
        block_on((&client).write_all(&[1; 10])).expect("open");
    }
    drop(client);
    let total: usize = readers
        .into_iter()
        .map(|r| r.join().expect("no panic"))
        .sum();
    assert_eq!(total, 5000);
}

fn closing() {
    let (client, _server) = block_on(pair());
    let conn = client.netconn();
    let sleeper = thread::spawn(move || block_on(client.read(&mut [0; 1])));
    thread::sleep(std::time::Duration::from_millis(5));
    conn.close();
    assert_eq!(sleeper.join().expect("no panic"), Err(Error::Closed));
}

fn nal_async() {
    let stack = Stack::new(net());
    block_on(async {
        let (addr, mut server) = stack.bind_single(local(0)).await.expect("a free port");
        let (own, mut client) = stack.connect(addr).await.expect("UDP");
        ConnectedUdp::send(&mut client, b"question")
            .await
            .expect("room");
        let mut buf = [0; 20];
        let received = UnconnectedUdp::receive_into(&mut server, &mut buf).await;
        let (n, to, from) = received.expect("it arrives");
        assert_eq!(
            (&buf[..n], to, from.port()),
            (&b"question"[..], addr, own.port())
        );
        UnconnectedUdp::send(&mut server, to, from, b"answer")
            .await
            .expect("room");
        let n = ConnectedUdp::receive_into(&mut client, &mut buf)
            .await
            .expect("it arrives");
        assert_eq!(&buf[..n], b"answer");
        let elsewhere = ([10, 0, 0, 1], to.port()).into();
        let refused = UnconnectedUdp::send(&mut server, elsewhere, from, b"x").await;
        assert_eq!(refused, Err(IoError(Error::AddressNotAvailable)));
    });
}

fn edge() {
    let stack = Stack::new(net());
    block_on(async {
        let listener = TcpBind::bind(&stack, local(0)).await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let connect = edge_nal::TcpConnect::connect(&stack, addr);
        let (client, accepted) = both(connect, TcpAccept::accept(&listener)).await;
        let (mut client, (_, mut server)) = (
            client.expect("somebody listens"),
            accepted.expect("it comes"),
        );
        let (mut read, mut write) = server.split();
        client.write_all(b"ping").await.expect("open");
        read.readable().await.expect("open");
        let mut buf = [0; 4];
        read.read_exact(&mut buf).await.expect("open");
        write.write_all(&buf).await.expect("open");
        client.read_exact(&mut buf).await.expect("open");
        assert_eq!(&buf, b"ping");
        TcpShutdown::close(&mut client, Close::Write)
            .await
            .expect("connected");
        assert_eq!(Read::read(&mut server, &mut buf).await, Ok(0));
        TcpShutdown::abort(&mut client).await.expect("open");
        // The end of the stream again and again, until the reset has arrived.
        let error = loop {
            match Read::read(&mut server, &mut buf).await {
                Ok(n) => assert_eq!(n, 0),
                Err(error) => break error,
            }
        };
        assert_eq!(error, IoError(Error::Reset));
    });
}

fn edge_udp() {
    let stack = Stack::new(net());
    block_on(async {
        let mut server = UdpBind::bind(&stack, local(0)).await.expect("a free port");
        let addr = server.local_addr().expect("bound");
        let client = edge_nal::UdpConnect::connect(&stack, local(0), addr);
        let mut client = client.await.expect("UDP");
        let own = client.local_addr().expect("bound");
        // A connected socket sends to its peer.
        let sent = UdpSend::send(&mut client, local(9), b"a question").await;
        sent.expect("room");
        let (mut receive, mut send) = UdpSplit::split(&mut server);
        receive.readable().await.expect("open");
        let mut buf = [0; 4];
        let received = UdpReceive::receive(&mut receive, &mut buf).await;
        assert_eq!(received, Ok((10, own)), "the whole length");
        assert_eq!(&buf, b"a qu");
        UdpSend::send(&mut send, own, b"answer")
            .await
            .expect("room");
        let mut buf = [0; 9];
        let received = UdpReceive::receive(&mut client, &mut buf).await;
        assert_eq!((received, &buf[..6]), (Ok((6, addr)), &b"answer"[..]));
    });
}

fn edge_multicast() {
    let stack = Stack::new(net());
    let group = std::net::Ipv4Addr::new(239, 1, 2, 3);
    let lo = std::net::Ipv4Addr::LOCALHOST;
    block_on(async {
        let mut socket = UdpBind::bind(&stack, local(0)).await.expect("a free port");
        let left = MulticastV4::leave_v4(&mut socket, group, lo).await;
        assert!(left.is_err(), "it was not joined");
        let (_, _, mut v4, mut v6) = UdpSplitMulticast::split_multicast(&mut socket);
        let unicast = MulticastV4::join_v4(&mut v4, lo, lo).await;
        assert_eq!(unicast, Err(IoError(Error::Invalid)));
        let v6 = MulticastV6::join_v6(&mut v6, std::net::Ipv6Addr::LOCALHOST, 0).await;
        assert_eq!(v6, Err(IoError(Error::NotSupported)));
    });
}

fn buffered() {
    let (client, server) = block_on(pair());
    let data = pattern(100_000);
    block_on(async {
        let mut client = client;
        let send = async {
            Write::write_all(&mut client, &data).await.expect("open");
            client
                .shutdown(gannet_sockets::Shutdown::Write)
                .expect("open");
        };
        let receive = async {
            let mut reader = BufStream::new(&server);
            let mut got: Vec<u8> = vec![];
            loop {
                let bytes = BufRead::fill_buf(&mut reader).await.expect("open");
                if bytes.is_empty() {
                    return got;
                }
                let n = bytes.len().min(700);
                got.extend(&bytes[..n]);
                BufRead::consume(&mut reader, n);
                // Reading goes on where looking has stopped.
                let mut buf = [0; 5];
                let n = Read::read(&mut reader, &mut buf).await.expect("open");
                got.extend(&buf[..n]);
            }
        };
        let ((), got) = both(send, receive).await;
        assert!(got == data);
    });
}

fn no_buffers_for_a_datagram() {
    let socket = UdpSocket::bind_on(net(), local(0)).expect("a free port");
    let addr = socket.local_addr().expect("bound");
    let mut all = vec![];
    while let Ok(one) = gannet_sockets::Pbuf::alloc(&common::TX, 0, 1) {
        all.push(one);
    }
    let release = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(10));
        drop(all);
    });
    let long = [7; 5000];
    block_on(socket.send_to(&long, Some(addr))).expect("room at last");
    let received = block_on(socket.recv_from(&mut [0; 1])).expect("it arrives");
    assert_eq!(received.datagram_len, 5000);
    release.join().expect("no panic");
}

fn no_buffers() {
    let (client, server) = block_on(pair());
    let mut all = vec![];
    while let Ok(one) = gannet_sockets::Pbuf::alloc(&common::TX, 0, 1) {
        all.push(one);
    }
    let release = thread::spawn(move || {
        thread::sleep(std::time::Duration::from_millis(10));
        drop(all);
    });
    assert_eq!(block_on(client.write(b"x")), Ok(1));
    assert_eq!(block_on(server.read(&mut [0; 4])), Ok(1));
    release.join().expect("no panic");
}
