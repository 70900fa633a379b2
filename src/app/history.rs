//! FHIR history of one resource and of a type: every version, deletions too, newest first (FHIR R4 RESTful API, history).
//!
//! A link to the next page names the last version of this one and no more. Not here: SQL (see `store::history`), the
//! Bundle (see `http::render`).

use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};
use crate::fhir::moment;
use crate::fhir::path::printable;
use crate::store::constraint::{Persons, list_members};
use crate::store::history::{HistoryPosition, HistoryQuery, HistoryScope, HistoryVersion, Period, list};
use crate::store::{Connection, resource, transaction};

use super::App;
use super::context::Context;
use super::create::stored_kind;
use super::error::{AppError, ErrorKind};
use super::incoming::{ResourceKind, check_id};
use super::read::{check_seen, is_own_version};
use super::search::link::link;
use super::search::{Handling, bytes};

/// One page of versions.
#[derive(Debug, Clone)]
pub struct HistoryAnswer {
    pub kind: ResourceKind,
    pub versions: Vec<HistoryVersion>,
    pub self_link: String,
    pub next_link: Option<String>,
}

/// What the parameters say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    since_us: Option<i64>,
    at: Option<Period>,
    count: Option<u32>,
    after: Option<HistoryPosition>,
    /// The parameters that were understood, for the links.
    understood: Vec<(String, String)>,
}

impl App {
    /// The versions of `id`, or of all resources of the type.
    ///
    /// # Errors
    /// `NotFound` for a resource that never was, `Invalid` for parameters that cannot be read.
    pub fn history(
        &self,
        ctx: &Context,
        resource_type: &str,
        id: Option<&str>,
        pairs: &[(String, String)],
        handling: Handling,
    ) -> Result<HistoryAnswer, AppError> {
        self.answer(ctx, Action::History, |audit| {
            let kind = stored_kind(resource_type)?;
            audit.resource_type = Some(kind.name().to_owned());
            id.map_or(Ok(()), check_id)?;
            let asked = read_parameters(pairs, handling)?;
            let limits = &self.config.limits;
            let constraint = match id {
                Some(_) => ctx.caller.read_constraint(kind.name()),
                None => ctx.caller.search_constraint(kind.name()),
            };
            let query = HistoryQuery {
                resource_type: kind.name().to_owned(),
                scope: id.map_or(HistoryScope::Type, |id| HistoryScope::Instance(id.to_owned())),
                since_us: asked.since_us,
                at: asked.at,
                constraint,
                after: asked.after,
                count: asked.count.unwrap_or(limits.page_size).min(limits.page_size_max),
                bytes_max: bytes(limits.page_bytes_max),
            };
            let mut conn = self.connection()?;
            let page = transaction::read_snapshot(&mut conn, |conn| {
                if let Some(id) = id
                    && resource::find(conn, kind.name(), id)?.is_none()
                {
                    return Err(AppError::not_found("There is no such resource."));
                }
                id.map_or(Ok(()), |id| check_seen(conn, &query.constraint, kind, id))?;
                let mut page = list(conn, &query)?;
                self.leave_out_others(conn, &query, &mut page.versions)?;
                Ok(page)
            })?;
            audit.detail.records = page.versions.iter().map(|version| version.id.clone()).collect();
            audit.detail.records.dedup();
            let base = &self.config.server.base_url;
            let base = match id {
                Some(id) => format!("{base}/{}/{id}/_history", kind.name()),
                None => format!("{base}/{}/_history", kind.name()),
            };
            let outgoing = |version: HistoryVersion| {
                let body = if version.deleted { version.body } else { ctx.caller.outgoing(version.body)? };
                Ok(HistoryVersion { body, ..version })
            };
            Ok(HistoryAnswer {
                kind,
                versions: page.versions.into_iter().map(outgoing).collect::<Result<_, AppError>>()?,
                self_link: link(&base, &asked.understood),
                next_link: page.next.map(|after| link_after(&base, &asked.understood, &after)),
            })
        })
    }
}

impl App {
    /// What is about a person now may have been about another one: such a version is left out.
    fn leave_out_others(
        &self,
        conn: &mut Connection,
        query: &HistoryQuery,
        versions: &mut Vec<HistoryVersion>,
    ) -> Result<(), AppError> {
        let Persons::OfIdentityOf(patient) = &query.constraint.persons else { return Ok(()) };
        let members = list_members(conn, patient)?;
        let base_url = &self.config.server.base_url;
        let is_own = |body: &str| is_own_version(&members, &query.resource_type, body, base_url);
        versions.retain(|version| version.deleted || is_own(&version.body));
        Ok(())
    }
}

fn link_after(base: &str, understood: &[(String, String)], after: &HistoryPosition) -> String {
    let pairs: Vec<_> = understood.iter().cloned().chain([("_page".to_owned(), write_position(after))]).collect();
    link(base, &pairs)
}

