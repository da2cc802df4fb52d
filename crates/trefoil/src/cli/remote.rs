//! A cluster as the command line sees it: name servers that know the brokers, brokers that know the rest.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use remoting::client::{Client, ClientError};
use remoting::server::{Call, Response};
use rt::Host;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use wire::remoting::body::{BrokerData, ClusterInfo, TopicRouteData};
use wire::remoting::{Fields, RequestCode, ResponseCode, loose_json, request};

/// Topic whose route tells where topics that do not exist yet may be created.
pub(super) const MODEL_TOPIC: &str = model::system::AUTO_CREATE_TOPIC;
/// How often, and how long after each other, a new topic is looked for at the name server: 5 s in all.
const ROUTE_TRIES: u32 = 250;
const ROUTE_PAUSE: Duration = Duration::from_millis(20);
/// Id of a broker that takes writes.
const MASTER_ID: i64 = 0;

/// A cluster.
pub(super) struct Cluster {
    host: Host,
    client: Client,
    name_servers: Vec<String>,
    timeout: Duration,
}

/// A server said no.
#[derive(Debug, thiserror::Error)]
#[error("{addr} refused {request}: {remark} ({code})")]
pub(super) struct Refused {
    addr: String,
    request: RequestCode,
    code: ResponseCode,
    remark: String,
}

/// A server's answer.
pub(super) struct Answer {
    /// Its code.
    pub(super) code: ResponseCode,
    response: Response,
}

impl Answer {
    /// The extension fields.
    pub(super) fn fields(&self) -> Fields<'_> {
        self.response.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// Why it is no success, for people. Servers of the original add stack traces, of which only the head is kept.
    pub(super) fn remark(&self) -> &str {
        let remark = self.response.remark.as_deref().unwrap_or_default();
        remark.lines().next().map(str::trim).filter(|line| !line.is_empty()).unwrap_or("no reason given")
    }

    /// The body.
    pub(super) fn body(&self) -> &[u8] {
        &self.response.body
    }

    /// The body, which is JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        loose_json::from_slice(&self.response.body).context("the answer cannot be read")
    }

    fn success(self, addr: &str, request: RequestCode) -> anyhow::Result<Self> {
        if self.code == ResponseCode::SUCCESS {
            return Ok(self);
        }
        let remark = self.remark().to_owned();
        Err(Refused { addr: addr.to_owned(), request, code: self.code, remark }.into())
    }
}

/// A request whose answer is on its way.
pub(super) struct Pending(rt::TaskHandle<anyhow::Result<Answer>>);

impl Pending {
    /// The answer; one that is not success is an error.
    /// Whoever stops waiting may ask again.
    pub(super) async fn answer(&mut self) -> anyhow::Result<Answer> {
        (&mut self.0).await.context("the request panicked")?
    }
}

/// A broker that takes writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Master {
    /// Its name.
    pub(super) name: String,
    /// Its address.
    pub(super) addr: String,
    /// Its cluster.
    pub(super) cluster: String,
}

impl Cluster {
    pub(super) fn new(host: Host, name_servers: &str, timeout: Duration) -> Self {
        let name_servers = name_servers.split([',', ';']).map(str::trim).filter(|addr| !addr.is_empty());
        let client = Client::new(host.clone());
        Self { host, client, name_servers: name_servers.map(str::to_owned).collect(), timeout }
    }

    /// Ms since the epoch.
    pub(super) fn now_ms(&self) -> i64 {
        self.host.clock.now().0
    }

    /// Time since some moment; it never goes back.
    pub(super) fn monotonic(&self) -> Duration {
        self.host.clock.monotonic()
    }

