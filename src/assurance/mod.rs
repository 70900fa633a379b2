//! How sure somebody is who they are said to be, what kind of organisation asks, and what that allows.
//!
//! What: the levels of assurance of identity and of authentication, and the types of entities. Why: a token, a claimed
//! profile and a stored record each carry a level, and a match is allowed by the lowest that applies. Not here: tokens
//! (see `auth`).

pub mod entity;
pub mod level;
