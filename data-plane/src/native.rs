//! What exists only in C, and the only file with `unsafe` code: a partition's queue that is read many records at a time (measured,
//! it costs a third less than a poll per record, see ARCHITECTURE.md), and an option of the allocator.
//!
//! What makes the queue sound: it is used by one thread (raw pointers make the type neither `Send` nor `Sync`) and keeps its
//! consumer alive; each message is destroyed exactly once, by [`Owned`]; what is borrowed from a message cannot outlive
//! the closure that it is handed to.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_void};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Timestamp;
use rdkafka::types::RDKafkaErrorCode;

/// The most messages that are taken at once.
const SLOTS: usize = 256;

type Wake = Box<dyn Fn() + Send + Sync>;

/// The queue of one partition, split off from its consumer's common queue.
pub struct BatchQueue<C: ConsumerContext + 'static> {
    queue: NonNull<rd::rd_kafka_queue_t>,
    slots: [*mut rd::rd_kafka_message_t; SLOTS],
    /// Boxed twice: C holds a thin pointer to the inner box
    _wake: Box<Wake>,
    _consumer: Arc<BaseConsumer<C>>,
}

impl<C: ConsumerContext + 'static> BatchQueue<C> {
    /// Splits a partition off; to be called before it is assigned. `wake` is called on a thread of librdkafka's when the queue
    /// is no longer empty. None when librdkafka has no such partition.
    pub fn split(
        consumer: &Arc<BaseConsumer<C>>,
        topic: &str,
        partition: i32,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Option<Self> {
        unsafe extern "C" fn ring(_: *mut rd::rd_kafka_t, wake: *mut c_void) {
            // SAFETY: `wake` points to the box that the queue keeps until it has taken this callback back.
            unsafe { (*wake.cast::<Wake>())() }
        }
        let name = CString::new(topic).ok()?;
        let mut wake: Box<Wake> = Box::new(Box::new(wake));
        // SAFETY: the client lives as long as its consumer; the name is a C string for the call's duration.
        let queue =
            unsafe { rd::rd_kafka_queue_get_partition(consumer.client().native_ptr(), name.as_ptr(), partition) };
        let queue = NonNull::new(queue)?;
        // SAFETY: the queue is ours until `drop`, and so is what the callback is given.
        unsafe {
            rd::rd_kafka_queue_forward(queue.as_ptr(), ptr::null_mut());
            rd::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(ring), ptr::from_mut(&mut *wake).cast());
        }
        Some(Self { queue, slots: [ptr::null_mut(); SLOTS], _wake: wake, _consumer: Arc::clone(consumer) })
    }

    /// Hands up to `limit` messages that are there to `each`, without waiting; answers how many. Fewer than `limit` (and
    /// than 256) mean that the queue is empty now.
    pub fn take(&mut self, limit: usize, mut each: impl FnMut(Result<Fetched<'_>, KafkaError>)) -> usize {
        let limit = limit.min(SLOTS);
        // SAFETY: there are `limit` slots to be filled; timeout 0 does not wait.
        let taken = unsafe { rd::rd_kafka_consume_batch_queue(self.queue.as_ptr(), 0, self.slots.as_mut_ptr(), limit) };
        // Negative on errors, which come again as messages.
        let taken = usize::try_from(taken).unwrap_or(0).min(limit);
        for slot in &self.slots[..taken] {
            let Some(message) = NonNull::new(*slot) else { continue };
            let message = Owned(message);
            each(message.get());
        }
        taken
    }
}

impl<C: ConsumerContext + 'static> Drop for BatchQueue<C> {
    fn drop(&mut self) {
        // SAFETY: librdkafka calls back with the queue's lock held and takes that lock here, so that nobody uses `wake`
        // afterwards. The queue is given back once.
        unsafe {
            rd::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// A message that is ours to destroy.
struct Owned(NonNull<rd::rd_kafka_message_t>);

impl Owned {
    fn get(&self) -> Result<Fetched<'_>, KafkaError> {
        // SAFETY: the message is valid until it is destroyed, which takes `self`.
        let raw = unsafe { self.0.as_ref() };
        match RDKafkaErrorCode::from(raw.err) {
            RDKafkaErrorCode::NoError => Ok(Fetched(raw)),
            RDKafkaErrorCode::PartitionEOF => Err(KafkaError::PartitionEOF(raw.partition)),
            code => Err(KafkaError::MessageConsumption(code)),
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: taken from the queue, and destroyed nowhere else.
        unsafe { rd::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}

/// A record as librdkafka holds it.
pub struct Fetched<'a>(&'a rd::rd_kafka_message_t);

impl<'a> Fetched<'a> {
    /// Its offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        // SAFETY: librdkafka gives pointer and length of bytes that live as long as the message.
        unsafe { slice(self.0.key, self.0.key_len) }
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        // SAFETY: as for the key.
        unsafe { slice(self.0.payload, self.0.len) }
    }

    /// Its timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, and `kind` is written before the call ends.
        let time = unsafe { rd::rd_kafka_message_timestamp(self.0, &raw mut kind) };
        match kind {
            _ if time == -1 => Timestamp::NotAvailable,
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => Timestamp::CreateTime(time),
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => Timestamp::LogAppendTime(time),
            rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => Timestamp::NotAvailable,
        }
    }

    /// Hands each header to `each`, in order.
    pub fn headers(&self, mut each: impl FnMut(&str, Option<&[u8]>)) {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is valid; it keeps the headers.
        let answer = unsafe { rd::rd_kafka_message_headers(self.0, &raw mut headers) };
        if !matches!(RDKafkaErrorCode::from(answer), RDKafkaErrorCode::NoError) {
            return; // there are none
        }
        for index in 0.. {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: name and value point into the headers, which live as long as the message.
            let header = unsafe {
                let answer = rd::rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut size);
                if !matches!(RDKafkaErrorCode::from(answer), RDKafkaErrorCode::NoError) {
                    return;
                }
                (CStr::from_ptr(name).to_string_lossy(), slice(value, size))
            };
            each(&header.0, header.1);
        }
    }
}

/// # Safety
/// `start` is null, or points to `length` bytes that live for `'a`.
unsafe fn slice<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), length) })
}

/// Has the allocator give back what is free after 10 ms instead of a second: a busy worker stays a third smaller, for a tenth
/// more time.
pub(crate) fn give_back_memory_soon() {
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    const MILLISECONDS: std::ffi::c_long = 10;
    // SAFETY: sets a number that the allocator reads; a number it does not know as an option's it leaves alone.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, MILLISECONDS) }
}
