//! MQTT 5 with `rust-mqtt` on async sockets: a station that tells how it is and hears commands, and
//! comes back when the broker does.
use std::net::SocketAddr;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::Parser;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use gannet_ecosystem::{run_client, say};
use gannet_examples::board::STACK_WORDS;
use gannet_examples::options::Network;
use gannet_port_freertos::{Priority, spawn};
use gannet_sockets::asynch::{TcpStream, block_on};
use rust_mqtt::Bytes;
use rust_mqtt::buffer::AllocBuffer;
use rust_mqtt::client::Client;
use rust_mqtt::client::event::{Event, Publish};
use rust_mqtt::client::options::{
    ConnectOptions, PublicationOptions, SubscriptionOptions, TopicReference,
};
use rust_mqtt::config::KeepAlive;
use rust_mqtt::types::{IdentifiedQoS, MqttString, TopicFilter, TopicName};

gannet_port_freertos::host!();

/// A station on an MQTT broker: says "online" (QoS 1) and counts (QoS 0) under gannet/, and prints
/// all it receives from there, its own messages included.
///
/// Try: mosquitto; then mosquitto_pub -t gannet/command -m hello
#[derive(Parser)]
#[command(name = "mqtt_station")]
struct Options {
    /// The broker's address and port, as the board sees it.
    #[arg(default_value = "10.0.0.1:1883")]
    broker: SocketAddr,

    #[command(flatten)]
    network: Network,
}

/// Between two counts; also keeps the connection alive.
const INTERVAL: Duration = Duration::from_secs(1);
/// Until the broker takes the connection for dead (MQTT's keep alive), and we an attempt to connect.
const PATIENCE: u16 = 10;
/// Before the next attempt.
const PAUSE: Duration = Duration::from_millis(250);

static OPTIONS: OnceLock<Options> = OnceLock::new();

fn main() -> ExitCode {
    let options = OPTIONS.get_or_init(Options::parse);
    run_client(options.network.clone(), |board| {
        spawn("mqtt", Priority::APPLICATION, STACK_WORDS, stay_online)
            .map_err(|error| error.to_string())?;
        board.serve_until_stopped();
        Ok(())
    })
}

/// The task: one session after another.
fn stay_online() {
    let broker = OPTIONS.get().expect("parsed in main").broker;
    let outcome = block_on(async {
        loop {
            let error = session(broker).await;
            say(format_args!("offline: {error}"));
            Timer::after(PAUSE).await;
        }
    });
    // Too few waiters are a mistake in the board's configuration.
    let Err(error): Result<core::convert::Infallible, _> = outcome;
    say(format_args!("no executor: {error}"));
}

/// A session, until it fails: how.
async fn session(broker: SocketAddr) -> String {
    match try_session(broker).await {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

async fn try_session(broker: SocketAddr) -> Result<core::convert::Infallible, String> {
    let patience = Duration::from_secs(PATIENCE.into());
    let stream = with_timeout(patience, TcpStream::connect(broker))
        .await
        .map_err(|_| "the broker does not answer".to_string())?
        .map_err(|error| error.to_string())?;
    // A client for each session: with `clean_start` there is nothing to carry over.
    let mut buffer = AllocBuffer;
    let mut client = Client::<_, _, 1, 4, 4, 1, 0, 0, 0>::new(&mut buffer);
    let options = ConnectOptions::new()
        .clean_start()
        .keep_alive(KeepAlive::Seconds(
            const { NonZero::new(PATIENCE).unwrap() },
        ));
    let name = MqttString::from_str("gannet").map_err(debug)?;
    with_timeout(patience, client.connect(stream, &options, Some(name)))
        .await
        .map_err(|_| "the broker does not answer".to_string())?
        .map_err(debug)?;

    let all = MqttString::from_str("gannet/#").map_err(debug)?;
    let all = TopicFilter::new(all).ok_or("not a filter")?;
    let wanted = SubscriptionOptions::new().at_least_once();
    client.subscribe(all, &wanted).await.map_err(debug)?;
    client
        .publish(&to("gannet/state")?.at_least_once(), "online".into())
        .await
        .map_err(debug)?;

    let (mut count, mut next) = (0, Instant::now());
    loop {
        // `poll_header` may be dropped half-way; what has begun with a header must be finished.
        match select(client.poll_header(), Timer::at(next)).await {
            Either::First(header) => {
                let header = header.map_err(debug)?;
                tell(client.poll_body(header).await.map_err(debug)?);
            }
            Either::Second(()) => {
                count += 1;
                next += INTERVAL;
                let text = count.to_string();
                client
                    .publish(&to("gannet/count")?, Bytes::from(text.as_bytes()))
                    .await
                    .map_err(debug)?;
            }
        }
    }
}

fn to(topic: &'static str) -> Result<PublicationOptions<'static>, String> {
    let topic = MqttString::from_str(topic).map_err(debug)?;
    let topic = TopicName::new(topic).ok_or("not a topic")?;
    Ok(PublicationOptions::new(TopicReference::Name(topic)))
}

fn tell(event: Event<'_, 1, 0>) {
    match event {
        Event::Suback(_) => say("subscribed"),
        Event::PublishAcknowledged(_) => say("acknowledged"),
        Event::Publish(Publish {
            topic: TopicReference::Name(topic),
            identified_qos,
            message,
            ..
        }) => {
            let qos = match identified_qos {
                IdentifiedQoS::AtMostOnce => 0,
                IdentifiedQoS::AtLeastOnce(_) => 1,
                IdentifiedQoS::ExactlyOnce(_) => 2,
            };
            let text = String::from_utf8_lossy(message.as_bytes());
            say(format_args!(
                "{} QoS {qos}: {text}",
                topic.as_ref().as_str()
            ));
        }
        other => say(format_args!("{other:?}")),
    }
}

fn debug(error: impl core::fmt::Debug) -> String {
    format!("{error:?}")
}
