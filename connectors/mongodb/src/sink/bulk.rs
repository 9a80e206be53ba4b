//! A batch on its way to the server.
//!
//! Order per document: the operations of a batch are grouped by document. First, of each group at once, the newest operation
//! that leaves nothing of what was before, or else the oldest one; what is left, if anything, follows in the order of the
//! records. An operation that can never be done leaves its predecessors to be done.

use std::collections::HashMap;

use millrace_sdk::{Batch, Datum, Error, ErrorKind, RecordFailure, Result, Value, WriteReport};
use mongodb::Namespace;
use mongodb::bson::{Bson, Document, RawBson, RawDocumentBuf, doc};

use super::Task;
use super::model::{self, Operation, VERSION_FIELD, Verb};
use super::settings::TopicSettings;
use crate::bson::{self, Writer};
use crate::error::{DUPLICATE_KEY, WriteError, classify, classify_write};

/// A namespace of a batch, with what the topic says of it.
pub(super) struct Target<'t> {
    pub(super) namespace: Namespace,
    pub(super) settings: &'t TopicSettings,
}

/// A batch's operations.
pub(super) struct Prepared<'t> {
    writer: Writer,
    pub(super) targets: Vec<Target<'t>>,
    operations: Vec<Operation>,
    /// Indices of operations, sorted by document, then by record
    order: Vec<usize>,
}

/// Operations of one document that are still to be done: a range of [`Prepared::order`].
#[derive(Debug, Clone, Copy)]
struct Group {
    from: usize,
    to: usize,
}

/// What became of an operation that was not done.
enum Refusal {
    /// Only this one is at fault
    Bad(Error),
    /// Another document has the value of a unique index
    Taken(Error),
    /// Others of the same document must wait with it
    Later(Error),
    /// A guarded write found a document that it may not touch, or that another writer has just made
    Exists(Error),
}

impl<'t> Prepared<'t> {
    pub(super) fn new(task: &'t Task, batch: &Batch, report: &mut WriteReport) -> Self {
        let mut writer = Writer::with_capacity(batch.records.iter().map(|record| about(&record.value)).sum());
        let mut targets: Vec<Target<'t>> = Vec::new();
        let mut by_topic: HashMap<&str, usize> = HashMap::new();
        let mut operations = Vec::with_capacity(batch.records.len());
        for (index, record) in batch.records.iter().enumerate() {
            let topic = batch.topic(record);
            let settings = task.settings.of(topic);
            let mut place = |namespace: Option<Namespace>| match namespace {
                None => *by_topic
                    .entry(topic)
                    .or_insert_with(|| target(&mut targets, settings.namespaces.fixed(topic), settings)),
                Some(namespace) => target(&mut targets, namespace, settings),
            };
            let encoded = task.versions.of(record).and_then(|version| {
                model::encode(&mut writer, settings, task.ids, (batch, index, version), &mut place)
            });
            match encoded {
                Ok(Some(operation)) => operations.push(operation),
                Ok(None) => {}
                Err(error) => report.failures.push(RecordFailure { index, error: marked(error, settings) }),
            }
        }
        let mut order: Vec<usize> = (0..operations.len()).collect();
        let document = |at: &usize| {
            let one: &Operation = &operations[*at];
            (one.namespace, writer.slice(one.identity.clone()))
        };
        order.sort_by(|a, b| document(a).cmp(&document(b)).then(a.cmp(b)));
        Self { writer, targets, operations, order }
    }

    fn groups(&self) -> Vec<Group> {
        let same = |a: &usize, b: &usize| {
            let (a, b) = (&self.operations[*a], &self.operations[*b]);
            a.namespace == b.namespace && self.writer.slice(a.identity.clone()) == self.writer.slice(b.identity.clone())
        };
        let mut from = 0;
        let group = |chunk: &[usize]| {
            let group = Group { from, to: from + chunk.len() };
            from = group.to;
            group
        };
        self.order.chunk_by(same).map(group).collect()
    }

