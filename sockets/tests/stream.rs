//! Blocking streams and listeners, over loopback, with threads of std as tasks.
mod common;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{assert_at_rest, local, net, pattern, within_limit};
use embedded_io::BufRead;
use gannet_sockets::{BufStream, Error, Shutdown, TcpListener, TcpStream};

/// A connected pair.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind_on(net(), local(0), 4).expect("a listener");
    let addr = listener.local_addr().expect("bound");
    let client = TcpStream::connect(addr).expect("somebody listens");
    let (server, peer) = listener.accept().expect("the connection");
    assert_eq!(peer, client.local_addr().expect("connected"));
    (client, server)
}

fn read_to_end(stream: &TcpStream) -> Result<Vec<u8>, Error> {
    let (mut all, mut buf) = (Vec::new(), [0; 3000]);
    loop {
        match stream.read(&mut buf)? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

/// One after another: the tests count what is in use at their end.
#[test]
fn streams() {
    within_limit(|| {
        for (name, test) in [
            ("echo", echo as fn()),
            ("a megabyte each way", megabytes),
            ("small writes pin few buffers", small_writes),
            ("nobody listens", refused),
            ("time-outs and non-blocking", impatience),
            ("peek", peek),
            ("half close", half_close),
            ("close wakes a reader", close_wakes),
            ("close of a listener wakes accept", listener_close_wakes),
            ("drop sends what is queued", drop_sends),
            ("unread data resets", unread_resets),
            ("zero copy", zero_copy),
            ("bytes lent where they were received", buffered),
            ("shared by threads", shared),
            ("wrong use", wrong_use),
            ("many connections", many),
            ("options", options),
            ("bytes lent, and both ways ready", buffered_ready),
            ("the connection underneath", underneath),
        ] {
            println!("{name}");
            test();
            assert_at_rest();
        }
    });
}

fn echo() {
    let (client, server) = pair();
    let echo = thread::spawn(move || {
        let mut buf = [0; 100];
        loop {
            let n = server.read(&mut buf).expect("open");
            if n == 0 {
                break;
            }
            server.write_all(&buf[..n]).expect("open");
        }
    });
    for round in 0..100u8 {
        let message = [round; 64];
        client.write_all(&message).expect("open");
        let mut back = [0; 64];
        client.read_exact(&mut back).expect("echoed");
        assert_eq!(message, back);
    }
    client.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(read_to_end(&client), Ok(vec![]));
    echo.join().expect("no panic");
}

fn megabytes() {
    let (client, server) = pair();
    let (client, server) = (Arc::new(client), Arc::new(server));
    let data = pattern(1_000_000);
    let send = |stream: &Arc<TcpStream>| {
        let (stream, data) = (Arc::clone(stream), data.clone());
        thread::spawn(move || {
            stream.write_all(&data).expect("open");
            stream.shutdown(Shutdown::Write).expect("connected");
        })
    };
    let senders = [send(&client), send(&server)];
    let receive = |stream: Arc<TcpStream>| thread::spawn(move || read_to_end(&stream));
    for receiver in [receive(client), receive(server)] {
        assert!(receiver.join().expect("no panic").expect("no error") == data);
    }
    senders
        .into_iter()
        .for_each(|sender| sender.join().expect("no panic"));
}

fn small_writes() {
    let (client, server) = pair();
    let data = pattern(60_000);
    for piece in data.chunks(10) {
        client.write_all(piece).expect("the send buffer holds all");
    }
    drop(client);
    let got = read_to_end(&server).expect("no error");
    let first = got.iter().zip(&data).position(|(a, b)| a != b);
    assert_eq!((got.len(), first), (data.len(), None));
}

fn refused() {
    net();
    assert_eq!(
        TcpStream::connect(local(9)).expect_err("nobody listens"),
        Error::Refused
    );
    let nowhere = ([192, 0, 2, 1], 80).into();
    assert_eq!(
        TcpStream::connect(nowhere).expect_err("no route"),
        Error::NetworkUnreachable
    );
    assert_eq!(
        TcpStream::connect(local(0)).expect_err("port 0"),
        Error::Invalid
    );
}

fn impatience() {
    let (client, server) = pair();
    let mut buf = [0; 10];
    server
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("open");
    assert_eq!(server.read(&mut buf), Err(Error::WouldBlock));
    assert_eq!(
        server.set_read_timeout(Some(Duration::ZERO)),
        Err(Error::Invalid)
    );
    server.set_nonblocking(true).expect("open");
    assert_eq!(server.read(&mut buf), Err(Error::WouldBlock));
    // Nobody reads: in the end nothing more can be written.
    client
        .set_write_timeout(Some(Duration::from_millis(50)))
        .expect("open");
    let (mut sent, block) = (0, pattern(10_000));
    let error = loop {
        match client.write(&block) {
            Ok(n) => sent += n,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::WouldBlock);
    assert!(sent > 65_535, "window and send buffer are filled: {sent}");
    server.set_nonblocking(false).expect("open");
    server.set_read_timeout(None).expect("open");
    drop(client);
    assert_eq!(read_to_end(&server).expect("no error").len(), sent);
}

fn peek() {
    let (client, server) = pair();
    client.write_all(b"hello").expect("open");
    let mut buf = [0; 3];
    assert_eq!(server.peek(&mut buf), Ok(3));
    assert_eq!(&buf, b"hel");
    drop(client);
    assert_eq!(read_to_end(&server), Ok(b"hello".to_vec()));
}

fn half_close() {
    let (client, server) = pair();
    client.write_all(b"question").expect("open");
    client.shutdown(Shutdown::Write).expect("connected");
    assert_eq!(client.write(b"more"), Err(Error::BrokenPipe));
    assert_eq!(read_to_end(&server), Ok(b"question".to_vec()));
    server.write_all(b"answer").expect("its side is open");
    drop(server);
    assert_eq!(read_to_end(&client), Ok(b"answer".to_vec()));
}

fn close_wakes() {
    let (client, server) = pair();
    let client = Arc::new(client);
    let sleepers: Vec<_> = (0..3)
        .map(|_| {
            let client = Arc::clone(&client);
            thread::spawn(move || client.read(&mut [0; 8]))
        })
        .collect();
    common::wait_until("three sleep", || net().sleepers() == 3);
    client.close();
    for sleeper in sleepers {
        assert_eq!(sleeper.join().expect("no panic"), Err(Error::Closed));
    }
    assert_eq!(client.read(&mut [0; 8]), Err(Error::Closed));
    assert_eq!(client.write(b"x"), Err(Error::Closed));
    assert_eq!(server.read(&mut [0; 8]), Ok(0));
}

fn listener_close_wakes() {
    let listener = Arc::new(TcpListener::bind_on(net(), local(0), 4).expect("a listener"));
    let addr = listener.local_addr().expect("bound");
    let sleeper = {
        let listener = Arc::clone(&listener);
        thread::spawn(move || listener.accept().map(|_| ()))
    };
    common::wait_until("it sleeps", || net().sleepers() == 1);
    listener.close();
    assert_eq!(sleeper.join().expect("no panic"), Err(Error::Closed));
    common::wait_until("the port is free", || {
        TcpStream::connect(addr).err() == Some(Error::Refused)
    });
}

fn drop_sends() {
    let (client, server) = pair();
    let data = pattern(60_000);
    client.write_all(&data).expect("fits the send buffer");
    drop(client);
    assert!(read_to_end(&server).expect("no error") == data);
}

fn unread_resets() {
    let (client, server) = pair();
    client.write_all(b"never read").expect("open");
    let mut buf = [0; 1];
    server.peek(&mut buf).expect("arrived");
    drop(server);
    assert_eq!(client.read(&mut buf), Err(Error::Reset));
    // Told once.
    assert_eq!(client.read(&mut buf), Ok(0));
    assert_eq!(client.write(b"x"), Err(Error::BrokenPipe));
}

fn zero_copy() {
    static PAGE: [u8; 20_000] = [b'x'; 20_000];
    let (client, server) = pair();
    client.write_static(&PAGE).expect("fits the send buffer");
    let mut own = gannet_core::Pbuf::alloc(&common::TX, 0, 5).expect("free buffers");
    own.copy_from(b"hello");
    client.write_pbuf(own).expect("fits");
    drop(client);
    let mut got = Vec::new();
    while let Some(data) = server.read_pbuf(4096).expect("no error") {
        got.extend(data.parts().flatten());
    }
    assert_eq!(got.len(), 20_005);
    assert!(got.starts_with(&PAGE) && got.ends_with(b"hello"));
}

fn buffered() {
    let (client, server) = pair();
    client.write_all(b"one line\nand ").expect("open");
    // In a buffer of its own.
    let more = gannet_sockets::Pbuf::from_static(&common::TX, b"another\n");
    client
        .write_pbuf(more.expect("a descriptor"))
        .expect("open");
    client.shutdown(Shutdown::Write).expect("connected");
    let mut reader = BufStream::new(&server);
    let mut lines = vec![];
    let mut line: Vec<u8> = vec![];
    loop {
        let bytes = reader.fill_buf().expect("open");
        if bytes.is_empty() {
            break;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let n = end.map_or(bytes.len(), |end| end + 1);
        line.extend(&bytes[..n]);
        reader.consume(n);
        if end.is_some() {
            lines.push(std::mem::take(&mut line));
        }
    }
    assert_eq!(lines, [&b"one line\n"[..], b"and another\n"]);
    assert_eq!(reader.fill_buf().expect("the end stays"), [0u8; 0]);

    // What was looked at and not consumed is read next; an owned stream serves as well.
    let (client, server) = pair();
    client.write_all(b"peeked").expect("open");
    let mut reader = BufStream::new(server);
    assert!(reader.fill_buf().expect("open").starts_with(b"p"));
    reader.consume(1);
    let mut rest = [0; 5];
    embedded_io::Read::read_exact(&mut reader, &mut rest).expect("open");
    assert_eq!(&rest, b"eeked");
    embedded_io::Write::write_all(&mut reader, b"back").expect("open");
    client.read_exact(&mut rest[..4]).expect("open");
    let (server, unread) = reader.into_parts();
    assert!(unread.is_none());
    drop(client);
    assert_eq!(server.read(&mut rest), Ok(0));
}

fn shared() {
    let (client, server) = pair();
    let (client, server) = (Arc::new(client), Arc::new(server));
    // Four writers, three readers: each byte arrives once.
    let writers: Vec<_> = (0..4u8)
        .map(|id| {
            let client = Arc::clone(&client);
            thread::spawn(move || {
                for _ in 0..500 {
                    client.write_all(&[id; 100]).expect("open");
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let server = Arc::clone(&server);
            thread::spawn(move || {
                let (mut counts, mut buf) = ([0; 4], [0; 777]);
                loop {
                    match server.read(&mut buf).expect("no error") {
                        0 => return counts,
                        n => buf[..n].iter().for_each(|id| counts[usize::from(*id)] += 1),
                    }
                }
            })
        })
        .collect();
    writers
        .into_iter()
        .for_each(|writer| writer.join().expect("no panic"));
    client.shutdown(Shutdown::Write).expect("connected");
    let mut sum = [0; 4];
    for reader in readers {
        let counts = reader.join().expect("no panic");
        sum.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
    }
    assert_eq!(sum, [50_000; 4]);
}

fn wrong_use() {
    let listener = TcpListener::bind_on(net(), local(0), 1).expect("a listener");
    let addr = listener.local_addr().expect("bound");
    assert_eq!(TcpListener::bind(addr).expect_err("taken"), Error::InUse);
    assert_eq!(listener.netconn().bind(addr), Err(Error::Invalid));
    let elsewhere = ([10, 1, 2, 3], 80).into();
    assert_eq!(
        TcpListener::bind(elsewhere).expect_err("no such address"),
        Error::AddressNotAvailable
    );
    assert_eq!(
        listener.netconn().recv(&mut [0; 1]),
        Err(Error::NotConnected)
    );
    assert_eq!(listener.netconn().send(b"x"), Err(Error::NotConnected));
    let client = TcpStream::connect(addr).expect("somebody listens");
    let again = client
        .netconn()
        .connect(addr, gannet_sockets::Patience::Forever);
    assert_eq!(again, Err(Error::AlreadyConnected));
    assert_eq!(
        TcpListener::bind_on(net(), local(0), 0).expect_err("no backlog"),
        Error::Invalid
    );
}

fn many() {
    let listener = TcpListener::bind_on(net(), local(0), 16).expect("a listener");
    let addr = listener.local_addr().expect("bound");
    let server = thread::spawn(move || {
        for _ in 0..400 {
            let (stream, _) = listener.accept().expect("open");
            thread::spawn(move || {
                let all = read_to_end(&stream).expect("no error");
                stream.write_all(&all).expect("open");
            });
        }
    });
    let clients: Vec<_> = (0..8u8)
        .map(|id| {
            thread::spawn(move || {
                for n in 0..50u8 {
                    let stream = TcpStream::connect(addr).expect("somebody listens");
                    stream.write_all(&[id, n]).expect("open");
                    stream.shutdown(Shutdown::Write).expect("connected");
                    assert_eq!(read_to_end(&stream), Ok(vec![id, n]));
                }
            })
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().expect("no panic"));
    server.join().expect("no panic");
}

fn options() {
    let (client, _server) = pair();
    assert_eq!(client.nodelay(), Ok(false));
    client.set_nodelay(true).expect("open");
    assert_eq!(client.nodelay(), Ok(true));
    client
        .set_keepalive(Some(gannet_sockets::Keepalive::default()))
        .expect("open");
    assert_eq!(client.take_error(), Ok(None));
    assert_eq!(client.read_timeout(), Ok(None));
}

fn buffered_ready() {
    use embedded_io::{Read, ReadReady, Write, WriteReady};
    let (client, server) = pair();
    let (mut owned, mut lent) = (BufStream::new(client), BufStream::new(&server));
    assert_eq!(owned.read_ready(), Ok(false));
    assert_eq!(owned.write_ready(), Ok(true));
    assert_eq!(lent.read_ready(), Ok(false));
    assert_eq!(lent.write_ready(), Ok(true));
    Write::write_all(&mut lent, b"two").expect("open");
    Write::flush(&mut lent).expect("nothing to do");
    // Taken from the stream, of which nothing is left there: still ready.
    assert!(owned.fill_buf().expect("open").starts_with(b"t"));
    owned.consume(1);
    assert_eq!(owned.read_ready(), Ok(true));
    let mut buf = [0; 2];
    Read::read_exact(&mut owned, &mut buf).expect("open");
    assert_eq!((&buf, owned.read_ready()), (b"wo", Ok(false)));
    Write::write_all(&mut owned, b"ok").expect("open");
    Write::flush(&mut owned).expect("nothing to do");
    Read::read_exact(&mut lent, &mut buf).expect("open");
    assert_eq!(&buf, b"ok");
    // The send buffer is full.
    lent.stream().set_nonblocking(true).expect("open");
    while lent.write(&[0; 8192]).is_ok() {}
    assert_eq!(lent.write_ready(), Ok(false));
    owned.stream().close();
    let closed = gannet_sockets::io::IoError(Error::Closed);
    assert_eq!(owned.read_ready(), Err(closed));
    assert_eq!(owned.write_ready(), Err(closed));
    assert_eq!(owned.fill_buf(), Err(closed));
}

fn underneath() {
    net();
    let listener = TcpListener::bind(local(0)).expect("a free port");
    let client = TcpStream::connect(listener.local_addr().expect("bound"));
    let client = client.expect("somebody listens");
    let (server, _) = listener.accept().expect("it waits");
    // What was given up is not closed, and can be taken again.
    let conn = client.into_netconn();
    server.write_all(b"still there").expect("open");
    let client = TcpStream::from_netconn(conn);
    let mut buf = [0; 11];
    client.read_exact(&mut buf).expect("open");
    assert_eq!(&buf, b"still there");
    assert_eq!(client.netconn(), conn);
    assert_ne!(client.netconn(), server.netconn());
    // A buffer that is not taken comes back.
    client.close();
    let data = gannet_sockets::Pbuf::from_static(&common::TX, b"late").expect("a descriptor");
    let refused = client.write_pbuf(data).expect_err("closed");
    assert_eq!(refused.error, Error::Closed);
    assert_eq!(refused.data.expect("not sent").tot_len(), 4);
    assert_eq!(client.write_static(b"late"), Err(Error::Closed));
}
