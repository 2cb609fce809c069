//! HTTP/1.1 on one connection: requests with keep-alive, and the few things the examples serve.
use core::fmt::Write as _;
use core::time::Duration;

use gannet_sockets::{Error, TcpStream};
use serde_json::{Value, json};

use crate::{pattern, stats};

/// Of the request line and header fields.
const LARGEST_HEAD: usize = 4_096;
const MOST_FIELDS: usize = 48;
/// How long a client may be silent; a task is held meanwhile.
const IDLE: Duration = Duration::from_secs(30);
/// The body of a refused request is read up to here, so that the client sees the answer.
const LARGEST_DISCARDED: u64 = 64 * 1024;

static PAGE: &[u8] = include_bytes!("page.html");

/// Serves a connection until the client or an error ends it.
///
/// # Errors
/// How the connection failed; a client that is silent for too long is no failure.
pub fn serve(stream: &TcpStream) -> Result<(), Error> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut input = Input {
        stream,
        buffer: [0; LARGEST_HEAD],
        start: 0,
        end: 0,
    };
    loop {
        let request = match input.head() {
            Ok(Some(request)) => request,
            Ok(None) | Err(HeadError::Io(Error::WouldBlock)) => return Ok(()),
            Err(HeadError::Io(error)) => return Err(error),
            Err(HeadError::Refused(status)) => {
                return respond(stream, &Request::CLOSING, status, "text/plain", b"");
            }
        };
        answer(&mut input, &request)?;
        if request.after == After::Close {
            return Ok(());
        }
    }
}

/// What a request asks for.
#[derive(Debug)]
struct Request {
    method: Method,
    path: String,
    body: u64,
    /// The client waits for leave to send the body.
    asks_first: bool,
    after: After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// What follows the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    KeepAlive,
    Close,
}

impl Request {
    /// In place of one that was not understood.
    const CLOSING: Self = Self {
        method: Method::Other,
        path: String::new(),
        body: 0,
        asks_first: false,
        after: After::Close,
    };
}

enum HeadError {
    Io(Error),
    /// To be answered with this status line.
    Refused(&'static str),
}

impl From<Error> for HeadError {
    fn from(error: Error) -> Self {
        Self::Io(error)
    }
}

/// What has been received and not yet used.
struct Input<'a> {
    stream: &'a TcpStream,
    buffer: [u8; LARGEST_HEAD],
    start: usize,
    end: usize,
}

impl Input<'_> {
    fn unread(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or(&[])
    }

    /// Receives more; 0 at the end of the stream.
    fn fill(&mut self) -> Result<usize, Error> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let n = self
            .stream
            .read(self.buffer.get_mut(self.end..).unwrap_or(&mut []))?;
        self.end += n;
        Ok(n)
    }

    /// The next request, up to its body; `None` if the client has none.
    fn head(&mut self) -> Result<Option<Request>, HeadError> {
        loop {
            if let Some((len, request)) = parse(self.unread())? {
                self.start += len;
                return Ok(Some(request));
            }
            if self.end - self.start == LARGEST_HEAD {
                return Err(HeadError::Refused("431 Request Header Fields Too Large"));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads a body of `len` bytes; gives pieces of it to `take`.
    fn body(&mut self, len: u64, mut take: impl FnMut(&[u8])) -> Result<(), Error> {
        let mut left = len;
        while left > 0 {
            if self.start == self.end && self.fill()? == 0 {
                return Err(Error::NotConnected);
            }
            let piece = self.unread();
            let usable = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
            take(piece.get(..usable).unwrap_or(&[]));
            self.start += usable;
            left -= usable as u64;
        }
        Ok(())
    }
}

/// The request at the front of `bytes` and its length; `None` if it is not complete.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Request)>, HeadError> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(HeadError::Refused("400 Bad Request")),
    };
    let mut request = Request {
        method: match head.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            Some("POST" | "PUT") => Method::Post,
            _ => Method::Other,
        },
        path: head.path.unwrap_or("/").into(),
        body: 0,
        asks_first: false,
        after: if head.version == Some(1) {
            After::KeepAlive
        } else {
            After::Close
        },
    };
    for field in head.headers.iter() {
        let value = core::str::from_utf8(field.value).unwrap_or("").trim();
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            request.body = value
                .parse()
                .map_err(|_| HeadError::Refused("400 Bad Request"))?;
        } else if is("transfer-encoding") {
            // RFC 9112 §6.3: a server may ask for a length.
            return Err(HeadError::Refused("411 Length Required"));
        } else if is("expect") {
            request.asks_first = value.eq_ignore_ascii_case("100-continue");
        } else if is("connection") && value.eq_ignore_ascii_case("close") {
            request.after = After::Close;
        }
    }
    Ok(Some((len, request)))
}

