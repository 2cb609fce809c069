//! The Ethernet controller SMSC LAN9118 (LAN9115 to LAN9118 and their successors): a MAC with a PHY
//! and FIFO memories behind a parallel bus, as on the ARM MPS2 boards and many others.
//!
//! Frames move by program, 32 bits at a time: from the FIFO straight into a buffer of the receive
//! pool, and from the parts of a chain into the FIFO. Numbers of the device are in `registers`,
//! what goes in front of a frame to be sent in `transmit`. Checksums are left to software: this
//! device has none.
mod filter;
mod registers;
#[cfg(test)]
mod tests;
mod transmit;

use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::Ordering;

use embedded_hal::delay::DelayNs;
use gannet_core::{Capabilities, Checksums, Driver, HwAddr, Medium, Pbuf};

pub use self::registers::{Mapped, Register, Registers};

use self::registers::{BYTE_TEST, STATUS_ERROR, hw_cfg, interrupt, irq_cfg, mac, phy, tx_cfg};
use super::{DeviceCounters, Setup, count};

/// Of the Ethernet II header.
const HEADER_LEN: usize = 14;
/// The frame check sequence, which the device appends to a received frame.
const FCS_LEN: usize = 4;
/// Words that are moved in one turn of a loop.
const TURN: usize = 8;
/// Bytes the device puts in front of a received frame, so that the IP header is on a word boundary.
const RX_OFFSET: usize = 2;
/// Largest frame it sends or takes, without the frame check sequence.
const LARGEST_FRAME: usize = 1518;
/// Free bytes of the TX FIFO that are enough for any frame, in the device's unit of 64: two command
/// words, up to three bytes in front of the frame and behind it.
const TX_ROOM_UNITS: u32 = ((LARGEST_FRAME + 8 + 6) as u32).div_ceil(64);
/// Frames dropped in one go. More than the device can hold.
const MAX_DROPS: usize = 256;
/// How often a register is read until the device must have done what it was asked for.
const PATIENCE: usize = 10_000;
/// Milliseconds a reset may take.
const RESET_MS: usize = 100;

/// What the MAC is to do, duplex apart.
const MAC_ON: u32 = mac::TX_ENABLE | mac::RX_ENABLE | mac::GROUPS_BY_HASH;

/// How the device's interrupt pin is wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// Push-pull, high while an interrupt is asked for.
    ActiveHigh,
    /// Open drain, low while an interrupt is asked for: may be shared with others.
    ActiveLow,
}

/// Why the device could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartError {
    /// Its test register reads this: nothing is there, or the bus is wired wrongly.
    NotFound(u32),
    /// It does not do what it is told.
    Unresponsive,
    /// The blocks of the receive pool are smaller than a frame and four bytes.
    BlocksTooSmall,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound(_) => f.write_str("no LAN9118 at this address"),
            Self::Unresponsive => f.write_str("the LAN9118 does not respond"),
            Self::BlocksTooSmall => f.write_str("the receive pool's blocks are too small"),
        }
    }
}

impl core::error::Error for StartError {}

/// A LAN9118 as a network interface.
///
/// Its interrupt handler calls [`mask`] with registers of its own, and rings the doorbell of the
/// tcpip thread.
#[derive(Debug)]
pub struct Lan9118<R> {
    registers: R,
    setup: Setup,
    link: Link,
    room: Room,
    counters: Arc<DeviceCounters>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Up,
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Free,
    /// An interrupt is to tell when there is room.
    Awaited,
}

/// Silences the device's interrupt until [`Driver::receive`] finds nothing more: for the interrupt
/// handler. May run at any moment.
pub fn mask(registers: &mut impl Registers) {
    registers.write(Register::INT_EN, 0);
}

impl<R: Registers> Lan9118<R> {
    /// Resets the device and starts it; negotiation of the link goes on by itself. May take a tenth
    /// of a second, in which `delay` waits.
    ///
    /// # Errors
    ///
    /// [`StartError`]; nothing is lost by another try.
    pub fn new(
        mut registers: R,
        setup: Setup,
        wiring: Wiring,
        delay: &mut impl DelayNs,
    ) -> Result<Self, StartError> {
        let frame_len = usize::from(setup.mtu) + HEADER_LEN;
        if frame_len > LARGEST_FRAME || setup.pool.block_size() < words_of(frame_len) * 4 {
            return Err(StartError::BlocksTooSmall);
        }
        match registers.read(Register::BYTE_TEST) {
            BYTE_TEST => {}
            read => return Err(StartError::NotFound(read)),
        }
        registers.write(Register::HW_CFG, hw_cfg::SOFT_RESET);
        let is_reset = (0..RESET_MS).any(|_| {
            delay.delay_ms(1);
            registers.read(Register::HW_CFG) & hw_cfg::SOFT_RESET == 0
        });
        if !is_reset {
            return Err(StartError::Unresponsive);
        }
        let mut device = Self {
            registers,
            setup,
            link: Link::Down,
            room: Room::Free,
            counters: Arc::default(),
        };
        device.start(wiring).ok_or(StartError::Unresponsive)?;
        Ok(device)
    }

