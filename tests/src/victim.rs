//! A connection that attacks are tried on: one segment in, and whether it still works.
use std::time::Duration;

use gannet_core::tcp::{Data, More};

use crate::recorder::Recorder;
use crate::script::Script;
use crate::segment::{Segment, set_options};

/// The connection works: ten bytes at `seq` arrive, and ours are sent.
///
/// # Panics
/// If not.
#[track_caller]
pub fn assert_alive(t: &mut Script, app: &mut Recorder, seq: u32) {
    t.turn(app);
    while t.wire.take().is_some() {}
    app.take();
    t.put(app, &format!("P. {seq}:{}(10) ack 1", seq + 10));
    assert_eq!(app.take(), ["recv 10"]);
    let pcb = app.pcb();
    t.wait(app, Duration::from_millis(200));
    while t.wire.take().is_some() {}
    t.tcp()
        .write(pcb, Data::Copy(b"alive"), More::No)
        .expect("room");
    t.turn(app);
    let sent = t.sent();
    assert!(sent[0].starts_with("P. 1:6(5)"), "{sent:?}");
}

/// The packet of a segment from the peer.
pub fn packet(t: &Script, text: &str) -> Vec<u8> {
    Segment::parse(text, t.peer, t.local).packet(t.peer, t.local)
}

/// A segment with these option bytes arrives.
pub fn put_options(t: &mut Script, app: &mut Recorder, text: &str, options: &[u8]) {
    let mut bytes = packet(t, text);
    set_options(&mut bytes, options);
    t.wire.put(bytes);
    t.turn(app);
}
