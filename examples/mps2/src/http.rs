//! A small web server: one page and the board's counters; a connection serves one request.
use alloc::string::String;
use core::fmt::Write as _;

use gannet_port_freertos::device::DeviceCounters;
use gannet_sockets::{Error, Shutdown, TcpStream};

const LARGEST_HEAD: usize = 1_024;
const MOST_FIELDS: usize = 16;

static PAGE: &[u8] = include_bytes!("page.html");

/// Serves one request.
///
/// # Errors
/// How the connection failed.
pub(crate) fn serve(stream: &TcpStream, counters: &DeviceCounters) -> Result<(), Error> {
    let mut head = [0; LARGEST_HEAD];
    let Some(request) = read_head(stream, &mut head)? else {
        return respond(stream, "400 Bad Request", "text/plain", b"");
    };
    match request {
        ("GET", "/") => respond(stream, "200 OK", "text/html", PAGE),
        ("GET", "/counters") => {
            let mut text = String::new();
            // Writing to a string can't fail.
            let _ = writeln!(
                text,
                "received {}\nsent {}",
                counters.rx_frames(),
                counters.tx_frames()
            );
            respond(stream, "200 OK", "text/plain", text.as_bytes())
        }
        ("GET", _) => respond(stream, "404 Not Found", "text/plain", b""),
        _ => respond(stream, "405 Method Not Allowed", "text/plain", b""),
    }
}

/// Method and path; `None`: it is no request, or too long.
fn read_head<'a>(
    stream: &TcpStream,
    head: &'a mut [u8],
) -> Result<Option<(&'a str, &'a str)>, Error> {
    let mut len = 0;
    loop {
        let n = match head.get_mut(len..) {
            None | Some([]) => return Ok(None),
            Some(rest) => stream.read(rest)?,
        };
        len += n;
        if n == 0 || is_complete(head.get(..len).unwrap_or_default()) {
            break;
        }
    }
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request.parse(head.get(..len).unwrap_or_default());
    Ok(match (parsed, request.method, request.path) {
        (Ok(httparse::Status::Complete(_)), Some(method), Some(path)) => Some((method, path)),
        _ => None,
    })
}

fn is_complete(head: &[u8]) -> bool {
    head.windows(4).any(|four| four == b"\r\n\r\n")
}

fn respond(stream: &TcpStream, status: &str, kind: &str, body: &[u8]) -> Result<(), Error> {
    let mut head = String::new();
    // Writing to a string can't fail.
    let _ = write!(
        head,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.shutdown(Shutdown::Write)
}
