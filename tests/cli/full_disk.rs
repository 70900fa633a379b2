//! A disk without room: writes are refused and reading goes on, each read with its trace; with room again everything
//! works by itself. The server has a small disk of its own, in a mount namespace that ends with it.
//!
//! Not here: PostgreSQL, whose disk is another machine's (`scripts/measure/disk-full`); the store (`tests/store`).

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use diesel::sql_types::BigInt;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use serde_json::json;

use crate::people::{Folder, patient, request};
use crate::program::{BINARY, Server, clean, wait_for};

const DISK_MIB: u32 = 12;

/// Mounts the disk and becomes the program.
const BEHIND_A_SMALL_DISK: &str = r#"mount -t tmpfs -o "size=$1m" tmpfs "$2" && shift 2 && exec "$@""#;

/// `unshare` with the rights that this user has; none where namespaces are closed to it.
fn unshare() -> Option<Command> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let way = ways.into_iter().find(|way| {
        let mut command = clean(Command::new("unshare"));
        let tried = command.args(*way).args(["sh", "-c", "mount -t tmpfs tmpfs /mnt"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    })?;
    let mut command = clean(Command::new("unshare"));
    command.args(way);
    Some(command)
}

struct SmallDisk {
    server: Server,
    place: PathBuf,
}

impl SmallDisk {
    fn start(folder: &Folder, mut command: Command, arguments: &[&str]) -> Self {
        let place = folder.path().display().to_string();
        command.args(["sh", "-c", BEHIND_A_SMALL_DISK, "sh", &DISK_MIB.to_string(), &place, BINARY]);
        let server = Server::start_by(command, &format!("sqlite:{place}/people.sqlite"), arguments);
        let place = PathBuf::from(format!("/proc/{}/root{place}", server.running.id()));
        Self { server, place }
    }

    /// Writes until nothing more goes in.
    fn fill(&self) {
        let mut filler = fs::File::create(self.place.join("filler")).unwrap();
        for block in [vec![0; 1 << 16], vec![0; 1 << 8]] {
            while filler.write_all(&block).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.place.join("filler")).unwrap();
    }

    /// The number that `sql` selects from a copy: SQLite would follow the way into the namespace back to our own files.
    /// None while a copy is torn.
    fn find_number(&self, sql: &str) -> Option<i64> {
        #[derive(QueryableByName)]
        struct Number {
            #[diesel(sql_type = BigInt)]
            value: i64,
        }
        let copy = tempfile::tempdir().unwrap();
        for name in ["people.sqlite", "people.sqlite-wal"] {
            fs::copy(self.place.join(name), copy.path().join(name)).unwrap();
        }
        let path = copy.path().join("people.sqlite");
        let mut connection = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        sql_query(sql).get_result::<Number>(&mut connection).ok().map(|number| number.value)
    }

    /// Waits until `sql` selects this number.
    fn expect_number(&self, number: i64, sql: &str) {
        wait_for(sql, || (self.find_number(sql)? == number).then_some(()));
    }

    fn put(&self, id: &str) -> u16 {
        self.server.ask("PUT", &format!("Patient/{id}"), patient(id, 3).to_string()).0
    }

    /// Writes until one is refused; how many were stored before.
    fn put_until_full(&self) -> usize {
        let stored = (0..200).take_while(|number| self.put(&format!("late-{number}")) == 201).count();
        assert!(stored < 200, "the disk is not full");
        stored
    }
}

#[test]
fn on_a_full_disk_writes_are_refused_and_reading_goes_on_until_there_is_room() {
    let Some(command) = unshare() else {
        eprintln!("not tried: nothing can be mounted here");
        return;
    };
    let folder = Folder::new();
    let disk = SmallDisk::start(&folder, command, &[]);
    assert_eq!(disk.put("early"), 201);
    disk.fill();
    let stored = disk.put_until_full();
    let (status, outcome) = disk.server.ask("PUT", "Patient/refused", patient("refused", 4).to_string());
    assert_eq!((status, &outcome["issue"][0]["code"]), (507, &json!("transient")));
    const READS: i64 = 80;
    for _ in 0..READS {
        assert_eq!(disk.server.ask("GET", "Patient/early", "").0, 200);
        assert_eq!(disk.server.ask("GET", "Patient?family=Abernathy", "").0, 200);
        assert_eq!(disk.server.idi_match(&request(3)).0, 200);
        assert_eq!(disk.server.ask("GET", "Patient/nobody", "").0, 404);
    }
    assert_eq!(disk.put("refused"), 507, "reading makes no room");
    disk.make_room();
    assert_eq!(disk.put("refused"), 201, "no restart is needed");
    disk.expect_number(2 + stored as i64, "SELECT COUNT(*) AS value FROM record");
    // What waited is stored with the commits that follow, be there requests or not.
    for (action, outcome, rows) in [
        ("read", "success", READS),
        ("read", "refused", READS),
        ("search", "success", READS),
        ("match", "success", READS),
        ("update", "error", 3),
    ] {
        let sql = format!("SELECT COUNT(*) AS value FROM audit WHERE action = '{action}' AND outcome = '{outcome}'");
        disk.expect_number(rows, &sql);
    }
}

#[test]
fn without_a_place_for_its_trace_nothing_is_read() {
    let Some(command) = unshare() else {
        eprintln!("not tried: nothing can be mounted here");
        return;
    };
    let folder = Folder::new();
    let disk = SmallDisk::start(&folder, command, &["--limits-audit-backlog-bytes-max", "2000"]);
    assert_eq!(disk.put("early"), 201);
    disk.fill();
    disk.put_until_full();
    let read = (0..100).take_while(|_| disk.server.ask("GET", "Patient/early", "").0 == 200).count();
    assert!((1..10).contains(&read), "{read} reads");
    assert_eq!(disk.server.ask("GET", "Patient/early", "").0, 507);
    disk.make_room();
    assert_eq!(disk.server.ask("GET", "Patient/early", "").0, 200);
}
