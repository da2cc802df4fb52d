//! What the broker says of itself.

use super::table::{Outcome, Request};
use crate::reply::Reply;
use std::collections::BTreeMap;
use wire::remoting::VERSION;
use wire::remoting::body::KvTable;
use wire::remoting::code::version_text;
use wire::remoting::loose_json::{Dialect, to_vec};

pub(super) fn info(request: &Request) -> Outcome {
    let broker = &request.broker;
    let positions = broker.store().positions();
    let mut table = BTreeMap::new();
    let mut put = |name: &str, value: String| table.insert(name.to_owned(), value);
    let (totals, meter) = (broker.totals(), broker.meter());
    let (yesterday, today) = meter.mornings();
    let rates = |rates: [f64; 3]| format!("{:.2} {:.2} {:.2}", rates[0], rates[1], rates[2]);
    put("bootTimestamp", broker.started().0.to_string());
    put("putTps", rates(meter.rates(|totals| totals.messages_in)));
    put("getTransferredTps", rates(meter.rates(|totals| totals.messages_out)));
    put("getFoundTps", rates(meter.rates(|totals| totals.pulls_found)));
    put("getMissTps", rates(meter.rates(|totals| totals.pulls_missed)));
    put("getTotalTps", rates(meter.rates(|totals| totals.pulls_found + totals.pulls_missed)));
    put("msgPutTotalYesterdayMorning", yesterday.messages_in.to_string());
    put("msgPutTotalTodayMorning", today.messages_in.to_string());
    put("msgPutTotalTodayNow", totals.messages_in.to_string());
    put("msgGetTotalYesterdayMorning", yesterday.messages_out.to_string());
    put("msgGetTotalTodayMorning", today.messages_out.to_string());
    put("msgGetTotalTodayNow", totals.messages_out.to_string());
    put("brokerVersionDesc", format!("V{}", version_text(VERSION).replace('.', "_")));
    put("brokerVersion", VERSION.to_string());
    put("brokerActive", "true".to_owned());
    put("commitLogMinOffset", positions.min.to_string());
    put("commitLogMaxOffset", positions.written.to_string());
    put("remainHowManyDataToFlush", format!("{} B", positions.written.0 - positions.synced.0));
    put("dispatchBehindBytes", "0".to_owned());
    put("topicNumber", broker.topic_count().to_string());
    put("consumerGroupNumber", broker.metadata().read().groups.len().to_string());
    Ok(Reply::ok().with_body(to_vec(&KvTable { table }, Dialect::Strict)))
}

/// The settings under the original's names, for tools that look them up.
pub(super) fn config(request: &Request) -> Outcome {
    let options = request.broker.options();
    let text = format!(
        "brokerClusterName={}\nbrokerName={}\nbrokerId={}\nbrokerIP1={}\nlistenPort={}\nmaxMessageSize={}\n\
         autoCreateTopicEnable={}\nautoCreateSubscriptionGroup={}\ndefaultTopicQueueNums={}\n",
        options.cluster,
        options.broker_name,
        options.broker_id,
        options.advertised.ip(),
        options.advertised.port(),
        options.message_bytes_max,
        options.auto_create_topics,
        options.auto_create_groups,
        options.default_topic_queues,
    );
    Ok(Reply::ok().with_field("version", "0").with_body(text))
}