    /// Its counters, to keep when the stack has taken over the device.
    pub fn counters(&self) -> Arc<DeviceCounters> {
        Arc::clone(&self.counters)
    }

    fn start(&mut self, wiring: Wiring) -> Option<()> {
        self.write(Register::HW_CFG, hw_cfg::MBO | hw_cfg::TX_5_KIB);
        self.write(Register::INT_EN, 0);
        self.write(Register::INT_STS, u32::MAX);
        let pin = match wiring {
            Wiring::ActiveHigh => irq_cfg::ACTIVE_HIGH | irq_cfg::PUSH_PULL,
            Wiring::ActiveLow => 0,
        };
        self.write(Register::IRQ_CFG, irq_cfg::ENABLE | pin);
        // TDFA above this level; RSFL above none.
        self.write(Register::FIFO_INT, TX_ROOM_UNITS << 24);
        self.write(Register::RX_CFG, (RX_OFFSET as u32) << 8);
        self.write(Register::TX_CFG, tx_cfg::ON | tx_cfg::STATUS_MAY_OVERRUN);
        let [a, b, c, d, e, f] = self.setup.hw.0;
        self.mac_write(mac::ADDRL, u32::from_le_bytes([a, b, c, d]))?;
        self.mac_write(mac::ADDRH, u16::from_le_bytes([e, f]).into())?;
        self.mac_write(mac::CR, MAC_ON)?;
        self.phy_write(phy::INTERRUPT_MASK, phy::LINK_CHANGES)?;
        self.phy_write(phy::CONTROL, phy::NEGOTIATE)?;
        self.look_at_link()?;
        self.unmask();
        Some(())
    }

    /// Frames that wait in the FIFO.
    fn waiting(&mut self) -> u32 {
        self.read(Register::RX_FIFO_INF) >> 16 & 0xff
    }

    /// Takes a frame out of the FIFO; `None`: it was dropped.
    fn take_frame(&mut self) -> Option<Pbuf> {
        let status = self.read(Register::RX_STATUS);
        let on_wire = (status >> 16 & 0x3fff) as usize;
        let in_fifo = words_of(on_wire);
        let Some(len) = on_wire.checked_sub(FCS_LEN) else {
            count(&self.counters.rx_errors);
            return self.discard(in_fifo);
        };
        if status & STATUS_ERROR != 0 {
            count(&self.counters.rx_errors);
            return self.discard(in_fifo);
        }
        if len > usize::from(self.setup.mtu) + HEADER_LEN {
            count(&self.counters.rx_too_long);
            return self.discard(in_fifo);
        }
        let wanted = words_of(len);
        let block = Pbuf::alloc(self.setup.pool, 0, wanted * 4).ok();
        let Some(mut frame) = block else {
            count(&self.counters.rx_no_buffer);
            return self.discard(in_fifo);
        };
        // A fresh block is nobody else's, and holds the largest frame: checked in `new`.
        self.read_frame(frame.data_mut().unwrap_or_default());
        let _: Option<Pbuf> = self.discard(in_fifo - wanted);
        frame.truncate(RX_OFFSET + len);
        frame.advance(RX_OFFSET);
        count(&self.counters.rx_frames);
        Some(frame)
    }

    /// Fills `room`, whole words, from the FIFO.
    fn read_frame(&mut self, room: &mut [u8]) {
        let (turns, rest) = room.as_chunks_mut::<{ 4 * TURN }>();
        let mut next = || self.registers.read(Register::RX_DATA).to_le_bytes();
        for turn in turns {
            // Written out: a compiler that is asked for small code would keep the loop, of which
            // half of the instructions only count.
            if let [a, b, c, d, e, f, g, h] = turn.as_chunks_mut().0 {
                *a = next();
                *b = next();
                *c = next();
                *d = next();
                *e = next();
                *f = next();
                *g = next();
                *h = next();
            }
        }
        for word in rest.as_chunks_mut().0 {
            *word = next();
        }
    }

    fn discard(&mut self, words: usize) -> Option<Pbuf> {
        for _ in 0..words {
            self.read(Register::RX_DATA);
        }
        None
    }

    /// Nothing waits: tends to what else there may be, and lets the device interrupt again.
    fn settle(&mut self) {
        if self.read(Register::INT_STS) & interrupt::PHY != 0 {
            self.write(Register::INT_STS, interrupt::PHY);
            // A PHY that does not answer leaves the link as it was.
            let _ = self.look_at_link();
        }
        let missed = self.read(Register::RX_DROP); // reading clears it
        self.counters.rx_missed.fetch_add(missed, Ordering::Relaxed);
        self.unmask();
    }

    fn unmask(&mut self) {
        let room = match self.room {
            Room::Free => 0,
            Room::Awaited => interrupt::TDFA,
        };
        self.write(Register::INT_EN, interrupt::RSFL | interrupt::PHY | room);
    }

