//! An application that writes down what it is told and does nothing by itself.
use gannet_core::{Error, Handler, Pbuf, Refused, Tcp, TcpListener, TcpPcb};

use crate::script::{Script, plain_config};

/// See the module.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What was called, in order: `accept`, `connected`, `recv 5`, `recv end`, `sent 5`, `poll`,
    /// `err Reset`.
    pub log: Vec<String>,
    /// The connection last heard of.
    pub pcb: Option<TcpPcb>,
    /// Everything received.
    pub data: Vec<u8>,
    /// Do not call `recved`: the window stays closed by what was received.
    pub hold_window: bool,
    /// Refuse data so many times.
    pub refusals: u32,
    /// Bytes received and not `recved`.
    pub held: usize,
    /// Refuse connections.
    pub refuse_connections: bool,
    /// Keep the backlog place of accepted connections.
    pub delay_accept: bool,
}

impl Recorder {
    /// Takes the log.
    pub fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// The connection.
    ///
    /// # Panics
    /// There was none yet.
    pub fn pcb(&self) -> TcpPcb {
        self.pcb.expect("a connection")
    }
}

impl Handler for Recorder {
    fn accept(&mut self, tcp: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        self.log.push("accept".into());
        self.pcb = Some(pcb);
        if self.refuse_connections {
            return Err(Error::Aborted);
        }
        if self.delay_accept {
            tcp.delay_accept(pcb)?;
        }
        Ok(())
    }

    fn connected(&mut self, _: &mut Tcp<'_>, pcb: TcpPcb) {
        self.log.push("connected".into());
        self.pcb = Some(pcb);
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let Some(data) = data else {
            self.log.push("recv end".into());
            return Ok(());
        };
        if self.refusals > 0 {
            self.refusals -= 1;
            self.log.push(format!("refuse {}", data.tot_len()));
            return Err(Refused(data));
        }
        self.log.push(format!("recv {}", data.tot_len()));
        self.data.extend(data.parts().flatten());
        if self.hold_window {
            self.held += data.tot_len();
        } else {
            let _ = tcp.recved(pcb, data.tot_len());
        }
        Ok(())
    }

    fn sent(&mut self, _: &mut Tcp<'_>, _: TcpPcb, len: usize) {
        self.log.push(format!("sent {len}"));
    }

    fn poll(&mut self, _: &mut Tcp<'_>, _: TcpPcb) {
        self.log.push("poll".into());
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.log.push(format!("err {error:?}"));
    }
}

/// A connection without options that was accepted, and its application.
///
/// # Panics
/// If it is not accepted.
pub fn accepted() -> (Script, Recorder) {
    let mut app = Recorder::default();
    let t = Script::accepted(plain_config(), &mut app);
    assert_eq!(app.take(), ["accept"]);
    (t, app)
}
