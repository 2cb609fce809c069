//! The driver on a model of the device: what the data sheet says its registers do.
use core::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::vec;
use std::vec::Vec;

use embedded_hal::delay::DelayNs;
use gannet_core::{Driver, HwAddr, Pbuf, Pool, pbuf_pool};

use super::registers::{Register, Registers, interrupt, mac, phy};
use super::{Lan9118, StartError, Wiring, mask};
use crate::device::Setup;

const HW: HwAddr = HwAddr([2, 0, 0, 0, 0, 7]);
/// Of the TX FIFO, in bytes.
const TX_ROOM: u32 = 4_608;

/// What is behind the registers.
struct Chip {
    registers: HashMap<u16, u32>,
    mac: HashMap<u32, u32>,
    phy: HashMap<u32, u32>,
    /// Reads of HW_CFG until the reset is over.
    reset_takes: u32,
    statuses: VecDeque<u32>,
    rx_data: VecDeque<u32>,
    /// Words written to the TX FIFO.
    tx_data: Vec<u32>,
    tx_statuses: VecDeque<u32>,
    tx_free: u32,
    /// A frame that arrives after so many looks at the FIFO's level.
    late: Option<(u32, Vec<u8>)>,
}

impl Chip {
    fn new() -> Self {
        Self {
            registers: HashMap::from([(Register::BYTE_TEST.0, super::registers::BYTE_TEST)]),
            mac: HashMap::new(),
            phy: HashMap::from([
                (phy::STATUS, phy::LINK_UP),
                (phy::ADVERTISED, 0x01e1),
                (phy::PARTNER, 0x41e1),
            ]),
            reset_takes: 3,
            statuses: VecDeque::new(),
            rx_data: VecDeque::new(),
            tx_data: Vec::new(),
            tx_statuses: VecDeque::new(),
            tx_free: TX_ROOM,
            late: None,
        }
    }

    /// A frame from the wire, with two bytes in front (RX_CFG) and a check sequence behind it.
    fn arrive(&mut self, frame: &[u8]) {
        self.arrive_with(frame, 0);
    }

    fn arrive_with(&mut self, frame: &[u8], status: u32) {
        let offset = self.registers[&Register::RX_CFG.0] >> 8 & 0x1f;
        let mut bytes = vec![0xaa; offset as usize];
        bytes.extend(frame);
        bytes.extend([0xfc; 4]);
        bytes.resize(bytes.len().next_multiple_of(4), 0xbb);
        let words = bytes.as_chunks().0.iter();
        self.rx_data
            .extend(words.map(|word| u32::from_le_bytes(*word)));
        self.statuses
            .push_back(status | (frame.len() as u32 + 4) << 16);
        self.ask(interrupt::RSFL);
    }

    fn ask(&mut self, bits: u32) {
        *self.registers.entry(Register::INT_STS.0).or_default() |= bits;
    }

    /// Whether the interrupt pin is active.
    fn interrupts(&self) -> bool {
        let of = |register: Register| self.registers.get(&register.0).copied().unwrap_or(0);
        of(Register::INT_STS) & of(Register::INT_EN) != 0
    }

