//! Sending.

use crate::remoting::field::{FieldError, FieldSink, FieldValue, OrDefault, header_fields};
use crate::remoting::header::{Fields, Letters};

/// What to store: `SEND_MESSAGE`, `SEND_MESSAGE_V2`, `SEND_BATCH_MESSAGE`, `SEND_REPLY_MESSAGE` and its V2. The body is
/// the message or the batch.
///
/// V2 differs only in its one-letter names, so that less travels; see [`SendMessage::parse_short`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SendMessage<'a> {
    /// Group of the producer. The original marks this field and the next two as required, but does without them.
    pub producer_group: &'a str,
    /// Where to store.
    pub topic: &'a str,
    /// Topic whose settings a new topic takes.
    pub default_topic: &'a str,
    /// Queues of a new topic.
    pub default_topic_queue_nums: i32,
    /// Queue, negative for any.
    pub queue_id: i32,
    /// Bits: compressed, transaction state, address families.
    pub sys_flag: i32,
    /// Milliseconds of the Unix epoch on the client's clock.
    pub born_timestamp: i64,
    /// Free for the application.
    pub flag: i32,
    /// Property text.
    pub properties: Option<&'a str>,
    /// How often a retried message was tried.
    pub reconsume_times: Option<i32>,
    /// Unit mode of the client.
    pub unit_mode: Option<bool>,
    /// Tries before the dead letter queue, of a retried message.
    pub max_reconsume_times: Option<i32>,
    /// The body is a batch.
    pub batch: Option<bool>,
    /// Broker that the client means.
    pub broker_name: Option<&'a str>,
}

/// Long name, short name.
const NAMES: [(&str, &str); 14] = [
    ("producerGroup", "a"),
    ("topic", "b"),
    ("defaultTopic", "c"),
    ("defaultTopicQueueNums", "d"),
    ("queueId", "e"),
    ("sysFlag", "f"),
    ("bornTimestamp", "g"),
    ("flag", "h"),
    ("properties", "i"),
    ("reconsumeTimes", "j"),
    ("unitMode", "k"),
    ("maxReconsumeTimes", "l"),
    ("batch", "m"),
    ("bname", "n"),
];

/// Where the values are, in the order of [`NAMES`].
trait Values<'a> {
    fn read<T: FieldValue<'a>>(&self, at: usize) -> Result<T, FieldError>;
}

struct Long<'a>([Option<&'a str>; NAMES.len()]);

impl<'a> Values<'a> for Long<'a> {
    fn read<T: FieldValue<'a>>(&self, at: usize) -> Result<T, FieldError> {
        T::read(NAMES[at].0, self.0[at])
    }
}

impl<'a> Values<'a> for Letters<'a> {
    #[inline(always)]
    fn read<T: FieldValue<'a>>(&self, at: usize) -> Result<T, FieldError> {
        match T::read_usual(self.bytes(at)) {
            Some(value) => Ok(value),
            None => T::read(NAMES[at].1, self.text(at)),
        }
    }
}

impl<'a> SendMessage<'a> {
    /// Reads the long names of `SEND_MESSAGE` and `SEND_REPLY_MESSAGE`.
    ///
    /// # Errors
    /// [`FieldError`] names the first field that is missing or malformed.
    pub fn parse(fields: &'a Fields<'_>) -> Result<Self, FieldError> {
        let mut slots = [None; NAMES.len()];
        for (name, value) in fields.iter() {
            if let Some(at) = NAMES.iter().position(|(long, _)| *long == name) {
                slots[at] = Some(value);
            }
        }
        Self::from_values(&Long(slots))
    }

    /// Reads the one-letter names of `SEND_MESSAGE_V2`, `SEND_BATCH_MESSAGE` and `SEND_REPLY_MESSAGE_V2`.
    ///
    /// # Errors
    /// As [`SendMessage::parse`].
    #[inline]
    pub fn parse_short(fields: &'a Fields<'_>) -> Result<Self, FieldError> {
        let letters = fields.letters();
        let mut send = Self::from_values(&letters)?;
        if !letters.has(13) {
            send.broker_name = FieldValue::read(NAMES[13].0, fields.get(NAMES[13].0))?;
        }
        Ok(send)
    }

