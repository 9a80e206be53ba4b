//! For the tests of connectors: where the real servers are.

use std::io::Write as _;

/// Set by whoever runs all tests with all servers at hand: a test may then not be skipped for want of one.
const ALL_SERVERS: &str = "MILLRACE_TEST_SERVERS";

/// The address of a server, from the environment; None when it is not set. What calls this is a test, which then ends with a
/// word about it.
///
/// # Panics
/// When it is not set although all servers are said to be there.
#[must_use]
pub fn server(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok().filter(|address| !address.trim().is_empty());
    if address.is_none() {
        assert!(
            std::env::var_os(ALL_SERVERS).is_none(),
            "{variable} is not set, although {ALL_SERVERS} says that all servers are there"
        );
        // Not by a macro: its output is shown only of tests that fail.
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED, NOT TESTED: {name}: {variable} is not set (eval \"$(deploy/local/servers env)\")"
        );
    }
    address
}
