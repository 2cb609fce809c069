//! A websocket client with `edge-http` and `edge-ws` on async sockets.
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use edge_http::io::client::Connection;
use edge_http::ws::{MAX_BASE64_KEY_LEN, MAX_BASE64_KEY_RESPONSE_LEN, NONCE_LEN};
use edge_nal::with_timeout;
use edge_ws::FrameType;
use edge_ws::io::{recv, send};
use gannet_ecosystem::{run_client, say};
use gannet_examples::board::{Board, NET};
use gannet_examples::options::Network;
use gannet_sockets::asynch::{Stack, TcpStream, block_on};
use rand_core::{OsRng, RngCore};

gannet_port_freertos::host!();

/// Sends a text over a websocket, prints what comes back until that is the text again, and says
/// goodbye.
#[derive(Parser)]
#[command(name = "websocket_client")]
struct Options {
    /// The server's address and port, as the board sees it.
    server: SocketAddr,

    /// What to send.
    #[arg(default_value = "hello")]
    text: String,

    #[command(flatten)]
    network: Network,
}

const PATIENCE_MS: u32 = 30_000;
/// The largest message.
const MESSAGE: usize = 8_192;

static OPTIONS: OnceLock<Options> = OnceLock::new();
static STACK: Stack = Stack::new(&NET);

fn main() -> ExitCode {
    let options = OPTIONS.get_or_init(Options::parse);
    run_client(options.network.clone(), say_hello)
}

fn say_hello(_: &Board) -> Result<(), String> {
    let Options { server, text, .. } = OPTIONS.get().ok_or("no options")?;
    let talk = async {
        let mut socket = open(*server).await?;
        with_timeout(PATIENCE_MS, talk(&mut socket, text))
            .await
            .map_err(|error| format!("{error:?}"))
    };
    block_on(talk)
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("{server}: {error}"))
}

/// The handshake is HTTP, which `edge-http` knows.
async fn open(server: SocketAddr) -> Result<TcpStream, String> {
    let mut buffer = [0; 2_048];
    let mut connection: Connection<'_, _, 32> = Connection::new(&mut buffer, &STACK, server);
    let (mut key, mut accepted) = ([0; MAX_BASE64_KEY_LEN], [0; MAX_BASE64_KEY_RESPONSE_LEN]);
    let mut nonce = [0; NONCE_LEN];
    OsRng.fill_bytes(&mut nonce);
    let host = server.to_string();
    // Without an origin edge-http 0.8 would send a field without a name.
    let handshake = async {
        connection
            .initiate_ws_upgrade_request(Some(&host), Some(&host), "/", None, &nonce, &mut key)
            .await?;
        connection.initiate_response().await?;
        let is_open = connection.is_ws_upgrade_accepted(&nonce, &mut accepted)?;
        connection.complete().await?;
        Ok::<_, edge_http::io::Error<_>>(is_open)
    };
    let is_open = with_timeout(PATIENCE_MS, handshake)
        .await
        .map_err(|error| format!("{error:?}"))?;
    if !is_open {
        return Err("the server wants no websocket".into());
    }
    Ok(connection.release().0)
}

async fn talk(
    socket: &mut TcpStream,
    text: &str,
) -> Result<(), edge_ws::Error<gannet_sockets::io::IoError>> {
    // A client masks what it sends, each frame in another way (RFC 6455 §5.3).
    let mask = || Some(OsRng.next_u32());
    send(
        &mut *socket,
        FrameType::Text(false),
        mask(),
        text.as_bytes(),
    )
    .await?;
    let mut message = [0; MESSAGE];
    loop {
        let (kind, len) = recv(&mut *socket, &mut message).await?;
        let data = message.get(..len).unwrap_or(&[]);
        match kind {
            FrameType::Text(_) | FrameType::Continue(_) => {
                let answer = String::from_utf8_lossy(data);
                say(&answer);
                if answer == text {
                    send(&mut *socket, FrameType::Close, mask(), &NORMAL).await?;
                }
            }
            FrameType::Ping => send(&mut *socket, FrameType::Pong, mask(), data).await?,
            FrameType::Close => {
                say("closed");
                return Ok(());
            }
            FrameType::Binary(_) | FrameType::Pong => {}
        }
    }
}

/// The reason of a goodbye: "normal closure" (RFC 6455 §7.4.1).
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();
