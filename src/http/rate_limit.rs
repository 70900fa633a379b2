//! The headers that tell of budgets: `RateLimit-Policy` and `RateLimit`.
//!
//! draft-ietf-httpapi-ratelimit-headers-10: lists of structured fields (RFC 9651), an item for each budget: `q` is the
//! quota, `w` the window in seconds, `r` what remains, `t` the seconds until there is more. What remains is what the
//! answering instance knows of. Not here: what is told of which budget (see `app::metering`).

use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderName, RETRY_AFTER};

use crate::app::metering::rate_limit::{RateLimit, Standing};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds the headers to an answer.
pub fn tell(response: &mut HttpResponseBuilder, rate: &RateLimit) {
    if rate.standings.is_empty() {
        return;
    }
    response.insert_header((RATE_LIMIT_POLICY, list(rate, policy)));
    response.insert_header((RATE_LIMIT, list(rate, remaining)));
}

/// The same of a refusal, with `Retry-After` (RFC 9110 section 10.2.3).
pub fn refuse(response: &mut HttpResponseBuilder, rate: &RateLimit) {
    tell(response, rate);
    response.insert_header((RETRY_AFTER, rate.retry_after_s().to_string()));
}

fn list(rate: &RateLimit, item: impl Fn(&Standing) -> String) -> String {
    rate.standings.iter().map(item).collect::<Vec<_>>().join(", ")
}

fn policy(standing: &Standing) -> String {
    format!("\"{}\";q={};w={}", standing.name, standing.quota, standing.window_s)
}

fn remaining(standing: &Standing) -> String {
    let reset = standing.reset_s.map(|seconds| format!(";t={seconds}")).unwrap_or_default();
    format!("\"{}\";r={}{reset}", standing.name, standing.remaining)
}

#[cfg(test)]
mod tests {
    use actix_web::HttpResponse;

    use super::*;

    fn headers(rate: &RateLimit, write: fn(&mut HttpResponseBuilder, &RateLimit)) -> [Option<String>; 3] {
        let mut response = HttpResponse::Ok();
        write(&mut response, rate);
        let response = response.finish();
        let text = |name: &str| response.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
        [text("ratelimit-policy"), text("ratelimit"), text("retry-after")]
    }

    fn standing(name: &'static str, remaining: u32, reset_s: Option<i64>) -> Standing {
        Standing { name, quota: 1200, window_s: 60, remaining, reset_s }
    }

    #[test]
    fn budgets_are_lists_of_structured_fields() {
        let rate =
            RateLimit { standings: vec![standing("client-requests", 7, None), standing("client-failures", 3, None)] };
        let [policy, remaining, retry_after] = headers(&rate, tell);
        assert_eq!(policy.as_deref(), Some(r#""client-requests";q=1200;w=60, "client-failures";q=1200;w=60"#));
        assert_eq!(remaining.as_deref(), Some(r#""client-requests";r=7, "client-failures";r=3"#));
        assert_eq!(retry_after, None);
        assert_eq!(headers(&RateLimit { standings: Vec::new() }, tell), [None, None, None]);
    }

    #[test]
    fn a_refusal_says_when_to_come_back() {
        let rate = RateLimit { standings: vec![standing("subject-failures", 0, Some(42))] };
        let [_, remaining, retry_after] = headers(&rate, refuse);
        assert_eq!(
            (remaining.as_deref(), retry_after.as_deref()),
            (Some(r#""subject-failures";r=0;t=42"#), Some("42"))
        );
    }
}
