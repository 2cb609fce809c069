//! Which groups the device receives: a table of 64 bits, into which the check sequence of an address
//! points. A frame whose address points to a bit that is set passes; software looks again.
use gannet_core::HwAddr;

use super::registers::{Register, Registers, interrupt, mac};
use super::{Lan9118, PATIENCE};

/// The polynomial of Ethernet's check sequence, most significant bit first (IEEE 802.3 §3.2.9).
const POLYNOMIAL: u32 = 0x04c1_1db7;

/// The table that lets these groups through.
pub(super) fn hash_table(groups: &mut dyn Iterator<Item = HwAddr>) -> u64 {
    groups.fold(0, |table, group| table | 1 << bit_of(group))
}

/// Data sheet §5.3.4: the upper six bits of the check sequence of the address.
fn bit_of(addr: HwAddr) -> u32 {
    // As on the wire: of each byte the lowest bit first.
    let bits = addr
        .0
        .into_iter()
        .flat_map(|b| (0..8).map(move |n| u32::from(b >> n & 1)));
    let crc = bits.fold(u32::MAX, |crc, bit| {
        let carry = crc >> 31 ^ bit;
        (crc << 1) ^ (carry * POLYNOMIAL)
    });
    crc >> 26
}

impl<R: Registers> Lan9118<R> {
    /// Writes the table. The older chips must not receive meanwhile, as Linux has found out
    /// (`smsc911x_rx_multicast_update_workaround`); a frame that arrives in these microseconds is
    /// lost.
    pub(super) fn set_groups(&mut self, table: u64) -> Option<()> {
        let control = self.mac_read(mac::CR)?;
        self.write(Register::INT_STS, interrupt::RXSTOP);
        self.mac_write(mac::CR, control & !mac::RX_ENABLE)?;
        // At the latest when the frame on the wire has ended.
        let _stopped = (0..PATIENCE).any(|_| self.read(Register::INT_STS) & interrupt::RXSTOP != 0);
        self.mac_write(mac::HASHH, (table >> 32) as u32)?;
        self.mac_write(mac::HASHL, table as u32)?;
        self.mac_write(mac::CR, control)
    }
}
