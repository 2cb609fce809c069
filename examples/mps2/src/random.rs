//! Random numbers for the stack's keys. The MPS2 has no generator: in an emulator the host's is used
//! over semihosting. A board with a generator asks that instead.
use cortex_m_semihosting::syscall;

static PATH: &[u8] = b"/dev/urandom\0";
/// "rb".
const READ_BINARY: usize = 1;

/// Fills `bytes` with random ones.
pub(crate) fn fill(bytes: &mut [u8]) {
    // SAFETY: SYS_OPEN takes a path that ends in zero, its length without that, and a mode.
    let file = unsafe { syscall!(OPEN, PATH.as_ptr(), READ_BINARY, PATH.len() - 1) };
    assert!(
        file != usize::MAX,
        "no random numbers: {PATH:?} can't be opened"
    );
    // SAFETY: SYS_READ writes at most so many bytes there; it returns how many it did not.
    let missing = unsafe { syscall!(READ, file, bytes.as_mut_ptr(), bytes.len()) };
    assert!(missing == 0, "too few random numbers");
    // SAFETY: SYS_CLOSE takes a file.
    unsafe { syscall!(CLOSE, file) };
}
