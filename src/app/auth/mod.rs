//! Who a caller is, what that caller may do, and what a match is decided on.
//!
//! `access` is the table of what each route needs, `gate` judges tokens and asks the table, `facts` fills what the policy
//! decides on. Not here: the policy (see `assurance`), tokens (see `auth`), HTTP headers (see `http::guard`).

pub mod access;
pub mod asserted;
pub mod claims;
pub mod facts;
pub mod gate;
pub mod granted;
pub mod person;
