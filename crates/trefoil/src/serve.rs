//! `trefoil serve`: starts the roles, says when they are ready, and ends them in order.

mod address;
mod broker;
mod metrics;
mod nameserver;
mod node;
mod setup;

use crate::cli::Flags;
use crate::config::{Role, Settings};
use crate::start::StartError;
use address::Hosts;
use node::Node;
use rt::{Host, Shutdown, ShutdownTrigger};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Turns of connections between two looks at what else has come.
const TURNS_PER_LOOK: u32 = 4;

/// Serves until it is told to stop.
///
/// # Errors
/// [`StartError`] if it cannot start.
pub(crate) fn run(flags: &Flags) -> Result<(), StartError> {
    let (settings, warnings) = flags.settings()?;
    setup::log(&settings.log_level);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    setup::raise_file_limit();
    // The log's own threads need about as much processor as the connections' do.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = settings.worker_threads.unwrap_or(cores / 2).max(1);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // With one thread for all connections, sockets must be looked at between the turns of a few that never rest.
    runtime.worker_threads(workers).event_interval(TURNS_PER_LOOK).enable_all();
    let runtime = runtime.build().map_err(|error| StartError::Runtime { error })?;
    runtime.block_on(serve(settings))
}

/// Where a role can be reached, as the ready line tells it.
type Address = (&'static str, SocketAddr);

async fn serve(settings: Settings) -> Result<(), StartError> {
    let refused = |error| StartError::Runtime { error };
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let host = Host::real();
    let _lock = setup::lock(&host, &settings.data_dir).await?;
    let hosts = Hosts::find(&host, &settings).await?;
    hosts.warn_if_open();

    let node = Arc::new(Node::default());
    // Name server and HTTP outlive the broker, so that it can withdraw and its end can be watched.
    let (end, ending) = ShutdownTrigger::new();
    let http = bind_http(&host, &settings, &hosts, &node).await?;
    let http_addr = http.local_addr();
    let http = rt::spawn(http.serve(ending.clone()));
    let (broker_end, broker_ending) = ShutdownTrigger::new();
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(told);
    let started = tokio::select! {
        started = start(&host, &settings, &hosts, &node, (ending, broker_ending)) => started?,
        () = &mut told => {
            tracing::info!("stopped before it was ready");
            // Whatever reads or builds files is left as it is, as by kill -9. Until then nobody else may have them.
            std::process::exit(0);
        }
    };

    node.set_ready();
    announce(started.addresses.iter().copied().chain([("http", http_addr)]));
    told.await;
    tracing::info!("stopping: what is in work is finished, what is written is synced");
    node.set_stopping();
    broker_end.fire();
    if let Some(broker) = started.broker {
        broker.ended().await;
    }
    end.fire();
    for task in started.tasks.into_iter().chain([http]) {
        if task.await.is_err() {
            tracing::error!("a part of the server panicked");
        }
    }
    tracing::info!("stopped");
    Ok(())
}

/// Roles that have started.
struct Started {
    addresses: Vec<Address>,
    broker: Option<broker::Running>,
    tasks: Vec<rt::TaskHandle<()>>,
}

async fn start(
    host: &Host,
    settings: &Settings,
    hosts: &Hosts,
    node: &Arc<Node>,
    (ending, broker_ending): (Shutdown, Shutdown),
) -> Result<Started, StartError> {
    let mut started = Started { addresses: Vec::new(), broker: None, tasks: Vec::new() };
    let tls = setup::tls(settings)?;
    let mut name_servers = settings.nameserver_addresses.clone();
    if settings.roles.contains(&Role::NameServer) {
        let (addr, task) = nameserver::start(host, settings, hosts, tls.clone(), ending).await?;
        started.addresses.push(("nameserver", addr));
        started.tasks.push(task);
        if name_servers.is_empty() {
            name_servers.push(address::reachable(addr).to_string());
        }
    }
    if settings.roles.contains(&Role::Broker) {
        let doors = broker::Doors { tls, name_servers, ending: broker_ending };
        let broker = broker::start(host, settings, hosts, node, doors).await?;
        started.addresses.extend(broker.addresses());
        started.broker = Some(broker);
    }
    Ok(started)
}

async fn bind_http(
    host: &Host,
    settings: &Settings,
    hosts: &Hosts,
    node: &Arc<Node>,
) -> Result<console::Server, StartError> {
    let addr = hosts.listen(settings.http_port);
    let health: Arc<dyn console::Health> = Arc::clone(node) as _;
    let server = console::Server::bind(host, addr, health, vec![Arc::clone(node) as _]).await;
    server.map_err(|error| StartError::Listen { role: "HTTP", option: "http-port", addr, error })
}

/// The one line on standard output: whoever started us reads the ports from it.
fn announce(addresses: impl Iterator<Item = Address>) {
    let addresses: Vec<_> = addresses.map(|(role, addr)| format!("{role}={addr}")).collect();
    let line = format!("ready {}\n", addresses.join(" "));
    let mut out = std::io::stdout().lock();
    // Nobody may be reading any more; the server serves all the same.
    if std::io::Write::write_all(&mut out, line.as_bytes()).and_then(|()| std::io::Write::flush(&mut out)).is_err() {
        tracing::warn!("nobody reads standard output; {}", line.trim_end());
    }
}
