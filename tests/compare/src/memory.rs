//! Memory for gannet's stacks: from the heap, as much as a cell needs.
use gannet_core::{Pool, Storage};
use gannet_tests::storage::{Pools, Sizes, leak_pool, leak_storage};

use crate::cell::{Beside, Cell, Work};

/// What a host has.
pub struct Memory {
    /// Where its device puts what it receives.
    pub rx: &'static Pool,
    /// The stack's.
    pub storage: Storage,
}

/// The memory of host `number`.
pub fn of_host(cell: &Cell, _number: usize) -> Memory {
    let mut sizes = Sizes::default();
    match cell.work {
        Work::RoundTrip {
            connections, idle, ..
        } => {
            let connections = connections + idle;
            sizes.connections = sizes.connections.max(connections);
            sizes.half_open = sizes.half_open.max(connections);
            sizes.sends = sizes.sends.max(connections);
        }
        Work::Connect { others, beside } => {
            // The client has all that are established or half open at the server.
            let beside_at = |place: Beside| if beside == place { others } else { 0 };
            let established = others - beside_at(Beside::TimeWait);
            sizes.connections += established;
            sizes.sends += established;
            sizes.half_open += beside_at(Beside::HalfOpen);
            if beside == Beside::TimeWait {
                sizes.time_wait = others;
            }
        }
        Work::Bulk { .. } | Work::UdpEcho { .. } | Work::Holes { .. } => {}
    }
    // The last response of each of a thousand connections waits in the transmit pool for its
    // acknowledgement.
    let pools = Pools {
        rx: leak_pool::<512, 1536>("rx", 0),
        tx: leak_pool::<2048, 1536>("tx", 2048),
        header: leak_pool::<512, 128>("header", 0),
    };
    Memory {
        rx: pools.rx,
        storage: leak_storage(sizes, pools),
    }
}