    /// The frames in the TX FIFO, taken out as the device does.
    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut words = self.tx_data.drain(..);
        let mut frames = Vec::new();
        while let Some(a) = words.next() {
            let b = words.next().expect("a second command word");
            assert_eq!(a >> 12 & 3, 3, "first and last segment");
            assert_eq!(a & 0x7ff, b & 0x7ff, "one buffer holds the whole frame");
            let (offset, len) = ((a >> 16 & 0x1f) as usize, (b & 0x7ff) as usize);
            let data: Vec<u8> = words
                .by_ref()
                .take((offset + len).div_ceil(4))
                .flat_map(u32::to_le_bytes)
                .collect();
            frames.push(data[offset..offset + len].to_vec());
        }
        frames
    }

    fn read(&mut self, register: Register) -> u32 {
        match register {
            Register::RX_DATA => self.rx_data.pop_front().expect("data in the RX FIFO"),
            Register::RX_STATUS => self.statuses.pop_front().expect("a frame in the RX FIFO"),
            Register::TX_STATUS => self.tx_statuses.pop_front().expect("a status"),
            Register::RX_FIFO_INF => {
                let waiting = (self.statuses.len() as u32) << 16;
                match self.late.take() {
                    Some((0, frame)) => self.arrive(&frame),
                    Some((looks, frame)) => self.late = Some((looks - 1, frame)),
                    None => {}
                }
                waiting
            }
            Register::TX_FIFO_INF => (self.tx_statuses.len() as u32) << 16 | self.tx_free,
            Register::HW_CFG if self.reset_takes > 0 => {
                self.reset_takes -= 1;
                1
            }
            Register::HW_CFG => 0,
            Register::RX_DROP => self.registers.remove(&register.0).unwrap_or(0),
            _ => self.registers.get(&register.0).copied().unwrap_or(0),
        }
    }

    fn write(&mut self, register: Register, value: u32) {
        match register {
            Register::TX_DATA => self.tx_data.push(value),
            Register::INT_STS => {
                let asked = self.registers.entry(register.0).or_default();
                *asked &= !value;
            }
            Register::MAC_CSR_CMD => self.mac_command(value),
            _ => {
                self.registers.insert(register.0, value);
            }
        }
    }

    fn mac_command(&mut self, command: u32) {
        assert_ne!(command & mac::BUSY, 0);
        let index = command & 0xff;
        let data = Register::MAC_CSR_DATA.0;
        if command & mac::READ != 0 {
            let value = self.mac.get(&index).copied().unwrap_or(0);
            self.registers.insert(data, value);
            return;
        }
        let value = self.registers[&data];
        let before = self.mac.insert(index, value).unwrap_or(0);
        if index == mac::CR && before & !value & mac::RX_ENABLE != 0 {
            self.ask(interrupt::RXSTOP);
        }
        if index == mac::HASHH || index == mac::HASHL {
            assert_eq!(self.mac[&mac::CR] & mac::RX_ENABLE, 0, "receiving");
        }
        if index == mac::MII_ACC {
            assert_eq!(value >> 11 & 0x1f, 1, "the internal PHY");
            let register = value >> 6 & 0x1f;
            if value & mac::MII_WRITE != 0 {
                self.phy.insert(register, self.mac[&mac::MII_DATA]);
            } else {
                let read = self.phy.get(&register).copied().unwrap_or(0);
                self.mac.insert(mac::MII_DATA, read);
            }
            self.mac.insert(index, value & !mac::MII_BUSY);
        }
    }
}

/// The bus: the driver, its interrupt handler and the test look at the same chip.
#[derive(Clone)]
struct Bus(Arc<Mutex<Chip>>);

impl Bus {
    fn chip(&self) -> MutexGuard<'_, Chip> {
        self.0.lock().unwrap()
    }
}

impl Registers for Bus {
    fn read(&mut self, register: Register) -> u32 {
        self.chip().read(register)
    }

    fn write(&mut self, register: Register, value: u32) {
        self.chip().write(register, value);
    }
}

/// Milliseconds waited for.
#[derive(Default)]
struct Waited(RefCell<u64>);

impl DelayNs for Waited {
    fn delay_ns(&mut self, ns: u32) {
        *self.0.get_mut() += u64::from(ns) / 1_000_000;
    }
}

fn start(pool: &'static Pool) -> (Lan9118<Bus>, Bus) {
    let bus = Bus(Arc::new(Mutex::new(Chip::new())));
    let device = Lan9118::new(
        bus.clone(),
        Setup::new(HW, pool),
        Wiring::ActiveHigh,
        &mut Waited::default(),
    );
    (device.unwrap(), bus)
}

fn failure(chip: Chip, pool: &'static Pool) -> StartError {
    let bus = Bus(Arc::new(Mutex::new(chip)));
    let setup = Setup::new(HW, pool);
    Lan9118::new(bus, setup, Wiring::ActiveLow, &mut Waited::default())
        .err()
        .unwrap()
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7) as u8).collect()
}

fn bytes(frame: &Pbuf) -> Vec<u8> {
    let mut data = vec![0; frame.tot_len()];
    frame.copy_to(0, &mut data);
    data
}

#[test]
fn starts_with_its_address_and_the_link_of_the_phy() {
    pbuf_pool! { static RX: [1536; 2] }
    let (mut device, bus) = start(&RX);
    let chip = bus.chip();
    assert_eq!(chip.mac[&mac::ADDRL], 0x0000_0002);
    assert_eq!(chip.mac[&mac::ADDRH], 0x0700);
    let control = mac::RX_ENABLE | mac::TX_ENABLE | mac::GROUPS_BY_HASH | mac::FULL_DUPLEX;
    assert_eq!(chip.mac[&mac::CR], control);
    drop(chip);
    assert!(device.link_up());
}

#[test]
fn what_is_not_there_or_stuck_is_an_error() {
    pbuf_pool! { static RX: [1536; 2] }
    pbuf_pool! { static SMALL: [1504; 2] }
    let mut absent = Chip::new();
    absent.registers.insert(Register::BYTE_TEST.0, u32::MAX);
    assert_eq!(failure(absent, &RX), StartError::NotFound(u32::MAX));
    let mut stuck = Chip::new();
    stuck.reset_takes = u32::MAX;
    assert_eq!(failure(stuck, &RX), StartError::Unresponsive);
    assert_eq!(failure(Chip::new(), &SMALL), StartError::BlocksTooSmall);
}

