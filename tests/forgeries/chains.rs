//! Bad chains of certificates: one flaw each, beside the chain without it.
//!
//! Not here: the tokens that bring them (see `tokens`).

use std::collections::BTreeSet;
use std::sync::Arc;

use idi_match::auth::certificate::Certificate;
use idi_match::auth::trust::{Chain, ChainError, Crl, TrustError, TrustStore, UnknownRevocation};
use idi_match::auth::trust::{missing_issuer, validate};
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope, CustomExtension,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

use crate::pki::{Authority, Kind, Leaf, NOW_US, ShortRsa, element};

const URI: &str = "https://client.example/app";

const DAY_US: i64 = 86_400_000_000;

/// Everything that a validation is given.
#[derive(Clone)]
struct Setup {
    x5c: Vec<Vec<u8>>,
    extra: Vec<Vec<u8>>,
    anchors: Vec<Vec<u8>>,
    intermediates: Vec<Vec<u8>>,
    crls: Vec<Vec<u8>>,
    unknown: UnknownRevocation,
    now_us: i64,
}

impl Setup {
    fn store(&self) -> TrustStore {
        let crls = self.crls.iter().map(|der| Arc::new(Crl::parse(der).unwrap())).collect();
        let store = TrustStore::new(&self.anchors, &self.intermediates).unwrap();
        store.with_crls(crls).with_unknown_revocation(self.unknown)
    }

    fn judge(&self) -> Result<Chain, ChainError> {
        validate(&self.x5c, &self.extra, &self.store(), self.now_us)
    }

    fn x5c(&self, x5c: Vec<Vec<u8>>) -> Self {
        Self { x5c, ..self.clone() }
    }

    fn crls(&self, crls: Vec<Vec<u8>>) -> Self {
        Self { crls, ..self.clone() }
    }

    fn at(&self, now_us: i64) -> Self {
        Self { now_us, ..self.clone() }
    }

    fn lenient(&self) -> Self {
        Self { unknown: UnknownRevocation::Accept, ..self.clone() }
    }
}

struct Bad {
    name: &'static str,
    setup: Setup,
    expected: ChainError,
    /// Without the flaw; where there is none, the world's own chain.
    twin: Option<Setup>,
}

/// Root, intermediate and leaf with keys of one kind, and two spare keys.
struct World {
    root: Authority,
    inter: Authority,
    leaf: Leaf,
    spare: [Arc<KeyPair>; 2],
}

impl World {
    fn new(kind: Kind) -> Self {
        let root = Authority::root("Root", kind);
        let inter = root.intermediate("Intermediate", kind);
        let leaf = inter.leaf(&[URI], kind);
        Self { root, inter, leaf, spare: [kind.generate(), kind.generate()] }
    }

    fn setup(&self) -> Setup {
        Self::setup_of(&self.root, &self.inter, &self.leaf)
    }

    fn setup_of(root: &Authority, inter: &Authority, leaf: &Leaf) -> Setup {
        Setup {
            x5c: leaf.chain(&[inter]),
            extra: Vec::new(),
            anchors: vec![root.der.clone()],
            intermediates: Vec::new(),
            crls: vec![root.crl(&[]), inter.crl(&[])],
            unknown: UnknownRevocation::Refuse,
            now_us: NOW_US,
        }
    }

    fn with_leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Setup {
        let leaf = self.inter.leaf_with(&[URI], &self.leaf.key, change);
        Self::setup_of(&self.root, &self.inter, &leaf)
    }

    fn with_inter(&self, change: impl FnOnce(&mut CertificateParams)) -> Setup {
        let inter = self.root.intermediate_with("Intermediate", &self.inter.key, change);
        Self::setup_of(&self.root, &inter, &inter.leaf_with(&[URI], &self.leaf.key, |_| {}))
    }

    fn with_root(&self, change: impl FnOnce(&mut CertificateParams)) -> Setup {
        let root = Authority::root_with("Root", &self.root.key, change);
        let inter = root.intermediate_with("Intermediate", &self.inter.key, |_| {});
        Self::setup_of(&root, &inter, &inter.leaf_with(&[URI], &self.leaf.key, |_| {}))
    }

    fn bad(&self) -> Vec<Bad> {
        let mut all = self.times();
        all.extend(self.usages());
        all.extend(self.names_and_signatures());
        all.extend(self.orders());
        all.extend(self.revocations());
        all.extend(self.keys());
        all.extend(self.forms());
        all.extend(self.extensions());
        all
    }

