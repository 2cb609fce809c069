//! `https_get` (embedded-tls) against OpenSSL's server: whom it trusts, and what arrives.
mod common;

use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use common::{Outcome, PASSED, Peer, Wire, find, output, pattern, run_on_links, skipped};
use tempfile::TempDir;

fn main() -> ExitCode {
    run_on_links(link_tests![
        a_page_arrives_whole,
        a_server_with_another_certificate_is_refused,
        a_server_with_another_name_is_refused,
        an_expired_certificate_is_refused,
        a_server_without_tls_1_3_is_refused,
        a_server_that_hangs_up_is_refused,
        a_page_cut_off_is_an_error,
    ])
}

const HTTPS_GET: &str = env!("CARGO_BIN_EXE_https_get");
const NAME: &str = "board.test";

/// When a certificate is valid.
#[derive(Clone, Copy)]
enum Validity {
    Now,
    Over,
}

/// Settings of `openssl ca`.
const AUTHORITY: &str = "[ca]\ndefault_ca=own\n[own]\nnew_certs_dir=.\ndatabase=index\nserial=serial\n\
    default_md=sha256\npolicy=any\ncopy_extensions=copy\n[any]\ncommonName=supplied\n";

/// A directory with a page, and certificates with their keys.
struct Files {
    dir: TempDir,
    openssl: String,
}

impl Files {
    /// `Err`: this machine has no OpenSSL.
    fn new() -> Result<Self, &'static str> {
        let openssl = find("openssl").ok_or("there is no openssl")?;
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("page"), page()).expect("room");
        Ok(Self { dir, openssl })
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A certificate of P-256, signed with its own key and valid from 2020 to the end of `until`:
    /// the files of it in DER, of it in PEM, and of the key.
    fn certificate(&self, name: &str, until: Validity) -> [PathBuf; 3] {
        let file = |kind| self.path().join(format!("{name}.{kind}"));
        let [der, pem, key, request] = ["der", "pem", "key", "csr"].map(file);
        let subject = format!("/CN={NAME}");
        let openssl = |args: &[&str], files: [(&str, &Path); 2]| {
            let mut command = Command::new(&self.openssl);
            command.current_dir(self.path()).args(args);
            for (option, file) in files {
                command.arg(option).arg(file);
            }
            output(&mut command, b"");
        };
        let name = format!("subjectAltName=DNS:{NAME}");
        let curve = "ec_paramgen_curve:prime256v1";
        openssl(
            &[
                "req", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-subj", &subject, "-addext",
                &name,
            ],
            [("-keyout", &key), ("-out", &request)],
        );
        // `req -x509` makes no certificate that is over.
        fs::write(self.path().join("ca.cnf"), AUTHORITY).expect("room");
        fs::write(self.path().join("index"), "").expect("room");
        let key_file = key.to_str().expect("text");
        let end = match until {
            Validity::Now => "20491231235959Z",
            Validity::Over => "20200131235959Z",
        };
        openssl(
            &[
                "ca",
                "-batch",
                "-config",
                "ca.cnf",
                "-selfsign",
                "-create_serial",
                "-notext",
                "-startdate",
                "20200101000000Z",
                "-enddate",
                end,
                "-keyfile",
                key_file,
            ],
            [("-in", &request), ("-out", &pem)],
        );
        openssl(
            &["x509", "-outform", "DER"],
            [("-in", &pem), ("-out", &der)],
        );
        [der, pem, key]
    }

    /// A server of the directory's files; its port.
    fn serve(&self, wire: &Wire, pem: &Path, key: &Path, version: &str) -> (Peer, u16) {
        let accept = format!("{}:0", wire.host());
        let mut server = Peer::start(
            Command::new(&self.openssl)
                .current_dir(self.path())
                .args(["s_server", "-accept", &accept, "-WWW", version])
                .args(["-cert".as_ref(), pem.as_os_str()])
                .args(["-key".as_ref(), key.as_os_str()])
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        );
        let line = server.lines().wait_for("ACCEPT ");
        let port = line
            .rsplit(':')
            .next()
            .and_then(|port| port.trim().parse().ok());
        (server, port.expect("a port"))
    }
}

/// Many records of TLS.
fn page() -> Vec<u8> {
    pattern(300_000)
}

/// Runs the program: what it has written, or what it complains of.
fn https_get(wire: &Wire, port: u16, name: &str, trust: &Path) -> Result<Vec<u8>, String> {
    let trust = trust.to_str().expect("text");
    let args = [
        &wire.seen_by_board(port),
        "/page",
        "--name",
        name,
        "--trust",
        trust,
    ];
    let (status, page, errors) = wire.run(HTTPS_GET, &args);
    if status.success() {
        Ok(page)
    } else {
        Err(errors)
    }
}

