//! Walking a chain of seals from its beginning, with the rows that it covers: the first flaw, or where it ends.
//!
//! A pure machine: it is fed each seal with the rows of its range and the late rows that it names, in order. Not here:
//! where they are read.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Row;
use super::chain::{Flaw, Keyed, LATE_US_MAX, RowsDigest, Seal, SealKey, Tail};

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Break {
    pub flaw: Flaw,
    /// The seal at which it is seen.
    pub seal: i64,
    /// Numbers of the audit rows that are concerned.
    pub first_seq: i64,
    pub last_seq: i64,
}

/// A seal that was written down elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    pub number: i64,
    pub digest: String,
}

/// How far a walk has come.
pub struct Walk {
    keys: Vec<SealKey>,
    anchors: Vec<Anchor>,
    tail: Tail,
    rows: i64,
    keyed: i64,
    last_sealed_us: i64,
    /// Rows at numbers that seals have missed, until a later seal covers them: the seal and its time.
    strays: BTreeMap<i64, (i64, i64)>,
}

/// What a walk has found when nothing is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Walked {
    pub seals: i64,
    pub rows: i64,
    /// Seals with an HMAC of a given key.
    pub keyed: i64,
    /// Of the newest seal.
    pub digest: String,
    pub last_seq: i64,
    pub last_sealed_us: i64,
    /// Rows that wait to be covered though seals have passed their numbers.
    pub late: i64,
}

impl Walk {
    #[must_use]
    pub fn new(keys: Vec<SealKey>, anchors: Vec<Anchor>) -> Self {
        let strays = BTreeMap::new();
        Self { keys, anchors, tail: Tail::none(), rows: 0, keyed: 0, last_sealed_us: 0, strays }
    }

    /// The next seal, with the late rows that it names and all rows of its range, each in order.
    ///
    /// # Errors
    /// The first flaw.
    pub fn seal(&mut self, seal: &Seal, late: &[Row<'_>], range: &[Row<'_>]) -> Result<(), Break> {
        let broken = |flaw| Break { flaw, seal: seal.number, first_seq: seal.first_seq, last_seq: seal.last_seq };
        seal.judge(&self.tail).map_err(broken)?;
        self.check_key(seal).map_err(broken)?;
        let anchored = self.anchors.iter().find(|anchor| anchor.number == seal.number);
        if anchored.is_some_and(|anchor| anchor.digest != seal.digest) {
            return Err(broken(Flaw::AnchorMissed));
        }
        let mut digest = RowsDigest::default();
        late.iter().for_each(|row| digest.add(row));
        for row in range {
            if seal.missing.contains(row.seq) {
                self.strays.insert(row.seq, (seal.number, seal.sealed_us));
            } else {
                digest.add(row);
            }
        }
        for row in late {
            self.strays.remove(&row.seq);
        }
        let counted = digest.rows;
        match counted.cmp(&seal.row_count) {
            std::cmp::Ordering::Less => return Err(broken(Flaw::RowsRemoved)),
            std::cmp::Ordering::Greater => return Err(broken(Flaw::RowsInserted)),
            std::cmp::Ordering::Equal if digest.finish() != seal.rows_sha256 => return Err(broken(Flaw::RowsChanged)),
            std::cmp::Ordering::Equal => {}
        }
        self.rows += counted;
        self.tail = Tail::of(seal);
        self.last_sealed_us = seal.sealed_us;
        Ok(())
    }

    /// With a key, a chain may begin without HMACs, but must not go on without them.
    fn check_key(&mut self, seal: &Seal) -> Result<(), Flaw> {
        match seal.judge_mac(&self.keys) {
            Keyed::Good => self.keyed += 1,
            Keyed::Wrong => return Err(Flaw::SealChanged),
            Keyed::Unknown if self.keys.is_empty() => {}
            Keyed::Unknown => return Err(Flaw::UnknownKey),
            Keyed::Without if self.keyed > 0 => return Err(Flaw::WithoutKey),
            Keyed::Without => {}
        }
        Ok(())
    }

    /// The end of the chain.
    ///
    /// # Errors
    /// What is only known at the end: rows that no seal covers, anchors that the chain does not reach, no HMAC at all.
    pub fn finish(self, now_us: i64) -> Result<Walked, Break> {
        let at_end = |flaw, seal, first_seq, last_seq| Err(Break { flaw, seal, first_seq, last_seq });
        let is_old = |(_, (_, sealed_us)): &(&i64, &(i64, i64))| now_us.saturating_sub(*sealed_us) > LATE_US_MAX;
        if let Some((seq, (seal, _))) = self.strays.iter().find(is_old) {
            return at_end(Flaw::RowsInserted, *seal, *seq, *seq);
        }
        let Tail { number, digest, last_seq } = self.tail;
        if self.anchors.iter().any(|anchor| anchor.number > number) {
            return at_end(Flaw::AnchorMissed, number, last_seq, last_seq);
        }
        if !self.keys.is_empty() && self.keyed == 0 && number > 0 {
            return at_end(Flaw::WithoutKey, number, last_seq, last_seq);
        }
        let late = self.strays.len() as i64;
        let (rows, keyed, last_sealed_us) = (self.rows, self.keyed, self.last_sealed_us);
        Ok(Walked { seals: number, rows, keyed, digest, last_seq, last_sealed_us, late })
    }

