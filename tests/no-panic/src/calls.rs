//! All calls of netconn and sockets, kept by their addresses.
use core::hint::black_box;
use core::net::Ipv4Addr;

use gannet_netconn::{Net, Netconn, Patience, Ready, Settings, Via};
use gannet_sockets::bsd::{self, sockopt};
use gannet_sockets::{TcpListener, TcpStream, UdpSocket};

/// Nobody calls it.
#[unsafe(no_mangle)]
pub extern "C" fn gannet_calls() {
    let keep = |calls: &[*const ()]| {
        black_box(calls);
    };
    // BSD sockets.
    keep(&[
        bsd::inet_pton as *const (),
        bsd::inet_ntop as *const (),
        bsd::getaddrinfo as *const (),
        bsd::fcntl as *const (),
        bsd::ioctl as *const (),
        bsd::eventfd as *const (),
        bsd::eventfd_read as *const (),
        bsd::eventfd_write as *const (),
        bsd::eventfd_write_from_isr as *const (),
        bsd::sendmsg as *const (),
        bsd::recvmsg as *const (),
        bsd::sendmmsg as *const (),
        bsd::recvmmsg as *const (),
        bsd::poll as *const (),
        bsd::ppoll as *const (),
        bsd::select as *const (),
        bsd::pselect as *const (),
        socket as *const (),
        socketpair as *const (),
        bsd::bind as *const (),
        bsd::listen as *const (),
        bsd::accept as *const (),
        bsd::accept4 as *const (),
        bsd::connect as *const (),
        bsd::disconnect as *const (),
        bsd::shutdown as *const (),
        bsd::getsockname as *const (),
        bsd::getpeername as *const (),
        bsd::close as *const (),
        bsd::dup as *const (),
        bsd::send as *const (),
        bsd::sendto as *const (),
        bsd::write as *const (),
        bsd::writev as *const (),
        bsd::recv as *const (),
        bsd::recvfrom as *const (),
        bsd::read as *const (),
        bsd::readv as *const (),
    ]);
    keep(&[
        bsd::getsockopt::<sockopt::MulticastIf> as *const (),
        bsd::getsockopt::<sockopt::MulticastLoop> as *const (),
        bsd::getsockopt::<sockopt::MulticastTtl> as *const (),
        bsd::getsockopt::<sockopt::RecvErr> as *const (),
        bsd::getsockopt::<sockopt::Tos> as *const (),
        bsd::getsockopt::<sockopt::Ttl> as *const (),
        bsd::getsockopt::<sockopt::AcceptConn> as *const (),
        bsd::getsockopt::<sockopt::Broadcast> as *const (),
        bsd::getsockopt::<sockopt::SocketDomain> as *const (),
        bsd::getsockopt::<sockopt::Error> as *const (),
        bsd::getsockopt::<sockopt::KeepAlive> as *const (),
        bsd::getsockopt::<sockopt::Linger> as *const (),
        bsd::getsockopt::<sockopt::OobInline> as *const (),
        bsd::getsockopt::<sockopt::SocketProtocol> as *const (),
        bsd::getsockopt::<sockopt::RcvLowat> as *const (),
        bsd::getsockopt::<sockopt::RcvTimeo> as *const (),
        bsd::getsockopt::<sockopt::SndTimeo> as *const (),
        bsd::getsockopt::<sockopt::RcvBuf> as *const (),
        bsd::getsockopt::<sockopt::SndBuf> as *const (),
        bsd::getsockopt::<sockopt::ReuseAddr> as *const (),
        bsd::getsockopt::<sockopt::ReusePort> as *const (),
        bsd::getsockopt::<sockopt::SocketType> as *const (),
        bsd::getsockopt::<sockopt::Congestion> as *const (),
        bsd::getsockopt::<sockopt::TcpCork> as *const (),
        bsd::getsockopt::<sockopt::DeferAccept> as *const (),
        bsd::getsockopt::<sockopt::Info> as *const (),
        bsd::getsockopt::<sockopt::KeepCnt> as *const (),
        bsd::getsockopt::<sockopt::KeepIdle> as *const (),
        bsd::getsockopt::<sockopt::KeepIntvl> as *const (),
        bsd::getsockopt::<sockopt::MaxSeg> as *const (),
        bsd::getsockopt::<sockopt::NoDelay> as *const (),
        bsd::getsockopt::<sockopt::TcpQuickAck> as *const (),
        bsd::getsockopt::<sockopt::SynCnt> as *const (),
        bsd::getsockopt::<sockopt::UserTimeout> as *const (),
    ]);
    keep(&[
        bsd::setsockopt::<sockopt::AddMembership> as *const (),
        bsd::setsockopt::<sockopt::DropMembership> as *const (),
        bsd::setsockopt::<sockopt::MulticastIf> as *const (),
        bsd::setsockopt::<sockopt::MulticastLoop> as *const (),
        bsd::setsockopt::<sockopt::MulticastTtl> as *const (),
        bsd::setsockopt::<sockopt::RecvErr> as *const (),
        bsd::setsockopt::<sockopt::Tos> as *const (),
        bsd::setsockopt::<sockopt::Ttl> as *const (),
        bsd::setsockopt::<sockopt::Broadcast> as *const (),
        bsd::setsockopt::<sockopt::KeepAlive> as *const (),
        bsd::setsockopt::<sockopt::Linger> as *const (),
        bsd::setsockopt::<sockopt::OobInline> as *const (),
        bsd::setsockopt::<sockopt::RcvLowat> as *const (),
        bsd::setsockopt::<sockopt::RcvTimeo> as *const (),
        bsd::setsockopt::<sockopt::SndTimeo> as *const (),
        bsd::setsockopt::<sockopt::RcvBuf> as *const (),
        bsd::setsockopt::<sockopt::SndBuf> as *const (),
        bsd::setsockopt::<sockopt::ReuseAddr> as *const (),
        bsd::setsockopt::<sockopt::ReusePort> as *const (),
        bsd::setsockopt::<sockopt::Congestion> as *const (),
        bsd::setsockopt::<sockopt::TcpCork> as *const (),
        bsd::setsockopt::<sockopt::DeferAccept> as *const (),
        bsd::setsockopt::<sockopt::KeepCnt> as *const (),
        bsd::setsockopt::<sockopt::KeepIdle> as *const (),
        bsd::setsockopt::<sockopt::KeepIntvl> as *const (),
        bsd::setsockopt::<sockopt::MaxSeg> as *const (),
        bsd::setsockopt::<sockopt::NoDelay> as *const (),
        bsd::setsockopt::<sockopt::TcpQuickAck> as *const (),
        bsd::setsockopt::<sockopt::SynCnt> as *const (),
        bsd::setsockopt::<sockopt::UserTimeout> as *const (),
    ]);
    // Rust's sockets.
    keep(&[
        TcpStream::connect_on as *const (),
        TcpStream::connect_timeout as *const (),
        TcpStream::read as *const (),
        TcpStream::peek as *const (),
        TcpStream::write as *const (),
        TcpStream::write_all as *const (),
        TcpStream::read_exact as *const (),
        TcpStream::read_pbuf as *const (),
        TcpStream::write_pbuf as *const (),
        TcpStream::write_static as *const (),
        TcpStream::shutdown as *const (),
        TcpStream::close as *const (),
        TcpStream::local_addr as *const (),
        TcpStream::peer_addr as *const (),
        TcpStream::set_read_timeout as *const (),
        TcpStream::set_write_timeout as *const (),
        TcpStream::read_timeout as *const (),
        TcpStream::write_timeout as *const (),
        TcpStream::set_nodelay as *const (),
        TcpStream::nodelay as *const (),
        TcpStream::set_keepalive as *const (),
        TcpStream::set_nonblocking as *const (),
        TcpStream::take_error as *const (),
        TcpStream::connect as *const (),
        TcpStream::into_netconn as *const (),
    ]);
    keep(&[
        TcpListener::bind as *const (),
        TcpListener::bind_on as *const (),
        TcpListener::accept as *const (),
        TcpListener::close as *const (),
        TcpListener::local_addr as *const (),
        TcpListener::set_timeout as *const (),
        TcpListener::set_nonblocking as *const (),
        TcpListener::take_error as *const (),
    ]);
    keep(&[
        UdpSocket::join_multicast_v4 as *const (),
        UdpSocket::leave_multicast_v4 as *const (),
        UdpSocket::set_multicast_loop_v4 as *const (),
        UdpSocket::multicast_loop_v4 as *const (),
        UdpSocket::set_multicast_ttl_v4 as *const (),
        UdpSocket::multicast_ttl_v4 as *const (),
        multicast_interface as *const (),
        UdpSocket::bind as *const (),
        UdpSocket::bind_on as *const (),
        UdpSocket::connect as *const (),
        UdpSocket::recv_from as *const (),
        UdpSocket::peek_from as *const (),
        UdpSocket::recv as *const (),
        UdpSocket::recv_pbuf_from as *const (),
        UdpSocket::send_to as *const (),
        UdpSocket::send as *const (),
        UdpSocket::send_pbuf_to as *const (),
        UdpSocket::close as *const (),
        UdpSocket::local_addr as *const (),
        UdpSocket::peer_addr as *const (),
        UdpSocket::set_broadcast as *const (),
        UdpSocket::set_read_timeout as *const (),
        UdpSocket::set_nonblocking as *const (),
        UdpSocket::take_error as *const (),
        UdpSocket::set_recv_errors as *const (),
        UdpSocket::take_icmp_error as *const (),
    ]);
    keep(&[
        core::ptr::drop_in_place::<TcpStream> as *const (),
        core::ptr::drop_in_place::<TcpListener> as *const (),
        core::ptr::drop_in_place::<UdpSocket> as *const (),
    ]);
    keep(&[
        bsd::FdSet::insert as *const (),
        bsd::FdSet::remove as *const (),
        bsd::FdSet::contains as *const (),
        bsd::Descriptors::make_default as *const (),
        bsd::Descriptors::in_use as *const (),
    ]);
    // The sequential API.
    keep(&[
        change_settings as *const (),
        Patience::from_timeout as *const (),
        Ready::any as *const (),
        Ready::of as *const (),
        gannet_netconn::sys::now as *const (),
    ]);
    keep(&[
        Netconn::new as *const (),
        Netconn::shutdown as *const (),
        Netconn::close as *const (),
        Netconn::share as *const (),
        Netconn::release as *const (),
        Netconn::release_lingering as *const (),
        Netconn::bind as *const (),
        Netconn::connect as *const (),
        Netconn::disconnect as *const (),
        Netconn::listen as *const (),
        Netconn::event as *const (),
        Netconn::post as *const (),
        Netconn::post_from_isr as *const (),
        Netconn::take as *const (),
        Netconn::tcp_info as *const (),
        Netconn::accept as *const (),
        Netconn::accept_within as *const (),
        Netconn::kind as *const (),
        Netconn::kind_and_settings as *const (),
        Netconn::local_addr as *const (),
        Netconn::peer_addr as *const (),
        Netconn::is_listening as *const (),
        Netconn::take_error as *const (),
        Netconn::on_event as *const (),
        Netconn::ready as *const (),
        Netconn::settings as *const (),
        Netconn::recv_patience as *const (),
        Netconn::send_patience as *const (),
        Netconn::pair as *const (),
        Netconn::recv as *const (),
        Netconn::recv_within as *const (),
        Netconn::recv_vectored as *const (),
        Netconn::recv_pbuf as *const (),
        Netconn::available as *const (),
        Netconn::send as *const (),
        Netconn::send_within as *const (),
        Netconn::send_vectored as *const (),
        Netconn::send_pbuf as *const (),
        Netconn::send_static as *const (),
        Netconn::unacknowledged as *const (),
        Netconn::wait_acknowledged as *const (),
        Netconn::recv_from as *const (),
        Netconn::recv_from_vectored as *const (),
        Netconn::recv_pbuf_from as *const (),
        Netconn::send_to as *const (),
        Netconn::send_to_vectored as *const (),
        Netconn::send_pbuf_to as *const (),
    ]);
    keep(&[
        Net::make_default as *const (),
        Net::default_net as *const (),
        Net::stop as *const (),
        Net::wake as *const (),
        Net::wake_from_isr as *const (),
        Net::ring as *const (),
        Net::ring_from_isr as *const (),
        Net::wakeups as *const (),
        Net::connections as *const (),
        Net::sleepers as *const (),
        Net::snapshot as *const (),
        Net::poll as *const (),
    ]);
}

/// `socket` takes what a program writes there as it is.
fn socket(
    domain: bsd::Domain,
    kind: bsd::SocketType,
    protocol: bsd::Protocol,
) -> Result<bsd::Fd, bsd::Errno> {
    bsd::socket(domain, kind, protocol)
}

fn socketpair(
    domain: bsd::Domain,
    kind: bsd::SocketType,
    protocol: bsd::Protocol,
) -> Result<[bsd::Fd; 2], bsd::Errno> {
    bsd::socketpair(domain, kind, protocol)
}

fn change_settings(conn: &Netconn, change: fn(&mut Settings)) -> bool {
    conn.change_settings(change).is_ok()
}

fn multicast_interface(socket: &UdpSocket, addr: Ipv4Addr) -> bool {
    let conn = socket.netconn();
    socket.set_multicast_interface(addr).is_ok()
        && conn.set_multicast_interface(addr).is_ok()
        && conn.join_multicast(addr, Via::Route).is_ok()
        && conn.leave_multicast(addr, Via::Route).is_ok()
}
