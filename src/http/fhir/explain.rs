//! `$explain-match`: why a stored record has its score, as Parameters or as a picture.
//!
//! The definition is `profiles/OperationDefinition-explain-match.json`. Not here: scoring (see `app::explain`) and drawing
//! (see `render::waterfall`).

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::app::error::{AppError, ErrorKind};
use crate::app::explain::Explanation;
use crate::app::metering::Metered;
use crate::app::metering::rate_limit::RateLimit;
use crate::audit::Action;
use crate::fhir::issue::{Issue, IssueCode};

use super::super::extract::{AppData, State, accept, context, format, read_body, refuse, run};
use super::super::negotiate::{Representation, representation};
use super::super::rate_limit;
use super::super::render::{explanation, waterfall};
use super::super::{FHIR_JSON, error};

/// A picture fetches nothing, runs nothing and is framed by nobody; its own styles are all it has.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                              frame-ancestors 'none'; sandbox";

/// `POST /Patient/$explain-match`
pub async fn explain_match(app: AppData, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let ctx = context(&request, &app);
    let Some(wanted) = representation(accept(&request).as_deref(), format(&request).as_deref()) else {
        return refuse(&app, &ctx, Action::Explain, not_acceptable()).await;
    };
    let bytes = match read_body(&request, payload, &app).await {
        Ok(bytes) => bytes,
        Err(error) => return refuse(&app, &ctx, Action::Explain, error).await,
    };
    let asked = ctx.clone();
    let explained = run(&app, move |app| {
        let Metered { answer, rate } = app.explain(&asked, &bytes, None)?;
        Ok((rendered(app, &answer, wanted)?, rate))
    })
    .await;
    match explained {
        Ok((answer, rate)) => respond(wanted, answer, rate.as_ref()),
        Err(error) => error::respond(&error, &ctx.request_id),
    }
}

fn rendered(app: &State, explanation: &Explanation, wanted: Representation) -> Result<Vec<u8>, AppError> {
    match wanted {
        Representation::FhirJson => super::render(explanation::render(&app.responder, explanation)),
        Representation::Svg => Ok(waterfall::svg(explanation)),
        Representation::Html => Ok(waterfall::html(explanation)),
    }
}

fn respond(wanted: Representation, answer: Vec<u8>, rate: Option<&RateLimit>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    rate.into_iter().for_each(|rate| rate_limit::tell(&mut response, rate));
    let media_type = match wanted {
        Representation::FhirJson => return response.content_type(FHIR_JSON).body(answer),
        Representation::Svg => waterfall::SVG,
        Representation::Html => waterfall::HTML,
    };
    response.insert_header((header::CONTENT_SECURITY_POLICY, PICTURE_POLICY));
    response.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response.insert_header((HeaderName::from_static("referrer-policy"), "no-referrer"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.content_type(media_type).body(answer)
}

fn not_acceptable() -> AppError {
    let text = "Explanations are application/fhir+json, image/svg+xml or text/html.";
    AppError::new(ErrorKind::NotAcceptable, vec![Issue::error(IssueCode::NotSupported, text).at("http.accept")])
}
