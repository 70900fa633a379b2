//! The tree of a read expression.
//!
//! Not here: reading it (see `parser`) and evaluating it (see `evaluate` and `function`).

use std::cmp::Ordering;

/// An expression; a missing base of a path is written as [`Expr::This`].
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// `{}`
    Empty,
    Bool(bool),
    Integer(i64),
    /// In steps of 10⁻⁸.
    Decimal(i64),
    Text(String),
    /// `$this`
    This,
    /// `$index`
    Index,
    /// `%resource`
    Resource,
    /// `%context`
    Context,
    /// A type name at the start of a path: the input if it is of that type.
    Root(String),
    Member(Box<Expr>, Member),
    Item(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Function, Vec<Expr>),
    /// `ofType(T)` and `as T`, of resources.
    OfType(Box<Expr>, String),
    /// `is T`, of a resource.
    Is(Box<Expr>, String),
    Negate(Box<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// An order of two elements that are dates or times.
    Temporal(Operator, Box<Expr>, Box<Expr>),
}

/// One step of a path, with what it needs at run time worked out before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub name: String,
    /// The sibling of a primitive that holds its extensions.
    pub sibling: String,
    /// The members that a choice element may really be called (`deceased` is `deceasedBoolean` or `deceasedDateTime`).
    pub choices: Vec<Choice>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub name: String,
    pub sibling: String,
}

impl Member {
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), sibling: format!("_{name}"), choices: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Multiply,
    Divide,
    WholeDivide,
    Modulo,
    Add,
    Subtract,
    Concatenate,
    Union,
    LessOrEqual,
    Less,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
    In,
    Contains,
    And,
    Or,
    Xor,
    Implies,
}

impl Operator {
    /// Whether `ordering` of left and right is what the operator asks for; false for operators that ask for none.
    #[must_use]
    pub const fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            _ => false,
        }
    }

    #[must_use]
    pub const fn is_order(self) -> bool {
        matches!(self, Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual)
    }
}

/// The functions of the subset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    All,
    AllTrue,
    AnyTrue,
    Combine,
    Contains,
    Count,
    Distinct,
    Empty,
    EndsWith,
    Exclude,
    Exists,
    Extension,
    First,
    HasValue,
    Iif,
    IndexOf,
    Intersect,
    IsDistinct,
    Last,
    Length,
    Lower,
    Not,
    Select,
    Single,
    Skip,
    StartsWith,
    Substring,
    Tail,
    Take,
    ToInteger,
    ToText,
    Trim,
    Union,
    Upper,
    Where,
}

impl Function {
    /// Name, function, fewest and most arguments.
    pub const TABLE: &'static [(&'static str, Self, usize, usize)] = &[
        ("all", Self::All, 1, 1),
        ("allTrue", Self::AllTrue, 0, 0),
        ("anyTrue", Self::AnyTrue, 0, 0),
        ("combine", Self::Combine, 1, 1),
        ("contains", Self::Contains, 1, 1),
        ("count", Self::Count, 0, 0),
        ("distinct", Self::Distinct, 0, 0),
        ("empty", Self::Empty, 0, 0),
        ("endsWith", Self::EndsWith, 1, 1),
        ("exclude", Self::Exclude, 1, 1),
        ("exists", Self::Exists, 0, 1),
        ("extension", Self::Extension, 1, 1),
        ("first", Self::First, 0, 0),
        ("hasValue", Self::HasValue, 0, 0),
        ("iif", Self::Iif, 2, 3),
        ("indexOf", Self::IndexOf, 1, 1),
        ("intersect", Self::Intersect, 1, 1),
        ("isDistinct", Self::IsDistinct, 0, 0),
        ("last", Self::Last, 0, 0),
        ("length", Self::Length, 0, 0),
        ("lower", Self::Lower, 0, 0),
        ("not", Self::Not, 0, 0),
        ("select", Self::Select, 1, 1),
        ("single", Self::Single, 0, 0),
        ("skip", Self::Skip, 1, 1),
        ("startsWith", Self::StartsWith, 1, 1),
        ("substring", Self::Substring, 1, 2),
        ("tail", Self::Tail, 0, 0),
        ("take", Self::Take, 1, 1),
        ("toInteger", Self::ToInteger, 0, 0),
        ("toString", Self::ToText, 0, 0),
        ("trim", Self::Trim, 0, 0),
        ("union", Self::Union, 1, 1),
        ("upper", Self::Upper, 0, 0),
        ("where", Self::Where, 1, 1),
    ];

    /// Whether its arguments are evaluated for each item, with `$this` set to it.
    #[must_use]
    pub const fn is_per_item(self) -> bool {
        matches!(self, Self::All | Self::Exists | Self::Select | Self::Where)
    }

    /// Whether it works on a text.
    #[must_use]
    pub const fn is_of_text(self) -> bool {
        matches!(
            self,
            Self::Contains
                | Self::EndsWith
                | Self::IndexOf
                | Self::Length
                | Self::Lower
                | Self::StartsWith
                | Self::Substring
                | Self::Trim
                | Self::Upper
        )
    }
}
