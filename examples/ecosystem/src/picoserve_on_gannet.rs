//! What `picoserve` wants of a socket and of a clock. It knows those of embassy and tokio; for any
//! other it takes them from the application, over the traits of `embedded-io-async`.
use embedded_io_async::{ErrorType, Write};
use gannet_sockets::Shutdown;
use gannet_sockets::asynch::TcpStream;
use gannet_sockets::io::IoError;
use picoserve::io::Socket;
use picoserve::mem::{BorrowedBuffer, BorrowedCursor};
use picoserve::time::{Duration, Timer};
use picoserve::{Error, Timeouts};

/// Bytes that are written at once, at most, where the length is not known beforehand.
const PIECE: usize = 1_024;

/// Names the traits' implementations here, as `picoserve` asks for.
#[derive(Debug)]
pub struct Runtime;

/// Time as `embassy-time` has it.
#[derive(Clone, Copy, Debug)]
pub struct Clock;

impl Timer<Runtime> for Clock {
    async fn delay(&self, duration: Duration) {
        embassy_time::Timer::after_millis(duration.as_millis()).await;
    }
}

/// A connection.
#[derive(Debug)]
pub struct Gannet(pub TcpStream);

impl Socket<Runtime> for Gannet {
    type Error = IoError;
    type ReadHalf<'a> = &'a TcpStream;
    type WriteHalf<'a> = Writer<'a>;

    fn split(&mut self) -> (&TcpStream, Writer<'_>) {
        // Both directions of a stream can be used at a time.
        (&self.0, Writer(&self.0))
    }

    async fn abort<T: Timer<Runtime>>(mut self, _: &Timeouts, _: &T) -> Result<(), Error<IoError>> {
        edge_nal::TcpShutdown::abort(&mut self.0)
            .await
            .map_err(Error::Write)
    }

    async fn shutdown<T: Timer<Runtime>>(
        self,
        timeouts: &Timeouts,
        timer: &T,
    ) -> Result<(), Error<IoError>> {
        match self.0.shutdown(Shutdown::Write) {
            // The client was faster.
            Err(gannet_sockets::Error::NotConnected) => return Ok(()),
            outcome => outcome.map_err(|error| Error::Write(IoError(error)))?,
        }
        // Until the client has closed too: what it has sent and nobody has read would make of the
        // close a reset, and that may overtake the answer.
        let mut rest = [0; 128];
        loop {
            let read = timer
                .run_with_timeout(timeouts.read_request, self.0.read(&mut rest))
                .await
                .map_err(Error::ReadTimeout)?;
            match read {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(Error::Read(IoError(error))),
            }
        }
    }
}

/// The writing half; lends a buffer to what is formatted.
#[derive(Debug)]
pub struct Writer<'a>(&'a TcpStream);

impl ErrorType for Writer<'_> {
    type Error = IoError;
}

impl Write for Writer<'_> {
    async fn write(&mut self, data: &[u8]) -> Result<usize, IoError> {
        self.0.write(data).await.map_err(IoError)
    }

    async fn flush(&mut self) -> Result<(), IoError> {
        self.0.flush().await
    }
}

impl picoserve::io::Write for Writer<'_> {
    async fn write_with<F: FnOnce(BorrowedCursor<'_>) -> R, R>(
        &mut self,
        f: F,
    ) -> Result<R, IoError> {
        let mut bytes = [0; PIECE];
        let mut buffer = BorrowedBuffer::new(&mut bytes);
        let result = f(buffer.unfilled());
        self.0.write_all(buffer.filled()).await?;
        Ok(result)
    }
}
