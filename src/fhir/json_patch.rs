//! JSON Patch: a list of operations on a document (RFC 6902), without loss.
//!
//! What: [`Patch::apply`] runs the operations in order on the tree of a document; what no operation touches stays as written.
//! The work is bounded by [`Limits`]: operations, the size of the document at any time, and all that is copied, compared
//! and thrown away on the way. Why not a library: they go through numbers of 64 bits, and FHIR's `1.50` is not `1.5`.
//! Not here: whether the result is FHIR (see `profile`), what a patch may not touch (see `app::patch`).

mod equality;
mod pointer;

use super::document::{Member, Node};
use super::issue::{Issue, IssueCode};
use super::json::{self, Value};

use equality::is_equal;
use pointer::{Pointer, Step};

/// How large a patch and what it makes may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub operations_max: usize,
    /// Of the patch itself, and of the document after each operation.
    pub document: json::Limits,
}

/// Bytes that all operations together may copy, compare or drop, in sizes of the largest document.
const WORK_DOCUMENTS_MAX: usize = 8;
/// What it counts that an element of an array makes room for another, or closes its gap.
const MOVED_BYTES: usize = 4;

/// A patch that was read and not yet applied.
#[derive(Debug, Clone)]
pub struct Patch<'a> {
    operations: Vec<Operation<'a>>,
}

#[derive(Debug, Clone)]
struct Operation<'a> {
    path: Pointer,
    action: Action<'a>,
}

