//! The traits of `embedded-nal`, over loopback.
#![cfg(feature = "embedded-nal")]
mod common;

use common::{assert_at_rest, local, net, within_limit};
use embedded_nal::{TcpClientStack, TcpError, TcpErrorKind, TcpFullStack, UdpFullStack, nb};
use gannet_sockets::Error;
use gannet_sockets::nal::{Socket, Stack};

const PORT: u16 = 4711;

fn tcp<S: TcpFullStack<TcpSocket = Socket>>(mut stack: S) {
    let mut listener = stack.socket().expect("free");
    stack.bind(&mut listener, PORT).expect("free");
    stack.listen(&mut listener).expect("bound");
    assert!(matches!(
        stack.accept(&mut listener),
        Err(nb::Error::WouldBlock)
    ));
    let mut client = stack.socket().expect("free");
    nb::block!(stack.connect(&mut client, local(PORT))).expect("somebody listens");
    let (mut server, _) = nb::block!(stack.accept(&mut listener)).expect("it comes");
    let mut buf = [0; 8];
    assert!(matches!(
        stack.receive(&mut server, &mut buf),
        Err(nb::Error::WouldBlock)
    ));
    assert_eq!(
        nb::block!(stack.send(&mut client, b"hello")).expect("open"),
        5
    );
    assert_eq!(
        nb::block!(stack.receive(&mut server, &mut buf)).expect("open"),
        5
    );
    assert_eq!(&buf[..5], b"hello");
    stack.close(client).expect("always");
    assert_eq!(
        nb::block!(stack.receive(&mut server, &mut buf)).expect("open"),
        0
    );
    stack.close(server).expect("always");
    stack.close(listener).expect("always");
    // Now nobody listens.
    let mut client = stack.socket().expect("free");
    let error = nb::block!(stack.connect(&mut client, local(9))).expect_err("nobody listens");
    assert_eq!(error.kind(), TcpErrorKind::Other);
    let error = nb::block!(stack.send(&mut client, b"x")).expect_err("not connected");
    assert_eq!(error.kind(), TcpErrorKind::PipeClosed);
}

fn udp<S: UdpFullStack<UdpSocket = Socket>>(mut stack: S) {
    let mut server = stack.socket().expect("free");
    stack.bind(&mut server, PORT).expect("free");
    let mut client = stack.socket().expect("free");
    stack.connect(&mut client, local(PORT)).expect("UDP");
    nb::block!(stack.send(&mut client, b"question")).expect("room");
    let mut buf = [0; 20];
    let (n, from) = nb::block!(stack.receive(&mut server, &mut buf)).expect("it arrives");
    assert_eq!(&buf[..n], b"question");
    nb::block!(stack.send_to(&mut server, from, b"answer")).expect("room");
    let (n, from) = nb::block!(stack.receive(&mut client, &mut buf)).expect("it arrives");
    assert_eq!((&buf[..n], from), (&b"answer"[..], local(PORT)));
    assert!(matches!(
        stack.receive(&mut client, &mut buf),
        Err(nb::Error::WouldBlock)
    ));
    stack.close(client).expect("always");
    stack.close(server).expect("always");
}

#[test]
fn nal() {
    within_limit(|| {
        let mut stack = Stack::new(net());
        tcp(stack);
        udp(stack);
        assert_at_rest();
        let mut socket = TcpClientStack::socket(&mut stack).expect("free");
        let refused = TcpClientStack::connect(&mut stack, &mut socket, local(0));
        assert_eq!(
            refused,
            Err(nb::Error::Other(gannet_sockets::nal::NalError(
                Error::Invalid
            )))
        );
    });
}
