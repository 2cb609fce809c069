//! The LAN9118's registers: their places and bits, and how they are reached. What is done with them
//! is the business of the driver above.
//!
//! Names and numbers: SMSC LAN9118 data sheet (DS00002266), chapters 3 and 5.

/// A register on the bus, as its distance from the device's base in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register(pub u16);

impl Register {
    /// Received data, the next four bytes at each read.
    pub const RX_DATA: Self = Self(0x00);
    /// Frames to send: two command words and data.
    pub const TX_DATA: Self = Self(0x20);
    /// Length and errors of the next received frame.
    pub const RX_STATUS: Self = Self(0x40);
    /// How sending the next frame went.
    pub const TX_STATUS: Self = Self(0x48);
    pub(super) const IRQ_CFG: Self = Self(0x54);
    pub(super) const INT_STS: Self = Self(0x58);
    pub(super) const INT_EN: Self = Self(0x5c);
    pub(super) const BYTE_TEST: Self = Self(0x64);
    pub(super) const FIFO_INT: Self = Self(0x68);
    pub(super) const RX_CFG: Self = Self(0x6c);
    pub(super) const TX_CFG: Self = Self(0x70);
    pub(super) const HW_CFG: Self = Self(0x74);
    pub(super) const RX_FIFO_INF: Self = Self(0x7c);
    pub(super) const TX_FIFO_INF: Self = Self(0x80);
    pub(super) const RX_DROP: Self = Self(0xa0);
    pub(super) const MAC_CSR_CMD: Self = Self(0xa4);
    pub(super) const MAC_CSR_DATA: Self = Self(0xa8);
}

/// What BYTE_TEST reads on a bus that is wired and working.
pub(super) const BYTE_TEST: u32 = 0x8765_4321;

pub(super) mod irq_cfg {
    pub(crate) const ENABLE: u32 = 1 << 8;
    pub(crate) const ACTIVE_HIGH: u32 = 1 << 4;
    pub(crate) const PUSH_PULL: u32 = 1;
}

/// Bits of INT_STS (written: cleared) and INT_EN.
pub(super) mod interrupt {
    /// The receiver has stopped.
    pub(crate) const RXSTOP: u32 = 1 << 24;
    pub(crate) const PHY: u32 = 1 << 18;
    /// TX data FIFO available: there is room for the level of FIFO_INT.
    pub(crate) const TDFA: u32 = 1 << 9;
    /// RX status FIFO level: a frame waits.
    pub(crate) const RSFL: u32 = 1 << 3;
}

pub(super) mod hw_cfg {
    /// "Must be one".
    pub(crate) const MBO: u32 = 1 << 20;
    /// 5 KiB of the 16 for sending, the rest for receiving.
    pub(crate) const TX_5_KIB: u32 = 5 << 16;
    pub(crate) const SOFT_RESET: u32 = 1;
}

pub(super) mod tx_cfg {
    /// Statuses nobody reads do not stop the device.
    pub(crate) const STATUS_MAY_OVERRUN: u32 = 1 << 2;
    pub(crate) const ON: u32 = 1 << 1;
}

/// The first word in front of a frame in TX_DATA, and the second.
pub(super) mod tx_command {
    pub(crate) const FIRST_AND_LAST: u32 = 1 << 13 | 1 << 12;
    /// Bytes of the first data word that are not part of the frame.
    pub(crate) const OFFSET_SHIFT: u32 = 16;
}

/// The error summary of a received or sent frame.
pub(super) const STATUS_ERROR: u32 = 1 << 15;

pub(super) mod mac {
    pub(crate) const CR: u32 = 1;
    pub(crate) const ADDRH: u32 = 2;
    pub(crate) const ADDRL: u32 = 3;
    /// The upper and lower 32 bits of the table that groups are looked up in.
    pub(crate) const HASHH: u32 = 4;
    pub(crate) const HASHL: u32 = 5;
    pub(crate) const MII_ACC: u32 = 6;
    pub(crate) const MII_DATA: u32 = 7;

    /// MAC_CSR_CMD.
    pub(crate) const BUSY: u32 = 1 << 31;
    pub(crate) const READ: u32 = 1 << 30;

    /// MAC_CR.
    pub(crate) const FULL_DUPLEX: u32 = 1 << 20;
    /// Groups pass by the hash table, the own address as it is ("hash/perfect filtering").
    pub(crate) const GROUPS_BY_HASH: u32 = 1 << 13;
    pub(crate) const TX_ENABLE: u32 = 1 << 3;
    pub(crate) const RX_ENABLE: u32 = 1 << 2;

    /// MII_ACC: the internal PHY is number 1.
    pub(crate) const MII_PHY: u32 = 1 << 11;
    pub(crate) const MII_REGISTER_SHIFT: u32 = 6;
    pub(crate) const MII_WRITE: u32 = 1 << 1;
    pub(crate) const MII_BUSY: u32 = 1;
}

/// Registers of the PHY (IEEE 802.3 clause 22, and the vendor's from 16 on).
pub(super) mod phy {
    pub(crate) const CONTROL: u32 = 0;
    pub(crate) const STATUS: u32 = 1;
    pub(crate) const ADVERTISED: u32 = 4;
    pub(crate) const PARTNER: u32 = 5;
    pub(crate) const INTERRUPT_SOURCE: u32 = 29;
    pub(crate) const INTERRUPT_MASK: u32 = 30;

    pub(crate) const NEGOTIATE: u32 = 1 << 12 | 1 << 9;
    pub(crate) const LINK_UP: u32 = 1 << 2;
    /// 100BASE-TX and 10BASE-T, full duplex.
    pub(crate) const FULL_DUPLEX: u32 = 1 << 8 | 1 << 6;
    /// Negotiation complete, link down.
    pub(crate) const LINK_CHANGES: u32 = 1 << 6 | 1 << 4;
}

/// How registers are reached: a bus of 32 bits, or a model of the device in a test.
pub trait Registers: Send {
    /// Reads `register`.
    fn read(&mut self, register: Register) -> u32;
    /// Writes `register`.
    fn write(&mut self, register: Register, value: u32);
}

/// Registers in the address space, on a bus of 32 bits.
#[derive(Debug)]
pub struct Mapped {
    base: usize,
}

impl Mapped {
    /// The device at address `base`.
    ///
    /// # Safety
    ///
    /// A LAN9118 is there, and reading or writing 256 bytes from `base` on touches nothing else.
    pub const unsafe fn new(base: usize) -> Self {
        Self { base }
    }

    fn at(&self, register: Register) -> *mut u32 {
        core::ptr::with_exposed_provenance_mut(self.base + usize::from(register.0))
    }
}

impl Registers for Mapped {
    #[inline]
    fn read(&mut self, register: Register) -> u32 {
        // SAFETY: a register of the device, by the contract of `new`.
        unsafe { self.at(register).read_volatile() }
    }

    #[inline]
    fn write(&mut self, register: Register, value: u32) {
        // SAFETY: a register of the device, by the contract of `new`.
        unsafe { self.at(register).write_volatile(value) };
    }
}
