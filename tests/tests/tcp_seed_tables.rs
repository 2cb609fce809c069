//! The four sequence tables of lwIP's Raw/TCP page, segment by segment.
use gannet_core::tcp::{Data, More, State};
use gannet_core::{Error, Handler, Owner, Pbuf, Refused, Tcp, TcpListener, TcpPcb};
use gannet_tests::script::{Script, plain_config};

/// An application that writes down what it is told and answers as the tables do.
#[derive(Default)]
struct App {
    log: Vec<String>,
    pcb: Option<TcpPcb>,
    /// Written in the recv callback, one `write` each.
    responses: Vec<&'static [u8]>,
    /// Written in the connected callback.
    requests: Vec<&'static [u8]>,
    close_at_eof: bool,
}

impl Handler for App {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, pcb: TcpPcb) -> Result<(), Error> {
        self.pcb = Some(pcb);
        self.log.push("accept".into());
        Ok(())
    }

    fn connected(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb) {
        self.log.push("connected".into());
        for request in self.requests.drain(..) {
            tcp.write(pcb, Data::Copy(request), More::No)
                .expect("room to write");
        }
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let Some(data) = data else {
            self.log.push("recv end".into());
            if self.close_at_eof {
                tcp.close(pcb).expect("a live connection");
            }
            return Ok(());
        };
        self.log.push(format!("recv {}", data.tot_len()));
        for response in self.responses.drain(..) {
            tcp.write(pcb, Data::Copy(response), More::No)
                .expect("room to write");
        }
        tcp.recved(pcb, data.tot_len()).expect("a live connection");
        Ok(())
    }

    fn sent(&mut self, _: &mut Tcp<'_>, _: TcpPcb, len: usize) {
        self.log.push(format!("sent {len}"));
    }

    fn err(&mut self, _: &mut Tcp<'_>, _: TcpPcb, error: Error) {
        self.log.push(format!("err {error:?}"));
    }
}

fn listening(port: u16) -> Script {
    let mut t = Script::new(plain_config(), port);
    let mut tcp = t.stack.tcp(t.now);
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    tcp.bind(pcb, ([0, 0, 0, 0], port).into())
        .expect("a free port");
    tcp.listen(pcb, 5).expect("a free listener");
    t
}

/// A connection accepted on port 80.
fn accepted(app: &mut App) -> Script {
    let mut t = listening(80);
    t.run(
        app,
        "< S 0:0(0) win 10000 <mss 1000>
         > S. 0:0(0) ack 1 <mss 1460>
         < . 1:1(0) ack 1 win 10000",
    );
    assert_eq!(app.log, ["accept"]);
    app.log.clear();
    t
}

#[test]
fn table_1_a_passive_open_answers_a_request_with_one_segment_that_acknowledges_it() {
    let mut app = App {
        responses: vec![&[1; 60], &[2; 40]],
        ..App::default()
    };
    let mut t = accepted(&mut app);
    // Both writes and the acknowledgement of the request leave as one segment.
    t.run(
        &mut app,
        "< P. 1:51(50) ack 1 win 10000
         > P. 1:101(100) ack 51
         < . 51:51(0) ack 101 win 10000
         > nothing",
    );
    assert_eq!(app.log, ["recv 50", "sent 100"]);
}

#[test]
fn table_2_an_active_open_sends_its_request_with_the_last_step_of_the_handshake() {
    let mut app = App {
        requests: vec![&[1; 30], &[2; 20]],
        ..App::default()
    };
    let mut t = Script::new(plain_config(), 0);
    let peer = t.peer_addr();
    let mut tcp = t.stack.tcp(t.now);
    let pcb = tcp.new(Owner(0)).expect("a free control block");
    tcp.connect(pcb, peer).expect("a route");
    t.run(
        &mut app,
        "> S 0:0(0) <mss 1460>
         < S. 0:0(0) ack 1 win 10000 <mss 1000>
         > P. 1:51(50) ack 1
         < P. 1:11(10) ack 51 win 10000
         > nothing
         wait 100
         > . 51:51(0) ack 11",
    );
    assert_eq!(app.log, ["connected", "recv 10", "sent 50"]);
    assert_eq!(t.stack.tcp(t.now).state(pcb), Ok(State::Established));
}

#[test]
fn table_3_the_remote_peer_closes_first() {
    let mut app = App {
        close_at_eof: true,
        ..App::default()
    };
    let mut t = accepted(&mut app);
    let pcb = app.pcb.expect("accepted");
    // The server closes in the callback, so its FIN rides on the acknowledgement of the peer's.
    t.run(
        &mut app,
        "< F. 1:1(0) ack 1 win 10000
         > F. 1:1(0) ack 2
         < . 2:2(0) ack 2 win 10000
         > nothing",
    );
    assert_eq!(app.log, ["recv end"]);
    assert_eq!(t.stack.tcp(t.now).state(pcb), Err(Error::Closed));
    assert_eq!(t.stack.tcp_census().time_wait, 0);
    assert!(t.pools.at_rest());
}

#[test]
fn table_3_data_may_follow_before_the_server_closes() {
    let mut app = App::default();
    let mut t = accepted(&mut app);
    let pcb = app.pcb.expect("accepted");
    t.run(
        &mut app,
        "< F. 1:1(0) ack 1 win 10000
         > . 1:1(0) ack 2",
    );
    assert_eq!(t.stack.tcp(t.now).state(pcb), Ok(State::CloseWait));
    let mut tcp = t.stack.tcp(t.now);
    tcp.write(pcb, Data::Static(b"last words"), More::No)
        .expect("room to write");
    tcp.close(pcb).expect("a live connection");
    t.run(
        &mut app,
        "> FP. 1:11(10) ack 2
         < . 2:2(0) ack 12 win 10000
         > nothing",
    );
    assert_eq!(app.log, ["recv end", "sent 10"]);
    assert!(t.pools.at_rest());
}

#[test]
fn table_4_the_local_server_closes_first() {
    let mut app = App::default();
    let mut t = accepted(&mut app);
    let pcb = app.pcb.expect("accepted");
    t.stack.tcp(t.now).close(pcb).expect("a live connection");
    t.run(&mut app, "> F. 1:1(0) ack 1");
    assert_eq!(t.stack.tcp(t.now).state(pcb), Ok(State::FinWait1));
    t.run(&mut app, "< . 1:1(0) ack 2 win 10000");
    assert_eq!(t.stack.tcp(t.now).state(pcb), Ok(State::FinWait2));
    // The client sends last data; the callback still runs after tcp_close.
    t.run(
        &mut app,
        "< P. 1:21(20) ack 2 win 10000
         wait 100
         > . 2:2(0) ack 21
         < F. 21:21(0) ack 2 win 10000
         > . 2:2(0) ack 22",
    );
    assert_eq!(app.log, ["recv 20", "recv end"]);
    assert_eq!(t.stack.tcp(t.now).state(pcb), Err(Error::Closed));
    assert_eq!(t.stack.tcp_census().time_wait, 1);
    // The peer's FIN again: our acknowledgement was lost.
    t.run(
        &mut app,
        "< F. 21:21(0) ack 2 win 10000
         > . 2:2(0) ack 22
         wait 60000",
    );
    assert_eq!(t.stack.tcp_census().time_wait, 0);
    assert!(t.pools.at_rest());
}
