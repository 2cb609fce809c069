//! Writes what was captured as pcapng, with the fate of each frame as its comment.
use std::borrow::Cow;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use pcap_file::{DataLink, PcapError, PcapResult};

use super::net::Captured;

/// Writes `frames` to `path`.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, frames: &[Captured]) -> PcapResult<()> {
    let mut writer = PcapNgWriter::new(BufWriter::new(
        File::create(path).map_err(PcapError::IoError)?,
    ))?;
    writer.write_pcapng_block(InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0))?;
    for captured in frames {
        let options = match captured.fate {
            "" => Vec::new(),
            fate => vec![EnhancedPacketOption::Comment(Cow::Borrowed(fate))],
        };
        // The writer stores the number as it is; the default unit of an interface is 1 µs.
        let timestamp = Duration::from_nanos(captured.at.as_micros());
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp,
            original_len: captured.frame.len() as u32,
            data: Cow::Borrowed(&captured.frame),
            options,
        })?;
    }
    Ok(())
}