#[test]
fn receives_frames_of_every_length() {
    pbuf_pool! { static RX: [1536; 4] }
    let (mut device, bus) = start(&RX);
    for len in (1..=1_514).rev() {
        bus.chip().arrive(&numbered(len));
        let frame = device.receive().unwrap();
        assert_eq!(bytes(&frame), numbered(len));
        assert_eq!(frame.clen(), 1);
        // The IP header, 14 bytes in, is on a word boundary.
        assert_eq!((frame.data().as_ptr().addr() + 14) % 4, 0);
        assert!(bus.chip().rx_data.is_empty(), "all of it was taken out");
    }
    assert!(device.receive().is_none());
    assert_eq!(device.counters().rx_frames(), 1_514);
    assert_eq!(RX.available(), 4);
}

#[test]
fn what_it_can_not_keep_is_taken_out_and_counted() {
    pbuf_pool! { static RX: [1536; 1] }
    let (mut device, bus) = start(&RX);
    let good = numbered(60);
    {
        let mut chip = bus.chip();
        chip.arrive_with(&numbered(64), super::STATUS_ERROR);
        chip.arrive(&numbered(1_515));
        chip.statuses.push_back(3 << 16); // shorter than a check sequence
        chip.rx_data.extend([0; 2]);
        chip.arrive(&good);
        chip.arrive(&numbered(61)); // for which there is no buffer any more
        chip.registers.insert(Register::RX_DROP.0, 5);
    }
    let frame = device.receive().unwrap();
    assert_eq!(bytes(&frame), good);
    assert!(device.receive().is_none());
    drop(frame);
    bus.chip().arrive(&good);
    assert_eq!(bytes(&device.receive().unwrap()), good);
    assert!(device.receive().is_none());
    let counters = device.counters();
    assert_eq!((counters.rx_errors(), counters.rx_too_long()), (2, 1));
    assert_eq!((counters.rx_no_buffer(), counters.rx_frames()), (1, 2));
    assert_eq!(counters.rx_missed(), 5, "reading clears the device's own");
}

#[test]
fn the_interrupt_is_masked_until_all_is_taken() {
    pbuf_pool! { static RX: [1536; 4] }
    let (mut device, bus) = start(&RX);
    assert!(!bus.chip().interrupts());
    bus.chip().arrive(&numbered(60));
    assert!(bus.chip().interrupts());
    mask(&mut bus.clone());
    assert!(!bus.chip().interrupts());
    bus.chip().arrive(&numbered(61));
    assert!(device.receive().is_some() && device.receive().is_some());
    assert!(!bus.chip().interrupts(), "not before it has returned None");
    assert!(device.receive().is_none());
    assert!(!bus.chip().interrupts());
    bus.chip().arrive(&numbered(62));
    assert!(bus.chip().interrupts());
}

#[test]
fn a_frame_at_any_moment_is_received_or_interrupts() {
    pbuf_pool! { static RX: [1536; 4] }
    // The driver looks three times: a frame, none, and still none after clearing the request.
    for looks in 0..3 {
        let (mut device, bus) = start(&RX);
        bus.chip().arrive(&numbered(60));
        mask(&mut bus.clone());
        bus.chip().late = Some((looks, numbered(70)));
        let mut received = 0;
        while device.receive().is_some() {
            received += 1;
        }
        let chip = bus.chip();
        assert!(chip.late.is_none(), "it arrived");
        assert!(
            received == 2 || chip.interrupts(),
            "the frame that came after look {looks} was forgotten"
        );
    }
}

#[test]
fn sends_chains_of_any_parts_as_one_buffer() {
    pbuf_pool! { static RX: [1536; 2] }
    pbuf_pool! { static TX: [1536; 8] }
    let (mut device, bus) = start(&RX);
    let data = numbered(1_514);
    let mut expected = Vec::new();
    let part = |headroom: usize, data: &[u8]| {
        let mut part = Pbuf::alloc(&TX, headroom, data.len()).unwrap();
        part.copy_from(data);
        part
    };
    for first in [1, 2, 3, 4, 5, 14, 54, 66] {
        for second in [0, 1, 2, 3, 7, 64, 1_000] {
            for headroom in 0..5 {
                let (a, rest) = data.split_at(first);
                let (b, rest) = rest.split_at(second);
                let c = &rest[..headroom * 5];
                let mut frame = part(headroom, a);
                frame.cat(part(headroom + 1, b));
                frame.cat(part(headroom * 3, c));
                expected.push([a, b, c].concat());
                device.transmit(frame).unwrap();
            }
        }
    }
    assert_eq!(bus.chip().sent(), expected);
    device.transmit(part(0, &data)).unwrap();
    assert_eq!(bus.chip().sent(), [data]);
    assert_eq!(TX.available(), 8);
}

