//! The pages for people among the routes of this server.
//!
//! Not here: the pages (see `web`).

use std::sync::Arc;

use actix_web::web::ServiceConfig;

use crate::web::{self, Desk};

use super::extract::{AppData, run};
use super::route::Row;

pub fn routes(config: &mut ServiceConfig) {
    for row in rows() {
        config.service(row.closed());
    }
}

#[must_use]
pub fn rows() -> Vec<Row> {
    let of_page = |web::Row { path, methods, resource }| Row { path, methods, resource };
    web::rows().into_iter().map(of_page).collect()
}

/// What pages are made on: their work has its place among that of all requests.
#[must_use]
pub fn desk(app: &AppData) -> Desk {
    let data = AppData::clone(app);
    let run = move |work: web::Work| {
        let data = AppData::clone(&data);
        let done: futures_util::future::LocalBoxFuture<'static, _> = Box::pin(async move {
            let work = move |state: &super::extract::State| {
                work(&state.app);
                Ok(())
            };
            run(&data, work).await
        });
        done
    };
    Desk::new(Arc::clone(&app.app), Box::new(run))
}