    /// Where in [`Prepared::order`] a group's first operation to do is.
    fn anchor(&self, group: &Group) -> usize {
        let whole = |at: &usize| self.operations[self.order[*at]].whole;
        (group.from..group.to).rev().find(whole).unwrap_or(group.from)
    }
}

/// About how many bytes a record's operation takes. Memory that is not written to costs nothing; a buffer that grows is copied.
fn about(value: &Datum) -> usize {
    let value = match value {
        Datum::Encoded(bytes) | Datum::Decoded { value: Value::Json(bytes) | Value::Bytes(bytes), .. } => bytes.len(),
        Datum::Decoded { value: Value::Str(text), .. } => text.len(),
        Datum::Null | Datum::Decoded { .. } => 256,
    };
    value + value / 4 + 160
}

fn target<'t>(targets: &mut Vec<Target<'t>>, namespace: Namespace, settings: &'t TopicSettings) -> usize {
    targets.iter().position(|target| target.namespace == namespace).unwrap_or_else(|| {
        targets.push(Target { namespace, settings });
        targets.len() - 1
    })
}

/// An error that knows what its topic says about tolerance.
fn marked(error: Error, settings: &TopicSettings) -> Error {
    match settings.tolerates {
        Some(tolerates) => error.tolerated(tolerates),
        None => error,
    }
}

/// A batch being written.
pub(super) struct Bulk<'a> {
    pub(super) task: &'a Task,
    pub(super) batch: &'a Batch,
    pub(super) prepared: &'a Prepared<'a>,
}

