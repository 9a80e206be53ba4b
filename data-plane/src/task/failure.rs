//! Why a task cannot go on: the error with the stage and the record it belongs to, and the text that a user reads.

use millrace_sdk::{Error, ErrorKind};

/// Where in a record's path something happened. Set by the loops, never by a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Opening the connector and its clients
    Start,
    /// Reading from Kafka
    Fetch,
    /// Converting a key
    DecodeKey,
    /// Converting a value
    DecodeValue,
    /// Converting a header
    DecodeHeader,
    /// Transforming a record
    Transform,
    /// Writing to the store
    Write,
    /// Producing a dead letter
    DeadLetter,
    /// Committing offsets or positions
    Commit,
    /// Reading from the store
    Poll,
    /// Asking what must be known before a record of a source can be converted
    Encode,
    /// Converting the key of a record of a source
    EncodeKey,
    /// Converting its value
    EncodeValue,
    /// Converting a header of it
    EncodeHeader,
    /// Producing to Kafka
    Produce,
}

impl Stage {
    /// The name in texts and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Fetch => "fetch",
            Self::DecodeKey | Self::DecodeValue | Self::DecodeHeader => "decode",
            Self::Transform => "transform",
            Self::Write => "write",
            Self::DeadLetter => "dead letter",
            Self::Commit => "commit",
            Self::Poll => "poll",
            Self::Encode | Self::EncodeKey | Self::EncodeValue | Self::EncodeHeader => "encode",
            Self::Produce => "produce",
        }
    }

    /// Connect's name, for dead-letter headers.
    #[must_use]
    pub fn connect_name(self) -> &'static str {
        match self {
            Self::DecodeKey | Self::EncodeKey => "KEY_CONVERTER",
            Self::DecodeHeader | Self::EncodeHeader => "HEADER_CONVERTER",
            Self::DecodeValue | Self::Encode | Self::EncodeValue => "VALUE_CONVERTER",
            Self::Start | Self::Fetch | Self::Commit => "KAFKA_CONSUME",
            Self::Produce | Self::DeadLetter => "KAFKA_PRODUCE",
            Self::Transform => "TRANSFORMATION",
            Self::Poll => "TASK_POLL",
            Self::Write => "TASK_PUT",
        }
    }
}

/// Why a task ended.
#[derive(Debug)]
pub struct Failure {
    /// Where
    pub stage: Stage,
    /// The error; its kind decides what happens next
    pub error: Error,
    /// `topic-partition@offset`, when it is about one record
    pub coordinates: Option<String>,
}

impl Failure {
    /// A failure that is not about one record.
    #[must_use]
    pub fn new(stage: Stage, error: Error) -> Self {
        Self { stage, error, coordinates: None }
    }

    /// A failure at a record.
    #[must_use]
    pub fn at(stage: Stage, coordinates: String, error: Error) -> Self {
        Self { stage, error, coordinates: Some(coordinates) }
    }

    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.error.kind()
    }

    /// What a user reads: stage, record, error with causes, and what can be done.
    #[must_use]
    pub fn trace(&self) -> String {
        let mut text = match (&self.coordinates, self.stage) {
            (Some(at), Stage::DecodeKey) => format!("cannot decode the key of record {at}: "),
            (Some(at), Stage::DecodeValue) => format!("cannot decode the value of record {at}: "),
            (Some(at), Stage::DecodeHeader) => format!("cannot decode a header of record {at}: "),
            (Some(at), Stage::EncodeKey) => format!("cannot encode the key of a record {at}: "),
            (Some(at), Stage::EncodeValue) => format!("cannot encode the value of a record {at}: "),
            (Some(at), Stage::EncodeHeader) => format!("cannot encode a header of a record {at}: "),
            (Some(at), Stage::Transform) => format!("cannot transform the record {at}: "),
            (Some(at), stage) => format!("failed at record {at} (stage {}): ", stage.name()),
            (None, stage) => format!("failed (stage {}): ", stage.name()),
        };
        let chain = self.error.chain();
        // Connectors name the record too.
        let told = self.coordinates.as_ref().and_then(|at| chain.strip_prefix(&**at)?.strip_prefix(": "));
        text.push_str(told.unwrap_or(&chain));
        if let Some(remedy) = self.remedy() {
            text.push_str(". ");
            text.push_str(remedy);
        }
        text
    }

    fn remedy(&self) -> Option<&'static str> {
        match (self.error.kind(), self.stage) {
            (
                ErrorKind::BadRecord,
                Stage::DecodeKey
                | Stage::DecodeValue
                | Stage::DecodeHeader
                | Stage::EncodeKey
                | Stage::EncodeValue
                | Stage::EncodeHeader,
            ) => Some(
                "Choose the converter that fits the data (key.converter, value.converter, header.converter), or set errors.tolerance=all, with \
                 errors.deadletterqueue.topic.name to keep such records; a restart of the task tries the record again",
            ),
            (ErrorKind::BadRecord, Stage::Transform) => Some(
                "Correct the options of the transform (transforms.…), put a predicate before it, or set errors.tolerance=all, with \
                 errors.deadletterqueue.topic.name to keep such records; a restart of the task tries the record again",
            ),
            (ErrorKind::BadRecord, _) => Some(
                "Correct the target or the configuration, or set errors.tolerance=all, with \
                 errors.deadletterqueue.topic.name to keep such records; a restart of the task tries the record again",
            ),
            (ErrorKind::BadConfig, _) => Some("The task waits for a new configuration or a restart"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_names_the_record_once() {
        let at =
            |message: &'static str| Failure::at(Stage::Write, "a-0@1".to_owned(), Error::bad_record(message)).trace();
        assert!(
            at("a-0@1: not JSON").starts_with("failed at record a-0@1 (stage write): not JSON. Correct"),
            "{}",
            at("x")
        );
        assert!(at("not JSON").starts_with("failed at record a-0@1 (stage write): not JSON. Correct"));
    }
}
