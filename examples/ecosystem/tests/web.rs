//! The web servers (picoserve, edge-http) against curl, the web client (reqwless) against Python's
//! server.
mod common;

use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use common::{
    Outcome, PASSED, Peer, Port, Running, Wire, find, output, pattern, run_on_links, skipped,
};

fn main() -> ExitCode {
    run_on_links(link_tests![
        picoserve_serves,
        picoserve_keeps_connections,
        picoserve_serves_many_at_once,
        edge_http_serves,
        edge_http_serves_many_at_once,
        reqwless_fetches_and_posts,
    ])
}

const WEB_APP: &str = env!("CARGO_BIN_EXE_web_app");
const WEB_EDGE: &str = env!("CARGO_BIN_EXE_web_edge");
const REST_CLIENT: &str = env!("CARGO_BIN_EXE_rest_client");

/// `Err`: this machine has no curl.
fn serve(wire: &Wire, program: &str) -> Result<(Running, SocketAddr), &'static str> {
    find("curl").ok_or("there is no curl")?;
    Ok(wire.serve(program, Port::Tcp(80), &[]))
}

/// Runs curl with `args` and a URL for each path; `body` is what `--data-binary @-` sends.
fn curl(server: SocketAddr, args: &[&str], paths: &[&str], body: &[u8]) -> Vec<u8> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "100"]);
    command.args(args);
    command.args(paths.iter().map(|path| format!("http://{server}{path}")));
    output(&mut command, body)
}

fn text(output: &[u8]) -> &str {
    core::str::from_utf8(output).expect("text")
}

const STATUS: [&str; 4] = ["--output", "/dev/null", "--write-out", "%{http_code}"];
const POST: [&str; 2] = ["--data-binary", "@-"];

fn picoserve_serves(wire: &Wire) -> Outcome {
    let (running, server) = match serve(wire, WEB_APP) {
        Ok(serving) => serving,
        Err(why) => return skipped(why),
    };
    let page = curl(server, &[], &["/"], b"");
    assert_eq!(text(&page), "This is picoserve on gannet.\n");
    assert_eq!(curl(server, &[], &["/add/40/2"], b""), b"42");
    let head = curl(server, &["--head"], &["/"], b"");
    assert!(text(&head).starts_with("HTTP/1.1 200"), "{head:?}");
    let body = pattern(4_096);
    assert_eq!(curl(server, &POST, &["/echo"], &body), body);
    assert_eq!(curl(server, &[], &["/hits"], b""), b"1");
    for (path, args, status) in [
        ("/nothing", &[][..], "404"),
        ("/add/1/many", &[], "404"),
        ("/echo", &["--request", "DELETE"], "405"),
    ] {
        let args = [&STATUS[..], args].concat();
        assert_eq!(text(&curl(server, &args, &[path], b"")), status, "{path}");
    }
    let args = [&STATUS[..], &POST].concat();
    assert_eq!(
        text(&curl(server, &args, &["/echo"], &pattern(5_000))),
        "413"
    );
    assert!(running.stop().success());
    PASSED
}

fn picoserve_keeps_connections(wire: &Wire) -> Outcome {
    let (_running, server) = match serve(wire, WEB_APP) {
        Ok(serving) => serving,
        Err(why) => return skipped(why),
    };
    assert_keeps_connections(server, "/add/1/2");
    PASSED
}

/// Three requests are one connection; of one that may not be kept, each has its own.
fn assert_keeps_connections(server: SocketAddr, path: &str) {
    let count = [
        "--output",
        "/dev/null",
        "--write-out",
        "%{num_connects} %{http_code}\n",
    ];
    // An option `--output` goes with one URL only.
    let args: Vec<&str> = [&count[..], &["-o", "/dev/null"], &["-o", "/dev/null"]].concat();
    let kept = curl(server, &args, &[path; 3], b"");
    assert_eq!(text(&kept), "1 200\n0 200\n0 200\n");
    let args = [&args[..], &["--header", "Connection: close"]].concat();
    let closed = curl(server, &args, &[path; 3], b"");
    assert_eq!(text(&closed), "1 200\n1 200\n1 200\n");
}

fn picoserve_serves_many_at_once(wire: &Wire) -> Outcome {
    let (_running, server) = match serve(wire, WEB_APP) {
        Ok(serving) => serving,
        Err(why) => return skipped(why),
    };
    echo_to_many(server);
    assert_eq!(curl(server, &[], &["/hits"], b""), b"80");
    PASSED
}

/// Twice as many as are served at a time: some wait in the backlog.
fn echo_to_many(server: SocketAddr) {
    thread::scope(|scope| {
        for n in 0..16 {
            scope.spawn(move || {
                let body = pattern(3_000 + n);
                for _ in 0..5 {
                    assert_eq!(curl(server, &POST, &["/echo"], &body), body);
                }
            });
        }
    });
}

fn edge_http_serves(wire: &Wire) -> Outcome {
    let (running, server) = match serve(wire, WEB_EDGE) {
        Ok(serving) => serving,
        Err(why) => return skipped(why),
    };
    let page = curl(server, &[], &["/"], b"");
    assert_eq!(text(&page), "This is edge-http on gannet.\n");
    let body = pattern(4_000);
    assert_eq!(curl(server, &POST, &["/echo"], &body), body);
    // Curl sends this one in chunks.
    let chunked = [&POST[..], &["--header", "Transfer-Encoding: chunked"]].concat();
    assert_eq!(curl(server, &chunked, &["/echo"], &body), body);
    assert_eq!(text(&curl(server, &STATUS, &["/nothing"], b"")), "404");
    assert_keeps_connections(server, "/");
    assert!(running.stop().success());
    PASSED
}

fn edge_http_serves_many_at_once(wire: &Wire) -> Outcome {
    let (_running, server) = match serve(wire, WEB_EDGE) {
        Ok(serving) => serving,
        Err(why) => return skipped(why),
    };
    echo_to_many(server);
    PASSED
}

/// Answers a request for each connection: with what was asked for, or the body that was posted.
const SERVER: &str = r#"
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for n in range(1, 200):
                self.wfile.write(b"%x\r\n%s\r\n" % (n, b"x" * n))
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.answer(404 if self.path == "/nothing" else 200, self.path.encode() * 5000)
    def do_POST(self):
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])).upper())
    def log_message(self, *args):
        pass
server = http.server.HTTPServer((sys.argv[1], 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

fn reqwless_fetches_and_posts(wire: &Wire) -> Outcome {
    let Some(python) = find("python3") else {
        return skipped("there is no python3");
    };
    let mut server = Peer::start(
        Command::new(python)
            .args(["-c", SERVER, &wire.host().to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null()),
    );
    let port = server.lines().wait_for("").parse().expect("a port");
    let url = |path| format!("http://{}{path}", wire.seen_by_board(port));
    let (status, body, errors) = wire.run(REST_CLIENT, &[&url("/page")]);
    assert!(status.success(), "{errors}");
    assert!(body == b"/page".repeat(5_000));
    let (status, body, errors) = wire.run(REST_CLIENT, &[&url("/chunked")]);
    assert!(status.success(), "{errors}");
    assert_eq!(text(&body), "x".repeat(199 * 200 / 2));
    let (status, body, errors) = wire.run(REST_CLIENT, &[&url("/"), "--body", "light on"]);
    assert!(status.success(), "{errors}");
    assert_eq!(text(&body), "LIGHT ON");
    let (status, ..) = wire.run(REST_CLIENT, &[&url("/nothing")]);
    assert!(!status.success());
    PASSED
}
