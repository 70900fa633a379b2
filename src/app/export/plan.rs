//! Cutting an export into parts: stretches of resource numbers that hold about as many resources each.
//!
//! Pure but for the look that it is given. Not here: who plans and when (see `worker`).

use crate::store::constraint::{Labels, Persons, SearchConstraint};
use crate::store::export_job::{ExportJobRow, ExportPartRow};

use super::Content;
use super::request::Level;
use super::selection::{Selection, Taken};

/// A plan in the making.
pub struct Plan {
    job: ExportJobRow,
    /// What is still to be looked at, the next one last.
    waiting: Vec<Selection>,
    selections: usize,
    /// Resources of a part at most.
    resources_max: i64,
    /// Where the look goes on, and where the part begins that is being filled.
    reached: i64,
    after_number: i64,
    resources: i64,
    parts: Vec<ExportPartRow>,
}

impl Plan {
    #[must_use]
    pub fn new(job: ExportJobRow, resources_max: u32) -> Self {
        let constraint = SearchConstraint { labels: Labels::of(&job.labels), persons: Persons::Everybody };
        let contents: &[Content] =
            if job.since_us.is_some() { &[Content::Resources, Content::Deletions] } else { &[Content::Resources] };
        let types = job.resource_types.split(',').filter(|name| !name.is_empty());
        let mut waiting: Vec<Selection> = types
            .flat_map(|resource_type| contents.iter().map(move |content| (resource_type, *content)))
            .map(|(resource_type, content)| Selection {
                level: Level::of(&job.level),
                content,
                resource_type: resource_type.to_owned(),
                at_us: job.at_us,
                since_us: job.since_us,
                constraint: constraint.clone(),
            })
            .collect();
        waiting.reverse();
        Self {
            selections: waiting.len(),
            waiting,
            resources_max: i64::from(resources_max.max(1)),
            reached: 0,
            after_number: 0,
            resources: 0,
            parts: Vec::new(),
            job,
        }
    }

    /// What is to be looked at next: a selection, behind which number, up to which.
    #[must_use]
    pub fn next(&self) -> Option<(&Selection, i64, i64)> {
        self.waiting.last().map(|selection| (selection, self.reached, self.job.last_number))
    }

    /// Takes in what was found there.
    pub fn take(&mut self, taken: &Taken) {
        for item in &taken.items {
            self.resources += 1;
            if self.resources == self.resources_max {
                self.end_part(item.number);
            }
        }
        self.reached = taken.reached;
        if self.reached >= self.job.last_number {
            self.end_part(self.job.last_number);
            self.waiting.pop();
            (self.reached, self.after_number) = (0, 0);
        }
    }

    fn end_part(&mut self, last_number: i64) {
        if let Some(selection) = self.waiting.last()
            && self.resources > 0
        {
            self.parts.push(ExportPartRow {
                job_id: self.job.id.clone(),
                part: i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX),
                content: selection.content.code().to_owned(),
                resource_type: selection.resource_type.clone(),
                after_number: self.after_number,
                last_number,
                resources: self.resources,
            });
        }
        self.after_number = last_number;
        self.resources = 0;
    }

    /// How much has been looked at.
    #[must_use]
    pub fn permille(&self) -> i32 {
        let done = (self.selections - self.waiting.len()) as f64;
        let of_this = self.reached as f64 / self.job.last_number.max(1) as f64;
        (1000.0 * (done + of_this.min(1.0)) / self.selections.max(1) as f64).min(1000.0) as i32
    }

    #[must_use]
    pub fn into_parts(self) -> Vec<ExportPartRow> {
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::super::selection::Item;
    use super::*;
    use crate::store::export_job::PLANNING;

    fn job(since_us: Option<i64>, last_number: i64) -> ExportJobRow {
        ExportJobRow {
            id: "j".to_owned(),
            caller: "open".to_owned(),
            level: "system".to_owned(),
            request: String::new(),
            resource_types: "Patient,Task".to_owned(),
            since_us,
            at_us: 1,
            last_number,
            remarks: String::new(),
            state: PLANNING.to_owned(),
            permille: 0,
            worker: None,
            heartbeat_us: 0,
            attempts: 0,
            created_us: 0,
            expires_us: 0,
            labels: "all".to_owned(),
        }
    }

    fn taken(numbers: &[i64], reached: i64) -> Taken {
        let item = |number: &i64| Item { number: *number, id: String::new(), body: String::new() };
        Taken { items: numbers.iter().map(item).collect(), reached }
    }

    #[test]
    fn parts_cover_every_number_once_and_empty_ones_are_left_out() {
        let mut plan = Plan::new(job(None, 20), 2);
        assert_eq!((plan.next().map(|(_, after, last)| (after, last)), plan.permille()), (Some((0, 20)), 0));
        plan.take(&taken(&[1, 4, 7], 10));
        assert_eq!((plan.next().map(|(_, after, last)| (after, last)), plan.permille()), (Some((10, 20)), 250));
        plan.take(&taken(&[11, 12], 20));
        assert_eq!(
            plan.next().map(|(selection, after, _)| (selection.resource_type.as_str(), after)),
            Some(("Task", 0))
        );
        plan.take(&taken(&[], 20));
        assert_eq!((plan.next(), plan.permille()), (None, 1000));
        let parts: Vec<_> = plan
            .into_parts()
            .into_iter()
            .map(|part| (part.part, part.after_number, part.last_number, part.resources))
            .collect();
        assert_eq!(parts, [(1, 0, 4, 2), (2, 4, 11, 2), (3, 11, 20, 1)]);
    }

    #[test]
    fn deletions_are_looked_for_only_since_a_time() {
        let contents = |since_us| {
            let mut plan = Plan::new(job(since_us, 5), 10);
            let mut seen = Vec::new();
            while let Some((selection, _, _)) = plan.next() {
                seen.push((selection.resource_type.clone(), selection.content));
                plan.take(&taken(&[3], 5));
            }
            let codes: Vec<_> = plan.into_parts().into_iter().map(|part| part.content).collect();
            (seen.into_iter().map(|(_, content)| content).collect::<Vec<_>>(), codes)
        };
        assert_eq!(contents(None).0, [Content::Resources, Content::Resources]);
        let (seen, codes) = contents(Some(0));
        assert_eq!(seen, [Content::Resources, Content::Deletions, Content::Resources, Content::Deletions]);
        assert_eq!(codes, ["resources", "deletions", "resources", "deletions"]);
    }

    #[test]
    fn an_empty_database_has_no_parts() {
        let mut plan = Plan::new(job(None, 0), 10);
        while plan.next().is_some() {
            plan.take(&taken(&[], 0));
        }
        assert_eq!(plan.into_parts(), []);
    }
}