    fn times(&self) -> Vec<Bad> {
        let past = |params: &mut CertificateParams| params.not_after = date_time_ymd(2026, 1, 1);
        let future = |params: &mut CertificateParams| params.not_before = date_time_ymd(2028, 1, 1);
        let reversed = |params: &mut CertificateParams| {
            params.not_before = date_time_ymd(2028, 1, 1);
            params.not_after = date_time_ymd(2026, 1, 1);
        };
        let early = |setup: &Setup| setup.at(DAY_US * 365 * 55);
        vec![
            bad("the leaf has expired", self.with_leaf(past), ChainError::Expired).beside(early(&self.with_leaf(past))),
            bad("the intermediate has expired", self.with_inter(past), ChainError::Expired)
                .beside(early(&self.with_inter(past))),
            bad("the root has expired", self.with_root(past), ChainError::Expired).beside(early(&self.with_root(past))),
            bad("the leaf is not valid yet", self.with_leaf(future), ChainError::NotYetValid)
                .beside(self.with_leaf(future).at(NOW_US + DAY_US * 730)),
            bad("the intermediate is not valid yet", self.with_inter(future), ChainError::NotYetValid)
                .beside(self.with_inter(future).at(NOW_US + DAY_US * 730)),
            bad("the root is not valid yet", self.with_root(future), ChainError::NotYetValid)
                .beside(self.with_root(future).at(NOW_US + DAY_US * 730)),
            bad("the leaf ends before it begins", self.with_leaf(reversed), ChainError::Malformed),
            bad("the clock is before everything", self.setup().at(DAY_US), ChainError::NotYetValid),
            bad("the clock is after everything", self.setup().at(DAY_US * 365 * 140), ChainError::Expired),
        ]
    }