/// A history Bundle has no place for remarks: an unknown parameter is passed over, or refused under strict handling.
fn read_parameters(pairs: &[(String, String)], handling: Handling) -> Result<Asked, AppError> {
    let mut asked = Asked::default();
    for (name, value) in pairs {
        let read = match name.as_str() {
            "_since" if asked.since_us.is_none() => read_instant(value).map(|us| asked.since_us = Some(us)),
            "_at" if asked.at.is_none() => read_period(value).map(|period| asked.at = Some(period)),
            "_count" if asked.count.is_none() => value.parse().ok().map(|count| asked.count = Some(count)),
            "_page" if asked.after.is_none() => {
                asked.after = Some(read_position(value).ok_or_else(|| refuse(name, UNREADABLE))?);
                continue;
            }
            "_since" | "_at" | "_count" | "_page" => {
                return Err(refuse(name, "The parameter is given more than once."));
            }
            // The form of the answer, which is that of the next page too (see `http::present`).
            "_format" | "_pretty" | "_summary" | "_elements" => Some(()),
            _ if handling == Handling::Lenient => continue,
            _ => return Err(refuse_with(IssueCode::NotSupported, name, "This parameter of history is not known.")),
        };
        read.ok_or_else(|| refuse(name, UNREADABLE))?;
        asked.understood.push((name.clone(), value.clone()));
    }
    Ok(asked)
}

const UNREADABLE: &str = "The value is not of the form that this parameter has.";

/// A time zone's `+` that was not percent-encoded arrives as a space.
fn read_instant(text: &str) -> Option<i64> {
    moment::instant_us(&text.replace(' ', "+"))
}

fn read_period(text: &str) -> Option<Period> {
    moment::range_us(&text.replace(' ', "+")).map(|(lo_us, hi_us)| Period { lo_us, hi_us })
}

fn write_position(position: &HistoryPosition) -> String {
    format!("{}-{}-{}", position.updated_us, position.version, position.id)
}

fn read_position(text: &str) -> Option<HistoryPosition> {
    let mut parts = text.splitn(3, '-');
    let (updated_us, version) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let id = parts.next().filter(|id| !id.is_empty() && check_id(id).is_ok())?;
    Some(HistoryPosition { updated_us, id: id.to_owned(), version })
}

fn refuse(name: &str, text: &str) -> AppError {
    refuse_with(IssueCode::Value, name, text)
}

fn refuse_with(code: IssueCode, name: &str, text: &str) -> AppError {
    let place = format!("http.{}", printable(name));
    AppError::new(ErrorKind::Invalid, vec![Issue::error(code, text).at(place)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &[(&str, &str)], handling: Handling) -> Result<Asked, AppError> {
        let pairs: Vec<_> = list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        read_parameters(&pairs, handling)
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for id in ["a", "0190-b.c-d", "-"] {
            let position = HistoryPosition { updated_us: 1_767_323_045_000_006, id: id.to_owned(), version: 12 };
            assert_eq!(read_position(&write_position(&position)), Some(position));
        }
        for text in ["", "1", "1-2", "1-2-", "x-2-a", "1-2-a/b", "9999999999999999999999-1-a"] {
            assert_eq!(read_position(text), None, "{text}");
        }
    }

    #[test]
    fn parameters_that_cannot_be_read_or_come_twice_are_refused_at_their_place() {
        for (place, pairs) in [
            ("http._since", &[("_since", "2026")][..]),
            ("http._at", &[("_at", "then")]),
            ("http._count", &[("_count", "-1")]),
            ("http._page", &[("_page", "x")]),
            ("http._count", &[("_count", "1"), ("_count", "2")]),
        ] {
            let error = read(pairs, Handling::Lenient).expect_err(place);
            assert_eq!(error.issues[0].expression, [place]);
        }
        assert_eq!(read(&[("shoe", "44")], Handling::Lenient).expect("read"), Asked::default());
        assert!(read(&[("shoe", "44")], Handling::Strict).is_err());
    }

    #[test]
    fn links_repeat_what_was_understood() {
        let asked = read(
            &[("_since", "2026-01-02T03:04:05 01:00"), ("shoe", "44"), ("_format", "json"), ("_count", "5")],
            Handling::Lenient,
        )
        .expect("read");
        assert_eq!(asked.count, Some(5));
        let after = HistoryPosition { updated_us: 7, id: "p1".to_owned(), version: 2 };
        let link = link_after("http://h/fhir/Patient/_history", &asked.understood, &after);
        let expected = "http://h/fhir/Patient/_history?_since=2026-01-02T03%3A04%3A05%2001%3A00&_format=json&_count=5&_page=7-2-p1";
        assert_eq!(link, expected);
    }
}
