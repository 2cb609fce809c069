//! Replays the corpus of the fuzz target `sockets`, and inputs of seeds.
use std::fs;
use std::path::Path;

use gannet_tests_sockets::sockets;

#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/sockets");
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("a file").path();
        println!("{}", path.display());
        sockets(&fs::read(&path).expect("a file"));
        files += 1;
    }
    assert!(files >= 10, "{} has {files} files", folder.display());
}

/// Long inputs, which a fuzzer comes to late.
#[test]
fn random_inputs() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = vec![0; random.usize(100..4_000)];
        random.fill(&mut bytes);
        sockets(&bytes);
    }
}