    /// Asks the PHY, and tells the MAC.
    fn look_at_link(&mut self) -> Option<()> {
        self.phy_read(phy::INTERRUPT_SOURCE)?; // reading clears it
        // The first reading tells of a failure in the past (IEEE 802.3 §22.2.4.2.13).
        self.phy_read(phy::STATUS)?;
        self.link = if self.phy_read(phy::STATUS)? & phy::LINK_UP != 0 {
            Link::Up
        } else {
            Link::Down
        };
        let common = self.phy_read(phy::ADVERTISED)? & self.phy_read(phy::PARTNER)?;
        let duplex = if common & phy::FULL_DUPLEX != 0 {
            mac::FULL_DUPLEX
        } else {
            0
        };
        self.mac_write(mac::CR, MAC_ON | duplex)
    }

    fn phy_read(&mut self, register: u32) -> Option<u32> {
        self.phy_command(register, 0)?;
        self.mac_read(mac::MII_DATA)
    }

    fn phy_write(&mut self, register: u32, value: u32) -> Option<()> {
        self.mac_write(mac::MII_DATA, value)?;
        self.phy_command(register, mac::MII_WRITE)
    }

    fn phy_command(&mut self, register: u32, write: u32) -> Option<()> {
        let command = mac::MII_PHY | register << mac::MII_REGISTER_SHIFT | write | mac::MII_BUSY;
        self.mac_write(mac::MII_ACC, command)?;
        for _ in 0..PATIENCE {
            if self.mac_read(mac::MII_ACC)? & mac::MII_BUSY == 0 {
                return Some(());
            }
        }
        None
    }

    fn mac_read(&mut self, register: u32) -> Option<u32> {
        self.write(Register::MAC_CSR_CMD, mac::BUSY | mac::READ | register);
        self.mac_done()?;
        Some(self.read(Register::MAC_CSR_DATA))
    }

    fn mac_write(&mut self, register: u32, value: u32) -> Option<()> {
        self.write(Register::MAC_CSR_DATA, value);
        self.write(Register::MAC_CSR_CMD, mac::BUSY | register);
        self.mac_done()
    }

    fn mac_done(&mut self) -> Option<()> {
        (0..PATIENCE)
            .any(|_| self.read(Register::MAC_CSR_CMD) & mac::BUSY == 0)
            .then_some(())
    }

    fn read(&mut self, register: Register) -> u32 {
        self.registers.read(register)
    }

    fn write(&mut self, register: Register, value: u32) {
        self.registers.write(register, value);
    }
}

impl<R: Registers> Driver for Lan9118<R> {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            medium: Medium::Ethernet(self.setup.hw),
            mtu: self.setup.mtu,
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
            tso: 0,
        }
    }

    fn link_up(&mut self) -> bool {
        self.link == Link::Up
    }

    fn multicast(&mut self, groups: &mut dyn Iterator<Item = HwAddr>) {
        // A MAC that does not answer receives as before.
        let _ = self.set_groups(filter::hash_table(groups));
    }

    fn receive(&mut self) -> Option<Pbuf> {
        // So many drops, and the interrupt asks at once for the rest: what the device held when its
        // request was last cleared is gone by then, and each frame after that has renewed it.
        for _ in 0..MAX_DROPS {
            if self.waiting() == 0 {
                // In this order: a frame that comes after the second look asks again.
                self.write(Register::INT_STS, interrupt::RSFL);
                if self.waiting() == 0 {
                    break;
                }
            }
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
        }
        self.settle();
        None
    }

    fn can_transmit(&mut self) -> bool {
        if self.room == Room::Free && self.has_room() {
            return true;
        }
        // As in `receive`: what frees room after the second look asks for an interrupt.
        self.write(Register::INT_STS, interrupt::TDFA);
        self.room = if self.has_room() {
            Room::Free
        } else {
            Room::Awaited
        };
        self.unmask();
        self.room == Room::Free
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        self.collect_statuses();
        if self.link == Link::Down {
            return Err(frame);
        }
        if frame.tot_len() > LARGEST_FRAME {
            count(&self.counters.tx_errors);
            return Ok(());
        }
        if !self.can_transmit() {
            count(&self.counters.tx_busy);
            return Err(frame);
        }
        transmit::push(&mut self.registers, &frame);
        count(&self.counters.tx_frames);
        Ok(())
    }
}

impl<R: Registers> Lan9118<R> {
    fn has_room(&mut self) -> bool {
        let free = self.read(Register::TX_FIFO_INF) & 0xffff;
        free > TX_ROOM_UNITS * 64
    }

    /// How sending earlier frames went.
    fn collect_statuses(&mut self) {
        let statuses = self.read(Register::TX_FIFO_INF) >> 16 & 0xff;
        for _ in 0..statuses {
            if self.read(Register::TX_STATUS) & STATUS_ERROR != 0 {
                count(&self.counters.tx_errors);
            }
        }
    }
}

/// Words of the RX FIFO that `len` bytes of a frame take.
const fn words_of(len: usize) -> usize {
    (RX_OFFSET + len).div_ceil(4)
}

const _: () = assert!(TX_ROOM_UNITS <= 0xff);
