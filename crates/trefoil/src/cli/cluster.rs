//! `trefoil cluster`.

use super::Target;
use super::output::{show, table};
use serde::Serialize;
use wire::remoting::RequestCode;
use wire::remoting::body::KvTable;

/// Show the brokers of a cluster.
#[derive(clap::Subcommand)]
pub(super) enum ClusterCommand {
    /// Show each broker with its version and rates.
    Show {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Serialize)]
struct Broker {
    cluster: String,
    broker: String,
    id: i64,
    address: String,
    version: Option<String>,
    in_per_second: Option<f64>,
    out_per_second: Option<f64>,
    /// Why the broker could not be asked.
    error: Option<String>,
}

pub(super) async fn run(command: ClusterCommand) -> anyhow::Result<()> {
    let ClusterCommand::Show { target } = command;
    let cluster = target.cluster();
    let info = cluster.info().await?;
    let mut brokers = Vec::new();
    for data in info.broker_addr_table.values() {
        for (id, addr) in &data.broker_addrs {
            let runtime = cluster.ask(addr, RequestCode::GET_BROKER_RUNTIME_INFO, |_| {}, b"").await;
            let runtime = runtime.and_then(|answer| answer.json::<KvTable>());
            let (runtime, error) = match runtime {
                Ok(runtime) => (runtime.table, None),
                Err(error) => (Default::default(), Some(format!("{error:#}"))),
            };
            // Three averages (10 s, 1 min, 10 min) stand in one text; the first is the freshest.
            let rate = |name: &str| runtime.get(name)?.split_whitespace().next()?.parse().ok();
            brokers.push(Broker {
                cluster: data.cluster.clone(),
                broker: data.broker_name.clone(),
                id: *id,
                address: addr.clone(),
                version: runtime.get("brokerVersionDesc").cloned(),
                in_per_second: rate("putTps"),
                out_per_second: rate("getTransferredTps").or_else(|| rate("getTransferedTps")),
                error,
            });
        }
    }
    brokers.sort_by(|a, b| (&a.cluster, &a.broker, a.id).cmp(&(&b.cluster, &b.broker, b.id)));
    let unreachable: Vec<_> =
        brokers.iter().filter(|broker| broker.error.is_some()).map(|b| b.address.clone()).collect();
    show(target.output, &brokers, || {
        let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
        let row = |b: &Broker| {
            let version = b.version.clone().unwrap_or_else(|| "unreachable".to_owned());
            let [cluster, broker, address] = [&b.cluster, &b.broker, &b.address].map(Clone::clone);
            [cluster, broker, b.id.to_string(), address, version, rate(b.in_per_second), rate(b.out_per_second)]
        };
        table(["CLUSTER", "BROKER", "ID", "ADDRESS", "VERSION", "IN/S", "OUT/S"], brokers.iter().map(row))
    })?;
    if !unreachable.is_empty() {
        anyhow::bail!("{} of {} brokers do not answer: {}", unreachable.len(), brokers.len(), unreachable.join(", "));
    }
    Ok(())
}
