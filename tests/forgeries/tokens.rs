//! Forged tokens that bring their certificates: software statements, client assertions, certifications.
//!
//! Each is made from a sound one of the same key. Not here: the certificates themselves (see `chains`), tokens whose key is
//! found by its name (see `keys`).

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use idi_match::auth::error::Reason;
use idi_match::auth::jws::{self, CERTIFICATES_MAX, JWS_BYTES_MAX, PublicKey, claims};
use idi_match::auth::trust::{ChainError, Crl, TrustStore, validate};
use serde_json::{Map, Value, json};

use crate::pki::{Authority, Kind, Leaf, NOW_S, NOW_US};

const URI: &str = "https://client.example/app";

const ENDPOINT: &str = "https://here.example/oauth/token";

const LIFETIME_S: i64 = 300;

const SKEW_S: i64 = 5;

/// A token and why it is refused; `None`: it is accepted.
struct Case {
    name: String,
    text: String,
    expected: Option<Reason>,
}

fn case(name: impl Into<String>, text: String, expected: Reason) -> Case {
    Case { name: name.into(), text, expected: Some(expected) }
}

fn sound(name: impl Into<String>, text: String) -> Case {
    Case { name: name.into(), text, expected: None }
}

/// Whom the tests trust, and one leaf of it.
struct Client {
    store: TrustStore,
    leaf: Leaf,
    chain: Vec<Vec<u8>>,
    root: Authority,
}

impl Client {
    fn new(kind: Kind) -> Self {
        let root = Authority::root("Root", Kind::P256);
        let inter = root.intermediate("Intermediate", Kind::P256);
        let leaf = inter.leaf(&[URI], kind);
        let crls = [root.crl(&[]), inter.crl(&[])].map(|der| Arc::new(Crl::parse(&der).unwrap()));
        let store = TrustStore::new(std::slice::from_ref(&root.der), &[]).unwrap().with_crls(crls.to_vec());
        Self { store, chain: leaf.chain(&[&inter]), leaf, root }
    }

    /// What an endpoint does with such a token, up to its own claims.
    fn judge(&self, text: &str) -> Option<Reason> {
        self.accept(text).err()
    }

    fn accept(&self, text: &str) -> Result<(), Reason> {
        let token = jws::parse(text).map_err(jws::JwsError::reason)?;
        let chain = validate(&token.header.x5c, &[], &self.store, NOW_US).map_err(ChainError::reason)?;
        let key = PublicKey::from_certificate(&chain.leaf).map_err(jws::JwsError::reason)?;
        let token = token.verify(&key).map_err(jws::JwsError::reason)?;
        let issuer = claims::issuer_and_subject(&token).map_err(|error| error.0)?;
        if !chain.leaf.has_uri(issuer) {
            return Err(Reason::SanMismatch);
        }
        claims::audience(&token, &[ENDPOINT]).map_err(|error| error.0)?;
        claims::times(&token, NOW_US, SKEW_S, LIFETIME_S).map_err(|error| error.0)?;
        claims::text(&token, "jti").map(|_| ()).map_err(|error| error.0)
    }

    fn header(&self) -> Map<String, Value> {
        let x5c: Vec<String> = self.chain.iter().map(|der| STANDARD.encode(der)).collect();
        object(json!({"alg": self.leaf.algorithm(), "x5c": x5c}))
    }

    /// The usual header with other or more members.
    fn header_with(&self, more: Value) -> String {
        let mut header = self.header();
        header.extend(object(more));
        Value::Object(header).to_string()
    }

    /// A token whose header differs, rightly signed.
    fn with_header(&self, more: Value) -> String {
        self.leaf.raw_token(&self.header_with(more), &claims_text())
    }

    /// A token whose claims differ, rightly signed.
    fn with_claims(&self, more: Value) -> String {
        let mut claims = claims_map();
        claims.extend(object(more));
        self.leaf.raw_token(&Value::Object(self.header()).to_string(), &Value::Object(claims).to_string())
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = claims_map();
        claims.remove(name);
        self.leaf.raw_token(&Value::Object(self.header()).to_string(), &Value::Object(claims).to_string())
    }

    /// A token with this text for claims, rightly signed.
    fn with_payload(&self, payload: impl AsRef<[u8]>) -> String {
        let header = URL_SAFE_NO_PAD.encode(Value::Object(self.header()).to_string());
        self.leaf.seal(&format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload)))
    }

    fn good(&self) -> String {
        self.leaf.token(&self.chain, &Value::Object(claims_map()))
    }

    fn parts(&self) -> [String; 3] {
        parts_of(&self.good())
    }

    fn is_rsa(&self) -> bool {
        self.leaf.algorithm() == "RS256"
    }
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value}") };
    object
}

