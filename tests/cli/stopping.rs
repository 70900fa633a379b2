//! Stopping: callers are sent elsewhere first, nobody is reset, and the program ends by itself.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::database::Database;
use crate::program::Server;

/// One request on a connection of its own: what came, as text.
fn ask(stream: &mut TcpStream, path: &str) -> std::io::Result<String> {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return if text.is_empty() { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(as_text(&text)) };
        }
        text.extend_from_slice(&buffer[..count]);
        let so_far = as_text(&text).to_lowercase();
        let Some((head, body)) = so_far.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
        if body.len() >= length.parse::<usize>().expect("a number") {
            return Ok(so_far);
        }
    }
}

fn as_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn terminate(server: &Server) {
    let asked = Command::new("sh").args(["-c", "kill -TERM \"$1\"", "sh", &server.running.id().to_string()]).status();
    assert!(asked.expect("asked").success());
}

#[test]
fn a_stopping_server_says_so_serves_on_and_asks_callers_to_connect_anew() {
    let database = Database::sqlite();
    let mut server = Server::start(&database.url(), &["--drain-ms", "1500"]);
    let mut kept = TcpStream::connect(&server.address).expect("connected");
    assert!(!ask(&mut kept, "/livez").expect("an answer").contains("connection: close"));
    terminate(&server);
    let not_ready = loop {
        let mut stream = TcpStream::connect(&server.address).expect("still served");
        let answer = ask(&mut stream, "/readyz").expect("an answer");
        if answer.starts_with("http/1.1 503") {
            break answer;
        }
    };
    assert!(not_ready.contains("stopping"), "{not_ready}");
    let answer = ask(&mut kept, "/fhir/metadata").expect("served on");
    assert!(answer.starts_with("http/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert_eq!(kept.read(&mut [0; 16]).expect("an end, not a reset"), 0);
    assert!(server.running.wait().success());
}

#[test]
fn nobody_is_reset_while_a_server_stops() {
    for _ in 0..3 {
        let database = Database::sqlite();
        let mut server = Server::start(&database.url(), &["--drain-ms", "100"]);
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let address = server.address.clone();
                thread::spawn(move || {
                    let mut answers = 0;
                    loop {
                        match TcpStream::connect(&address) {
                            Err(error) => return (error.kind(), answers),
                            Ok(mut stream) => match ask(&mut stream, "/livez") {
                                Ok(answer) => assert!(answer.starts_with("http/1.1 200"), "{answer}"),
                                Err(error) => return (error.kind(), answers),
                            },
                        }
                        answers += 1;
                    }
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(200));
        terminate(&server);
        assert!(server.running.wait().success());
        for caller in callers {
            let (end, answers) = caller.join().expect("a caller");
            assert_eq!(end, ErrorKind::ConnectionRefused);
            assert!(answers > 0);
        }
    }
}
