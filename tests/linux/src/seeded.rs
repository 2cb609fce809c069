//! The scenarios of the simulation's generator with a real Linux at the other end: the same
//! applications and the same checks of each byte, a path with faults both ways, and the real clock.
//! What a seed does differs from run to run, as time does; what it asks for does not.
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use gannet_core::{Instant, Owner, owner_bit};
use gannet_tests::sim::Plan;
use gannet_tests::sim::app::App;
use gannet_tests::sim::ledger::{Fate, Ledger};
use gannet_tests::sim::plan::{End, Kind};

use crate::linux::{Linux, NETWORK};
use crate::linux_app::LinuxApp;
use crate::middle::{Middle, Port, Side};
use crate::pipe::Faults;
use crate::station::Station;

/// Everything has ended by then; far longer than it takes.
const LIMIT: Duration = Duration::from_secs(120);

/// What became of a seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Connections opened.
    pub connections: usize,
    /// Bytes delivered.
    pub bytes: u64,
    /// Frames lost on the way.
    pub lost: u64,
}

/// The faults of one direction.
fn faults(rng: &mut Rng) -> Faults {
    let mut chance = |p: f64, most: f64| match rng.f64() < p {
        true => rng.f64() * most,
        false => 0.0,
    };
    let (loss, reorder) = (chance(0.7, 0.05), chance(0.5, 0.05));
    let (duplicate, damage) = (chance(0.3, 0.05), chance(0.3, 0.02));
    Faults {
        loss,
        reorder,
        duplicate,
        damage,
        detour: Duration::from_micros(rng.u64(100..8_000)),
        delay: Duration::from_micros(rng.u64(0..5_000)),
        rate: (rng.u8(..4) == 0).then(|| rng.u64(2_000_000..50_000_000)),
        queue: 64,
        ..Faults::NONE
    }
}

/// Runs a seed. `Ok(Err(why))`: the permission for it is missing.
///
/// # Errors
/// What must not be.
pub fn run(seed: u64) -> Result<Result<Outcome, String>, String> {
    let plan = Rc::new(Plan::against_linux(seed, NETWORK));
    let ledger = Rc::new(RefCell::new(Ledger::default()));
    let (linux, right) = match Linux::new(2) {
        Ok(made) => made,
        Err(why) => return Ok(Err(why)),
    };
    let config = plan.hosts[0].config.clone();
    let app = |pools: &_| make_app(&plan, &ledger, pools);
    let (mut gannet, left) =
        Station::with_pools(1, config, app, seed).map_err(|error| error.to_string())?;
    let rng = &mut Rng::with_seed(seed ^ 0x6c69_6e75);
    let both = [faults(rng), faults(rng)];
    let ports = [(Side::Left, left), (Side::Right, right)].map(|(side, fd)| Port { side, fd });
    let middle = Middle::start(ports.into(), both[0], both[1], seed, None)
        .map_err(|error| error.to_string())?;
    let mut other = LinuxApp::new(&linux, &plan, &ledger);
    let (stack, app, now) = gannet.both();
    app.listen(stack, now);
    let mut violation = None;
    let ended = gannet.run_until(LIMIT, |gannet| {
        other.turn(&linux);
        violation = turn(gannet).err();
        let census = gannet.stack().tcp_census();
        let idle = census.connections + census.half_open == 0;
        violation.is_some() || (idle && gannet.app.is_finished() && other.is_finished())
    });
    if let Some(what) = violation.or_else(|| ledger.borrow().violation.clone()) {
        return Err(what);
    }
    if !ended {
        return Err(format!("no end: {:#?}", ledger.borrow().records));
    }
    judge(&plan, &ledger.borrow())?;
    let (stack, app, now) = gannet.both();
    app.shut_down(stack, now);
    if !gannet.run_until(LIMIT, |gannet| gannet.is_at_rest()) {
        return Err(format!("not at rest: {:?}", gannet.stack().tcp_census()));
    }
    let ledger = ledger.borrow();
    Ok(Ok(Outcome {
        connections: ledger.records.len(),
        bytes: ledger.records.iter().flat_map(|record| record.got).sum(),
        lost: middle.counters(Side::Left).lost + middle.counters(Side::Right).lost,
    }))
}

fn make_app(
    plan: &Rc<Plan>,
    ledger: &Rc<RefCell<Ledger>>,
    pools: &gannet_tests::storage::Pools,
) -> App {
    App::new(0, plan, ledger, pools.tx, Instant::ZERO)
}

/// What the simulation does at each turn of a host.
fn turn(gannet: &mut Station<App>) -> Result<(), String> {
    let (stack, app, now) = gannet.both();
    stack.check_invariants()?;
    if app.next_wake().is_some_and(|at| at <= now) {
        stack.wake(now, owner_bit(Owner(0)), &mut [&mut *app]);
    }
    app.sweep(stack, now);
    Ok(())
}

/// All that was not aborted has arrived.
fn judge(plan: &Plan, ledger: &Ledger) -> Result<(), String> {
    for (n, flow) in plan.flows.iter().enumerate() {
        let Kind::Tcp(tcp) = flow.kind else { continue };
        let mut sides = [tcp.client_side, tcp.server_side].into_iter();
        if sides.any(|side| matches!(side.end, End::Abort(_))) {
            continue;
        }
        let wanted = [tcp.server_side.bytes, tcp.client_side.bytes].map(|n| n * tcp.rounds);
        let records = || ledger.records.iter().filter(|record| record.flow == n);
        for record in records() {
            if record.got != wanted || record.fate.contains(&Fate::GivenUp) {
                return Err(format!(
                    "flow {n}: {record:?}, but {wanted:?} was to arrive"
                ));
            }
        }
        if records().count() != tcp.connections as usize {
            return Err(format!("flow {n}: {} connections", records().count()));
        }
    }
    Ok(())
}
