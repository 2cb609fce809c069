//! Prints `docs/known-attacks.md`: which of the known attacks (C), attack classes (K) and defects
//! (X) of other stacks have a test here, and how it went.
//!
//! It runs the tests of the files `known_*` and those that are named after an attack elsewhere.
use std::collections::BTreeMap;
use std::process::{Command, ExitCode};

/// Kind, first and last number.
type Records = &'static [(char, u16, u16)];

/// What does not concern the stack as it is, and why.
const ELSEWHERE: [(&str, Records); 4] = [
    (
        "IPv6 is not there yet",
        &[
            ('c', 13, 13),
            ('c', 15, 15),
            ('c', 18, 18),
            ('c', 29, 29),
            ('c', 32, 34),
            ('c', 44, 44),
            ('c', 46, 49),
            ('c', 55, 56),
            ('c', 103, 104),
            ('c', 110, 111),
            ('c', 125, 125),
            ('c', 132, 132),
            ('c', 135, 138),
            ('c', 146, 146),
            ('c', 156, 158),
            ('c', 162, 163),
            ('c', 166, 168),
            ('c', 175, 175),
            ('x', 32, 32),
            ('x', 61, 61),
            ('x', 69, 69),
            ('x', 79, 82),
            ('x', 90, 90),
            ('x', 98, 98),
            ('x', 100, 101),
            ('x', 118, 118),
        ],
    ),
    (
        "DHCP, DNS and other clients are not there yet",
        &[
            ('c', 6, 6),
            ('c', 10, 10),
            ('c', 17, 17),
            ('c', 19, 19),
            ('c', 21, 21),
            ('c', 24, 24),
            ('c', 39, 43),
            ('c', 51, 52),
            ('c', 54, 54),
            ('c', 57, 59),
            ('c', 64, 66),
            ('c', 68, 72),
            ('c', 83, 83),
            ('c', 86, 86),
            ('c', 91, 91),
            ('c', 95, 96),
            ('c', 99, 99),
            ('c', 101, 102),
            ('c', 108, 109),
            ('c', 118, 118),
            ('c', 122, 122),
            ('c', 148, 148),
            ('c', 164, 165),
            ('k', 9, 9),
            ('k', 13, 13),
            ('x', 64, 64),
            ('x', 70, 70),
            ('x', 102, 107),
        ],
    ),
    (
        "applications and layers this project does not have (HTTP, FTP, TFTP, MQTT, CoAP, SNMP, \
         PPP, TLS, 802.15.4, WireGuard)",
        &[
            ('c', 31, 31),
            ('c', 74, 75),
            ('c', 79, 79),
            ('c', 87, 87),
            ('c', 94, 94),
            ('c', 112, 115),
            ('c', 119, 119),
            ('c', 121, 121),
            ('c', 123, 123),
            ('c', 127, 127),
            ('c', 130, 131),
            ('c', 139, 141),
            ('c', 145, 145),
            ('c', 149, 149),
            ('k', 17, 17),
        ],
    ),
    (
        "memory unsafety of C that safe Rust excludes (the pools, which are unsafe, have tests, \
         models and Miri of their own)",
        &[
            ('c', 20, 20),
            ('c', 88, 88),
            ('c', 116, 116),
            ('c', 120, 120),
            ('c', 128, 128),
            ('x', 108, 108),
        ],
    ),
];

const LAST: [(char, u16); 3] = [('c', 176), ('k', 18), ('x', 119)];

fn main() -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "-p", "gannet-tests", "--no-fail-fast", "--tests"])
        .output();
    let Ok(output) = output else {
        eprintln!("cargo cannot be run");
        return ExitCode::FAILURE;
    };
    let mut tested: BTreeMap<(char, u16), Vec<(String, String)>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((name, result)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.split_once(" ... "))
        else {
            continue;
        };
        for id in ids(name) {
            let entry = (name.to_owned(), result.to_owned());
            tested.entry(id).or_default().push(entry);
        }
    }
    println!("# Known attacks\n");
    println!("Made by `cargo run -p gannet-tests --bin known`; do not edit.\n");
    println!("| id | test | result |\n|---|---|---|");
    let (mut named, mut failed, mut open) = (0, 0, 0);
    for (kind, last) in LAST {
        for number in 1..=last {
            let id = format!("{}{number:03}", kind.to_ascii_uppercase());
            match (tested.get(&(kind, number)), reason(kind, number)) {
                (Some(tests), _) => {
                    named += 1;
                    for (name, result) in tests {
                        failed += u32::from(result != "ok");
                        println!("| {id} | `{name}` | {result} |");
                    }
                }
                (None, Some(reason)) => println!("| {id} | | not concerned: {reason} |"),
                (None, None) => {
                    open += 1;
                    println!("| {id} | | no test of that name |");
                }
            }
        }
    }
    println!("\n{named} records have tests, of which {failed} fail; {open} have none.");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The records a test is named after: `c061_x092_k08_...`.
fn ids(name: &str) -> Vec<(char, u16)> {
    name.split('_')
        .map_while(|word| {
            let mut chars = word.chars();
            let kind = chars.next().filter(|kind| "ckx".contains(*kind))?;
            Some((kind, chars.as_str().parse().ok()?))
        })
        .collect()
}

fn reason(kind: char, number: u16) -> Option<&'static str> {
    ELSEWHERE
        .iter()
        .find(|(_, ranges)| {
            ranges
                .iter()
                .any(|(of, first, last)| *of == kind && (*first..=*last).contains(&number))
        })
        .map(|(reason, _)| *reason)
}