    fn usages(&self) -> Vec<Bad> {
        let usages = |usages: &[KeyUsagePurpose]| {
            let usages = usages.to_vec();
            move |params: &mut CertificateParams| params.key_usages = usages
        };
        let limited = |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let no_usage = ChainError::NoDigitalSignature;
        let no_signing = ChainError::NoCertificateSigning;
        let below = self.root.intermediate_with("Intermediate", &self.inter.key, limited);
        let lower = below.intermediate_with("Lower", &self.spare[0], |_| {});
        let leaf = lower.leaf_with(&[URI], &self.leaf.key, |_| {});
        let deep = Setup {
            x5c: leaf.chain(&[&lower, &below]),
            crls: vec![self.root.crl(&[]), below.crl(&[]), lower.crl(&[])],
            ..self.setup()
        };
        vec![
            bad("the leaf is for encryption", self.with_leaf(usages(&[KeyUsagePurpose::KeyEncipherment])), no_usage),
            bad("the leaf is for commitments", self.with_leaf(usages(&[KeyUsagePurpose::ContentCommitment])), no_usage),
            bad("the leaf is for key agreement", self.with_leaf(usages(&[KeyUsagePurpose::KeyAgreement])), no_usage),
            bad("the leaf is for certificates", self.with_leaf(usages(&[KeyUsagePurpose::KeyCertSign])), no_usage),
            bad(
                "the leaf is an authority",
                self.with_leaf(|params| params.is_ca = any_authority()),
                ChainError::AuthorityAsLeaf,
            ),
            bad("the leaf is an authority of nothing", self.with_leaf(limited), ChainError::AuthorityAsLeaf),
            bad(
                "the intermediate stands alone",
                self.setup().x5c(vec![self.inter.der.clone()]),
                ChainError::AuthorityAsLeaf,
            ),
            bad("the root stands alone", self.setup().x5c(vec![self.root.der.clone()]), ChainError::AuthorityAsLeaf),
            bad(
                "the intermediate says nothing of authority",
                self.with_inter(|params| params.is_ca = IsCa::NoCa),
                ChainError::NotAnAuthority,
            ),
            bad(
                "the intermediate is no authority",
                self.with_inter(|params| params.is_ca = IsCa::ExplicitNoCa),
                ChainError::NotAnAuthority,
            ),
            bad(
                "the intermediate may sign lists only",
                self.with_inter(usages(&[KeyUsagePurpose::CrlSign])),
                no_signing,
            ),
            bad("the intermediate has no usage", self.with_inter(usages(&[])), no_signing),
            bad(
                "the intermediate may sign tokens and lists",
                self.with_inter(usages(&[KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign])),
                no_signing,
            ),
            bad(
                "the intermediate may not sign lists",
                self.with_inter(usages(&[KeyUsagePurpose::KeyCertSign])),
                ChainError::RevocationUnknown,
            ),
            bad("an intermediate below one that allows none", deep, ChainError::PathTooLong)
                .beside(self.with_inter(limited)),
            bad("an intermediate below a root that allows none", self.with_root(limited), ChainError::PathTooLong)
                .beside(self.with_root(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)))),
            bad("a leaf issues a leaf", self.leaf_of_a_leaf(), ChainError::NotAnAuthority),
        ]
    }

    /// The leaf's key signs another certificate under the leaf's own name.
    fn leaf_of_a_leaf(&self) -> Setup {
        let as_authority = |params: &mut CertificateParams| {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        };
        let issuer = self.inter.intermediate_with("Leaf that issues", &self.leaf.key, as_authority);
        let leaf = issuer.leaf_with(&[URI], &self.spare[0], |_| {});
        let mut setup = self.setup().x5c(leaf.chain(&[&issuer, &self.inter]));
        setup.crls.push(issuer.crl(&[]));
        setup
    }

    fn names_and_signatures(&self) -> Vec<Bad> {
        let stranger = Authority::root_with("Root", &self.spare[0], |_| {});
        let its_inter = stranger.intermediate_with("Intermediate", &self.spare[1], |_| {});
        let its_leaf = its_inter.leaf_with(&[URI], &self.leaf.key, |_| {});
        let other = Authority::root_with("Other root", &self.spare[0], |_| {});
        let other_inter = other.intermediate_with("Other intermediate", &self.spare[1], |_| {});
        let other_leaf = other_inter.leaf_with(&[URI], &self.leaf.key, |_| {});
        let loose = other.intermediate_with("Elsewhere", &self.inter.key, |_| {});
        let flipped = |der: &[u8], at: usize| {
            let mut der = der.to_vec();
            der[at] ^= 1;
            der
        };
        let (leaf, inter) = (&self.leaf.der, &self.inter.der);
        let at_uri = position(leaf, b"client.example");
        let at_serial = position(leaf, &self.leaf.serial) + 3;
        let setup = self.setup();
        let with_leaf = |leaf: Vec<u8>| setup.x5c(vec![leaf, inter.clone()]);
        vec![
            bad(
                "somebody's leaf under the intermediate's name",
                with_leaf(its_leaf.der.clone()),
                ChainError::SignatureInvalid,
            ),
            bad(
                "a whole chain under our names",
                setup.x5c(its_leaf.chain(&[&its_inter])),
                ChainError::SignatureInvalid,
            ),
            bad(
                "a whole chain under our names, with its root",
                setup.x5c(its_leaf.chain(&[&its_inter, &stranger])),
                ChainError::SignatureInvalid,
            ),
            bad("a chain of others", setup.x5c(other_leaf.chain(&[&other_inter])), ChainError::Untrusted),
            bad(
                "a chain of others with its root",
                setup.x5c(other_leaf.chain(&[&other_inter, &other])),
                ChainError::Untrusted,
            ),
            bad("a leaf of others without anything", setup.x5c(vec![other_leaf.der.clone()]), ChainError::Untrusted),
            bad("an issuer of another name", setup.x5c(vec![leaf.clone(), loose.der.clone()]), ChainError::Unordered),
            bad(
                "a leaf that vouches for itself",
                setup.x5c(vec![self.self_signed(IsCa::ExplicitNoCa)]),
                ChainError::Untrusted,
            ),
            bad(
                "an authority that vouches for itself",
                setup.x5c(vec![self.self_signed(any_authority())]),
                ChainError::AuthorityAsLeaf,
            ),
            bad("two authorities that vouch for each other", self.circle(), ChainError::Untrusted),
            bad(
                "the leaf's signature is changed",
                with_leaf(flipped(leaf, leaf.len() - 1)),
                ChainError::SignatureInvalid,
            ),
            bad("the leaf's URI is changed", with_leaf(flipped(leaf, at_uri)), ChainError::SignatureInvalid),
            bad(
                "the leaf's serial number is changed",
                with_leaf(flipped(leaf, at_serial)),
                ChainError::SignatureInvalid,
            ),
            bad(
                "the intermediate's signature is changed",
                setup.x5c(vec![leaf.clone(), flipped(inter, inter.len() - 1)]),
                ChainError::SignatureInvalid,
            ),
        ]
    }

    fn self_signed(&self, is_ca: IsCa) -> Vec<u8> {
        let change = |params: &mut CertificateParams| {
            params.is_ca = is_ca;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.subject_alt_names = vec![uri(URI)];
        };
        Authority::root_with("Self", &self.spare[0], change).der
    }

    fn circle(&self) -> Setup {
        let first = Authority::root_with("First", &self.spare[0], |_| {});
        let second = Authority::root_with("Second", &self.spare[1], |_| {});
        let first_by_second = second.intermediate_with("First", &self.spare[0], |_| {});
        let second_by_first = first.intermediate_with("Second", &self.spare[1], |_| {});
        let leaf = first.leaf_with(&[URI], &self.leaf.key, |_| {});
        self.setup().x5c(leaf.chain(&[&first_by_second, &second_by_first]))
    }

    fn orders(&self) -> Vec<Bad> {
        let setup = self.setup();
        let (leaf, inter, root) = (self.leaf.der.clone(), self.inter.der.clone(), self.root.der.clone());
        let alone = setup.x5c(vec![leaf.clone()]);
        let with_root = setup.x5c(vec![leaf.clone(), inter.clone(), root.clone()]);
        let fetched = Setup { extra: vec![inter.clone()], ..alone.clone() };
        let known = Setup { intermediates: vec![inter.clone()], ..alone.clone() };
        let filled = |count: usize| setup.x5c([vec![leaf.clone()], vec![inter.clone(); count - 1]].concat());
        let many = Setup { extra: vec![inter.clone(); 11], ..alone.clone() };
        vec![
            bad("nothing", setup.x5c(Vec::new()), ChainError::Empty),
            bad("the intermediate is missing", alone.clone(), ChainError::Untrusted).beside(fetched),
            bad(
                "the intermediate is missing and the root is there",
                setup.x5c(vec![leaf.clone(), root.clone()]),
                ChainError::Unordered,
            )
            .beside(known),
            bad("the intermediate stands first", setup.x5c(vec![inter.clone(), leaf.clone()]), ChainError::Unordered),
            bad(
                "the root stands before the intermediate",
                setup.x5c(vec![leaf.clone(), root.clone(), inter.clone()]),
                ChainError::Unordered,
            )
            .beside(with_root),
            bad(
                "the leaf stands twice",
                setup.x5c(vec![leaf.clone(), leaf.clone(), inter.clone()]),
                ChainError::Duplicate,
            ),
            bad(
                "the intermediate stands twice",
                setup.x5c(vec![leaf.clone(), inter.clone(), inter.clone()]),
                ChainError::Duplicate,
            ),
            bad(
                "the root stands twice",
                setup.x5c(vec![leaf.clone(), inter.clone(), root.clone(), root.clone()]),
                ChainError::Duplicate,
            ),
            bad("eleven certificates", filled(11), ChainError::TooLong),
            bad("fifty certificates", filled(50), ChainError::TooLong),
            bad("eleven fetched certificates", many, ChainError::TooLong),
            bad("a chain of eight authorities", self.ladder(8), ChainError::PathTooLong).beside(self.ladder(5)),
        ]
    }

    /// So many intermediates, one below the other.
    fn ladder(&self, count: usize) -> Setup {
        let mut rungs = vec![self.root.clone()];
        for at in 0..count {
            let above = &rungs[at];
            rungs.push(above.intermediate_with(&format!("Rung {at}"), &self.spare[at % 2], |_| {}));
        }
        let leaf = rungs[count].leaf_with(&[URI], &self.leaf.key, |_| {});
        let issuers: Vec<_> = rungs[1..].iter().rev().collect();
        let crls = rungs.iter().map(|rung| rung.crl(&[])).collect();
        Setup { x5c: leaf.chain(&issuers), crls, ..self.setup() }
    }

    fn revocations(&self) -> Vec<Bad> {
        let setup = self.setup();
        let (root, inter) = (self.root.crl(&[]), self.inter.crl(&[]));
        let revoked_leaf = self.inter.crl(&[&self.leaf.serial]);
        let revoked_inter = self.root.crl(&[&self.inter.serial]);
        let impostor = Authority::root_with("Intermediate", &self.spare[0], |_| {}).crl(&[]);
        let impostor_root = Authority::root_with("Root", &self.spare[0], |_| {}).crl(&[]);
        let stranger = Authority::root_with("Stranger", &self.spare[0], |_| {}).crl(&[]);
        let ended = |issuer: &Authority| issuer.crl_with(&[], |list| list.next_update = date_time_ymd(2026, 1, 1));
        let begins = |issuer: &Authority| issuer.crl_with(&[], |list| list.this_update = date_time_ymd(2028, 1, 1));
        let newer = self.inter.crl_with(&[&self.leaf.serial], |list| list.this_update = date_time_ymd(2026, 1, 1));
        let newer_clean = self.inter.crl_with(&[], |list| list.this_update = date_time_ymd(2026, 1, 1));
        let part = |scope| self.inter.crl_with(&[], |list| list.issuing_distribution_point = Some(distribution(scope)));
        let unknown = ChainError::RevocationUnknown;
        let crls = |lists: [&Vec<u8>; 2]| setup.crls(lists.map(Clone::clone).to_vec());
        let none = setup.crls(Vec::new());
        vec![
            bad("the leaf is revoked", crls([&root, &revoked_leaf]), ChainError::Revoked),
            bad("the intermediate is revoked", crls([&revoked_inter, &inter]), ChainError::Revoked),
            bad(
                "the leaf is revoked, unknown ones being accepted",
                crls([&root, &revoked_leaf]).lenient(),
                ChainError::Revoked,
            ),
            bad(
                "the leaf is revoked and nothing is known of the rest",
                setup.crls(vec![revoked_leaf.clone()]).lenient(),
                ChainError::Revoked,
            ),
            bad(
                "a newer list revokes the leaf",
                setup.crls(vec![root.clone(), inter.clone(), newer]),
                ChainError::Revoked,
            )
            .beside(setup.crls(vec![root.clone(), revoked_leaf.clone(), newer_clean])),
            bad("there is no list", none.clone(), unknown).beside(none.lenient()),
            bad("the leaf's list is missing", setup.crls(vec![root.clone()]), unknown)
                .beside(setup.crls(vec![root.clone()]).lenient()),
            bad("the intermediate's list is missing", setup.crls(vec![inter.clone()]), unknown),
            bad("only lists of others", setup.crls(vec![stranger]), unknown),
            bad("the leaf's list has ended", crls([&root, &ended(&self.inter)]), unknown)
                .beside(crls([&root, &ended(&self.inter)]).at(NOW_US - 730 * DAY_US)),
            bad("the intermediate's list has ended", crls([&ended(&self.root), &inter]), unknown),
            bad("a list has ended, unknown ones being accepted", crls([&root, &ended(&self.inter)]).lenient(), unknown),
            bad("the leaf's list is of the future", crls([&root, &begins(&self.inter)]), unknown),
            bad("the leaf's list is signed by somebody else", crls([&root, &impostor]), unknown),
            bad("the root's list is signed by somebody else", crls([&impostor_root, &inter]), unknown),
            bad(
                "a list is signed by somebody else, unknown ones being accepted",
                crls([&root, &impostor]).lenient(),
                unknown,
            ),
            bad("the leaf's list is about authorities", crls([&root, &part(CrlScope::CaCertsOnly)]), unknown)
                .beside(crls([&root, &part(CrlScope::UserCertsOnly)])),
            bad(
                "a list in parts, unknown ones being accepted",
                setup.crls(vec![part(CrlScope::CaCertsOnly)]).lenient(),
                unknown,
            ),
        ]
    }

    fn keys(&self) -> Vec<Bad> {
        let setup = self.setup();
        let leaf = |bits| setup.x5c(vec![self.inter.leaf_of(&[URI], &ShortRsa::new(bits)), self.inter.der.clone()]);
        let short = self.root.intermediate_of("Intermediate", &ShortRsa::new(1024));
        let other = |kind: Kind| self.inter.leaf(&[URI], kind);
        let curve = self.root.intermediate("Curve", Kind::P521);
        let edwards = self.root.intermediate("Edwards", Kind::Ed25519);
        let below = |issuer: &Authority| {
            let leaf = issuer.leaf_with(&[URI], &self.leaf.key, |_| {});
            let mut setup = setup.x5c(leaf.chain(&[issuer]));
            setup.crls.push(issuer.crl(&[]));
            setup
        };
        // The same, but the weak authority is found elsewhere than in the token.
        let hidden = |issuer: &Authority| {
            let mut setup = below(issuer);
            setup.extra = setup.x5c.split_off(1);
            setup
        };
        let weak = ChainError::WeakKey;
        vec![
            bad("a leaf with 1024 bits", leaf(1024), weak),
            bad("a leaf with 512 bits", leaf(512), weak),
            bad("a leaf with 2040 bits", leaf(2040), weak),
            bad("a leaf with 8200 bits", leaf(8200), weak),
            bad("an intermediate with 1024 bits", setup.x5c(vec![self.leaf.der.clone(), short]), weak),
            bad("a leaf on P-521", setup.x5c(other(Kind::P521).chain(&[&self.inter])), weak),
            bad("a leaf on Ed25519", setup.x5c(other(Kind::Ed25519).chain(&[&self.inter])), weak),
            bad("an intermediate on P-521", below(&curve), weak),
            bad("an intermediate on Ed25519", below(&edwards), weak),
            bad("a fetched intermediate on P-521", hidden(&curve), ChainError::AlgorithmNotAllowed),
            bad("a fetched intermediate on Ed25519", hidden(&edwards), ChainError::AlgorithmNotAllowed),
        ]
    }

    fn forms(&self) -> Vec<Bad> {
        let setup = self.setup();
        let (leaf, inter) = (&self.leaf.der, &self.inter.der);
        let with = |der: Vec<u8>| setup.x5c(vec![der, inter.clone()]);
        let issuer = |der: Vec<u8>| setup.x5c(vec![leaf.clone(), der]);
        let longer = |der: &[u8]| [der, &[0]].concat();
        let cut = |der: &[u8], parts: usize| der[..der.len() * parts / 8].to_vec();
        let indefinite = [&[0x30, 0x80], &leaf[4..], &[0, 0]].concat();
        let version_1 = {
            let mut der = leaf.clone();
            let at = position(&der, &[0xa0, 0x03, 0x02, 0x01, 0x02]) + 4;
            der[at] = 0;
            der
        };
        let wrapped = element(0x30, leaf);
        let mut all = vec![
            bad("an empty certificate", with(Vec::new()), ChainError::Malformed),
            bad("text", with(b"certificate".to_vec()), ChainError::Malformed),
            bad(
                "PEM",
                with(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n".to_vec()),
                ChainError::Malformed,
            ),
            bad("an empty sequence", with(vec![0x30, 0]), ChainError::Malformed),
            bad("zeros", with(vec![0; 600]), ChainError::Malformed),
            bad("a length beyond the end", with(vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), ChainError::Malformed),
            bad("a sequence around the leaf", with(wrapped), ChainError::Malformed),
            bad("nested sequences", with([0x30, 0x80].repeat(4000)), ChainError::Malformed),
            bad("an indefinite length", with(indefinite), ChainError::Malformed),
            bad("a certificate of version 1", with(version_1), ChainError::Malformed),
            bad("a byte behind the leaf", with(longer(leaf)), ChainError::Malformed),
            bad("a certificate behind the leaf", with([leaf.as_slice(), inter].concat()), ChainError::Malformed),
            bad("a byte behind the intermediate", issuer(longer(inter)), ChainError::Malformed),
            bad("an intermediate that is text", issuer(b"certificate".to_vec()), ChainError::Malformed),
            bad("an empty intermediate", issuer(Vec::new()), ChainError::Malformed),
            bad("a revocation list as certificate", with(self.inter.crl(&[])), ChainError::Malformed),
            bad("a key as certificate", with(self.leaf.key.serialize_der()), ChainError::Malformed),
            bad(
                "a very large certificate",
                self.with_leaf(|params| params.subject_alt_names = long_names()),
                ChainError::Malformed,
            ),
        ];
        all.extend((1..8).map(|parts| bad(CUT[parts - 1], with(cut(leaf, parts)), ChainError::Malformed)));
        all
    }

    fn extensions(&self) -> Vec<Bad> {
        let uris = |uris: Vec<SanType>| move |params: &mut CertificateParams| params.subject_alt_names = uris;
        let custom = |oid: &[u64], contents: &[u8], critical: bool| {
            let mut extension = CustomExtension::from_oid_content(oid, contents.to_vec());
            extension.set_criticality(critical);
            move |params: &mut CertificateParams| params.custom_extensions = vec![extension]
        };
        let names = element(0x30, &element(0x86, URI.as_bytes()));
        let outside = |params: &mut CertificateParams| {
            params.subject_alt_names.push(SanType::DnsName("client.example".try_into().unwrap()));
        };
        let malformed = ChainError::Malformed;
        vec![
            bad("names twice", self.with_leaf(custom(&[2, 5, 29, 17], &names, false)), malformed),
            bad("usage twice", self.with_leaf(custom(&[2, 5, 29, 15], &[3, 2, 7, 0x80], true)), malformed),
            bad(
                "an unknown extension that is critical",
                self.with_leaf(custom(&[1, 2, 3, 4], &[5, 0], true)),
                malformed,
            )
            .beside(self.with_leaf(custom(&[1, 2, 3, 4], &[5, 0], false))),
            bad(
                "an unknown critical extension of the intermediate",
                self.with_inter(custom(&[1, 2, 3, 4], &[5, 0], true)),
                malformed,
            )
            .beside(self.with_inter(custom(&[1, 2, 3, 4], &[5, 0], false))),
            bad("a URI with a space", self.with_leaf(uris(vec![uri("https://client.example/app x")])), malformed),
            bad(
                "a URI with a zero byte",
                self.with_leaf(uris(vec![uri("https://client.example/app\0.evil")])),
                malformed,
            ),
            bad("a URI with a line break", self.with_leaf(uris(vec![uri("https://client.example/\napp")])), malformed),
            bad("an empty URI", self.with_leaf(uris(vec![uri("")])), malformed),
            bad("a URI beside one with a space", self.with_leaf(uris(vec![uri(URI), uri("a b")])), malformed),
            bad("twenty-one URIs", self.with_leaf(uris(vec![uri(URI); 21])), malformed)
                .beside(self.with_leaf(uris(vec![uri(URI); 20]))),
            bad(
                "a host outside the intermediate's names",
                self.named("other.example", outside),
                ChainError::NameConstraint,
            )
            .beside(self.named("client.example", outside)),
        ]
    }

    /// An intermediate for one host only, and its leaf.
    fn named(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> Setup {
        let inter = self.root.intermediate_with("Intermediate", &self.inter.key, |params| {
            let permitted_subtrees = vec![GeneralSubtree::DnsName(host.to_owned())];
            params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: Vec::new() });
        });
        Self::setup_of(&self.root, &inter, &inter.leaf_with(&[], &self.leaf.key, change))
    }
}

