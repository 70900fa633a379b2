//! How an answer is laid out and how much of it is sent: `_pretty`, `_summary` and `_elements` (FHIR R4 RESTful API,
//! 3.1.0.1.10; Search, Summary and Elements), on every FHIR answer alike.
//!
//! What: [`present`] wraps the FHIR routes. It refuses values that cannot be meant before anything is done, and works on
//! the finished answer, so that no handler knows of it. Answers of operations are laid out and never cut. Not here: what is
//! cut (see `profile::shape::subset`); the total of `_summary=count` (see `app::search`).

use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{Error, HttpMessage, HttpResponse};

use crate::app::App;
use crate::app::error::AppError;
use crate::audit::Action;
use crate::fhir::document::{Layout, Node};
use crate::fhir::issue::{Issue, IssueCode};
use crate::profile::shape::subset::{Subset, cut};

use super::extract::{AppData, context, query_pairs, refuse};
use super::{FHIR_JSON, error};

/// What a request wants of the form of its answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presentation {
    layout: Layout,
    subset: Subset,
}

impl Presentation {
    /// Reads the parameters, wherever they were sent. A handler that finds them in a body puts the result among the
    /// extensions of its request.
    ///
    /// # Errors
    /// `Invalid` for a value of `_summary` or `_elements` that cannot be meant, or two of them.
    pub fn read(app: &App, pairs: &[(String, String)]) -> Result<Self, AppError> {
        let refuse = |issue| AppError::invalid(vec![issue]);
        let (summary, elements) = (single(pairs, "_summary")?, single(pairs, "_elements")?);
        let subset = Subset::parse(app.rules.profiles.shapes(), summary, elements).map_err(refuse)?;
        let is_pretty = pairs.iter().any(|(name, value)| name == "_pretty" && value == "true");
        Ok(Self { layout: if is_pretty { Layout::Pretty } else { Layout::Compact }, subset })
    }

    fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// The answer in the wanted form.
    fn apply(&self, app: &App, body: &[u8]) -> Result<Vec<u8>, AppError> {
        let node = std::str::from_utf8(body).ok().and_then(|text| Node::parse(text).ok());
        let mut node = node.ok_or_else(|| {
            tracing::error!("an answer cannot be read again");
            AppError::internal()
        })?;
        if self.subset != Subset::All {
            cut(app.rules.profiles.shapes(), &mut node, &self.subset);
        }
        Ok(node.write(self.layout).into_bytes())
    }
}

fn single<'p>(pairs: &'p [(String, String)], name: &str) -> Result<Option<&'p str>, AppError> {
    let mut values = pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_none() {
        return Ok(first);
    }
    let text = "The parameter is given more than once.";
    Err(AppError::invalid(vec![Issue::error(IssueCode::Value, text).at(format!("http.{name}"))]))
}

/// Wraps the FHIR routes.
///
/// # Errors
/// What the routes give; handlers themselves answer with a response.
pub async fn present<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(app) = request.app_data::<AppData>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_boxed_body);
    };
    match Presentation::read(&app, &query_pairs(request.request())) {
        Ok(wanted) => drop(request.extensions_mut().insert(wanted)),
        Err(error) => {
            let ctx = context(request.request(), &app);
            let refused = refuse(&app, &ctx, Action::Read, error).await;
            return Ok(request.into_response(refused));
        }
    }
    let response = next.call(request).await?.map_into_boxed_body();
    let wanted = response.request().extensions_mut().remove::<Presentation>().unwrap_or_default();
    let is_operation = response.request().match_pattern().is_some_and(|pattern| pattern.contains('$'));
    let wanted = if is_operation { Presentation { subset: Subset::All, ..wanted } } else { wanted };
    let is_fhir = response.headers().get(header::CONTENT_TYPE) == Some(&HeaderValue::from_static(FHIR_JSON));
    if wanted.is_plain() || !is_fhir { Ok(response) } else { presented(app, response, wanted).await }
}

/// The answer written again, on a thread that may block.
async fn presented(
    app: AppData,
    response: ServiceResponse<BoxBody>,
    wanted: Presentation,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let body: Bytes = to_bytes(body).await?;
    if body.is_empty() {
        return Ok(ServiceResponse::new(request, head.set_body(BoxBody::new(body))));
    }
    let instance = AppData::clone(&app);
    let written = web::block(move || wanted.apply(&instance, &body)).await.map_err(|_| AppError::internal());
    let response: HttpResponse = match written.and_then(|written| written) {
        Ok(written) => head.set_body(BoxBody::new(written)),
        Err(error) => error::respond(&error, &context(&request, &app).request_id),
    };
    Ok(ServiceResponse::new(request, response))
}
