//! COMPLIANCE.md names tests; the tests are there.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Names of the functions in `source`.
fn functions(source: &str) -> BTreeSet<String> {
    let names = source.lines().filter_map(|line| {
        let (_, rest) = line.split_once("fn ")?;
        let (name, _) = rest.split_once(['(', '<'])?;
        Some(name.to_owned())
    });
    names.collect()
}

#[test]
fn every_test_that_is_named_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(here.join("tests")).expect("the tests") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.expect("a name").to_owned();
        if path.is_file() {
            files.insert(stem, functions(&fs::read_to_string(&path).expect("text")));
        }
    }
    let text = fs::read_to_string(here.join("../core/COMPLIANCE.md")).expect("the document");
    let mut seen = 0;
    for line in text.lines() {
        // `file::test`, then more tests of the same file.
        let mut file = None;
        for word in line.split([' ', ',', ';', '(', ')', '`']) {
            let name = match word.trim_end_matches([':', '.']).split_once("::") {
                Some((stem, name)) => {
                    file = files.get(stem);
                    name
                }
                // All of a file; or a module, whose tests are beside the code.
                None if word.ends_with(':') || files.contains_key(word) => {
                    file = None;
                    continue;
                }
                None => word,
            };
            let is_name = name.matches('_').count() >= 2 && !name.starts_with(char::is_uppercase);
            if let Some(file) = file.filter(|_| is_name) {
                seen += 1;
                assert!(file.contains(name), "there is no test {name:?}: {line}");
            }
        }
    }
    assert!(seen > 250, "{seen}: is it read at all?");
}