const CUT: [&str; 7] = [
    "an eighth of the leaf",
    "two eighths of the leaf",
    "three eighths of the leaf",
    "four eighths of the leaf",
    "five eighths of the leaf",
    "six eighths of the leaf",
    "seven eighths of the leaf",
];

fn bad(name: &'static str, setup: Setup, expected: ChainError) -> Bad {
    Bad { name, setup, expected, twin: None }
}

impl Bad {
    fn beside(self, twin: Setup) -> Self {
        Self { twin: Some(twin), ..self }
    }
}

fn any_authority() -> IsCa {
    IsCa::Ca(BasicConstraints::Unconstrained)
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn long_names() -> Vec<SanType> {
    (0..15).map(|at| uri(&format!("https://client.example/{at}/{}", "a".repeat(1900)))).collect()
}

fn distribution(scope: CrlScope) -> CrlIssuingDistributionPoint {
    let distribution_point = CrlDistributionPoint { uris: vec!["http://lists.example/crl".into()] };
    CrlIssuingDistributionPoint { distribution_point, scope: Some(scope) }
}

fn position(text: &[u8], part: &[u8]) -> usize {
    text.windows(part.len()).position(|window| window == part).unwrap()
}

#[test]
fn no_bad_chain_is_accepted_and_each_is_refused_for_its_own_reason() {
    let mut refused = 0;
    let mut wrong = Vec::new();
    for kind in Kind::ACCEPTED {
        let world = World::new(kind);
        let sound = world.setup();
        let mut names = BTreeSet::new();
        for case in world.bad() {
            assert!(names.insert(case.name), "{} stands twice", case.name);
            let twin = case.twin.as_ref().unwrap_or(&sound);
            if twin.judge().map(|chain| chain.leaf.der().to_vec()).as_ref() != Ok(&twin.x5c[0]) {
                wrong.push(format!("{kind:?}: {}: without the flaw {:?}", case.name, twin.judge()));
            }
            let judged = case.setup.judge().map(|_| ());
            if judged != Err(case.expected) {
                wrong.push(format!("{kind:?}: {}: {judged:?}, not {:?}", case.name, case.expected));
            }
            refused += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{refused} bad chains, none accepted");
    assert!(refused >= 120, "{refused}");
}

#[test]
fn a_sound_chain_tells_its_leaf_and_its_anchor() {
    for kind in Kind::ACCEPTED {
        let world = World::new(kind);
        let other = Authority::root("Other", Kind::P256);
        let setup = Setup { anchors: vec![other.der.clone(), world.root.der.clone()], ..world.setup() };
        let chain = setup.judge().unwrap();
        assert_eq!(chain.leaf.uris(), [URI]);
        assert_eq!(chain.anchor_sha256, Certificate::parse(&world.root.der).unwrap().sha256());
    }
}

#[test]
fn leaves_of_every_usual_form_are_accepted() {
    let world = World::new(Kind::P256);
    let table: [(&str, Setup); 8] = [
        ("no key usage", world.with_leaf(|params| params.key_usages.clear())),
        ("no constraints", world.with_leaf(|params| params.is_ca = IsCa::NoCa)),
        (
            "for servers",
            world.with_leaf(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        ),
        (
            "for clients",
            world.with_leaf(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
        ),
        ("more usages", world.with_leaf(|params| params.key_usages.push(KeyUsagePurpose::KeyEncipherment))),
        ("two URIs", world.with_leaf(|params| params.subject_alt_names.push(uri("https://client.example/two")))),
        (
            "a host beside the URI",
            world.with_leaf(|params| {
                params.subject_alt_names.push(SanType::DnsName("client.example".try_into().unwrap()));
            }),
        ),
        ("no name", world.with_leaf(|params| params.distinguished_name = rcgen::DistinguishedName::new())),
    ];
    for (name, setup) in table {
        assert_eq!(setup.judge().map(|_| ()), Ok(()), "{name}");
    }
}

#[test]
fn a_renewed_anchor_takes_over_from_the_one_that_has_expired() {
    let world = World::new(Kind::P256);
    let old = Authority::root_with("Root", &world.root.key, |params| params.not_after = date_time_ymd(2026, 1, 1));
    for anchors in [[&old, &world.root], [&world.root, &old]] {
        let anchors = anchors.map(|anchor| anchor.der.clone()).to_vec();
        let chain = Setup { anchors, ..world.setup() }.judge().unwrap();
        assert_eq!(chain.anchor_sha256, Certificate::parse(&world.root.der).unwrap().sha256());
    }
}

#[test]
fn the_certificate_whose_issuer_is_missing_is_named() {
    let world = World::new(Kind::P256);
    let store = world.setup().store();
    let lower = world.inter.intermediate("Lower", Kind::P256);
    let leaf = lower.leaf(&[URI], Kind::P256);
    let missing = |x5c: &[Vec<u8>], extra: &[Vec<u8>]| {
        missing_issuer(x5c, extra, &store).map(|certificate| certificate.der().to_vec())
    };
    assert_eq!(missing(&leaf.chain(&[]), &[]), Some(leaf.der.clone()));
    assert_eq!(missing(&leaf.chain(&[&lower]), &[]), Some(lower.der.clone()));
    assert_eq!(missing(&leaf.chain(&[]), std::slice::from_ref(&lower.der)), Some(lower.der.clone()));
    assert_eq!(missing(&leaf.chain(&[&lower, &world.inter, &world.root]), &[]), None);
    assert_eq!(missing(&[], &[]), None);
}

#[test]
fn a_store_holds_strong_authorities_only() {
    let world = World::new(Kind::P256);
    let weak = world.root.intermediate_of("Weak", &ShortRsa::new(1024));
    let curve = Authority::root("Curve", Kind::P521).der;
    let (root, leaf) = (world.root.der.clone(), world.leaf.der.clone());
    let table = [
        (vec![], vec![], Err(TrustError::NoAnchor)),
        (vec![root.clone(), leaf.clone()], vec![], Err(TrustError::Anchor(1))),
        (vec![curve], vec![], Err(TrustError::Anchor(0))),
        (vec![b"text".to_vec()], vec![], Err(TrustError::Anchor(0))),
        (vec![root.clone()], vec![weak], Err(TrustError::Intermediate(0))),
        (vec![root.clone()], vec![world.inter.der.clone(), leaf], Err(TrustError::Intermediate(1))),
        (vec![root], vec![world.inter.der.clone()], Ok(())),
    ];
    for (anchors, intermediates, expected) in table {
        assert_eq!(TrustStore::new(&anchors, &intermediates).map(|_| ()), expected);
    }
}

#[test]
fn a_list_is_known_by_who_signed_it() {
    let world = World::new(Kind::Rsa);
    let store = TrustStore::new(&world.setup().anchors, std::slice::from_ref(&world.inter.der)).unwrap();
    let impostor = Authority::root_with("Root", &world.spare[0], |_| {});
    let table = [
        (world.root.crl(&[]), true),
        (world.inter.crl(&[&world.leaf.serial]), true),
        (impostor.crl(&[]), false),
        (Authority::root_with("Stranger", &world.root.key, |_| {}).crl(&[]), false),
    ];
    for (at, (der, expected)) in table.into_iter().enumerate() {
        assert_eq!(store.has_signer_of(&Crl::parse(&der).unwrap()), expected, "{at}");
    }
}

#[test]
fn bytes_that_are_no_list_are_refused() {
    let world = World::new(Kind::P256);
    let sound = world.inter.crl(&[&world.leaf.serial]);
    let list = Crl::parse(&sound).unwrap();
    assert_eq!((list.revoked(), list.this_update_us()), (1, 1_577_836_800_000_000));
    let mut bad = vec![Vec::new(), b"text".to_vec(), world.leaf.der.clone(), [sound.as_slice(), &[0]].concat()];
    bad.extend((1..sound.len()).step_by(7).map(|at| sound[..at].to_vec()));
    for der in bad {
        assert!(Crl::parse(&der).is_err(), "{der:02x?}");
    }
}

/// Access descriptions (RFC 5280 section 4.2.2.1): a method, and an address as general name of this tag.
fn access(entries: &[(&[u8], u8, &str)]) -> CustomExtension {
    let entry = |(method, tag, address): &(&[u8], u8, &str)| {
        element(0x30, &[element(0x06, method), element(*tag, address.as_bytes())].concat())
    };
    let contents = element(0x30, &entries.iter().flat_map(entry).collect::<Vec<_>>());
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], contents)
}

const ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 2];

const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 0x30, 1];

const ADDRESS: u8 = 0x86;

#[test]
fn addresses_that_can_be_fetched_are_read_from_a_certificate() {
    let world = World::new(Kind::P256);
    let extension = access(&[
        (OCSP, ADDRESS, "http://ocsp.example/"),
        (ISSUERS, ADDRESS, "ldap://issuers.example/"),
        (ISSUERS, ADDRESS, "http://issuers.example/a.cer"),
        (ISSUERS, 0x82, "issuers.example"),
        (ISSUERS, ADDRESS, "file:///etc/issuers"),
        (ISSUERS, ADDRESS, "https://issuers.example/b.cer"),
    ]);
    let setup = world.with_leaf(|params| {
        params.custom_extensions = vec![extension];
        let point = |uri: &str| CrlDistributionPoint { uris: vec![uri.to_owned()] };
        params.crl_distribution_points = vec![point("http://lists.example/a"), point("ldap://lists.example/b")];
    });
    let leaf = Certificate::parse(&setup.x5c[0]).unwrap();
    assert_eq!(leaf.issuer_urls(), ["http://issuers.example/a.cer", "https://issuers.example/b.cer"]);
    assert_eq!(leaf.crl_urls(), ["http://lists.example/a"]);
    assert_eq!(setup.judge().map(|_| ()), Ok(()));
    let many: Vec<_> = (0..50).map(|at| format!("http://issuers.example/{at}")).collect();
    let many: Vec<_> = many.iter().map(|address| (ISSUERS, ADDRESS, address.as_str())).collect();
    let setup = world.with_leaf(|params| params.custom_extensions = vec![access(&many)]);
    assert_eq!(Certificate::parse(&setup.x5c[0]).unwrap().issuer_urls().len(), 4);
}
