//! In place of `raw` and `packet` where they are left out: storage without any size, so that what
//! declares storage is the same with and without them.

macro_rules! left_out {
    ($name:ident: $storage:ident { pcbs: $pcb:ident, $waiting:ident: $slot:ident }) => {
        #[doc = concat!("Left out: the feature `", stringify!($name), "` is off.")]
        pub mod $name {
            /// Storage of nothing.
            #[derive(Debug, Default)]
            pub struct $pcb(());

            /// Storage of nothing.
            #[derive(Debug, Default)]
            pub struct $slot(());

            impl $pcb {
                /// Nothing.
                pub const fn new() -> Self {
                    Self(())
                }
            }

            impl $slot {
                /// Nothing.
                pub const fn new() -> Self {
                    Self(())
                }
            }

            /// Storage that is not used.
            #[derive(Debug, Default)]
            pub struct $storage {
                /// Endpoints.
                pub pcbs: &'static mut [$pcb],
                /// What would wait for them.
                pub $waiting: &'static mut [$slot],
            }
        }
    };
}

#[cfg(not(feature = "raw"))]
left_out! { raw: RawStorage { pcbs: RawSlot, packets: PacketSlot } }

#[cfg(not(feature = "packet"))]
left_out! { packet: PacketStorage { pcbs: PacketSlot, frames: FrameSlot } }
