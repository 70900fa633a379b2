//! Bodies that are no JSON, no FHIR, too much, or text that plays tricks.

use super::{Row, send, send_with};

const PATIENT: &str = "/fhir/Patient";
const MATCH: &str = "/fhir/Patient/$idi-match";

fn patient(members: &str) -> String {
    format!(r#"{{"resourceType":"Patient",{members}}}"#)
}

/// A Patient that is refused with 400.
fn refused(what: &str, members: &str, code: &'static str, place: &'static str) -> Row {
    Row::refused(what, send("POST", PATIENT, patient(members)), &[400], code).at(place)
}

/// A Patient that is kept, always under the same id.
fn kept(what: &str, id: &str, members: &str) -> Row {
    let body = patient(&format!(r#""id":"{id}",{members}"#));
    Row::plain(what, send("PUT", &format!("{PATIENT}/{id}"), body), &[200, 201])
}

/// More than one resource may be found by.
fn too_many(what: &str, members: &str, place: &'static str) -> Row {
    Row::refused(what, send("POST", PATIENT, patient(members)), &[422], "too-costly").at(place)
}

/// A Patient with a family name, written as JSON.
fn family(text: &str) -> String {
    patient(&format!(r#""name":[{{"family":"{text}"}}]"#))
}

pub fn no_json() -> Vec<Row> {
    let table: [(&str, Vec<u8>); 31] = [
        ("nothing", vec![]),
        ("spaces", vec![b' '; 1000]),
        ("a byte of zero", vec![0]),
        ("zeros", vec![0; 100_000]),
        ("XML", b"<Patient xmlns=\"http://hl7.org/fhir\"/>".to_vec()),
        (
            "XML with an entity",
            b"<!DOCTYPE p [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><Patient>&x;</Patient>".to_vec(),
        ),
        ("a form", b"resourceType=Patient&active=true".to_vec()),
        ("half a document", br#"{"resourceType":"Patient","#.to_vec()),
        ("two documents", br#"{"resourceType":"Patient"}{"resourceType":"Patient"}"#.to_vec()),
        ("more after the document", br#"{"resourceType":"Patient"}x"#.to_vec()),
        ("NDJSON", b"{\"resourceType\":\"Patient\"}\n{\"resourceType\":\"Patient\"}\n".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{\"resourceType\":\"Patient\"}".to_vec()),
        ("UTF-16", "{\"resourceType\":\"Patient\"}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("Latin-1", b"{\"resourceType\":\"Patient\",\"language\":\"\xe9\"}".to_vec()),
        ("an overlong slash", b"{\"resourceType\":\"Patient\",\"language\":\"\xc0\xaf\"}".to_vec()),
        ("a surrogate in UTF-8", b"{\"resourceType\":\"Patient\",\"language\":\"\xed\xa0\x80\"}".to_vec()),
        ("beyond Unicode", b"{\"resourceType\":\"Patient\",\"language\":\"\xf5\x80\x80\x80\"}".to_vec()),
        ("gzip without saying so", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\x00\x00".to_vec()),
        ("single quotes", b"{'resourceType':'Patient'}".to_vec()),
        ("names without quotes", b"{resourceType:\"Patient\"}".to_vec()),
        ("a comment", b"{\"resourceType\":\"Patient\"/* */}".to_vec()),
        ("a comma at the end", br#"{"resourceType":"Patient",}"#.to_vec()),
        ("a comma too many", br#"{"resourceType":"Patient",,"active":true}"#.to_vec()),
        ("no comma", br#"{"resourceType":"Patient" "active":true}"#.to_vec()),
        ("brackets that do not fit", br#"{"resourceType":"Patient"]"#.to_vec()),
        ("True", br#"{"resourceType":"Patient","active":True}"#.to_vec()),
        ("undefined", br#"{"resourceType":"Patient","active":undefined}"#.to_vec()),
        ("a hundred thousand brackets", vec![b'['; 100_000]),
        ("a hundred thousand braces", r#"{"a":"#.repeat(100_000).into_bytes()),
        ("quotes that do not end", [br#"{"resourceType":""#.to_vec(), vec![b'x'; 500_000]].concat()),
        ("backslashes", [br#"{"resourceType":""#.to_vec(), vec![b'\\'; 500_000]].concat()),
    ];
    table.into_iter().map(anything_broken).chain(broken_values()).collect()
}

fn anything_broken((what, body): (&str, Vec<u8>)) -> Row {
    Row::refused(what, send("POST", PATIENT, body), &[400], "structure").at("*")
}

fn broken_values() -> Vec<Row> {
    let of = |what, value: &str| {
        refused(what, &format!(r#""multipleBirthInteger":{value}"#), "structure", "Patient.multipleBirthInteger")
    };
    let text = |what, value: &str| {
        let row = family(value);
        Row::refused(what, send("POST", PATIENT, row), &[400], "structure").at("Patient.name[0].family")
    };
    vec![
        of("NaN", "NaN"),
        of("Infinity", "Infinity"),
        of("minus infinity", "-Infinity"),
        of("1e400", "1e400"),
        of("-1e400", "-1e400"),
        of("a number with a plus", "+1"),
        of("a number that begins with zero", "01"),
        of("a number that begins with a point", ".5"),
        of("a number that ends with a point", "1."),
        refused("a hexadecimal number", r#""multipleBirthInteger":0x10"#, "structure", "Patient"),
        of("an exponent without digits", "1e"),
        text("half a surrogate pair", r"\ud83d"),
        text("the other half", r"\ude00"),
        text("a pair the wrong way round", r"\ude00\ud83d"),
        text("an escape that is none", r"\x41"),
        text("an escape that ends early", r"\u00"),
        text("a line feed as it is", "a\nb"),
        text("a zero as it is", "a\0b"),
    ]
}

pub fn large() -> Vec<Row> {
    let over = |what: &str, body: String| Row::refused(what, send("POST", PATIENT, body), &[413], "too-long");
    let nested = |depth: usize| {
        let open = r#"{"url":"u","extension":["#.repeat(depth);
        patient(&format!(r#""extension":[{open}{}]"#, "]}".repeat(depth)))
    };
    let lists = |depth: usize| patient(&format!(r#""name":{}{}"#, "[".repeat(depth), "]".repeat(depth)));
    let entries = vec![r#"{"resource":{}}"#; 100_000].join(",");
    let names = |count: usize| patient(&format!(r#""name":[{}]"#, vec![r#"{"family":"x"}"#; count].join(",")));
    let members = |count: usize| (0..count).map(|number| format!(r#""m{number}":1"#)).collect::<Vec<_>>().join(",");
    vec![
        over("a body of one byte too many", " ".repeat((1 << 20) + 1)).at("http.body"),
        over("a body of sixty-four times too many", " ".repeat(64 << 20)).at("http.body"),
        over("fifty thousand and one values", names(25_000)).at("Patient.name"),
        over("a hundred thousand empty lists", patient(&format!(r#""name":[{}]"#, vec!["[]"; 100_000].join(","))))
            .at("Patient.name"),
        Row::refused(
            "a long name of a member",
            send("POST", PATIENT, patient(&format!(r#""{}":1"#, "x".repeat(900_000)))),
            &[400],
            "structure",
        )
        .at("Patient.(unprintable name)"),
        refused("thirty thousand members that are unknown", &members(30_000), "structure", "Patient.m0"),
        refused(
            "an integer of a hundred thousand digits",
            &format!(r#""multipleBirthInteger":{}"#, "9".repeat(100_000)),
            "structure",
            "Patient.multipleBirthInteger",
        ),
        refused(
            "an exponent of a hundred thousand digits",
            &format!(r#""multipleBirthInteger":1e{}"#, "9".repeat(100_000)),
            "structure",
            "Patient.multipleBirthInteger",
        ),
        Row::refused("extensions sixty deep", send("POST", PATIENT, nested(60)), &[400], "structure")
            .at("Patient.extension[0]"),
        Row::refused("lists a hundred deep", send("POST", PATIENT, lists(100)), &[400], "structure")
            .at("Patient.name[0]"),
        Row::refused("lists a hundred thousand deep", send("POST", PATIENT, lists(100_000)), &[400], "structure")
            .at("Patient.name[0]"),
        Row::refused(
            "a hundred thousand entries",
            send(
                "POST",
                "/fhir/Patient/$match",
                format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{entries}]}}"#),
            ),
            &[413],
            "too-long",
        )
        .at("http.body"),
        kept(
            "a name of nine hundred thousand letters",
            "letters",
            &format!(r#""name":[{{"family":"{}"}}]"#, "x".repeat(900_000)),
        ),
        kept("ten thousand names", "names", &listed("name", 10_000, |_| r#"{"family":"x"}"#.to_owned())),
        kept(
            "fifteen hundred names that differ",
            "more-names",
            &listed("name", 1_500, |n| format!(r#"{{"family":"x{n}"}}"#)),
        ),
        kept(
            "fifteen hundred identifiers",
            "identifiers",
            &listed("identifier", 1_500, |n| format!(r#"{{"system":"urn:x","value":"X{n}"}}"#)),
        ),
        kept(
            "fifteen hundred phones",
            "phones",
            &listed("telecom", 1_500, |n| format!(r#"{{"system":"phone","value":"614555{n:04}"}}"#)),
        ),
        too_many(
            "ten thousand names that differ",
            &listed("name", 10_000, |n| format!(r#"{{"family":"x{n}"}}"#)),
            "Patient.name.family",
        ),
        too_many(
            "ten thousand identifiers",
            &listed("identifier", 10_000, |n| format!(r#"{{"system":"urn:x","value":"X{n}"}}"#)),
            "Patient.identifier",
        ),
        too_many(
            "ten thousand phones",
            &listed("telecom", 10_000, |n| format!(r#"{{"system":"phone","value":"614555{n:04}"}}"#)),
            "Patient.telecom",
        ),
        too_many(
            "ten thousand addresses",
            &listed("address", 10_000, |n| format!(r#"{{"city":"x","line":["{n} y"]}}"#)),
            "Patient.address.line",
        ),
        too_many(
            "ten thousand given names",
            &format!(r#""name":[{{"family":"x",{}}}]"#, listed("given", 10_000, |n| format!(r#""N{n}""#))),
            "Patient.name.given",
        ),
        kept(
            "a picture of half a megabyte",
            "picture",
            &format!(r#""photo":[{{"contentType":"image/png","data":"{}"}}]"#, "QUFB".repeat(125_000)),
        ),
        Row::refused("ten thousand names, asked for", send("POST", MATCH, names(10_000)), &[422], "invariant")
            .at("Patient.meta.profile"),
    ]
}

/// A member with a list of this many values.
fn listed(member: &str, count: usize, value: impl Fn(usize) -> String) -> String {
    format!(r#""{member}":[{}]"#, (0..count).map(value).collect::<Vec<_>>().join(","))
}

pub fn no_fhir() -> Vec<Row> {
    let root =
        |what: &str, body: &str| Row::refused(what, send("POST", PATIENT, body), &[400], "invalid").at("resourceType");
    vec![
        root("a list", "[]"),
        root("a list of Patients", r#"[{"resourceType":"Patient"}]"#),
        root("a text", r#""Patient""#),
        root("a number", "1"),
        root("null", "null"),
        root("true", "true"),
        root("an empty object", "{}"),
        root("no type", r#"{"active":true}"#),
        root("another type", r#"{"resourceType":"Organization","name":"x"}"#),
        root("a type that is none", r#"{"resourceType":"Pati\u0000ent"}"#),
        root("a type of another type", r#"{"resourceType":["Patient"]}"#),
        root("a type in capitals", r#"{"resourceType":"PATIENT"}"#),
        refused("a type twice", r#""resourceType":"Patient""#, "structure", "Patient.resourceType"),
        refused("a member twice", r#""birthDate":"1980","birthDate":"1981""#, "structure", "Patient.birthDate"),
        refused("a member twice by escape", r#""gender":"male","\u0067ender":"female""#, "structure", "Patient.gender"),
        refused(
            "a member twice, deep inside",
            r#""contact":[{"name":{"family":"a","family":"b"}}]"#,
            "structure",
            "Patient.contact[0].name.family",
        ),
        refused("an unknown member", r#""shoeSize":44"#, "structure", "Patient.shoeSize"),
        refused("a prototype", r#""__proto__":{"admin":true}"#, "structure", "Patient.__proto__"),
        refused("an empty name", r#""":1"#, "structure", "Patient.(unprintable name)"),
        refused("a text for a flag", r#""active":"true""#, "structure", "Patient.active"),
        refused("a list for a flag", r#""active":[true]"#, "structure", "Patient.active"),
        refused("an object for a list", r#""name":{"family":"x"}"#, "structure", "Patient.name"),
        refused("a text for an object", r#""name":["x"]"#, "structure", "Patient.name[0]"),
        refused("a number for a text", r#""language":1"#, "structure", "Patient.language"),
        refused("null", r#""gender":null"#, "structure", "Patient.gender"),
        refused("null in a list", r#""name":[null]"#, "structure", "Patient.name[0]"),
        refused("an empty list", r#""name":[]"#, "structure", "Patient.name"),
        refused("an empty object", r#""name":[{}]"#, "structure", "Patient.name[0]"),
        refused("an empty text", r#""language":"""#, "value", "Patient.language"),
        refused("a fraction for an integer", r#""multipleBirthInteger":1.5"#, "value", "Patient.multipleBirth"),
        refused("an integer of 33 bits", r#""multipleBirthInteger":4294967296"#, "value", "Patient.multipleBirth"),
        refused(
            "an integer of 65 bits",
            r#""multipleBirthInteger":18446744073709551616"#,
            "value",
            "Patient.multipleBirth",
        ),
        refused("two choices", r#""deceasedBoolean":false,"deceasedDateTime":"1980""#, "structure", "Patient"),
        refused("a code that is none", r#""gender":"unspecified""#, "code-invalid", "Patient.gender"),
        refused("an id of another person", r#""id":"../../etc/passwd""#, "value", "Patient.id"),
        refused("base64 that is none", r#""photo":[{"data":"!!!!"}]"#, "value", "Patient.photo[0].data"),
        refused(
            "a meaning that is not understood",
            r#""modifierExtension":[{"url":"urn:not","valueBoolean":true}]"#,
            "extension",
            "Patient.modifierExtension[0]",
        ),
        refused("rules that are not known", r#""implicitRules":"urn:not""#, "not-supported", "Patient.implicitRules"),
    ]
}

pub fn dates() -> Vec<Row> {
    let texts = [
        "1980-02-30",
        "1981-02-29",
        "1980-13-01",
        "1980-00-10",
        "1980-01-00",
        "1980-1-1",
        "19800203",
        "1980/02/03",
        "03.02.1980",
        "80-02-03",
        "0000",
        "12345-01-01",
        "-1980-01-01",
        "1980-02-03T10:00:00Z",
        " 1980-02-03",
        "1980-02-03 ",
        "1980-W05",
        "\u{ff11}\u{ff19}\u{ff18}\u{ff10}",
        "\u{0661}\u{0669}\u{0668}\u{0660}",
        "1980\u{2010}02\u{2010}03",
        "9999999999999999-01-01",
        "today",
    ];
    texts
        .into_iter()
        .map(|text| {
            refused(
                &format!("a birth date {text:?}"),
                &format!(r#""birthDate":"{text}""#),
                "value",
                "Patient.birthDate",
            )
        })
        .chain(
            [
                "2020-01-01T25:00:00Z",
                "2020-01-01T10:00:00",
                "2020-01-01T10:00Z",
                "2020-01-01T10:00:00+25:00",
                "2020-01-01T10:00:61Z",
            ]
            .map(|text| {
                refused(
                    &format!("a time of death {text:?}"),
                    &format!(r#""deceasedDateTime":"{text}""#),
                    "value",
                    "Patient.deceased",
                )
            }),
        )
        .collect()
}

/// Text that looks like other text is text: it is stored as it came, compared as the normaliser says, and hurts nobody.
pub fn text() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        ("composed letters", "Bj\u{f6}rk"),
        ("the same, decomposed", "Bjo\u{308}rk"),
        ("a homoglyph", "\u{0410}nderson"),
        ("full width", "\u{ff21}\u{ff4e}\u{ff4e}"),
        ("right to left", "\u{202e}nosrednA\u{202c}"),
        ("isolates that do not end", "\u{2066}\u{2066}\u{2066}x"),
        ("no width", "An\u{200b}der\u{200d}son\u{feff}"),
        ("a thousand marks on one letter", "MARKS"),
        ("no character", "\u{ffff}\u{fffe}\u{10ffff}"),
        ("private use", "\u{e000}\u{f8ff}"),
        ("families of emoji", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"),
        ("tags", "\u{e0041}\u{e007f}x"),
        ("one letter that becomes eighteen", "\u{fdfa}"),
        ("a letter that grows when folded", "\u{1e9e}\u{130}\u{149}"),
        ("a statement", "Robert'); DROP TABLE resource;--"),
        ("wildcards", "%_%\\\\_*?"),
        ("a template", "${jndi:ldap://x/y} {{7*7}} <%= 7 %>"),
        ("markup", "<script>alert(1)</script>&amp;"),
        ("line ends", r"a\r\nb\r\n\r\nc"),
    ]
    .into_iter()
    .zip(0..)
    .map(|((what, text), number)| {
        let text = if text == "MARKS" { format!("x{}", "\u{301}".repeat(1_000)) } else { text.to_owned() };
        kept(what, &format!("text-{number}"), &format!(r#""name":[{{"family":"{text}"}}]"#))
    })
    .collect();
    // Whoever shows a narrative must clean it (see `primitive`).
    let script = r#""text":{"status":"generated","div":"<div><script>alert(1)</script></div>"}"#;
    rows.push(kept("a script in a narrative", "script", script));
    for (what, text) in [
        ("an escaped zero", r"a\u0000b"),
        ("an escaped bell", r"\u0007"),
        ("spaces alone", "   "),
        ("wide spaces alone", "\u{3000}\u{2003}"),
    ] {
        let row = Row::refused(what, send("POST", PATIENT, family(text)), &[400], "value");
        rows.push(row.at("Patient.name[0].family"));
    }
    rows
}

pub fn parameters() -> Vec<Row> {
    let person = r#"{"name":"IDIPatient","resource":{"resourceType":"Patient"}}"#;
    let ask = |what: &str, list: String, code, place| {
        let body = format!(r#"{{"resourceType":"Parameters","parameter":[{list}]}}"#);
        Row::refused(what, send("POST", MATCH, body), &[400], code).at(place)
    };
    let count = |what: &str, value: &str| {
        ask(what, format!(r#"{person},{{"name":"count",{value}}}"#), "invalid", "Parameters.parameter[1]")
    };
    vec![
        ask("the person twice", format!("{person},{person}"), "invalid", "Parameters.parameter[1]"),
        ask(
            "the person under two names",
            format!("{person},{}", person.replace("IDIPatient", "resource")),
            "invalid",
            "Parameters.parameter[1]",
        ),
        ask("nobody", r#"{"name":"count","valueInteger":1}"#.to_owned(), "required", "Parameters.parameter"),
        ask(
            "an Organization",
            r#"{"name":"IDIPatient","resource":{"resourceType":"Organization","name":"x"}}"#.to_owned(),
            "invalid",
            "Parameters.parameter[0]",
        ),
        ask(
            "a person as a text",
            r#"{"name":"IDIPatient","valueString":"x"}"#.to_owned(),
            "invalid",
            "Parameters.parameter[0]",
        ),
        ask("a parameter without a name", r#"{"valueString":"x"}"#.to_owned(), "required", "Parameters.parameter[0]"),
        ask(
            "a flag twice",
            format!(
                r#"{person},{{"name":"onlySingleMatch","valueBoolean":true}},{{"name":"onlySingleMatch","valueBoolean":true}}"#
            ),
            "invalid",
            "Parameters.parameter[2]",
        ),
        ask(
            "a flag as a text",
            format!(r#"{person},{{"name":"onlyCertainMatches","valueString":"true"}}"#),
            "invalid",
            "Parameters.parameter[1]",
        ),
        count("a count of zero", r#""valueInteger":0"#),
        count("a count below zero", r#""valueInteger":-1"#),
        count("a count as a text", r#""valueString":"1""#),
        count("a count without a value", r#""valueBoolean":true"#),
        ask(
            "a count of 65 bits",
            format!(r#"{person},{{"name":"count","valueInteger":18446744073709551616}}"#),
            "value",
            "Parameters.parameter[1].value",
        ),
        ask(
            "two values",
            format!(r#"{person},{{"name":"count","valueInteger":1,"valueString":"1"}}"#),
            "structure",
            "Parameters.parameter[1]",
        ),
        ask("ten thousand people", vec![person; 9_000].join(","), "invalid", "Parameters.parameter[1]"),
        Row::refused("a Bundle", send("POST", MATCH, r#"{"resourceType":"Bundle","type":"batch"}"#), &[400], "invalid")
            .at("$this"),
        Row::refused("a list of people", send("POST", MATCH, "[]"), &[400], "structure").at("Resource"),
    ]
}

pub fn profiles() -> Vec<Row> {
    let claims = |profile: &str| patient(&format!(r#""meta":{{"profile":["{profile}"]}},"name":[{{"family":"x"}}]"#));
    vec![
        Row::refused("a profile that nobody knows", send("POST", MATCH, claims("http://hostile.test/no-profile")), &[422], "invariant").at("Patient.meta.profile"),
        Row::refused("a profile with a version that nobody knows", send("POST", MATCH, claims("http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient|99.0")), &[422], "invariant").at("Patient"),
        Row::refused("a profile with a space", send("POST", MATCH, claims("a b")), &[400], "value").at("Patient.meta.profile[0]"),
        Row::refused("a profile that is not met", send("POST", MATCH, claims("http://hl7.org/fhir/us/identity-matching/StructureDefinition/IDI-Patient-L1")), &[422], "invariant").at("Patient"),
        Row::refused("nothing that is claimed", send("POST", MATCH, patient(r#""active":true"#)), &[422], "invariant").at("Patient.meta.profile"),
        Row::refused("ten thousand profiles", send("POST", MATCH, patient(&format!(r#""meta":{{"profile":[{}]}}"#, vec![r#""urn:x""#; 10_000].join(",")))), &[422], "invariant").at("Patient.meta.profile"),
        Row::refused("validation against a profile that nobody knows", send("POST", "/fhir/Patient/$validate?profile=urn:nobody", patient(r#""active":true"#)), &[200], "not-supported").at("Patient.meta.profile"),
        Row::refused("an incomplete resource", send("POST", PATIENT, patient(r#""meta":{"tag":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]}"#)), &[422], "business-rule").at("Patient.meta.tag"),
        Row::refused("a body without a type of its own", send_with("POST", PATIENT, "Content-Type: text/html\r\n", "{}"), &[415], "not-supported").at("http.content-type"),
    ]
}