fn a_page_arrives_whole(wire: &Wire) -> Outcome {
    let files = match Files::new() {
        Ok(files) => files,
        Err(why) => return skipped(why),
    };
    let [der, pem, key] = files.certificate("own", Validity::Now);
    let (_server, port) = files.serve(wire, &pem, &key, "-tls1_3");
    // One connection after another.
    for _ in 0..2 {
        let answer = https_get(wire, port, NAME, &der).expect("the page");
        assert!(answer.starts_with(b"HTTP/1.0 200"), "{answer:?}");
        assert!(answer.ends_with(&page()));
    }
    PASSED
}

fn a_server_with_another_certificate_is_refused(wire: &Wire) -> Outcome {
    let files = match Files::new() {
        Ok(files) => files,
        Err(why) => return skipped(why),
    };
    // The same name, another key.
    let [trusted, ..] = files.certificate("trusted", Validity::Now);
    let [_, pem, key] = files.certificate("other", Validity::Now);
    let (_server, port) = files.serve(wire, &pem, &key, "-tls1_3");
    let error = https_get(wire, port, NAME, &trusted).expect_err("no trust");
    assert!(error.contains("InvalidCertificate"), "{error}");
    PASSED
}

fn a_server_with_another_name_is_refused(wire: &Wire) -> Outcome {
    let files = match Files::new() {
        Ok(files) => files,
        Err(why) => return skipped(why),
    };
    let [der, pem, key] = files.certificate("own", Validity::Now);
    let (_server, port) = files.serve(wire, &pem, &key, "-tls1_3");
    let error = https_get(wire, port, "other.test", &der).expect_err("another name");
    assert!(error.contains("InvalidCertificate"), "{error}");
    PASSED
}

fn an_expired_certificate_is_refused(wire: &Wire) -> Outcome {
    let files = match Files::new() {
        Ok(files) => files,
        Err(why) => return skipped(why),
    };
    let [der, pem, key] = files.certificate("own", Validity::Over);
    let (_server, port) = files.serve(wire, &pem, &key, "-tls1_3");
    let error = https_get(wire, port, NAME, &der).expect_err("expired");
    assert!(error.contains("InvalidCertificate"), "{error}");
    PASSED
}

fn a_server_without_tls_1_3_is_refused(wire: &Wire) -> Outcome {
    let files = match Files::new() {
        Ok(files) => files,
        Err(why) => return skipped(why),
    };
    let [der, pem, key] = files.certificate("own", Validity::Now);
    let (_server, port) = files.serve(wire, &pem, &key, "-tls1_2");
    let error = https_get(wire, port, NAME, &der).expect_err("an old version");
    assert!(error.contains("HandshakeAborted"), "{error}");
    PASSED
}

fn a_server_that_hangs_up_is_refused(wire: &Wire) -> Outcome {
    // A server that says nothing of TLS at all, and ends.
    let listener = TcpListener::bind((wire.host(), 0)).expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let files = match Files::new() {
        Ok(files) => files,
        Err(why) => return skipped(why),
    };
    let [der, ..] = files.certificate("own", Validity::Now);
    let server = std::thread::spawn(move || drop(listener.accept().expect("it comes")));
    let error = https_get(wire, port, NAME, &der).expect_err("no server of TLS");
    server.join().expect("no panic");
    assert!(error.contains("TLS"), "{error}");
    PASSED
}

/// TLS says where a page ends; an end of the connection does not.
fn a_page_cut_off_is_an_error(wire: &Wire) -> Outcome {
    let files = match Files::new() {
        Ok(files) => files,
        Err(why) => return skipped(why),
    };
    let [der, pem, key] = files.certificate("own", Validity::Now);
    let (_server, port) = files.serve(wire, &pem, &key, "-tls1_3");
    // Somebody on the way, who ends the connection in order after 100,000 bytes.
    let listener = TcpListener::bind((wire.host(), 0)).expect("a port");
    let between = listener.local_addr().expect("bound").port();
    let relay = std::thread::spawn(move || {
        let (mut board, _) = listener.accept().expect("it comes");
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens");
        let (mut from_board, mut to_server) = (
            board.try_clone().expect("a descriptor"),
            server.try_clone().expect("a descriptor"),
        );
        let asks = std::thread::spawn(move || io::copy(&mut from_board, &mut to_server));
        let part = io::copy(&mut (&mut server).take(100_000), &mut board);
        board.shutdown(Shutdown::Write).expect("it is open");
        assert_eq!(part.expect("the server sends"), 100_000);
        // Until the board has given up too.
        let _ = asks.join().expect("no panic");
    });
    let error = https_get(wire, between, NAME, &der).expect_err("not the whole page");
    relay.join().expect("no panic");
    assert!(error.contains("TLS"), "{error}");
    PASSED
}