    #[inline(always)]
    fn from_values(values: &impl Values<'a>) -> Result<Self, FieldError> {
        Ok(Self {
            producer_group: values.read::<OrDefault<_>>(0)?.0,
            topic: values.read(1)?,
            default_topic: values.read::<OrDefault<_>>(2)?.0,
            default_topic_queue_nums: values.read::<OrDefault<_>>(3)?.0,
            queue_id: values.read(4)?,
            sys_flag: values.read(5)?,
            born_timestamp: values.read(6)?,
            flag: values.read(7)?,
            properties: values.read(8)?,
            reconsume_times: values.read(9)?,
            unit_mode: values.read(10)?,
            max_reconsume_times: values.read(11)?,
            batch: values.read(12)?,
            broker_name: values.read(13)?,
        })
    }

    /// Writes the long names.
    pub fn write(&self, sink: &mut impl FieldSink) {
        self.write_named(|at| NAMES[at].0, sink);
    }

    /// Writes the one-letter names.
    pub fn write_short(&self, sink: &mut impl FieldSink) {
        self.write_named(|at| NAMES[at].1, sink);
    }

    fn write_named(&self, name: impl Fn(usize) -> &'static str, sink: &mut impl FieldSink) {
        self.producer_group.write(name(0), sink);
        self.topic.write(name(1), sink);
        self.default_topic.write(name(2), sink);
        self.default_topic_queue_nums.write(name(3), sink);
        self.queue_id.write(name(4), sink);
        self.sys_flag.write(name(5), sink);
        self.born_timestamp.write(name(6), sink);
        self.flag.write(name(7), sink);
        self.properties.write(name(8), sink);
        self.reconsume_times.write(name(9), sink);
        self.unit_mode.write(name(10), sink);
        self.max_reconsume_times.write(name(11), sink);
        self.batch.write(name(12), sink);
        self.broker_name.write(name(13), sink);
    }
}

header_fields! {
    /// `RECALL_MESSAGE`: takes back a timed message that has not fallen due.
    pub struct RecallMessage<'a> {
        producer_group: Option<&'a str> = "producerGroup",
        topic: &'a str = "topic",
        recall_handle: Option<&'a str> = "recallHandle",
    }

    /// `END_TRANSACTION`, often one-way.
    pub struct EndTransaction<'a> {
        topic: Option<&'a str> = "topic",
        producer_group: &'a str = "producerGroup",
        tran_state_table_offset: i64 = "tranStateTableOffset",
        commit_log_offset: i64 = "commitLogOffset",
        commit_or_rollback: i32 = "commitOrRollback",
        from_transaction_check: Option<bool> = "fromTransactionCheck",
        msg_id: &'a str = "msgId",
        transaction_id: Option<&'a str> = "transactionId",
    }

    /// `CHECK_TRANSACTION_STATE`, server to client; the body is the half message.
    pub struct CheckTransactionState<'a> {
        topic: Option<&'a str> = "topic",
        tran_state_table_offset: i64 = "tranStateTableOffset",
        commit_log_offset: i64 = "commitLogOffset",
        msg_id: Option<&'a str> = "msgId",
        transaction_id: Option<&'a str> = "transactionId",
        offset_msg_id: Option<&'a str> = "offsetMsgId",
    }

    /// `PUSH_REPLY_MESSAGE_TO_CLIENT`, server to client; the body is the reply.
    pub struct PushReply<'a> {
        producer_group: &'a str = "producerGroup",
        topic: &'a str = "topic",
        default_topic: &'a str = "defaultTopic",
        default_topic_queue_nums: i32 = "defaultTopicQueueNums",
        queue_id: i32 = "queueId",
        sys_flag: i32 = "sysFlag",
        born_timestamp: i64 = "bornTimestamp",
        flag: i32 = "flag",
        properties: Option<&'a str> = "properties",
        reconsume_times: Option<i32> = "reconsumeTimes",
        unit_mode: Option<bool> = "unitMode",
        born_host: &'a str = "bornHost",
        store_host: &'a str = "storeHost",
        store_timestamp: i64 = "storeTimestamp",
    }
}

impl EndTransaction<'_> {
    /// `commit_or_rollback` of a commit.
    pub const COMMIT: i32 = 8;
    /// `commit_or_rollback` of a rollback.
    pub const ROLLBACK: i32 = 12;
    /// `commit_or_rollback` of a producer that cannot tell yet.
    pub const UNKNOWN: i32 = 0;
}
