//! How sure somebody is who they are said to be, what kind of organisation asks, and what that allows.
//!
//! What: the levels of assurance of identity and of authentication, the types of entities, the facts of a request, the
//! policy, and the decision that joins them. Why: a token, a claimed profile and a stored record each carry a level, and a
//! match is allowed by the lowest that applies. Pure: values in, a verdict out. Not here: tokens (see `auth`), where facts
//! come from (see `app::auth`).

pub mod decide;
pub mod entity;
pub mod facts;
pub mod level;
pub mod policy;
pub mod verdict;
