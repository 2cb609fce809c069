//! Model checking of what threads and the tcpip thread do to one another: loom tries the orders in
//! which they may enter their critical sections.
//!
//! All that is shared is behind critical sections and the events of the port, so these two are
//! loom's here (a mutex, and a condition), and the rest is the code as it is, the engine and its
//! loopback interface included. Time stands still: who would need a timer to go on hangs, which
//! loom reports. The atomics under the packet buffers have models of their own, in gannet-core,
//! which need `--cfg loom`; with it this file is empty, for it needs whole pools.
#![cfg(not(loom))]
#![allow(unsafe_code, reason = "the critical section of the models")]
use core::num::{NonZeroU16, NonZeroU32};
use std::cell::UnsafeCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use critical_section::RawRestoreState;
use gannet_core::pbuf::Pool;
use gannet_core::pbuf::storage::{Memory, Word, words};
use gannet_core::tcp::{QuickAck, TcpStorage};
use gannet_core::udp::UdpStorage;
use gannet_core::{Config, Handler, IpStorage, Owner, Stack, Storage, ip_storage, pbuf, tcp, udp};
use gannet_netconn::storage::{DatagramSlot, DirtyWord, Slot, Waiter};
use gannet_netconn::sys::{EventId, Sys};
use gannet_netconn::{
    Error, Instant, Kind, Net, Netconn, Patience, PollEntry, Ready, Service, Take, poll,
};
use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
use loom::thread;

loom::lazy_static! {
    static ref LOCK: Mutex<()> = Mutex::new(());
    static ref EVENTS: Mutex<Vec<Arc<Event>>> = Mutex::new(Vec::new());
}

/// Who is in the critical section, and how often it was entered again.
type Held = Option<(thread::ThreadId, usize, MutexGuard<'static, ()>)>;

struct Section(UnsafeCell<Held>);

// SAFETY: loom runs one thread at a time, and switches in loom's operations only; none of them
// happens while the contents are borrowed.
unsafe impl Sync for Section {}

static SECTION: Section = Section(UnsafeCell::new(None));

struct Lock;
critical_section::set_impl!(Lock);

// SAFETY: a thread passes `lock` only while no other has the guard, and the guard is dropped by
// the outermost `release` only.
unsafe impl critical_section::Impl for Lock {
    unsafe fn acquire() -> RawRestoreState {
        let me = thread::current().id();
        // SAFETY: see `Section`.
        if let Some((owner, depth, _)) = unsafe { &mut *SECTION.0.get() }
            && *owner == me
        {
            *depth += 1;
            return RawRestoreState::default();
        }
        let guard = LOCK.lock().expect("no panic");
        // SAFETY: see `Section`; nobody else has the guard.
        unsafe { *SECTION.0.get() = Some((me, 0, guard)) };
        RawRestoreState::default()
    }

    unsafe fn release(_: RawRestoreState) {
        // SAFETY: see `Section`; this thread has the guard.
        let guard = match unsafe { &mut *SECTION.0.get() } {
            Some((_, depth, _)) if *depth > 0 => {
                *depth -= 1;
                None
            }
            held => held.take(),
        };
        drop(guard);
    }
}

struct Loom;
gannet_netconn::sys_impl!(static SYS: Loom = Loom);

impl Sys for Loom {
    fn now(&self) -> Instant {
        Instant::from_millis(1)
    }

    fn event_new(&self) -> Option<EventId> {
        let mut events = EVENTS.lock().expect("no panic");
        events.push(Arc::new(Event {
            signalled: Mutex::new(false),
            changed: Condvar::new(),
        }));
        Some(EventId(events.len() - 1))
    }

    fn event_signal(&self, id: EventId) {
        let event = event(id);
        *event.signalled.lock().expect("no panic") = true;
        event.changed.notify_one();
    }

    fn event_signal_from_isr(&self, id: EventId) {
        self.event_signal(id);
    }

    fn event_wait(&self, id: EventId, _: Option<Duration>) -> bool {
        let event = event(id);
        let mut signalled = event.signalled.lock().expect("no panic");
        while !*signalled {
            signalled = event.changed.wait(signalled).expect("no panic");
        }
        std::mem::take(&mut *signalled)
    }
}

/// One thread waits for it at a time.
struct Event {
    signalled: Mutex<bool>,
    changed: Condvar,
}

fn event(id: EventId) -> Arc<Event> {
    Arc::clone(&EVENTS.lock().expect("no panic")[id.0])
}

/// A fresh pool: what an execution has not given back must not be missing in the next one.
fn pool<const N: usize, const SIZE: usize>(name: &'static str) -> &'static Pool {
    let memory: &'static Memory<N, SIZE> = Box::leak(Box::new(Memory::new()));
    // SAFETY: all of it is new, and nobody else gets it.
    let pool = unsafe {
        Pool::new(
            name,
            memory,
            leaked(2 * N, pbuf::storage::Slot::new),
            leaked(words(N), Word::new),
            leaked(words(2 * N), Word::new),
        )
    };
    Box::leak(Box::new(pool))
}

/// Storage that is never given back.
fn leaked<T>(n: usize, new: fn() -> T) -> &'static mut [T] {
    Vec::leak((0..n).map(|_| new()).collect())
}

fn net() -> &'static Net {
    net_over(pool::<8, 512>("tx"))
}

