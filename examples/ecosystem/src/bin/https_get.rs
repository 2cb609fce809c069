//! HTTPS with `embedded-tls` on a blocking socket, verified against one pinned certificate.
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use clap::Parser;
use embedded_tls::blocking::TlsConnection;
use embedded_tls::pki::CertVerifier;
use embedded_tls::{
    Aes128GcmSha256, Certificate, CryptoProvider, CryptoRngCore, TlsClock, TlsConfig, TlsContext,
    TlsError, TlsVerifier,
};
use gannet_ecosystem::run_client;
use gannet_examples::board::Board;
use gannet_examples::options::Network;
use gannet_port_freertos::host::masked;
use gannet_sockets::TcpStream;
use rand_core::OsRng;
use static_cell::StaticCell;

gannet_port_freertos::host!();

/// Fetches a page over TLS 1.3 and writes the server's answer to standard output.
///
/// The server must prove that it has the key of a certificate signed by the one in --trust (or of
/// that itself), that is valid now and names --name. Nothing else is trusted.
#[derive(Parser)]
#[command(name = "https_get")]
struct Options {
    /// The server's address and port, as the board sees it.
    server: SocketAddr,

    /// The path of the page.
    #[arg(default_value = "/")]
    path: String,

    /// The name that the server's certificate has to have.
    #[arg(long)]
    name: String,

    /// The certificate to trust, in DER; its key is of P-256. Firmware would have it in flash.
    #[arg(long, value_name = "FILE")]
    trust: std::path::PathBuf,

    #[command(flatten)]
    network: Network,
}

const PATIENCE: Duration = Duration::from_secs(30);
/// The largest record of TLS (RFC 8446 §5.2), with its header.
const RECORD: usize = 16_640;
/// The largest certificate of a server.
const CERTIFICATE: usize = 2_048;

static OPTIONS: OnceLock<Options> = OnceLock::new();

fn main() -> ExitCode {
    let options = OPTIONS.get_or_init(Options::parse);
    run_client(options.network.clone(), fetch)
}

fn fetch(_: &Board) -> Result<(), String> {
    let options = OPTIONS.get().ok_or("no options")?;
    let trusted = masked(|| fs::read(&options.trust))
        .map_err(|error| format!("{}: {error}", options.trust.display()))?;
    let stream = TcpStream::connect_timeout(options.server, PATIENCE)
        .map_err(|error| format!("{}: {error}", options.server))?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(|error| error.to_string())?;
    get(&stream, options, &trusted).map_err(|error| format!("{}: TLS: {error}", options.server))
}

fn get(stream: &TcpStream, options: &Options, trusted: &[u8]) -> Result<(), TlsError> {
    // Too large for the stack of a task.
    static RECEIVED: StaticCell<[u8; RECORD]> = StaticCell::new();
    static SENT: StaticCell<[u8; 4_096]> = StaticCell::new();
    let (received, sent) = (RECEIVED.init([0; RECORD]), SENT.init([0; 4_096]));
    let config = TlsConfig::new().with_server_name(&options.name);
    let mut tls: TlsConnection<'_, _, Aes128GcmSha256> = TlsConnection::new(stream, received, sent);
    let provider = Provider {
        verifier: CertVerifier::new(Certificate::X509(trusted)),
    };
    tls.open(TlsContext::new(&config, provider))?;

    let (path, host) = (&options.path, &options.name);
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
    let mut request = request.as_bytes();
    while !request.is_empty() {
        let n = tls.write(request)?;
        request = request.get(n..).unwrap_or(&[]);
    }
    tls.flush()?;
    let mut page = [0; 1_024];
    loop {
        match tls.read(&mut page) {
            // The server's close_notify. An end of the stream without it is an error: somebody
            // on the way may have cut the page off.
            Err(TlsError::ConnectionClosed) => break,
            Ok(n) => write_out(page.get(..n).unwrap_or(&[]))?,
            Err(error) => return Err(error),
        }
    }
    tls.close().map(drop).map_err(|(_, error)| error)
}

/// Where `embedded-tls` gets random numbers and trust from.
struct Provider<'a> {
    verifier: CertVerifier<'a, Aes128GcmSha256, WallClock, CERTIFICATE>,
}

impl CryptoProvider for Provider<'_> {
    type CipherSuite = Aes128GcmSha256;
    /// The client has no certificate and signs nothing.
    type Signature = &'static [u8];

    fn rng(&mut self) -> impl CryptoRngCore {
        OsRng
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<Aes128GcmSha256>, TlsError> {
        Ok(&mut self.verifier)
    }
}

/// The time of day, in seconds since 1970: the host's here, a board has it from its clock or SNTP.
struct WallClock;

impl TlsClock for WallClock {
    fn now() -> Option<u64> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map(|since| since.as_secs()).ok()
    }
}

fn write_out(data: &[u8]) -> Result<(), TlsError> {
    masked(|| io::stdout().write_all(data)).map_err(|_| TlsError::IoError)
}
