//! What the broker says to clients on its own: notices and questions.

use crate::server::{Call, Connection};
use ::broker::{Ask, AskError, ClientChannel, Notice, OffsetsReset, Reply};
use bytes::Bytes;
use rt::BoxFuture;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::{MessageQueue, QueueOffset, ResetOffsetBody, ResetOffsetList};
use wire::remoting::loose_json::{Dialect, to_vec};
use wire::remoting::{Language, RequestCode, ResponseCode};

/// A client behind a connection.
pub(super) struct Channel {
    pub(super) connection: Arc<Connection>,
}

impl ClientChannel for Channel {
    fn id(&self) -> u64 {
        self.connection.id()
    }

    fn peer(&self) -> SocketAddr {
        self.connection.peer()
    }

    fn notify(&self, notice: &Notice) {
        let sent = match notice {
            Notice::MembersChanged(group) => self.connection.notify(&Call {
                code: RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0,
                fields: &[("consumerGroup", group.as_str())],
                body: b"",
            }),
            Notice::OffsetsReset(reset) => {
                let (topic, group) = (reset.topic.as_str(), reset.group.as_str());
                let timestamp = reset.timestamp.to_string();
                self.connection.notify(&Call {
                    code: RequestCode::RESET_CONSUMER_CLIENT_OFFSET.0,
                    fields: &[("topic", topic), ("group", group), ("timestamp", &timestamp), ("isForce", "true")],
                    body: &offsets_body(reset),
                })
            }
        };
        if let Err(error) = sent {
            tracing::debug!(peer = %self.connection.peer(), %error, "a notice did not reach a client");
        }
    }

    fn ask(&self, ask: Ask, within: Duration) -> BoxFuture<'static, Result<Bytes, AskError>> {
        let connection = Arc::clone(&self.connection);
        Box::pin(async move {
            let (code, fields, body) = question(&ask);
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let call = Call { code: code.0, fields: &fields, body: &body };
            let answer =
                connection.call(&call, within).await.map_err(|error| AskError::Unreachable(error.to_string()))?;
            if answer.code == ResponseCode::SUCCESS.0 {
                return Ok(answer.body);
            }
            Err(AskError::Refused { code: answer.code, remark: answer.remark.unwrap_or_default() })
        })
    }
}

/// Clients in C++ read a list, the others a map keyed by queues, in the original's dialect.
fn offsets_body(reset: &OffsetsReset) -> Vec<u8> {
    let (broker, topic) = (&reset.broker, reset.topic.as_str());
    let all = reset.offsets.iter().map(|(queue, offset)| (queue.0 as i32, offset.0 as i64));
    if reset.language != Language::CPP.0 {
        let queue = |id: i32| MessageQueue { broker_name: broker.clone(), queue_id: id, topic: topic.to_owned() };
        let offset_table = all.map(|(id, offset)| (queue(id), offset)).collect();
        return to_vec(&ResetOffsetBody { offset_table }, Dialect::Loose);
    }
    let entry =
        |(queue_id, offset)| QueueOffset { broker_name: broker.clone(), offset, queue_id, topic: topic.to_owned() };
    to_vec(&ResetOffsetList { offset_table: all.map(entry).collect() }, Dialect::Strict)
}

type Fields = Vec<(&'static str, String)>;

fn question(ask: &Ask) -> (RequestCode, Fields, Bytes) {
    match ask {
        Ask::RunningInfo { group, client, stacks } => (
            RequestCode::GET_CONSUMER_RUNNING_INFO,
            vec![
                ("consumerGroup", group.to_string()),
                ("clientId", client.clone()),
                ("jstackEnable", stacks.to_string()),
            ],
            Bytes::new(),
        ),
        Ask::Status { topic, group } => (
            RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT,
            vec![("topic", topic.to_string()), ("group", group.to_string())],
            Bytes::new(),
        ),
        Ask::Reply(reply) => (RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT, pushed(reply), reply.body.clone()),
        Ask::ConsumeDirectly { group, client, message_id, broker, record } => (
            RequestCode::CONSUME_MESSAGE_DIRECTLY,
            vec![
                ("consumerGroup", group.to_string()),
                ("clientId", client.clone()),
                ("msgId", message_id.clone()),
                ("brokerName", broker.clone()),
            ],
            record.clone(),
        ),
    }
}

fn pushed(reply: &Reply) -> Fields {
    vec![
        ("producerGroup", reply.producer_group.clone()),
        ("topic", reply.topic.clone()),
        ("defaultTopic", model::system::AUTO_CREATE_TOPIC.to_owned()),
        ("defaultTopicQueueNums", "4".to_owned()),
        ("queueId", reply.queue_id.to_string()),
        ("sysFlag", reply.sys_flag.to_string()),
        ("bornTimestamp", reply.born_timestamp.to_string()),
        ("flag", reply.flag.to_string()),
        ("properties", reply.properties.clone()),
        ("reconsumeTimes", "0".to_owned()),
        ("unitMode", "false".to_owned()),
        ("bornHost", reply.born_host.to_string()),
        ("storeHost", reply.store_host.to_string()),
        ("storeTimestamp", reply.store_timestamp.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Group, QueueId, QueueOffset, Topic};

    #[test]
    fn each_language_reads_a_reset_in_its_own_form() {
        let check = |language: Language, expected: &str| {
            let reset = OffsetsReset {
                group: Group::from_stored("g"),
                topic: Topic::from_stored("t"),
                broker: "b".to_owned(),
                timestamp: -1,
                offsets: vec![(QueueId(0), QueueOffset(11)), (QueueId(1), QueueOffset(0))],
                language: language.0,
            };
            assert_eq!(String::from_utf8(offsets_body(&reset)).unwrap(), expected, "{language}");
        };
        let first = r#""brokerName":"b","queueId":0,"topic":"t""#;
        let map = format!(r#"{{"offsetTable":{{{{{first}}}:11,{{"brokerName":"b","queueId":1,"topic":"t"}}:0}}}}"#);
        check(Language::JAVA, &map);
        check(Language::GO, &map);
        check(
            Language::CPP,
            r#"{"offsetTable":[{"brokerName":"b","offset":11,"queueId":0,"topic":"t"},{"brokerName":"b","offset":0,"queueId":1,"topic":"t"}]}"#,
        );
    }
}
