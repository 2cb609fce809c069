//! An HTTP client with `reqwless` on async sockets: a GET, or a POST of a body.
use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use embassy_time::{Duration, with_timeout};
use embedded_io_async::Read;
use embedded_nal_async::{AddrType, Dns};
use gannet_ecosystem::run_client;
use gannet_examples::board::{Board, NET};
use gannet_examples::options::Network;
use gannet_port_freertos::host::masked;
use gannet_sockets::asynch::{Stack, block_on};
use reqwless::client::HttpClient;
use reqwless::request::{Method, RequestBuilder};
use reqwless::response::Response;
use reqwless::{Error, TryBufRead};

gannet_port_freertos::host!();

/// Fetches a URL and writes the body of the answer to standard output.
#[derive(Parser)]
#[command(name = "rest_client")]
struct Options {
    /// `http://ADDRESS:PORT/PATH`; names are not resolved.
    url: String,

    /// Post this.
    #[arg(long)]
    body: Option<String>,

    #[command(flatten)]
    network: Network,
}

const PATIENCE: Duration = Duration::from_secs(30);

static OPTIONS: OnceLock<Options> = OnceLock::new();
static STACK: Stack = Stack::new(&NET);

fn main() -> ExitCode {
    let options = OPTIONS.get_or_init(Options::parse);
    run_client(options.network.clone(), fetch)
}

fn fetch(_: &Board) -> Result<(), String> {
    let options = OPTIONS.get().ok_or("no options")?;
    block_on(with_timeout(PATIENCE, request(options)))
        .map_err(|error| error.to_string())?
        .map_err(|_| format!("{}: no answer", options.url))?
        .map_err(|error| format!("{}: {error:?}", options.url))
}

async fn request(options: &Options) -> Result<(), Error> {
    let mut client = HttpClient::new(&STACK, &Numeric);
    let mut head = [0; 4_096];
    match &options.body {
        None => {
            let mut request = client.request(Method::GET, &options.url).await?;
            write_out(request.send(&mut head).await?).await
        }
        Some(body) => {
            let request = client.request(Method::POST, &options.url).await?;
            let mut request = request.body(body.as_bytes());
            write_out(request.send(&mut head).await?).await
        }
    }
}

async fn write_out<C: Read + TryBufRead>(answer: Response<'_, '_, C>) -> Result<(), Error> {
    if !answer.status.is_successful() {
        return Err(Error::Codec);
    }
    let mut body = answer.body().reader();
    let mut piece = [0; 1_024];
    loop {
        let n = body.read(&mut piece).await?;
        if n == 0 {
            return Ok(());
        }
        // Nobody has to read it.
        let _ = masked(|| io::stdout().write_all(piece.get(..n).unwrap_or(&[])));
    }
}

/// Addresses are their own names.
struct Numeric;

impl Dns for Numeric {
    type Error = core::net::AddrParseError;

    async fn get_host_by_name(&self, host: &str, _: AddrType) -> Result<IpAddr, Self::Error> {
        host.parse()
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Self::Error> {
        // What has no name has an empty one.
        Ok(0)
    }
}
