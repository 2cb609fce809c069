//! The traits of `embedded-nal` (feature `embedded-nal`): [`Stack`] makes sockets that never
//! sleep; what cannot be done at once is `nb::Error::WouldBlock`.
use core::net::{Ipv4Addr, SocketAddr};

use embedded_nal::{
    TcpClientStack, TcpError, TcpErrorKind, TcpFullStack, UdpClientStack, UdpFullStack, nb,
};
use gannet_netconn::{Error, Flow, Kind, Net, Netconn, Patience, Peek};

/// A net as `embedded-nal` wants it.
#[derive(Clone, Copy, Debug)]
pub struct Stack(&'static Net);

impl Stack {
    /// The stack behind `net`.
    pub const fn new(net: &'static Net) -> Self {
        Self(net)
    }
}

/// A socket of [`Stack`]; closed when dropped.
#[derive(Debug)]
pub struct Socket(Netconn);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// [`Error`] as `embedded-nal` wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NalError(pub Error);

impl TcpError for NalError {
    fn kind(&self) -> TcpErrorKind {
        match self.0 {
            Error::Aborted
            | Error::BrokenPipe
            | Error::Closed
            | Error::NotConnected
            | Error::Reset
            | Error::TimedOut => TcpErrorKind::PipeClosed,
            _ => TcpErrorKind::Other,
        }
    }
}

/// What cannot be done at once is the other error of `nb`.
fn nb(error: Error) -> nb::Error<NalError> {
    match error {
        Error::WouldBlock | Error::InProgress | Error::AlreadyInProgress => nb::Error::WouldBlock,
        error => nb::Error::Other(NalError(error)),
    }
}

const BACKLOG: u16 = 8;

impl TcpClientStack for Stack {
    type TcpSocket = Socket;
    type Error = NalError;

    fn socket(&mut self) -> Result<Socket, NalError> {
        Netconn::new(self.0, Kind::Tcp)
            .map(Socket)
            .map_err(NalError)
    }

    fn connect(&mut self, socket: &mut Socket, remote: SocketAddr) -> nb::Result<(), NalError> {
        match socket.0.connect(remote, Patience::Never) {
            // Called again until it is there.
            Err(Error::AlreadyConnected) => Ok(()),
            // An attempt that failed in the background.
            Err(Error::Invalid) => {
                let error = socket.0.take_error().map_err(nb)?;
                Err(nb(error.unwrap_or(Error::Invalid)))
            }
            outcome => outcome.map_err(nb),
        }
    }

    fn send(&mut self, socket: &mut Socket, buffer: &[u8]) -> nb::Result<usize, NalError> {
        socket
            .0
            .send_within(buffer, Flow::Ends, Patience::Never)
            .map_err(nb)
    }

    /// 0 bytes are the end of the stream.
    fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, NalError> {
        socket
            .0
            .recv_within(buffer, Peek::Take, Patience::Never)
            .map_err(nb)
    }

    fn close(&mut self, socket: Socket) -> Result<(), NalError> {
        drop(socket);
        Ok(())
    }
}

impl TcpFullStack for Stack {
    fn bind(&mut self, socket: &mut Socket, local_port: u16) -> Result<(), NalError> {
        bind(&socket.0, local_port)
    }

    fn listen(&mut self, socket: &mut Socket) -> Result<(), NalError> {
        socket.0.listen(BACKLOG).map_err(NalError)
    }

    fn accept(&mut self, socket: &mut Socket) -> nb::Result<(Socket, SocketAddr), NalError> {
        let accepted = Socket(socket.0.accept_within(Patience::Never).map_err(nb)?);
        let peer = accepted.0.peer_addr().map_err(nb)?;
        Ok((accepted, peer))
    }
}

impl UdpClientStack for Stack {
    type UdpSocket = Socket;
    type Error = NalError;

    fn socket(&mut self) -> Result<Socket, NalError> {
        Netconn::new(self.0, Kind::Udp)
            .map(Socket)
            .map_err(NalError)
    }

    fn connect(&mut self, socket: &mut Socket, remote: SocketAddr) -> Result<(), NalError> {
        socket
            .0
            .connect(remote, Patience::Forever)
            .map_err(NalError)
    }

    fn send(&mut self, socket: &mut Socket, buffer: &[u8]) -> nb::Result<(), NalError> {
        let sent = socket.0.send_to_vectored(&[buffer], None, Patience::Never);
        sent.map_err(nb)
    }

    fn receive(
        &mut self,
        socket: &mut Socket,
        buffer: &mut [u8],
    ) -> nb::Result<(usize, SocketAddr), NalError> {
        let received = socket
            .0
            .recv_from(buffer, Peek::Take, Patience::Never)
            .map_err(nb)?;
        Ok((received.len, received.from))
    }

    fn close(&mut self, socket: Socket) -> Result<(), NalError> {
        drop(socket);
        Ok(())
    }
}

impl UdpFullStack for Stack {
    fn bind(&mut self, socket: &mut Socket, local_port: u16) -> Result<(), NalError> {
        bind(&socket.0, local_port)
    }

    fn send_to(
        &mut self,
        socket: &mut Socket,
        remote: SocketAddr,
        buffer: &[u8],
    ) -> nb::Result<(), NalError> {
        let to = Some(remote);
        let sent = socket.0.send_to_vectored(&[buffer], to, Patience::Never);
        sent.map_err(nb)
    }
}

fn bind(conn: &Netconn, port: u16) -> Result<(), NalError> {
    conn.bind((Ipv4Addr::UNSPECIFIED, port).into())
        .map_err(NalError)
}
