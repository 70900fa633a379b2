//! Requests that came protected, or say so, and those that did not.

use crate::support::{Database, TestApp};

fn on_both(options: &[(&str, &str)], check: impl Fn(&TestApp)) {
    for database in [Database::sqlite(), Database::postgres()] {
        check(&TestApp::start(database, options));
    }
}

#[test]
fn a_named_proxy_is_believed_and_must_say_https() {
    on_both(&[("server.trusted_proxies", "127.0.0.1")], |app| {
        let hsts = |answer: &crate::answer::Answer| answer.headers.get("strict-transport-security").is_some();
        for (name, value) in [("X-Forwarded-Proto", "https"), ("Forwarded", "for=192.0.2.60;proto=https")] {
            let answer = app.get("/metadata").header(name, value).send().expect(200);
            assert!(hsts(&answer), "{name}");
        }
        let before = app.audit_rows();
        let unprotected: [&[(&str, &str)]; 4] = [
            &[],
            &[("X-Forwarded-Proto", "http")],
            &[("X-Forwarded-Proto", "https, http")],
            &[("Forwarded", "proto=http"), ("X-Forwarded-Proto", "https")],
        ];
        for headers in unprotected {
            let request =
                headers.iter().fold(app.get("/metadata"), |request, (name, value)| request.header(name, value));
            let answer = request.send().expect(403);
            assert_eq!(answer.json()["issue"][0]["code"], "forbidden");
            assert!(!hsts(&answer));
        }
        assert_eq!(app.audit_rows() - before, 4, "each is audited");
        for probe in ["/livez", "/readyz", "/metrics"] {
            app.get(&app.at_root(probe)).send().expect(200);
        }
    });
}

#[test]
fn who_is_no_named_proxy_says_nothing_about_the_protection() {
    on_both(&[("server.trusted_proxies", "192.0.2.0/24")], |app| {
        let answer = app.get("/metadata").header("X-Forwarded-Proto", "https").send().expect(200);
        assert!(answer.headers.get("strict-transport-security").is_none(), "from this machine, and no more");
        app.get("/metadata").header("X-Forwarded-Proto", "http").send().expect(200);
    });
}
