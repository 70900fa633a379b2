//! A piece of network between an instance and its database, which a test can cut and mend.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

pub struct Proxy {
    port: u16,
    server_port: u16,
    line: Arc<Line>,
}

struct Line {
    is_cut: AtomicBool,
    ends: Mutex<Vec<TcpStream>>,
}

impl Line {
    /// Every open connection ends at both its ends.
    fn hang_up(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

impl Proxy {
    /// In front of the server of a `postgres://…@127.0.0.1:PORT/…` URL.
    pub fn before(url: &str) -> Self {
        let server_port = port_of(url);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line { is_cut: AtomicBool::new(false), ends: Mutex::default() });
        let served = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                if served.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
                carry(&client, &server);
                carry(&server, &client);
                served.ends.lock().unwrap().extend([client, server]);
            }
        });
        Self { port, server_port, line }
    }

    /// The URL through this piece of network.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&format!(":{}/", self.server_port), &format!(":{}/", self.port), 1)
    }

    /// Ends every connection and lets none through.
    pub fn cut(&self) {
        self.line.is_cut.store(true, Ordering::SeqCst);
        self.line.hang_up();
        // One that was being made meanwhile.
        thread::sleep(Duration::from_millis(50));
        self.line.hang_up();
    }

    pub fn mend(&self) {
        self.line.is_cut.store(false, Ordering::SeqCst);
    }
}

fn port_of(url: &str) -> u16 {
    let authority = url.rsplit_once('@').unwrap().1;
    authority.split_once(':').unwrap().1.split_once('/').unwrap().0.parse().unwrap()
}

fn carry(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut bytes = [0; 16_384];
        while let Ok(count) = from.read(&mut bytes) {
            if count == 0 || to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
