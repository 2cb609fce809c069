//! What the simulation and the fuzzers have found, each as a script of its own.
use gannet_core::Error;
use gannet_core::tcp::{Cork, Data, More};
use gannet_tests::recorder::Recorder;
use gannet_tests::script::{Script, plain_config};

/// Seed 648: writes so small that the queue had no room for a full segment waited for the override
/// timer, one after the other: a transfer of 100 kB took hours.
#[test]
fn a_cork_lets_go_of_what_there_is_when_a_write_finds_no_room() {
    let mut config = plain_config();
    config.tcp.snd_buf = 100;
    let mut app = Recorder::default();
    let mut t = Script::accepted(config, &mut app);
    let pcb = app.pcb();
    t.tcp().cork(pcb, Cork::On).expect("live");
    t.write(pcb, 1, 100);
    t.run(&mut app, "> nothing");
    let refused = t.tcp().write(pcb, Data::Copy(b"more"), More::No);
    assert_eq!(refused.expect_err("no room").error, Error::NoMemory);
    t.run(&mut app, "> P. 1:101(100) ack 1");
}
