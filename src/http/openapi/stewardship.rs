//! What the rows of stewards' operations are called, take and give.
//!
//! Not here: the other rows (see `description`), the input of each operation (see its OperationDefinition).

use super::description::{BUNDLE, Body, Code, Described, FORMAT, PARAMETERS, WITH_BODY, row};

const DECIDES: &[u16] = &[403, 404, 409, 413, 415, 422];
const READS: &[u16] = &[403, 404];
const LISTS: &[&str] = &["_format", "_pretty", "_count", "_page", "Prefer"];

const fn decides(path: &'static str, summary: &'static str) -> Described {
    Described {
        body: Body::Schema("Parameters"),
        answers: PARAMETERS,
        errors: DECIDES,
        ..row("POST", path, Code::Always, summary)
    }
}

const fn reads(path: &'static str, summary: &'static str) -> Described {
    Described { answers: PARAMETERS, errors: READS, ..row("GET", path, Code::Always, summary) }
}

pub const DESCRIBED: &[Described] = &[
    decides("/Patient/$merge", "Merge two records of one person"),
    decides("/Patient/$unmerge", "Take a merge back"),
    decides("/Patient/$link", "Link two records of one person"),
    decides("/Patient/$unlink", "Separate two records"),
    decides("/Patient/$split", "Split an identity"),
    decides("/Patient/$decide", "Answer a review"),
    decides("/Patient/$revoke", "Take a decision back"),
    Described {
        parameters: LISTS,
        answers: BUNDLE,
        errors: &[403],
        ..row("GET", "/Patient/$review-queue", Code::Always, "What there is to decide")
    },
    Described {
        parameters: FORMAT,
        body: Body::Optional("Parameters"),
        answers: BUNDLE,
        errors: &[403, WITH_BODY[0], WITH_BODY[1]],
        ..row("POST", "/Patient/$review-queue", Code::Always, "What there is to decide")
    },
    Described {
        parameters: &["_format", "_pretty", "_id", "_count", "_page", "Prefer"],
        answers: BUNDLE,
        errors: READS,
        ..row("GET", "/Patient/$decisions", Code::Always, "What was decided")
    },
    Described {
        parameters: &["_format", "_pretty", "identity"],
        ..reads("/Patient/$identity", "What an identity is made of")
    },
    reads("/Patient/{id}/$identity", "What the identity of a record is made of"),
    Described {
        parameters: &["_format", "_pretty", "identity", "date", "_count", "_page", "Prefer"],
        answers: BUNDLE,
        errors: READS,
        ..row("GET", "/Patient/$who-looked", Code::Always, "Who was shown the records of an identity")
    },
    Described {
        body: Body::Schema("Parameters"),
        answers: BUNDLE,
        errors: &[403, 404, WITH_BODY[0], WITH_BODY[1]],
        ..row("POST", "/Patient/$who-looked", Code::Always, "Who was shown the records of an identity")
    },
    Described {
        parameters: &["_format", "_pretty", "date", "_count", "_page", "Prefer"],
        answers: BUNDLE,
        errors: READS,
        ..row("GET", "/Patient/{id}/$who-looked", Code::Always, "Who was shown the records of a person")
    },
    Described {
        body: Body::Schema("Parameters"),
        answers: BUNDLE,
        errors: &[403, 404, WITH_BODY[0], WITH_BODY[1]],
        ..row("POST", "/Patient/{id}/$who-looked", Code::Always, "Who was shown the records of a person")
    },
    reads("/Patient/{id}/$identity-history", "Where a record has been"),
];
