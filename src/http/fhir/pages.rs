//! From a page of the application to the page that is rendered.

use crate::app::artifact::ArtifactPage;
use crate::app::clock::instant;
use crate::app::context::Context;
use crate::app::search::Page;

use super::super::render::search_bundle::{Found, SearchPage};

/// A page of stored resources.
#[must_use]
pub fn of_stored(ctx: &Context, page: Page) -> SearchPage {
    let kind = page.kind.name();
    let found = |(id, body)| Found { resource_type: kind.to_owned(), id, body };
    SearchPage {
        request_id: ctx.request_id.clone(),
        timestamp: instant(ctx.now_us),
        self_link: page.self_link,
        next_link: page.next_link,
        total: page.total,
        resources: page.resources.into_iter().map(found).collect(),
        issues: page.issues,
    }
}

/// A page of artifacts.
#[must_use]
pub fn of_artifacts(ctx: &Context, page: ArtifactPage) -> SearchPage {
    let resource_type = page.resource_type;
    let found = |(id, body)| Found { resource_type: resource_type.clone(), id, body };
    let resources: Vec<Found> = page.resources.into_iter().map(found).collect();
    SearchPage {
        request_id: ctx.request_id.clone(),
        timestamp: instant(ctx.now_us),
        self_link: page.self_link,
        next_link: None,
        total: resources.len() as u64,
        resources,
        issues: page.issues,
    }
}
