//! From a page of the application to the page that is rendered.

use crate::app::artifact::ArtifactPage;
use crate::app::clock::instant;
use crate::app::context::Context;
use crate::app::search::{Entry, Mode, Page};
use crate::app::steward::page;
use crate::fhir::issue::Issue;
use fhir_types::codes::SearchEntryMode;

use super::super::render::search_bundle::{Found, Listed, SearchPage};

/// A page of stored resources.
#[must_use]
pub fn of_stored(ctx: &Context, page: Page) -> SearchPage {
    let found = |entry: Entry| Found {
        resource_type: entry.resource_type,
        id: entry.id,
        body: entry.body,
        mode: match entry.mode {
            Mode::Match => SearchEntryMode::Match,
            Mode::Include => SearchEntryMode::Include,
        },
    };
    SearchPage {
        request_id: ctx.request_id.clone(),
        timestamp: instant(ctx.now_us),
        self_link: page.self_link,
        next_link: page.next_link,
        total: page.total,
        resources: page.entries.into_iter().map(found).collect(),
        listed: Vec::new(),
        issues: page.issues,
    }
}

/// A page of artifacts.
#[must_use]
pub fn of_artifacts(ctx: &Context, page: ArtifactPage) -> SearchPage {
    let resource_type = page.resource_type;
    let mode = SearchEntryMode::Match;
    let found = |(id, body)| Found { resource_type: resource_type.clone(), id, body, mode };
    let resources: Vec<Found> = page.resources.into_iter().map(found).collect();
    SearchPage {
        request_id: ctx.request_id.clone(),
        timestamp: instant(ctx.now_us),
        self_link: page.self_link,
        next_link: None,
        total: Some(resources.len() as u64),
        resources,
        listed: Vec::new(),
        issues: page.issues,
    }
}

/// A page of what stewards list; `made` makes a resource of each.
pub fn of_list<T>(
    ctx: &Context,
    page: page::Listed<T>,
    warnings: Vec<Issue>,
    made: impl Fn(&T) -> Listed,
) -> SearchPage {
    SearchPage {
        request_id: ctx.request_id.clone(),
        timestamp: instant(ctx.now_us),
        self_link: page.self_link,
        next_link: page.next_link,
        total: None,
        resources: Vec::new(),
        listed: page.items.iter().map(made).collect(),
        issues: warnings.into_iter().chain(page.issues).collect(),
    }
}
