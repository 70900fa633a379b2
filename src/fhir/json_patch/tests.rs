//! Tables of RFC 6902: each operation, its errors, and the limits.

use super::*;
use crate::fhir::document::Layout;

const LIMITS: Limits = Limits {
    operations_max: 50,
    document: json::Limits { body_bytes_max: 3000, depth_max: 6, values_max: 400, string_bytes_max: 500 },
};

#[derive(Debug, PartialEq)]
enum Refused {
    Malformed(Vec<Issue>),
    Inapplicable(Issue),
}

fn patched(document: &str, patch: &str) -> Result<String, Refused> {
    let patch = Patch::parse(patch.as_bytes(), &LIMITS).map_err(Refused::Malformed)?;
    let document = Node::parse(document).expect("JSON");
    patch.apply(document, &LIMITS).map(|node| node.write(Layout::Compact)).map_err(Refused::Inapplicable)
}

#[test]
fn operations_change_what_they_name_and_nothing_else() {
    let table = [
        // add
        (r#"{"a":1.50}"#, r#"[{"op":"add","path":"/b","value":2.0e1}]"#, r#"{"a":1.50,"b":2.0e1}"#),
        (r#"{"a":1,"b":2}"#, r#"[{"op":"add","path":"/a","value":[]}]"#, r#"{"a":[],"b":2}"#),
        (r#"{"a":[1,2]}"#, r#"[{"op":"add","path":"/a/0","value":0}]"#, r#"{"a":[0,1,2]}"#),
        (r#"{"a":[1,2]}"#, r#"[{"op":"add","path":"/a/2","value":3}]"#, r#"{"a":[1,2,3]}"#),
        (r#"{"a":[1,2]}"#, r#"[{"op":"add","path":"/a/-","value":[3]}]"#, r#"{"a":[1,2,[3]]}"#),
        (r#"{"a":{}}"#, r#"[{"op":"add","path":"/a/-","value":1}]"#, r#"{"a":{"-":1}}"#),
        (r#"{"a":{}}"#, r#"[{"op":"add","path":"/a/0","value":1}]"#, r#"{"a":{"0":1}}"#),
        (r#"{"a":1}"#, r#"[{"op":"add","path":"","value":{"b":null}}]"#, r#"{"b":null}"#),
        (r#"{"a":1}"#, r#"[{"op":"add","path":"/","value":2}]"#, r#"{"a":1,"":2}"#),
        // remove
        (r#"{"a":1,"b":[1,2,3]}"#, r#"[{"op":"remove","path":"/b/1"},{"op":"remove","path":"/a"}]"#, r#"{"b":[1,3]}"#),
        (r#"{"a":[1]}"#, r#"[{"op":"remove","path":"/a/0"}]"#, r#"{"a":[]}"#),
        // replace keeps the place among the members
        (r#"{"a":1,"b":2}"#, r#"[{"op":"replace","path":"/a","value":"x\u0041"}]"#, r#"{"a":"x\u0041","b":2}"#),
        (r#"{"a":[1,2]}"#, r#"[{"op":"replace","path":"/a/1","value":null}]"#, r#"{"a":[1,null]}"#),
        (r#"{"a":1}"#, r#"[{"op":"replace","path":"","value":{}}]"#, "{}"),
        // move
        (r#"{"a":{"x":1.0},"b":[]}"#, r#"[{"op":"move","from":"/a/x","path":"/b/-"}]"#, r#"{"a":{},"b":[1.0]}"#),
        (r#"{"a":[1,2,3]}"#, r#"[{"op":"move","from":"/a/0","path":"/a/2"}]"#, r#"{"a":[2,3,1]}"#),
        (r#"{"a":1,"b":2}"#, r#"[{"op":"move","from":"/a","path":"/b"}]"#, r#"{"b":1}"#),
        (r#"{"a":1}"#, r#"[{"op":"move","from":"/a","path":"/a"}]"#, r#"{"a":1}"#),
        (r#"{"a":{"b":1}}"#, r#"[{"op":"move","from":"/a/b","path":"/a"}]"#, r#"{"a":1}"#),
        (r#"{"a":1,"ab":{}}"#, r#"[{"op":"move","from":"/a","path":"/ab/c"}]"#, r#"{"ab":{"c":1}}"#),
        // copy
        (
            r#"{"a":{"x":[1.10]}}"#,
            r#"[{"op":"copy","from":"/a","path":"/a/y"}]"#,
            r#"{"a":{"x":[1.10],"y":{"x":[1.10]}}}"#,
        ),
        (r#"{"a":[1,2]}"#, r#"[{"op":"copy","from":"/a/1","path":"/a/0"}]"#, r#"{"a":[2,1,2]}"#),
        // test
        (r#"{"a":1.50}"#, r#"[{"op":"test","path":"/a","value":15E-1}]"#, r#"{"a":1.50}"#),
        (
            r#"{"a":{"b":1,"c":[null]}}"#,
            r#"[{"op":"test","path":"/a","value":{"c":[null],"b":1.0}}]"#,
            r#"{"a":{"b":1,"c":[null]}}"#,
        ),
        (r#"{"a":null}"#, r#"[{"op":"test","path":"/a","value":null}]"#, r#"{"a":null}"#),
        // escapes: ~1 is a slash, ~0 a tilde, and ~01 is ~1
        (
            r#"{"a/b":1,"m~n":2,"~1":3}"#,
            r#"[{"op":"remove","path":"/a~1b"},{"op":"test","path":"/m~0n","value":2},{"op":"remove","path":"/~01"}]"#,
            r#"{"m~n":2}"#,
        ),
        (r#"{"a\"\u00e9":1}"#, r#"[{"op":"replace","path":"/a\"é","value":2}]"#, r#"{"a\"é":2}"#),
        // nothing, members that are not defined, members in any order
        (r#"{"a":1.0}"#, "[]", r#"{"a":1.0}"#),
        (r#"{"a":1}"#, r#"[{"value":2,"x":{"y":1},"path":"/a","op":"replace"}]"#, r#"{"a":2}"#),
        // one after the other, on what the first has made
        (
            r#"{}"#,
            r#"[{"op":"add","path":"/a","value":{}},{"op":"add","path":"/a/b","value":[1]},{"op":"copy","from":"/a/b/0","path":"/c"}]"#,
            r#"{"a":{"b":[1]},"c":1}"#,
        ),
    ];
    for (document, patch, expected) in table {
        assert_eq!(patched(document, patch).as_deref(), Ok(expected), "{document} {patch}");
    }
}

#[test]
fn what_is_no_patch_is_refused_with_its_place() {
    let table = [
        ("", IssueCode::Structure, None),
        ("{}", IssueCode::Structure, None),
        ("[1]", IssueCode::Structure, Some("[0]")),
        (r#"[{"op":"test","op":"add","path":"","value":1}]"#, IssueCode::Structure, Some("[0].op")),
        (r#"[{"path":"/a"}]"#, IssueCode::Required, Some("[0].op")),
        (r#"[{"op":1,"path":"/a"}]"#, IssueCode::Required, Some("[0].op")),
        (r#"[{"op":"delete","path":"/a"}]"#, IssueCode::Value, Some("[0].op")),
        (r#"[{"op":"Remove","path":"/a"}]"#, IssueCode::Value, Some("[0].op")),
        (r#"[{"op":"remove"}]"#, IssueCode::Required, Some("[0].path")),
        (r#"[{"op":"remove","path":null}]"#, IssueCode::Required, Some("[0].path")),
        (r#"[{"op":"remove","path":"a"}]"#, IssueCode::Value, Some("[0].path")),
        (r#"[{"op":"remove","path":"/a~2"}]"#, IssueCode::Value, Some("[0].path")),
        (r#"[{"op":"remove","path":"/a"},{"op":"add","path":"/a"}]"#, IssueCode::Required, Some("[1].value")),
        (r#"[{"op":"replace","path":"/a"}]"#, IssueCode::Required, Some("[0].value")),
        (r#"[{"op":"test","path":"/a"}]"#, IssueCode::Required, Some("[0].value")),
        (r#"[{"op":"move","path":"/a"}]"#, IssueCode::Required, Some("[0].from")),
        (r#"[{"op":"copy","path":"/a","from":"b"}]"#, IssueCode::Value, Some("[0].from")),
        (r#"[{"op":"move","from":"/a","path":"/a/b"}]"#, IssueCode::Value, Some("[0].path")),
        (r#"[{"op":"move","from":"","path":"/b"}]"#, IssueCode::Value, Some("[0].path")),
        (r#"[{"op":"add","path":"/a","value":[[[[[[1]]]]]]}]"#, IssueCode::Structure, Some("[0].value[0][0][0][0]")),
    ];
    for (patch, code, place) in table {
        let Err(Refused::Malformed(issues)) = patched(r#"{"a":1}"#, patch) else { panic!("{patch}") };
        let found = issues.first().expect("an issue");
        assert_eq!((found.code, found.expression.first().map(String::as_str)), (code, place), "{patch}");
    }
    let many = format!("[{}]", [r#"{"op":"remove"}"#; 3].join(","));
    assert!(matches!(patched("{}", &many), Err(Refused::Malformed(issues)) if issues.len() == 3), "all are said");
}

#[test]
fn what_does_not_fit_the_document_is_refused_with_its_operation() {
    let table = [
        r#"{"op":"test","path":"/a","value":2}"#,
        r#"{"op":"test","path":"/x","value":null}"#,
        r#"{"op":"test","path":"/a","value":"1"}"#,
        r#"{"op":"add","path":"/x/y","value":1}"#,
        r#"{"op":"add","path":"/a/b","value":1}"#,
        r#"{"op":"add","path":"/l/3","value":1}"#,
        r#"{"op":"add","path":"/l/01","value":1}"#,
        r#"{"op":"add","path":"/l/x","value":1}"#,
        r#"{"op":"remove","path":"/x"}"#,
        r#"{"op":"remove","path":""}"#,
        r#"{"op":"remove","path":"/l/2"}"#,
        r#"{"op":"remove","path":"/l/-"}"#,
        r#"{"op":"remove","path":"/a/0"}"#,
        r#"{"op":"replace","path":"/x","value":1}"#,
        r#"{"op":"replace","path":"/l/-","value":1}"#,
        r#"{"op":"replace","path":"/l/2","value":1}"#,
        r#"{"op":"move","from":"/x","path":"/y"}"#,
        r#"{"op":"move","from":"/l/0","path":"/l/2"}"#,
        r#"{"op":"copy","from":"/l/2","path":"/y"}"#,
    ];
    for operation in table {
        let patch = format!(r#"[{{"op":"test","path":"/a","value":1}},{operation}]"#);
        let Err(Refused::Inapplicable(issue)) = patched(r#"{"a":1,"l":[1,2]}"#, &patch) else { panic!("{patch}") };
        assert_eq!(
            (issue.code, issue.expression.as_slice()),
            (IssueCode::Processing, &["[1]".to_owned()][..]),
            "{patch}"
        );
    }
}

#[test]
fn work_and_result_are_bounded() {
    let copies = |count: usize, from: &str, path: &str| {
        let copy = format!(r#"{{"op":"copy","from":"{from}","path":"{path}"}}"#);
        format!("[{}]", vec![copy; count].join(","))
    };
    let wide = format!(r#"{{"a":["{}"]}}"#, "x".repeat(400));
    let many = format!(r#"{{"a":[{}]}}"#, ["1"; 300].join(","));
    let table = [
        ("doubling", r#"{"a":[1]}"#, copies(40, "/a", "/a/-"), IssueCode::TooLong),
        ("bytes", wide.as_str(), copies(8, "/a/0", "/a/-"), IssueCode::TooLong),
        ("values", &many, copies(1, "/a", "/b"), IssueCode::TooLong),
        ("depth", r#"{"a":[]}"#, copies(6, "/a", "/a/0"), IssueCode::TooLong),
        ("work", &wide, copies(30, "/a/0", "/b"), IssueCode::TooCostly),
        ("moving", &many, copies(30, "/a/1", "/a/0"), IssueCode::TooCostly),
    ];
    for (what, document, patch, code) in table {
        let Err(Refused::Inapplicable(issue)) = patched(document, &patch) else { panic!("{what}") };
        assert_eq!(issue.code, code, "{what}");
    }
    let Err(Refused::Malformed(issues)) = patched("{}", &copies(51, "/a", "/b")) else { panic!("operations") };
    assert_eq!(issues.first().map(|issue| issue.code), Some(IssueCode::TooLong));
}

#[test]
fn what_a_patch_touches_is_known() {
    let table = [
        (r#"[{"op":"add","path":"/text/div","value":""}]"#, true),
        (r#"[{"op":"replace","path":"","value":{}}]"#, true),
        (r#"[{"op":"move","from":"/text","path":"/a"}]"#, true),
        (r#"[{"op":"copy","from":"/text","path":"/a"}]"#, false),
        (r#"[{"op":"test","path":"/text","value":1},{"op":"remove","path":"/textual"}]"#, false),
    ];
    for (patch, expected) in table {
        assert_eq!(Patch::parse(patch.as_bytes(), &LIMITS).expect("a patch").touches("text"), expected, "{patch}");
    }
}
