//! Parameters by kind of value, as the answers of operations are made of them.
//!
//! Not here: which parameters an answer has.

use fhir_types::resources::{ParametersParameter, ParametersParameterValue};
use fhir_types::types::Reference;

use super::responder::Responder;
use super::{RenderError, instant as parse_instant, list};

pub(super) fn value(name: &str, value: ParametersParameterValue) -> Result<ParametersParameter, RenderError> {
    Ok(ParametersParameter::builder().name(name.to_owned()).value(value).build()?)
}

pub(super) fn code(name: &str, code: &str) -> Result<ParametersParameter, RenderError> {
    value(name, ParametersParameterValue::Code(code.to_owned()))
}

pub(super) fn decimal(name: &str, number: f64) -> Result<ParametersParameter, RenderError> {
    value(name, ParametersParameterValue::Decimal(number))
}

pub(super) fn text(name: &str, text: &str) -> Result<ParametersParameter, RenderError> {
    value(name, ParametersParameterValue::String(text.to_owned()))
}

/// A Patient of this server.
pub(super) fn reference(
    name: &str,
    responder: &Responder,
    record_id: &str,
) -> Result<ParametersParameter, RenderError> {
    let reference = Reference::builder().reference(responder.url_of("Patient", record_id)).build()?;
    value(name, ParametersParameterValue::Reference(reference))
}

/// A FHIR instant.
pub(super) fn instant(name: &'static str, text: &str) -> Result<ParametersParameter, RenderError> {
    value(name, ParametersParameterValue::Instant(parse_instant(name, text)?))
}

pub(super) fn parts(name: &str, inside: Vec<ParametersParameter>) -> Result<ParametersParameter, RenderError> {
    Ok(ParametersParameter::builder().name(name.to_owned()).part(list(inside)).build()?)
}

/// A resource whose text is put in when the whole is written.
pub(super) fn resource(name: &str) -> Result<ParametersParameter, RenderError> {
    Ok(ParametersParameter::builder().name(name.to_owned()).build()?)
}