    /// Where the next seal must begin.
    #[must_use]
    pub const fn tail(&self) -> &Tail {
        &self.tail
    }
}

#[cfg(test)]
mod tests {
    use super::super::chain::Numbers;
    use super::*;

    const SECRET: &[u8] = b"a secret of the server";

    /// A row of its own by number.
    fn row(seq: i64, detail: &str) -> Row<'_> {
        Row {
            seq,
            at_us: seq,
            request_id: "r",
            action: "read",
            outcome: "success",
            caller: "open",
            resource_type: Some("Patient"),
            detail,
        }
    }

    /// Two seals over rows 1–3 and 5–6; number 4 is committed late and in the third seal.
    struct Chain {
        seals: Vec<Seal>,
        details: BTreeMap<i64, String>,
    }

    fn chain(key: Option<&SealKey>) -> Chain {
        let mut chain = Chain { seals: Vec::new(), details: BTreeMap::new() };
        chain.add(&[], &[1, 2, 3], key);
        chain.add(&[], &[5, 6], key);
        chain.add(&[4], &[7], key);
        chain
    }

    impl Chain {
        fn add(&mut self, late: &[i64], seqs: &[i64], key: Option<&SealKey>) {
            for seq in late.iter().chain(seqs) {
                self.details.insert(*seq, format!("{{\"status\":{seq}}}"));
            }
            let tail = self.seals.last().map_or_else(Tail::none, Tail::of);
            let rows =
                |seqs: &[i64]| -> Vec<Row<'_>> { seqs.iter().map(|seq| row(*seq, &self.details[seq])).collect() };
            let seal = Seal::next(&tail, &rows(late), &rows(seqs), 100 * (tail.number + 1), key);
            self.seals.push(seal.expect("a seal"));
        }

        /// Makes the digests right again, as somebody would who has no key.
        fn forge(&mut self) {
            for at in 1..self.seals.len() {
                let tail = Tail::of(&self.seals[at - 1]);
                let rows = |seqs: Vec<i64>| -> Vec<Row<'_>> {
                    let there = seqs.into_iter().filter_map(|seq| self.details.get_key_value(&seq));
                    there.map(|(seq, detail)| row(*seq, detail)).collect()
                };
                let old = &self.seals[at];
                let within = (old.first_seq..=old.last_seq).filter(|seq| !old.missing.contains(*seq)).collect();
                let forged = Seal::next(&tail, &rows(old.late.each().collect()), &rows(within), old.sealed_us, None);
                let mut forged = Seal { key_id: old.key_id.clone(), mac: old.mac.clone(), ..forged.expect("a seal") };
                forged.digest = forged.own_digest();
                self.seals[at] = forged;
            }
        }

        fn walk(&self, keys: Vec<SealKey>, anchors: Vec<Anchor>) -> Result<Walked, (Flaw, i64)> {
            let mut walk = Walk::new(keys, anchors);
            let of = |seqs: Vec<(&i64, &'_ String)>| -> Vec<(i64, String)> {
                seqs.into_iter().map(|(seq, detail)| (*seq, detail.clone())).collect()
            };
            for seal in &self.seals {
                let late = of(self.details.iter().filter(|(seq, _)| seal.late.contains(**seq)).collect());
                let range = of(self.details.range(seal.first_seq..=seal.last_seq).collect());
                let rows = |list: &'_ [(i64, String)]| -> Vec<Row<'static>> {
                    list.iter().map(|(seq, detail)| row(*seq, Box::leak(detail.clone().into_boxed_str()))).collect()
                };
                walk.seal(seal, &rows(&late), &rows(&range)).map_err(|found| (found.flaw, found.seal))?;
            }
            walk.finish(1_000).map_err(|found| (found.flaw, found.seal))
        }
    }

    #[test]
    fn a_whole_chain_is_walked_to_its_end_with_late_rows_and_without() {
        let key = SealKey::derive(SECRET);
        for (given, keys, keyed) in [(None, vec![], 0), (Some(&key), vec![key.clone()], 3), (Some(&key), vec![], 0)] {
            let chain = chain(given);
            let walked = chain.walk(keys, Vec::new()).expect("whole");
            assert_eq!((walked.seals, walked.rows, walked.keyed, walked.last_seq, walked.late), (3, 7, keyed, 7, 0));
            assert_eq!(walked.digest, chain.seals[2].digest);
        }
    }

    #[test]
    fn every_change_is_seen_at_its_seal() {
        type Change = fn(&mut Chain);
        let table: [(&str, Change, Flaw, i64); 13] = [
            ("a row is changed", |c| drop(c.details.insert(2, "{}".to_owned())), Flaw::RowsChanged, 1),
            ("a row is removed", |c| drop(c.details.remove(&6)), Flaw::RowsRemoved, 2),
            ("a late row is removed", |c| drop(c.details.remove(&4)), Flaw::RowsRemoved, 3),
            ("a late row is changed", |c| drop(c.details.insert(4, "{}".to_owned())), Flaw::RowsChanged, 3),
            ("a seal's count is another", |c| c.seals[1].row_count = 1, Flaw::SealChanged, 2),
            ("a seal's time is another", |c| c.seals[1].sealed_us = 1, Flaw::SealChanged, 2),
            ("a seal's rows are others", |c| c.seals[0].rows_sha256 = "0".repeat(64), Flaw::SealChanged, 1),
            ("a seal's digest is another", |c| c.seals[0].digest = "0".repeat(64), Flaw::SealChanged, 1),
            ("a seal is gone", |c| drop(c.seals.remove(1)), Flaw::SealsMissing, 3),
            ("the first seal is gone", |c| drop(c.seals.remove(0)), Flaw::SealsMissing, 2),
            ("seals change places", |c| c.seals.swap(0, 1), Flaw::SealsMissing, 2),
            ("a gap is told", |c| c.seals[0].missing = Numbers::of(&[2]), Flaw::SealChanged, 1),
            ("a HMAC is put in", |c| c.seals[0].mac = Some("0".repeat(64)), Flaw::SealChanged, 1),
        ];
        for (what, change, flaw, seal) in table {
            let mut chain = chain(None);
            change(&mut chain);
            assert_eq!(chain.walk(Vec::new(), Vec::new()).map(|_| ()), Err((flaw, seal)), "{what}");
        }
    }

    #[test]
    fn a_row_that_appears_where_seals_have_passed_is_inserted() {
        let mut chain = chain(None);
        chain.add(&[], &[10], None);
        chain.details.insert(8, "{}".to_owned());
        let of_now = chain.walk(Vec::new(), Vec::new()).expect("it may still be covered");
        assert_eq!(of_now.late, 1);
        chain.seals.truncate(3);
        chain.add(&[], &[10], None);
        let mut walk = Walk::new(Vec::new(), Vec::new());
        walk.strays.insert(8, (4, 0));
        assert_eq!(walk.finish(LATE_US_MAX + 1).map_err(|found| found.flaw), Err(Flaw::RowsInserted));
    }

    #[test]
    fn without_the_key_a_chain_can_be_forged_and_with_it_that_is_seen() {
        let key = SealKey::derive(SECRET);
        let mut open = chain(None);
        open.details.insert(5, "{}".to_owned());
        open.forge();
        assert!(open.walk(Vec::new(), Vec::new()).is_ok(), "this is what a chain without a key does not prove");
        let mut keyed = chain(Some(&key));
        keyed.details.insert(5, "{}".to_owned());
        keyed.forge();
        assert_eq!(keyed.walk(vec![key.clone()], Vec::new()).map(|_| ()), Err((Flaw::SealChanged, 2)));
        // Forged without HMACs: the seal says whose key it has, and the next ones go on without.
        for seal in &mut keyed.seals[1..] {
            (seal.key_id, seal.mac) = (None, None);
        }
        keyed.forge();
        assert_eq!(keyed.walk(vec![key.clone()], Vec::new()).map(|_| ()), Err((Flaw::WithoutKey, 2)));
        assert_eq!(open.walk(vec![key.clone()], Vec::new()).map(|_| ()), Err((Flaw::WithoutKey, 3)));
        let other = SealKey::derive(b"another");
        assert_eq!(chain(Some(&other)).walk(vec![key], Vec::new()).map(|_| ()), Err((Flaw::UnknownKey, 1)));
    }

    #[test]
    fn an_anchor_sees_a_chain_that_was_cut_or_rewritten() {
        let whole = chain(None);
        let anchor = Anchor { number: 3, digest: whole.seals[2].digest.clone() };
        assert!(whole.walk(Vec::new(), vec![anchor.clone()]).is_ok());
        let mut cut = chain(None);
        cut.seals.truncate(2);
        assert!(cut.walk(Vec::new(), Vec::new()).is_ok(), "this is what a chain by itself does not prove");
        assert_eq!(cut.walk(Vec::new(), vec![anchor.clone()]).map(|_| ()), Err((Flaw::AnchorMissed, 2)));
        let mut forged = chain(None);
        forged.details.insert(5, "{}".to_owned());
        forged.forge();
        assert_eq!(forged.walk(Vec::new(), vec![anchor]).map(|_| ()), Err((Flaw::AnchorMissed, 3)));
    }
}