fn answer(input: &mut Input<'_>, request: &Request) -> Result<(), Error> {
    let stream = input.stream;
    let path = request.path.split('?').next().unwrap_or("/");
    let is_read = matches!(request.method, Method::Get | Method::Head);
    if is_read && let Some(len) = path.strip_prefix("/bytes/") {
        return match len.parse() {
            Ok(len) => send_pattern(stream, request, len),
            Err(_) => respond(
                stream,
                request,
                "400 Bad Request",
                "text/plain",
                b"how many?\n",
            ),
        };
    }
    match (request.method, path) {
        (Method::Post, "/upload") => {
            if request.asks_first {
                stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let mut crc = crc32fast::Hasher::new();
            input.body(request.body, |piece| crc.update(piece))?;
            let crc = format!("{:08x}", crc.finalize());
            respond_json(
                stream,
                request,
                &json!({ "bytes": request.body, "crc32": crc }),
            )
        }
        (Method::Get | Method::Head, "/") => {
            respond(stream, request, "200 OK", "text/html; charset=utf-8", PAGE)
        }
        (Method::Get | Method::Head, "/stats") => respond_json(stream, request, &stats::stats()?),
        (method, _) => {
            let status = match method {
                Method::Get | Method::Head => "404 Not Found",
                _ => "405 Method Not Allowed",
            };
            if request.body > 0 && !request.asks_first {
                input.body(request.body.min(LARGEST_DISCARDED), |_| {})?;
            }
            // A body that was not read would be taken for the next request.
            let after = if request.body > 0 {
                After::Close
            } else {
                request.after
            };
            let request = Request {
                after,
                path: String::new(),
                ..*request
            };
            respond(
                stream,
                &request,
                status,
                "text/plain",
                b"there is nothing of that kind\n",
            )?;
            if after == After::Close {
                Err(Error::Closed)
            } else {
                Ok(())
            }
        }
    }
}

fn respond_json(stream: &TcpStream, request: &Request, value: &Value) -> Result<(), Error> {
    respond(
        stream,
        request,
        "200 OK",
        "application/json",
        format!("{value:#}\n").as_bytes(),
    )
}

fn respond(
    stream: &TcpStream,
    request: &Request,
    status: &str,
    content_type: &str,
    body: &[u8],
) -> Result<(), Error> {
    stream.write_all(head(request, status, content_type, body.len() as u64).as_bytes())?;
    if request.method == Method::Head {
        Ok(())
    } else {
        stream.write_all(body)
    }
}

/// `len` bytes of the pattern, sent from where it lies, without a copy.
fn send_pattern(stream: &TcpStream, request: &Request, len: u64) -> Result<(), Error> {
    let head = head(request, "200 OK", "application/octet-stream", len);
    stream.write_all(head.as_bytes())?;
    if request.method == Method::Head {
        return Ok(());
    }
    let mut offset = 0;
    while offset < len {
        let piece = pattern::at(offset, len - offset);
        stream.write_static(piece)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

fn head(request: &Request, status: &str, content_type: &str, len: u64) -> String {
    let mut head = format!(
        "HTTP/1.1 {status}\r\nServer: gannet\r\nContent-Type: {content_type}\r\n\
         Content-Length: {len}\r\n"
    );
    if request.after == After::Close {
        head.push_str("Connection: close\r\n");
    }
    // Writing to a string does not fail.
    let _ = write!(head, "Cache-Control: no-store\r\n\r\n");
    head
}
