//! The chain of the audit as it comes to be: sealed within moments, by one instance at a time, rows that are late included.

use std::thread;

use idi_match::app::audit_chain::verify::Report;
use idi_match::audit::chain::{Flaw, SealKey};
use idi_match::audit::{Action, AuditRecord, Detail, Outcome};
use idi_match::store::{audit, audit_seal, transaction};

use crate::people::{stranger, with_id};
use crate::support::{Database, TestApp};

on_both_databases! {
    everything_is_sealed_soon_and_the_chain_is_whole,
    a_row_of_a_request_is_never_written_again,
    with_a_key_seals_have_its_hmac_and_keys_follow_each_other,
}

fn rows(report: &Report) -> i64 {
    report.whole.as_ref().expect("a whole chain").rows
}

fn wait_until_sealed(app: &TestApp) -> Report {
    app.wait_until("that everything is sealed", |app| app.verify_audit().unsealed.rows == 0);
    app.verify_audit()
}

fn everything_is_sealed_soon_and_the_chain_is_whole(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let first = wait_until_sealed(app);
    for _ in 0..40 {
        app.get("/Patient/p1").send().expect(200);
    }
    let second = wait_until_sealed(app);
    assert_eq!((first.broken, second.broken.clone()), (None, None));
    let all = audit::list_after(&mut app.connection(), 0, 10_000).unwrap();
    assert_eq!(rows(&second), all.len() as i64);
    let whole = second.whole.unwrap();
    assert!(whole.seals >= 2 && whole.keyed == 0, "{whole:?}");
    assert_eq!(whole.last_seq, all.last().unwrap().seq);
    let newest = audit_seal::find_last(&mut app.connection()).unwrap().unwrap();
    assert_eq!((newest.number, newest.digest), (whole.seals, whole.digest));
}

fn a_row_of_a_request_is_never_written_again(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let before = audit::list_after(&mut app.connection(), 0, 10_000).unwrap();
    for _ in 0..10 {
        app.get("/Patient/p1").send().expect(200);
    }
    wait_until_sealed(app);
    let after = audit::list_after(&mut app.connection(), 0, 10_000).unwrap();
    assert_eq!(after[..before.len()], before);
    assert_eq!(after.len(), before.len() + 10, "sealing is no request");
}

fn with_a_key_seals_have_its_hmac_and_keys_follow_each_other(app: &TestApp) {
    app.store_patient(&with_id(&stranger(1), "p1"));
    let keys = [SealKey::derive(b"one secret"), SealKey::derive(b"another secret")];
    let mut seals = wait_until_sealed(app).whole.unwrap().seals;
    for (at, key) in keys.iter().enumerate() {
        app.seal_with(key);
        app.get("/Patient/p1").send().expect(200);
        wait_until_sealed(app);
        let found = app.verify_audit_with(keys[..=at].to_vec());
        let whole = found.whole.unwrap_or_else(|| panic!("{:?}", found.broken));
        assert!(whole.seals > seals && whole.keyed > at as i64, "{whole:?}");
        seals = whole.seals;
    }
    let flaw = |keys: Vec<SealKey>| app.verify_audit_with(keys).broken.map(|found| found.flaw);
    assert_eq!(flaw(keys[..1].to_vec()), Some(Flaw::UnknownKey));
    assert_eq!(flaw(vec![SealKey::derive(b"a guess")]), Some(Flaw::UnknownKey));
    assert_eq!(flaw(Vec::new()), None, "digests are checked without a key too");
}

fn late_record(number: i64) -> AuditRecord {
    AuditRecord {
        at_us: number,
        request_id: format!("late-{number}"),
        action: Action::Read,
        outcome: Outcome::Success,
        caller: "open".to_owned(),
        resource_type: Some("Patient".to_owned()),
        detail: Detail { records: vec!["p1".to_owned()], ..Detail::default() },
    }
}

/// Numbers are given before a transaction is committed: another one may be sealed first.
#[test]
fn a_row_that_is_committed_late_is_sealed_when_it_comes() {
    let app = &TestApp::start(Database::postgres(), &[]);
    app.store_patient(&with_id(&stranger(1), "p1"));
    let mut writer = app.writer();
    for undone in [false, true] {
        transaction::begin_write(&mut writer).unwrap();
        audit::append(&mut writer, &[late_record(1), late_record(2)]).unwrap();
        app.get("/Patient/p1").send().expect(200);
        let sealed = wait_until_sealed(app);
        assert_eq!(sealed.broken, None);
        let newest = audit_seal::find_last(&mut app.connection()).unwrap().unwrap();
        assert_eq!(newest.missing.count(), 2, "{newest:?}");
        if undone {
            // Numbers that no row will ever have.
            transaction::rollback(&mut writer).unwrap();
        } else {
            transaction::commit(&mut writer).unwrap();
            app.wait_until("that the late rows are sealed", |app| rows(&app.verify_audit()) == rows(&sealed) + 2);
        }
        app.get("/Patient/p1").send().expect(200);
        assert_eq!(wait_until_sealed(app).broken, None);
    }
    let found = app.get("/AuditEvent?patient=p1&subtype=read").send().expect(200).match_bundle();
    assert_eq!(found.total(), 6, "late rows are found as well");
}

#[test]
fn several_instances_make_one_chain() {
    let app = &TestApp::start(Database::postgres(), &[]);
    app.store_patient(&with_id(&stranger(1), "p1"));
    let others = [app.beside(&[]), app.beside(&[])];
    thread::scope(|scope| {
        for instance in others.iter().chain([app]) {
            scope.spawn(move || {
                for _ in 0..60 {
                    instance.get("/Patient/p1").send().expect(200);
                }
            });
        }
    });
    let sealed = wait_until_sealed(app);
    assert_eq!((sealed.broken.clone(), rows(&sealed)), (None, app.audit_rows()));
    drop(others);
    assert_eq!(wait_until_sealed(app).broken, None, "stopping seals too");
}
