//! lwIP at work, where the system has it installed: the work is done by `shim/lwip.c`.
#[cfg(not(lwip))]
use crate::cell::{Cell, Made};

/// A pair for a cell.
#[cfg(not(lwip))]
pub fn make(_: &Cell) -> Made {
    Err("not installed when this was built (Debian: liblwip-dev)")
}

#[cfg(lwip)]
pub use installed::make;

#[cfg(lwip)]
mod installed {
    use std::cell::Cell as StdCell;
    use std::ffi::c_int;

    use crate::cell::{
        Api, Arrival, Bench, Cell, Checksums, Made, OWN_TABLES, TOO_MANY, Timestamps, Work,
    };

    unsafe extern "C" {
        fn compare_lwip_open(work: c_int, len: c_int, connections: c_int, copying: c_int);
        fn compare_lwip_run(units: u64);
        fn compare_lwip_frames(side: c_int) -> u64;
        fn compare_lwip_close();
    }

    thread_local! {
        /// lwIP is one stack a process; it does one work at a time.
        static IN_USE: StdCell<bool> = const { StdCell::new(false) };
    }

    /// The one pair of a process.
    struct Pair;

    /// A pair for a cell.
    pub fn make(cell: &Cell) -> Made {
        if cell.checksums == Checksums::Off {
            return Err("packaged without a switch for checksums");
        }
        if cell.timestamps == Timestamps::On {
            return Err("packaged without timestamps");
        }
        let (work, len, connections, api) = match cell.work {
            Work::Bulk {
                window: 65_535,
                arrival: Arrival::InPairs,
                api,
            } => (0, 0, 1, api),
            Work::Bulk {
                arrival: Arrival::InBatches,
                ..
            } => return Err("takes frames one by one: acknowledges every second segment"),
            Work::Bulk { .. } => return Err("its window is compiled in: 65,535 bytes"),
            Work::RoundTrip { idle: 1.., .. } => return Err(TOO_MANY),
            Work::RoundTrip {
                len, connections, ..
            } => (1, len, connections, Api::Copying),
            Work::Connect { others: 1.., .. } | Work::Holes { .. } => {
                return Err(OWN_TABLES);
            }
            Work::Connect { .. } => (2, 0, 1, Api::ZeroCopy),
            Work::UdpEcho { len } => (3, len, 1, Api::ZeroCopy),
        };
        assert!(!IN_USE.replace(true), "two pairs of lwIP at a time");
        let small = |n: usize| c_int::try_from(n).expect("a small number");
        let copying = (api == Api::Copying).into();
        // SAFETY: the shim and the library are used by this thread only (a `Pair` is not `Send`
        // by way of `dyn Bench`, and there is one at a time).
        unsafe { compare_lwip_open(work, small(len), small(connections), copying) };
        Ok(Box::new(Pair))
    }

    impl Bench for Pair {
        fn run(&mut self, units: u64) {
            // SAFETY: opened in `make`; this thread only.
            unsafe { compare_lwip_run(units) };
        }

        fn frames(&self) -> [u64; 2] {
            // SAFETY: reads two counters.
            [0, 1].map(|side| unsafe { compare_lwip_frames(side) })
        }
    }

    impl Drop for Pair {
        fn drop(&mut self) {
            // SAFETY: opened in `make`, closed once.
            unsafe { compare_lwip_close() };
            IN_USE.set(false);
        }
    }
}
