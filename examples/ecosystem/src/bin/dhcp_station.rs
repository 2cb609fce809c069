//! A station that nobody has configured: its address comes by DHCP (`edge-dhcp`), the addresses of
//! others by DNS (`domain`), and with both it fetches a page again and again (`reqwless`).
use core::convert::Infallible;
use core::fmt;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::watch::Watch;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use gannet_ecosystem::dhcp::{Client, Event, Lease, Why};
use gannet_ecosystem::resolver::Resolver;
use gannet_ecosystem::{run_dynamic, say};
use gannet_examples::board::{NET, STACK_WORDS};
use gannet_examples::options::Network;
use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::asynch::{Stack, block_on};
use gannet_sockets::{Error, NetifId};
use getrandom::SysRng;
use getrandom::rand_core::{Rng, UnwrapErr};
use reqwless::client::HttpClient;
use reqwless::request::Method;

gannet_port_freertos::host!();

/// A station that gets its address by DHCP, says what becomes of it, and fetches a page.
///
/// Try, as root: ip tuntap add dev board mode tap; ip addr add 10.1.0.1/24 dev board; ip link set
/// board up; dnsmasq -d -i board -F 10.1.0.50,10.1.0.99 --address /station.test/10.1.0.1; and
/// dhcp_station --tap board --resolve station.test
#[derive(Parser)]
#[command(name = "dhcp_station")]
struct Options {
    /// The page, by a name that the network's server knows.
    url: Option<String>,

    /// A name to find the address of, as often; can be given several times.
    #[arg(long = "resolve", value_name = "NAME")]
    names: Vec<String>,

    /// Seconds from one fetch to the next.
    #[arg(long, default_value = "60")]
    every: u64,

    /// Seconds for which a lease is trusted at most, whatever the server says.
    #[arg(long, default_value = "86400")]
    lease_at_most: u64,

    #[command(flatten)]
    network: Network,
}

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The interface.
const NETIF: NetifId = NetifId::with_index(0);

static OPTIONS: OnceLock<Options> = OnceLock::new();
static STACK: Stack = Stack::new(&NET);
static RESOLVER: Resolver = Resolver::new(&NET, number);
/// Whether there is an address.
static ONLINE: Watch<CriticalSectionRawMutex, bool, 1> = Watch::new();

fn main() -> ExitCode {
    let options = OPTIONS.get_or_init(Options::parse);
    run_dynamic(options.network.clone(), |board| {
        spawn("station", Priority::APPLICATION, STACK_WORDS, station)
            .map_err(|error| error.to_string())?;
        board.serve_until_stopped();
        Ok(())
    })
}

/// The task.
fn station() {
    let options = OPTIONS.get().expect("parsed in main");
    let outcome = block_on(async {
        match select(stay_configured(options), stay_informed(options)).await {
            Either::First(outcome) => outcome,
            Either::Second(never) => match never {},
        }
    });
    let error = match outcome {
        Ok(Err(error)) | Err(error) => error,
        Ok(Ok(never)) => match never {},
    };
    // Too few endpoints or waiters are a mistake in the board's configuration.
    say(format_args!("given up: {error}"));
}

async fn stay_configured(options: &Options) -> Result<Infallible, Error> {
    let at_most = Duration::from_secs(options.lease_at_most);
    let mut client = Client::new(&NET, NETIF, at_most, UnwrapErr(SysRng))?;
    client.run(hear).await
}

fn hear(event: Event) {
    match event {
        Event::Bound(lease) => {
            RESOLVER.set_servers(lease.name_servers);
            ONLINE.sender().send(true);
            say(format_args!("bound: {}", Told(lease)));
        }
        Event::Renewed(lease) => {
            RESOLVER.set_servers(lease.name_servers);
            say(format_args!("renewed: {}", Told(lease)));
        }
        Event::Lost(why) => {
            RESOLVER.set_servers([None; 2]);
            ONLINE.sender().send(false);
            say(match why {
                Why::Refused => "lost: a server has refused the address",
                Why::Expired => "lost: no server has prolonged the lease",
            });
        }
        Event::Declined(addr, owner) => say(format_args!("declined: {addr} is {owner}'s")),
    }
}

/// A lease as it is told.
struct Told(Lease);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lease { subnet, .. } = self.0;
        write!(f, "{}/{}", subnet.addr(), subnet.prefix())?;
        if let Some(gateway) = self.0.gateway {
            write!(f, ", gateway {gateway}")?;
        }
        for server in self.0.name_servers.into_iter().flatten() {
            write!(f, ", name server {server}")?;
        }
        let left = self.0.end.saturating_duration_since(Instant::now());
        write!(f, ", {} s from {}", left.as_secs(), self.0.server)
    }
}

async fn stay_informed(options: &Options) -> Infallible {
    let mut online = ONLINE.receiver().expect("the only one");
    loop {
        online.get_and(|online| *online).await;
        for name in &options.names {
            match RESOLVER.resolve(name).await {
                Ok(addr) => say(format_args!("name: {name} is {addr}")),
                Err(error) => say(format_args!("no name: {name}: {error}")),
            }
        }
        if let Some(url) = &options.url {
            match with_timeout(PATIENCE, fetch(url)).await {
                Ok(Ok(page)) => say(format_args!("page: {page}")),
                Ok(Err(error)) => say(format_args!("no page: {error:?}")),
                Err(_) => say("no page: it takes too long"),
            }
        }
        Timer::after_secs(options.every).await;
    }
}

/// The page, as far as it is text of up to 2 KB.
async fn fetch(url: &str) -> Result<String, reqwless::Error> {
    let mut client = HttpClient::new(&STACK, &RESOLVER);
    let mut head = [0; 2_048];
    let mut request = client.request(Method::GET, url).await?;
    let answer = request.send(&mut head).await?;
    if !answer.status.is_successful() {
        return Err(reqwless::Error::Codec);
    }
    let body = answer.body().read_to_end().await?;
    Ok(String::from_utf8_lossy(body).into_owned())
}

fn number() -> u16 {
    // The low half is as good as the high one.
    UnwrapErr(SysRng).next_u32() as u16
}
