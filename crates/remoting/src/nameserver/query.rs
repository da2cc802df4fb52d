//! What clients and operators ask.

use super::text::ORDER_NAMESPACE;
use super::{NameServer, with_json};
use crate::reply::Reply;
use cluster::route::Zone;
use std::collections::BTreeSet;
use wire::remoting::body::{BrokerMemberGroupAnswer, TopicList};
use wire::remoting::header::Header;
use wire::remoting::{ResponseCode, request};

/// Fields by which a client asks for the brokers of its zone.
const FIELD_ZONE_MODE: &str = "__ZONE_MODE";
const FIELD_ZONE_NAME: &str = "__ZONE_NAME";
/// What clients show to people whose topic is not there.
const HINT: &str = "; create the topic, or allow brokers to create topics on the first send";

impl NameServer {
    pub(super) fn route(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::GetRoute::parse(&header.fields)?;
        let silence = self.answers_from.saturating_sub(self.host.clock.monotonic());
        if !silence.is_zero() {
            let remark = format!("name server not ready: it waits {} s more for brokers", silence.as_secs_f32().ceil());
            return Err(Reply::error(ResponseCode::SYSTEM_ERROR, remark));
        }
        let is_zoned = header.fields.get(FIELD_ZONE_MODE).is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let zone = header.fields.get(FIELD_ZONE_NAME).filter(|name| is_zoned && !name.trim().is_empty()).map(Zone);
        let config = self.config.load();
        let Some(mut route) = self.routes.view().route(ask.topic, zone, config.acting_master) else {
            let remark = format!("No topic route info in name server for the topic: {}{HINT}", ask.topic);
            return Err(Reply::error(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if config.order_messages {
            route.order_topic_conf = self.metadata.read().kv(ORDER_NAMESPACE, ask.topic).map(str::to_owned);
        }
        Ok(with_json(header, &route))
    }

    pub(super) fn cluster_info(&self, header: &Header<'_>) -> Reply {
        with_json(header, &self.routes.view().cluster_info())
    }

    pub(super) fn member_group(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::GetBrokerMemberGroup::parse(&header.fields)?;
        let group = self.routes.view().member_group(ask.cluster_name, ask.broker_name);
        Ok(with_json(header, &BrokerMemberGroupAnswer { broker_member_group: Some(group) }))
    }

    pub(super) fn all_topics(&self, header: &Header<'_>) -> Reply {
        topic_list(header, self.routes.view().all_topics(), None)
    }

    pub(super) fn topics_of_cluster(&self, header: &Header<'_>) -> Result<Reply, Reply> {
        let ask = request::GetTopicsByCluster::parse(&header.fields)?;
        Ok(topic_list(header, self.routes.view().topics_of_cluster(ask.cluster), None))
    }

    pub(super) fn system_topics(&self, header: &Header<'_>) -> Reply {
        let (topics, broker) = self.routes.view().system_topics();
        topic_list(header, topics, broker)
    }

    pub(super) fn unit_topics(&self, header: &Header<'_>) -> Reply {
        topic_list(header, self.routes.view().unit_topics(), None)
    }

    pub(super) fn unit_subscriptions(&self, header: &Header<'_>, is_plain: bool) -> Reply {
        topic_list(header, self.routes.view().unit_subscription_topics(is_plain), None)
    }
}

fn topic_list(header: &Header<'_>, topic_list: BTreeSet<String>, broker_addr: Option<String>) -> Reply {
    with_json(header, &TopicList { topic_list, broker_addr })
}
