//! Order configurations: a name server may hold a text for a topic, as `broker-a:4;broker-b:4`, that says how many queues
//! senders of ordered messages use on each broker. Where there is one, it follows the number of queues, as with the
//! original's tools. Nothing else changes it: brokers do not.

use super::super::remote::{Cluster, Master, is_refused};
use anyhow::Context as _;
use remoting::nameserver::ORDER_NAMESPACE;
use wire::remoting::{RequestCode, ResponseCode, request, response};

/// Sets the number of queues of one broker in the order configuration of a topic, at each name server that has one with
/// this broker in it.
pub(super) async fn follow(cluster: &Cluster, master: &Master, topic: &str, queues: i32) -> anyhow::Result<()> {
    for name_server in cluster.name_servers() {
        let ask = request::GetKvConfig { namespace: ORDER_NAMESPACE, key: topic };
        let answer = match cluster.ask(name_server, RequestCode::GET_KV_CONFIG, |out| ask.write(out), b"").await {
            Err(error) if is_refused(&error, ResponseCode::QUERY_NOT_FOUND) => continue,
            answer => answer.with_context(|| format!("cannot see whether {name_server} has an order configuration"))?,
        };
        let fields = answer.fields();
        let Some(text) = response::GetKvConfig::parse(&fields)?.value else { continue };
        let changed = with_queues(text, &master.name, queues);
        if changed == text {
            continue;
        }
        let put = request::PutKvConfig { namespace: ORDER_NAMESPACE, key: topic, value: &changed };
        let done = cluster.ask(name_server, RequestCode::PUT_KV_CONFIG, |out| put.write(out), b"").await;
        done.with_context(|| format!("the order configuration '{text}' of '{topic}' stays at {name_server}"))?;
    }
    Ok(())
}

/// The text with another number for one broker, if it names it.
fn with_queues(text: &str, broker: &str, queues: i32) -> String {
    let part = |part: &str| match part.split_once(':') {
        Some((name, _)) if name == broker => format!("{broker}:{queues}"),
        _ => part.to_owned(),
    };
    text.split(';').map(part).collect::<Vec<_>>().join(";")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_changes() {
        let check = |text: &str, expected: &str| assert_eq!(with_queues(text, "a", 8), expected, "{text}");
        check("a:4", "a:8");
        check("b:4;a:4;", "b:4;a:8;");
        check("b:4;aa:4;a", "b:4;aa:4;a");
    }
}