#[derive(Debug, Clone)]
enum Action<'a> {
    Add(Node<'a>),
    Remove,
    Replace(Node<'a>),
    Move { from: Pointer },
    Copy { from: Pointer },
    Test(Node<'a>),
}

impl<'a> Patch<'a> {
    /// Reads a patch (RFC 6902 §3, §4).
    ///
    /// # Errors
    /// Every problem found, each with its place in the patch.
    pub fn parse(patch: &'a [u8], limits: &Limits) -> Result<Self, Vec<Issue>> {
        let checked = json::parse(patch, &limits.document).map_err(|issue| vec![issue])?;
        let Value::Array(listed) = &checked else {
            let text = format!("A JSON Patch is an array of operations, not {}.", checked.kind());
            return Err(vec![Issue::error(IssueCode::Structure, text)]);
        };
        if listed.len() > limits.operations_max {
            let text = format!("The patch has more than {} operations.", limits.operations_max);
            return Err(vec![Issue::error(IssueCode::TooLong, text)]);
        }
        let text = std::str::from_utf8(patch).unwrap_or_default();
        let Ok(Node::Array(nodes)) = Node::parse(text) else {
            return Err(vec![Issue::error(IssueCode::Structure, "The patch is not JSON.")]);
        };
        let mut operations = Vec::with_capacity(nodes.len());
        let mut issues = Vec::new();
        for (number, node) in nodes.into_iter().enumerate() {
            match operation(node) {
                Ok(operation) => operations.push(operation),
                Err((code, member, text)) => issues.push(Issue::error(code, text).at(format!("[{number}]{member}"))),
            }
        }
        if issues.is_empty() { Ok(Self { operations }) } else { Err(issues) }
    }

    /// Whether an operation changes something at or below the top-level member `name`, or the whole document.
    #[must_use]
    pub fn touches(&self, name: &str) -> bool {
        self.operations.iter().any(|operation| match &operation.action {
            Action::Test(_) => false,
            Action::Move { from } => operation.path.touches(name) || from.touches(name),
            _ => operation.path.touches(name),
        })
    }

    /// What the operations compare or bring to another place: the number of each, and the top-level member; `None` for the
    /// whole document.
    pub fn looked_at(&self) -> impl Iterator<Item = (usize, Option<&str>)> {
        self.operations.iter().enumerate().filter_map(|(number, operation)| {
            let place = match &operation.action {
                Action::Test(_) => &operation.path,
                Action::Move { from } | Action::Copy { from } => from,
                Action::Add(_) | Action::Remove | Action::Replace(_) => return None,
            };
            Some((number, place.steps().first().map(Step::name)))
        })
    }

    /// Runs the operations on `document`, all or none.
    ///
    /// # Errors
    /// The first operation that does not fit, with its place in the patch: a place that is not there, a test that fails,
    /// a document that grows too large.
    pub fn apply<'d>(&self, document: Node<'d>, limits: &Limits) -> Result<Node<'d>, Issue>
    where
        'a: 'd,
    {
        let mut target = Target::new(document, limits.document);
        for (number, operation) in self.operations.iter().enumerate() {
            target.run(operation).map_err(|(code, text)| Issue::error(code, text).at(format!("[{number}]")))?;
        }
        Ok(target.root)
    }
}

type Misfit = (IssueCode, &'static str);
type Malformed = (IssueCode, &'static str, &'static str);

/// One operation; members that RFC 6902 does not define are ignored (§4).
fn operation(mut node: Node<'_>) -> Result<Operation<'_>, Malformed> {
    if !matches!(node, Node::Object(_)) {
        return Err((IssueCode::Structure, "", "An operation is an object."));
    }
    let missing_op = (IssueCode::Required, ".op", "The operation has no op that is a string.");
    let op = node.text("op").ok_or(missing_op)?.into_owned();
    let path = pointer(&node, "path", ".path")?;
    let mut value = || node.remove("value").ok_or((IssueCode::Required, ".value", "The operation needs a value."));
    let action = match op.as_str() {
        "add" => Action::Add(value()?),
        "remove" => Action::Remove,
        "replace" => Action::Replace(value()?),
        "move" => Action::Move { from: pointer(&node, "from", ".from")? },
        "copy" => Action::Copy { from: pointer(&node, "from", ".from")? },
        "test" => Action::Test(value()?),
        _ => return Err((IssueCode::Value, ".op", "The op must be add, remove, replace, move, copy or test.")),
    };
    if matches!(&action, Action::Move { from } if path.is_below(from)) {
        return Err((IssueCode::Value, ".path", "A value cannot be moved into itself."));
    }
    Ok(Operation { path, action })
}

fn pointer(node: &Node<'_>, member: &str, place: &'static str) -> Result<Pointer, Malformed> {
    let text = node.text(member);
    let text = text.ok_or((IssueCode::Required, place, "The operation needs a JSON Pointer here, as a string."))?;
    Pointer::parse(&text).ok_or((IssueCode::Value, place, "This is no JSON Pointer (RFC 6901)."))
}

const ABSENT: Misfit = (IssueCode::Processing, "There is no value at this place of the resource.");
const TOO_LARGE: Misfit = (IssueCode::TooLong, "The patch makes a resource that is larger or deeper than it may be.");
const TOO_COSTLY: Misfit = (IssueCode::TooCostly, "The patch moves more than a request may.");

/// What a part of a document adds to it.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    bytes: usize,
    values: usize,
    depth: usize,
}

impl Extent {
    fn of(node: &Node<'_>) -> Self {
        let mut extent = Self { bytes: 2, values: 1, depth: 1 };
        match node {
            Node::Leaf(raw) => Self { bytes: raw.len(), values: 1, depth: 0 },
            Node::Array(items) => {
                items.iter().for_each(|item| extent.enclose(0, Self::of(item)));
                extent
            }
            Node::Object(members) => {
                members.iter().for_each(|Member { name, value }| extent.enclose(name.len() + 3, Self::of(value)));
                extent
            }
        }
    }

    fn enclose(&mut self, name_bytes: usize, inner: Self) {
        self.bytes += name_bytes + inner.bytes + 1;
        self.values += inner.values;
        self.depth = self.depth.max(inner.depth + 1);
    }
}

/// The document while it is patched, and what has been spent on it.
struct Target<'a> {
    root: Node<'a>,
    limits: json::Limits,
    bytes: usize,
    values: usize,
    work_bytes: usize,
}

impl<'a> Target<'a> {
    fn new(root: Node<'a>, limits: json::Limits) -> Self {
        let Extent { bytes, values, .. } = Extent::of(&root);
        Self { root, limits, bytes, values, work_bytes: 0 }
    }

    fn run(&mut self, operation: &Operation<'a>) -> Result<(), Misfit> {
        let Operation { path, action } = operation;
        match action {
            Action::Add(value) => self.add(path, value.clone()),
            Action::Remove => self.remove(path).map(drop),
            Action::Replace(value) => self.replace(path, value.clone()),
            Action::Move { from } => {
                let value = self.remove(from)?;
                self.add(path, value)
            }
            Action::Copy { from } => {
                let found = find(&self.root, from)?;
                let extent = Extent::of(found);
                let value = found.clone();
                self.work(extent.bytes)?;
                self.add(path, value)
            }
            Action::Test(value) => {
                self.work(Extent::of(value).bytes)?;
                let is_met = is_equal(find(&self.root, path)?, value);
                if is_met { Ok(()) } else { Err((IssueCode::Processing, "The test of the patch does not hold.")) }
            }
        }
    }

    /// RFC 6902 §4.1.
    fn add(&mut self, path: &Pointer, value: Node<'a>) -> Result<(), Misfit> {
        self.grow(path, &value)?;
        let Some((parent, last)) = path.split() else {
            let replaced = std::mem::replace(&mut self.root, value);
            return self.shrink(&replaced);
        };
        let mut moved = 0;
        let replaced = match find_mut(&mut self.root, parent)? {
            parent @ Node::Object(_) => parent.insert(last.name().to_owned(), value),
            Node::Array(items) => {
                let at = last.position_to_insert(items.len()).ok_or(ABSENT)?;
                moved = items.len() - at;
                items.insert(at, value);
                None
            }
            Node::Leaf(_) => return Err(ABSENT),
        };
        self.work(moved * MOVED_BYTES)?;
        replaced.map_or(Ok(()), |replaced| self.shrink(&replaced))
    }

    /// RFC 6902 §4.2. The whole document cannot be removed: nothing would be left.
    fn remove(&mut self, path: &Pointer) -> Result<Node<'a>, Misfit> {
        let (parent, last) = path.split().ok_or((IssueCode::Processing, "The whole resource cannot be removed."))?;
        let mut moved = 0;
        let removed = match find_mut(&mut self.root, parent)? {
            parent @ Node::Object(_) => parent.remove(last.name()),
            Node::Array(items) => last.position(items.len()).map(|at| {
                moved = items.len() - at;
                items.remove(at)
            }),
            Node::Leaf(_) => None,
        };
        let removed = removed.ok_or(ABSENT)?;
        self.work(moved * MOVED_BYTES)?;
        self.shrink(&removed)?;
        Ok(removed)
    }

    /// RFC 6902 §4.3.
    fn replace(&mut self, path: &Pointer, value: Node<'a>) -> Result<(), Misfit> {
        self.grow(path, &value)?;
        let target = match path.split() {
            None => &mut self.root,
            Some((parent, last)) => find_step_mut(find_mut(&mut self.root, parent)?, last).ok_or(ABSENT)?,
        };
        let replaced = std::mem::replace(target, value);
        self.shrink(&replaced)
    }

    fn grow(&mut self, path: &Pointer, value: &Node<'a>) -> Result<(), Misfit> {
        let extent = Extent::of(value);
        self.work(extent.bytes)?;
        self.bytes += extent.bytes;
        self.values += extent.values;
        let fits = self.bytes <= self.limits.body_bytes_max
            && self.values <= self.limits.values_max
            && path.steps().len() + extent.depth <= self.limits.depth_max;
        if fits { Ok(()) } else { Err(TOO_LARGE) }
    }

    fn shrink(&mut self, value: &Node<'a>) -> Result<(), Misfit> {
        let extent = Extent::of(value);
        self.bytes = self.bytes.saturating_sub(extent.bytes);
        self.values = self.values.saturating_sub(extent.values);
        self.work(extent.bytes)
    }

    fn work(&mut self, bytes: usize) -> Result<(), Misfit> {
        self.work_bytes = self.work_bytes.saturating_add(bytes);
        if self.work_bytes <= WORK_DOCUMENTS_MAX * self.limits.body_bytes_max { Ok(()) } else { Err(TOO_COSTLY) }
    }
}

fn find<'n, 'a>(root: &'n Node<'a>, path: &Pointer) -> Result<&'n Node<'a>, Misfit> {
    let step = |node: &'n Node<'a>, step: &Step| match node {
        Node::Object(_) => node.get(step.name()),
        Node::Array(items) => step.position(items.len()).and_then(|at| items.get(at)),
        Node::Leaf(_) => None,
    };
    path.steps().iter().try_fold(root, step).ok_or(ABSENT)
}

fn find_mut<'n, 'a>(root: &'n mut Node<'a>, steps: &[Step]) -> Result<&'n mut Node<'a>, Misfit> {
    steps.iter().try_fold(root, find_step_mut).ok_or(ABSENT)
}

fn find_step_mut<'n, 'a>(node: &'n mut Node<'a>, step: &Step) -> Option<&'n mut Node<'a>> {
    match node {
        Node::Object(_) => node.get_mut(step.name()),
        Node::Array(items) => {
            let at = step.position(items.len())?;
            items.get_mut(at)
        }
        Node::Leaf(_) => None,
    }
}

#[cfg(test)]
mod tests;
