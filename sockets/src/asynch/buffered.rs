//! [`BufStream`] for tasks of an executor.
use embedded_io_async::{BufRead, Read, Write};
use gannet_netconn::{Patience, Ready};

use super::TcpStream;
use crate::BufStream;
use crate::buffered::AT_ONCE;
use crate::io::IoError;

macro_rules! waiting {
    ($($stream:ty),*) => {$(
        impl BufRead for BufStream<$stream> {
            async fn fill_buf(&mut self) -> Result<&[u8], IoError> {
                if self.at_hand().is_empty() {
                    let conn = self.stream().netconn();
                    let attempt = || conn.recv_pbuf(AT_ONCE, Patience::Never);
                    let data = conn.ready_for(Ready::READ, attempt).await;
                    self.take_in(data.map_err(IoError)?);
                }
                Ok(self.at_hand())
            }

            fn consume(&mut self, n: usize) {
                self.consumed(n);
            }
        }

        impl Read for BufStream<$stream> {
            async fn read(&mut self, buf: &mut [u8]) -> Result<usize, IoError> {
                match self.copy_out(buf) {
                    0 => self.stream().read(buf).await.map_err(IoError),
                    n => Ok(n),
                }
            }
        }

        impl Write for BufStream<$stream> {
            async fn write(&mut self, buf: &[u8]) -> Result<usize, IoError> {
                self.stream().write(buf).await.map_err(IoError)
            }

            /// Nothing to do: what was written is the stack's.
            async fn flush(&mut self) -> Result<(), IoError> {
                Ok(())
            }
        }
    )*};
}

waiting!(TcpStream, &TcpStream);
