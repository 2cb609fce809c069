//! Reads what callgrind has written: instructions by function and by source file.
use std::collections::HashMap;

/// Instructions of one measurement.
#[derive(Debug, Default)]
pub struct Profile {
    /// All of them.
    pub total: u64,
    /// By function of the program, most first. What was inlined counts for where it was inlined.
    pub functions: Vec<(String, u64)>,
    /// By source file, most first: whatever was inlined where.
    pub files: Vec<(String, u64)>,
}

impl Profile {
    /// Reads a file in callgrind's format.
    pub fn parse(text: &str) -> Self {
        let (mut functions, mut files) = (Sums::default(), Sums::default());
        let (mut function, mut file) = (String::new(), String::new());
        let mut names = [HashMap::new(), HashMap::new()];
        let [function_names, file_names] = &mut names;
        let mut called = false;
        let mut total = 0;
        for line in text.lines() {
            if let Some((key, value)) = line.split_once('=') {
                match key {
                    "fn" => function = name(function_names, value),
                    "cfn" => drop(name(function_names, value)),
                    "fl" | "fi" | "fe" => file = name(file_names, value),
                    "cfi" | "cfl" => drop(name(file_names, value)),
                    // The line behind it has the cost of the called function.
                    "calls" => called = true,
                    _ => {}
                }
                continue;
            }
            if !line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                continue;
            }
            if std::mem::take(&mut called) {
                continue;
            }
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
            let cost: u64 = cost.unwrap_or(0);
            total += cost;
            functions.add(&function, cost);
            files.add(&file, cost);
        }
        Self {
            total,
            functions: functions.sorted(),
            files: files.sorted(),
        }
    }
}

/// `(id) name` the first time, `(id)` from then on.
fn name(names: &mut HashMap<String, String>, value: &str) -> String {
    match value.split_once(' ') {
        Some((id, name)) => {
            names.insert(id.into(), name.into());
            name.into()
        }
        None => names.get(value).cloned().unwrap_or_else(|| value.into()),
    }
}

#[derive(Default)]
struct Sums(HashMap<String, u64>);

impl Sums {
    fn add(&mut self, name: &str, cost: u64) {
        match self.0.get_mut(name) {
            Some(sum) => *sum += cost,
            None => drop(self.0.insert(name.into(), cost)),
        }
    }

    fn sorted(self) -> Vec<(String, u64)> {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_of_callees_are_not_counted_twice() {
        let text = "events: Ir\nfl=(1) a.rs\nfn=(1) caller\n10 5\nfi=(2) inlined.rs\n+1 7\n\
                    fe=(1)\ncfn=(2) callee\ncalls=1 0\n* 100\n12 1\n\nfn=(2)\n3 100\ntotals: 113\n";
        let profile = Profile::parse(text);
        assert_eq!(profile.total, 113);
        assert_eq!(
            profile.functions,
            [("callee".into(), 100), ("caller".into(), 13)]
        );
        assert_eq!(
            profile.files,
            [("a.rs".into(), 106), ("inlined.rs".into(), 7)]
        );
    }
}
