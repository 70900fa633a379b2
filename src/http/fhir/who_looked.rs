//! `$who-looked`: the disclosures of one person's records.
//!
//! Not here: whose records they are, and what a disclosure is (see `app::who_looked`).

use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::steward::page::ListParameters;
use crate::app::who_looked::Person;
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::super::extract::{AppData, body, check_accept, context, query_pairs, refuse, run};
use super::super::prefer::handling;
use super::super::render::search_bundle;
use super::super::{FHIR_JSON, error};
use super::pages;
use crate::app::error::AppError;

/// `GET /Patient/{id}/$who-looked`
pub async fn of_record(app: AppData, request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    let asked = by_query(&request);
    answer(app, request, Ok((Some(path.into_inner()), asked))).await
}

/// `GET /Patient/$who-looked?identity=…`
pub async fn by_identity(app: AppData, request: HttpRequest) -> HttpResponse {
    let asked = by_query(&request);
    answer(app, request, Ok((None, asked))).await
}

/// `POST /Patient/{id}/$who-looked`
pub async fn of_record_by_body(
    app: AppData,
    request: HttpRequest,
    path: web::Path<String>,
    payload: web::Payload,
) -> HttpResponse {
    let read = read(&app, &request, payload).await;
    answer(app, request, read.map(|asked| (Some(path.into_inner()), asked))).await
}

/// `POST /Patient/$who-looked`
pub async fn by_body(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let read = read(&app, &request, payload).await;
    answer(app, request, read.map(|asked| (None, asked))).await
}

fn by_query(request: &HttpRequest) -> ListParameters {
    ListParameters { pairs: query_pairs(request), warnings: Vec::new() }
}

/// The parameters of query and body.
async fn read(app: &AppData, request: &HttpRequest, payload: web::Payload) -> Result<ListParameters, AppError> {
    let bytes = body(request, payload, app).await?;
    let mut asked = app.read_who_looked_parameters(&bytes)?;
    asked.pairs.append(&mut query_pairs(request));
    Ok(asked)
}

async fn answer(
    app: AppData,
    request: HttpRequest,
    asked: Result<(Option<String>, ListParameters), AppError>,
) -> HttpResponse {
    let ctx = context(&request, &app);
    let found = asked.and_then(|asked| check_accept(&request).map(|()| asked)).and_then(person);
    let (person, parameters) = match found {
        Ok(found) => found,
        Err(error) => return refuse(&app, &ctx, Action::WhoLooked, error).await,
    };
    let (asked, handling) = (ctx.clone(), handling(&request));
    let answered = run(&app, move |app| {
        let page = app.who_looked(&asked, &person, &parameters, handling)?;
        super::render(search_bundle::render(&app.responder, &pages::of_stored(&asked, page)))
    });
    match answered.await {
        Ok(page) => HttpResponse::Ok().content_type(FHIR_JSON).body(page),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

fn person((id, mut asked): (Option<String>, ListParameters)) -> Result<(Person, ListParameters), AppError> {
    if let Some(id) = id {
        return Ok((Person::OfRecord(id), asked));
    }
    let named = asked.pairs.iter().position(|(name, _)| name == "identity").map(|at| asked.pairs.remove(at).1);
    let identity = named.ok_or_else(|| {
        let issue = Issue::error(IssueCode::Required, "The parameter identity is missing.").at("http.identity");
        AppError::invalid(vec![issue])
    })?;
    Ok((Person::OfIdentity(identity), asked))
}
