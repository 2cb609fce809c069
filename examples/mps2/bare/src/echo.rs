//! The stack, its memory and the two services.
use core::net::Ipv4Addr;
use core::ptr;

use gannet_core::tcp::{Data, More};
use gannet_core::udp::Datagram;
use gannet_core::{
    Capabilities, Checksums, Config, Driver, Error, Handler, HwAddr, Instant, Medium, Owner, Pbuf,
    Refused, Stack, Subnet, Tcp, TcpListener, TcpPcb, Udp, UdpPcb, pbuf_pool,
    resources::ConstStaticCell, stack_storage,
};

const ECHO: u16 = 7;
const OWNER: Owner = Owner(0);

pbuf_pool! { static RX: [1536; 8] }
pbuf_pool! { static TX: [1536; 8] + refs 16 }
pbuf_pool! { static HEADERS: [128; 16] }
stack_storage! {
    static STORAGE: {
        connections: 8, listeners: 1, half_open: 4, time_wait: 8, out_of_order: 8, in_flight: 16,
        udp: 1, datagrams: 8, interfaces: 1, neighbors: 8, pending: 4, routes: 1, reassembly: 1,
        loopback: 4,
    }
}
static DEVICE: ConstStaticCell<Device> = ConstStaticCell::new(Device);

pub(crate) fn run() -> ! {
    let storage = STORAGE.take(&TX, &HEADERS).expect("taken here only");
    let mut stack = Stack::new(storage, Config::default(), &mut |bytes| {
        bytes.fill(register() as u8)
    });
    let subnet = Subnet::new(Ipv4Addr::new(10, 0, 0, 2), 24).expect("24 bits are a prefix");
    stack
        .add_netif(DEVICE.take(), Some(subnet))
        .expect("a free interface");
    let mut echo = Echo::start(&mut stack).expect("free ports");
    loop {
        let handlers: &mut [&mut dyn Handler] = &mut [&mut echo];
        // The deadline could set a timer, and the loop sleep until that or a frame.
        let _ = stack.turn(Instant::from_micros(register().into()), handlers);
    }
}

struct Echo;

impl Echo {
    fn start(stack: &mut Stack) -> Result<Self, Error> {
        let any = ([0, 0, 0, 0], ECHO).into();
        let tcp = &mut stack.tcp_now();
        let pcb = tcp.new(OWNER)?;
        tcp.bind(pcb, any)?;
        tcp.listen(pcb, 4)?;
        let udp = &mut stack.udp_now();
        let pcb = udp.new(OWNER)?;
        udp.bind(pcb, any)?;
        Ok(Self)
    }
}

impl Handler for Echo {
    fn accept(&mut self, _: &mut Tcp<'_>, _: TcpListener, _: TcpPcb) -> Result<(), Error> {
        Ok(())
    }

    fn recv(&mut self, tcp: &mut Tcp<'_>, pcb: TcpPcb, data: Option<Pbuf>) -> Result<(), Refused> {
        let Some(data) = data else {
            let _ = tcp.close(pcb);
            return Ok(());
        };
        match tcp.write(pcb, Data::Pbuf(data), More::No) {
            Err(refused) if refused.error == Error::NoMemory => match refused.data {
                Data::Pbuf(data) => Err(Refused(data)),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn udp_recv(&mut self, udp: &mut Udp<'_>, pcb: UdpPcb, datagram: Datagram) {
        let _ = udp.send_to(pcb, datagram.data, datagram.from);
    }
}

struct Device;

impl Driver for Device {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            medium: Medium::Ethernet(HwAddr([2, 0, 0, 0, 0, 2])),
            mtu: 1500,
            tx_checksums: Checksums::NONE,
            rx_checksums: Checksums::NONE,
            tso: 0,
        }
    }

    fn receive(&mut self) -> Option<Pbuf> {
        if register() == 0 {
            return None;
        }
        let mut frame = Pbuf::alloc(&RX, 2, 1514).ok()?;
        for byte in frame.data_mut()? {
            *byte = register() as u8;
        }
        Some(frame)
    }

    fn transmit(&mut self, frame: Pbuf) -> Result<(), Pbuf> {
        for part in frame.parts() {
            part.iter().for_each(|byte| tell(*byte));
        }
        Ok(())
    }
}

/// The device's only register.
const REGISTER: *mut u32 = ptr::without_provenance_mut(0x4000_0000);

fn register() -> u32 {
    // SAFETY: an aligned address outside of all memory of the program.
    unsafe { REGISTER.read_volatile() }
}

fn tell(byte: u8) {
    // SAFETY: as in `register`.
    unsafe { REGISTER.write_volatile(byte.into()) };
}
