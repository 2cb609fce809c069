//! The same with descriptors: any call on any of them.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use gannet_sockets::Shutdown;
use gannet_sockets::bsd::*;
use gannet_sockets::packet::NetifId;

use super::{THREADS, any, operations};

/// The first descriptor of the table, and how many of them the threads play with.
const FIRST: Fd = 3;
const COUNT: Fd = 20;

/// All of them: a duplicate keeps what another thread sleeps in.
const TABLE: Fd = 96;

/// Runs the threads until each has done [`operations`]; at the end all descriptors are closed.
pub(crate) fn descriptors(seed: u64) {
    let running = Arc::new(AtomicU64::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|id| {
            let running = Arc::clone(&running);
            thread::spawn(move || {
                let mut rng = Rng::with_seed(seed * THREADS + id);
                (0..operations()).for_each(|_| operation(&mut rng));
                running.fetch_sub(1, Ordering::Release);
            })
        })
        .collect();
    // Some calls sleep for ever, until somebody closes what they sleep in.
    while running.load(Ordering::Acquire) > 0 {
        thread::sleep(Duration::from_millis(2));
        let _ = close(FIRST + fastrand::i32(0..TABLE));
    }
    threads
        .into_iter()
        .for_each(|thread| thread.join().expect("no panic"));
    (FIRST..FIRST + TABLE).for_each(|fd| {
        let _ = close(fd);
    });
}

fn operation(rng: &mut Rng) {
    let fd = FIRST + rng.i32(0..COUNT);
    let other = FIRST + rng.i32(0..COUNT);
    let short = Some(Duration::from_micros(rng.u64(1..3000)));
    let flags = if rng.bool() {
        MSG_DONTWAIT
    } else {
        MsgFlags::NONE
    };
    let mut buf = vec![0; rng.usize(..3000)];
    let _ = match rng.u8(..28) {
        0 => socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP).map(drop),
        1 => socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_UDP).map(drop),
        2 => socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_IP).map(drop),
        3 => eventfd(rng.u32(..3), EFD_NONBLOCK).map(drop),
        4 => listening(rng),
        5 | 6 => getsockname(fd).and_then(|addr| connect(other, addr)),
        7 | 8 => accept4(fd, SOCK_NONBLOCK).map(drop),
        9 => close(fd),
        10 if rng.bool() => dup(fd).map(drop),
        11 => shutdown(
            fd,
            [Shutdown::Read, Shutdown::Write, Shutdown::Both][rng.usize(..3)],
        ),
        12 => setsockopt(fd, sockopt::RcvTimeo, short)
            .and_then(|()| setsockopt(fd, sockopt::SndTimeo, short))
            .and_then(|()| fcntl(fd, Fcntl::SetFl(StatusFlags::NONE)).map(drop)),
        13 => setsockopt(fd, sockopt::Linger, short.filter(|_| rng.bool())),
        14 => poll(&mut all(rng), rng.i32(0..3)).map(drop),
        15 => select_some(rng, short),
        16 => sendto(fd, &buf, flags, getsockname(other).ok()).map(drop),
        17 => recvmsg(fd, &mut [&mut buf], flags | MSG_PEEK).map(drop),
        18 => read(fd, &mut buf).map(drop),
        19 => write(fd, &buf).map(drop),
        20 => getsockopt(fd, sockopt::Info).map(drop),
        21 => ioctl(fd, Ioctl::FionRead).map(drop),
        22 => send(fd, &buf, flags).map(drop),
        23 => observer(rng).map(drop),
        24 => socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, IPPROTO_IP).map(drop),
        25 => bind(fd, any()),
        26 => sendto_ll(fd, &buf, flags, NetifId::LOOPBACK).map(drop),
        _ => recv(fd, &mut buf, flags).map(drop),
    };
}

/// A socket that sees what others send.
fn observer(rng: &mut Rng) -> Result<Fd, Errno> {
    let protocols = [IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_TCP];
    match rng.bool() {
        true => socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, protocols[rng.usize(..3)]),
        false => socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, ETH_P_ALL),
    }
}

fn listening(rng: &mut Rng) -> Result<(), Errno> {
    let fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP)?;
    bind(fd, any())?;
    listen(fd, rng.i32(1..4))
}

fn all(rng: &mut Rng) -> Vec<PollFd> {
    let events = [POLLIN, POLLOUT, POLLIN | POLLOUT][rng.usize(..3)];
    (FIRST..FIRST + COUNT)
        .map(|fd| PollFd::new(fd, events))
        .collect()
}

fn select_some(rng: &mut Rng, timeout: Option<Duration>) -> Result<(), Errno> {
    let mut sets = [FdSet::new(); 2];
    for set in &mut sets {
        (0..3).try_for_each(|_| set.insert(FIRST + rng.i32(0..COUNT)))?;
    }
    let [read, write] = &mut sets;
    select(FIRST + COUNT, Some(read), Some(write), None, timeout).map(drop)
}
