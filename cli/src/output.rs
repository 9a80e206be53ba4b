//! How answers are shown: aligned tables for people, JSON and YAML for programs. Commands build an [`Answer`]-like pair of
//! data and table; this writes one of them to standard output.

use std::io::Write;

use serde_json::Value;

use crate::args::Output;
use crate::failure::Failure;

/// A table with a header; every cell is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Shown instead of a table without rows
    empty: &'static str,
}

impl Table {
    pub(crate) fn new(header: &[&'static str], empty: &'static str) -> Self {
        Self { header: header.to_vec(), rows: Vec::new(), empty }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The columns, as wide as their widest cell and three blanks apart; the last one is not padded.
    pub(crate) fn render(&self) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", self.empty);
        }
        let header: Vec<String> = self.header.iter().map(|name| (*name).to_owned()).collect();
        let mut widths = vec![0; self.header.len()];
        for row in std::iter::once(&header).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for row in std::iter::once(&header).chain(&self.rows) {
            let mut line = String::new();
            for (width, cell) in widths.iter().zip(row) {
                // A line break or a control character in a cell would break the table.
                line.extend(cell.chars().map(|c| if c.is_control() { ' ' } else { c }));
                line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 3));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Writes data in the wanted form; the text for people is made only when it is wanted.
pub(crate) fn show(output: Output, data: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let text = match output {
        Output::Table => text(),
        Output::Json => {
            serde_json::to_string_pretty(data).map(|text| text + "\n").map_err(|error| unwritable(&error))?
        }
        Output::Yaml => serde_yaml_ng::to_string(data).map_err(|error| unwritable(&error))?,
    };
    print(&text)
}

/// Writes to standard output. A reader that has gone (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(unwritable(&error)),
        _ => Ok(()),
    }
}

fn unwritable(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new("cannot write the answer").caused_by(error)
}

/// How long ago, in one or two units, as operators' tools say it: 45s, 12m, 3h20m, 5d.
pub(crate) fn age(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 60 => format!("{minutes}m"),
        () if hours < 24 => format!("{hours}h{}m", minutes % 60),
        () => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_trailing_blanks() {
        let mut table = Table::new(&["NAME", "STATE", "TASKS"], "none");
        table.row(vec!["größe".to_owned(), "RUNNING".to_owned(), "1/1".to_owned()]);
        table.row(vec!["a-longer-name".to_owned(), "FAILED".to_owned(), String::new()]);
        let expected = "\
NAME            STATE     TASKS
größe           RUNNING   1/1
a-longer-name   FAILED
";
        assert_eq!(table.render(), expected);
    }

    #[test]
    fn a_cell_stays_on_its_line() {
        let mut table = Table::new(&["A"], "none");
        table.row(vec!["x\ny\u{1b}[31m".to_owned()]);
        assert_eq!(table.render(), "A\nx y [31m\n");
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(Table::new(&["A"], "No connectors.").render(), "No connectors.\n");
    }

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [(-5, "0s"), (45, "45s"), (720, "12m"), (12_000, "3h20m"), (450_000, "5d")] {
            assert_eq!(age(seconds), text);
        }
    }
}
