//! The sets of flags that calls take: what POSIX writes as `MSG_PEEK | MSG_DONTWAIT`.

macro_rules! flags {
    (
        $(#[$type_attr:meta])* $type:ident($repr:ty) {
            $($(#[$attr:meta])* $name:ident = $value:literal;)*
        }
    ) => {
        $(#[$type_attr])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $type($repr);

        $($(#[$attr])* pub const $name: $type = $type($value);)*

        impl $type {
            /// No flag.
            pub const NONE: Self = Self(0);

            /// Whether all flags of `other` are in `self`.
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether a flag of `other` is in `self`.
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// The flags as Linux numbers them.
            pub const fn bits(self) -> $repr {
                self.0
            }
        }

        impl core::ops::BitOr for $type {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl core::ops::BitOrAssign for $type {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }
    };
}

flags! {
    /// How to send or receive: `MSG_...`.
    MsgFlags(u32) {
        /// Urgent data: not offered for sending or receiving apart (`EOPNOTSUPP`); it is received
        /// in line.
        MSG_OOB = 0x1;
        /// The data stays, to be received again.
        MSG_PEEK = 0x2;
        /// UDP: the call returns the datagram's length, even if it was cut off. Of a received
        /// message: it was cut off.
        MSG_TRUNC = 0x20;
        /// This call does not sleep.
        MSG_DONTWAIT = 0x40;
        /// TCP: sleeps until the buffer is full, the stream ends or an error happens. No effect
        /// with [`MSG_PEEK`].
        MSG_WAITALL = 0x100;
        /// An error instead of data, see [`recvmsg`](super::recvmsg). Of a received message: it is
        /// one.
        MSG_ERRQUEUE = 0x2000;
        /// No signal at a broken pipe; there are no signals here, so it changes nothing.
        MSG_NOSIGNAL = 0x4000;
        /// TCP: more follows at once, a small segment may wait for it.
        MSG_MORE = 0x8000;
        /// `recvmmsg`: sleeps for the first message only.
        MSG_WAITFORONE = 0x10000;
    }
}

flags! {
    /// What [`poll`](super::poll()) waits for and reports: `POLL...`.
    PollFlags(u16) {
        /// Receiving or accepting would not sleep.
        POLLIN = 0x1;
        /// Urgent data: never, it is received in line.
        POLLPRI = 0x2;
        /// Sending would not sleep.
        POLLOUT = 0x4;
        /// An error waits to be told. Reported whether asked for or not.
        POLLERR = 0x8;
        /// Nothing will ever flow again. Reported whether asked for or not.
        POLLHUP = 0x10;
        /// The descriptor is not open. Reported whether asked for or not.
        POLLNVAL = 0x20;
        /// As [`POLLIN`]: there are no priorities.
        POLLRDNORM = 0x40;
        /// As [`POLLOUT`].
        POLLWRNORM = 0x100;
        /// The peer has closed its side.
        POLLRDHUP = 0x2000;
    }
}

flags! {
    /// How a socket is made: `SOCK_...`.
    SocketFlags(u32) {
        /// Calls on it do not sleep.
        SOCK_NONBLOCK = 0o4000;
        /// Accepted, without effect: there is no `exec`.
        SOCK_CLOEXEC = 0o2000000;
    }
}

flags! {
    /// How an event counts: `EFD_...`.
    EventFlags(u32) {
        /// Reading takes one from the counter instead of all.
        EFD_SEMAPHORE = 0o1;
        /// Calls on it do not sleep.
        EFD_NONBLOCK = 0o4000;
        /// Accepted, without effect: there is no `exec`.
        EFD_CLOEXEC = 0o2000000;
    }
}

flags! {
    /// The status of a descriptor: `O_...`.
    StatusFlags(u32) {
        /// Reading and writing; always there.
        O_RDWR = 0o2;
        /// Calls do not sleep.
        O_NONBLOCK = 0o4000;
    }
}

pub(super) use flags;
