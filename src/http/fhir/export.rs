//! Bulk Data `$export`: kick-off, status, cancelling and files (Bulk Data Access IG 2.0).
//!
//! A file is streamed: the next piece is read when the caller has taken the one before, so a slow one costs a connection
//! and no memory. Not here: what is exported (see `app::export`).

use std::time::Duration;

use actix_web::http::header::{self, HeaderName};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::Stream;
use futures_util::stream::unfold;

use crate::app::clock::{http_date, instant};
use crate::app::error::{AppError, ErrorKind};
use crate::app::export::part::{Part, PartReader, Piece};
use crate::app::export::request::{ExportRequest, Level};
use crate::app::export::{Accepted, Content, File, Manifest, Status};
use crate::app::search::Handling;
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::super::extract::{
    AppData, State, body, check_accept, check_accept_ndjson, context, query_pairs, refuse, run,
};
use super::super::prefer::preference;
use super::super::render::export_manifest::{self, ExportManifest, OutputFile};
use super::super::render::{ndjson, outcome};
use super::super::{FHIR_JSON, FHIR_NDJSON, error};

const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");
/// Seconds after which a caller may look again how far an export has come.
const POLL_S: u64 = 2;
/// How often, and after which pause, a piece is asked for again while the database is busy or away.
const PIECE_TRIES_MAX: u32 = 20;
const PIECE_PAUSE: Duration = Duration::from_millis(500);

/// `GET /$export`
pub async fn of_system(app: AppData, request: HttpRequest) -> HttpResponse {
    kick_off(app, request, Level::System, None).await
}

/// `POST /$export`
pub async fn of_system_by_body(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    kick_off(app, request, Level::System, Some(payload)).await
}

/// `GET /Patient/$export`
pub async fn of_patients(app: AppData, request: HttpRequest) -> HttpResponse {
    kick_off(app, request, Level::Patient, None).await
}

/// `POST /Patient/$export`
pub async fn of_patients_by_body(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    kick_off(app, request, Level::Patient, Some(payload)).await
}

