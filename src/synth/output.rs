//! The files of a generated population, as bytes.
//!
//! What: [`Files`] writes each item to the files it belongs to: Patients as NDJSON and as CSV, the truth about queries, the
//! person of every record, and a manifest. Not here: where the files are (the caller opens them).

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::{CSV_HEADER, Fields, Item, Plan, QueryKind};

/// One file of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// The stored Patients, one a line.
    PatientsNdjson,
    PatientsCsv,
    /// The queries as Patients, one a line.
    QueriesNdjson,
    QueriesCsv,
    /// `query_id,true_person_id,kind,events,n_fields`.
    Truth,
    /// `record_id,person_id`.
    Records,
    /// Arguments and counts.
    Manifest,
}

impl File {
    pub const ALL: [Self; 7] = [
        Self::PatientsNdjson,
        Self::PatientsCsv,
        Self::QueriesNdjson,
        Self::QueriesCsv,
        Self::Truth,
        Self::Records,
        Self::Manifest,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PatientsNdjson => "patients.ndjson",
            Self::PatientsCsv => "patients.csv",
            Self::QueriesNdjson => "queries.ndjson",
            Self::QueriesCsv => "queries.csv",
            Self::Truth => "truth.csv",
            Self::Records => "records.csv",
            Self::Manifest => "manifest.json",
        }
    }

    const fn header(self) -> Option<&'static str> {
        match self {
            Self::PatientsCsv | Self::QueriesCsv => Some(CSV_HEADER),
            Self::Truth => Some("query_id,true_person_id,kind,events,n_fields"),
            Self::Records => Some("record_id,person_id"),
            Self::PatientsNdjson | Self::QueriesNdjson | Self::Manifest => None,
        }
    }
}

/// Where the files of a population go.
pub struct Files<W: Write> {
    writers: BTreeMap<File, W>,
    counts: Counts,
}

/// What was generated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub people: u64,
    pub records: u64,
    pub queries: u64,
    pub queries_by_kind: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Manifest<'a> {
    args: Arguments,
    counts: &'a Counts,
}

#[derive(Serialize)]
struct Arguments {
    people: usize,
    queries: usize,
    seed: u64,
    difficulty: &'static str,
    absent: f64,
    dup_rate: f64,
}

impl<W: Write> Files<W> {
    /// Opens every file and writes the headers.
    ///
    /// # Errors
    /// When a file cannot be opened or written.
    pub fn create(mut open: impl FnMut(File) -> io::Result<W>) -> io::Result<Self> {
        let mut writers = BTreeMap::new();
        for file in File::ALL {
            let mut writer = open(file)?;
            if let Some(header) = file.header() {
                writeln!(writer, "{header}")?;
            }
            writers.insert(file, writer);
        }
        Ok(Self { writers, counts: Counts::default() })
    }

    /// Writes one item to its files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn put(&mut self, item: &Item) -> io::Result<()> {
        match item {
            Item::Stored { record_id, person_id, fields } => {
                self.counts.records += 1;
                self.counts.people += u64::from(record_id == person_id);
                self.put_fields([File::PatientsNdjson, File::PatientsCsv], record_id, fields)?;
                self.line(File::Records, format_args!("{record_id},{person_id}"))
            }
            Item::Query { query_id, true_person_id, kind, events, fields } => {
                self.counts.queries += 1;
                *self.counts.queries_by_kind.entry(kind.label()).or_default() += 1;
                self.put_fields([File::QueriesNdjson, File::QueriesCsv], query_id, fields)?;
                let truth = true_person_id.as_deref().unwrap_or_default();
                let events = events.iter().map(|event| event.label()).collect::<Vec<_>>().join(";");
                let (kind, present) = (kind.label(), fields.present());
                self.line(File::Truth, format_args!("{query_id},{truth},{kind},{events},{present}"))
            }
        }
    }

    /// Writes the manifest and flushes every file.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(mut self, plan: &Plan) -> io::Result<Counts> {
        for kind in QueryKind::ALL {
            self.counts.queries_by_kind.entry(kind.label()).or_default();
        }
        let args = Arguments {
            people: plan.people,
            queries: plan.queries,
            seed: plan.seed,
            difficulty: plan.difficulty.label(),
            absent: plan.absent_share,
            dup_rate: plan.duplicate_rate,
        };
        let manifest =
            serde_json::to_string_pretty(&Manifest { args, counts: &self.counts }).map_err(io::Error::other)?;
        self.line(File::Manifest, format_args!("{manifest}"))?;
        self.writers.values_mut().try_for_each(Write::flush)?;
        Ok(self.counts)
    }

    fn put_fields(&mut self, [ndjson, csv]: [File; 2], id: &str, fields: &Fields) -> io::Result<()> {
        self.line(ndjson, format_args!("{}", fields.to_patient_json(id)))?;
        self.line(csv, format_args!("{}", fields.to_csv_row(id)))
    }

    fn line(&mut self, file: File, line: std::fmt::Arguments<'_>) -> io::Result<()> {
        match self.writers.get_mut(&file) {
            Some(writer) => writeln!(writer, "{line}"),
            None => Ok(()),
        }
    }
}
