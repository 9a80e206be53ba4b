//! Events beyond 16 MB, which no answer of the server can hold. Newer servers split them (`$changeStreamSplitLargeEvent` in
//! `pipeline`), and they are put together here. Otherwise the event is looked at without its documents, and what identifies it
//! goes the way of records that cannot be made: `errors.tolerance` decides.

use millrace_sdk::{Bytes, Error, Result, SourceBatch, SourceFailure};
use mongodb::bson::doc;

use super::json;
use super::output::{Event, begin, end, push};
use super::raw::{self, Raw, kind};
use super::reader::Reader;
use super::settings::Tolerance;
use super::stream::{self, Special, Start, Trouble};
use super::token::Token;

/// An event of the stream, or a fragment of one.
pub(super) enum Merged {
    /// An event as it is
    Whole,
    /// One put together
    Of(Vec<u8>),
    /// A fragment, not the last
    Pending,
}

/// Takes a fragment in; the last one ends the event. Its token is that of the last fragment.
///
/// # Errors
/// `BadRecord` for malformed BSON.
pub(super) fn merge(fragments: &mut Vec<Vec<u8>>, event: &[u8]) -> Result<Merged> {
    let Some(split) = raw::field(event, "splitEvent")?.and_then(Raw::document) else { return Ok(Merged::Whole) };
    let number = |name: &str| match raw::field(split, name)? {
        Some(number) if number.kind == kind::INT32 => raw::int32(number.bytes),
        _ => Err(raw::malformed()),
    };
    let (fragment, of) = (number("fragment")?, number("of")?);
    fragments.push(event.to_vec());
    if fragment < of {
        return Ok(Merged::Pending);
    }
    let fragments = std::mem::take(fragments);
    let mut whole = Vec::new();
    let open = begin(&mut whole);
    if let Some(id) = raw::field(event, "_id")? {
        push(&mut whole, "_id", id);
    }
    for fragment in &fragments {
        for element in raw::elements(fragment)? {
            let (name, value) = element?;
            if !matches!(name, b"_id" | b"splitEvent") {
                push(&mut whole, std::str::from_utf8(name).map_err(|_| raw::malformed())?, value);
            }
        }
    }
    end(&mut whole, open);
    Ok(Merged::Of(whole))
}

/// Goes past an event that is too large; answers where the stream goes on.
///
/// # Errors
/// `BadRecord` that names the event when it is not tolerated.
pub(super) async fn pass(reader: &mut Reader, place: Start) -> Result<Start> {
    let mut place = up_to_it(reader, place).await?;
    let stages = vec![
        doc! { "$project": { "_id": 1, "operationType": 1, "ns": 1, "documentKey": 1, "clusterTime": 1, "wallTime": 1 } },
    ];
    let special = Special { batch_size: Some(1), stages };
    let scope = reader.settings.scope.clone();
    let opened = stream::open(&reader.client, &reader.settings, &place, &special).await;
    let mut stream = opened.map_err(|error| stream::classified(error, &scope))?;
    loop {
        let reply = stream.next().await.ok_or_else(|| Error::transient("the change stream was closed"))?;
        let reply = reply.map_err(|error| stream::classified(error, &scope))?;
        if let Some(bytes) = reply.events()?.first() {
            let event = Event::parse(bytes)?;
            let token = event.id.and_then(Raw::document).ok_or_else(raw::malformed)?;
            let token = Token::of(token)?;
            let batch = told(reader, &event, &token)?;
            reader.send(batch).await?;
            return Ok(Start::After(token));
        }
        if let Some(token) = reply.token()? {
            place = Start::After(token);
        }
        tracing::debug!(?place, "looking for the event that is too large");
    }
}

/// Publishes the events before it one by one: an answer that fails brings none of its events.
async fn up_to_it(reader: &mut Reader, mut place: Start) -> Result<Start> {
    let special = Special { batch_size: Some(1), stages: Vec::new() };
    let scope = reader.settings.scope.clone();
    let opened = stream::open(&reader.client, &reader.settings, &place, &special).await;
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) if stream::trouble(&error) == Trouble::TooLarge => return Ok(place),
        Err(error) => return Err(stream::classified(error, &scope)),
    };
    loop {
        match stream.next().await {
            None => return Err(Error::transient("the change stream was closed")),
            Some(Ok(reply)) => reader.publish(&reply, &mut place).await?,
            Some(Err(error)) if stream::trouble(&error) == Trouble::TooLarge => return Ok(place),
            Some(Err(error)) => return Err(stream::classified(error, &scope)),
        }
    }
}

fn told(reader: &Reader, event: &Event<'_>, token: &Token) -> Result<SourceBatch> {
    let key = event.document_key.map(json::text).transpose()?.unwrap_or_default();
    let value = json::text(event.whole)?;
    let at = format!("{} at {key}", event.namespace());
    tracing::warn!(at, "an event of the change stream is larger than 16 MB");
    let error = Error::bad_record(format!(
        "the event of {at} is larger than MongoDB can send (16 MB): leave fields out with a $project in `pipeline`, ask for less by \
         change.stream.full.document and change.stream.full.document.before.change, with MongoDB 6.0.9 or newer add \
         {{\"$changeStreamSplitLargeEvent\": {{}}}} to `pipeline`, or set errors.tolerance=all to pass it over"
    ));
    let mut batch = SourceBatch { positions: vec![reader.position(token)?], ..SourceBatch::default() };
    match &reader.settings.tolerance {
        Tolerance::None => return Err(error),
        Tolerance::All { topic, .. } if topic.is_empty() => {}
        Tolerance::All { topic, .. } => {
            let (key, value) = (reader.output.text(key), reader.output.text(value));
            batch.records.push(super::output::record(topic.clone(), key, value));
        }
        Tolerance::Framework => batch.failures.push(SourceFailure {
            at,
            topic: String::new(),
            key: Some(Bytes::from(key)),
            value: Some(Bytes::from(value)),
            error,
        }),
    }
    Ok(batch)
}

#[cfg(test)]
mod tests;