async fn kick_off(app: AppData, request: HttpRequest, level: Level, payload: Option<web::Payload>) -> HttpResponse {
    let ctx = context(&request, &app);
    let received = match payload {
        Some(payload) => body(&request, payload, &app).await,
        None => check_accept(&request).map(|()| Bytes::new()),
    };
    let bytes = match received {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Export, error).await,
    };
    let (asked, mut pairs, handling) = (ctx.clone(), query_pairs(&request), handling(&request));
    let accepted = run(&app, move |app| {
        let parameters = app.read_export_parameters(&bytes).and_then(|mut more| {
            // The address of a POST does not tell what its body said.
            let understood = ExportRequest::read(level, &pairs, handling)?.understood;
            pairs.append(&mut more);
            Ok(ExportRequest { understood, ..ExportRequest::read(level, &pairs, handling)? })
        });
        app.begin_export(&asked, level, parameters)
    });
    match accepted.await {
        Ok(accepted) => begun(&app, &accepted, &ctx.request_id),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// Only what the guide calls lenient handling passes over a parameter; without it an export would hold too much.
fn handling(request: &HttpRequest) -> Handling {
    if preference(request, "handling").as_deref() == Some("lenient") { Handling::Lenient } else { Handling::Strict }
}

fn begun(app: &AppData, accepted: &Accepted, request_id: &str) -> HttpResponse {
    let mut issues = vec![Issue::information(IssueCode::Informational, "The export was taken on.")];
    issues.extend(accepted.remarks.iter().cloned());
    HttpResponse::Accepted()
        .insert_header((
            header::CONTENT_LOCATION,
            format!("{}/$export/{}", app.config.server.base_url, accepted.job_id),
        ))
        .content_type(FHIR_JSON)
        .body(outcome::render(&issues, request_id))
}

/// `GET /$export/{job}`
pub async fn status(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    let ctx = context(&request, &app);
    if let Err(error) = check_accept(&request) {
        return refuse(&app, &ctx, Action::Export, error).await;
    }
    let (asked, job_id) = (ctx.clone(), path.into_inner());
    match run(&app, move |app| app.export_status(&asked, &job_id)).await {
        Ok(Status::Planning { percent }) => HttpResponse::Accepted()
            .insert_header((X_PROGRESS, format!("{percent} % looked at")))
            .insert_header((header::RETRY_AFTER, POLL_S.to_string()))
            .finish(),
        Ok(Status::Complete(manifest)) => complete(&manifest, &ctx.request_id),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

fn complete(manifest: &Manifest, request_id: &str) -> HttpResponse {
    let expires = http_date(manifest.expires_us);
    match super::render(export_manifest::render(&rendered(manifest))) {
        Ok(body) => {
            HttpResponse::Ok().insert_header((header::EXPIRES, expires)).content_type("application/json").body(body)
        }
        Err(error) => error::respond(&error, request_id),
    }
}

fn rendered(manifest: &Manifest) -> ExportManifest {
    let of = |content: Content| {
        let files = manifest.files.iter().filter(move |file| file.content == content);
        files.map(output_file).collect::<Vec<OutputFile>>()
    };
    ExportManifest {
        transaction_time: instant(manifest.at_us),
        requires_access_token: manifest.requires_access_token,
        output: of(Content::Resources),
        deleted: of(Content::Deletions),
        error: of(Content::Remarks),
        request: manifest.request.clone(),
    }
}

fn output_file(file: &File) -> OutputFile {
    let is_bundles = file.content == Content::Deletions;
    OutputFile {
        resource_type: if is_bundles { "Bundle".to_owned() } else { file.resource_type.clone() },
        url: file.url.clone(),
        count: (!is_bundles).then_some(file.resources),
    }
}

/// `DELETE /$export/{job}`
pub async fn cancel(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    let ctx = context(&request, &app);
    let (asked, job_id) = (ctx.clone(), path.into_inner());
    match run(&app, move |app| app.cancel_export(&asked, &job_id)).await {
        Ok(()) => {
            let issue = Issue::information(IssueCode::Informational, "The export is over.");
            HttpResponse::Accepted().content_type(FHIR_JSON).body(outcome::render(&[issue], &ctx.request_id))
        }
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// `GET /$export/{job}/{file}`
pub async fn file(app: AppData, request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let ctx = context(&request, &app);
    if let Err(error) = check_accept_ndjson(&request) {
        return refuse(&app, &ctx, Action::Export, error).await;
    }
    let (asked, (job_id, file)) = (ctx.clone(), path.into_inner());
    let opened = run(&app, move |app| {
        let part = app.open_export_part(&asked, &job_id, &file)?;
        first(app, part, &asked.request_id)
    });
    match opened.await {
        Ok((bytes, None)) => HttpResponse::Ok().content_type(FHIR_NDJSON).body(bytes),
        Ok((bytes, Some(reader))) => {
            HttpResponse::Ok().content_type(FHIR_NDJSON).streaming(stream(Download { app, ready: Some(bytes), reader }))
        }
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

/// The beginning of a file, and how to go on: what fails here is still told by the status of the answer.
fn first(app: &State, part: Part, request_id: &str) -> Result<(Bytes, Option<PartReader>), AppError> {
    match part {
        Part::Remarks(issues) => Ok((super::render(ndjson::outcomes(&issues, request_id))?.into(), None)),
        Part::Stored(mut reader) => match app.next_export_piece(&mut reader)? {
            None => Ok((Bytes::new(), None)),
            Some(piece) => Ok((lines(&piece)?, Some(reader))),
        },
    }
}

fn lines(piece: &Piece) -> Result<Bytes, AppError> {
    match piece {
        Piece::Resources(bodies) => Ok(ndjson::resources(bodies).into()),
        Piece::Deletions { resource_type, ids } => Ok(super::render(ndjson::deletions(resource_type, ids))?.into()),
    }
}

struct Download {
    app: AppData,
    ready: Option<Bytes>,
    reader: PartReader,
}

fn stream(download: Download) -> impl Stream<Item = Result<Bytes, AppError>> {
    unfold(Some(download), |download| async {
        let mut download = download?;
        let next = match download.ready.take() {
            Some(bytes) => Ok(Some(bytes)),
            None => download.next().await,
        };
        match next {
            Ok(bytes) => bytes.map(|bytes| (Ok(bytes), Some(download))),
            // The connection is closed without the end of the file, which the caller sees.
            Err(error) => Some((Err(error), None)),
        }
    })
}

impl Download {
    async fn next(&mut self) -> Result<Option<Bytes>, AppError> {
        let mut tries = 0;
        loop {
            let mut reader = self.reader.clone();
            let read = run(&self.app, move |app| {
                let piece = app.next_export_piece(&mut reader)?;
                Ok((piece.as_ref().map(lines).transpose()?, reader))
            });
            match read.await {
                Ok((bytes, reader)) => {
                    self.reader = reader;
                    match bytes {
                        Some(bytes) if bytes.is_empty() => {}
                        bytes => return Ok(bytes),
                    }
                }
                Err(error) if tries < PIECE_TRIES_MAX && is_transient(&error) => {
                    tries += 1;
                    tokio::time::sleep(PIECE_PAUSE).await;
                }
                Err(error) => {
                    tracing::warn!(kind = ?error.kind, "a file of an export is cut short");
                    return Err(error);
                }
            }
        }
    }
}

const fn is_transient(error: &AppError) -> bool {
    matches!(error.kind, ErrorKind::Unavailable | ErrorKind::Overloaded | ErrorKind::Timeout)
}
