//! What would raise the weight to a level: the additions that each suffice, or else the fewest that do together.
//!
//! Not here: the words for an addition (they stand in `profiles/input-weights.json`).

use super::Advice;
use super::found::Found;
use super::rules::{InputWeights, Level, Row};

/// Advice for each level that `total` does not reach.
pub fn advise(total: u32, found: &Found, weights: &InputWeights) -> Vec<Advice> {
    let short = weights.levels.iter().filter(|level| total < level.minimum);
    short.map(|level| advise_level(level, total, found, weights)).collect()
}

fn advise_level(level: &Level, total: u32, found: &Found, weights: &InputWeights) -> Advice {
    let missing = level.minimum - total;
    let additions = additions(found, weights);
    let enough: Vec<_> = additions.iter().filter(|(points, _)| *points >= missing).collect();
    let (lead, chosen) = if enough.is_empty() {
        ("These together are enough", fewest(&additions, missing))
    } else {
        ("Any one of these is enough", enough)
    };
    let listed: Vec<String> = chosen.iter().map(|(points, row)| format!("{} (+{points})", row.advice)).collect();
    let text = format!(
        "Level {} needs an input weight of {}, {missing} more than is given. {lead}: {}.",
        level.level,
        level.minimum,
        listed.join("; ")
    );
    Advice { level: level.level.clone(), text, code: level.code.clone() }
}

/// What could be added, with the points it would bring, most first.
fn additions<'w>(found: &Found, weights: &'w InputWeights) -> Vec<(u32, &'w Row)> {
    let documents = weights.documents.points_max.saturating_sub(found.document_points(weights));
    let contacts = match found.contacts.count() {
        0 => weights.contacts.points_one,
        1 => weights.contacts.points_more.saturating_sub(weights.contacts.points_one),
        _ => 0,
    };
    let name = if found.name.is_none() { weights.name.points } else { 0 };
    let birth_date = if found.has_birth_date { 0 } else { weights.birth_date.points };
    let mut additions = vec![
        (documents.min(weights.documents.points_each), &weights.documents.row),
        (contacts, &weights.contacts.row),
        (name, &weights.name.row),
        (birth_date, &weights.birth_date.row),
    ];
    additions.retain(|(points, _)| *points > 0);
    additions.sort_by_key(|(points, _)| std::cmp::Reverse(*points));
    additions
}

fn fewest<'a, 'w>(additions: &'a [(u32, &'w Row)], missing: u32) -> Vec<&'a (u32, &'w Row)> {
    let mut sum = 0;
    let mut chosen = Vec::new();
    for addition in additions {
        if sum < missing {
            sum += addition.0;
            chosen.push(addition);
        }
    }
    chosen
}
