//! Sockets of tasks, over loopback: each future in a thread of its own.
#![cfg(feature = "async")]
mod common;

use std::future::Future;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use common::{assert_at_rest, local, net, pattern, within_limit};
use edge_nal::{
    Close, MulticastV4, MulticastV6, Readable, TcpAccept, TcpBind, TcpShutdown, TcpSplit, UdpBind,
    UdpConnect, UdpReceive, UdpSend, UdpSplit, UdpSplitMulticast,
};
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

/// An executor the stack knows nothing of.
fn block_on_foreign<F: Future>(future: F) -> F::Output {
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

/// Which executor the tests run with: the stack's own, or that above.
static FOREIGN: AtomicBool = AtomicBool::new(false);

fn block_on<F: Future>(future: F) -> F::Output {
    if FOREIGN.load(Relaxed) {
        block_on_foreign(future)
    } else {
        gannet_sockets::asynch::block_on(future).expect("a waiter")
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
        let tests = [
            ("echo", echo as fn()),
            ("a megabyte, one task for both ends", megabyte),
            ("nobody listens", refused),
            ("tasks share a direction", shared),
            ("closing wakes", closing),
            ("the traits of embedded-nal-async", nal_async),
            ("streams of embedded-nal-async", nal_async_streams),
            ("the traits of edge-nal", edge),
            ("directions of edge-nal are closed", edge_close),
            ("the UDP traits of edge-nal", edge_datagrams),
            ("bytes lent where they were received", buffered),
            ("no buffers", no_buffers),
            ("no buffers for a datagram", no_buffers_for_a_datagram),
        ];
        for foreign in [false, true] {
            FOREIGN.store(foreign, Relaxed);
            for (name, test) in tests {
                println!("{name}, foreign executor: {foreign}");
                test();
                assert_at_rest();
            }
        }
        FOREIGN.store(false, Relaxed);
        for (name, test) in [
            ("tasks that wait for the same sleep", sharers_sleep as fn()),
            ("another thread wakes", woken_from_outside),
            ("out of waiters", out_of_waiters),
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
        let (own, mut client) = UdpStack::connect(&stack, addr).await.expect("UDP");
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
        // Of a socket on all addresses each datagram tells which one it came to.
        let any = (Ipv4Addr::UNSPECIFIED, 0).into();
        let mut all = stack.bind_multiple(any).await.expect("a free port");
        let port = all.local_addr().expect("bound").port();
        UnconnectedUdp::send(&mut server, addr, local(port), b"to one of them")
            .await
            .expect("room");
        let received = UnconnectedUdp::receive_into(&mut all, &mut buf).await;
        let (n, to, from) = received.expect("it arrives");
        assert_eq!((n, to, from), (14, local(port), addr));
        let taken = stack.bind_single(local(port)).await;
        assert_eq!(taken.expect_err("in use"), IoError(Error::InUse));
    });
}

fn nal_async_streams() {
    let stack = Stack::new(net());
    block_on(async {
        let listener = TcpListener::bind_on(net(), local(0), 1).expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let connect = embedded_nal_async::TcpConnect::connect(&stack, addr);
        let (client, accepted) = both(connect, listener.accept()).await;
        let mut client = client.expect("somebody listens");
        let (server, peer) = accepted.expect("it comes");
        assert_eq!(client.local_addr(), Ok(peer));
        // One end owns its stream, the other lends it.
        let mut server = BufStream::new(server);
        Write::write_all(&mut client, b"question\n")
            .await
            .expect("open");
        Write::flush(&mut client).await.expect("nothing to do");
        let line = BufRead::fill_buf(&mut server).await.expect("open");
        assert!(line.starts_with(b"q"));
        BufRead::consume(&mut server, 1);
        let mut rest = [0; 8];
        server.read_exact(&mut rest).await.expect("open");
        assert_eq!(&rest, b"uestion\n");
        Write::write_all(&mut server, b"answer")
            .await
            .expect("open");
        Write::flush(&mut server).await.expect("nothing to do");
        let mut lent = BufStream::new(&client);
        lent.read_exact(&mut rest[..6]).await.expect("open");
        assert_eq!(&rest[..6], b"answer");
        Write::write_all(&mut lent, b"bye").await.expect("open");
        Write::flush(&mut lent).await.expect("nothing to do");
        Write::flush(&mut &client).await.expect("nothing to do");
        drop(client);
        server.read_exact(&mut rest[..3]).await.expect("open");
        assert_eq!(BufRead::fill_buf(&mut server).await, Ok(&[][..]));
    });
    let nobody = block_on(embedded_nal_async::TcpConnect::connect(&stack, local(9)));
    assert_eq!(nobody.expect_err("nobody listens"), IoError(Error::Refused));
}

fn edge_datagrams() {
    let stack = Stack::new(net());
    let group = Ipv4Addr::new(239, 1, 2, 3);
    block_on(async {
        let any = (Ipv4Addr::UNSPECIFIED, 0).into();
        let mut server = UdpBind::bind(&stack, any).await.expect("a free port");
        let port = server.local_addr().expect("bound").port();
        let to = local(port);
        let client = UdpConnect::connect(&stack, local(0), to).await;
        let mut client = client.expect("UDP");
        // Of a connected socket the address is ignored.
        UdpSend::send(&mut client, any, b"question")
            .await
            .expect("room");
        server.readable().await.expect("it arrives");
        let mut buf = [0; 4];
        let (len, from) = server.receive(&mut buf).await.expect("it is there");
        assert_eq!((len, &buf), (8, b"ques"));
        assert_eq!(from, client.local_addr().expect("bound"));
        let (mut receive, mut send, mut v4, mut v6) = server.split_multicast();
        v4.join_v4(group, Ipv4Addr::LOCALHOST).await.expect("room");
        let again = v4.join_v4(group, Ipv4Addr::LOCALHOST).await;
        assert_eq!(again, Err(IoError(Error::InUse)));
        for refused in [
            v6.join_v6(Ipv6Addr::LOCALHOST, 0).await,
            v6.leave_v6(Ipv6Addr::LOCALHOST, 0).await,
        ] {
            assert_eq!(refused, Err(IoError(Error::NotSupported)));
        }
        let on = send.netconn();
        on.set_multicast_interface(Ipv4Addr::LOCALHOST)
            .expect("it is there");
        send.send((group, port).into(), b"all").await.expect("room");
        let (len, _) = receive.receive(&mut buf).await.expect("it comes back");
        assert_eq!(&buf[..len], b"all");
        v4.leave_v4(group, Ipv4Addr::LOCALHOST).await.expect("in");
        // The two directions without groups, and a readable one that is a part.
        let (mut receive, mut send) = server.split();
        send.send(to, b"self").await.expect("room");
        Readable::readable(&mut receive).await.expect("it arrives");
        assert_eq!(receive.receive(&mut buf).await, Ok((4, to)));
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
        Readable::readable(&mut read).await.expect("open");
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

fn edge_close() {
    block_on(async {
        let (mut client, mut server) = pair().await;
        let mut buf = [0; 4];
        // Nothing more is read here, but still written.
        TcpShutdown::close(&mut server, Close::Read)
            .await
            .expect("connected");
        assert_eq!(server.read(&mut buf).await, Ok(0));
        assert_eq!(server.write(b"last").await, Ok(4));
        Readable::readable(&mut client).await.expect("it arrives");
        assert_eq!(client.read(&mut buf).await, Ok(4));
        TcpShutdown::close(&mut server, Close::Both)
            .await
            .expect("connected");
        assert_eq!(server.write(b"x").await, Err(Error::BrokenPipe));
        assert_eq!(client.read(&mut buf).await, Ok(0));
        TcpShutdown::close(&mut client, Close::Both)
            .await
            .expect("connected");
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

/// Each task that waited used to push the last one's waker out and wake it, for ever.
fn sharers_sleep() {
    let listener = Arc::new(TcpListener::bind_on(net(), local(0), 4).expect("a free port"));
    let addr = listener.local_addr().expect("bound");
    let acceptors: Vec<_> = (0..4)
        .map(|_| {
            let listener = Arc::clone(&listener);
            thread::spawn(move || block_on(listener.accept()).map(drop))
        })
        .collect();
    common::wait_until("all wait", || common::NET.sleepers() == 4);
    thread::sleep(std::time::Duration::from_millis(5));
    let before = gannet_port_std::signals();
    thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(gannet_port_std::signals(), before, "nothing happens");
    let clients = [(); 4].map(|()| block_on(TcpStream::connect(addr)));
    for acceptor in acceptors {
        assert_eq!(acceptor.join().expect("no panic"), Ok(()));
    }
    drop(clients);
}

fn woken_from_outside() {
    let (give, take) = std::sync::mpsc::channel::<Waker>();
    let is_over = Arc::new(AtomicBool::new(false));
    let other = {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || {
            for waker in take {
                is_over.store(true, Relaxed);
                // One clone more, dropped unused.
                drop(waker.clone());
                waker.wake();
            }
        })
    };
    let mut polls = 0;
    block_on(std::future::poll_fn(|cx| {
        polls += 1;
        if is_over.load(Relaxed) {
            return Poll::Ready(());
        }
        give.send(cx.waker().clone()).expect("it takes");
        Poll::Pending
    }));
    assert!(polls >= 2);
    drop(give);
    other.join().expect("no panic");
}

fn out_of_waiters() {
    fn nest(depth: usize) -> usize {
        match gannet_sockets::asynch::block_on(async { nest(depth + 1) }) {
            Ok(deepest) => deepest,
            Err(error) => {
                assert_eq!(error, Error::NoBuffers);
                depth
            }
        }
    }
    // As many as the net has waiters.
    assert_eq!(nest(0), 64);
}