fn claims_map() -> Map<String, Value> {
    object(json!({
        "iss": URI, "sub": URI, "aud": ENDPOINT, "iat": NOW_S, "exp": NOW_S + LIFETIME_S, "jti": "token-1",
        "extensions": {"hl7-b2b": {"version": "1", "purpose_of_use": ["TREAT"]}},
    }))
}

fn claims_text() -> String {
    Value::Object(claims_map()).to_string()
}

fn parts_of(token: &str) -> [String; 3] {
    token.split('.').map(str::to_owned).collect::<Vec<_>>().try_into().unwrap()
}

fn accepted(client: &Client) -> Vec<Case> {
    let mut all = vec![
        sound("as usual", client.good()),
        sound("of type JWT", client.with_header(json!({"typ": "JWT"}))),
        sound("of type jwt", client.with_header(json!({"typ": "jwt"}))),
        sound("with more in the header", client.with_header(json!({"kid": "a", "x5t": "b", "x5t#S256": "c"}))),
        sound("for several", client.with_claims(json!({"aud": ["https://other.example", ENDPOINT]}))),
        sound("with more claims", client.with_claims(json!({"other": [1, {"a": null}]}))),
        sound("at the end of its life", client.with_claims(json!({"iat": NOW_S - 299, "exp": NOW_S + 1}))),
        sound("by a clock a little ahead", client.with_claims(json!({"iat": NOW_S + 5, "exp": NOW_S + 300}))),
        sound("with nbf", client.with_claims(json!({"nbf": NOW_S}))),
        sound("with spaces in its JSON", client.with_payload(claims_text().replace(',', " , "))),
    ];
    if client.is_rsa() {
        let signed = format!("{}.{}", encode(&client.header_with(json!({"alg": "RS384"}))), encode(&claims_text()));
        let signature = URL_SAFE_NO_PAD.encode(client.leaf.sign("RS384", signed.as_bytes()));
        all.push(sound("by RS384", format!("{signed}.{signature}")));
    } else {
        let [header, claims, signature] = client.parts();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let (r, s) = signature.split_at(signature.len() / 2);
        let other = [r, &subtract(&order(s.len()), s)].concat();
        all.push(sound(
            "with the other of two signatures",
            format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(other)),
        ));
    }
    all
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The order of P-256 or P-384.
fn order(bytes: usize) -> Vec<u8> {
    let hex = match bytes {
        32 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        _ => "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    };
    hex.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

/// `one - two` of big-endian numbers of the same length.
fn subtract(one: &[u8], two: &[u8]) -> Vec<u8> {
    let mut difference = vec![0; one.len()];
    let mut borrow = 0;
    for at in (0..one.len()).rev() {
        let value = i16::from(one[at]) - i16::from(two[at]) - borrow;
        borrow = i16::from(value < 0);
        difference[at] = u8::try_from(value.rem_euclid(256)).unwrap();
    }
    difference
}

fn forged(client: &Client) -> Vec<Case> {
    let mut all = algorithms(client);
    all.extend(headers(client));
    all.extend(strangers(client));
    all.extend(duplicates(client));
    all.extend(types(client));
    all.extend(spellings(client));
    all.extend(shapes(client));
    all.extend(signatures(client));
    all.extend(changed_claims(client));
    all.extend(certificates(client));
    all.extend(claims_of_others(client));
    all
}

fn algorithms(client: &Client) -> Vec<Case> {
    const OTHERS: [&str; 26] = [
        "none",
        "None",
        "NONE",
        "nOnE",
        "none ",
        "",
        "HS256",
        "HS384",
        "HS512",
        "PS256",
        "PS384",
        "PS512",
        "RS512",
        "RS1",
        "ES512",
        "ES256K",
        "EdDSA",
        "Ed25519",
        "rs256",
        "es256",
        " RS256",
        "ES256\u{0}",
        "RS256,ES256",
        "dir",
        "RSA-OAEP",
        "ECDH-ES",
    ];
    let reason = Reason::AlgorithmNotAllowed;
    let [_, claims, signature] = client.parts();
    let mut all = Vec::new();
    for name in OTHERS {
        let header = client.header_with(json!({"alg": name}));
        all.push(case(format!("alg {name:?}, rightly signed"), client.leaf.raw_token(&header, &claims_text()), reason));
        let kept = format!("{}.{claims}.{signature}", encode(&header));
        all.push(case(format!("alg {name:?}, the signature kept"), kept, reason));
    }
    for value in [json!(null), json!(256), json!(true), json!(["RS256"]), json!({"a": "RS256"})] {
        all.push(case(format!("alg {value}"), client.with_header(json!({"alg": value})), reason));
    }
    let mut header = client.header();
    header.remove("alg");
    all.push(case("no alg", client.leaf.raw_token(&Value::Object(header).to_string(), &claims_text()), reason));
    for name in ["none", "None", "RS256", "ES256"] {
        let header = encode(&client.header_with(json!({"alg": name})));
        all.push(case(format!("alg {name} and no signature"), format!("{header}.{claims}."), Reason::Malformed));
    }
    // The public key, in each form in which it is known, as the secret of an HMAC.
    let point = client.leaf.key.public_key_raw().to_vec();
    let pem = client.leaf.key.public_key_pem().into_bytes();
    let secrets = [("key", point), ("PEM", pem), ("certificate", client.leaf.der.clone()), ("nothing", Vec::new())];
    for (form, secret) in secrets {
        let signed = format!("{}.{claims}", encode(&client.header_with(json!({"alg": "HS256"}))));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
        let text = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
        all.push(case(format!("HMAC with the {form}"), text, reason));
    }
    for name in ["RS256", "RS384", "ES256", "ES384"] {
        if name != client.leaf.algorithm() {
            let family = name.starts_with("RS") == client.is_rsa();
            let expected = if family && client.is_rsa() { Reason::SignatureInvalid } else { Reason::KeyMismatch };
            all.push(case(format!("{name} is said"), client.with_header(json!({"alg": name})), expected));
        }
    }
    all
}

fn headers(client: &Client) -> Vec<Case> {
    let reason = Reason::HeaderNotAllowed;
    let key = json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"});
    let table = [
        ("crit", json!({"crit": ["exp"], "exp": NOW_S})),
        ("crit of nothing", json!({"crit": []})),
        ("crit that is known", json!({"crit": ["alg"]})),
        ("crit null", json!({"crit": null})),
        ("b64", json!({"b64": false})),
        ("b64 and crit", json!({"b64": false, "crit": ["b64"]})),
        ("jwk", json!({"jwk": key})),
        ("jwk null", json!({"jwk": null})),
        ("x5u", json!({"x5u": "https://client.example/chain.pem"})),
        ("zip", json!({"zip": "DEF"})),
        ("enc", json!({"enc": "A128GCM"})),
        ("epk", json!({"epk": key})),
        ("apu", json!({"apu": "AA"})),
        ("p2c", json!({"p2c": 2_000_000_000, "p2s": "AA"})),
        ("iv", json!({"iv": "AA", "tag": "AA"})),
        ("a token within", json!({"cty": "JWT"})),
        ("other contents", json!({"cty": "application/json"})),
        ("kid of a number", json!({"kid": 1})),
        ("kid of nothing", json!({"kid": ""})),
        ("kid of a list", json!({"kid": ["a"]})),
        ("kid that is long", json!({"kid": "k".repeat(3000)})),
        ("typ null", json!({"typ": null})),
        ("typ of a list", json!({"typ": ["JWT"]})),
        ("jku of an object", json!({"jku": {}})),
    ];
    table.map(|(name, more)| case(name, client.with_header(more), reason)).into()
}

fn strangers(client: &Client) -> Vec<Case> {
    let signer = Authority::root("Stranger", Kind::P256);
    let kind = match client.leaf.algorithm() {
        "RS256" => Kind::Rsa,
        "ES384" => Kind::P384,
        _ => Kind::P256,
    };
    let stranger = signer.leaf(&[URI], kind);
    let header = Value::Object(client.header()).to_string();
    let by_stranger = |more: Value| stranger.raw_token(&client.header_with(more), &claims_text());
    let jwk = stranger.signer().public_jwk();
    let claims = Value::Object(claims_map());
    let sister = client.root.leaf(&["https://sister.example/app"], kind);
    let mixed = [stranger.der.clone(), client.chain[1].clone(), client.root.der.clone()];
    vec![
        case("signed by a stranger", stranger.raw_token(&header, &claims_text()), Reason::SignatureInvalid),
        case("a stranger's certificates", stranger.token(&stranger.chain(&[]), &claims), Reason::Untrusted),
        case(
            "a stranger's certificates and root",
            stranger.token(&stranger.chain(&[&signer]), &claims),
            Reason::Untrusted,
        ),
        case("a stranger's leaf before our issuers", stranger.token(&mixed, &claims), Reason::ChainInvalid),
        case("a stranger's key beside", by_stranger(json!({"jwk": jwk})), Reason::HeaderNotAllowed),
        case(
            "a stranger's key elsewhere",
            by_stranger(json!({"jku": "https://evil.example/keys"})),
            Reason::SignatureInvalid,
        ),
        case("a stranger's kid", by_stranger(json!({"kid": "../../dev/null"})), Reason::SignatureInvalid),
        case("a kid for a database", by_stranger(json!({"kid": "' OR 1=1 --"})), Reason::SignatureInvalid),
        case("another member's certificates", sister.token(&sister.chain(&[]), &claims), Reason::SanMismatch),
        case(
            "our root as leaf",
            client.leaf.token(std::slice::from_ref(&client.root.der), &claims),
            Reason::CertificateUsage,
        ),
        case(
            "no certificates",
            client.leaf.raw_token(&json!({"alg": client.leaf.algorithm()}).to_string(), &claims_text()),
            Reason::CertificatesMissing,
        ),
    ]
}

fn duplicates(client: &Client) -> Vec<Case> {
    let header = Value::Object(client.header()).to_string();
    let mut all = Vec::new();
    for (name, again) in [
        ("alg", r#""alg":"none""#),
        ("alg, escaped", r#""\u0061lg":"none""#),
        ("x5c", r#""x5c":[]"#),
        ("typ", r#""typ":"JWT","typ":"at+jwt""#),
        ("kid", r#""kid":"a","kid":"b""#),
        ("a member within", r#""other":{"a":1,"a":2}"#),
    ] {
        for (place, text) in [
            ("first", format!("{{{again},{}", &header[1..])),
            ("last", format!("{},{again}}}", &header[..header.len() - 1])),
        ] {
            all.push(case(
                format!("header: {name} twice, {place}"),
                client.leaf.raw_token(&text, &claims_text()),
                Reason::DuplicateMember,
            ));
        }
    }
    let claims = claims_text();
    for (name, again) in [
        ("iss", r#""iss":"https://evil.example""#),
        ("iss, escaped", r#""is\u0073":"https://evil.example""#),
        ("sub", r#""sub":"https://evil.example""#),
        ("aud", r#""aud":"https://evil.example""#),
        ("exp", r#""exp":9999999999"#),
        ("iat", r#""iat":0"#),
        ("jti", r#""jti":"token-2""#),
        ("jti, the same", r#""jti":"token-1""#),
        ("extensions", r#""extensions":{}"#),
        ("a member within", r#""other":[{"a":1,"b":{"c":1,"c":1}}]"#),
    ] {
        for (place, text) in [
            ("first", format!("{{{again},{}", &claims[1..])),
            ("last", format!("{},{again}}}", &claims[..claims.len() - 1])),
        ] {
            all.push(case(
                format!("claims: {name} twice, {place}"),
                client.with_payload(text),
                Reason::DuplicateMember,
            ));
        }
    }
    all
}

fn types(client: &Client) -> Vec<Case> {
    const OTHERS: [&str; 14] = [
        "at+jwt",
        "application/at+jwt",
        "AT+JWT",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "oauth-authz-req+jwt",
        "token-introspection+jwt",
        "entity-statement+jwt",
        "JWE",
        "JOSE",
        "JWT ",
        "vc+sd-jwt",
        "application/json",
    ];
    OTHERS
        .map(|typ| case(format!("of type {typ:?}"), client.with_header(json!({"typ": typ})), Reason::TypeNotAllowed))
        .into()
}

/// The same bytes in another spelling of base64.
fn spellings(client: &Client) -> Vec<Case> {
    let mut all = Vec::new();
    for (at, part) in ["header", "claims", "signature"].into_iter().enumerate() {
        let parts = client.parts();
        let with = |text: String| {
            let mut parts = parts.clone();
            parts[at] = text;
            parts.join(".")
        };
        let text = &parts[at];
        let middle = text.len() / 2;
        let insert = |what: &str| format!("{}{what}{}", &text[..middle], &text[middle..]);
        let table = [
            ("padded", format!("{text}=")),
            ("padded twice", format!("{text}==")),
            ("padded in front", format!("={text}")),
            ("with a space behind", format!("{text} ")),
            ("with a space in front", format!(" {text}")),
            ("with a line break", insert("\n")),
            ("with a carriage return", insert("\r\n")),
            ("with a zero byte", insert("\u{0}")),
            ("with a tab", insert("\t")),
            ("with a percent sign", insert("%2E")),
            ("with a plus", insert("+")),
            ("with a slash", insert("/")),
            ("with a letter of another script", insert("а")),
            ("with a tilde", insert("~")),
        ];
        all.extend(table.map(|(how, text)| case(format!("{part} {how}"), with(text), Reason::Malformed)));
        if let Some(text) = with_idle_bits(text) {
            all.push(case(format!("{part} with idle bits"), with(text), Reason::Malformed));
        }
    }
    // Signed over what was received, so that only the spelling is at fault.
    let header = Value::Object(client.header()).to_string();
    for (name, header, claims) in [
        ("header padded and signed", URL_SAFE.encode(format!("{header}  ")), encode(&claims_text())),
        ("header padded and signed, one more", URL_SAFE.encode(format!("{header} ")), encode(&claims_text())),
        ("claims in the other alphabet", encode(&header), STANDARD.encode(claims_text().replace("TREAT", "~~~???>>>"))),
    ] {
        if format!("{header}{claims}").contains(['=', '+', '/']) {
            all.push(case(name, client.leaf.seal(&format!("{header}.{claims}")), Reason::Malformed));
        }
    }
    all
}

/// The last character with a bit set that decodes to nothing; `None` where every bit counts.
fn with_idle_bits(text: &str) -> Option<String> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = text.bytes().last()?;
    let value = ALPHABET.iter().position(|letter| *letter == last)?;
    (!text.len().is_multiple_of(4)).then(|| format!("{}{}", &text[..text.len() - 1], char::from(ALPHABET[value | 1])))
}

fn shapes(client: &Client) -> Vec<Case> {
    let [header, claims, signature] = client.parts();
    let good = client.good();
    let flat = json!({"protected": header, "payload": claims, "signature": signature});
    let general = json!({"payload": claims, "signatures": [{"protected": header, "signature": signature}]});
    let large = client.with_claims(json!({"other": "a".repeat(JWS_BYTES_MAX)}));
    let bytes = |payload: &[u8]| client.with_payload(payload);
    let claims_json = claims_text();
    let nested = |depth: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let many = format!(r#"{{"a":[{}1]}}"#, "1,".repeat(6_000));
    let utf_16: Vec<u8> = claims_json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let table = [
        ("nothing", String::new()),
        ("a dot", ".".into()),
        ("two dots", "..".into()),
        ("one part", header.clone()),
        ("two parts", format!("{header}.{claims}")),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{header}..{signature}")),
        ("no signature", format!("{header}.{claims}.")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts", format!("{header}.{claims}.{signature}.{claims}.{signature}")),
        ("a dot behind", format!("{good}.")),
        ("a dot in front", format!(".{good}")),
        ("a space in front", format!(" {good}")),
        ("a line break behind", format!("{good}\n")),
        ("Bearer in front", format!("Bearer {good}")),
        ("in quotes", format!("\"{good}\"")),
        ("twice", format!("{good}{good}")),
        ("flattened JSON", flat.to_string()),
        ("general JSON", general.to_string()),
        ("JSON in base64", encode(&flat.to_string())),
        ("a token as claims", bytes(good.as_bytes())),
        ("a list as claims", bytes(format!("[{claims_json}]").as_bytes())),
        ("a text as claims", bytes(b"\"text\"")),
        ("a number as claims", bytes(b"1")),
        ("null as claims", bytes(b"null")),
        ("bytes as claims", bytes(&[0xff, 0xfe, 0x00])),
        ("claims in UTF-16", bytes(&utf_16)),
        ("claims behind a byte order mark", bytes(format!("\u{feff}{claims_json}").as_bytes())),
        ("claims and more", bytes(format!("{claims_json}{{}}").as_bytes())),
        ("claims with a comma too many", bytes(claims_json.replace("\"jti\"", ",\"jti\"").as_bytes())),
        ("claims with a comment", bytes(format!("{claims_json}//").as_bytes())),
        ("claims cut off", bytes(&claims_json.as_bytes()[..claims_json.len() - 1])),
        ("claims with half a surrogate", bytes(claims_json.replace("token-1", "\\ud800").as_bytes())),
        ("claims with NaN", bytes(claims_json.replace("\"token-1\"", "NaN").as_bytes())),
        ("claims nested deeply", bytes(nested(40).as_bytes())),
        ("claims nested very deeply", bytes(nested(10_000).as_bytes())),
        (
            "header nested deeply",
            client.with_header(json!({"other": serde_json::from_str::<Value>(&nested(40)).unwrap()})),
        ),
    ];
    let mut all: Vec<Case> = table.map(|(name, text)| case(name, text, Reason::Malformed)).into();
    let exchanged = format!("{claims}.{header}.{signature}");
    all.push(case("header and claims exchanged", exchanged, Reason::AlgorithmNotAllowed));
    all.push(case("more bytes than a token has", large, Reason::TooLong));
    all.push(case("a very long text", "a".repeat(10 * JWS_BYTES_MAX), Reason::TooLong));
    all.push(case("more values than a token has", bytes(many.as_bytes()), Reason::TooLong));
    all.push(case(
        "a string that is too long",
        client.with_claims(json!({"other": "a".repeat(33 * 1024)})),
        Reason::TooLong,
    ));
    all
}

fn signatures(client: &Client) -> Vec<Case> {
    let [header, claims, signature] = client.parts();
    let bytes = URL_SAFE_NO_PAD.decode(&signature).unwrap();
    let with = |bytes: &[u8]| format!("{header}.{claims}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let mut forged: Vec<(String, Vec<u8>)> = vec![
        ("one byte".into(), vec![0]),
        ("zeros".into(), vec![0; bytes.len()]),
        ("all bits".into(), vec![0xff; bytes.len()]),
        ("one".into(), [vec![0; bytes.len() - 1], vec![1]].concat()),
        ("one byte less".into(), bytes[..bytes.len() - 1].to_vec()),
        ("one byte less in front".into(), bytes[1..].to_vec()),
        ("half".into(), bytes[..bytes.len() / 2].to_vec()),
        ("a byte more".into(), [bytes.as_slice(), &[0]].concat()),
        ("a zero in front".into(), [&[0], bytes.as_slice()].concat()),
        ("twice".into(), bytes.repeat(2)),
        ("reversed".into(), bytes.iter().rev().copied().collect()),
        ("of other claims".into(), client.leaf.sign(client.leaf.algorithm(), b"other")),
        ("of the claims alone".into(), client.leaf.sign(client.leaf.algorithm(), claims.as_bytes())),
    ];
    for at in (0..bytes.len()).step_by(bytes.len() / 16) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x80 >> (at % 8);
        forged.push((format!("a bit of byte {at}"), changed));
    }
    let signed = format!("{header}.{claims}");
    if client.is_rsa() {
        for algorithm in ["RS384", "RS512", "PS256"] {
            forged.push((format!("by {algorithm}"), client.leaf.sign(algorithm, signed.as_bytes())));
        }
    } else {
        let (half, order) = (bytes.len() / 2, order(bytes.len() / 2));
        let (r, s) = bytes.split_at(half);
        let zero = vec![0; half];
        let one = [vec![0; half - 1], vec![1]].concat();
        for (name, r, s) in [
            ("r and s zero", zero.as_slice(), zero.as_slice()),
            ("r zero", &zero, s),
            ("s zero", r, &zero),
            ("r and s one", &one, &one),
            ("r the order", &order, s),
            ("s the order", r, &order),
            ("r and s the order", &order, &order),
            ("r and s exchanged", s, r),
            ("r twice", r, r),
        ] {
            forged.push((name.into(), [r, s].concat()));
        }
        forged.push(("in DER".into(), client.leaf.sign("DER", signed.as_bytes())));
    }
    forged
        .into_iter()
        .map(|(name, bytes)| case(format!("signature: {name}"), with(&bytes), Reason::SignatureInvalid))
        .collect()
}

/// What is signed was changed afterwards.
fn changed_claims(client: &Client) -> Vec<Case> {
    let [header, claims, signature] = client.parts();
    let mut all = Vec::new();
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("sub", json!("https://evil.example")),
        ("aud", json!("https://evil.example")),
        ("exp", json!(NOW_S + LIFETIME_S - 1)),
        ("iat", json!(NOW_S - 1)),
        ("jti", json!("token-2")),
        ("nbf", json!(NOW_S)),
        ("extensions", json!({})),
        ("scope", json!("system/*.cruds")),
    ] {
        let mut changed = claims_map();
        changed.insert(name.into(), value);
        let text = format!("{header}.{}.{signature}", encode(&Value::Object(changed).to_string()));
        all.push(case(format!("{name} changed afterwards"), text, Reason::SignatureInvalid));
    }
    for (name, more) in [("kid", json!({"kid": "a"})), ("typ", json!({"typ": "JWT"})), ("x5t", json!({"x5t": "a"}))] {
        let text = format!("{}.{claims}.{signature}", encode(&client.header_with(more)));
        all.push(case(format!("{name} added afterwards"), text, Reason::SignatureInvalid));
    }
    let spaced = format!("{header}.{}.{signature}", encode(&format!("{} ", claims_text())));
    all.push(case("a space added afterwards", spaced, Reason::SignatureInvalid));
    all
}

fn certificates(client: &Client) -> Vec<Case> {
    let der = &client.chain[0];
    let good = STANDARD.encode(der);
    let inter = STANDARD.encode(&client.chain[1]);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{good}\n-----END CERTIFICATE-----");
    let lines: String = good.as_bytes().chunks(64).flat_map(|line| [line, b"\n"].concat()).map(char::from).collect();
    let unpadded = STANDARD.encode([der.as_slice(), &[0]].concat()).trim_end_matches('=').to_owned();
    let malformed = Reason::CertificateMalformed;
    let table = [
        ("x5c null", json!(null), malformed),
        ("x5c empty", json!([]), malformed),
        ("x5c a text", json!(good), malformed),
        ("x5c an object", json!({"0": good}), malformed),
        ("x5c with a number", json!([1, inter]), malformed),
        ("x5c with null", json!([good, null]), malformed),
        ("x5c with a list", json!([[good], inter]), malformed),
        ("x5c with nothing", json!(["", inter]), malformed),
        ("x5c in PEM", json!([pem, inter]), malformed),
        ("x5c in lines", json!([lines, inter]), malformed),
        ("x5c with a space", json!([format!(" {good}"), inter]), malformed),
        (
            "x5c with a byte behind the leaf",
            json!([STANDARD.encode([der.as_slice(), &[0]].concat()), inter]),
            malformed,
        ),
        ("x5c without its padding", json!([unpadded, inter]), malformed),
        ("x5c with padding too much", json!([format!("{good}===="), inter]), malformed),
        (
            "x5c in base64url",
            json!([URL_SAFE_NO_PAD.encode([der.as_slice(), &[0xff, 0xff, 0xff]].concat()), inter]),
            malformed,
        ),
        ("x5c of text", json!([STANDARD.encode("certificate"), inter]), malformed),
        ("x5c of zeros", json!([STANDARD.encode([0; 500]), inter]), malformed),
        ("x5c cut off", json!([STANDARD.encode(&der[..der.len() - 1]), inter]), malformed),
        ("x5c reversed", json!([inter, good]), Reason::ChainInvalid),
        ("x5c with the leaf alone", json!([good]), Reason::Untrusted),
        ("x5c with the leaf twice", json!([good, good, inter]), Reason::ChainInvalid),
        ("x5c with too many", json!(vec![good.as_str(); CERTIFICATES_MAX + 1]), Reason::TooLong),
        ("x5c with one too large", json!([STANDARD.encode(vec![0x30; 17 * 1024]), inter]), Reason::TooLong),
    ];
    table.map(|(name, x5c, expected)| case(name, client.with_header(json!({"x5c": x5c})), expected)).into()
}

/// Rightly signed, and not for this endpoint, client or moment.
fn claims_of_others(client: &Client) -> Vec<Case> {
    let other = "https://other.example/app";
    let mut all: Vec<Case> = ["iss", "sub", "aud", "exp", "iat", "jti"]
        .map(|name| case(format!("no {name}"), client.without_claim(name), Reason::ClaimMissing(name)))
        .into();
    for name in ["iss", "sub", "jti"] {
        for value in [json!(null), json!(7), json!(""), json!([URI]), json!({"a": URI}), json!("a\u{0}b")] {
            all.push(case(
                format!("{name} {value}"),
                client.with_claims(json!({name: value})),
                Reason::ClaimInvalid(name),
            ));
        }
    }
    let table = [
        ("another issuer", json!({"iss": other, "sub": other}), Reason::SanMismatch),
        ("the issuer with a slash", json!({"iss": format!("{URI}/"), "sub": format!("{URI}/")}), Reason::SanMismatch),
        ("the issuer in capitals", json!({"iss": URI.to_uppercase(), "sub": URI.to_uppercase()}), Reason::SanMismatch),
        (
            "the issuer with a port",
            json!({"iss": "https://client.example:443/app", "sub": "https://client.example:443/app"}),
            Reason::SanMismatch,
        ),
        (
            "the issuer with a fragment",
            json!({"iss": format!("{URI}#a"), "sub": format!("{URI}#a")}),
            Reason::SanMismatch,
        ),
        ("another subject", json!({"sub": other}), Reason::SubjectMismatch),
        ("the subject with a space", json!({"sub": format!("{URI} ")}), Reason::SubjectMismatch),
        ("for the registration", json!({"aud": "https://here.example/oauth/register"}), Reason::AudienceMismatch),
        ("for the FHIR base", json!({"aud": "https://here.example/fhir"}), Reason::AudienceMismatch),
        ("for somebody else", json!({"aud": "https://other.example/oauth/token"}), Reason::AudienceMismatch),
        ("for the endpoint with a slash", json!({"aud": format!("{ENDPOINT}/")}), Reason::AudienceMismatch),
        ("for the endpoint by http", json!({"aud": ENDPOINT.replace("https", "http")}), Reason::AudienceMismatch),
        ("for nobody", json!({"aud": []}), Reason::ClaimInvalid("aud")),
        ("for null", json!({"aud": null}), Reason::ClaimInvalid("aud")),
        ("for a number", json!({"aud": [ENDPOINT, 1]}), Reason::ClaimInvalid("aud")),
        ("expired", json!({"iat": NOW_S - 400, "exp": NOW_S - 100}), Reason::Expired),
        ("just expired", json!({"iat": NOW_S - 305, "exp": NOW_S - 5}), Reason::Expired),
        ("of the future", json!({"iat": NOW_S + 6, "exp": NOW_S + 300}), Reason::ClockSkew),
        ("not yet", json!({"nbf": NOW_S + 6}), Reason::ClockSkew),
        ("for too long", json!({"exp": NOW_S + LIFETIME_S + 1}), Reason::LifetimeTooLong),
        ("for a year", json!({"exp": NOW_S + 31_536_000}), Reason::LifetimeTooLong),
        ("for too long and begun long ago", json!({"iat": NOW_S - 3600}), Reason::LifetimeTooLong),
        ("ending as it begins", json!({"exp": NOW_S}), Reason::ClaimInvalid("exp")),
        ("exp as text", json!({"exp": (NOW_S + 300).to_string()}), Reason::ClaimInvalid("exp")),
        ("exp with a fraction", json!({"exp": NOW_S as f64 + 299.5}), Reason::ClaimInvalid("exp")),
        ("exp in milliseconds", json!({"exp": (NOW_S + 300) * 1000}), Reason::ClaimInvalid("exp")),
        ("exp beyond numbers", json!({"exp": u64::MAX}), Reason::ClaimInvalid("exp")),
        ("exp null", json!({"exp": null}), Reason::ClaimInvalid("exp")),
        ("iat below zero", json!({"iat": -1}), Reason::ClaimInvalid("iat")),
        ("iat true", json!({"iat": true}), Reason::ClaimInvalid("iat")),
    ];
    all.extend(table.map(|(name, more, expected)| case(name, client.with_claims(more), expected)));
    all
}

#[test]
fn no_forged_token_is_accepted_and_each_is_refused_for_its_own_reason() {
    let (mut texts, mut wrong) = (BTreeSet::new(), Vec::new());
    for kind in Kind::ACCEPTED {
        let client = Client::new(kind);
        for case in forged(&client) {
            let judged = client.judge(&case.text);
            if judged != case.expected {
                wrong.push(format!("{kind:?}: {}: {judged:?}, not {:?}", case.name, case.expected));
            }
            texts.insert(case.text);
        }
        assert_eq!(client.judge(&client.good()), None, "{kind:?}: after all that");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} forged tokens with certificates, none accepted", texts.len());
    assert!(texts.len() >= 300, "{}", texts.len());
}

#[test]
fn every_sound_token_is_accepted() {
    for kind in Kind::ACCEPTED {
        let client = Client::new(kind);
        for case in accepted(&client) {
            assert_eq!(client.judge(&case.text), case.expected, "{kind:?}: {}", case.name);
        }
    }
}
