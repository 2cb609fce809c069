//! Prints what of the stack takes how much memory on this machine.
use gannet_tests_memory::TABLE;

fn main() {
    println!("bytes on a machine of {} bits", usize::BITS);
    for line in TABLE {
        println!("{:>6}  {:<50} {}", line.bytes, line.what, line.declared);
    }
}