#[test]
fn without_room_a_frame_comes_back_and_room_interrupts() {
    pbuf_pool! { static RX: [1536; 2] }
    pbuf_pool! { static TX: [1536; 2] }
    let (mut device, bus) = start(&RX);
    assert!(device.can_transmit());
    bus.chip().tx_free = 1_500;
    assert!(!device.can_transmit());
    let frame = Pbuf::alloc(&TX, 0, 60).unwrap();
    let frame = device.transmit(frame).unwrap_err();
    assert!(bus.chip().tx_data.is_empty());
    assert!(!bus.chip().interrupts());
    {
        let mut chip = bus.chip();
        chip.tx_free = TX_ROOM;
        chip.ask(interrupt::TDFA);
        assert!(chip.interrupts(), "room was waited for");
    }
    mask(&mut bus.clone());
    assert!(device.receive().is_none());
    assert!(device.can_transmit());
    assert!(!bus.chip().interrupts(), "and is not any more");
    device.transmit(frame).unwrap();
    assert_eq!(bus.chip().sent().len(), 1);
    assert_eq!(device.counters().tx_busy(), 1);
}

#[test]
fn a_frame_that_fits_nowhere_and_failures_on_the_wire_are_counted() {
    pbuf_pool! { static RX: [1536; 2] }
    pbuf_pool! { static TX: [2048; 2] }
    let (mut device, bus) = start(&RX);
    device
        .transmit(Pbuf::alloc(&TX, 0, 1_519).unwrap())
        .unwrap();
    assert!(bus.chip().tx_data.is_empty());
    bus.chip().tx_statuses.extend([0, super::STATUS_ERROR, 0]);
    device.transmit(Pbuf::alloc(&TX, 0, 60).unwrap()).unwrap();
    assert!(bus.chip().tx_statuses.is_empty());
    let counters = device.counters();
    assert_eq!((counters.tx_errors(), counters.tx_frames()), (2, 1));
}

#[test]
fn the_link_follows_the_phy() {
    pbuf_pool! { static RX: [1536; 2] }
    pbuf_pool! { static TX: [1536; 2] }
    let (mut device, bus) = start(&RX);
    {
        let mut chip = bus.chip();
        chip.phy.insert(phy::STATUS, 0);
        chip.ask(interrupt::PHY);
        assert!(chip.interrupts());
    }
    mask(&mut bus.clone());
    assert!(device.receive().is_none());
    assert!(!device.link_up());
    let frame = Pbuf::alloc(&TX, 0, 60).unwrap();
    let frame = device.transmit(frame).unwrap_err();
    {
        let mut chip = bus.chip();
        chip.phy.insert(phy::STATUS, phy::LINK_UP);
        chip.phy.insert(phy::PARTNER, 0x0021); // 10 Mbit/s, half duplex
        chip.ask(interrupt::PHY);
    }
    assert!(device.receive().is_none());
    assert!(device.link_up());
    let control = mac::RX_ENABLE | mac::TX_ENABLE | mac::GROUPS_BY_HASH;
    assert_eq!(bus.chip().mac[&mac::CR], control);
    device.transmit(frame).unwrap();
}

#[test]
fn groups_pass_by_their_check_sequences() {
    pbuf_pool! { static RX: [1536; 2] }
    let (mut device, bus) = start(&RX);
    let control = bus.chip().mac[&mac::CR];
    // Computed with the CRC-32 of another program.
    let groups = [
        (HwAddr([1, 0, 0x5e, 0, 0, 1]), 31),
        (HwAddr([1, 0, 0x5e, 1, 2, 3]), 57),
        (HwAddr([1, 0, 0x5e, 0x7f, 0xff, 0xfa]), 43),
        (HwAddr([1, 0, 0x5e, 0, 0, 0xfb]), 15),
    ];
    for members in 0..=groups.len() {
        let members = &groups[..members];
        device.multicast(&mut members.iter().map(|(addr, _)| *addr));
        let table = members
            .iter()
            .fold(0u64, |table, (_, bit)| table | 1 << bit);
        let mac = &bus.chip().mac;
        let written = u64::from(mac[&mac::HASHH]) << 32 | u64::from(mac[&mac::HASHL]);
        assert_eq!(written, table);
        assert_eq!(mac[&mac::CR], control, "receiving again");
    }
}
