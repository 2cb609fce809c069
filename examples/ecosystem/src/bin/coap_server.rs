//! A CoAP server with `coap-lite` on a blocking UDP socket.
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use coap_lite::{CoapRequest, MessageClass, Packet, RequestType, ResponseType};
use gannet_examples::board::{Board, STACK_WORDS};
use gannet_examples::options::Network;
use gannet_examples::{Program, run};
use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::{Error, UdpSocket};

gannet_port_freertos::host!();

/// A CoAP server on a simulated FreeRTOS board: GET /temperature; GET and PUT /light.
///
/// Try: coap-client -m put -e on coap://127.0.0.1/light
#[derive(Parser)]
#[command(name = "coap_server")]
struct Options {
    #[command(flatten)]
    network: Network,
}

const PORT: u16 = 5683;
/// The largest message (RFC 7252 §4.6).
const MESSAGE: usize = 1_152;

fn main() -> ExitCode {
    run(
        Options::parse().network,
        Program {
            forwards: &["5683:5683/udp"],
            raw: None,
            main: start,
        },
    )
}

fn start(board: &Board) -> Result<(), String> {
    let socket =
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT).into()).map_err(|error| error.to_string())?;
    spawn("coap", Priority::APPLICATION, STACK_WORDS, move || {
        // Ends when the socket is closed, which is never.
        if let Err(error) = serve(&socket) {
            log::warn!("no CoAP any more: {error}");
        }
    })
    .map_err(|error| error.to_string())?;
    board.serve_until_stopped();
    Ok(())
}

fn serve(socket: &UdpSocket) -> Result<(), Error> {
    let mut light = b"off".to_vec();
    let mut message = [0; MESSAGE];
    loop {
        let (len, from) = socket.recv_from(&mut message)?;
        let message = message.get(..len).unwrap_or(&[]);
        if let Some(answer) = answer(message, from, &mut light) {
            // Lost, as datagrams may be: the client asks again.
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// What is to be sent back, if anything.
fn answer(message: &[u8], from: SocketAddr, light: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut request = CoapRequest::from_packet(Packet::from_bytes(message).ok()?, from);
    if !matches!(request.message.header.code, MessageClass::Request(_)) {
        return None;
    }
    let (status, body) = match (request.get_path().as_str(), request.get_method()) {
        ("temperature", RequestType::Get) => (ResponseType::Content, b"21.5".to_vec()),
        ("light", RequestType::Get) => (ResponseType::Content, light.clone()),
        ("light", RequestType::Put) => {
            light.clone_from(&request.message.payload);
            (ResponseType::Changed, Vec::new())
        }
        ("temperature" | "light", _) => (ResponseType::MethodNotAllowed, Vec::new()),
        _ => (ResponseType::NotFound, Vec::new()),
    };
    let response = request.response.as_mut()?;
    response.set_status(status);
    response.message.payload = body;
    response.message.to_bytes().ok()
}
