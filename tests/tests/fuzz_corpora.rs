//! Replays the corpora of the fuzz targets.
use std::fs;
use std::path::Path;

use gannet_tests::fuzz;

/// Feeds all files of a corpus, which are many, to a target.
fn replay(corpus: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(corpus);
    let mut files = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is there") {
        let path = entry.expect("a file").path();
        let bytes = fs::read(&path).expect("a file");
        println!("{}", path.display());
        target(&bytes);
        files += 1;
    }
    assert!(files >= 10, "{} has {files} files", folder.display());
}

#[test]
fn parsers() {
    replay("wire", fuzz::wire::wire);
}

#[test]
fn whole_stack() {
    replay("stack", fuzz::stack::stack);
}