    /// Runs work that may wait for a file or a person, while requests go on.
    pub(super) async fn run_blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.host.run_blocking(work).await
    }

    /// A random number.
    pub(super) fn random(&self) -> u64 {
        self.host.random.next_u64()
    }

    /// Asks one server, which may hold its answer back for a time; gives the answer whatever its code.
    pub(super) async fn call(
        &self,
        addr: &str,
        code: RequestCode,
        fields: impl FnOnce(&mut Vec<(String, String)>),
        body: &[u8],
        held: Duration,
    ) -> anyhow::Result<Answer> {
        let owned = written(fields);
        let call = Call { code: code.0, fields: &borrowed(&owned), body };
        let response = self.client.call(addr, &call, self.timeout + held).await?;
        Ok(Answer { code: ResponseCode(response.code), response })
    }

    /// Asks one server; an answer that is not success is an error ([`Refused`]).
    pub(super) async fn ask(
        &self,
        addr: &str,
        code: RequestCode,
        fields: impl FnOnce(&mut Vec<(String, String)>),
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        self.call(addr, code, fields, body, Duration::ZERO).await?.success(addr, code)
    }

    /// Asks for what must not be done twice: the request is handed to one connection once. Whether the server did it all
    /// the same is not known if the error [says so](is_uncertain).
    pub(super) async fn ask_once(
        &self,
        addr: &str,
        code: RequestCode,
        fields: impl FnOnce(&mut Vec<(String, String)>),
        body: &[u8],
    ) -> anyhow::Result<Answer> {
        let owned = written(fields);
        let call = Call { code: code.0, fields: &borrowed(&owned), body };
        let response = self.client.call_once(addr, &call, self.timeout).await?;
        Answer { code: ResponseCode(response.code), response }.success(addr, code)
    }

    /// Asks without waiting for the answer, for what must not be done twice, as [`ask_once`](Self::ask_once). Requests to one
    /// server arrive in the order of these calls.
    pub(super) fn send(
        self: &Arc<Self>,
        addr: &str,
        code: RequestCode,
        fields: impl FnOnce(&mut Vec<(String, String)>),
        body: Bytes,
    ) -> Pending {
        let (this, addr, owned) = (Arc::clone(self), addr.to_owned(), written(fields));
        // Tasks of this one-threaded program first run in the order in which they were started.
        Pending(rt::spawn(async move { this.ask_once(&addr, code, |out| *out = owned, &body).await }))
    }

    /// Asks the name servers in turn until one answers.
    async fn ask_name_server(
        &self,
        code: RequestCode,
        fields: impl Fn(&mut Vec<(String, String)>),
    ) -> anyhow::Result<Answer> {
        let mut last = anyhow::anyhow!("no name server was given");
        for addr in &self.name_servers {
            match self.ask(addr, code, &fields, b"").await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is::<Refused>() => return Err(error),
                Err(error) => last = error.context(format!("name server {addr} does not answer")),
            }
        }
        Err(last)
    }

    /// Every name server given.
    pub(super) fn name_servers(&self) -> &[String] {
        &self.name_servers
    }

    /// All topics that the name server knows.
    pub(super) async fn topics(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.ask_name_server(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, |_| {}).await?;
        let list: wire::remoting::body::TopicList = answer.json()?;
        Ok(list.topic_list.into_iter().collect())
    }

    /// Who serves a topic; `None` if nobody does.
    pub(super) async fn route(&self, topic: &str) -> anyhow::Result<Option<TopicRouteData>> {
        let request = request::GetRoute { topic, accept_standard_json_only: Some(true) };
        match self.ask_name_server(RequestCode::GET_ROUTEINFO_BY_TOPIC, |out| request.write(out)).await {
            Ok(answer) => answer.json().map(Some),
            Err(error) if is_refused(&error, ResponseCode::TOPIC_NOT_EXIST) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until the name server knows that some brokers serve a topic that was just created: they tell it right after.
    pub(super) async fn wait_for_route(&self, topic: &str, masters: &[Master]) -> anyhow::Result<()> {
        for _ in 0..ROUTE_TRIES {
            let known = self.route(topic).await?.map(|route| masters_of(&route.broker_datas));
            if known.is_some_and(|known| masters.iter().all(|master| known.contains(master))) {
                return Ok(());
            }
            rt::sleep(ROUTE_PAUSE).await;
        }
        bail!("the topic '{topic}' is created, but the name server has not heard of it from all brokers")
    }

    /// Who serves a topic.
    pub(super) async fn known_route(&self, topic: &str) -> anyhow::Result<TopicRouteData> {
        let route = self.route(topic).await?;
        route
            .with_context(|| format!("no broker serves the topic '{topic}'; 'trefoil topic create {topic}' creates it"))
    }

    /// All brokers.
    pub(super) async fn info(&self) -> anyhow::Result<ClusterInfo> {
        self.ask_name_server(RequestCode::GET_BROKER_CLUSTER_INFO, |_| {}).await?.json()
    }

    /// All brokers that take writes.
    pub(super) async fn masters(&self) -> anyhow::Result<Vec<Master>> {
        let masters = masters_of(self.info().await?.broker_addr_table.values());
        if masters.is_empty() {
            bail!("the name server {} knows no broker that takes writes", self.name_servers.join(","));
        }
        Ok(masters)
    }

    /// The brokers that take writes, as far as a command is for them.
    pub(super) async fn masters_among(&self, among: &Among) -> anyhow::Result<Vec<Master>> {
        let mut masters = self.masters().await?;
        masters.retain(|master| among.cluster.as_ref().is_none_or(|only| *only == master.cluster));
        masters.retain(|master| among.broker.as_ref().is_none_or(|only| *only == master.name));
        if masters.is_empty() {
            bail!("no broker has that name or is in that cluster; 'trefoil cluster show' lists them");
        }
        Ok(masters)
    }
}

/// Which brokers a command is for, of those that take writes.
#[derive(clap::Args)]
pub(super) struct Among {
    /// Only on the brokers of this cluster.
    #[arg(long)]
    cluster: Option<String>,
    /// Only on this broker.
    #[arg(long)]
    broker: Option<String>,
}

/// The brokers among some that take writes.
pub(super) fn masters_of<'a>(brokers: impl IntoIterator<Item = &'a BrokerData>) -> Vec<Master> {
    let master = |broker: &BrokerData| {
        let addr = broker.broker_addrs.get(&MASTER_ID)?.clone();
        Some(Master { name: broker.broker_name.clone(), addr, cluster: broker.cluster.clone() })
    };
    let mut masters: Vec<_> = brokers.into_iter().filter_map(master).collect();
    masters.sort();
    masters
}

fn written(fields: impl FnOnce(&mut Vec<(String, String)>)) -> Vec<(String, String)> {
    let mut written = Vec::new();
    fields(&mut written);
    written
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Whether a request may have been done although no answer came.
pub(super) fn is_uncertain(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::Call { .. }))
}

/// A change of an attribute, `NAME=VALUE` or `NAME` alone to take it away, with the sign that brokers know it by.
pub(super) fn signed(change: &str) -> String {
    let sign = if change.contains('=') { '+' } else { '-' };
    format!("{sign}{change}")
}

/// Whether an error is a server's refusal with this code.
pub(super) fn is_refused(error: &anyhow::Error, code: ResponseCode) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.code == code)
}
