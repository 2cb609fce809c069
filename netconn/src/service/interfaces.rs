//! Carries out what threads ask of the stack as a whole: addresses, gateways, routes.
use core::net::{IpAddr, Ipv4Addr};

use gannet_core::{Error as CoreError, NetifId, Stack, Subnet};

use super::Service;
use crate::error::Error;
use crate::interfaces::{Answer, Request};
use crate::shared::Attached;

impl Service {
    pub(super) fn serve_request(&self, stack: &mut Stack, request: Request) {
        let answer = match request {
            Request::Status(netif) => stack.netif_status(netif).map(Answer::Status),
            Request::SetAddr(netif, subnet) => {
                self.set_addr(stack, netif, subnet).map(|()| Answer::Done)
            }
            Request::SetAdmin(netif, admin) => stack.set_admin(netif, admin).map(|()| Answer::Done),
            Request::SetDefaultGateway(gateway) => {
                stack.set_default_gateway(gateway).map(|()| Answer::Done)
            }
            Request::AddRoute(network, gateway) => {
                stack.add_route(network, gateway).map(|()| Answer::Done)
            }
            Request::RemoveRoute(network, gateway) => {
                stack.remove_route(network, gateway).map(|()| Answer::Done)
            }
        };
        self.net.answer(answer.map_err(Error::from));
    }

    fn set_addr(
        &self,
        stack: &mut Stack,
        netif: NetifId,
        subnet: Option<Subnet>,
    ) -> Result<(), CoreError> {
        let old = stack.netif_status(netif)?.subnet;
        stack.set_addr(netif, subnet)?;
        if let Some(old) = old.map(Subnet::addr)
            && Some(old) != subnet.map(Subnet::addr)
        {
            self.give_up(stack, old);
        }
        Ok(())
    }

    /// Ends the connections of an address that is not ours any more. Their resets find no way out.
    fn give_up(&self, stack: &mut Stack, old: Ipv4Addr) {
        for index in self.net.indices() {
            let of_old = self.net.with(index, |shared, _| {
                (shared.local.ip() == IpAddr::V4(old)).then_some(shared.attached)
            });
            if let Some(Some(Attached::Tcp(pcb))) = of_old {
                // Bound but not connected is over, too: it could not connect.
                let _ = stack.tcp_now().abort(pcb);
                self.failed(pcb, CoreError::Aborted);
            }
        }
    }
}
