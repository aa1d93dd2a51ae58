//! Another program at the host's database.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fake_services::python;

/// Another program that holds the database in a folder.
pub(crate) struct Holder(Child);

impl Holder {
    pub(crate) fn of(dir: &Path) -> Self {
        let script = "import sqlite3, sys\nsql = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
            sql.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.read()";
        let mut python = Command::new(python::tool("python3"));
        let python = python.arg("-c").arg(script).arg(dir.join("gatewright.db"));
        let mut holder = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut held = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut held).unwrap();
        assert_eq!(held, "held\n");
        Self(holder)
    }

    pub(crate) fn let_go(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}
