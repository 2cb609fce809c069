//! The test rig: stacks on virtual clocks, links with seeded faults, and a scripted peer that
//! compares every segment. Nothing here uses a real clock or a real network.
pub mod apps;
pub mod arena;
pub mod cutting;
pub mod flows;
pub mod frames;
pub mod fuzz;
pub mod igmp;
pub mod lan;
pub mod link;
pub mod lossy;
pub mod matrix;
pub mod network;
pub mod recorder;
pub mod script;
pub mod segment;
pub mod sender;
pub mod sim;
pub mod storage;
pub mod udp;
pub mod wire;