fn net_over(tx_pool: &'static Pool) -> &'static Net {
    Box::leak(Box::new(Net::new(
        leaked(4, Slot::new),
        leaked(1, DirtyWord::new),
        leaked(2, DatagramSlot::new),
        leaked(4, Waiter::new),
        tx_pool,
    )))
}

fn storage(tx_pool: &'static Pool) -> Storage {
    Storage {
        tcp: TcpStorage {
            pcbs: leaked(4, tcp::PcbSlot::new),
            buckets: leaked(4, tcp::Bucket::new),
            listeners: leaked(2, tcp::ListenSlot::new),
            syns: leaked(2, tcp::SynSlot::new),
            time_waits: leaked(2, tcp::TimeWaitSlot::new),
            runs: leaked(2, tcp::RunSlot::new),
            sends: leaked(8, tcp::SentSlot::new),
        },
        udp: UdpStorage {
            pcbs: leaked(2, udp::UdpSlot::new),
            datagrams: leaked(2, udp::DatagramSlot::new),
            memberships: leaked(1, udp::MembershipSlot::new),
        },
        ip: IpStorage {
            netifs: leaked(1, ip_storage::NetifSlot::new),
            neighbors: leaked(1, ip_storage::NeighborSlot::new),
            pending: leaked(1, ip_storage::PendingSlot::new),
            routes: leaked(1, ip_storage::RouteSlot::new),
            reassembly: leaked(1, ip_storage::ReassemblySlot::new),
            loopback: leaked(8, ip_storage::LoopbackSlot::new),
            groups: leaked(1, ip_storage::GroupSlot::new),
        },
        raw: Default::default(),
        packet: Default::default(),
        tx_pool,
        header_pool: pool::<8, 128>("headers"),
    }
}

/// One model at a time: they share the section.
fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(body);
}