impl Bulk<'_> {
    pub(super) async fn write(&self, report: &mut WriteReport) -> Result<()> {
        let operations = &self.prepared.operations;
        let mut left: Vec<usize> = if operations.iter().all(|operation| operation.identified) {
            self.first_round(report).await?
        } else {
            (0..operations.len()).collect()
        };
        left.sort_unstable();
        self.in_order(&left, report).await
    }

    /// One operation of every document; what is left to do comes back.
    async fn first_round(&self, report: &mut WriteReport) -> Result<Vec<usize>> {
        let prepared = self.prepared;
        let groups = prepared.groups();
        let mut refused: HashMap<usize, Refusal> = HashMap::new();
        for (index, target) in prepared.targets.iter().enumerate() {
            // Deletions first: they may make room in a unique index.
            for verb in [Verb::Delete, Verb::Update, Verb::Insert] {
                let anchors = groups.iter().map(|group| prepared.order[prepared.anchor(group)]);
                let wanted = |at: &usize| {
                    let operation = &prepared.operations[*at];
                    operation.namespace == index && operation.verb == verb
                };
                let next: Vec<usize> = anchors.filter(wanted).collect();
                let mut failed = self.run(target, &next).await?;
                report.superseded += self.superseded(target, &mut failed).await?;
                refused.extend(failed);
            }
        }
        let mut left = Vec::new();
        for group in &groups {
            let anchor = prepared.anchor(group);
            let at = prepared.order[anchor];
            let all = group.from..group.to;
            match refused.remove(&at) {
                None => left.extend(prepared.order[anchor + 1..group.to].iter().copied()),
                // The other document may have a newer record in this batch: once more, in order.
                Some(Refusal::Taken(_)) => left.extend(prepared.order[all].iter().copied()),
                Some(Refusal::Bad(error)) => {
                    self.fail(at, error, report);
                    left.extend(prepared.order[all].iter().copied().filter(|other| *other != at));
                }
                // The whole group comes again, in order: nothing of it may be overtaken by a retry.
                Some(Refusal::Later(error) | Refusal::Exists(error)) => {
                    for other in prepared.order[all].iter().copied().filter(|other| *other != at) {
                        let waits = Error::new(error.kind(), "waits for another record of the same document");
                        self.fail(other, waits, report);
                    }
                    self.fail(at, error, report);
                }
            }
        }
        Ok(left)
    }

    /// Operations one after the other, as many in one command as follow each other with one verb.
    async fn in_order(&self, operations: &[usize], report: &mut WriteReport) -> Result<()> {
        let all = &self.prepared.operations;
        let kind = |at: usize| (all[at].namespace, all[at].verb);
        let mut from = 0;
        while from < operations.len() {
            let same = |at: &&usize| kind(**at) == kind(operations[from]);
            let to = from + operations[from..].iter().take_while(same).count();
            let target = &self.prepared.targets[all[operations[from]].namespace];
            let mut refusal = self.run_ordered(target, &operations[from..to]).await?;
            if let Some((done, Refusal::Exists(_))) = &refusal {
                let done = *done;
                let mut one: Vec<(usize, Refusal)> =
                    refusal.take().into_iter().map(|(_, refusal)| (operations[from + done], refusal)).collect();
                report.superseded += self.superseded(target, &mut one).await?;
                let Some((_, left)) = one.pop() else {
                    from += done + 1;
                    continue;
                };
                refusal = Some((done, left));
            }
            match refusal {
                None => from = to,
                Some((done, Refusal::Bad(error) | Refusal::Taken(error))) => {
                    self.fail(operations[from + done], error, report);
                    from += done + 1;
                }
                Some((done, Refusal::Later(error) | Refusal::Exists(error))) => {
                    for other in &operations[from + done + 1..] {
                        self.fail(*other, Error::new(error.kind(), "waits for an earlier record"), report);
                    }
                    self.fail(operations[from + done], error, report);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn fail(&self, at: usize, error: Error, report: &mut WriteReport) {
        let operation = &self.prepared.operations[at];
        let error = marked(error, self.prepared.targets[operation.namespace].settings);
        let index = operation.record;
        report.failures.push(RecordFailure { index, error: model::at(self.batch, &self.batch.records[index], error) });
    }

    fn entries(&self, operations: &[usize]) -> Vec<&Operation> {
        operations.iter().map(|at| &self.prepared.operations[*at]).collect()
    }

    /// Runs operations of one verb in any order; a command refused as a whole for a document's sake is halved until that one
    /// is found.
    async fn run(&self, target: &Target<'_>, operations: &[usize]) -> Result<Vec<(usize, Refusal)>> {
        let mut failed = Vec::new();
        let mut todo = vec![(0, operations.len())];
        let commands = &self.task.commands;
        while let Some((from, to)) = todo.pop().filter(|(from, to)| from < to) {
            let entries = self.entries(&operations[from..to]);
            let max_batch = target.settings.max_batch;
            match commands.run(&target.namespace, &self.prepared.writer, &entries, max_batch, false).await {
                Ok(errors) => {
                    for error in errors {
                        let at = operations[from + error.index];
                        if let Some(refusal) = self.judge(target, at, &error).await? {
                            failed.push((at, refusal));
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::BadRecord && to - from == 1 => {
                    failed.push((operations[from], Refusal::Bad(error)));
                }
                Err(error) if error.kind() == ErrorKind::BadRecord => {
                    let middle = from.midpoint(to);
                    todo.extend([(from, middle), (middle, to)]);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(failed)
    }

    /// Runs operations of one verb in order, up to the first that is refused: how many were done before it, and why.
    async fn run_ordered(&self, target: &Target<'_>, operations: &[usize]) -> Result<Option<(usize, Refusal)>> {
        let (mut from, mut most) = (0, operations.len());
        while from < operations.len() {
            let entries = self.entries(&operations[from..operations.len().min(from + most)]);
            let max_batch = target.settings.max_batch;
            match self.task.commands.run(&target.namespace, &self.prepared.writer, &entries, max_batch, true).await {
                Ok(errors) => match errors.into_iter().next() {
                    None => (from, most) = (from + entries.len(), operations.len()),
                    Some(error) => {
                        let at = from + error.index;
                        if let Some(refusal) = self.judge(target, operations[at], &error).await? {
                            return Ok(Some((at, refusal)));
                        }
                        from = at + 1;
                    }
                },
                Err(error) if error.kind() == ErrorKind::BadRecord && entries.len() == 1 => {
                    return Ok(Some((from, Refusal::Bad(error))));
                }
                // A command refused as a whole: which one it was shows when fewer go together.
                Err(error) if error.kind() == ErrorKind::BadRecord => most = entries.len() / 2,
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// What a refused operation means. An insert whose document is there already was done by an earlier attempt.
    async fn judge(&self, target: &Target<'_>, at: usize, error: &WriteError) -> Result<Option<Refusal>> {
        let operation = &self.prepared.operations[at];
        let meaning = classify_write(error, operation.verb == Verb::Update);
        match meaning.kind() {
            ErrorKind::BadConfig => return Err(meaning),
            ErrorKind::BadRecord => {}
            _ if operation.version.is_some() && error.is_duplicate_id() => return Ok(Some(Refusal::Exists(meaning))),
            _ => return Ok(Some(Refusal::Later(meaning))),
        }
        if operation.verb == Verb::Insert && error.is_duplicate_id() {
            let done = operation.per_record || self.is_there(target, operation).await?;
            return Ok((!done).then_some(Refusal::Bad(meaning)));
        }
        let taken = error.code == DUPLICATE_KEY;
        Ok(Some(if taken { Refusal::Taken(meaning) } else { Refusal::Bad(meaning) }))
    }

    /// Takes those refusals away whose documents are newer than what was to be written, and counts them.
    async fn superseded(&self, target: &Target<'_>, refused: &mut Vec<(usize, Refusal)>) -> Result<u64> {
        let writer = &self.prepared.writer;
        let identity = |at: usize| writer.slice(self.prepared.operations[at].identity.clone());
        let ids: Vec<Bson> = refused
            .iter()
            .filter(|(_, refusal)| matches!(refusal, Refusal::Exists(_)))
            .filter_map(|(at, _)| bson::decoded(identity(*at)))
            .collect();
        if ids.is_empty() {
            return Ok(0);
        }
        let failed = |error| classify(error, "cannot read the versions of documents that are there already");
        let namespace = &target.namespace;
        let collection = self.task.commands.client().database(&namespace.db).collection::<Document>(&namespace.coll);
        let find = collection.find(doc! { "_id": { "$in": ids } }).projection(doc! { VERSION_FIELD: 1 });
        let mut cursor = find.await.map_err(failed)?;
        let mut versions: HashMap<Vec<u8>, i64> = HashMap::new();
        while cursor.advance().await.map_err(failed)? {
            let found = cursor.deserialize_current().map_err(failed)?;
            if let (Some(id), Ok(version)) = (found.get("_id"), found.get_i64(VERSION_FIELD)) {
                versions.insert(bson::encoded("_id", id), version);
            }
        }
        let before = refused.len();
        refused.retain(|(at, refusal)| {
            let ours = self.prepared.operations[*at].version;
            !matches!(refusal, Refusal::Exists(_)) || versions.get(identity(*at)).copied() <= ours
        });
        Ok((before - refused.len()) as u64)
    }

    /// Whether the very document is in the collection.
    async fn is_there(&self, target: &Target<'_>, operation: &Operation) -> Result<bool> {
        let malformed =
            |error: mongodb::bson::error::Error| Error::internal("a document came out malformed").because(error);
        let writer = &self.prepared.writer;
        let ours = RawDocumentBuf::from_bytes(writer.slice(operation.entry.clone()).to_vec()).map_err(malformed)?;
        let filter = model::by_id(writer.slice(operation.identity.clone()));
        let filter = RawDocumentBuf::from_bytes(filter).map_err(malformed)?;
        let namespace = &target.namespace;
        let client = self.task.commands.client();
        let collection = client.database(&namespace.db).collection::<RawDocumentBuf>(&namespace.coll);
        let found = collection
            .find_one(Document::try_from(filter.as_ref()).map_err(malformed)?)
            .await
            .map_err(|error| classify(error, "cannot read the document that is there already"))?;
        Ok(found.is_some_and(|found| without_id(&found).eq(without_id(&ours))))
    }
}

fn without_id(document: &RawDocumentBuf) -> impl Iterator<Item = (String, RawBson)> {
    document
        .iter()
        .filter_map(std::result::Result::ok)
        .filter(|(name, _)| name.as_str() != "_id")
        .map(|(name, value)| (name.as_str().to_owned(), RawBson::from(value)))
}
