//! Certificates and revocation lists as files and servers give them: DER, or PEM, or certificates in PKCS #7.
//!
//! Read into DER only. Not here: what they say (see `auth`).

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::asn1_rs::{Any, Class, FromDer as _, Oid, Tag};

/// Certificates in one answer or file at most.
const CERTIFICATES_MAX: usize = 1000;

/// The certificates of a PEM file or of one DER certificate; `None` when there are none, or too many.
#[must_use]
pub fn certificates(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let found: Vec<Vec<u8>> = if is_pem(bytes) {
        let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        list.ok()?.into_iter().map(|certificate| certificate.as_ref().to_vec()).collect()
    } else if is_certificate(bytes) {
        vec![bytes.to_vec()]
    } else {
        of_pkcs7(bytes)?
    };
    ((1..=CERTIFICATES_MAX).contains(&found.len()) && found.iter().all(|der| is_certificate(der))).then_some(found)
}

/// The revocation lists of a PEM file or of one DER list.
#[must_use]
pub fn revocation_lists(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let found: Vec<Vec<u8>> = if is_pem(bytes) {
        let list: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(bytes).collect();
        list.ok()?.into_iter().map(|list| list.as_ref().to_vec()).collect()
    } else {
        vec![bytes.to_vec()]
    };
    (!found.is_empty() && found.len() <= CERTIFICATES_MAX && found.iter().all(|der| is_revocation_list(der)))
        .then_some(found)
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).take(64 * 1024).any(|window| window == b"-----BEGIN ")
}

fn is_certificate(der: &[u8]) -> bool {
    matches!(x509_parser::parse_x509_certificate(der), Ok(([], _)))
}

fn is_revocation_list(der: &[u8]) -> bool {
    matches!(x509_parser::parse_x509_crl(der), Ok(([], _)))
}

/// The certificates of a degenerate SignedData (RFC 5280 §4.2.2.1, RFC 5652 §5.1), which carries nothing else.
fn of_pkcs7(der: &[u8]) -> Option<Vec<Vec<u8>>> {
    const SIGNED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
    let (rest, content_info) = sequence(der)?;
    let (explicit, kind) = Oid::from_der(content_info).ok()?;
    if !rest.is_empty() || kind.as_bytes() != SIGNED_DATA {
        return None;
    }
    let (_, explicit) = Any::from_der(explicit).ok()?;
    let (_, mut fields) = sequence(explicit.data)?;
    while !fields.is_empty() {
        let (after, field) = Any::from_der(fields).ok()?;
        if field.class() == Class::ContextSpecific && field.tag() == Tag(0) {
            return each(field.data);
        }
        fields = after;
    }
    None
}

fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(der).ok()?;
    (any.tag() == Tag::Sequence).then_some((rest, any.data))
}

/// Every element of a set, whole.
fn each(mut set: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while !set.is_empty() {
        let (rest, _) = Any::from_der(set).ok()?;
        found.push(set[..set.len() - rest.len()].to_vec());
        set = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Vec<u8> {
        rcgen::generate_simple_self_signed(["a.example.org".to_owned()]).expect("made").cert.der().to_vec()
    }

    /// A TLV of DER.
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).expect("short").to_be_bytes();
        [&[tag, 0x82, length[0], length[1]], content].concat()
    }

    fn short(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).expect("short")], content].concat()
    }

    fn pkcs7(certificates: &[u8]) -> Vec<u8> {
        let oid = short(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02]);
        let data = short(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01]);
        let fields = [short(2, &[1]), short(0x31, &[]), short(0x30, &data), der(0xa0, certificates), short(0x31, &[])];
        der(0x30, &[oid, der(0xa0, &der(0x30, &fields.concat()))].concat())
    }

    #[test]
    fn certificates_are_read_in_every_form_that_servers_give() {
        let (one, two) = (certificate(), certificate());
        assert_eq!(certificates(&one), Some(vec![one.clone()]));
        let pem = rcgen::generate_simple_self_signed(["b.example.org".to_owned()]).expect("made").cert.pem();
        assert_eq!(certificates(format!("a comment\n{pem}{pem}").as_bytes()).map(|list| list.len()), Some(2));
        assert_eq!(certificates(&pkcs7(&[one.clone(), two.clone()].concat())), Some(vec![one, two]));
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        let one = certificate();
        let longer = [one.as_slice(), b"x"].concat();
        let cut = &one[..one.len() - 1];
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".as_bytes();
        let cases: [&[u8]; 8] =
            [b"", b"0", b"<html>", &longer, cut, pem, &pkcs7(b""), &pkcs7(&[one.as_slice(), &[0x30, 5]].concat())];
        for (at, bytes) in cases.into_iter().enumerate() {
            assert_eq!(certificates(bytes), None, "case {at}");
            assert_eq!(revocation_lists(bytes), None, "case {at}");
        }
    }
}