/// Runs `body` beside the tcpip thread of a stack.
fn with_stack(preemptions: usize, body: impl Fn(&'static Net) + Send + Sync + 'static) {
    model(preemptions, move || {
        let tx_pool = pool::<8, 512>("tx");
        let net = net_over(tx_pool);
        let tcpip = thread::spawn(move || {
            let mut stack = Stack::new(storage(tx_pool), Config::default(), &mut |bytes| {
                bytes.fill(1)
            });
            let mut service = Service::new(net, Owner(0));
            net.run(&mut stack, &mut [&mut service]).expect("an event");
        });
        body(net);
        net.stop();
        tcpip.join().expect("no panic");
    });
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[test]
fn x109_a_post_wakes_who_takes() {
    model(3, || {
        let event = Netconn::event(net(), 0).expect("free");
        let taker = thread::spawn(move || event.take(Take::All, Patience::Forever));
        event.post(1, Patience::Never).expect("room");
        assert_eq!(taker.join().expect("no panic"), Ok(1));
    });
}

#[test]
fn a_post_wakes_who_polls() {
    model(3, || {
        let net = net();
        let event = || Netconn::event(net, 0).expect("free");
        let (one, two) = (event(), event());
        let poller = thread::spawn(move || {
            let mut entries = [one, two].map(|conn| PollEntry::new(conn, Ready::READ));
            let n = poll(&mut entries, Patience::Forever);
            (n, entries[1].ready.read)
        });
        two.post(1, Patience::Never).expect("room");
        assert_eq!(poller.join().expect("no panic"), (Ok(1), true));
        assert_eq!(net.sleepers(), 0);
    });
}

#[test]
fn one_of_two_takers_gets_a_post_and_closing_wakes_the_other() {
    model(2, || {
        let event = Netconn::event(net(), 0).expect("free");
        let taker = move || event.take(Take::All, Patience::Forever);
        let takers = [thread::spawn(taker), thread::spawn(taker)];
        event.post(1, Patience::Never).expect("room");
        event.close();
        let got = takers.map(|taker| taker.join().expect("no panic"));
        assert!(got.iter().filter(|got| **got == Ok(1)).count() <= 1);
        assert!(
            got.iter()
                .all(|got| matches!(got, Ok(1) | Err(Error::Closed))),
            "{got:?}"
        );
    });
}

#[test]
fn posts_of_two_threads_both_count() {
    model(2, || {
        let event = Netconn::event(net(), 0).expect("free");
        let posters = [1, 2].map(|n| thread::spawn(move || event.post(n, Patience::Never)));
        let mut sum = 0;
        while sum < 3 {
            sum += event.take(Take::All, Patience::Forever).expect("open");
        }
        assert_eq!(sum, 3);
        for poster in posters {
            assert_eq!(poster.join().expect("no panic"), Ok(()));
        }
    });
}

#[test]
fn taking_makes_room_for_who_posts() {
    model(3, || {
        let event = Netconn::event(net(), u64::MAX).expect("free");
        let poster = thread::spawn(move || event.post(1, Patience::Forever));
        assert!(event.take(Take::All, Patience::Forever).is_ok());
        assert_eq!(poster.join().expect("no panic"), Ok(()));
        assert_eq!(event.take(Take::All, Patience::Never), Ok(1));
    });
}

#[test]
fn closing_wakes_who_polls() {
    model(3, || {
        let net = net();
        let event = Netconn::event(net, 0).expect("free");
        let poller = thread::spawn(move || {
            let mut entries = [PollEntry::new(event, Ready::READ)];
            let n = poll(&mut entries, Patience::Forever);
            (n, entries[0].stale)
        });
        event.close();
        assert_eq!(poller.join().expect("no panic"), (Ok(1), true));
        assert_eq!(net.sleepers(), 0);
    });
}

/// Stops the net when it is woken.
struct Stopper(&'static Net);

impl Handler for Stopper {
    fn wake(&mut self, _: &mut Stack) {
        self.0.stop();
    }
}

/// The doorbell: the tcpip thread looks, finds nothing and goes to sleep; whatever comes in between
/// is seen.
#[test]
fn x109_a_wake_is_not_lost_while_the_tcpip_thread_falls_asleep() {
    model(3, || {
        let tx_pool = pool::<8, 512>("tx");
        let net = net_over(tx_pool);
        let tcpip = thread::spawn(move || {
            let mut stack = Stack::new(storage(tx_pool), Config::default(), &mut |bytes| {
                bytes.fill(1)
            });
            net.run(&mut stack, &mut [&mut Stopper(net)])
                .expect("an event");
        });
        // A device rings meanwhile, which must not swallow the wake either.
        let device = thread::spawn(move || net.ring());
        net.wake(Owner(0));
        device.join().expect("no panic");
        tcpip.join().expect("no panic");
    });
}

#[test]
fn x109_closing_wakes_a_receiver() {
    model(3, || {
        let (one, two) = Netconn::pair(net()).expect("free");
        let reader = thread::spawn(move || one.recv(&mut [0; 1]));
        one.close();
        assert_eq!(reader.join().expect("no panic"), Err(Error::Closed));
        two.close();
    });
}

#[test]
fn the_other_end_gets_the_data_then_the_end() {
    model(2, || {
        let (one, two) = Netconn::pair(net()).expect("free");
        let writer = thread::spawn(move || {
            assert_eq!(one.send(b"x"), Ok(1));
            one.close();
        });
        let mut buf = [0; 2];
        assert_eq!(two.recv(&mut buf), Ok(1));
        assert_eq!(two.recv(&mut buf), Ok(0));
        writer.join().expect("no panic");
        two.close();
    });
}

#[test]
fn the_last_of_two_owners_closes() {
    model(3, || {
        let (one, two) = Netconn::pair(net()).expect("free");
        one.share().expect("open");
        let owners = [0, 1].map(|_| thread::spawn(move || one.release()));
        assert_eq!(two.recv(&mut [0; 1]), Ok(0));
        owners
            .into_iter()
            .for_each(|owner| owner.join().expect("no panic"));
        assert_eq!(one.share(), Err(Error::Closed));
        two.close();
    });
}

#[test]
fn closing_a_listener_wakes_who_accepts() {
    with_stack(2, |net| {
        let listener = Netconn::new(net, Kind::Tcp).expect("free");
        listener.bind(local(7)).expect("free");
        listener.listen(1).expect("bound");
        let accepter = thread::spawn(move || listener.accept().map(drop));
        listener.close();
        assert_eq!(accepter.join().expect("no panic"), Err(Error::Closed));
    });
}

/// A listener, and a connection to it from both ends, whose server end acknowledges at once.
fn connection(net: &'static Net) -> [Netconn; 3] {
    let listener = Netconn::new(net, Kind::Tcp).expect("free");
    // Time stands still: no acknowledgement may wait for it.
    listener
        .change_settings(|settings| settings.quick_ack = QuickAck::On)
        .expect("open");
    listener.bind(local(7)).expect("free");
    listener.listen(1).expect("bound");
    let client = Netconn::new(net, Kind::Tcp).expect("free");
    client
        .connect(local(7), Patience::Forever)
        .expect("somebody listens");
    let server = listener.accept().expect("it waits");
    [listener, client, server]
}

#[test]
fn what_is_written_beside_an_acknowledgement_leaves() {
    with_stack(2, |net| {
        let [listener, client, server] = connection(net);
        let writer = thread::spawn(move || {
            assert_eq!(client.send(b"a"), Ok(1));
            // Waits for the acknowledgement of the first (Nagle), which may be there already.
            assert_eq!(client.send(b"b"), Ok(1));
        });
        let (mut count, mut buf) = (0, [0; 4]);
        while count < 2 {
            count += server.recv(&mut buf).expect("no error");
        }
        writer.join().expect("no panic");
        [client, server, listener].iter().for_each(Netconn::close);
    });
}

/// In the model a nap lasts for ever, so what is held back for more leaves only if somebody rings.
/// `end` is what its writer then does, `answer` what the reader does when it has all.
fn bulk_with_an_end(
    net: &'static Net,
    end: impl Fn(Netconn) + Send + 'static,
    answer: impl Fn(Netconn),
) {
    // Segments of 64 bytes, and a quarter of the send buffer is three of them.
    const LEN: usize = 70;
    let listener = Netconn::new(net, Kind::Tcp).expect("free");
    let client = Netconn::new(net, Kind::Tcp).expect("free");
    for conn in [listener, client] {
        conn.change_settings(|settings| {
            settings.quick_ack = QuickAck::On;
            settings.max_segment = NonZeroU16::new(64);
            settings.send_buffer = NonZeroU32::new(768);
        })
        .expect("open");
    }
    listener.bind(local(7)).expect("free");
    listener.listen(1).expect("bound");
    client
        .connect(local(7), Patience::Forever)
        .expect("somebody listens");
    let server = listener.accept().expect("it waits");
    let writer = thread::spawn(move || {
        for _ in 0..2 {
            assert_eq!(client.send(&[1; LEN]), Ok(LEN));
        }
        end(client);
    });
    let (mut count, mut buf) = (0, [0; 3 * LEN]);
    while count < 2 * LEN {
        count += server.recv(&mut buf).expect("no error");
    }
    answer(server);
    writer.join().expect("no panic");
    [client, server, listener].iter().for_each(Netconn::close);
}

fn say_x(server: Netconn) {
    assert_eq!(server.send(b"x"), Ok(1));
}

#[test]
fn what_is_held_leaves_before_the_writer_waits_for_an_answer() {
    with_stack(1, |net| {
        bulk_with_an_end(
            net,
            |client| {
                assert_eq!(client.recv(&mut [0; 1]), Ok(1));
            },
            say_x,
        );
    });
}

#[test]
fn what_is_held_leaves_before_the_writer_sleeps_elsewhere() {
    with_stack(1, |net| {
        let event = Netconn::event(net, 0).expect("free");
        bulk_with_an_end(
            net,
            move |_| {
                assert_eq!(event.take(Take::All, Patience::Forever), Ok(1));
            },
            |_| event.post(1, Patience::Never).expect("room"),
        );
        event.close();
    });
}

#[test]
fn what_is_held_leaves_before_the_writer_polls() {
    with_stack(1, |net| {
        bulk_with_an_end(
            net,
            |client| {
                let mut entries = [PollEntry::new(client, Ready::READ)];
                assert_eq!(poll(&mut entries, Patience::Forever), Ok(1));
            },
            say_x,
        );
    });
}

#[test]
fn what_is_held_leaves_before_the_writer_waits_for_acknowledgements() {
    with_stack(1, |net| {
        bulk_with_an_end(
            net,
            |client| {
                assert_eq!(client.wait_acknowledged(Patience::Forever), Ok(()));
            },
            |_| {},
        );
    });
}

#[test]
fn what_was_written_before_a_close_arrives() {
    with_stack(2, |net| {
        let [listener, client, server] = connection(net);
        let writer = thread::spawn(move || {
            assert_eq!(client.send(b"a"), Ok(1));
            assert_eq!(client.send(b"b"), Ok(1));
            client.close();
        });
        let (mut got, mut buf) = (Vec::new(), [0; 4]);
        loop {
            match server.recv(&mut buf).expect("no error") {
                0 => break,
                n => got.extend_from_slice(&buf[..n]),
            }
        }
        assert_eq!(got, b"ab");
        writer.join().expect("no panic");
        server.close();
        listener.close();
    });
}
