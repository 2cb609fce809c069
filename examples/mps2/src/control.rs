//! The control port (UDP 9999): a datagram "ping" is answered with "pong", "stats" with what was
//! counted, "exit" ends the program with success. Without that it ends by itself, as a failure.
use alloc::string::String;
use core::cell::Cell;
use core::fmt::Write as _;
use core::time::Duration;

use cortex_m_semihosting::{debug, hprintln};
use critical_section::Mutex;
use gannet_netconn::Patience;
use gannet_port_freertos::{Priority, Task, delay, now, spawn};
use gannet_sockets::{Error, UdpSocket};

use crate::HEAP;
use crate::board::{Board, NET, pools};

const CONTROL: u16 = 9_999;
/// A test that takes longer has lost its way.
const LONGEST_RUN: Duration = Duration::from_secs(600);
const STACK_WORDS: usize = 768;

/// Tasks whose use of their stacks is told, with their names.
static WATCHED: [Mutex<Cell<Option<(&str, Task)>>>; 16] =
    [const { Mutex::new(Cell::new(None)) }; 16];

/// From now on the statistics tell how much of its stack `task`, which lives for ever, has used.
pub(crate) fn watch(name: &'static str, task: Task) {
    critical_section::with(|cs| {
        if let Some(free) = WATCHED.iter().find(|slot| slot.borrow(cs).get().is_none()) {
            free.borrow(cs).set(Some((name, task)));
        }
    });
}

/// Starts the tasks.
pub(crate) fn start(board: Board) {
    watch("tcpip", board.tcpip);
    let task = spawn("control", Priority::APPLICATION, STACK_WORDS, move || {
        let socket = UdpSocket::bind(([0, 0, 0, 0], CONTROL).into()).expect("a free port");
        loop {
            // An answer that can't be sent is asked for again.
            let _ = obey(&socket, &board);
        }
    });
    watch("control", task.expect("memory for the task"));
    let limit = || {
        delay(LONGEST_RUN);
        hprintln!("nobody ended this in time");
        debug::exit(debug::EXIT_FAILURE);
    };
    spawn("limit", Priority::BACKGROUND, 256, limit).expect("memory for the task");
}

fn obey(socket: &UdpSocket, board: &Board) -> Result<(), Error> {
    let mut command = [0; 16];
    let (len, from) = socket.recv_from(&mut command)?;
    let answer = match command.get(..len).unwrap_or_default().trim_ascii() {
        b"ping" => String::from("pong"),
        b"stats" => stats(board)?,
        b"exit" => {
            hprintln!("{}", stats(board)?);
            debug::exit(debug::EXIT_SUCCESS);
            return Ok(());
        }
        _ => String::from("commands: ping, stats, exit"),
    };
    socket.send_to(answer.as_bytes(), from)?;
    Ok(())
}

/// One "name value ..." a line.
fn stats(board: &Board) -> Result<String, Error> {
    let wakeups = NET.wakeups(); // the request itself is one
    let snapshot = NET.snapshot(Patience::Forever)?;
    let (tcp, ip, census) = (snapshot.tcp, snapshot.ip, snapshot.census);
    let mut text = String::new();
    let mut line = |name: &str, values: &[usize]| {
        // Writing to a string can't fail.
        let _ = write!(text, "{name}");
        for value in values {
            let _ = write!(text, " {value}");
        }
        text.push('\n');
    };
    line("milliseconds", &[(now().as_micros() / 1_000) as usize]);
    for (name, pool) in pools() {
        // Blocks: all, free now, fewest free; the same of descriptors.
        let values = [
            pool.blocks(),
            pool.available(),
            pool.min_available(),
            pool.descriptors(),
            pool.descriptors_available(),
            pool.min_descriptors_available(),
        ];
        line(name, &values);
    }
    let device = &board.device;
    for (name, value) in [
        ("rx_frames", device.rx_frames()),
        ("rx_no_buffer", device.rx_no_buffer()),
        ("rx_errors", device.rx_errors()),
        ("rx_missed", device.rx_missed()),
        ("tx_frames", device.tx_frames()),
        ("tx_busy", device.tx_busy()),
        ("tx_errors", device.tx_errors()),
        ("ip_checksum_errors", ip.in_checksum_errors),
        ("tcp_checksum_errors", tcp.checksum_errors),
        ("tcp_retransmitted", tcp.segments_retransmitted),
        ("tcp_no_buffers", tcp.no_buffers),
        ("wakeups", wakeups),
    ] {
        line(name, &[value as usize]);
    }
    line("connections", &[census.connections]);
    line("half_open", &[census.half_open]);
    line("time_wait", &[census.time_wait]);
    line("sockets", &[NET.connections()]);
    // Bytes: free now, fewest free.
    line("heap", &[HEAP.available(), HEAP.min_available()]);
    let tasks = WATCHED
        .iter()
        .map_while(|slot| critical_section::with(|cs| slot.borrow(cs).get()));
    for (name, task) in tasks {
        // SAFETY: watched tasks live for ever.
        let _ = writeln!(text, "stack_left {} {}", name, unsafe { task.stack_left() });
    }
    Ok(text)
}
